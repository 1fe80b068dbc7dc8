"""What processes and runs draw, given the starts of a schedule: for the validator.

Worked out with moments of time, not with steps of a programme: a second opinion on clock changes,
calling hours and windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import InterruptibleLoad, ShiftableRun
from vpp.model.time import (
    QUARTER,
    Interval,
    latest_boundary,
    local_date,
    local_day,
    local_moment,
)
from vpp.plan.view import PlanningView


def process_kw(
    load: InterruptibleLoad, reading: Reading | None, starts: Sequence[int], view: PlanningView
) -> Floats:
    """Net injection of a process: its rated draw in its hours, nothing during calls; shape (T,)."""
    calls = [_call(load, view, step) for step in starts]
    if reading is not None and reading.phase is RunPhase.CALLED and reading.phase_since:
        # A plan made late (a restart) can see a call that began after its first step did.
        since = min(reading.phase_since, view.horizon.start)
        calls.append(Interval(since, reading.phase_since + load.call_length))
    power = []
    for moment in view.horizon.starts():
        runs = _operates(load, moment, view) and not any(moment in call for call in calls)
        power.append(-load.rated_draw_kw if runs else 0.0)
    return np.array(power)


def call_faults(
    load: InterruptibleLoad, reading: Reading | None, starts: Sequence[int], view: PlanningView
) -> Iterator[str]:
    """Calls that the process was not promised."""
    name, zone = load.resource_id, view.park.timezone
    calls = sorted(_call(load, view, step) for step in starts)
    if calls and reading is None:
        yield f"{name}: is called, and nobody knows how it stands"
        return
    on_day: dict[date, int] = {}
    if reading is not None and reading.calls_today:
        on_day[local_date(reading.measured_at, zone)] = reading.calls_today
    for number, call in enumerate(calls):
        local, day = call.start.astimezone(zone), local_date(call.start, zone)
        on_day[day] = on_day.get(day, 0) + 1
        if local.hour not in load.callable_hours or (local.minute, local.second) != (0, 0):
            yield f"{name}: a call starts at {local:%Y-%m-%d %H:%M}"
        if on_day[day] > load.max_calls_per_day:
            yield f"{name}: {on_day[day]} calls on {day}, allowed {load.max_calls_per_day}"
        if number and call.start <= calls[number - 1].end:
            yield f"{name}: the call at {local:%Y-%m-%d %H:%M} follows another without a pause"
        inside = [t for t in view.horizon.starts() if t in call]
        if call.end > view.horizon.end or not all(_operates(load, t, view) for t in inside):
            yield f"{name}: the call at {local:%Y-%m-%d %H:%M} is not wholly in operating hours"


def _call(load: InterruptibleLoad, view: PlanningView, step: int) -> Interval:
    start = view.horizon.start + step * view.horizon.step
    return Interval(start, start + load.call_length)


def _operates(load: InterruptibleLoad, moment: datetime, view: PlanningView) -> bool:
    local = moment.astimezone(view.park.timezone)
    return (
        local.weekday() in load.operating_days
        and load.operating_from <= local.time() < load.operating_to
    )


def run_kw(
    run: ShiftableRun, reading: Reading | None, starts: Sequence[int], view: PlanningView
) -> Floats:
    """Net injection of a run with these starts, and with those nobody chooses; shape (T,)."""
    horizon = view.horizon
    power = np.zeros(horizon.steps)
    given = [m for day in _days(view) if (m := _given(run, reading, day, view)) is not None]
    for begins in [*given, *(horizon.start + step * horizon.step for step in starts)]:
        for number, draw_kw in enumerate(run.profile_kw):
            step = horizon.index(begins + number * QUARTER)
            if 0 <= step < horizon.steps:
                power[step] -= draw_kw
    return power


def run_faults(
    run: ShiftableRun, reading: Reading | None, starts: Sequence[int], view: PlanningView
) -> Iterator[str]:
    """Days that have no run, too many, or one outside its window."""
    name, horizon, zone = run.resource_id, view.horizon, view.park.timezone
    chosen = [horizon.start + step * horizon.step for step in starts]
    for day in _days(view):
        on_day = [moment for moment in chosen if local_date(moment, zone) == day]
        window = _free_window(run, reading, day, view)
        if len(on_day) != (window is not None):
            yield f"{name}: {len(on_day)} chosen starts on {day}, not {int(window is not None)}"
        elif window is not None and not window[0] <= on_day[0] <= window[1]:
            yield f"{name}: starts at {on_day[0]}, its window is {window[0]} … {window[1]}"


def _days(view: PlanningView) -> Iterator[date]:
    zone, end = view.park.timezone, view.horizon.end
    day = local_date(view.horizon.start, zone)
    while local_day(day, zone).start < end:
        yield day
        day += timedelta(days=1)


def _told(reading: Reading | None, day: date, view: PlanningView) -> RunPhase | None:
    """What the device says about its run of `day`, None where it says nothing about that day."""
    if reading is None or local_date(reading.measured_at, view.park.timezone) != day:
        return None
    return reading.phase


def _starts_between(run: ShiftableRun, day: date, view: PlanningView) -> tuple[datetime, datetime]:
    """Earliest and latest start on `day`; equal where a clock change leaves too little room."""
    zone = view.park.timezone
    end = local_moment(day, run.latest_end, zone)
    if run.latest_end == time(23, 59):  # how 24:00 is written
        end = local_day(day, zone).end
    earliest = _next_quarter(local_moment(day, run.earliest_start, zone))
    return earliest, max(latest_boundary(end - run.length, QUARTER), earliest)


def _free_window(
    run: ShiftableRun, reading: Reading | None, day: date, view: PlanningView
) -> tuple[datetime, datetime] | None:
    """Between which starts the planner may choose; None where there is nothing to choose."""
    earliest, latest = _starts_between(run, day, view)
    settled = _told(reading, day, view) in (RunPhase.RUNNING, RunPhase.DONE)
    if day.weekday() not in run.run_days or reading is None or settled or earliest == latest:
        return None
    if latest < view.horizon.start or latest + run.length > view.horizon.end:
        return None
    return max(earliest, view.horizon.start), latest


def _given(
    run: ShiftableRun, reading: Reading | None, day: date, view: PlanningView
) -> datetime | None:
    """The start that nobody chooses: it runs already, or the device will start it by itself."""
    told = _told(reading, day, view)
    if day.weekday() not in run.run_days or told is RunPhase.DONE:
        return None
    if told is RunPhase.RUNNING:
        return reading.phase_since if reading is not None else None
    earliest, latest = _starts_between(run, day, view)
    begun_before = latest < view.horizon.start and day == local_date(
        view.horizon.start, view.park.timezone
    )
    if begun_before or _free_window(run, reading, day, view) is not None:
        return None
    default = _next_quarter(local_moment(day, run.default_start, view.park.timezone))
    return min(max(default, earliest), latest)


def _next_quarter(moment: datetime) -> datetime:
    boundary = latest_boundary(moment, QUARTER)
    return boundary if boundary == moment else boundary + QUARTER
