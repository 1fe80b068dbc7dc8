"""What every link to devices promises inward, whatever it speaks outward: our MQTT, that of others,
Modbus, IEC 104, HTTP both ways, OCPP, OpenADR, S2, Sparkplug B, and several at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import aiomqtt
import msgspec
import pytest

from adapters.broker_process import BrokerAccess
from adapters.brokers import EmbeddedBroker
from adapters.iec104_client import RemoteLink, RemoteUnit
from adapters.iec104_device import ReadPoint, RemoteDevice, WritePoint
from adapters.iec104_station import Station
from adapters.mqtt_gateway import GatewayLink
from adapters.mqtt_link import MqttLink
from adapters.mqtt_pace import LinkTiming
from adapters.payload_mapping import ForeignDevice
from tests.adapters.slaves import Slaves
from tests.contracts.httpbenches import over_http_pull, over_http_push
from tests.contracts.linkbench import (
    BESS,
    NOON,
    PUMP,
    Bench,
    a_gateway,
    a_setpoint,
    dead_gateway,
    until,
)
from tests.contracts.ocppbenches import OverOcpp, over_ocpp16, over_ocpp201
from tests.contracts.openadrbench import over_openadr
from tests.contracts.s2bench import over_s2_envelope, over_s2_fill_rate
from tests.contracts.sparkplugbench import over_sparkplug
from tests.patience import PATIENCE_S
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.telecontrol import (
    DispatchOrder,
    Flaw,
    Master,
    OrderPoint,
    Shown,
    ShownPoint,
    StationSpec,
)
from vpp.ports import Message
from vpp.service.links.channels import Channels, Link
from vpp.service.links.payloadmaps import load_payload_map
from vpp.wire import CommandMessage, TelemetryMessage


@dataclass
class OverMqtt:
    link: Link | Channels
    broker: EmbeddedBroker
    access: BrokerAccess

    def _device(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self.access.host,
            self.access.port,
            username="steel",
            password=self.access.passwords["steel"],
        )

    async def says(self, power_kw: float) -> None:
        body = TelemetryMessage(ts="2025-12-03T12:00:00Z", seq=1, power_kw=power_kw)
        async with self._device() as device:
            where = "vpp/v1/steel/mill/bess/telemetry"
            await device.publish(where, msgspec.json.encode(body), qos=1)

    async def does(self, setpoint: Setpoint) -> float:
        async with self._device() as device:
            await device.subscribe("vpp/v1/steel/mill/bess/cmd", qos=1)
            assert await self.link.send([setpoint]) == ()
            message = await anext(aiter(device.messages))
            return msgspec.json.decode(message.payload, type=CommandMessage).power_kw

    async def away(self) -> None:
        assert self.broker.pid is not None
        os.kill(self.broker.pid, signal.SIGKILL)

    async def back(self) -> None:
        await self.broker.start()


@dataclass
class OverForeignMqtt(OverMqtt):
    async def says(self, power_kw: float) -> None:
        said = {"timestamp": 1_764_763_200_000, "node": "bms", "group": "bess"}
        said |= {"values": {"active_power": -1000 * power_kw}}
        async with self._device() as device:
            await device.publish("neuron/app/upload", msgspec.json.encode(said), qos=1)

    async def does(self, setpoint: Setpoint) -> float:
        async with self._device() as device:
            await device.subscribe("neuron/vpp/write/req", qos=1)
            assert await self.link.send([setpoint]) == ()
            message = await anext(aiter(device.messages))
            return -float(msgspec.json.decode(message.payload)["value"]) / 1000


@dataclass
class OverModbus:
    link: Link | Channels
    there: Slaves

    async def says(self, power_kw: float) -> None:
        self.there.set(1, 0, *divmod(round(power_kw * 1000), 65536))

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        await until(lambda: self.there.words[1][6] == 1)
        raw = self.there.words[1][4] << 16 | self.there.words[1][5]
        return (raw - (1 << 32) if raw >> 31 else raw) / 1000

    async def away(self) -> None:
        await self.there.stop()

    async def back(self) -> None:
        await self.there.start()


@dataclass
class OverIec104:
    """The other side is a controlled station that tells watts drawn."""

    link: Link | Channels
    station: Station
    orders: asyncio.Queue[DispatchOrder]
    stop: asyncio.Event
    serving: asyncio.Task[None] | None = None

    async def says(self, power_kw: float) -> None:
        self.station.publish({1: Shown(-1000 * power_kw, Flaw.NONE, NOON)})

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        while (order := await self.orders.get()).address != 2 or not order.value:
            pass  # it was let go first: it might have followed somebody from before
        assert (await self.orders.get()).address == 3  # and only then its switch
        return -order.value / 1000

    async def away(self) -> None:
        assert self.serving is not None
        self.stop.set()
        await self.serving

    async def back(self) -> None:
        async def operate(order: DispatchOrder) -> None:
            await self.orders.put(order)

        self.stop = asyncio.Event()
        self.station = Station(replace(self.station.spec, port=self.station.port), now=lambda: NOON)
        self.serving = asyncio.create_task(
            self.station.run(operate, lambda who, what: None, self.stop)
        )
        await until(lambda: bool(self.station.port))


@asynccontextmanager
async def over_mqtt(*, beside: bool = False) -> AsyncIterator[Bench]:
    broker = EmbeddedBroker([EnterpriseId("steel")])
    async with AsyncExitStack() as stack:
        access = await stack.enter_async_context(broker)
        own = await stack.enter_async_context(
            MqttLink(
                access.address(),
                {BESS: ("steel", "mill")},
                client_id="service",
                now=lambda: NOON,
                jitter=Random(1),
                timing=LinkTiming(
                    first_delay_s=0.01, longest_delay_s=0.05, attempts_a_minute=10_000
                ),
            )
        )
        link: Link | Channels = own
        if beside:  # a gateway that nobody answers for must not be felt
            link = Channels(
                {"mqtt": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "mqtt", PUMP: "gateway"},
            )
        yield OverMqtt(link, broker, access)


@asynccontextmanager
async def over_foreign_mqtt(*, beside: bool = False) -> AsyncIterator[Bench]:
    broker = EmbeddedBroker([EnterpriseId("steel")])
    async with AsyncExitStack() as stack:
        access = await stack.enter_async_context(broker)
        own = await stack.enter_async_context(
            GatewayLink(
                access.address(),
                load_payload_map("neuron", Path()),
                [
                    ForeignDevice(
                        device_id=BESS,
                        enterprise_id=EnterpriseId("steel"),
                        site_id="mill",
                        names={"node": "bms", "group": "bess"},
                        is_meter=False,
                        read_only=False,
                    )
                ],
                client_id="service-neuron",
                now=lambda: NOON,
                jitter=Random(1),
                timing=LinkTiming(
                    first_delay_s=0.01, longest_delay_s=0.05, attempts_a_minute=10_000
                ),
            )
        )
        link: Link | Channels = own
        if beside:
            link = Channels(
                {"foreign": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "foreign", PUMP: "gateway"},
            )
        yield OverForeignMqtt(link, broker, access)


@asynccontextmanager
async def over_modbus(*, beside: bool = False) -> AsyncIterator[Bench]:
    there = Slaves({1: dict.fromkeys(range(8), 0)})
    await there.start()
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(a_gateway(BESS, there.port))
        link: Link | Channels = own
        if beside:
            link = Channels(
                {"gateway": own, "other": await stack.enter_async_context(dead_gateway())},
                {BESS: "gateway", PUMP: "other"},
            )
        yield OverModbus(link, there)
    await there.stop()


@asynccontextmanager
async def over_iec104(*, beside: bool = False) -> AsyncIterator[Bench]:
    spec = StationSpec(
        name="unit",
        host="127.0.0.1",
        port=0,
        common_address=1,
        zone=ZoneInfo("UTC"),
        masters=(Master(host="127.0.0.1", may_order=True),),
        points=(ShownPoint(address=1),),
        orders=(OrderPoint(address=2), OrderPoint(address=3, is_switch=True)),
    )
    station = Station(spec, now=lambda: NOON)
    bench = OverIec104(Channels({}, {}), station, asyncio.Queue(), asyncio.Event())
    await bench.back()
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(a_remote_unit(bench.station.port))
        bench.link = own
        if beside:
            bench.link = Channels(
                {"unit": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "unit", PUMP: "gateway"},
            )
        yield bench
    await bench.away()


def a_remote_unit(port: int) -> RemoteLink:
    return RemoteLink(
        RemoteUnit(
            host="127.0.0.1",
            port=port,
            common_address=1,
            zone=ZoneInfo("UTC"),
            interrogate_s=0.05,
            report_s=0.01,
            first_delay_s=0.01,
            longest_delay_s=0.05,
        ),
        [
            RemoteDevice(
                device_id=BESS,
                enterprise_id="steel",
                site_id="mill",
                points={"power_kw": ReadPoint(address=1, factor=-0.001)},
                setpoint=WritePoint(address=2, factor=-0.001, enable_address=3),
            )
        ],
        now=lambda: NOON,
        jitter=Random(1),
    )


Over = Callable[..., AbstractAsyncContextManager[Bench]]
BENCHES = [
    pytest.param(over_mqtt, False, id="mqtt"),
    pytest.param(over_foreign_mqtt, False, id="foreign mqtt"),
    pytest.param(over_modbus, False, id="modbus"),
    pytest.param(over_iec104, False, id="iec 104"),
    pytest.param(over_http_pull, False, id="http pull"),
    pytest.param(over_http_push, False, id="http push"),
    pytest.param(over_ocpp16, False, id="ocpp 1.6"),
    pytest.param(over_ocpp201, False, id="ocpp 2.0.1"),
    pytest.param(over_s2_fill_rate, False, id="s2 fill rate"),
    pytest.param(over_s2_envelope, False, id="s2 envelope"),
    pytest.param(over_openadr, False, id="openadr"),
    pytest.param(over_openadr, True, id="openadr beside a dead gateway"),
    pytest.param(over_sparkplug, False, id="sparkplug"),
    pytest.param(over_mqtt, True, id="mqtt beside a dead gateway"),
    pytest.param(over_foreign_mqtt, True, id="foreign mqtt beside a dead gateway"),
    pytest.param(over_modbus, True, id="modbus beside a dead gateway"),
    pytest.param(over_iec104, True, id="iec 104 beside a dead gateway"),
    pytest.param(over_http_pull, True, id="http pull beside a dead gateway"),
    pytest.param(over_http_push, True, id="http push beside a dead gateway"),
    pytest.param(over_ocpp16, True, id="ocpp 1.6 beside a dead gateway"),
    pytest.param(over_ocpp201, True, id="ocpp 2.0.1 beside a dead gateway"),
    pytest.param(over_s2_fill_rate, True, id="s2 fill rate beside a dead gateway"),
    pytest.param(over_sparkplug, True, id="sparkplug beside a dead gateway"),
]
on_every_link = pytest.mark.parametrize(("over", "beside"), BENCHES)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def its(bench: Bench, power_kw: float) -> float:
    """A power that its device can have: a charging station only draws."""
    return -abs(power_kw) if isinstance(bench, OverOcpp) else power_kw


async def heard(messages: AsyncIterator[Message], power_kw: float) -> TelemetryMessage:
    """The next telemetry with this power: a link that polls tells older ones before it."""
    async for message in messages:
        if message.topic != "vpp/v1/steel/mill/bess/telemetry":
            continue
        found = msgspec.json.decode(message.payload, type=TelemetryMessage)
        if found.power_kw == power_kw:
            return found
    raise AssertionError("the link has ended")


async def stands(link: Link | Channels, *, connected: bool) -> None:
    """Until the link carries `bess` again, or not."""
    if isinstance(link, Channels):
        await until(lambda: link.health()[0].connected is connected)
    else:
        await until(lambda: link.connected is connected)


@on_every_link
def test_what_a_device_tells_comes_as_our_telemetry_under_our_topic(
    over: Over, beside: bool
) -> None:
    async def check() -> None:
        async with over(beside=beside) as bench:
            await stands(bench.link, connected=True)
            messages = bench.link.messages()
            await bench.says(its(bench, 2.0))
            assert (await heard(messages, its(bench, 2.0))).quality == "good"

    run(check())


@on_every_link
def test_a_command_arrives_at_the_device(over: Over, beside: bool) -> None:
    async def check() -> None:
        async with over(beside=beside) as bench:
            await stands(bench.link, connected=True)
            messages = bench.link.messages()
            await bench.says(its(bench, 2.0))
            await heard(messages, its(bench, 2.0))
            assert await bench.does(a_setpoint(power_kw=-4.0)) == -4.0
            assert await bench.link.send([]) == ()

    run(check())


@on_every_link
def test_a_command_to_a_stranger_does_not_leave(over: Over, beside: bool) -> None:
    async def check() -> None:
        async with over(beside=beside) as bench:
            await stands(bench.link, connected=True)
            with pytest.raises(DataError, match="engine: is no resource of steel"):
                await bench.link.send([a_setpoint(ResourceId("engine"))])
            with pytest.raises(DataError, match="bess: is no resource of office"):
                await bench.link.send([a_setpoint(enterprise="office")])

    run(check())


@on_every_link
def test_a_side_that_was_killed_is_found_again_and_commands_meanwhile_are_told_as_unsent(
    over: Over, beside: bool
) -> None:
    async def check() -> None:
        async with over(beside=beside) as bench:
            await stands(bench.link, connected=True)
            messages = bench.link.messages()
            await bench.away()
            await stands(bench.link, connected=False)
            (unsent,) = await bench.link.send([a_setpoint()])
            assert unsent.setpoint == a_setpoint()
            assert any(who in unsent.reason for who in ("127.0.0.1", "cp-1"))
            await bench.back()
            await stands(bench.link, connected=True)
            await bench.says(its(bench, 3.0))
            await heard(messages, its(bench, 3.0))
            asked_kw = its(bench, 5.0)
            assert await bench.does(a_setpoint(power_kw=asked_kw)) == asked_kw

    run(check())


@on_every_link
def test_a_link_says_how_it_does(over: Over, beside: bool) -> None:
    async def check() -> None:
        async with over(beside=beside) as bench:
            await stands(bench.link, connected=True)
            link = bench.link
            assert link.since == NOON
            if isinstance(link, Channels):
                standing, dead = link.health()
                assert (standing.connected, standing.devices) == (True, 1)
                assert (dead.connected, dead.reconnects) == (False, 0)
                await until(lambda: "cannot connect" in (link.health()[1].fault or ""))
            else:
                assert (link.fault, link.reconnects) == (None, 0)

    run(check())
