"""A world that lives in a child process, with the methods of `World`.

Code in lockstep cannot tell which of the two it drives. The child is killed when `stop` has
waited long enough, and ends by itself when this process does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from vpp.clock import Clock, WallClock
from vpp.errors import DataError, UnavailableError
from vpp.model.time import Interval
from vpp.simulate.frames import decode, encode, frame, read_frame, unpack_error
from vpp.simulate.trajectory import Trajectory
from vpp.simulate.world import WorldSpec

log = logging.getLogger(__name__)

STDERR_LINES = 40
GOODBYE_S = 10.0


class RemoteWorld:
    """The parent's end. Every method raises `UnavailableError` once the child has died."""

    def __init__(self, spec: WorldSpec) -> None:
        """Keep `spec`; the child is born in `start`."""
        self._spec = spec
        self._child: asyncio.subprocess.Process | None = None
        self._listening: list[asyncio.Task[None]] = []
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = count()
        self._last_words: deque[str] = deque(maxlen=STDERR_LINES)
        self._next_trade: datetime | None = None
        self._venue_url: str | None = None
        self._dead: UnavailableError | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None before `start`."""
        return self._child.pid if self._child else None

    @property
    def venue_url(self) -> str:
        """Where the venue answers questions about bid sets. `UnavailableError` before `start`."""
        if self._venue_url is None:
            raise UnavailableError("not started", where="RemoteWorld", fix="Call start() first")
        return self._venue_url

    async def start(self) -> None:
        """Bear the child and start its world. Raises as `World.start`, and if the child dies."""
        path = os.pathsep.join(entry or str(os.curdir) for entry in sys.path)
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "vpp.simulate",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C at a terminal is for us; the child follows our stdin
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        overheard = asyncio.create_task(self._overhear(self._child.stderr), name="world-stderr")
        self._listening = [
            asyncio.create_task(self._listen(self._child, overheard), name="world-answers"),
            overheard,
        ]
        await self._write(pickle.dumps(self._spec))
        try:
            self._venue_url = await self._ask("start")
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Ask the child to say goodbye; kill it where it does not."""
        if self._child is None:
            return
        try:
            if self._dead is None:
                async with asyncio.timeout(GOODBYE_S):
                    await self._ask("stop")
                    self._close_stdin()
                    await self._child.wait()
        except (TimeoutError, UnavailableError) as error:
            log.warning("the world did not say goodbye: %r", error)
        finally:
            await self.kill()

    async def kill(self) -> None:
        """End the child at once, whatever it does."""
        if self._child is None:
            return
        if self._child.returncode is None:
            self._child.kill()
        self._close_stdin()
        await self._child.wait()
        await asyncio.gather(*self._listening)

    async def advance(self, now: datetime, expected_commands: Mapping[str, int]) -> dict[str, int]:
        """As `World.advance`."""
        expected = dict(expected_commands)
        seqs: dict[str, int] = await self._ask("advance", now=now, expected_commands=expected)
        return seqs

    async def trade(self, now: datetime) -> None:
        """As `World.trade`."""
        await self._ask("trade", now=now)

    def next_trade(self) -> datetime:
        """When the market is due next, as the newest answer said."""
        if self._next_trade is None:
            raise UnavailableError("no agenda yet", where="RemoteWorld", fix="Call start() first")
        return self._next_trade

    async def run(self, clock: Clock, stop: asyncio.Event, period_s: float) -> None:
        """As `World.run`; the child's clock is set by ours.

        Raises:
            DataError: `clock` is no `WallClock`; no other can be shared between processes.
        """
        if not isinstance(clock, WallClock):
            raise DataError(
                f"{type(clock).__name__} cannot be shared",
                where="RemoteWorld.run",
                fix="Drive it with advance() and trade(), or use a WallClock",
            )
        running = asyncio.create_task(
            self._ask(
                "run",
                now=clock.now(),
                wall_now=datetime.now(UTC),
                speed=clock.speed,
                period_s=period_s,
            )
        )
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self._ask("halt")
            await running
        finally:
            stopped.cancel()
            running.cancel()

    async def snapshot(self) -> dict[str, Any]:
        """As `World.snapshot`."""
        plain: dict[str, Any] = await self._ask("snapshot")
        return plain

    async def restore(self, plain: Mapping[str, Any]) -> None:
        """As `World.restore`."""
        await self._ask("restore", snapshot=dict(plain))

    async def trajectory(self, span: Interval) -> Trajectory:
        """As `World.trajectory`."""
        return Trajectory.from_plain(await self._ask("trajectory", start=span.start, end=span.end))

    async def rollout(self, span: Interval) -> Trajectory:
        """As `World.rollout`."""
        return Trajectory.from_plain(await self._ask("rollout", start=span.start, end=span.end))

    async def past(self) -> Trajectory | None:
        """As `World.past`."""
        plain = await self._ask("past")
        return None if plain is None else Trajectory.from_plain(plain)

    async def report(self) -> dict[str, Any]:
        """As `World.report`."""
        plain: dict[str, Any] = await self._ask("report")
        return plain

    # ------------------------------------------------------------ within

    async def _ask(self, op: str, **arguments: Any) -> Any:
        if self._dead:
            raise self._dead
        request_id = next(self._ids)
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        try:
            await self._write(encode({"id": request_id, "op": op, **arguments}))
            return await answer
        finally:
            self._answers.pop(request_id, None)

    async def _write(self, payload: bytes) -> None:
        if self._child is None or self._child.stdin is None:
            raise UnavailableError("not started", where="RemoteWorld", fix="Call start() first")
        try:
            self._child.stdin.write(frame(payload))
            await self._child.stdin.drain()
        except ConnectionError:
            return  # the child is gone; who waits for its answer learns why from `_listen`

    async def _listen(
        self, child: asyncio.subprocess.Process, overheard: asyncio.Task[None]
    ) -> None:
        assert child.stdout is not None
        while (payload := await read_frame(child.stdout)) is not None:
            answer = decode(payload)
            self._next_trade = answer["next_trade"] or self._next_trade
            waiting = self._answers.get(answer["id"])
            if waiting is None or waiting.done():
                continue
            if "error" in answer:
                waiting.set_exception(unpack_error(answer["error"]))
            else:
                waiting.set_result(answer["result"])
        code = await child.wait()
        await overheard
        self._dead = UnavailableError(
            f"the child ended with {code}; it said: {' | '.join(self._last_words) or 'nothing'}",
            where="simulated world",
            fix="Read its last words; start again",
        )
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(self._dead)

    async def _overhear(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            text = line.decode(errors="replace").rstrip()
            self._last_words.append(text)
            log.warning("world: %s", text)

    def _close_stdin(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
