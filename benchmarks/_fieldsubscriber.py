"""One MQTT client that subscribes and counts: a program for `_field_ingest.py`, not a benchmark.

    python -m benchmarks._fieldsubscriber TOOL '{"port": 1883, "user": "service", …}'

Bare loops as their documentation shows them: nothing is decoded. Prints `ready` once subscribed, then one
JSON line when all messages came: how many, the processor's seconds, the wall's. Imports no more than the tool it
runs, so that it runs in the environment of the others too. Exit 3 where the tool is not here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

TOPICS = "vpp/v1/+/+/+/telemetry"
NOT_RUN = 3
CONFIRM_EVERY = 20
"""Messages confirmed together by our wire; divides the number that is sent."""


class Count:
    """Messages that came, and what they cost since the first."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._count = 0
        self._began = (0.0, 0.0)
        self.done = asyncio.Event()

    def one(self) -> None:
        """A message came."""
        if not self._count:
            self._began = perf_counter(), process_time()
        self._count += 1
        if self._count == self._expected:
            self.done.set()

    def facts(self) -> dict[str, float]:
        """What is printed."""
        wall, cpu = self._began
        return {
            "messages": self._count,
            "seconds": perf_counter() - wall,
            "cpu_s": process_time() - cpu,
        }


async def with_vpp(asked: dict[str, Any], count: Count) -> None:
    wire = import_module("adapters.mqtt_wire")
    taken: list[bytes] = []

    def take(_topic: str, _payload: bytes, packet_id: bytes) -> None:
        count.one()
        taken.append(packet_id)
        if len(taken) == CONFIRM_EVERY or count.done.is_set():
            client.confirm(taken)
            taken.clear()

    client = wire.WireClient(
        "127.0.0.1",
        asked["port"],
        taken=take,
        username=asked["user"],
        password=asked["password"],
    )
    async with client:
        await client.subscribe(TOPICS, qos=1)
        print("ready", flush=True)
        await count.done.wait()


async def with_aiomqtt(asked: dict[str, Any], count: Count) -> None:
    aiomqtt = import_module("aiomqtt")

    async with aiomqtt.Client(
        "127.0.0.1", asked["port"], username=asked["user"], password=asked["password"]
    ) as client:
        await client.subscribe(TOPICS, qos=1)
        print("ready", flush=True)
        async for _ in client.messages:
            count.one()
            if count.done.is_set():
                return


async def with_gmqtt(asked: dict[str, Any], count: Count) -> None:
    gmqtt = import_module("gmqtt")

    client = gmqtt.Client("subscriber")
    client.set_auth_credentials(asked["user"], asked["password"])
    subscribed = asyncio.Event()

    def on_message(*_: object) -> int:
        count.one()
        return 0

    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect("127.0.0.1", asked["port"], version=gmqtt.constants.MQTTv311)
    client.subscribe(TOPICS, qos=1)
    await subscribed.wait()
    print("ready", flush=True)
    await count.done.wait()
    await client.disconnect()


async def with_amqtt(asked: dict[str, Any], count: Count) -> None:
    amqtt = import_module("amqtt.client")
    client = amqtt.MQTTClient(config={"auto_reconnect": False})
    await client.connect(f"mqtt://{asked['user']}:{asked['password']}@127.0.0.1:{asked['port']}/")
    await client.subscribe([(TOPICS, 1)])
    print("ready", flush=True)
    async for _ in _delivered(client, count):
        count.one()
    await client.disconnect()


async def _delivered(client: Any, count: Count) -> AsyncIterator[object]:
    while not count.done.is_set():
        yield await client.deliver_message()


TOOLS: dict[str, Callable[[dict[str, Any], Count], Awaitable[None]]] = {
    "vpp": with_vpp,
    "aiomqtt": with_aiomqtt,
    "gmqtt": with_gmqtt,
    "amqtt": with_amqtt,
}


async def main() -> int:
    asked = json.loads(sys.argv[2])
    if asked["core"] is not None:
        os.sched_setaffinity(0, {asked["core"]})
    count = Count(asked["messages"])
    try:
        await TOOLS[sys.argv[1]](asked, count)
    except ImportError as error:
        print(error, file=sys.stderr)
        return NOT_RUN
    print(json.dumps(count.facts()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
