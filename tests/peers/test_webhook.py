"""Signed requests as a stranger reads them: the reference library of Standard Webhooks checks ours, and answers.

It runs in an environment of its own (`webhook/`), made here or named by VPP_PEERS_WEBHOOK. Needs the registry of
packages once, so it runs where VPP_PEERS is set.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.service.conftest import NOW
from tests.service.peoplebench import acted
from tests.service.rebuilt import HandClock
from tests.service.test_calendars import demo_with
from tests.service.test_peoplepage import an_instruction
from vpp.clock import SimulatedClock
from vpp.model.instruction import State
from vpp.model.message import NotReached, Reached
from vpp.service.http import reserved_port
from vpp.service.instructions import instructing
from vpp.service.outerfaces import serve_outside
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.people import people
from vpp.service.people.wiring import open_people
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import plant_in_memory

SCRIPTS = Path(__file__).parent / "webhook"
SECRET = "whsec_" + base64.b64encode(b"between the two of us alone").decode()

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ, reason="installs standardwebhooks: set VPP_PEERS=1 to run it"
)

PARK = """\
people:
  page: {{url: "http://127.0.0.1:{page}/answer", listen: {{port: {page}}}}}
  webhooks:
    - {{id: erp, url: "http://127.0.0.1:{hook}/hook", secret: {{env: VPP_TEST_HOOK}}}}
  persons:
    - {{id: wang, name: 王工, language: zh, webhook: erp}}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the library."""
    if (made := os.environ.get("VPP_PEERS_WEBHOOK")) is not None:
        return Path(made) / "bin/python"
    home = tmp_path_factory.mktemp("webhook") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip: list[str | Path] = [home / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "-r", SCRIPTS / "requirements.txt"], check=True)
    return home / "bin/python"


class Stranger:
    """The receiver in its process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def asked(python: Path, folder: Path) -> AsyncIterator[tuple[Plant, Stranger]]:
    """A plant that asked Wang over a receiver of others, and what that one prints.

    The service's clock is of now: the library refuses what is not.
    """
    process = await asyncio.create_subprocess_exec(
        python, SCRIPTS / "receiver.py", SECRET, stdout=asyncio.subprocess.PIPE
    )
    stranger = Stranger(process)
    try:
        async with AsyncExitStack() as stack:
            page, hook = stack.enter_context(reserved_port()), await stranger.line()
            plant = plant_in_memory(
                load_park(shipped_park("demo")), clock=SimulatedClock(NOW), data=folder,
                source=None, sink=None, executor=InlineExecutor(),  # type: ignore[arg-type]
            )  # fmt: skip
            plant.file = demo_with(folder, PARK.format(page=page, hook=hook))
            plant.clock = HandClock(at=NOW)
            present = HandClock(at=datetime.now(UTC))
            plant.people = await open_people(plant.file, present, stack)
            await stack.enter_async_context(serve_outside(plant))
            await instructing.ask(plant, an_instruction(plant), now=NOW)
            yield plant, stranger
            await people.close(plant.people)
    finally:
        process.kill()
        await process.wait()


@acted
async def test_the_reference_library_takes_our_signature_and_its_answer_counts(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPP_TEST_HOOK", SECRET)
    async with asked(python, tmp_path) as (plant, stranger):
        told = (await stranger.line())["told"]
        assert (told["type"], told["data"]["change_kw"]) == ("instruction.ask", 120.0)
        assert await stranger.line() == {"answered": 200, "result": "answered"}
        (story,) = plant.instructions.stories.values()
        assert story.state is State.ACCEPTED
        name = f"{story.instruction.instruction_id}.ask"
        assert people.delivered(plant, name) == Reached(channel="webhook-erp", at=NOW)


@acted
async def test_the_reference_library_refuses_what_another_secret_signed(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPP_TEST_HOOK", "whsec_" + base64.b64encode(bytes(32)).decode())
    async with asked(python, tmp_path) as (plant, stranger):
        assert "refused" in await stranger.line()
        await asyncio.gather(*plant.people.sending)
        (story,) = plant.instructions.stories.values()
        assert story.state is State.ASKED
        found = people.delivered(plant, f"{story.instruction.instruction_id}.ask")
        assert isinstance(found, NotReached)
