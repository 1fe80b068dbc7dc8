"""Rules that several kinds share: being on or off, and changing power no faster than they can."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Converter, OnOffRules, Resource
from vpp.plan.validate.case import Case, is_on
from vpp.plan.validate.compare import between

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
    return on, np.concatenate([[_was_on(case, name)], on[:-1]])


def _was_on(case: Case, name: ResourceId) -> bool:
    """Whether it runs as the horizon begins; what stands ready draws too, and is off."""
    machine = case.view.park.resource_by_id[name]
    idle_kw = 0.0
    if isinstance(machine, Converter):
        ends = [port.node_id for port in machine.ports]
        idle_kw = machine.standby_kw if ends[0] is None or None not in ends else 0.0
    return is_on(case.reading(name), idle_kw)


def on_off_faults(case: Case, name: ResourceId, rules: OnOffRules, *, may: Bools) -> Iterator[str]:
    """Starts and stops that the machine was not promised.

    `may` says in which steps it can be on at all, shape (T,): what began before the horizon ends
    where it must.
    """
    on, was = case.schedule.on[name], _was_on(case, name)
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
    yield from _goes_on(case, name, rules, was=was, may=may)
    yield from _starts_per_day(case, name, rules)


def _goes_on(
    case: Case, name: ResourceId, rules: OnOffRules, *, was: bool, may: Bools
) -> Iterator[str]:
    """What began before the horizon lasts as long as it must."""
    reading = case.reading(name)
    if reading is None or reading.phase_since is None:
        return
    least = rules.min_up if was else rules.min_down
    left = max(case.steps_until(reading.phase_since + least), 0) if least else 0
    on = case.schedule.on[name][:left]
    wrong = (~on & may[:left]) if was else on
    if wrong.any():
        rule = "min_up" if was else "min_down"
        yield (
            f"{name}: {rule}: is {'off' if was else 'on'} in step {int(np.argmax(wrong))},"
            f" {least} have not passed since {reading.phase_since}"
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
    case: Case, resource: Resource, power: Floats, size_kw: float, *, on_off: bool
) -> Iterator[str]:
    """Changes of power that are faster than the machine; a step with a start or a stop is free."""
    name, reading = resource.resource_id, case.reading(resource.resource_id)
    most = resource.ramp_kw_per_min * 60 * case.hours
    if most == inf:
        return
    first = power[0] if reading is None else reading.power_kw
    change = np.diff(power, prepend=first)
    allowed = np.full(case.steps, most)
    if on_off:
        allowed += size_kw * (started(case, name) | stopped(case, name))
    yield from between(f"{name}: ramp_kw_per_min", change, -allowed, allowed, power, power - change)
