"""Flexible loads: drawing inside their windows only, and doing there what must be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import EnergyWindow, FlexibleLoad
from vpp.model.resource.common import minutes
from vpp.model.time import isoformat, local_date, local_day, local_moment
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import column, each_between, equal, slack, slack_of
from vpp.plan.validate.machines import Bools, on_off_faults, ramp_faults


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span:
    """When a window is open on one day."""

    day: date
    """On which it starts."""

    start: datetime
    end: datetime
    steps: Bools
    """Which steps start in it, shape (T,)."""

    begun: bool
    """Whether it began before the horizon."""

    seen: float
    """Share of the steps it still has that the horizon shows."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opening:
    """One window on one day."""

    window: EnergyWindow
    span: Span

    def key(self, load: FlexibleLoad) -> str:
        return f"{load.resource_id}/{self.span.key}"


def openings(case: Case, load: FlexibleLoad) -> list[Opening]:
    """Every window of the load that has a step in the horizon, in order."""
    found = [
        Opening(window=window, span=span)
        for window in load.windows
        for span in _spans(case, window)
    ]
    return sorted(found, key=lambda opening: opening.span.day)


def _spans(case: Case, window: EnergyWindow) -> list[Span]:
    """When a window is open within the horizon; loads whose windows have the same times share them."""
    key = (window.start, window.end, window.days)
    if key not in case.spans:
        zone, horizon = case.view.park.timezone, case.view.horizon
        first, last = (local_date(moment, zone) for moment in (horizon.start, horizon.end))
        days = [first + timedelta(days=n) for n in range(-1, (last - first).days + 1)]
        spans = [_span(case, window, day) for day in days if day.weekday() in window.days]
        case.spans[key] = [span for span in spans if span.steps.any()]
    return case.spans[key]


def _span(case: Case, window: EnergyWindow, day: date) -> Span:
    """A window that starts on `day`."""
    zone = case.view.park.timezone
    start = local_moment(day, window.start, zone)
    if minutes(window.end) == 24 * 60:
        end = local_day(day, zone).end
    else:
        ends_on = day if window.end > window.start else day + timedelta(days=1)
        end = local_moment(ends_on, window.end, zone)
    steps = np.array([start <= moment < end for moment in case.starts])
    ahead = case.steps_until(end) - max(case.steps_until(start), 0)
    return Span(
        day=day, start=start, end=end, steps=steps, begun=start < case.view.horizon.start,
        seen=int(steps.sum()) / ahead if steps.any() else 0.0, key=isoformat(start),
    )  # fmt: skip


def in_window(case: Case, load: FlexibleLoad, found: Sequence[Opening]) -> Bools:
    """Steps in which it may draw, shape (T,): a window whose most is done is over."""
    open_ = np.zeros(case.steps, dtype=bool)
    for opening in found:
        if _done_units(case, load, opening) < opening.window.most_units:
            open_ |= opening.span.steps
    return open_


def _done_units(case: Case, load: FlexibleLoad, opening: Opening) -> float:
    """What is done before the plan: a reading speaks of the window that it was measured in."""
    reading, span = case.reading(load.resource_id), opening.span
    if reading is None or not span.begun:
        return 0.0
    here = span.start <= reading.measured_at < span.end
    return (reading.done_kwh or 0.0) / load.kwh_per_unit if here else 0.0


def flexible_faults(case: Case, loads: Sequence[FlexibleLoad]) -> Iterator[str]:
    """Draws that the loads do not know, and windows without their work."""
    names = [load.resource_id for load in loads]
    if not names:
        return
    draws, low, high = -case.powers(names), np.zeros((len(names), case.steps)), list[Floats]()
    for row, load in enumerate(loads):
        name, found = load.resource_id, openings(case, load)
        may = in_window(case, load, found)
        if case.reading(name) is None:
            words, by_itself_kw = f"{name}: default_draw_kw, not heard", load.default_draw_kw
            yield from equal(words, draws[row], np.where(may, by_itself_kw, 0.0))
            high.append(np.full(case.steps, inf))
            low[row] = -inf
            continue
        most: Floats = np.where(may, load.max_draw_kw, 0.0)
        if load.on_off is not None:
            on = case.schedule.on[name]
            low[row], most = on * load.on_off.min_power_kw, np.where(on, most, 0.0)
            yield from on_off_faults(case, name, load.on_off, may=may)
        high.append(most)
        yield from _bands(load, draws[row])
        yield from _ramp(case, load, -draws[row], may)
        for opening in found:
            yield from _work(case, load, opening, draws[row])
        keys = {opening.key(load) for opening in found}
        if strangers := [key for key in case.undone.get(name, ()) if key not in keys]:
            yield f"{name}: has no windows {sorted(strangers)}"
    largest = column(load.max_draw_kw for load in loads)
    yield from each_between(names, ": draw in its windows", draws, low, np.array(high), largest)


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
    key, window, span = opening.key(load), opening.window, opening.span
    units = (case.hours / load.kwh_per_unit) * draw[span.steps]
    work, size = float(units.sum()), float(np.abs(units).sum())
    done = _done_units(case, load, opening)
    least = max(window.least_units - done, 0.0) * span.seen
    lacking = case.schedule.undone_units.get(key, 0.0)
    if not lacking >= -slack_of(least):
        yield f"{key}: lacks {lacking:.6f} {load.unit}"
    if not work + lacking >= least - slack_of(size, lacking, least):
        yield (
            f"{key}: least_units: does {work:.6f} {load.unit} and lacks {lacking:.6f}, must do"
            f" {least:.6f}"
        )
    most = window.most_units - done
    if most < inf and not work <= max(most, 0.0) + slack_of(size, most):
        yield f"{key}: most_units: does {work:.6f} {load.unit}, allowed {max(most, 0.0):.6f}"
