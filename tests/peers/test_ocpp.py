"""OCPP as strangers speak it: npm `ocpp-rpc` in strict mode, and the Python library's charge point.

    our simulated station ─▶ ocpp-rpc's central system     what we test with is itself checked, message by message
    ocpp-rpc's station    ─▶ our central system
    ocpp's station        ─▶ our central system

The node folder is made here or named by VPP_PEERS_OCPP_RPC, the environment likewise by VPP_PEERS_OCPP. Needs the registry of packages once, so it runs
where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest

from adapters.ocpp_link import OcppLink
from tests.contracts.linkbench import BESS
from tests.contracts.ocppbenches import PASSWORD, a_central, listening
from tests.patience import PATIENCE_S
from vpp.clock import WallClock
from vpp.model.charging import CentralSpec
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId
from vpp.model.time import parse_utc
from vpp.simulate.charger import ChargerSpec, Dialect
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint
from vpp.wire import AckMessage, TelemetryMessage

SCRIPTS = Path(__file__).parent / "ocpp"

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ or shutil.which("npm") is None,
    reason="installs ocpp-rpc by npm: set VPP_PEERS=1 to run it",
)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which scripts find ocpp-rpc."""
    if (made := os.environ.get("VPP_PEERS_OCPP_RPC")) is not None:
        home = Path(made)
    else:
        home = tmp_path_factory.mktemp("ocpp-rpc")
        shutil.copy(SCRIPTS / "package.json", home)
        subprocess.run(["npm", "install", "--silent", "--no-audit"], cwd=home, check=True)
    for script in SCRIPTS.glob("*.js"):
        shutil.copy(script, home)
    return home


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the library."""
    if (made := os.environ.get("VPP_PEERS_OCPP")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("ocpp") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", SCRIPTS / "requirements.txt"], check=True)
    return home / "bin/python"


class Script:
    """A peer that prints one JSON object a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        """What it prints next."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the peer has ended"
        found: dict[str, Any] = json.loads(line)
        self.said.append(found)
        return found

    async def next_with(self, key: str) -> dict[str, Any]:
        """The next line that says something of `key`."""
        while key not in (line := await self.next()):
            pass
        return line

    def tell(self, line: str) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def finish(self) -> None:
        """Nothing more will be asked."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def until(self, key: str, value: object) -> dict[str, Any]:
        """The next line in which `key` is `value`."""
        while (line := await self.next()).get(key) != value:
            pass
        return line


@asynccontextmanager
async def script(*command: str | Path) -> AsyncIterator[Script]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# ---------------------------------------------------------------- our simulated station, their central system


@pytest.mark.parametrize("dialect", Dialect)
def test_what_our_simulated_station_says_and_answers_is_strictly_valid(
    dialect: Dialect, node_folder: Path
) -> None:
    async def check() -> list[dict[str, Any]]:
        clock, stop = WallClock(), asyncio.Event()
        async with (
            script("node", node_folder / "centre.js", dialect.value) as centre,
            aiohttp.ClientSession() as session,
        ):
            port = (await centre.next())["port"]
            point = ChargePoint(
                ChargerSpec(charger_id="CP 1/ä", dialect=dialect),
                f"ws://127.0.0.1:{port}/ocpp",
                session,
                now=clock.now,
                chance=Random(1),
                password="secret",
                timing=LineTiming(first_delay_s=0.01, longest_delay_s=0.1),
            )
            running = asyncio.create_task(point.run(stop))
            await centre.until("said", "StatusNotification")
            point.tell()
            point.plug_in()
            await centre.until("asked", "UnlockConnector")
            point.tick(clock.now())
            point.line.cut()
            point.tell()
            point.unplug()
            point.line.mend()
            ends = "StopTransaction" if dialect is Dialect.V16 else "TransactionEvent"
            ended = await centre.until("said", ends)
            while dialect is Dialect.V201 and ended["params"]["eventType"] != "Ended":
                ended = await centre.until("said", ends)
            await point.line.settled()
            stop.set()
            await running
            assert point.counts["refused"] == point.counts["odd"] == 0
            return centre.said

    said = asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
    assert not [line for line in said if "invalid" in line or "bad" in line]
    answers = [line["answer"] for line in said if "answer" in line]
    assert answers[0] == {"status": "Accepted"}
    schedule = answers[1].get("chargingSchedule") or answers[1]["schedule"]
    assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [3000, 4140]
    assert answers[2] in (
        {"status": "Accepted"},
        {
            "setVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "component": {"name": "SampledDataCtrlr"},
                    "variable": {"name": "TxUpdatedInterval"},
                }
            ]
        },
    )
    assert [answer["status"] for answer in answers[4:]] == ["Accepted", "Accepted", "Unknown"]
    assert [line["error"] for line in said if "error" in line] == [
        "UnlockConnector is not known here"
    ]


# ---------------------------------------------------------------- their stations, our central system


@dataclass
class Shifted:
    """The wall's time, which a test may put forward."""

    by: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


@dataclass
class Told:
    """What the link told inward."""

    link: OcppLink
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    acks: list[AckMessage] = field(default_factory=list)

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                self.acks.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                self.telemetry.append(msgspec.json.decode(message.payload, type=TelemetryMessage))

    async def until(self, what: Callable[[], bool]) -> None:
        """Let the link tell how things stand until something is so."""
        while not what():
            self.link.look(report=True)
            await asyncio.sleep(0.01)

    async def draws(self, kw: float) -> None:
        """Until so much is told to be drawn."""
        await self.until(lambda: bool(self.telemetry) and self.telemetry[-1].power_kw == -kw)


@asynccontextmanager
async def central(clock: Shifted) -> AsyncIterator[tuple[OcppLink, str, Told]]:
    """Our central system with one car park, where it listens, and what it tells when it is looked at."""
    link = a_central(clock, spec=CentralSpec(sample_s=10))
    async with listening(link) as url:
        told = Told(link)
        reading = asyncio.create_task(told.read())
        try:
            yield link, url, told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def a_setpoint(clock: Shifted, power_kw: float, seq: int) -> Setpoint:
    now = clock.now()
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        issued_at=now,
        expires_at=now + timedelta(minutes=15),
        power_kw=power_kw,
        serves="plan-1",
    )


@pytest.mark.parametrize("dialect", Dialect)
def test_a_strict_stranger_is_heard_limited_and_comes_back_with_what_it_kept(
    dialect: Dialect, node_folder: Path
) -> None:
    async def check() -> list[dict[str, Any]]:
        clock = Shifted()
        station = node_folder / "station.js"
        async with (
            central(clock) as (link, url, told),
            script("node", station, url, "cp-1", PASSWORD, dialect.value) as peer,
        ):
            await peer.until("booted", "Accepted")
            await peer.next_with("began")
            peer.tell("meter 7000")
            await told.draws(7.0)
            assert await link.send([a_setpoint(clock, -3.0, 1)]) == ()
            limited = await peer.until("purpose", "TxProfile")
            assert (limited["limit"], limited["unit"]) == (3000, "W")
            await told.until(lambda: bool(told.acks))
            assert told.acks[0].accepted
            peer.tell("meter 3000")
            await told.draws(3.0)
            peer.tell("nonsense")
            await peer.until("heard", True)

            peer.tell("drop")
            await peer.until("dropped", True)
            await told.until(lambda: not link.connected)
            told.telemetry.clear()
            for _ in range(3):  # the car charges on, and nobody hears it
                clock.by += timedelta(seconds=10)
                peer.tell("pass 10000")
                peer.tell("keep 2500")
                link.look(report=True)
            gone = clock.now()
            clock.by += timedelta(seconds=10)
            peer.tell("pass 10000")
            peer.tell("back")
            await peer.until("back", True)
            clock.by += timedelta(seconds=31)
            peer.tell("pass 31000")
            peer.tell("meter 3000")
            await told.draws(3.0)
            kept = [one for one in told.telemetry if one.power_kw == -2.5]
            assert len(kept) >= 2
            assert all(parse_utc(one.ts, where="ts") <= gone for one in kept)
            assert {one.power_kw for one in told.telemetry} == {-2.5, -3.0}

            peer.tell("end")
            await peer.until("ended", True)
            await told.until(lambda: told.telemetry[-1].sessions == ())
            return peer.said

    said = asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
    assert not [line for line in said if {"invalid", "error"} & line.keys()]
    # Its nonsense went past its own books, so it knows nothing of what that was answered.
    assert all(line["bad"].endswith("message ID: x") for line in said if "bad" in line)
    assert {line["asked"] for line in said if "asked" in line} >= {"SetChargingProfile"}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_the_charge_point_of_another_library_is_heard_and_limited(
    version: str, python: Path
) -> None:
    async def check() -> list[dict[str, Any]]:
        clock = Shifted()
        station = SCRIPTS / "station.py"
        async with (
            central(clock) as (link, url, told),
            script(python, station, url, "cp-1", PASSWORD, version) as peer,
        ):
            await peer.until("booted", "Accepted")
            await peer.next_with("began")
            await told.draws(7.0)
            assert await link.send([a_setpoint(clock, -3.0, 1)]) == ()
            assert (await peer.next_with("limited"))["limited"] == 3000
            await told.draws(3.0)
            await told.until(lambda: bool(told.acks))
            assert told.acks[0].accepted
            peer.finish()
            await peer.until("ended", True)
            await told.until(lambda: told.telemetry[-1].sessions == ())
            return peer.said

    said = asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
    assert not [line for line in said if "error" in line]


def test_a_strict_stranger_whom_nobody_knows_is_rejected_in_the_words_of_the_standard(
    node_folder: Path,
) -> None:
    async def check() -> None:
        station = node_folder / "station.js"
        async with (
            central(Shifted()) as (link, url, _),
            script("node", station, url, "cp-9", PASSWORD, "ocpp1.6") as peer,
        ):
            await peer.until("booted", "Rejected")
            await peer.next_with("error")
            assert not link.connected

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
