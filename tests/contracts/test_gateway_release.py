"""A device without a timer of its own is let go: when a command ends, at a stop, and when we are killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiomqtt
import pytest

from adapters.brokers import MosquittoBroker
from adapters.mqtt_gateway import GatewayLink
from adapters.mqtt_life import BrokerAddress
from adapters.payload_mapping import ForeignDevice
from tests.chaos.proxy import Proxy, Toxic
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.service.links.payloadmaps import load_payload_map

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
TTL = timedelta(minutes=2)
MILL, CHILLER = EnterpriseId("mill"), ResourceId("chiller")
COMMAND = Setpoint(
    command_id="c-1",
    seq=1,
    resource_id=CHILLER,
    enterprise_id=MILL,
    issued_at=NOON,
    expires_at=NOON + TTL,
    power_kw=-30.0,
    serves="plan-1",
)


class Bench:
    """A link that has sent one command, and what the gateway at the other side of the broker hears."""

    link: GatewayLink

    def __init__(self, line: Proxy, written: AsyncIterator[str]) -> None:
        self.line, self._written = line, written
        self.now = NOON
        self.stop = asyncio.Event()

    async def next_tag(self) -> str:
        """The tag that is written next."""
        return await anext(self._written)


@asynccontextmanager
async def commanded(program: Path, *, sends: bool = True) -> AsyncIterator[Bench]:
    device = ForeignDevice(
        device_id=CHILLER,
        enterprise_id=MILL,
        site_id="gate",
        names={"node": "bacnet-1", "group": "chiller"},
        is_meter=False,
        read_only=False,
    )
    async with MosquittoBroker([MILL], program=program) as access:
        there = access.address()
        async with (
            Proxy(there.port) as line,
            aiomqtt.Client(
                there.host, there.port, username=there.username, password=there.password
            ) as gateway,
        ):
            await gateway.subscribe("neuron/vpp/write/req", qos=1)

            async def written() -> AsyncIterator[str]:
                async for message in gateway.messages:
                    assert isinstance(message.payload, bytes)
                    yield json.loads(message.payload)["tag"]

            bench = Bench(line, written())
            link = GatewayLink(
                replace(there, port=line.port),
                load_payload_map("neuron", Path()),
                [device],
                client_id="vpp-small-building",
                now=lambda: bench.now,
                jitter=Random(1),
            )
            bench.link = link
            running = asyncio.create_task(link.run(bench.stop))
            await link.wait_until(connected=True)
            if sends:
                assert await link.send([COMMAND]) == ()
                assert await bench.next_tag() == "power_limit"
            yield bench
            bench.stop.set()
            await running


@pytest.fixture
def program(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("mosquitto", "apt-get install mosquitto (or: make system)")


def test_a_command_that_ends_unrenewed_is_followed_by_a_release(program: Path) -> None:
    async def check() -> None:
        async with commanded(program) as bench:
            bench.now = NOON + TTL
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_a_service_that_stops_lets_go_what_it_holds(program: Path) -> None:
    async def check() -> None:
        async with commanded(program) as bench:
            bench.stop.set()
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_a_service_that_is_gone_without_a_word_is_spoken_for_by_the_broker(program: Path) -> None:
    async def check() -> None:
        async with commanded(program) as bench:
            bench.line.cut()
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


NEXT = replace(COMMAND, command_id="c-2", seq=2, issued_at=NOON + TTL, expires_at=NOON + 2 * TTL)


def test_a_command_whose_sender_stopped_waiting_is_followed_by_a_release_all_the_same(
    program: Path,
) -> None:
    async def check() -> None:
        async with commanded(program) as bench:
            bench.now = NOON + TTL
            assert await bench.next_tag() == "power_limit_enable"
            bench.line.down = Toxic(latency_s=0.5)
            sending = asyncio.create_task(bench.link.send([NEXT]))
            assert await bench.next_tag() == "power_limit"
            sending.cancel()
            bench.now = NOON + 2 * TTL
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_a_command_that_leaves_while_the_one_before_is_let_go_is_let_go_at_its_own_end(
    program: Path,
) -> None:
    async def check() -> None:
        async with commanded(program) as bench:
            bench.line.down = Toxic(latency_s=0.5)
            bench.now = NOON + TTL
            assert await bench.next_tag() == "power_limit_enable"
            assert await bench.link.send([NEXT]) == ()
            assert await bench.next_tag() == "power_limit"
            bench.now = NOON + 2 * TTL
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_a_device_that_may_hold_a_command_of_before_our_start_is_let_go(program: Path) -> None:
    """Row C7: behind a link with several devices no last will speaks for who was killed."""

    async def check() -> None:
        async with commanded(program, sends=False) as bench:
            assert await bench.next_tag() == "power_limit_enable"

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_a_device_that_is_only_read_costs_the_others_no_command() -> None:
    def behind(name: str, *, read_only: bool) -> ForeignDevice:
        return ForeignDevice(
            device_id=ResourceId(name),
            enterprise_id=MILL,
            site_id="gate",
            names={"node": "bacnet-1", "group": name},
            is_meter=False,
            read_only=read_only,
        )

    async def check() -> None:
        link = GatewayLink(
            BrokerAddress(host="192.0.2.1", port=1883),
            load_payload_map("neuron", Path()),
            [behind("chiller", read_only=False), behind("boiler", read_only=True)],
            client_id="vpp-small-building",
            now=lambda: NOON,
            jitter=Random(1),
        )
        boiler = replace(COMMAND, command_id="c-2", resource_id=ResourceId("boiler"))
        read, away = await link.send([COMMAND, boiler])
        assert (read.setpoint, read.reason) == (boiler, "broker 192.0.2.1:1883: is read-only")
        assert away.setpoint == COMMAND
        assert "not sent" in away.reason

    asyncio.run(check())
