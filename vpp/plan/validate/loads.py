"""Loads that come by themselves, and how far they are turned down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import RunPhase
from vpp.model.resource import CurtailableLoad
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import TOLERANCE, between, equal
from vpp.plan.validate.machines import Bools


def curtailable_kw(case: Case, load: CurtailableLoad) -> Floats:
    """The most it may be turned down in each step, shape (T,)."""
    draw = np.maximum(-case.view.base_kw[load.resource_id].values, 0.0)
    share = np.asarray(load.curtailable_share * draw) * ~case.view.alone(load.resource_id)
    bound = case.view.most_turned_down_kw.get(load.resource_id)
    return share if bound is None else np.minimum(share, bound)


def curtailable_faults(case: Case, load: CurtailableLoad) -> Iterator[str]:
    """Turned down further, longer or more often than its owner promised."""
    name, curtailed = load.resource_id, case.of(case.schedule.curtailed_kw, load.resource_id)
    base = case.view.base_kw[name].values
    yield from equal(f"{name}: base less curtailed", case.power(name), base + curtailed, base)
    if case.reading(name) is None:
        yield from equal(f"{name}: not turned down, not heard", curtailed, case.zeros())
        return
    most = curtailable_kw(case, load)
    yield from between(f"{name}: curtailable_share", curtailed, 0.0, most, base)
    if limited(load):
        yield from _calls(case, load, curtailed)


def limited(load: CurtailableLoad) -> bool:
    """Whether it is turned down in calls that are counted."""
    return (
        load.max_calls_per_day is not None
        or load.longest_call is not None
        or bool(load.rest)
        or bool(load.notice)
    )


def _calls(case: Case, load: CurtailableLoad, curtailed: Floats) -> Iterator[str]:
    """Each step in which it is turned down lies in a call, and the calls are as promised."""
    name, schedule = load.resource_id, case.schedule
    starts = schedule.starts.get(name, ())
    lengths = schedule.start_lengths.get(name, (1,) * len(starts))
    spans = sorted(zip(starts, lengths, strict=True))
    down = np.zeros(case.steps, dtype=bool)
    for start, length in spans:
        down[start : start + length] = True
    before = _going_on(case, load, curtailed, down)
    if spans and before and spans[0][0] <= before:  # the call under way, named as one of the plan
        before = max(before, spans[0][0] + spans[0][1])
        spans = spans[1:]
    down[:before] = True
    outside = (curtailed > TOLERANCE * max(1.0, load.max_draw_kw)) & ~down
    if outside.any():
        step = int(np.argmax(outside))
        yield f"{name}: {curtailed[step]:.6f} kW turned down in step {step}, outside its calls"
    yield from _lengths(case, load, spans, before)
    yield from _pauses(case, load, spans, before)
    for start, _ in spans:
        begins, told = case.starts[start], case.view.announced.get(name, ())
        if begins < case.view.now + load.notice and begins not in told:
            yield f"{name}: notice: called in step {start}, less than {load.notice} ahead"
    yield from _per_day(case, load, [start for start, _ in spans])


def _called_before(case: Case, load: CurtailableLoad) -> bool:
    reading = case.reading(load.resource_id)
    return reading is not None and reading.phase is RunPhase.CALLED


def _going_on(case: Case, load: CurtailableLoad, curtailed: Floats, down: Bools) -> int:
    """How many of the first steps are the rest of a call that is under way already.

    What is turned down before the first call of the plan belongs to it.
    """
    if not _called_before(case, load):
        return 0
    less = curtailed > TOLERANCE * max(1.0, load.max_draw_kw)
    first_call = int(np.argmax(down)) if down.any() else case.steps
    turned = np.flatnonzero(less[:first_call])
    return int(turned[-1]) + 1 if len(turned) else 0


def _lengths(
    case: Case, load: CurtailableLoad, spans: list[tuple[int, int]], before: int
) -> Iterator[str]:
    name, longest, horizon = load.resource_id, load.longest_call, case.view.horizon
    if longest is None:
        return
    for start, length in spans:
        if length * horizon.step > longest:
            yield f"{name}: longest_call: {length} steps from step {start}, allowed {longest}"
    reading = case.reading(name)
    if before and reading is not None:
        lasted = horizon.start - (reading.phase_since or horizon.start)
        if before * horizon.step + lasted > longest:
            yield (
                f"{name}: longest_call: goes on for {before} steps after {lasted}, allowed {longest}"
            )


def _pauses(
    case: Case, load: CurtailableLoad, spans: list[tuple[int, int]], before: int
) -> Iterator[str]:
    rest = max(case.steps_of(load.rest), 1)
    ended = before if _called_before(case, load) else _rested_from(case, load)
    for start, length in spans:
        if start < ended + rest:
            yield (
                f"{load.resource_id}: rest: called in step {start}, the last call ended before step"
                f" {ended}, a pause is {rest} steps"
            )
        ended = start + length


def _rested_from(case: Case, load: CurtailableLoad) -> int:
    """The step before which its last call ended, where it says when; long ago where it does not."""
    reading = case.reading(load.resource_id)
    if reading is None or reading.phase_since is None or not load.rest:
        return -case.steps - case.steps_of(load.rest) - 1
    return case.steps_until(reading.phase_since + load.rest) - case.steps_of(load.rest)


def _per_day(case: Case, load: CurtailableLoad, starts: list[int]) -> Iterator[str]:
    if load.max_calls_per_day is None:
        return
    name = load.resource_id
    reading = case.reading(name)
    for day, on_day in case.days.items():
        told = reading is not None and case.told_on(reading, day)
        used = (reading.calls_today or 0) if reading is not None and told else 0
        count, most = int(on_day[starts].sum()), max(load.max_calls_per_day - used, 0)
        if count > most:
            yield f"{name}: max_calls_per_day: {count} calls on {day}, allowed {most}"
