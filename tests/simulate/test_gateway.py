from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random

import aiomqtt
import iotcore
import msgspec
import pytest

from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.simulate.fleet import DeviceMessage
from vpp.simulate.gateway import BrokerAccess, Gateway
from vpp.wire import AckMessage, CommandMessage

ACME = EnterpriseId("acme")
BESS = ResourceId("bess")
COMMAND = CommandMessage("c-1", 1, "2025-12-01T12:00:00Z", "2025-12-01T12:03:00Z", 5.0)


def broker_at(port: int) -> iotcore.Broker:
    return iotcore.Broker(port=port, listen="127.0.0.1", max_payload_size=300000)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def broker(port: int) -> Iterator[iotcore.Broker]:
    with broker_at(port) as running:
        yield running


def telemetry(first: int, last: int) -> list[DeviceMessage]:
    return [
        DeviceMessage(ACME, BESS, "vpp/v1/acme/gate-1/bess/telemetry", seq, str(seq).encode())
        for seq in range(first, last + 1)
    ]


class Service:
    """What the other side hears, by topic leaf."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {"telemetry": [], "ack": [], "status": []}
        self.changed = asyncio.Event()

    async def listen(self, port: int, ready: asyncio.Event) -> None:
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port) as client:
                    for leaf in self.heard:
                        await client.subscribe(f"vpp/v1/+/+/+/{leaf}", qos=1)
                    ready.set()
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self.heard[str(message.topic).rsplit("/", 1)[1]].append(message.payload)
                        self.changed.set()
            await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def against(
    port: int,
    scenario: Callable[[Gateway, Service], Awaitable[None]],
    *,
    outbox_messages: int = 1000,
) -> list[CommandMessage]:
    """Run `scenario` with a gateway and a listening service; the commands that arrived."""
    arrived: list[CommandMessage] = []

    def receive(_: ResourceId, command: CommandMessage) -> AckMessage | None:
        arrived.append(command)
        if command.seq == 2:
            return None
        return AckMessage(command.command_id, command.seq, "2025-12-01T12:00:00Z", command.seq == 1)

    async def play() -> None:
        stop, ready, service = asyncio.Event(), asyncio.Event(), Service()
        access = BrokerAccess("127.0.0.1", port)
        gateway = Gateway(
            ACME, {BESS: "gate-1"}, access, receive, Random(1), outbox_messages=outbox_messages
        )
        listening = asyncio.create_task(service.listen(port, ready))
        running = asyncio.create_task(gateway.run(stop))
        try:
            await gateway.wait_connected(20)
            await ready.wait()
            await scenario(gateway, service)
        finally:
            stop.set()
            await running
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(play())
    return arrived


@pytest.mark.usefixtures("broker")
def test_telemetry_is_confirmed_and_counted_by_device(port: int) -> None:
    async def scenario(gateway: Gateway, service: Service) -> None:
        await gateway.publish(telemetry(1, 50))
        assert gateway.published == {BESS: 50}
        await service.until(lambda: len(service.heard["telemetry"]) == 50)
        assert service.heard["telemetry"] == [str(seq).encode() for seq in range(1, 51)]

    against(port, scenario)


@pytest.mark.usefixtures("broker")
def test_commands_reach_the_device_and_its_answers_the_service(port: int) -> None:
    async def scenario(gateway: Gateway, service: Service) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            for seq in (1, 2, 3):
                command = msgspec.structs.replace(COMMAND, seq=seq)
                payload = msgspec.json.encode(command)
                await client.publish("vpp/v1/acme/gate-1/bess/cmd", payload, qos=1)
        await service.until(lambda: len(service.heard["ack"]) == 2)
        acks = [msgspec.json.decode(ack, type=AckMessage) for ack in service.heard["ack"]]
        assert [(ack.seq, ack.accepted) for ack in acks] == [(1, True), (3, False)]
        assert (gateway.acked, gateway.refused) == (1, 1)
        assert gateway.published == {}

    assert [command.seq for command in against(port, scenario)] == [1, 2, 3]


@pytest.mark.usefixtures("broker")
def test_nonsense_is_counted_and_harms_nobody(port: int) -> None:
    async def scenario(gateway: Gateway, service: Service) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            for topic, payload in (
                ("vpp/v1/acme/gate-1/bess/cmd", b"{"),
                ("vpp/v1/acme/gate-1/bess/cmd", b'{"seq": 1}'),
                ("vpp/v1/acme/gate-1/ghost/cmd", msgspec.json.encode(COMMAND)),
                ("vpp/v1/acme/gate-2/bess/cmd", msgspec.json.encode(COMMAND)),
                ("vpp/v1/acme/gate-1/bess/cmd", msgspec.json.encode(COMMAND)),
            ):
                await client.publish(topic, payload, qos=1)
        await service.until(lambda: len(service.heard["ack"]) == 1)
        assert gateway.malformed == 4

    assert [command.seq for command in against(port, scenario)] == [1]


def test_a_broker_that_dies_and_returns_costs_no_message(port: int, broker: iotcore.Broker) -> None:
    async def scenario(gateway: Gateway, service: Service) -> None:
        await gateway.publish(telemetry(1, 20))
        await asyncio.to_thread(broker.stop)
        for first in range(21, 81, 20):
            await gateway.publish(telemetry(first, first + 19))
        await asyncio.to_thread(broker.start)
        await gateway.wait_connected(20)
        await gateway.publish(telemetry(81, 100))

        assert gateway.waiting == 0
        assert gateway.published[BESS] == 100
        assert gateway.dropped == 0
        assert gateway.connects >= 2

    against(port, scenario)


def test_while_the_broker_is_away_the_outbox_keeps_the_newest(
    port: int, broker: iotcore.Broker
) -> None:
    async def scenario(gateway: Gateway, service: Service) -> None:
        await asyncio.to_thread(broker.stop)
        for first in range(1, 41, 10):
            await gateway.publish(telemetry(first, first + 9))
        assert gateway.waiting == 15
        assert gateway.dropped == 25
        assert service.heard["telemetry"] == []
        await asyncio.to_thread(broker.start)
        await gateway.wait_connected(20)

    against(port, scenario, outbox_messages=15)


@pytest.mark.usefixtures("broker")
def test_the_status_is_retained_and_a_sudden_end_is_told_by_the_last_will(port: int) -> None:
    async def play() -> list[bytes]:
        gateway = Gateway(
            ACME, {BESS: "gate-1"}, BrokerAccess("127.0.0.1", port), lambda *_: None, Random(1)
        )
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        await gateway.wait_connected(20)
        seen: list[bytes] = []
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe(gateway.status_topic, qos=1)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                seen.append(message.payload)
                if len(seen) == 2:
                    break
                stop.set()
        await running
        return seen

    assert asyncio.run(play()) == [b'{"online":true}', b'{"online":false}']


def test_a_broker_that_is_not_there_is_named(port: int) -> None:
    async def play() -> None:
        gateway = Gateway(
            ACME, {BESS: "gate-1"}, BrokerAccess("127.0.0.1", port), lambda *_: None, Random(1)
        )
        stop = asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        try:
            await gateway.wait_connected(0.5)
        finally:
            stop.set()
            await running

    with pytest.raises(UnavailableError, match=f":{port}"):
        asyncio.run(play())
