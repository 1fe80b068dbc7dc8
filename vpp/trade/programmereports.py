"""Which reports of an event are due: after which of its intervals, and about which.

    intervals        0     1     2     3          numIntervals 2, startInterval 2, frequency 1, repeat -1
    historical             [0  1]▲                reports about the two that have passed
                                 [1  2]▲
    forecast                     ▲[2  3]          historical false: about those that come

Intervals that never end, and those that are repeated, are reported one by one as they pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpp.model.programme import FOREVER, ProgrammeEvent, ReportAsked
from vpp.model.time import Interval, isoformat, latest_boundary
from vpp.trade.programme import Standing
from vpp.trade.programmetimes import Draw, Stretch, ends_at, may_lie, stretches

LATEST = timedelta(days=1)
"""A report that is later than this is not made any more."""

_TICK = timedelta.resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDue:
    """One report, still without values."""

    name: str
    event: ProgrammeEvent
    asked: ReportAsked
    intervals: tuple[tuple[int, Interval], ...]
    """The id of each interval, and its span."""


def reports_due(
    one: Standing, *, now: datetime, every: timedelta, draw: Draw
) -> Iterator[ReportDue]:
    """The reports that one event asks for and whose time has come, over the last day.

    `every` is how long the pieces of an interval without end are. Nothing is reported of what was over
    before the event was seen.
    """
    event = one.event
    if not event.reports or not may_lie(event, one.seen_at, draw):
        return
    endless = ends_at(event, one.seen_at, draw) == FOREVER
    if one.seen_at > now:  # a clock that was set back
        return
    window = Interval(max(now - LATEST, one.seen_at - every), now + LATEST)
    if endless or event.duration is not None:
        pieces = _pieces(stretches(event, one.seen_at, window, draw), window, every)
        plans = [(asked, _rolling(asked, len(pieces))) for asked in event.reports]
    else:
        whole = Interval(datetime(1970, 1, 2, tzinfo=now.tzinfo), FOREVER)
        pieces = _pieces(stretches(event, one.seen_at, whole, draw), whole, every)
        plans = [(asked, _planned(asked, len(pieces))) for asked in event.reports]
    for place, (asked, boundaries) in enumerate(plans):
        for begin, end in boundaries:
            about = pieces[begin:end]
            if not about:
                continue
            moment = about[-1][1].end if asked.historical else about[0][1].start
            if max(one.seen_at, now - LATEST) < moment <= now:
                name = f"{event.event_id}/{place}/{asked.payload_type}/{isoformat(moment)}"
                yield ReportDue(name=name, event=event, asked=asked, intervals=tuple(about))


def _planned(asked: ReportAsked, count: int) -> Iterator[tuple[int, int]]:
    """From which interval to which each report is about, where all are known."""
    many = count if asked.num_intervals < 0 else asked.num_intervals
    step = asked.frequency if asked.frequency > 0 else max(many, 1)
    at = asked.start_interval
    if at < 0:
        at = count if asked.historical else 0
    times = count if asked.repeat < 0 else asked.repeat
    for _ in range(min(times, count + 1)):
        if at > count:
            return
        yield (max(at - many, 0), at) if asked.historical else (at, min(at + many, count))
        at += step


def _rolling(asked: ReportAsked, count: int) -> Iterator[tuple[int, int]]:
    """One by one."""
    times = count if asked.repeat < 0 else min(asked.repeat, count)
    yield from ((n, n + 1) for n in range(times))


def _pieces(lying: list[Stretch], window: Interval, every: timedelta) -> list[tuple[int, Interval]]:
    """The intervals in order of time, those without end cut into pieces of `every`."""
    found: list[tuple[int, Interval]] = []
    for stretch in lying:
        if stretch.until < FOREVER:
            found.append((stretch.interval_id, Interval(stretch.start, stretch.until)))
            continue
        # On the clock's own boundaries: there meters are read.
        start = latest_boundary(max(stretch.start, window.start) - _TICK, every) + every
        while start < window.end and window.end < FOREVER:
            found.append((stretch.interval_id, Interval(start, start + every)))
            start += every
    return sorted(found, key=lambda one: one[1].start)
