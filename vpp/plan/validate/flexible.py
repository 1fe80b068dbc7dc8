"""Flexible loads: drawing inside their windows only, and doing there what must be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf
from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import EnergyWindow, FlexibleLoad
from vpp.model.resource.common import minutes
from vpp.model.time import isoformat, local_date, local_day, local_moment
from vpp.plan.validate.case import Case, parts
from vpp.plan.validate.compare import column, each_between, equal, slack
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
    if len(load.windows) > 1:  # one by itself has them in order
        found.sort(key=lambda opening: opening.span.day)
    return found


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
    goes_on = [one for one in found if _done_units(case, load, one) < one.window.most_units]
    if len(goes_on) == 1:
        return goes_on[0].span.steps
    open_ = np.zeros(case.steps, dtype=bool)
    for opening in goes_on:
        open_ |= opening.span.steps
    return open_


def _done_units(case: Case, load: FlexibleLoad, opening: Opening) -> float:
    """What is done before the plan: a reading speaks of the window that it was measured in."""
    span = opening.span
    if not span.begun or (reading := case.reading(load.resource_id)) is None:
        return 0.0
    here = span.start <= reading.measured_at < span.end
    return (reading.done_kwh or 0.0) / load.kwh_per_unit if here else 0.0


def flexible_faults(case: Case, loads: Sequence[FlexibleLoad]) -> Iterator[str]:
    """Draws that the loads do not know, and windows without their work."""
    for some in parts(loads):
        yield from _together(case, some)


def _together(case: Case, loads: Sequence[FlexibleLoad]) -> Iterator[str]:
    """The same of some of them."""
    names, work = [load.resource_id for load in loads], list[_Work]()
    draws, low = -case.powers(names), np.zeros((len(names), case.steps))
    largest, high = column(load.max_draw_kw for load in loads), np.full(low.shape, inf)
    for row, load in enumerate(loads):
        name, found = load.resource_id, openings(case, load)
        may = in_window(case, load, found)
        if case.reading(name) is None:
            words, by_itself_kw = f"{name}: default_draw_kw, not heard", load.default_draw_kw
            yield from equal(words, draws[row], np.where(may, by_itself_kw, 0.0))
            low[row] = -inf
            continue
        high[row] = load.max_draw_kw * may
        if load.on_off is not None:
            on = case.schedule.on[name]
            low[row], high[row] = on * load.on_off.min_power_kw, on * high[row]
            yield from on_off_faults(case, name, load.on_off, may=may)
        if load.bands_kw:
            yield from _bands(load, draws[row])
        if load.ramp_kw_per_min < inf:
            yield from _ramp(case, load, -draws[row], may)
        work += [_Work(row, load, opening, _done_units(case, load, opening)) for opening in found]
        if told := case.undone.get(name):
            keys = {opening.key(load) for opening in found}
            if strangers := [key for key in told if key not in keys]:
                yield f"{name}: has no windows {sorted(strangers)}"
    if work:
        yield from _work(case, draws, work)
    yield from each_between(names, ": draw in its windows", draws, low, high, largest)


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
    known = np.array([0.0, *load.bands_kw])
    off = np.abs(draw[:, None] - known).min(axis=1)
    bad = np.flatnonzero(~(off <= slack(*known)))
    if len(bad):
        step = bad[0]
        yield f"{load.resource_id}: bands_kw: draws {draw[step]:.6f} kW in step {step}, knows {known}"


class _Work(NamedTuple):
    """What is to be done in one window on one day."""

    row: int
    """Of its load."""

    load: FlexibleLoad
    opening: Opening
    done_units: float
    """Before the plan."""


def _work(case: Case, draws: Floats, every: Sequence[_Work]) -> Iterator[str]:
    """Windows in which too little is done, or too much; `draws` has a row a load, shape (K, T)."""
    shown = np.array([one.opening.span.steps for one in every])
    per_kw = column(case.hours / one.load.kwh_per_unit for one in every)
    units = per_kw * draws[[one.row for one in every]] * shown
    work, size = units.sum(axis=1), np.abs(units).sum(axis=1)
    seen = np.array([one.opening.span.seen for one in every])
    done = np.array([one.done_units for one in every])
    least_units = np.array([one.opening.window.least_units for one in every])
    least = np.maximum(least_units - done, 0.0) * seen
    left = np.array([one.opening.window.most_units for one in every]) - done
    most = np.maximum(left, 0.0)
    lacking = np.array([_lacking(case, one) for one in every])
    negative = ~(lacking >= -slack(least))
    little = ~(work + lacking >= least - slack(size, lacking, least))
    much = (most < inf) & ~(work <= most + slack(size, np.where(left < inf, left, 0.0)))
    for at in np.flatnonzero(negative | little | much).tolist():
        load, key = every[at].load, every[at].opening.key(every[at].load)
        if negative[at]:
            yield f"{key}: lacks {lacking[at]:.6f} {load.unit}"
        if little[at]:
            yield (
                f"{key}: least_units: does {work[at]:.6f} {load.unit} and lacks {lacking[at]:.6f},"
                f" must do {least[at]:.6f}"
            )
        if much[at]:
            yield f"{key}: most_units: does {work[at]:.6f} {load.unit}, allowed {most[at]:.6f}"


def _lacking(case: Case, one: _Work) -> float:
    if one.load.resource_id not in case.undone:
        return 0.0
    return case.schedule.undone_units.get(one.opening.key(one.load), 0.0)
