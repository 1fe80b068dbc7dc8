"""The frames of IEC 60870-5-104 (§5): bytes to frames and back, whole or in any pieces.

    68 │ length │ four control octets │ ASDU        I: numbered, carries an ASDU
    68 │ 04     │ 01 00 N(R)          │             S: acknowledges
    68 │ 04     │ one of six words    │             U: start, stop, test

Numbers are 15 bits and go round. What is no frame is refused; the connection is worth nothing after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from vpp.errors import ForeignError

START = 0x68
MODULUS = 1 << 15
CONTROL_OCTETS = 4
LONGEST = 253
"""Octets after the length octet, the control octets among them."""
LONGEST_ASDU = LONGEST - CONTROL_OCTETS
SHORTEST_ASDU = 6


class Word(IntEnum):
    """The first control octet of each unnumbered frame."""

    START_ACT = 0x07
    START_CON = 0x0B
    STOP_ACT = 0x13
    STOP_CON = 0x23
    TEST_ACT = 0x43
    TEST_CON = 0x83


_WORDS = frozenset(int(word) for word in Word)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An I frame."""

    sent: int
    """N(S)."""
    received: int
    """N(R): everything before it has arrived."""
    asdu: bytes


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An S frame."""

    received: int


Frame: TypeAlias = Numbered | Acknowledgement | Word


def frame_bytes(frame: Frame) -> bytes:
    """A frame as it goes over the wire."""
    match frame:
        case Numbered(sent, received, asdu):
            control = _number(sent) + _number(received)
            return bytes((START, CONTROL_OCTETS + len(asdu))) + control + asdu
        case Acknowledgement(received):
            return bytes((START, CONTROL_OCTETS, 1, 0)) + _number(received)
        case Word():
            return bytes((START, CONTROL_OCTETS, frame, 0, 0, 0))


class FrameReader:
    """Takes the bytes of one connection in any pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield each frame that is complete with `data`.

        Raises:
            ForeignError: What comes next is no frame.
        """
        rest = self._rest
        rest += data
        while len(rest) >= 2:
            if rest[0] != START:
                raise _foreign(f"a frame begins with {rest[0]:#04x}, not 0x68", bytes(rest))
            length = rest[1]
            if not CONTROL_OCTETS <= length <= LONGEST:
                raise _foreign(f"a frame says it is {length} octets long", bytes(rest))
            if len(rest) < 2 + length:
                return
            body = bytes(rest[2 : 2 + length])
            del rest[: 2 + length]
            yield _parsed(body)


def _parsed(body: bytes) -> Frame:
    first, second = body[0], body[1]
    if not first & 1:
        if body[2] & 1 or len(body) < CONTROL_OCTETS + SHORTEST_ASDU:
            raise _foreign("no numbered frame", body)
        sent = (first | second << 8) >> 1
        return Numbered(sent, (body[2] | body[3] << 8) >> 1, body[CONTROL_OCTETS:])
    if len(body) == CONTROL_OCTETS and first == 1 and second == 0 and not body[2] & 1:
        return Acknowledgement((body[2] | body[3] << 8) >> 1)
    if len(body) == CONTROL_OCTETS and body[1:] == b"\0\0\0" and first in _WORDS:
        return Word(first)
    raise _foreign("no frame that is known", body)


def _number(number: int) -> bytes:
    return (number << 1).to_bytes(2, "little")


def _foreign(what: str, raw: bytes) -> ForeignError:
    fix = "Look at what speaks on this connection"
    return ForeignError(what, where="IEC 104", fix=fix, raw=raw[:64])
