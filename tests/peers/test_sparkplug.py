"""Sparkplug B as a stranger speaks it: pysparkplug as an edge node with a battery.

It runs in an environment of its own (`sparkplug/`), made here or named by VPP_PEERS_SPARKPLUG, for it needs an
older paho-mqtt than we do. Needs the registry of packages once, so it runs where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from adapters.brokers import EmbeddedBroker
from adapters.sparkplug_device import ReadMetric, SparkplugDevice, WriteMetric
from adapters.sparkplug_link import SparkplugLink
from tests.contracts.linkbench import until
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.wire import AckMessage, TelemetryMessage

SCRIPTS = Path(__file__).parent / "sparkplug"

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ, reason="installs pysparkplug: set VPP_PEERS=1 to run it"
)

BATTERY = SparkplugDevice(
    device_id=ResourceId("bess"),
    enterprise_id="steel",
    site_id="mill",
    node="Edge1",
    device="BMS",
    points={
        "power_kw": ReadMetric(name="Power/Active", factor=-0.001),
        "soc": ReadMetric(name="SoC", factor=0.01),
    },
    setpoint=WriteMetric(name="Setpoint/Power", factor=-0.001, enable="Setpoint/Remote"),
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds pysparkplug."""
    if (made := os.environ.get("VPP_PEERS_SPARKPLUG")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("sparkplug") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", SCRIPTS / "requirements.txt"], check=True)
    return home / "bin/python"


def now() -> datetime:
    return datetime.now(UTC)


def a_setpoint(power_kw: float, seq: int) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=ResourceId("bess"),
        enterprise_id=EnterpriseId("steel"),
        issued_at=now(),
        expires_at=now() + timedelta(minutes=5),
        power_kw=power_kw,
        serves="plan-1",
    )


class Talk:
    """What came inward, and what the edge node said that it heard."""

    def __init__(self) -> None:
        self.telemetry: list[TelemetryMessage] = []
        self.answers: list[AckMessage] = []
        self.said: list[dict[str, Any]] = []

    async def read(self, link: SparkplugLink) -> None:
        async for message in link.messages():
            if message.topic.endswith("/ack"):
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append(told)

    async def follow(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.said.append(json.loads(line))

    def newest_is(self, power_kw: float) -> Callable[[], bool]:
        return lambda: bool(self.telemetry) and self.telemetry[-1].power_kw == power_kw

    @property
    def written(self) -> list[dict[str, Any]]:
        return [line["written"] for line in self.said if "written" in line]


def test_a_foreign_edge_node_is_read_commanded_and_seen_to_die(python: Path) -> None:
    async def check() -> None:
        talk = Talk()
        async with EmbeddedBroker([EnterpriseId("steel")]) as access:
            peer = await asyncio.create_subprocess_exec(
                python, SCRIPTS / "edge.py", access.host, str(access.port), "steel",
                access.passwords["steel"],
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert peer.stdin is not None
            assert peer.stdout is not None
            following = asyncio.create_task(talk.follow(peer.stdout))
            await until(lambda: {"born": True} in talk.said)  # before we are there: we missed it
            link = SparkplugLink(
                access.address(),
                "Plant1",
                [BATTERY],
                client_id="service-plant",
                now=now,
                jitter=Random(1),
                ask_s=5.0,
            )
            async with link:
                reading = asyncio.create_task(talk.read(link))
                await until(talk.newest_is(-1.5))  # it was asked to be born again, and was
                assert talk.telemetry[-1].soc == pytest.approx(0.55)
                await until(lambda: talk.written == [{"Setpoint/Remote": False}])

                assert await link.send([a_setpoint(-4.0, 7)]) == ()
                await until(talk.newest_is(-4.0))
                assert talk.telemetry[-1].setpoint_seq == 7
                assert [(one.seq, one.accepted) for one in talk.answers] == [(7, True)]
                assert talk.written[-1] == {"Setpoint/Power": 4000.0, "Setpoint/Remote": True}

                peer.stdin.write(b"die\n")  # its will is spoken
                await until(lambda: "has died" in str(link.fault))
                (unsent,) = await link.send([a_setpoint(-3.0, 8)])
                assert "has died" in unsent.reason
            await peer.wait()
            await asyncio.gather(following, reading)

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
