"""MQTT 3.1.1 packets cut out of a stream of bytes: messages for us, everything else for paho.

    bytes ─▶ feed ─▶ PUBLISH of QoS 0 and 1 ─▶ taken(topic, payload, packet id)
                  └▶ any other packet ───────▶ `rest`, whole packets, in order

Pure: no socket, no clock. A packet may come in any number of pieces. One that is larger than any
message of ours is not gathered: its beginning is handed on, so that it is refused and its sender
known, and the rest of it is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

MOST_BYTES = 512 * 1024
"""Of one packet; a longer one is cut."""

KEPT_BYTES = 128 * 1024
"""Of a packet that is cut: topic (65 537 at most) and more payload than any message may have."""

_PUBLISH, _QOS_2 = 0x30, 0x04
_LONGEST_LENGTH = 4
"""Bytes that a packet's length may take."""

Taken: TypeAlias = Callable[[str, bytes, bytes], None]
"""Called with topic, payload and the two bytes of the packet id; no bytes at QoS 0."""


class BrokenStreamError(ValueError):
    """What came is not MQTT: nothing after it can be read."""


class FrameReader:
    """Cuts packets out of the bytes of one connection."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._partial = b""
        self._skip = 0
        self.rest = bytearray()
        """Whole packets that are not ours to read; whoever reads them deletes them."""
        self.cut = 0
        """Messages too large to be gathered."""
        self.unreadable = 0
        """Messages whose topic is not UTF-8."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            BrokenStreamError: They are not MQTT.
        """
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        stream = self._partial + data if self._partial else data
        at, end = 0, len(stream)
        while at + 1 < end:
            length, body = stream[at + 1], at + 2
            if length > 127:
                long = _long_length(stream, at + 1, end)
                if long is None:
                    break
                length, body = long
            stop = body + length
            first = stream[at]
            ours = first & 0xF0 == _PUBLISH and not first & _QOS_2
            if stop > end:
                if length > MOST_BYTES:
                    if not ours:
                        raise BrokenStreamError(f"a packet of type {first >> 4} of {length} bytes")
                    if end - body >= KEPT_BYTES:
                        self._message(stream, first, body, end)
                        self.cut += 1
                        self._skip, at = stop - end, end
                break
            if ours:
                self._message(stream, first, body, stop)
            else:
                self.rest += stream[at:stop]
            at = stop
        self._partial = stream[at:]

    def _message(self, stream: bytes, first: int, body: int, stop: int) -> None:
        topic_end = body + 2 + (stream[body] << 8) + stream[body + 1] if stop - body >= 2 else stop
        payload = topic_end + 2 if first & 0x02 else topic_end
        if payload > stop or topic_end <= body + 2:
            raise BrokenStreamError("a message shorter than its topic")
        packet_id = stream[topic_end:payload]
        try:
            topic = stream[body + 2 : topic_end].decode()
        except UnicodeDecodeError:
            # It is confirmed all the same, or the broker would send it again for ever.
            self.unreadable += 1
            topic = ""
        self._taken(topic, stream[payload:stop], packet_id)


def _long_length(stream: bytes, at: int, end: int) -> tuple[int, int] | None:
    """A packet's length of several bytes and where its body begins; None where some are missing."""
    length = 0
    for place in range(_LONGEST_LENGTH):
        if at + place == end:
            return None
        byte = stream[at + place]
        length |= (byte & 127) << 7 * place
        if byte < 128:
            return length, at + place + 1
    raise BrokenStreamError("a length of more than four bytes")
