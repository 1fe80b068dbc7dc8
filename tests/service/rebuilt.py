"""A plant that can be killed and built again on its record, and what a market asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_telemetry import SqliteTelemetry
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER
from vpp.ports import Journal
from vpp.service import recovery
from vpp.service.api.markets import request_digest
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.trading import awarding, trading
from vpp.service.venues.state import VenueDesk
from vpp.service.wiring import build_plant
from vpp.wire import AwardRequest, BidRequest

EVENING = datetime(2025, 12, 2, 22, 30, tzinfo=UTC)
"""Half an hour before the demo park begins to trade."""

PRODUCT = "se3-quarter-hour"
MINUTE = timedelta(minutes=1)


class Killed(BaseException):
    """Stands for SIGKILL: no handler may catch it."""


@dataclass(kw_only=True)
class HandClock:
    """A watch that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(kw_only=True)
class Bench:
    """One journal, and the plants that were built on it one after the other."""

    file: ParkFile
    schedule: Schedule
    link: Any
    data: Path
    journal: Journal
    clock: HandClock
    historian: SqliteTelemetry | None = None
    venue: Any = None
    venues: Callable[[], tuple[VenueDesk, ...]] = tuple
    """Makes new desks for each plant: they know nothing but what the journal says."""
    die_at: str = ""
    _plant: Plant | None = field(default=None)

    @property
    def plant(self) -> Plant:
        if self._plant is None:
            self.build()
        assert self._plant is not None
        return self._plant

    def build(self) -> None:
        """What a restart does, with a plan as if the first planning cycle were over."""
        record: Callable[[Any], bool] = lambda measurement: True  # noqa: E731
        self._plant = plant = build_plant(
            self.file,
            clock=self.clock,
            data=self.data,
            journal=self.journal,
            source=self.link,
            sink=self.link,
            venue=self.venue,
            venues=self.venues(),
            executor=InlineExecutor(),
            record=record if self.historian is None else self.historian.add,
            reach=self._reach,
        )
        if self.historian is not None:
            recovery.read_back(plant, self.historian, self.clock.at)
        plant.schedule = self.schedule
        plant.reconciled = self.venue is None

    def _reach(self, point: str) -> None:
        if point == self.die_at:
            self.die_at = ""
            raise Killed(point)


def bench_of(plant: Plant, folder: Path) -> Callable[..., Bench]:
    """A bench on the demo park; `plant` of the conftest lends its link and its plan."""

    def make(journal: Journal | None = None, **more: Any) -> Bench:
        assert plant.schedule is not None
        return Bench(
            file=plant.file,
            schedule=replace(plant.schedule, issued_at=EVENING),
            link=plant.sink,
            data=folder,
            journal=MemoryJournal() if journal is None else journal,
            clock=HandClock(at=EVENING),
            **more,
        )

    return make


def a_request(request_id: str, quarter: int) -> BidRequest:
    start = EVENING + timedelta(minutes=30) + quarter * QUARTER
    span = {"start": start, "end": start + QUARTER}
    return BidRequest.model_validate({"request_id": request_id, "delivery": span})


def an_award(answer: bytes, award_id: str, revision: int, share: Decimal) -> AwardRequest:
    """The first step of each bid, or a share of it, at its own price."""
    bid_set = msgspec.json.decode(answer)
    cleared = [
        {
            "bid_id": bid["bid_id"],
            "start": bid["start"],
            "end": bid["end"],
            "quantity_mw": str(Decimal(bid["offer"]["steps"][0]["quantity_mw"]) * share),
            "price_per_mwh": bid["offer"]["steps"][0]["price_per_mwh"],
        }
        for bid in bid_set["bids"]
    ]
    return AwardRequest.model_validate(
        {
            "award_id": award_id,
            "revision": revision,
            "final": True,
            "bid_set_id": bid_set["bid_set_id"],
            "cleared": cleared,
        }
    )


async def bid(bench: Bench, request: BidRequest) -> bytes:
    digest = request_digest(request)
    return await trading.answer_bid_request(
        bench.plant, PRODUCT, request, digest=digest, now=bench.clock.at
    )


async def award(bench: Bench, request: AwardRequest) -> str:
    answer = await awarding.book_award(bench.plant, PRODUCT, request, now=bench.clock.at)
    return answer.status
