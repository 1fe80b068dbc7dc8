"""Where a link puts what it heard until its one reader takes it: bounded, and its end is told to whoever reads.

link ─▶ tell ─▶ [ newest so many ] ─▶ messages ─▶ reader          the oldest gives way, counted and told
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from vpp.ports import Message
from vpp.wire import AckMessage, TelemetryMessage, topic


class LinkInbox:
    """Messages on their way inward; one reader."""

    def __init__(self, capacity: int) -> None:
        """`capacity` is the number of messages kept for a reader that is late."""
        self._kept: deque[Message] = deque(maxlen=capacity)
        self._filled = asyncio.Event()
        self._put = self._taken = 0
        """Messages put in, and taken out and done with."""
        self._readers: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until so many are taken."""
        self._broken: BaseException | None = None
        self._overflowing = False
        self.closed = False
        self.lost = 0
        """Messages that gave way."""

    def __len__(self) -> int:
        """How many wait for the reader."""
        return len(self._kept)

    @property
    def late(self) -> str | None:
        """That the reader is late, in words; None while it is not."""
        return f"the reader is late: {self.lost} messages gave way" if self._overflowing else None

    def tell(
        self, enterprise_id: str, site_id: str, device_id: str, told: TelemetryMessage | AckMessage
    ) -> None:
        """Put what a device says where the reader finds it, in our words."""
        leaf = "ack" if isinstance(told, AckMessage) else "telemetry"
        where = topic(enterprise_id, site_id, device_id, leaf)
        self.put(Message(topic=where, payload=msgspec.json.encode(told)))

    def put(self, message: Message) -> None:
        """Put a message where the reader finds it."""
        if len(self._kept) == self._kept.maxlen:
            self._overflowing, self.lost = True, self.lost + 1
        self._kept.append(message)
        self._put += 1
        self._filled.set()

    def break_off(self, error: BaseException) -> None:
        """A bug of the link: the reader is told of it, the first one, and must not wait for ever."""
        self._broken = self._broken or error
        self._filled.set()

    def close(self) -> None:
        """Nothing more comes: the reader ends once it has taken what is there."""
        self.closed = True
        self._filled.set()
        for _, reader in self._readers:
            reader.cancel()

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what comes until the link is stopped.

        What broke the link, where that is a bug, is raised here.
        """
        while True:
            while self._kept:
                yield self._kept.popleft()
                self._taken += 1
                self._wake_readers()
            self._overflowing = False
            if self._broken is not None:
                raise self._broken
            if self.closed:
                return
            self._filled.clear()
            await self._filled.wait()

    def _wake_readers(self) -> None:
        while self._readers and self._readers[0][0] <= self._taken + self.lost:
            reader = self._readers.popleft()[1]
            if not reader.done():
                reader.set_result(None)

    async def until_taken(self) -> None:
        """Return when the reader is done with everything that was put so far."""
        if self._taken + self.lost < self._put:
            reader = asyncio.get_running_loop().create_future()
            self._readers.append((self._put, reader))
            await reader
