"""Solve one planning problem and say how it went.

Compile, search the on/off decisions (`search.py`), and read its answer (`reading.py`).
Finding no plan is an outcome, not an exception: it happens on ordinary days.
"""

from __future__ import annotations

from vpp.model.schedule import Feasible, Optimal, Outcome, Unsolved
from vpp.plan.compile import build
from vpp.plan.lp import Ahead, Deadline, Stopwatch, in_turn
from vpp.plan.problem import Problem
from vpp.plan.reading import schedule_of
from vpp.plan.search import relative_gap, search


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
    schedule = schedule_of(
        problem, programme, solution, gap=gap, build_s=built - began, solve_s=stopwatch() - built
    )
    return (
        Optimal(schedule=schedule)
        if gap <= problem.options.gap
        else Feasible(schedule=schedule, gap=gap)
    )
