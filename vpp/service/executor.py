"""Where a plan is solved: in this process (tests), or in a warm child that can be killed.

The soft limit stands inside the problem and ends the search with what it has; the hard limit is
held here, from outside, with SIGKILL. A child that was killed or died is replaced before the next
problem, and the interval is told so: `Unsolved` with the reason, never silence.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from typing import Protocol

from vpp.errors import UnavailableError
from vpp.model.schedule import Outcome, Unsolved
from vpp.plan.solve import Problem, solve
from vpp.service.solver_child import HEADER


class Executor(Protocol):
    """A place that solves problems, one at a time."""

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve within `hard_s` seconds of wall time; what takes longer is `Unsolved`."""
        ...


class InlineExecutor:
    """Solves in the calling process and blocks it: for tests and one-off commands."""

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        return solve(problem)


class ProcessExecutor:
    """One warm child process. Use as an async context manager."""

    def __init__(
        self, command: tuple[str, ...] = (sys.executable, "-m", "vpp.service.solver_child")
    ) -> None:
        self._command = command
        self._child: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._one_at_a_time = asyncio.Lock()
        self.restarts = 0
        """How often a dead or killed child was replaced."""

    async def __aenter__(self) -> ProcessExecutor:
        self._ready = asyncio.create_task(self._spawn(), name="solver-spawn")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.cancel()
            await asyncio.gather(self._ready, return_exceptions=True)
        await self._kill()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        payload = pickle.dumps(problem, protocol=pickle.HIGHEST_PROTOCOL)
        async with self._one_at_a_time:
            if self._ready is None:
                raise UnavailableError(
                    "the executor is not open", where="solver", fix="Use it inside `async with`"
                )
            child = await self._ready
            try:
                answer = await asyncio.wait_for(self._ask(child, payload), hard_s)
            except TimeoutError:
                await self._replace()
                return Unsolved(reason=f"killed at the hard limit of {hard_s:g} s")
            except (asyncio.IncompleteReadError, ConnectionError):
                code = await child.wait()
                await self._replace()
                return Unsolved(reason=f"the solver process died with code {code}")
        try:
            return _outcome(answer)
        except pickle.UnpicklingError as error:
            async with self._one_at_a_time:
                await self._replace()
            return Unsolved(reason=f"the solver process answered nonsense: {error}")

    async def _ask(self, child: asyncio.subprocess.Process, payload: bytes) -> bytes:
        assert child.stdin is not None
        child.stdin.write(HEADER.pack(len(payload)) + payload)
        await child.stdin.drain()
        return await _read(child)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # One thread: the planner's matrices are small, and the second core belongs to the loop.
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=env,
        )
        self._child = child
        await _read(child)  # it has said that it is ready
        return child

    async def _replace(self) -> None:
        await self._kill()
        self.restarts += 1
        self._ready = asyncio.create_task(self._spawn(), name="solver-spawn")

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()


async def _read(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    header = await child.stdout.readexactly(HEADER.size)
    return await child.stdout.readexactly(HEADER.unpack(header)[0])


def _outcome(answer: bytes) -> Outcome:
    outcome: Outcome = pickle.loads(answer)
    return outcome
