"""Where a plan is solved: in a warm child process that can be killed.

The soft limit stands inside the problem and ends the search with what it has; the hard limit is
held here, from outside, with SIGKILL. A child that was killed or died is replaced before the next
problem, and the interval is told so: `Unsolved` with the reason, never silence. This process loads
no solver.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from typing import Protocol

from vpp.errors import UnavailableError, VppError
from vpp.model.schedule import Feasible, Optimal, Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service.frames import HEADER

LAST_WORDS_S = 5.0
"""How long a child that closed its pipe is waited for, to say how it ended."""

LARGEST_ANSWER_BYTES = 2**30

NONSENSE: tuple[type[Exception], ...] = (
    *(pickle.UnpicklingError, LookupError, ValueError, TypeError, AttributeError, ImportError),
    *(EOFError, OverflowError, MemoryError, VppError),
)
"""What reading a broken pickle may raise."""


class Executor(Protocol):
    """A place that solves problems, one at a time."""

    @property
    def pid(self) -> int | None:
        """The process that solves, None while there is none besides ours."""
        ...

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve within `hard_s` seconds of wall time; what takes longer is `Unsolved`."""
        ...


class ProcessExecutor:
    """One warm child process. Use as an async context manager."""

    def __init__(
        self,
        command: tuple[str, ...] = (sys.executable, "-m", "vpp.service.solver_child"),
        *,
        recycle_after: int = 2000,
    ) -> None:
        """Run `command` as the child, and a fresh one after `recycle_after` answers: a leak ends."""
        self._command = command
        self._recycle_after = recycle_after
        self._answers = 0
        self._child: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._one_at_a_time = asyncio.Lock()
        self.restarts = 0
        """How often a dead or killed child was replaced."""

    async def __aenter__(self) -> ProcessExecutor:
        self._spawn_soon()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.pid if self._child is not None else None

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Solve in the child. The time counts from when its turn comes, a cold start included."""
        payload = pickle.dumps(problem, protocol=pickle.HIGHEST_PROTOCOL)
        async with self._one_at_a_time:
            if self._ready is None:
                raise UnavailableError(
                    "the executor is not open", where="solver", fix="Use it inside `async with`"
                )
            if self._child is not None and self._child.returncode is not None:
                await self._restart()  # it died while nobody asked it anything
            answered = False
            try:
                async with asyncio.timeout(hard_s):
                    answer = await self._ask(await self._ready, payload)
                outcome = _outcome(answer)
                answered = True
            except TimeoutError:
                return Unsolved(reason=f"killed at the hard limit of {hard_s:g} s")
            except OSError as error:
                return Unsolved(reason=f"the solver process cannot be reached: {error}")
            except asyncio.IncompleteReadError:
                return Unsolved(reason=f"the solver process died with code {await self._code()}")
            except NONSENSE as error:
                return Unsolved(reason=f"the solver process answered nonsense: {error!r}")
            finally:
                # Also where the caller was cancelled: a late answer must not meet another problem.
                if not answered:
                    await self._restart()
            self._answers += 1
            if self._answers % self._recycle_after == 0:
                await self._stop()
                self._spawn_soon()
            return outcome

    async def _ask(self, child: asyncio.subprocess.Process, payload: bytes) -> bytes:
        assert child.stdin is not None
        child.stdin.write(HEADER.pack(len(payload)) + payload)
        await child.stdin.drain()
        return await _read(child)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # No threads but the child's own: the linear algebra of its parts is too small for more.
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

    def _spawn_soon(self) -> None:
        self._ready = asyncio.create_task(self._spawn(), name="solver-spawn")

    async def _restart(self) -> None:
        await self._stop()
        self._spawn_soon()
        self.restarts += 1

    async def _code(self) -> int | None:
        """How the child ended, None where it closed its pipe and lives on (it is killed later)."""
        if self._child is None:
            return None
        try:
            return await asyncio.wait_for(self._child.wait(), LAST_WORDS_S)
        except TimeoutError:
            return None

    async def _stop(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()


async def _read(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    header = await child.stdout.readexactly(HEADER.size)
    (size,) = HEADER.unpack(header)
    if size > LARGEST_ANSWER_BYTES:
        raise ValueError(f"an answer of {size} bytes")
    return await child.stdout.readexactly(size)


def _outcome(answer: bytes) -> Outcome:
    outcome = pickle.loads(answer)
    if not isinstance(outcome, Optimal | Feasible | Unsolved):
        raise TypeError(f"{type(outcome).__name__} is no outcome")
    return outcome
