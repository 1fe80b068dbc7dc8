"""A seeded TCP proxy on loopback that does to a connection what networks do.

    client ─▶ proxy ─▶ server        `up`:   what befalls the bytes of a client
    client ◀─ proxy ◀─ server        `down`: what befalls those of its server

Both `Toxic`s may be exchanged while connections live. What is drawn by lot depends on the seed, the
number of the connection and the byte stream alone, so that a run repeats. It knows no protocol: an
answer that is to be lost is named by the beginning of the request before it.

    async with Proxy(broker_port, seed=7) as proxy:
        proxy.down = Toxic(latency_s=0.2, jitter_s=0.1)     # late, in order
        proxy.up = proxy.down = Toxic(swallow=True)         # half-open: silence, and nobody closes
        proxy.drops = {rb"POST /v1/bids": 3}                # the next three answers never come
        proxy.cut()                                         # every connection ends
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import TracebackType
from typing import Any, Self

RETRY_S = 0.02
READ = 65536
AT_ONCE = 256
"""Pieces on their way in one direction; a sender that is faster waits, as behind a full window."""


class Side(Enum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """What befalls the bytes of one direction; as it is made, all pass unchanged and at once."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Latency is drawn evenly from this much less to this much more; the order stays."""
    late_share: float = 1.0
    """How much of what is sent is late at all, drawn by piece."""
    bandwidth_bytes_per_s: float | None = None
    slice_bytes: int | None = None
    """Hand over pieces of 1 to so many bytes."""
    corrupt_share: float = 0.0
    """Chance of each byte that one of its bits is flipped."""
    cut_after_bytes: int | None = None
    """A connection is closed when it has carried so many in this direction, not one more."""
    reset_after_bytes: int | None = None
    """The same, by a reset instead of an orderly end."""
    swallow: bool = False
    """Nothing passes and nobody is told. What lost a byte so stays dead for as long as it lives."""


CLEAN = Toxic()


class Proxy:
    """Listens on a port of its own and forwards to `port` on loopback."""

    def __init__(self, port: int, *, seed: int = 0, patience_s: float = 0.0) -> None:
        """`patience_s`: how long a server is waited for that does not listen yet."""
        self.upstream = port
        self.seed = seed
        self._patience_s = patience_s
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.up = CLEAN
        self.down = CLEAN
        self.refuses = False
        """Whether a connection is closed as soon as it was accepted."""
        self.drops: dict[bytes, int] = {}
        """How many answers to drop yet, by an expression that the request's beginning matches."""
        self.cuts_on_drop = True
        """Whether a connection ends with an answer that is dropped; else it lives on."""
        self.dropped: list[bytes] = []
        """The first bytes of every answer that was lost."""
        self.accepted = 0
        self.heard = 0
        """Bytes that came from either side."""
        self.swallowed = 0
        """Bytes that a half-open connection took and never gave."""
        self.corrupted = 0
        """Bytes that were changed."""
        self._news = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def live(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until what the counters of this proxy say is so."""
        while not done():
            self._news.clear()
            await self._news.wait()

    def noted(self) -> None:
        """Let those see who wait for a counter."""
        self._news.set()

    def cut(self) -> None:
        """End every connection in good order."""
        for connection in self._open:
            connection.end()

    def reset(self) -> None:
        """Reset every connection: both ends get an error, and what was on its way is lost."""
        for connection in self._open:
            connection.end(reset=True)

    def inject(self, side: Side, data: bytes) -> None:
        """Put bytes that nobody sent onto every connection, towards server (UP) or client (DOWN)."""
        for connection in self._open:
            connection.inject(side, data)

    def toxic(self, side: Side) -> Toxic:
        return self.up if side is Side.UP else self.down

    def addressed(self, request: bytes) -> bytes:
        """What is sent on in place of what a client sent."""
        return request

    def loses(self, request: bytes, answer: bytes) -> bool:
        """Whether this answer is one that is to be lost."""
        for begins, left in self.drops.items():
            if left and re.match(begins, request, re.DOTALL):
                self.drops[begins] = left - 1
                self.dropped.append(answer[:4096])
                self.noted()
                return True
        return False

    async def _accept(self, asks: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.accepted += 1
        self.noted()
        number = self.accepted
        try:
            if not self.refuses:
                down, up = await self._connect()
                connection = _Connection(self, number, (asks, answers), (down, up))
                self._open.add(connection)
                try:
                    await connection.live()
                finally:
                    self._open.discard(connection)
                    self.noted()
        except (OSError, asyncio.CancelledError):
            return  # no server, or the proxy closes: the client learns it by the end of its stream
        finally:
            self._serving.discard(task)
            answers.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server; one that is just being started again is waited for."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + self._patience_s
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self.upstream)
            except ConnectionRefusedError:
                if loop.time() >= latest:
                    raise
                await asyncio.sleep(RETRY_S)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One client and its server, until either is gone."""

    def __init__(self, proxy: Proxy, number: int, client: Ends, server: Ends) -> None:
        self._proxy = proxy
        self._flows = {
            Side.UP: _Flow(proxy, Side.UP, number, client[0], server[1]),
            Side.DOWN: _Flow(proxy, Side.DOWN, number, server[0], client[1]),
        }
        self._over = asyncio.Event()
        self._reset = False

    def end(self, *, reset: bool = False) -> None:
        self._reset = self._reset or reset
        self._over.set()

    def inject(self, side: Side, data: bytes) -> None:
        self._flows[side].writer.write(data)

    async def live(self) -> None:
        up, down = self._flows[Side.UP], self._flows[Side.DOWN]
        parts: list[Coroutine[Any, Any, object]] = [
            self._read(up),
            self._read(down),
            self._write(up),
            self._write(down),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await self._over.wait()
        finally:
            for task in tasks:
                task.cancel()
            for flow in (up, down):
                flow.close(reset=self._reset)
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _dead(self) -> bool:
        return any(flow.dead for flow in self._flows.values())

    async def _read(self, flow: _Flow) -> None:
        try:
            while data := await flow.reader.read(READ):
                self._proxy.heard += len(data)
                self._proxy.noted()
                if self._proxy.toxic(flow.side).swallow:
                    flow.dead = True
                if self._dead:
                    self._proxy.swallowed += len(data)
                    self._proxy.noted()
                elif flow.side is Side.UP:
                    flow.asked = data
                    await flow.take(self._proxy.addressed(data))
                elif not self._proxy.loses(self._flows[Side.UP].asked, data):
                    await flow.take(data)
                elif self._proxy.cuts_on_drop:
                    self.end()
        except ConnectionError:
            self._gone(flow)
            return
        if self._dead or self._proxy.toxic(flow.side).swallow:
            self._gone(flow)
        else:
            await flow.on_its_way.put(None)

    def _gone(self, flow: _Flow) -> None:
        """One end is gone. On a half-open connection the other one never learns it."""
        flow.gone = True
        if all(f.gone for f in self._flows.values()) or not (
            self._dead or self._proxy.toxic(flow.side).swallow
        ):
            self.end()

    async def _write(self, flow: _Flow) -> None:
        try:
            while await flow.give():
                pass
        except ConnectionError:
            self._gone(flow)
            return
        self.end(reset=flow.resets)


class _Flow:
    """One direction of one connection."""

    def __init__(
        self,
        proxy: Proxy,
        side: Side,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self.side = side
        self.reader, self.writer = reader, writer
        self._lot = Random(f"{proxy.seed}/{number}/{side.value}")
        self.on_its_way: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(AT_ONCE)
        self._due = 0.0
        self._carried = 0
        self.asked = b""
        self.dead = self.gone = self.resets = False

    async def take(self, data: bytes) -> None:
        """Let bytes set out: when they are to arrive is drawn now."""
        toxic, delay_s = self._proxy.toxic(self.side), 0.0
        if (toxic.latency_s or toxic.jitter_s) and self._lot.random() < toxic.late_share:
            delay_s = toxic.latency_s + self._lot.uniform(-toxic.jitter_s, toxic.jitter_s)
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now + delay_s)
        await self.on_its_way.put((self._due, self._damaged(data, toxic.corrupt_share)))

    def _damaged(self, data: bytes, share: float) -> bytes:
        if not share:
            return data
        damaged = bytearray(data)
        for position in range(len(damaged)):
            if self._lot.random() < share:
                damaged[position] ^= 1 << self._lot.randrange(8)
                self._proxy.corrupted += 1
        return bytes(damaged)

    async def give(self) -> bool:
        """Hand the next bytes over when they are due; False where the connection ends with them."""
        piece = await self.on_its_way.get()
        if piece is None:
            await self.writer.drain()
            return False
        due, data = piece
        left_s = due - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.sleep(left_s)
        while data:
            toxic = self._proxy.toxic(self.side)
            if toxic.swallow:
                self.dead = True
                self._proxy.swallowed += len(data)
                self._proxy.noted()
                return True
            size = self._lot.randint(1, toxic.slice_bytes) if toxic.slice_bytes else len(data)
            part, data = data[:size], data[size:]
            if not await self._hand_over(part, toxic):
                return False
        return True

    async def _hand_over(self, part: bytes, toxic: Toxic) -> bool:
        ends = [n for n in (toxic.cut_after_bytes, toxic.reset_after_bytes) if n is not None]
        left = min(ends, default=self._carried + len(part)) - self._carried
        self.writer.write(part[: max(left, 0)])
        await self.writer.drain()
        self._carried += min(len(part), max(left, 0))
        if ends and self._carried >= min(ends):
            self.resets = toxic.reset_after_bytes == min(ends)
            return False
        if toxic.bandwidth_bytes_per_s is not None:
            await asyncio.sleep(len(part) / toxic.bandwidth_bytes_per_s)
        elif toxic.slice_bytes:
            await asyncio.sleep(0)  # a piece leaves by itself, not joined to the next
        return True

    def close(self, *, reset: bool) -> None:
        if self.writer.transport.is_closing():
            return  # this end went away by itself
        if reset:
            endpoint = self.writer.get_extra_info("socket")
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
