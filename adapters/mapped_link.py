"""What links have in common whose devices speak JSON by a map and that have no broker between them.

their words ─▶ PayloadTranslator ─▶ inbox, bounded ─▶ messages()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from adapters.link_inbox import LinkInbox
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
        self.inbox = LinkInbox(capacity)
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
        return self.inbox.late or self._unread

    # ------------------------------------------------------------ in

    def messages(self) -> AsyncIterator[Message]:
        """Yield what comes in our words until the link is stopped. One reader.

        What broke the link, where that is a bug, is raised here: whoever reads must not wait for ever.
        """
        return self.inbox.messages()

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
            self.inbox.put(message)

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
            self.inbox.break_off(error)
            raise
        finally:
            self.inbox.close()
            self._went_down("stopped")

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
