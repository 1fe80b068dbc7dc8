"""A utility's programme as OpenADR tells it: programs, events with their intervals, reports that are asked for.

The nouns of both OpenADR 3 and 2.0b. Values stand as they came: consumption counts positive in them, and
`vpp.trade.programme` is where they become orders, and where the sign is turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

OPEN_END = timedelta(days=3_650_000)
"""A duration of P9999Y: until further notice."""

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When what has no end ends."""

PayloadValue: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One signal of an interval."""

    payload_type: str
    values: tuple[PayloadValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadUnits:
    """In what the values of one payload type are counted."""

    payload_type: str
    units: str | None = None
    """`KW`, `KWH`, `PERCENT`; None where it was not said."""

    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPeriod:
    """When an event, or one of its intervals, begins, and how long each interval is."""

    start: datetime | None = None
    """None: now, or for an interval that is not the first when the one before it ends."""

    duration: timedelta | None = None
    """None: not said. 0 is until further notice, except in an event that begins `now`: that is none at all."""

    randomize: timedelta | None = None
    """By at most so much the start is moved, either way; None: not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInterval:
    """One stretch of an event, and its signals."""

    interval_id: int
    payloads: tuple[Payload, ...]
    period: EventPeriod | None = None
    """Of its own; None: as the event says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAsked:
    """A report that an event asks for."""

    payload_type: str
    reading_type: str | None = None
    units: str | None = None
    start_interval: int = -1
    """Position of the interval on which the first report is made; -1: the last one."""

    num_intervals: int = -1
    """How many intervals a report is about; -1: all."""

    historical: bool = True
    """About what was; False: about what is expected."""

    frequency: int = -1
    """Intervals from one report to the next; -1: as many as it is about."""

    repeat: int = 1
    """How many reports; -1: until the event ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeEvent:
    """One event, in one version."""

    event_id: str
    program_id: str
    intervals: tuple[EventInterval, ...]
    name: str = ""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    modification: int = 0
    """The number that 2.0b counts versions by; always 0 in OpenADR 3, which has times alone."""

    priority: int | None = None
    """0 is the highest; None is below them all."""

    targets: tuple[str, ...] = ()
    """Whom it is for; empty: everybody."""

    period: EventPeriod | None = None
    duration: timedelta | None = None
    """Of the event as a whole: its intervals are cut off after it, or repeated until it is over."""

    units: tuple[PayloadUnits, ...] = ()
    reports: tuple[ReportAsked, ...] = ()

    @property
    def version(self) -> tuple[int, datetime]:
        """What is higher is newer."""
        never = datetime.min.replace(tzinfo=UTC)
        return self.modification, self.modified_at or self.created_at or never


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What events belong to."""

    program_id: str
    name: str
    units: tuple[PayloadUnits, ...] = ()
    """What holds for its events where they say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFault:
    """An event of a list that is not as it should be."""

    event_id: str | None
    """None where not even that could be read."""

    what: str
    raw: str
    """The beginning of it, as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """All events that there are now: what is not in it is cancelled."""

    programs: tuple[Program, ...] = ()
    events: tuple[ProgrammeEvent, ...] = ()
    faults: tuple[EventFault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInterval:
    """What is reported of one interval of an event."""

    interval_id: int
    start: datetime
    duration: timedelta
    payloads: tuple[Payload, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeReport:
    """One report about the park as a whole, as it leaves."""

    report_name: str
    """Tells reports apart: the same name is the same report."""

    program_id: str
    event_id: str
    units: tuple[PayloadUnits, ...]
    intervals: tuple[ReportInterval, ...]
