"""Of all plans that cost the same, the one that people would make.

Where prices are flat a solver gives any corner of what is optimal: a battery cycles for nothing, a
load runs in a quarter-hour that nobody can explain, and a change of 1e-9 in a forecast turns the plan
round. So what the last LP proves optimal is kept, and further LPs choose within it, one after the other:

    1. nearest to what was announced, kWh by kWh         (where anything was)
    2. no pointless cycling of stores, nothing turned down or curtailed without need
    3. early rather than late, and of two that can do the same the first in the park file

What is kept: every column with a reduced cost stays at its bound, every row with a marginal at its side.
That is the optimal face, whatever vertex the solver came from. Never by tiny weights on the first
objective: those move prices. On/off decisions are held: the face is that of the LP with them fixed.

Each LP is small where few ties are left, but it costs time; large programmes go without
(`MOST_COLUMNS`). Where an LP does not end well, or its answer costs more or burns energy, the plan
stays as it was and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Generator
from vpp.model.schedule import Unsolved
from vpp.plan.lp import Deadline, LpSolution, padded, solve_lp, usual_cost
from vpp.plan.parts import Workers
from vpp.plan.programme import LinearProgramme, Programme
from vpp.plan.search import burning
from vpp.plan.view import PlanningView

MOST_COLUMNS = 50_000
"""Of a programme whose ties are broken."""

NEAR = (1e-6, 1e-9)
"""Marginals below these, in usual costs of the programme, are ties. The first also takes in what a
rounding of a forecast turns round; the second is for where that would cost too much."""

LEAST_RISE = 1e-9
"""What breaking ties may cost, relative to the plan's cost."""

ORDER = 1e-3
"""How much the last of the park file is put behind the first, in horizons."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The plan with its ties broken, or as it was."""

    solution: LpSolution
    left: str = ""
    """Why ties are left as the solver found them; empty where they are broken."""


def settle(
    programme: Programme,
    view: PlanningView,
    solution: LpSolution,
    announced_kw: Mapping[ResourceId, Floats],
    *,
    deadline: Deadline,
    workers: Workers,
    most_columns: int = MOST_COLUMNS,
) -> Settled:
    """Choose among the plans that cost what `solution` costs.

    `announced_kw` is net injection, shape (T,) each, NaN where nothing was announced. The marginals
    stay those of `solution`: they hold for every plan of the face.
    """
    if len(programme.cost) > most_columns:
        return Settled(solution, f"more than {most_columns} columns")
    left = ""
    for near in NEAR:
        x = _chosen(programme, view, solution, announced_kw, near, deadline, workers)
        if isinstance(x, Unsolved):
            left = x.reason
            continue
        cost = float(programme.cost @ x)
        rise = (cost - solution.cost) / max(abs(solution.cost), 1.0)
        settled = replace(solution, x=x, cost=cost)
        if rise > LEAST_RISE:
            left = f"it would cost {rise:.1e} more"
        elif burning(programme, settled).size:
            left = "it would fill and empty a store at once"
        else:
            return Settled(settled)
    return Settled(solution, left)


def _chosen(
    programme: Programme,
    view: PlanningView,
    solution: LpSolution,
    announced_kw: Mapping[ResourceId, Floats],
    near: float,
    deadline: Deadline,
    workers: Workers,
) -> Floats | Unsolved:
    """The point of the optimal face that all wishes, one after the other, lead to."""
    columns = len(programme.cost)
    lower, upper = programme.lower.copy(), programme.upper.copy()
    held = list(solution.fixed)
    lower[held] = upper[held] = list(solution.fixed.values())
    taken = programme.integral
    lower[taken] = upper[taken] = np.round(solution.x[taken])
    face: LinearProgramme = replace(programme.linear(), lower=lower, upper=upper)
    x = solution.x
    for wish in _wishes(programme, view, announced_kw):
        face = face_of(face, solution, near)
        if not (face.lower < face.upper).any():
            break
        face = wish(face)
        found = solve_lp(face, {}, deadline, workers, presolve=True)
        if isinstance(found, Unsolved):
            return found
        solution, x = found, found.x
    return x[:columns]


def face_of(programme: LinearProgramme, solution: LpSolution, near: float) -> LinearProgramme:
    """What keeps the optimum of `programme`: columns that cost held, rows that cost held."""
    least = near * usual_cost(programme.cost)
    lower, upper = programme.lower.copy(), programme.upper.copy()
    priced = solution.column_marginals
    upper[priced > least], lower[priced < -least] = lower[priced > least], upper[priced < -least]
    row_lower, row_upper = programme.row_lower.copy(), programme.row_upper.copy()
    prices = solution.row_marginals
    low = (prices > least) & np.isfinite(row_lower)
    high = (prices < -least) & np.isfinite(row_upper)
    row_upper[low], row_lower[high] = row_lower[low], row_upper[high]
    return replace(programme, lower=lower, upper=upper, row_lower=row_lower, row_upper=row_upper)


Wish = Callable[[LinearProgramme], LinearProgramme]
"""The face with what is wished as its cost; it may have further columns and rows behind its own."""


def _wishes(
    programme: Programme, view: PlanningView, announced_kw: Mapping[ResourceId, Floats]
) -> Iterator[Wish]:
    said = _announced(programme, view, announced_kw)
    if np.isfinite(said).any():
        yield partial(_near_to, programme, said - programme.base_kw.ravel())
    for cost in (_pointless(programme), _late(programme)):
        yield partial(_at_cost, cost)


def _announced(
    programme: Programme, view: PlanningView, announced_kw: Mapping[ResourceId, Floats]
) -> Floats:
    """What each resource was announced to do, NaN where nothing was, shape (R·T,).

    The weather keeps no promise: what it gives now is used, whatever was announced.
    """
    said = np.full(programme.base_kw.shape, np.nan)
    for row, resource in enumerate(view.park.resources):
        kw = announced_kw.get(resource.resource_id)
        if kw is not None and not (isinstance(resource, Generator) and resource.weather_driven):
            said[row] = kw
    return said.ravel()


def _near_to(programme: Programme, decided_kw: Floats, face: LinearProgramme) -> LinearProgramme:
    """Least Σ |power - announced|, over what can still move; `decided_kw` has shape (R·T,).

    Columns: away (n).    Rows: power + away >= announced,  power - away <= announced
    """
    movable = (face.lower < face.upper).astype(float)[: programme.power.shape[1]]
    at = np.flatnonzero((abs(programme.power.matrix) @ movable > 0) & np.isfinite(decided_kw))
    columns, count = len(face.cost), len(at)
    power = padded(programme.power.matrix[at], columns - programme.power.shape[1])
    away = csr_array((np.ones(count), (np.arange(count), np.arange(count))), shape=(count, count))
    matrix = vstack(
        [padded(face.matrix, count), hstack([power, away]), hstack([power, -away])], format="csr"
    )
    return LinearProgramme(
        cost=np.append(np.zeros(columns), np.ones(count)),
        lower=np.append(face.lower, np.zeros(count)),
        upper=np.append(face.upper, np.full(count, np.inf)),
        matrix=csr_array(matrix),
        row_lower=np.concatenate([face.row_lower, decided_kw[at], np.full(count, -np.inf)]),
        row_upper=np.concatenate([face.row_upper, np.full(count, np.inf), decided_kw[at]]),
    )


def _at_cost(cost: Floats, face: LinearProgramme) -> LinearProgramme:
    return replace(face, cost=np.append(cost, np.zeros(len(face.cost) - len(cost))))


def _pointless(programme: Programme) -> Floats:
    """Each kW through a store counts, and each that is turned down or not taken from the weather."""
    cost = np.zeros(len(programme.cost))
    fleet = programme.fleet
    for pair in fleet.both_ways():
        np.add.at(cost, pair.into, 1.0)
        np.add.at(cost, pair.out, 1.0)
    cost[fleet.curtailables.less] += 1.0
    cost[fleet.networks.spilled] += 1.0
    given = [unit.weather_driven for unit in fleet.generators.units]
    cost[fleet.generators.feed[given]] -= 1.0
    return cost


def _late(programme: Programme) -> Floats:
    """Each kW counts the more the later it is, and a little more the later in the park file."""
    resources, steps = programme.base_kw.shape
    order = ORDER * np.arange(resources)[:, None] / max(resources, 1)
    later = (np.arange(1, steps + 1) / steps + order).ravel()
    cost: Floats = abs(programme.power.matrix).T @ later
    given = [unit.weather_driven for unit in programme.fleet.generators.units]
    cost[programme.fleet.generators.feed[given]] = 0.0
    return cost
