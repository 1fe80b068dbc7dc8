"""What links have in common whose devices speak JSON by a map and that have no broker between them.

their words ─▶ PayloadTranslator ─▶ inbox, bounded ─▶ messages()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from adapters.link_life import InboxLink
from adapters.payload_mapping import ForeignDevice, PayloadTranslator
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.payloads import PayloadMap
from vpp.ports import Message, Unsent

log = structlog.get_logger(__name__)


class MappedLink(InboxLink):
    """A `MessageSource`; who is made of it says how it lives (`_live`) and where commands go."""

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
        super().__init__(where, now=now, capacity=capacity)
        self._translator = PayloadTranslator(payload_map, devices)
        self._devices = {device.device_id: device for device in devices}
        self._unread: str | None = None

    # ------------------------------------------------------------ how it does

    @property
    def refused(self) -> int:
        """Messages, or parts of them, that could not be read."""
        return self._translator.refused.total()

    @property
    def fault(self) -> str | None:
        """Why the other side is away, or what is wrong while it is there; None while all is well."""
        return self._standing.away or self.inbox.late or self._unread

    # ------------------------------------------------------------ in

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
            raise unknown_resource(setpoint)
        why = "is read-only" if device.read_only else self._standing.away
        return None if why is None else Unsent(setpoint=setpoint, reason=f"{self._where}: {why}")
