"""Shadow prices in the words of the park file: what each limit that binds costs, step by step."""

from __future__ import annotations

import numpy as np

from vpp.model.schedule import LimitPrice
from vpp.plan.lp import LpSolution
from vpp.plan.programme import Programme, Side

NOTHING_PER_UNIT = 1e-9
"""Less than this is rounding of the solver."""


def limit_prices(programme: Programme, solution: LpSolution, steps: int) -> tuple[LimitPrice, ...]:
    """Every named limit that binds in some step, in the order in which it was named.

    A limit of the whole horizon stands in its last step.
    """
    found = []
    for named in programme.named:
        match named.side:
            case Side.ROW_LOWER:  # more room is a lower side
                price = -np.maximum(solution.row_marginals[named.index], 0.0)
            case Side.ROW_UPPER:
                price = np.minimum(solution.row_marginals[named.index], 0.0)
            case Side.LOWER:
                price = -np.maximum(solution.column_marginals[named.index], 0.0)
            case Side.UPPER:
                price = np.minimum(solution.column_marginals[named.index], 0.0)
        for i in np.flatnonzero((price < -NOTHING_PER_UNIT).any(axis=1)):
            per_unit = np.zeros(steps)
            np.add.at(per_unit, named.steps[i], price[i])  # step -1 is the last
            found.append(LimitPrice(limit=named.words[i], per_unit=per_unit))
    return tuple(found)
