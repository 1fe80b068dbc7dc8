from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from vpp.errors import DataError
from vpp.model.market import MarketProduct
from vpp.model.time import QUARTER, Interval, local_day
from vpp.trade.calendar import (
    TradeRefusal,
    next_delivery,
    planning_horizon,
    require_open,
)

Product = Callable[..., MarketProduct]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "quarters"),
    [
        pytest.param("Europe/Stockholm", date(2025, 3, 30), 92, id="spring change in Sweden"),
        pytest.param("Australia/Lord_Howe", date(2025, 10, 5), 94, id="half-hour change, spring"),
        pytest.param("Asia/Shanghai", date(2025, 12, 3), 96, id="no change in China"),
        pytest.param("Australia/Lord_Howe", date(2025, 4, 6), 98, id="half-hour change, autumn"),
        pytest.param("Europe/Stockholm", date(2025, 10, 26), 100, id="autumn change in Sweden"),
    ],
)
def test_a_day_ahead_delivery_has_as_many_quarters_as_the_day(
    a_product: Product, zone: str, day: date, quarters: int
) -> None:
    product = a_product(zone=zone)
    whole = local_day(day, ZoneInfo(zone))
    gate = product.gate_closes_at(whole)

    delivery = next_delivery(product, gate - timedelta(minutes=1))
    horizon = planning_horizon(
        [product], gate - QUARTER, step=QUARTER, every=QUARTER, at_least=QUARTER, lookahead=QUARTER
    )

    assert delivery == whole
    assert len(list(delivery.split(QUARTER))) == quarters
    assert horizon.end == whole.end
    require_open(product, whole, gate - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("now", "delivery_starts"),
    [
        pytest.param("2025-12-03T10:59:59", "2025-12-03T23:00", id="before noon: tomorrow"),
        pytest.param("2025-12-03T11:00", "2025-12-04T23:00", id="at noon the gate is closed"),
        pytest.param("2025-12-03T00:30", "2025-12-03T23:00", id="after midnight local"),
    ],
)
def test_the_next_day_ahead_delivery(a_product: Product, now: str, delivery_starts: str) -> None:
    assert next_delivery(a_product(), utc(now)).start == utc(delivery_starts)


def test_the_next_quarter_is_one_whose_gate_is_not_closed(a_product: Product) -> None:
    product = a_product("energy_id")
    assert next_delivery(product, utc("2025-12-03T11:59")).start == utc("2025-12-03T12:15")
    assert next_delivery(product, utc("2025-12-03T12:00")).start == utc("2025-12-03T12:30")


@pytest.mark.parametrize(
    ("start", "end", "now", "code"),
    [
        ("2025-12-03T23:00", "2025-12-04T22:00", "2025-12-03T10:00", "off_grid"),
        ("2025-12-03T23:15", "2025-12-04T23:00", "2025-12-03T10:00", "off_grid"),
        ("2025-12-03T23:00", "2025-12-05T23:00", "2025-12-03T10:00", "off_grid"),
        ("2025-12-03T23:00", "2025-12-04T23:00", "2025-12-03T11:00", "gate_closed"),
        ("2025-12-03T23:00", "2025-12-04T23:00", "2025-12-03T06:59", "gate_not_open"),
        ("2025-12-03T23:00", "2025-12-04T23:00", "2025-12-03T10:59", None),
    ],
)
def test_what_may_not_be_bid_is_refused_with_a_code(
    a_product: Product, start: str, end: str, now: str, code: str | None
) -> None:
    delivery = Interval(utc(start), utc(end))
    if code is None:
        require_open(a_product(), delivery, utc(now))
        return
    with pytest.raises(TradeRefusal) as refused:
        require_open(a_product(), delivery, utc(now))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("now", "every_h", "lookahead_h", "ends"),
    [
        pytest.param(
            "2025-12-03T10:00", 0.25, 2, "2025-12-04T23:00", id="tomorrow, its gate is near"
        ),
        pytest.param(
            "2025-12-03T11:00", 0.25, 2, "2025-12-04T11:00", id="the gate is closed: a day"
        ),
        pytest.param("2025-12-03T07:15", 0.25, 2, "2025-12-04T07:15", id="the gate is far: a day"),
        pytest.param(
            "2025-12-03T06:45", 0.25, 8, "2025-12-04T23:00", id="opens with the next plan"
        ),
        pytest.param(
            "2025-12-03T06:30", 0.25, 8, "2025-12-04T06:30", id="opens after the next plan"
        ),
        pytest.param(
            "2025-12-03T06:30",
            3,
            8,
            "2025-12-04T23:00",
            id="opens before the next plan in three hours",
        ),
    ],
)
def test_a_plan_reaches_what_is_bid_before_the_next_one(
    a_product: Product, now: str, every_h: float, lookahead_h: int, ends: str
) -> None:
    horizon = planning_horizon(
        [a_product(), a_product("energy_id")],
        utc(now),
        step=QUARTER,
        every=timedelta(hours=every_h),
        at_least=timedelta(hours=24),
        lookahead=timedelta(hours=lookahead_h),
    )
    assert (horizon.start, horizon.end) == (utc(now), utc(ends))


def test_a_plan_starts_on_a_boundary(a_product: Product) -> None:
    with pytest.raises(DataError, match="no multiple"):
        planning_horizon(
            [a_product()],
            utc("2025-12-03T10:01"),
            step=QUARTER,
            every=QUARTER,
            at_least=QUARTER,
            lookahead=QUARTER,
        )
