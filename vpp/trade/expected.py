"""Offers from the curves that a plan made for several price scenarios (`BidCurves`).

A curve says what is sold beside what was sold when the plan was made: what has been sold since is taken off.
"""

from __future__ import annotations

from collections.abc import Iterator

from vpp.model.bidcurve import BidCurves
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.offers import SupplyCurve
from vpp.trade.position import Position


def curves_for(schedule: Schedule, product_id: ProductId, delivery: Interval) -> BidCurves | None:
    """The curves of a delivery as the plan has them; None where it was not asked for them.

    They may be of no use: see `BidCurves.usable`.
    """
    for curves in schedule.bid_curves:
        if curves.product_id == product_id and curves.horizon.span == delivery:
            return curves
    return None


def expected_curves(
    product: MarketProduct, curves: BidCurves, schedule: Schedule, position: Position
) -> Iterator[tuple[Interval, SupplyCurve, float]]:
    """Each interval with its curve, and what of it is sold already in kW."""
    horizon = Horizon.over(curves.horizon.span, product.delivery_interval)
    committed_kw = position.committed_kw(horizon)
    first = schedule.horizon.index(horizon.start)
    width = horizon.step // schedule.horizon.step
    steps = slice(first, first + width * horizon.steps)
    planned_kw = schedule.committed_kw[steps].reshape(-1, width).mean(axis=1)
    for i, interval in enumerate(horizon.intervals()):
        steps_up = [(rise.price_per_kwh, rise.kw) for rise in curves.rises[i]]
        curve = SupplyCurve(float(planned_kw[i] + curves.lowest_kw[i]), steps_up)
        yield interval, curve, float(committed_kw[i])
