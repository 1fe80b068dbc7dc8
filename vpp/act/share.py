"""Who does what now: the plan of this moment, and whoever may be moved makes up for what it got wrong.

    plan ─▶ asked of each, within its bounds ─▶ expected of all ─┐
    target: what all together are to be expected to do ──────────┴▶ residual ─▶ rule ─▶ moved ─▶ wanted

What the plan asks stays as it is (`planned.py`). Stores take from a connection point what it would draw
above its limit or its paid peak. What is then left between target and expectation is shared by one of the
rules (`rules.py`) over the kinds that the park file names, within what each can do until the interval ends,
and never through a node of the tree that is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np

from vpp.act.branches import Branches, Places
from vpp.act.merit import Order
from vpp.act.parksteps import steps_of
from vpp.act.planned import TOLERANCE_KW, Planned
from vpp.act.rules import Room, Rule, Shared
from vpp.act.steps import Standing, Stepped, Steps, hand_out_steps
from vpp.act.undernodes import hand_out_under
from vpp.act.units import Bools, Kind, Seen, Units
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId
from vpp.model.measurement import ParkState
from vpp.model.park import Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Manner:
    """How the residual is shared."""

    rule: Rule = Rule.MERIT_ORDER
    kinds: frozenset[Kind] = frozenset({Kind.STORAGE})
    """Who may be moved from the plan."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What those above left to awards and plan, net injection; shape (N,), infinite where nothing binds."""

    low_kw: Floats
    high_kw: Floats
    held_kw: Floats
    """Where they hold a resource at; NaN where they do not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stand:
    """What the units that may be moved can do at all, and what is in force; arrays of shape (N,)."""

    steps: Steps
    """As `steps_of_movers` compiles them."""

    power_kw: Floats
    """The command in force, or what each does; NaN where nobody knows."""

    switched_s: Floats
    """How long ago each came on, or went off; NaN where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sharing:
    """Net injection in kW, arrays of shape (N,) in park order."""

    asked_kw: Floats
    """What the plan asks; NaN where the default of the resource is right, or nobody may ask."""

    moved_kw: Floats
    """What those were moved to who make up for the plan; NaN for all others."""

    expected_kw: Floats
    """What each is to be expected to do until the interval ends."""

    left_kw: float = 0.0
    """Of the residual, what nobody had room for; above 0: more was to be fed."""

    order: Order | None = None
    """For the next cycle: what is sorted need not be sorted again."""

    @property
    def wanted_kw(self) -> Floats:
        """What each is to be told; NaN: nothing."""
        return np.where(np.isnan(self.moved_kw), self.asked_kw, self.moved_kw)


def share(
    park: Park,
    units: Units,
    state: ParkState,
    seen: Seen,
    schedule: Schedule | None,
    *,
    now: datetime,
    interval: Interval,
    target_kw: float | None,
    control_period: timedelta,
    manner: Manner | None = None,
    usable: Bools | None = None,
    bounds: Bounds | None = None,
    stand: Stand | None = None,
    import_ceiling_kw: Mapping[ConnectionPointId, float] = MappingProxyType({}),
    order: Order | None = None,
) -> Sharing:
    """What is wanted of each resource now.

    Args:
        park: The resources.
        units: The same as arrays, under the limits in force.
        state: The park as frozen for this cycle; a resource that is unknown is asked nothing.
        seen: The same as arrays.
        schedule: The validated plan; None, or one that does not reach `now`, asks nobody.
        now: The moment of the cycle, in `interval`.
        interval: The market interval that runs.
        target_kw: What the electric resources together are to be expected to do from now on, so that what
            is owed is met; None where nothing is owed.
        control_period: Time to the next call.
        manner: By which rule, and over whom.
        usable: Who may be asked; others count as measured. None: everybody.
        bounds: Within which each may be steered. None: whatever it can.
        stand: What movers can do at all, and how they stand; None: any power, at once.
        import_ceiling_kw: What a connection point may draw without a new peak to pay, a size:
            storage behind it holds it, and the residual does not break it.
        order: What the last call gave back.
    """
    nobody = np.full(len(units), np.nan)
    if schedule is None or now not in schedule.horizon.span:
        return Sharing(asked_kw=nobody, moved_kw=nobody, expected_kw=nobody, order=order)
    manner = manner or Manner()
    moment = Planned(park, units, state, seen, schedule, now, interval, control_period)
    asked = _within(moment.asked_kw(usable), seen, usable, bounds)
    expected = moment.expected_kw(asked)
    movers = _movers(units, seen, moment, expected, asked, bounds)
    tree = _under_ceilings(units.tree, park, import_ceiling_kw)
    spread = _Spread(tree, expected, movers)
    spread.shave(units.kind == Kind.STORAGE)
    left_kw = 0.0
    if target_kw is not None:
        chosen = np.isin(units.kind[movers.rows], [int(kind) for kind in manner.kinds])
        left_kw, order = spread.over(manner.rule, chosen, target_kw, order, stand, control_period)
    return Sharing(
        asked_kw=asked,
        moved_kw=spread.moved_kw,
        expected_kw=spread.expected_kw,
        left_kw=left_kw,
        order=order,
    )


def _within(asked: Floats, seen: Seen, usable: Bools | None, bounds: Bounds | None) -> Floats:
    """What the plan asks of each, within its bounds; whom they hold somewhere is told that. NaN for nothing."""
    if bounds is None:
        return asked
    may = seen.heard if usable is None else seen.heard & usable
    held = may & ~np.isnan(bounds.held_kw)
    bounded = np.minimum(np.maximum(asked, bounds.low_kw), bounds.high_kw)
    return np.where(held, bounds.held_kw, bounded)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Movers:
    """Who may be moved, M of them; arrays of shape (M,)."""

    rows: Places
    low_kw: Floats
    high_kw: Floats
    up_per_kwh: Floats
    down_per_kwh: Floats
    stored_kwh: Floats
    capacity_kwh: Floats


def _movers(
    units: Units,
    seen: Seen,
    moment: Planned,
    expected: Floats,
    asked: Floats,
    bounds: Bounds | None,
) -> _Movers:
    """Everybody who has room: commanded, or a source that can be capped."""
    electric = units.tree.point_of < units.tree.points
    free = electric & MOVABLE[units.kind] & seen.heard & (~np.isnan(asked) | units.weather_driven)
    if bounds is not None:
        free &= np.isnan(bounds.held_kw)
    at_rows = np.flatnonzero(free)
    low, high = (kw[at_rows] for kw in moment.spans_kw(at_rows, expected))
    up, down = (cost[at_rows] for cost in moment.costs_per_kwh(expected))
    base = expected[at_rows]
    if bounds is not None:
        low = np.minimum(np.maximum(low, bounds.low_kw[at_rows]), base)
        high = np.maximum(np.minimum(high, bounds.high_kw[at_rows]), base)
    soc = seen.soc[at_rows]
    # A store that holds nothing, or does not say what it holds, is led to no state of charge.
    capacity_kwh = np.where(
        units.capacity_kwh[at_rows] > LEAST_KWH, units.capacity_kwh[at_rows], np.nan
    )
    capacity_kwh = np.where(np.isnan(soc), np.nan, capacity_kwh)
    return _Movers(
        rows=at_rows,
        low_kw=low,
        high_kw=high,
        up_per_kwh=up,
        down_per_kwh=down,
        stored_kwh=soc * capacity_kwh,
        capacity_kwh=capacity_kwh,
    )


LEAST_KWH = 1e-3
"""A smaller store is none."""

MOVABLE = np.zeros(len(Kind), dtype=np.bool_)
MOVABLE[[Kind.STORAGE, Kind.EV_FLEET, Kind.GENERATOR, Kind.FLEXIBLE_LOAD]] = True
"""Kinds that may be moved by any little; the others know words, or are led by what they heat."""


def _standing(stand: Stand, stays_kw: Floats, rows: Places) -> Standing:
    """How movers stand; everybody else stands where he is expected."""
    at_kw, since_s = stays_kw.copy(), np.full(len(stays_kw), np.inf)
    told_kw = stand.power_kw[rows]
    at_kw[rows] = np.where(np.isnan(told_kw), stays_kw[rows], told_kw)
    switched_s = stand.switched_s[rows]
    since_s[rows] = np.where(np.isnan(switched_s), np.inf, switched_s)
    return Standing(
        power_kw=at_kw,
        since_s=since_s,
        told_kw=np.full(len(stays_kw), np.nan),
        told_s=np.zeros(len(stays_kw)),
        closes_s=np.full(len(stays_kw), np.inf),
    )


def steps_of_movers(park: Park, units: Units) -> Steps:
    """What those can do at all that may be moved; compiled once a park."""
    steps = steps_of(park, units, dead_kw=0.0)
    moved = MOVABLE[units.kind] & ~units.weather_driven
    return replace(
        steps,
        least_kw=np.where(moved, steps.least_kw, 0.0),
        least_on_s=np.where(moved, steps.least_on_s, 0.0),
        least_off_s=np.where(moved, steps.least_off_s, 0.0),
        notice_s=np.zeros(len(units)),
        ramp_kw_per_s=np.where(moved, steps.ramp_kw_per_s, np.inf),
        once=np.zeros(len(units), dtype=np.bool_),
    )


def _under_ceilings(
    tree: Branches, park: Park, ceiling_kw: Mapping[ConnectionPointId, float]
) -> Branches:
    """The tree where connection points draw no more than their ceilings."""
    if not ceiling_kw:
        return tree
    points, *above = tree.levels
    ceilings = [ceiling_kw.get(p.connection_point_id, np.inf) for p in park.connection_points]
    narrowed = replace(points, import_kw=np.minimum(points.import_kw, ceilings))
    return replace(tree, levels=(narrowed, *above))


class _Spread:
    """Moves some of the units, within their ranges and the room of every node."""

    def __init__(self, tree: Branches, expected_kw: Floats, movers: _Movers) -> None:
        self._tree, self._movers = tree, movers
        self.expected_kw = expected_kw
        self.moved_kw = np.full(len(expected_kw), np.nan)

    def shave(self, stores: Bools) -> None:
        """Let storages take from each node what it would draw above its limit or ceiling.

        Node by node, each looking at those behind it alone: with a peak at every gate there are as many as gates.
        """
        movers, tree = self._movers, self._tree
        mine = np.flatnonzero(stores[movers.rows])
        point_of = tree.point_of[movers.rows[mine]]
        at_points = tree.at_points(self.expected_kw)
        nets_kw = [np.append(level.sums(at_points), 0.0) for level in tree.levels]
        exports_kw = [np.append(level.export_kw, np.inf) for level in tree.levels]
        for number, level in enumerate(tree.levels):
            node_of = level.of_point[point_of]
            by_node = np.argsort(node_of, kind="stable")
            excess_kw = -level.import_kw - nets_kw[number][:-1]
            nodes = np.flatnonzero(excess_kw > TOLERANCE_KW)
            starts, ends = (
                np.searchsorted(node_of[by_node], nodes, side=side) for side in ("left", "right")
            )
            for node, start, end in zip(*(a.tolist() for a in (nodes, starts, ends)), strict=True):
                behind = by_node[start:end]
                rows, points = movers.rows[mine[behind]], point_of[behind]
                room_kw = movers.high_kw[mine[behind]] - self.expected_kw[rows]
                for net_kw, export_kw, above in zip(nets_kw, exports_kw, tree.levels, strict=True):
                    at = above.of_point[points]
                    room_kw = np.minimum(room_kw, export_kw[at] - net_kw[at])
                room_kw = np.maximum(room_kw, 0.0)
                total_kw = float(room_kw.sum())
                if total_kw <= TOLERANCE_KW:
                    continue
                more_kw = min(float(excess_kw[node]) / total_kw, 1.0) * room_kw
                moved = room_kw > 0
                self.expected_kw[rows] += more_kw
                self.moved_kw[rows[moved]] = self.expected_kw[rows[moved]]
                for net_kw, above in zip(nets_kw, tree.levels, strict=True):
                    np.add.at(net_kw, above.of_point[points], more_kw)

    def over(
        self,
        rule: Rule,
        chosen: Bools,
        target_kw: float,
        order: Order | None,
        stand: Stand | None,
        period: timedelta,
    ) -> tuple[float, Order]:
        """Let the chosen bring all together to `target_kw`, no node beyond its limit; what is left of it."""
        movers, tree = self._movers, self._tree
        wired = tree.point_of < tree.points
        stays_kw = np.where(wired, self.expected_kw, 0.0)
        rows = movers.rows[chosen]

        def column(values: Floats, others: Floats | float) -> Floats:
            every = np.array(np.broadcast_to(others, stays_kw.shape))
            every[rows] = values[chosen]
            return every

        now_kw = self.expected_kw[movers.rows]
        room = Room(
            base_kw=stays_kw,
            low_kw=column(np.minimum(movers.low_kw, now_kw), stays_kw),
            high_kw=column(np.maximum(movers.high_kw, now_kw), stays_kw),
            cost_up_per_kwh=column(movers.up_per_kwh, 0.0),
            cost_down_per_kwh=column(movers.down_per_kwh, 0.0),
            stored_kwh=column(movers.stored_kwh, np.nan),
            capacity_kwh=column(movers.capacity_kwh, np.nan),
        )
        shared: Shared | Stepped
        if stand is None:
            shared = hand_out_under(tree, rule, room, target_kw, order)
        else:
            shared = hand_out_steps(
                rule,
                room,
                target_kw,
                order,
                steps=stand.steps,
                standing=_standing(stand, stays_kw, rows),
                period_s=period.total_seconds(),
                tree=tree,
            )
        moves = np.abs(shared.power_kw[rows] - stays_kw[rows]) > TOLERANCE_KW
        moved = np.zeros(len(chosen), dtype=np.bool_)
        moved[np.flatnonzero(chosen)[moves]] = True
        self._set(moved, shared.power_kw[rows][moves])
        return shared.left_kw, shared.order

    def _set(self, moved: Bools, power_kw: Floats) -> None:
        rows = self._movers.rows[moved]
        self.expected_kw[rows] = power_kw
        self.moved_kw[rows] = power_kw
