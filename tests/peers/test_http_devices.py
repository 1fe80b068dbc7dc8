"""Devices over HTTP as others speak it: Node-RED, which calls us and is asked by us, and json-server, which is asked.

They are installed into a folder of their own, or taken from the one that VPP_PEERS_HTTP names (with node_modules); it
takes downloads, so this is run where `VPP_PEERS` says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiohttp
import msgspec
import pytest

from adapters.http_pull import PullAddress, PullLink, PullTiming
from adapters.http_push import PushDoor, PushLink
from tests.adapters.httpdevices import MAP, a_device, a_map, a_setpoint
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.service.http import reserved_port
from vpp.service.links.channels import Link
from vpp.service.links.payloadmaps import load_payload_map
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.wire import AckMessage, TelemetryMessage

FLOWS = Path(__file__).parent / "http" / "flows.json"
TOKEN = "a token for node-red"
RECORDS = (
    MAP.replace("units/{unit}/limit", "units/{unit}")
    .replace("method: PUT", "method: PATCH")
    .replace('payload: {kw: "{power}"}', 'payload: {told: "{power}"}')
    .replace("release: {kw: null}", "release: {told: null}")
    .replace("    time: {path: t, form: unix_s}\n", "")
    .replace("sources:", "frozen_after: 10000\nsources:")
)

pytestmark = pytest.mark.skipif(
    "VPP_PEERS" not in os.environ,
    reason="installs Node-RED and json-server: set VPP_PEERS=1 to run it",
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (made := os.environ.get("VPP_PEERS_HTTP")) is not None:
        return Path(made)
    home = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm")
    assert npm is not None
    packages = ["node-red@4", "json-server@0.17.4"]
    subprocess.run([npm, "install", "--no-audit", "--no-fund", *packages], cwd=home, check=True)
    return home


@contextmanager
def program(*command: str, folder: Path, **more: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=os.environ | more
        )
        try:
            yield
        finally:
            running.kill()
            running.wait()


@contextmanager
def node_red(modules: Path, folder: Path, port: int, url: str = "") -> Iterator[None]:
    (folder / "settings.js").write_text("module.exports = {telemetry: {enabled: false}}\n")
    shutil.copy(FLOWS, folder / "flows.json")
    command = [str(modules / "node_modules/.bin/node-red"), "-u", str(folder), "-p", str(port)]
    with program(*command, "flows.json", folder=folder, VPP_URL=url, VPP_TOKEN=TOKEN):
        yield


@dataclass
class Heard:
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    acks: list[AckMessage] = field(default_factory=list)

    async def read(self, link: Link) -> None:
        async for message in link.messages():
            if message.topic.endswith("/ack"):
                self.acks.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                self.telemetry.append(msgspec.json.decode(message.payload, type=TelemetryMessage))

    async def until_power(self, power_kw: float) -> TelemetryMessage:
        while True:
            if self.telemetry and self.telemetry[-1].power_kw == power_kw:
                return self.telemetry[-1]
            await asyncio.sleep(0.01)


def now() -> datetime:
    return datetime.now(UTC)


def a_command(power_kw: float) -> Setpoint:
    at = now()
    made = a_setpoint(power_kw, seq=7)
    return replace(made, issued_at=at, expires_at=at + timedelta(minutes=2))


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_node_red_calls_us_and_does_what_the_answers_say(modules: Path, tmp_path: Path) -> None:
    async def check() -> None:
        link = PushLink(
            "shed",
            load_payload_map("push-json", Path()),
            [replace(a_device(), names={"device": "u1"})],
            token=lambda: TOKEN,
            now=now,
            silent_after_s=2.0,
        )
        heard = Heard()
        async with AsyncExitStack() as stack:
            port, its_own = (stack.enter_context(reserved_port()) for _ in range(2))
            await stack.enter_async_context(link)
            reading = asyncio.create_task(heard.read(link))
            listen = ListenSection(port=port)
            face = OuterFace(name="http_devices", listen=listen, routes=PushDoor([link]).routes())
            url = await stack.enter_async_context(serve_face(face, folder=Path()))
            with node_red(modules, tmp_path, its_own, f"{url}/push/shed"):
                await heard.until_power(-5.0)
                assert await link.send([a_command(-3.0)]) == ()
                await heard.until_power(-3.0)
                assert [(ack.seq, ack.accepted) for ack in heard.acks] == [(7, True)]
            while link.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            (unsent,) = await link.send([a_command(-4.0)])
            assert "has not called for 2 s" in unsent.reason
        await reading

    run(check())


@asynccontextmanager
async def asked(port: int, folder: Path, text: str) -> AsyncIterator[tuple[PullLink, Heard]]:
    link = PullLink(
        PullAddress(url=f"http://127.0.0.1:{port}"),
        a_map(folder, text),
        [a_device()],
        now=now,
        jitter=Random(1),
        timing=PullTiming(poll_s=0.1, first_delay_s=0.1, longest_delay_s=0.3),
    )
    heard = Heard()
    reading = asyncio.create_task(heard.read(link))
    async with link:
        yield link, heard
    await reading


def test_node_red_is_asked_and_shows_what_it_was_told(modules: Path, tmp_path: Path) -> None:
    async def check() -> None:
        with reserved_port() as port, node_red(modules, tmp_path, port):
            async with asked(port, tmp_path, MAP) as (link, heard):
                await heard.until_power(-5.0)
                assert await link.send([a_command(-3.0)]) == ()
                assert (await heard.until_power(-3.0)).setpoint_seq == 7
                assert heard.acks[0].accepted

    run(check())


def test_json_server_keeps_what_it_is_told_and_somebody_elses_word_is_told_too(
    modules: Path, tmp_path: Path
) -> None:
    async def check() -> None:
        records = tmp_path / "db.json"
        records.write_text(json.dumps({"units": [{"id": "u1", "kw": 5, "told": None}]}))
        server = str(modules / "node_modules/.bin/json-server")
        with reserved_port() as port:
            command = [server, "--host", "127.0.0.1", "--port", str(port), str(records)]
            with program(*command, folder=tmp_path):
                async with asked(port, tmp_path, RECORDS) as (link, heard):
                    await heard.until_power(-5.0)
                    assert await link.send([a_command(-3.0)]) == ()
                    while heard.telemetry[-1].setpoint_seq != 7:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                    assert heard.acks[0].accepted
                    url = f"http://127.0.0.1:{port}/units/u1"
                    async with (
                        aiohttp.ClientSession() as other,  # somebody else's hand
                        other.patch(url, json={"told": 9}) as answer,
                    ):
                        assert answer.status == 200
                    while len(heard.acks) < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                    assert heard.acks[1].reason == "somebody else has set it to -9 kW"

    run(check())
