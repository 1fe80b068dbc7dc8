"""A programme with its on/off decisions fixed or relaxed, solved by scipy's `linprog` (HiGHS).

The one place that speaks to `linprog`: it wants equalities and one-sided rows apart, and gives the
change of cost per unit of each row's side, which is where shadow prices come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.sparse import vstack

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.programme import LinearProgramme, Programme

Stopwatch = Callable[[], float]
"""Seconds since some moment, as `time.perf_counter` counts them."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LpSolution:
    """The optimum of an LP."""

    x: Floats
    cost: float
    row_marginals: Floats
    """Change of cost per unit of each row's side."""

    column_marginals: Floats
    """Change of cost per unit of the bound that holds each column; 0 for what was given."""

    fixed: dict[int, float]
    """Columns that were held, and at which value."""

    def chosen(self, programme: Programme) -> dict[int, float] | None:
        """The on/off decisions where each is 0 or 1 already, else None."""
        values = self.x[programme.integral]
        if np.abs(values - np.round(values)).max(initial=0.0) > 1e-6:
            return None
        return dict(zip(programme.integral.tolist(), np.round(values).tolist(), strict=True))


LpAnswer: TypeAlias = "LpSolution | Unsolved"

Ahead = Callable[[LinearProgramme, Mapping[int, float], Deadline], Callable[[], LpAnswer]]
"""Begins an LP that will probably be wanted, and gives a way to wait for its answer."""


def in_turn(
    programme: LinearProgramme, fixed: Mapping[int, float], deadline: Deadline
) -> Callable[[], LpAnswer]:
    """Solves nothing ahead: the LP is solved here, when its answer is asked for."""
    return lambda: solve_lp(programme, fixed, deadline)


def solve_lp(
    programme: LinearProgramme, fixed: Mapping[int, float], deadline: Deadline
) -> LpSolution | Unsolved:
    """Solve with the columns in `fixed` held at their values and all others continuous."""
    lower, upper = programme.lower.copy(), programme.upper.copy()
    columns = list(fixed)
    lower[columns] = upper[columns] = list(fixed.values())
    # What cannot move (a car that is away, the sun at night) is known: scipy loops over columns.
    x, free = lower, np.flatnonzero(lower < upper)
    held = programme.matrix @ np.where(lower < upper, 0.0, lower)
    row_lower, row_upper = programme.row_lower - held, programme.row_upper - held
    matrix = programme.matrix[:, free]
    equal = programme.row_lower == programme.row_upper
    below = ~equal & np.isfinite(row_upper)
    above = ~equal & np.isfinite(row_lower)
    result: OptimizeResult = linprog(
        programme.cost[free],
        A_eq=matrix[equal],
        b_eq=row_upper[equal],
        A_ub=vstack([matrix[below], -matrix[above]]).tocsr(),
        b_ub=np.concatenate([row_upper[below], -row_lower[above]]),
        bounds=np.column_stack([lower[free], upper[free]]),
        method="highs-ds",
        options={"time_limit": deadline.left_s},
    )
    if result.status != 0:
        # Presolve may not tell whether it is infeasible or unbounded; every plan costs something.
        infeasible = result.status == 2 or "infeasible" in result.message.lower()
        return Unsolved(reason=f"LP: {result.message}", infeasible=infeasible)
    marginals = np.zeros(len(programme.row_lower))
    marginals[equal] = result.eqlin.marginals
    sides = result.ineqlin.marginals
    marginals[below] += sides[: below.sum()]
    marginals[above] -= sides[below.sum() :]
    x[free] = result.x
    reduced = np.zeros(len(programme.cost))
    reduced[free] = result.lower.marginals + result.upper.marginals
    return LpSolution(
        x=x,
        cost=float(programme.cost @ x),
        row_marginals=marginals,
        column_marginals=reduced,
        fixed=dict(fixed),
    )
