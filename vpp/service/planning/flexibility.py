"""How far the park could move now, up and down, within every limit: a series like any other.

Each device is asked for the most, and the least, that its state lets it do over the next quarter-hour, or over
longer; the guard cuts that down to what all limits of the tree allow; what is left less what is measured is
the room. Who is not heard, cannot be commanded, or must be told longer before, has none. The longer it is to be
held, the less there is of it where energy is behind it: a store, a car that must be charged in time, a zone that
must stay in its band.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np

from vpp.act.guard import guard
from vpp.act.units import Seen, Units
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.time import QUARTER

UP, DOWN = "flexibility.up", "flexibility.down"
"""Series of `available_up_kw` and `available_down_kw`."""

HOURS = 0.25
"""For so long a device must be able to keep its new power where nothing else is asked for."""


class Room(NamedTuple):
    """Sizes in kW."""

    available_up_kw: float
    """More net injection: fed more, or drawn less."""

    available_down_kw: float


def room(
    park: Park,
    units: Units,
    state: ParkState,
    *,
    hours: float = HOURS,
    among: Set[ResourceId] | None = None,
) -> Room:
    """How far the net injection of the park, compiled as `units`, could move from what is measured.

    What is told could be held for `hours`; where `among` names resources, by moving them alone.
    """
    reading = {s.resource_id: s for s in state.resources if isinstance(s, Reading)}
    reach = {
        r.resource_id: _reach_kw(r, reading[r.resource_id], hours, state.taken_at)
        for r in park.electric
        if r.resource_id in reading and (among is None or r.resource_id in among)
    }
    seen, nobody = Seen.of(units, state), np.zeros(len(units), dtype=np.bool_)
    moved_kw = []
    for side in (1, 0):
        wanted_kw = units.powers_kw(
            {name: ends[side] for name, ends in reach.items() if ends is not None}
        )
        allowed_kw = guard(units, seen, wanted_kw, now=state.taken_at, stopped=nobody).power_kw
        moved_kw.append(float(np.nansum(allowed_kw - seen.power_kw)))
    return Room(max(moved_kw[0], 0.0), max(-moved_kw[1], 0.0))


def _reach_kw(
    resource: Resource, now: Reading, hours: float, at: datetime
) -> tuple[float, float] | None:
    """Lowest and highest net injection that it can keep for `hours`; None where nobody commands it."""
    kw, hold = now.power_kw, timedelta(hours=hours)
    match resource:
        case Storage() if now.soc is not None:
            return _of_store(resource, now.soc, hours)
        case Generator(weather_driven=True) if now.available_kw is not None:
            return resource.must_run_share * now.available_kw, now.available_kw
        case Generator(weather_driven=False):
            return 0.0, resource.max_feed_kw
        case CurtailableLoad() if resource.notice <= QUARTER and (
            resource.longest_call is None or hold <= resource.longest_call
        ):
            return kw, kw * (1 - resource.curtailable_share)
        case InterruptibleLoad() if (
            now.phase is RunPhase.RUNNING
            and (now.calls_today or 0) < resource.max_calls_per_day
            and hold <= (resource.longest_call or resource.call_length)
        ):
            return kw, 0.0
        case ShiftableRun() if now.phase is RunPhase.WAITING and hold <= resource.length:
            return -min(resource.profile_kw[: ceil(4 * hours)]), kw
        case FlexibleLoad():
            return kw, 0.0
        case ThermalZone() if now.temperature_degc is not None:
            return _of_zone(resource, now.temperature_degc, kw, hours)
        case EvFleet() if now.sessions is not None:
            return _of_cars(resource, now, hours, at)
        case Converter():
            return -resource.draw_kw, resource.feed_kw
        case _:
            return None


def _of_store(store: Storage, soc: float, hours: float) -> tuple[float, float]:
    out_kwh = max(soc - store.min_soc, 0.0) * store.capacity_kwh * store.discharge_efficiency
    in_kwh = (1 - soc) * store.capacity_kwh / store.charge_efficiency
    return (
        -min(store.most_charge_kw(soc), in_kwh / hours),
        min(store.most_discharge_kw(soc), out_kwh / hours),
    )


def _of_cars(fleet: EvFleet, now: Reading, hours: float, at: datetime) -> tuple[float, float]:
    """Each car draws all that it wants, or so little that it still gets the rest before it leaves."""
    most_kw = least_kw = 0.0
    for car in now.sessions or ():
        asked_kwh = car.wanted_kwh / fleet.charge_efficiency
        later_hours = max((car.departs_at - at) / timedelta(hours=1) - hours, 0.0)
        most_kw += min(asked_kwh / hours, fleet.charger_kw)
        must_kw = max(asked_kwh - later_hours * fleet.charger_kw, 0.0) / hours
        least_kw += min(must_kw, fleet.charger_kw)
    return -min(most_kw, fleet.max_draw_kw), -min(least_kw, fleet.max_draw_kw)


def _of_zone(zone: ThermalZone, degc: float, kw: float, hours: float) -> tuple[float, float]:
    """Drawing moves a zone towards one end of its band, standing still lets it drift to the other."""
    towards_degc, away_degc = zone.max_degc - degc, degc - zone.min_degc
    if not zone.heating:
        towards_degc, away_degc = away_degc, towards_degc
    lowest = -zone.max_draw_kw if towards_degc > 0 else kw
    highest = 0.0 if away_degc > 0 else kw
    if hours <= HOURS:
        return lowest, highest
    # Beside what it draws now, which holds its temperature: the heat of the band that is left.
    per_degc_kw = zone.capacity_kwh_per_degc / (zone.cop * hours)
    return (
        max(lowest, kw - max(towards_degc, 0.0) * per_degc_kw),
        min(highest, kw + max(away_degc, 0.0) * per_degc_kw),
    )
