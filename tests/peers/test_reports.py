"""Reports as a stranger takes them: a platform in Node that holds each against our published schema with Ajv.

The node folder is made here or named by VPP_PEERS_REPORTS. Needs the registry of packages once, so it runs where
VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.report_http import HttpPlatform, PlatformAccess
from tests.patience import PATIENCE_S
from tests.service.drpark import NOW, a_plant, planned, write_park
from tests.service.test_reporting import MINUTE, says
from vpp.clock import SimulatedClock
from vpp.model.reporting import ReportKind
from vpp.model.time import Interval
from vpp.service.park.schemas import SCHEMAS
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.reports import sending as reportsending
from vpp.service.reports.desk import PlatformDesk
from vpp.service.reports.schema import PlatformSection

SCRIPTS = Path(__file__).parent / "reports"

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ or shutil.which("npm") is None,
    reason="installs ajv by npm: set VPP_PEERS=1 to run it",
)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which the script finds Ajv, and our schema in it."""
    if (made := os.environ.get("VPP_PEERS_REPORTS")) is not None:
        home = Path(made)
    else:
        home = tmp_path_factory.mktemp("reports")
        shutil.copy(SCRIPTS / "package.json", home)
        subprocess.run(["npm", "install", "--silent", "--no-audit"], cwd=home, check=True)
    shutil.copy(SCRIPTS / "platform.js", home)
    (home / "schema.json").write_text(json.dumps(SCHEMAS["report"]()), encoding="utf-8")
    return home


def test_every_report_is_valid_for_a_stranger_and_again_the_same(
    tmp_path: Path, node_folder: Path
) -> None:
    """Points with a reactive device and of a silent park, a forecast, a day's plan; then all of it again."""
    plant = a_plant(write_park(tmp_path), tmp_path)

    async def play() -> list[dict[str, Any]]:
        await planned(plant)
        reactive = {"power_kw": 77.1234, "soc": 0.5, "reactive_kvar": -3.5}
        says(plant, "battery", NOW, seq=3, **reactive)
        platform = await asyncio.create_subprocess_exec(
            "node", node_folder / "platform.js", node_folder / "schema.json",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert platform.stdin is not None
        assert platform.stdout is not None
        port = json.loads(await platform.stdout.readline())["port"]
        async with AsyncExitStack() as stack:
            access = PlatformAccess(url=f"http://127.0.0.1:{port}/vpp")
            ours = await stack.enter_async_context(HttpPlatform(access, now=plant.clock.now))
            section = PlatformSection(id="centre", url="https://centre.example")
            desk = PlatformDesk(section=section, port=ours)
            plant.reports.platforms = (desk,)
            for minute in (0, 15, 45):  # then every device is silent, and at last for too long
                plant.clock = SimulatedClock(NOW + minute * MINUTE)
                await reporting.report(plant, NOW + minute * MINUTE)
                await _send(plant, desk)
            await reporting.report_planned(plant, NOW + 47 * MINUTE)
            await _send(plant, desk)
            (owed,) = plant.reports.owed
            for kind in ReportKind:
                span = Interval(NOW - timedelta(days=1), NOW + timedelta(days=1))
                reportsending.replay(plant, desk, owed, kind, span)
            await _send(plant, desk)
            assert (desk.declined, desk.waiting) == (0, 0)
        platform.stdin.close()
        lines = (await platform.stdout.read()).splitlines()
        await platform.wait()
        return [json.loads(line) for line in lines]

    seen = asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    assert [one["status"] for one in seen] == [503] + 5 * [202] + 5 * [409], seen
    assert {one["kind"] for one in seen} == {"point", "forecast", "day-plan"}
    assert all(one["watts"] == one["sum"] for one in seen if one["watts"] is not None)


async def _send(plant: Plant, desk: PlatformDesk) -> None:
    while desk.waiting:
        await reportsending.send_next(plant, desk)
