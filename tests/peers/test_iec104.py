"""IEC 60870-5-104 as a stranger speaks it: c104 as the dispatch centre of our station, and as our client's unit.

It runs in an environment of its own (`iec104/`), made here or named by VPP_PEERS_C104: it is under the GPL, and
nothing of it comes near what we ship. Needs the registry of packages once, so it runs where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest

from adapters.iec104_client import RemoteLink, RemoteUnit
from adapters.iec104_device import ReadPoint, RemoteDevice, WritePoint
from adapters.iec104_station import Station
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.telecontrol import (
    DispatchOrder,
    Flaw,
    Master,
    OrderPoint,
    Pace,
    Shown,
    ShownPoint,
    StationSpec,
)
from vpp.service.http import reserved_port
from vpp.wire import AckMessage, TelemetryMessage

SCRIPTS = Path(__file__).parent / "iec104"
UTC_ZONE = ZoneInfo("UTC")

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ, reason="installs c104: set VPP_PEERS=1 to run it"
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds c104."""
    if (made := os.environ.get("VPP_PEERS_C104")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("c104") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", SCRIPTS / "requirements.txt"], check=True)
    return home / "bin/python"


# ---------------------------------------------------------------- our station, their dispatch centre

SPEC = StationSpec(
    name="dispatch",
    host="127.0.0.1",
    port=0,
    common_address=47,
    zone=UTC_ZONE,
    masters=(Master(host="127.0.0.1", may_order=True),),
    points=(
        ShownPoint(address=11, cyclic_s=0.5),
        ShownPoint(address=12),
        ShownPoint(address=13),
        ShownPoint(address=20, is_state=True),
        ShownPoint(address=21, is_state=True),
    ),
    orders=(
        OrderPoint(address=30, low=-10, high=10),
        OrderPoint(address=31, is_switch=True, pace=Pace.DIRECT),
        OrderPoint(address=32),
    ),
)


def test_a_foreign_dispatch_centre_reads_orders_and_is_refused_as_ours(python: Path) -> None:
    orders: list[tuple[int, float]] = []
    measured_at = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    async def operate(order: DispatchOrder) -> None:
        orders.append((order.address, order.value))

    async def both() -> dict[str, object]:
        station, stop = Station(SPEC, now=lambda: datetime.now(UTC)), asyncio.Event()
        serving = asyncio.create_task(station.run(operate, lambda who, what: None, stop))
        while not station.port:  # noqa: ASYNC110
            await asyncio.sleep(0)
        station.publish(
            {
                11: Shown(4.5, Flaw.NONE, measured_at),
                12: Shown(2.5, Flaw.NOT_TOPICAL, measured_at),
                20: Shown(1, Flaw.NONE, measured_at),
            }
        )
        master = await asyncio.create_subprocess_exec(
            python, SCRIPTS / "master.py", str(station.port),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert master.stdout is not None
        assert master.stderr is not None
        number = 0
        while master.returncode is None:
            number += 1  # something moves all the time
            at = measured_at + timedelta(seconds=number)
            station.publish(
                {13: Shown(number, Flaw.NONE, at), 21: Shown(number % 2, Flaw.NONE, at)}
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(master.wait(), 0.1)
        stop.set()
        await serving
        said = (await master.stdout.read()).decode()
        assert master.returncode == 0, (await master.stderr.read()).decode()
        (line,) = [row for row in said.splitlines() if row.startswith("RESULT ")]
        found: dict[str, object] = json.loads(line.removeprefix("RESULT "))
        return found

    found = asyncio.run(asyncio.wait_for(both(), PATIENCE_S))

    assert found["values"] == {"11": 4.5, "12": 2.5, "20": True}
    assert "is_good: True" in str(found["good"])
    assert "NonTopical" in str(found["stale"])
    recorded_at = datetime.fromtimestamp(float(str(found["recorded_at"])), UTC)
    assert timedelta(0) < recorded_at - measured_at < timedelta(minutes=5)
    assert [found[k] for k in ("interrogated", "selected", "direct", "clock", "again")] == [
        True
    ] * 5
    assert [found[k] for k in ("beyond", "unselected")] == [False, False]
    assert set(orders) == {(30, 4.5), (31, 1)}


# ---------------------------------------------------------------- our client, their remote terminal unit


def a_setpoint(power_kw: float, seq: int) -> Setpoint:
    now = datetime.now(UTC)
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=ResourceId("bess"),
        enterprise_id=EnterpriseId("steel"),
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        power_kw=power_kw,
        serves="plan-1",
    )


def test_a_foreign_unit_is_read_commanded_and_let_go(python: Path) -> None:
    device = RemoteDevice(
        device_id=ResourceId("bess"),
        enterprise_id="steel",
        site_id="mill",
        points={"power_kw": ReadPoint(address=1, factor=1000.0)},
        setpoint=WritePoint(address=30, factor=10.0, enable_address=31, reads_at=3),
    )
    telemetry: list[TelemetryMessage] = []
    answers: list[AckMessage] = []
    orders: list[tuple[int, float]] = []

    async def read(link: RemoteLink) -> None:
        async for message in link.messages():
            if message.topic.endswith("/ack"):
                answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                telemetry.append(msgspec.json.decode(message.payload, type=TelemetryMessage))

    async def follow(said: asyncio.StreamReader) -> None:
        async for line in said:
            address, value = json.loads(line)
            orders.append((address, value))

    async def until(what: object) -> None:
        while not what():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def both() -> None:
        with reserved_port() as port:
            pass
        unit = await asyncio.create_subprocess_exec(
            python, SCRIPTS / "unit.py", str(port),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert unit.stdout is not None
        assert unit.stdin is not None
        assert await unit.stdout.readline() == b"ready\n"
        following = asyncio.create_task(follow(unit.stdout))
        there = RemoteUnit(
            host="127.0.0.1", port=port, common_address=1, zone=UTC_ZONE, report_s=0.05
        )
        link = RemoteLink(there, [device], now=lambda: datetime.now(UTC), jitter=Random(1))
        async with link:
            reading = asyncio.create_task(read(link))
            await until(lambda: telemetry and telemetry[-1].power_kw == 250.0)
            await until(lambda: orders == [(31, 0.0)])  # let go of what was before us

            await link.send([a_setpoint(-400.0, 7)])
            await until(lambda: answers)
            assert answers[0].accepted
            await until(lambda: telemetry[-1].setpoint_seq == 7)
            assert telemetry[-1].power_kw == pytest.approx(-400.0, abs=0.01)

            await link.send([a_setpoint(660.0, 8)])
            await until(lambda: len(answers) == 2)
            assert not answers[1].accepted
        await asyncio.sleep(0.2)
        reading.cancel()
        unit.stdin.close()
        await unit.wait()
        await following

    asyncio.run(asyncio.wait_for(both(), PATIENCE_S))
    assert orders[1:3] == [(30, -40.0), (31, 1.0)]
    assert orders[-1] == (31, 0.0)
