"""Of what costs all futures the same, what is decided now nearest to the point plan; or at a price for being away."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.lp import Deadline, LpSolution, padded, solve_lp
from vpp.plan.parts import Workers
from vpp.plan.programme import LinearProgramme
from vpp.plan.stack import Stack
from vpp.plan.ties import LEAST_RISE, face_of

NEAR = 1e-7
"""Marginals below this, in usual costs of the programme, are ties."""


def nearest(
    stack: Stack, found: LpSolution, before: Floats, deadline: Deadline, workers: Workers
) -> Floats | str:
    """Of all that cost the same, what decides now nearest to `before`; or why it was not found."""
    face = face_of(stack.programme, found, NEAR)
    columns = len(face.cost)
    wished = with_distance(face, before, np.zeros(columns), np.ones(len(before)))
    answer = solve_lp(wished, {}, deadline, workers, presolve=True)
    if isinstance(answer, Unsolved):
        return answer.reason
    x = answer.x[:columns]
    rise = float(stack.programme.cost @ x) - found.cost
    if rise > LEAST_RISE * max(abs(found.cost), 1.0):
        return f"it would cost {rise:.1e} more"
    return x


def with_distance(
    programme: LinearProgramme, before: Floats, cost: Floats, per_unit: Floats
) -> LinearProgramme:
    """The programme at `cost`, and at `per_unit`, shape (k,), for how far its first columns are from `before`.

    Columns: away (k), behind the others.    Rows: now + away >= before,  now - away <= before
    """
    columns, count = len(programme.cost), len(before)
    one = csr_array((np.ones(count), (np.arange(count), np.arange(count))), shape=(count, count))
    first = padded(one, columns - count)
    free = np.full(count, np.inf)
    return LinearProgramme(
        cost=np.append(cost, per_unit),
        lower=np.append(programme.lower, np.zeros(count)),
        upper=np.append(programme.upper, free),
        matrix=csr_array(
            vstack(
                [padded(programme.matrix, count), hstack([first, one]), hstack([first, -one])],
                format="csr",
            )
        ),
        row_lower=np.concatenate([programme.row_lower, before, -free]),
        row_upper=np.concatenate([programme.row_upper, free, before]),
    )
