"""Where a plan is solved: in a warm child process that can be killed.

The soft limit stands inside the problem and ends the search with what it has; the hard limit is held
from outside (`warmchild.py`); arrays pass in memory that both see (`handover.py`). The interval is told where there is no plan: `Unsolved` with the reason.
This process loads no solver.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, ExitStack
from typing import Protocol, Self

from vpp.model.schedule import Feasible, Optimal, Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service.solving.childlife import give_back
from vpp.service.solving.handover import Parks, loaded, put, sheet
from vpp.service.solving.warmchild import Failed, WarmChild

MANY_RESOURCES = 10_000
"""From so many on what was freed leaves this process before it is solved elsewhere: of a hundred thousand a tenth of
what it holds, in 0.03 s beside the event loop."""


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
        self._sheets = ExitStack()
        self._parks = Parks()
        self._told_pid: int | None = None

    async def __aenter__(self) -> Self:
        asked, answered = (self._sheets.enter_context(sheet()) for _ in range(2))
        self._inherited = (asked, answered)
        self._command = (*self._command, f"--sheets={asked},{answered}")
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            self._sheets.close()

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve in the child. The time counts from when its turn comes, a cold start included."""
        answer = await self.ask(
            lambda: self._asked(problem), self._outcome, hard_s=hard_s, apart=True
        )
        return Unsolved(reason=answer.reason, broke=True) if isinstance(answer, Failed) else answer

    def _asked(self, problem: Problem) -> bytes:
        """A question to the child that is there now, its arrays on the first sheet; the other is made empty."""
        asked, answered = self._inherited
        if self._told_pid != self.pid:
            self._told_pid = self.pid
            self._parks.forget()
        put(answered, [])
        question = self._parks.dumped(problem, asked)
        if len(problem.view.park.resources) >= MANY_RESOURCES:
            give_back()  # the solver's process needs the room
        return question

    def _outcome(self, answer: bytes) -> Outcome:
        outcome = loaded(answer, self._inherited[1])
        put(self._inherited[1], [])  # what was copied needs no memory twice
        if not isinstance(outcome, Optimal | Feasible | Unsolved):
            raise TypeError(f"{type(outcome).__name__} is no outcome")
        return outcome


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
