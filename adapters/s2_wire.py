"""The messages of S2 (EN 50491-12-2, as JSON) that are read and written here, as types.

Names, bounds and required fields are those of the JSON schema of the standard's authors
(flexiblepower/s2-ws-json, 0.0.2-beta). What a resource manager may say and nobody here uses (forecasts,
leakage, the control types PPBC, OMBC, DDBC) has no type: it is acknowledged and left aside.

Powers are watts, and drawing counts positive: `s2_device.py` turns them round.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

Id = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9\-_:]{2,64}$")]
Aware = Annotated[datetime, Meta(tz=True)]
Milliseconds = Annotated[int, Meta(ge=0, le=366 * 86_400_000)]
Label: TypeAlias = str | None

VERSIONS = ("0.0.2-beta", "0.0.1-beta")
"""Best first; in what is spoken here the two do not differ."""

NOBODY = "00000000-0000-0000-0000-000000000000"
"""The message that an answer is to, where what came had no id that could be read."""


class Quantity(StrEnum):
    """What a power is a power of; others than these are left aside."""

    L1 = "ELECTRIC.POWER.L1"
    L2 = "ELECTRIC.POWER.L2"
    L3 = "ELECTRIC.POWER.L3"
    SYMMETRIC = "ELECTRIC.POWER.3_PHASE_SYMMETRIC"


ELECTRIC = frozenset(quantity.value for quantity in Quantity)


class Control(StrEnum):
    """Control types; the last two are none."""

    PEBC = "POWER_ENVELOPE_BASED_CONTROL"
    FRBC = "FILL_RATE_BASED_CONTROL"
    NONE = "NO_SELECTION"


class Reception(StrEnum):
    """How a message was received; that says nothing of what becomes of it."""

    OK = "OK"
    INVALID_DATA = "INVALID_DATA"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_CONTENT = "INVALID_CONTENT"
    TEMPORARY_ERROR = "TEMPORARY_ERROR"
    PERMANENT_ERROR = "PERMANENT_ERROR"


class Progress(StrEnum):
    """How far an instruction has come."""

    NEW = "NEW"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    ABORTED = "ABORTED"


class LimitType(StrEnum):
    """Which end of an envelope a range is about."""

    UPPER = "UPPER_LIMIT"
    LOWER = "LOWER_LIMIT"


class _Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a message; fields that are not known are left aside."""


class _Message(Struct, frozen=True, kw_only=True, tag_field="message_type", omit_defaults=True):
    """What every message has."""

    message_id: Id


# ---------------------------------------------------------------- parts


class NumberRange(_Part, frozen=True, kw_only=True):
    """Two ends; the first may be the greater one where a factor runs from it to the other."""

    start_of_range: float
    end_of_range: float


class PowerValue(_Part, frozen=True, kw_only=True):
    """A measured power."""

    commodity_quantity: str
    value: float


class PowerRange(_Part, frozen=True, kw_only=True):
    """Powers from a factor of 0 to one of 1."""

    start_of_range: float
    end_of_range: float
    commodity_quantity: str


class OperationModeElement(_Part, frozen=True, kw_only=True):
    """What a mode does while the fill level lies in a range."""

    fill_level_range: NumberRange
    fill_rate: NumberRange
    power_ranges: Annotated[tuple[PowerRange, ...], Meta(min_length=1, max_length=10)]


class OperationMode(_Part, frozen=True, kw_only=True):
    """One way to run; a factor between 0 and 1 says how much of it."""

    id: Id
    elements: Annotated[tuple[OperationModeElement, ...], Meta(min_length=1, max_length=100)]
    abnormal_condition_only: bool


class Transition(_Part, frozen=True, kw_only=True, rename={"from_id": "from", "to_id": "to"}):
    """A way from one mode to another."""

    id: Id
    from_id: Id
    to_id: Id
    start_timers: Annotated[tuple[Id, ...], Meta(max_length=1000)]
    blocking_timers: Annotated[tuple[Id, ...], Meta(max_length=1000)]
    abnormal_condition_only: bool


class Actuator(_Part, frozen=True, kw_only=True):
    """What fills or empties a storage."""

    id: Id
    operation_modes: Annotated[tuple[OperationMode, ...], Meta(min_length=1, max_length=100)]
    transitions: Annotated[tuple[Transition, ...], Meta(max_length=1000)]


class Storage(_Part, frozen=True, kw_only=True):
    """What is filled."""

    fill_level_range: NumberRange


class TargetElement(_Part, frozen=True, kw_only=True):
    """Where the fill level must lie for a while."""

    duration: Milliseconds
    fill_level_range: NumberRange


class AllowedRange(_Part, frozen=True, kw_only=True):
    """Where one end of an envelope may lie."""

    commodity_quantity: str
    limit_type: LimitType
    range_boundary: NumberRange
    abnormal_condition_only: bool


class EnvelopeElement(_Part, frozen=True, kw_only=True):
    """Limits for a while."""

    duration: Milliseconds
    upper_limit: float
    lower_limit: float


class Envelope(_Part, frozen=True, kw_only=True):
    """Limits of one quantity."""

    id: Id
    commodity_quantity: str
    power_envelope_elements: tuple[EnvelopeElement, ...]


# ---------------------------------------------------------------- messages


class ReceptionStatus(
    Struct, frozen=True, kw_only=True, tag_field="message_type", tag="ReceptionStatus", omit_defaults=True
):  # fmt: skip
    """The answer to every message but itself."""

    subject_message_id: Id
    status: Reception
    diagnostic_label: Label = None


class Handshake(_Message, frozen=True, kw_only=True, tag="Handshake"):
    """The first message of each side."""

    role: str
    supported_protocol_versions: tuple[str, ...] | UnsetType = UNSET


class HandshakeResponse(_Message, frozen=True, kw_only=True, tag="HandshakeResponse"):
    """The version that we chose."""

    selected_protocol_version: str


class ResourceManagerDetails(_Message, frozen=True, kw_only=True, tag="ResourceManagerDetails"):
    """What a resource manager is and can do."""

    resource_id: Id
    available_control_types: Annotated[tuple[str, ...], Meta(min_length=1, max_length=5)]
    name: Label = None


class SelectControlType(_Message, frozen=True, kw_only=True, tag="SelectControlType"):
    """By which control type it is to listen; NO_SELECTION lets it go."""

    control_type: Control


class SessionRequest(_Message, frozen=True, kw_only=True, tag="SessionRequest"):
    """A wish to end the session, or to begin it anew."""

    request: str
    diagnostic_label: Label = None


class RevokeObject(_Message, frozen=True, kw_only=True, tag="RevokeObject"):
    """Something that was told holds no longer."""

    object_type: str
    object_id: Id


class PowerMeasurement(_Message, frozen=True, kw_only=True, tag="PowerMeasurement"):
    """What is drawn now."""

    measurement_timestamp: Aware
    values: Annotated[tuple[PowerValue, ...], Meta(min_length=1, max_length=10)]


class InstructionStatusUpdate(_Message, frozen=True, kw_only=True, tag="InstructionStatusUpdate"):
    """What became of an instruction."""

    instruction_id: Id
    status_type: Progress
    timestamp: Aware


class FrbcSystemDescription(_Message, frozen=True, kw_only=True, tag="FRBC.SystemDescription"):
    """A storage and what fills it; a newer one takes its place."""

    valid_from: Aware
    actuators: Annotated[tuple[Actuator, ...], Meta(min_length=1, max_length=10)]
    storage: Storage


class FrbcStorageStatus(_Message, frozen=True, kw_only=True, tag="FRBC.StorageStatus"):
    """How full it is."""

    present_fill_level: float


class FrbcActuatorStatus(_Message, frozen=True, kw_only=True, tag="FRBC.ActuatorStatus"):
    """How it runs."""

    actuator_id: Id
    active_operation_mode_id: Id
    operation_mode_factor: float


class FrbcTimerStatus(_Message, frozen=True, kw_only=True, tag="FRBC.TimerStatus"):
    """Until when a timer runs."""

    timer_id: Id
    actuator_id: Id
    finished_at: Aware


class FrbcFillLevelTargetProfile(
    _Message, frozen=True, kw_only=True, tag="FRBC.FillLevelTargetProfile"
):
    """How full it is to be, one span after the other from `start_time` on."""

    start_time: Aware
    elements: Annotated[tuple[TargetElement, ...], Meta(min_length=1, max_length=288)]


class FrbcInstruction(_Message, frozen=True, kw_only=True, tag="FRBC.Instruction"):
    """Run in a mode, from a moment on."""

    id: Id
    actuator_id: Id
    operation_mode: Id
    operation_mode_factor: float
    execution_time: Aware
    abnormal_condition: bool


class PebcPowerConstraints(_Message, frozen=True, kw_only=True, tag="PEBC.PowerConstraints"):
    """Which envelopes may be asked for."""

    id: Id
    valid_from: Aware
    allowed_limit_ranges: Annotated[tuple[AllowedRange, ...], Meta(min_length=2, max_length=100)]
    valid_until: Aware | None = None


class PebcInstruction(_Message, frozen=True, kw_only=True, tag="PEBC.Instruction"):
    """Stay within envelopes, from a moment on until their elements have ended."""

    id: Id
    execution_time: Aware
    abnormal_condition: bool
    power_constraints_id: Id
    power_envelopes: tuple[Envelope, ...]


Incoming: TypeAlias = (
    ReceptionStatus
    | Handshake
    | ResourceManagerDetails
    | SessionRequest
    | RevokeObject
    | PowerMeasurement
    | InstructionStatusUpdate
    | FrbcSystemDescription
    | FrbcStorageStatus
    | FrbcActuatorStatus
    | FrbcTimerStatus
    | FrbcFillLevelTargetProfile
    | PebcPowerConstraints
)
"""What is read of a resource manager."""

Outgoing: TypeAlias = (
    ReceptionStatus
    | Handshake
    | HandshakeResponse
    | SelectControlType
    | SessionRequest
    | RevokeObject
    | FrbcInstruction
    | PebcInstruction
)

UNUSED = frozenset(
    {
        "PowerForecast",
        "FRBC.LeakageBehaviour",
        "FRBC.UsageForecast",
        "PEBC.EnergyConstraint",
        "PPBC.PowerProfileDefinition",
        "PPBC.PowerProfileStatus",
        "OMBC.SystemDescription",
        "OMBC.Status",
        "OMBC.TimerStatus",
        "DDBC.SystemDescription",
        "DDBC.ActuatorStatus",
        "DDBC.AverageDemandRateForecast",
        "DDBC.TimerStatus",
    }
)
"""Messages of the standard that nothing here is made of."""


class Unused(Struct, frozen=True, kw_only=True):
    """A message of the standard that is acknowledged and left aside."""

    message_id: str


class OddMessageError(Exception):
    """What came is no message of the standard; with what to answer."""

    def __init__(self, what: str, *, subject_id: str, status: Reception) -> None:
        super().__init__(what)
        self.subject_id, self.status = subject_id, status


class _Envelope(Struct):
    """As much of a message as an answer to it needs."""

    message_type: str = ""
    message_id: Any = None


TIMES = (
    *("measurement_timestamp", "timestamp", "valid_from", "valid_until", "finished_at"),
    "start_time",
)

_read = msgspec.json.Decoder(Incoming).decode
_look = msgspec.json.Decoder(_Envelope).decode
_write = msgspec.json.Encoder().encode
_is_id = msgspec.json.Decoder(Id).decode


def read(text: str) -> Incoming | Unused:
    """One message of a resource manager.

    Raises:
        OddMessageError: It is none.
    """
    raw = text.encode("utf-8", "replace")
    try:
        message: Incoming = _read(raw)
        _require_times(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        what = str(error)[:200] or "nested too deeply"
    else:
        return message
    try:
        seen = _look(raw)
    except (msgspec.MsgspecError, RecursionError):
        raise OddMessageError(what, subject_id=NOBODY, status=Reception.INVALID_DATA) from None
    subject = _id_of(seen.message_id)
    if subject is None:
        raise OddMessageError(what, subject_id=NOBODY, status=Reception.INVALID_DATA)
    if seen.message_type in UNUSED:
        return Unused(message_id=subject)
    raise OddMessageError(what, subject_id=subject, status=Reception.INVALID_MESSAGE)


def write(message: Outgoing) -> str:
    """One message as it goes over the wire."""
    return _write(message).decode()


def _require_times(message: Incoming) -> None:
    """Refuse years that no calendar of UTC reaches from every zone: a clock that was never set."""
    for name in TIMES:
        moment = getattr(message, name, None)
        if moment is not None and not 1970 <= moment.year <= 2200:
            raise msgspec.ValidationError(f"{name} lies outside the years 1970 to 2200")


def _id_of(found: Any) -> str | None:
    try:
        return _is_id(_write(found))
    except (msgspec.MsgspecError, TypeError):
        return None
