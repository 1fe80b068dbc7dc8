"""Batteries that do what they are told: a program for `_field_act.py`, not a benchmark.

    python -m benchmarks._fieldreceiver '{"port": 1883, "devices": [["works-0", "gate-0", "battery-0-0"], …], …}'

One connection for all. Prints `ready` once every device was heard by the broker; then for each command a line
`moment device`, in seconds since 1970. Each second every device tells its power and every meter its registers.
Ends when its input is closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import aiomqtt


async def run(asked: dict[str, Any]) -> None:
    """Receive and tell until the input ends."""
    places = [tuple(place) for place in asked["devices"]]
    power_kw: dict[str, float] = dict.fromkeys((device for _, _, device in places), 0.0)
    taken: dict[str, int] = {}
    async with aiomqtt.Client(
        "127.0.0.1",
        asked["port"],
        username=asked["user"],
        password=asked["password"],
        max_inflight_messages=2000,
    ) as client:
        await client.subscribe("vpp/v1/+/+/+/cmd", qos=1)
        telling = asyncio.create_task(tell(client, asked, places, power_kw, taken))
        receiving = asyncio.create_task(receive(client, power_kw, taken))
        ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait({telling, receiving, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (telling, receiving):
            task.cancel()
        await asyncio.gather(telling, receiving, return_exceptions=True)


async def receive(
    client: aiomqtt.Client, power_kw: dict[str, float], taken: dict[str, int]
) -> None:
    """Do what is told, and say when it came."""
    async for message in client.messages:
        came = time()
        device = message.topic.value.split("/")[4]
        command = json.loads(message.payload)
        power_kw[device], taken[device] = command["power_kw"], command["seq"]
        sys.stdout.write(f"{came:.6f} {device}\n")
        sys.stdout.flush()


async def tell(
    client: aiomqtt.Client,
    asked: dict[str, Any],
    places: list[tuple[str, str, str]],
    power_kw: dict[str, float],
    taken: dict[str, int],
) -> None:
    """Telemetry of everybody, spread over each second."""
    meters = [tuple(meter) for meter in asked["meters"]]
    wh: dict[str, float] = defaultdict(float)
    seq = 0
    while True:
        seq += 1
        began = time()
        for place, (owner, site, device) in enumerate(places):
            if place % 50 == 0:
                late = began + place / len(places) - time()
                await asyncio.sleep(max(late, 0.0) if seq > 1 else 0.0)
            body = {
                "ts": stamp(asked["ahead_s"]),
                "seq": seq,
                "power_kw": power_kw[device],
                "soc": 0.5,
                "setpoint_seq": taken.get(device, 0),
            }
            await client.publish(f"vpp/v1/{owner}/{site}/{device}/telemetry", json.dumps(body), 0)
        for owner, site, meter in meters:
            kw = sum(power_kw[device] for _, at, device in places if at == site)
            wh[meter] += kw / 3.6
            body = {
                "ts": stamp(asked["ahead_s"]),
                "seq": seq,
                "power_kw": kw,
                "import_wh": 0,
                "export_wh": int(max(wh[meter], 0.0)),
            }
            await client.publish(f"vpp/v1/{owner}/{site}/{meter}/telemetry", json.dumps(body), 0)
        if seq == 1:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        await asyncio.sleep(max(began + 1 - time(), 0.0))


def stamp(ahead_s: float) -> str:
    """Now, by the service's clock."""
    return (datetime.now(UTC) + timedelta(seconds=ahead_s)).isoformat()


if __name__ == "__main__":
    orders = json.loads(sys.argv[1])
    if orders["core"] is not None:
        os.sched_setaffinity(0, {orders["core"]})
    asyncio.run(run(orders))
