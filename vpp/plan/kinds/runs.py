"""Shiftable runs: which starts are possible on each day, and what runs without being asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import ShiftableRun
from vpp.model.time import QUARTER, local_date, local_day, local_moment
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder


def possible(
    b: Builder, run: ShiftableRun, reading: Reading | None, row: int, days: Sequence[date]
) -> list[Start]:
    """Starts that may be chosen, a group a day, numbered from 0; the rest goes into `b.base_kw[row]`.

    Raises:
        DataError: The plan has other steps than the run's profile.
    """
    horizon, zone = b.view.horizon, b.view.park.timezone
    starts: list[Start] = []
    groups = 0
    for day in days:
        found = list(_run(run, reading, horizon, zone, day, b.base_kw[row]))
        starts += [replace(start, group=groups) for start in found]
        groups += bool(found)
    return starts


def _run(
    run: ShiftableRun,
    reading: Reading | None,
    horizon: Horizon,
    zone: ZoneInfo,
    day: date,
    base: Floats,
) -> Iterator[Start]:
    """Possible starts of one day's run; what is not free to choose goes into `base` instead."""
    if day.weekday() not in run.run_days:
        return
    if horizon.step != QUARTER:
        raise DataError(
            f"its profile has quarter-hours, the plan has steps of {horizon.step}",
            where=run.resource_id,
            fix="Plan in quarter-hours",
        )
    # What a reading says about "today" holds for the day it was measured on.
    told = reading is not None and local_date(reading.measured_at, zone) == day
    phase = reading.phase if reading is not None and told else RunPhase.WAITING
    if reading is not None and phase is RunPhase.RUNNING and reading.phase_since is not None:
        _add_profile(base, run, horizon.index(reading.phase_since))
        return
    if phase in (RunPhase.RUNNING, RunPhase.DONE):
        return  # where nobody says since when it runs, little of it can be left
    first, default, last = _window(run, horizon, zone, day)
    if last < 0 and day == local_date(horizon.start, zone):
        return  # its window has passed; the device has run it by itself
    if reading is None or first == last or last + len(run.profile_kw) > horizon.steps:
        # Nobody to command, no choice, or a window that the horizon does not show whole: a start
        # put off beyond the horizon would look free, so the run's own default is expected.
        _add_profile(base, run, default)
        return
    for step in range(max(first, 0), last + 1):
        yield Start(
            resource_id=run.resource_id,
            group=0,
            must=True,
            most=1,
            step=step,
            draw_kw=run.profile_kw,
            cost=0.0,
            words="earliest_start, latest_end",
        )


def _window(run: ShiftableRun, horizon: Horizon, zone: ZoneInfo, day: date) -> tuple[int, int, int]:
    """First, default and last step at which a day's run may start.

    Where a clock change makes the window too short, the run starts with it.
    """
    ends = (
        local_day(day, zone).end
        if run.latest_end == time(23, 59)
        else local_moment(day, run.latest_end, zone)
    )
    first = _next_step(horizon, local_moment(day, run.earliest_start, zone))
    last = max(horizon.index(ends) - len(run.profile_kw), first)
    default = _next_step(horizon, local_moment(day, run.default_start, zone))
    return first, min(max(default, first), last), last


def _next_step(horizon: Horizon, moment: datetime) -> int:
    """The first step that starts at `moment` or later."""
    return -((horizon.start - moment) // horizon.step)


def _add_profile(base: Floats, run: ShiftableRun, step: int) -> None:
    """Subtract the part of a run's profile, started at `step`, that lies in the horizon."""
    for offset, draw in enumerate(run.profile_kw):
        if 0 <= step + offset < len(base):
            base[step + offset] -= draw
