"""Budgets of a month in a running service: counted, kept over restarts, priced into each plan."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pydantic import TypeAdapter

from adapters.memory_journal import MemoryJournal
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ResourceId
from vpp.model.resource import Generator, InterruptibleLoad, ShiftableRun, Storage
from vpp.model.resource.series import needed_series
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.plan.terms import Activity, ActivityPrice, CarbonPrice, PeakCharge
from vpp.service import cycle, run
from vpp.service.inputs import reference_product
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.quotas import quotas
from vpp.service.quotas.schema import QuotaList
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

NOW = datetime(2025, 12, 2, 11, tzinfo=UTC)
"""Noon of the demo park's clock: half of today is left, and 29 days of December."""

SHREDDER = "steel-shredder"
EVENING_UTC = (16, 18)
"""Dear hours, in which the shredder may be called."""

CALLS = {
    "id": "calls",
    "counts": "calls",
    "resource": SHREDDER,
    "period": "month",
    "most_calls": 30,
    "expected": [
        {
            "could": [
                {"calls_per_day": 1, "worth_per_call": 60},
                {"calls_per_day": 1, "worth_per_call": 5},
            ]
        }
    ],
}
IMPORTS = {
    "id": "imports",
    "counts": "import",
    "period": "month",
    "most_kwh": 1000,
    "used_at_start_kwh": 100,
    "expected": [{}],
}
CARBON = {
    "id": "carbon",
    "counts": "carbon",
    "period": "month",
    "most_kgco2": 1000,
    "used_at_start_kgco2": 900,
    "expected": [{"could": [{"kgco2_per_day": 100, "worth_per_kgco2": 0.2}]}],
}
STEEL = "steel-melt"
PEAK = {
    "id": "peak-steel",
    "counts": "peak",
    "connection_point": STEEL,
    "period": "month",
    "expected": [
        {"days": ["sat", "sun"], "import_kw": 900},
        {"import_kw": 3500, "less": [{"kw": 100, "cost_per_kw": 1}]},
    ],
}
Built = Callable[..., Plant]


@dataclass(kw_only=True)
class HandClock:
    """A watch that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def built(park_file: ParkFile, empty_plant: Plant, tmp_path: Path) -> Built:
    """A plant of the demo park with these quotas, on a journal that may be an older one's."""

    def build(*given: dict[str, Any], at: datetime = NOW, journal: Any = None) -> Plant:
        parsed = TypeAdapter(QuotaList).validate_json(json.dumps(given))
        return build_plant(
            replace(park_file, quotas=tuple(parsed)),
            clock=HandClock(at=at),
            data=tmp_path,
            journal=MemoryJournal() if journal is None else journal,
            source=empty_plant.source,
            sink=empty_plant.sink,
            venue=None,
            executor=InlineExecutor(),
            record=lambda measurement: True,
        )

    return build


def know_the_past(plant: Plant, until: datetime = NOW) -> None:
    """Nine days in which nothing drew, the sun did not shine, and evenings were dear."""
    whole = Interval(until - timedelta(days=8), until + timedelta(days=3))
    horizon = Horizon.over(whole, QUARTER)
    hours = np.array([start.hour for start in horizon.starts()])
    spot = np.where(np.isin(hours, EVENING_UTC), 150.0, 50.0)
    names = {name for r in plant.file.park.resources for name in needed_series(r)}
    courses = {name: np.zeros(horizon.steps) for name in names}
    for name, values in (courses | {reference_product(plant).price_series_id: spot}).items():
        plant.series.put_profile(
            name,
            unit="kW",
            profile=Profile(horizon, values),
            known_at=until - timedelta(days=1),
            source="test",
        )


def hear(
    plant: Plant, at: datetime, *, calls: int | None = 0, wh: int = 0, pv_kw: float = 0.0
) -> None:
    """Everybody is heard: the shredder with its calls of today, each main meter with a register."""
    assert isinstance(plant.clock, HandClock)
    plant.clock.at = at
    park = plant.file.park
    meters = {p.meter_id for p in park.connection_points}
    for device, (owner, site) in park.device_owner.items():
        resource = park.resource_by_id.get(device)
        runs = isinstance(resource, InterruptibleLoad | ShiftableRun)
        message = TelemetryMessage(
            ts=isoformat(at),
            seq=int(at.timestamp()),
            power_kw=pv_kw if isinstance(resource, Generator) else 0.0,
            available_kw=pv_kw * 1.25 if isinstance(resource, Generator) else None,
            soc=0.5 if isinstance(resource, Storage) else None,
            phase="waiting" if runs else None,
            calls_today=calls if device == SHREDDER else 0 if runs else None,
            import_wh=wh if device in meters else None,
            export_wh=0 if device in meters else None,
        )
        run.take(plant, topic(owner, site, device, "telemetry"), msgspec.json.encode(message))


def play(*steps: Any) -> None:
    async def one_after_the_other() -> None:
        for step in steps:
            await step

    asyncio.run(one_after_the_other())


def used(plant: Plant, name: str = "calls") -> float:
    return plant.quotas.states[name][0].used


# ---------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("used_at_start", "price", "starts"),
    [
        pytest.param(0, 5, 2, id="30 calls for 29.5 days of the better block: the next is worth 5"),
        pytest.param(25, 60, 0, id="5 calls are left of 30: each is worth 60"),
    ],
)
def test_a_budget_of_calls_that_is_nearly_used_makes_calls_dearer(
    built: Built, used_at_start: int, price: float, starts: int
) -> None:
    plant = built(CALLS | {"used_at_start_calls": used_at_start})
    know_the_past(plant)
    hear(plant, NOW)

    play(cycle.plan(plant, NOW))

    (term,) = [t for t in plant.terms if isinstance(t, ActivityPrice)]
    assert (term.activity, term.resource_id, term.reason) == (Activity.CALLS, SHREDDER, "calls")
    assert term.price_per_unit == pytest.approx(price)
    assert plant.schedule is not None, plant.outcome
    today = [k for k in plant.schedule.starts.get(ResourceId(SHREDDER), ()) if k < 48]
    # A call saves 400 kWh at 0.15 and the network's price, and its owner gets 24: 36 and a little.
    assert len(today) == starts


def test_a_carbon_budget_prices_the_carbon_of_the_grid(built: Built) -> None:
    plant = built(CARBON)
    know_the_past(plant)
    hear(plant, NOW)

    play(cycle.plan(plant, NOW))

    (term,) = [t for t in plant.terms if isinstance(t, CarbonPrice)]
    assert term.price_per_kgco2 == pytest.approx(0.2)
    assert term.grid_kgco2_per_kwh[0] == plant.file.park.grid_kgco2_per_kwh


def peaks_of(plant: Plant, at: datetime) -> list[tuple[int, int, float, float]]:
    """First and last step, free kW and price of each peak of the steel works in the plan made at `at`."""
    hear(plant, at)
    play(cycle.plan(plant, at))
    assert plant.schedule is not None, plant.outcome
    return [
        (term.first_step, term.last_step, term.free_kw, term.price_per_kw)
        for term in plant.terms
        if isinstance(term, PeakCharge) and term.connection_point_id == STEEL
    ]


def test_a_coming_peak_of_the_month_is_priced_by_its_other_days(built: Built) -> None:
    plant, plain = built(PEAK), built()
    know_the_past(plant)
    know_the_past(plain)

    with_quota, without = peaks_of(plant, NOW), peaks_of(plain, NOW)

    # 3,050 kW are paid. A later workday draws 3,500, or 3,400 at 1.00 for each kW and day less.
    (first, last, paid_kw, charge) = without[0]
    assert (first, paid_kw, charge) == (0, 3050, 4.8)
    assert [(one[0], one[1]) for one in with_quota] == [(0, last)]
    assert [one[2:] for one in with_quota] == [pytest.approx((3500.0, 4.8))]


def test_the_last_days_of_a_month_pay_the_charge_and_the_first_of_the_next_one_share_it(
    built: Built,
) -> None:
    eve = datetime(2025, 12, 31, 11, tzinfo=UTC)
    plant = built(PEAK, at=eve)
    know_the_past(plant, until=eve)

    december, january = peaks_of(plant, eve)

    assert plant.schedule is not None
    assert december == pytest.approx((0, 48, 3050.0, 4.8))
    # Nothing is paid in January, and 20 workdays of it will draw 3,500 kW.
    assert january[:3] == (48, plant.schedule.horizon.steps, 3500.0)


def test_the_plan_shows_up_to_where_a_coming_peak_is_free(built: Built, serving: Any) -> None:
    plant = built(PEAK)
    know_the_past(plant)
    peaks_of(plant, NOW)

    async def ask() -> Any:
        async with serving(plant) as client:
            return await (await client.get("/v1/plan")).json()

    assert asyncio.run(ask())["peaks"] == [
        {
            "quota": "peak-steel",
            "connection_point_id": STEEL,
            "first_day": "2025-12-01",
            "end_day": "2026-01-01",
            "paid_kw": 3050.0,
            "free_kw": 3500.0,
            "price_per_kw": 4.8,
        }
    ]


# ---------------------------------------------------------------- counting


def priced(plant: Plant, at: datetime) -> None:
    """What the first plan of a day does with the quotas, without solving it."""
    quotas.note_readings(plant)
    quotas.renew(plant, at, at + timedelta(days=1))


def test_a_restart_keeps_the_count_of_calls(built: Built) -> None:
    quota = CALLS | {"used_at_start_calls": 20}
    journal = MemoryJournal()
    for day, hour, calls, total in ((0, 1, 3, 23), (0, 2, 3, 23), (1, 1, 0, 23), (1, 2, 2, 25)):
        at = NOW + timedelta(days=day, hours=hour)
        plant = built(quota, at=at, journal=journal)
        hear(plant, at, calls=calls)
        priced(plant, at)

        assert used(plant) == total
        play(quotas.count(plant, at + QUARTER))


def test_calls_of_the_minutes_before_midnight_belong_to_the_day_that_ends(built: Built) -> None:
    midnight = datetime(2025, 12, 31, 23, tzinfo=UTC)
    plant = built(CALLS, at=midnight - timedelta(hours=1))
    hear(plant, midnight - timedelta(minutes=1), calls=2)
    quotas.note_readings(plant)
    hear(plant, midnight + timedelta(minutes=1), calls=0)

    play(quotas.count(plant, midnight + QUARTER))  # the cycle at midnight was skipped

    assert plant.quotas.tally.by_day == {date(2025, 12, 31): {f"calls/{SHREDDER}": 2}}
    priced(plant, midnight + QUARTER)
    assert used(plant) == 0  # of January


def test_what_was_used_before_the_service_began_counts_in_that_period_alone(built: Built) -> None:
    plant = built(CALLS | {"used_at_start_calls": 20})

    priced(plant, NOW)
    december = used(plant)
    priced(plant, NOW + timedelta(days=31))

    assert (december, used(plant)) == (20, 0)


def test_imports_are_counted_by_the_main_meters_once_each_quarter_hour(built: Built) -> None:
    journal = MemoryJournal()
    plant = built(IMPORTS, journal=journal)
    points = len(plant.file.park.connection_points)
    for quarter in range(4):
        hear(plant, NOW + quarter * QUARTER, wh=5000 * quarter)

    # A cycle that comes again, and one after a restart, find the same quarter-hours on record.
    play(quotas.count(plant, NOW + 2 * QUARTER), quotas.count(plant, NOW + 3 * QUARTER))
    again = built(IMPORTS, at=NOW + 3 * QUARTER, journal=journal)
    play(quotas.count(again, NOW + 3 * QUARTER))
    priced(again, NOW + 3 * QUARTER)

    assert used(again, "imports") == pytest.approx(100 + 3 * 5 * points)
    assert len(list(journal.entries(quotas.METERED))) == 3


def test_a_quarter_hour_waits_for_its_meters_for_a_day_and_is_then_called_uncounted(
    built: Built,
) -> None:
    plant = built(IMPORTS)
    hear(plant, NOW, wh=0)

    play(quotas.count(plant, NOW + timedelta(hours=25)))
    waiting = list(plant.journal.entries(quotas.METERED))
    play(quotas.count(plant, NOW + timedelta(hours=25) + 2 * QUARTER))
    priced(plant, NOW + timedelta(hours=26))

    assert waiting == []
    state = plant.quotas.states["imports"][0]
    assert (state.used, state.uncounted_h) == (100, 0.5)


def test_a_quarter_hour_in_which_a_meter_was_swapped_does_not_hold_up_the_others(
    built: Built,
) -> None:
    plant = built(IMPORTS)
    points = len(plant.file.park.connection_points)
    for quarter, wh in enumerate((0, 5000, 1000, 6000)):
        hear(plant, NOW + quarter * QUARTER, wh=wh)

    play(quotas.count(plant, NOW + 3 * QUARTER), quotas.count(plant, NOW + 4 * QUARTER))
    priced(plant, NOW + 4 * QUARTER)

    assert used(plant, "imports") == pytest.approx(100 + 2 * 5 * points)


def test_generators_are_counted_by_the_means_of_quarter_hours(built: Built) -> None:
    plant = built(CARBON)
    for minute in range(31):
        hear(plant, NOW + minute * timedelta(minutes=1), pv_kw=40.0)

    play(quotas.count(plant, NOW + QUARTER), quotas.count(plant, NOW + 3 * QUARTER))
    priced(plant, NOW + 3 * QUARTER)

    # Half an hour at 40 kW, of the 50 there were; the third quarter-hour nobody was heard.
    (fed,) = {kwh for name, kwh in today(plant).items() if name.startswith("fed/")}
    (unfed,) = {kwh for name, kwh in today(plant).items() if name.startswith("unfed/")}
    assert [fed, unfed] == pytest.approx([20, 5])
    assert plant.quotas.states["carbon"][0].uncounted_h == 0.25


def today(plant: Plant) -> dict[str, float]:
    return plant.quotas.tally.by_day[date(2025, 12, 2)]


# ---------------------------------------------------------------- told and shown


@pytest.mark.parametrize(("period", "by"), [("month", "2026-01-01"), ("day", "2025-12-03")])
def test_a_budget_out_of_reach_is_announced_once_a_day(built: Built, period: str, by: str) -> None:
    plant = built(CALLS | {"period": period, "most_calls": 10})

    def told() -> list[str]:
        return [e.text for e in plant.events.recent() if e.kind == "quota_unreachable"]

    hear(plant, NOW, calls=12)
    priced(plant, NOW)
    priced(plant, NOW + QUARTER)
    assert told() == [f"quota calls (calls) cannot be kept: by {by} it will be 2 above its most"]
    state = plant.quotas.states["calls"][0]
    assert state.price_per_unit == 60  # the dearest that is left: overrun by no more
    hear(plant, NOW + timedelta(days=1), calls=12)
    priced(plant, NOW + timedelta(days=1))
    assert len(told()) == 2


def test_a_resource_that_does_not_count_itself_is_named(built: Built) -> None:
    plant = built(CALLS)
    hear(plant, NOW, calls=None)

    priced(plant, NOW)

    assert [
        e.data["resource_id"] for e in plant.events.recent() if e.kind == "quota_uncounted"
    ] == [SHREDDER]


def test_a_budget_of_a_day_is_priced_with_each_plan(built: Built) -> None:
    plant = built(CALLS | {"period": "day", "most_calls": 2})
    prices = []
    for hour, calls in ((0, 0), (6, 1), (9, 2)):
        hear(plant, NOW + timedelta(hours=hour), calls=calls)
        priced(plant, NOW + timedelta(hours=hour))
        state = plant.quotas.states["calls"][0]
        prices.append((state.used, state.price_per_unit))

    # Half a day is left, then a quarter: half a call of each block, and a quarter of each.
    assert prices == [(0, 0), (1, 0), (2, 60)]


def test_the_plan_shows_how_its_budgets_stand(built: Built, serving: Any) -> None:
    plant = built(CALLS | {"used_at_start_calls": 25}, IMPORTS)
    know_the_past(plant)
    hear(plant, NOW)
    play(cycle.plan(plant, NOW))

    async def ask() -> Any:
        async with serving(plant) as client:
            return await (await client.get("/v1/plan")).json()

    shown = asyncio.run(ask())["quotas"]

    assert shown[0] == {
        "quota": "calls",
        "counts": "calls",
        "resource_id": SHREDDER,
        "first_day": "2025-12-01",
        "end_day": "2026-01-01",
        "unit": "calls",
        "used": 25.0,
        "least": None,
        "most": 30.0,
        "price_per_unit": 60.0,
        "state": "scarce",
        "missed_by": None,
        "uncounted_h": 0.0,
    }
    assert (shown[1]["quota"], shown[1]["state"]) == ("imports", "free")


def test_a_park_without_quotas_writes_nothing_of_them(built: Built) -> None:
    plant = built()
    hear(plant, NOW + QUARTER, wh=1000)

    play(quotas.count(plant, NOW + QUARTER))

    assert list(plant.journal.entries(quotas.METERED, quotas.DONE)) == []
