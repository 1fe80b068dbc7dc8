"""Windows of local time on a horizon: which steps they have, and how much work belongs to these.

The clock on the wall is read once for each pair of day and time that some window names, never for
each load and step: a thousand loads of the same shifts cost as much calendar as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats, Horizon
from vpp.model.measurement import Reading
from vpp.model.resource import EnergyWindow, FlexibleLoad
from vpp.model.time import local_date, local_day, local_moment
from vpp.plan.programme import Ints
from vpp.plan.view import PlanningView

END_OF_DAY = time(23, 59)
"""How 24:00 is written."""


@dataclass(frozen=True, slots=True)
class Span:
    """One window on one day, in steps; a step belongs to it by its start."""

    starts_at: datetime
    ends_at: datetime
    first: int
    """Below 0 where it began before the horizon."""
    last: int
    """Exclusive; beyond the horizon where that cuts it."""


class Calendar:
    """The local times of one view's horizon, each worked out once."""

    def __init__(self, view: PlanningView) -> None:
        self._horizon = view.horizon
        self._zone = view.park.timezone
        first = local_date(view.horizon.start, self._zone) - timedelta(days=1)
        last = local_date(view.horizon.end - timedelta(microseconds=1), self._zone)
        self._days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        self._at = cache(self._moment_and_step)
        self.spans = cache(self._spans)

    def _moment_and_step(self, day: date, at: time) -> tuple[datetime, int]:
        """A local time in UTC, and the first step that starts then or later."""
        if at == END_OF_DAY:
            moment = local_day(day, self._zone).end
        else:
            moment = local_moment(day, at, self._zone)
        return moment, self._horizon.next_index(moment)

    def _spans(self, start: time, end: time, weekdays: tuple[int, ...]) -> tuple[Span, ...]:
        """Every day's window that has a step in the horizon."""
        found = []
        for day in self._days:
            if day.weekday() not in weekdays:
                continue
            starts_at, first = self._at(day, start)
            ends_at, last = self._at(day if end > start else day + timedelta(days=1), end)
            if max(first, 0) < min(last, self._horizon.steps):
                found.append(Span(starts_at, ends_at, first, last))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """All windows of some loads that the horizon shows, shape (W,), by load and then by time."""

    load: Ints
    """Which of the loads."""

    starts_at: tuple[datetime, ...]
    first: Ints
    last: Ints
    """Exclusive; both within the horizon."""

    least_kwh: Floats
    """What is still to be drawn in the steps from `first` on."""

    most_kwh: Floats

    def members(self) -> tuple[Ints, Ints]:
        """Window and step of each step of each window, shapes (N,)."""
        lengths = self.last - self.first
        window = np.repeat(np.arange(len(lengths)), lengths)
        offset = np.arange(len(window)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return window, self.first[window] + offset

    def open(self, loads: int, steps: int) -> NDArray[np.bool_]:
        """Where a load has a window in which it may still draw, shape (loads, T).

        One whose most is done is over: what must go on in a window, or change slowly, ends with it.
        """
        window, step = self.members()
        left = self.most_kwh[window] > 0
        found = np.zeros((loads, steps), dtype=bool)
        found[self.load[window[left]], step[left]] = True
        return found


def windows_of(
    view: PlanningView, loads: Sequence[FlexibleLoad], readings: Sequence[Reading | None]
) -> Windows:
    """The windows of `loads`, and what each has still to do, from what the loads say."""
    calendar, steps = Calendar(view), view.horizon.steps
    owners: list[int] = []
    spans: list[Span] = []
    least: list[float] = []
    most: list[float] = []
    for index, (load, reading) in enumerate(zip(loads, readings, strict=True)):
        for window in load.windows:
            for span in calendar.spans(window.start, window.end, window.days):
                needed, room = _work_kwh(load, window, span, reading, view.horizon)
                owners.append(index)
                spans.append(span)
                least.append(needed)
                most.append(room)
    return Windows(
        load=np.array(owners, dtype=np.int64),
        starts_at=tuple(span.starts_at for span in spans),
        first=np.array([max(span.first, 0) for span in spans], dtype=np.int64),
        last=np.array([min(span.last, steps) for span in spans], dtype=np.int64),
        least_kwh=np.array(least),
        most_kwh=np.array(most),
    )


def _work_kwh(
    load: FlexibleLoad,
    window: EnergyWindow,
    span: Span,
    reading: Reading | None,
    horizon: Horizon,
) -> tuple[float, float]:
    """Least and most that a window still has to draw in the steps that the horizon shows."""
    least = window.least_units * load.kwh_per_unit
    most = window.most_units * load.kwh_per_unit
    if (
        span.starts_at < horizon.start
        and reading is not None
        and reading.done_kwh is not None
        and span.starts_at <= reading.measured_at < span.ends_at
    ):
        least, most = max(least - reading.done_kwh, 0.0), max(most - reading.done_kwh, 0.0)
    if span.last > horizon.steps:
        begins = max(span.first, 0)
        least *= (horizon.steps - begins) / (span.last - begins)
    return least, most
