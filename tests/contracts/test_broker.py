"""What every broker of ours does, whichever program it is."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from adapters.broker_process import BrokerAccess, PrivateBroker
from adapters.brokers import MAX_PAYLOAD_BYTES, MosquittoBroker
from tests.patience import PATIENCE_S
from vpp.errors import ConfigError

ROOT = Path(__file__).parents[2]


def run(broker: PrivateBroker, check: Callable[[BrokerAccess], Awaitable[None]]) -> None:
    """Start the broker, run the check, stop the broker."""

    async def main() -> None:
        async with broker as access, asyncio.timeout(3 * PATIENCE_S):
            await check(access)

    asyncio.run(main())


@asynccontextmanager
async def a_client(
    access: BrokerAccess, user: str = "service", **more: object
) -> AsyncIterator[aiomqtt.Client]:
    settings: dict[str, object] = {"username": user, "password": access.passwords.get(user)}
    settings |= {"timeout": PATIENCE_S} | more
    async with aiomqtt.Client(access.host, access.port, **settings) as client:  # type: ignore[arg-type]
        yield client


async def next_of(client: aiomqtt.Client) -> tuple[str, bytes]:
    async with asyncio.timeout(PATIENCE_S):
        message = await anext(aiter(client.messages))
    return message.topic.value, message.payload


def listening_sockets() -> set[str]:
    """Local addresses of this machine's TCP listeners, as the kernel writes them."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A"}


def test_it_listens_on_loopback_only(broker: PrivateBroker) -> None:
    async def check(access: BrokerAccess) -> None:
        port = f":{access.port:04X}"
        listening = {local for local in listening_sockets() if local.endswith(port)}
        assert listening == {f"0100007F{port}"}

    run(broker, check)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("service", "wrong", id="a wrong password"),
        pytest.param("nobody", "wrong", id="an unknown user"),
        pytest.param(None, None, id="no user at all"),
    ],
)
def test_strangers_stay_outside(
    broker: PrivateBroker, user: str | None, password: str | None
) -> None:
    async def check(access: BrokerAccess) -> None:
        # Refused, or left without an answer (the embedded broker): never connected.
        with pytest.raises(aiomqtt.MqttError):
            async with a_client(access, username=user, password=password, timeout=0.5):
                pass

    run(broker, check)


def test_a_retained_message_reaches_only_who_subscribed_to_its_topic(
    broker: PrivateBroker,
) -> None:
    async def check(access: BrokerAccess) -> None:
        async with a_client(access) as sender:
            for site in ("a", "b"):
                topic = f"vpp/v1/steel/{site}/d/status"
                await sender.publish(topic, site.encode(), qos=1, retain=True)
        async with a_client(access, identifier="listens-to-a") as first:
            await first.subscribe("vpp/v1/steel/a/#", qos=1)
            assert await next_of(first) == ("vpp/v1/steel/a/d/status", b"a")
            async with a_client(access, identifier="listens-to-b") as second:
                await second.subscribe("vpp/v1/steel/b/#", qos=1)
                assert await next_of(second) == ("vpp/v1/steel/b/d/status", b"b")
                # Whatever else were to come would come before this.
                await second.publish("vpp/v1/steel/b/end", b"end", qos=1)
                assert await next_of(second) == ("vpp/v1/steel/b/end", b"end")

    run(broker, check)


class Paho:
    """A client that can be cut off, and that confirms messages only when told to."""

    def __init__(self, access: BrokerAccess, name: str, *, persistent: bool = False) -> None:
        self.seen: list[bytes] = []
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=not persistent,
            manual_ack=True,
        )
        self.client.username_pw_set("service", access.passwords["service"])
        self.client.on_message = self._on_message
        self._access = access

    def connect(self) -> None:
        self.client.connect(self._access.host, self._access.port)
        self.until(self.client.is_connected)

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(int(PATIENCE_S / 0.05)):
            if done():
                return
            self.client.loop(timeout=0.05)
        raise AssertionError("the broker let us wait in vain")

    def cut(self) -> None:
        """Lose the connection without a word."""
        connection = self.client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        self.client.loop_read()
        assert not self.client.is_connected()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self.seen.append(bytes(message.payload))


def test_a_last_will_speaks_for_a_client_that_is_cut_off(broker: PrivateBroker) -> None:
    async def check(access: BrokerAccess) -> None:
        async with a_client(access) as listener:
            await listener.subscribe("vpp/v1/+/+/+/status", qos=1)
            gone = Paho(access, "gateway")
            gone.client.will_set("vpp/v1/steel/a/d/status", b'{"online":false}', 1, retain=True)
            gone.connect()
            gone.cut()
            assert await next_of(listener) == ("vpp/v1/steel/a/d/status", b'{"online":false}')

    run(broker, check)


def test_a_persistent_session_gets_what_it_missed_and_what_it_did_not_confirm(
    broker: PrivateBroker,
) -> None:
    async def check(access: BrokerAccess) -> None:
        async with a_client(access) as sender:
            reader = Paho(access, "reader", persistent=True)
            reader.connect()
            granted: list[object] = []
            reader.client.on_subscribe = lambda *arguments: granted.append(arguments)
            reader.client.subscribe("vpp/v1/#", qos=1)
            reader.until(lambda: bool(granted))

            await sender.publish("vpp/v1/steel/a/d/telemetry", b"1", qos=1)
            reader.until(lambda: len(reader.seen) == 1)
            reader.cut()
            await sender.publish("vpp/v1/steel/a/d/telemetry", b"2", qos=1)
            reader.connect()
            reader.until(lambda: len(reader.seen) >= 3)

            assert reader.seen == [b"1", b"1", b"2"]
            reader.client.disconnect()

    run(broker, check)


def test_a_payload_of_300_kb_goes_through(broker: PrivateBroker) -> None:
    async def check(access: BrokerAccess) -> None:
        async with a_client(access) as client:
            await client.subscribe("vpp/v1/#", qos=1)
            await client.publish("vpp/v1/steel/a/d/telemetry", b"x" * MAX_PAYLOAD_BYTES, qos=1)
            _, payload = await next_of(client)
            assert len(payload) == MAX_PAYLOAD_BYTES

    run(broker, check)


def test_its_memory_is_known_while_it_runs(broker: PrivateBroker) -> None:
    async def check(access: BrokerAccess) -> None:
        assert broker.memory_rss_kib > 1000

    run(broker, check)
    assert broker.memory_rss_kib == 0


def test_started_again_it_has_the_same_port_and_passwords(broker: PrivateBroker) -> None:
    async def main() -> None:
        async with broker as first:
            pid = broker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            second = await broker.start()
            assert second == first
            assert broker.pid != pid
            async with a_client(second):
                pass
            await broker.stop()
        assert broker.pid is None

    asyncio.run(main())


def test_a_port_in_use_is_told_by_its_number(broker: PrivateBroker) -> None:
    async def main() -> None:
        async with broker as access:
            second = type(broker)(["steel"], port=access.port)  # type: ignore[list-item]
            with pytest.raises(ConfigError, match=rf"127.0.0.1:{access.port}: the port is in use"):
                await second.start()

    asyncio.run(main())


START_AND_WAIT = """
import asyncio, sys
from adapters.brokers import EmbeddedBroker, MosquittoBroker

async def main():
    broker = {"EmbeddedBroker": EmbeddedBroker, "MosquittoBroker": MosquittoBroker}[sys.argv[1]]([])
    await broker.start()
    print(broker.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_it_dies_with_a_parent_that_is_killed(broker: PrivateBroker) -> None:
    command = [sys.executable, "-c", START_AND_WAIT, type(broker).__name__]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        # A process file descriptor becomes readable when the process has ended.
        assert select.select([child], [], [], PATIENCE_S)[0]
    finally:
        os.close(child)


def test_mosquitto_holds_each_enterprise_to_its_own_topics(mosquitto: Path) -> None:
    async def check(access: BrokerAccess) -> None:
        async with (
            a_client(access, "steel", identifier="steel") as steel,
            a_client(access, "office", identifier="office") as office,
            a_client(access) as service,
        ):
            await service.subscribe("vpp/v1/#", qos=1)
            await steel.subscribe([("#", 1), ("vpp/v1/+/+/+/cmd", 1)])
            await office.publish("vpp/v1/steel/a/d/telemetry", b"forged", qos=1)
            await steel.publish("vpp/v1/steel/a/d/cmd", b"forged", qos=1)
            await office.publish("vpp/v1/office/a/d/telemetry", b"own", qos=1)
            assert await next_of(service) == ("vpp/v1/office/a/d/telemetry", b"own")

            await service.publish("vpp/v1/office/a/d/cmd", b"not for steel", qos=1)
            await service.publish("vpp/v1/steel/a/d/cmd", b"for steel", qos=1)
            assert await next_of(steel) == ("vpp/v1/steel/a/d/cmd", b"for steel")

    run(MosquittoBroker(["steel", "office"], program=mosquitto), check)  # type: ignore[list-item]
