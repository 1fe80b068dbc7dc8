"""One id from telemetry to delivery: every line of the log that belongs to a cycle carries it.

    telemetry seq 41 ─▶ state frozen by act@2025-12-03T18:00:00Z ─▶ set-point battery-77 ─▶ ack ─▶ result
                                       plan-000012 of plan@2025-12-03T18:00:00Z ──┘

The id is the cycle's name and moment, so that it needs no place of its own: an event has the same moment, a
command was issued at it, and a plan too. The journal, which is for ever, is joined by it as well
(`recorded_at` of set-points, `issued_at` of a plan). HTTP requests have ids of their own, which answers
carry as X-Request-ID.

Lines of single set-points are of the level info: `vpp run --log info`. A daemon at its usual level
pays a look at the level for them, and nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from vpp.act.results import Refused, Result, UnknownResult
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Reading
from vpp.model.time import isoformat
from vpp.service.plant import Plant

log = structlog.get_logger("vpp.chain")
Cycle = Callable[[Plant, datetime], Coroutine[Any, Any, None]]


def id_of(cycle: str, at: datetime) -> str:
    """The id of one run of a cycle."""
    return f"{cycle}@{isoformat(at)}"


def correlated(cycle: Cycle) -> Cycle:
    """What happens in this cycle is logged with its id, in whatever it calls."""
    name = cycle.__name__

    @wraps(cycle)
    async def run(plant: Plant, now: datetime) -> None:
        with bound_contextvars(correlation_id=id_of(name, now)):
            await cycle(plant, now)

    return run


def tell_setpoints(plant: Plant, state: ParkState, made: Sequence[Setpoint]) -> None:
    """Of each command: from which telemetry, by which plan, and whether it left."""
    if not log.is_enabled_for(logging.INFO):
        return
    schedule = plant.schedule
    plan = None if schedule is None else id_of("plan", schedule.issued_at)
    for setpoint in made:
        seen = state.reading(setpoint.resource_id)
        left = plant.setpoints.get(setpoint.resource_id)
        log.info(
            "set-point",
            command_id=setpoint.command_id,
            resource_id=setpoint.resource_id,
            power_kw=round(setpoint.power_kw, 3),
            left=left is not None and left.command_id == setpoint.command_id,
            plan_id=setpoint.serves,
            plan_correlation_id=plan,
            strategy_version=setpoint.strategy_version,
            **_telemetry(seen),
        )


def tell_ack(plant: Plant, device: ResourceId, *, seq: int, accepted: bool, reason: str) -> None:
    """A device's answer, with the id of the cycle that its newest command is of."""
    if not log.is_enabled_for(logging.INFO):
        return
    asked = plant.setpoints.get(device)
    of = asked if asked is not None and asked.seq == seq else None
    log.info(
        "ack",
        command_id=None if of is None else of.command_id,
        resource_id=device,
        seq=seq,
        accepted=accepted,
        reason=reason,
        correlation_id=None if of is None else id_of("act", of.issued_at),
    )


def tells_each() -> bool:
    """Whether single set-points and what they came to are logged; asked once for many."""
    return bool(log.is_enabled_for(logging.INFO))


def tell_result(result: Result, outcome: str, issued_at: datetime | None) -> None:
    """What a command came to, as measured, with the id of the cycle that it is of; where each is told."""
    measured_kw = None if isinstance(result, Refused | UnknownResult) else result.measured_kw
    log.info(
        "result",
        command_id=result.instruction.command_id,
        resource_id=result.instruction.resource_id,
        outcome=outcome,
        measured_kw=None if measured_kw is None else round(measured_kw, 3),
        correlation_id=None if issued_at is None else id_of("act", issued_at),
    )


def _telemetry(seen: Reading | None) -> dict[str, object]:
    if seen is None:
        return {"telemetry_seq": None, "measured_at": None}
    return {"telemetry_seq": seen.seq, "measured_at": isoformat(seen.measured_at)}
