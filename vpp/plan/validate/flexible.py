"""Flexible loads: drawing inside their windows only, and doing there what must be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import EnergyWindow, FlexibleLoad
from vpp.model.resource.common import minutes
from vpp.model.time import isoformat, local_date, local_day, local_moment
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal, slack
from vpp.plan.validate.machines import Bools, on_off_faults, ramp_faults


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opening:
    """One window on one day."""

    window: EnergyWindow
    start: datetime
    end: datetime
    steps: Bools
    """Which steps start in it, shape (T,)."""

    begun: bool
    """Whether it began before the horizon."""

    seen: float
    """Share of the steps it still has that the horizon shows."""

    def key(self, load: FlexibleLoad) -> str:
        return f"{load.resource_id}/{isoformat(self.start)}"


def openings(case: Case, load: FlexibleLoad) -> list[Opening]:
    """Every window of the load that has a step in the horizon, in order."""
    zone, horizon = case.view.park.timezone, case.view.horizon
    first, last = (local_date(moment, zone) for moment in (horizon.start, horizon.end))
    found: list[Opening] = []
    for number in range(-1, (last - first).days + 1):
        day = first + timedelta(days=number)
        for window in load.windows:
            if day.weekday() not in window.days:
                continue
            start, end = _span(case, window, day)
            steps = np.array([start <= moment < end for moment in case.starts])
            if not steps.any():
                continue
            ahead = case.steps_until(end) - max(case.steps_until(start), 0)
            found.append(
                Opening(
                    window=window,
                    start=start,
                    end=end,
                    steps=steps,
                    begun=start < horizon.start,
                    seen=int(steps.sum()) / ahead,
                )
            )
    return found


def _span(case: Case, window: EnergyWindow, day: date) -> tuple[datetime, datetime]:
    """Start and end of a window that starts on `day`."""
    zone = case.view.park.timezone
    start = local_moment(day, window.start, zone)
    if minutes(window.end) == 24 * 60:
        return start, local_day(day, zone).end
    ends_on = day if window.end > window.start else day + timedelta(days=1)
    return start, local_moment(ends_on, window.end, zone)


def in_window(case: Case, load: FlexibleLoad) -> Bools:
    """Steps in which it may draw, shape (T,): a window whose most is done is over."""
    open_ = np.zeros(case.steps, dtype=bool)
    for opening in openings(case, load):
        if _done_units(case, load, opening) < opening.window.most_units:
            open_ |= opening.steps
    return open_


def _done_units(case: Case, load: FlexibleLoad, opening: Opening) -> float:
    """What is done before the plan: a reading speaks of the window that it was measured in."""
    reading = case.reading(load.resource_id)
    if reading is None or not opening.begun:
        return 0.0
    here = opening.start <= reading.measured_at < opening.end
    return (reading.done_kwh or 0.0) / load.kwh_per_unit if here else 0.0


def flexible_faults(case: Case, load: FlexibleLoad) -> Iterator[str]:
    """Draws that the load does not know, and windows without their work."""
    name, power = load.resource_id, case.power(load.resource_id)
    may, draw = in_window(case, load), -power
    if case.reading(name) is None:
        yield from equal(
            f"{name}: default_draw_kw, not heard", draw, np.where(may, load.default_draw_kw, 0.0)
        )
        return
    low, high = case.zeros(), np.where(may, load.max_draw_kw, 0.0)
    if load.on_off is not None:
        on = case.schedule.on[name]
        low, high = np.where(on, load.on_off.min_power_kw, 0.0), np.where(on, high, 0.0)
        yield from on_off_faults(case, name, load.on_off, may=may)
    yield from between(f"{name}: draw in its windows", draw, low, high, load.max_draw_kw)
    yield from _bands(load, draw)
    yield from _ramp(case, load, power, may)
    found = openings(case, load)
    for opening in found:
        yield from _work(case, load, opening, draw)
    said = set(case.undone.get(name, ()))
    if strangers := said - {opening.key(load) for opening in found}:
        yield f"{name}: has no windows {sorted(strangers)}"


def _ramp(case: Case, load: FlexibleLoad, power: Floats, may: Bools) -> Iterator[str]:
    """Changes faster than it can; one whose bands are further apart than that jumps."""
    gaps = np.diff([0.0, *load.bands_kw])
    if load.bands_kw and gaps.max() > load.ramp_kw_per_min * 60 * case.hours:
        return
    largest_kw = max(load.bands_kw, default=load.max_draw_kw)
    least = -np.where(may, largest_kw, 0.0)
    smallest_kw = 0.0 if load.on_off is None else load.on_off.min_power_kw
    yield from ramp_faults(case, load, power, least, case.zeros(), (-inf, -smallest_kw))


def _bands(load: FlexibleLoad, draw: Floats) -> Iterator[str]:
    if not load.bands_kw:
        return
    known = np.array([0.0, *load.bands_kw])
    off = np.abs(draw[:, None] - known).min(axis=1)
    bad = np.flatnonzero(~(off <= slack(*known)))
    if len(bad):
        step = bad[0]
        yield f"{load.resource_id}: bands_kw: draws {draw[step]:.6f} kW in step {step}, knows {known}"


def _work(case: Case, load: FlexibleLoad, opening: Opening, draw: Floats) -> Iterator[str]:
    key, window = opening.key(load), opening.window
    units = case.hours * draw / load.kwh_per_unit
    work = float(units[opening.steps].sum())
    size = float(np.abs(units[opening.steps]).sum())
    done = _done_units(case, load, opening)
    least = max(window.least_units - done, 0.0) * opening.seen
    lacking = case.schedule.undone_units.get(key, 0.0)
    if not lacking >= -slack(least):
        yield f"{key}: lacks {lacking:.6f} {load.unit}"
    if not work + lacking >= least - slack(size, lacking, least):
        yield (
            f"{key}: least_units: does {work:.6f} {load.unit} and lacks {lacking:.6f}, must do"
            f" {least:.6f}"
        )
    most = window.most_units - done
    if most < inf and not work <= max(most, 0.0) + slack(size, most):
        yield f"{key}: most_units: does {work:.6f} {load.unit}, allowed {max(most, 0.0):.6f}"
