"""What is remembered of reports: what is owed, the newest of each, and how each platform does."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeAlias

from vpp.model.ids import ProductId
from vpp.model.park import BiddingUnit
from vpp.model.reporting import Duty, Report, ReportHead, ReportKind
from vpp.ports import ReportPlatform
from vpp.service.markets.pack import Pack
from vpp.service.reports.schema import PlatformSection

StreamKey: TypeAlias = tuple[str, ReportKind]
"""Id of a duty, and a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One duty, and whose."""

    duty: Duty
    unit: BiddingUnit
    pack: Pack


@dataclass(slots=True, kw_only=True)
class Stream:
    """Reports of one kind of one duty."""

    made: int = 0
    missed: int = 0
    last_due: datetime | None = None
    """The newest moment that was looked at."""

    newest: Report | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A report as it is on record, on its way."""

    head: ReportHead
    body: bytes
    passed_over: int = 0
    """How often it alone was not taken: what was sent before it had been."""


@dataclass(slots=True, kw_only=True)
class PlatformDesk:
    """One platform that reports are sent to."""

    section: PlatformSection
    port: ReportPlatform
    fresh: OrderedDict[StreamKey, Parcel] = field(default_factory=OrderedDict)
    """The newest report of each stream that was not tried yet."""

    backlog: deque[Parcel] = field(default_factory=deque)
    """What did not arrive, or is to be sent again; the oldest first, at most `section.backlog`."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    faults: dict[StreamKey | None, str] = field(default_factory=dict)
    """Why it takes nothing (None), and which reports it declines and why."""

    taken: int = 0
    declined: int = 0
    not_taken: int = 0
    dropped: int = 0
    taken_until: datetime | None = None
    """The moment of the newest report that it has."""

    unsaid: dict[str, bytes] = field(default_factory=dict)
    """Answers that are not on record yet, by their keys: they go with the next report."""

    @property
    def name(self) -> str:
        return self.section.id

    @property
    def fault(self) -> str | None:
        """What is wrong, the oldest of it first; None where nothing is."""
        return next(iter(self.faults.values()), None)

    @property
    def waiting(self) -> int:
        """Reports that are still to be sent."""
        return len(self.fresh) + len(self.backlog)

    def wants(self, product_id: ProductId) -> bool:
        """Whether it gets reports of that product."""
        return self.section.products is None or product_id in self.section.products

    def put(self, key: StreamKey, parcel: Parcel) -> None:
        """Take a new report; one before it that was not tried yet is no longer news."""
        if (overtaken := self.fresh.pop(key, None)) is not None:
            self.put_back(overtaken)
        self.fresh[key] = parcel
        self.wake.set()

    def put_back(self, parcel: Parcel) -> None:
        """Keep one that did not arrive; what is too much is dropped and counted, the oldest first."""
        self.backlog.append(parcel)
        while len(self.backlog) > self.section.backlog:
            self.backlog.popleft()
            self.dropped += 1


@dataclass(slots=True, kw_only=True)
class ReportDesk:
    """All reports of one plant."""

    platforms: tuple[PlatformDesk, ...] = ()
    owed: tuple[Owed, ...] = ()
    """Found in the park file by `reporting.recover`."""

    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    baselines: dict[tuple[str, date], Mapping[datetime, float]] = field(default_factory=dict)
    """By duty and local day: kW by quarter-hour, empty where there is none."""

    baselines_at: datetime | None = None
    """Quarter-hour in which they were worked out."""

    no_baseline: dict[tuple[str, date], str] = field(default_factory=dict)
    """By duty and local day, from today on: why there was none, as it was told last."""

    def stream(self, duty: Duty, kind: ReportKind) -> Stream:
        """The reports of one kind of one duty."""
        return self.streams.setdefault((duty.duty_id, kind), Stream())

    def platform(self, name: str) -> PlatformDesk | None:
        """The platform of that name."""
        return next((desk for desk in self.platforms if desk.name == name), None)
