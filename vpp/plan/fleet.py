"""The park as struct-of-arrays, one struct for each kind: what `compile.py` builds rows from.

Loops here run over resources once per plan; nothing below runs over resources x steps.
Unknown resources (no trustworthy reading) are not the planner's to move: their expected power is
part of the base.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.calendar import same_clock_time
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession, Reading, RunPhase
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.time import QUARTER, local_date, local_day, local_moment
from vpp.plan.view import PlanningView

Kind = TypeVar("Kind", bound=Resource)
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One possible start of a run or a call, within the horizon."""

    resource_id: ResourceId
    group: int
    """The starts of one resource on one day."""

    must: bool
    """True where exactly one start of the group has to be taken, False where at most `most`."""

    most: int
    """Calls that are left on that day; 1 for a run."""

    step: int
    draw_kw: tuple[float, ...]
    """Added draw in the steps from `step` on; below 0 for a call, which takes draw away."""

    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """One session that is plugged in, and which steps it can use."""

    fleet: int
    session: EvSession
    share: Floats
    """Share of each step the car is here, shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """What can be moved, by kind, and what cannot (`base_kw`)."""

    storages: tuple[Storage, ...]
    stored_kwh: Floats
    generators: tuple[Generator, ...]
    available_kw: Floats
    """Shape (G, T)."""

    zones: tuple[ThermalZone, ...]
    temperature_degc: Floats
    outdoor_degc: Floats
    """Shape (Z, T)."""

    ev_fleets: tuple[EvFleet, ...]
    ev_room_kw: Floats
    """What each fleet may draw beside the cars that are still to come, shape (F, T)."""

    cars: tuple[Car, ...]
    starts: tuple[Start, ...]
    base_kw: Floats
    """Net injection of each resource that is not decided here, shape (R, T), park order."""


def gather(view: PlanningView) -> Fleet:
    """Sort the park's resources by kind and read their states."""
    known = {s.resource_id: s for s in view.state.resources if isinstance(s, Reading)}
    # A battery that does not say how full it is cannot be planned; it is left idle.
    full = {name: reading.soc for name, reading in known.items() if reading.soc is not None}
    storages = [r for r in _of(view, Storage) if r.resource_id in full]
    zones = [r for r in _of(view, ThermalZone) if r.resource_id in known]
    generators = list(_of(view, Generator))
    ev_fleets = list(_of(view, EvFleet))
    cars = list(_cars(view, ev_fleets, known))
    starts, base = _starts(view, known)
    steps = view.horizon.steps
    room = [fleet.max_draw_kw + view.arriving_kw[fleet.resource_id].values for fleet in ev_fleets]
    return Fleet(
        storages=tuple(storages),
        stored_kwh=np.array([full[r.resource_id] * r.capacity_kwh for r in storages]),
        generators=tuple(generators),
        available_kw=_stack([view.available_kw[r.resource_id].values for r in generators], steps),
        zones=tuple(zones),
        temperature_degc=np.array(
            [_temperature(known[r.resource_id], r) for r in zones], dtype=float
        ),
        outdoor_degc=_stack([view.outdoor_degc[r.outdoor_series_id].values for r in zones], steps),
        ev_fleets=tuple(ev_fleets),
        ev_room_kw=np.maximum(_stack(room, steps), 0.0),
        cars=tuple(cars),
        starts=tuple(starts),
        base_kw=base,
    )


def _of(view: PlanningView, kind: type[Kind]) -> Iterator[Kind]:
    return (r for r in view.park.resources if isinstance(r, kind))


def _stack(rows: Sequence[Floats], steps: int) -> Floats:
    return np.array(rows) if rows else np.zeros((0, steps))


def _temperature(reading: Reading, zone: ThermalZone) -> float:
    return zone.target_degc if reading.temperature_degc is None else reading.temperature_degc


def _cars(
    view: PlanningView, fleets: Sequence[EvFleet], known: dict[ResourceId, Reading]
) -> Iterator[Car]:
    starts = view.horizon.starts()
    for index, fleet in enumerate(fleets):
        reading = known.get(fleet.resource_id)
        for session in (reading.sessions or ()) if reading else ():
            here = [(session.departs_at - start) / view.horizon.step for start in starts]
            share = np.clip(here, 0.0, 1.0)
            if session.arrives_at is not None:
                away = [(session.arrives_at - start) / view.horizon.step for start in starts]
                share = np.maximum(share - np.clip(away, 0.0, 1.0), 0.0)
            yield Car(fleet=index, session=session, share=share)


def _starts(view: PlanningView, known: dict[ResourceId, Reading]) -> tuple[list[Start], Floats]:
    """Possible starts of runs and calls, and the base power of everything that is fixed."""
    horizon, zone = view.horizon, view.park.timezone
    base = np.zeros((len(view.park.resources), horizon.steps))
    starts: list[Start] = []
    groups = 0
    for row, resource in enumerate(view.park.resources):
        reading = known.get(resource.resource_id)
        match resource:
            case FixedLoad():
                base[row] = view.base_kw[resource.resource_id].values
            case EvFleet():
                base[row] = view.arriving_kw[resource.resource_id].values
            case InterruptibleLoad():
                base[row] = -_rated(resource, horizon, zone)
                _quiet_during_call(base[row], resource, reading, horizon)
                found = list(_calls(resource, reading, horizon, zone, -base[row], groups))
                groups = max([start.group + 1 for start in found], default=groups)
                starts += found
            case ShiftableRun():
                for day in _days(horizon, zone):
                    found = list(_run(resource, reading, horizon, zone, day, base[row], groups))
                    groups += bool(found)
                    starts += found
            case ThermalZone() if reading is None:
                base[row] = -_holding_kw(
                    resource, view.outdoor_degc[resource.outdoor_series_id].values
                )
            case _:
                pass  # storages, generators and known zones are decided, not given
    return starts, base


def _days(horizon: Horizon, zone: ZoneInfo) -> Iterator[date]:
    day = local_date(horizon.start, zone)
    while day <= local_date(horizon.end - timedelta(microseconds=1), zone):
        yield day
        day += timedelta(days=1)


def _rated(load: InterruptibleLoad, horizon: Horizon, zone: ZoneInfo) -> Floats:
    """Draw of an interruptible load that nobody calls, shape (T,)."""
    local = [start.astimezone(zone) for start in horizon.starts()]
    runs = [
        moment.weekday() in load.operating_days
        and load.operating_from <= moment.time() < load.operating_to
        for moment in local
    ]
    return np.where(runs, load.rated_draw_kw, 0.0)


def _quiet_during_call(
    base: Floats, load: InterruptibleLoad, reading: Reading | None, horizon: Horizon
) -> None:
    """A call that is running goes on to its end."""
    if reading is not None and reading.phase is RunPhase.CALLED and reading.phase_since is not None:
        ends = reading.phase_since + load.call_length
        left = -((horizon.start - ends) // horizon.step)
        base[: max(left, 0)] = 0.0


def _calls(
    load: InterruptibleLoad,
    reading: Reading | None,
    horizon: Horizon,
    zone: ZoneInfo,
    draw_kw: Floats,
    first_group: int,
) -> Iterator[Start]:
    """Calls that may start in the horizon: on named hours, wholly inside operating hours."""
    if reading is None:
        return
    length, rest = divmod(load.call_length, horizon.step)
    if rest:
        raise DataError(
            f"a call of {load.call_length} is no whole number of steps of {horizon.step}",
            where=load.resource_id,
            fix="Plan in steps that divide it",
        )
    measured_on = local_date(reading.measured_at, zone)
    for offset, day in enumerate(_days(horizon, zone)):
        used = (reading.calls_today or 0) if day == measured_on else 0
        if used >= load.max_calls_per_day or day.weekday() not in load.operating_days:
            continue
        for hour in load.callable_hours:
            start = same_clock_time(day, time(hour), zone)
            if start is None:
                continue  # the spring change skips this hour
            step, late = divmod(start - horizon.start, horizon.step)
            if late or step < 0 or step + length > horizon.steps:
                continue
            shed = draw_kw[step : step + length]
            if (shed > 0).all():
                yield Start(
                    resource_id=load.resource_id,
                    group=first_group + offset,
                    must=False,
                    most=load.max_calls_per_day - used,
                    step=step,
                    draw_kw=tuple(-shed),
                    cost=float(shed.sum()) * horizon.step_hours * load.call_cost_per_kwh,
                )


def _run(
    run: ShiftableRun,
    reading: Reading | None,
    horizon: Horizon,
    zone: ZoneInfo,
    day: date,
    base: Floats,
    group: int,
) -> Iterator[Start]:
    """Possible starts of one day's run; what is not free to choose goes into `base` instead."""
    if day.weekday() not in run.run_days:
        return
    if horizon.step != QUARTER:
        raise DataError(
            f"its profile has quarter-hours, the plan has steps of {horizon.step}",
            where=run.resource_id,
            fix="Plan in quarter-hours",
        )
    # What a reading says about "today" holds for the day it was measured on.
    told = reading is not None and local_date(reading.measured_at, zone) == day
    phase = reading.phase if reading is not None and told else RunPhase.WAITING
    if reading is not None and phase is RunPhase.RUNNING and reading.phase_since is not None:
        _add_profile(base, run, horizon.index(reading.phase_since))
        return
    if phase in (RunPhase.RUNNING, RunPhase.DONE):
        return  # where nobody says since when it runs, little of it can be left
    first, default, last = _window(run, horizon, zone, day)
    if last < 0 and day == local_date(horizon.start, zone):
        return  # its window has passed; the device has run it by itself
    if reading is None or first == last or last + len(run.profile_kw) > horizon.steps:
        # Nobody to command, no choice, or a window that the horizon does not show whole: a start
        # put off beyond the horizon would look free, so the run's own default is expected.
        _add_profile(base, run, default)
        return
    for step in range(max(first, 0), last + 1):
        yield Start(
            resource_id=run.resource_id,
            group=group,
            must=True,
            most=1,
            step=step,
            draw_kw=run.profile_kw,
            cost=0.0,
        )


def _window(run: ShiftableRun, horizon: Horizon, zone: ZoneInfo, day: date) -> tuple[int, int, int]:
    """First, default and last step at which a day's run may start.

    Where a clock change makes the window too short, the run starts with it.
    """
    ends = (
        local_day(day, zone).end
        if run.latest_end == time(23, 59)
        else local_moment(day, run.latest_end, zone)
    )
    first = _next_step(horizon, local_moment(day, run.earliest_start, zone))
    last = max(horizon.index(ends) - len(run.profile_kw), first)
    default = _next_step(horizon, local_moment(day, run.default_start, zone))
    return first, min(max(default, first), last), last


def _next_step(horizon: Horizon, moment: datetime) -> int:
    """The first step that starts at `moment` or later."""
    return -((horizon.start - moment) // horizon.step)


def _add_profile(base: Floats, run: ShiftableRun, step: int) -> None:
    """Subtract the part of a run's profile, started at `step`, that lies in the horizon."""
    for offset, draw in enumerate(run.profile_kw):
        if 0 <= step + offset < len(base):
            base[step + offset] -= draw


def _holding_kw(zone: ThermalZone, outdoor_degc: Floats) -> Floats:
    """Draw that holds the target temperature in the steady state, shape (T,)."""
    gap = zone.target_degc - outdoor_degc - zone.internal_gain_kw * zone.resistance_degc_per_kw
    return np.clip(gap / zone.degc_per_kw, 0.0, zone.max_draw_kw)
