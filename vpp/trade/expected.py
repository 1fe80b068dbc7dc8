"""Offers from the curves that a plan made for several price scenarios (`BidCurves`).

A curve says what is sold beside what was sold when the plan was made: what has been sold since is taken off.
"""

from __future__ import annotations

from collections.abc import Collection

from vpp.model.bidcurve import BidCurves
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.forms import Ladder
from vpp.trade.position import Position


def curves_for(schedule: Schedule, product_id: ProductId, delivery: Interval) -> BidCurves | None:
    """The curves of a delivery as the plan has them; None where it was not asked for them.

    They may be of no use: see `BidCurves.usable`.
    """
    for curves in schedule.bid_curves:
        if curves.product_id == product_id and curves.horizon.span == delivery:
            return curves
    return None


def expected_ladders(
    product: MarketProduct,
    curves: BidCurves,
    schedule: Schedule,
    position: Position,
    energy: Collection[ProductId],
) -> tuple[Ladder, ...]:
    """Each interval with its curve, less what is sold of it already; `energy` are products that trade it."""
    horizon = Horizon.over(curves.horizon.span, product.delivery_interval)
    committed_kw = position.committed_kw(horizon, energy)
    first = schedule.horizon.index(horizon.start)
    width = horizon.step // schedule.horizon.step
    steps = slice(first, first + width * horizon.steps)
    planned_kw = schedule.committed_kw[steps].reshape(-1, width).mean(axis=1)
    return tuple(
        Ladder(
            interval=interval,
            firm_kw=float(planned_kw[i] + curves.lowest_kw[i] - committed_kw[i]),
            up=tuple((rise.price_per_kwh, rise.kw) for rise in curves.rises[i]),
            down=(),
        )
        for i, interval in enumerate(horizon.intervals())
    )
