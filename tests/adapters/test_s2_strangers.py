"""Who may connect over S2, and what becomes of those who err, flood, or start in a loop."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from adapters.s2_line import CONNECTIONS_PER_MINUTE
from adapters.s2_session import ODD_IN_A_ROW
from tests.adapters.managers import BATTERY, Manager
from tests.adapters.s2talk import (
    FRBC,
    a_setpoint,
    bench,
    run,
)
from tests.contracts.linkbench import until
from tests.contracts.s2bench import TOKEN, an_s2_device, s2_served
from vpp.errors import DataError
from vpp.model.ids import ResourceId


@pytest.mark.parametrize(
    ("name", "token"),
    [("bess", "of-pump"), ("pump", TOKEN), ("bess", ""), ("stranger", TOKEN), ("stranger", "")],
)
def test_a_wrong_token_and_a_device_that_nobody_knows_are_answered_alike(
    name: str, token: str
) -> None:
    async def check() -> None:
        other = replace(an_s2_device(), device_id=ResourceId("pump"), enterprise_id="office")
        async with s2_served(an_s2_device(), other) as (link, url):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await Manager(tells=BATTERY).connect(f"{url}{name}", token)
            assert refused.value.status == 401
            assert not link.connected

    run(check())


def test_a_device_that_boots_in_a_loop_is_sent_away_for_a_while_and_told_of() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            for _ in range(CONNECTIONS_PER_MINUTE):
                manager = Manager(tells=BATTERY)
                await manager.connect(f"{url}bess", TOKEN)
                await manager.vanish()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await Manager(tells=BATTERY).connect(f"{url}bess", TOKEN)
            assert refused.value.status == 429
            assert "again and again" in str(link.fault)

    run(check())


def test_a_second_connection_takes_the_place_of_the_first_and_goes_on() -> None:
    async def check() -> None:
        async with bench() as b:
            other = Manager(tells=BATTERY)
            await other.connect(f"{b.url}bess", TOKEN)
            await b.manager.until(lambda: b.manager.closed)
            await other.until(lambda: len(other.of("SelectControlType")) == 1)
            assert (b.link.connected, b.link.fault) == (True, None)
            await b.link.send([a_setpoint(-5.0)])
            await other.until(lambda: len(other.of("FRBC.Instruction")) == 2)
            assert not b.manager.of("FRBC.Instruction")
            await other.vanish()

    run(check())


def test_a_version_that_nobody_here_speaks_ends_the_connection_with_the_reason() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            manager = Manager(tells=BATTERY)
            await manager.connect(f"{url}bess", TOKEN)
            await manager.say(
                {"message_type": "Handshake", "role": "RM", "supported_protocol_versions": ["9.9"]}
            )
            await manager.until(lambda: manager.closed)
            await until(lambda: "versions 9.9: we speak 0.0.2-beta" in str(link.fault))
            await manager.vanish()

    run(check())


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{", "INVALID_DATA"),
        ("[]", "INVALID_DATA"),
        ("[" * 50_000, "INVALID_DATA"),
        ('{"message_type": "Nonsense", "message_id": "ab"}', "INVALID_MESSAGE"),
        ('{"message_type": "FRBC.StorageStatus", "message_id": "ab"}', "INVALID_MESSAGE"),
        (
            '{"message_type": "FRBC.StorageStatus", "message_id": "ab", "present_fill_level": 1e999}',
            "INVALID_MESSAGE",
        ),
        (
            '{"message_type": "FRBC.TimerStatus", "message_id": "ab", "timer_id": "ab", "actuator_id": "ab", "finished_at": "0001-01-01T00:00:00+14:00"}',
            "INVALID_MESSAGE",
        ),
        ('{"message_type": "PPBC.PowerProfileStatus", "message_id": "ab"}', "OK"),
    ],
)
def test_what_is_no_message_is_answered_so_and_the_next_one_is_read(text: str, status: str) -> None:
    async def check() -> None:
        async with bench() as b:
            before = len(b.manager.receptions)
            await b.manager.raw(text)
            await b.manager.until(lambda: len(b.manager.receptions) > before)
            assert [one["status"] for one in b.manager.receptions if one["status"] != "OK"] == (
                [] if status == "OK" else [status]
            )
            await b.manager.measures(1000)
            assert (await b.next_telemetry()).power_kw == -1.0

    run(check())


def test_nonsense_without_an_end_ends_the_connection() -> None:
    async def check() -> None:
        async with bench() as b:
            for _ in range(ODD_IN_A_ROW):
                await b.manager.raw("{")
            await b.manager.until(lambda: b.manager.closed)
            await until(lambda: "could not be read" in str(b.link.fault))

    run(check())


def test_a_flood_ends_its_own_connection() -> None:
    async def check() -> None:
        async with bench() as b:
            for _ in range(600):
                await b.manager.raw('{"message_type": "FRBC.LeakageBehaviour", "message_id": "ab"}')
            await b.manager.until(lambda: b.manager.closed)
            await until(lambda: "it sends too much" in str(b.link.fault))

    run(check())


def test_before_the_handshake_nothing_is_believed() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url), aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with session.ws_connect(f"{url}bess", headers=headers) as socket:
                assert (await socket.receive_json())["message_type"] == "Handshake"
                details = {"message_type": "ResourceManagerDetails", "message_id": "ab"}
                controls = {"resource_id": "device-1", "available_control_types": [FRBC]}
                await socket.send_json({**details, **controls})
                assert (await socket.receive_json())["status"] == "TEMPORARY_ERROR"
                assert not link.connected

    run(check())


def test_a_device_that_asks_to_end_is_let_go_of() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.answer()
            await b.manager.say({"message_type": "SessionRequest", "request": "TERMINATE"})
            await b.manager.until(lambda: b.manager.closed)
            lost = await b.answer(1)
            assert "it asked to terminate" in str(lost.reason)

    run(check())


def test_commands_to_a_stranger_never_leave() -> None:
    async def check() -> None:
        async with bench() as b:
            with pytest.raises(DataError, match="engine: is no resource of steel"):
                await b.link.send([replace(a_setpoint(1.0), resource_id=ResourceId("engine"))])

    run(check())
