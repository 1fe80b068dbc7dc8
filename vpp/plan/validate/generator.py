"""Generators: no more than they have, no less than they must, on or off as they may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Generator
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, column, each_between, slack
from vpp.plan.validate.machines import Bools, held_steps, on_off_faults, ramp_faults


def has_kw(case: Case, unit: Generator) -> Floats:
    """What it could feed in each step, shape (T,)."""
    if unit.weather_driven:
        return np.maximum(case.view.available_kw[unit.resource_id].values, 0.0)
    return np.where(case.view.alone(unit.resource_id), 0.0, unit.max_feed_kw)


def generator_faults(case: Case, units: Sequence[Generator]) -> Iterator[str]:
    """Power that the sources do not have, or a state they may not be in."""
    simple = [u for u in units if u.weather_driven and u.on_off is None]
    if simple:
        names = [unit.resource_id for unit in simple]
        has = np.maximum(np.array([case.view.available_kw[name].values for name in names]), 0.0)
        low = column(u.must_run_share for u in simple) * has
        for row, name in enumerate(names):
            low[row] = np.where(case.view.alone(name), has[row], low[row])
        yield from each_between(names, ": power", case.powers(names), low, has, has)
    for unit in units:
        if not unit.weather_driven or unit.on_off is not None:
            yield from _machine_faults(case, unit)


def _machine_faults(case: Case, unit: Generator) -> Iterator[str]:
    """The same of one that is on or off, or that the weather does not drive."""
    name, power, has = unit.resource_id, case.power(unit.resource_id), has_kw(case, unit)
    low, high = np.where(case.view.alone(name), has, unit.must_run_share * has), has
    least = low
    if unit.on_off is not None:
        on, must = case.schedule.on[name], low > 0
        # What must run runs, whatever else is asked of it, and with what it has.
        smallest = np.where(
            must, np.minimum(unit.on_off.min_power_kw, has), unit.on_off.min_power_kw
        )
        least = np.where(must, np.maximum(low, smallest), 0.0)
        low, high = np.maximum(low, smallest * on), has * on
        yield from _runs(case, unit, must)
    yield from between(f"{name}: power", power, low, high, has)
    if not unit.weather_driven:
        smallest_kw = 0.0 if unit.on_off is None else unit.on_off.min_power_kw
        yield from ramp_faults(case, unit, power, least, has, (smallest_kw, inf))


def _runs(case: Case, unit: Generator, must: Bools) -> Iterator[str]:
    """On and off as its rules say; one that must run in some step is asked nothing else."""
    name, rules = unit.resource_id, unit.on_off
    if rules is None or must.any():
        return
    may = has_kw(case, unit) >= rules.min_power_kw
    yield from on_off_faults(case, name, rules, may=may)
    if unit.max_hours_per_day is None:
        return
    reading, goes_on = case.reading(name), case.zeros()
    if case.was_on(name):
        goes_on[: held_steps(case, name, rules, may=may)] = case.hours
    for day, on_day in case.days.items():
        told = reading is not None and case.told_on(reading, day)
        used = (reading.hours_on_today or 0.0) if reading is not None and told else 0.0
        hours = case.hours * int((case.schedule.on[name] & on_day).sum())
        # What it still has to run is never too long.
        most = max(unit.max_hours_per_day - used, float(goes_on[on_day].sum()), 0.0)
        if not hours <= most + slack(hours, most):
            yield f"{name}: max_hours_per_day: {hours:.6f} h on {day}, allowed {most:.6f}"
