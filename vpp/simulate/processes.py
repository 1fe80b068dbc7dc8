"""Simulated loads that keep a calendar: a process that can be called off, a job that runs on each day.

Both count days by the park's own calendar; spans are measured, so a run of two hours takes two
hours on a day with a clock change too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vpp.model.resource import InterruptibleLoad, ShiftableRun
from vpp.model.time import (
    QUARTER,
    Interval,
    isoformat,
    latest_boundary,
    local_date,
    local_day,
    local_moment,
)
from vpp.simulate.device import HOUR, BaseDevice

WAITING, RUNNING, CALLED, DONE = "waiting", "running", "called", "done"
END_OF_DAY = time(23, 59)
"""How the model writes 24:00."""


def window(day: date, begins: time, ends: time, zone: ZoneInfo) -> Interval:
    """The span between two local times of `day`; 23:59 is the end of the day."""
    end = local_day(day, zone).end if ends == END_OF_DAY else local_moment(day, ends, zone)
    return Interval(local_moment(day, begins, zone), end)


def next_quarter(moment: datetime) -> datetime:
    """The first quarter-hour that is not before `moment`."""
    boundary = latest_boundary(moment, QUARTER)
    return boundary if boundary == moment else boundary + QUARTER


class SimulatedProcess(BaseDevice):
    """An interruptible load: its rated draw in operating hours, less during a call.

    A call begins when a set-point asks for less than the rated draw; it ends with the set-point,
    with the operating hours, or after its longest length. Calls beyond `max_calls_per_day` are
    ignored, and so is a set-point that stays low after its call has ended. What is made up for after
    a call comes on top of whatever it draws then.
    """

    STATE = (
        *BaseDevice.STATE,
        "called_kwh", "_day_end", "_operating", "_calls", "_call_began", "_spent", "_phase",
        "_phase_since", "_owed_kwh", "_rebounds",
    )  # fmt: skip

    def __init__(self, resource: InterruptibleLoad, zone: ZoneInfo, opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._zone = zone
        self._longest = resource.longest_call or resource.call_length
        self.called_kwh = 0.0
        """What calls kept it from drawing, since the beginning."""
        self._calls = 0
        self._call_began: datetime | None = None
        self._owed_kwh = 0.0
        """What the call that goes on has taken away so far."""
        self._rebounds: list[tuple[datetime, datetime, float]] = []
        """Spans in which it draws more, and by how many kW; a call's end may lie within a step."""
        self._spent = False
        """Whether the set-point in force has had its call, or was ignored."""
        self._phase = WAITING
        self._phase_since = opened_at
        self._day_end = opened_at
        self._operating: list[datetime] = []
        self._begin_day(opened_at)
        self._turn(RUNNING if self._operates(opened_at) else WAITING, opened_at)

    def _run(self, start: datetime, end: datetime) -> float:
        of, hours = self._resource, (end - start) / HOUR
        rated_kw = of.rated_draw_kw if self._operates(start) else 0.0
        draw_kw = self._called_draw_kw(start, rated_kw)
        called = draw_kw is not None
        power_kw = self._ramped_kw(-(rated_kw if draw_kw is None else draw_kw), hours)
        if called:
            self.called_kwh += (rated_kw + power_kw) * hours
            self._owed_kwh += (rated_kw + power_kw) * hours
        elif self._owed_kwh:
            self._rebound_from(start)
        self._turn(CALLED if called else RUNNING if rated_kw else WAITING, start)
        self._begin_day(end)
        return power_kw * hours - self._rebound_kwh(start, end)

    def _rebound_from(self, moment: datetime) -> None:
        """A call has ended at `moment`: what is drawn later for it."""
        again, owed_kwh, self._owed_kwh = self._resource.rebound, self._owed_kwh, 0.0
        if again is not None:
            begins = moment + again.delay
            more_kw = again.share * owed_kwh / (again.length / HOUR)
            self._rebounds.append((begins, begins + again.length, more_kw))

    def _rebound_kwh(self, start: datetime, end: datetime) -> float:
        self._rebounds = [one for one in self._rebounds if one[1] > start]
        return sum(
            more_kw * (max(min(end, ends) - max(start, begins), timedelta(0)) / HOUR)
            for begins, ends, more_kw in self._rebounds
        )

    def _called_draw_kw(self, start: datetime, rated_kw: float) -> float | None:
        """The draw that a call allows from `start` on; None where no call is on."""
        wish_kw = self._wish_kw(start)
        if wish_kw is None or -wish_kw >= self._resource.rated_draw_kw:
            self._call_began, self._spent = None, False
            return None
        if self._call_began is not None and (
            not rated_kw or start >= self._call_began + self._longest
        ):
            self._call_began, self._spent = None, True
        if self._call_began is None:
            if self._spent or not rated_kw:
                return None
            if self._calls >= self._resource.max_calls_per_day:
                self._spent = True
                return None
            self._calls += 1
            self._call_began = start
        return max(-wish_kw, 0.0)

    def _operates(self, moment: datetime) -> bool:
        return bool(self._operating) and self._operating[0] <= moment < self._operating[1]

    def _begin_day(self, moment: datetime) -> None:
        """Where `moment` has reached a new local day, open it."""
        if moment < self._day_end:
            return
        of, day = self._resource, local_date(moment, self._zone)
        self._day_end = local_day(day, self._zone).end
        self._calls = 0
        hours = window(day, of.operating_from, of.operating_to, self._zone)
        self._operating = [hours.start, hours.end] if day.weekday() in of.operating_days else []

    def _turn(self, phase: str, moment: datetime) -> None:
        if phase != self._phase:
            self._phase, self._phase_since = phase, moment

    def _report(self) -> Mapping[str, Any]:
        return {
            "phase": self._phase,
            "phase_since": isoformat(self._phase_since),
            "calls_today": self._calls,
        }


class SimulatedRun(BaseDevice):
    """A job that runs once each run day, or so often as it must, and is never stopped.

    It starts at a quarter-hour: where a set-point below 0 says so (not before its window), or
    without a set-point at its default; and by itself when waiting longer would not leave it the
    time to finish in its window, whatever was said. Further runs of a day by default follow at once. Where a clock change makes the window too
    short for the run, it starts with the window. Ramp and delay of the resource do not apply:
    the profile is the draw as measured, and a start waits for the quarter-hour anyway. A set-point
    that arrives within the first step of a quarter-hour still counts for it: the service decides
    at the quarter-hour, and what it says needs a moment to arrive.
    """

    STATE = (
        *BaseDevice.STATE,
        "_day_end", "_earliest", "_default", "_latest", "_started_at", "_phase", "_phase_since",
        "_runs",
    )  # fmt: skip

    def __init__(self, resource: ShiftableRun, zone: ZoneInfo, opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._zone = zone
        self._delay = timedelta(0)
        self._started_at: datetime | None = None
        self._runs = 0
        """Runs that have begun today."""
        self._phase = WAITING
        self._phase_since = opened_at
        self._day_end = self._earliest = self._default = self._latest = opened_at
        self._begin_day(opened_at)
        self._catch_up(opened_at)

    def step(self, now: datetime, dt: timedelta) -> None:
        start = now - dt
        self._coming = [
            replace(order, effective_at=min(order.effective_at, start)) for order in self._coming
        ]
        super().step(now, dt)

    def _run(self, start: datetime, end: datetime) -> float:
        if self._phase == WAITING and self._starts(start):
            self._begin_run(start)
        if self._phase != RUNNING or self._started_at is None:
            self._finish(end)
            return 0.0
        draw_kw = self._resource.profile_kw[(start - self._started_at) // QUARTER]
        self._finish(end)
        return -draw_kw * ((end - start) / HOUR)

    def _starts(self, moment: datetime) -> bool:
        """Whether the run begins at `moment`; only ever on a quarter-hour."""
        if latest_boundary(moment, QUARTER) != moment or moment < self._earliest:
            return False
        of = self._resource
        if moment >= self._latest - (of.runs_per_day - 1 - self._runs) * of.length:
            return True
        wish_kw = self._wish_kw(moment)
        default = self._default + self._runs * of.length
        return moment >= default if wish_kw is None else wish_kw < 0

    def _begin_run(self, moment: datetime) -> None:
        self._started_at = moment
        self._runs += 1
        self._turn(RUNNING, moment)

    def _finish(self, moment: datetime) -> None:
        """Where the run, or the day, has ended at `moment`, say so."""
        if self._phase == RUNNING and self._started_at is not None:
            ends_at = self._started_at + self._resource.length
            if moment < ends_at:
                return
            self._turn(WAITING if self._runs < self._resource.runs_per_day else DONE, ends_at)
        self._begin_day(moment)

    def _begin_day(self, moment: datetime) -> None:
        if moment < self._day_end:
            return
        of, day = self._resource, local_date(moment, self._zone)
        self._day_end = local_day(day, self._zone).end
        self._runs = 0
        if day.weekday() not in of.run_days:
            self._turn(DONE, moment)
            return
        open_ = window(day, of.earliest_start, of.latest_end, self._zone)
        self._earliest = next_quarter(open_.start)
        self._latest = max(latest_boundary(open_.end - of.length, QUARTER), self._earliest)
        default = next_quarter(local_moment(day, of.default_start, self._zone))
        self._default = min(max(default, self._earliest), self._latest)
        self._started_at = None
        self._turn(WAITING, moment)

    def _catch_up(self, opened_at: datetime) -> None:
        """A simulation that begins in the middle of a day finds the run where its default put it."""
        while self._phase == WAITING:
            begins = self._default + self._runs * self._resource.length
            if begins >= opened_at:
                return
            self._begin_run(begins)
            self._finish(opened_at)

    def _turn(self, phase: str, moment: datetime) -> None:
        if phase != self._phase:
            self._phase, self._phase_since = phase, moment

    def _report(self) -> Mapping[str, Any]:
        said = {"phase": self._phase, "phase_since": isoformat(self._phase_since)}
        if self._resource.runs_per_day == 1:  # its phase says it all
            return said
        return {**said, "calls_today": self._runs}
