"""Why an offer is as it is: the plan, the prices it expects, what a kWh is worth behind each step, what is left.

    step of a curve over scenarios     mean of the shadow prices at the two scenarios it lies between
    first step, whatever the price     shadow price of the park's net injection
    step of a store                    the store's own value of energy, which is its limit

Reasons are told beside an offer and never change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isfinite

import numpy as np

from vpp.model.bidcurve import BidCurves
from vpp.model.horizon import Floats, Horizon
from vpp.model.market import Bid, BidMode, Binding, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.offer import BlockOffer
from vpp.model.offer import most_mw as offered_mw
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.expected import curves_for
from vpp.trade.limits import most_mw
from vpp.trade.position import Position
from vpp.trade.reasonmessages import BidReason, BidReasons, CurveReason, PriceLevel, StepReason

LEVELS = (0.1, 0.5, 0.9)
"""Of the scenarios' prices."""

DIGITS = 4
"""Of a price per MWh that is told, not bid."""


def reasons_for(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    bids: Sequence[Bid],
    schedule: Schedule,
    position: Position,
    park: Park,
    binding: Binding,
    price_per_kwh: Floats,
) -> BidReasons:
    """Why `bids` are as they are.

    `price_per_kwh` is what the plan expects, shape (T,) on its horizon, NaN where that is not known.
    """
    curves = curves_for(schedule, product.product_id, delivery)
    used = curves if curves is not None and curves.usable else None
    wanted = binding.mode is BidMode.EXPECTED
    note = ""
    if wanted and used is None:
        note = "the plan was not asked for curves" if curves is None else curves.status
    by_curves = used if wanted else None
    free = _Free(product, unit, position, park)
    return BidReasons(
        mode="robust" if by_curves is None else "expected",
        note=note,
        plan_id=schedule.plan_id,
        strategy_version=schedule.strategy_version,
        curves=None if by_curves is None else _curves(by_curves),
        bids=[_reason(bid, product, schedule, by_curves, free, price_per_kwh) for bid in bids],
    )


def _curves(curves: BidCurves) -> CurveReason:
    check = curves.check
    assert check is not None  # what is usable was checked
    return CurveReason(
        scenarios=len(curves.scenario_per_kwh),
        paths=check.paths,
        undelivered_share=round(check.undelivered_share, 6),
        share_before_cut=round(check.share_before_cut, 6),
        kept=round(check.kept, 6),
        cvar_weight=curves.cvar_weight,
        cvar_level=curves.cvar_level,
    )


def _reason(
    bid: Bid,
    product: MarketProduct,
    schedule: Schedule,
    curves: BidCurves | None,
    free: _Free,
    price_per_kwh: Floats,
) -> BidReason:
    levels = []
    if curves is not None:
        scenarios = curves.scenario_per_kwh[:, curves.horizon.index(bid.interval.start)]
        levels = [
            PriceLevel(level=level, price_per_mwh=_per_mwh(float(np.quantile(scenarios, level))))
            for level in LEVELS
        ]
    expected = _mean(bid, price_per_kwh, schedule.horizon)
    return BidReason(
        bid_id=bid.bid_id.rsplit("/", 1)[0],
        expected_price_per_mwh=_per_mwh(expected) if isfinite(expected) else None,
        price_levels=levels,
        steps=[
            StepReason(
                quantity_mw=quantity,
                price_per_mwh=limit,
                shadow_price_per_mwh=_shadow(bid, limit, product, schedule, curves),
            )
            for quantity, limit in bid.offer.priced_mw
        ],
        headroom_mw=free.beside(bid),
    )


def _shadow(
    bid: Bid,
    limit: Decimal | None,
    product: MarketProduct,
    schedule: Schedule,
    curves: BidCurves | None,
) -> Decimal:
    grid = product.price
    whatever = limit is None or (grid is not None and limit in (grid.least, grid.most))
    if curves is not None:
        place = curves.horizon.index(bid.interval.start)
        if limit is not None and grid is not None:
            for rise in curves.rises[place]:
                if abs(exact(round(rise.price_per_kwh * 1000, 6)) - limit) < grid.tick:
                    return _per_mwh(rise.value_per_kwh)
        cheapest = int(np.argmin(curves.scenario_per_kwh[:, place]))
        dearest = int(np.argmax(curves.scenario_per_kwh[:, place]))
        outer = dearest if bid.side is Side.BUY else cheapest
        return _per_mwh(float(curves.value_per_kwh[outer, place]))
    if whatever or limit is None:
        told, worth = schedule.uncertainty, schedule.net_value_per_kwh
        if told is not None and told.hedged and len(told.net_value_per_kwh):
            worth = told.net_value_per_kwh
        return _per_mwh(_mean(bid, worth, schedule.horizon))
    return limit


def _mean(bid: Bid, per_kwh: Floats, horizon: Horizon) -> float:
    """Over the interval of a bid; over the parts of a block."""
    spans = [bid.interval]
    if isinstance(bid.offer, BlockOffer):
        spans = [part.interval for part in bid.offer.parts]
    return float(np.concatenate([per_kwh[horizon.slice(span)] for span in spans]).mean())


class _Free:
    """How much of what may be traded and delivered is left beside a bid."""

    def __init__(
        self, product: MarketProduct, unit: BiddingUnit, position: Position, park: Park
    ) -> None:
        points = [point.limits for point in park.connection_points]
        self._export_kw = min(park.limits.export_kw, sum(one.export_kw for one in points))
        self._import_kw = min(park.limits.import_kw, sum(one.import_kw for one in points))
        self._most, self._position = most_mw(product, unit), position

    def beside(self, bid: Bid) -> Decimal:
        offered = offered_mw(bid.offer)  # of a block its largest part
        sold = sum((line.sold_mw for line in self._position.trades(bid.interval)), Decimal(0))
        selling = bid.side is Side.SELL
        limit_kw = self._export_kw if selling else self._import_kw
        left = self._most - offered
        if isfinite(limit_kw):
            left = min(left, exact(limit_kw) / 1000 - offered - bid.side.sign * sold)
        return max(left, Decimal(0))


def _per_mwh(per_kwh: float) -> Decimal:
    return exact(round(per_kwh * 1000, DIGITS))
