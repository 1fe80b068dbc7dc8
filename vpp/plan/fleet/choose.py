"""What solves the linear programmes behind a plan: HiGHS, or the fleet's structured solver, or each its trees.

    highs        HiGHS, whatever the size
    structured   every tree that fits a forest of buses goes to the structured solver, the others to HiGHS
    auto         the same where a programme is large enough for its horizon (`auto.py`), HiGHS below

HiGHS gives a vertex, at which ties can be broken, futures hedged and curves drawn; it is the quicker one
where a programme is small. The structured solver comes from the inside: it is proven to a gap, and of plans
that cost the same it gives a mixture.

Trees in which stores keep reserve are no forest's, and have a solver of their own (`headroom/`), in numpy.
Where some trees have no plan, the others are asked about without them. It is not believed: what does not keep its
rows, or whose cost is above its bound by more than is allowed, goes to HiGHS and is counted (`known.py`). Asked again
with some columns held (`search.one_way` forbids, decisions are taken), trees in which no bound has changed keep the
answer they had. From the plan before so do those that are as they were, where that is `kept` (`kept.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.schedule import HowSolved, Unsolved
from vpp.plan.fleet.auto import against, least_columns
from vpp.plan.fleet.fit import Fitted, NoFit, fit
from vpp.plan.fleet.fitting.ledger import Bools
from vpp.plan.fleet.fitting.words import words
from vpp.plan.fleet.forest import Answer, Failed, Forest, Infeasible, Solved
from vpp.plan.fleet.headroom.solve import kept_reserve
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.known import NO_PLAN, NOBODY, Known, believed, completed, with_reserve
from vpp.plan.fleet.solve import Kernels, solve_forest
from vpp.plan.lp import Begun, Deadline, LpAnswer, begin_lp, held
from vpp.plan.parts import Workers
from vpp.plan.problem import Method
from vpp.plan.programme import Ints, Programme

TOLERANCE = 1e-6
"""Gap of a tree that is asked for, relative to 1 + its cost."""


@dataclass(slots=True)
class Chooser:
    """Solves one programme, time and again, with other columns held."""

    programme: Programme
    method: Method
    kernels: Kernels
    kept: Kept | None = None
    """What the process has from its plan before."""

    most_gap: float = 0.0
    """Relative gap that may be left where a few buses are planned with the others held, or ways are decided."""

    _known: tuple[Floats, Floats, Known] | None = field(default=None, init=False)
    """Bounds, and what was found under them."""

    def begin(self, fixed: Mapping[int, float], deadline: Deadline, workers: Workers) -> Begun:
        """Let `workers` begin it with some columns held, all others continuous."""
        lower, upper = held(self.programme, fixed)
        least = least_columns(self.programme)
        if why := against(self.method, int((lower < upper).sum()), least):
            begun = begin_lp(self.programme, fixed, deadline, workers)
            return Begun(begun.parts, lambda: _told(begun.answer(), HowSolved(why=why)))
        return Begun(1, lambda: self._structured(dict(fixed), lower, upper, deadline, workers))

    def solve(self, fixed: Mapping[int, float], deadline: Deadline, workers: Workers) -> LpAnswer:
        """Solve it with some columns held, all others continuous."""
        return self.begin(fixed, deadline, workers).answer()

    def _structured(
        self,
        fixed: dict[int, float],
        lower: Floats,
        upper: Floats,
        deadline: Deadline,
        workers: Workers,
    ) -> LpAnswer:
        kept = self.kept if self._known is None else None
        answer = self._asked(fixed, lower, upper, kept, deadline, workers)
        held = self._known is not None and self._known[2].held
        if not held or isinstance(answer, Unsolved) or answer.how.gap <= self.most_gap:
            return answer
        # In the programme's own columns too little is proven.
        self._known = None
        return self._asked(fixed, lower, upper, None, deadline, workers)

    def _asked(
        self,
        fixed: dict[int, float],
        lower: Floats,
        upper: Floats,
        kept: Kept | None,
        deadline: Deadline,
        workers: Workers,
    ) -> LpAnswer:
        known = self._unchanged(lower, upper)
        rows = len(self.programme.row_lower)
        asked = np.ones(len(lower), dtype=bool) if known is None else known.tree[rows:] == NOBODY
        reserve, gave_up = self._with_reserve(lower, upper, asked, deadline)
        if isinstance(reserve, Known):
            known = reserve if known is None else known.with_more(reserve)
            asked &= reserve.tree[rows:] == NOBODY
        more, given_up = self._more(lower, upper, asked, kept, deadline, workers)
        gave_up += given_up
        if isinstance(more, str):
            why = f"{more}; {reserve}" if isinstance(reserve, str) and reserve else more
            if known is None:
                begun = begin_lp(self.programme, fixed, deadline, workers)
                return _told(begun.answer(), HowSolved(why=why, fallbacks=gave_up))
        else:
            known = more if known is None else known.with_more(more)
        self._known = (lower, upper, known)
        return completed(self.programme, known, gave_up, fixed, lower, upper, deadline, workers)

    def _with_reserve(
        self, lower: Floats, upper: Floats, asked: Bools, deadline: Deadline
    ) -> tuple[Known | str, int]:
        """What is found of trees in which stores keep reserve, and how many of them are given up.

        Or what keeps them from being asked about, in the words of the park file; empty where there are none.
        """
        if not self.programme.fleet.reserve:
            return "", 0
        found = kept_reserve(self.programme, lower, upper, asked, deadline)
        said = words(self.programme, found.strange, np.zeros(0, dtype=np.int64))
        why = f"beside reserve: {', '.join(said)}" if said else ""
        known, gave_up = with_reserve(found, why)
        return (why if known is None else known), gave_up

    def _more(
        self,
        lower: Floats,
        upper: Floats,
        asked: Bools,
        kept: Kept | None,
        deadline: Deadline,
        workers: Workers,
    ) -> tuple[Known | str, int]:
        """What is found of the trees of some columns, and how many of them are given up; or why nothing is.

        Trees that have no plan are left out, and the others asked about again.
        """
        without, rows = 0, len(self.programme.row_lower)
        while True:
            found = fit(self.programme, lower, upper, asked)
            if isinstance(found, NoFit):
                return NO_PLAN if without else f"no tree fits: {found.words}", without
            answer, before = self._answer(found.forest, kept, deadline, workers)
            if isinstance(answer, Solved):
                known, gave_up = believed(found, answer, before)
                return known, gave_up + without
            bad = _without(found, answer)
            if bad.all or deadline.passed:
                return NO_PLAN, without + len(found.forest.trees().roots)
            without += len(bad.trees)
            asked, kept = asked & ~np.isin(found.tree[rows:], bad.trees), None

    def _answer(
        self, forest: Forest, kept: Kept | None, deadline: Deadline, workers: Workers
    ) -> tuple[Answer, bool]:
        """What is found of a forest, and whether some of it is from the plan before."""
        solve = partial(
            solve_forest,
            kernels=self.kernels,
            deadline=deadline,
            tolerance=TOLERANCE,
            decided_to=self.most_gap,
            workers=workers,
        )
        if kept is None:
            return solve(forest), False
        return kept.answer(forest, solve=solve, most_gap=self.most_gap)

    def _unchanged(self, lower: Floats, upper: Floats) -> Known | None:
        """What is known of trees in which no bound has changed."""
        if self._known is None:
            return None
        was_lower, was_upper, known = self._known
        changed = (lower != was_lower) | (upper != was_upper)
        # What is held at another value is in no tree, but in the rows of some.
        moved = abs(self.programme.matrix) @ changed.astype(float) > 0
        gone = known.tree[np.concatenate([moved, changed])]
        left = np.setdiff1d(np.unique(known.tree), np.append(gone, NOBODY))
        return known.only(left) if len(left) else None


@dataclass(frozen=True, slots=True)
class _Without:
    """Nothing was found, because of some of the programme's trees."""

    trees: Ints

    all: bool
    """Whether there are no others."""


def _without(found: Fitted, answer: Infeasible | Failed) -> _Without:
    """Whose fault it is that there is no plan: everybody's, where that is not told."""
    trees = found.forest.trees()
    if isinstance(answer, Infeasible):
        buses = np.array([one.bus for one in answer.clashes], dtype=np.int64)
        roots = np.unique(trees.roots[trees.of[buses]])
    else:
        roots = np.array(answer.roots, dtype=np.int64)
    bad = found.of_roots(roots.tolist())
    return _Without(bad, len(roots) in (0, len(trees.roots)) or not len(bad))


def _told(answer: LpAnswer, how: HowSolved) -> LpAnswer:
    return answer if isinstance(answer, Unsolved) else replace(answer, how=how)
