"""Interruptible loads: which calls may start, and what the load draws if nobody calls.

    ──────┐ call      ┌─ delay ─┌─ rebound ─┐
          │           │─────────│           │─────── rated draw
          └───────────┘
          start        end: the next call starts no sooner than `rest` later, and a step at least

Each start and each length that a call may have is one `Start`. A call under way lasts at least its
shortest length, which is given; how much longer it lasts, where it may, is chosen like a start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import InterruptibleLoad
from vpp.plan.kinds import announced_steps
from vpp.plan.kinds.clock import Clock
from vpp.plan.kinds.start import Start
from vpp.plan.programme import Builder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Process:
    """One interruptible load that is heard, on one horizon."""

    load: InterruptibleLoad
    reading: Reading
    clock: Clock
    runs: NDArray[np.bool_]
    """Steps in which it draws its rated power unless it is called anew, shape (T,)."""

    free_from: int
    """The first step in which a call may start, for all that was called before."""

    soonest: int
    """The first step of which there is still time to tell."""

    announced: tuple[int, ...]
    """Steps before it of which was told in time."""

    longest: int
    """Steps of the longest call."""

    rest: int

    @property
    def hours(self) -> float:
        return self.clock.horizon.step_hours


def possible(
    b: Builder, load: InterruptibleLoad, reading: Reading | None, clock: Clock, *, group: int
) -> tuple[list[Start], NDArray[np.bool_]]:
    """Calls that may start, groups numbered from `group` on, and where it runs unless it is called anew.

    What the load draws by itself goes into `b.base_kw`.

    Raises:
        DataError: A call is no whole number of steps.
    """
    row, runs = b.row_of[load.resource_id], clock.operates(load)
    if reading is None:
        b.base_kw[row] = -load.rated_draw_kw * runs
        return [], runs
    horizon = clock.horizon
    if load.call_length % horizon.step:
        raise DataError(
            f"a call of {load.call_length} is no whole number of steps of {horizon.step}",
            where=load.resource_id,
            fix="Plan in steps that divide it",
        )
    under_way = _under_way(load, reading, horizon)
    quiet = 0 if under_way is None else max(horizon.next_index(under_way[1]), 0)
    runs &= np.arange(b.steps) >= quiet
    process = _Process(
        load=load,
        reading=reading,
        clock=clock,
        runs=runs,
        free_from=_free_from(load, reading, clock, under_way),
        soonest=max(horizon.next_index(clock.now + load.notice), 0) if load.notice else 0,
        announced=announced_steps(b.view, load.resource_id),
        longest=(load.longest_call or load.call_length) // horizon.step,
        rest=max(-(-load.rest // horizon.step), 1),
    )
    b.base_kw[row] = -load.rated_draw_kw * runs
    alone = b.view.alone(load.resource_id)
    found = [s for s in _calls(process, group) if not alone[s.step : s.step + s.length].any()]
    if under_way is not None:
        since, ends = under_way
        shed_kwh = _shed_kwh(load, since, ends, clock)
        given = _rebound_kw(load, shed_kwh, ends, clock)
        b.base_kw[row] -= given
        found += _longer(process, since, quiet, given, shed_kwh, group + len(clock.days))
    return found, runs


def _under_way(
    load: InterruptibleLoad, reading: Reading, horizon: Horizon
) -> tuple[datetime, datetime] | None:
    """From when to when the call lasts that goes on as the horizon begins, if it ends when it may."""
    since = reading.phase_since
    if reading.phase is not RunPhase.CALLED or since is None:
        return None
    ends = since + load.call_length
    if load.longest_call is not None:  # it may have gone on for longer already
        ends = max(ends, min(since + load.longest_call, horizon.start))
    return since, ends


def _free_from(
    load: InterruptibleLoad,
    reading: Reading,
    clock: Clock,
    under_way: tuple[datetime, datetime] | None,
) -> int:
    """The first step in which a call may start, rested from the last one."""
    first, horizon = 0, clock.horizon
    if under_way is not None:
        _, ends = under_way
        return max(
            first, horizon.next_index(ends + load.rest), max(horizon.next_index(ends), 0) + 1
        )
    if reading.phase_since is None or reading.phase is RunPhase.CALLED or not load.rest:
        return first
    return max(first, horizon.next_index(reading.phase_since + load.rest))


def _calls(process: _Process, group: int) -> Iterator[Start]:
    """Calls that may start: on named hours, wholly inside operating hours and the horizon."""
    load, clock, reading = process.load, process.clock, process.reading
    shortest = load.call_length // clock.horizon.step
    draws, kwh_a_step = _draws_kw(process), load.rated_draw_kw * process.hours
    unbroken = _unbroken(process.runs).tolist()
    steps, first = len(unbroken), process.free_from
    for number, day in enumerate(clock.days, start=group):
        used = (reading.calls_today or 0) if clock.is_on(reading.measured_at, day) else 0
        if used >= load.max_calls_per_day or day.weekday() not in load.operating_days:
            continue
        for hour in load.callable_hours:
            step = clock.hour(day, hour)
            if step is None or not first <= step < steps:
                continue
            if step < process.soonest and step not in process.announced:
                continue
            for length in range(shortest, min(process.longest, unbroken[step]) + 1):
                yield Start(
                    resource_id=load.resource_id,
                    group=number,
                    least=0,
                    most=load.max_calls_per_day - used,
                    step=step,
                    length=length,
                    rest=process.rest,
                    draw_kw=draws[length][: steps - step],
                    words="max_calls_per_day",
                    cost=length * kwh_a_step * load.call_cost_per_kwh,
                    shed_kwh=length * kwh_a_step,
                )


def _longer(
    process: _Process,
    since: datetime,
    quiet: int,
    given_kw: Floats,
    shed_kwh: float,
    group: int,
) -> Iterator[Start]:
    """How much longer than it must a call under way may last; its rebound changes with it."""
    load, horizon = process.load, process.clock.horizon
    if load.longest_call is None or quiet >= horizon.steps:
        return
    last = min(
        horizon.index(since + load.longest_call), quiet + int(_unbroken(process.runs)[quiet])
    )
    for ends in range(quiet + 1, last + 1):
        more_kwh = load.rated_draw_kw * (ends - quiet) * process.hours
        end = horizon.start + ends * horizon.step
        change_kw = _rebound_kw(load, shed_kwh + more_kwh, end, process.clock) - given_kw
        change_kw[quiet:ends] -= load.rated_draw_kw
        yield Start(
            resource_id=load.resource_id,
            group=group,
            least=0,
            most=1,
            step=quiet,
            length=ends - quiet,
            rest=process.rest,
            draw_kw=tuple(change_kw[quiet:].tolist()),
            words="longest_call",
            cost=more_kwh * load.call_cost_per_kwh,
            shed_kwh=more_kwh,
            extends=True,
        )


def _unbroken(runs: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For how many steps it runs from each step on, shape (T,)."""
    stops = np.flatnonzero(~runs)
    at = np.arange(len(runs))
    ends = np.append(stops, len(runs))[np.searchsorted(stops, at)]
    return ends - at


def _shed_kwh(load: InterruptibleLoad, since: datetime, ends: datetime, clock: Clock) -> float:
    """What the call under way takes away, from its start before the horizon on."""
    zone, step = clock.zone, clock.horizon.step
    shed_h, moment = 0.0, since
    while moment < ends:
        local = moment.astimezone(zone)
        in_hours = load.operating_from <= local.time() < load.operating_to
        if in_hours and local.weekday() in load.operating_days:
            shed_h += min(step, ends - moment) / timedelta(hours=1)
        moment += step
    return load.rated_draw_kw * shed_h


def _rebound_kw(load: InterruptibleLoad, shed_kwh: float, end: datetime, clock: Clock) -> Floats:
    """What is drawn more after a call that ends at any moment, shape (T,)."""
    horizon = clock.horizon
    after = (end - horizon.start) / horizon.step
    return shed_kwh * _spread(load, np.arange(horizon.steps) - after, horizon.step_hours)


def _draws_kw(process: _Process) -> list[tuple[float, ...]]:
    """Added draw from the start of a call on, for each length in steps."""
    load, hours = process.load, process.hours
    each: Floats = np.zeros(0)
    if load.rebound is not None:
        lasts = (load.rebound.delay + load.rebound.length) / timedelta(hours=hours)
        each = load.rated_draw_kw * hours * _spread(load, np.arange(ceil(lasts - 1e-9)), hours)
    return [
        (*(-load.rated_draw_kw,) * length, *(length * each).tolist())
        for length in range(process.longest + 1)
    ]


def _spread(load: InterruptibleLoad, steps: NDArray[Any], hours: float) -> Floats:
    """KW drawn more for each kWh shed, in steps counted from the end of the call."""
    if load.rebound is None:
        return np.zeros(len(steps))
    begins = load.rebound.delay / timedelta(hours=hours)
    ends = begins + load.rebound.length / timedelta(hours=hours)
    inside = np.minimum(ends, steps + 1) - np.maximum(begins, steps)
    per_kwh: Floats = np.maximum(inside, 0.0) * load.rebound.share
    return per_kwh / (load.rebound.length / timedelta(hours=1))
