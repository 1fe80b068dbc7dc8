"""Where a plan is solved: in a warm child process that can be killed.

The soft limit stands inside the problem and ends the search with what it has; the hard limit is held
from outside (`warmchild.py`). The interval is told where there is no plan: `Unsolved` with the reason.
This process loads no solver.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from contextlib import AsyncExitStack
from typing import Protocol

from vpp.model.schedule import Feasible, Optimal, Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service.solving.warmchild import Failed, WarmChild


class Executor(Protocol):
    """A place that solves problems, one at a time."""

    @property
    def pid(self) -> int | None:
        """The process that solves, None while there is none besides ours."""
        ...

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve within `hard_s` seconds of wall time; what takes longer is `Unsolved`."""
        ...


class ProcessExecutor(WarmChild):
    """One warm child process. Use as an async context manager."""

    def __init__(
        self,
        command: tuple[str, ...] = (sys.executable, "-m", "vpp.service.solving.child"),
        *,
        recycle_after: int = 2000,
    ) -> None:
        """Run `command` as the child, and a fresh one after `recycle_after` answers."""
        super().__init__(command, name="solver", recycle_after=recycle_after)

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve in the child. The time counts from when its turn comes, a cold start included."""
        payload = pickle.dumps(problem, protocol=pickle.HIGHEST_PROTOCOL)
        answer = await self.ask(lambda: payload, _outcome, hard_s=hard_s)
        return Unsolved(reason=answer.reason, broke=True) if isinstance(answer, Failed) else answer


class ExecutorPool:
    """Some warm children, each started when it is first needed; who is free solves. `rest` ends them."""

    pid: int | None = None

    def __init__(self, size: int) -> None:
        """Let at most `size` problems be solved at once; the others wait, first come first served."""
        self._free = asyncio.Semaphore(size)
        self._idle: list[ProcessExecutor] = []
        self._children = AsyncExitStack()

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve in a child that is free; the time counts from when its turn comes."""
        async with self._free:
            child = self._idle.pop() if self._idle else await self._another()
            try:
                return await child.solve(problem, hard_s=hard_s)
            finally:
                self._idle.append(child)

    async def _another(self) -> ProcessExecutor:
        return await self._children.enter_async_context(ProcessExecutor())

    async def rest(self) -> None:
        """End all children; the next problem starts one again. Nothing may be being solved."""
        self._idle = []
        await self._children.aclose()


def _outcome(answer: bytes) -> Outcome:
    outcome = pickle.loads(answer)
    if not isinstance(outcome, Optimal | Feasible | Unsolved):
        raise TypeError(f"{type(outcome).__name__} is no outcome")
    return outcome
