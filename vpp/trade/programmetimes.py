"""When the intervals of a programme's event are: starts, ends, repetition, the random shift.

    event     start 17:00, each PT1H        17:00      18:00      19:00
    interval  0                               ├──────────┤
    interval  1                                          ├──────────┤      follows
    interval  2   own start 20:00, P9999Y                      20:00 ├───────▶ until further notice

An interval without an end lasts until the next one that has a start of its own. Randomised starts move all
intervals alike; the same event is always moved by the same time, so that a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.programme import (
    FOREVER,
    OPEN_END,
    EventInterval,
    EventPeriod,
    Payload,
    ProgrammeEvent,
)
from vpp.model.time import Interval

Draw: TypeAlias = Callable[[str], float]
"""A number from -1 to 1 for a name: always the same for the same name."""

SHORTEST_TURN = timedelta(minutes=1)
"""A faster repetition is refused: nobody could follow it, and it would fill the memory."""

_NOTHING = timedelta(0)
_NOT_SAID = EventPeriod()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One interval of an event as it lies in time."""

    start: datetime
    end: datetime
    """`FOREVER` where it has none."""

    until: datetime
    """When it is cut off by the event's own duration; `end` where it is not."""

    interval_id: int
    position: int
    """Of the interval in its event, from 0."""

    payloads: tuple[Payload, ...]


def stretches(
    event: ProgrammeEvent, seen_at: datetime, window: Interval, draw: Draw
) -> list[Stretch]:
    """All of an event that reaches into `window`, in the order of its intervals; `now` is `seen_at`.

    Raises:
        DataError: It is repeated more often than once a minute.
    """
    whole = _once(event, seen_at, draw)
    if event.duration is None or event.duration == _NOTHING or not whole:
        return [one for one in whole if one.start < window.end and window.start < one.end]
    first, last = min(s.start for s in whole), max(s.end for s in whole)
    until = FOREVER if event.duration >= OPEN_END else first + event.duration
    return [
        Stretch(
            start=start,
            end=end,
            until=min(end, until),
            interval_id=one.interval_id,
            position=one.position,
            payloads=one.payloads,
        )
        for shift in _repeats(first, last, until, window)
        for one in whole
        if (start := _later(one.start, shift)) < min(end := _later(one.end, shift), until)
        and start < window.end
        and window.start < min(end, until)
    ]


def may_lie(event: ProgrammeEvent, seen_at: datetime, draw: Draw) -> bool:
    """Whether `stretches` can say how an event lies; why not is what `schedule` tells of it."""
    try:
        stretches(event, seen_at, Interval(seen_at, seen_at + SHORTEST_TURN), draw)
    except DataError:
        return False
    return True


def ends_at(event: ProgrammeEvent, seen_at: datetime, draw: Draw) -> datetime:
    """When the last of an event is over; `seen_at` for one that never is, `FOREVER` for one without end."""
    whole = _once(event, seen_at, draw)
    if not whole:
        return seen_at
    first, last = min(s.start for s in whole), max(s.end for s in whole)
    if event.duration is None or event.duration == _NOTHING:
        return last
    # Longer than its intervals: they are repeated. Shorter: they are cut off.
    return FOREVER if event.duration >= OPEN_END else first + event.duration


def _once(event: ProgrammeEvent, seen_at: datetime, draw: Draw) -> list[Stretch]:
    """The intervals of an event, each once."""
    usual = event.period or _NOT_SAID
    if event.period is not None and usual.start is None and usual.duration == _NOTHING:
        return []  # how a utility writes that an event is no more
    shift = _shift(usual.randomize, event.event_id, draw)
    found: list[Stretch] = []
    cursor: datetime | None = None
    for position, interval in enumerate(event.intervals):
        after = next(iter(event.intervals[position + 1 : position + 2]), None)
        own = interval.period or _NOT_SAID
        if own.randomize is not None:
            shift = _shift(own.randomize, f"{event.event_id}/{interval.interval_id}", draw)
        start = _start(own, usual, cursor, seen_at, shift)
        length = own.duration if own.duration is not None else usual.duration
        end = FOREVER if not length or length >= OPEN_END else _later(start, length)
        if end == FOREVER and after is not None and after.period is not None:
            end = max(_own_start(after, event.event_id, shift, draw) or FOREVER, start)
        if start < end:
            found.append(
                Stretch(
                    start=start,
                    end=end,
                    until=end,
                    interval_id=interval.interval_id,
                    position=position,
                    payloads=interval.payloads,
                )
            )
        cursor = end
    return found


def _own_start(
    interval: EventInterval, event_id: str, shift: timedelta, draw: Draw
) -> datetime | None:
    """When an interval begins that says so itself; None for one that follows."""
    period = interval.period
    if period is None or period.start is None:
        return None
    if period.randomize is not None:
        shift = _shift(period.randomize, f"{event_id}/{interval.interval_id}", draw)
    return _later(period.start, shift)


def _start(
    own: EventPeriod,
    usual: EventPeriod,
    cursor: datetime | None,
    seen_at: datetime,
    shift: timedelta,
) -> datetime:
    if own.start is not None:
        return _later(own.start, shift)
    if cursor is not None:
        return cursor
    return _later(usual.start or seen_at, shift)


def _shift(most: timedelta | None, name: str, draw: Draw) -> timedelta:
    if most is None:
        return _NOTHING
    return timedelta(seconds=round(most.total_seconds() * draw(name)))


def _repeats(
    first: datetime, last: datetime, until: datetime, window: Interval
) -> Iterator[timedelta]:
    """By how much the intervals are moved each time that touches `window`."""
    length = last - first
    if last == FOREVER:
        yield _NOTHING
        return
    if length < SHORTEST_TURN:
        raise DataError(
            f"its intervals last {length} together and are repeated",
            where="event",
            fix="Repeat at least a minute",
        )
    turn = max((window.start - first) // length, 0)
    while first + turn * length < min(until, window.end):
        yield turn * length
        turn += 1


def _later(moment: datetime, by: timedelta) -> datetime:
    """`moment + by`, `FOREVER` at the latest."""
    return FOREVER if FOREVER - moment <= by else moment + by
