"""Machines that are either on or off: limits of their running, and what a start costs.

    columns   on (K,T) 0/1        started (K,T) in [0, 1]
    rows      switch    started[t] - on[t] + on[t-1] >= 0
              min up    Σ started over the last min_up steps <= on
              min down  Σ started over the next min_down steps <= 1 - on
              starts    Σ started on a local day <= what is left of max_starts_per_day
              hours     Σ h·on on a local day <= what is left of max_hours_per_day

`started` needs no decision of its own: it is as small as the states of the machine let it be, or could be.
No price of a start is below 0 and every other row has it on the side of what is limited, so nothing is
won by a start too many. Rows that forbid one (started[t] <= on[t], started[t] + on[t-1] <= 1) would
say nothing new, and made HiGHS search up to fifteen times longer (ten batteries, three machines).
A machine that runs, or rests, since less than it must goes on doing so. Lengths are rounded up to
whole steps. The last steps of the horizon may cut a minimum time short; the next plan sees it whole.
A machine that must be on is on, whatever its rest, its starts or its hours say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import OnOffRules
from vpp.plan.kinds import said_on
from vpp.plan.programme import Builder, Counted, Ints, Side

ON_KW = 1e-3
"""A machine that draws or feeds more than this is on, where it does not say its phase."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnOff:
    """Columns of the machines, shape (K, T)."""

    names: tuple[ResourceId, ...]
    on: Ints
    started: Ints

    def states(self, x: Floats) -> dict[ResourceId, NDArray[np.bool_]]:
        """Whether each machine is on, from a solution; shape (T,)."""
        return dict(zip(self.names, x[self.on] > 0.5, strict=True))


def is_on(reading: Reading | None, *, idle_kw: float = 0.0) -> bool:
    """Whether a machine runs, from what it says of itself; one that is not heard rests.

    `idle_kw` is the power it draws while off (standing ready); a size.
    """
    if reading is None:
        return False
    if reading.phase is not None:
        return reading.phase in (RunPhase.RUNNING, RunPhase.CALLED)
    return abs(reading.power_kw) > idle_kw + ON_KW


def steps_of(length: timedelta, horizon: Horizon) -> int:
    """A length in whole steps, rounded up."""
    return ceil(length / horizon.step)


def add(
    b: Builder,
    names: Sequence[ResourceId],
    rules: Sequence[OnOffRules],
    *,
    may: NDArray[np.bool_],
    must: NDArray[np.bool_] | None = None,
    max_hours_per_day: Sequence[float | None] | None = None,
    idle_kw: Sequence[float] | None = None,
    cause: str = "starts",
) -> OnOff:
    """On/off decisions of machines, in steps where they `may` be on, shape (K, T).

    A machine that is on and must stay on, where it may not, goes off all the same. One that `must` be
    on in some step, shape (K, T), is asked for nothing else but its cost of a start.
    """
    shape = (len(names), b.steps)
    known = [b.view.state.reading(name) for name in names]
    idle = [0.0] * len(names) if idle_kw is None else idle_kw
    was = np.array([is_on(r, idle_kw=kw) for r, kw in zip(known, idle, strict=True)], dtype=float)
    must = np.zeros(shape, dtype=bool) if must is None else must
    on = b.decide(shape, lower=must.astype(float), upper=(may | must).astype(float))
    started = switch(b, on, was)
    b.price(started, np.array([[r.start_cost] for r in rules]).reshape(-1, 1), cause)
    which = b.rows(names)[:, None]
    b.count(Counted.STARTS, which, started, 1.0)
    b.count(Counted.HOURS_ON, which, on, b.hours)
    hours = [None] * len(names) if max_hours_per_day is None else max_hours_per_day
    for k, (name, rule) in enumerate(zip(names, rules, strict=True)):
        if must[k].any():
            continue
        held = _held(b, known[k], rule, may[k], was=bool(was[k]))
        _min_up(b, name, rule, on[k], started[k])
        down = steps_of(rule.min_down, b.view.horizon)
        apart(b, f"{name}: min_down", down, on[k], started[k], was=bool(was[k]))
        _go_on(b, name, on[k, :held], was=bool(was[k]))
        if rule.max_starts_per_day is not None:
            per_day(b, name, "max_starts_per_day", rule.max_starts_per_day, started[k])
        _hours_per_day(b, name, hours[k], on[k], held=held if was[k] else 0)
    return OnOff(names=tuple(names), on=on, started=started)


def switch(b: Builder, on: Ints, was: Floats, *, may_start: float | Floats = 1.0) -> Ints:
    """Columns that are 1 at least where `on`, shape (K, T), follows on 0; `was` is the step before, shape (K,).

    `may_start` broadcasts to (K, T): nothing starts where it is 0.
    """
    started = b.add_columns(on.shape, upper=may_start)
    opening = np.zeros(on.shape)
    opening[:, 0] = -was
    changes = b.add_rows(on.shape, opening, np.inf)
    b.put(changes, started, 1.0)
    b.put(changes, on, -1.0)
    b.put(changes[:, 1:], on[:, :-1], 1.0)
    return started


def _min_up(b: Builder, name: ResourceId, rule: OnOffRules, on: Ints, started: Ints) -> None:
    length = steps_of(rule.min_up, b.view.horizon)
    if length <= 1:
        return
    rows = b.add_rows((b.steps,), -np.inf, 0.0)
    for back in range(min(length, b.steps)):
        b.put(rows[back:], started[: b.steps - back], 1.0)
    b.put(rows, on, -1.0)
    b.name((f"{name}: min_up",), Side.ROW_UPPER, rows)


def apart(b: Builder, words: str, length: int, on: Ints, started: Ints, *, was: bool) -> None:
    """Let a machine that was on rest at least `length` steps before it starts again; shapes (T,)."""
    if length < 1:
        return
    rows = b.add_rows((b.steps,), -np.inf, 1.0)
    for ahead in range(1, min(length, b.steps - 1) + 1):
        b.put(rows[: b.steps - ahead], started[ahead:], 1.0)
    b.put(rows, on, 1.0)
    b.name((words,), Side.ROW_UPPER, rows)
    if was:  # the step before the horizon counts too
        before = b.add_rows((1,), -np.inf, 0.0)
        b.put(before, started[:length], 1.0)
        b.name((words,), Side.ROW_UPPER, before, np.array([0]))


def _held(
    b: Builder,
    reading: Reading | None,
    rule: OnOffRules,
    may: NDArray[np.bool_],
    *,
    was: bool,
) -> int:
    """For how many steps what began before the horizon goes on: not beyond where it may not."""
    least = rule.min_up if was else rule.min_down
    if reading is None or reading.phase_since is None or least <= timedelta(0):
        return 0
    left = steps_of(reading.phase_since + least - b.view.horizon.start, b.view.horizon)
    ends = np.flatnonzero(~may) if was else np.zeros(0, dtype=np.int64)
    return int(np.clip(left, 0, ends.min(initial=b.steps)))


def _go_on(b: Builder, name: ResourceId, held: Ints, *, was: bool) -> None:
    """What began before the horizon lasts as long as it must."""
    if not len(held):
        return
    rows = b.add_rows((len(held),), float(was), float(was))
    b.put(rows, held, 1.0)
    words = f"{name}: {'min_up' if was else 'min_down'}"
    b.name((words,), Side.ROW_LOWER if was else Side.ROW_UPPER, rows, np.arange(len(held)))


def per_day(b: Builder, name: ResourceId, field: str, most: int, started: Ints) -> None:
    """No more starts on a local day than `most`, those counted that the resource says of today."""
    for day, steps in b.local_days.items():
        reading = said_on(b.view, name, day)
        used = 0 if reading is None else reading.calls_today or 0
        rows = b.add_rows((1,), -np.inf, float(max(most - used, 0)))
        b.put(rows, started[steps], 1.0)
        b.name((f"{name}: {field}",), Side.ROW_UPPER, rows)


def _hours_per_day(
    b: Builder, name: ResourceId, most_h: float | None, on: Ints, *, held: int
) -> None:
    """Hours on of each local day; those that it must still run count, and are never too many."""
    if most_h is None:
        return
    for day, steps in b.local_days.items():
        reading = said_on(b.view, name, day)
        used_h = 0.0 if reading is None else reading.hours_on_today or 0.0
        must_h = float((steps < held).sum()) * b.hours
        rows = b.add_rows((1,), -np.inf, max(most_h - used_h, must_h, 0.0))
        b.put(rows, on[steps], b.hours)
        b.name((f"{name}: max_hours_per_day",), Side.ROW_UPPER, rows)
