"""Rules of machines that are on or off, and of those that change their power slowly."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.sheet import Line, Sheet
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import OnOffRules


@dataclass(frozen=True, eq=False)
class Machine:
    """When a machine is on, and when it is started and stopped."""

    on: Line
    started: Line
    stopped: Line
    goes_on: Any
    """Steps in which it must go on, since it was started lately."""


def on_off(
    sheet: Sheet,
    rules: OnOffRules,
    reading: Reading | None,
    may: Any,
    *,
    standby_kw: float = 0.0,
) -> Machine:
    on, started, stopped = sheet.choice(), sheet.size(), sheet.size()
    was, goes_on = _was_on(reading, standby_kw), np.zeros(sheet.steps, dtype=bool)
    change = on - sheet.before(on, float(was))
    sheet.hold(on <= np.asarray(may, float), started - stopped == change)
    sheet.hold(started <= on, stopped <= 1 - on)
    up, down = sheet.whole_steps(rules.min_up), sheet.whole_steps(rules.min_down)
    if up > 1:
        sheet.hold(sheet.recent(up) @ started <= on)
    if down > 1:
        sheet.hold(sheet.recent(down) @ stopped <= 1 - on)
    if reading is not None and reading.phase_since is not None:
        least = rules.min_up if was else rules.min_down
        left = sheet.whole_steps(reading.phase_since + least - sheet.starts[0])
        held = np.arange(sheet.steps) < left
        goes_on = held & may & was
        sheet.hold(cp.multiply(held, on) == goes_on)
    if rules.max_starts_per_day is not None:
        used = 0 if reading is None else reading.calls_today or 0
        sheet.per_day(started, rules.max_starts_per_day, used, reading)
    sheet.pay(rules.start_cost * cp.sum(started))
    return Machine(on, started, stopped, goes_on)


def _was_on(reading: Reading | None, standby_kw: float) -> bool:
    """What it says, else whether it draws or feeds more than a machine does that is off."""
    if reading is None:
        return False
    if reading.phase is None:
        return abs(reading.power_kw) > standby_kw + 1e-3
    return reading.phase in (RunPhase.RUNNING, RunPhase.CALLED)


def ramp(
    sheet: Sheet,
    kw_per_min: float,
    power: Line,
    reading: Reading | None,
    *,
    size: float,
    machine: Machine | None = None,
) -> None:
    """The change from one step to the next, free where the machine starts or stops."""
    if not isfinite(kw_per_min):
        return
    most = kw_per_min * 60 * sheet.hours + np.zeros(sheet.steps)
    if machine is not None:
        most = most + size * (machine.started + machine.stopped)
    opening = 0.0 if reading is None else reading.power_kw
    change = power - sheet.before(power, opening)
    known = slice(1 if reading is None else 0, None)
    sheet.hold(change[known] <= most[known], change[known] >= -most[known])
