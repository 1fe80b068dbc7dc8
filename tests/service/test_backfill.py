"""What never came is asked for again, patiently (B6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiomqtt
from hypothesis import given
from hypothesis import strategies as st

from adapters.brokers import MosquittoBroker
from adapters.mqtt_link import MqttLink
from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, hear
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.sense.intake import Intake
from vpp.service.links import backfill
from vpp.service.links.backfill import MOST_NUMBERS, Backfill, newest_of
from vpp.service.plant import Plant
from vpp.simulate.fleet import DeviceMessage
from vpp.simulate.gateway import BrokerAccess, Gateway
from vpp.wirebackfill import ResendMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
STEEL, GATE, BESS = EnterpriseId("steel"), ConnectionPointId("gate"), ResourceId("bess")
SECOND = timedelta(seconds=1)


def asked_at(gaps: Callable[[int], dict[ResourceId, list[tuple[int, int]]]]) -> list[int]:
    """Seconds at which the device is asked, looked at each second for two hours."""
    patient = Backfill()
    return [s for s in range(7200) if patient.due(gaps(s), NOON + s * SECOND)]


def test_a_gap_settles_for_ten_seconds_and_one_that_is_not_filled_is_asked_for_eight_times() -> (
    None
):
    seconds = asked_at(lambda second: {BESS: [(5, 9)]} if second >= 100 else {})

    # 10 s after it was seen, then 30, 60, 120, 240, 480, 600 and 600 s later.
    assert seconds == [110, 140, 200, 320, 560, 1040, 1640, 2240]


def test_a_device_that_sends_some_is_asked_for_the_rest_at_once() -> None:
    seconds = asked_at(lambda second: {BESS: [(5, 9 if second < 20 else 7)]} if second < 30 else {})

    assert seconds == [10, 20]


def test_who_was_asked_often_enough_is_told_once() -> None:
    patient, told = Backfill(), []
    for second in range(7200):
        now = NOON + second * SECOND
        patient.due({BESS: [(1, 3), (7, 7)]}, now)
        told += [(second, dict(gone)) for gone in [patient.given_up(now)] if gone]

    assert told == [(2740, {BESS: 4})]


def test_over_other_links_than_our_own_nobody_is_asked(plant: Plant) -> None:
    asked: list[ResourceId] = []

    async def ask(wanted: Mapping[ResourceId, ResendMessage]) -> None:
        asked.extend(wanted)

    async def check() -> None:
        hear(plant, NOW, seq=5)  # 2, 3 and 4 never came
        patience = Backfill()
        for seconds in (0, 15):
            await backfill.look(plant, ask, patience, NOW + seconds * SECOND)

    plant.resends = frozenset({ResourceId("steel-battery")})
    asyncio.run(check())
    assert asked == ["steel-battery"]


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=20),
    st.integers(1, 500),
)
def test_the_newest_numbers_are_asked_for_first(sizes: list[tuple[int, int]], most: int) -> None:
    ranges, at = [], 0
    for hole, length in sizes:
        ranges.append((at + hole, at + hole + length - 1))
        at += hole + length
    numbers = [number for first, last in ranges for number in range(first, last + 1)]

    kept = [n for first, last in newest_of(ranges, most) for n in range(first, last + 1)]

    assert kept == numbers[-most:]
    assert MOST_NUMBERS == 1000


def test_a_full_queue_at_the_broker_costs_nothing_in_the_end(
    require_program: Callable[[str, str], Path],
) -> None:
    """A broker that keeps ten messages for a client that is away; a device sends a thousand meanwhile."""
    program = require_program("mosquitto", "apt-get install mosquitto (or: make system)")

    async def check() -> None:
        broker = MosquittoBroker([STEEL], program=program, queued_messages=10)
        intake = Intake({BESS: (STEEL, GATE)}, {BESS: (-100.0, 100.0)}, frozenset())
        async with broker as access:
            gateway = Gateway(
                STEEL,
                {BESS: "gate"},
                BrokerAccess(access.host, access.port, "steel", access.passwords["steel"]),
                lambda device, command: None,
                Random(1),
            )
            stop, changed = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))

            def a_link() -> MqttLink:
                return MqttLink(
                    access.address(),
                    {BESS: ("steel", "gate")},
                    client_id="service",
                    now=lambda: NOON,
                    jitter=Random(1),
                )

            async def read(link: MqttLink) -> None:
                async for message in link.messages():
                    intake.accept(message.topic, message.payload, NOON)
                    changed.set()

            async def until(done: Callable[[], bool]) -> None:
                async with asyncio.timeout(PATIENCE_S):
                    while not done():
                        changed.clear()
                        await changed.wait()

            await gateway.wait_connected(20)
            async with a_link() as link, asyncio.TaskGroup() as group:
                await link.wait_until(connected=True)
                reading = group.create_task(read(link))
                await gateway.publish([a_message(0)])
                await until(lambda: intake.accepted == 1)
                reading.cancel()
            await gateway.publish([a_message(seq) for seq in range(1, 1001)])  # to nobody
            async with a_link() as link, asyncio.TaskGroup() as group:
                await link.wait_until(connected=True)
                reading = group.create_task(read(link))
                await gateway.publish([a_message(1001)])
                await until(lambda: intake.newest_seq(BESS) == 1001)
                assert intake.gaps() == {BESS: [(1, 1000)]}

                backfill = Backfill()
                assert backfill.due(intake.gaps(), NOON) == {}
                due = backfill.due(intake.gaps(), NOON + 10 * SECOND)
                await link.ask_again({d: ResendMessage("", "", r) for d, r in due.items()})
                await until(lambda: intake.accepted == 1002)
                reading.cancel()
            stop.set()
            await running
        assert (intake.lost, intake.gaps(), intake.duplicates) == (0, {}, 0)

    asyncio.run(check())


def a_message(seq: int) -> DeviceMessage:
    body = {"ts": (NOON - timedelta(hours=1) + seq * SECOND).isoformat(), "seq": seq, "power_kw": 1}
    where = "vpp/v1/steel/gate/bess/telemetry"
    return DeviceMessage(STEEL, BESS, where, seq, json.dumps(body).encode())


def test_a_gateway_that_is_asked_for_nonsense_goes_on(
    require_program: Callable[[str, str], Path],
) -> None:
    program = require_program("mosquitto", "apt-get install mosquitto (or: make system)")

    async def check() -> None:
        async with MosquittoBroker([STEEL], program=program) as access:
            gateway = Gateway(
                STEEL,
                {BESS: "gate"},
                BrokerAccess(access.host, access.port, "steel", access.passwords["steel"]),
                lambda device, command: None,
                Random(1),
            )
            stop = asyncio.Event()
            running = asyncio.create_task(gateway.run(stop))
            await gateway.wait_connected(20)
            service = access.address()
            async with aiomqtt.Client(
                service.host, service.port, username=service.username, password=service.password
            ) as client:
                await client.subscribe("vpp/v1/steel/gate/bess/telemetry", qos=1)
                await gateway.publish([a_message(7)])
                asked = b'{"issued_at":"","expires_at":"","ranges":[[0,9],[50,60]]}'
                for leaf, body in (("bess", b"{"), ("ghost", asked), ("bess", asked)):
                    await client.publish(f"vpp/v1/steel/gate/{leaf}/resend", body, qos=1)
                heard = aiter(client.messages)
                assert (await anext(heard)).payload == (await anext(heard)).payload
            assert (gateway.malformed, gateway.sent_again) == (1, 1)
            stop.set()
            await running

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))
