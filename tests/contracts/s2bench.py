"""A device behind S2 for the contract of links: a battery of 10 kW that connects to us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from aiohttp import web

from adapters.s2_device import S2Device
from adapters.s2_link import S2Link
from adapters.s2_session import SessionTiming
from adapters.s2_wire import Control
from tests.adapters.managers import BATTERY, ROOF, Manager
from tests.contracts.linkbench import BESS, NOON, PUMP, Bench, dead_gateway
from vpp.model.command import Setpoint
from vpp.service.http import reserved_port
from vpp.service.links.channels import Channels, Link
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection

TOKEN = "of-the-battery"


def an_s2_device(control: Control = Control.FRBC) -> S2Device:
    """Writable; limits of its envelopes mean exactly the power."""
    return S2Device(
        device_id=BESS,
        enterprise_id="steel",
        site_id="mill",
        control=control,
        limits="power",
        read_only=False,
    )


@asynccontextmanager
async def s2_served(
    *devices: S2Device, now: Callable[[], datetime] = lambda: NOON, answer_s: float = 5.0
) -> AsyncIterator[tuple[S2Link, str]]:
    """A link that is served, and where a device connects: the address without its own name."""
    with reserved_port() as port:
        link = S2Link(
            f"127.0.0.1:{port}",
            devices,
            token_of=lambda device: TOKEN if device == BESS else f"of-{device}",
            now=now,
            jitter=Random(1),
            timing=SessionTiming(answer_s=answer_s),
        )
        face = OuterFace(
            name="s2",
            listen=ListenSection(port=port),
            routes=(web.get("/s2/{device}", link.handle),),
        )
        async with serve_face(face, folder=Path()) as address, link:
            yield link, f"{address}/s2/"


@dataclass
class OverS2:
    """The other side is a resource manager that connects again when it is back."""

    link: Link | Channels
    url: str
    control: Control
    manager: Manager = field(default_factory=lambda: Manager(tells=BATTERY))
    number: int = 0

    async def says(self, power_kw: float) -> None:
        self.number += 1
        await self.manager.measures(-1000 * power_kw, at=f"2025-12-03T11:59:{self.number:02d}Z")

    async def does(self, setpoint: Setpoint) -> float:
        kind = "FRBC.Instruction" if self.control is Control.FRBC else "PEBC.Instruction"
        before = len(self.manager.of(kind))
        assert await self.link.send([setpoint]) == ()
        await self.manager.until(lambda: len(self.manager.of(kind)) > before)
        told = self.manager.of(kind)[before]
        if self.control is Control.FRBC:
            assert told["operation_mode"] == "run"
            return -(-10.0 + 20.0 * float(told["operation_mode_factor"]))
        (envelope,) = told["power_envelopes"]
        (element,) = envelope["power_envelope_elements"]
        assert element["lower_limit"] == element["upper_limit"]
        return -float(element["lower_limit"]) / 1000

    async def away(self) -> None:
        await self.manager.vanish()

    async def back(self) -> None:
        frbc = self.control is Control.FRBC
        both = ROOF | {
            "allowed_limit_ranges": [
                one | {"range_boundary": {"start_of_range": -10_000, "end_of_range": 10_000}}
                for one in ROOF["allowed_limit_ranges"]
            ]
        }
        self.manager = Manager(tells=BATTERY if frbc else both, control=self.control.value)
        await self.manager.connect(f"{self.url}bess", TOKEN)


@asynccontextmanager
async def over_s2_fill_rate(*, beside: bool = False) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(_over(Control.FRBC))
        own = bench.link
        assert not isinstance(own, Channels)
        if beside:
            dead = await stack.enter_async_context(dead_gateway())
            bench.link = Channels({"s2": own, "gateway": dead}, {BESS: "s2", PUMP: "gateway"})
        yield bench


@asynccontextmanager
async def over_s2_envelope(*, beside: bool = False) -> AsyncIterator[Bench]:
    assert not beside
    async with _over(Control.PEBC) as bench:
        yield bench


@asynccontextmanager
async def _over(control: Control) -> AsyncIterator[OverS2]:
    async with s2_served(an_s2_device(control)) as (link, url):
        bench = OverS2(link, url, control)
        await bench.back()
        try:
            yield bench
        finally:
            await bench.manager.vanish()
