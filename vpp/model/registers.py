"""Registers of a Modbus device as data: where a value stands, how it is written, what it is in our units.

    words ──▶ raw number ──× scale × 10^(scale register) × (value of `of`)──▶ ± ──▶ kW, kWh, fraction, …
                  └── one of `unknown`, or not finite ──▶ None: the device does not say

A map names points as our telemetry does (`power_kw`, `soc`, `import_wh` …), so that whoever reads it needs
to know nothing of the device, and lists what is written for a set-point, in order. Both sides of the
wire use it: the adapter reads by it, a simulated device answers by it.

Addresses are those of the protocol, from 0: the 40001 of many data sheets is holding register 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Literal, TypeAlias

from vpp.errors import DataError

LAST = 0xFFFF
"""The highest address and the largest word."""

MAX_READ = 125
"""Registers that one request may ask for, by the protocol."""

MAX_WRITE = 123

Order: TypeAlias = Literal["big", "little"]


class Table(StrEnum):
    """Which of a device's tables of 16-bit registers."""

    HOLDING = "holding"
    """Read with function code 3, written with 6 or 16."""
    INPUT = "input"
    """Read with function code 4, never written."""


class Kind(StrEnum):
    """How a number is laid down."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"


_FORM = {
    Kind.INT16: ">h",
    Kind.UINT16: ">H",
    Kind.INT32: ">i",
    Kind.UINT32: ">I",
    Kind.INT64: ">q",
    Kind.UINT64: ">Q",
    Kind.FLOAT32: ">f",
    Kind.FLOAT64: ">d",
}
_FLOATS = {Kind.FLOAT32, Kind.FLOAT64}

Place: TypeAlias = tuple[Table, int]
Image: TypeAlias = Mapping[Place, int]
"""Words by table and address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One number of a device: where it stands and what it means."""

    at: int
    """Address of its first word, from 0."""

    kind: Kind = Kind.UINT16
    table: Table = Table.HOLDING
    scale: float = 1.0
    """Our unit for each count."""

    scale_at: int | None = None
    """Address of a signed word that holds a power of ten, read with the value each time."""

    of: str | None = None
    """A point of the map whose value multiplies this one: for what is told as a share of it."""

    counts: Literal["feed", "draw"] = "feed"
    """Which direction is positive in the device; inside, feeding is."""

    word_order: Order = "big"
    """big: the word of the lowest address is the highest one."""

    byte_order: Order = "big"
    unknown: frozenset[int] = frozenset()
    """What it holds, read as unsigned, where the device does not know or has no such value."""

    def __post_init__(self) -> None:
        if not 0 <= self.at <= LAST + 1 - self.words:
            raise _odd(f"at {self.at} lies outside 0 … {LAST}", "Count addresses from 0")
        if not (isfinite(self.scale) and self.scale != 0):
            raise _odd(f"scale is {self.scale}", "Give our unit for each count")

    @property
    def words(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(_FORM[self.kind]) // 2

    @property
    def places(self) -> tuple[Place, ...]:
        """Every word that must be read to know the value."""
        own = tuple((self.table, self.at + n) for n in range(self.words))
        return own if self.scale_at is None else (*own, (self.table, self.scale_at))

    def value(self, image: Image, known: Mapping[str, float | None]) -> float | None:
        """What the device says, in our unit and sign; None where it does not say.

        `known` holds the points that others are told as a share of.
        """
        data = self._bytes([image[self.table, self.at + n] for n in range(self.words)])
        if int.from_bytes(data, "big") in self.unknown:
            return None
        raw: float = struct.unpack(_FORM[self.kind], data)[0]
        factor = self.factor(image, known)
        if factor is None or not isfinite(raw):
            return None
        value = raw * factor
        return (-value if self.counts == "draw" else value) if isfinite(value) else None

    def laid_down(
        self, value: float, factor: float, *, to_whole: Callable[[float], int] = round
    ) -> tuple[int, ...]:
        """The words that say `value`, in our unit and sign, in whole counts where its type is whole.

        Raises:
            DataError: It does not fit, is not finite, or would read as unknown.
        """
        told = (-value if self.counts == "draw" else value) / factor if factor else float("nan")
        try:
            raw = told if self.kind in _FLOATS else to_whole(told)
            data = struct.pack(_FORM[self.kind], raw)
        except (ValueError, OverflowError, struct.error) as error:
            raise self._unfit(value) from error
        if not isfinite(told) or int.from_bytes(data, "big") in self.unknown:
            raise self._unfit(value)
        ordered = self._bytes(struct.unpack(f">{self.words}H", data))
        return struct.unpack(f">{self.words}H", ordered)

    def factor(self, image: Image, known: Mapping[str, float | None]) -> float | None:
        """Our unit for each count now; None where the device does not say it."""
        factor: float | None = self.scale
        if self.scale_at is not None:
            exponent = _signed(image[self.table, self.scale_at])
            # SunSpec bounds it so; 0x8000, its "not implemented", lies outside.
            factor = self.scale * 10.0**exponent if -10 <= exponent <= 10 else None
        if self.of is not None and factor is not None:
            whole = known.get(self.of)
            factor = None if whole is None else factor * whole
        return factor

    def _bytes(self, words: Iterable[int]) -> bytes:
        """Words in the order of the wire as one big-endian number, and the other way round."""
        listed = list(words)
        if self.word_order == "little":
            listed.reverse()
        return b"".join(word.to_bytes(2, self.byte_order) for word in listed)

    def _unfit(self, value: float) -> DataError:
        return DataError(
            f"{value} cannot be written as {self.kind} times {self.scale}",
            where=f"register {self.at}",
            fix="Compare the map with the device's data sheet",
        )


class What(StrEnum):
    """What a register is written with when a set-point is sent."""

    POWER = "power_kw"
    """The power wanted, kW net injection."""
    FIXED = "value"
    """Always the same, such as a mode."""
    REVERT = "revert_s"
    """Seconds after which the device goes back to its own default unless it is written again."""
    ENABLE = "enable"
    """The flag that makes the device follow: written last, and cleared to let it go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One register that is written for a set-point."""

    register: Register
    what: What
    value: float | None = None
    """Of FIXED and ENABLE: what is written."""

    released: float | None = None
    """What is written to let the device go; None: it is left as it is."""

    code: Literal[6, 16] = 16
    """Function code. 6 writes one register."""

    tolerance: float = 0.0
    """How far the value that is read back may lie from the one written, in our unit."""

    reads_back: bool = True
    """False for registers that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMap:
    """All that is read and written of one kind of device."""

    map_id: str
    name: str
    """As people know it."""

    points: Mapping[str, Register]
    """By the name of a field of `TelemetryMessage`; `rated_kw` is what shares are of."""

    writes: tuple[Write, ...] = ()
    """In this order; empty where the device takes no set-points."""

    revert_s: float | None = None
    """What its revert timer is set to; None where it has none."""

    max_words: int = 100
    """Registers asked for at once."""

    gap: int = 0
    """Registers between two points that may be read along; 0 where reading holes is refused."""

    @property
    def reads(self) -> tuple[Span, ...]:
        """The requests that bring all points, and what the writes are scaled by."""
        places = {place for register in self.points.values() for place in register.places}
        places |= {
            (write.register.table, write.register.scale_at)
            for write in self.writes
            if write.register.scale_at is not None
        }
        runs = [register.places[: register.words] for register in self.points.values()]
        return spans(places, runs, max_words=self.max_words, gap=self.gap)

    def values(self, image: Image, known: Mapping[str, float | None]) -> dict[str, float | None]:
        """Every point in our unit and sign; None where the device does not say.

        `known` are points that somebody else knows (the park file's `rated_kw`); they win.
        """
        found = {
            name: register.value(image, known)
            for name, register in self.points.items()
            if register.of is None
        }
        found |= known
        return found | {
            name: register.value(image, found)
            for name, register in self.points.items()
            if register.of is not None
        }

    @property
    def takes_setpoints(self) -> bool:
        return any(write.what is What.POWER for write in self.writes)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Registers that are read with one request."""

    table: Table
    at: int
    count: int


def spans(
    places: Iterable[Place], runs: Iterable[tuple[Place, ...]], *, max_words: int, gap: int
) -> tuple[Span, ...]:
    """As few requests as bring all `places`; each of `runs`, the words of one number, in one of them.

    A number that is read in two halves may be of two moments.
    """
    whole = {run[0]: len(run) for run in runs}
    found: list[Span] = []
    for table, at in sorted(places):
        end = at + whole.get((table, at), 1)
        last = found[-1] if found else None
        if last is None or last.table is not table or at > last.at + last.count + gap:
            found.append(Span(table, at, end - at))
        elif end > last.at + last.count:
            if end - last.at > max_words:
                found.append(Span(table, at, end - at))
            else:
                found[-1] = Span(table, last.at, end - last.at)
    return tuple(found)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _odd(what: str, fix: str) -> DataError:
    return DataError(what, where="register", fix=fix)
