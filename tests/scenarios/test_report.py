"""A day's report from what the plant put on record: why it came to what it came to, to the cent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from adapters.sqlite_telemetry import SqliteTelemetry
from tests.scenarios.test_backtest import options
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.model.time import Interval, isoformat
from vpp.ports import JournalEntry
from vpp.service.accounting import statements_of
from vpp.service.backtest.asked import Way, as_asked
from vpp.service.backtest.replay import ReplayOptions, open_replay
from vpp.service.demo.simulation import lockstep
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.results.command import reported
from vpp.service.results.noting import CAME, EXPECTED, Came, is_bid_next
from vpp.service.results.page import page_of
from vpp.service.results.report import report_of
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering import overrides
from vpp.service.wiring import JOURNAL_FILE, TELEMETRY_FILE
from vpp.simulate.market import VenueTimes
from vpp.wirecontrol import OverrideRequest
from vpp.wireresult import PeriodResultView

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

BATTERY = ResourceId("works-battery")


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day that was lived through, its reports, and the record of it."""

    file: ParkFile
    plant: Plant
    span: Interval
    day: PeriodResultView
    month: PeriodResultView
    data: Path

    def came(self, hour: int) -> Came:
        start = isoformat(self.span.start + timedelta(hours=hour))
        entry = self.plant.journal.find(CAME, start)
        assert entry is not None
        return msgspec.json.decode(entry.body, type=Came)


@pytest.fixture(scope="module")
def lived(small_park: MakePark, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A day in which somebody holds the battery still from 07:00 to 09:00 in Stockholm."""
    file, data = small_park(), tmp_path_factory.mktemp("data")
    asked = options(file, hours=24, every=timedelta(hours=4), foresight=False)
    replay = ReplayOptions(span=asked.span, seed=1, device_step=asked.period, times=VenueTimes())
    played = as_asked(file, asked, Way.POINT)

    async def live() -> Day:
        held: list[asyncio.Task[object]] = []
        written: list[JournalEntry] = []

        def look(plant: Plant) -> None:
            now = plant.clock.now()
            if now >= asked.span.start + timedelta(hours=7) and not held:
                said = {"power_kw": 0.0, "for_minutes": 120, "by": "Li", "reason": "inspection"}
                request = OverrideRequest.model_validate(said)
                taking = overrides.take(plant, BATTERY, request, now=now)
                held.append(asyncio.ensure_future(taking))

        async with (
            SqliteTelemetry(data / TELEMETRY_FILE) as historian,
            open_replay(played, replay, InlineExecutor()) as (run, clock),
        ):
            run.plant.record, run.plant.journal = historian.add, MemoryJournal(written.append)
            await lockstep(run, clock, asyncio.Event(), look)
            await asyncio.gather(*held)
            await _keep(written, data)
            day, month = [await report_of(run.plant, name) for name in ("2025-12-03", "2025-12")]
            return Day(
                file=played, plant=run.plant, span=asked.span, day=day, month=month, data=data
            )

    return asyncio.run(live())


async def _keep(written: list[JournalEntry], data: Path) -> None:
    """Put on disk what a replay remembers: the record of a service that lived through the same."""
    async with SqliteJournal.open(data / JOURNAL_FILE) as kept:
        for entry in written:
            await kept.append(entry.kind, entry.key, entry.body, now=entry.recorded_at)


def test_the_effects_add_up_to_the_statements_to_the_cent(lived: Day) -> None:
    total = sum(one.total for one in statements_of(lived.plant, lived.span))

    assert lived.day.total == total
    assert lived.day.split is not None
    assert sum(Decimal(amount) for amount in lived.day.split.model_dump().values()) == total
    assert lived.day.unsplit == []
    assert sum(one.total for one in lived.day.members) == total
    assert sum(one.amount for one in lived.day.items) == total


def test_the_plan_is_the_one_that_was_bid_on(lived: Day) -> None:
    """The last one before the gate at noon of the day before; plans are made every four hours."""
    entries = list(lived.plant.journal.entries(EXPECTED))

    assert [(entry.key, entry.recorded_at) for entry in entries] == [
        ("2025-12-03", datetime.fromisoformat("2025-12-02T10:00:00+00:00")),
        ("2025-12-04", datetime.fromisoformat("2025-12-03T08:00:00+00:00")),
    ]


@pytest.mark.parametrize(
    ("at", "next_"),
    [
        pytest.param("2025-12-02T06:59:00", False, id="another plan comes before the gate"),
        pytest.param("2025-12-02T07:00:00", True, id="the last one"),
        pytest.param("2025-12-02T10:45:00", True, id="out of its turn"),
        pytest.param("2025-12-02T11:00:00", False, id="the gate has closed"),
    ],
)
def test_a_plan_is_bid_by_where_the_gate_closes_before_the_next_one(
    lived: Day, at: str, next_: bool
) -> None:
    """The gate of 3 December closes at 12:00 in Stockholm; plans are made every four hours."""
    now = datetime.fromisoformat(f"{at}+00:00").astimezone(UTC)

    assert is_bid_next(lived.plant, date(2025, 12, 3), now) == next_


def test_an_override_is_what_was_held_and_nothing_else(lived: Day) -> None:
    assert BATTERY in lived.came(8).held_wh
    assert lived.came(8).held_wh == {BATTERY: 0}
    assert lived.came(6).held_wh == lived.came(10).held_wh == {}
    assert lived.day.split is not None
    assert lived.day.split.override != 0


def test_loads_that_draw_what_was_forecast_have_no_effect(lived: Day) -> None:
    """The park's days are alike: what the forecast missed is a few kWh."""
    assert lived.day.split is not None
    assert abs(lived.day.split.forecast) < abs(lived.day.total) / 20


def test_a_month_is_its_days_and_tells_each(lived: Day) -> None:
    """The first quarter-hour of the day after is settled too; a day that is not over is not split."""
    day, after = lived.month.days

    assert (day.day, after.day) == ("2025-12-03", "2025-12-04")
    assert day.split == lived.day.split
    assert [one.day for one in lived.month.unsplit] == ["2025-12-04"]
    assert lived.month.split is not None
    split = sum(Decimal(amount) for amount in lived.month.split.model_dump().values())
    assert split + after.total == lived.month.total
    assert lived.month.quarters == []
    assert len(lived.day.quarters) == 96


def test_a_day_without_a_plan_on_record_is_told_and_not_split(small_park: MakePark) -> None:
    """Two hours of it are settled, in a plant that forgot what it expected."""
    file = small_park()
    asked = options(file, hours=1, every=timedelta(hours=6), foresight=False)
    replay = ReplayOptions(span=asked.span, seed=1, device_step=asked.period, times=VenueTimes())

    async def live() -> PeriodResultView:
        executor = InlineExecutor()
        async with open_replay(as_asked(file, asked, Way.POINT), replay, executor) as (run, clock):
            await lockstep(run, clock, asyncio.Event(), lambda plant: None)
            return await report_of(run.plant, "2025-12-03")

    view = asyncio.run(live())

    assert view.split is None
    [day] = view.unsplit
    assert day.total == view.total
    assert "of 96 quarter-hours are settled" in day.reason


def test_the_page_tells_each_effect_and_escapes_what_it_is_told(lived: Day) -> None:
    page = page_of("<b>Park</b>", lived.day)

    assert "&lt;b&gt;Park&lt;/b&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    for word in ("planned", "forecast", "price", "delivery", "override", "model", "came to"):
        assert word in page
    assert f"{lived.day.total:,.2f}" in page


def test_the_record_of_a_service_gives_the_report_that_the_service_gives(lived: Day) -> None:
    """From journal and historian alone, to the cent and to the last quarter-hour."""
    assert asyncio.run(reported(lived.file, lived.data, None)) == lived.day


def test_a_folder_without_a_record_is_refused(small_park: MakePark, tmp_path: Path) -> None:
    file: ParkFile = small_park()

    with pytest.raises(ConfigError, match="there is no record here"):
        asyncio.run(reported(file, tmp_path, None))
