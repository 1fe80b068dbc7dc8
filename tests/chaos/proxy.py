"""A TCP proxy between market and service that can lose answers, and waits for a service to come back.

    market ─▶ proxy ─▶ service       the request always passes
    market ◀╳ proxy ◀─ service       the answer is read whole, and dropped while `drops` says so

It knows no HTTP beyond the first line and the name of the host.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

RETRY_S = 0.02
PATIENCE_S = 30.0
READ = 65536


class Proxy:
    """Listens on a port of its own and forwards to `port` on loopback."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.drops: dict[str, int] = {}
        """How many answers to drop yet, by the beginning of the request line: `POST /v1/...`."""
        self.dropped: list[bytes] = []
        """The first bytes of every answer that was lost."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, asks: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        self._open.add(answers)
        try:
            first = await asks.read(READ)
            if not first:
                return
            down, up = await self._connect()
            self._open.add(up)
            try:
                up.write(self._addressed(first))
                await self._between(asks, answers, down, up, first)
            finally:
                self._open.discard(up)
                up.close()
        except ConnectionError:
            return  # either side went away: the other one learns it by the end of its stream
        finally:
            self._open.discard(answers)
            answers.close()

    async def _between(
        self,
        asks: asyncio.StreamReader,
        answers: asyncio.StreamWriter,
        down: asyncio.StreamReader,
        up: asyncio.StreamWriter,
        first: bytes,
    ) -> None:
        request = first
        asking = asyncio.create_task(asks.read(READ))
        answering = asyncio.create_task(down.read(READ))
        try:
            while True:
                await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
                if answering.done():
                    answer = answering.result()
                    if not answer or self._lose(request, answer):
                        return
                    answers.write(answer)
                    answering = asyncio.create_task(down.read(READ))
                if asking.done():
                    request = asking.result()
                    if not request:
                        return
                    up.write(self._addressed(request))
                    asking = asyncio.create_task(asks.read(READ))
        finally:
            asking.cancel()
            answering.cancel()

    def _addressed(self, request: bytes) -> bytes:
        """The service answers to its own name only."""
        ours = self.url.removeprefix("http://").encode()
        return request.replace(b"Host: " + ours, b"Host: 127.0.0.1:%d" % self._upstream, 1)

    def _lose(self, request: bytes, answer: bytes) -> bool:
        for begins, left in self.drops.items():
            if left and request.startswith(begins.encode()):
                self.drops[begins] = left - 1
                self.dropped.append(answer[:4096])
                return True
        return False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the service; one that is just being started again is waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await asyncio.open_connection("127.0.0.1", self._upstream)
                except ConnectionRefusedError:
                    await asyncio.sleep(RETRY_S)
