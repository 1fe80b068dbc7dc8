"""A warm child process that answers one question at a time and can be killed.

Who asks gives a hard limit, held here from outside with SIGKILL. A child that was killed or died is
replaced before the next question, and whoever asked is told why there is no answer: `Failed`, never
silence. Questions and answers are frames (`frames.py`) on its stdin and stdout.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar

from vpp.errors import UnavailableError, VppError
from vpp.service.solving.frames import HEADER

LAST_WORDS_S = 5.0
"""How long a child that closed its pipe is waited for, to say how it ended."""

LARGEST_ANSWER_BYTES = 2**30

NONSENSE: tuple[type[Exception], ...] = (
    *(pickle.UnpicklingError, LookupError, ValueError, TypeError, AttributeError, ImportError),
    *(EOFError, OverflowError, MemoryError, VppError),
)
"""What reading a broken pickle may raise."""

NO_MEMORY = (errno.ENOSPC, errno.ENOMEM)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer."""

    reason: str


class WarmChild:
    """One warm child process. Use as an async context manager."""

    def __init__(self, command: tuple[str, ...], *, name: str, recycle_after: int) -> None:
        """Run `command` as the child, and a fresh one after `recycle_after` answers: a leak ends.

        `name` says in messages which process it is.
        """
        self._command = command
        self._inherited: tuple[int, ...] = ()
        """Descriptors that the child gets, under the same numbers."""
        self._name = name
        self._recycle_after = recycle_after
        self._answers = 0
        self._open = False
        self._child: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._one_at_a_time = asyncio.Lock()
        self.restarts = 0
        """How often a dead or killed child was replaced."""

    async def __aenter__(self) -> Self:
        self._open = True
        self._spawn_soon()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False  # a question that ends now starts no other child
        await self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.pid if self._child is not None else None

    async def ask(
        self,
        payload: Callable[[], bytes],
        read: Callable[[bytes], Answer],
        *,
        hard_s: float,
        apart: bool = False,
    ) -> Answer | Failed:
        """What the child answers, as `read` makes it of the bytes, within `hard_s` of wall time.

        The time counts from when its turn comes, a cold start included; `payload` is made then, by
        what the child that hears it has been told already. `read` runs in a thread: a fleet's plan takes a second.
        So does `payload` where it is `apart`: nothing that it is made of may change meanwhile.

        Raises:
            UnavailableError: It is not open.
        """
        async with self._one_at_a_time:
            if self._ready is None:
                raise UnavailableError(
                    f"the {self._name} process is not open",
                    where=self._name,
                    fix="Use it inside `async with`",
                )
            if self._child is not None and self._child.returncode is not None:
                await self._restart()  # it died while nobody asked it anything
            answered = False
            try:
                async with asyncio.timeout(hard_s):
                    child = await self._ready
                    if isinstance(question := await self._question(payload, apart), Failed):
                        answered = True  # by ourselves: the child heard nothing, and is well
                        return question
                    content = await self._ask(child, question)
                answer = await _beside_the_loop(partial(read, content))
                answered = True
            except TimeoutError:
                return Failed(f"killed at the hard limit of {hard_s:g} s")
            except OSError as error:
                return Failed(f"the {self._name} process cannot be reached: {error}")
            except asyncio.IncompleteReadError:
                return Failed(f"the {self._name} process died with code {await self._code()}")
            except NONSENSE as error:
                return Failed(f"the {self._name} process answered nonsense: {error!r}")
            finally:
                # Also where the caller was cancelled: a late answer must not meet another question.
                if not answered:
                    await self._restart()
            self._answers += 1
            if self._answers % self._recycle_after == 0:
                await self._stop()
                self._spawn_soon()
            return answer

    async def _question(self, payload: Callable[[], bytes], apart: bool) -> bytes | Failed:
        """What is to be asked; no memory for it is not the child's fault."""
        try:
            return await _beside_the_loop(payload) if apart else payload()
        except MemoryError as error:
            return Failed(f"no memory is left to ask the {self._name} process: {error!r}")
        except OSError as error:
            if error.errno not in NO_MEMORY:
                raise
            return Failed(f"no memory is left to ask the {self._name} process: {error}")

    async def _ask(self, child: asyncio.subprocess.Process, payload: bytes) -> bytes:
        await write_question(child, payload)
        return await read_answer(child)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # No threads but the child's own: the linear algebra of its parts is too small for more.
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=env,
            pass_fds=self._inherited,
            start_new_session=True,  # Ctrl-C at a terminal is for us: the child ends when we let it
        )
        self._child = child
        await read_answer(child)  # it has said that it is ready
        return child

    def _spawn_soon(self) -> None:
        if self._open:
            self._ready = asyncio.create_task(self._spawn(), name=f"{self._name}-spawn")

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


async def _beside_the_loop(work: Callable[[], Answer]) -> Answer:
    """What comes of it, in a thread. Who is cancelled waits for it all the same: it reads and writes what the next does."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():  # who is cancelled may be so again: by a limit, and by who waits
            with suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        raise


async def write_question(child: asyncio.subprocess.Process, payload: bytes) -> None:
    """Put a frame on a child's stdin. `OSError` where it has gone."""
    assert child.stdin is not None
    child.stdin.write(HEADER.pack(len(payload)) + payload)
    await child.stdin.drain()


async def read_answer(child: asyncio.subprocess.Process) -> bytes:
    """The next frame on a child's stdout.

    Raises:
        asyncio.IncompleteReadError: It has gone.
        ValueError: The frame is larger than any answer of ours.
    """
    assert child.stdout is not None
    header = await child.stdout.readexactly(HEADER.size)
    (size,) = HEADER.unpack(header)
    if size > LARGEST_ANSWER_BYTES:
        raise ValueError(f"an answer of {size} bytes")
    return await child.stdout.readexactly(size)
