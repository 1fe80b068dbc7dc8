"""Interior point of trees of several buses: one step a tree, from the leaves to the root and back.

    go          as far as the tree's last step; r from the leaves up, and how good each tree's point is
    affine      up and down the tree: the direction and its reach; sm of the tree (`newton`)
    corrected   up and down again; the shortest reach of all its buses is the tree's step

One column among millions that comes to its bound sets the step for all. So a leaf whose own reach is short
corrects its targets once more, with the prices above held fixed (`local`): its own rows stay exact, and the
small error that this leaves in its parent's row is in the next r. Such errors must not pile up: in a tree
whose bus rows have not come nearer over two iterations no leaf does so until they have. Nor does one where
the products are as small as they have to be and the rows alone are left, nor ever again in a tree that got
stuck: it goes on from where it stands, by the common direction alone.

No product is drawn far below what the tolerance asks for. With products a tenth as small, theta of the columns
inside their bounds and of those at them are 17 digits apart: directions leave rows wrong by more than is
allowed, steps come to nothing, and a tree that was as good as solved ends as stalled.

Trees do not wait for each other: each has its own step and its own end, they share the sweeps alone. A tree
ends by the tests of `alone`, each kind of row of each bus relative to 1 + its sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.alone import EXACT, MOST_ITERATIONS, PATIENCE, End
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.newton import Reach, Sums
from vpp.plan.fleet.shared import joined
from vpp.plan.lp import Deadline

Mask = NDArray[np.bool_]

GAIN = 0.9
"""The sum of products must have fallen to this share within `PATIENCE` iterations."""

STUCK = 5
"""After so many iterations without that leaves do not correct themselves any more, and `PATIENCE` begins anew."""

FEW = 8
"""Buses of a tree up to which no leaf corrects itself: that costs half an iteration, and a short reach holds up few."""

LEAST = 0.8
"""Products are not drawn below this share of what the tolerance asks."""

GOING_ON = -1
"""In place of an `End`."""


class Seen(NamedTuple):
    """What each bus's point is worth, at scaled costs and columns from 0; shape (n,)."""

    cost: Floats
    bound: Floats
    """Its part of the Lagrangian bound."""

    left: Floats
    """The sum of its products."""

    lack: Floats
    """The largest residual of a row, relative to 1 + the sizes in its class of rows on this bus."""

    lack_bus: Floats
    """The same of the bus row alone."""

    lack_dual: Floats
    """The largest |h - zl + zu|, h computed afresh."""


class Sweeps(Protocol):
    """The buses of some trees under way, in numpy or compiled; what has shape (n,) is in the order of `tree`."""

    tree: Ints
    """The tree of each bus, from 0, shape (n,)."""

    columns: Floats
    """How many of each bus the sums are over, shape (n,)."""

    def go(self, reach: Reach, running: Mask) -> Seen:
        """So far along the last direction, shape (n,); buses of trees that have ended may be left out."""
        ...

    def affine(self) -> tuple[Reach, Sums]:
        """How far the affine direction leads, and what it promises."""
        ...

    def corrected(self, sm: Floats, correcting: Mask) -> Reach:
        """The direction to go, with products drawn to `sm`; which leaves may correct themselves."""
        ...

    def write(self, point: Point, duals: Duals) -> None:
        """Where they stand, in the forest's order and units: the last that is asked of them."""
        ...


class Meet(Protocol):
    """What enters all roots beside their own columns (`shared.py`)."""

    @property
    def given_kw(self) -> Floats:
        """What it feeds into the row of each root, shape (T,)."""
        ...

    def feeds(self, answered: Floats, inverse: Callable[[], Floats]) -> Floats:
        """How much more it feeds in the direction that is looked for, shape (T,).

        Args:
            answered: Σ S^-1 of the roots' right sides, shape (T,).
            inverse: Works out Σ S^-1 of the roots, shape (T, T), as it is since the last `go`.
        """
        ...


class Rooted(Sweeps, Protocol):
    """Sweeps whose roots can meet."""

    meet: Meet | None

    @property
    def roots(self) -> Ints:
        """The places of the root buses."""
        ...

    @property
    def prices(self) -> tuple[Floats, Floats]:
        """Duals of the bus rows by place, and their last direction; shapes (places, T)."""
        ...


MakeSweeps: TypeAlias = Callable[[Forest, Ints], Rooted]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tied:
    """What became of some trees."""

    end: Ints
    """An `End` each, shape (trees,)."""

    iterations: Ints
    """Shape (trees,)."""


@dataclass(frozen=True, slots=True)
class SolveTied:
    """Solves trees of several buses by sweeps of one make."""

    grow: MakeSweeps
    """From a forest and the trees to solve, rising, by their place in `forest.trees()`."""

    few: int = FEW
    """Buses of a tree up to which no leaf corrects its targets by itself."""

    def __call__(
        self,
        forest: Forest,
        trees: Ints,
        point: Point,
        duals: Duals,
        *,
        tolerance: float,
        deadline: Deadline,
    ) -> Tied:
        """Solve some trees of a forest.

        Args:
            forest: Every column has finite bounds.
            trees: Which, by their place in `forest.trees()`, rising.
            point: Gets their columns, in the forest's order and units, however they ended.
            duals: Gets their rows' prices.
            tolerance: Of the gap, relative to 1 + |cost| at scaled costs.
            deadline: Trees that are still under way then are late.
        """
        grown = self.grow(forest, trees)
        sweeps: Sweeps = grown
        count = len(trees)
        if forest.shared is not None:
            sweeps, count = joined(grown, forest), 1
        state = _State.of(sweeps, count, self.few)
        reach = Reach(np.zeros(count), np.zeros(count))
        tree = sweeps.tree
        with np.errstate(all="ignore"):  # what breaks is found by its value
            while True:
                running = state.running
                # A tree that broke has no reach that is a number.
                gone = Reach(*(np.where(running, each, 0.0)[tree] for each in reach))
                state.judge(sweeps.go(gone, running[tree]), tolerance)
                if deadline.passed:
                    state.end[state.running] = End.LATE
                if not state.running.any():
                    break
                found, sums = sweeps.affine()
                sm = newton.centre(
                    Reach(*(state.least(each) for each in found)),
                    Sums(*(state.total(each) for each in sums)),
                    state.columns,
                )
                sm = np.maximum(sm, LEAST * tolerance * state.size / (2.0 * state.columns))
                found = sweeps.corrected(sm[tree], state.correcting[tree])
                reach = Reach(*(state.least(each) for each in found))
                state.iterations += state.running
        sweeps.write(point, duals)
        return Tied(
            end=np.broadcast_to(state.end, trees.shape),
            iterations=np.broadcast_to(state.iterations, trees.shape),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _State:
    """Of each tree, shape (trees,)."""

    tree: Ints
    columns: Floats
    end: Ints
    """An `End`, or `GOING_ON`."""

    iterations: Ints
    size: Floats
    """1 + |cost|."""

    best: Floats
    """The least sum of products that counted as progress."""

    since: Ints
    """Iterations since then."""

    near: Mask
    """Whether its products are as small as they have to be."""

    plain: Mask
    """Whether it got stuck with corrections."""

    many: Mask
    """Whether it has so many buses that leaves may correct themselves."""

    lacking: Floats
    """The largest relative residual of its bus rows, now and before the last two steps; (3, trees)."""

    @classmethod
    def of(cls, sweeps: Sweeps, trees: int, few: int) -> _State:
        return cls(
            tree=sweeps.tree,
            columns=np.bincount(sweeps.tree, sweeps.columns, trees).astype(np.float64),
            end=np.full(trees, GOING_ON, dtype=np.int64),
            iterations=np.zeros(trees, dtype=np.int64),
            size=np.ones(trees),
            best=np.full(trees, np.inf),
            since=np.zeros(trees, dtype=np.int64),
            near=np.zeros(trees, dtype=bool),
            plain=np.zeros(trees, dtype=bool),
            many=np.bincount(sweeps.tree, minlength=trees) > few,
            lacking=np.full((3, trees), np.inf),
        )

    @property
    def running(self) -> Mask:
        running: Mask = self.end == GOING_ON
        return running

    @property
    def correcting(self) -> Mask:
        """Where it helps, and bus rows have come nearer over two iterations, or there have not been two."""
        now, _, before = self.lacking
        falling: Mask = (now < before) | (now < EXACT) | (self.iterations < 2)
        return falling & ~self.near & ~self.plain & self.many

    def total(self, values: Floats) -> Floats:
        return np.bincount(self.tree, values, len(self.end)).astype(np.float64)

    def least(self, values: Floats) -> Floats:
        found = np.full(len(self.end), np.inf)
        np.minimum.at(found, self.tree, values)
        return found

    def most(self, values: Floats) -> Floats:
        found = np.zeros(len(self.end))
        np.maximum.at(found, self.tree, values)
        return found

    def judge(self, seen: Seen, tolerance: float) -> None:
        """End the trees that are done, that have not come on, or that are no numbers any more."""
        cost, bound, left = (self.total(each) for each in (seen.cost, seen.bound, seen.left))
        lack, lack_dual = self.most(seen.lack), self.most(seen.lack_dual)
        self.lacking = np.stack([self.most(seen.lack_bus), *self.lacking[:2]])
        self.size = 1.0 + np.abs(cost)
        margin = tolerance * self.size
        self.near = left < 10.0 * margin
        done = self.near & (cost - bound < margin)
        done &= (lack < EXACT) & (lack_dual < EXACT)
        gained = left < GAIN * self.best
        self.best = np.where(gained, left, self.best)
        self.since = np.where(gained, 0, self.since + 1)
        stuck = (self.since >= STUCK) & ~self.plain
        self.plain = self.plain | stuck
        self.since = np.where(stuck, 0, self.since)
        stalled = (self.since >= PATIENCE) | (self.iterations >= MOST_ITERATIONS)
        running = self.running
        self.end[running & stalled] = End.STALLED
        self.end[running & ~np.isfinite(left + lack + lack_dual)] = End.BROKEN
        self.end[running & done] = End.CONVERGED
