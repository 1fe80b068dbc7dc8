"""Block offers by hand: one battery of 1 MW and 2 MWh, half full, energy worth 50 in it; cheap at night, dear in the evening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vpp.model.horizon import Horizon
from vpp.model.market import Bid, Binding, MarketProduct, Side
from vpp.model.offer import BlockOffer
from vpp.model.time import QUARTER, Interval
from vpp.trade.limits import most_mw
from vpp.trade.offering import offer_for
from vpp.trade.position import Position

MIDNIGHT = datetime(2025, 12, 3, 23, tzinfo=UTC)
DAY = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=1))
HORIZON = Horizon(MIDNIGHT, QUARTER, 96)
NIGHT, EVENING = slice(0, 8), slice(80, 88)
Offering = Callable[..., tuple[Bid, ...]]


@pytest.fixture
def offering(
    a_product: Callable[..., MarketProduct],
    a_battery: Callable[..., Any],
    a_park: Callable[..., Any],
    a_schedule: Callable[..., Any],
) -> Offering:
    def offer(
        *, base_kw: float = 0.0, evening: float = 0.1, battery: Any = None, **changes: Any
    ) -> tuple[Bid, ...]:
        given: dict[str, Any] = {"linked_blocks": True, "min_share": Decimal(1)} | changes
        product = replace(a_product("energy_da"), form="block", **given)
        park = a_park([battery or a_battery()])
        worth = np.full(96, 0.05)
        worth[NIGHT], worth[EVENING] = 0.02, evening
        plan = a_schedule(park, HORIZON, base_kw=base_kw, net_value=worth)
        (unit,) = park.bidding_units
        assert most_mw(product, unit) >= 1
        binding, known = Binding(product_id=product.product_id), {product.product_id: product}
        return offer_for(product, unit, DAY, plan, Position(), park, binding, known, revision=1)

    return offer


def told(bid: Bid) -> tuple[Side, list[int], set[Decimal], Decimal]:
    """Side, intervals by number, MW of each part, limit."""
    assert isinstance(bid.offer, BlockOffer)
    parts = bid.offer.parts
    numbers = [(part.interval.start - MIDNIGHT) // QUARTER for part in parts]
    return bid.side, numbers, {part.quantity_mw for part in parts}, bid.offer.price_per_mwh


def test_what_has_room_is_bought_at_night_and_sold_in_the_evening_by_a_tied_block(
    offering: Offering,
) -> None:
    buy, sell = offering()

    assert told(buy) == (Side.BUY, [0, 1, 2, 3], {Decimal("1.0")}, Decimal("50.00"))
    assert told(sell) == (Side.SELL, [80, 81, 82, 83], {Decimal("1.0")}, Decimal("50.00"))
    assert isinstance(buy.offer, BlockOffer)
    assert isinstance(sell.offer, BlockOffer)
    assert (buy.offer.linked_to, sell.offer.linked_to) == (None, buy.bid_id)
    assert sell.offer.min_share == 1


def test_losses_and_wear_stand_between_the_two_limits_and_less_is_sold_than_bought(
    offering: Offering, a_battery: Callable[..., Any]
) -> None:
    lossy = a_battery(charge_efficiency=0.8, discharge_efficiency=0.5, wear_cost_per_kwh=0.004)
    buy, sell = offering(evening=0.2, battery=lossy)

    # 1000 kWh of room take 5 × 250 kWh × 0.8; of these 1000 kWh half comes out: 2 × 250 kWh.
    assert told(buy) == (Side.BUY, [0, 1, 2, 3, 4], {Decimal("1.0")}, Decimal("36.00"))
    assert told(sell) == (Side.SELL, [80, 81], {Decimal("1.0")}, Decimal("104.00"))


def test_nothing_is_cycled_for_less_than_it_costs(offering: Offering) -> None:
    assert offering(evening=0.05) == ()


def test_what_is_certain_is_one_block_each_way_and_no_other_block_begins_with_it(
    offering: Offering,
) -> None:
    certain, buy, sell = offering(base_kw=-500.0)

    assert told(certain) == (
        Side.BUY, list(range(96)), {Decimal("0.5")}, Decimal("4000.00"),
    )  # fmt: skip
    assert told(buy)[1] == [1, 2, 3, 4]
    assert told(sell)[1] == [80, 81, 82, 83]


def test_where_no_blocks_are_linked_each_leg_stands_by_what_the_store_holds_or_has_room_for(
    offering: Offering,
) -> None:
    bids = offering(linked_blocks=False)

    assert all(isinstance(bid.offer, BlockOffer) and bid.offer.linked_to is None for bid in bids)
    assert [told(bid)[:2] for bid in bids] == [
        (Side.BUY, [0, 1, 2, 3]),
        (Side.SELL, [80, 81, 82, 83]),
    ]


def test_a_market_of_demand_is_bought_in_alone(offering: Offering) -> None:
    (certain,) = offering(base_kw=-500.0, only_bought=True)

    assert told(certain)[0] is Side.BUY
    assert offering(base_kw=500.0, only_bought=True) == ()


def test_what_decays_until_the_evening_is_not_sold(
    offering: Offering, a_battery: Callable[..., Any]
) -> None:
    leaky = a_battery(standing_loss_per_h=0.02)
    buy, sell = offering(battery=leaky)

    # At rest 0.98 ** 24 of 1000 kWh; what is bought at midnight has lost a third by 21:00.
    assert told(buy)[1] == [0, 1, 2, 3]
    assert told(sell)[1] == [80, 81, 82]
    *_, last = sell.offer.parts if isinstance(sell.offer, BlockOffer) else ()
    assert last.quantity_mw < 1


def test_where_the_store_at_rest_gives_less_than_its_power_that_is_lacking_first(
    offering: Offering, a_battery: Callable[..., Any]
) -> None:
    tapering = a_battery(
        discharge_taper_soc=0.75
    )  # of 2000 kWh: 500 more than the 1000 that it holds
    _, sell = offering(battery=tapering)

    assert told(sell)[1] == [80, 81]
