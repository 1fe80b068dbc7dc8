"""The sections `http_devices` and `replays` of a park file: what they take, refuse, and open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import aiohttp
import msgspec
import pytest
from typer.testing import CliRunner

from tests.adapters.httpdevices import units, until
from tests.patience import PATIENCE_S
from tests.service.smallpark import MARKET, PARK
from vpp.cli import app
from vpp.clock import WallClock
from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.service.devicetest.command import run_device_test
from vpp.service.devicetest.reading import DeviceTestOptions
from vpp.service.devicetest.wiring import channel_of
from vpp.service.http import reserved_port
from vpp.service.links.channels import Channels
from vpp.service.links.mappedwiring import open_mapped_links
from vpp.service.links.unended import unended
from vpp.service.listeners import serve_face
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.wire import TelemetryMessage

SECTIONS = """\
http_devices:
  listen: {port: 8443}
  gateways:
    - id: shed
      map: unit.yaml
      pull:
        url: http://127.0.0.1:8084
        poll_s: 0.1
        username: {file: user.secret}
        password: {file: kiln.secret}
      devices:
        - {resource: battery, names: {unit: b1}, read_only: false}
    - id: kiln
      map: push-json
      push: {token: {file: kiln.secret}}
      devices:
        - {resource: pv, names: {device: p1}}
replays:
  - id: summer
    file: summer.csv
    moved: start
    devices:
      - {resource: mill-meter, names: {device: m}}
"""
FILES = {
    "kiln.secret": "0123456789abcdef",
    "user.secret": "vpp",
    "summer.csv": "ts,device,power_kw,import_wh,export_wh\n2025-06-02T12:00:00Z,m,-7,1000,0\n",
    "market.yaml": MARKET,
    "unit.yaml": """\
payloads: unit
name: A unit that tells kW
device_by: [unit]
incoming:
  - topic: units/{unit}
    time: {path: t, form: unix_s}
    points:
      power_kw: {path: kw, counts: draw}
command:
  topic: units/{unit}/limit
  method: PUT
  payload: {kw: "{power}"}
  counts: draw
  release: {kw: null}
  without_expiry: keeps its last value
sources:
  incoming: {ref: a test, mark: ours, confidence: H, valid: all}
  command: {ref: a test, mark: ours, confidence: H, valid: all}
""",
}


def loaded(folder: Path, sections: str = SECTIONS, **files: str) -> ParkFile:
    for name, text in (FILES | {"park.yaml": PARK + sections} | files).items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_park(folder / "park.yaml")


def test_from_the_park_file_a_device_is_asked_another_calls_and_a_recording_is_told(
    tmp_path: Path,
) -> None:
    async def check(stack: AsyncExitStack) -> None:
        clock = WallClock()
        there = await stack.enter_async_context(units(b1={"t": clock.now().timestamp(), "kw": 5}))
        port = stack.enter_context(reserved_port())
        text = SECTIONS.replace("8084", str(there.port)).replace("8443", str(port))
        file = loaded(tmp_path, text)
        links, (face,) = await open_mapped_links(file, clock=clock, seed=1, stack=stack)
        carrier = {ResourceId(n): g for n, g in (("battery", "shed"), ("pv", "kiln"))}
        channels = Channels(links, carrier | {ResourceId("mill-meter"): "summer"})
        assert {channel_of(file, name) for name in channels._carrier} == set(links)
        url = await stack.enter_async_context(serve_face(face, folder=tmp_path))
        powers: dict[str, float] = {}

        async def read() -> None:
            async for message in channels.messages():
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                powers[message.topic.split("/")[4]] = told.power_kw

        reading = asyncio.create_task(read())
        headers = {"Authorization": f"Bearer {FILES['kiln.secret']}"}
        body = {"time": isoformat(clock.now()), "power_kw": 3.0}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{url}/push/kiln/devices/p1", json=body) as answer,
        ):
            assert answer.status == 200
        await until(lambda: len(powers) == 3)
        assert powers == {"battery": -5.0, "pv": 3.0, "mill-meter": -7.0}
        assert there.headers["Authorization"] == "Basic dnBwOjAxMjM0NTY3ODlhYmNkZWY="
        reading.cancel()

    async def checked() -> None:
        async with AsyncExitStack() as stack:
            await check(stack)

    asyncio.run(asyncio.wait_for(checked(), PATIENCE_S))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "resource: pv",
            "resource: battery",
            "http_devices.gateways.1.devices.0.resource: device 'battery' is behind 'shed' already",
            id="a device twice",
        ),
        pytest.param(
            ":8084",
            ":99999",
            "http_devices.gateways.0.pull.url: 'http://127.0.0.1:99999' is no address: Port out of",
            id="no port",
        ),
        pytest.param(
            "127.0.0.1",
            f"{'a' * 64}.example",
            f"http_devices.gateways.0.pull.url: 'http://{'a' * 64}.example:8084' is no address: enc",
            id="no name of a host",
        ),
        pytest.param(
            "id: summer",
            "id: kiln",
            "replays.0.id: gateway id 'kiln' stands in line",
            id="an id twice",
        ),
        pytest.param(
            "  listen: {port: 8443}\n",
            "",
            "http_devices: a gateway that calls needs `listen`: say where",
            id="nowhere to call",
        ),
        pytest.param(
            "push: {token: {file: kiln.secret}}",
            "push: {token: {file: user.secret}}",
            "http_devices.gateways.1.push.token: has fewer than 16 characters",
            id="a token that can be guessed",
        ),
        pytest.param(
            "push: {token: {file: kiln.secret}}",
            "push: {token: {file: nothing.secret}}",
            "http_devices.gateways.1.push.token: file",
            id="a token that is not there",
        ),
        pytest.param(
            "map: push-json\n      push: {token: {file: kiln.secret}}\n      devices:\n"
            "        - {resource: pv, names: {device: p1}}",
            "map: unit.yaml\n      push: {token: {file: kiln.secret}}\n      devices:\n"
            "        - {resource: pv, names: {unit: p1}}",
            "http_devices.gateways.1.map: commands of 'unit.yaml' carry no end",
            id="commands without an end",
        ),
        pytest.param(
            "http://127.0.0.1:8084",
            "http://192.0.2.1",
            "http_devices.gateways.0.pull: credentials would be sent in the clear",
            id="credentials in the clear",
        ),
        pytest.param(
            "http://127.0.0.1:8084",
            "https://me:secret@192.0.2.1",
            "http_devices.gateways.0.pull.url: an address has no user, password, query or fragment",
            id="a password in the address",
        ),
        pytest.param(
            "file: summer.csv",
            "file: winter.csv",
            "replays.0.file: there is no file 'winter.csv'",
            id="no recording",
        ),
        pytest.param(
            "names: {device: m}",
            "names: {device: m}, read_only: false",
            "replays.0.devices.0.read_only: a recording takes no set-points",
            id="a recording that is commanded",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in SECTIONS
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, SECTIONS.replace(old, new))
    found = [f"{one.path}: {one.what}" for one in raised.value.faults]
    assert any(one.startswith(fault) for one in found), found
    assert FILES["kiln.secret"] not in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "- topic: units/{unit}\n",
            "- topic: +/{unit}\n",
            "'+/{unit}' is no path that can be asked for: name it by ['unit']",
            id="a wildcard",
        ),
        pytest.param(
            "sources:",
            "answer: {topic: elsewhere, command_id: id, accepted: ok, values: [1], names: {unit: u}}\n"
            "sources:\n  answer: {ref: a test, mark: ours, confidence: H, valid: all}",
            "its answers come with the command: give `answer` the topic of `command`",
            id="answers elsewhere",
        ),
    ],
)
def test_a_map_that_cannot_be_asked_by_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    text = FILES["unit.yaml"]
    assert old in text
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, **{"unit.yaml": text.replace(old, new)})
    assert fault in [one.what for one in raised.value.faults]


def test_two_gateways_have_no_token_in_common(tmp_path: Path) -> None:
    second = """\
    - id: oven
      map: push-json
      push: {token: {file: kiln.secret}}
      devices:
        - {resource: battery, names: {device: b1}}
"""
    text = SECTIONS.replace("resource: battery", "resource: pump").replace(
        "replays:", second + "replays:"
    )
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, text)
    assert "is that of gateway 'kiln': give each its own" in [f.what for f in raised.value.faults]


@pytest.mark.parametrize("name", ["battery", "pv", "mill-meter"])
def test_a_device_behind_any_of_them_is_read_by_a_device_test_and_nothing_is_written(
    tmp_path: Path, require_program: Callable[[str, str], Path], name: str
) -> None:
    require_program("mosquitto", "apt-get install mosquitto (or: make system)")

    async def check() -> None:
        clock = WallClock()
        now = clock.now()
        rows = [f"{isoformat(now + timedelta(seconds=n / 10))},m,-{n},{n},0" for n in range(100)]
        with reserved_port() as port:
            async with units(b1={"t": now.timestamp(), "kw": 5}) as there:
                text = SECTIONS.replace("8084", str(there.port)).replace("8443", str(port))
                recording = "\n".join([FILES["summer.csv"].splitlines()[0], *rows]) + "\n"
                file = loaded(tmp_path, text, **{"summer.csv": recording})

                async def telling() -> None:
                    headers = {"Authorization": f"Bearer {FILES['kiln.secret']}"}
                    url = f"http://127.0.0.1:{port}/push/kiln/devices/p1"
                    async with aiohttp.ClientSession(headers=headers) as http:
                        for number in count():
                            there.tells["b1"] = {"t": clock.now().timestamp(), "kw": 5 + number}
                            body = {"time": isoformat(clock.now()), "power_kw": number}
                            with suppress(
                                aiohttp.ClientError
                            ):  # it may not listen yet, or any more
                                async with http.post(url, json=body) as answer:
                                    await answer.read()
                            await asyncio.sleep(0.02)

                told = asyncio.create_task(telling())
                report = await run_device_test(
                    file,
                    ResourceId(name),
                    DeviceTestOptions(read_for=timedelta(seconds=0.3), least_messages=2),
                    clock=clock,
                    data=tmp_path / "data",
                    broker_url=None,
                    say=lambda line: None,
                    agree=None,
                )
                told.cancel()
                assert (report.failed, report.channel) == (None, channel_of(file, ResourceId(name)))
                assert "PUT" not in there.methods

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_who_holds_his_last_set_point_when_we_are_killed_is_warned_of(tmp_path: Path) -> None:
    assert list(unended(loaded(tmp_path))) == [
        (
            "set-points over 'shed' carry no end: battery hold the last one when this service is killed,"
            " until it is back or their own watchdogs act"
        )
    ]
    assert not list(unended(loaded(tmp_path, SECTIONS.replace("read_only: false", ""))))
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "park.yaml")])
    assert "carry no end" not in checked.output
    loaded(tmp_path)
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "park.yaml")])
    assert "park.yaml: warning: set-points over 'shed' carry no end: battery" in checked.output


def test_a_set_point_of_sparkplug_without_an_end_is_warned_of_too(tmp_path: Path) -> None:
    group = """\
sparkplug:
  - id: hall
    group: Plant1
    devices:
      - resource: battery
        node: Edge1
        points: {power_kw: {metric: P}}
        setpoint: {metric: Set, without_expiry: holds it, released: 0}
"""
    [warning] = unended(loaded(tmp_path, group))
    assert warning.startswith("set-points over 'hall' carry no end: battery hold")
    ends = group.replace("without_expiry: holds it, released: 0", "ends_in_s: Valid")
    assert not list(unended(loaded(tmp_path, ends)))
