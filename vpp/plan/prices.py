"""Limits in the words of the park file: what each that binds costs, and how far any is broken."""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.schedule import LimitPrice, Relaxation
from vpp.model.time import Interval
from vpp.plan.lp import LpSolution
from vpp.plan.programme import Programme, Side

NOTHING_PER_UNIT = 1e-9
"""Less than this is rounding of the solver."""

NOTHING_BROKEN = 1e-4
"""A limit that is passed by less (a tenth of a watt, or of a watt-hour) is kept."""


def limit_prices(programme: Programme, solution: LpSolution, steps: int) -> tuple[LimitPrice, ...]:
    """Every named limit that binds in some step, in the order in which it was named.

    A limit of the whole horizon stands in its last step.
    """
    found = []
    for named in programme.named:
        if named.side is Side.BROKEN:
            continue
        # What a unit more of a lower side costs is above 0, of an upper side below.
        of_rows = named.side in (Side.ROW_LOWER, Side.ROW_UPPER)
        sign = -1.0 if named.side in (Side.ROW_LOWER, Side.LOWER) else 1.0
        marginals = solution.row_marginals if of_rows else solution.column_marginals
        price = sign * marginals[named.index]
        for i in np.flatnonzero((price < -NOTHING_PER_UNIT).any(axis=1)):
            per_unit = np.zeros(steps)
            np.add.at(per_unit, named.steps[i], np.minimum(price[i], 0.0))  # step -1 is the last
            found.append(LimitPrice(limit=named.words[i], per_unit=per_unit))
    return tuple(found)


def broken_limits(programme: Programme, x: Floats, horizon: Horizon) -> tuple[Relaxation, ...]:
    """Every limit that a solution breaks, in the order in which it was named."""
    found = []
    for named in programme.named:
        if named.side is not Side.BROKEN:
            continue
        beyond = x[named.index]
        for i in np.flatnonzero((beyond > NOTHING_BROKEN).any(axis=1)):
            steps = named.steps[i][beyond[i] > NOTHING_BROKEN]
            span = horizon.span
            if (steps >= 0).all():
                start = horizon.start + int(steps.min()) * horizon.step
                span = Interval(start, horizon.start + (int(steps.max()) + 1) * horizon.step)
            most = float(beyond[i].max())
            found.append(Relaxation(limit=named.words[i], most=most, span=span))
    return tuple(found)
