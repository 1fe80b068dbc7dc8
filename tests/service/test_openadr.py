"""A utility's events in service: on record, done through the doors that everybody uses, undone when they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web

from tests.contracts.vtn import SmallVtn
from tests.service.conftest import NOW
from tests.service.test_calendars import demo_with
from vpp.clock import SimulatedClock
from vpp.errors import UnavailableError
from vpp.model.horizon import Horizon
from vpp.model.ids import FeederId
from vpp.model.measurement import MeterReading
from vpp.model.time import QUARTER, isoformat
from vpp.service.calls import limits
from vpp.service.loops import loops_of
from vpp.service.openadr import openadr
from vpp.service.openadr import reports as openadrreports
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.park.config import ConfigErrors
from vpp.service.plant import Plant, TracePoint
from vpp.service.trading import log as tradelog
from vpp.service.wiring import open_programmes
from vpp.trade.book import BidBook

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PLANNED_KW = -1300.0
"""Of the plan that every test begins with; see `a_schedule`."""

SECTION = """\
openadr:
  - id: grid
    url: {url}
    version: "{version}"
    client_id: {{env: VPP_TEST_ID}}
    client_secret: {{env: VPP_TEST_SECRET}}
    ven_name: demo-park
    poll_s: 60
    programs:
      - name: flex
        does:
          PRICE: {{series: price.retail, unit: EUR/MWh}}
          GHG: {{series: carbon.grid, unit: gCO2/kWh}}
          IMPORT_CAPACITY_LIMIT: {{place: feeder-north}}
          EXPORT_CAPACITY_LIMIT: {{place: feeder-north}}
          DISPATCH_SETPOINT: {{product: se3-day-ahead}}
          DISPATCH_SETPOINT_RELATIVE: {{product: se3-day-ahead}}
          SIMPLE:
            product: se3-day-ahead
            levels: {{"1": {{kw: 200}}, "2": {{percent: 25}}}}
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPP_TEST_ID", "us")
    monkeypatch.setenv("VPP_TEST_SECRET", "secret")


@pytest.fixture
def vtn(request: pytest.FixtureRequest) -> SmallVtn:
    """Of 3.1, or of the version that a test asks for."""
    vtn = SmallVtn(version=getattr(request, "param", "3.1"))
    vtn.add_program("flex")
    return vtn


@dataclass
class Hand:
    """A clock that is moved by hand."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Scene:
    """A plant, its utility, and the time."""

    plant: Plant
    vtn: SmallVtn
    clock: Hand

    @property
    def now(self) -> datetime:
        return self.clock.at

    @property
    def desk(self) -> OpenAdrDesk:
        return self.plant.programmes[0]

    async def look(self, at: datetime | None = None) -> None:
        """Ask the utility, whether it is due or not."""
        self.clock.at = self.now + MINUTE if at is None else at
        self.desk.due = None
        await openadr.look(self.plant, self.now)

    def add(self, event_id: str, kind: str, *values: Any, hour: float = 12, **more: Any) -> None:
        start = NOW.replace(hour=0) + hour * HOUR
        self.vtn.add_event(event_id, "p-1", kind, *values, start=isoformat(start), **more)

    def change(self, event_id: str, *values: Any) -> None:
        """The same event with other values, in a newer version."""
        (event,) = [one for one in self.vtn.events if one["id"] == event_id]
        for interval, value in zip(event["intervals"], values, strict=True):
            interval["payloads"][0]["values"] = [value]
        event["modificationDateTime"] = isoformat(self.now)

    def cancel(self, event_id: str) -> None:
        self.vtn.events = [one for one in self.vtn.events if one["id"] != event_id]

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.plant.events.recent() if event.kind == kind]

    def feeder_kw(self, at: datetime) -> float:
        found = {f.feeder_id: f.limits for f in limits.park_at(self.plant, at).feeders}
        return found[FeederId("feeder-north")].import_kw

    def called_kw(self, hour: int = 12, quarters: int = 6) -> list[float]:
        start = NOW.replace(hour=hour) - QUARTER
        return list(self.plant.book.position().committed_kw(Horizon(start, QUARTER, quarters)))

    def called_at(self, at: datetime) -> float:
        return float(self.plant.book.position().committed_kw(Horizon(at, QUARTER, 1))[0])

    def value(self, series_id: str, at: datetime) -> float:
        if not self.plant.series.has(series_id):
            return float("nan")
        return float(
            self.plant.series.known(series_id, Horizon(at, QUARTER, 1), self.now).values[0]
        )

    def series(self, series_id: str, hour: int = 12, quarters: int = 5) -> list[float]:
        horizon = Horizon(NOW.replace(hour=hour), QUARTER, quarters)
        return list(self.plant.series.known(series_id, horizon, self.now).values)


@asynccontextmanager
async def scene(
    plant: Plant, vtn: SmallVtn, folder: Path, section: str = SECTION
) -> AsyncIterator[Scene]:
    async with vtn.serving() as url, AsyncExitStack() as stack:
        plant.file = demo_with(folder, section.format(url=url, version=vtn.version))
        plant.clock = clock = Hand()
        plant.programmes = await open_programmes(plant.file, clock, 0, stack)
        openadr.recover(plant)
        yield Scene(plant, vtn, clock)


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


@pytest.fixture
def play(plant: Plant, vtn: SmallVtn, tmp_path: Path) -> Play:
    """Run a story with the plant and its utility."""

    def run(story: Callable[[Scene], Awaitable[None]]) -> None:
        async def main() -> None:
            async with scene(plant, vtn, tmp_path) as one:
                await story(one)

        asyncio.run(main())

    return run


# ---------------------------------------------------------------- what is done


@pytest.mark.parametrize("vtn", ["3.0", "3.1"], indirect=True)
def test_a_capacity_limit_is_kept_in_its_hour_and_no_more_when_its_event_is_gone(
    play: Play,
) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        assert [s.feeder_kw(NOW.replace(hour=h)) for h in (11, 12, 13)] == [11_000, 2000, 11_000]
        s.cancel("e")
        await s.look()
        assert s.feeder_kw(NOW.replace(hour=12)) == 11_000
        assert any("e is cancelled" in text for text in s.told("openadr_event"))

    play(story)


def test_a_limit_that_stands_is_not_sent_again_and_a_running_one_stays_as_it_began(
    play: Play,
) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000, duration="PT4H", hour=10)
        await s.look()
        before = dict(s.plant.limits)
        for minutes in (1, 16, 31, 61):
            await s.look(NOW + minutes * MINUTE)
        assert s.plant.limits == before
        assert len(list(s.plant.journal.entries(limits.ORDER))) == 1

    play(story)


def test_a_limit_stays_where_the_one_that_is_to_follow_it_is_refused(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        monkeypatch.setattr(limits, "MOST_ORDERS", 1)
        s.cancel("e")
        s.add("tighter", "IMPORT_CAPACITY_LIMIT", 1000)
        await s.look()
        assert s.feeder_kw(NOW.replace(hour=12)) == 2000
        monkeypatch.setattr(limits, "MOST_ORDERS", 200)
        await s.look(NOW + MINUTE)
        assert s.feeder_kw(NOW.replace(hour=12)) == 1000

    play(story)


def test_a_limit_without_an_end_goes_on_and_is_prolonged_every_sixth_hour(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000, duration="P9999Y", hour=10)
        for hours in range(30):
            await s.look(NOW + hours * HOUR)
        assert s.feeder_kw(NOW + 60 * HOUR) == 2000
        assert len(list(s.plant.journal.entries(limits.ORDER))) == 6

    play(story)


def test_prices_and_carbon_are_values_of_their_series_and_withdrawn_when_they_go(
    play: Play,
) -> None:
    async def story(s: Scene) -> None:
        s.add("price", "PRICE", 0.25)
        s.add("ghg", "GHG", 90)
        await s.look()
        assert s.series("price.retail")[:4] == [250] * 4
        assert s.series("carbon.grid")[:4] == [90] * 4
        s.cancel("price")
        await s.look()
        assert np.isnan(s.series("price.retail")).all()
        assert s.series("carbon.grid")[:4] == [90] * 4

    play(story)


def test_draw_less_is_a_call_up_of_each_quarter_hour(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "DISPATCH_SETPOINT_RELATIVE", -800)
        await s.look()
        assert s.called_kw() == [0, 800, 800, 800, 800, 0]
        assert s.plant.replan is not None
        assert len(s.told("activation")) == 1
        await s.look()
        assert len(list(s.plant.journal.entries(tradelog.ACTIVATION))) == 4

    play(story)


def test_a_setpoint_is_called_against_what_was_planned(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "DISPATCH_SETPOINT", 1000)
        await s.look()
        assert s.called_kw() == [0, *[1000 * -1 - PLANNED_KW] * 4, 0]

    play(story)


def test_a_level_sheds_what_the_park_file_says(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "SIMPLE", 1, 2, 0)
        await s.look()
        assert s.called_kw(quarters=13) == [0, *[200] * 4, *[-0.25 * PLANNED_KW] * 4, *[0] * 4]

    play(story)


def test_another_value_is_a_higher_revision_and_an_end_one_of_0_mw_from_now_on_alone(
    play: Play,
) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "DISPATCH_SETPOINT_RELATIVE", -800, hour=10)
        await s.look()
        s.change("e", -500)
        await s.look(NOW + 20 * MINUTE)
        assert s.called_kw(hour=10) == [0, 800, 500, 500, 500, 0]
        s.cancel("e")
        await s.look(NOW + 35 * MINUTE)
        assert s.called_kw(hour=10) == [0, 800, 500, 0, 0, 0]
        revisions = {c.interval.start.minute: c.revision for c in s.plant.book.calls.standing()}
        assert revisions == {0: 1, 15: 2, 30: 3, 45: 3}
        assert s.desk.not_done == ()

    play(story)


def test_an_event_that_comes_back_is_called_again(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "DISPATCH_SETPOINT_RELATIVE", -800)
        s.add("l", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        kept, s.vtn.events = s.vtn.events, []
        await s.look()
        assert (s.called_kw()[1], s.feeder_kw(NOW.replace(hour=12))) == (0, 11_000)
        s.vtn.events = kept
        await s.look()
        assert (s.called_kw()[1], s.feeder_kw(NOW.replace(hour=12))) == (800, 2000)

    play(story)


def test_alerts_are_told_when_they_begin_and_once(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "ALERT_GRID_EMERGENCY", "save what you can", hour=10.25)
        await s.look()
        assert s.told("openadr_alert") == []
        await s.look(NOW + 16 * MINUTE)
        await s.look(NOW + 31 * MINUTE)
        assert len(s.told("openadr_alert")) == 1

    play(story)


def test_a_new_quarter_hour_is_served_between_two_polls(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "ALERT_FIRE", "smoke", hour=10.25)
        await s.look()
        s.desk.due = NOW + 2 * HOUR
        asked = len(s.vtn.requests)
        for minutes in (10, 16, 17):
            await openadr.look(s.plant, NOW + minutes * MINUTE)
        assert len(s.told("openadr_alert")) == 1
        assert len(s.vtn.requests) == asked

    play(story)


def test_a_plant_with_a_utility_has_a_loop_for_it_and_others_have_none(play: Play) -> None:
    async def story(s: Scene) -> None:
        assert "openadr" in loops_of(s.plant, lambda name: SimulatedClock(NOW).seat(name))
        s.plant.programmes = ()
        assert "openadr" not in loops_of(s.plant, lambda name: SimulatedClock(NOW).seat(name))

    play(story)


def test_what_is_not_done_is_told_once_with_its_reason(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("odd", "CHARGE_STATE_SETPOINT", 0.5)
        s.add("far", "DISPATCH_SETPOINT", 10_000_000)
        s.add("late", "DISPATCH_SETPOINT", 100, hour=47)
        await s.look()
        await s.look()
        told = s.told("openadr_not_done")
        assert len(told) == 3
        assert [any(word in text for text in told) for word in ("not known", "is more than", "no plan")] == [True] * 3  # fmt: skip
        assert {one.event_id for one in s.desk.not_done} == {"odd", "far", "late"}

    play(story)


# ---------------------------------------------------------------- record, loss, restart


def test_what_came_is_on_record_before_anything_is_done_and_once(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        await s.look()
        kinds = [entry.kind for entry in s.plant.journal.entries(openadr.LISTS, limits.ORDER)]
        assert kinds == [openadr.LISTS, limits.ORDER]

    play(story)


def test_values_that_no_number_holds_end_nothing(play: Play) -> None:
    async def story(s: Scene) -> None:
        for kind in ("PRICE", "DISPATCH_SETPOINT", "SIMPLE", "IMPORT_CAPACITY_LIMIT"):
            s.add(kind, kind, 1e308)
        s.add("big", "PRICE", 10**30)
        s.add("share", "DISPATCH_SETPOINT_RELATIVE", 1e300)
        s.add("fits", "EXPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        assert {one.event_id for one in s.desk.not_done} == set(s.desk.stood) - {"fits"}
        assert len(s.plant.limits) == 1

    play(story)


def test_a_program_that_the_park_file_drops_does_nothing_after_a_restart(
    plant: Plant, vtn: SmallVtn, tmp_path: Path
) -> None:
    async def before() -> None:
        async with scene(plant, vtn, tmp_path) as s:
            s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
            await s.look()

    async def after() -> None:
        renamed = SECTION.replace("name: flex", "name: other")
        async with scene(plant, vtn, tmp_path, renamed) as s:
            s.vtn.answer = web.Response(status=503)
            await s.look()
            assert s.feeder_kw(NOW.replace(hour=12)) == 11_000
            assert [one.event_id for one in s.desk.not_done] == ["e"]

    asyncio.run(before())
    asyncio.run(after())


def test_an_event_that_is_repeated_faster_than_anybody_follows_ends_nothing(
    play: Play, serving: Any
) -> None:
    async def story(s: Scene) -> None:
        s.add("fast", "PRICE", 0.1, duration="PT10S", reportDescriptors=asked("USAGE"))
        s.vtn.events[0]["duration"] = "PT1H"
        s.add("fits", "EXPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        async with serving(s.plant) as client:
            shown = await (await client.get("/v1/programmes")).json()
        (utility,) = shown["utilities"]
        assert [one["event_id"] for one in utility["events"]] == ["fast", "fits"]
        assert [one["event_id"] for one in utility["not_done"]] == ["fast"]

    play(story)


def test_what_cannot_be_put_on_record_is_not_done_until_it_can(play: Play) -> None:
    class Disk:
        """A journal that is full for a while."""

        def __init__(self, journal: Any) -> None:
            self.journal, self.full = journal, True

        async def append_all(self, entries: Any, *, now: Any) -> None:
            if self.full:
                raise UnavailableError("disk full", where="journal", fix="free it")
            await self.journal.append_all(entries, now=now)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.journal, name)

    async def story(s: Scene) -> None:
        disk = Disk(s.plant.journal)
        s.plant.journal = disk
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        assert s.feeder_kw(NOW.replace(hour=12)) == 11_000
        disk.full = False
        await s.look()
        assert s.feeder_kw(NOW.replace(hour=12)) == 2000

    play(story)


def test_a_utility_that_is_not_heard_is_an_alarm_and_its_events_are_served_to_their_end(
    play: Play,
) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000, hour=10)
        await s.look()
        s.vtn.answer = web.Response(status=503)
        for minutes in (10, 20, 30):
            await s.look(NOW + minutes * MINUTE)
            assert s.feeder_kw(s.now) == 2000
        (alarm,) = [e for e in s.plant.events.recent() if e.kind == "openadr"]
        assert (alarm.severity.value, "1 known events" in alarm.text) == ("alarm", True)
        assert s.feeder_kw(NOW + 61 * MINUTE) == 11_000
        s.vtn.answer = None
        await s.look(NOW + 62 * MINUTE)
        assert s.told("openadr")[-1].endswith("heard again")
        assert s.desk.ill is None

    play(story)


def test_a_token_that_is_revoked_while_its_service_is_down_costs_no_event(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "DISPATCH_SETPOINT_RELATIVE", -800, hour=10)
        await s.look()
        s.vtn.revoke()
        s.vtn.no_tokens = True
        for minutes in range(1, 11):  # ten minutes
            await s.look(NOW + minutes * MINUTE)
        assert s.called_kw(hour=10) == [0, 800, 800, 800, 800, 0]
        assert s.desk.ill is not None
        s.vtn.no_tokens = False
        s.cancel("e")
        await s.look(NOW + 11 * MINUTE)
        assert s.desk.ill is None
        assert s.called_kw(hour=10) == [0] * 6

    play(story)


def test_an_answer_that_is_none_is_on_record_and_cancels_nothing(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        s.vtn.answer = web.Response(text="<h1>Wartung</h1>", content_type="text/html")
        await s.look()
        await s.look()
        (entry,) = s.plant.journal.entries(openadr.FOREIGN)
        assert "Wartung" in msgspec.json.decode(entry.body)["raw"]
        assert s.feeder_kw(NOW.replace(hour=12)) == 2000

    play(story)


def test_an_event_that_becomes_illegible_stays_as_it_was_and_is_an_alarm(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000)
        await s.look()
        s.vtn.events[0]["intervals"] = "soon"
        for _ in range(3):
            await s.look()
        assert len(list(s.plant.journal.entries(openadr.LISTS))) == 2
        assert s.feeder_kw(NOW.replace(hour=12)) == 2000
        alarms = [e for e in s.plant.events.recent() if e.severity.value == "alarm"]
        assert [e.kind for e in alarms] == ["openadr_event"]

    play(story)


def test_a_restart_finds_what_stood_and_what_went_meanwhile_is_undone(
    plant: Plant, vtn: SmallVtn, tmp_path: Path
) -> None:
    async def before() -> None:
        async with scene(plant, vtn, tmp_path) as s:
            s.add("stays", "IMPORT_CAPACITY_LIMIT", 2000, hour=14)
            s.add("goes", "IMPORT_CAPACITY_LIMIT", 3000)
            s.add("called", "DISPATCH_SETPOINT", 1000)
            await s.look()
            s.cancel("goes")

    async def after() -> None:
        plant.limits, plant.book = {}, BidBook()
        tradelog.recover(plant)
        limits.recover(plant)
        async with scene(plant, vtn, tmp_path) as s:
            assert set(s.desk.stood) == {"stays", "goes", "called"}
            count = len(list(plant.journal.entries(limits.ORDER, tradelog.ACTIVATION)))
            s.vtn.answer = web.Response(status=500)
            await s.look(NOW + 5 * MINUTE)
            assert s.feeder_kw(NOW.replace(hour=12)) == 3000
            s.vtn.answer = None
            await s.look(NOW + 6 * MINUTE)
            assert s.feeder_kw(NOW.replace(hour=12)) == 11_000
            assert s.feeder_kw(NOW.replace(hour=14)) == 2000
            assert s.called_kw() == [0, *[300] * 4, 0]
            assert len(list(plant.journal.entries(limits.ORDER, tradelog.ACTIVATION))) == count
            assert not any("is new" in text for text in s.told("openadr_event")[3:])

    asyncio.run(before())
    asyncio.run(after())


# ---------------------------------------------------------------- reports


def asked(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [{"payloadType": kind, "startInterval": -1, "numIntervals": -1, "repeat": 1} | more]


def metered(plant: Plant, kw: float, *, until: datetime) -> None:
    """Every meter draws `kw`, read every minute."""
    minutes = int((until - NOW) / MINUTE)
    for point in plant.file.park.connection_points:
        for minute in range(minutes + 1):
            at = NOW + minute * MINUTE
            plant.meters.add(
                MeterReading(
                    meter_id=point.meter_id,
                    enterprise_id=point.enterprise_id,
                    measured_at=at,
                    received_at=at,
                    seq=minute,
                    import_wh=round(1000 * kw * minute / 60),
                    export_wh=0,
                    power_kw=-kw,
                )
            )


def values(report: dict[str, Any]) -> list[dict[str, Any]]:
    intervals = report["resources"][0]["intervals"]
    return [{p["type"]: p["values"][0] for p in one["payloads"]} for one in intervals]


@pytest.mark.parametrize("vtn", ["3.0", "3.1"], indirect=True)
def test_usage_is_reported_after_the_last_interval_and_once(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "PRICE", 0.1, 0.2, hour=10, reportDescriptors=asked("USAGE", units="KWH"))
        await s.look()
        metered(s.plant, 60, until=NOW + 2 * HOUR)
        await s.look(NOW + 119 * MINUTE)
        assert s.vtn.reports == []
        await s.look(NOW + 122 * MINUTE)
        await s.look(NOW + 123 * MINUTE)
        (report,) = s.vtn.reports
        points = len(s.plant.file.park.connection_points)
        assert values(report) == [{"USAGE": 60.0 * points, "DATA_QUALITY": "OK"}] * 2
        assert report["eventID"] == "e"
        assert ("programID" in report) == (s.vtn.version == "3.0")
        kinds = [
            e.kind for e in s.plant.journal.entries(openadrreports.INTENT, openadrreports.ARRIVED)
        ]
        assert kinds == [openadrreports.INTENT, openadrreports.ARRIVED]

    play(story)


@pytest.mark.parametrize("kind", ["USAGE", "DEMAND", "READING", "UP_REGULATION_AVAILABLE"])
def test_what_was_not_measured_is_missing_and_no_old_value_stands_in(play: Play, kind: str) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "PRICE", 0.1, hour=10, reportDescriptors=asked(kind))
        metered(s.plant, 60, until=NOW + 30 * MINUTE)  # and then silence
        s.plant.trace.append(traced(NOW + 30 * MINUTE))
        await s.look()
        await s.look(NOW + 62 * MINUTE)
        assert values(s.vtn.reports[0]) == [{"DATA_QUALITY": "MISSING"}]

    play(story)


def traced(at: datetime) -> TracePoint:
    return TracePoint(
        at=at, park_kw=-700.0, planned_kw=-900.0, owed_kw=None, spot_per_mwh=None,
        stored_kwh=None, capacity_kwh=1.0, money=0.0,
    )  # fmt: skip


def test_power_baseline_and_state_are_told_in_the_utilitys_sign(play: Play) -> None:
    async def story(s: Scene) -> None:
        kinds = [*asked("READING"), *asked("BASELINE"), *asked("OPERATING_STATE"), *asked("DEMAND")]
        s.add("e", "DISPATCH_SETPOINT_RELATIVE", -800, hour=10, reportDescriptors=kinds)
        await s.look()
        metered(s.plant, 60, until=NOW + HOUR)
        s.plant.trace.append(traced(NOW + 59 * MINUTE))
        await s.look(NOW + 62 * MINUTE)
        told = [values(report)[0] for report in s.vtn.reports]
        points = len(s.plant.file.park.connection_points)
        assert told == [
            {"READING": 700.0, "DATA_QUALITY": "OK"},
            {"BASELINE": 1300.0, "DATA_QUALITY": "ESTIMATED"},
            {"OPERATING_STATE": "RUNNING_CURTAILED", "DATA_QUALITY": "OK"},
            {"DEMAND": 60.0 * points, "DATA_QUALITY": "OK"},
        ]

    play(story)


def test_how_far_we_could_move_is_reported_and_what_is_expected_is_an_estimate(play: Play) -> None:
    async def story(s: Scene) -> None:
        kinds = [
            *asked("DOWN_REGULATION_AVAILABLE"),
            *asked("DEMAND", historical=False),
            *asked("READING", units="VOLTS"),
        ]
        s.add("e", "PRICE", 0.1, hour=10.25, reportDescriptors=kinds)
        await s.look()
        s.plant.series.put(
            "flexibility.down", unit="kW", resolution=QUARTER, issued_at=NOW, source="t", revision=1,
            values=[(NOW + n * QUARTER, 40.0) for n in range(8)],
        )  # fmt: skip
        await s.look(NOW + 77 * MINUTE)
        told = {values(r)[0]["DATA_QUALITY"]: values(r)[0] for r in s.vtn.reports}
        assert told["OK"]["DOWN_REGULATION_AVAILABLE"] == 40.0
        assert told["ESTIMATED"]["DEMAND"] == -PLANNED_KW
        assert told["MISSING"] == {"DATA_QUALITY": "MISSING"}

    play(story)


def test_a_report_whose_answer_is_lost_is_asked_about_and_not_sent_twice(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "PRICE", 0.1, hour=10, reportDescriptors=asked("USAGE"))
        await s.look()
        s.vtn.drops_reports = True
        await s.look(NOW + 62 * MINUTE)
        assert (len(s.vtn.reports), len(s.desk.unsure)) == (1, 1)
        await s.look(NOW + 63 * MINUTE)
        assert (len(s.vtn.reports), len(s.desk.unsure)) == (1, 0)
        assert sum(r.startswith("POST /reports") for r in s.vtn.requests) == 1

    play(story)


def test_an_event_without_an_end_is_reported_on_every_quarter_of_an_hour(play: Play) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000, hour=10, duration="P9999Y", reportDescriptors=asked("DEMAND", repeat=-1))  # fmt: skip
        await s.look()
        metered(s.plant, 60, until=NOW + 2 * HOUR)
        await s.look(NOW + 62 * MINUTE)
        starts = [
            r["resources"][0]["intervals"][0]["intervalPeriod"]["start"][11:16]
            for r in s.vtn.reports
        ]
        assert starts == ["10:00", "10:15", "10:30", "10:45"]

    play(story)


# ---------------------------------------------------------------- shown, checked


def test_programmes_are_shown_with_what_each_order_does(play: Play, serving: Any) -> None:
    async def story(s: Scene) -> None:
        s.add("e", "IMPORT_CAPACITY_LIMIT", 2000, priority=1, eventName="cold evening")
        s.add("odd", "CURVE", 1)
        await s.look()
        async with serving(s.plant) as client:
            answer = await client.get("/v1/programmes")
            (utility,) = (await answer.json())["utilities"]
        assert [e["state"] for e in utility["events"]] == ["to_come"] * 2
        assert utility["events"][0]["name"] == "cold evening"
        (order,) = utility["orders"]
        assert order["does"] == "feeder-north draws at most 2000 kW"
        assert (order["start"], order["end"]) == ("2025-12-02T12:00:00Z", "2025-12-02T13:00:00Z")
        assert utility["not_done"][0]["payload_type"] == "CURVE"
        assert (utility["ill"], utility["heard_at"]) == (None, isoformat(s.now))

    play(story)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("feeder-north}}", "feeder-west}}", "unknown place 'feeder-west'"),
        ("product: se3-day-ahead}}", "product: nowhere}}", "unknown product 'nowhere'"),
        ("unit: EUR/MWh", "unit: USD/MWh", "USD/MWh is nothing that PRICE can be"),
        ("unit: gCO2/kWh", "unit: g", "g is nothing that GHG can be"),
        ("env: VPP_TEST_SECRET", "env: VPP_TEST_NOWHERE", "VPP_TEST_NOWHERE"),
        ("poll_s: 60", "poll_s: 1", "poll_s"),
        ("GHG: {{series: carbon.grid", "GHG: {{series: price.retail", "comes from"),
        ("kw: 200", "kw: 200, percent: 3", "kw or percent"),
        ("GHG:", "TEMPERATURE:", "TEMPERATURE"),
        ("poll_s: 60", "target_type: GROUP", "version 3.0 alone"),
        ("poll_s: 60", "certificate: {{cert: no.pem, key: no.key}}", "no file 'no.pem'"),
    ],
)
def test_vpp_check_finds_what_the_section_gets_wrong(
    tmp_path: Path, before: str, after: str, what: str
) -> None:
    assert before in SECTION
    text = SECTION.replace(before, after).format(url="https://utility.example/v3", version="3.1")

    with pytest.raises(ConfigErrors) as caught:
        demo_with(tmp_path, text)

    assert what in str(caught.value)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    text = SECTION.format(url="https://utility.example/v3", version="3.1")
    again = text.replace("openadr:\n", "")

    with pytest.raises(ConfigErrors, match="grid"):
        demo_with(tmp_path, text + again)
