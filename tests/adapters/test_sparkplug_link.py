"""Devices behind edge nodes of Sparkplug B, over a broker: told, commanded, let go, and asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import aiomqtt
import msgspec

from adapters.broker_process import BrokerAccess
from adapters.brokers import EmbeddedBroker
from adapters.sparkplug_device import ReadMetric, SparkplugDevice, WriteMetric
from adapters.sparkplug_link import SparkplugLink
from adapters.sparkplug_node import BD_SEQ, REBIRTH
from adapters.sparkplug_wire import DataType, Metric, Payload, decode, encode, named
from tests.contracts.linkbench import BESS, NOON, until
from tests.contracts.sparkplugbench import BATTERY, NOON_MS, ROOT, births, quick
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.wire import AckMessage, TelemetryMessage


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_setpoint(power_kw: float, seq: int = 7) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=15),
        power_kw=power_kw,
        serves="plan-1",
    )


@dataclass
class Bench:
    """A link over a broker, and an edge node at the same broker."""

    link: SparkplugLink
    edge: aiomqtt.Client
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    answers: list[AckMessage] = field(default_factory=list)
    heard: list[tuple[str, Payload]] = field(default_factory=list)
    """Commands that came to the edge node."""
    standing: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closed early by a test that looks at how the link ends."""
    seconds: float = 0.0
    seq: int = 1
    at_ms: int = NOON_MS - 60_000

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append(told)

    async def listen(self) -> None:
        async for message in self.edge.messages:
            assert isinstance(message.payload, bytes)
            self.heard.append((str(message.topic), decode(message.payload)))

    async def born(self, watts: float = 0.0) -> None:
        self.at_ms += 1000
        self.seq = 1
        for where, body in births(watts, at_ms=self.at_ms):
            await self.edge.publish(where, body)

    async def says(self, *metrics: Metric, lost: int = 0, kind: str = "DDATA") -> None:
        self.at_ms += 1000
        self.seq = (self.seq + 1 + lost) % 256
        body = encode(Payload(timestamp_ms=self.at_ms, seq=self.seq, metrics=metrics))
        await self.edge.publish(f"{ROOT}/{kind}/edge/bms", body)

    async def told(self, count: int) -> TelemetryMessage:
        await until(lambda: len(self.telemetry) >= count)
        return self.telemetry[count - 1]

    def rebirths(self) -> int:
        return sum(named(p.metrics, REBIRTH) is not None for _, p in self.heard)

    def enables(self) -> list[bool]:
        """What the battery was told of following us, in order."""
        found = (named(p.metrics, "Remote") for t, p in self.heard if "/DCMD/" in t)
        return [bool(metric.value) for metric in found if metric is not None]


def watts(value: float, *, historical: bool = False, at_ms: int | None = None) -> Metric:
    return Metric(
        alias=1, value=float(value), datatype=10, historical=historical, timestamp_ms=at_ms
    )


def setpoint_shown(value: float) -> Metric:
    return Metric(alias=3, datatype=DataType.DOUBLE, value=value)


@asynccontextmanager
async def bench(*devices: SparkplugDevice) -> AsyncIterator[Bench]:
    async with EmbeddedBroker([EnterpriseId("steel")]) as access, edge_of(access) as edge:
        found: list[Bench] = []
        link = SparkplugLink(
            access.address(),
            "plant",
            devices or [BATTERY],
            client_id="service-plant",
            now=lambda: NOON + timedelta(seconds=found[0].seconds if found else 0),
            jitter=Random(1),
            timing=quick(),
        )
        found.append(Bench(link, edge))
        await edge.subscribe(f"{ROOT}/NCMD/edge")
        await edge.subscribe(f"{ROOT}/DCMD/edge/+")
        listening = asyncio.create_task(found[0].listen())
        reading = asyncio.create_task(found[0].read())
        async with found[0].standing:
            await found[0].standing.enter_async_context(link)
            await link.wait_until(connected=True)
            yield found[0]
        await reading
        listening.cancel()


def edge_of(access: BrokerAccess) -> aiomqtt.Client:
    return aiomqtt.Client(
        access.host, access.port, username="steel", password=access.passwords["steel"]
    )


def test_a_link_that_comes_up_asks_for_births_and_tells_what_they_say() -> None:
    async def check() -> None:
        async with bench() as b:
            await until(lambda: b.rebirths() == 1)
            await b.born(3000)
            told = await b.told(1)
            assert (told.power_kw, told.soc, told.seq) == (-3.0, 0.55, 1)
            await b.says(watts(2000))
            assert (await b.told(2)).power_kw == -2.0
            assert b.link.fault is None

    run(check())


def test_what_changes_alone_goes_along_with_the_next_power() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await b.says(Metric(alias=2, datatype=DataType.FLOAT, value=60.0))
            await b.says(watts(1000))
            told = await b.told(2)
            assert (told.power_kw, told.soc) == (-1.0, 0.6)

    run(check())


def test_a_value_that_is_null_is_unknown_and_a_device_without_power_tells_nothing() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(1000)
            await b.says(Metric(alias=1, datatype=10), Metric(alias=2, datatype=9))
            await b.says(watts(2000))
            told = await b.told(2)
            assert (told.power_kw, told.soc) == (-2.0, None)

    run(check())


def test_what_a_node_kept_while_it_was_away_is_told_as_late_at_its_own_time() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(1000)
            await b.says(watts(5000, historical=True, at_ms=NOON_MS - 3_600_000), watts(2000))
            late, now = await b.told(2), await b.told(3)
            assert (late.power_kw, late.seq, late.ts) == (-5.0, 0, "2025-12-03T11:00:00Z")
            assert (now.power_kw, now.seq) == (-2.0, 2)

    run(check())


def test_a_time_that_is_still_to_come_makes_nothing_late_that_follows() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await b.told(1)
            await b.says(watts(1000, at_ms=NOON_MS + 3_600_000))
            await b.says(watts(2000))
            await b.told(3)
            assert [one.seq for one in b.telemetry] == [1, 0, 2]

    run(check())


def test_after_a_gap_a_birth_is_asked_for_and_values_between_are_left_aside() -> None:
    async def check() -> None:
        async with bench() as b:
            await until(lambda: b.rebirths() == 1)
            await b.born(1000)
            await b.told(1)
            b.seconds = 10
            await b.says(watts(9000), lost=1)
            await until(lambda: b.rebirths() == 2)
            await b.born(2000)
            assert (await b.told(2)).power_kw == -2.0

    run(check())


def test_a_node_that_is_silent_for_a_minute_is_asked_and_what_it_says_counts_as_of_now() -> None:
    async def check() -> None:
        async with bench() as b:
            await until(lambda: b.rebirths() == 1)
            await b.born(0)
            first = await b.told(1)
            b.seconds = 61
            await until(lambda: b.rebirths() == 2)
            await b.born(0)
            again = await b.told(2)
            assert (again.power_kw, again.seq) == (0.0, 2)
            assert again.ts > first.ts

    run(check())


def test_a_device_that_dies_is_told_of_and_nothing_is_sent_to_it() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(1000)
            await b.told(1)
            await b.says(kind="DDEATH")
            b.seconds = 61
            await until(lambda: b.link.fault == "bess: its node lives, and it does not")
            (unsent,) = await b.link.send([a_setpoint(-4.0)])
            assert "it has not been born" in unsent.reason

    run(check())


def test_a_command_is_what_the_birth_says_it_can_be_told() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await until(lambda: b.enables() == [False])  # let go of what was before us
            assert await b.link.send([a_setpoint(-4.0)]) == ()
            await until(lambda: b.enables() == [False, True])
            where, payload = b.heard[-1]
            assert where == f"{ROOT}/DCMD/edge/bms"
            told = [(m.name, m.datatype, m.value) for m in payload.metrics]
            assert told == [("Pset", DataType.DOUBLE, 4000.0), ("Remote", DataType.BOOLEAN, True)]
            await b.says(setpoint_shown(4000), watts(4000))
            assert (await b.told(2)).setpoint_seq == 7
            assert [(one.command_id, one.accepted) for one in b.answers] == [("c-7", True)]

    run(check())


def test_a_device_that_shows_nothing_of_a_command_is_not_taken_at_its_word() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await b.told(1)
            await b.link.send([a_setpoint(-4.0)])
            await b.says(watts(10))
            assert (await b.told(2)).setpoint_seq is None
            assert b.answers == []

    run(check())


def test_somebody_else_who_writes_the_set_point_is_told_of_and_the_device_let_go() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await b.told(1)
            await b.link.send([a_setpoint(-4.0)])
            await b.says(setpoint_shown(4000), watts(4000))
            assert (await b.told(2)).setpoint_seq == 7
            await b.says(setpoint_shown(500), watts(500))
            await until(lambda: len(b.answers) == 2)
            assert b.answers[1].reason == "somebody else changed it: holds 500, not 4000"
            await until(lambda: b.enables()[-1] is False)

    run(check())


def test_a_command_that_ends_is_let_go_and_so_is_one_in_force_when_we_stop() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await b.told(1)
            await until(lambda: b.enables() == [False])
            await b.link.send([a_setpoint(-4.0)])
            b.seconds = 16 * 60
            await until(lambda: b.enables() == [False, True, False])
            later = replace(a_setpoint(-3.0, 8), expires_at=NOON + timedelta(hours=1))
            await b.link.send([later])
            await b.standing.aclose()
            await until(lambda: b.enables()[3:] == [True, False])

    run(check())


def test_a_device_that_cannot_be_let_go_is_a_fault_until_a_birth_brings_what_lets_it_go() -> None:
    written = WriteMetric(name="Pset", factor=-0.001, enable="Remote/2")
    device = replace(BATTERY, setpoint=written)

    async def check() -> None:
        async with bench(device) as b:
            await b.born(0)
            await until(lambda: "let go: was not born with a metric" in (b.link.fault or ""))
            b.at_ms, b.seq = b.at_ms + 1000, 1
            remote = Metric(name="Remote/2", datatype=DataType.BOOLEAN, value=True)
            for where, body in births(0, at_ms=b.at_ms):
                born = decode(body)
                body = encode(replace(born, metrics=(*born.metrics, remote)))
                await b.edge.publish(where, body)
            await until(lambda: any("/DCMD/" in where for where, _ in b.heard))
            await until(lambda: b.link.fault is None)

    run(check())


def test_a_device_is_let_go_at_a_stop_also_where_a_message_of_its_node_is_missing() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.born(0)
            await until(lambda: b.enables() == [False])
            await b.link.send([a_setpoint(-4.0)])
            await b.says(watts(1), lost=3)
            b.seconds = 6
            await until(lambda: b.rebirths() == 2)
            await b.standing.aclose()
            await until(lambda: b.enables() == [False, True, False])

    run(check())


def test_a_device_that_knows_how_long_a_command_holds_is_told_so_and_let_go_by_itself() -> None:
    device = replace(BATTERY, setpoint=WriteMetric(name="Pset", factor=-0.001, ends_in_s="SoC"))

    async def check() -> None:
        async with bench(device) as b:
            await b.born(0)
            await b.told(1)
            await b.link.send([a_setpoint(-4.0)])
            await until(lambda: any("/DCMD/" in where for where, _ in b.heard))
            holds = named(b.heard[-1][1].metrics, "SoC")
            assert holds is not None
            assert holds.value == 900.0
            b.seconds = 16 * 60
            await until(lambda: b.rebirths() == 2)  # a look at what is over has gone by
            assert sum("/DCMD/" in where for where, _ in b.heard) == 1

    run(check())


def test_a_command_that_the_birth_does_not_know_is_told_as_unsent() -> None:
    device = replace(BATTERY, setpoint=WriteMetric(name="Nobody", factor=1.0, released=0.0))

    async def check() -> None:
        async with bench(device) as b:
            await b.born(0)
            await b.told(1)
            (unsent,) = await b.link.send([a_setpoint(-4.0)])
            assert "was not born with a metric 'Nobody'" in unsent.reason

    run(check())


def test_a_device_that_is_only_read_is_never_written_to() -> None:
    async def check() -> None:
        async with bench(replace(BATTERY, setpoint=None)) as b:
            await b.born(0)
            await b.told(1)
            (unsent,) = await b.link.send([a_setpoint(-4.0)])
            assert "is read-only" in unsent.reason
        assert not [where for where, _ in b.heard if "/DCMD/" in where]

    run(check())


def test_metrics_of_the_node_itself_are_a_device_too() -> None:
    meter = SparkplugDevice(
        device_id=ResourceId("gate"),
        enterprise_id="steel",
        site_id="mill",
        node="edge",
        points={
            "power_kw": ReadMetric(name="Gate/P", factor=-1.0),
            "import_wh": ReadMetric(name="Gate/In", factor=1000.0),
        },
    )

    async def check() -> None:
        async with bench(meter) as b:
            metrics = (
                Metric(name=BD_SEQ, datatype=DataType.INT64, value=0),
                Metric(name="Gate/P", datatype=DataType.FLOAT, value=-12.5),
                Metric(name="Gate/In", datatype=DataType.UINT64, value=7),
            )
            body = encode(Payload(timestamp_ms=b.at_ms, metrics=metrics))
            await b.edge.publish(f"{ROOT}/NBIRTH/edge", body)
            told = await b.told(1)
            assert (told.power_kw, told.import_wh) == (12.5, 7000)

    run(check())


def test_octets_that_are_no_payload_are_counted_and_the_next_message_is_read() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.edge.publish(f"{ROOT}/NBIRTH/edge", b"\x12\xff")
            await b.edge.publish(f"{ROOT}/DBIRTH/edge", b"")
            await until(lambda: b.link.odd == 2)
            assert "could not be read, as 2 in all" in str(b.link.fault)
            await b.born(1000)
            assert (await b.told(1)).power_kw == -1.0

    run(check())
