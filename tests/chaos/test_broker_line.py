"""Rows B4, B7, B10: what befalls the line to a real Mosquitto, and Mosquitto itself, befalls nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from adapters.brokers import MosquittoBroker
from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from adapters.mqtt_pace import LinkTiming
from tests.chaos.proxy import CLEAN, Proxy, Side, Toxic
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.model.time import isoformat
from vpp.sense.decode import Refusal
from vpp.sense.intake import Intake
from vpp.simulate.fleet import DeviceMessage
from vpp.simulate.gateway import BrokerAccess, Gateway
from vpp.wire import TelemetryMessage, topic

KILLS = int(os.environ.get("VPP_CHAOS_BROKER_KILLS", "8"))
"""How often the broker is killed mid-flow; a release plays 200."""

FUZZED = int(os.environ.get("VPP_CHAOS_FUZZED_LINES", "6"))
"""How many lines are garbled."""

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
STEEL, MILL, BESS = EnterpriseId("steel"), ConnectionPointId("mill"), ResourceId("bess-1")
MINUTE = timedelta(minutes=1)
QUICK = LinkTiming(
    first_delay_s=0.02,
    longest_delay_s=0.1,
    stable_after_s=0.0,
    connect_timeout_s=2.0,
    publish_timeout_s=2.0,
    keepalive_s=1,
    attempts_a_minute=10_000,
)


class Bench:
    """A gateway and a link on one broker, each behind a proxy of its own, and what the link brought."""

    def __init__(self, broker: MosquittoBroker, seed: int) -> None:
        self.broker = broker
        self.link: MqttLink
        self.gateway: Gateway
        self.line: Proxy
        self.device_line: Proxy
        self.seed = seed
        self.seq = 0
        self.now = NOON
        self.taken: list[int] = []
        self.intake = Intake({BESS: (STEEL, MILL)}, {BESS: (-100.0, 100.0)}, frozenset())
        self.outcomes: Counter[str] = Counter()
        self.news = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        access = await self.broker.start()
        password = access.passwords[STEEL]
        service = access.address()
        async with (
            Proxy(access.port, seed=self.seed, patience_s=5.0) as self.line,
            Proxy(access.port, seed=self.seed + 1, patience_s=5.0) as self.device_line,
        ):
            self.gateway = Gateway(
                STEEL,
                {BESS: "mill"},
                BrokerAccess("127.0.0.1", self.device_line.port, STEEL, password),
                lambda device, command: None,
                Random(self.seed),
            )
            address = BrokerAddress(
                host="127.0.0.1",
                port=self.line.port,
                username=service.username,
                password=service.password,
            )
            self.link = MqttLink(
                address,
                {BESS: (STEEL, "mill")},
                client_id="service",
                now=lambda: NOON,
                jitter=Random(self.seed),
                timing=QUICK,
            )
            stop = asyncio.Event()
            async with self.link:
                running = asyncio.create_task(self.gateway.run(stop))
                reading = asyncio.create_task(self._read())
                try:
                    await self.up()
                    yield
                finally:
                    reading.cancel()
                    stop.set()
                    # A gateway says goodbye to a broker that must be able to hear it.
                    self.device_line.up = self.device_line.down = CLEAN
                    running.cancel()
                    await asyncio.gather(running, reading, return_exceptions=True)

    async def _read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/telemetry"):
                taken = self.intake.accept(message.topic, message.payload, self.now)
                if isinstance(taken, Reading):
                    self.taken.append(taken.seq)
                self.outcomes[type(taken).__name__ if isinstance(taken, Refusal) else "ok"] += 1
            self.news.set()

    async def up(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.link.wait_until(connected=True)
            await self.gateway.connected.wait()

    def publish(self, count: int) -> asyncio.Task[None]:
        messages = []
        for _ in range(count):
            self.seq += 1
            at = self.now - timedelta(seconds=100) + timedelta(milliseconds=self.seq)
            body = TelemetryMessage(ts=isoformat(at), seq=self.seq, power_kw=1.0)
            where = topic(STEEL, "mill", BESS, "telemetry")
            messages.append(DeviceMessage(STEEL, BESS, where, self.seq, msgspec.json.encode(body)))
        return asyncio.create_task(self.gateway.publish(messages))

    async def until(self, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until what was read says so."""
        async with asyncio.timeout(patience_s):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def hears(self) -> None:
        """What is sent now comes through; what was sent while nobody had subscribed is a gap that counts."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.up()
                # A damaged message may have been taken for a later one: after it the clock ran backwards.
                self.now += 2 * MINUTE
                await self.publish(1)
                newest = self.seq
                with suppress(TimeoutError):
                    await self.until(lambda newest=newest: newest in self.taken, 1.0)  # type: ignore[misc]
                    return

    def signal(self, number: signal.Signals) -> None:
        assert self.broker.pid is not None
        os.kill(self.broker.pid, number)


def play(program: Path, one: Callable[[Bench], Awaitable[None]], seed: int = 1) -> Bench:
    bench = Bench(MosquittoBroker([STEEL], program=program), seed)

    async def run() -> None:
        try:
            async with bench.opened():
                await one(bench)
        finally:
            if bench.broker.pid is not None:
                bench.signal(signal.SIGCONT)
            await bench.broker.stop()

    asyncio.run(run())
    return bench


@pytest.mark.parametrize("silence", ["a line cut without a word", "a broker that is frozen"])
def test_a_silent_broker_is_noticed_within_one_and_a_half_keep_alives(
    mosquitto: Path, silence: str
) -> None:
    async def one(bench: Bench) -> None:
        await bench.hears()
        loop = asyncio.get_running_loop()
        began = loop.time()
        if silence == "a line cut without a word":
            bench.line.up = bench.line.down = Toxic(swallow=True)
        else:
            bench.signal(signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_S):
            await bench.link.wait_until(connected=False)
        # The last word came at most now; what is above the bound is this machine being busy.
        assert loop.time() - began <= 1.5 * QUICK.keepalive_s + 1.0
        assert bench.link.fault is not None
        unsent = await bench.link.send([a_setpoint()])
        assert len(unsent) == 1
        bench.line.up = bench.line.down = CLEAN
        bench.signal(signal.SIGCONT)
        await bench.hears()

    play(mosquitto, one)


def a_setpoint() -> Setpoint:
    return Setpoint(
        command_id="c-1",
        seq=1,
        resource_id=BESS,
        enterprise_id=STEEL,
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=15),
        power_kw=-40.0,
        serves="plan-1",
    )


def test_a_broker_killed_in_mid_flow_is_subscribed_to_again_and_nothing_counts_twice_or_is_lost_unseen(
    mosquitto: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lot = Random(20251203)

    async def one(bench: Bench) -> None:
        # A narrow way in and late confirmations on the way out, so that a kill falls amid all of it.
        bench.device_line.up = Toxic(bandwidth_bytes_per_s=200_000, slice_bytes=400)
        bench.device_line.down = bench.line.up = Toxic(latency_s=0.02)
        for _ in range(KILLS):
            flow = bench.publish(60)
            enough = len(bench.taken) + lot.randrange(40)
            await bench.until(lambda enough=enough: len(bench.taken) >= enough)  # type: ignore[misc]
            bench.signal(signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                await bench.link.wait_until(connected=False)
                await flow
            await bench.broker.start()
            await bench.up()
        await bench.hears()

    bench = play(mosquitto, one)

    assert bench.link.reconnects >= KILLS
    assert bench.gateway.dropped == 0
    assert len(bench.taken) == len(set(bench.taken))
    # A broker that keeps nothing on disk may have confirmed what it never passed on: then the gap is counted.
    assert len(bench.taken) + bench.intake.lost == bench.seq
    duplicates = bench.outcomes["ok"] - len(bench.taken)
    with capsys.disabled():
        print(  # noqa: T201  the figure that this test is also for
            f"\n{KILLS} kills of the broker, {bench.seq} messages, {duplicates} came twice,"
            f" {bench.intake.lost} lost and counted"
        )


MALFORMED = [
    b"\xf0\x00",  # a packet of no kind
    b"\x30\xff\xff\xff\xff\x7f",  # a length of five bytes
    b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
    b"\x32\x03\x00\x99a",  # a topic longer than its packet
    b"\x30\x04\x00\x02\xff\xfe",  # a topic that is no UTF-8
    b"\x32\x02\x00\x00",  # no topic, no id
    b"\x90\x03\xff\xff\x00",  # granted, and never asked for
    b"\x40\x02\xff\xff",  # confirmed, and never sent
    b"\x20\x02\x00\x00",  # welcomed twice
    b"\xd0\x01\x00",  # a pong with a body
    b"\x10\x00",  # a greeting without a name
    bytes(range(256)),
]


def test_malformed_packets_drop_a_line_and_never_the_service(mosquitto: Path) -> None:
    async def one(bench: Bench) -> None:
        lot = Random(20251204)
        for turn in range(FUZZED):
            bench.line.seed = turn
            bench.now += 20 * MINUTE  # whoever was shut out for nonsense is read again
            if turn % 2:
                bench.line.down = Toxic(corrupt_share=0.02, slice_bytes=7)
                bench.line.up = Toxic(corrupt_share=0.005)
            else:
                for packet in lot.sample(MALFORMED, 4):
                    bench.line.inject(lot.choice([Side.UP, Side.DOWN]), packet)
            flow = bench.publish(20)
            async with asyncio.timeout(PATIENCE_S):
                await flow
            bench.line.up = bench.line.down = CLEAN
            # What was garbled may be a subscription: a line that looks well is made anew too.
            bench.line.cut()
            await bench.line.until(lambda: bench.line.live == 0)
            await bench.hears()

    bench = play(mosquitto, one)

    assert bench.line.corrupted > 0
    assert bench.link.reconnects >= FUZZED
