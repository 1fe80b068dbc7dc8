"""What the link promises as `MessageSource` and `SetpointSink`, over every broker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiomqtt
import msgspec
import pytest

from adapters.broker_process import BrokerAccess, PrivateBroker
from adapters.brokers import EmbeddedBroker, MosquittoBroker
from adapters.mqtt_inbox import Quota
from adapters.mqtt_life import PIECE, BrokerAddress
from adapters.mqtt_link import MqttLink
from adapters.mqtt_pace import LinkTiming
from tests.patience import PATIENCE_S
from vpp.errors import DataError, RejectedError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.ports import Message
from vpp.wire import CommandMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
WINDOW = 90
"""Messages that both brokers send a reader who confirms none."""
QUICK = LinkTiming(
    first_delay_s=0.01,
    longest_delay_s=0.05,
    connect_timeout_s=5,
    publish_timeout_s=10,
    attempts_a_minute=10_000,
)
HOMES = {ResourceId(f"bess-{n}"): ("steel", "mill") for n in range(300)}


def a_setpoint(
    resource: str = "bess-1", *, enterprise: str = "steel", power_kw: float = -40.0
) -> Setpoint:
    return Setpoint(
        command_id=f"c-{resource}",
        seq=7,
        resource_id=ResourceId(resource),
        enterprise_id=EnterpriseId(enterprise),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=15),
        power_kw=power_kw,
        serves="plan-1",
    )


def a_link(address: BrokerAddress, *, timing: LinkTiming = QUICK, capacity: int = 1000) -> MqttLink:
    return MqttLink(
        address,
        HOMES,
        client_id="service",
        now=lambda: NOON,
        jitter=Random(1),
        timing=timing,
        capacity=capacity,
    )


def run(check: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await check

    asyncio.run(main())


@asynccontextmanager
async def a_gateway(access: BrokerAccess) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        access.host, access.port, username="steel", password=access.passwords["steel"]
    ) as client:
        client.pending_calls_threshold = 10_000
        yield client


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_telemetry_acks_and_status_come_in_and_nothing_else(broker: PrivateBroker) -> None:
    async def check() -> None:
        async with broker as access, a_link(access.address()) as link, a_gateway(access) as device:
            await link.wait_until(connected=True)
            messages = link.messages()
            for leaf in ("telemetry", "other", "ack", "cmd", "status"):
                await device.publish(f"vpp/v1/steel/mill/bess-1/{leaf}", leaf, qos=1)

            assert [await anext(messages) for _ in range(3)] == [
                Message(topic=f"vpp/v1/steel/mill/bess-1/{leaf}", payload=leaf.encode())
                for leaf in ("telemetry", "ack", "status")
            ]
            assert (link.inbox.received, link.inbox.lost) == (3, 0)

    run(check())


def test_set_points_go_to_the_device_whole_and_are_not_kept_by_the_broker(
    broker: PrivateBroker,
) -> None:
    async def check() -> None:
        async with broker as access, a_link(access.address()) as link, a_gateway(access) as device:
            await link.wait_until(connected=True)
            await device.subscribe("vpp/v1/steel/+/+/cmd", qos=1)
            await link.send([a_setpoint(resource) for resource in HOMES])
            await link.send([])

            seen = {}
            async for message in device.messages:
                seen[message.topic.value] = msgspec.json.decode(
                    message.payload, type=CommandMessage
                )
                assert not message.retain
                if len(seen) == len(HOMES):
                    break
            assert seen["vpp/v1/steel/mill/bess-1/cmd"] == CommandMessage(
                command_id="c-bess-1",
                seq=7,
                issued_at="2025-12-03T12:00:00Z",
                expires_at="2025-12-03T12:15:00Z",
                power_kw=-40.0,
            )
            async with a_gateway(access) as late:
                await late.subscribe("vpp/v1/steel/+/+/cmd", qos=1)
                await link.send([a_setpoint("bess-2", power_kw=1.0)])
                first = await anext(aiter(late.messages))
                assert first.topic.value == "vpp/v1/steel/mill/bess-2/cmd"

    run(check())


def test_a_set_point_for_a_foreign_resource_does_not_leave(broker: PrivateBroker) -> None:
    async def check() -> None:
        async with broker as access, a_link(access.address()) as link:
            await link.wait_until(connected=True)
            with pytest.raises(DataError, match="unknown-1: is no resource of steel"):
                await link.send([a_setpoint("unknown-1")])
            with pytest.raises(DataError, match="bess-1: is no resource of office"):
                await link.send([a_setpoint(enterprise="office")])

    run(check())


def test_set_points_of_a_fleet_leave_one_piece_after_another(
    broker: PrivateBroker,
) -> None:
    async def check() -> None:
        async with broker as access, a_link(access.address()) as link:
            await link.wait_until(connected=True)
            assert await link.send([a_setpoint()] * 12_000) == ()

    run(check())


def test_behind_a_set_point_that_is_not_confirmed_in_time_nothing_more_is_sent(
    broker: PrivateBroker,
) -> None:
    async def check() -> None:
        timing = LinkTiming(connect_timeout_s=5, publish_timeout_s=0.2)
        async with broker as access, a_link(access.address(), timing=timing) as link:
            await link.wait_until(connected=True)
            assert broker.pid is not None
            halt(broker.pid)
            try:
                unsent = await link.send([a_setpoint()] * (PIECE + 2))
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            assert len(unsent) == PIECE + 2
            assert all("not confirmed in time" in one.reason for one in unsent[:PIECE])
            assert [one.reason.split(": ", 1)[1] for one in unsent[PIECE:]] == [
                "not sent: messages before it were not confirmed"
            ] * 2

    run(check())


def test_a_broker_that_was_away_is_found_again(broker: PrivateBroker) -> None:
    async def check() -> None:
        async with broker as access, a_link(access.address()) as link:
            messages = link.messages()
            await link.wait_until(connected=True)
            assert (link.connected, link.reconnects, link.fault) == (True, 0, None)
            for times in (1, 2):
                assert broker.pid is not None
                os.kill(broker.pid, signal.SIGKILL)
                await link.wait_until(connected=False)
                assert not link.connected
                (unsent,) = await link.send([a_setpoint()])
                assert unsent.setpoint == a_setpoint()
                assert "not sent" in unsent.reason
                await broker.start()
                await link.wait_until(connected=True)
                assert (link.connected, link.reconnects, link.fault) == (True, times, None)

                async with a_gateway(access) as device:
                    await device.publish("vpp/v1/steel/mill/bess-1/telemetry", b"back", qos=1)
                    assert (await anext(messages)).payload == b"back"
                    await device.subscribe("vpp/v1/steel/+/+/cmd", qos=1)
                    assert await link.send([a_setpoint()]) == ()
                    await anext(aiter(device.messages))

    run(check())


def halt(pid: int) -> None:
    """Stop a child; until every thread of it stands still one of them may yet confirm something."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


def test_a_broker_that_hangs_while_we_publish_does_not_hold_us(broker: PrivateBroker) -> None:
    async def check() -> None:
        timing = LinkTiming(connect_timeout_s=5, publish_timeout_s=0.2)
        async with broker as access, a_link(access.address(), timing=timing) as link:
            await link.wait_until(connected=True)
            assert broker.pid is not None
            halt(broker.pid)
            try:
                (unsent,) = await link.send([a_setpoint()])
                assert "not confirmed" in unsent.reason
            finally:
                os.kill(broker.pid, signal.SIGCONT)

    run(check())


def test_a_late_reader_loses_the_oldest_and_is_told_how_many(broker: PrivateBroker) -> None:
    async def check() -> None:
        async with (
            broker as access,
            a_link(access.address(), capacity=5) as link,
            a_gateway(access) as device,
        ):
            await link.wait_until(connected=True)
            for n in range(12):
                await device.publish("vpp/v1/steel/mill/bess-1/telemetry", b"%d" % n, qos=1)
            await until(lambda: link.inbox.received == 12)
            assert (link.inbox.lost, link.inbox.overflowing) == (7, True)

            messages = link.messages()
            assert [(await anext(messages)).payload for _ in range(5)] == [
                b"%d" % n for n in range(7, 12)
            ]
            waiting = asyncio.ensure_future(anext(messages))
            await until(lambda: not link.inbox.overflowing)
            await device.publish("vpp/v1/steel/mill/bess-1/telemetry", b"next", qos=1)
            assert (await waiting).payload == b"next"
            assert link.inbox.lost == 7

    run(check())


def test_messages_end_when_the_link_is_stopped_and_all_are_read(broker: PrivateBroker) -> None:
    async def check() -> None:
        async with broker as access, a_gateway(access) as device:
            async with a_link(access.address()) as link:
                await link.wait_until(connected=True)
                for n in range(WINDOW):
                    await device.publish("vpp/v1/steel/mill/bess-1/telemetry", b"%d" % n, qos=1)
                await until(lambda: link.inbox.received == WINDOW)
            assert [message.payload async for message in link.messages()] == [
                b"%d" % n for n in range(WINDOW)
            ]
            assert not link.connected

    run(check())


def a_stranger(access: BrokerAccess) -> BrokerAddress:
    return BrokerAddress(host=access.host, port=access.port, username="service", password="wrong")


def test_a_refused_password_ends_the_link(mosquitto: Path) -> None:
    async def check() -> None:
        async with MosquittoBroker([], program=mosquitto) as access:
            with pytest.raises(RejectedError, match="Check user and password"):
                await a_link(a_stranger(access)).run(asyncio.Event())

    run(check())


def test_a_password_that_gets_no_answer_is_a_fault_of_the_link() -> None:
    async def check() -> None:
        timing = LinkTiming(connect_timeout_s=0.2)
        async with (
            EmbeddedBroker([]) as access,
            a_link(a_stranger(access), timing=timing) as link,
        ):
            await until(lambda: link.fault == "Operation timed out")
            assert not link.connected

    run(check())


def test_messages_beyond_a_quota_are_confirmed_in_their_turn(broker: PrivateBroker) -> None:
    """The embedded broker hangs up on who confirms a later message before an earlier one."""

    async def check() -> None:
        async with broker as access, a_gateway(access) as device:
            link = MqttLink(
                access.address(),
                HOMES,
                client_id="service",
                now=lambda: NOON,
                jitter=Random(1),
                timing=QUICK,
                quota=Quota(per_s=0.001, burst=1),
            )
            async with link:
                await link.wait_until(connected=True)
                for name in ("bess-1", *("bess-2" for _ in range(40))):
                    await device.publish(f"vpp/v1/steel/mill/{name}/telemetry", b"{}", qos=1)
                await until(lambda: link.inbox.received == 41)
                assert link.inbox.over_quota == 39
                messages = link.messages()
                for _ in range(41):
                    await anext(messages)
                await device.publish("vpp/v1/steel/mill/bess-3/telemetry", b"{}", qos=1)
                assert (await anext(messages)).topic.endswith("bess-3/telemetry")
                assert (link.connected, link.reconnects) == (True, 0)

    run(check())
