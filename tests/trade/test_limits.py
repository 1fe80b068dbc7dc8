from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid, BidSet, Side
from vpp.model.offer import CurveStep, StepCurveOffer
from vpp.model.park import Park
from vpp.model.time import QUARTER, Interval
from vpp.trade.limits import check_bid_set, most_mw

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
DELIVERY = Interval(NOON, NOON + QUARTER)


def a_bid(mw: str = "1.0", price: str = "40.00", **changes: Any) -> Bid:
    bid = Bid(
        bid_id="qh/unit/20251203T1200Z/sell/1",
        interval=DELIVERY,
        side=Side.SELL,
        offer=StepCurveOffer(
            steps=(CurveStep(quantity_mw=Decimal(mw), price_per_mwh=Decimal(price)),)
        ),
    )
    return replace(bid, **changes)


def a_set(*bids: Bid, **changes: Any) -> BidSet:
    bid_set = BidSet(
        bid_set_id="bs",
        request_id="r",
        product_id=ProductId("qh"),
        unit_id=UnitId("unit"),
        delivery=DELIVERY,
        revision=1,
        issued_at=NOON - timedelta(hours=1),
        valid_until=NOON - QUARTER,
        plan_id="p",
        strategy_version="s",
        pack_digest="d",
        bids=bids or (a_bid(),),
    )
    return replace(bid_set, **changes)


LATER = Interval(DELIVERY.end, DELIVERY.end + QUARTER)


@pytest.mark.parametrize(
    ("bid_set", "fault"),
    [
        pytest.param(a_set(), None, id="nothing wrong"),
        pytest.param(a_set(a_bid(price="4000.01")), "out of bounds", id="too dear"),
        pytest.param(a_set(a_bid(price="-500.01")), "out of bounds", id="too cheap"),
        pytest.param(a_set(a_bid(price="40.005")), "tick", id="between ticks"),
        pytest.param(a_set(a_bid("0.15")), "lots", id="half a lot"),
        pytest.param(a_set(a_bid("22.1")), "more than 22", id="beyond what the unit can swing"),
        pytest.param(a_set(a_bid(bid_id="x")), "should be called", id="another id"),
        pytest.param(
            a_set(a_bid(interval=LATER, bid_id="qh/unit/20251203T1215Z/sell/1")),
            "no interval",
            id="outside the delivery",
        ),
        pytest.param(a_set(a_bid(), a_bid()), "2 times", id="the same bid twice"),
        pytest.param(a_set(a_bid(), a_bid(bid_id="y")), "2 sell bids", id="two sell bids"),
        pytest.param(a_set(product_id=ProductId("da")), "is for da", id="another product"),
        pytest.param(a_set(valid_until=NOON), "not the gate", id="wrong gate"),
        pytest.param(a_set(issued_at=NOON - QUARTER), "after the gate", id="too late"),
        pytest.param(
            a_set(delivery=Interval(NOON, NOON + 2 * QUARTER)), "no delivery", id="no delivery"
        ),
    ],
)
def test_what_breaks_a_rule_does_not_go_out(
    a_product: Callable[..., Any],
    a_park: Callable[..., Park],
    a_battery: Callable[..., Any],
    bid_set: BidSet,
    fault: str | None,
) -> None:
    park = a_park([a_battery()])  # 20 MW of load and 1 MW either way
    faults = check_bid_set(bid_set, a_product("energy_id"), park.bidding_units[0], park)
    if fault is None:
        assert faults == ()
    else:
        assert any(fault in text for text in faults), faults


def test_a_strange_unit_does_not_go_out(
    a_product: Callable[..., Any], a_park: Callable[..., Park], a_battery: Callable[..., Any]
) -> None:
    park = a_park([a_battery()])
    stranger = replace(park.bidding_units[0], product_ids=())
    faults = check_bid_set(a_set(), a_product("energy_id"), stranger, park)
    assert len(faults) == 2


def test_only_energy_is_bid_beyond_the_tested_capability(
    a_product: Callable[..., Any], a_park: Callable[..., Park], a_battery: Callable[..., Any]
) -> None:
    unit = replace(a_park([a_battery()]).bidding_units[0], declared_kw=9000, tested_kw=4000)
    energy = a_product("energy_id")
    assert most_mw(energy, unit) == 9
    assert most_mw(replace(energy, kind="capacity"), unit) == 4
    assert most_mw(replace(energy, max_quantity_mw=Decimal(2)), unit) == 2
