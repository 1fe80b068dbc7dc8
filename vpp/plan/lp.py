"""A programme with its on/off decisions fixed or relaxed, solved by scipy's `linprog` (HiGHS).

The one place that speaks to `linprog`: it wants equalities and one-sided rows apart, and gives the
change of cost per unit of each row's side, which is where shadow prices come from.

What it is given is smaller than the programme, and means the same:

    what cannot move (a car that is away, the sun at night, a decision that is taken) is left out
    what meets nowhere is solved apart                                               `parts.py`
    a row with two sides is an equality with a column for what lies between
    costs are multiplied by a power of two, so that the usual one is a few units: the simplex holds
    them to an absolute 1e-7, and takes a tenth more steps where they are cents
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.sparse import csr_array, hstack, vstack

from vpp.model.horizon import Floats
from vpp.model.schedule import HowSolved, Unsolved
from vpp.plan.parts import ALONE, Part, Workers, largest_first, parts_of
from vpp.plan.programme import Ints, LinearProgramme, Programme

Stopwatch = Callable[[], float]
"""Seconds since some moment, as `time.perf_counter` counts them."""

USUAL_COST = 4.0
"""What the middle one of the costs is brought to."""

OUT_OF_TIME = 1
"""Status of `linprog`."""

ROUNDING = 1e-6
"""Rows that nothing moves may be off by this: sums of what was fixed, in kW."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When to stop, on somebody's stopwatch."""

    stopwatch: Stopwatch
    moment: float

    @property
    def left_s(self) -> float:
        """What a solver is given: never nothing, so that an answer it has at once is not lost."""
        return max(self.moment - self.stopwatch(), 0.01)

    @property
    def passed(self) -> bool:
        return self.stopwatch() >= self.moment

    @property
    def halfway(self) -> Deadline:
        """The moment halfway from now."""
        now = self.stopwatch()
        return Deadline(self.stopwatch, now + (self.moment - now) / 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LpSolution:
    """The optimum of an LP."""

    x: Floats
    cost: float
    bound: float
    """Nothing costs less; `cost` itself where that is a vertex of HiGHS."""

    row_marginals: Floats
    """Change of cost per unit of each row's side."""

    column_marginals: Floats
    """Change of cost per unit of the bound that holds each column; 0 for what was given."""

    fixed: dict[int, float]
    """Columns that were held, and at which value."""

    how: HowSolved = field(default_factory=HowSolved)

    def chosen(self, programme: Programme) -> dict[int, float] | None:
        """The on/off decisions where each is 0 or 1 already, else None."""
        values = self.x[programme.integral]
        if np.abs(values - np.round(values)).max(initial=0.0) > 1e-6:
            return None
        return dict(zip(programme.integral.tolist(), np.round(values).tolist(), strict=True))


LpAnswer: TypeAlias = "LpSolution | Unsolved"


def solve_lp(
    programme: LinearProgramme,
    fixed: Mapping[int, float],
    deadline: Deadline,
    workers: Workers = ALONE,
    *,
    presolve: bool = False,
) -> LpAnswer:
    """Solve with the columns in `fixed` held at their values and all others continuous.

    `presolve` lets HiGHS look for what can be left out first. It finds little where what cannot move
    is left out already, and takes a tenth of the time; it pays where most rows are held.
    """
    return begin_lp(programme, fixed, deadline, workers, presolve=presolve).answer()


@dataclass(frozen=True, slots=True)
class Begun:
    """An LP that workers are at."""

    parts: int
    """How many tasks it is for them."""

    answer: Callable[[], LpAnswer]
    """Waits for it."""


def begin_lp(
    programme: LinearProgramme,
    fixed: Mapping[int, float],
    deadline: Deadline,
    workers: Workers,
    *,
    presolve: bool = False,
) -> Begun:
    """Let `workers` begin an LP."""
    lower, upper = held(programme, fixed)
    free = np.flatnonzero(lower < upper)
    parts = parts_of(_freed(programme, lower, upper, free))
    waiting: dict[int, Callable[[], _Solved | Unsolved]] = {}
    for i in largest_first(parts):
        waiting[i] = workers.begin(partial(_solve, parts[i].programme, deadline, presolve))

    def answer() -> LpAnswer:
        answers = [waiting[i]() for i in range(len(parts))]
        failed = [one for one in answers if isinstance(one, Unsolved)]
        if failed:
            return next((one for one in failed if one.infeasible), failed[0])
        solved = [one for one in answers if not isinstance(one, Unsolved)]
        return _joined(programme, parts, solved, x=lower.copy(), free=free, fixed=dict(fixed))

    return Begun(len(parts), answer)


class LpSolver(Protocol):
    """Solves one programme, time and again, with other columns held."""

    def begin(self, fixed: Mapping[int, float], deadline: Deadline, workers: Workers) -> Begun:
        """Let `workers` begin it with the columns in `fixed` held, all others continuous."""
        ...


@dataclass(frozen=True, slots=True)
class Highs:
    """HiGHS for all of it."""

    programme: LinearProgramme

    def begin(self, fixed: Mapping[int, float], deadline: Deadline, workers: Workers) -> Begun:
        return begin_lp(self.programme, fixed, deadline, workers)


def held(programme: LinearProgramme, fixed: Mapping[int, float]) -> tuple[Floats, Floats]:
    """The bounds of all columns where some are held; the programme's own where none is."""
    if not fixed:
        return programme.lower, programme.upper
    lower, upper = programme.lower.copy(), programme.upper.copy()
    columns = list(fixed)
    lower[columns] = upper[columns] = list(fixed.values())
    return lower, upper


def _freed(programme: LinearProgramme, lower: Floats, upper: Floats, free: Ints) -> LinearProgramme:
    """The programme without the columns that cannot move: scipy loops over columns."""
    held = programme.matrix @ np.where(lower < upper, 0.0, lower)
    return LinearProgramme(
        cost=programme.cost[free],
        lower=lower[free],
        upper=upper[free],
        matrix=programme.matrix[:, free],
        row_lower=programme.row_lower - held,
        row_upper=programme.row_upper - held,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Solved:
    """One part's optimum, in its own columns and rows."""

    x: Floats
    row_marginals: Floats
    column_marginals: Floats


def _solve(part: LinearProgramme, deadline: Deadline, presolve: bool) -> _Solved | Unsolved:
    rows, columns = part.matrix.shape
    if not columns:
        return _standing(part)
    both = np.isfinite(part.row_lower) & np.isfinite(part.row_upper)
    between = np.flatnonzero(both & (part.row_lower < part.row_upper))
    below = ~both & np.isfinite(part.row_upper)
    above = ~both & np.isfinite(part.row_lower)
    slack = csr_array(
        (np.full(len(between), -1.0), (between, np.arange(len(between)))),
        shape=(rows, len(between)),
    )
    equal_to = np.where(part.row_lower < part.row_upper, 0.0, part.row_upper)
    scale = float(2.0 ** np.round(np.log2(USUAL_COST / usual_cost(part.cost))))
    result: OptimizeResult = linprog(
        np.concatenate([scale * part.cost, np.zeros(len(between))]),
        A_eq=hstack([part.matrix[both], slack[both]]).tocsr(),
        b_eq=equal_to[both],
        A_ub=padded(vstack([part.matrix[below], -part.matrix[above]]).tocsr(), len(between)),
        b_ub=np.concatenate([part.row_upper[below], -part.row_lower[above]]),
        bounds=np.column_stack(
            [
                np.concatenate([part.lower, part.row_lower[between]]),
                np.concatenate([part.upper, part.row_upper[between]]),
            ]
        ),
        method="highs-ds",
        options={"time_limit": deadline.left_s, "presolve": presolve},
    )
    if result.status != 0:
        # Presolve may not tell whether it is infeasible or unbounded; every plan costs something. Where
        # time is up the message says how far the point was from feasible, which proves nothing.
        infeasible = result.status != OUT_OF_TIME and "infeasible" in result.message.lower()
        return Unsolved(reason=f"LP: {result.message}", infeasible=infeasible)
    marginals = np.zeros(rows)
    marginals[both] = result.eqlin.marginals
    sides = result.ineqlin.marginals
    marginals[below] = sides[: below.sum()]
    marginals[above] = -sides[below.sum() :]
    return _Solved(
        x=result.x[:columns],
        row_marginals=marginals / scale,
        column_marginals=(result.lower.marginals + result.upper.marginals)[:columns] / scale,
    )


def _standing(part: LinearProgramme) -> _Solved | Unsolved:
    """Rows in which nothing can move: they hold, or they do not."""
    if (part.row_lower > ROUNDING).any() or (part.row_upper < -ROUNDING).any():
        return Unsolved(reason="LP: what cannot move breaks a limit (infeasible)", infeasible=True)
    nothing = np.zeros(0)
    return _Solved(x=nothing, row_marginals=np.zeros(len(part.row_lower)), column_marginals=nothing)


def usual_cost(cost: Floats) -> float:
    """The middle one of the costs' sizes, 1 where there are none."""
    some = np.abs(cost[cost != 0])
    return float(np.median(some)) if len(some) else 1.0


def padded(matrix: csr_array, columns: int) -> csr_array:
    """The matrix with empty columns behind its own."""
    shape = (matrix.shape[0], matrix.shape[1] + columns)
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape)


def _joined(
    programme: LinearProgramme,
    parts: list[Part],
    solved: list[_Solved],
    *,
    x: Floats,
    free: Ints,
    fixed: dict[int, float],
) -> LpSolution:
    marginals, reduced = np.zeros(len(programme.row_lower)), np.zeros(len(programme.cost))
    for part, one in zip(parts, solved, strict=True):
        x[free[part.columns]] = one.x
        marginals[part.rows] = one.row_marginals
        reduced[free[part.columns]] = one.column_marginals
    cost = float(programme.cost @ x)
    return LpSolution(
        x=x,
        cost=cost,
        bound=cost,
        row_marginals=marginals,
        column_marginals=reduced,
        fixed=fixed,
    )
