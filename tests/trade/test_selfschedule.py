"""Self-schedules: the plan's own quantity of each interval, less what is sold of it, and no price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vpp.model import offer as forms
from vpp.model.horizon import Horizon
from vpp.model.ids import UnitId
from vpp.model.market import Binding, MarketProduct, Side
from vpp.model.time import QUARTER, Interval
from vpp.trade.offering import offer_for
from vpp.trade.position import Position, Trade

MIDNIGHT = datetime(2025, 12, 2, 23, tzinfo=UTC)
DAY = Horizon(MIDNIGHT, QUARTER, 96)


@pytest.fixture
def offered(
    a_product: Callable[..., MarketProduct],
    a_park: Callable[..., Any],
    a_battery: Callable[..., Any],
    a_schedule: Callable[..., Any],
) -> Callable[[Position], dict[tuple[datetime, Side], Decimal]]:
    """A battery feeds 1 MW in the first hour, and draws it in the second; 0.3 MW of load beside it."""
    product, park = replace(a_product(), form="self_schedule", price=None), a_park([a_battery()])
    battery_kw = np.zeros(DAY.steps)
    battery_kw[:4], battery_kw[4:8] = 1000.0, -1000.0
    plan = a_schedule(park, DAY, base_kw=-300.0, storage_kw={"bess": battery_kw})

    def offer(position: Position) -> dict[tuple[datetime, Side], Decimal]:
        bids = offer_for(
            product,
            park.bidding_units[0],
            DAY.span,
            plan,
            position,
            park,
            Binding(product_id=product.product_id),
            {product.product_id: product},
            revision=1,
        )
        found = {}
        for bid in bids:
            assert isinstance(bid.offer, forms.SelfScheduleOffer)
            found[bid.interval.start, bid.side] = bid.offer.quantity_mw
        return found

    return offer


def test_what_the_plan_feeds_is_sold_and_what_it_draws_is_bought(offered: Any) -> None:
    found = offered(Position())

    assert len(found) == 96
    assert found[MIDNIGHT, Side.SELL] == Decimal("0.7")
    assert found[MIDNIGHT + 4 * QUARTER, Side.BUY] == Decimal("1.3")
    assert found[MIDNIGHT + 8 * QUARTER, Side.BUY] == Decimal("0.3")


def test_what_is_sold_already_is_not_told_again(offered: Any, a_product: Any) -> None:
    sold = Trade(
        award_id="a",
        bid_id="b",
        product_id=a_product().product_id,
        unit_id=UnitId("unit"),
        interval=Interval(MIDNIGHT, MIDNIGHT + QUARTER),
        side=Side.SELL,
        quantity_mw=Decimal("0.5"),
        price_per_mwh=Decimal(40),
        quarantined=False,
    )
    assert offered(Position([sold]))[MIDNIGHT, Side.SELL] == Decimal("0.2")
