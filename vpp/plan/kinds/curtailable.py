"""Curtailable loads: how much less each draws than it would by itself, and in which calls.

    columns   less (C,T)         down (L,T) 0/1 and started (L,T) where something limits the calls
    rows      down     less <= share·draw·down
              rest     Σ started over the next rest steps <= 1 - down
              longest  Σ down over longest + 1 steps in a row <= longest
              calls    Σ started on a local day <= what is left of max_calls_per_day

A call is an unbroken span of `down`. A load that says it is called is in a call that began before the
horizon: what is turned down before the first call of the plan belongs to that one. A load that is
not heard is not turned down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import CurtailableLoad
from vpp.model.time import local_date
from vpp.plan.kinds import announced_steps, column, of_kind, onoff, stack
from vpp.plan.programme import Builder, Counted, Ints, Side
from vpp.plan.view import PlanningView

NOTHING_KW = 1e-5
"""Less than this is rounding of the solver, not a call."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curtailables:
    """Curtailable loads that are heard, shapes (C,) and (C, T)."""

    units: tuple[CurtailableLoad, ...]
    most_kw: Floats
    """How much less each can draw."""

    less: Ints
    limited: Ints
    """Which of them are called one call at a time, shape (L,)."""

    down: Ints
    """Shape (L, T)."""

    called: Floats
    """1 for those of the limited ones that are in a call before the horizon, shape (L,)."""

    def curtailed_kw(self, x: Floats) -> dict[ResourceId, Floats]:
        """What a solution turns down, shape (T,) each."""
        return {u.resource_id: x[self.less[i]] for i, u in enumerate(self.units)}

    def calls(self, x: Floats, view: PlanningView) -> dict[ResourceId, tuple[tuple[int, int], ...]]:
        """Start and length in steps of the calls of each limited load that has some."""
        found = {}
        for k, i in enumerate(self.limited.tolist()):
            turned = x[self.less[i]] > NOTHING_KW
            spans = list(_spans(x[self.down[k]] > 0.5))
            if spans and spans[0][0] == 0 and self.called[k]:
                del spans[0]  # it began before
            trimmed = [_trimmed(first, last, turned, view) for first, last in spans]
            if calls := tuple(call for call in trimmed if call[1] > 0):
                found[self.units[i].resource_id] = calls
        return found


def add(b: Builder) -> Curtailables:
    """All curtailable loads; what each would draw is part of `b.base_kw`."""
    known = b.view.state.readings
    every = of_kind(b.view, CurtailableLoad)
    for unit in every:
        b.base_kw[b.row_of[unit.resource_id]] = b.view.base_kw[unit.resource_id].values
    units = [unit for unit in every if unit.resource_id in known]
    which = b.rows([unit.resource_id for unit in units])
    share = column(unit.curtailable_share for unit in units)
    most_kw = share * np.maximum(-stack([b.base_kw[row] for row in which], b.steps), 0.0)
    for at, unit in enumerate(units):
        if (bound_kw := b.view.most_turned_down_kw.get(unit.resource_id)) is not None:
            most_kw[at] = np.minimum(most_kw[at], bound_kw)
        most_kw[at, b.view.alone(unit.resource_id)] = 0.0
    less = b.add_columns(most_kw.shape, upper=most_kw)
    b.price(less, column(u.curtailment_cost_per_kwh for u in units) * b.hours, "curtailment")
    b.inject(which[:, None], less, 1.0)
    b.may(which, feed_kw=most_kw)
    b.count(Counted.TURNED_DOWN_KWH, which[:, None], less, b.hours)
    b.name([f"{unit.resource_id}: curtailable_share" for unit in units], Side.UPPER, less)
    limited = np.flatnonzero([unit.calls_limited for unit in units])
    some = [units[i] for i in limited]
    said = [known[unit.resource_id] for unit in some]
    called = np.array([reading.phase is RunPhase.CALLED for reading in said], dtype=float)
    return Curtailables(
        units=tuple(units),
        most_kw=most_kw,
        less=less,
        limited=limited,
        down=_calls(b, some, said, called, most_kw[limited], less[limited]),
        called=called,
    )


def _calls(
    b: Builder,
    units: Sequence[CurtailableLoad],
    said: Sequence[Reading],
    called: Floats,
    most_kw: Floats,
    less: Ints,
) -> Ints:
    """Turn loads down only in calls; all arguments are of those whose calls are limited."""
    down = b.decide(less.shape)
    only = b.add_rows(less.shape, -np.inf, 0.0)
    b.put(only, less, 1.0)
    b.put(only, down, -most_kw)
    soonest = column(
        b.view.horizon.next_index(b.view.now + unit.notice) if unit.notice else 0 for unit in units
    )
    may_start = np.arange(b.steps) >= soonest
    for k, unit in enumerate(units):
        may_start[k, announced_steps(b.view, unit.resource_id)] = True
    started = onoff.switch(b, down, called, may_start=may_start.astype(float))
    names = [unit.resource_id for unit in units]
    b.name([f"{name}: notice" for name in names], Side.UPPER, started)
    b.count(Counted.STARTS, b.rows(names)[:, None], started, 1.0)
    for k, (unit, reading) in enumerate(zip(units, said, strict=True)):
        _rest(b, unit, reading, down[k], started[k])
        _longest(b, unit, reading, down[k])
        if unit.max_calls_per_day is not None:
            field = "max_calls_per_day"
            onoff.per_day(b, unit.resource_id, field, unit.max_calls_per_day, started[k])
    return down


def _rest(b: Builder, unit: CurtailableLoad, reading: Reading, down: Ints, started: Ints) -> None:
    """Keep calls apart, the last one before the horizon too, where the load says when it ended."""
    words, was = f"{unit.resource_id}: rest", reading.phase is RunPhase.CALLED
    onoff.apart(b, words, onoff.steps_of(unit.rest, b.view.horizon), down, started, was=was)
    if was or reading.phase_since is None or not unit.rest:
        return
    resting = down[: max(b.view.horizon.next_index(reading.phase_since + unit.rest), 0)]
    rows = b.add_rows(resting.shape, -np.inf, 0.0)
    b.put(rows, resting, 1.0)
    b.name((words,), Side.ROW_UPPER, rows, np.arange(len(resting)))


def _longest(b: Builder, unit: CurtailableLoad, reading: Reading, down: Ints) -> None:
    if unit.longest_call is None:
        return
    length = unit.longest_call // b.view.horizon.step
    words = (f"{unit.resource_id}: longest_call",)
    rows = b.add_rows((max(b.steps - length, 0),), -np.inf, float(length))
    for ahead in range(length + 1 if len(rows) else 0):
        b.put(rows, down[ahead : ahead + len(rows)], 1.0)
    b.name(words, Side.ROW_UPPER, rows, np.arange(len(rows)))
    if reading.phase is RunPhase.CALLED and reading.phase_since is not None:
        left = max(b.view.horizon.index(reading.phase_since + unit.longest_call), 0)
        if left < b.steps:
            row = b.add_rows((1,), -np.inf, float(left))
            b.put(row, down[: left + 1], 1.0)
            b.name(words, Side.ROW_UPPER, row)


def _spans(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last (exclusive) of each unbroken span."""
    steps = groupby(enumerate(on.tolist()), key=lambda pair: pair[1])
    held = [[index for index, _ in group] for is_on, group in steps if is_on]
    return [(span[0], span[-1] + 1) for span in held]


def _trimmed(
    first: int, last: int, turned: NDArray[np.bool_], view: PlanningView
) -> tuple[int, int]:
    """Start and length of what a span really turns down; its start stays on its day, which counts it."""
    at = first + np.flatnonzero(turned[first:last])
    if not len(at):
        return first, 0
    starts = [view.horizon.start + int(step) * view.horizon.step for step in (first, at[0])]
    days = {local_date(start, view.park.timezone) for start in starts}
    begins = int(at[0]) if len(days) == 1 else first
    return begins, int(at[-1]) + 1 - begins
