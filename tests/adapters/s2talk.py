"""What tests of devices that speak S2 are made of: a link, a device that has connected, and what came inward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.s2_device import S2Device
from adapters.s2_link import S2Link
from adapters.s2_wire import Control
from tests.adapters.managers import BATTERY, ROOF, Manager
from tests.contracts.linkbench import BESS, NOON
from tests.contracts.s2bench import TOKEN, an_s2_device, s2_served
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId
from vpp.wire import AckMessage, TelemetryMessage

ROOF_DEVICE = replace(an_s2_device(Control.PEBC), limits="feed")


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def a_setpoint(
    power_kw: float, seq: int = 7, *, lives: timedelta = timedelta(minutes=15)
) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        issued_at=NOON,
        expires_at=NOON + lives,
        power_kw=power_kw,
        serves="plan-1",
    )


@dataclass
class Clock:
    """What the link takes for now."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Bench:
    """A link, the device that has connected to it, and what came inward."""

    link: S2Link
    url: str
    manager: Manager
    clock: Clock
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    answers: list[AckMessage] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                found = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append(found)
            async with self.came:
                self.came.notify_all()

    async def next_telemetry(self) -> TelemetryMessage:
        seen = len(self.telemetry)
        async with self.came:
            await self.came.wait_for(lambda: len(self.telemetry) > seen)
        return self.telemetry[seen]

    async def answer(self, number: int = 0) -> AckMessage:
        async with self.came:
            await self.came.wait_for(lambda: len(self.answers) > number)
        return self.answers[number]

    async def instructions(self, count: int) -> list[dict[str, Any]]:
        """Until so many were heard, those for later among them."""

        def found() -> list[dict[str, Any]]:
            return self.manager.of("FRBC.Instruction") + self.manager.of("PEBC.Instruction")

        await self.manager.until(lambda: len(found()) >= count)
        return found()

    async def selections(self, *wanted: str) -> None:
        await self.manager.until(
            lambda: [m["control_type"] for m in self.manager.of("SelectControlType")] == [*wanted]
        )


FRBC, PEBC, NONE = Control.FRBC.value, Control.PEBC.value, Control.NONE.value


@asynccontextmanager
async def bench(
    device: S2Device | None = None,
    manager: Manager | None = None,
    *,
    selected: bool = True,
    answer_s: float = 5.0,
) -> AsyncIterator[Bench]:
    device = device or an_s2_device()
    clock = Clock()
    async with s2_served(device, now=clock, answer_s=answer_s) as (link, url):
        made = manager or Manager(
            tells=BATTERY if device.control is Control.FRBC else ROOF, control=device.control.value
        )
        found = Bench(link, url, made, clock)
        reading = asyncio.create_task(found.read())
        await made.connect(f"{url}bess", TOKEN)
        try:
            if selected:
                await found.selections(device.control.value)
            yield found
        finally:
            await made.vanish()
            reading.cancel()
