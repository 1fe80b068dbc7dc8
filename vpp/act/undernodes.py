"""A share that goes through no node of the tree which is full: what one cannot carry, others do.

    total ─▶ rule among all ─▶ is a feeder over? ─▶ its units share its limit by the rule, and so on
                  ▲                   │                 down to its connection points; they stand fixed
                  └── the others share the rest ◀───────┘      none over: done

The limit of a node comes before the total: where units must draw less, or feed less, than the total
asks, they do, and what is missing is left. Units that are not steered stand in the room with one power
(`low = high`); where they alone drive a node over, everybody else behind it goes to the bound that
helps. Limits are kept with what is likely here; the guard keeps them with the worst.

A node that is over stays full when others are asked for more, since no rule lowers anybody for a higher
total: so it can stand fixed. Groups lie across the tree and know only what is drawn; their members keep
what they were given. The loop is over nodes that are over, never over those that hold, nor over units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Branches, Level, Places, totals
from vpp.act.rules import MEET_HOURS, Order, Room, Rule, Shared, hand_out
from vpp.model.horizon import Floats

PASSES = 50
"""What one node cannot carry can fill another; what is not settled after so many the guard cuts."""

NOISE = 1e-9
"""Of a limit, or of 1 kW: no node is over by that."""


def hand_out_under(
    tree: Branches,
    rule: Rule,
    room: Room,
    total_kw: float,
    order: Order | None = None,
    *,
    meet_hours: float = MEET_HOURS,
) -> Shared:
    """Share `total_kw` by `rule` with every limit of `tree`; see `hand_out`.

    Raises:
        DataError: As `hand_out`.
    """
    everybody, order = np.arange(room.size), order or Order()
    for _ in range(PASSES):
        share = _Share(tree, rule, room, meet_hours)
        power_kw, order = share.among(everybody, total_kw, len(tree.levels), order)
        over = np.flatnonzero(_beyond(-tree.groups.sums(power_kw), tree.groups.import_kw))
        if not len(over):
            break
        low_kw, high_kw = room.low_kw.copy(), room.high_kw.copy()
        for group in over:
            members = tree.groups.of(int(group))
            drawing = members[power_kw[members] < 0]
            limit_kw = -float(tree.groups.import_kw[group])
            given_kw, _ = share.among(drawing, limit_kw, 0, None)
            low_kw[drawing] = high_kw[drawing] = given_kw
        room = replace(room, low_kw=low_kw, high_kw=high_kw)
    left_kw = total_kw - float(power_kw.sum())
    met = abs(left_kw) <= NOISE * max(1.0, abs(total_kw), float(np.abs(power_kw).sum()))
    return Shared(power_kw=power_kw, left_kw=0.0 if met else left_kw, order=order)


@dataclass(frozen=True, slots=True, eq=False)
class _Share:
    """One total among some units, under the lowest levels of the tree."""

    tree: Branches
    rule: Rule
    room: Room
    meet_hours: float

    def among(
        self, units: Places, total_kw: float, levels: int, order: Order | None
    ) -> tuple[Floats, Order]:
        """Powers of `units`, so that none of the `levels` deepest levels is over."""
        room = _only(self.room, units)
        shared = hand_out(self.rule, room, total_kw, order, meet_hours=self.meet_hours)
        power_kw, order = shared.power_kw, shared.order
        full = np.zeros(len(units), dtype=bool)
        for _ in range(PASSES):
            over = self._over(units, power_kw, levels)
            if not over:
                break
            for behind, limit_kw, below in over:
                power_kw[behind], _ = self.among(units[behind], limit_kw, below, None)
                full[behind] = True
            rest = replace(
                room,
                low_kw=np.where(full, power_kw, room.low_kw),
                high_kw=np.where(full, power_kw, room.high_kw),
            )
            shared = hand_out(self.rule, rest, total_kw, order, meet_hours=self.meet_hours)
            power_kw, order = shared.power_kw, shared.order
        return power_kw, order

    def _over(
        self, units: Places, power_kw: Floats, levels: int
    ) -> list[tuple[Places, float, int]]:
        """The nodes that are over on the highest level where any is.

        Of each the places among `units` behind it, the net injection it may have, and how many levels
        lie below it.
        """
        for below in reversed(range(levels)):
            level = self.tree.levels[below]
            node_of = level.of_point[self.tree.point_of[units]]
            net_kw = totals(node_of, power_kw, len(level.names) + 1)[:-1]
            nodes = np.flatnonzero(
                _beyond(net_kw, level.export_kw) | _beyond(-net_kw, level.import_kw)
            )
            if len(nodes):
                return [
                    (behind, _limit_kw(level, int(node), float(net_kw[node])), below)
                    for node, behind in zip(nodes, _behind(node_of, nodes), strict=True)
                ]
        return []


def _behind(node_of: Places, nodes: Places) -> list[Places]:
    by_node = np.argsort(node_of, kind="stable")
    starts = np.searchsorted(node_of[by_node], nodes, side="left")
    ends = np.searchsorted(node_of[by_node], nodes, side="right")
    return [by_node[start:end] for start, end in zip(starts, ends, strict=True)]


def _limit_kw(level: Level, node: int, net_kw: float) -> float:
    return float(level.export_kw[node]) if net_kw > 0 else -float(level.import_kw[node])


def _only(room: Room, units: Places) -> Room:
    if len(units) == room.size:
        return room
    return Room(**{name: getattr(room, name)[units] for name in room.__slots__})


def _beyond(values_kw: Floats, limits_kw: Floats) -> NDArray[np.bool_]:
    slack_kw = NOISE * np.maximum(1.0, np.where(np.isfinite(limits_kw), limits_kw, 0.0))
    return values_kw > limits_kw + slack_kw
