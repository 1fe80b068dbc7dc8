"""What must go where a node of the tree would be over its limit: in proportion, storage first.

    every level at once:  powers ─▶ sums at its nodes ─▶ over? ─▶ each node over scales its own:
                              ▲                                   storage ▸ flexible ▸ the rest ▸ starts
                              └────────── until nothing is over ◀──┘

A node that what is not commanded alone drives over the limit cannot be kept; then commands must not make
it worse. Every cut moves a command towards 0 (or to the least that a machine must keep), so none can leave
a device's own range. No loop goes over units, nor over nodes that hold; groups that are over are taken one
by one, for they share units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vpp.act.branches import Branches, Level, Places, totals
from vpp.act.reach import EVERYBODY, Reach, runnable_kw
from vpp.act.units import TOLERANCE_KW, Bools, Codes, Kind, Units
from vpp.model.horizon import Floats

NOISE = 1e-11
"""Of all ratings of the park: what adding up a million powers in another order may change."""

PASSES = 20
"""Cuts in one node can ask for cuts in another; what is not settled after so many stops."""

LAST = 3
CURTAILED: Mapping[Kind, int] = {
    Kind.STORAGE: 0,
    Kind.EV_FLEET: 1,
    Kind.CONVERTER: 1,
    Kind.GENERATOR: 2,
}
SHED: Mapping[Kind, int] = {
    Kind.STORAGE: 0,
    Kind.THERMAL_ZONE: 1,
    Kind.EV_FLEET: 1,
    Kind.FLEXIBLE_LOAD: 1,
    Kind.CONVERTER: 1,
    Kind.INTERRUPTIBLE_LOAD: 2,
    Kind.CURTAILABLE_LOAD: 2,
}
"""First to last; who is not named is not scaled. Starts of runs wait after all of these."""

IMPORT, EXPORT = -1, 1
"""Sides of a limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """Nodes that are looked at together: all groups, or a level of the tree; M of them."""

    level: Level | None
    """None: the groups."""

    first: int
    """The number of its first node."""

    import_kw: Floats
    """Its own copy: what cannot be kept is spared."""

    export_kw: Floats
    spared: Bools
    """For which nodes that was looked at."""


class _Over(NamedTuple):
    """By how many kW each node of a stage is over, shape (M,); 0 where it holds."""

    low_kw: Floats
    high_kw: Floats

    @property
    def nodes(self) -> Places:
        """Which are."""
        return np.flatnonzero((self.low_kw > 0) | (self.high_kw > 0))


class _Part(NamedTuple):
    """Who can be cut at once for nodes that are over."""

    over: _Over
    at: Places
    """Units that are commanded, in park order."""

    node: Places
    """The place of each one's node in its stage."""


class Cutter:
    """Cuts `power_kw` in place until every node holds, and notes which node cut each unit last."""

    def __init__(self, units: Units, reach: Reach, power_kw: Floats, floor_kw: Floats) -> None:
        """`power_kw` is NaN for who is not commanded; `floor_kw` is what each must keep at least."""
        self._units, self._reach, self._tree = units, reach, units.tree
        self._power_kw, self._floor_kw = power_kw, floor_kw
        self._low_kw, self._high_kw = reach.range_kw(EVERYBODY, power_kw)
        self._commanded = power_kw == power_kw
        still = np.flatnonzero(~self._commanded)
        self._low_kw[still], self._high_kw[still] = reach.still_kw(still)
        self.node = np.full(len(units), -1, dtype=np.int32)
        """The node that cut each last; -1 where none did."""
        self.side = np.zeros(len(units), dtype=np.int8)
        """Which of its limits."""
        self._stages = _stages(units.tree)
        self._at_points = (
            self._tree.at_points(self._low_kw),
            self._tree.at_points(self._high_kw),
        )
        """Lowest and highest net of each connection point."""
        self._tolerance_kw = max(
            TOLERANCE_KW, NOISE * float(units.draw_kw.sum() + units.feed_kw.sum())
        )

    def cut(self) -> None:
        """Until nothing is over its limit; where nothing is, nothing is touched."""
        while True:
            for _ in range(PASSES):
                if not self._pass():
                    return
            if not self._stop():
                return

    # ------------------------------------------------------------ what is over

    def _over(self, stage: _Stage) -> _Over:
        """As the powers stand now."""
        low, high = self._net_kw(stage)
        too_low, too_high = -low - stage.import_kw, high - stage.export_kw
        return _Over(
            low_kw=np.where(too_low > self._tolerance_kw, too_low, 0.0),
            high_kw=np.where(too_high > self._tolerance_kw, too_high, 0.0),
        )

    def _net_kw(self, stage: _Stage) -> tuple[Floats, Floats]:
        """Lowest and highest net of the nodes of a stage, as their limits count it."""
        if stage.level is None:  # what a member feeds makes no room for others
            drawn = self._tree.groups.sums(self._low_kw)
            return drawn, np.zeros_like(drawn)
        low, high = self._at_points
        return stage.level.sums(low), stage.level.sums(high)

    def _spare(self, stage: _Stage, part: _Part) -> bool:
        """Where every command at its least is over a limit still, let that much be the limit.

        Reckoned once for each node, when it is over for the first time. Whether any limit was looked at.
        """
        over, at, node = part
        fresh = over.nodes[~stage.spared[over.nodes]]
        if not fresh.size:
            return False
        now_low, now_high = self._low_kw[at], self._high_kw[at]
        low, high = self._reach.range_kw(at, self._floor_kw[at])
        if stage.level is None:
            now_low, low = np.minimum(now_low, 0.0), np.minimum(low, 0.0)
        net_low, net_high = self._net_kw(stage)
        rest_low = net_low - totals(node, now_low - low, len(net_low))
        rest_high = net_high - totals(node, now_high - high, len(net_high))
        stage.import_kw[fresh] = np.maximum(stage.import_kw, -rest_low)[fresh]
        stage.export_kw[fresh] = np.maximum(stage.export_kw, rest_high)[fresh]
        stage.spared[fresh] = True
        return True

    def _put(self, at: Places, low_kw: Floats, high_kw: Floats) -> None:
        """Let these be the ranges of `at`."""
        point = self._tree.point_of[at]
        for every, now, sums in (
            (self._low_kw, low_kw, self._at_points[0]),
            (self._high_kw, high_kw, self._at_points[1]),
        ):
            np.add.at(sums, point, now - every[at])
            every[at] = now

    # ------------------------------------------------------------ cuts

    def _pass(self) -> bool:
        """Cut once in every node that is over; whether any was."""
        found = False
        for stage in self._stages:
            for part in self._parts(stage):
                found = True
                self._curtail(stage, part)
                self._shed(stage, part)
        return found

    def _stop(self) -> bool:
        """Let everybody behind a node that is over go to his least; whether that changed anything."""
        changed = False
        for stage in self._stages:
            for over, at, node in self._parts(stage):
                side = np.where(over.low_kw[node] > 0, IMPORT, EXPORT).astype(np.int8)
                changed |= self._set(at, self._floor_kw[at], stage.first + node, side)
        return changed

    def _parts(self, stage: _Stage) -> Iterator[_Part]:
        """The nodes of a stage that are over, with all behind them: a level at once, groups one by one."""
        over = self._over(stage)
        if stage.level is None:
            for group in over.nodes.tolist():
                low_kw = np.zeros_like(over.low_kw)
                low_kw[group] = self._over(stage).low_kw[group]  # less, where one before helped
                yield from self._kept(stage, _Over(low_kw, over.high_kw))
        else:
            yield from self._kept(stage, over)

    def _kept(self, stage: _Stage, over: _Over) -> Iterator[_Part]:
        """What of these nodes can be helped by cuts."""
        part = self._part(stage, over)
        if part is not None and self._spare(stage, part):
            now = self._over(stage)
            left = _Over(
                np.where(over.low_kw > 0, now.low_kw, 0.0),
                np.where(over.high_kw > 0, now.high_kw, 0.0),
            )
            part = self._part(stage, left)
        if part is not None:
            yield part

    def _part(self, stage: _Stage, over: _Over) -> _Part | None:
        """Who is commanded behind the nodes that are over; None where none is."""
        nodes = over.nodes
        if not nodes.size:
            return None
        if stage.level is None:
            (group,) = nodes.tolist()
            at = np.sort(self._tree.groups.of(group))
            at = at[self._commanded[at]]
            return _Part(over, at, np.full(len(at), group))
        is_over = np.zeros(len(over.low_kw) + 1, dtype=np.bool_)
        is_over[nodes] = True
        at = self._tree.behind(np.flatnonzero(is_over[stage.level.of_point]))
        at = at[self._commanded[at]]
        return _Part(over, at, stage.level.of_point[self._tree.point_of[at]])

    def _curtail(self, stage: _Stage, part: _Part) -> None:
        excess_kw = part.over.high_kw
        if not excess_kw.any():
            return
        turn = self._turns(part.at, CURTAILED)
        for which in range(LAST):
            excess_kw = self._scale(stage, part, turn == which, excess_kw, EXPORT)

    def _shed(self, stage: _Stage, part: _Part) -> None:
        excess_kw = part.over.low_kw
        if not excess_kw.any():
            return
        turn = self._turns(part.at, SHED)
        for which in range(LAST):
            excess_kw = self._scale(stage, part, turn == which, excess_kw, IMPORT)
        if not excess_kw.any():
            return
        starts = (self._units.kind[part.at] == Kind.SHIFTABLE_RUN) & (self._power_kw[part.at] < 0)
        waits: list[int] = []
        for place in np.flatnonzero(starts)[::-1].tolist():  # the last of the park first
            if excess_kw[part.node[place]] > self._tolerance_kw:
                excess_kw[part.node[place]] += self._low_kw[part.at[place]]
                waits.append(place)
        at, node = part.at[waits], part.node[waits]
        self._set(at, np.zeros(len(at)), stage.first + node, IMPORT)

    def _turns(self, at: Places, turns: Mapping[Kind, int]) -> Codes:
        """When it is the turn of each of `at`; `LAST` for who is not scaled."""
        by_kind = np.array([turns.get(kind, LAST) for kind in Kind], dtype=np.int8)
        return by_kind[self._units.kind[at]]

    def _scale(
        self, stage: _Stage, part: _Part, mine: Bools, excess_kw: Floats, side: int
    ) -> Floats:
        """Take what is over from `mine` of a part, each node from its own in proportion; what is left of it."""
        at, node = part.at[mine], part.node[mine]
        if not at.size or not excess_kw.any():
            return excess_kw
        kw, floor_kw = self._power_kw[at], self._floor_kw[at]
        end_kw = (self._low_kw if side == IMPORT else self._high_kw)[at]
        rest_kw = self._reach.range_kw(at, floor_kw)[0 if side == IMPORT else 1]
        gives_kw = side * (end_kw - rest_kw)  # down to what stays whatever is commanded
        gives_kw = np.where((gives_kw > 0) & (side * kw > 0), gives_kw, 0.0)
        total_kw = totals(node, gives_kw, len(excess_kw))
        share = np.minimum(excess_kw / np.where(total_kw > 0, total_kw, np.inf), 1.0)[node]
        taken = np.flatnonzero((gives_kw > 0) & (share > 0))
        at, kw, share, least_kw = at[taken], kw[taken], share[taken], side * floor_kw[taken]
        size_kw = np.minimum(side * end_kw[taken], side * kw) - gives_kw[taken] * share
        left_kw = np.where(share == 1.0, least_kw, np.maximum(size_kw, least_kw))
        self._set(at, side * left_kw, stage.first + node[taken], side)
        left_over = excess_kw - np.minimum(excess_kw, total_kw)
        return np.where(left_over > self._tolerance_kw, left_over, 0.0)

    def _set(self, at: Places, kw: Floats, node: Places, side: Codes | int) -> bool:
        """Command `at` no more than `kw`, as each of them can run; whether that changed anything."""
        kw = runnable_kw(self._units, at, kw)
        changed = kw != self._power_kw[at]
        at, kw = at[changed], kw[changed]
        self._power_kw[at] = kw
        self.node[at] = node[changed]
        self.side[at] = side if isinstance(side, int) else side[changed]
        self._put(at, *self._reach.range_kw(at, kw))
        return bool(at.size)


def _stages(tree: Branches) -> tuple[_Stage, ...]:
    """The stages that have a limit."""
    groups, stages = tree.groups, []
    if groups.names:
        no_limit = np.full(len(groups.names), np.inf)
        stages.append(_stage(None, 0, groups.import_kw, no_limit))
    first = len(groups.names)
    for level in tree.levels:
        if min(level.import_kw.min(initial=np.inf), level.export_kw.min(initial=np.inf)) < np.inf:
            stages.append(_stage(level, first, level.import_kw, level.export_kw))
        first += len(level.names)
    return tuple(stages)


def _stage(level: Level | None, first: int, import_kw: Floats, export_kw: Floats) -> _Stage:
    return _Stage(
        level=level,
        first=first,
        import_kw=import_kw.copy(),
        export_kw=export_kw.copy(),
        spared=np.zeros(len(import_kw), dtype=np.bool_),
    )
