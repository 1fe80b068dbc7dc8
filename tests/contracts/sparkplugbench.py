"""A device behind Sparkplug B for the contract of links: an edge node that is born each time it speaks."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

import aiomqtt

from adapters.broker_process import BrokerAccess
from adapters.brokers import EmbeddedBroker
from adapters.mqtt_pace import LinkTiming
from adapters.sparkplug_device import ReadMetric, SparkplugDevice, WriteMetric
from adapters.sparkplug_link import SparkplugLink
from adapters.sparkplug_node import BD_SEQ
from adapters.sparkplug_wire import DataType, Metric, Payload, decode, encode, named
from tests.contracts.linkbench import BESS, NOON, PUMP, Bench, dead_gateway
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId
from vpp.service.links.channels import Channels, Link

NOON_MS = round(NOON.timestamp() * 1000)
LONG_AGO_MS = NOON_MS - 3_600_000
"""When the power changed last: a birth says it all the same, as of now."""
ROOT = "spBv1.0/plant"

BATTERY = SparkplugDevice(
    device_id=BESS,
    enterprise_id="steel",
    site_id="mill",
    node="edge",
    device="bms",
    points={
        "power_kw": ReadMetric(name="P", factor=-0.001),
        "soc": ReadMetric(name="SoC", factor=0.01),
    },
    setpoint=WriteMetric(name="Pset", factor=-0.001, enable="Remote"),
)
"""It counts watts drawn, and per cent."""


def quick() -> LinkTiming:
    return LinkTiming(first_delay_s=0.01, longest_delay_s=0.05, attempts_a_minute=10_000)


def births(watts: float, *, at_ms: int, bd_seq: int = 0) -> list[tuple[str, bytes]]:
    """What the edge node says when it is born: itself, and its battery."""
    number = Metric(name=BD_SEQ, datatype=DataType.INT64, value=bd_seq)
    battery = (
        Metric(name="P", alias=1, datatype=DataType.DOUBLE, value=watts, timestamp_ms=LONG_AGO_MS),
        Metric(name="SoC", alias=2, datatype=DataType.FLOAT, value=55.0),
        Metric(name="Pset", alias=3, datatype=DataType.DOUBLE, value=0.0),
        Metric(name="Remote", alias=4, datatype=DataType.BOOLEAN, value=False),
    )
    return [
        (f"{ROOT}/NBIRTH/edge", encode(Payload(timestamp_ms=at_ms, seq=0, metrics=(number,)))),
        (f"{ROOT}/DBIRTH/edge/bms", encode(Payload(timestamp_ms=at_ms, seq=1, metrics=battery))),
    ]


@dataclass
class OverSparkplug:
    link: Link | Channels
    broker: EmbeddedBroker
    access: BrokerAccess
    number: int = 0

    def _device(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self.access.host,
            self.access.port,
            username="steel",
            password=self.access.passwords["steel"],
        )

    async def says(self, power_kw: float) -> None:
        self.number += 1
        async with self._device() as device:
            for where, body in births(-1000 * power_kw, at_ms=NOON_MS - 60_000 + self.number):
                await device.publish(where, body, qos=1)

    async def does(self, setpoint: Setpoint) -> float:
        async with self._device() as device:
            await device.subscribe(f"{ROOT}/DCMD/edge/bms", qos=1)
            assert await self.link.send([setpoint]) == ()
            async for message in device.messages:
                assert not message.retain
                assert isinstance(message.payload, bytes)
                told = decode(message.payload).metrics
                enable, wanted = named(told, "Remote"), named(told, "Pset")
                assert enable is not None
                if enable.value:  # it was let go first: it might have followed somebody from before
                    assert wanted is not None
                    return -float(wanted.value or 0) / 1000
        raise AssertionError("the broker has ended")

    async def away(self) -> None:
        assert self.broker.pid is not None
        os.kill(self.broker.pid, signal.SIGKILL)

    async def back(self) -> None:
        await self.broker.start()


@asynccontextmanager
async def over_sparkplug(*, beside: bool = False) -> AsyncIterator[Bench]:
    broker = EmbeddedBroker([EnterpriseId("steel")])
    async with AsyncExitStack() as stack:
        access = await stack.enter_async_context(broker)
        own = await stack.enter_async_context(
            SparkplugLink(
                access.address(),
                "plant",
                [BATTERY],
                client_id="service-plant",
                now=lambda: NOON,
                jitter=Random(1),
                timing=quick(),
            )
        )
        link: Link | Channels = own
        if beside:
            link = Channels(
                {"plant": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "plant", PUMP: "gateway"},
            )
        yield OverSparkplug(link, broker, access)
