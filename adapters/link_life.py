"""What links have in common, whatever they speak: a span of life, a standing, and an inbox with one reader.

SpannedLink ─▶ runs as a supervised task, or for the span of an `async with`
Standing    ─▶ whether the other side is there, since when, how often it came back, and why it is away
Inboxed     ─▶ a standing, with a `LinkInbox` that `messages()` reads
InboxLink   ─▶ both of them with a span
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from adapters.link_inbox import LinkInbox
from vpp.ports import Message

log = structlog.get_logger(__name__)

SHOWN = 5
"""Devices that a fault names; of more it says how many."""


class SpannedLink(ABC):
    """Start `run(stop)` as a supervised task, or use the link as an async context manager, which does that."""

    _own: tuple[asyncio.Event, asyncio.Task[None]] | None = None

    @property
    @abstractmethod
    def _where(self) -> str:
        """The other side, as logs and reasons name it."""

    @abstractmethod
    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop`."""

    async def __aenter__(self) -> Self:
        stop = asyncio.Event()
        self._own = stop, asyncio.create_task(self.run(stop), name=f"link {self._where}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._own is not None
        stop, task = self._own
        stop.set()
        await task


class Standing:
    """Whether the other side is there."""

    def __init__(self, where: str, now: Callable[[], datetime]) -> None:
        """`where` is what the log calls the other side."""
        self.where, self._now = where, now
        self.up, self.since = False, now()
        """`since`: when `up` last changed."""
        self.away: str | None = "not started"
        """Why it is away; None while it is there."""
        self.times_up = 0
        """How often it came, the first time among them."""

    @property
    def reconnects(self) -> int:
        """How often it came back."""
        return max(0, self.times_up - 1)

    def turn(self, up: bool) -> bool:
        """Note whether it is there; whether that is news."""
        if up is self.up:
            return False
        self.up, self.since = up, self._now()
        self.times_up += up
        return True

    def went_up(self) -> None:
        """It is there."""
        if self.turn(True):
            log.info("link up", where=self.where, reconnects=self.reconnects)
        self.away = None

    def went_down(self, reason: str) -> None:
        """It is not there, or no longer."""
        if self.turn(False):
            log.warning("link down", where=self.where, reason=reason)
        self.away = reason


def ill_devices(devices: Iterable[tuple[str, str | None]], *, late: str | None) -> str | None:
    """What is wrong behind a link, given devices by name and fault, and whether its reader is late.

    None while all is well.
    """
    ill = [f"{name}: {fault}" for name, fault in devices if fault is not None]
    if len(ill) > SHOWN:
        ill = [*ill[:SHOWN], f"and {len(ill) - SHOWN} more"]
    if late is not None:
        ill.insert(0, late)
    return "; ".join(ill) or None


class Inboxed:
    """A `MessageSource`: how the other side stands, and what it told."""

    def __init__(self, where: str, *, now: Callable[[], datetime], capacity: int) -> None:
        """`where` names the other side in logs and reasons.

        `capacity` is the number of messages kept for a reader that is late; the oldest gives way.
        """
        self._now = now
        self._standing = Standing(where, now)
        self.inbox = LinkInbox(capacity)

    @property
    def _where(self) -> str:
        return self._standing.where

    @property
    def connected(self) -> bool:
        """Whether the other side is there; devices behind it may be silent all the same."""
        return self._standing.up

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        return self._standing.since

    @property
    def reconnects(self) -> int:
        """How often the other side came back."""
        return self._standing.reconnects

    def messages(self) -> AsyncIterator[Message]:
        """Yield telemetry and answers as they come, until the link is stopped. One reader.

        What broke the link, where that is a bug, is raised here: whoever reads must not wait for ever.
        """
        return self.inbox.messages()


class InboxLink(Inboxed, SpannedLink):
    """A `MessageSource` with a span of life; who is made of it says how it lives (`_live`)."""

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop`; then `messages` ends when all are read."""
        try:
            await self._live(stop)
        except Exception as error:
            self.inbox.break_off(error)
            raise
        finally:
            self.inbox.close()
            self._standing.went_down("stopped")

    @abstractmethod
    async def _live(self, stop: asyncio.Event) -> None:
        """What the link does until `stop`."""
