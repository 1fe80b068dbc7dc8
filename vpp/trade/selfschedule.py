"""Self-schedules: of each interval the quantity that the plan feeds or draws, at whatever price comes.

    planned net of the unit ─ what is sold of it already ─▶ one quantity an interval, no price

It is taken for certain, so it is the plan itself that has to be delivered, and nothing is kept at rest.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.forms import Ladder
from vpp.trade.planned import hedged, require_finite
from vpp.trade.position import Position
from vpp.trade.rest import first_step, rows_of


def planned_ladders(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    energy: Collection[ProductId],
) -> tuple[Ladder, ...]:
    """Each interval with what the plan leaves to trade; `energy` are products that trade it.

    Raises:
        TradeRefusal: `plan_too_short`, `no_plan` or `off_grid`, as `offer_for`.
    """
    intervals = product.intervals(delivery)
    first, parts = first_step(delivery, intervals, schedule)
    require_finite(schedule, slice(first, schedule.horizon.steps))
    horizon = Horizon.over(delivery, product.delivery_interval)
    extra_kw, _, _ = hedged(product, schedule)
    net_kw = schedule.power_kw[rows_of(unit, park, schedule)].sum(axis=0) + extra_kw
    fine = np.repeat(net_kw[first:], parts)
    width = max(horizon.step // schedule.horizon.step, 1)
    planned_kw = fine[: width * horizon.steps].reshape(-1, width).mean(axis=1)
    left_kw = planned_kw - position.committed_kw(horizon, energy)
    return tuple(
        Ladder(interval=interval, firm_kw=float(kw), up=(), down=())
        for interval, kw in zip(intervals, left_kw, strict=True)
    )
