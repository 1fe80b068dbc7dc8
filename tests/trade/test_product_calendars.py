"""Every shipped product on every kind of day: its intervals, its gates, and that each of them is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from vpp.model.calendar import Calendar
from vpp.model.gate import (
    DayAheadGate,
    DayMoment,
    DeliveryDays,
    ProductCalendar,
    RollingGate,
)
from vpp.model.ids import ProductId
from vpp.model.time import QUARTER, Interval, latest_boundary, local_day
from vpp.service.markets.pack import shipped_packs
from vpp.trade.calendar import (
    TradeRefusal,
    deliveries_from,
    next_delivery,
    planning_horizon,
    require_open,
)

PRODUCTS = {str(pack.product_id): pack.calendar() for pack in shipped_packs()}
DAYS = [  # (zone, day, quarter-hours)
    ("Europe/Berlin", date(2026, 3, 29), 92),
    ("Australia/Lord_Howe", date(2026, 10, 4), 94),
    ("Asia/Shanghai", date(2026, 5, 1), 96),
    ("Australia/Lord_Howe", date(2026, 4, 5), 98),
    ("Europe/Berlin", date(2026, 10, 25), 100),
]
OWN = None


def gated(product: ProductCalendar, zone: str, closes: time | None) -> ProductCalendar:
    """The product in a zone, its day-ahead gate (where it has one) at another hour of D-1."""
    gate = product.gate
    if isinstance(gate, DayAheadGate) and closes is not None:
        gate = replace(
            gate,
            opens=DayMoment(days_before=1, at=time()),
            closes=DayMoment(days_before=1, at=closes),
        )
    return replace(product, timezone=ZoneInfo(zone), gate=gate)


def of_day(product: ProductCalendar, day: Interval) -> Iterator[Interval]:
    """The deliveries that lie in a day, in part at least."""
    for delivery in deliveries_from(product, day.start):
        if delivery.start >= day.end:
            return
        yield delivery


@pytest.mark.parametrize("every", [QUARTER, timedelta(hours=1)], ids=["quarterly", "hourly"])
@pytest.mark.parametrize("closes", [OWN, time(8), time(12)], ids=["own", "08:00", "12:00"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_each_delivery_interval_is_planned_before_its_gate(
    name: str, closes: time | None, every: timedelta
) -> None:
    for zone, day, quarters in DAYS:
        product = gated(PRODUCTS[name], zone, closes)
        planned, wanted = set[Interval](), list[Interval]()
        for delivery in of_day(product, local_day(day, ZoneInfo(zone))):
            gate = product.gate_closes_at(delivery)
            last_plan = latest_boundary(gate - timedelta(microseconds=1), every)
            horizon = planning_horizon(
                [product], last_plan, step=QUARTER, every=every, at_least=QUARTER, lookahead=every
            )
            if horizon.span.covers(delivery):
                planned |= set(product.intervals(delivery))
            wanted += product.intervals(delivery)
            require_open(product, delivery, max(last_plan, product.gate_opens_at(delivery)))
        span = local_day(day, ZoneInfo(zone))
        assert len(list(span.split(QUARTER))) == quarters
        assert wanted[0].start <= span.start
        assert wanted[-1].end >= span.end
        assert all(one.end == following.start for one, following in pairwise(wanted))
        assert planned == set(wanted)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2026, 3, 29), [3, 4, 4, 4, 4, 4], id="spring change"),
        pytest.param(date(2026, 6, 1), [4, 4, 4, 4, 4, 4], id="ordinary day"),
        pytest.param(date(2026, 10, 25), [5, 4, 4, 4, 4, 4], id="autumn change"),
    ],
)
def test_blocks_of_four_hours_follow_the_clock_on_the_wall(day: date, hours: list[int]) -> None:
    product = PRODUCTS["de.fcr"]
    blocks = product.intervals(local_day(day, product.timezone))
    assert [block.hours for block in blocks] == hours


def test_a_trading_day_may_begin_at_four_in_the_morning() -> None:
    product = PRODUCTS["au.nem.energy.bdu"]
    late = next_delivery(product, datetime(2026, 1, 5, 2, tzinfo=UTC))  # 12:00 in Brisbane
    assert late.start.astimezone(product.timezone).isoformat() == "2026-01-06T04:00:00+10:00"
    assert product.gate_closes_at(late).astimezone(product.timezone).hour == 12
    assert len(product.intervals(late)) == 288
    before_four = product.delivery_at(datetime(2026, 1, 5, 17, tzinfo=UTC))  # 03:00 on the 6th
    assert before_four.end == late.start


def test_balancing_energy_opens_at_noon_of_the_day_before() -> None:
    product = PRODUCTS["de.afrr.energy.pos"]
    assert isinstance(product.gate, RollingGate)
    quarter = product.delivery_at(datetime(2026, 1, 6, 12, tzinfo=UTC))
    assert product.gate_opens_at(quarter) == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert product.gate_closes_at(quarter) == datetime(2026, 1, 6, 11, 35, tzinfo=UTC)


def on_days(*kinds: DeliveryDays) -> ProductCalendar:
    zone = ZoneInfo("Asia/Shanghai")
    return ProductCalendar(
        product_id=ProductId("dr"),
        timezone=zone,
        delivery_interval=QUARTER,
        gate=DayAheadGate(
            opens=DayMoment(days_before=1, at=time()),
            closes=DayMoment(days_before=1, at=time(12)),
            results_after=timedelta(0),
        ),
        day_kinds=frozenset(kinds),
        days=Calendar(
            zone=zone,
            rest_days=frozenset({date(2026, 5, 1), date(2026, 5, 4)}),
            work_days=frozenset({date(2026, 5, 9)}),
        ),
    )


@pytest.mark.parametrize(
    ("kinds", "days"),
    [
        pytest.param(
            [DeliveryDays.BUSINESS], [30, 5, 6, 7, 8, 9], id="business, the make-up Saturday too"
        ),
        pytest.param([DeliveryDays.WEEKEND], [2, 3, 10], id="weekend"),
        pytest.param(
            [DeliveryDays.HOLIDAY, DeliveryDays.WEEKEND], [1, 2, 3, 4, 10], id="holidays too"
        ),
    ],
)
def test_a_product_is_delivered_on_its_kinds_of_day_alone(
    kinds: list[DeliveryDays], days: list[int]
) -> None:
    product = on_days(*kinds)
    zone = product.timezone
    span = Interval(
        datetime(2026, 4, 29, 16, tzinfo=UTC),  # 30 April
        datetime(2026, 5, 10, 16, tzinfo=UTC),  # to 10 May
    )
    assert [d.start.astimezone(zone).day for d in of_day(product, span)] == days


def test_a_day_that_is_no_delivery_day_is_refused_with_the_next_one() -> None:
    product = on_days(DeliveryDays.BUSINESS)
    with pytest.raises(TradeRefusal) as refused:
        require_open(
            product,
            local_day(date(2026, 5, 1), product.timezone),
            datetime(2026, 4, 30, tzinfo=UTC),
        )
    assert refused.value.code == "off_grid"
    assert "2026-05-04T16:00:00Z" in refused.value.fix  # the 5th begins then
