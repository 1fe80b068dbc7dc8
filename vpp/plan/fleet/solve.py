r"""A forest solved, and never believed: what the kernels find is certified, and HiGHS does what they cannot.

    presolve -> kernels, each tree -> certify -> the trees that fail go to HiGHS -> certify -> one way
          \                                          \
           what lacks, as far as bounds say           what lacks, where HiGHS finds no point

What stands before HiGHS is done piece by piece (`pieces.py`).

A tree fails where a row is broken (`certify.FEASIBLE`) or where the gap between its cost and its Lagrangian
bound is above the tolerance, relative to 1 + its cost: what converged does not matter, what is proven does.
`Solved.fallbacks` names the roots of those trees. Of what HiGHS finds only the rows are required: there is
nobody to ask for a better one. Its gap is proven like any other, stands between `Solved.cost` and
`Solved.bound`, and whoever needs it smaller looks there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp.model.schedule import Unsolved
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.certify import CLASSES, Certificate, certify, gathered
from vpp.plan.fleet.elastic import what_lacks
from vpp.plan.fleet.forest import (
    Answer,
    Duals,
    Failed,
    Forest,
    Infeasible,
    Ints,
    Point,
    Solved,
)
from vpp.plan.fleet.oneway import netted, one_way
from vpp.plan.fleet.pick import Mask, Picked, pick
from vpp.plan.fleet.pieces import pieces
from vpp.plan.fleet.presolve import Presolved, presolve
from vpp.plan.fleet.written import by_highs
from vpp.plan.lp import Deadline
from vpp.plan.parts import ALONE, Workers

TOLERANCE = 1e-6
"""The gap that is allowed, relative to 1 + the cost."""

OF_THE_KERNELS = 0.1
"""Share of the tolerance at which kernels stop: repairing a point costs a little."""

NEAR = 1e3
"""A tree whose gap is above the tolerance, but not so many times, is solved again to a smaller one: kernels
measure it against costs without their constant part."""

LOOSE = 0.7
"""Share of the tolerance for a tree that is far off: rounding may have kept it from the last digit, and what
comes after that leads away."""

BROKEN = 1e-6
"""A vertex of HiGHS may break a row by this, relative: it holds rows to an absolute 1e-7."""


class Kernels(Protocol):
    """The structured solver, in numpy or compiled."""

    @property
    def name(self) -> str:
        """How the plan names them: `numpy`, `numba, 2 threads`."""
        ...

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        """Write a point and prices of every tree, the best it has, into `point` and `duals`.

        Returns:
            The iterations that each tree took, in the order of `Forest.trees`.
        """
        ...


def solve_forest(
    forest: Forest,
    *,
    kernels: Kernels,
    deadline: Deadline,
    tolerance: float = TOLERANCE,
    decided_to: float = TOLERANCE,
    workers: Workers = ALONE,
) -> Answer:
    """The cheapest point of a forest, with the proof of how good it is, or why there is none.

    `decided_to` is the gap that is searched for in all trees some of whose stores would go both ways, relative
    to the cost of the forest; it is told, whatever it is.

    Raises:
        DataError: A part or a level has no finite bound.
    """
    began = _by_kernels(forest, kernels, OF_THE_KERNELS, tolerance, deadline)
    if isinstance(began, Infeasible):
        return began
    found, iterations = began
    answer = _proven(forest, found, kernels, tolerance, deadline, workers)
    if not isinstance(answer, _Proven):
        return answer

    def solve(other: Forest) -> Certificate | Infeasible | Failed:
        again = _by_kernels(other, kernels, OF_THE_KERNELS, tolerance, deadline)
        if isinstance(again, Infeasible):
            return again
        theirs = _proven(other, again[0], kernels, tolerance, deadline, workers)
        return theirs.certificate if isinstance(theirs, _Proven) else theirs

    mended = one_way(
        forest,
        answer.certificate,
        solve,
        tolerance=tolerance,
        enough=max(decided_to, tolerance),
        deadline=deadline,
    )
    if isinstance(mended, Failed):
        return mended
    found, dear = mended
    return Solved(
        point=found.point,
        duals=found.duals,
        cost=float(found.cost.sum()),
        bound=float(found.bound.sum()),
        residual=float(found.residual.max(initial=0.0)),
        iterations=int(iterations.max(initial=0)),
        method=f"structured ({kernels.name})",
        fallbacks=tuple(found.roots[answer.fell_back].tolist()),
        decided=tuple(found.roots[dear].tolist()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Proven:
    """An answer that holds, and which trees HiGHS has solved for it."""

    certificate: Certificate
    fell_back: Mask


def _by_kernels(
    forest: Forest, kernels: Kernels, share: float, tolerance: float, deadline: Deadline
) -> tuple[Certificate, Ints] | Infeasible:
    """Piece by piece; the iterations of each tree. What cannot be in any of them is told before one is solved."""
    cut = pieces(forest)
    ready = [presolve(one.forest) for one in cut]
    able = [each for each in ready if isinstance(each, Presolved)]
    if len(able) < len(ready):
        return _impossible(cut, ready)
    iterations = list[Ints]()

    def solved(one: Picked, each: Presolved) -> Certificate:
        point, duals = blank(each.forest)
        iterations.append(
            kernels.solve(each.forest, point, duals, tolerance=share * tolerance, deadline=deadline)
        )
        return _netted_first(one.forest, *each.restore(point, duals), tolerance)

    found = gathered(
        forest, ((one, solved(one, each)) for one, each in zip(cut, able, strict=True))
    )
    return found, np.concatenate(iterations)


def _impossible(cut: Sequence[Picked], ready: Sequence[Presolved | Infeasible]) -> Infeasible:
    """What all pieces lack, the largest first."""
    clashes = [
        one.of_whole(clash)
        for one, each in zip(cut, ready, strict=True)
        if isinstance(each, Infeasible)
        for clash in each.clashes
    ]
    return Infeasible(clashes=tuple(sorted(clashes, key=lambda one: -abs(one.by))))


def _netted_first(forest: Forest, point: Point, duals: Duals, tolerance: float) -> Certificate:
    """Certified without what goes round through stores; where that is not free, as it is.

    The middle of all optima, which an interior point finds, has a little of it everywhere.
    """
    found = certify(forest, netted(forest, point), duals)
    dear = ~found.holds(tolerance)
    if dear.any():
        trees = pick(forest, buses=dear[forest.trees().of])
        as_it_is = certify(trees.forest, *trees.take(point, duals))
        found = found.joined(trees, dear, as_it_is)
    return found


def _proven(
    forest: Forest,
    found: Certificate,
    kernels: Kernels,
    tolerance: float,
    deadline: Deadline,
    workers: Workers,
) -> _Proven | Infeasible | Failed:
    """What is not proven solved again: by the kernels to another tolerance, then by HiGHS."""
    failed = ~found.holds(tolerance)
    near = (failed & found.holds(NEAR * tolerance)) | too_much_together(found, tolerance)
    for which, share in ((near, OF_THE_KERNELS / NEAR), (failed & ~near, LOOSE)):
        if which.any():
            trees = pick(forest, buses=which[forest.trees().of])
            again = _by_kernels(trees.forest, kernels, share, tolerance, deadline)
            if not isinstance(again, Infeasible):
                found = _with_better(forest, found, trees, which, again[0], tolerance)
    failed = ~found.holds(tolerance)
    if failed.any():
        trees = pick(forest, buses=failed[forest.trees().of])
        theirs = _by_highs(trees, deadline, workers)
        if not isinstance(theirs, Certificate):
            return theirs
        found = found.joined(trees, failed, theirs)
    return _Proven(found, failed)


def _with_better(
    forest: Forest,
    found: Certificate,
    trees: Picked,
    which: Mask,
    again: Certificate,
    tolerance: float,
) -> Certificate:
    """With the second answer of some trees, but for those whose first one holds and whose second does not."""
    better = again.holds(tolerance) | ~found.holds(tolerance)[which]
    small = pick(trees.forest, buses=better[trees.forest.trees().of])
    theirs = np.zeros(len(which), dtype=bool)
    theirs[which] = better
    picked = pick(forest, buses=theirs[forest.trees().of])
    return found.joined(picked, theirs, again.of(small, better))


def too_much_together(found: Certificate, tolerance: float) -> Mask:
    """Trees with more than their share of a gap that is too large for all costs together: some earn."""
    gap = found.cost - found.bound
    allowed = tolerance * (1.0 + abs(float(found.cost.sum())))
    above: Mask = found.holds(tolerance) & (gap.sum() > allowed) & (gap * len(gap) > allowed)
    return above


def _by_highs(
    trees: Picked, deadline: Deadline, workers: Workers
) -> Certificate | Infeasible | Failed:
    """What HiGHS finds for some trees: its rows are looked at, its gap is told."""
    answer = by_highs(trees.forest, deadline, workers)
    if isinstance(answer, Unsolved):
        if answer.infeasible:
            return _infeasible(trees, deadline, workers)
        return Failed(reason=answer.reason, roots=_roots(trees))
    found = certify(trees.forest, *answer)
    worst = found.residual.max(axis=0, initial=0.0)
    if not (worst <= BROKEN).all():
        which = int(np.argmax(worst))
        return Failed(
            reason=f"HiGHS breaks a {CLASSES[which]} row by {worst[which]:.1e}, relative",
            roots=_roots(trees, np.logical_not((found.residual <= BROKEN).all(axis=1))),
        )
    return found


def _roots(trees: Picked, which: Mask | None = None) -> tuple[int, ...]:
    """Of trees that were picked, or of some of them, in the whole forest."""
    roots = trees.buses[trees.forest.trees().roots]
    return tuple((roots if which is None else roots[which]).tolist())


def _infeasible(trees: Picked, deadline: Deadline, workers: Workers) -> Infeasible | Failed:
    lacks = what_lacks(trees.forest, deadline, workers)
    if isinstance(lacks, Unsolved):
        return Failed(reason=f"what lacks was not found: {lacks.reason}", roots=_roots(trees))
    if not lacks:
        return Failed(reason="HiGHS finds no point, and nothing lacks", roots=_roots(trees))

    return Infeasible(clashes=tuple(trees.of_whole(one) for one in lacks))
