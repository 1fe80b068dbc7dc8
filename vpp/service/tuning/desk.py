"""What a plant keeps of its strategies: which run, which wait, what the file says, who changed what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vpp.service.park.config import Fault
from vpp.service.strategies.strategies import Strategies, version_of
from vpp.wirestrategies import Origin, ShadowDayView, ShadowPlanView

if TYPE_CHECKING:
    from vpp.service.tuning.nofollow import Basis
    from vpp.service.tuning.previewing import Preview
    from vpp.service.tuning.trial import Trial


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
    refused_because: str | None = None
    """Why its first plan failed, while the version before it made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The file as it was last read."""

    text: str
    faults: tuple[Fault, ...] = ()

    @property
    def version(self) -> str:
        return version_of(self.text)


@dataclass(slots=True, kw_only=True)
class Shadow:
    """A candidate beside the live version, and its score."""

    number: int
    strategies: Strategies
    by: str
    reason: str
    since: datetime
    ended: bool = False
    plans: int = 0
    unsolved: int = 0
    newest: ShadowPlanView | None = None
    days: dict[date, ShadowDayView] = field(default_factory=dict)
    compared_with: str | None = None
    """The newest live plan that it made a plan beside."""

    scored_on: date | None = None
    """Local day on which the day before was scored."""


MOST_VERSIONS = 500
"""Versions that are kept at hand; who asks for an older one has it read from the journal."""


@dataclass(slots=True, kw_only=True)
class TuningDesk:
    """Of one plant; the strategies that are live are those of its park file."""

    path: Path | None
    """Where the file lies; None where it is kept in memory alone."""

    seen: Seen
    live_number: int = 0
    """0 until the first plan: then what the file said at the start is on record."""

    waiting: Strategies | None = None
    waiting_number: int | None = None
    versions: dict[int, Version] = field(default_factory=dict)
    """The newest ones, and whatever older one plans go by or may go back to; all are on the journal."""

    before: tuple[int, Strategies] | None = None
    """What was live when the record ended, where the file says something else: the first plan falls back on it."""

    trial: Trial | None = None
    """The version whose first plan is being made."""

    signature: tuple[int, ...] | None = None
    """Of the file when it was last read: it is read again only where this is another."""

    unsettled: tuple[int, ...] | None = None
    """Of a file that was changed and may be written still: read once it stays."""

    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a version is accepted or taken: one after the other."""

    basis: Basis | None = None
    """What the plan that stands was made from."""

    shadow: Shadow | None = None
    """The candidate that runs or ran last."""

    previews: dict[str, Preview] = field(default_factory=dict)
    """The newest ones, oldest first."""

    previews_made: int = 0
    previewing: asyncio.Task[None] | None = None
    """The one that runs."""

    def leave_to_the_journal(self) -> None:
        """Forget the oldest versions beyond `MOST_VERSIONS`, but none that is live, waits, or is gone back to."""
        held = {self.live_number, self.waiting_number}
        if self.before is not None:
            held.add(self.before[0])
        if self.trial is not None:
            held |= {self.trial.number, self.trial.before_number}
        for number in sorted(self.versions)[:-MOST_VERSIONS]:
            if number not in held:
                del self.versions[number]
