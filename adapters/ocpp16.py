"""OCPP 1.6J: payloads to words, and words to payloads.

Structs of msgspec hold what is used, fields that are not are passed by, so that a station that says more is
heard all the same; a meter message costs microseconds. The schemas of the standard are what the tests hold
them against. A point is a connector here, from 1 on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from adapters.ocpp_samples import ENERGY, Sums, number, useful
from adapters.ocpp_words import (
    Asked,
    Beat,
    Began,
    Booted,
    Ended,
    Limit,
    Metered,
    Noted,
    Plug,
    Sample,
    Shown,
    Status,
    Word,
    WordError,
    moment,
    status_of,
    told,
)

SAFE_ID, LIMIT_ID = 1, 100
"""Ids of our profiles; that of a point's limit is `LIMIT_ID` and its number."""

MEASURANDS = "Power.Active.Import,Energy.Active.Import.Register"

T = TypeVar("T")


class _Boot(msgspec.Struct):
    chargePointVendor: str  # noqa: N815  the words of the standard, here and below
    chargePointModel: str  # noqa: N815
    chargePointSerialNumber: str = ""  # noqa: N815
    firmwareVersion: str = ""  # noqa: N815


class _Value(msgspec.Struct):
    value: str | float
    measurand: str = ENERGY
    phase: str | None = None
    unit: str | None = None
    format: str = "Raw"


class _MeterValue(msgspec.Struct):
    timestamp: str
    sampledValue: list[_Value]  # noqa: N815


class _MeterValues(msgspec.Struct):
    connectorId: int  # noqa: N815
    meterValue: list[_MeterValue]  # noqa: N815
    transactionId: int | None = None  # noqa: N815


class _StatusNotification(msgspec.Struct):
    connectorId: int  # noqa: N815
    errorCode: str  # noqa: N815
    status: str
    timestamp: str | None = None
    info: str = ""


class _Start(msgspec.Struct):
    connectorId: int  # noqa: N815
    idTag: str  # noqa: N815
    meterStart: int  # noqa: N815
    timestamp: str


class _Stop(msgspec.Struct):
    transactionId: int  # noqa: N815
    timestamp: str
    meterStop: int  # noqa: N815
    transactionData: list[_MeterValue] = []  # noqa: N815


class _Authorize(msgspec.Struct):
    idTag: str  # noqa: N815


class _Period(msgspec.Struct):
    startPeriod: int  # noqa: N815
    limit: float


class _Schedule(msgspec.Struct):
    chargingRateUnit: Literal["A", "W"]  # noqa: N815
    chargingSchedulePeriod: list[_Period]  # noqa: N815


class _Composite(msgspec.Struct):
    status: str
    chargingSchedule: _Schedule | None = None  # noqa: N815


_boot = msgspec.json.Decoder(_Boot)
_meter_values = msgspec.json.Decoder(_MeterValues)
_status = msgspec.json.Decoder(_StatusNotification)
_start = msgspec.json.Decoder(_Start)
_stop = msgspec.json.Decoder(_Stop)
_authorize = msgspec.json.Decoder(_Authorize)
_composite = msgspec.json.Decoder(_Composite)

PLUGS = {
    "Available": Plug.FREE,
    "Preparing": Plug.OCCUPIED,
    "Charging": Plug.CHARGING,
    "SuspendedEVSE": Plug.SUSPENDED_EVSE,
    "SuspendedEV": Plug.SUSPENDED_EV,
    "Finishing": Plug.OCCUPIED,
    "Reserved": Plug.FREE,
    "Unavailable": Plug.OUT_OF_ORDER,
    "Faulted": Plug.OUT_OF_ORDER,
}

NOTED: dict[str, Any] = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "DiagnosticsStatusNotification": {},
    "FirmwareStatusNotification": {},
    "SecurityEventNotification": {},
    "LogStatusNotification": {},
    "SignedFirmwareStatusNotification": {},
}
"""Calls that are answered and not used."""


class Ocpp16:
    """A `Dialect`."""

    subprotocol = "ocpp1.6"

    def read(self, action: str, payload: msgspec.Raw) -> Word:
        """See `Dialect.read`."""
        match action:
            case "MeterValues":
                said = _decoded(_meter_values, payload)
                # Stations that say 0 or -1 mean that there is none.
                number_of = str(said.transactionId) if (said.transactionId or 0) > 0 else None
                return Metered(said.connectorId, number_of, _samples(said.meterValue))
            case "Heartbeat":
                return Beat()
            case "StatusNotification":
                return _status_word(_decoded(_status, payload))
            case "StartTransaction":
                begun = _decoded(_start, payload)
                at = moment(begun.timestamp)
                return Began(begun.connectorId, None, begun.idTag[:20], at, begun.meterStart)
            case "StopTransaction":
                over = _decoded(_stop, payload)
                samples = _samples(over.transactionData)
                at = moment(over.timestamp)
                return Ended(None, str(over.transactionId), at, over.meterStop, samples)
            case "Authorize":
                return Asked(_decoded(_authorize, payload).idTag[:20])
            case "BootNotification":
                boot = _decoded(_boot, payload)
                return Booted(
                    boot.chargePointVendor[:50],
                    boot.chargePointModel[:50],
                    boot.chargePointSerialNumber[:50],
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
            case Began():
                return {"transactionId": int(transaction), "idTagInfo": {"status": status}}
            case Ended():
                return {"idTagInfo": {"status": "Accepted"}}
            case Asked():
                return {"idTagInfo": {"status": status}}
            case Noted():
                return word.answer
        return {}

    def limit(self, limit: Limit) -> tuple[str, Any]:
        """See `Dialect.limit`: a profile of the transaction, which ends with it at the latest."""
        begins = limit.begins_at.replace(microsecond=0)
        return "SetChargingProfile", {
            "connectorId": limit.point,
            "csChargingProfiles": {
                "chargingProfileId": LIMIT_ID + limit.point,
                "transactionId": int(limit.transaction),
                "stackLevel": 0,
                "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Absolute",
                "validFrom": told(begins),
                "validTo": told(limit.ends_at),
                "chargingSchedule": {
                    "startSchedule": told(begins),
                    "duration": max(int((limit.ends_at - begins).total_seconds()), 1),
                    "chargingRateUnit": limit.unit,
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit.most}],
                },
            },
        }

    def safe(self, most: float, unit: Literal["W", "A"], phases: int) -> tuple[str, Any]:
        """See `Dialect.safe`: the default of every transaction at every connector."""
        return "SetChargingProfile", {
            "connectorId": 0,
            "csChargingProfiles": {
                "chargingProfileId": SAFE_ID,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": unit,
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": most, "numberPhases": phases}
                    ],
                },
            },
        }

    def clear(self, point: int) -> tuple[str, Any]:
        """See `Dialect.clear`."""
        return "ClearChargingProfile", {"id": LIMIT_ID + point}

    def ask_limit(self, point: int, unit: Literal["W", "A"]) -> tuple[str, Any]:
        """See `Dialect.ask_limit`."""
        asked = {"connectorId": point, "duration": 60, "chargingRateUnit": unit}
        return "GetCompositeSchedule", asked

    def shown_limit(self, payload: msgspec.Raw) -> Shown | None:
        """See `Dialect.shown_limit`."""
        said = _decoded(_composite, payload)
        if said.status != "Accepted" or said.chargingSchedule is None:
            return None
        schedule = said.chargingSchedule
        first = [p for p in schedule.chargingSchedulePeriod if p.startPeriod == 0]
        return Shown(first[0].limit if first else None, schedule.chargingRateUnit)

    def settings(self, sample_s: int) -> tuple[tuple[str, Any], ...]:
        """See `Dialect.settings`."""
        wanted = {
            "MeterValuesSampledData": MEASURANDS,
            "MeterValueSampleInterval": str(sample_s),
        }
        return tuple(
            ("ChangeConfiguration", {"key": key, "value": value}) for key, value in wanted.items()
        )

    def ask_status(self) -> tuple[str, Any]:
        """See `Dialect.ask_status`."""
        return "TriggerMessage", {"requestedMessage": "StatusNotification"}

    def accepted(self, payload: msgspec.Raw) -> str | None:
        """See `Dialect.accepted`."""
        status = status_of(payload)
        return None if status in ("Accepted", "RebootRequired") else status[:40]


def _decoded(decoder: msgspec.json.Decoder[T], payload: msgspec.Raw) -> T:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise WordError("TypeConstraintViolation", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise WordError("FormationViolation", str(error)[:100]) from error


def _samples(values: list[_MeterValue]) -> tuple[Sample, ...]:
    samples = []
    for value in values:
        sums = Sums()
        for one in value.sampledValue:
            if one.format == "Raw":
                sums.add(one.measurand, one.phase, number(one.value), one.unit)
        samples.append(sums.sample(moment(value.timestamp)))
    return useful(samples)


def _status_word(said: _StatusNotification) -> Status:
    plug = PLUGS.get(said.status)
    if plug is None:
        raise WordError("PropertyConstraintViolation", f"no status {said.status[:40]!r}")
    at = None if said.timestamp is None else moment(said.timestamp)
    error = "" if said.errorCode == "NoError" else f"{said.errorCode} {said.info}".strip()[:80]
    return Status(said.connectorId, plug, at, error)
