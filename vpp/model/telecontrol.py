"""What is told to a dispatch centre and ordered by it, whatever telecontrol protocol carries it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag, StrEnum
from math import isfinite
from zoneinfo import ZoneInfo


class Flaw(IntFlag):
    """What is wrong with a value, as bits of IEC 60870-5-101 §7.2.6.3; none of them: it is good."""

    NONE = 0
    OVERFLOW = 0x01
    BLOCKED = 0x10
    SUBSTITUTED = 0x20
    NOT_TOPICAL = 0x40
    INVALID = 0x80


class Pace(StrEnum):
    """How an order is given."""

    SELECT = "select"
    """Selected first, then executed."""
    DIRECT = "direct"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTiming:
    """Parameters of IEC 60870-5-104 §9.6, with its defaults."""

    k: int = 12
    """Most frames that are sent and not acknowledged."""
    w: int = 8
    """Acknowledged at the latest after so many."""
    t0_s: float = 30.0
    """For a connection to be made."""
    t1_s: float = 15.0
    """For an acknowledgement, or the answer to a test."""
    t2_s: float = 10.0
    """Until what was received is acknowledged, where nothing is sent meanwhile."""
    t3_s: float = 20.0
    """Silence after which a test is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPoint:
    """A point that a controlled station shows."""

    address: int
    """Information object address, 1 to 2**24 - 1."""
    is_state: bool = False
    """On or off; else a measurement."""
    dead_band: float = 0.0
    """In the point's own unit: a measurement that has moved by more is told at once."""
    cyclic_s: float | None = None
    """How often it is told besides; None: only when it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPoint:
    """A point that a dispatch centre writes."""

    address: int
    is_switch: bool = False
    """On or off; else a set-point."""
    pace: Pace = Pace.SELECT
    low: float = float("-inf")
    high: float = float("inf")
    """A set-point beyond them is refused."""

    def refuses(self, value: float) -> str | None:
        """Why a value is no order at all; None where it may be one."""
        if not isfinite(value):
            return f"{value} is no number"
        if not self.low <= value <= self.high:
            return f"{value:g} lies outside {self.low:g} to {self.high:g}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """A controlling station that may connect."""

    host: str
    """Its address, as its connections come from."""
    may_order: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterHealth:
    """How one master on the list does; counted since the station began."""

    host: str
    may_order: bool
    connections: int
    """That stand now; a second one is half-open, or takes over."""
    gets_data: bool
    since: datetime | None
    """When the newest connection was made, or the last one ended; None where there never was one."""
    gone_because: str | None
    """Why the last one ended; None while one stands."""
    orders: int
    """Taken and confirmed."""
    refused: int
    ordered_at: datetime | None
    """When the newest was taken."""
    given_way: int
    """Changes of states that its connections which stand have not been told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSpec:
    """A controlled station: where it listens, whom it lets in, what it shows and takes."""

    name: str
    host: str
    port: int
    common_address: int
    zone: ZoneInfo
    masters: tuple[Master, ...]
    points: tuple[ShownPoint, ...]
    orders: tuple[OrderPoint, ...] = ()
    timing: LinkTiming = LinkTiming()
    select_s: float = 10.0
    """How long a selection lives."""
    clock_tolerance_s: float = 1.0
    """A master's clock that is off by more is told, and its synchronisation refused."""
    orders_per_minute: int = 300
    """Of one master; beyond, they are refused."""
    cyclic_time: bool = False
    """Whether cyclic measurements carry their time: beyond the standard, and some centres ask for it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a point shows now."""

    value: float
    """1 and 0 where it is a state."""
    flaw: Flaw
    at: datetime
    """When it was measured, or became what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchOrder:
    """What a dispatch centre orders: one value for one point."""

    station: str
    master: str
    address: int
    value: float
    """1 and 0 where it is a switch."""
    received_at: datetime
