"""`vpp check --live`: each thing it looks at is found well where it is, and told with a cure where it is not."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vpp.cli import app
from vpp.errors import ConfigError
from vpp.service.livecheck import machine, reach
from vpp.service.livecheck.addresses import Calls, Listens, calls, ledger, listens
from vpp.service.livecheck.finding import Finding, State
from vpp.service.livecheck.look import LiveOptions, look
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.start.newpark import new_park

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)


def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def served(answer: bytes, ask: Callable[[str, int], Awaitable[Finding]]) -> Finding:
    """What is found where a server answers each connection with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def run() -> Finding:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            return await ask(host, port)

    return asyncio.run(run())


def test_a_port_that_is_taken_is_told_with_how_to_find_who_has_it() -> None:
    with taken() as held:
        port = held.getsockname()[1]
        found = machine.port(Listens("page", "127.0.0.1", port))

    assert found.state is State.FAULT
    assert f"sport = :{port}" in found.do
    assert machine.port(Listens("page", "127.0.0.1", port)).state is State.OK


def test_a_folder_is_tried_by_writing_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there" / "yet"

    found = list(machine.disk(data))

    assert {one.state for one in found} <= {State.OK, State.WARNING}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing_is_a_fault() -> None:
    (found,) = machine.disk(Path("/proc/of-the-kernel"))

    assert found.state is State.FAULT
    assert "cannot be written to" in found.what


def test_a_folder_that_a_service_runs_on_is_a_fault(tmp_path: Path) -> None:
    with (tmp_path / "vpp.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        first = next(iter(machine.disk(tmp_path)))
    again = next(iter(machine.disk(tmp_path)))

    assert (first.state, first.what) == (State.FAULT, "a service runs on it already")
    assert again.state is not State.FAULT


@pytest.mark.parametrize(
    ("days", "state"), [(-1, State.FAULT), (29, State.WARNING), (31, State.OK)]
)
def test_a_certificate_is_told_before_it_ends(days: int, state: State) -> None:
    assert machine.certificate("ocpp", NOW + timedelta(days=days), NOW).state is state


@pytest.mark.parametrize(
    ("answer", "state", "what"),
    [
        (b"\x20\x02\x00\x00", State.OK, "takes us"),
        (b"\x20\x02\x00\x05", State.FAULT, "user and password may not connect"),
        (b"\x20\x02\x00\x09", State.FAULT, "it refuses with code 9"),
        (b"HTTP", State.FAULT, "is no MQTT broker"),
        (b"", State.FAULT, "it closed the connection at once"),
    ],
)
def test_a_broker_is_asked_in_mqtt(answer: bytes, state: State, what: str) -> None:
    found = served(answer, lambda host, port: reach.broker(f"mqtt://li:secret@{host}:{port}"))

    assert found.state is state
    assert what in found.what
    assert "secret" not in str(found)


def test_a_broker_whose_address_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="mqtt://user@host:port"):
        asyncio.run(reach.broker("http://127.0.0.1"))


@pytest.mark.parametrize(
    ("answer", "state"),
    [(b"+PONG\r\n", State.OK), (b"-NOAUTH Authentication required.\r\n", State.OK), (b"220 mail\r\n", State.FAULT)],
)  # fmt: skip
def test_a_redis_server_is_pinged(answer: bytes, state: State) -> None:
    found = served(
        answer, lambda host, port: reach.reached(Calls("redis", "window", host, port, "redis"))
    )

    assert found.state is state


@pytest.mark.parametrize(("ahead_s", "state"), [(0, State.OK), (90, State.WARNING)])
def test_the_clock_of_a_market_is_held_against_ours(ahead_s: int, state: State) -> None:
    told = datetime.now(UTC) + timedelta(seconds=ahead_s)
    head = f"HTTP/1.1 404 Not Found\r\nDate: {told:%a, %d %b %Y %H:%M:%S} GMT\r\n\r\n".encode()

    found = served(head, lambda host, port: reach.reached(ledger(f"http://{host}:{port}")))

    assert found.state is state


def test_nobody_at_a_port_and_a_certificate_that_is_not_trusted_have_their_own_cures() -> None:
    with taken() as held:
        port = held.getsockname()[1]
    gone = asyncio.run(reach.reached(Calls("device", "plc", "127.0.0.1", port, "tcp")))
    clear = served(
        b"not TLS at all",
        lambda host, port: reach.reached(Calls("market", "x", host, port, "tls")),
    )

    assert gone.do == "See that it runs there, and look at the port"
    assert clear.state is State.FAULT
    assert "TLS" in clear.do


def test_every_section_that_listens_or_calls_is_looked_at(tmp_path: Path) -> None:
    new_park(tmp_path / "own", source=None, like="demo")
    park = tmp_path / "own" / "park.yaml"
    park.write_text(park.read_text(encoding="utf-8") + SECTIONS, encoding="utf-8")

    file = load_park(park)

    assert [(one.name, one.port) for one in listens(file)] == [("people.page", 8443)]
    assert [(one.area, one.name, one.port, one.speaks) for one in calls(file)] == [
        ("market", "feed prices", 443, "tls"),
        ("device", "modbus plc", 502, "tcp"),
        ("people", "mail", 587, "tcp"),
        ("redis", "window", 6379, "redis"),
    ]


SECTIONS = """
feeds:
  - id: prices
    kind: http
    source: exchange
    url: "https://prices.example/day"
    resolution_minutes: 15
    series: [{id: price.day-ahead.se3, column: price, unit: EUR/MWh}]
modbus:
  - {id: plc, host: 192.0.2.7, devices: [{resource: tool-battery, unit: 1, map: battery-inverter}]}
people:
  mail: {host: mail.example, from: vpp@mail.example}
  page: {url: "https://vpp.example", listen: {host: 127.0.0.1, port: 8443}}
  persons: [{id: li, name: Li, language: zh, mail: li@mail.example}]
redis: {url: "redis://127.0.0.1"}
"""


def test_all_that_is_wrong_is_told_at_once_and_the_exit_code_says_so(tmp_path: Path) -> None:
    new_park(tmp_path / "own", source=None, like="demo")
    with taken() as held:
        port = str(held.getsockname()[1])
        said = CliRunner().invoke(
            app,
            [
                *("check", str(tmp_path / "own/park.yaml"), "--live", "--json", "--port", port),
                *("--data", str(tmp_path / "data"), "--broker", "mqtt://127.0.0.1:1"),
            ],
        )

    document = json.loads(said.stdout)
    assert said.exit_code == 1
    assert document["faults"] == 2
    faults = [one for one in document["found"] if one["state"] == "fault"]
    assert [one["area"] for one in faults] == ["port", "broker"]
    assert all(one["do"] for one in faults)


def test_a_park_whose_market_is_simulated_is_not_for_a_live_machine(tmp_path: Path) -> None:
    options = LiveOptions(data=tmp_path, host="127.0.0.1", port=0, broker_url=None, venue_url=None)

    first = asyncio.run(look(load_park(shipped_park("demo")), options, NOW))[0]

    assert (first.area, first.state) == ("park", State.FAULT)
    assert "shadow, or live" in first.do
