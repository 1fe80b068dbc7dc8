"""The demo park's own problem: built and solved our way, and by plain `milp` on the same numbers.

At 11:00 the day-ahead gate is ahead and the plan reaches to the end of the next day; at 14:00 it
looks a day ahead. `milp` (HiGHS) gets the programme as we compile it, and the same gap.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from benchmarks._park import a_park, its_problem
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.model.schedule import Schedule, Unsolved
from vpp.plan.compile import build
from vpp.plan.lp import Deadline, solve_lp
from vpp.plan.problem import Problem
from vpp.plan.programme import Programme
from vpp.plan.solve import solve

AFTER_THE_GATE, BEFORE_THE_GATE = time(14), time(11)
REPEATS = 3
MILP_LIMIT_S = 60.0
LP_LIMIT_S = 60.0


def measure(small: bool) -> Sequence[Figure]:
    """Medians of 3 solves at both times of day; small: one, at the shorter horizon.

    Raises:
        BrokenBenchmarkError: A problem could not be planned at all.
    """
    times = (AFTER_THE_GATE,) if small else (AFTER_THE_GATE, BEFORE_THE_GATE)
    return [figure for at in times for figure in _at(at, repeats=1 if small else REPEATS)]


def _at(at: time, *, repeats: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="vpp-planner-") as folder:
        problem = its_problem(a_park(at, Path(folder)).plant)
    schedules = [_plan(problem) for _ in range(repeats)]
    programme = build(
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=problem.options.limit_excess_price_per_kwh,
    )
    relaxed_s = median(_relaxed_s(programme) for _ in range(repeats))
    plain = [_plain(programme, gap=problem.options.gap)]
    while len(plain) < repeats and plain[0].milp_s < MILP_LIMIT_S / 2:  # hopeless once is enough
        plain.append(_plain(programme, gap=problem.options.gap))
    ours_s = median(s.solve_s for s in schedules)
    plain_s = median(found.milp_s for found in plain)
    both_s = median(found.milp_s + found.lp_s for found in plain)
    cost, plain_cost = schedules[-1].cost, plain[-1].cost
    name = f"{problem.view.horizon.steps / 4:g} h"
    return [
        Figure(name=f"{name}: columns", measured=len(programme.cost)),
        Figure(name=f"{name}: on/off columns", measured=len(programme.integral)),
        Figure(name=f"{name}: build", measured=median(s.build_s for s in schedules), unit="s"),
        Figure(name=f"{name}: relaxed LP", measured=relaxed_s, unit="s"),
        Figure(name=f"{name}: solve", measured=ours_s, unit="s"),
        Figure(name=f"{name}: gap", measured=schedules[-1].gap, at_most=1e-3),
        Figure(name=f"{name}: plain milp (≤ {MILP_LIMIT_S:g} s)", measured=plain_s, unit="s"),
        Figure(name=f"{name}: plain milp and its LP", measured=both_s, unit="s"),
        Figure(name=f"{name}: ours / milp and LP", measured=ours_s / both_s),
        Figure(
            name=f"{name}: our cost over plain milp's",
            measured=None if plain_cost is None else (cost - plain_cost) / abs(plain_cost),
        ),
    ]


def _plan(problem: Problem) -> Schedule:
    outcome = solve(problem, perf_counter)
    if isinstance(outcome, Unsolved):
        raise BrokenBenchmarkError(outcome.reason)
    return outcome.schedule


def _relaxed_s(programme: Programme) -> float:
    began = perf_counter()
    relaxed = solve_lp(programme, {}, Deadline(perf_counter, began + LP_LIMIT_S))
    if isinstance(relaxed, Unsolved):
        raise BrokenBenchmarkError(relaxed.reason)
    return perf_counter() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What plain `milp` came to."""

    milp_s: float
    lp_s: float
    """With its decisions fixed: shadow prices come from there, and `milp` gives none."""

    cost: float | None
    """None where it found nothing in time."""


def _plain(programme: Programme, *, gap: float) -> Plain:
    integrality = np.zeros(len(programme.cost))
    integrality[programme.integral] = 1
    began = perf_counter()
    result = milp(
        programme.cost,
        integrality=integrality,
        bounds=Bounds(programme.lower, programme.upper),
        constraints=LinearConstraint(programme.matrix, programme.row_lower, programme.row_upper),
        options={"time_limit": MILP_LIMIT_S, "mip_rel_gap": gap},
    )
    found = perf_counter()
    if result.x is None:
        return Plain(milp_s=found - began, lp_s=0.0, cost=None)
    decided = np.round(result.x[programme.integral]).tolist()
    fixed = dict(zip(programme.integral.tolist(), decided, strict=True))
    solve_lp(programme, fixed, Deadline(perf_counter, found + LP_LIMIT_S))
    return Plain(milp_s=found - began, lp_s=perf_counter() - found, cost=float(result.fun))


BENCHMARK = Benchmark(about="the demo park's plan, beside plain scipy milp", measure=measure)
