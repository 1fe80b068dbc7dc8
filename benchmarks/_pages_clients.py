"""A hundred pages without a browser: each reads and listens as the page's own scripts do.

open      the files (gzip), /v1/status, and the stream
overview  /v1/overview as it opens, and again after an event, at most every 0.7 s; ticks come with the stream
park      /v1/tree once, /v1/tree/flows of 30 resources and what stands above them each second
plan      /v1/plan/page and one forecast, again after a plan
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from time import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

FRESH = {"Cache-Control": "max-stale=1", "Accept": "application/json"}
PACE_S = {"overview": 0.7, "park": 0.7, "plan": 3.0}
FLOWS = "/v1/tree/flows?at={places}&points=0,1,2,3,4,5&enterprises=0,1,2,3,4,5"
OPENS = {
    "overview": ("/v1/overview",),
    "park": ("/v1/tree", FLOWS),
    "plan": ("/v1/plan/page", "/v1/forecasts?series=power.steel-furnaces"),
}
AGAIN = {"overview": ("/v1/overview",), "park": (FLOWS,), "plan": ()}
WAKES = {"overview": "bid", "park": "tick", "plan": "plan"}


@dataclass(slots=True)
class Seen:
    """What the pages saw together."""

    heard_s: list[float] = field(default_factory=list)
    """From an event's beginning to its being heard."""
    shown_s: list[float] = field(default_factory=list)
    """To the end of what is read for it."""
    reads: int = 0
    failed: list[str] = field(default_factory=list)
    measuring: bool = False


async def page(address: str, view: str, number: int, seen: Seen) -> None:
    """One open page, until it is cancelled."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
    async with aiohttp.ClientSession(address, timeout=timeout) as session:
        places = ",".join(str((7 * number + i) % 44) for i in range(30))
        woken: asyncio.Queue[float] = asyncio.Queue(1)
        await _read(session, "/v1/status", seen)
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(session, WAKES[view], woken, seen))
            for path in OPENS[view]:
                await _read(session, path.format(places=places), seen)
            while True:
                sent_s = await woken.get()
                for path in AGAIN[view]:
                    await _read(session, path.format(places=places), seen)
                if seen.measuring and sent_s and AGAIN[view]:
                    seen.shown_s.append(time() - sent_s)
                await asyncio.sleep(PACE_S[view])


async def _read(session: aiohttp.ClientSession, path: str, seen: Seen) -> None:
    async with session.get(path, headers=FRESH) as answer:
        body = await answer.read()
        seen.reads += seen.measuring
        if answer.status != 200:
            seen.failed.append(f"{path}: {answer.status} {body[:200]!r}")


async def _listen(
    session: aiohttp.ClientSession, wakes: str, woken: asyncio.Queue[float], seen: Seen
) -> None:
    async with session.get("/v1/events", headers={"Accept": "text/event-stream"}) as stream:
        async for line in stream.content:
            if not line.startswith(b"data: "):
                continue
            if b'"kind":"storm"' in line:
                continue
            event: dict[str, Any] = json.loads(line[6:])
            sent_s = event["data"].get("sent_s", 0.0)
            if sent_s and seen.measuring:
                seen.heard_s.append(time() - sent_s)
            if event["kind"] == wakes and not woken.full():
                woken.put_nowait(sent_s)


async def deaf(address: str) -> socket.socket:
    """Somebody who opens the stream and reads none of it."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, (parts.hostname, parts.port))
    asked = f"GET /v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n"
    await loop.sock_sendall(line, asked.encode())
    return line


async def was_dropped(line: socket.socket, within_s: float) -> bool:
    """Whether the other side has ended the line: what it sent before is read first."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            while await loop.sock_recv(line, 65536):
                pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
