"""The channel that a device test reads over: the device's own, under a name of its own, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from time import time

import aiomqtt
import pytest

from adapters.brokers import MosquittoBroker
from tests.patience import PATIENCE_S
from tests.service.smallpark import MARKET, PARK
from vpp.clock import WallClock
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.service.devicetest.command import run_device_test
from vpp.service.devicetest.reading import DeviceTestOptions
from vpp.service.devicetest.wiring import channel_of, require_writable
from vpp.service.links.wiring import mqtt_gateway_link
from vpp.service.park.parkfile import ParkFile, load_park

BATTERY, PV = ResourceId("battery"), ResourceId("pv")
PARTS = {
    "mine": """\
payloads: mine
name: A gateway of ours
device_by: [name]
incoming:
  - topic: up/{name}
    time: {path: t, form: unix_ms}
    points:
      power_kw: {path: p}
command:
  topic: down/{name}
  payload: {p: "{power}", until: "{expires_unix_s}"}
sources:
  incoming: {ref: data sheet, mark: found, confidence: H, valid: all}
  command: {ref: data sheet, mark: found, confidence: H, valid: all}
""",
    "market": MARKET,
    "park": PARK
    + """\
mqtt_gateways:
  - id: building
    map: mine.yaml
    devices:
      - {resource: battery, names: {name: b1}, read_only: false}
      - {resource: pv, names: {name: p1}}
""",
}


@pytest.fixture
def file(tmp_path: Path) -> ParkFile:
    for name, text in PARTS.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_park(tmp_path / "park.yaml")


def test_a_device_that_its_gateway_only_reads_is_not_driven(file: ParkFile) -> None:
    assert channel_of(file, BATTERY) == channel_of(file, PV) == "building"
    require_writable(file, BATTERY)
    with pytest.raises(ConfigError, match="building device pv: is read-only"):
        require_writable(file, PV)


def test_a_device_is_read_beside_the_service_that_commands_it_and_neither_disturbs_the_other(
    file: ParkFile, require_program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program = require_program("mosquitto", "apt-get install mosquitto (or: make system)")
    clock = WallClock()

    async def check(stack: AsyncExitStack) -> None:
        owners = [enterprise.enterprise_id for enterprise in file.park.enterprises]
        broker = (
            await stack.enter_async_context(MosquittoBroker(owners, program=program))
        ).address()
        (section,) = file.mqtt_gateways
        service = mqtt_gateway_link(
            section,
            file,
            broker,
            clock=clock,
            jitter=Random(1),
            client_id=f"vpp-{file.park.park_id}",
        )
        await stack.enter_async_context(service)
        await service.wait_until(connected=True)
        device = await stack.enter_async_context(
            aiomqtt.Client(
                broker.host, broker.port, username=broker.username, password=broker.password
            )
        )

        async def telling() -> None:
            while True:
                await device.publish(
                    "up/b1", json.dumps({"p": 1.0, "t": round(1000 * time())}), qos=1
                )
                await asyncio.sleep(0.02)

        told = asyncio.create_task(telling())
        try:
            report = await run_device_test(
                file,
                BATTERY,
                DeviceTestOptions(read_for=timedelta(seconds=0.2), least_messages=3),
                clock=clock,
                data=tmp_path / "data",
                broker_url=f"mqtt://{broker.username}:{broker.password}@{broker.host}:{broker.port}",
                say=lambda line: None,
                agree=None,
            )
        finally:
            told.cancel()
        assert (report.failed, report.channel) == (None, "building")
        assert report.proof.endswith("so the connection lets no command leave")
        assert (service.connected, service.reconnects) == (True, 0)

    async def checked() -> None:
        async with AsyncExitStack() as stack:
            await check(stack)

    asyncio.run(asyncio.wait_for(checked(), PATIENCE_S))
