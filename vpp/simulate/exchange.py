"""How a stranger asks the service: over HTTP, the same request again while it is away or busy.

`Exchange` is what market and weather station need of it; a back-test hands in one that calls the
service's own functions instead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import aiohttp

from vpp.errors import UnavailableError

BUSY = frozenset({408, 429, 500, 502, 503, 504})
ANSWER_S = 60.0
PAUSE_FIRST_S = 0.1
PAUSE_MOST_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    content: Any
    """Decoded JSON; None where it is none."""
    raw: bytes

    @property
    def code(self) -> str:
        """The stable code of a problem+json, else the status."""
        code = self.content.get("code") if isinstance(self.content, dict) else None
        return str(code or f"http-{self.status}")


class Exchange(Protocol):
    """A way to ask one service."""

    def start(self) -> None:
        """Get ready; call inside the event loop before the first request."""
        ...

    async def stop(self) -> None:
        """Break off what is under way and close."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        retry_busy: bool = True,
    ) -> Answer:
        """One question; with `retry_busy` off, a busy service's answer (503 …) is an answer too.

        Raises:
            UnavailableError: No answer.
        """
        ...


class HttpExchange:
    """Requests to one service, tried again with a jittered, growing pause."""

    def __init__(self, base_url: str, random: Random, *, attempts: int) -> None:
        """Make an exchange; call `start` inside the event loop before the first request."""
        self._base_url = base_url.rstrip("/")
        self._random = random
        self._attempts = attempts
        self._stopped = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))

    async def stop(self) -> None:
        """Break off retries and close the connections."""
        self._stopped.set()
        if self._session:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        retry_busy: bool = True,
    ) -> Answer:
        """One exchange. With `retry_busy` off, a busy service's answer (503 …) is an answer too.

        Raises:
            UnavailableError: No answer in all attempts.
        """
        if self._session is None:
            raise UnavailableError("not started", where="HttpExchange", fix="Call start() first")
        failure = "stopped"
        for attempt in range(self._attempts):
            if self._stopped.is_set():
                break
            try:
                async with self._session.request(
                    method, self._base_url + path, json=body
                ) as response:
                    raw = await response.read()
                    if not retry_busy or response.status not in BUSY:
                        return Answer(response.status, _json(raw), raw)
                    failure = f"status {response.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = repr(error)
            await self._pause(min(PAUSE_MOST_S, PAUSE_FIRST_S * 2**attempt))
        raise UnavailableError(
            f"{method} {path}: {failure}", where=self._base_url, fix="Look at the service's log"
        )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds * self._random.uniform(0.5, 1.0))
        except TimeoutError:
            return


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
