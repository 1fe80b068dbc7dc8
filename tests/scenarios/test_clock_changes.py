"""A whole delivery day of 92, 100 and 96 quarter-hours, from bid to settlement.

The rules of the shipped market files hold from October 2025, so spring is that of 2026.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from vpp.model.ids import ResourceId
from vpp.model.time import QUARTER
from vpp.service.accounting import statements_of

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark, Play, Played

PRESS = ResourceId("works-press")
Day = tuple["Played", ZoneInfo, date, int]

SWEDEN = {"zone": "Europe/Stockholm", "area": "SE3", "currency": "EUR"}
CHINA = {"zone": "Asia/Shanghai", "area": "CN-EAST", "currency": "CNY"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((SWEDEN, date(2026, 3, 29), 92), id="an hour is left out"),
        pytest.param((SWEDEN, date(2025, 10, 26), 100), id="an hour comes twice"),
        pytest.param((CHINA, date(2025, 12, 3), 96), id="Shanghai"),
    ],
)
def day(request: pytest.FixtureRequest, small_park: MakePark, play: Play) -> Day:
    """The played day, its local midnight's zone and its number of quarter-hours."""
    place, when, quarters = request.param
    file = small_park(day=when, period_s=900, **place)
    return play(file, length=quarters * QUARTER), ZoneInfo(place["zone"]), when, quarters


def test_the_bid_set_of_the_day_covers_exactly_its_quarter_hours(day: Day) -> None:
    played, zone, when, quarters = day
    product = played.plant.file.products[0]

    sets = [
        one
        for one in played.plant.book.newest_sets(product.product_id, 5)
        if one.delivery.start == played.run.span.start
    ]

    assert len(sets) == 1
    bid_set = sets[0]
    assert bid_set.delivery == played.run.span
    assert bid_set.delivery.start.astimezone(zone) == datetime.combine(when, time(), zone)
    assert bid_set.valid_until.astimezone(zone).strftime("%H:%M") == "12:00"
    sides = Counter((bid.interval, bid.side) for bid in bid_set.bids)
    assert set(sides.values()) == {1}
    assert {interval for interval, _ in sides} == set(played.intervals)
    assert len(played.intervals) == quarters


def test_settlement_has_each_quarter_hour_once(day: Day) -> None:
    played, _, _, quarters = day
    booked = Counter(
        (kind, start)
        for kind, _, start, _, _ in played.report["bookings"]
        if start in played.run.span
    )

    assert set(booked.values()) == {1}
    assert len(booked) == 3 * quarters
    assert sum(played.run.span.covers(i) for i in played.plant.accounted) == quarters
    assert played.summary["plans"] == quarters
    assert played.summary["plans_fallback"] == played.summary["messages_lost"] == 0
    assert played.summary["value_captured"] > 0


def test_runs_calls_and_cars_keep_local_time(day: Day) -> None:
    played, zone, _, _ = day
    course = played.ours
    kw = dict(zip(course.resource_ids, course.power_kw, strict=True))
    local = [start.astimezone(zone) for start in course.horizon.starts()]

    baking = [at for at, power in zip(local, kw["works-oven"], strict=True) if power < -1]
    assert len(baking) == 8, "the oven runs once, eight quarters in a row"
    assert baking[-1].astimezone(ZoneInfo("UTC")) - baking[0].astimezone(
        ZoneInfo("UTC")
    ) == timedelta(minutes=105)
    assert time(1) <= baking[0].time() <= time(12)
    pressing = [at for at, power in zip(local, kw["works-press"], strict=True) if power < -1]
    assert {at.hour for at in pressing} <= set(range(6, 22))
    called = [at for at, kwh in zip(local, course.called_kwh[PRESS], strict=True) if kwh > 0]
    assert {at.hour for at in called} <= {7, 17}
    assert called, "at a thousandth per kWh a call pays"
    charging = [at for at, power in zip(local, kw["store-cars"], strict=True) if power < -0.01]
    assert min(charging).hour >= 8
    assert max(charging).hour < 17


def test_the_tariff_changes_price_at_six_and_at_twenty_two(day: Day) -> None:
    played, zone, _, _ = day
    hours = [start.astimezone(zone).hour for start in played.ours.horizon.starts()]
    energy_kwh: defaultdict[str, Decimal] = defaultdict(Decimal)
    for import_wh in played.ours.import_wh.values():
        for hour, wh in zip(hours, import_wh, strict=True):
            energy_kwh["day" if 6 <= hour < 22 else "night"] += Decimal(int(wh)) / 1000

    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    for statement in statements_of(played.plant, played.run.span):
        for line in statement.lines:
            if line.item == "network_energy":
                billed[line.detail.split()[1]] -= line.energy_kwh

    assert billed == energy_kwh
