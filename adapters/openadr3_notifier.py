"""Tells subscribers of our OpenADR 3 server what has changed: one after the other, bounded, and never waited for.

    an event changed ─▶ each subscription that asks for it ─▶ its queue (the oldest gives way) ─▶ POST, tried again

Whoever cannot be reached finds everything in the list: what is told is a hint to look, and what was not told in
`TRIES` tries is given up. A subscriber that hangs delays nobody else. No redirect is followed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog
from yarl import URL

from adapters.http_exchange import Answered, HttpExchange
from adapters.openadr3_calls import notification
from adapters.openadr3_shelf import Callback, Operation, Shelf
from vpp.model.programme import ProgrammeEvent

log = structlog.get_logger(__name__)

MOST_WAITING = 100
"""Of one client."""

TRIES = 4
FIRST_RETRY_S, TIMEOUT_S, ANSWER_BYTES = 1.0, 10.0, 4096

Read = Callable[[str, datetime | None], None]
"""The client has taken an event, in a version."""


@dataclass(slots=True)
class _Waiting:
    callback: Callback
    body: bytes
    event_id: str
    modified_at: datetime | None


@dataclass(slots=True, kw_only=True)
class _Client:
    name: str
    read: Read
    told: int = 0
    given_up: int = 0
    waiting: deque[_Waiting] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    filled: asyncio.Event = field(default_factory=asyncio.Event)


class Notifier(HttpExchange):
    """Notifies the clients of some shelves; an async context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, _Client] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def counts(self, name: str) -> tuple[int, int]:
        """Notifications that a client has taken, and those that it has not, or that gave way."""
        client = self._clients[name]
        return client.told, client.given_up

    def follow(self, shelf: Shelf, read: Read) -> None:
        """Tell the client of `shelf` what changes there."""
        client = _Client(name=shelf.owner.name, read=read)
        self._clients[client.name] = client

        def changed(operation: Operation, event: ProgrammeEvent) -> None:
            for one in shelf.subscriptions:
                body = notification(operation, event, old_words=one.old_words)
                for callback in one.callbacks:
                    if "EVENT" in callback.objects and operation in callback.operations:
                        client.given_up += len(client.waiting) == MOST_WAITING
                        client.waiting.append(
                            _Waiting(callback, body, event.event_id, event.modified_at)
                        )
            client.filled.set()

        shelf.changed = changed

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._tasks = [
            asyncio.create_task(self._serve(client), name=f"openadr-notify-{client.name}")
            for client in self._clients.values()
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().__aexit__(kind, error, traceback)

    async def _serve(self, client: _Client) -> None:
        while True:
            client.filled.clear()
            while client.waiting:
                await self._tell(client, client.waiting.popleft())
            await client.filled.wait()

    async def _tell(self, client: _Client, waiting: _Waiting) -> None:
        headers = {"Content-Type": "application/json"}
        if waiting.callback.bearer is not None:
            headers["Authorization"] = f"Bearer {waiting.callback.bearer}"
        why = ""
        for attempt in range(TRIES):
            answered = await self.exchange(
                "POST",
                URL(waiting.callback.url),
                headers=headers,
                body=waiting.body,
                timeout_s=TIMEOUT_S,
                max_bytes=ANSWER_BYTES,
            )
            if isinstance(answered, Answered) and 200 <= answered.reply.status < 300:
                client.told += 1
                client.read(waiting.event_id, waiting.modified_at)
                return
            why = str(answered.reply.status) if isinstance(answered, Answered) else answered.what
            if attempt + 1 < TRIES:
                await self._pause(FIRST_RETRY_S * 2**attempt)
        client.given_up += 1
        log.warning("a site was not notified", site=client.name, why=why[:200])

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
