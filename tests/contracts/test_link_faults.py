"""What befalls a link over a real Mosquitto: a twin (B3), old commands (B8), dead readers (B9), odd senders (A10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic

import aiomqtt
import msgspec
import pytest

from adapters.broker_process import BrokerAccess
from adapters.brokers import MosquittoBroker
from adapters.memory_journal import MemoryJournal
from adapters.mqtt_inbox import Inbox
from adapters.mqtt_link import MqttLink
from adapters.mqtt_pace import LinkTiming
from tests.patience import PATIENCE_S
from tests.service.smallpark import MARKET, PARK
from vpp.clock import SimulatedClock
from vpp.errors import RejectedError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import Measurement
from vpp.service.events import Severity
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant
from vpp.service.run import listen
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.simulate.gateway import BrokerAccess as GatewayAccess
from vpp.simulate.gateway import Gateway
from vpp.wire import AckMessage, CommandMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MILL = EnterpriseId("mill")
BATTERY = ResourceId("battery")
WHERE = "vpp/v1/mill/mill-gate/battery"
QUICK = LinkTiming(
    first_delay_s=0.01,
    longest_delay_s=0.05,
    stable_after_s=0.3,
    survives_s=0.2,
    attempts_a_minute=10_000,
)


def run(check: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await check

    asyncio.run(main())


def a_link(access: BrokerAccess, *, seed: int = 1, timing: LinkTiming = QUICK) -> MqttLink:
    return MqttLink(
        access.address(),
        {BATTERY: ("mill", "mill-gate")},
        client_id="vpp-small",
        now=lambda: NOON,
        jitter=Random(seed),
        timing=timing,
    )


@asynccontextmanager
async def a_device(access: BrokerAccess) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        access.host, access.port, username="mill", password=access.passwords["mill"]
    ) as client:
        client.pending_calls_threshold = 10_000
        yield client


def said(seq: int) -> bytes:
    at = (NOON - timedelta(hours=1) + seq * timedelta(seconds=1)).isoformat()
    return json.dumps({"ts": at, "seq": seq, "power_kw": 10.0, "soc": 0.5}).encode()


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


async def heard(link: MqttLink, count: int) -> None:
    await until(lambda: link.inbox.received == count)


@pytest.fixture
def program(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("mosquitto", "apt-get install mosquitto (or: make system)")


# ---------------------------------------------------------------- B3


@pytest.mark.parametrize("telling", [False, True])
def test_of_two_services_under_one_name_the_one_that_never_stood_for_long_gives_up(
    program: Path, telling: bool
) -> None:
    """Also while devices tell: what the second connection hears is no sign of its end."""

    async def tell(access: BrokerAccess) -> None:
        async with a_device(access) as device:
            while True:
                await device.publish(f"{WHERE}/telemetry", b"told", qos=1)
                await asyncio.sleep(0.002)

    async def check() -> None:
        async with (
            MosquittoBroker([MILL], program=program) as access,
            a_link(access, timing=replace(QUICK, stable_after_s=0.0)) as first,
        ):
            await first.wait_until(connected=True)  # which is long enough, for this one
            teller = asyncio.create_task(tell(access)) if telling else None
            with pytest.raises(RejectedError, match="another client uses our client id"):
                await a_link(access, seed=2).run(asyncio.Event())
            if teller is not None:
                teller.cancel()
                return

            await first.wait_until(connected=True)
            messages = first.messages()
            async with a_device(access) as device:
                await device.publish(f"{WHERE}/telemetry", b"heard", qos=1)
            assert (await anext(messages)).payload == b"heard"
            assert first.reconnects >= 3

    run(check())


def test_a_broker_that_is_killed_again_and_again_is_no_twin(program: Path) -> None:
    async def check() -> None:
        broker = MosquittoBroker([MILL], program=program)
        async with broker as access, a_link(access) as link:
            for _ in range(6):
                await link.wait_until(connected=True)
                await broker.stop()
                await link.wait_until(connected=False)
                await broker.start()
            await link.wait_until(connected=True)
            assert link.reconnects == 6

    run(check())


# ---------------------------------------------------------------- B8


def test_an_old_retained_command_moves_nothing_when_a_device_comes_back(program: Path) -> None:
    old = CommandMessage("c-1", 900, "2025-12-01T12:00:00Z", "2025-12-01T12:15:00Z", 99.0)
    fresh = CommandMessage("c-2", 901, "2025-12-03T12:00:00Z", "2025-12-03T12:15:00Z", 5.0)
    moved: list[float] = []

    def receive(_: ResourceId, command: CommandMessage) -> AckMessage:
        # As every device of ours judges: what has ended is refused.
        good = datetime.fromisoformat(command.expires_at) > NOON
        if good:
            moved.append(command.power_kw)
        return AckMessage(command.command_id, command.seq, "2025-12-03T12:00:00Z", accepted=good)

    async def check() -> None:
        async with MosquittoBroker([MILL], program=program) as access:
            address = access.address()
            async with aiomqtt.Client(
                address.host, address.port, username=address.username, password=address.password
            ) as stranger:
                await stranger.publish(f"{WHERE}/cmd", msgspec.json.encode(old), qos=1, retain=True)
                gateway = Gateway(
                    MILL,
                    {BATTERY: "mill-gate"},
                    GatewayAccess(access.host, access.port, "mill", access.passwords["mill"]),
                    receive,
                    Random(1),
                )
                stop = asyncio.Event()
                running = asyncio.create_task(gateway.run(stop))
                await gateway.wait_connected(20)
                await until(lambda: gateway.refused == 1)
                assert moved == []
                await stranger.publish(f"{WHERE}/cmd", msgspec.json.encode(fresh), qos=1)
                await until(lambda: gateway.acked == 1)
                assert moved == [5.0]
                stop.set()
                await running

    run(check())


# ---------------------------------------------------------------- B9


class Failing:
    """A clock that fails at some calls: what a fault in the callback of the client would be."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.failed = 0

    def __call__(self) -> float:
        if self._chance.random() < 0.3:
            self.failed += 1
            raise RuntimeError("a fault of ours")
        return monotonic()


def test_a_client_whose_callback_fails_is_subscribed_again_within_five_seconds(
    program: Path,
) -> None:
    async def check() -> None:
        async with MosquittoBroker([MILL], program=program) as access:
            link, clock = a_link(access), Failing(Random(3))
            link.inbox = Inbox(1000, clock=clock)
            async with link, a_device(access) as device:
                for number in range(20):
                    async with asyncio.timeout(5):
                        await link.wait_until(connected=True)
                    failed = clock.failed
                    await device.publish(f"{WHERE}/telemetry", said(number), qos=1)
                    await heard(link, number + 1)
                    if clock.failed > failed:
                        await link.wait_until(connected=False)
                        assert "a fault of ours" in (link.fault or "")
                assert clock.failed >= 3
                assert link.reconnects == clock.failed

    run(check())


def test_a_reader_that_fails_at_random_messages_is_told_of_and_reads_all_the_others(
    program: Path, tmp_path: Path
) -> None:
    chance, failed = Random(5), []

    def record(measurement: Measurement) -> bool:
        if chance.random() < 0.1:
            failed.append(measurement.seq)
            raise RuntimeError("a fault of ours")
        return True

    async def check() -> None:
        async with (
            MosquittoBroker([MILL], program=program) as access,
            a_link(access) as link,
            a_device(access) as device,
        ):
            plant = a_plant(tmp_path, link, record)
            stop = asyncio.Event()
            reading = asyncio.create_task(listen(plant, stop))
            await link.wait_until(connected=True)
            await asyncio.gather(
                *(device.publish(f"{WHERE}/telemetry", said(seq), qos=1) for seq in range(200))
            )
            await until(lambda: plant.intake.received == 200)
            assert plant.intake.accepted == 200
            assert len(failed) >= 10
            told = [e for e in plant.events.recent() if e.kind == "reader"]
            assert [event.severity for event in told] == [Severity.ALARM]
            assert "a fault of ours" in told[0].text
            stop.set()
            with suppress(asyncio.CancelledError):
                await reading

    run(check())


def a_plant(folder: Path, link: MqttLink, record: Callable[[Measurement], bool]) -> Plant:
    park = PARK.replace(
        "spread: 4.0", "quarter_hour_spread_per_mwh: 4.0, imbalance_spread_per_mwh: 40.0"
    )
    for name, text in {"park": park, "market": MARKET}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return build_plant(
        load_park(folder / "park.yaml"),
        clock=SimulatedClock(NOON),
        data=folder,
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=record,
    )


# ---------------------------------------------------------------- A10


def test_payloads_of_every_bad_kind_through_the_broker_leave_valid_traffic_whole(
    program: Path, tmp_path: Path
) -> None:
    bad = [b"x" * 290_000, said(1)[:20], b"[" * 20_000, b"\x00\xff\xfe", b"", b'{"ts":1}']

    async def check() -> None:
        async with (
            MosquittoBroker([MILL], program=program) as access,
            a_link(access) as link,
            a_device(access) as device,
        ):
            plant = a_plant(tmp_path, link, lambda measurement: True)
            stop = asyncio.Event()
            reading = asyncio.create_task(listen(plant, stop))
            await link.wait_until(connected=True)
            for seq in range(60):
                await device.publish(f"{WHERE}/telemetry", said(seq), qos=1)
                where = "vpp/v1/mill/mill-gate/pv"
                await device.publish(f"{where}/telemetry", bad[seq % len(bad)], qos=1)
                await device.publish(f"{where}/ack", bad[seq % len(bad)], qos=1)
            await until(lambda: plant.intake.received == 120)
            assert (plant.intake.accepted, plant.intake.lost) == (60, 0)
            assert plant.intake.quarantine.shut_out(NOON) == (f"{where}/telemetry",)
            assert link.reconnects == 0
            told = [e for e in plant.events.recent() if e.kind == "telemetry_refused"]
            assert len(told) == 2  # at the first, and when it was shut out
            stop.set()
            await reading

    run(check())
