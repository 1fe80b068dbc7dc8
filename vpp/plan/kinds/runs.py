"""Shiftable runs: which starts are possible on each day, and what runs without being asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import ShiftableRun
from vpp.model.time import QUARTER, local_date, local_day, local_moment
from vpp.plan.kinds.clock import Clock
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDay:
    """The runs of one resource on one day."""

    resource_id: ResourceId
    day: date
    steps: int
    """Length of a run."""

    runs: int
    """How often it runs on its days."""

    begun: int
    """Runs of the day that have begun, as the device says."""

    given: tuple[int, ...]
    """Steps (maybe before the horizon) in which runs start that nobody chooses, the one that goes on
    included."""

    starts: tuple[Start, ...] = ()
    """Possible starts, of one group; empty where there is nothing to choose."""

    @property
    def wanted(self) -> int:
        """Runs to be chosen."""
        return self.starts[0].least if self.starts else 0

    @property
    def gone(self) -> int:
        """Runs that are over, those that have had their time included."""
        return self.runs - len(self.given) - self.wanted

    def ends(self) -> list[int]:
        """Steps in which the given ones have ended, in order."""
        return [step + self.steps for step in self.given]


def possible(
    b: Builder, run: ShiftableRun, reading: Reading | None, clock: Clock, *, group: int
) -> list[RunDay]:
    """What runs on each day, groups of starts numbered from `group` on.

    What is given goes into `b.base_kw`.

    Raises:
        DataError: The plan has other steps than the run's profile.
    """
    base = b.base_kw[b.row_of[run.resource_id]]
    days: list[RunDay] = []
    for number, day in enumerate(clock.days, start=group):
        if day.weekday() not in run.run_days:
            continue
        if clock.horizon.step != QUARTER:
            raise DataError(
                f"its profile has quarter-hours, the plan has steps of {clock.horizon.step}",
                where=run.resource_id,
                fix="Plan in quarter-hours",
            )
        alone = b.view.alone(run.resource_id)
        found = _on_day(run, reading, clock, day, alone, group=number)
        for step in found.given:
            _add_profile(base, run, step)
        days.append(found)
    return days


def _on_day(
    run: ShiftableRun,
    reading: Reading | None,
    clock: Clock,
    day: date,
    alone: NDArray[np.bool_],
    *,
    group: int,
) -> RunDay:
    """One day's runs: those that are given, and the possible starts of the others."""
    horizon, length = clock.horizon, len(run.profile_kw)
    told = reading if reading is not None and clock.is_on(reading.measured_at, day) else None
    begun = _begun(run, told)
    given: tuple[int, ...] = ()
    if told is not None and told.phase is RunPhase.RUNNING and told.phase_since is not None:
        given = (horizon.index(told.phase_since),)  # else: little of it can be left
    here = RunDay(
        resource_id=run.resource_id,
        day=day,
        steps=length,
        runs=run.runs_per_day,
        begun=begun,
        given=given,
    )
    left = run.runs_per_day - begun
    first, default, last = _window(run, clock, day)
    if not left or (last < 0 and day == local_date(horizon.start, clock.zone)):
        return here  # its window has passed; the device has run it by itself
    earliest = max([first, *here.ends()])
    cut = alone[max(earliest, 0) : last + length].any()
    if reading is None or first == last or last + length > horizon.steps or cut:
        # Nobody to command, no choice, a window in which it is left alone for a while, or one that the
        # horizon does not show whole: a start put off beyond the horizon would look free, so the run's own
        # default is expected.
        begins = min(max(default + begun * length, earliest), last)
        return replace(here, given=(*given, *(begins + k * length for k in range(left))))
    earliest = max(earliest, 0)
    fit = min(left, (last - earliest) // length + 1)  # a device that is late does what it can
    if fit <= 0:
        return here
    starts = tuple(
        Start(
            resource_id=run.resource_id,
            group=group,
            least=fit,
            most=fit,
            step=step,
            length=length,
            rest=0,
            draw_kw=run.profile_kw,
            words="earliest_start, latest_end",
        )
        for step in range(earliest, last + 1)
    )
    return replace(here, starts=starts)


def _begun(run: ShiftableRun, told: Reading | None) -> int:
    """How many runs of a day have begun."""
    if told is None:
        return 0
    least = int(told.phase is RunPhase.RUNNING)
    if told.phase is RunPhase.DONE:
        least = run.runs_per_day if told.calls_today is None else 1
    return min(max(least, told.calls_today or 0), run.runs_per_day)


def _window(run: ShiftableRun, clock: Clock, day: date) -> tuple[int, int, int]:
    """First, default and last step at which a day's run may start.

    Where a clock change makes the window too short, the run starts with it.
    """
    horizon: Horizon = clock.horizon
    ends = (
        local_day(day, clock.zone).end
        if run.latest_end == time(23, 59)
        else local_moment(day, run.latest_end, clock.zone)
    )
    first = horizon.next_index(local_moment(day, run.earliest_start, clock.zone))
    last = max(horizon.index(ends) - len(run.profile_kw), first)
    default = horizon.next_index(local_moment(day, run.default_start, clock.zone))
    return first, min(max(default, first), last), last


def _add_profile(base: Floats, run: ShiftableRun, step: int) -> None:
    """Subtract the part of a run's profile, started at `step`, that lies in the horizon."""
    at = np.arange(len(run.profile_kw)) + step
    inside = (at >= 0) & (at < len(base))
    base[at[inside]] -= np.array(run.profile_kw)[inside]


def cannot_wait(other: RunDay, run: RunDay) -> bool:
    """Whether what nobody chooses of another run ends too late for `run` to come after it."""
    if other.starts:
        return False
    last = max(start.step for start in run.starts)
    first = min(run.begun, other.gone)
    ends = other.ends()
    for number in range(run.wanted):
        before = first + number - other.gone
        latest = last - (run.wanted - 1 - number) * run.steps
        if 0 <= before < len(ends) and ends[before] > latest:
            return True
    return False


def by_day(days: Sequence[RunDay]) -> dict[tuple[ResourceId, date], RunDay]:
    """The days of all runs, to be found by those that wait for them."""
    return {(found.resource_id, found.day): found for found in days}
