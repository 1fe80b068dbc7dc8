"""Solve one planning problem and say how it went.

Compile, search the on/off decisions (`search.py`), and name what the columns of the last LP mean.
Finding no plan is an outcome, not an exception: it happens on ordinary days.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ProductId, ResourceId
from vpp.model.schedule import Feasible, Optimal, Outcome, Schedule, Unsolved
from vpp.plan.compile import build
from vpp.plan.lp import Ahead, Deadline, LpSolution, Stopwatch, in_turn
from vpp.plan.problem import Problem
from vpp.plan.programme import Programme
from vpp.plan.search import relative_gap, search
from vpp.plan.terms import Commitment


def solve(problem: Problem, stopwatch: Stopwatch, ahead: Ahead = in_turn) -> Outcome:
    """Plan the horizon. Blocking: the executor runs it in a child process that can be killed.

    `stopwatch` ends the search at `soft_s`; it decides nothing else. `ahead` may solve one LP beside
    another.

    Raises:
        DataError: The view or a term makes no sense (see `compile.build`).
    """
    began = stopwatch()
    programme = build(
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=problem.options.limit_excess_price_per_kwh,
    )
    built = stopwatch()
    found = search(
        programme,
        problem.view.horizon,
        problem.preferred_starts,
        gap=problem.options.gap,
        deadline=Deadline(stopwatch, built + problem.options.soft_s),
        ahead=ahead,
    )
    if isinstance(found, Unsolved):
        return found
    solution, bound = found
    gap = relative_gap(solution.cost, bound)
    schedule = _schedule(
        problem, programme, solution, gap=gap, build_s=built - began, solve_s=stopwatch() - built
    )
    return (
        Optimal(schedule=schedule)
        if gap <= problem.options.gap
        else Feasible(schedule=schedule, gap=gap)
    )


def _schedule(
    problem: Problem,
    programme: Programme,
    solution: LpSolution,
    *,
    gap: float,
    build_s: float,
    solve_s: float,
) -> Schedule:
    """Name what the columns mean."""
    view, x, columns = problem.view, solution.x, programme.columns
    fleet, hours = programme.fleet, view.horizon.step_hours
    points = x[columns["export"]] - x[columns["import"]]
    value = solution.row_marginals[programme.rows["market"]] / hours
    stored_value = -solution.row_marginals[programme.rows["store"]]
    trade = x[columns["sell"]] - x[columns["buy"]]
    temperature = x[columns["comfort"]] + x[columns["hot"]] - x[columns["cold"]]
    commitments = [t.base_kw for t in problem.terms if isinstance(t, Commitment)]
    return Schedule(
        plan_id=problem.options.plan_id,
        issued_at=view.now,
        horizon=view.horizon,
        resource_ids=tuple(r.resource_id for r in view.park.resources),
        power_kw=_powers(problem, programme, x),
        stored_kwh={u.resource_id: x[columns["stored"][i]] for i, u in enumerate(fleet.storages)},
        temperature_degc={
            z.resource_id: degc for z, degc in zip(fleet.zones, temperature, strict=True)
        },
        connection_point_kw={
            p.connection_point_id: points[i] for i, p in enumerate(view.park.connection_points)
        },
        net_kw=points.sum(axis=0),
        committed_kw=np.sum([np.zeros(view.horizon.steps), *commitments], axis=0),
        trade_kw=_by_product(programme.products, trade),
        stored_value_per_kwh={u.resource_id: stored_value[i] for i, u in enumerate(fleet.storages)},
        net_value_per_kwh=value,
        starts=_chosen_starts(programme, x),
        unserved_kwh={
            f"{fleet.ev_fleets[car.fleet].resource_id}/{car.session.session_id}": float(
                x[columns["unserved"][i]]
            )
            for i, car in enumerate(fleet.cars)
        },
        cost_by_cause={
            cause: float(per_unit @ x[priced])
            for cause, (priced, per_unit) in programme.causes.items()
        },
        gap=gap,
        binaries=len(programme.integral),
        build_s=build_s,
        solve_s=solve_s,
        strategy_version=problem.options.strategy_version,
        input_digest=programme.digest(),
    )


def _powers(problem: Problem, programme: Programme, x: Floats) -> Floats:
    """Net injection of every resource, shape (R, T)."""
    fleet, columns = programme.fleet, programme.columns
    row = {r.resource_id: i for i, r in enumerate(problem.view.park.resources)}
    power = fleet.base_kw.copy()
    for i, unit in enumerate(fleet.storages):
        power[row[unit.resource_id]] += x[columns["discharge"][i]] - x[columns["charge"][i]]
    for i, generator in enumerate(fleet.generators):
        power[row[generator.resource_id]] += x[columns["feed"][i]]
    for i, zone in enumerate(fleet.zones):
        power[row[zone.resource_id]] -= x[columns["heat"][i]]
    for i, car in enumerate(fleet.cars):
        power[row[fleet.ev_fleets[car.fleet].resource_id]] -= x[columns["car"][i]]
    for i, start in enumerate(fleet.starts):
        share = x[columns["start"][i]]
        if share > 0:
            span = slice(start.step, start.step + len(start.draw_kw))
            power[row[start.resource_id], span] -= share * np.asarray(start.draw_kw)
    return power


def _chosen_starts(programme: Programme, x: Floats) -> dict[ResourceId, tuple[int, ...]]:
    chosen: dict[ResourceId, tuple[int, ...]] = {}
    for column, start in zip(
        programme.columns["start"].tolist(), programme.fleet.starts, strict=True
    ):
        if x[column] > 0.5:
            chosen[start.resource_id] = (*chosen.get(start.resource_id, ()), start.step)
    return chosen


def _by_product(products: Sequence[ProductId], trade_kw: Floats) -> dict[ProductId, Floats]:
    total: dict[ProductId, Floats] = {}
    for product, row in zip(products, trade_kw, strict=True):
        total[product] = total.get(product, 0.0) + row
    return total
