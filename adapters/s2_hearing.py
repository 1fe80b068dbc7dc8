"""What a message of a resource manager changes in what is known of its device. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from adapters.s2_device import S2State
from adapters.s2_wire import (
    FrbcActuatorStatus,
    FrbcFillLevelTargetProfile,
    FrbcStorageStatus,
    FrbcSystemDescription,
    FrbcTimerStatus,
    Incoming,
    InstructionStatusUpdate,
    PebcPowerConstraints,
    PowerMeasurement,
    Progress,
    Reception,
    RevokeObject,
)
from vpp.wire import AckMessage, TelemetryMessage

TAKEN = frozenset({Progress.ACCEPTED, Progress.STARTED, Progress.SUCCEEDED})
FOLLOWED = frozenset({Progress.STARTED, Progress.SUCCEEDED})
REFUSED = frozenset({Progress.REJECTED, Progress.REVOKED, Progress.ABORTED})


@dataclass(frozen=True, slots=True)
class Heard:
    """What is told inward of a message, and how it was received."""

    told: tuple[TelemetryMessage | AckMessage, ...] = ()
    reception: Reception = Reception.OK


def hear(state: S2State, message: Incoming, now: datetime) -> Heard:
    """Take one message; those that have nothing to do here are content that cannot be."""
    match message:
        case PowerMeasurement():
            telemetry = state.take_power(message, now)
            return Heard(() if telemetry is None else (telemetry,))
        case FrbcStorageStatus():
            state.fill_level = message.present_fill_level
        case FrbcActuatorStatus():
            return _status(state, message, now)
        case FrbcTimerStatus():
            state.take_timer(message.timer_id, message.finished_at)
        case FrbcFillLevelTargetProfile():
            state.targets = message
        case FrbcSystemDescription():
            state.describe(message)
        case PebcPowerConstraints():
            state.constrain(message)
        case RevokeObject():
            return _revoked(state, message)
        case InstructionStatusUpdate():
            return _progress(state, message, now)
        case _:
            return Heard(reception=Reception.INVALID_CONTENT)
    return Heard()


def _status(state: S2State, message: FrbcActuatorStatus, now: datetime) -> Heard:
    changed = state.take_status(message, now)
    if changed is None:
        return Heard()
    return _let_go(state, f"somebody else changed it: {changed}", now)


def _revoked(state: S2State, message: RevokeObject) -> Heard:
    """What it can do is not known any more; it tells it anew, or is not told anything."""
    if message.object_type == "FRBC.SystemDescription":
        state.describe(None)
    elif message.object_type == "PEBC.PowerConstraints":
        held = state.constraints
        if held is not None and held.id == message.object_id:
            state.constrain(None)
    return Heard()


def _progress(state: S2State, message: InstructionStatusUpdate, now: datetime) -> Heard:
    if message.instruction_id == state.end_id and message.status_type in REFUSED:
        state.end_id = None
        return _let_go(state, f"it keeps no end of it: {message.status_type.value}", now)
    setpoint = state.instructions.get(message.instruction_id)
    if setpoint is None:
        return Heard()  # of one that gave way, or of an end that has come
    if message.status_type in TAKEN:
        if state.force is setpoint and message.status_type in FOLLOWED:
            state.agreed = True
        told = state.answer(setpoint, now)
        return Heard(() if told is None else (told,))
    newest = next(reversed(state.instructions))
    if message.status_type in REFUSED and message.instruction_id == newest:
        return _let_go(state, f"it says {message.status_type.value}", now)
    return Heard()


def _let_go(state: S2State, reason: str, now: datetime) -> Heard:
    """The command in force is refused, and the device let go as soon as it can be told."""
    setpoint, state.let_go = state.force, True
    state.dropped()
    told = None if setpoint is None else state.answer(setpoint, now, reason=reason)
    return Heard(() if told is None else (told,))
