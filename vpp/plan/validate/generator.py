"""Generators: no more than they have, no less than they must, on or off as they may."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Generator
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import TOLERANCE, between
from vpp.plan.validate.machines import Bools, on_off_faults, ramp_faults


def has_kw(case: Case, unit: Generator) -> Floats:
    """What it could feed in each step, shape (T,)."""
    if unit.weather_driven:
        return np.maximum(case.view.available_kw[unit.resource_id].values, 0.0)
    return np.full(case.steps, unit.max_feed_kw)


def generator_faults(case: Case, unit: Generator) -> Iterator[str]:
    """Power that the source does not have, or a state it may not be in."""
    name, power, has = unit.resource_id, case.power(unit.resource_id), has_kw(case, unit)
    low, high = unit.must_run_share * has, has
    if unit.on_off is not None:
        on, must = case.schedule.on[name], low > 0
        # What must run runs, whatever else is asked of it.
        low = np.where(must, low, unit.on_off.min_power_kw * on)
        high = np.where(must, has, has * on)
        yield from _runs(case, unit, must)
    yield from between(f"{name}: power", power, low, high, has)
    if not unit.weather_driven:
        on_off = unit.on_off is not None
        yield from ramp_faults(case, unit, power, unit.max_feed_kw, on_off=on_off)


def _runs(case: Case, unit: Generator, must: Bools) -> Iterator[str]:
    name, rules = unit.resource_id, unit.on_off
    assert rules is not None
    if not must.any():
        yield from on_off_faults(case, name, rules, may=has_kw(case, unit) >= rules.min_power_kw)
    if unit.max_hours_per_day is None:
        return
    reading = case.reading(name)
    for day, on_day in case.days.items():
        told = reading is not None and case.told_on(reading, day)
        used = (reading.hours_on_today or 0.0) if reading is not None and told else 0.0
        hours = case.hours * int((case.schedule.on[name] & on_day & ~must).sum())
        most = max(unit.max_hours_per_day - used, 0.0)
        if not hours <= most + TOLERANCE:
            yield f"{name}: max_hours_per_day: {hours:.6f} h on {day}, allowed {most:.6f}"
