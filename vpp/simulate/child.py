"""The world in a process of its own: reads requests from stdin, answers on stdout.

Devices and service then publish and ingest on two cores, and a test can kill either. The child
ends when its stdin does, so it never outlives its parent. Whatever else prints goes to stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from vpp.clock import WallClock
from vpp.errors import UnavailableError, VppError
from vpp.model.time import Interval
from vpp.simulate.frames import decode, encode, frame, pack_error, read_frame
from vpp.simulate.world import World

GOODBYE_S = 5.0
Operation = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Child:
    """Serves one world to one parent."""

    def __init__(self, world: World, writer: asyncio.StreamWriter) -> None:
        self._world = world
        self._writer = writer
        self._halt = asyncio.Event()
        self._operations: dict[str, Operation] = {
            "start": self._start,
            "advance": self._advance,
            "trade": self._trade,
            "run": self._run,
            "halt": self._halt_run,
            "report": self._report,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "trajectory": self._trajectory,
            "rollout": self._rollout,
            "past": self._past,
            "stop": self._stop,
        }

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer requests, several at a time, until the pipe ends."""
        answering: set[asyncio.Task[None]] = set()
        # Whatever is no VppError is a bug: it ends the group, the child, and so tells the parent.
        async with asyncio.TaskGroup() as group:
            while (payload := await read_frame(reader)) is not None:
                task = group.create_task(self._answer(decode(payload)))
                answering.add(task)
                task.add_done_callback(answering.discard)
            for task in answering:
                task.cancel()

    async def _answer(self, request: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            answer["result"] = await self._operations[request["op"]](request)
        except* VppError as group:
            answer["error"] = pack_error(_first(group))
        try:
            answer["next_trade"] = self._world.next_trade()
        except UnavailableError:
            answer["next_trade"] = None
        self._writer.write(frame(encode(answer)))
        await self._writer.drain()

    async def _start(self, _: Mapping[str, Any]) -> str:
        await self._world.start()
        return self._world.venue_url

    async def _advance(self, request: Mapping[str, Any]) -> dict[str, int]:
        return await self._world.advance(request["now"], request["expected_commands"])

    async def _trade(self, request: Mapping[str, Any]) -> None:
        await self._world.trade(request["now"])

    async def _run(self, request: Mapping[str, Any]) -> None:
        # Both processes read the same machine's clock; what the request took on its way counts.
        late = datetime.now(UTC) - request["wall_now"]
        clock = WallClock(start=request["now"] + late * request["speed"], speed=request["speed"])
        self._halt.clear()
        await self._world.run(clock, self._halt, request["period_s"])

    async def _halt_run(self, _: Mapping[str, Any]) -> None:
        self._halt.set()

    async def _report(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return await self._world.report()

    async def _snapshot(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return await self._world.snapshot()

    async def _restore(self, request: Mapping[str, Any]) -> None:
        await self._world.restore(request["snapshot"])

    async def _trajectory(self, request: Mapping[str, Any]) -> dict[str, Any]:
        span = Interval(request["start"], request["end"])
        return (await self._world.trajectory(span)).plain()

    async def _rollout(self, request: Mapping[str, Any]) -> dict[str, Any]:
        span = Interval(request["start"], request["end"])
        return (await self._world.rollout(span)).plain()

    async def _past(self, _: Mapping[str, Any]) -> dict[str, Any] | None:
        past = await self._world.past()
        return None if past is None else past.plain()

    async def _stop(self, _: Mapping[str, Any]) -> None:
        self._halt.set()
        await self._world.stop()


def _first(group: BaseExceptionGroup[VppError]) -> VppError:
    """The first error of a (nested) group: one of them is enough to act on."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


async def serve(answers_fd: int) -> None:
    """Build the world that the first frame on stdin describes, and serve it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(answers_fd, "wb")
    )
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    spec = await read_frame(reader)
    if spec is None:
        return
    world = World(pickle.loads(spec))
    try:
        await Child(world, writer).serve(reader)
    finally:
        async with asyncio.timeout(GOODBYE_S):
            await world.stop()


def main() -> None:
    """Keep stdout for answers alone, log to stderr, serve until stdin ends."""
    answers_fd = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    asyncio.run(serve(answers_fd))
