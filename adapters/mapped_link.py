"""What links have in common whose devices speak JSON by a map and that have no broker between them.

their words ─▶ PayloadTranslator ─▶ inbox, bounded ─▶ messages()
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from adapters.payload_mapping import ForeignDevice, PayloadTranslator
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.payloads import PayloadMap
from vpp.ports import Message, Unsent

log = structlog.get_logger(__name__)


class MappedLink:
    """A `MessageSource`; who is made of it says how it lives (`_live`) and where commands go.

    Start `run(stop)` as a supervised task, or use the link as an async context manager.
    """

    def __init__(
        self,
        where: str,
        payload_map: PayloadMap,
        devices: Sequence[ForeignDevice],
        *,
        now: Callable[[], datetime],
        capacity: int = 10_000,
    ) -> None:
        """`where` names the other side in logs and reasons.

        `capacity` is the number of messages kept for a reader that is late; the oldest gives way.
        """
        self._where, self._now = where, now
        self._translator = PayloadTranslator(payload_map, devices)
        self._devices = {device.device_id: device for device in devices}
        self._inbox: deque[Message] = deque(maxlen=capacity)
        self._filled = asyncio.Event()
        self._put = self._taken = 0
        """Messages put into the inbox, and taken out of it and done with."""
        self._readers: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until so many are taken."""
        self._closed, self._overflowing, self.lost = False, False, 0
        self._broken: BaseException | None = None
        self._up, self._since, self._connections = False, now(), 0
        self._away: str | None = "not started"
        self._unread: str | None = None
        self._own: tuple[asyncio.Event, asyncio.Task[None]] | None = None

    # ------------------------------------------------------------ how it does

    @property
    def connected(self) -> bool:
        """Whether the other side is there."""
        return self._up

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        return self._since

    @property
    def reconnects(self) -> int:
        """How often the other side came back."""
        return max(0, self._connections - 1)

    @property
    def refused(self) -> int:
        """Messages, or parts of them, that could not be read."""
        return self._translator.refused.total()

    @property
    def fault(self) -> str | None:
        """Why the other side is away, or what is wrong while it is there; None while all is well."""
        if self._away is not None:
            return self._away
        if self._overflowing:
            return f"the reader is late: {self.lost} messages gave way"
        return self._unread

    # ------------------------------------------------------------ in

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what comes in our words until the link is stopped. One reader.

        What broke the link, where that is a bug, is raised here: whoever reads must not wait for ever.
        """
        while True:
            while self._inbox:
                yield self._inbox.popleft()
                self._taken += 1
                while self._readers and self._readers[0][0] <= self._taken + self.lost:
                    reader = self._readers.popleft()[1]
                    if not reader.done():
                        reader.set_result(None)
            self._overflowing = False
            if self._broken is not None:
                raise self._broken
            if self._closed:
                return
            self._filled.clear()
            await self._filled.wait()

    def _read(
        self, their_topic: str, payload: bytes, received_at: datetime | None = None
    ) -> list[Message]:
        """What a text says in our words; one that says nothing shows in `fault` until one does.

        It was received now where `received_at` is left out.
        """
        refused, heard = self.refused, self._translator.heard
        found = self._translator.read(their_topic, payload, received_at or self._now())
        self._unread = None
        if self.refused > refused:
            self._unread = f"the newest message could not be read, as {self.refused} in all"
        elif self._translator.heard == heard:
            self._unread = "the newest message has none of the map's points"
        return found

    def _tell(self, found: Sequence[Message]) -> None:
        """Put messages where the reader finds them."""
        for message in found:
            if len(self._inbox) == self._inbox.maxlen:
                self._overflowing, self.lost = True, self.lost + 1
            self._inbox.append(message)
            self._put += 1
        self._filled.set()

    async def _until_taken(self) -> None:
        """Return when the reader is done with everything that was told so far."""
        if self._taken + self.lost < self._put:
            reader = asyncio.get_running_loop().create_future()
            self._readers.append((self._put, reader))
            await reader

    # ------------------------------------------------------------ out

    def _deaf(self, setpoint: Setpoint) -> Unsent | None:
        """The command as one that cannot leave now; None where it can.

        Raises:
            DataError: Its device is not of this link, or another enterprise's.
        """
        device = self._devices.get(setpoint.resource_id)
        if device is None or device.enterprise_id != setpoint.enterprise_id:
            raise DataError(
                f"is no resource of {setpoint.enterprise_id}",
                where=setpoint.resource_id,
                fix="Command only what the park file knows, under its own enterprise",
            )
        why = "is read-only" if device.read_only else self._away
        return None if why is None else Unsent(setpoint=setpoint, reason=f"{self._where}: {why}")

    # ------------------------------------------------------------ its life

    async def __aenter__(self) -> Self:
        stop = asyncio.Event()
        self._own = stop, asyncio.create_task(self.run(stop), name=self._where)
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

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop`."""
        try:
            await self._live(stop)
        except Exception as error:
            self._broken = error
            raise
        finally:
            self._closed = True
            self._filled.set()
            self._went_down("stopped")
            for _, reader in self._readers:
                reader.cancel()

    async def _live(self, stop: asyncio.Event) -> None:
        """What the link does until `stop`."""
        raise NotImplementedError

    def _went_up(self) -> None:
        if not self._up:
            self._up, self._since = True, self._now()
            self._connections += 1
            log.info("link up", where=self._where, reconnects=self.reconnects)
        self._away = None

    def _went_down(self, reason: str) -> None:
        if self._up:
            self._up, self._since = False, self._now()
            log.warning("link down", where=self._where, reason=reason)
        self._away = reason
