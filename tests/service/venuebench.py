"""A venue in memory that does as it is told, and a bench whose desk trades with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tests.service.rebuilt import EVENING, PRODUCT, Bench
from vpp.errors import UnavailableError
from vpp.model.time import QUARTER, Interval
from vpp.model.venue import Submission, Taken, Unknown, VenueHealth
from vpp.ports import AwardPage, PublishedAward
from vpp.service.plant import Plant
from vpp.service.venues import desk as venuedesk
from vpp.service.venues import watch as venuewatch
from vpp.service.venues.schema import HttpVenueSection
from vpp.service.venues.state import VenueDesk
from vpp.service.wiring import desk_for
from vpp.wire import AwardRequest

SECOND = timedelta(seconds=1)
FIRST = Interval(EVENING + timedelta(minutes=30), EVENING + timedelta(minutes=45))
"""The first delivery that the unit trades; its gate closes a quarter of an hour after EVENING."""

FIRST_GATE = EVENING + QUARTER


@dataclass(kw_only=True)
class MemoryVenue:
    """A `Venue` with its own books."""

    answers: bool = True
    away: bool = False
    """Nobody is there: nothing gets through."""

    says: list[tuple[Submission, bool]] = field(default_factory=list)
    """What the next submissions are answered, and whether they are worked all the same."""

    words: list[Any] = field(default_factory=list)
    """What the next questions are answered instead of the truth; an exception is raised."""

    health_now: VenueHealth = field(default_factory=VenueHealth)
    has: dict[str, bytes] = field(default_factory=dict)
    received: list[tuple[str, bytes]] = field(default_factory=list)
    """All that came, repeated bids too."""

    asked: list[str] = field(default_factory=list)
    issued: list[tuple[datetime, PublishedAward]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    """Sequences that pages by sequence leave out."""

    lost: set[int] = field(default_factory=set)
    """Sequences that no page has."""

    page_size: int = 100
    polls: list[int] = field(default_factory=list)
    at: Callable[[], datetime] = lambda: EVENING
    preparing: Callable[[], None] = lambda: None
    """What happens while a token is waited for."""

    def health(self) -> VenueHealth:
        return self.health_now

    def confirm(self, page: AwardPage) -> None:
        pass

    async def prepare(self) -> None:
        self.preparing()

    async def submit(self, bid_set_id: str, body: bytes, *, until: datetime) -> Submission:
        assert self.at() < until
        if self.away:
            return Unknown(what="no answer")
        self.received.append((bid_set_id, body))
        outcome, works = self.says.pop(0) if self.says else (Taken(), True)
        if works:
            assert self.has.setdefault(bid_set_id, body) == body
        return outcome

    async def bid_set_status(self, bid_set_id: str) -> str:
        if self.away:
            raise UnavailableError("no answer", where="venue", fix="Wait")
        self.asked.append(bid_set_id)
        if self.words:
            word = self.words.pop(0)
            if isinstance(word, Exception):
                raise word
            return str(word)
        if any(p.award.bid_set_id == bid_set_id for _, p in self.issued):
            return "cleared"
        return "received" if bid_set_id in self.has else "unknown"

    async def awards(self, after: int, *, issued_in: Interval | None = None) -> AwardPage:
        if self.away:
            raise UnavailableError("no answer", where="venue", fix="Wait")
        self.polls.append(after)
        out = self.lost if issued_in is not None else self.hidden | self.lost
        fitting = [
            published
            for at, published in self.issued
            if published.sequence is not None
            and published.sequence > after
            and published.sequence not in out
            and (issued_in is None or at in issued_in)
        ]
        shown = fitting[: self.page_size]
        more = len(fitting) > len(shown)
        return AwardPage(
            awards=tuple(shown),
            next_after=shown[-1].sequence if more else None,
            last_sequence=len(self.issued),
        )

    def issue(self, award: AwardRequest, product_id: str = PRODUCT) -> None:
        number = len(self.issued) + 1
        self.issued.append(
            (self.at(), PublishedAward(sequence=number, product_id=product_id, award=award))
        )


@dataclass(kw_only=True)
class Floor:
    """A bench, its venue and its desk, on a clock that is set by hand."""

    bench: Bench
    venue: MemoryVenue

    @property
    def plant(self) -> Plant:
        return self.bench.plant

    @property
    def desk(self) -> VenueDesk:
        return self.plant.venues[0]

    def at(self, moment: datetime) -> None:
        """It is `moment`, and the plan is as new as it should be."""
        self.bench.clock.at = moment
        plan = self.bench.schedule
        self.plant.schedule = replace(plan, issued_at=max(plan.issued_at, moment - QUARTER))

    def look(self, *moments: datetime) -> None:
        """What the loops do at each moment."""

        async def looking() -> None:
            for moment in moments or (self.bench.clock.at,):
                self.at(moment)
                await venuewatch.watch(self.plant, moment)
                await venuedesk.look(self.plant, self.desk, moment)

        asyncio.run(looking())

    def ticks(self, until: datetime, step: timedelta = 5 * SECOND) -> None:
        """All looks from now on, the one at `until` too."""
        moments, at = [], self.bench.clock.at
        while at <= until:
            moments.append(at)
            at += step
        self.look(*moments)

    def restart(self) -> None:
        self.bench.build()
        self.at(self.bench.clock.at)

    def told(self, kind: str) -> list[str]:
        return [event.text for event in self.plant.events.recent() if event.kind == kind]

    def journalled(self, kind: str) -> list[tuple[str, Any]]:
        entries = self.plant.journal.entries(kind)
        return [(entry.key, msgspec.json.decode(entry.body)) for entry in entries]


def section(**more: Any) -> HttpVenueSection:
    said = {"id": "exchange", "kind": "http", "url": "http://127.0.0.1:1", "products": [PRODUCT]}
    return HttpVenueSection.model_validate(said | more)


def floor_of(make: Callable[..., Bench], venue: MemoryVenue | None = None, **more: Any) -> Floor:
    """A floor at EVENING; `make` is `rebuilt.bench_of(plant, folder)`, `more` goes into the section."""
    there = MemoryVenue() if venue is None else venue
    bench = make(venues=lambda: (desk_for(section(**more), there),))
    there.at = bench.clock.now
    floor = Floor(bench=bench, venue=there)
    floor.at(EVENING)
    return floor
