"""Solve one planning problem and say how it went.

Compile, search the on/off decisions (`search.py`), choose among plans that cost the same (`ties.py`),
choose what cannot wait for all futures (`hedge.py`, where there are some), what to bid at which price
(`curves.py`, where that is asked for), and read the answer (`reading.py`). The gap is that of the point plan.
Finding no plan is an outcome, not an exception: it happens on ordinary days.
"""

from __future__ import annotations

from dataclasses import replace

from vpp.model.horizon import Horizon
from vpp.model.schedule import Feasible, Optimal, Outcome, Uncertainty, Unsolved
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.conflict import find_conflict
from vpp.plan.curves import bid_curves
from vpp.plan.fleet.choose import Chooser
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.solve import Kernels
from vpp.plan.hedge import hedge, replanned
from vpp.plan.lp import Deadline, Stopwatch
from vpp.plan.parts import ALONE, Workers
from vpp.plan.problem import Problem
from vpp.plan.programme import Programme
from vpp.plan.reading import schedule_of
from vpp.plan.search import relative_gap, search
from vpp.plan.ties import Settled, settle

OF_THE_GAP = 0.5
"""Share of a plan's gap that may be left where only what differs from the plan before was solved."""


def solve(
    problem: Problem,
    stopwatch: Stopwatch,
    workers: Workers = ALONE,
    kernels: Kernels = NUMPY,
    kept: Kept | None = None,
) -> Outcome:
    """Plan the horizon. Blocking: the executor runs it in a child process that can be killed.

    `stopwatch` ends the search at `soft_s`; it decides nothing else. `workers` may solve parts beside
    one another; `kernels` are those of the structured solver, where it is chosen (`fleet/choose.py`);
    `kept` is what it may take from the problem before.

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
    deadline = Deadline(stopwatch, built + problem.options.soft_s)
    solver = Chooser(
        programme, problem.options.method, kernels, kept, OF_THE_GAP * problem.options.gap
    )
    found = search(
        programme,
        problem.view.horizon,
        Announced.of(problem),
        gap=problem.options.gap,
        deadline=deadline,
        workers=workers,
        solver=solver,
    )
    if isinstance(found, Unsolved):
        return _explained(found, programme, problem.view.horizon, deadline)
    solution, bound = found
    solved = stopwatch()
    gap = relative_gap(solution.cost, bound)
    settled = settle(
        programme,
        problem.view,
        solution,
        problem.announced_kw,
        deadline=deadline,
        workers=workers,
    )
    ties_s = stopwatch() - solved
    told = _asked_for(problem) if problem.no_futures else None
    if problem.futures:
        settled, told = _hedged(problem, programme, settled, deadline, workers, solver)
    curves = tuple(
        bid_curves(
            problem,
            ask,
            programme,
            settled.solution,
            deadline=Deadline(stopwatch, stopwatch() + ask.soft_s),
            workers=workers,
        )
        for ask in problem.curves
    )
    schedule = replace(
        schedule_of(
            problem,
            programme,
            settled.solution,
            gap=gap,
            build_s=built - began,
            solve_s=solved - built,
        ),
        ties_s=ties_s,
        ties_left=settled.left,
        uncertainty=told,
        bid_curves=curves,
    )
    return (
        Optimal(schedule=schedule)
        if gap <= problem.options.gap
        else Feasible(schedule=schedule, gap=gap)
    )


def _asked_for(problem: Problem) -> Uncertainty:
    """Futures were asked for, and there are none."""
    return Uncertainty(
        status=f"point plan: {problem.no_futures}",
        futures=0,
        cvar_weight=problem.options.cvar_weight,
        cvar_level=problem.options.cvar_level,
    )


def _hedged(
    problem: Problem,
    programme: Programme,
    point: Settled,
    deadline: Deadline,
    workers: Workers,
    solver: Chooser,
) -> tuple[Settled, Uncertainty]:
    """The plan with what is decided now chosen for all futures; the point plan where that fails."""
    found = hedge(
        problem,
        programme,
        point.solution,
        deadline=deadline,
        workers=workers,
        kernels=solver.kernels,
    )
    if not found.held:
        return point, found.told
    again = replanned(programme, point.solution, found.held, deadline, workers, solver)
    if isinstance(again, Unsolved):
        return point, replace(found.told, status=f"point plan: {again.reason}")
    settled = settle(
        programme, problem.view, again, problem.announced_kw, deadline=deadline, workers=workers
    )
    return replace(settled, left=settled.left or found.left), found.told


def _explained(
    unsolved: Unsolved, programme: Programme, horizon: Horizon, deadline: Deadline
) -> Unsolved:
    """Why there is no plan, in the words of the park file, where the input itself clashes."""
    if not unsolved.infeasible:
        return unsolved
    conflict = find_conflict(programme, horizon, deadline)
    if conflict is None:
        return unsolved
    return replace(unsolved, reason=str(conflict), conflict=conflict)
