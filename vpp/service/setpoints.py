"""Set-points on their way: on disk, then to the devices; and who does not follow them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from vpp.act.track import not_following
from vpp.errors import UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState
from vpp.model.time import isoformat
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append_all

SETPOINT = "setpoint"
"""Kind of journal entries."""


def setpoint_number(key: str) -> int:
    """The number of a command from its key in the journal; keys sort as their numbers do."""
    return int(key.split("/")[0])


def not_stopped(plant: Plant, power_kw: Mapping[ResourceId, float]) -> dict[ResourceId, float]:
    """Leave out who belongs to a killed enterprise: its set-points expire."""
    stopped = {scope.name for scope in plant.latches if scope.kind == "enterprise"}
    owner = plant.file.park.resource_by_id
    return {name: kw for name, kw in power_kw.items() if owner[name].enterprise_id not in stopped}


async def send(plant: Plant, setpoints: tuple[Setpoint, ...], now: datetime) -> None:
    """On disk first, then to the devices; a link that is down costs this cycle's commands."""
    if not setpoints:
        return
    plant.reach("setpoint made")
    entries = [
        (SETPOINT, f"{s.seq:012d}/{s.resource_id}", msgspec.json.encode(_record(s)))
        for s in setpoints
    ]
    try:
        await append_all(plant, entries, now=now)
        plant.reach("setpoint journalled")
        await plant.sink.send(setpoints)
    except UnavailableError as error:
        plant.dispatcher.forget(setpoints)
        plant.events.emit("setpoints_unsent", str(error), at=now, severity=Severity.WARNING)
        return
    plant.setpoints = {**plant.setpoints, **{s.resource_id: s for s in setpoints}}
    plant.setpoints_sent += len(setpoints)
    plant.metrics.setpoints_sent(len(setpoints))
    plant.reach("setpoint sent")


def _record(setpoint: Setpoint) -> dict[str, object]:
    return {
        "resource_id": setpoint.resource_id,
        "power_kw": setpoint.power_kw,
        "expires_at": isoformat(setpoint.expires_at),
        "serves": setpoint.serves,
    }


def note_followers(plant: Plant, state: ParkState, now: datetime) -> None:
    """Tell once who acknowledges and does not obey, and once when it obeys again."""
    stray = frozenset(
        not_following(
            plant.dispatcher.in_force(now),
            state,
            plant.file.park,
            now,
            tolerance_kw=max(plant.file.control.deadband_kw, 5.0),
        )
    )
    for name in sorted(stray - plant.not_following):
        plant.events.emit(
            "not_following",
            f"{name} acknowledges its set-point and does not follow",
            at=now,
            severity=Severity.WARNING,
            resource_id=name,
        )
    plant.not_following = stray
