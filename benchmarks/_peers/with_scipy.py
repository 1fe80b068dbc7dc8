"""scipy: `linprog`, or `milp` where something is on or off."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import vstack

from benchmarks._families import Case
from benchmarks._peers.answer import Answer, Asked, Watch
from benchmarks._peers.arrays import Arrays, arrays_of

DISTRIBUTIONS = ("scipy",)


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    watch = Watch()
    a = arrays_of(case)
    built = watch.lap()
    if case.integer:
        objective, proven = _mixed(a, asked.gap)
    else:
        objective, proven = _linear(a), 0.0
    return Answer(
        build_s=built,
        solve_s=watch.lap(),
        objective=objective,
        gap=proven,
        cpu_s=watch.cpu_s,
    )


def _mixed(a: Arrays, gap: float) -> tuple[float, float]:
    integrality = np.zeros(len(a.cost))
    integrality[a.integral] = 1
    result = milp(
        a.cost,
        integrality=integrality,
        bounds=Bounds(a.lower, a.upper),
        constraints=LinearConstraint(a.matrix, a.row_lower, a.row_upper),
        options={"mip_rel_gap": gap},
    )
    return float(result.fun), float(result.mip_gap)


def _linear(a: Arrays) -> float:
    equal = a.row_lower == a.row_upper
    below = ~equal & np.isfinite(a.row_upper)
    above = ~equal & np.isfinite(a.row_lower)
    result = linprog(
        a.cost,
        A_eq=a.matrix[equal],
        b_eq=a.row_upper[equal],
        A_ub=vstack([a.matrix[below], -a.matrix[above]]).tocsr(),
        b_ub=np.concatenate([a.row_upper[below], -a.row_lower[above]]),
        bounds=np.column_stack([a.lower, a.upper]),
        method="highs",
    )
    return float(result.fun)
