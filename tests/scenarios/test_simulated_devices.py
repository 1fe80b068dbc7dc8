"""`vpp simulate devices` as an operator meets it: a process, a broker, and whoever commands the devices."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import parse_utc
from vpp.service.links.wiring import homes_of
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import load_park
from vpp.wire import TelemetryMessage

BATTERY, OWNER = ResourceId("metal-battery"), EnterpriseId("metal")
SECOND = timedelta(seconds=1)
BROKER = re.compile(r"--broker mqtt://service:([^@]+)@127\.0\.0\.1:(\d+)")


PARK = shipped("parks/demo.yaml")


@asynccontextmanager
async def simulated(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, BrokerAddress]]:
    """The command, until it has said where its broker is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vpp", "simulate", "devices", str(PARK), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        lives = (await process.stdout.readline()).decode()
        assert lives.startswith("44 devices of Demo industrial park live until "), lives
        runs = (await process.stdout.readline()).decode()
        assert runs.startswith(f"vpp run {PARK} --broker "), "it cannot be typed as it stands"
        said = BROKER.search(runs)
        assert said is not None
        yield (
            process,
            BrokerAddress(
                host="127.0.0.1", port=int(said[2]), username="service", password=said[1]
            ),
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def a_link(broker: BrokerAddress) -> MqttLink:
    park = load_park(shipped("parks/demo.yaml")).park
    return MqttLink(
        broker,
        homes_of(park),
        client_id="operator",
        now=lambda: datetime.now(UTC),
        jitter=Random(1),
    )


def test_an_operator_can_command_a_device_that_is_not_there_yet() -> None:
    async def play() -> None:
        async with asyncio.timeout(PATIENCE_S), simulated("--period", "1") as (process, broker):
            async with a_link(broker) as link:
                await link.wait_until(connected=True)
                now = datetime.now(UTC)
                setpoint = Setpoint(
                    command_id="try-1",
                    seq=1,
                    resource_id=BATTERY,
                    enterprise_id=OWNER,
                    issued_at=now,
                    expires_at=now + timedelta(minutes=5),
                    power_kw=-50.0,
                    serves="a trial",
                )
                assert await link.send([setpoint]) == ()
                heard = TelemetryMessage(ts="", seq=0, power_kw=0.0)
                async for message in link.messages():
                    if message.topic.endswith(f"/{BATTERY}/telemetry"):
                        heard = msgspec.json.decode(message.payload, type=TelemetryMessage)
                        if heard.power_kw < -49:
                            break
                told_at = parse_utc(heard.ts, where="ts")
                assert now - 10 * SECOND <= told_at <= datetime.now(UTC) + 10 * SECOND
                assert heard.setpoint_seq == 1
            process.send_signal(signal.SIGINT)
            said, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
            assert re.search(r"\d+ messages told, 1 set-points taken, 0 refused", said.decode())

    asyncio.run(play())


def test_faults_are_counted_at_the_end() -> None:
    async def play() -> None:
        arguments = ("--period", "1", "--faults", "100%", "--seed", "2")
        async with asyncio.timeout(PATIENCE_S), simulated(*arguments) as (process, broker):
            async with a_link(broker) as link:
                await link.wait_until(connected=True)
                devices = set()
                async for message in link.messages():
                    devices.add(message.topic.split("/")[4])
                    if len(devices) > 10:
                        break
            process.send_signal(signal.SIGTERM)
            said, _ = await process.communicate()
            assert process.returncode == 0
            assert re.search(r"faults: .*power_loss \d+, silence \d+", said.decode())

    asyncio.run(play())
