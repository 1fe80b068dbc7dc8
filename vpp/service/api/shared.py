"""Answers that open pages share: a hundred pages that ask the same at once cost what one costs.

    who asks        says `Cache-Control: max-stale=1` (RFC 9111): an answer that is up to a second old will do
    the answer      is made once, packed once, and given to all who ask until something happened
    something       any event, any request that changes something, or a second gone by
    at most         one answer of a path each `LEAST_S`: a storm of events costs no more than that; who asks
                    meanwhile waits for the next, so that nobody is left with what was before an event

Who does not say so gets an answer of his own, as ever. All see the same: there are no log-ins yet; once there
are, who asks is part of the key.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from aiohttp import web

MOST_AGE_S = 1.0
LEAST_S = 0.2
MOST_ANSWERS = 64
MOST_BYTES = 16_000_000
WORTH_PACKING = 1000
"""Bytes; a smaller answer fits a packet or two as it is."""

LEVEL = 4
"""Of gzip: hardly larger than at 6, in half the time."""


@dataclass(slots=True, kw_only=True)
class _Made:
    state: int
    at_s: float
    body: bytes
    packed: bytes | None = None


class SharedAnswers:
    """The newest answers by path and query; `newest` gives the number of the newest event."""

    def __init__(
        self, newest: Callable[[], int], *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._newest = newest
        self._clock = clock
        self._changes = 0
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._making: dict[str, asyncio.Task[_Made]] = {}

    def changed(self) -> None:
        """Something is otherwise than before: no answer that was made holds any longer."""
        self._changes += 1

    async def answer(
        self, request: web.Request, make: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The answer that stands, or a new one by `make`. Raises what `make` raises."""
        made = await self._current(request.path_qs, make)
        headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
        body = made.body
        if len(body) >= WORTH_PACKING and takes_gzip(request):
            if made.packed is None:
                made.packed = pack(body, LEVEL)
            body, headers["Content-Encoding"] = made.packed, "gzip"
        return web.Response(body=body, content_type="application/json", headers=headers)

    def _state(self) -> int:
        """A number that rises whenever something happened."""
        return self._newest() + self._changes

    async def _current(self, key: str, make: Callable[[], Awaitable[web.StreamResponse]]) -> _Made:
        wanted = self._state()
        made = self._made.get(key)
        if made and made.state == wanted and self._clock() - made.at_s <= MOST_AGE_S:
            return made
        while True:
            task = self._making.get(key)
            if task is None:
                task = asyncio.create_task(self._make(key, make), name=f"answer {key[:80]}")
                self._making[key] = task
                task.add_done_callback(lambda _: self._making.pop(key, None))
            made = await asyncio.shield(task)  # who goes away does not take it from the others
            if made.state >= wanted:
                return made

    async def _make(self, key: str, make: Callable[[], Awaitable[web.StreamResponse]]) -> _Made:
        before = self._made.get(key)
        if before and (wait_s := before.at_s + LEAST_S - self._clock()) > 0:
            await asyncio.sleep(wait_s)
        state, at_s = self._state(), self._clock()
        response = await make()
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        made = _Made(state=state, at_s=at_s, body=response.body)
        self._keep(key, made)
        return made

    def _keep(self, key: str, made: _Made) -> None:
        self._made[key] = made
        self._made.move_to_end(key)
        held = sum(len(one.body) for one in self._made.values())
        while len(self._made) > MOST_ANSWERS or (held > MOST_BYTES and len(self._made) > 1):
            _, gone = self._made.popitem(last=False)
            held -= len(gone.body)


def wants_shared(request: web.Request) -> bool:
    """Whether who asks is content with an answer that others got a moment ago."""
    return "max-stale" in request.headers.get("Cache-Control", "").lower()


def takes_gzip(request: web.Request) -> bool:
    """Whether who asks unpacks gzip."""
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def pack(body: bytes, level: int) -> bytes:
    """`body` as gzip, the same bytes for the same body."""
    return gzip.compress(body, level, mtime=0)
