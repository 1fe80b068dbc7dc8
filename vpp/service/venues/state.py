"""What a plant keeps of its venues between one look and the next; most of it is taken from the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vpp.model.ids import ProductId
from vpp.model.time import Interval
from vpp.ports import Venue
from vpp.service.venues.schema import AnyVenue


class SendState(StrEnum):
    """Where a bid set stands between us and its venue."""

    LEFT = "left"
    """It was on its way when we ended, or is so now: nobody knows."""
    TAKEN = "taken"
    DECLINED = "declined"
    CONFLICT = "conflict"
    """The venue holds other bytes under this id: a person must look."""
    LATER = "later"
    """Surely not taken; it is sent again."""
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    ABSENT = "absent"
    """The venue was asked, and does not have it; it is sent again while its gate is open."""


IN_DOUBT = frozenset({SendState.LEFT, SendState.UNKNOWN, SendState.FOREIGN})
"""The venue may have it: it is asked before anything else."""


@dataclass(slots=True, kw_only=True)
class Sending:
    """A bid set on its way to a venue."""

    attempts: int = 0
    """Intents on record; none is ever sent without one."""

    state: SendState = SendState.LATER
    what: str = ""
    failures: int = 0
    """In a row."""

    not_before: datetime | None = None
    """When it is sent, or asked about, again."""

    left: bool = False
    """It was in doubt when the service began: nothing new is bid before it is settled."""

    told: bool = False
    """A person was told that nobody can say what became of it."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """Bids that could not be made yet."""

    code: str
    what: str
    failures: int
    not_before: datetime
    plan_id: str | None
    """Of the plan that they would have been made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Nothing new is bid into a venue until a person has looked."""

    reason: str
    at: datetime
    digest: str
    """Of the answer that caused it."""


@dataclass(slots=True, kw_only=True)
class AwardList:
    """How far the list of a venue's awards was read."""

    cursor: int
    """All awards up to this sequence are booked, or given up."""

    seen: set[int] = field(default_factory=set)
    """Sequences above the cursor that are booked."""

    last: int | None = None
    """The newest sequence that the venue told of."""

    digests: dict[int | str, str] = field(default_factory=dict)
    """Of awards that were booked lately, by sequence or by id and revision: what comes again unchanged."""

    gap: int | None = None
    """The first missing sequence at the last look; None where none was missing."""

    gap_told: int | None = None
    early_due: datetime | None = None
    """When a gap that was told is looked for by time of issue too; None where there is none."""

    by_time_after: int | None = None
    """Where the list by time of issue goes on, which had more pages than one look fetches; None: at its beginning."""

    due: datetime | None = None
    reconcile_due: datetime | None = None
    """None: at once."""

    @property
    def missing(self) -> int:
        """How many awards below the newest are not here."""
        return 0 if self.last is None else max(0, self.last - self.cursor - len(self.seen))


@dataclass(kw_only=True)
class VenueDesk:
    """One venue, and how it stands."""

    section: AnyVenue
    port: Venue
    list: AwardList
    sendings: dict[str, Sending] = field(default_factory=dict)
    """By bid set."""

    attempts: dict[tuple[ProductId, Interval], Attempt] = field(default_factory=dict)
    latch: Latch | None = None
    latched_for: set[str] = field(default_factory=set)
    """All reasons that were told since it is latched."""
    reconciled: bool = False
    """Whether what was in doubt when the service began is settled."""

    ill: str | None = None
    """Why it gave no answer the last time; None where it did."""

    failures: int = 0
    ask_not_before: datetime | None = None
    at_risk: dict[tuple[ProductId, Interval], str] = field(default_factory=dict)
    """Gates of which a person was told, and why."""

    certificate_told: int | None = None
    """The least number of days of which it was told that the certificate has them left."""

    clock_told: bool = False
    token_told: str | None = None
    foreign: set[str] = field(default_factory=set)
    """Digests of entries of its list that are on record as no awards."""

    @property
    def name(self) -> str:
        return self.section.id

    @property
    def sends(self) -> bool:
        """Whether we send bids to it; else it asks."""
        return self.section.bids == "sent"

    @property
    def no_new_bids(self) -> str | None:
        """Why nothing new may be bid into it; None where it may."""
        if self.latch is not None:
            return f"venue {self.name} is latched: {self.latch.reason}"
        if not self.reconciled:
            return f"venue {self.name} has not said yet what became of bids of the last run"
        return None

    def in_doubt(self, bid_set_id: str) -> bool:
        """Whether nobody here can say if the venue has it."""
        sending = self.sendings.get(bid_set_id)
        return sending is not None and sending.state in IN_DOUBT


def desk_of(venues: Sequence[VenueDesk], product_id: str) -> VenueDesk | None:
    """The venue that a product is traded at; None where no section of the park file names it."""
    return next((v for v in venues if product_id in v.section.products), None)
