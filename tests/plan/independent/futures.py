"""Several futures with one beginning: least mean cost, and least mean of the dearest ones.

Each future is a model of its own; what is decided now is tied by equalities, and the dearest futures
are found by sorting (`cvxpy.sum_largest`), not by the linear programme of the planner.
"""

from __future__ import annotations

from collections.abc import Sequence

import cvxpy as cp

from tests.plan.independent.model import written
from tests.plan.independent.sheet import TIGHT
from vpp.model.resource import FixedLoad, Generator
from vpp.plan.problem import Future


def least_objective(
    futures: Sequence[Future],
    *,
    cvar_weight: float,
    dearest: int,
    limit_excess_price_per_kwh: float,
) -> float:
    """(1 - weight)·mean + weight·mean of the `dearest`; every trade and first step is decided now."""
    sheets = [
        written(one.view, one.terms, limit_excess_price_per_kwh=limit_excess_price_per_kwh)
        for one in futures
    ]
    first, rules = sheets[0], [rule for sheet in sheets for rule in sheet.rules]
    for sheet in sheets[1:]:
        for one, other in zip(first.traded, sheet.traded, strict=True):
            rules.append(one == other)
        for resource in first.view.park.resources:
            name = resource.resource_id
            if not isinstance(resource, FixedLoad | Generator):
                tie = first.parts[name].power[0] == sheet.parts[name].power[0]
                rules += [tie] if isinstance(tie, cp.Constraint) else []
    costs = cp.hstack([cp.sum(sheet.cost) for sheet in sheets])
    objective = (1 - cvar_weight) * cp.sum(costs) / len(sheets)
    objective += cvar_weight * cp.sum_largest(costs, dearest) / dearest
    problem = cp.Problem(cp.Minimize(objective), rules)
    problem.solve(solver=cp.HIGHS, highs_options=TIGHT)
    assert problem.status == cp.OPTIMAL, problem.status
    return float(problem.value)
