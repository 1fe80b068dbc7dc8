"""Trees of several buses swept over by compiled kernels: the twin of `fleet/growing.py` (`tied.Sweeps`).

Each worker has its own stretch of a level's buses and its own sums of what they hand up: nothing is written
by two, and the sums are added in the same order whoever is first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.blocks import Block, Blocks
from vpp.plan.fleet.dense import inverse_of
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.growing import Places, levels, places
from vpp.plan.fleet.jitted.branch import (
    AFFINE,
    AIM,
    BEGIN,
    CORRECT,
    Asked,
    Kept,
    Meeting,
    sweep,
)
from vpp.plan.fleet.jitted.crossing import Cross, cross_of
from vpp.plan.fleet.jitted.room import (
    LINE,
    SIDE_BY_SIDE,
    Numbers,
    Room,
    Sizes,
    grouped,
    numbers_of,
    room_of,
    sizes_of,
)
from vpp.plan.fleet.kernels import Together
from vpp.plan.fleet.newton import Reach, Sums
from vpp.plan.fleet.tied import Mask, Meet, Seen, SolveTied
from vpp.plan.parts import Workers

AT_ONCE = 16
"""Buses whose start is made together, and whose end is written: what that needs stays small, however many."""


def compiled_tied(workers: Workers) -> Together:
    """Trees by compiled kernels, for so many workers."""
    return SolveTied(lambda forest, trees: CompiledBranches.of(forest, trees, workers))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """A block of buses of one depth, and the stretch of each worker."""

    block: Block
    n: Sizes
    of: Numbers
    kept: Kept
    stretches: tuple[tuple[int, int], ...]
    rooms: tuple[tuple[Room, Cross], ...]

    def some(self, meeting: Meeting, phase: int, asked: Asked, hand: int) -> None:
        """What one worker does."""
        first, stop = self.stretches[hand]
        room, cross = self.rooms[hand]
        sweep(self.n, self.of, self.kept, meeting, first, stop, phase, asked, room, cross)


@dataclass(slots=True, kw_only=True, eq=False)
class CompiledBranches:
    """All buses of some trees under way."""

    forest: Forest
    workers: Workers
    tree: Ints
    columns: Floats
    levels: tuple[Level, ...]
    meeting: Meeting
    shared: tuple[tuple[int, int], ...]
    """Slots of a parent whose children several workers have: from, into its own."""

    asked: Asked
    meet: Meet | None = None
    """As `tied.Rooted` has it."""

    @classmethod
    def of(cls, forest: Forest, trees: Ints, workers: Workers) -> CompiledBranches:
        """Pack the buses of some trees, by their place in `forest.trees()`, rising."""
        known = places(forest, trees)
        tree = known.tree[known.tree >= 0]
        inner = int((known.inner >= 0).sum())
        shared: list[tuple[int, int]] = []
        found = tuple(
            _level(block, known, workers, inner, shared) for block in levels(forest, known)
        )
        columns = np.zeros(len(tree))
        for one in found:
            columns[one.kept.place] = np.count_nonzero(one.block.u > 0, axis=1)
        t, slots = forest.steps, inner + len(shared)
        return cls(
            forest=forest,
            workers=workers,
            tree=tree,
            columns=columns,
            levels=found,
            meeting=Meeting(
                w=np.zeros((len(tree) + 1, t)),
                dw=np.zeros((len(tree) + 1, t)),
                matrix=np.zeros((slots, t, t)),
                through=np.zeros((slots, t)),
                asked=np.zeros((slots, t)),
            ),
            shared=tuple(shared),
            asked=Asked(
                running=np.ones(len(tree)),
                gone=np.zeros((2, len(tree))),
                sm=np.zeros(len(tree)),
                correcting=np.zeros(len(tree)),
                roots_meet=forest.shared is not None,
            ),
        )

    def go(self, reach: Reach, running: Mask) -> Seen:
        """As `tied.Sweeps` has it; factors as well."""
        # Children look at their parents' prices before those are swept over.
        self.meeting.w[:-1][running] += (reach.dual[:, None] * self.meeting.dw[:-1])[running]
        self.asked = self.asked._replace(running=running.astype(np.float64), gone=np.stack(reach))
        self._up(BEGIN)
        seen = np.zeros((len(Seen._fields), len(self.tree)))
        for one in self.levels:
            seen[:, one.kept.place] = one.kept.seen.T
        return Seen(*(seen * running))

    def affine(self) -> tuple[Reach, Sums]:
        """As `tied.Sweeps` has it."""
        told = self._down(AFFINE)
        return Reach(*told[:2]), Sums(*told[2:])

    def corrected(self, sm: Floats, correcting: Mask) -> Reach:
        """As `tied.Sweeps` has it."""
        self.asked = self.asked._replace(sm=sm, correcting=correcting.astype(np.float64))
        self._up(AIM)
        return Reach(*self._down(CORRECT)[:2])

    @property
    def roots(self) -> Ints:
        """As `tied.Rooted` has it."""
        return np.concatenate([one.kept.place[one.kept.slot < 0] for one in self.levels])

    @property
    def prices(self) -> tuple[Floats, Floats]:
        """As `tied.Rooted` has it."""
        return self.meeting.w, self.meeting.dw

    def write(self, point: Point, duals: Duals) -> None:
        """As `tied.Sweeps` has it; nothing can be asked of them any more."""
        whole = Blocks(forest=self.forest, blocks=tuple(one.block for one in self.levels))
        known = [(one.block, one.kept.at, one.kept.rows[:, 0, : one.n.rows]) for one in self.levels]
        self.levels = ()  # the factors leave the memory before the point needs its room
        for block, at, rows in known:
            for first in range(0, len(block.bus), AT_ONCE):
                some = slice(first, first + AT_ONCE)
                part = block.take(some)
                x = np.minimum(at[some, 0], part.u)
                whole.unpack(part, x, grouped(part.layout, rows[some]), point, duals)

    def _up(self, phase: int) -> None:
        sums = [self.meeting.asked]
        if phase == BEGIN:
            sums += [self.meeting.matrix, self.meeting.through]
        for each in sums:
            each[...] = 0.0
        if phase == BEGIN and self.meet is not None:
            self.meeting.through[self._slots] += self.meet.given_kw
        for one in self.levels:
            self._sweep(one, phase)
            # What other workers' children handed up joins their parent's own.
            for other, own in self.shared:
                for each in sums:
                    each[own] += each[other]
                    each[other] = 0.0

    def _down(self, phase: int) -> Floats:
        told = np.ones((5, len(self.tree)))
        if self.meet is not None:
            answered = self.meeting.dw[self.roots].sum(axis=0)
            self.meeting.asked[self._slots] -= self.meet.feeds(answered, self._inverse)
        for one in reversed(self.levels):
            self._sweep(one, phase)
            told[:, one.kept.place] = one.kept.told.T
        return told

    @property
    def _slots(self) -> Ints:
        """Where the children of each root meet."""
        return np.concatenate([one.kept.inner[one.kept.slot < 0] for one in self.levels])

    def _inverse(self) -> Floats:
        """Σ S^-1 of the roots, shape (T, T): nothing hangs there that has rows in S of its own."""
        t = self.forest.steps
        found = np.zeros((t, t))
        for one in self.levels:
            for s in one.kept.s[one.kept.slot < 0][:, :t, :t]:
                upper = np.triu(s, 1)
                np.fill_diagonal(upper, 1.0 / np.diag(s))  # `dense.factor` keeps 1/U_kk
                found += inverse_of(upper)
        return found

    def _sweep(self, level: Level, phase: int) -> None:
        begun = [
            self.workers.begin(partial(level.some, self.meeting, phase, self.asked, hand))
            for hand in range(len(level.stretches))
        ]
        for answer in begun:
            answer()


def _level(
    block: Block, known: Places, workers: Workers, inner: int, shared: list[tuple[int, int]]
) -> Level:
    count = len(block.bus)
    hands = min(workers.count, count)
    cuts = [count * hand // hands for hand in range(hands + 1)]
    stretches = tuple(pairwise(cuts))
    slot = known.upper[block.bus].copy()
    seen: set[int] = set()
    for first, stop in stretches:
        theirs = slot[first:stop]
        for parent in np.unique(theirs[theirs >= 0]).tolist():
            if parent in seen:
                theirs[theirs == parent] = inner + len(shared)
                shared.append((inner + len(shared), parent))
            seen.add(parent)
    n = sizes_of(block.layout)
    right = np.concatenate([group.reshape(count, -1) for group in block.right], axis=1)
    block = block.with_right(grouped(block.layout, right))
    return Level(
        block=block,
        n=n,
        of=numbers_of(block),
        kept=_kept(block, n, right, known, slot),
        stretches=stretches,
        rooms=tuple((room_of(n), cross_of(n)) for _ in stretches),
    )


def _kept(block: Block, n: Sizes, right: Floats, known: Places, slot: Ints) -> Kept:
    count, t = len(block.bus), n.steps
    held = np.zeros((count, 7, n.columns))
    for first in range(0, count, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        at = newton.start(block.u[some], block.c[some])
        for i, values in enumerate((at.xl, at.xu, at.zl, at.zu)):
            held[some, i] = values
    fours = -(-n.stores // SIDE_BY_SIDE) * SIDE_BY_SIDE
    dense = t + n.days
    return Kept(
        u=block.u,
        c=block.c,
        right=right,
        up=block.up,
        at=held,
        rows=np.zeros((count, 3, n.rows)),
        chains=np.zeros((count, 3, fours, t)),
        s=np.zeros((count, dense, -(-dense // LINE) * LINE)),
        draw=np.zeros((count, n.budgets, t)),
        beta=np.zeros((count, n.budgets)),
        near=np.zeros((count, n.peaks, t)),
        free=np.zeros((count, n.peaks, n.intervals)),
        before=np.zeros((count, n.peaks, n.intervals + 1)),
        reach=np.zeros((count, n.days, t)),
        seen=np.zeros((count, 6)),
        told=np.zeros((count, 5)),
        place=known.place[block.bus],
        above=known.above[block.bus],
        inner=known.inner[block.bus],
        slot=slot,
    )
