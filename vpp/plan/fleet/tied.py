"""Interior point of trees of several buses: one step a tree, from the leaves to the root and back.

    measure     r, from the leaves up, and how good each tree's point is
    up, down    the affine direction of all rows of a tree (`branch`) and its reach; sm of the tree (`newton`)
    up, down    the corrector's direction; the shortest reach of all its buses is the tree's step

One column among millions that comes to its bound sets the step for all. So a leaf whose own reach is short
corrects its targets once more, with the prices above held fixed (`local`): its own rows stay exact, and the
small error that this leaves in its parent's row is in the next r. Such errors must not pile up: in a tree
whose bus rows have not come nearer over two iterations no leaf does so until they have.

Trees do not wait for each other: each has its own step and its own end, they share the sweeps alone. A tree
ends by the tests of `alone`, each kind of row of each bus relative to 1 + its sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.alone import EXACT, MOST_ITERATIONS, PATIENCE, End
from vpp.plan.fleet.blocks import Blocks
from vpp.plan.fleet.branch import Branch, Joints, ascend, descend, eliminate, measure, refresh
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.growing import Grown, grow
from vpp.plan.fleet.layout import Rows
from vpp.plan.fleet.local import nudge
from vpp.plan.fleet.newton import Reach, Sums
from vpp.plan.lp import Deadline

GAIN = 0.9
"""The sum of products must have fallen to this share within `PATIENCE` iterations."""

GOING_ON = -1
"""In place of an `End`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tied:
    """What became of some trees."""

    end: Ints
    """An `End` each, shape (trees,)."""

    iterations: Ints
    """Shape (trees,)."""


def solve_tied(
    forest: Forest,
    trees: Ints,
    point: Point,
    duals: Duals,
    *,
    tolerance: float,
    deadline: Deadline,
    correct: bool = True,
) -> Tied:
    """Solve some trees of a forest.

    Args:
        forest: Every column has finite bounds.
        trees: Which, by their place in `forest.trees()`, rising.
        point: Gets their columns, in the forest's order and units, how ever they ended.
        duals: Gets their rows' prices.
        tolerance: Of the gap, relative to 1 + |cost| at scaled costs.
        deadline: Trees that are still under way then have stalled.
        correct: Whether leaves correct their targets by themselves.
    """
    grown = grow(forest, trees)
    state = _State.of(grown)
    branches = grown.branches
    with np.errstate(all="ignore"):  # what breaks is found by its value
        while branches:
            _look(grown.joints, branches, state, tolerance)
            if deadline.passed:
                state.end[state.running] = End.STALLED
            branches = tuple(one for one in branches if state.running[one.tree].any())
            if branches:
                _step(grown.joints, branches, state, correct)
    whole = Blocks(forest=forest, blocks=tuple(one.frame.block for one in grown.branches))
    for one in grown.branches:
        whole.unpack(one.frame.block, one.at.values(), one.y, point, duals)
    return Tied(end=state.end, iterations=state.iterations)


@dataclass(slots=True, kw_only=True, eq=False)
class _State:
    """Of each tree, shape (trees,)."""

    columns: Floats
    end: Ints
    """An `End`, or `GOING_ON`."""

    iterations: Ints
    best: Floats
    """The least sum of products that counted as progress."""

    since: Ints
    """Iterations since then."""

    lacking: Floats
    """The largest relative residual of its bus rows, now and before the last two steps; (3, trees)."""

    @classmethod
    def of(cls, grown: Grown) -> _State:
        trees = grown.trees
        sizes = [np.full(len(one.tree), float(one.at.xl.shape[1])) for one in grown.branches]
        return cls(
            columns=_over(np.add, 0.0, trees, grown.branches, sizes),
            end=np.full(trees, GOING_ON, dtype=np.int64),
            iterations=np.zeros(trees, dtype=np.int64),
            best=np.full(trees, np.inf),
            since=np.zeros(trees, dtype=np.int64),
            lacking=np.full((3, trees), np.inf),
        )

    @property
    def running(self) -> NDArray[np.bool_]:
        running: NDArray[np.bool_] = self.end == GOING_ON
        return running

    def judge(self, done: NDArray[np.bool_], left: Floats, sound: NDArray[np.bool_]) -> None:
        """End the trees that are done, that have not come on, or that are no numbers any more."""
        running = self.running
        gained = left < GAIN * self.best
        self.best = np.where(gained, left, self.best)
        self.since = np.where(gained, 0, self.since + 1)
        stalled = (self.since >= PATIENCE) | (self.iterations >= MOST_ITERATIONS)
        self.end[running & stalled] = End.STALLED
        self.end[running & ~sound] = End.BROKEN
        self.end[running & done] = End.CONVERGED


def _over(
    ufunc: np.ufunc, start: float, trees: int, branches: Sequence[Branch], values: Sequence[Floats]
) -> Floats:
    """Sums or extremes over the buses of each tree, shape (trees,)."""
    found = np.full(trees, start)
    for one, value in zip(branches, values, strict=True):
        ufunc.at(found, one.tree, value)
    return found


def _look(joints: Joints, branches: Sequence[Branch], state: _State, tolerance: float) -> None:
    """Measure every point and judge its tree."""
    trees = len(state.end)
    joints.clear()
    for one in branches:
        measure(one, joints)
    cost, bound, left = _sums(trees, branches)
    near = left < 10.0 * tolerance * (1.0 + np.abs(cost))
    if near.any():
        for one in branches:
            if near[one.tree].any():
                refresh(one, joints)
        cost, bound, left = _sums(trees, branches)
    lack, lack_bus, lack_dual = (
        _over(np.maximum, 0.0, trees, branches, each)
        for each in (
            [one.lack for one in branches],
            [one.lack_bus for one in branches],
            [newton.dual_residual(one.at) for one in branches],
        )
    )
    state.lacking = np.stack([lack_bus, *state.lacking[:2]])
    margin = tolerance * (1.0 + np.abs(cost))
    done = near & (cost - bound < margin) & (lack < EXACT) & (lack_dual < EXACT)
    state.judge(done, left, np.isfinite(left + lack + lack_dual))


def _sums(trees: int, branches: Sequence[Branch]) -> list[Floats]:
    values = [_values(one) for one in branches]
    return [_over(np.add, 0.0, trees, branches, [each[i] for each in values]) for i in range(3)]


def _values(one: Branch) -> tuple[Floats, Floats, Floats]:
    """Cost, Lagrangian bound and sum of products of each bus, at scaled costs and columns from 0."""
    block, at = one.frame.block, one.at
    cost = np.einsum("bc,bc->b", block.c, at.values())
    bound = np.einsum("bc,bc->b", np.minimum(at.h, 0.0), block.u)
    for right, y in zip(block.right, one.y, strict=True):
        bound += (right * y).sum(axis=tuple(range(1, y.ndim)))
    return cost, bound, newton.products(at)


def _step(joints: Joints, branches: Sequence[Branch], state: _State, correct: bool) -> None:
    trees = len(state.end)
    for one in branches:
        newton.weigh(one.at, one.work)
        eliminate(one, joints)
    _direct(joints, branches)
    found = [newton.predict(one.at, one.work) for one in branches]
    reach = _shortest(trees, branches, [each for each, _ in found])
    sums = Sums(
        *(_over(np.add, 0.0, trees, branches, [each[i] for _, each in found]) for i in range(3))
    )
    sm = newton.centre(reach, sums, state.columns)
    for one in branches:
        newton.aim(one.at, one.work, sm[one.tree])
    dys = _direct(joints, branches)
    reaches = [newton.correct(one.at, one.work) for one in branches]
    if correct:
        falling = (state.lacking[0] < state.lacking[2]) | (state.lacking[0] < EXACT)
        falling |= state.iterations < 2
        for i, (one, dy) in enumerate(zip(branches, dys, strict=True)):
            if one.inner is None:
                reaches[i] = nudge(one, joints, dy, reaches[i], sm[one.tree], falling[one.tree])
    reach = _shortest(trees, branches, reaches)
    for one, dy in zip(branches, dys, strict=True):
        _advance(
            one, joints, dy, Reach(*(each[one.tree] for each in reach)), state.running[one.tree]
        )
    state.iterations += state.running


def _direct(joints: Joints, branches: Sequence[Branch]) -> list[Rows]:
    """Up and down: dy of every branch; A'dy stands in its work."""
    joints.asked[...] = 0.0
    for one in branches:
        ascend(one, joints)
    return [descend(one, joints) for one in reversed(branches)][::-1]


def _shortest(trees: int, branches: Sequence[Branch], reaches: Sequence[Reach]) -> Reach:
    return Reach(
        *(_over(np.minimum, 1.0, trees, branches, [each[i] for each in reaches]) for i in range(2))
    )


def _advance(
    one: Branch, joints: Joints, dy: Rows, reach: Reach, running: NDArray[np.bool_]
) -> None:
    if not running.all():
        # Neighbours in a branch whose tree has ended: their direction may be no number at all.
        for change in (one.work.dx, one.work.e, one.work.f, one.work.aty, *dy):
            change[~running] = 0.0
    newton.advance(one.at, one.work, reach)
    for y, change in zip(one.y, dy, strict=True):
        y += reach.dual.reshape(-1, *[1] * (y.ndim - 1)) * change
    joints.w[one.place] = one.y.bus
