"""Curves of the plan become offers in each form that can hold one: at every scenario's price what was planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vpp.model import offer as forms
from vpp.model.bidcurve import BidCurves, Rise
from vpp.model.horizon import Horizon
from vpp.model.market import Bid, BidMode, Binding, MarketProduct, Side
from vpp.model.time import QUARTER
from vpp.trade.offering import offer_for
from vpp.trade.position import Position

MIDNIGHT = datetime(2025, 12, 2, 23, tzinfo=UTC)
DAY = Horizon(MIDNIGHT, QUARTER, 96)
PLANNED_KW = {20: -500.0, 50: 300.0, 80: 1500.0}
"""EUR/MWh and what is sold then: half a megawatt is bought, or up to one and a half sold."""


def curves(product: MarketProduct) -> BidCurves:
    prices = np.array(list(PLANNED_KW)) / 1000
    return BidCurves(
        product_id=product.product_id,
        horizon=DAY,
        status="expected",
        scenario_per_kwh=np.tile(prices[:, None], DAY.steps),
        planned_kw=np.tile(np.array(list(PLANNED_KW.values()))[:, None], DAY.steps),
        lowest_kw=np.full(DAY.steps, -500.0),
        rises=((Rise(0.035, 800.0, 0.035), Rise(0.065, 1200.0, 0.065)),) * DAY.steps,
    )


def taken_mw(bid: Bid, price: int) -> Decimal:
    """By the words of the form: a step at its limit or better, a line where the price lies on it."""
    sign, at = bid.side.sign, Decimal(price)
    if isinstance(bid.offer, forms.LinearCurveOffer):
        return bid.offer.taken_mw(at, sign)
    assert isinstance(bid.offer, forms.StepCurveOffer | forms.SegmentsOffer)
    limited = [(mw, limit) for mw, limit in bid.offer.priced_mw if limit is not None]
    return sum((mw for mw, limit in limited if sign * at >= sign * limit), Decimal(0))


@pytest.mark.parametrize("form", ["curve_step", "curve_linear", "segments"])
def test_at_each_scenarios_price_the_market_takes_what_was_planned(
    form: str,
    a_product: Callable[..., MarketProduct],
    a_park: Callable[..., Any],
    a_battery: Callable[..., Any],
    a_schedule: Callable[..., Any],
) -> None:
    product, park = replace(a_product(), form=form), a_park([a_battery()])
    schedule = replace(a_schedule(park, DAY), bid_curves=(curves(product),))
    bids = offer_for(
        product,
        park.bidding_units[0],
        DAY.span,
        schedule,
        Position(),
        park,
        Binding(product_id=product.product_id, mode=BidMode.EXPECTED),
        {},
        revision=1,
    )
    assert {bid.offer.form for bid in bids} == {form}
    for interval in DAY.intervals():
        own = [bid for bid in bids if bid.interval == interval]
        assert {bid.side for bid in own} == {Side.BUY, Side.SELL}
        for price, planned_kw in PLANNED_KW.items():
            sold = sum((bid.side.sign * taken_mw(bid, price) for bid in own), Decimal(0))
            assert sold == Decimal(str(planned_kw)) / 1000
