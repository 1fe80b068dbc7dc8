"""How far the park could move now, up and down, within every limit: a series like any other.

Each device is asked for the most, and the least, that its state lets it do over the next quarter-hour;
the guard cuts that down to what all limits of the tree allow; what is left less what is measured is
the room. Who is not heard, or cannot be commanded, has none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp.act.guard import guard
from vpp.act.units import Seen, Units
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

UP, DOWN = "flexibility.up", "flexibility.down"
"""Series of `available_up_kw` and `available_down_kw`."""

HOURS = 0.25
"""For so long a device must be able to keep its new power."""


class Room(NamedTuple):
    """Sizes in kW."""

    available_up_kw: float
    """More net injection: fed more, or drawn less."""

    available_down_kw: float


def room(park: Park, units: Units, state: ParkState) -> Room:
    """How far the net injection of the park, compiled as `units`, could move from what is measured."""
    reading = {s.resource_id: s for s in state.resources if isinstance(s, Reading)}
    reach = {
        r.resource_id: _reach_kw(r, reading[r.resource_id])
        for r in park.electric
        if r.resource_id in reading
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


def _reach_kw(resource: Resource, now: Reading) -> tuple[float, float] | None:
    """Lowest and highest net injection over the next quarter-hour; None where nobody commands it."""
    kw = now.power_kw
    match resource:
        case Storage() if now.soc is not None:
            return _of_store(resource, now.soc)
        case Generator(weather_driven=True) if now.available_kw is not None:
            return resource.must_run_share * now.available_kw, now.available_kw
        case Generator(weather_driven=False):
            return 0.0, resource.max_feed_kw
        case CurtailableLoad():
            return kw, kw * (1 - resource.curtailable_share)
        case InterruptibleLoad() if (
            now.phase is RunPhase.RUNNING and (now.calls_today or 0) < resource.max_calls_per_day
        ):
            return kw, 0.0
        case ShiftableRun() if now.phase is RunPhase.WAITING:
            return -resource.profile_kw[0], kw
        case FlexibleLoad():
            return kw, 0.0
        case ThermalZone() if now.temperature_degc is not None:
            return _of_zone(resource, now.temperature_degc, kw)
        case EvFleet() if now.sessions is not None:
            wanted = sum(
                min(car.wanted_kwh / resource.charge_efficiency / HOURS, resource.charger_kw)
                for car in now.sessions
            )
            return -min(wanted, resource.max_draw_kw), 0.0
        case Converter():
            return -resource.draw_kw, resource.feed_kw
        case _:
            return None


def _of_store(store: Storage, soc: float) -> tuple[float, float]:
    out_kwh = max(soc - store.min_soc, 0.0) * store.capacity_kwh * store.discharge_efficiency
    in_kwh = (1 - soc) * store.capacity_kwh / store.charge_efficiency
    return (
        -min(store.most_charge_kw(soc), in_kwh / HOURS),
        min(store.most_discharge_kw(soc), out_kwh / HOURS),
    )


def _of_zone(zone: ThermalZone, degc: float, kw: float) -> tuple[float, float]:
    """Drawing moves a zone towards one end of its band, standing still lets it drift to the other."""
    towards, away = (
        (degc < zone.max_degc, degc > zone.min_degc)
        if zone.heating
        else (degc > zone.min_degc, degc < zone.max_degc)
    )
    return (-zone.max_draw_kw if towards else kw), (0.0 if away else kw)
