"""Telemetry: how much of it a second, in memory and through the broker.

decode and accept     topic and bytes in, newest reading out: one core, nothing else
through the broker    devices ▸ MQTT (QoS 1, embedded broker) ▸ link ▸ intake, all on this machine
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random
from time import perf_counter

import aiomqtt

from adapters.mqtt_link import MqttLink
from benchmarks._park import SmallPark, a_park
from benchmarks.harness import BrokenBenchmarkError, Figure
from vpp.clock import SimulatedClock
from vpp.model.time import isoformat
from vpp.sense.decode import Refusal
from vpp.service.linkwiring import homes_of
from vpp.service.run import take
from vpp.service.wiring import open_broker
from vpp.simulate.gateway import BrokerAccess

NOON = time(12)
ROUNDS, BROKER_ROUNDS = 500, 60
ARRIVE_S = 60.0
INFLIGHT = 200

Round = list[tuple[str, bytes]]


def figures(*, small: bool) -> Sequence[Figure]:
    """Rounds of one message from each device of the demo park, a minute apart.

    Raises:
        BrokenBenchmarkError: A message was refused or did not arrive.
    """
    with tempfile.TemporaryDirectory(prefix="vpp-ingest-") as folder:
        alone_s, messages = _alone(Path(folder), rounds=2 if small else ROUNDS)
    with tempfile.TemporaryDirectory(prefix="vpp-ingest-") as folder:
        broker_s, arrived = asyncio.run(
            _through_broker(Path(folder), rounds=2 if small else BROKER_ROUNDS)
        )
    return (
        Figure(name="decode and accept: messages", measured=messages),
        Figure(name="decode and accept", measured=messages / alone_s, unit="messages/s"),
        Figure(name="decode and accept: each", measured=1e6 * alone_s / messages, unit="µs"),
        Figure(name="through the broker: messages", measured=arrived),
        Figure(name="through the broker", measured=arrived / broker_s, unit="messages/s"),
    )


def _rounds(park: SmallPark, rounds: int) -> list[tuple[datetime, Round]]:
    """What the devices say in each of the coming minutes."""
    said = []
    for number in range(rounds):
        now = park.plant.clock.now() + (number + 1) * timedelta(minutes=1)
        park.fleet.step(now)
        said.append((now, park.messages()))
    return said


def _alone(folder: Path, *, rounds: int) -> tuple[float, int]:
    park = a_park(NOON, folder)
    said = _rounds(park, rounds)
    intake, messages = park.plant.intake, 0
    began = perf_counter()
    for now, one in said:
        for where, payload in one:
            if isinstance(intake.accept(where, payload, now), Refusal):
                raise BrokenBenchmarkError(f"{where} was refused at {isoformat(now)}")
        messages += len(one)
    return perf_counter() - began, messages


async def _through_broker(folder: Path, *, rounds: int) -> tuple[float, int]:
    """Seconds until the plant had taken all, and how many that were."""
    park = a_park(NOON, folder)
    plant = park.plant
    said = _rounds(park, rounds)
    assert isinstance(plant.clock, SimulatedClock)
    plant.clock = SimulatedClock(said[-1][0])  # no message is of the future
    before, expected = plant.intake.accepted, sum(len(one) for _, one in said)
    async with open_broker(None, plant.file.park, embedded=True) as door:
        link = MqttLink(
            door.access.address(),
            homes_of(plant.file.park),
            client_id="benchmark-service",
            now=lambda: datetime.now(UTC),
            jitter=Random(1),
        )
        async with link:
            await link.wait_until(connected=True)

            async def read() -> None:
                async for message in link.messages():
                    take(plant, message.topic, message.payload)
                    if plant.intake.accepted - before >= expected:
                        return

            began = perf_counter()
            async with asyncio.timeout(ARRIVE_S), asyncio.TaskGroup() as group:
                group.create_task(read())
                for enterprise in plant.file.park.enterprises:
                    mine = [
                        (where, payload)
                        for _, one in said
                        for where, payload in one
                        if where.split("/")[2] == enterprise.enterprise_id
                    ]
                    group.create_task(_publish(door.gateway(enterprise.enterprise_id), mine))
            return perf_counter() - began, expected


async def _publish(access: BrokerAccess, mine: Round) -> None:
    """Say all of it over one connection, with some messages under way at a time."""
    async with aiomqtt.Client(
        access.host,
        access.port,
        username=access.username,
        password=access.password,
        max_inflight_messages=INFLIGHT,
        max_concurrent_outgoing_calls=INFLIGHT,
    ) as client:
        client.pending_calls_threshold = INFLIGHT  # that many wait on purpose
        for first in range(0, len(mine), INFLIGHT):
            await asyncio.gather(
                *(client.publish(w, p, qos=1) for w, p in mine[first : first + INFLIGHT])
            )
