"""Solve in the calling process and block it: for tests and one-off commands."""

from __future__ import annotations

from time import perf_counter

from vpp.model.schedule import Outcome
from vpp.plan.problem import Problem
from vpp.plan.solve import solve


class InlineExecutor:
    """An `Executor` without a process of its own; nothing holds its hard limit."""

    pid: int | None = None

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve now."""
        return solve(problem, perf_counter)
