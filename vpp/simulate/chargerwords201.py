"""What a charging station says and is asked in OCPP 2.0.1; every EVSE has one connector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from vpp.model.time import isoformat
from vpp.simulate.charger import (
    ChargerSpec,
    ChargingProfile,
    Connector,
    Period,
    Purpose,
    Stay,
    Unit,
)
from vpp.simulate.chargerwords import (
    UNITS,
    Clearing,
    Payload,
    Reading,
    WordsError,
    read_object,
    read_one_of,
    read_profile,
    read_whole,
    said_periods,
    watt_hours,
)

_PURPOSES_201 = {
    "ChargingStationMaxProfile": Purpose.STATION,
    "TxDefaultProfile": Purpose.DEFAULT,
    "TxProfile": Purpose.TRANSACTION,
}


class Words201:
    """OCPP 2.0.1; every EVSE has one connector."""

    WHY: ClassVar[Mapping[str, str]] = {"power": "PowerUp", "reset": "RemoteReset"}

    def boot(self, spec: ChargerSpec, why: str) -> tuple[str, Payload]:
        return "BootNotification", {
            "reason": self.WHY.get(why, "Unknown"),
            "chargingStation": {
                "vendorName": spec.vendor,
                "model": spec.model,
                "serialNumber": spec.charger_id[:25],
                "firmwareVersion": "1.0",
            },
        }

    def status(self, connector: int, outlet: Connector, at: datetime) -> tuple[str, Payload]:
        return "StatusNotification", {
            "timestamp": isoformat(at),
            "connectorStatus": "Available" if outlet.stay is None else "Occupied",
            "evseId": connector,
            "connectorId": 1,
        }

    def began(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]:
        stay.transaction = stay.local_id  # in 2.0.1 the station names it
        action, event = self._event("Started", "CablePluggedIn", stay, at, offline)
        return action, {**event, "idToken": {"idToken": stay.car.token, "type": "ISO14443"}}

    def metered(
        self, connector: int, stay: Stay | None, at: Reading, *, offline: bool
    ) -> tuple[str, Payload]:
        if stay is None:
            return "MeterValues", {"evseId": connector, "meterValue": [_meter_201(at)]}
        return self._event("Updated", "MeterValuePeriodic", stay, at, offline)

    def ended(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]:
        return self._event("Ended", "EVDeparted", stay, at, offline)

    def named(self, stay: Stay, answer: Payload) -> str:
        return stay.local_id

    def addressed(self, action: str, said: Payload, stay: Stay | None) -> Payload:
        return said

    def _event(
        self, kind: str, trigger: str, stay: Stay, at: Reading, offline: bool
    ) -> tuple[str, Payload]:
        info: dict[str, Any] = {"transactionId": stay.local_id}
        if kind == "Ended":
            info["stoppedReason"] = "EVDisconnected"
        else:
            info["chargingState"] = "Charging" if at.draw_kw > 0 else "SuspendedEVSE"
        event = {
            "eventType": kind,
            "timestamp": isoformat(at.at),
            "triggerReason": trigger,
            "seqNo": stay.told,
            "offline": offline,
            "transactionInfo": info,
            "evse": {"id": stay.connector, "connectorId": 1},
            "meterValue": [_meter_201(at)],
        }
        stay.told += 1
        return "TransactionEvent", event

    def profile(self, asked: Payload, now: datetime) -> ChargingProfile:
        said = read_object(asked, "chargingProfile")
        schedules = said.get("chargingSchedule")
        if not isinstance(schedules, list) or not schedules or not isinstance(schedules[0], dict):
            raise WordsError("OccurrenceConstraintViolation", "chargingSchedule")
        return read_profile(
            said,
            schedules[0],
            now,
            profile_id=read_whole(said, "id"),
            connector=read_whole(asked, "evseId"),
            purpose=read_one_of(said, "chargingProfilePurpose", _PURPOSES_201),
            transaction=said.get("transactionId"),
        )

    def clearing(self, asked: Payload) -> Clearing:
        criteria, purpose = asked.get("chargingProfileCriteria") or {}, "chargingProfilePurpose"
        return Clearing(
            profile_id=asked.get("chargingProfileId"),
            connector=criteria.get("evseId"),
            purpose=read_one_of(criteria, purpose, _PURPOSES_201) if purpose in criteria else None,
            stack_level=criteria.get("stackLevel"),
        )

    def composite_asked(self, asked: Payload) -> tuple[int, int, Unit]:
        unit = (
            read_one_of(asked, "chargingRateUnit", UNITS) if "chargingRateUnit" in asked else None
        )
        return read_whole(asked, "evseId"), read_whole(asked, "duration"), unit or Unit.WATT

    def composite(
        self,
        connector: int,
        duration_s: int,
        unit: Unit,
        starts_at: datetime,
        periods: Sequence[Period],
    ) -> Payload:
        return {
            "status": "Accepted",
            "schedule": {
                "evseId": connector,
                "duration": duration_s,
                "scheduleStart": isoformat(starts_at),
                "chargingRateUnit": unit.value,
                "chargingSchedulePeriod": said_periods(periods),
            },
        }


def _meter_201(at: Reading) -> Payload:
    sampled: list[dict[str, Any]] = [
        {
            "value": float(watt_hours(at)),
            "measurand": "Energy.Active.Import.Register",
            "unitOfMeasure": {"unit": "Wh"},
        },
        {
            "value": round(1000 * at.draw_kw, 1),
            "measurand": "Power.Active.Import",
            "unitOfMeasure": {"unit": "W"},
        },
    ]
    if at.soc is not None:
        sampled.append(
            {
                "value": round(100 * at.soc, 1),
                "measurand": "SoC",
                "unitOfMeasure": {"unit": "Percent"},
            }
        )
    return {"timestamp": isoformat(at.at), "sampledValue": sampled}
