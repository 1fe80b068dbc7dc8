"""S2 as a stranger speaks it: s2-python as the resource manager of a battery and of a roof.

It runs in an environment of its own (`s2/`), made here or named by VPP_PEERS_S2. Needs the registry of
packages once, so it runs where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.s2_device import S2Device
from adapters.s2_link import S2Link
from adapters.s2_wire import Control
from tests.contracts.s2bench import TOKEN, s2_served
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.wire import AckMessage, TelemetryMessage

SCRIPTS = Path(__file__).parent / "s2"

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ, reason="installs s2-python: set VPP_PEERS=1 to run it"
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds s2-python."""
    if (made := os.environ.get("VPP_PEERS_S2")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("s2") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", SCRIPTS / "requirements.txt"], check=True)
    return home / "bin/python"


def now() -> datetime:
    return datetime.now(UTC)


def a_setpoint(power_kw: float, seq: int, *, lives_s: float = 300) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=ResourceId("bess"),
        enterprise_id=EnterpriseId("steel"),
        issued_at=now(),
        expires_at=now() + timedelta(seconds=lives_s),
        power_kw=power_kw,
        serves="plan-1",
    )


class Talk:
    """A link, and s2-python at its other end."""

    def __init__(self, link: S2Link) -> None:
        self.link = link
        self.telemetry: list[TelemetryMessage] = []
        self.answers: list[AckMessage] = []
        self.said: list[dict[str, Any]] = []
        self.came = asyncio.Condition()

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append(told)
            await self._tell()

    async def follow(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            self.said.append(json.loads(line))
            await self._tell()

    async def _tell(self) -> None:
        async with self.came:
            self.came.notify_all()

    async def until_power_kw(self, power_kw: float) -> TelemetryMessage:
        async with self.came:
            await self.came.wait_for(
                lambda: bool(self.telemetry) and abs(self.telemetry[-1].power_kw - power_kw) < 0.001
            )
        return self.telemetry[-1]

    async def until_said(self, count: int, **what: object) -> None:
        """So many lines with these fields."""

        def found() -> int:
            return sum(what.items() <= line.items() for line in self.said)

        async with self.came:
            await self.came.wait_for(lambda: found() >= count)


async def talk_about(python: Path, control: Control, kind: str, check: Any) -> list[dict[str, Any]]:
    """Let s2-python connect and `check` have its way; all that it said, from its start to its end."""
    device = S2Device(
        device_id=ResourceId("bess"),
        enterprise_id="steel",
        site_id="mill",
        control=control,
        limits="feed",
        read_only=False,
    )
    async with s2_served(device, now=now) as (link, url):
        talk = Talk(link)
        reading = asyncio.create_task(talk.read())
        address = f"{url.replace('http', 'ws')}bess"
        peer = await asyncio.create_subprocess_exec(
            python, SCRIPTS / "manager.py", address, TOKEN, kind, stdout=asyncio.subprocess.PIPE
        )
        assert peer.stdout is not None
        following = asyncio.create_task(talk.follow(peer.stdout))
        await check(talk)
    await asyncio.gather(reading, following)
    assert await peer.wait() == 0
    return talk.said


def test_a_foreign_battery_is_read_commanded_and_let_go(python: Path) -> None:
    async def check(talk: Talk) -> None:
        first = await talk.until_power_kw(0.0)
        assert first.soc == pytest.approx(0.55)
        await talk.link.send([a_setpoint(-5.0, 7)])
        told = await talk.until_power_kw(-5.0)
        assert told.setpoint_seq == 7
        assert talk.answers[0].accepted
        await talk.until_said(1, instruction="frbc", later=True, watts=0)
        await talk.link.send([a_setpoint(4.0, 8, lives_s=3)])
        assert (await talk.until_power_kw(4.0)).setpoint_seq == 8
        await talk.until_said(2, activated="frbc")  # its time was over: it was let go

    said = asyncio.run(
        asyncio.wait_for(talk_about(python, Control.FRBC, "frbc", check), PATIENCE_S)
    )
    watts = [line["watts"] for line in said if "watts" in line and not line["later"]]
    assert watts == pytest.approx([5000, -4000])
    assert sum(line == {"deactivated": "frbc"} for line in said) == 2  # at its end, and at ours


def test_a_foreign_roof_is_curtailed_for_as_long_as_the_command_lives(python: Path) -> None:
    async def check(talk: Talk) -> None:
        await talk.until_power_kw(8.0)
        await talk.link.send([a_setpoint(3.0, 7)])
        await talk.until_power_kw(3.0)
        assert talk.answers[0].accepted
        await talk.link.send([a_setpoint(12.0, 8)])  # more than it can: no limit
        assert (await talk.until_power_kw(8.0)).setpoint_seq == 8

    said = asyncio.run(
        asyncio.wait_for(talk_about(python, Control.PEBC, "pebc", check), PATIENCE_S)
    )
    limits = [line for line in said if "lower" in line]
    assert [line["lower"] for line in limits] == [-3000, -10_000]
    assert all(299_000 < line["lasts_ms"] <= 300_000 for line in limits)
    assert {"deactivated": "pebc"} in said
