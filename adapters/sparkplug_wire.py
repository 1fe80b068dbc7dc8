"""Payloads of Sparkplug B, as much of their protocol buffers as a host of measurements needs. Pure.

    Payload  1 timestamp · 2 metrics · 3 seq
    Metric   1 name · 2 alias · 3 timestamp · 4 datatype · 5 historical · 7 null · 10 … 15 value

Numbers of fields and types are those of the Eclipse Sparkplug 3.0 specification, section 6. Data sets, templates,
properties and bytes are passed over unread. Integers of 8 to 32 bits travel as two's complement in 32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from vpp.errors import DataError
from vpp.model.command import whole_counts

MAX_BYTES = 1_000_000
MOST_METRICS = 20_000
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_NUMBERS = frozenset({2, 3, 4, 5, 7})
_MASK32, _MASK64 = (1 << 32) - 1, (1 << 64) - 1


class DataType(IntEnum):
    """Types of metrics that have a value here; a number that is none of them has no value."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14


BITS = {
    DataType.INT8: 8,
    DataType.INT16: 16,
    DataType.INT32: 32,
    DataType.INT64: 64,
    DataType.UINT8: 8,
    DataType.UINT16: 16,
    DataType.UINT32: 32,
    DataType.UINT64: 64,
    DataType.DATETIME: 64,
}
SIGNED = frozenset({DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64})
TEXTS = frozenset({DataType.STRING, DataType.TEXT})

Value = int | float | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value, by name or by the alias that a birth has given it."""

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: int | None = None
    """Only births must say it."""
    historical: bool = False
    value: Value | None = None
    """None where it is null, or of a type that is not read. Integers as they travel: see `signed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a message carries."""

    timestamp_ms: int | None = None
    seq: int = 0
    """Left out by writers that leave out zeros."""
    metrics: tuple[Metric, ...] = ()


def as_written(value: float, datatype: int) -> float:
    """A number as a metric of a type holds it: whole ones towards zero, for powers are told so."""
    return whole_counts(value) if datatype in BITS and isinstance(value, float) else value


def signed(value: Value, datatype: int) -> Value:
    """A value as its type means it: integers travel without their sign."""
    if datatype not in SIGNED or not isinstance(value, int):
        return value
    bits = BITS[DataType(datatype)]
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


# ---------------------------------------------------------------- reading


def decode(raw: bytes) -> Payload:
    """A payload.

    Raises:
        DataError: It is none, or is too large.
    """
    if len(raw) > MAX_BYTES:
        raise _odd(f"{len(raw)} bytes")
    timestamp_ms, seq, metrics = None, 0, []
    try:
        for number, kind, found in _fields(raw):
            if number == 1 and kind == _VARINT:
                timestamp_ms = _number(found)
            elif number == 2 and kind == _LENGTH:
                metrics.append(_metric(_bytes(found)))
                if len(metrics) > MOST_METRICS:
                    raise _odd("too many metrics")
            elif number == 3 and kind == _VARINT:
                seq = _number(found)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise _odd(str(error)[:80]) from error
    return Payload(timestamp_ms=timestamp_ms, seq=seq, metrics=tuple(metrics))


def _metric(raw: bytes) -> Metric:
    name: str | None = None
    numbers: dict[int, int] = {}
    value: Value | None = None
    for number, kind, found in _fields(raw):
        if number == 1 and kind == _LENGTH:
            name = _bytes(found).decode()
        elif number in _NUMBERS and kind == _VARINT:
            numbers[number] = _number(found)
        elif 10 <= number <= 15:
            value = _value(number, kind, found)
    return Metric(
        name=name,
        alias=numbers.get(2),
        timestamp_ms=numbers.get(3),
        datatype=numbers.get(4),
        historical=bool(numbers.get(5)),
        value=None if numbers.get(7) else value,
    )


def _value(number: int, kind: int, found: int | bytes) -> Value | None:
    match number, kind:
        case ((10 | 11), 0):
            return _number(found)
        case 12, 5:
            single: float = struct.unpack("<f", _bytes(found))[0]
            return single
        case 13, 1:
            double: float = struct.unpack("<d", _bytes(found))[0]
            return double
        case 14, 0:
            return bool(found)
        case 15, 2:
            return _bytes(found).decode()
        case _:
            return None


def _fields(raw: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Each field: its number, how it travels, and what it holds."""
    at, end = 0, len(raw)
    while at < end:
        key, at = _varint(raw, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(raw, at)
            yield number, kind, value
            continue
        if kind == _LENGTH:
            length, at = _varint(raw, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise _odd(f"a field of kind {kind}")
        if length > end - at:
            raise _odd("it ends within a field")
        yield number, kind, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = raw[at]  # an IndexError where it ends within a number
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value & _MASK64, at
        shift += 7
        if shift > 63:
            raise _odd("a number without an end")


def _number(found: int | bytes) -> int:
    assert isinstance(found, int)
    return found


def _bytes(found: int | bytes) -> bytes:
    assert isinstance(found, bytes)
    return found


def _odd(what: str) -> DataError:
    return DataError(
        f"is no payload of Sparkplug B: {what}", where="payload", fix="Look at who publishes here"
    )


# ---------------------------------------------------------------- writing


def encode(payload: Payload, *, numbered: bool = True) -> bytes:
    """A payload as it travels; commands are not `numbered`.

    Raises:
        DataError: A value does not fit its type.
    """
    parts = [] if payload.timestamp_ms is None else [_put(1, payload.timestamp_ms)]
    parts += [_put_bytes(2, _encoded(metric)) for metric in payload.metrics]
    if numbered:
        parts.append(_put(3, payload.seq))
    return b"".join(parts)


def _encoded(metric: Metric) -> bytes:
    parts = [] if metric.name is None else [_put_bytes(1, metric.name.encode())]
    if metric.alias is not None:
        parts.append(_put(2, metric.alias))
    if metric.timestamp_ms is not None:
        parts.append(_put(3, metric.timestamp_ms))
    if metric.datatype is not None:
        parts.append(_put(4, metric.datatype))
    if metric.historical:
        parts.append(_put(5, 1))
    if metric.value is None:
        parts.append(_put(7, 1))
    else:
        parts.append(_put_value(metric.value, metric.datatype, metric.name or "metric"))
    return b"".join(parts)


def _put_value(value: Value, datatype: int | None, where: str) -> bytes:
    if datatype == DataType.BOOLEAN:
        return _put(14, int(bool(value)))
    if datatype in TEXTS:
        return _put_bytes(15, str(value).encode())
    if isinstance(value, str) or datatype not in (*BITS, DataType.FLOAT, DataType.DOUBLE):
        raise DataError(
            f"{value!r} is no value of type {datatype}", where=where, fix="Name another metric"
        )
    if datatype == DataType.FLOAT:
        return _key(12, _FIXED32) + struct.pack("<f", value)
    if datatype == DataType.DOUBLE:
        return _key(13, _FIXED64) + struct.pack("<d", value)
    known = DataType(datatype)
    whole, bits = int(as_written(value, known)), BITS[known]
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if known in SIGNED else (0, 1 << bits)
    if not low <= whole < high:
        raise DataError(
            f"{whole} does not fit {known.name.lower()}", where=where, fix="Check scale and sizes"
        )
    if bits == 64:
        return _put(11, whole & _MASK64)
    return _put(10, whole & _MASK32)


def _put(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _put_varint(value)


def _put_bytes(number: int, value: bytes) -> bytes:
    return _key(number, _LENGTH) + _put_varint(len(value)) + value


def _key(number: int, kind: int) -> bytes:
    return _put_varint(number << 3 | kind)


def _put_varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def named(metrics: Sequence[Metric], name: str) -> Metric | None:
    """The first metric of that name."""
    return next((metric for metric in metrics if metric.name == name), None)
