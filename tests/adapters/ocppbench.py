"""A central system and simulated charging stations on one clock that a test moves by hand."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
from aiohttp import web

from adapters.memory_journal import MemoryJournal
from adapters.ocpp_link import OcppLink
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.charging import (
    CarParkSpec,
    CentralSpec,
    StationKind,
    StationShown,
    StationSpec,
    Wish,
)
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.ports import JournalEntry
from vpp.service.http import reserved_port
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.service.ocpp.ledger import JournalLedger
from vpp.simulate.charger import ChargerSpec, Dialect
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint
from vpp.wire import AckMessage, TelemetryMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
CARS = ResourceId("cars")
KIND = StationKind(
    name="test",
    points=1,
    max_kw=20.0,
    min_kw=4.0,
    phases=3,
    voltage_v=230.0,
    unit="W",
    safe_kw=None,
)
SPEC = CentralSpec(sample_s=10, settle_s=10, read_back_s=30, answer_s=5.0)
QUICK = LineTiming(first_delay_s=0.001, longest_delay_s=0.01, answer_s=5.0)


def a_park(*names: str, kind: StationKind = KIND, **changed: Any) -> CarParkSpec:
    """A car park of stations of one kind; without names: the one station cp-1."""
    stations = [
        StationSpec(station_id=name, kind=kind, password=lambda: "secret")
        for name in names or ("cp-1",)
    ]
    park = CarParkSpec(
        resource_id=CARS,
        enterprise_id="mill",
        site_id="gate",
        stations=tuple(stations),
        zone=ZoneInfo("Asia/Shanghai"),
        wish=Wish(wanted_kwh=20.0, stay=timedelta(hours=4)),
        read_only=False,
    )
    return replace(park, **changed)


class HandClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


class Full(MemoryJournal):
    """A journal without room, until there is."""

    full = True

    async def append(self, kind: str, key: str, body: bytes, *, now: datetime) -> JournalEntry:
        if self.full:
            raise UnavailableError("no room", where="journal", fix="Make room")
        return await super().append(kind, key, body, now=now)


@dataclass(eq=False)
class Bench:
    """One central system; stations are switched on by `station`."""

    clock: HandClock
    journal: MemoryJournal
    parks: tuple[CarParkSpec, ...]
    spec: CentralSpec
    link: OcppLink
    url: str
    session: aiohttp.ClientSession
    stack: AsyncExitStack
    points: dict[str, ChargePoint] = field(default_factory=dict)
    told: list[TelemetryMessage] = field(default_factory=list)
    acks: list[AckMessage] = field(default_factory=list)

    async def station(
        self,
        name: str = "cp-1",
        *,
        dialect: Dialect = Dialect.V16,
        password: str | None = "secret",
        default_kw: float = 4.0,
    ) -> ChargePoint:
        """Switch a station on and wait until it is let in, or turned away."""
        point = ChargePoint(
            ChargerSpec(
                charger_id=name, dialect=dialect, max_kw=20.0, default_kw=default_kw, least_kw=4.0
            ),
            f"{self.url}/ocpp",
            self.session,
            now=self.clock.now,
            chance=Random(name),
            password=password,
            timing=QUICK,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(point.run(stop))

        async def off() -> None:
            stop.set()
            await running

        self.stack.push_async_callback(off)
        self.points[name] = point
        await until(lambda: point.standing is not None or point.line.turned_away is not None)
        await self.settled()
        return point

    async def raw(
        self, name: str = "cp-1", *, protocol: str = "ocpp1.6"
    ) -> aiohttp.ClientWebSocketResponse:
        """A connection of a station that says what the test says, and nothing else."""
        proof = b64encode(f"{name}:secret".encode()).decode()
        return await self.session.ws_connect(
            f"{self.url}/ocpp/{name}",
            protocols=(protocol,),
            headers={"Authorization": f"Basic {proof}"},
        )

    async def pass_s(self, seconds: float, *, step_s: float = 10.0) -> None:
        """Let time pass, step by step; stations tell their meters, and we tell inward."""
        ends = self.clock.at + timedelta(seconds=seconds)
        while self.clock.at < ends:
            self.clock.at = min(self.clock.at + timedelta(seconds=step_s), ends)
            for point in self.points.values():
                point.tick(self.clock.at)
            await self.settled()
            self.link.look(report=True)
            await self.settled()

    async def settled(self) -> None:
        """Wait until nobody has anything to say, on either side."""
        for point in self.points.values():
            if point.line.connected.is_set() and point.line.admitted:
                await point.line.settled()
        await self.link.settled()
        await asyncio.sleep(0)  # what was told inward is read

    async def asks(self, power_kw: float, *, seq: int = 1, for_s: float = 300.0) -> AckMessage:
        """Send a set-point; what is answered to it."""
        unsent = await self.link.send([self.a_setpoint(power_kw, seq=seq, for_s=for_s)])
        assert unsent == ()
        await until(lambda: any(ack.seq == seq for ack in self.acks))
        await self.settled()
        return next(ack for ack in self.acks if ack.seq == seq)

    def a_setpoint(self, power_kw: float, *, seq: int = 1, for_s: float = 300.0) -> Setpoint:
        return Setpoint(
            command_id=f"c-{seq}",
            seq=seq,
            resource_id=CARS,
            enterprise_id=EnterpriseId("mill"),
            issued_at=self.clock.at,
            expires_at=self.clock.at + timedelta(seconds=for_s),
            power_kw=power_kw,
            serves="plan-1",
        )

    def shown(self, name: str = "cp-1") -> StationShown:
        """How a station stands."""
        return next(one for one in self.link.shown() if one.station_id == name)

    def kinds(self) -> list[str]:
        """What was noticed, by kind."""
        return [notice.kind for notice in self.link.notices]

    def draw_kw(self) -> float:
        """What all cars are allowed or take now, whatever the meters told."""
        return sum(
            point.charger.draw_kw(number)
            for point in self.points.values()
            for number in point.charger.connectors
        )


@asynccontextmanager
async def a_bench(
    *parks: CarParkSpec, spec: CentralSpec = SPEC, journal: MemoryJournal | None = None
) -> AsyncIterator[Bench]:
    """A central system that listens; nothing happens by itself but what is said."""
    clock, kept = HandClock(), journal or MemoryJournal()
    parks = parks or (a_park(),)
    link = OcppLink(spec, parks, now=clock.now, ledger=JournalLedger(kept, clock))
    with reserved_port() as port:
        face = OuterFace(
            name="ocpp",
            listen=ListenSection(port=port, requests_per_minute=100_000),
            routes=(web.get("/ocpp/{station}", link.connect),),
        )
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(serve_face(face, folder=Path()))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            bench = Bench(clock, kept, parks, spec, link, url, session, stack)
            reading = asyncio.create_task(_read(bench))
            stack.callback(reading.cancel)
            yield bench


async def _read(bench: Bench) -> None:
    async for message in bench.link.messages():
        if message.topic.endswith("/ack"):
            bench.acks.append(msgspec.json.decode(message.payload, type=AckMessage))
        else:
            bench.told.append(msgspec.json.decode(message.payload, type=TelemetryMessage))


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def run(check: Coroutine[Any, Any, None]) -> None:
    """Run a check; nothing here takes longer than a few seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await check

    asyncio.run(bounded())
