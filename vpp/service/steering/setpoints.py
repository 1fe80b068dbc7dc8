"""Set-points on their way: on disk, then to the devices.

All commands of one cycle are one entry of the journal, so that a thousand devices a second are a row a second.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import numpy as np

from vpp.act.guard import Guarded
from vpp.act.units import Bools
from vpp.errors import UnavailableError
from vpp.model.command import Setpoint
from vpp.ports import Journal, Unsent
from vpp.service.events import Severity
from vpp.service.kill import ALL
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.steering.commandrecord import encoded
from vpp.service.steering.steered import How
from vpp.service.strategies import members

SETPOINTS = "setpoints"
"""Kind of journal entries: the commands of a cycle, under `their highest number/digest`."""

SETPOINT = "setpoint"
"""Of entries written before, one for each command, under `its number/resource id`: read, no longer written."""


def newest_number(journal: Journal) -> int | None:
    """The highest number of any command on record, of either kind of entry; None where there is none.

    Keys sort as their numbers do.
    """
    keys = [journal.greatest_key(kind) for kind in (SETPOINTS, SETPOINT)]
    return max((int(key.split("/")[0]) for key in keys if key is not None), default=None)


def stopped(plant: Plant) -> Bools:
    """Who is not to be told anything: of a killed enterprise, or left alone by its owner. In park order."""
    names = {scope.name for scope in plant.latches if scope.kind == "enterprise"}
    units = plant.units
    killed = np.array([name in names for name in units.enterprises])[units.enterprise]
    return killed | members.units_left_alone(plant.strategies, units, plant.clock.now())


async def send(plant: Plant, guarded: Guarded, how: How, now: datetime) -> tuple[Setpoint, ...]:
    """What the guard let through: on disk first, with `how` it came to that, then to the devices. What was made.

    A link that is down costs its devices this cycle's commands.
    """
    plan = plant.schedule
    serves, version = ("", "") if plan is None else (plan.plan_id, plan.strategy_version)
    setpoints = plant.lives.commands(guarded, now, serves=serves, strategy_version=version)
    if not setpoints:
        return ()
    plant.reach("setpoint made")
    index = plant.units.index
    rows = np.array([index[one.resource_id] for one in setpoints], dtype=np.intp)
    body = encoded(setpoints, how.told(rows))
    highest = max(setpoint.seq for setpoint in setpoints)
    key = f"{highest:012d}/{hashlib.sha256(body).hexdigest()[:16]}"
    try:
        await append(plant, SETPOINTS, key, body, now=now)
        plant.reach("setpoint journalled")
    except UnavailableError as error:
        plant.lives.unsent(setpoints, now, reason=str(error))
        plant.events.emit("setpoints_unsent", str(error), at=now, severity=Severity.WARNING)
        return setpoints
    stopped_now = _stopped_meanwhile(plant, setpoints)
    go = [one for one in setpoints if one not in stopped_now] if stopped_now else setpoints
    unsent = (*stopped_now.values(), *(await plant.sink.send(go) if go else ()))
    _note_unsent(plant, unsent, now)
    kept = {one.setpoint.command_id for one in unsent}
    sent = [setpoint for setpoint in setpoints if setpoint.command_id not in kept]
    plant.lives.sent(sent, now)
    plant.setpoints = {**plant.setpoints, **{s.resource_id: s for s in sent}}
    plant.setpoints_sent += len(sent)
    plant.metrics.setpoints_sent(len(sent))
    plant.reach("setpoint sent")
    return setpoints


def _stopped_meanwhile(plant: Plant, setpoints: tuple[Setpoint, ...]) -> dict[Setpoint, Unsent]:
    """Commands whose enterprise, or everything, was killed while they were put on record."""
    latched = plant.kill.latched()
    if not latched:
        return {}
    names = {scope.name for scope in latched if scope.kind == "enterprise"}
    return {
        one: Unsent(setpoint=one, reason="the kill switch was set meanwhile")
        for one in setpoints
        if ALL in latched or one.enterprise_id in names
    }


def _note_unsent(plant: Plant, unsent: tuple[Unsent, ...], now: datetime) -> None:
    """Let the values be sent anew; tell each reason once, however many devices it keeps."""
    kept: dict[str, list[Setpoint]] = {}
    for one in unsent:
        kept.setdefault(one.reason, []).append(one.setpoint)
    for reason, setpoints in kept.items():
        plant.lives.unsent(setpoints, now, reason=reason)
        plant.acting.refused.update(setpoint.resource_id for setpoint in setpoints)
        text = f"{len(setpoints)} set-points did not leave: {reason}"
        plant.events.emit("setpoints_unsent", text, at=now, severity=Severity.WARNING)
