"""What every bench for a link to devices is made of; the links themselves are in `test_device_link.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Protocol

from adapters.modbus_device import ModbusDevice
from adapters.modbus_tcp import GatewayTiming, ModbusLink
from adapters.modbus_wire import GatewayAddress
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.registers import Kind, Register, RegisterMap, What, Write
from vpp.service.links.channels import Channels, Link

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
BESS, PUMP = ResourceId("bess"), ResourceId("pump")
MAP = RegisterMap(
    map_id="watts",
    name="Takes watts",
    points={"power_kw": Register(at=0, kind=Kind.INT32, scale=0.001)},
    writes=(
        Write(register=Register(at=4, kind=Kind.INT32, scale=0.001), what=What.POWER),
        Write(register=Register(at=6), what=What.ENABLE, value=1, released=0),
    ),
)


def a_setpoint(
    resource: ResourceId = BESS, power_kw: float = -4.0, *, enterprise: str = "steel"
) -> Setpoint:
    return Setpoint(
        command_id=f"c-{resource}",
        seq=7,
        resource_id=resource,
        enterprise_id=EnterpriseId(enterprise),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=15),
        power_kw=power_kw,
        serves="plan-1",
    )


class Bench(Protocol):
    """A link to the device `bess`, and the other side of it."""

    @property
    def link(self) -> Link | Channels:
        """The link under test."""
        ...

    async def says(self, power_kw: float) -> None:
        """The device tells its power."""
        ...

    async def does(self, setpoint: Setpoint) -> float:
        """Send a command; the power that arrives at the device."""
        ...

    async def away(self) -> None:
        """The other side is killed."""
        ...

    async def back(self) -> None:
        """It listens again."""
        ...


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def a_gateway(device: ResourceId, port: int) -> ModbusLink:
    return ModbusLink(
        GatewayAddress(host="127.0.0.1", port=port),
        [
            ModbusDevice(
                device_id=device,
                enterprise_id="steel",
                site_id="mill",
                unit=1,
                map=MAP,
                poll_s=0.02,
                read_only=False,
                write_s=0.0,
            )
        ],
        now=lambda: NOON,
        jitter=Random(1),
        timing=GatewayTiming(first_delay_s=0.01, longest_delay_s=0.05),
    )


def dead_gateway() -> ModbusLink:
    return a_gateway(PUMP, 1)
