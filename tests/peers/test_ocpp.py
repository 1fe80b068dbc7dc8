"""OCPP as strangers speak it: npm `ocpp-rpc` in strict mode, and the Python library's charge point.

    our simulated station ─▶ ocpp-rpc's central system     what we test with is itself checked, message by message
    ocpp-rpc's station    ─▶ our central system
    ocpp's station        ─▶ our central system

The node folder is made here or named by VPP_PEERS_OCPP_RPC. Needs the registry of packages once, so it runs
where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from vpp.clock import WallClock
from vpp.simulate.charger import ChargerSpec, Dialect
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint

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

    said = asyncio.run(asyncio.wait_for(check(), 30))
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
