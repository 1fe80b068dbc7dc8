"""Where an offer begins: the product's binding says by which builder."""

from __future__ import annotations

from collections.abc import Mapping

from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidMode, Binding, MarketProduct
from vpp.model.outside import energy_of
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.blocks import block_bids, blocks_of
from vpp.trade.expected import curves_for, expected_ladders
from vpp.trade.forms import ladder_bids
from vpp.trade.position import Position
from vpp.trade.robust import freedoms, robust_ladders
from vpp.trade.selfschedule import planned_ladders


def offer_for(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    binding: Binding,
    products: Mapping[ProductId, MarketProduct],
    *,
    revision: int,
) -> tuple[Bid, ...]:
    """The bids of `unit` for `delivery`, made from `schedule` in the binding's mode.

    `position` is the unit's own, of all products: what it holds already is not offered again.
    `products` are those that the position may speak of.

    Raises:
        TradeRefusal: `plan_too_short` where the schedule does not cover the delivery, `no_plan` where
            it holds numbers that are not finite, `off_grid` where its steps do not fit the product's.
    """
    energy = energy_of((product, *products.values()))
    if product.form == "self_schedule":  # no price to choose by: the plan itself
        ladders = planned_ladders(product, unit, delivery, schedule, position, park, energy)
        return ladder_bids(product, unit, ladders, revision=revision)
    if product.form == "block":
        blocks = blocks_of(product, unit, delivery, schedule, position, park, products)
        return block_bids(product, unit, blocks, revision=revision)
    if binding.mode is BidMode.EXPECTED:
        curves = curves_for(schedule, product.product_id, delivery)
        if curves is not None and curves.usable:  # else as robust, which its reasons say
            ladders = expected_ladders(product, curves, schedule, position, energy)
            return ladder_bids(product, unit, ladders, revision=revision)
    found = freedoms(product, unit, delivery, schedule, position, park, products)
    return ladder_bids(product, unit, robust_ladders(product, found), revision=revision)
