"""OCPP 2.0.1: payloads to words, and words to payloads.

As `ocpp16.py`. A point is an EVSE here, whatever connectors it has. A transaction is told by events, its
id is the station's own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from adapters.ocpp16 import LIMIT_ID, MEASURANDS, SAFE_ID
from adapters.ocpp_samples import ENERGY, Sums, useful
from adapters.ocpp_words import (
    Asked,
    Beat,
    Began,
    Booted,
    Ended,
    Limit,
    Metered,
    Needs,
    Noted,
    Plug,
    Sample,
    Shown,
    Status,
    Went,
    Word,
    WordError,
    moment,
    status_of,
    told,
)

T = TypeVar("T")
MOST_ID = 36
"""Characters of a transaction's id."""


class _Station(msgspec.Struct):
    model: str
    vendorName: str  # noqa: N815  the words of the standard, here and below
    serialNumber: str = ""  # noqa: N815
    firmwareVersion: str = ""  # noqa: N815


class _Boot(msgspec.Struct):
    chargingStation: _Station  # noqa: N815
    reason: str


class _Unit(msgspec.Struct):
    unit: str = "Wh"
    multiplier: int = 0


class _Value(msgspec.Struct):
    value: float
    measurand: str = ENERGY
    phase: str | None = None
    unitOfMeasure: _Unit | None = None  # noqa: N815


class _MeterValue(msgspec.Struct):
    timestamp: str
    sampledValue: list[_Value]  # noqa: N815


class _MeterValues(msgspec.Struct):
    evseId: int  # noqa: N815
    meterValue: list[_MeterValue]  # noqa: N815


class _StatusNotification(msgspec.Struct):
    timestamp: str
    connectorStatus: str  # noqa: N815
    evseId: int  # noqa: N815
    connectorId: int  # noqa: N815


class _Evse(msgspec.Struct):
    id: int


class _Token(msgspec.Struct):
    idToken: str  # noqa: N815


class _Transaction(msgspec.Struct):
    transactionId: str  # noqa: N815
    chargingState: str | None = None  # noqa: N815


class _Event(msgspec.Struct):
    eventType: Literal["Started", "Updated", "Ended"]  # noqa: N815
    timestamp: str
    triggerReason: str  # noqa: N815
    seqNo: int  # noqa: N815
    transactionInfo: _Transaction  # noqa: N815
    meterValue: list[_MeterValue] = []  # noqa: N815
    evse: _Evse | None = None
    idToken: _Token | None = None  # noqa: N815


class _Authorize(msgspec.Struct):
    idToken: _Token  # noqa: N815


class _Ac(msgspec.Struct):
    energyAmount: int  # noqa: N815


class _Dc(msgspec.Struct):
    energyAmount: int | None = None  # noqa: N815


class _ChargingNeeds(msgspec.Struct):
    departureTime: str | None = None  # noqa: N815
    acChargingParameters: _Ac | None = None  # noqa: N815
    dcChargingParameters: _Dc | None = None  # noqa: N815


class _Needs(msgspec.Struct):
    evseId: int  # noqa: N815
    chargingNeeds: _ChargingNeeds  # noqa: N815


class _Period(msgspec.Struct):
    startPeriod: int  # noqa: N815
    limit: float


class _Schedule(msgspec.Struct):
    chargingRateUnit: Literal["A", "W"]  # noqa: N815
    chargingSchedulePeriod: list[_Period]  # noqa: N815


class _Composite(msgspec.Struct):
    status: str
    schedule: _Schedule | None = None


class _SetResult(msgspec.Struct):
    attributeStatus: str  # noqa: N815


class _SetVariables(msgspec.Struct):
    setVariableResult: list[_SetResult]  # noqa: N815


_boot = msgspec.json.Decoder(_Boot)
_meter_values = msgspec.json.Decoder(_MeterValues)
_status = msgspec.json.Decoder(_StatusNotification)
_event = msgspec.json.Decoder(_Event)
_authorize = msgspec.json.Decoder(_Authorize)
_needs = msgspec.json.Decoder(_Needs)
_composite = msgspec.json.Decoder(_Composite)
_set_variables = msgspec.json.Decoder(_SetVariables)

PLUGS = {
    "Available": Plug.FREE,
    "Occupied": Plug.OCCUPIED,
    "Reserved": Plug.FREE,
    "Unavailable": Plug.OUT_OF_ORDER,
    "Faulted": Plug.OUT_OF_ORDER,
}
STATES = {
    "Charging": Plug.CHARGING,
    "EVConnected": Plug.OCCUPIED,
    "SuspendedEV": Plug.SUSPENDED_EV,
    "SuspendedEVSE": Plug.SUSPENDED_EVSE,
    "Idle": Plug.OCCUPIED,
}

NOTED: dict[str, Any] = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "FirmwareStatusNotification": {},
    "LogStatusNotification": {},
    "SecurityEventNotification": {},
    "NotifyChargingLimit": {},
    "ClearedChargingLimit": {},
    "NotifyEvent": {},
    "NotifyReport": {},
    "NotifyMonitoringReport": {},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "ReservationStatusUpdate": {},
}
"""Calls that are answered and not used."""


class Ocpp201:
    """A `Dialect`."""

    subprotocol = "ocpp2.0.1"

    def read(self, action: str, payload: msgspec.Raw) -> Word:
        """See `Dialect.read`."""
        match action:
            case "TransactionEvent":
                return _event_word(_decoded(_event, payload))
            case "MeterValues":
                said = _decoded(_meter_values, payload)
                return Metered(said.evseId, None, _samples(said.meterValue))
            case "Heartbeat":
                return Beat()
            case "StatusNotification":
                return _status_word(_decoded(_status, payload))
            case "NotifyEVChargingNeeds":
                return _needs_word(_decoded(_needs, payload))
            case "Authorize":
                return Asked(_decoded(_authorize, payload).idToken.idToken[:36])
            case "BootNotification":
                boot = _decoded(_boot, payload).chargingStation
                return Booted(
                    boot.vendorName[:50],
                    boot.model[:50],
                    boot.serialNumber[:50],
                    boot.firmwareVersion[:50],
                )
        if action in NOTED:
            return Noted(NOTED[action])
        raise WordError("NotImplemented", f"{action[:40]!r} is no call that we answer")

    def answer(
        self, word: Word, *, now: datetime, status: str, interval_s: int, transaction: str
    ) -> Any:
        """See `Dialect.answer`."""
        match word:
            case Booted():
                return {"status": status, "currentTime": told(now), "interval": interval_s}
            case Beat():
                return {"currentTime": told(now)}
            case Began() | Asked() | Went(tag=str()):
                return {"idTokenInfo": {"status": status}}
            case Needs():
                return {"status": "Accepted"}
            case Noted():
                return word.answer
        return {}

    def limit(self, limit: Limit) -> tuple[str, Any]:
        """See `Dialect.limit`: a profile of the transaction, which ends with it at the latest."""
        begins = limit.begins_at.replace(microsecond=0)
        return "SetChargingProfile", {
            "evseId": limit.point,
            "chargingProfile": {
                "id": LIMIT_ID + limit.point,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "transactionId": limit.transaction,
                "validFrom": told(begins),
                "validTo": told(limit.ends_at),
                "chargingSchedule": [
                    {
                        "id": LIMIT_ID + limit.point,
                        "startSchedule": told(begins),
                        "duration": max(int((limit.ends_at - begins).total_seconds()), 1),
                        "chargingRateUnit": limit.unit,
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit.most}],
                    }
                ],
            },
        }

    def safe(self, most: float, unit: Literal["W", "A"], phases: int) -> tuple[str, Any]:
        """See `Dialect.safe`: the default of every transaction at every EVSE."""
        return "SetChargingProfile", {
            "evseId": 0,
            "chargingProfile": {
                "id": SAFE_ID,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": [
                    {
                        "id": SAFE_ID,
                        "chargingRateUnit": unit,
                        "chargingSchedulePeriod": [
                            {"startPeriod": 0, "limit": most, "numberPhases": phases}
                        ],
                    }
                ],
            },
        }

    def clear(self, point: int) -> tuple[str, Any]:
        """See `Dialect.clear`."""
        return "ClearChargingProfile", {"chargingProfileId": LIMIT_ID + point}

    def ask_limit(self, point: int, unit: Literal["W", "A"]) -> tuple[str, Any]:
        """See `Dialect.ask_limit`."""
        return "GetCompositeSchedule", {"evseId": point, "duration": 60, "chargingRateUnit": unit}

    def shown_limit(self, payload: msgspec.Raw) -> Shown | None:
        """See `Dialect.shown_limit`."""
        said = _decoded(_composite, payload)
        if said.status != "Accepted" or said.schedule is None:
            return None
        first = [p for p in said.schedule.chargingSchedulePeriod if p.startPeriod == 0]
        return Shown(first[0].limit if first else None, said.schedule.chargingRateUnit)

    def settings(self, sample_s: int) -> tuple[tuple[str, Any], ...]:
        """See `Dialect.settings`."""
        wanted = {"TxUpdatedMeasurands": MEASURANDS, "TxUpdatedInterval": str(sample_s)}
        variables = [
            {
                "attributeValue": value,
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": name},
            }
            for name, value in wanted.items()
        ]
        return (("SetVariables", {"setVariableData": variables}),)

    def ask_status(self) -> tuple[str, Any]:
        """See `Dialect.ask_status`."""
        return "TriggerMessage", {"requestedMessage": "StatusNotification"}

    def accepted(self, payload: msgspec.Raw) -> str | None:
        """See `Dialect.accepted`. Of variables each has a status of its own."""
        if payload_has_results(payload):
            results = _decoded(_set_variables, payload).setVariableResult
            wrong = [r.attributeStatus for r in results if r.attributeStatus not in _TAKEN]
            return wrong[0][:40] if wrong else None
        status = status_of(payload)
        return None if status == "Accepted" else status[:40]


_TAKEN = ("Accepted", "RebootRequired")


def payload_has_results(payload: msgspec.Raw) -> bool:
    """Whether an answer is that of SetVariables."""
    return b'"setVariableResult"' in bytes(payload)


def _decoded(decoder: msgspec.json.Decoder[T], payload: msgspec.Raw) -> T:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise WordError("TypeConstraintViolation", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise WordError("FormatViolation", str(error)[:100]) from error


def _samples(values: list[_MeterValue]) -> tuple[Sample, ...]:
    samples = []
    for value in values:
        sums = Sums()
        for one in value.sampledValue:
            unit, factor = None, 1.0
            if (of := one.unitOfMeasure) is not None:
                unit = of.unit
                factor = 10.0**of.multiplier if abs(of.multiplier) <= 12 else float("nan")
            sums.add(one.measurand, one.phase, one.value * factor, unit)
        samples.append(sums.sample(moment(value.timestamp)))
    return useful(samples)


def _event_word(said: _Event) -> Word:
    known = said.transactionInfo
    if not 0 < len(known.transactionId) <= MOST_ID:
        raise WordError("PropertyConstraintViolation", "an id of no or too many characters")
    at, samples = moment(said.timestamp), _samples(said.meterValue)
    plug = None if known.chargingState is None else STATES.get(known.chargingState)
    tag = None if said.idToken is None else said.idToken.idToken[:36]
    energy = [s.energy_wh for s in samples if s.energy_wh is not None]
    point = None if said.evse is None else said.evse.id
    match said.eventType:
        case "Started":
            begun = energy[0] if energy else None
            return Began(point or 0, known.transactionId, tag or "", at, begun, samples, plug)
        case "Ended":
            over = energy[-1] if energy else None
            return Ended(point, known.transactionId, at, over, samples)
    return Went(point or 0, known.transactionId, at, samples, plug, tag)


def _status_word(said: _StatusNotification) -> Status:
    plug = PLUGS.get(said.connectorStatus)
    if plug is None:
        raise WordError("PropertyConstraintViolation", f"no status {said.connectorStatus[:40]!r}")
    error = "Faulted" if said.connectorStatus == "Faulted" else ""
    return Status(said.evseId, plug, moment(said.timestamp), error)


def _needs_word(said: _Needs) -> Needs:
    needs = said.chargingNeeds
    amounts = [
        one.energyAmount
        for one in (needs.acChargingParameters, needs.dcChargingParameters)
        if one is not None and one.energyAmount is not None
    ]
    departs = None if needs.departureTime is None else moment(needs.departureTime)
    return Needs(said.evseId, departs, amounts[0] / 1000 if amounts else None)
