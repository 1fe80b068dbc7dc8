"""Loads that come by themselves: fixed, turned down, interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.sheet import Part, Sheet
from vpp.model.measurement import Reading, RunPhase
from vpp.model.resource import CurtailableLoad, FixedLoad, InterruptibleLoad


def fixed(sheet: Sheet, r: FixedLoad) -> Part:
    base = sheet.view.base_kw[r.resource_id].values
    return Part(power=base, draw=-base, given_draw=-base)


def curtailable(sheet: Sheet, r: CurtailableLoad, reading: Reading | None) -> Part:
    base = sheet.view.base_kw[r.resource_id].values
    if reading is None:
        return Part(power=base, draw=-base, given_draw=-base)
    most = r.curtailable_share * np.maximum(-base, 0.0)
    down = sheet.size(most)
    sheet.pay(r.curtailment_cost_per_kwh * sheet.hours * cp.sum(down))
    part = Part(power=base + down, draw=-base - down, turned_down=down)
    part.up_room, part.down_room = most - down, down
    limits = (r.max_calls_per_day is not None, r.longest_call is not None, r.rest, r.notice)
    if any(limits):
        part.started = _calls(sheet, r, reading, down, most)
    return part


def _calls(sheet: Sheet, r: CurtailableLoad, reading: Reading, down: Any, most: Any) -> Any:
    """A call is an unbroken span; returns where calls start."""
    called, started, ended = sheet.choice(), sheet.size(), sheet.size()
    under_way = reading.phase is RunPhase.CALLED
    change = called - sheet.before(called, float(under_way))
    sheet.hold(down <= cp.multiply(most, called), started - ended == change)
    sheet.hold(started <= called, ended <= 1 - called)
    if r.max_calls_per_day is not None:
        sheet.per_day(started, r.max_calls_per_day, reading.calls_today or 0, reading)
    rest = sheet.whole_steps(r.rest)
    if rest > 1:
        sheet.hold(sheet.recent(rest) @ ended <= 1 - called)
    if r.longest_call is not None:
        longest = r.longest_call // sheet.view.horizon.step
        for first in range(sheet.steps - longest):
            sheet.hold(cp.sum(called[first : first + longest + 1]) <= longest)
        if under_way and reading.phase_since is not None:
            left = r.longest_call - (sheet.starts[0] - reading.phase_since)
            longest = max(left // sheet.view.horizon.step, 0)
            if longest < sheet.steps:
                sheet.hold(cp.sum(called[: longest + 1]) <= longest)
    for step in _too_soon(sheet, r.notice):
        sheet.hold(started[step] == 0)
    return started


def _too_soon(sheet: Sheet, notice: timedelta) -> list[int]:
    if not notice:
        return []
    first = sheet.view.now + notice
    return [step for step, moment in enumerate(sheet.starts) if moment < first]


@dataclass(frozen=True)
class _Call:
    """A call that may be made, or the one under way made longer."""

    at: int
    """Its first step; of a longer one the first step that is more."""
    steps: int
    made_up_kw: Any
    """What it changes in what is drawn later, shape (T,)."""
    begins: bool = True


def interruptible(sheet: Sheet, r: InterruptibleLoad, reading: Reading | None) -> Part:
    steps = sheet.steps
    runs = np.array([_operates(r, moment) for moment in sheet.local])
    later: Any = np.zeros(steps)
    """What is made up for."""
    calls: list[_Call] = []
    earliest = sheet.starts[0]
    if reading is not None and reading.phase is RunPhase.CALLED and reading.phase_since:
        since, ends = reading.phase_since, reading.phase_since + r.call_length
        runs &= np.array([moment >= ends for moment in sheet.starts])
        later = later + _made_up_kw(sheet, r, since, ends)
        earliest = ends + max(r.rest, sheet.view.horizon.step)
        calls += _longer(sheet, r, runs, since)
    if reading is not None:
        calls += _new_calls(sheet, r, runs, earliest)
    draw: Any = r.rated_draw_kw * runs
    started: Any = np.zeros(steps)
    shed: Any = np.zeros(steps)
    if calls and reading is not None:
        chosen = sheet.choice(len(calls))
        begins, lasts, blocks, made_up = (np.zeros((steps, len(calls))) for _ in range(4))
        rest = max(sheet.whole_steps(r.rest), 1)
        for number, call in enumerate(calls):
            begins[call.at, number] = float(call.begins)
            lasts[call.at : call.at + call.steps, number] = 1.0
            blocks[call.at : call.at + call.steps + rest, number] = 1.0
            made_up[:, number] = call.made_up_kw
        # A call occupies its steps and its rest; none of both may start in what another occupies.
        sheet.hold(blocks @ chosen <= 1)
        started, shed = begins @ chosen, r.rated_draw_kw * (lasts @ chosen)
        sheet.per_day(started, r.max_calls_per_day, reading.calls_today or 0, reading)
        sheet.pay(r.call_cost_per_kwh * sheet.hours * cp.sum(shed))
        later = later + made_up @ chosen
        draw = draw - shed
    running = draw / r.rated_draw_kw if r.rated_draw_kw else np.zeros(steps)
    draw = draw + later
    part = Part(power=-draw, draw=draw, running=running, started=started, turned_down=shed)
    if reading is None:
        part.given_draw, part.given_running = draw, running
    return part


def _missed_hours(sheet: Sheet, r: InterruptibleLoad, since: datetime, ends: datetime) -> float:
    """How long a process would have run during a call."""
    zone, step = sheet.view.park.timezone, sheet.view.horizon.step
    moments = [since + number * step for number in range(-((since - ends) // step))]
    return sheet.hours * sum(_operates(r, moment.astimezone(zone)) for moment in moments)


def _operates(r: InterruptibleLoad, at: datetime) -> bool:
    return at.weekday() in r.operating_days and r.operating_from <= at.time() < r.operating_to


def _new_calls(
    sheet: Sheet, r: InterruptibleLoad, runs: Any, earliest: datetime
) -> Iterator[_Call]:
    """Each start and length that the process was promised a call may have."""
    step = sheet.view.horizon.step
    shortest = sheet.whole_steps(r.call_length)
    longest = shortest if r.longest_call is None else r.longest_call // step
    announced = sheet.view.now + r.notice
    for at, local in enumerate(sheet.local):
        begins = sheet.starts[at]
        if local.hour not in r.callable_hours or local.minute or begins < earliest:
            continue
        if r.notice and begins < announced:
            continue
        for steps in range(shortest, longest + 1):
            if at + steps <= sheet.steps and runs[at : at + steps].all():
                yield _Call(at, steps, _made_up_kw(sheet, r, begins, begins + steps * step))


def _longer(sheet: Sheet, r: InterruptibleLoad, runs: Any, since: datetime) -> Iterator[_Call]:
    """How much longer the call under way may last than it must, or than it has lasted."""
    step, ends = sheet.view.horizon.step, since + r.call_length
    at = max(sheet.view.horizon.index(ends), 0)
    if r.longest_call is None or at >= sheet.steps:
        return
    for steps in range(1, (since + r.longest_call - sheet.starts[at]) // step + 1):
        if at + steps <= sheet.steps and runs[at : at + steps].all():
            more = _made_up_kw(sheet, r, since, sheet.starts[at] + steps * step)
            yield _Call(at, steps, more - _made_up_kw(sheet, r, since, ends), begins=False)


def _made_up_kw(sheet: Sheet, r: InterruptibleLoad, since: datetime, ends: datetime) -> Any:
    """What is drawn later for a call."""
    if r.rebound is None:
        return np.zeros(sheet.steps)
    begins = ends + r.rebound.delay
    within = [begins <= moment < begins + r.rebound.length for moment in sheet.starts]
    kwh = r.rebound.share * r.rated_draw_kw * _missed_hours(sheet, r, since, ends)
    return np.array(within) * kwh / (r.rebound.length / timedelta(hours=1))
