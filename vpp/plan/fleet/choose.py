"""What solves the linear programmes behind a plan: HiGHS, or the fleet's structured solver, or each its trees.

    highs        HiGHS, whatever the size
    structured   every tree that fits a forest of buses goes to the structured solver, the others to HiGHS
    auto         the same from `LEAST_COLUMNS` free columns on, HiGHS below

HiGHS gives a vertex, at which ties can be broken, futures hedged and curves drawn; it is the quicker one
where a programme is small. The structured solver comes from the inside: it is proven to a gap, and of plans
that cost the same it gives a mixture.

Trees in which stores keep reserve are no forest's, and have a solver of their own (`headroom/`), in numpy.
Where some trees have no plan, the others are asked about without them. It is not believed: what does not keep its rows, or whose cost is above its bound by more than is allowed,
goes to HiGHS and is counted. Asked again with some columns held (`search.one_way` forbids, decisions are
taken), trees in which no bound has changed keep the answer they had. From the plan before so do those that are
as they were, where that is `kept` (`kept.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.schedule import HowSolved, Unsolved
from vpp.plan.fleet.back import back
from vpp.plan.fleet.fit import Fitted, NoFit, fit
from vpp.plan.fleet.fitting.ledger import Bools
from vpp.plan.fleet.fitting.words import words
from vpp.plan.fleet.forest import Answer, Failed, Forest, Infeasible, Solved
from vpp.plan.fleet.headroom.solve import METHOD, kept_reserve
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.solve import Kernels, solve_forest
from vpp.plan.lp import Begun, Deadline, LpAnswer, LpSolution, begin_lp, held
from vpp.plan.parts import Narrow, Workers
from vpp.plan.problem import Method
from vpp.plan.programme import Ints, LinearProgramme, Programme

LEAST_COLUMNS = 50_000
"""From how many free columns on `auto` asks the structured solver."""

LEAST_TOGETHER = 200_000
"""The same of several futures with something in common (`plan/together.py`)."""

TOLERANCE = 1e-6
"""Gap of a tree that is asked for, relative to 1 + its cost."""

GOOD = 3e-6
"""Gap of a tree that is good enough once it is in the programme's own columns."""

EXACT = 1e-6
"""How well rows must hold, relative to 1 and the sizes in them."""

LEAST = 1e-300
"""So that nothing is divided by nothing."""

EVERY_FITS = "every tree fits"

AS_BEFORE = "only what differs from the plan before was solved"
"""Said beside why it is that solver."""

OTHERS_HELD = "only what differs from the plan before was solved, with the others held"

NO_PLAN = "the structured solver found no plan"
"""Why HiGHS has all that was asked about."""

NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Known:
    """Answers of some trees, in the programme's columns and rows."""

    tree: Narrow
    """Of each row, then of each column; `NOBODY` where nothing is known."""

    x: Floats
    row_marginals: Floats
    column_marginals: Floats
    lost: Floats
    """Cost of each tree less its bound, shape (trees,)."""

    left_to_highs: Bools
    """Which trees the structured solver gave up and has from HiGHS, shape (trees,)."""

    held: bool
    """Whether of some trees only a part was planned, with the others held."""

    residual: float
    iterations: int
    method: str
    why: str

    def only(self, trees: Ints) -> _Known:
        """What is known of some trees."""
        good = np.zeros(len(self.lost) + 1, dtype=bool)  # the last is nobody's
        good[trees] = True
        return replace(self, tree=np.where(good[self.tree], self.tree, NOBODY))

    def with_more(self, more: _Known) -> _Known:
        """Both, where no tree is in both."""
        mine = self.tree == NOBODY
        rows = len(self.row_marginals)
        here, there = mine[:rows], mine[rows:]
        tree = np.where(mine & (more.tree != NOBODY), more.tree + len(self.lost), self.tree)
        also = more.method not in self.method
        return replace(
            more,
            tree=tree,
            method=f"{self.method}, {more.method}" if also else self.method,
            x=np.where(there, more.x, self.x),
            row_marginals=np.where(here, more.row_marginals, self.row_marginals),
            column_marginals=np.where(there, more.column_marginals, self.column_marginals),
            lost=np.concatenate([self.lost, more.lost]),
            left_to_highs=np.concatenate([self.left_to_highs, more.left_to_highs]),
            held=self.held or more.held,
            residual=max(self.residual, more.residual),
            iterations=max(self.iterations, more.iterations),
        )


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

    _known: tuple[Floats, Floats, _Known] | None = field(default=None, init=False)
    """Bounds, and what was found under them."""

    def begin(self, fixed: Mapping[int, float], deadline: Deadline, workers: Workers) -> Begun:
        """Let `workers` begin it with some columns held, all others continuous."""
        lower, upper = held(self.programme, fixed)
        if why := against(self.method, int((lower < upper).sum()), LEAST_COLUMNS):
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
        if isinstance(reserve, _Known):
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
        return _completed(self.programme, known, gave_up, fixed, lower, upper, deadline, workers)

    def _with_reserve(
        self, lower: Floats, upper: Floats, asked: Bools, deadline: Deadline
    ) -> tuple[_Known | str, int]:
        """What is found of trees in which stores keep reserve, and how many of them are given up.

        Or what keeps them from being asked about, in the words of the park file; empty where there are none.
        """
        if not self.programme.fleet.reserve:
            return "", 0
        found = kept_reserve(self.programme, lower, upper, asked, deadline)
        said = words(self.programme, found.strange, np.zeros(0, dtype=np.int64))
        why = f"beside reserve: {', '.join(said)}" if said else ""
        if found.answer is None:
            return why, found.given_up
        came, mine = found.answer, np.concatenate([found.rows, found.columns])
        lost = np.maximum(came.cost - came.bound, 0.0)
        good = (lost <= GOOD * (1 + np.abs(came.cost))) & (came.residual <= EXACT)
        every = np.unique(found.tree[mine])
        held_trees = every[good[every]]
        if not len(held_trees):
            return why, len(every)
        known = _Known(
            tree=np.where(mine, found.tree, NOBODY),
            x=came.x,
            row_marginals=came.row_marginals,
            column_marginals=came.column_marginals,
            lost=np.where(np.isfinite(lost), lost, 0.0),
            left_to_highs=np.zeros(len(lost), dtype=bool),
            held=False,
            residual=float(came.residual[held_trees].max(initial=0.0)),
            iterations=found.iterations,
            method=METHOD,
            why=why,
        )
        return known.only(held_trees), len(every) - len(held_trees)

    def _more(
        self,
        lower: Floats,
        upper: Floats,
        asked: Bools,
        kept: Kept | None,
        deadline: Deadline,
        workers: Workers,
    ) -> tuple[_Known | str, int]:
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
                known, gave_up = _believed(found, answer, before)
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

    def _unchanged(self, lower: Floats, upper: Floats) -> _Known | None:
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


def against(method: Method, count: int, least: int) -> str:
    """Why HiGHS has all of so many free columns; empty where it has not."""
    if method is Method.HIGHS:
        return "the park file says so"
    if method is Method.AUTO and count < least:
        return f"auto: {count} columns, fewer than {least}"
    return ""


@dataclass(frozen=True, slots=True)
class _Without:
    """Nothing was found, because of some of the programme's trees."""

    trees: Ints

    all: bool
    """Whether there are no others."""


def _believed(found: Fitted, answer: Solved, before: bool) -> tuple[_Known, int]:
    """What the programme confirms of an answer, and how many trees it does not."""
    came = back(found, answer)
    mine = np.concatenate([found.rows, found.columns])
    every = np.unique(found.tree[mine])
    lost = np.maximum(came.cost - came.bound, 0.0)
    good = lost <= GOOD * (1 + np.abs(came.cost))
    held = found.of_roots(answer.held)
    good[held] = np.isfinite(lost[held])  # looked at where they came from the plan before
    if answer.decided:
        # Their bound is of the problem without burning, which these prices do not prove: the solver's does.
        decided = found.of_roots(answer.decided)
        good[decided] = np.isfinite(lost[decided])
        # It is told of all trees together. None has less than nothing, so these have no more than that.
        told = max(answer.cost - answer.bound, 0.0)
        lost[decided] *= min(1.0, told / max(lost[decided][good[decided]].sum(), LEAST))
    good &= came.residual <= EXACT
    held_trees = every[good[every]]
    left_to_highs = np.zeros(len(lost), dtype=bool)
    left_to_highs[found.of_roots(answer.fallbacks)] = True
    known = _Known(
        tree=np.where(mine, found.tree, NOBODY),
        x=came.x,
        row_marginals=came.row_marginals,
        column_marginals=came.column_marginals,
        lost=np.where(np.isfinite(lost), lost, 0.0),
        left_to_highs=left_to_highs,
        held=bool(answer.held),
        residual=float(came.residual[held_trees].max(initial=0.0)),
        iterations=answer.iterations,
        method=answer.method,
        why="; ".join(_words(found, answer, before)),
    )
    return known.only(held_trees), len(every) - len(held_trees)


def _words(found: Fitted, answer: Solved, before: bool) -> list[str]:
    """Why it is the structured solver, for which trees it is not, and what it was spared."""
    words = [f"does not fit: {one.words}" for one in found.misfits[:3]] or [EVERY_FITS]
    if before:
        words.append(OTHERS_HELD if answer.held else AS_BEFORE)
    return words


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


def _completed(
    programme: Programme,
    known: _Known,
    gave_up: int,
    fixed: dict[int, float],
    lower: Floats,
    upper: Floats,
    deadline: Deadline,
    workers: Workers,
) -> LpAnswer:
    """The answer of the whole, where HiGHS solves what is not known: `gave_up` trees of it were tried."""
    rows = len(programme.row_lower)
    here, there = known.tree[:rows] != NOBODY, known.tree[rows:] != NOBODY
    x = np.where(there, known.x, np.where(lower < upper, 0.0, lower))
    row_marginals = np.where(here, known.row_marginals, 0.0)
    column_marginals = np.where(there, known.column_marginals, 0.0)
    left_rows, left = np.flatnonzero(~here), np.flatnonzero(~there)
    trees = np.unique(known.tree[known.tree != NOBODY])
    method, why = known.method, known.why or EVERY_FITS
    kept = bool(here.any())  # a column that stands in no row is nobody's work
    if not kept:
        method, why = "HiGHS", NO_PLAN
    if (lower[left] < upper[left]).any():
        others = _rest(programme, left_rows, left, lower, upper, deadline, workers)
        if isinstance(others, Unsolved):
            return others
        x[left], row_marginals[left_rows] = others.x, others.row_marginals
        column_marginals[left] = others.column_marginals
        method = f"{method}, HiGHS" if kept else "HiGHS"
    cost, lost = float(programme.cost @ x), float(known.lost[trees].sum())
    return LpSolution(
        x=x,
        cost=cost,
        bound=cost - lost,
        row_marginals=row_marginals,
        column_marginals=column_marginals,
        fixed=fixed,
        how=HowSolved(
            method=method,
            why=why,
            gap=lost / max(abs(cost), 1.0),
            residual=known.residual,
            iterations=known.iterations if kept else 0,
            fallbacks=int(known.left_to_highs[trees].sum()) + gave_up,
        ),
    )


def _rest(
    programme: Programme,
    rows: Ints,
    columns: Ints,
    lower: Floats,
    upper: Floats,
    deadline: Deadline,
    workers: Workers,
) -> LpAnswer:
    """What HiGHS finds for some rows and the columns that stand in no others, held ones included."""
    part = LinearProgramme(
        cost=programme.cost[columns],
        lower=lower[columns],
        upper=upper[columns],
        matrix=csr_array(programme.matrix[rows][:, columns]),
        row_lower=programme.row_lower[rows],
        row_upper=programme.row_upper[rows],
    )
    return begin_lp(part, {}, deadline, workers).answer()


def _told(answer: LpAnswer, how: HowSolved) -> LpAnswer:
    return answer if isinstance(answer, Unsolved) else replace(answer, how=how)
