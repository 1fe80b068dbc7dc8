"""A resource manager of S2 for tests: raw JSON over a websocket, so that our types are not judged by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Json = dict[str, Any]

BATTERY: Json = {
    "message_type": "FRBC.SystemDescription",
    "valid_from": "2025-12-03T00:00:00Z",
    "actuators": [
        {
            "id": "inverter",
            "supported_commodities": ["ELECTRICITY"],
            "operation_modes": [
                {
                    "id": "idle",
                    "abnormal_condition_only": False,
                    "elements": [
                        {
                            "fill_level_range": {"start_of_range": 0, "end_of_range": 100},
                            "fill_rate": {"start_of_range": 0, "end_of_range": 0},
                            "power_ranges": [
                                {
                                    "start_of_range": 0,
                                    "end_of_range": 0,
                                    "commodity_quantity": "ELECTRIC.POWER.L1",
                                }
                            ],
                        }
                    ],
                },
                {
                    "id": "run",
                    "abnormal_condition_only": False,
                    "elements": [
                        {
                            "fill_level_range": {"start_of_range": 0, "end_of_range": 100},
                            "fill_rate": {"start_of_range": -0.025, "end_of_range": 0.025},
                            "power_ranges": [
                                {
                                    "start_of_range": -10_000,
                                    "end_of_range": 10_000,
                                    "commodity_quantity": "ELECTRIC.POWER.L1",
                                }
                            ],
                        }
                    ],
                },
            ],
            "transitions": [
                {
                    "id": f"{a}-to-{b}",
                    "from": a,
                    "to": b,
                    "start_timers": [],
                    "blocking_timers": [],
                    "abnormal_condition_only": False,
                }
                for a, b in (("idle", "run"), ("run", "idle"))
            ],
            "timers": [],
        }
    ],
    "storage": {
        "provides_leakage_behaviour": False,
        "provides_fill_level_target_profile": True,
        "provides_usage_forecast": False,
        "fill_level_range": {"start_of_range": 0, "end_of_range": 100},
    },
}
"""A battery of 10 kW either way that counts its charge in per cent."""

ROOF: Json = {
    "message_type": "PEBC.PowerConstraints",
    "id": "roof",
    "valid_from": "2025-12-03T00:00:00Z",
    "consequence_type": "VANISH",
    "allowed_limit_ranges": [
        {
            "commodity_quantity": "ELECTRIC.POWER.L1",
            "limit_type": "LOWER_LIMIT",
            "range_boundary": {"start_of_range": -10_000, "end_of_range": 0},
            "abnormal_condition_only": False,
        },
        {
            "commodity_quantity": "ELECTRIC.POWER.L1",
            "limit_type": "UPPER_LIMIT",
            "range_boundary": {"start_of_range": 0, "end_of_range": 0},
            "abnormal_condition_only": False,
        },
    ],
}
"""Panels of 10 kW that can be curtailed to nothing."""


@dataclass
class Manager:
    """One connection of a device to its energy manager."""

    tells: Json
    """What it says it can do, once it is selected."""

    control: str = "FILL_RATE_BASED_CONTROL"
    obeys: bool = True
    """Whether it shows in its status what it was told."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """By message type: how it says a message was received; `""` for not at all. Left out: OK."""
    progress: str = "ACCEPTED"
    """What it says of each instruction."""
    heard: list[Json] = field(default_factory=list)
    """Every message but answers, in order."""
    receptions: list[Json] = field(default_factory=list)
    told: asyncio.Condition = field(default_factory=asyncio.Condition)
    _number: int = 0
    _session: aiohttp.ClientSession | None = None
    _socket: aiohttp.ClientWebSocketResponse | None = None
    _reading: asyncio.Task[None] | None = None

    async def connect(self, url: str, token: str) -> None:
        """Connect and begin the handshake. Raises aiohttp.WSServerHandshakeError."""
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(
                url, headers={"Authorization": f"Bearer {token}"}
            )
        except aiohttp.ClientError:
            await self._session.close()
            raise
        self._reading = asyncio.create_task(self._read())
        await self.say(
            {
                "message_type": "Handshake",
                "role": "RM",
                "supported_protocol_versions": ["0.0.2-beta"],
            }
        )

    async def vanish(self) -> None:
        """The line is cut."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()

    @property
    def closed(self) -> bool:
        """Whether the other side has closed the connection."""
        return self._reading is not None and self._reading.done()

    async def say(self, message: Json) -> str:
        """Send a message; its id."""
        self._number += 1
        name = f"rm-{self._number}"
        await self.raw(json.dumps({"message_id": name} | message))
        return name

    async def raw(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.send_str(text)

    async def measures(self, watts_drawn: float, at: str = "2025-12-03T12:00:00Z") -> None:
        value = {"commodity_quantity": "ELECTRIC.POWER.L1", "value": watts_drawn}
        await self.say(
            {"message_type": "PowerMeasurement", "measurement_timestamp": at, "values": [value]}
        )

    async def runs(self, mode: str, factor: float) -> None:
        await self.say(
            {
                "message_type": "FRBC.ActuatorStatus",
                "actuator_id": "inverter",
                "active_operation_mode_id": mode,
                "operation_mode_factor": factor,
            }
        )

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until something that came makes it true."""
        async with self.told:
            await self.told.wait_for(done)

    def of(self, message_type: str) -> list[Json]:
        """What was heard of one type."""
        return [one for one in self.heard if one["message_type"] == message_type]

    # ------------------------------------------------------------ the device

    async def _read(self) -> None:
        assert self._socket is not None
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                break
            message = json.loads(frame.data)
            if message["message_type"] == "ReceptionStatus":
                self.receptions.append(message)
            else:
                await self._came(message)
            async with self.told:
                self.told.notify_all()
        async with self.told:
            self.told.notify_all()

    async def _came(self, message: Json) -> None:
        kind = message["message_type"]
        self.heard.append(message)
        if status := self.answers.get(kind, "OK"):
            answer = {"message_type": "ReceptionStatus", "status": status}
            await self.raw(json.dumps(answer | {"subject_message_id": message["message_id"]}))
        match kind:
            case "HandshakeResponse":
                await self.introduce([self.control])
            case "SelectControlType" if message["control_type"] == self.control:
                await self.say(self.tells)
            case "FRBC.Instruction" | "PEBC.Instruction" if self.answers.get(kind, "OK") == "OK":
                await self._instructed(message)

    async def introduce(self, controls: list[str]) -> None:
        await self.say(
            {
                "message_type": "ResourceManagerDetails",
                "resource_id": "device-1",
                "roles": [{"role": "ENERGY_STORAGE", "commodity": "ELECTRICITY"}],
                "instruction_processing_delay": 0,
                "available_control_types": controls,
                "provides_forecast": False,
                "provides_power_measurement_types": ["ELECTRIC.POWER.L1"],
            }
        )

    async def progresses(self, instruction_id: str, status: str) -> None:
        await self.say(
            {
                "message_type": "InstructionStatusUpdate",
                "instruction_id": instruction_id,
                "status_type": status,
                "timestamp": "2025-12-03T12:00:00Z",
            }
        )

    async def _instructed(self, message: Json) -> None:
        later = message["execution_time"] > "2025-12-03T12:00:00Z"
        await self.progresses(message["id"], "ACCEPTED" if later else self.progress)
        if self.obeys and not later and "operation_mode" in message:
            await self.runs(message["operation_mode"], message["operation_mode_factor"])
