"""The links of a park file as they are opened: gateways beside the broker, and none in a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path

from adapters.brokers import EmbeddedBroker
from adapters.memory_journal import MemoryJournal
from tests.adapters.slaves import Slaves, slaves
from tests.patience import PATIENCE_S
from tests.service.smallpark import MARKET, PARK
from vpp.clock import WallClock
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import MeterReading, Reading
from vpp.sense.decode import plausible_kw
from vpp.sense.intake import Intake
from vpp.service.links.wiring import open_links
from vpp.service.park.parkfile import ParkFile, load_park

BATTERY = dict.fromkeys(range(110), 0) | {1: 40_000, 2: 500, 3: 250}
METER = dict.fromkeys(range(80), 0) | {52: 0x46C3, 53: 0x5000, 72: 0x42C8, 74: 0x4120}
"""25 000 W drawn, 100 kWh in, 10 kWh out, as floats."""


def a_park(folder: Path, port: int) -> ParkFile:
    gateway = f"""\
modbus:
  - id: mill-gateway
    host: 127.0.0.1
    port: {port}
    timeout_s: 0.5
    devices:
      - {{resource: battery, unit: 1, map: battery-inverter, read_only: false}}
      - {{resource: mill-meter, unit: 2, map: generic-meter}}
"""
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    (folder / "park.yaml").write_text(PARK + gateway, encoding="utf-8")
    return load_park(folder / "park.yaml")


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_what_a_gateway_tells_passes_the_door_of_all_telemetry(tmp_path: Path) -> None:
    async def check(there: Slaves, file: ParkFile) -> None:
        intake = Intake(
            file.park.device_owner, plausible_kw(file.park), frozenset({ResourceId("mill-meter")})
        )
        clock = WallClock()
        async with (
            EmbeddedBroker([EnterpriseId("mill")]) as access,
            AsyncExitStack() as stack,
        ):
            linked = await open_links(
                file,
                clock=clock,
                seed=1,
                broker=access.address(),
                stack=stack,
                journal=MemoryJournal(),
            )
            found = {}
            async for message in linked.channels.messages():
                taken = intake.accept(message.topic, message.payload, clock.now())
                assert not isinstance(taken, Exception), taken
                found[message.topic.split("/")[4]] = taken
                if len(found) == 2:
                    break
            battery, meter = found["battery"], found["mill-meter"]
            assert isinstance(battery, Reading)
            assert (battery.power_kw, battery.soc, battery.temperature_degc) == (40.0, 0.5, 25.0)
            assert isinstance(meter, MeterReading)
            assert (meter.power_kw, meter.import_wh, meter.export_wh) == (-25.0, 100_000, 10_000)
            assert [(h.name, h.devices) for h in linked.channels.health()] == [
                ("mqtt", len(file.park.device_owner) - 2),
                ("mill-gateway", 2),
            ]

    async def served() -> None:
        async with slaves({1: BATTERY, 2: METER}) as there:
            await check(there, a_park(tmp_path, there.port))

    run(served())


def test_a_simulation_reaches_no_machine(tmp_path: Path) -> None:
    async def check() -> None:
        async with slaves({1: BATTERY, 2: METER}) as there:
            file = a_park(tmp_path, there.port).in_simulation()
            async with (
                EmbeddedBroker([EnterpriseId("mill")]) as access,
                AsyncExitStack() as stack,
            ):
                linked = await open_links(
                    file,
                    clock=WallClock(),
                    seed=1,
                    broker=access.address(),
                    stack=stack,
                    journal=MemoryJournal(),
                )
                await linked.native.wait_until(connected=True)
                assert [h.name for h in linked.channels.health()] == ["mqtt"]
            assert there.frames == []

    run(check())
