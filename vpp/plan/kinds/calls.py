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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import InterruptibleLoad
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

    longest: int
    """Steps of the longest call."""

    rest: int

    @property
    def hours(self) -> float:
        return self.clock.horizon.step_hours


def possible(
    b: Builder, load: InterruptibleLoad, reading: Reading | None, row: int, clock: Clock
) -> tuple[list[Start], NDArray[np.bool_]]:
    """Calls that may start, their groups numbered from 0, and where it runs unless it is called anew.

    What the load draws by itself goes into `b.base_kw[row]`.

    Raises:
        DataError: A call is no whole number of steps.
    """
    runs = clock.operates(load)
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
    under_way = _under_way(load, reading)
    quiet = 0 if under_way is None else max(horizon.next_index(under_way + load.call_length), 0)
    runs &= np.arange(b.steps) >= quiet
    process = _Process(
        load=load,
        reading=reading,
        clock=clock,
        runs=runs,
        free_from=_free_from(load, reading, clock, quiet),
        longest=(load.longest_call or load.call_length) // horizon.step,
        rest=max(-(-load.rest // horizon.step), 1),
    )
    b.base_kw[row] = -load.rated_draw_kw * runs
    found = list(_calls(process))
    if under_way is not None:
        shed_kwh = _shed_kwh(load, under_way, clock)
        given = _rebound_kw(load, shed_kwh, under_way + load.call_length, clock)
        b.base_kw[row] -= given
        groups = max((start.group for start in found), default=-1) + 1
        found += _longer(process, under_way, quiet, given, shed_kwh, groups)
    return found, runs


def _under_way(load: InterruptibleLoad, reading: Reading) -> datetime | None:
    """When the call began that goes on as the horizon begins."""
    return reading.phase_since if reading.phase is RunPhase.CALLED else None


def _free_from(load: InterruptibleLoad, reading: Reading, clock: Clock, quiet: int) -> int:
    """The first step in which a call may start: announced in time, and rested from the last one."""
    first, horizon = 0, clock.horizon
    if load.notice:
        first = horizon.next_index(clock.now + load.notice)
    if reading.phase_since is None:
        return max(first, 0)
    if reading.phase is RunPhase.CALLED:
        ends = reading.phase_since + load.call_length
        return max(first, horizon.next_index(ends + load.rest), quiet + 1)
    return max(first, horizon.next_index(reading.phase_since + load.rest) if load.rest else 0, 0)


def _calls(process: _Process) -> Iterator[Start]:
    """Calls that may start: on named hours, wholly inside operating hours and the horizon."""
    load, clock, reading = process.load, process.clock, process.reading
    shortest = load.call_length // clock.horizon.step
    tails = [_tail_kw(load, length, process.hours) for length in range(process.longest + 1)]
    unbroken = _unbroken(process.runs)
    for group, day in enumerate(clock.days):
        used = (reading.calls_today or 0) if clock.is_on(reading.measured_at, day) else 0
        if used >= load.max_calls_per_day or day.weekday() not in load.operating_days:
            continue
        for hour in load.callable_hours:
            step = clock.hour(day, hour)
            if step is None or not process.free_from <= step < len(unbroken):
                continue
            for length in range(shortest, min(process.longest, int(unbroken[step])) + 1):
                shed_kwh = load.rated_draw_kw * length * process.hours
                draw_kw = (*[-load.rated_draw_kw] * length, *tails[length])
                yield Start(
                    resource_id=load.resource_id,
                    group=group,
                    least=0,
                    most=load.max_calls_per_day - used,
                    step=step,
                    length=length,
                    rest=process.rest,
                    draw_kw=draw_kw[: len(unbroken) - step],
                    words="max_calls_per_day",
                    cost=shed_kwh * load.call_cost_per_kwh,
                    shed_kwh=shed_kwh,
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


def _shed_kwh(load: InterruptibleLoad, since: datetime, clock: Clock) -> float:
    """What the call under way takes away in its shortest length, from its start before the horizon."""
    zone, step = clock.zone, clock.horizon.step
    shed_h, moment = 0.0, since
    while moment < since + load.call_length:
        local = moment.astimezone(zone)
        in_hours = load.operating_from <= local.time() < load.operating_to
        if in_hours and local.weekday() in load.operating_days:
            shed_h += min(step, since + load.call_length - moment) / timedelta(hours=1)
        moment += step
    return load.rated_draw_kw * shed_h


def _rebound_kw(load: InterruptibleLoad, shed_kwh: float, end: datetime, clock: Clock) -> Floats:
    """What is drawn more after a call that ends at any moment, shape (T,)."""
    horizon = clock.horizon
    after = (end - horizon.start) / horizon.step
    return shed_kwh * _spread(load, np.arange(horizon.steps) - after, horizon.step_hours)


def _tail_kw(load: InterruptibleLoad, length: int, hours: float) -> tuple[float, ...]:
    """What is drawn more in the steps after the end of a call of `length` steps."""
    if load.rebound is None:
        return ()
    lasts = (load.rebound.delay + load.rebound.length) / timedelta(hours=hours)
    shed_kwh = load.rated_draw_kw * length * hours
    spread = shed_kwh * _spread(load, np.arange(int(np.ceil(lasts - 1e-9))), hours)
    return tuple(spread.tolist())


def _spread(load: InterruptibleLoad, steps: NDArray[Any], hours: float) -> Floats:
    """KW drawn more for each kWh shed, in steps counted from the end of the call."""
    if load.rebound is None:
        return np.zeros(len(steps))
    begins = load.rebound.delay / timedelta(hours=hours)
    ends = begins + load.rebound.length / timedelta(hours=hours)
    inside = np.minimum(ends, steps + 1) - np.maximum(begins, steps)
    per_kwh: Floats = np.maximum(inside, 0.0) * load.rebound.share
    return per_kwh / (load.rebound.length / timedelta(hours=1))
