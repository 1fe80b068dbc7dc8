"""A plant whose desk trades over HTTP with the simulated venue, on a clock that is set by hand.

    deliveries of a day ─▶ desk ─▶ HTTP ─▶ venue door ─▶ hall ─▶ ledger
                            ▲                             │
                            └──── awards, page by page ◀──┘

The plan is written by hand and always fresh: what is tried is what lies between a bid and its award.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
from yarl import URL

from adapters.http_exchange import NOTED, Answered, Exchange, HttpExchange, NoAnswer
from adapters.http_get import Reply
from adapters.http_venue import HttpVenue, HttpVenueAccess
from adapters.memory_journal import MemoryJournal
from benchmarks._park import NoLink
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ProductId, UnitId
from vpp.model.resource import FixedLoad, Storage
from vpp.model.schedule import Schedule, Size
from vpp.model.time import QUARTER, Interval
from vpp.service.events import Severity
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.venues import desk as venuedesk
from vpp.service.venues import watch as venuewatch
from vpp.service.venues.schema import HttpVenueSection
from vpp.service.venues.state import VenueDesk
from vpp.service.wiring import build_plant, desk_for
from vpp.simulate.auction import Auction
from vpp.simulate.clearinghouse import Clearinghouse
from vpp.simulate.hall import Hall
from vpp.simulate.ledger import Ledger
from vpp.simulate.prices import Prices
from vpp.simulate.spec import MarketRules
from vpp.simulate.venuedoor import Answer, Asked, HungUp, VenueDoor
from vpp.simulate.venuefaults import Fault, FaultSpec, VenueFaults
from vpp.simulate.venueserver import VenueServer

PRODUCT = "se3-quarter-hour"
FIRST = datetime(2025, 12, 2, 23, tzinfo=UTC)
"""The first delivery that the demo park's unit trades."""

OPENING = FIRST - timedelta(hours=1)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
GATE = QUARTER
"""Before its delivery each gate closes."""

RESULTS = MINUTE
"""After a gate an award is told."""

CENT = Decimal("0.01")


@dataclass(kw_only=True)
class HandClock:
    """A watch that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class WatchedDoor(VenueDoor):
    """A door of which each request may be looked at, and answered otherwise, by the script of a run."""

    before: Callable[[Asked], Answer | None] = staticmethod(lambda asked: None)
    after: Callable[[Asked, Answer], Answer] = staticmethod(lambda asked, answer: answer)

    def answer(self, asked: Asked) -> Answer:
        if (instead := self.before(asked)) is not None:
            return instead
        return self.after(asked, super().answer(asked))


class DoorExchange(HttpExchange):
    """The wire left out: a request goes to the door of a venue in this process."""

    def __init__(self, door: VenueDoor) -> None:
        super().__init__()
        self._door = door

    async def exchange(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int,
    ) -> Exchange:
        asked = Asked(method=method, path=url.path, query=dict(url.query), body=body or b"")
        answer = self._door.answer(asked)
        if isinstance(answer, HungUp):
            return NoAnswer(what="it hung up")
        if answer.after_s > timeout_s:
            return NoAnswer(what=f"no answer within {timeout_s:g} s")
        return Answered(
            reply=Reply(
                status=answer.status,
                content_type=answer.content_type,
                headers={name: answer.headers[name] for name in NOTED if name in answer.headers},
                body=answer.body,
            )
        )


@dataclass(kw_only=True)
class Stall:
    """One plant, one venue, one clock."""

    clock: HandClock
    plant: Plant
    hall: Hall
    ledger: Ledger
    faults: VenueFaults
    door: WatchedDoor
    server: VenueServer
    alarms: dict[datetime, datetime] = field(default_factory=dict)
    """When it was first told that the gate of a delivery is at risk."""
    told: int = 0

    @property
    def desk(self) -> VenueDesk:
        return self.plant.venues[0]

    async def look(self, moment: datetime) -> None:
        """What venue and desk do at one moment."""
        self.clock.at = moment
        schedule = self.plant.schedule
        assert schedule is not None
        self.plant.schedule = replace(schedule, issued_at=max(schedule.issued_at, moment - QUARTER))
        self.hall.act(moment)
        await venuewatch.watch(self.plant, moment)
        await venuedesk.look(self.plant, self.desk, moment)
        for event in self.plant.events.recent(self.told):
            self.told = event.number
            if event.kind == "gate_at_risk" and event.severity is Severity.ALARM:
                start = datetime.fromisoformat(str(event.data["delivery_start"]))
                self.alarms.setdefault(start, event.at)

    async def until(self, end: datetime, step: timedelta) -> None:
        """Look at each step from now on, the one at `end` too."""
        while self.clock.at < end:
            await self.look(min(self.clock.at + step, end))

    def ours_mwh(self) -> dict[datetime, Decimal]:
        """Net energy sold by quarter-hour as our book has it, where it is not 0."""
        schedule = self.plant.schedule
        assert schedule is not None
        position = self.plant.book.position(UnitId(self.unit))
        found = {}
        for start in schedule.horizon.starts():
            mw = position.sold_mw(ProductId(PRODUCT), Interval(start, start + QUARTER))
            if mw:
                found[start] = mw / 4
        return found

    def theirs_mwh(self) -> dict[datetime, Decimal]:
        """The same as the venue's books have it."""
        return {start: mwh for (_, start), mwh in self.ledger.position_mwh().items()}

    @property
    def unit(self) -> str:
        return self.plant.file.park.bidding_units[0].unit_id


@asynccontextmanager
async def open_stall(
    folder: Path,
    *,
    seed: int,
    quarters: int,
    rates: Mapping[Fault, float] | None = None,
    sockets: bool = True,
) -> AsyncIterator[Stall]:
    """A stall at `OPENING` whose unit trades so many quarter-hours from `FIRST` on.

    Without `sockets` the same adapter speaks to the venue's door in this process.
    """
    clock = HandClock(at=OPENING)
    file = _park()
    faults = VenueFaults(FaultSpec(rates=rates or {}, seed=seed))
    ledger = Ledger(CENT)
    hall = _hall(file, ledger, faults, seed, quarters)
    door = WatchedDoor(hall, faults, now=clock.now)
    server = VenueServer(door)
    await server.start()
    try:
        http = None if sockets else DoorExchange(door)
        access = HttpVenueAccess(url=server.url)
        async with HttpVenue(access, now=clock.now, http=http) as port:
            link = NoLink(OPENING)
            plant = build_plant(
                file,
                clock=clock,
                data=folder,
                journal=MemoryJournal(),
                source=link,
                sink=link,
                venue=None,
                venues=(desk_for(_section(server.url), port),),
                executor=InlineExecutor(),
                record=lambda measurement: True,
            )
            plant.schedule, plant.reconciled = _schedule(file, quarters), True
            yield Stall(
                clock=clock,
                plant=plant,
                hall=hall,
                ledger=ledger,
                faults=faults,
                door=door,
                server=server,
            )
    finally:
        await server.stop()


@cache
def _park() -> ParkFile:
    return load_park(shipped_park("demo"))


def _section(url: str) -> HttpVenueSection:
    said = {
        "id": "exchange",
        "kind": "http",
        "url": url,
        "products": [PRODUCT],
        "reconcile_hours": 1,
    }
    return HttpVenueSection.model_validate(said)


def _hall(file: ParkFile, ledger: Ledger, faults: VenueFaults, seed: int, quarters: int) -> Hall:
    """One product, cleared at a price of its own each quarter-hour."""
    horizon = Horizon(OPENING, QUARTER, quarters + 16)
    dice = Random(seed)
    drawn = np.array([round(dice.uniform(-20, 120), 2) for _ in range(horizon.steps)])
    rules = MarketRules(
        quarter_hour_noise_sd_per_mwh=0.0,
        quarter_hour_noise_correlation=0.0,
        imbalance_spread_per_mwh=0.0,
    )
    auction = Auction(
        product=PRODUCT,
        currency=file.park.currency,
        zone=ZoneInfo("UTC"),
        interval=QUARTER,
        units=(file.park.bidding_units[0].unit_id,),
        daily=False,
        lead=GATE,
        days_before=0,
        closes=time(),
    )
    house = Clearinghouse(Prices(Profile(horizon, drawn), rules, seed), {}, seed)
    return Hall(ledger, house, {PRODUCT: auction}, faults, results_after=lambda _: RESULTS)


def _schedule(file: ParkFile, quarters: int) -> Schedule:
    """Each fixed load draws 100 kW, all else rests."""
    park = file.park
    horizon = Horizon(OPENING, QUARTER, quarters + 6)
    power = np.zeros((len(park.resources), horizon.steps))
    for row, resource in enumerate(park.resources):
        if isinstance(resource, FixedLoad):
            power[row] = -100.0
    net = power.sum(axis=0)
    at = {
        point.connection_point_id: power[
            [r.connection_point_id == point.connection_point_id for r in park.resources]
        ].sum(axis=0)
        for point in park.connection_points
    }
    stores = [r for r in park.resources if isinstance(r, Storage)]
    return Schedule(
        plan_id="plan-1",
        issued_at=OPENING,
        horizon=horizon,
        resource_ids=tuple(r.resource_id for r in park.resources),
        power_kw=power,
        stored_kwh={r.resource_id: np.full(horizon.steps, r.capacity_kwh / 2) for r in stores},
        temperature_degc={},
        connection_point_kw=at,
        net_kw=net,
        committed_kw=np.zeros(horizon.steps),
        trade_kw={},
        stored_value_per_kwh={r.resource_id: np.full(horizon.steps, 0.05) for r in stores},
        net_value_per_kwh=np.full(horizon.steps, 0.05),
        starts={},
        unserved_kwh={},
        cost_by_cause={},
        gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0),
        build_s=0.0,
        solve_s=0.0,
        strategy_version="benchmark",
        input_digest="benchmark",
    )
