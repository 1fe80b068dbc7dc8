"""A real server on loopback that answers as a test wants, also below HTTP, and notes what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from adapters.http_venue import HttpVenue, HttpVenueAccess

T = TypeVar("T")
NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)


@dataclass
class RawServer:
    """Answers each request with the same bytes; None: not at all, and hangs up."""

    answer: bytes | None
    holds: bool = False
    """Never answers, and keeps the connection."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except asyncio.IncompleteReadError:  # whoever asked went away
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.requests.append(head + await reader.readexactly(length))
        if self.holds:
            await reader.read()
        elif self.answer is not None:
            writer.write(self.answer)
            await writer.drain()


@asynccontextmanager
async def raw_server(answer: bytes | None, *, holds: bool = False) -> AsyncIterator[RawServer]:
    """A server that sends `answer` as it stands."""
    raw = RawServer(answer, holds)
    server = await asyncio.start_server(raw.serve, "127.0.0.1")
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()


def http(
    status: int,
    body: str = "",
    kind: str = "application/json",
    *more: str,
    length: int | None = None,
) -> bytes:
    """An answer; `length` lies about its body."""
    said = len(body.encode()) if length is None else length
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {said}", *more]
    if kind:
        lines.append(f"Content-Type: {kind}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def talk(
    answer: bytes | None,
    say: Callable[[HttpVenue], Awaitable[T]],
    *,
    holds: bool = False,
    timeout_s: float = 5.0,
    max_bytes: int = 100_000,
) -> tuple[T, list[bytes]]:
    """What `say` gets from a venue that answers so, and the requests that reached it."""

    async def main() -> tuple[T, list[bytes]]:
        async with raw_server(answer, holds=holds) as raw:
            access = HttpVenueAccess(url=raw.url, timeout_s=timeout_s, max_bytes=max_bytes)
            async with HttpVenue(access, now=lambda: NOW) as venue:
                return await say(venue), raw.requests

    return asyncio.run(main())
