"""Work that can be moved: runs, and energy within windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.machines import on_off, ramp
from tests.plan.independent.sheet import Part, Sheet
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import EnergyWindow, FlexibleLoad, ShiftableRun
from vpp.model.time import local_day, local_moment


@dataclass(eq=False)
class Runs:
    """Where a run's starts may lie, and where they do."""

    given: list[datetime]
    begun: dict[date, int]
    """Runs of each day that were begun before now, or are over."""
    under_way: set[date] = field(default_factory=set)
    """Days whose last begun run goes on."""
    starts: Any = None
    """Shape (T,)."""


def run(
    sheet: Sheet,
    r: ShiftableRun,
    reading: Reading | None,
    others: dict[str, tuple[ShiftableRun, Runs]],
) -> Part:
    steps = sheet.steps
    runs = Runs(given=[], begun={}, starts=np.zeros(steps))
    for day, _ in sheet.days():
        if day.weekday() in r.run_days:
            _on_day(sheet, r, reading, day, runs)
    profile = np.zeros((steps, steps))
    lasts = np.zeros((steps, steps))
    for at in range(steps):
        for number, kw in enumerate(r.profile_kw[: steps - at]):
            profile[at + number, at] = kw
            lasts[at + number, at] = 1.0
    given, goes_on = np.zeros(steps), np.zeros(steps)
    for begins in runs.given:
        first = sheet.view.horizon.index(begins)
        for number, kw in enumerate(r.profile_kw):
            if 0 <= first + number < steps:
                given[first + number] += kw
                goes_on[first + number] += 1.0
    draw, running = given + profile @ runs.starts, goes_on + lasts @ runs.starts
    if r.runs_per_day > 1:
        sheet.hold(running <= 1)
    if r.after is not None and r.after in others:
        _after(sheet, runs, *others[r.after])
    others[r.resource_id] = (r, runs)
    part = Part(power=-draw, draw=draw, running=running, started=runs.starts)
    part.given_draw, part.given_running = given, goes_on
    return part


def _on_day(sheet: Sheet, r: ShiftableRun, reading: Reading | None, day: date, runs: Runs) -> None:
    horizon, zone = sheet.view.horizon, sheet.view.park.timezone
    left, told = r.runs_per_day, reading is not None and sheet.is_of(reading, day)
    if reading is not None and told:
        moves = reading.phase in (RunPhase.RUNNING, RunPhase.DONE)
        begun = reading.calls_today if reading.calls_today is not None else int(moves)
        if r.runs_per_day == 1:
            begun = int(moves)
        runs.begun[day] = begun
        left = max(left - begun, 0)
        if reading.phase is RunPhase.RUNNING and reading.phase_since is not None:
            runs.given.append(reading.phase_since)
            runs.under_way.add(day)
    opens = local_moment(day, r.earliest_start, zone)
    closes = local_moment(day, r.latest_end, zone)
    if r.latest_end == time(23, 59):
        closes = local_day(day, zone).end
    latest = closes - len(r.profile_kw) * horizon.step
    if not left or latest < horizon.start:
        return
    if reading is None or closes > horizon.end:
        runs.given.append(local_moment(day, r.default_start, zone))
        return
    may = np.array([float(opens <= moment <= latest) for moment in sheet.starts])
    starts = sheet.choice()
    sheet.hold(starts <= may, cp.sum(starts) == left)
    runs.starts = runs.starts + starts


def _after(sheet: Sheet, mine: Runs, first: ShiftableRun, theirs: Runs) -> None:
    """On each day no more have begun than others of that day have ended."""
    length, horizon = len(first.profile_kw), sheet.view.horizon
    ended_later = np.eye(sheet.steps, k=-length)
    for day, steps in sheet.days():
        if mine.begun.get(day, 0) >= 1 and first.runs_per_day == 1:
            continue
        today = np.isin(np.arange(sheet.steps), steps).astype(float)
        until = np.tril(np.ones((sheet.steps,) * 2))
        ended: Any = until @ (ended_later @ cp.multiply(today, theirs.starts))
        for begins in theirs.given:
            if begins.astimezone(sheet.view.park.timezone).date() == day:
                ends = begins + length * horizon.step
                ended = ended + np.array([float(ends <= moment) for moment in sheet.starts])
        before = theirs.begun.get(day, 0) - (day in theirs.under_way)
        begun = until @ cp.multiply(today, mine.starts) + mine.begun.get(day, 0)
        sheet.hold((ended + before - begun)[steps] >= 0)


def flexible(sheet: Sheet, r: FlexibleLoad, reading: Reading | None) -> Part:
    steps, hours = sheet.steps, sheet.hours
    windows = list(_windows(sheet, r))
    inside = np.zeros(steps, dtype=bool)
    for window, begins, visible, _ in windows:
        if _done(sheet, r, reading, begins) < window.most_units:  # else it is over
            inside[visible] = True
    if reading is None:
        draw: Any = r.default_draw_kw * inside
        running = (draw > 0).astype(float)
        part = Part(power=-draw, draw=draw, running=running)
        part.given_draw, part.given_running = draw, running
        return part
    draw = sheet.size(r.max_draw_kw * inside)
    part = Part(power=-draw, draw=draw)
    part.up_room, part.down_room = draw, r.max_draw_kw * inside - draw
    machine = None
    if r.bands_kw:
        bands = sheet.choice((len(r.bands_kw), steps))
        sheet.hold(cp.sum(bands, axis=0) <= 1, draw == np.array(r.bands_kw) @ bands)
    if r.on_off is not None:
        machine = on_off(sheet, r.on_off, reading, inside)
        on = machine.on
        sheet.hold(draw <= r.max_draw_kw * on, draw >= r.on_off.min_power_kw * on)
        part.on, part.running, part.started = on, on, machine.started
    jumps = np.diff([0.0, *r.bands_kw]).max(initial=0.0) > r.ramp_kw_per_min * 60 * hours
    slow = np.inf if jumps else r.ramp_kw_per_min
    ramp(sheet, slow, -draw, reading, size=r.max_draw_kw, machine=machine)
    for window, begins, visible, remaining in windows:
        done = _done(sheet, r, reading, begins)
        work = hours * cp.sum(draw[visible]) / r.kwh_per_unit
        least = max(window.least_units - done, 0.0) * len(visible) / remaining
        lacking, price = sheet.size(shape=1), r.unserved_cost_per_unit
        if price is None:
            price = sheet.excess_per_kwh * r.kwh_per_unit
        sheet.pay(price * cp.sum(lacking))
        sheet.hold(work + lacking >= least)
        if np.isfinite(window.most_units):
            sheet.hold(work <= max(window.most_units - done, 0.0))
    sheet.pay(-r.value_per_unit / r.kwh_per_unit * hours * cp.sum(draw))
    return part


def _done(sheet: Sheet, r: FlexibleLoad, reading: Reading | None, begins: datetime) -> float:
    """Units done before the plan in a window that began before it."""
    if reading is None or begins >= sheet.starts[0]:
        return 0.0
    return (reading.done_kwh or 0.0) / r.kwh_per_unit


def _windows(sheet: Sheet, r: FlexibleLoad) -> Iterator[tuple[EnergyWindow, datetime, Any, int]]:
    """Each window that can be seen: its begin, its steps here, and how many are left of it."""
    zone, horizon = sheet.view.park.timezone, sheet.view.horizon
    first = sheet.local[0].date() - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range(len(sheet.days()) + 1)]
    for window in r.windows:
        for day in days:
            if day.weekday() not in window.days:
                continue
            begins = local_moment(day, window.start, zone)
            last = day if window.end > window.start else day + timedelta(days=1)
            ends = local_moment(last, window.end, zone)
            if window.end == time(23, 59):
                ends = local_day(last, zone).end
            visible = np.array(
                [i for i, moment in enumerate(sheet.starts) if begins <= moment < ends]
            )
            if len(visible):
                end = horizon.start + int(visible[0]) * horizon.step
                remaining = -((end - ends) // horizon.step)
                yield window, begins, visible, remaining
