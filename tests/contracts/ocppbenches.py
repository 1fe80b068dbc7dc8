"""Benches for our central system of OCPP: the other side is a simulated charging station with one car.

A station only draws, so nothing above 0 comes from it or can be asked of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web

from adapters.memory_journal import MemoryJournal
from adapters.ocpp_link import OcppLink
from tests.contracts.linkbench import BESS, NOON, PUMP, Bench, dead_gateway, until
from vpp.clock import Watch
from vpp.model.charging import CarParkSpec, CentralSpec, StationKind, StationSpec, Wish
from vpp.model.command import Setpoint
from vpp.service.http import reserved_port
from vpp.service.links.channels import Channels, Link
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.service.ocpp.desk import PATH
from vpp.service.ocpp.ledger import JournalLedger
from vpp.simulate.charger import Car, ChargerSpec, Dialect, Purpose
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint

PASSWORD = "a password of a station"
CAR = Car(wanted_kwh=50.0, most_kw=11.0)
KIND = StationKind(
    name="Gives 22 kW",
    points=1,
    max_kw=22.0,
    min_kw=0.0,
    phases=3,
    voltage_v=230.0,
    unit="W",
    safe_kw=1.5,
)
SPEC = CentralSpec(report_s=0.01, read_back_s=60.0, settle_s=30.0, answer_s=5.0)


@dataclass
class Time:
    """The time, moved by hand."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class OverOcpp:
    """The central system under test, and stations that connect to it."""

    link: Link | Channels
    central: OcppLink
    url: str
    time: Time
    points: dict[str, ChargePoint] = field(default_factory=dict)

    @property
    def point(self) -> ChargePoint:
        """The station of the bench."""
        return self.points["cp-1"]

    async def says(self, power_kw: float) -> None:
        self.time.passes(0.1)  # a meter that shows the same time again is not read again
        self.point.charger.now = self.time.now()
        self.point.charger.connectors[1].draw_kw = -power_kw
        self.point.tell()

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        charger = self.point.charger
        await until(lambda: any(p.purpose is Purpose.TRANSACTION for p in charger.profiles))
        return -charger.limit_kw(1, self.time.now())

    async def away(self) -> None:
        self.point.line.cut()

    async def back(self) -> None:
        self.point.line.mend()
        await self.point.line.connected.wait()
        await self.point.line.settled()


def a_central(
    time: Watch, *, stations: Sequence[str] = ("cp-1",), spec: CentralSpec = SPEC
) -> OcppLink:
    """One car park of some stations."""
    park = CarParkSpec(
        resource_id=BESS,
        enterprise_id="steel",
        site_id="mill",
        stations=tuple(
            StationSpec(station_id=name, kind=KIND, password=lambda: PASSWORD) for name in stations
        ),
        zone=ZoneInfo("UTC"),
        wish=Wish(wanted_kwh=50.0, stay=timedelta(hours=4)),
        read_only=False,
    )
    return OcppLink(spec, [park], now=time.now, ledger=JournalLedger(MemoryJournal(), time))


@asynccontextmanager
async def listening(central: OcppLink) -> AsyncIterator[str]:
    """The listener at which stations come to `central`; where that is."""
    with reserved_port() as port:
        listen = ListenSection(host="127.0.0.1", port=port)
        face = OuterFace(name="ocpp", listen=listen, routes=(web.get(PATH, central.connect),))
        async with serve_face(face, folder=Path()) as address:
            yield address.replace("http", "ws") + "/ocpp"


def a_station(
    url: str,
    session: aiohttp.ClientSession,
    time: Time,
    *,
    name: str = "cp-1",
    dialect: Dialect = Dialect.V201,
    password: str | None = PASSWORD,
) -> ChargePoint:
    return ChargePoint(
        ChargerSpec(charger_id=name, dialect=dialect, max_kw=22.0, default_kw=4.0),
        url,
        session,
        now=time.now,
        chance=Random(name),
        password=password,
        timing=LineTiming(first_delay_s=0.001, longest_delay_s=0.02, answer_s=5.0),
    )


@asynccontextmanager
async def a_bench(
    *,
    dialect: Dialect = Dialect.V201,
    stations: Sequence[str] = ("cp-1",),
    spec: CentralSpec = SPEC,
    cars: bool = True,
) -> AsyncIterator[OverOcpp]:
    """A central system and stations that have booted; with `cars`, one at each."""
    time, stop = Time(), asyncio.Event()
    async with AsyncExitStack() as stack:
        central = a_central(time, stations=stations, spec=spec)
        url = await stack.enter_async_context(listening(central))
        await stack.enter_async_context(central)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        bench = OverOcpp(central, central, url, time)
        bench.points = {
            name: a_station(url, session, time, name=name, dialect=dialect) for name in stations
        }
        running = [asyncio.create_task(point.run(stop)) for point in bench.points.values()]
        try:
            for point in bench.points.values():
                await until(lambda: point.standing == "Accepted")  # noqa: B023
                if cars:
                    point.plug_in(car=CAR)
                await point.line.settled()
            yield bench
        finally:
            stop.set()
            await asyncio.gather(*running)


@asynccontextmanager
async def _over_ocpp(dialect: Dialect, *, beside: bool = False) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(a_bench(dialect=dialect))
        if beside:
            dead = await stack.enter_async_context(dead_gateway())
            links: dict[str, Link] = {"stations": bench.central, "gateway": dead}
            bench = replace(bench, link=Channels(links, {BESS: "stations", PUMP: "gateway"}))
        yield bench


over_ocpp16 = partial(_over_ocpp, Dialect.V16)
over_ocpp201 = partial(_over_ocpp, Dialect.V201)
