"""What is known of some trees of a programme: what the solver's answer is worth in it, and the rest by HiGHS.

An answer is not believed: a tree that does not keep its rows, or whose cost is above its bound by more than is
allowed, is not known. HiGHS solves the columns that stand in no tree that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.schedule import HowSolved, Unsolved
from vpp.plan.fleet.back import back
from vpp.plan.fleet.fit import Fitted
from vpp.plan.fleet.fitting.ledger import Bools
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.headroom.solve import METHOD
from vpp.plan.fleet.headroom.solve import Kept as Reserve
from vpp.plan.lp import Deadline, LpAnswer, LpSolution, begin_lp
from vpp.plan.parts import Narrow, Workers
from vpp.plan.programme import Ints, LinearProgramme, Programme

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
class Known:
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

    def only(self, trees: Ints) -> Known:
        """What is known of some trees."""
        good = np.zeros(len(self.lost) + 1, dtype=bool)  # the last is nobody's
        good[trees] = True
        return replace(self, tree=np.where(good[self.tree], self.tree, NOBODY))

    def with_more(self, more: Known) -> Known:
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


def believed(found: Fitted, answer: Solved, before: bool) -> tuple[Known, int]:
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
    known = Known(
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


def with_reserve(found: Reserve, why: str) -> tuple[Known | None, int]:
    """The same of trees in which stores keep reserve; None where nothing is confirmed."""
    if found.answer is None:
        return None, found.given_up
    came, mine = found.answer, np.concatenate([found.rows, found.columns])
    lost = np.maximum(came.cost - came.bound, 0.0)
    good = (lost <= GOOD * (1 + np.abs(came.cost))) & (came.residual <= EXACT)
    every = np.unique(found.tree[mine])
    held_trees = every[good[every]]
    if not len(held_trees):
        return None, len(every)
    known = Known(
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


def _words(found: Fitted, answer: Solved, before: bool) -> list[str]:
    """Why it is the structured solver, for which trees it is not, and what it was spared."""
    words = [f"does not fit: {one.words}" for one in found.misfits[:3]] or [EVERY_FITS]
    if before:
        words.append(OTHERS_HELD if answer.held else AS_BEFORE)
    return words


def completed(
    programme: Programme,
    known: Known,
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
