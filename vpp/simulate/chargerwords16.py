"""What a charging station says and is asked in OCPP 1.6J."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

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
    read_object,
    read_one_of,
    read_profile,
    read_whole,
    said_periods,
    watt_hours,
)

_PURPOSES_16 = {
    "ChargePointMaxProfile": Purpose.STATION,
    "TxDefaultProfile": Purpose.DEFAULT,
    "TxProfile": Purpose.TRANSACTION,
}


class Words16:
    """OCPP 1.6J."""

    def boot(self, spec: ChargerSpec, why: str) -> tuple[str, Payload]:
        return "BootNotification", {
            "chargePointVendor": spec.vendor,
            "chargePointModel": spec.model,
            "chargePointSerialNumber": spec.charger_id[:25],
            "firmwareVersion": "1.0",
        }

    def status(self, connector: int, outlet: Connector, at: datetime) -> tuple[str, Payload]:
        if outlet.stay is None:
            status = "Available"
        else:
            status = "Charging" if outlet.draw_kw > 0 else "SuspendedEVSE"
        return "StatusNotification", {
            "connectorId": connector,
            "errorCode": "NoError",
            "status": status,
            "timestamp": isoformat(at),
        }

    def began(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]:
        return "StartTransaction", {
            "connectorId": stay.connector,
            "idTag": stay.car.token,
            "meterStart": watt_hours(at),
            "timestamp": isoformat(at.at),
        }

    def metered(
        self, connector: int, stay: Stay | None, at: Reading, *, offline: bool
    ) -> tuple[str, Payload]:
        sampled = [
            {
                "value": str(watt_hours(at)),
                "measurand": "Energy.Active.Import.Register",
                "unit": "Wh",
            },
            {
                "value": f"{1000 * at.draw_kw:.1f}",
                "measurand": "Power.Active.Import",
                "unit": "W",
            },
        ]
        if at.soc is not None:
            sampled.append({"value": f"{100 * at.soc:.1f}", "measurand": "SoC", "unit": "Percent"})
        return "MeterValues", {
            "connectorId": connector,
            "meterValue": [{"timestamp": isoformat(at.at), "sampledValue": sampled}],
        }

    def ended(self, stay: Stay, at: Reading, *, offline: bool) -> tuple[str, Payload]:
        return "StopTransaction", {
            "idTag": stay.car.token,
            "meterStop": watt_hours(at),
            "timestamp": isoformat(at.at),
            "reason": "EVDisconnected",
        }

    def named(self, stay: Stay, answer: Payload) -> str:
        return str(read_whole(answer, "transactionId"))

    def addressed(self, action: str, said: Payload, stay: Stay | None) -> Payload:
        if stay is None or action not in ("MeterValues", "StopTransaction"):
            return said
        if stay.transaction is None:  # its beginning was refused: -1, by the errata of 1.6
            return {**said, "transactionId": -1}
        return {**said, "transactionId": int(stay.transaction)}

    def profile(self, asked: Payload, now: datetime) -> ChargingProfile:
        said = read_object(asked, "csChargingProfiles")
        schedule = read_object(said, "chargingSchedule")
        transaction = said.get("transactionId")
        return read_profile(
            said,
            schedule,
            now,
            profile_id=read_whole(said, "chargingProfileId"),
            connector=read_whole(asked, "connectorId"),
            purpose=read_one_of(said, "chargingProfilePurpose", _PURPOSES_16),
            transaction=None if transaction is None else str(transaction),
        )

    def clearing(self, asked: Payload) -> Clearing:
        purpose = "chargingProfilePurpose"
        return Clearing(
            profile_id=asked.get("id"),
            connector=asked.get("connectorId"),
            purpose=read_one_of(asked, purpose, _PURPOSES_16) if purpose in asked else None,
            stack_level=asked.get("stackLevel"),
        )

    def composite_asked(self, asked: Payload) -> tuple[int, int, Unit]:
        unit = (
            read_one_of(asked, "chargingRateUnit", UNITS) if "chargingRateUnit" in asked else None
        )
        return read_whole(asked, "connectorId"), read_whole(asked, "duration"), unit or Unit.WATT

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
            "connectorId": connector,
            "scheduleStart": isoformat(starts_at),
            "chargingSchedule": {
                "duration": duration_s,
                "startSchedule": isoformat(starts_at),
                "chargingRateUnit": unit.value,
                "chargingSchedulePeriod": said_periods(periods),
            },
        }
