"""Bids that nobody made from the plan: how much of them the unit can do, whatever is accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpp.model import offer as forms
from vpp.model.horizon import Horizon
from vpp.model.market import Bid, Binding, MarketProduct, Side
from vpp.model.park import Limits
from vpp.model.time import QUARTER, Interval
from vpp.trade.deliverable import Lack, lacking
from vpp.trade.offering import offer_for
from vpp.trade.position import Position

DAY = Interval(datetime(2025, 12, 2, 23, tzinfo=UTC), datetime(2025, 12, 3, 23, tzinfo=UTC))
NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)
Look = Callable[..., tuple[Lack, ...]]


def bid(hours: float, mw: str, side: Side = Side.SELL) -> Bid:
    start = NOON + timedelta(hours=hours)
    step = forms.CurveStep(quantity_mw=Decimal(mw), price_per_mwh=Decimal(40))
    return Bid(
        bid_id=f"da/unit/{start:%H%M}/{side}/0",
        interval=Interval(start, start + QUARTER),
        side=side,
        offer=forms.StepCurveOffer(steps=(step,)),
    )


@pytest.fixture(scope="session")
def look(
    a_product: Callable[..., MarketProduct],
    a_battery: Callable[..., Any],
    a_park: Callable[..., Any],
    a_schedule: Callable[..., Any],
) -> Look:
    """A battery of 1 MW with 1 MWh in it and room for 1 MWh, beside loads of `base_kw`."""

    def found(
        *bids: Bid, base_kw: float = 0.0, own: tuple[Bid, ...] = (), **limits: Limits
    ) -> tuple[Lack, ...]:
        product, park = a_product(), a_park([a_battery()], **limits)
        plan = a_schedule(park, Horizon(DAY.start, QUARTER, 96), base_kw=base_kw)
        unit = park.bidding_units[0]
        products = {product.product_id: product}
        return lacking(product, unit, DAY, bids, own, plan, Position([]), park, products)

    return found


def test_a_battery_sells_what_is_in_it_and_no_quarter_hour_more(look: Look) -> None:
    four = [bid(quarter / 4, "1.0") for quarter in range(4)]  # 1 MWh, to the last kWh

    assert look(*four) == ()
    (short,) = look(*four, bid(1.0, "0.5"))
    assert (short.interval.start, short.asked_kw) == (NOON + timedelta(hours=1), 500.0)
    assert short.possible_kw == pytest.approx(0.0)


def test_nothing_that_is_bought_may_be_counted_on_for_what_is_sold_later(look: Look) -> None:
    """The market may take the one and not the other."""
    bought = [bid(-4 + quarter / 4, "1.0", Side.BUY) for quarter in range(4)]
    sold = [bid(quarter / 4, "1.0") for quarter in range(8)]

    assert len(look(*bought, *sold)) == 4


def test_what_loads_draw_is_bought_first_and_the_battery_takes_the_rest(look: Look) -> None:
    assert look(bid(0, "3.0", Side.BUY), base_kw=-2000.0) == ()
    (short,) = look(bid(0, "3.5", Side.BUY), base_kw=-2000.0)
    assert str(short) == ("2025-12-03T11:00:00Z: 3.500 MW bought, 3.000 MW can be delivered")


def test_a_limit_of_the_tree_binds_before_the_battery_does(look: Look) -> None:
    (short,) = look(bid(0, "1.0"), point=Limits(export_kw=400.0))

    assert short.possible_kw == pytest.approx(400.0)


def test_what_the_plan_itself_would_offer_passes_without_another_look(look: Look) -> None:
    nine = tuple(bid(quarter / 4, "1.0") for quarter in range(9))

    assert look(*nine)
    assert look(*nine, own=nine) == ()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    base_kw=st.integers(-3000, 0),
    stored_kwh=st.integers(0, 2000),
    share=st.floats(0, 1),
)
def test_every_part_of_a_robust_offer_is_found_deliverable(
    a_product: Callable[..., MarketProduct],
    a_battery: Callable[..., Any],
    a_park: Callable[..., Any],
    a_schedule: Callable[..., Any],
    base_kw: int,
    stored_kwh: int,
    share: float,
) -> None:
    product, park = a_product(), a_park([a_battery()])
    horizon = Horizon(DAY.start, QUARTER, 96)
    plan = a_schedule(park, horizon, base_kw=float(base_kw), stored_kwh=float(stored_kwh))
    unit, products = park.bidding_units[0], {product.product_id: product}
    known = (DAY, plan, Position([]), park)
    own = offer_for(
        product, unit, *known, Binding(product_id=product.product_id), products, revision=0
    )
    kept = own[: round(share * len(own))]

    assert lacking(product, unit, DAY, kept, (), *known[1:], products) == ()
