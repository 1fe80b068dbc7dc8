"""The ASDUs of IEC 60870-5-101 §7 that we speak over 104: octets to objects and back.

    type │ SQ, number │ T, P/N, cause │ originator │ common address │ (address │ element) × number

Cause, common and object address have the lengths that 104 fixes: 2, 2 and 3 octets. A type that we do not
speak is read as far as its head, so that it can be sent back as unknown.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from adapters.iec104_frames import LONGEST_ASDU, SHORTEST_ASDU
from vpp.errors import ForeignError
from vpp.model.telecontrol import Flaw, Shown


class Type(IntEnum):
    """Type identifications."""

    M_SP_NA_1 = 1
    """Single-point information."""
    M_ME_NC_1 = 13
    """Measured value, short floating point."""
    M_SP_TB_1 = 30
    """Single-point information with time."""
    M_ME_TF_1 = 36
    """Measured value, short floating point, with time."""
    C_SC_NA_1 = 45
    """Single command."""
    C_SE_NC_1 = 50
    """Set-point, short floating point."""
    M_EI_NA_1 = 70
    """End of initialisation."""
    C_IC_NA_1 = 100
    """Interrogation."""
    C_CS_NA_1 = 103
    """Clock synchronisation."""


class Cause(IntEnum):
    """Causes of transmission."""

    CYCLIC = 1
    SPONTANEOUS = 3
    INITIALISED = 4
    ACTIVATION = 6
    ACTIVATION_CON = 7
    DEACTIVATION = 8
    DEACTIVATION_CON = 9
    ACTIVATION_END = 10
    INTERROGATED = 20
    UNKNOWN_TYPE = 44
    UNKNOWN_CAUSE = 45
    UNKNOWN_STATION = 46
    UNKNOWN_OBJECT = 47


EVERYBODY = 0xFFFF
"""The common address that means all stations."""
STATION = 20
"""Qualifier of an interrogation of the whole station."""

FLAWS = Flaw.OVERFLOW | Flaw.BLOCKED | Flaw.SUBSTITUTED | Flaw.NOT_TOPICAL | Flaw.INVALID
STATE_FLAWS = FLAWS & ~Flaw.OVERFLOW
_TIME = struct.Struct("<HBBBBB")
_FLOAT_FLAW = struct.Struct("<fB")


@dataclass(frozen=True, slots=True)
class Element:
    """One information object. What a field means depends on the type."""

    address: int
    value: float = 0.0
    """A measurement or set-point; 1 and 0 of a state or switch."""
    flaw: Flaw = Flaw.NONE
    at: datetime | None = None
    """Its time tag; None where it has none, or says itself that it cannot be believed."""
    select: bool = False
    """Of a command: only selects."""
    qualifier: int = 0
    """QU or QL of a command, QOI of an interrogation, COI of an end of initialisation."""


@dataclass(frozen=True, slots=True)
class Asdu:
    """One ASDU; `body` is all after its head, as it came."""

    type: int
    cause: int
    common_address: int
    body: bytes
    count: int = 1
    sequence: bool = False
    negative: bool = False
    test: bool = False
    originator: int = 0
    elements: tuple[Element, ...] = ()
    """None of a type that we do not speak."""

    def answered(self, cause: Cause, *, negative: bool = False) -> Asdu:
        """The same objects, sent back."""
        return replace(self, cause=cause, negative=negative)

    def octets(self) -> bytes:
        """As it goes into a frame."""
        cause = (self.cause & 0x3F) | self.negative << 6 | self.test << 7
        count = self.count | self.sequence << 7
        head = struct.pack("<BBBBH", self.type, count, cause, self.originator, self.common_address)
        return head + self.body


# ---------------------------------------------------------------- time


def time_octets(moment: datetime, zone: ZoneInfo, *, invalid: bool = False) -> bytes:
    """CP56Time2a (§7.2.6.18) of an aware moment as the clocks of `zone` show it."""
    minute, day, month, year, week_day, summer = _minute_of(
        moment.replace(second=0, microsecond=0), zone
    )
    milliseconds = moment.second * 1000 + moment.microsecond // 1000
    return _TIME.pack(
        milliseconds,
        minute[1] | invalid << 7,
        minute[0] | summer << 7,
        day | week_day << 5,
        month,
        year,
    )


@lru_cache(maxsize=1024)
def _minute_of(
    moment: datetime, zone: ZoneInfo
) -> tuple[tuple[int, int], int, int, int, int, bool]:
    """Hour and minute, day, month, year of the century, day of the week, whether it is summer time."""
    local = moment.astimezone(zone)
    return (
        (local.hour, local.minute),
        local.day,
        local.month,
        local.year % 100,
        local.isoweekday(),
        bool(local.dst()),
    )


def moment_of(octets: bytes, zone: ZoneInfo) -> datetime | None:
    """The moment of a CP56Time2a, in UTC; None where it is marked invalid or is no time."""
    milliseconds, minute, hour, day, month, year = _TIME.unpack(octets)
    if minute & 0x80:
        return None
    try:
        local = datetime(
            2000 + (year & 0x7F), month & 0x0F, day & 0x1F, hour & 0x1F, minute & 0x3F, tzinfo=zone
        )
    except ValueError:
        return None
    # Of the hour that comes twice in autumn the flag says which: the first is still summer time.
    if not hour & 0x80 and local.dst():
        local = local.replace(fold=1)
    return local.astimezone(UTC) + timedelta(milliseconds=milliseconds)


# ---------------------------------------------------------------- objects in


def parsed(octets: bytes, zone: ZoneInfo) -> Asdu:
    """Read one ASDU; times are those of `zone`.

    Raises:
        ForeignError: Its length does not fit its type and number.
    """
    if len(octets) < SHORTEST_ASDU:
        raise _foreign("an ASDU without a head", octets)
    kind, count, cause, originator, common_address = struct.unpack_from("<BBBBH", octets)
    sequence, count = bool(count & 0x80), count & 0x7F
    body = octets[SHORTEST_ASDU:]
    form = FORMS.get(kind)
    elements: tuple[Element, ...] = ()
    if form is not None:
        width = form.width
        expected = 3 + count * width if sequence else count * (3 + width)
        if not count or len(body) != expected or (sequence and not form.sequence):
            raise _foreign(f"{len(body)} octets for {count} objects of type {kind}", octets)
        elements = tuple(_elements(form, body, count, sequence, zone))
    return Asdu(
        kind,
        cause & 0x3F,
        common_address,
        body,
        count,
        sequence,
        bool(cause & 0x40),
        bool(cause & 0x80),
        originator,
        elements,
    )


@dataclass(frozen=True, slots=True)
class _Form:
    width: int
    read: Callable[[int, bytes, ZoneInfo], Element]
    sequence: bool = False
    """Whether it may come as a run of addresses."""


def _elements(
    form: _Form, body: bytes, count: int, sequence: bool, zone: ZoneInfo
) -> list[Element]:
    found, step = [], form.width if sequence else form.width + 3
    first = int.from_bytes(body[:3], "little")
    for number in range(count):
        start = 3 + number * step
        address = first + number if sequence else int.from_bytes(body[start - 3 : start], "little")
        found.append(form.read(address, body[start : start + form.width], zone))
    return found


def _state(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    at = moment_of(octets[1:], zone) if len(octets) > 1 else None
    return Element(address, octets[0] & 1, Flaw(octets[0]) & STATE_FLAWS, at)


def _measured(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    value, flaw = _FLOAT_FLAW.unpack_from(octets)
    at = moment_of(octets[5:], zone) if len(octets) > 5 else None
    return Element(address, value, Flaw(flaw) & FLAWS, at)


def _switch(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    word = octets[0]
    return Element(address, word & 1, select=bool(word & 0x80), qualifier=word >> 2 & 0x1F)


def _setpoint(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    value, word = _FLOAT_FLAW.unpack(octets)
    return Element(address, value, select=bool(word & 0x80), qualifier=word & 0x7F)


def _qualified(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    return Element(address, qualifier=octets[0])


def _clock(address: int, octets: bytes, zone: ZoneInfo) -> Element:
    return Element(address, at=moment_of(octets, zone))


FORMS: dict[int, _Form] = {
    Type.M_SP_NA_1: _Form(1, _state, sequence=True),
    Type.M_ME_NC_1: _Form(5, _measured, sequence=True),
    Type.M_SP_TB_1: _Form(8, _state),
    Type.M_ME_TF_1: _Form(12, _measured),
    Type.C_SC_NA_1: _Form(1, _switch),
    Type.C_SE_NC_1: _Form(5, _setpoint),
    Type.M_EI_NA_1: _Form(1, _qualified),
    Type.C_IC_NA_1: _Form(1, _qualified),
    Type.C_CS_NA_1: _Form(7, _clock),
}


# ---------------------------------------------------------------- objects out


def room_for(kind: Type) -> int:
    """How many objects of a type fit into one ASDU, each with its own address."""
    return min(127, (LONGEST_ASDU - SHORTEST_ASDU) // (3 + FORMS[kind].width))


def told_as(*, is_state: bool, timed: bool) -> Type:
    """The type in which a point is told."""
    if is_state:
        return Type.M_SP_TB_1 if timed else Type.M_SP_NA_1
    return Type.M_ME_TF_1 if timed else Type.M_ME_NC_1


def told(
    points: Sequence[tuple[int, Shown]],
    *,
    is_state: bool,
    timed: bool,
    cause: Cause,
    common_address: int,
    zone: ZoneInfo,
) -> bytes:
    """An ASDU in monitoring direction; no more points than `room_for` says.

    A value that no short float holds is told as overflow.
    """
    kind = told_as(is_state=is_state, timed=timed)
    parts = [struct.pack("<BBBBH", kind, len(points), cause, 0, common_address)]
    for address, shown in points:
        parts.append(address.to_bytes(3, "little"))
        if is_state:
            parts.append(bytes((int(shown.value != 0) | shown.flaw & STATE_FLAWS,)))
        else:
            parts.append(float_octets(shown.value, int(shown.flaw)))
        if timed:
            parts.append(time_octets(shown.at, zone))
    return b"".join(parts)


def float_octets(value: float, word: int) -> bytes:
    """A short float and the octet after it; what it cannot hold is its greatest number, as an overflow."""
    try:
        return _FLOAT_FLAW.pack(value, word)
    except OverflowError:
        largest = 3.4028234663852886e38
        return _FLOAT_FLAW.pack(largest if value > 0 else -largest, word | Flaw.OVERFLOW)


def command(
    kind: Type,
    element: Element,
    *,
    common_address: int,
    zone: ZoneInfo,
    cause: Cause = Cause.ACTIVATION,
    originator: int = 0,
) -> Asdu:
    """An ASDU in control direction, or the end of initialisation."""
    match kind:
        case Type.C_SC_NA_1:
            word = int(element.value != 0) | element.qualifier << 2 | element.select << 7
            octets = bytes((word,))
        case Type.C_SE_NC_1:
            octets = _FLOAT_FLAW.pack(element.value, element.qualifier | element.select << 7)
        case Type.C_CS_NA_1:
            moment = element.at or datetime(2000, 1, 1, tzinfo=UTC)
            octets = time_octets(moment, zone, invalid=element.at is None)
        case _:
            octets = bytes((element.qualifier,))
    body = element.address.to_bytes(3, "little") + octets
    return Asdu(kind, cause, common_address, body, originator=originator, elements=(element,))


def _foreign(what: str, raw: bytes) -> ForeignError:
    fix = "Look at what speaks on this connection"
    return ForeignError(what, where="IEC 104", fix=fix, raw=raw[:64])
