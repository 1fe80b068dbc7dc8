"""The order in which messages are confirmed: that in which they came, whatever order they were read in.

    came      1 2 3 4        read   3 ─▶ nothing    1 ─▶ PUBACK 1    2 ─▶ PUBACK 2, 3

MQTT 3.1.1 asks for it (4.6), and some brokers, rumqttd among them, end a connection that does otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

_PUBACK = b"\x40\x02"


class ConfirmationOrder:
    """What one connection still owes its broker; two bytes a packet id."""

    def __init__(self) -> None:
        self._came: deque[bytes] = deque()
        self._read: set[bytes] = set()

    def came(self, packet_id: bytes) -> None:
        """A message of QoS 1 has come."""
        self._came.append(packet_id)

    def read(self, packet_ids: Iterable[bytes]) -> bytes:
        """These were read: the PUBACKs that may go out now, as bytes; empty where an earlier one is still to be read."""
        self._read.update(packet_ids)
        ready = []
        while self._came and self._came[0] in self._read:
            packet_id = self._came.popleft()
            self._read.discard(packet_id)
            ready.append(_PUBACK + packet_id)
        return b"".join(ready)
