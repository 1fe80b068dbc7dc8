"""Rules that several kinds share: being on or off, and changing power no faster than they can."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import OnOffRules, Resource
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, slack

Bools = NDArray[np.bool_]


def started(case: Case, name: ResourceId) -> Bools:
    """Steps in which a machine that is on or off starts, shape (T,)."""
    on, was = _now_and_before(case, name)
    return on & ~was


def stopped(case: Case, name: ResourceId) -> Bools:
    """Steps in which it stops, shape (T,)."""
    on, was = _now_and_before(case, name)
    return ~on & was


def _now_and_before(case: Case, name: ResourceId) -> tuple[Bools, Bools]:
    on = case.schedule.on[name]
    return on, np.concatenate([[case.was_on(name)], on[:-1]])


def on_off_faults(case: Case, name: ResourceId, rules: OnOffRules, *, may: Bools) -> Iterator[str]:
    """Starts and stops that the machine was not promised.

    `may` says in which steps it can be on at all, shape (T,): what began before the horizon ends
    where it must.
    """
    on = case.schedule.on[name]
    if (on & ~may).any():
        yield f"{name}: is on in step {int(np.argmax(on & ~may))}, where it cannot be"
    starts, stops = np.flatnonzero(started(case, name)), np.flatnonzero(stopped(case, name))
    up, down = case.steps_of(rules.min_up), case.steps_of(rules.min_down)
    for step in starts:
        if not on[step : step + up].all():
            yield f"{name}: min_up: starts in step {step}, is off again before {rules.min_up}"
    for step in stops:
        if on[step : step + down].any():
            yield f"{name}: min_down: stops in step {step}, is on again before {rules.min_down}"
    yield from _goes_on(case, name, rules, may=may)
    yield from _starts_per_day(case, name, rules)


def held_steps(case: Case, name: ResourceId, rules: OnOffRules, *, may: Bools) -> int:
    """For how many steps what began before the horizon must go on: not beyond where it cannot."""
    reading, was = case.reading(name), case.was_on(name)
    least = rules.min_up if was else rules.min_down
    if reading is None or reading.phase_since is None or not least:
        return 0
    left = min(max(case.steps_until(reading.phase_since + least), 0), case.steps)
    return left if may[:left].all() or not was else int(np.argmin(may[:left]))


def _goes_on(case: Case, name: ResourceId, rules: OnOffRules, *, may: Bools) -> Iterator[str]:
    was = case.was_on(name)
    on = case.schedule.on[name][: held_steps(case, name, rules, may=may)]
    wrong = on != was
    if wrong.any():
        rule, state = ("min_up", "off") if was else ("min_down", "on")
        yield (
            f"{name}: {rule}: is {state} in step {int(np.argmax(wrong))}, sooner than it may be after"
            f" its last start or stop"
        )


def _starts_per_day(case: Case, name: ResourceId, rules: OnOffRules) -> Iterator[str]:
    if rules.max_starts_per_day is None:
        return
    reading, starts = case.reading(name), started(case, name)
    for day, on_day in case.days.items():
        told = reading is not None and case.told_on(reading, day)
        used = (reading.calls_today or 0) if reading is not None and told else 0
        count, most = int(starts[on_day].sum()), max(rules.max_starts_per_day - used, 0)
        if count > most:
            yield f"{name}: max_starts_per_day: {count} starts on {day}, allowed {most}"


def ramp_faults(
    case: Case,
    resource: Resource,
    power: Floats,
    least: Floats,
    most: Floats,
    running: tuple[float, float] = (-inf, inf),
) -> Iterator[str]:
    """Changes of power that are faster than the machine.

    Args:
        case: What is checked.
        resource: The machine.
        power: Its planned power, shape (T,).
        least: The least power it can have in each step, off included; shape (T,).
        most: The most.
        running: Least and most power while it is on; found outside, it is still starting.

    A step in which it starts or stops is free, and so is one in which it could not keep its ramp from
    where it was found: a shift that ends in the next step ends.
    """
    name, reading = resource.resource_id, case.reading(resource.resource_id)
    change = resource.ramp_kw_per_min * 60 * case.hours
    lowest, highest = float(least.min()), float(most.max())
    if change >= highest - lowest:
        return
    found = None
    if reading is not None and not _starting(case, name, reading.power_kw, running):
        found = min(max(reading.power_kw, lowest), highest)
    asked = _can_keep(found, change, least, most)
    if name in case.schedule.on:
        asked &= ~(started(case, name) | stopped(case, name))
        asked &= case.schedule.on[name]
    before = np.concatenate([[power[0] if found is None else found], power[:-1]])
    allowed = np.where(asked, change, inf)
    yield from between(f"{name}: ramp_kw_per_min", power - before, -allowed, allowed, power, before)


def _starting(case: Case, name: ResourceId, found: float, running: tuple[float, float]) -> bool:
    """Whether a machine is on, and not yet at a power that it can keep."""
    if name not in case.schedule.on or not case.was_on(name):
        return False
    return not running[0] - slack(found) <= found <= running[1] + slack(found)


def _can_keep(found: float | None, change: float, least: Floats, most: Floats) -> Bools:
    """Steps in which the ramp can be kept, going as near as can be from where it was found."""
    kept = np.ones(len(least), dtype=bool)
    if found is None:
        kept[0] = False
        low, high = float(least[0]), float(most[0])
    else:
        low = high = found
    for step in range(found is None, len(least)):
        low, high = low - change, high + change
        kept[step] = low <= most[step] and high >= least[step]
        low = min(max(low, float(least[step])), float(most[step]))
        high = max(min(high, float(most[step])), float(least[step]))
    return kept
