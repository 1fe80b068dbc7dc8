"""Shiftable runs: what they draw, given the starts of a schedule, and whether they may start there.

Worked out with moments of time, not with steps of a programme: a second opinion on clock changes
and windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import pairwise

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.resource import ShiftableRun
from vpp.model.time import QUARTER, latest_boundary, local_date, local_day, local_moment
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import equal
from vpp.plan.validate.machines import Bools


def run_faults(case: Case, run: ShiftableRun) -> Iterator[str]:
    """Days that have no run, too many, or one outside its window; a draw that does not follow."""
    for day in case.days:
        yield from _day_faults(case, run, day)
    expected, size = -_drawn_kw(case, run, _begins(case, run)), np.full(case.steps, run.draw_kw)
    yield from equal(f"{run.resource_id}: draw", case.power(run.resource_id), expected, size)


def in_progress(case: Case, run: ShiftableRun) -> Bools:
    """Steps in which it runs, shape (T,)."""
    return _progress(case, run, _begins(case, run))


def given_progress(case: Case, run: ShiftableRun) -> Bools:
    """Steps in which it runs though nobody chooses that, shape (T,)."""
    return _progress(case, run, _all_given(case, run))


def given_kw(case: Case, run: ShiftableRun) -> Floats:
    """Draw of the runs that nobody chooses, shape (T,)."""
    return _drawn_kw(case, run, _all_given(case, run))


def _progress(case: Case, run: ShiftableRun, begins: list[datetime]) -> Bools:
    busy, horizon = np.zeros(case.steps, dtype=bool), case.view.horizon
    for moment in begins:
        first, end = horizon.index(moment), horizon.index(moment + run.length)
        busy[max(first, 0) : max(end, 0)] = True
    return busy


def _drawn_kw(case: Case, run: ShiftableRun, begins: list[datetime]) -> Floats:
    """Draw of runs that begin at some moments, shape (T,)."""
    drawn, horizon = case.zeros(), case.view.horizon
    for moment in begins:
        for number, draw_kw in enumerate(run.profile_kw):
            step = horizon.index(moment + number * QUARTER)
            if 0 <= step < case.steps:
                drawn[step] += draw_kw
    return drawn


def _all_given(case: Case, run: ShiftableRun) -> list[datetime]:
    return [moment for day in case.days for moment in _given(case, run, day)]


def _begins(case: Case, run: ShiftableRun) -> list[datetime]:
    """When each run of the horizon begins, and those that go on into it."""
    return sorted([*_all_given(case, run), *_chosen(case, run.resource_id)])


def _chosen(case: Case, name: ResourceId) -> list[datetime]:
    return sorted(case.starts[step] for step in case.schedule.starts.get(name, ()))


def _day_faults(case: Case, run: ShiftableRun, day: date) -> Iterator[str]:
    name, zone = run.resource_id, case.view.park.timezone
    chosen = [m for m in _chosen(case, name) if local_date(m, zone) == day]
    window, wanted = _free_window(case, run, day), 0
    if window is not None:
        # One that is late does what it can.
        room = max((window[1] - window[0]) // run.length + 1, 0)
        wanted = min(run.runs_per_day - _begun(case, run, day), room)
    if len(chosen) != wanted:
        yield f"{name}: {len(chosen)} chosen starts on {day}, not {wanted}"
        return
    if window is None:
        return
    for moment in chosen:
        if not window[0] <= moment <= window[1]:
            yield f"{name}: starts at {moment}, its window is {window[0]} … {window[1]}"
    for before, moment in pairwise(sorted([*_given(case, run, day), *chosen])):
        if moment < before + run.length:
            yield f"{name}: starts at {moment}, while its run of {before} goes on"
    yield from _after_faults(case, run, day, chosen)


def _after_faults(
    case: Case, run: ShiftableRun, day: date, chosen: list[datetime]
) -> Iterator[str]:
    """It waits for another run of the same day: the k-th for the k-th."""
    if run.after is None:
        return
    other = case.view.park.resource_by_id[run.after]
    assert isinstance(other, ShiftableRun)
    zone = case.view.park.timezone
    ends = [m + other.length for m in _begins(case, other) if local_date(m, zone) == day]
    gone = other.runs_per_day - len(ends)  # those that have had their time included
    first = min(_begun(case, run, day), gone)
    waits_for = {
        number: ends[first + number - gone]
        for number in range(len(chosen))
        if 0 <= first + number - gone < len(ends)
    }
    if _free_window(case, other, day) is None and _too_late(case, run, day, chosen, waits_for):
        return  # nobody can choose when the other one ends
    for number, ended in waits_for.items():
        if (moment := chosen[number]) < ended:
            yield f"{run.resource_id}: after: starts at {moment}, {run.after} ends {ended}"


def _told(case: Case, run: ShiftableRun, day: date) -> RunPhase | None:
    """What the device says about its runs of `day`, None where it says nothing about that day."""
    reading = case.reading(run.resource_id)
    return reading.phase if reading is not None and case.told_on(reading, day) else None


def _begun(case: Case, run: ShiftableRun, day: date) -> int:
    """How many runs of `day` have begun as the device says."""
    reading, told = case.reading(run.resource_id), _told(case, run, day)
    if reading is None or not case.told_on(reading, day):
        return 0
    least = int(told in (RunPhase.RUNNING, RunPhase.DONE))
    if told is RunPhase.DONE and reading.calls_today is None:
        least = run.runs_per_day
    return min(max(least, reading.calls_today or 0), run.runs_per_day)


def _too_late(
    case: Case,
    run: ShiftableRun,
    day: date,
    chosen: list[datetime],
    waits_for: dict[int, datetime],
) -> bool:
    """Whether what a run waits for ends after the last moment at which it could start."""
    _, latest = _starts_between(case, run, day)
    return any(
        ended > latest - (len(chosen) - 1 - number) * run.length
        for number, ended in waits_for.items()
    )


def _starts_between(case: Case, run: ShiftableRun, day: date) -> tuple[datetime, datetime]:
    """Earliest and latest start on `day`; equal where a clock change leaves too little room."""
    zone = case.view.park.timezone
    end = local_moment(day, run.latest_end, zone)
    if run.latest_end == time(23, 59):  # how 24:00 is written
        end = local_day(day, zone).end
    earliest = _next_quarter(local_moment(day, run.earliest_start, zone))
    return earliest, max(latest_boundary(end - run.length, QUARTER), earliest)


def _free_window(case: Case, run: ShiftableRun, day: date) -> tuple[datetime, datetime] | None:
    """Between which starts the planner may choose; None where there is nothing to choose."""
    horizon = case.view.horizon
    earliest, latest = _starts_between(case, run, day)
    settled = _begun(case, run, day) >= run.runs_per_day
    heard = case.reading(run.resource_id) is not None
    if day.weekday() not in run.run_days or not heard or settled or earliest == latest:
        return None
    if latest < horizon.start or latest + run.length > horizon.end:
        return None
    over = (begun + run.length for begun in _going_on(case, run, day))
    soonest = max([earliest, horizon.start, *over])
    steps = slice(horizon.index(soonest), horizon.index(latest + run.length))
    if case.view.alone(run.resource_id)[steps].any():
        return None
    return soonest, latest


def _given(case: Case, run: ShiftableRun, day: date) -> list[datetime]:
    """The starts that nobody chooses: it runs already, or the device will start it by itself."""
    if day.weekday() not in run.run_days:
        return []
    going_on = _going_on(case, run, day)
    left = run.runs_per_day - _begun(case, run, day)
    earliest, latest = _starts_between(case, run, day)
    begun_before = latest < case.view.horizon.start and day == local_date(
        case.view.horizon.start, case.view.park.timezone
    )
    if not left or begun_before or _free_window(case, run, day) is not None:
        return going_on
    default = _next_quarter(local_moment(day, run.default_start, case.view.park.timezone))
    begun = _begun(case, run, day)
    over = [moment + run.length for moment in going_on]
    first = min(max([default + begun * run.length, earliest, *over]), latest)
    return [*going_on, *(first + number * run.length for number in range(left))]


def _going_on(case: Case, run: ShiftableRun, day: date) -> list[datetime]:
    """When the run of `day` began that is not over, if there is one."""
    reading = case.reading(run.resource_id)
    if _told(case, run, day) is not RunPhase.RUNNING or reading is None:
        return []
    return [] if reading.phase_since is None else [reading.phase_since]


def _next_quarter(moment: datetime) -> datetime:
    boundary = latest_boundary(moment, QUARTER)
    return boundary if boundary == moment else boundary + QUARTER
