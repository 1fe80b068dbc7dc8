"""A bidding unit at rest, and its freedom to leave it, handed out piece by piece.

    plan ──▶ at rest ──▶ less what other products hold ──▶ pieces: (resource, interval, kW, price)

Of a product that trades energy as such, stores rest: they stand still, but for what a limit of the tree
forces on them and for what is sold already. Of a product that is called against a schedule they follow
the plan. After the delivery they do what is sold already; what the plan would do beside it can be planned
anew. All else of the unit follows the plan throughout.

A piece counts at its worst from its interval on: the energy as if it alone were taken, and nothing that
would put it back. So whatever is taken of all pieces, and whatever is not, can be delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.outside import energy_of
from vpp.model.park import BiddingUnit, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.mover import NOTHING_KW, Fine, Mover, bound, movers_of, stored_before
from vpp.trade.nodes import Nodes
from vpp.trade.planned import hedged, require_finite
from vpp.trade.position import Position
from vpp.trade.reservehold import held_kw


@dataclass(slots=True, kw_only=True, eq=False)
class Rest:
    """The unit at rest; `take` hands out of its freedom."""

    intervals: tuple[Interval, ...]
    spans: tuple[slice, ...]
    """The steps of each interval, counted from the delivery's start."""
    nodes: Nodes
    movers: tuple[Mover, ...]
    firm_kw: Floats
    """What is left to trade of energy with all at rest, mean over each interval; sold above 0."""
    worth: Floats
    """What a kWh of net injection is worth in each interval, per kWh."""

    def take(
        self, mover: Mover, at: int, kw: float, *, up: bool, hours: float, called: bool
    ) -> float:
        """Hand out up to `kw` more (or less) feed in interval `at`, for so many hours of it.

        `called`: it may come at any moment of the interval, else evenly over all of it. What there
        was is returned, in kW.
        """
        steps = self.spans[at]
        begins = steps.start if called else steps.start + 1
        free = mover.left_kwh if up else mover.room_kwh
        kwh = max(float(free[begins:].min()), 0.0)
        kw = min(kw, self.power(mover, at, up=up))
        if kwh < inf:
            from_kw = self.from_kw(mover, at, up=up)
            kw = min(kw, mover.power_kw(from_kw, kwh / hours, up=up))
            if kw > NOTHING_KW:
                free[begins:] -= mover.energy_kwh(from_kw, kw, up=up) * hours
        if kw <= NOTHING_KW:
            return 0.0
        self.nodes.take(mover.resource.resource_id, steps, kw, up=up)
        if up:
            mover.high_kw[steps] += kw
        else:
            mover.low_kw[steps] -= kw
        return kw

    def power(self, mover: Mover, at: int, *, up: bool) -> float:
        """How much more (or less) it could feed in all of interval `at` by its size and the tree."""
        steps = self.spans[at]
        spare = mover.most_kw - mover.high_kw if up else mover.low_kw - mover.least_kw
        tree = self.nodes.room(mover.resource.resource_id, steps, up=up)
        return max(min(float(spare[steps].min()), tree), 0.0)

    def from_kw(self, mover: Mover, at: int, *, up: bool) -> float:
        """From where on more (or less) is fed in interval `at`, at the worst for the store.

        Energy out of it costs most, and what no longer leaves it stays to the full: from high up.
        """
        reached = mover.high_kw if up else mover.low_kw
        return float(reached[self.spans[at]].max())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What the position holds beside what is offered now, by step."""

    energy_kw: Floats
    obliged: NDArray[np.bool_]
    """Steps in which energy is traded already."""
    reserve: Mapping[tuple[ProductId, bool], Floats]
    """kW by product and direction (True: upwards), with what strategies keep beside what is sold."""
    sold: frozenset[ProductId]
    """Products of which something is sold."""


def rest_of(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    products: Mapping[ProductId, MarketProduct],
) -> Rest:
    """The unit at rest during `delivery`; `products` are all that the unit's position may speak of.

    Raises:
        TradeRefusal: `plan_too_short`, `no_plan` or `off_grid`, as `offer_for`.
    """
    intervals = product.intervals(delivery)
    first, parts = first_step(delivery, intervals, schedule)
    require_finite(schedule, slice(first, schedule.horizon.steps))

    def fine(series: Floats) -> Floats:
        return np.repeat(series[first:], parts)

    plan = schedule.horizon
    grid = Horizon(plan.start + first * plan.step, plan.step / parts, (plan.steps - first) * parts)
    spans = tuple(slice(grid.index(i.start), grid.index(i.end)) for i in intervals)
    held = _held(product, position, grid, products, schedule, fine)
    extra_kw, worth, stored_worth = hedged(product, schedule)
    nodes, movers = Nodes(park, schedule, fine), movers_of(unit, park, schedule, stored_worth, fine)
    stores = [m for m in movers if isinstance(m.resource, Storage)]
    net_kw = fine(schedule.power_kw[rows_of(unit, park, schedule)].sum(axis=0) + extra_kw)
    still = ~held.obliged
    if not product.trades_energy:
        still[: spans[-1].stop] = False
    net_kw = net_kw + _stand_still(stores, nodes, still)
    for mover in stores:
        before = mover.rest_kw.copy()
        kept_kwh = schedule.kept_kwh.get(mover.resource.resource_id)
        bound(
            mover,
            stored_before(_store(mover), schedule, first),
            grid.step_hours,
            np.full(grid.steps, np.nan) if kept_kwh is None else fine(kept_kwh),
        )
        nodes.shift(mover.resource.resource_id, mover.rest_kw - before)
        mover.high_kw, mover.low_kw = mover.rest_kw.copy(), mover.rest_kw.copy()
        net_kw = net_kw + mover.rest_kw - before
    rest = Rest(
        intervals=intervals,
        spans=spans,
        nodes=nodes,
        movers=movers,
        firm_kw=_means(net_kw - held.energy_kw, spans),
        worth=_means(fine(worth), spans),
    )
    _keep(rest, held, schedule, fine)
    if product.trades_energy:
        _keep_to_what_is_sold(rest, stores, held.obliged)
    return rest


def rows_of(unit: BiddingUnit, park: Park, schedule: Schedule) -> list[int]:
    """Rows of the schedule with the unit's electric resources."""
    return [
        row
        for row, name in enumerate(schedule.resource_ids)
        if name in unit.resource_ids and name in park.electric_ids
    ]


def _means(values: Floats, spans: tuple[slice, ...]) -> Floats:
    return np.array([values[steps].mean() for steps in spans])


def _store(mover: Mover) -> Storage:
    assert isinstance(mover.resource, Storage)  # asked for stores alone
    return mover.resource


def first_step(
    delivery: Interval, intervals: tuple[Interval, ...], schedule: Schedule
) -> tuple[int, int]:
    """The plan's first step of the delivery, and into how many parts its steps are cut."""
    horizon, where = schedule.horizon, f"plan {schedule.plan_id}"
    if not horizon.span.covers(delivery):
        raise TradeRefusal(
            f"it runs from {horizon.start} to {horizon.end}",
            code=Refusal.PLAN_TOO_SHORT,
            where=where,
            fix="Ask again after the next plan",
        )
    length, step = intervals[0].end - intervals[0].start, horizon.step
    parts = max(step // length, 1)
    part = step / parts
    off = [m for i in intervals for m in (i.start, i.end) if (m - horizon.start) % part]
    if off or (delivery.start - horizon.start) % step:
        raise TradeRefusal(
            f"its steps of {step} do not fit {length}",
            code=Refusal.OFF_GRID,
            where=where,
            fix="Plan in steps that divide the product's delivery interval",
        )
    return horizon.index(delivery.start), parts


def _own(
    schedule: Schedule, products: Mapping[ProductId, MarketProduct], fine: Fine
) -> dict[tuple[ProductId, bool], Floats]:
    """Headroom that strategies keep by the plan and no market knows, by its name and direction."""
    found = {}
    for key, reserve in schedule.reserve.items():
        name, _, way = key.rpartition(" ")
        if ProductId(name) not in products and reserve.kept_kw:
            found[ProductId(name), way == "up"] = fine(sum(reserve.kept_kw.values(), np.zeros(1)))
    return found


def _held(
    product: MarketProduct,
    position: Position,
    grid: Horizon,
    products: Mapping[ProductId, MarketProduct],
    schedule: Schedule,
    fine: Fine,
) -> _Held:
    known = {product.product_id: product, **products}
    energy = energy_of(known.values())
    sold = held_kw(position, known, grid, offering=product)
    return _Held(
        sold=frozenset(name for name, _ in sold),
        energy_kw=position.committed_kw(grid, energy),
        obliged=np.array(
            [
                any(line.product_id in energy for line in position.trades(step))
                for step in grid.intervals()
            ]
        ),
        reserve=sold | _own(schedule, known, fine),
    )


def _stand_still(stores: list[Mover], nodes: Nodes, still: NDArray[np.bool_]) -> Floats:
    """Put stores to rest where no limit of the tree needs them; by how much that moves the unit."""
    planned = [mover.rest_kw.copy() for mover in stores]
    for mover, kw in zip(stores, planned, strict=True):
        mover.rest_kw = np.where(still, 0.0, kw)
        nodes.shift(mover.resource.resource_id, mover.rest_kw - kw)
    over = nodes.over() > NOTHING_KW
    moved = np.zeros(len(still))
    for mover, kw in zip(stores, planned, strict=True):
        back = np.where(over, kw - mover.rest_kw, 0.0)
        nodes.shift(mover.resource.resource_id, back)
        mover.rest_kw = mover.rest_kw + back
        moved += mover.rest_kw - kw
    return moved


def _keep(
    rest: Rest,
    held: _Held,
    schedule: Schedule,
    fine: Fine,
) -> None:
    """Take out of everyone's freedom what reserve that is sold already may call, first as the plan has it."""
    for (name, up), kw in held.reserve.items():
        plan = schedule.reserve.get(f"{name} {'up' if up else 'down'}")
        kept = {} if plan is None else {who: fine(one) for who, one in plan.kept_kw.items()}
        for block in _blocks(kw):
            owed = float(kw[block.start])
            hours = (block.stop - block.start) * _step_hours(rest)
            if (
                plan is not None and name not in held.sold
            ):  # kept for ourselves: as long as a call may last
                hours = min(hours, plan.call_hours)
            for planned in (True, False):
                for mover in rest.movers:
                    own = kept.get(mover.resource.resource_id)
                    most = owed if not planned else 0.0 if own is None else float(own[block].min())
                    owed -= _take_block(rest, mover, block, min(most, owed), up=up, hours=hours)


def _blocks(kw: Floats) -> list[slice]:
    """Spans of steps in which the same is held, but for those without any."""
    cuts = [0, *(np.flatnonzero(np.diff(kw)) + 1).tolist(), len(kw)]
    return [slice(a, b) for a, b in pairwise(cuts) if kw[a] > NOTHING_KW]


def _step_hours(rest: Rest) -> float:
    return rest.intervals[0].hours / float(rest.spans[0].stop - rest.spans[0].start)


def _take_block(
    rest: Rest, mover: Mover, block: slice, kw: float, *, up: bool, hours: float
) -> float:
    """`Rest.take` for any span of steps."""
    whole = Rest(
        intervals=rest.intervals[:1],
        spans=(block,),
        nodes=rest.nodes,
        movers=rest.movers,
        firm_kw=rest.firm_kw,
        worth=rest.worth,
    )
    return whole.take(mover, 0, kw, up=up, hours=hours, called=True)


def _keep_to_what_is_sold(rest: Rest, stores: list[Mover], obliged: NDArray[np.bool_]) -> None:
    """Where energy is sold already, stores do what they can to keep to it; what they cannot is traded."""
    for at, steps in enumerate(rest.spans):
        if not obliged[steps].all():
            continue
        hours = rest.intervals[at].hours
        for mover in stores:
            lacks = -float(rest.firm_kw[at])
            if abs(lacks) <= NOTHING_KW:
                break
            up = lacks > 0
            got = rest.take(mover, at, abs(lacks), up=up, hours=hours, called=False)
            moved = got if up else -got
            rest.firm_kw[at] += moved
            mover.rest_kw[steps] += moved
            # It does so for certain: from there it may move either way again, and no store counts it twice.
            other = mover.room_kwh if up else mover.left_kwh
            from_kw = float(mover.rest_kw[steps].mean()) - moved
            kept = _store(mover).kept((len(obliged) - steps.stop) * _step_hours(rest))
            other[steps.stop :] += mover.energy_kwh(from_kw, got, up=up) * hours * kept
            rest.nodes.take(mover.resource.resource_id, steps, -got, up=not up)
            if up:
                mover.low_kw[steps] += moved
            else:
                mover.high_kw[steps] += moved
