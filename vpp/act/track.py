"""Was it done? Finds devices that say yes and do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from vpp.act.dispatch import InForce
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    CurtailableLoad,
    EvFleet,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
)


def not_following(
    in_force: Iterable[InForce], state: ParkState, park: Park, now: datetime, *, tolerance_kw: float
) -> tuple[ResourceId, ...]:
    """Resources that have acknowledged a command and, with time enough to get there, do not obey.

    Time enough is the device's delay and its ramp over its whole range, counted from when the value
    was first asked for. Who has not acknowledged, or is not known, is not judged here.
    """
    readings = {r.resource_id: r for r in state.resources if isinstance(r, Reading)}
    stray: list[ResourceId] = []
    for force in in_force:
        name = force.setpoint.resource_id
        resource, reading = park.resource_by_id[name], readings.get(name)
        if reading is None or reading.setpoint_seq is None or force.setpoint.expires_at <= now:
            continue
        settled_at = force.since + _settling(resource)
        if reading.setpoint_seq < force.since_seq or reading.measured_at < settled_at:
            continue
        if not _obeys(resource, reading, force.setpoint.power_kw, tolerance_kw):
            stray.append(name)
    return tuple(stray)


def _settling(resource: Resource) -> timedelta:
    ramp = timedelta(minutes=(resource.feed_kw + resource.draw_kw) / resource.ramp_kw_per_min)
    return timedelta(seconds=resource.response_delay_s) + ramp


def _obeys(resource: Resource, reading: Reading, asked_kw: float, tolerance_kw: float) -> bool:
    """Whether the power measured is what the command means to this kind."""
    kw = reading.power_kw
    match resource:
        case Generator():
            return kw <= asked_kw + tolerance_kw
        case CurtailableLoad():  # what cannot be turned down comes by itself, in this much at most
            stays_kw = resource.max_draw_kw * (1 - resource.curtailable_share)
            return kw >= min(asked_kw, -stays_kw) - tolerance_kw
        case EvFleet():  # cars may want less than they are allowed
            return kw >= asked_kw - tolerance_kw
        case ShiftableRun() if asked_kw < 0:
            return reading.phase in (RunPhase.RUNNING, RunPhase.DONE)
        case InterruptibleLoad():  # a call ends by itself while its command still lives
            return reading.phase is RunPhase.CALLED or (reading.calls_today or 0) > 0
        case Storage() if resource.node_id is not None:
            return True  # what its network leaves over is what it takes
        case Storage() if _cannot(resource, reading.soc, asked_kw):
            return True
        case _:
            return abs(kw - asked_kw) <= tolerance_kw


def _cannot(store: Storage, soc: float | None, asked_kw: float) -> bool:
    """An empty store that stops discharging, or a full one that stops charging, is not disobedient."""
    if soc is None:
        return False
    return soc <= store.min_soc if asked_kw > 0 else soc >= 1
