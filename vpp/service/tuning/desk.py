"""What a plant keeps of its strategies: which run, which wait, what the file says, who changed what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.service.park.config import Fault
from vpp.service.park.parkfile import ParkFile
from vpp.service.strategies.strategies import Strategies
from vpp.wirestrategies import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One strategy of a file, in words."""

    name: str
    use: str
    priority: int | None
    scope: str
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadStrategies:
    """A strategy file that was read and found right."""

    text: str
    version: str
    tree: Mapping[str, Any]
    """Its values as they stand, for whoever tells differences."""

    lines: tuple[Line, ...]
    strategies: Strategies
    file: ParkFile
    """With these strategies in place of its own."""

    def terms(self, view: PlanningView) -> tuple[Term, ...]:
        """What all of them ask of the plan of `view`."""
        return self.strategies.terms(view)


Reader = Callable[[str, str], ReadStrategies]
"""Reads a text under the name that faults show; raises `ConfigErrors` with every fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version that was accepted, and what became of it. Its text is on the journal."""

    number: int
    version: str
    origin: Origin
    by: str
    reason: str
    accepted_at: datetime
    live_from: datetime | None = None
    live_until: datetime | None = None
    first_plan_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The file as it was last read."""

    text: str
    version: str
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True, kw_only=True)
class TuningDesk:
    """Of one plant; `live` and `seen` are there from the start."""

    reader: Reader
    path: Path | None
    """Where the file lies; None where it is kept in memory alone."""

    live: ReadStrategies
    seen: Seen
    waiting: ReadStrategies | None = None
    live_number: int = 0
    """0 until the first plan: then what the file said at the start is on record."""

    waiting_number: int | None = None
    versions: dict[int, Version] = field(default_factory=dict)
    signature: tuple[int, ...] | None = None
    """Of the file when it was last read: it is read again only where this is another."""

    unsettled: tuple[int, ...] | None = None
    """Of a file that was changed and may be written still: read once it stays."""

    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a version is accepted or taken: one after the other."""
