"""Processes that are called: what they draw, given the calls of a schedule, and whether they may be.

Worked out with moments of time, not with steps of a programme: a second opinion on clock changes
and calling hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import RunPhase
from vpp.model.resource import InterruptibleLoad
from vpp.model.time import Interval, local_date
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import equal
from vpp.plan.validate.machines import Bools


def process_faults(case: Case, load: InterruptibleLoad) -> Iterator[str]:
    """Calls that the process was not promised, and a draw that does not follow from them."""
    name = load.resource_id
    yield from _call_faults(case, load)
    catching_up = rebound_kw(case, load)
    expected = -load.rated_draw_kw * runs(case, load) - catching_up
    size = np.full(case.steps, load.rated_draw_kw)
    yield from equal(f"{name}: draw", case.power(name), expected, size, catching_up)


def chosen_calls(case: Case, load: InterruptibleLoad) -> list[Interval]:
    """The calls that the plan makes, in order of their start."""
    name, horizon = load.resource_id, case.view.horizon
    starts = case.schedule.starts.get(name, ())
    usual = (case.steps_of(load.call_length),) * len(starts)
    lengths = case.schedule.start_lengths.get(name, usual)
    return sorted(
        Interval(case.starts[start], case.starts[start] + length * horizon.step)
        for start, length in zip(starts, lengths, strict=True)
    )


def call_under_way(case: Case, load: InterruptibleLoad) -> Interval | None:
    """The call that goes on as the horizon begins: as long as it must, or as the plan says."""
    reading = case.reading(load.resource_id)
    if reading is None or reading.phase is not RunPhase.CALLED or reading.phase_since is None:
        return None
    horizon, longer = case.view.horizon, case.schedule.longer_until
    ends = shortest_end(case, load, reading.phase_since)
    if load.resource_id in longer:
        ends = max(ends, horizon.start + longer[load.resource_id] * horizon.step)
    return Interval(reading.phase_since, ends)


def shortest_end(case: Case, load: InterruptibleLoad, since: datetime) -> datetime:
    """When a call under way may end: one whose length may vary has lasted until now."""
    ends = since + load.call_length
    if load.longest_call is None:
        return ends
    return max(ends, min(since + load.longest_call, case.view.horizon.start))


def paid_calls(case: Case, load: InterruptibleLoad) -> list[Interval]:
    """The calls that the plan makes, and by how much it lets one last longer that is under way."""
    calls, last = chosen_calls(case, load), call_under_way(case, load)
    if last is not None and load.resource_id in case.schedule.longer_until:
        must = max(shortest_end(case, load, last.start), case.view.horizon.start)
        if must < last.end:
            calls.append(Interval(case.starts[case.steps_until(must)], last.end))
    return calls


def runs(case: Case, load: InterruptibleLoad) -> Bools:
    """Steps in which the process runs: in its hours, and not called; shape (T,)."""
    calls = chosen_calls(case, load)
    if (call := call_under_way(case, load)) is not None:
        # A plan made late (a restart) can see a call that began after its first step did.
        since = min(call.start, case.view.horizon.start)
        calls.append(Interval(since, call.end))
    return np.array(
        [
            operates(case, load, moment) and not any(moment in call for call in calls)
            for moment in case.starts
        ]
    )


def operates(case: Case, load: InterruptibleLoad, moment: datetime) -> bool:
    """Whether the process would run at `moment` if nobody called."""
    local = moment.astimezone(case.view.park.timezone)
    return (
        local.weekday() in load.operating_days
        and load.operating_from <= local.time() < load.operating_to
    )


def shed_kwh(case: Case, load: InterruptibleLoad, call: Interval) -> float:
    """Energy that the process does not draw during a call."""
    step = case.view.horizon.step
    parts = [part for part in call.split(step) if operates(case, load, part.start)]
    return load.rated_draw_kw * sum(part.hours for part in parts)


def rebound_kw(case: Case, load: InterruptibleLoad) -> Floats:
    """What it draws more after its calls, shape (T,); a size."""
    more = case.zeros()
    if load.rebound is None:
        return more
    calls = chosen_calls(case, load)
    if (under_way := call_under_way(case, load)) is not None:
        calls.append(under_way)
    horizon, at = case.view.horizon, np.arange(case.steps)
    for call in calls:
        begins = (call.end + load.rebound.delay - horizon.start) / horizon.step
        ends = begins + load.rebound.length / horizon.step
        share_of_step = np.maximum(np.minimum(ends, at + 1) - np.maximum(begins, at), 0.0)
        hours = load.rebound.length / timedelta(hours=1)
        more += share_of_step * load.rebound.share * shed_kwh(case, load, call) / hours
    return more


def _call_faults(case: Case, load: InterruptibleLoad) -> Iterator[str]:
    name, zone = load.resource_id, case.view.park.timezone
    calls = chosen_calls(case, load)
    reading = case.reading(name)
    if calls and reading is None:
        yield f"{name}: is called, and nobody knows how it stands"
        return
    on_day: dict[date, int] = {}
    if reading is not None and reading.calls_today:
        on_day[local_date(reading.measured_at, zone)] = reading.calls_today
    last = call_under_way(case, load)
    if last is not None and last.end - last.start > (load.longest_call or load.call_length):
        yield f"{name}: longest_call: the call under way would last {last.end - last.start}"
    if last is None and calls:
        yield from _rested(case, load, calls[0])
    for call in calls:
        local, day = call.start.astimezone(zone), local_date(call.start, zone)
        on_day[day] = on_day.get(day, 0) + 1
        if local.hour not in load.callable_hours or (local.minute, local.second) != (0, 0):
            yield f"{name}: a call starts at {local:%Y-%m-%d %H:%M}"
        if on_day[day] > load.max_calls_per_day:
            yield f"{name}: {on_day[day]} calls on {day}, allowed {load.max_calls_per_day}"
        yield from _pause(case, load, last, call)
        yield from _promised(case, load, call)
        last = call


def _pause(
    case: Case, load: InterruptibleLoad, last: Interval | None, call: Interval
) -> Iterator[str]:
    """Between two calls it runs for at least `rest`, and for at least one step."""
    if last is None:
        return
    local = call.start.astimezone(case.view.park.timezone)
    if call.start <= last.end:
        yield f"{load.resource_id}: the call at {local:%Y-%m-%d %H:%M} follows another without a pause"
    elif call.start < last.end + load.rest:
        yield (
            f"{load.resource_id}: rest: the call at {local:%Y-%m-%d %H:%M} follows another after"
            f" {call.start - last.end}, allowed {load.rest}"
        )


def _rested(case: Case, load: InterruptibleLoad, call: Interval) -> Iterator[str]:
    """It has run for `rest` since its last call ended, where it says when that was."""
    reading = case.reading(load.resource_id)
    if reading is None or reading.phase_since is None or not load.rest:
        return
    if call.start < reading.phase_since + load.rest:
        local = call.start.astimezone(case.view.park.timezone)
        yield (
            f"{load.resource_id}: rest: the call at {local:%Y-%m-%d %H:%M} comes"
            f" {call.start - reading.phase_since} after its last one, allowed {load.rest}"
        )


def _promised(case: Case, load: InterruptibleLoad, call: Interval) -> Iterator[str]:
    """Length, notice and hours of one call."""
    name, view = load.resource_id, case.view
    local = call.start.astimezone(view.park.timezone)
    length, longest = call.end - call.start, load.longest_call or load.call_length
    if not load.call_length <= length <= longest:
        yield (
            f"{name}: call_length: the call at {local:%Y-%m-%d %H:%M} lasts {length}, allowed"
            f" {load.call_length} … {longest}"
        )
    told = view.announced.get(name, ())
    if call.start < view.now + load.notice and call.start not in told:
        yield f"{name}: notice: the call at {local:%Y-%m-%d %H:%M} is less than {load.notice} ahead"
    inside = [t for t in case.starts if t in call]
    if call.end > view.horizon.end or not all(operates(case, load, t) for t in inside):
        yield f"{name}: the call at {local:%Y-%m-%d %H:%M} is not wholly in operating hours"
