"""Where an offer begins: the product's binding says by which builder."""

from __future__ import annotations

from vpp.model.market import Bid, BidMode, Binding, MarketProduct
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.expected import curves_for, expected_curves
from vpp.trade.offers import bids_of, build_bids
from vpp.trade.position import Position


def offer_for(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    binding: Binding,
    *,
    revision: int,
) -> tuple[Bid, ...]:
    """The bids of `unit` for `delivery`, made from `schedule` in the binding's mode.

    `position` is the unit's own, of all products: what it holds already is not offered again.

    Raises:
        TradeRefusal: `plan_too_short` where the schedule does not cover the delivery, `no_plan` where
            it holds numbers that are not finite, `off_grid` where its steps do not fit the product's.
    """
    if binding.mode is BidMode.EXPECTED:
        curves = curves_for(schedule, product.product_id, delivery)
        if curves is not None and curves.usable:  # else the plan's own offer, which its reasons say
            from_curves = expected_curves(product, curves, schedule, position)
            return bids_of(product, unit, from_curves, revision=revision)
    return build_bids(product, unit, delivery, schedule, position, park, revision=revision)
