"""Ours, as the service solves: a warm child process, the problem pickled to it, the plan back.

A small plan warms the child first, as the one before does in a service. The park's nouns are made
before the watch starts: a service holds them.
"""

from __future__ import annotations

import asyncio
import os
from time import perf_counter

from benchmarks._families import Case, make_case
from benchmarks._ours import LIMIT_EXCESS_PRICE_PER_KWH, problem_of
from benchmarks._peers.answer import Answer, Asked, NotRunError, only
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.plan.validate import violations
from vpp.service.solving.executor import ProcessExecutor

DISTRIBUTIONS = ("scipy", "numpy")
SOFT_S, HARD_S = 1000.0, 1200.0


def solve(case: Case, asked: Asked) -> Answer:
    """Build, hand over and solve; the check and the breaking of ties are told apart."""
    only(case, "A", "B", "FM")
    _hold_to(asked.threads)
    problem = problem_of(case, gap=asked.gap, soft_s=SOFT_S)
    outcome, total_s = asyncio.run(_solved(problem, asked.gap))
    if isinstance(outcome, Unsolved):
        raise RuntimeError(outcome.reason)
    schedule = outcome.schedule
    began = perf_counter()
    wrong = violations(
        schedule,
        problem.view,
        problem.terms,
        limit_excess_price_per_kwh=LIMIT_EXCESS_PRICE_PER_KWH,
    )
    validate_s = perf_counter() - began
    if wrong:
        raise RuntimeError(f"the plan breaks {len(wrong)} rules: {'; '.join(wrong[:3])}")
    return Answer(
        build_s=schedule.build_s,
        solve_s=total_s - schedule.build_s - schedule.ties_s,
        objective=schedule.cost,
        gap=schedule.gap,
        ties_s=schedule.ties_s,
        validate_s=validate_s,
    )


def _hold_to(processors: int) -> None:
    """The child uses all that it may."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])


async def _solved(problem: Problem, gap: float) -> tuple[Outcome, float]:
    warm_up = problem_of(make_case("A", 1, seed=0), gap=gap, soft_s=SOFT_S)
    async with ProcessExecutor() as executor:
        warmed = await executor.solve(warm_up, hard_s=HARD_S)
        if isinstance(warmed, Unsolved):
            raise NotRunError(warmed.reason)
        began = perf_counter()
        outcome = await executor.solve(problem, hard_s=HARD_S)
        return outcome, perf_counter() - began
