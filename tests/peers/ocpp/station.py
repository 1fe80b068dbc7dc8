"""A charging station by the Python library `ocpp`: every message both ways is checked against its schemas.

    python station.py ENDPOINT IDENTITY PASSWORD 1.6 | 2.0.1

It boots, begins a transaction, tells its meter until it is given a limit, then what it draws under that limit,
and ends. Prints one JSON object a line.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what, default=str) + "\n")
    sys.stdout.flush()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Limited:
    """What both versions do with a limit."""

    limit_w: float | None = None

    def take(self, purpose: str, limit: float) -> None:
        if purpose == "TxProfile":
            self.limit_w = float(limit)
        say(asked="SetChargingProfile", purpose=purpose, limit=float(limit))

    @property
    def power_w(self) -> float:
        return 7000.0 if self.limit_w is None else min(self.limit_w, 7000.0)

    def clear(self) -> str:
        had, self.limit_w = self.limit_w is not None, None
        return "Accepted" if had else "Unknown"


class Station16(Limited, ChargePoint16):
    @on("SetChargingProfile")
    def set_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        schedule = cs_charging_profiles["charging_schedule"]
        self.take(
            cs_charging_profiles["charging_profile_purpose"],
            schedule["charging_schedule_period"][0]["limit"],
        )
        return result16.SetChargingProfile(status="Accepted")

    @on("ClearChargingProfile")
    def clear_profile(self, **asked: Any) -> Any:
        return result16.ClearChargingProfile(status=self.clear())

    @on("ChangeConfiguration")
    def change(self, key: str, value: str) -> Any:
        return result16.ChangeConfiguration(status="Accepted")

    @on("TriggerMessage")
    def trigger(self, **asked: Any) -> Any:
        return result16.TriggerMessage(status="NotImplemented")

    async def live(self) -> None:
        boot = await self.call(
            call16.BootNotification(charge_point_vendor="stranger", charge_point_model="py")
        )
        say(booted=boot.status)
        begun = await self.call(
            call16.StartTransaction(connector_id=1, id_tag="card-1", meter_start=0, timestamp=now())
        )
        await self.call(
            call16.StatusNotification(connector_id=1, error_code="NoError", status="Charging")
        )
        say(began=begun.transaction_id)

        async def meter() -> None:
            power = {
                "value": f"{self.power_w:.1f}",
                "measurand": "Power.Active.Import",
                "unit": "W",
            }
            await self.call(
                call16.MeterValues(
                    connector_id=1,
                    transaction_id=begun.transaction_id,
                    meter_value=[{"timestamp": now(), "sampled_value": [power]}],
                )
            )

        await until_limited(self, meter)
        await self.call(
            call16.StopTransaction(
                meter_stop=100, timestamp=now(), transaction_id=begun.transaction_id
            )
        )


class Station201(Limited, ChargePoint201):
    @on("SetChargingProfile")
    def set_profile(self, evse_id: int, charging_profile: dict[str, Any], **more: Any) -> Any:
        schedule = charging_profile["charging_schedule"][0]
        self.take(
            charging_profile["charging_profile_purpose"],
            schedule["charging_schedule_period"][0]["limit"],
        )
        return result201.SetChargingProfile(status="Accepted")

    @on("ClearChargingProfile")
    def clear_profile(self, **asked: Any) -> Any:
        return result201.ClearChargingProfile(status=self.clear())

    @on("SetVariables")
    def set_variables(self, set_variable_data: list[dict[str, Any]], **more: Any) -> Any:
        return result201.SetVariables(
            set_variable_result=[
                {
                    "attribute_status": "Accepted",
                    "component": one["component"],
                    "variable": one["variable"],
                }
                for one in set_variable_data
            ]
        )

    @on("TriggerMessage")
    def trigger(self, **asked: Any) -> Any:
        return result201.TriggerMessage(status="NotImplemented")

    async def live(self) -> None:
        boot = await self.call(
            call201.BootNotification(
                charging_station={"vendor_name": "stranger", "model": "py"}, reason="PowerUp"
            )
        )
        say(booted=boot.status)
        numbers = iter(range(1_000_000))

        async def event(kind: str, trigger: str) -> None:
            power = {
                "value": self.power_w,
                "measurand": "Power.Active.Import",
                "unit_of_measure": {"unit": "W"},
            }
            await self.call(
                call201.TransactionEvent(
                    event_type=kind,
                    timestamp=now(),
                    trigger_reason=trigger,
                    seq_no=next(numbers),
                    transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"},
                    evse={"id": 1, "connector_id": 1},
                    meter_value=[{"timestamp": now(), "sampled_value": [power]}],
                )
            )

        await event("Started", "CablePluggedIn")
        say(began="tx-1")
        await until_limited(self, lambda: event("Updated", "MeterValuePeriodic"))
        await event("Ended", "EVDeparted")


async def until_limited(station: Limited, meter: Any) -> None:
    """Tell the meter until the other side has given a limit, and what is drawn then a few times more."""
    while station.limit_w is None:
        await meter()
        await asyncio.sleep(0.2)
    say(limited=station.limit_w)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.create_task(reader.read())
    while not ended.done():
        await meter()
        await asyncio.wait({ended}, timeout=0.2)


async def main() -> None:
    endpoint, identity, password, version = sys.argv[1:]
    proof = base64.b64encode(f"{identity}:{password}".encode()).decode()
    async with websockets.connect(
        f"{endpoint}/{identity}",
        subprotocols=[websockets.Subprotocol(f"ocpp{version}")],
        additional_headers={"Authorization": f"Basic {proof}"},
    ) as line:
        station = (Station16 if version == "1.6" else Station201)(identity, line)
        listening = asyncio.create_task(station.start())
        await station.live()
        say(ended=True)
        listening.cancel()


if __name__ == "__main__":
    asyncio.run(main())
