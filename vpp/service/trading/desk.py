"""What trading remembers beside the bid book: who took what live, what waits for a person, how often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid
from vpp.model.time import Interval
from vpp.trade.presubmit import Offered, Profile, RateMeter, RefusalTally


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAct:
    """Somebody takes a product live, or back into the shadow."""

    product_id: ProductId
    live: bool
    by: str
    reason: str
    at: datetime
    build: str
    """What was approved: version of the service, strategies, market file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBid:
    """A bid set that a person must look at before one like it may leave."""

    held_id: str
    product_id: ProductId
    unit_id: str
    delivery: Interval
    at: datetime
    why: str
    profile: Profile
    approved_by: str | None = None
    approved_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandBids:
    """What a person wants offered for one delivery, in place of what the plan would offer."""

    number: int
    product_id: ProductId
    unit_id: UnitId
    delivery: Interval
    bids: tuple[Bid, ...]
    """Of revision 0: each bid set made of them gets its own."""

    based_on: str | None
    """The bid set that the person had before them; None where there was none."""

    by: str
    reason: str
    at: datetime
    ended_by: str | None = None
    """Who gave the delivery back to the plan; None while the bids hold."""

    ended_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BidLock:
    """A person says that nothing newer leaves for one delivery, or lets go of that."""

    number: int
    product_id: ProductId
    delivery: Interval
    locked: bool
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAsked:
    """One person asked to release the kill switch; another one must agree in time."""

    by: str
    until: datetime
    mark: int
    """Of the latch that was looked at (`KillSwitch.mark_of`): a later kill is not what was agreed to."""


@dataclass(slots=True, kw_only=True)
class TradingDesk:
    """Filled from the journal by `tradelog.recover`; counters begin again with the process."""

    live: dict[ProductId, LiveAct] = field(default_factory=dict)
    """The newest act on each product."""

    held: dict[str, HeldBid] = field(default_factory=dict)
    by_hand: dict[tuple[ProductId, Interval], HandBids] = field(default_factory=dict)
    """The newest by delivery, those that ended too."""

    locks: dict[tuple[ProductId, Interval], BidLock] = field(default_factory=dict)
    """The newest word by delivery."""

    hands: int = 0
    """Edits and locks that were ever made: the number of the newest."""

    rates: dict[ProductId, RateMeter] = field(default_factory=dict)
    refusals: dict[ProductId, RefusalTally] = field(default_factory=dict)
    warned: dict[ProductId, frozenset[str]] = field(default_factory=dict)
    """Rules of which the newest bid set warned: said when they change."""

    shadowed: dict[ProductId, str] = field(default_factory=dict)
    """Why the newest bid set stayed in the shadow: said when it changes."""

    unrecorded: deque[tuple[datetime, str, bytes]] = field(default_factory=deque)
    """Latches and releases without an order, as the journal will have them (moment, key, body), oldest first."""

    missing: set[str] = field(default_factory=set)
    """Bid sets that the venue says it cleared, of which no award came in time: said once."""

    offered: dict[str, Offered] = field(default_factory=dict)
    """By bid set: what it came to, kept for comparing."""

    contents: dict[str, str] = field(default_factory=dict)
    """By bid set: a digest of what it offered, without ids."""

    references: dict[str, tuple[datetime, Decimal | None]] = field(default_factory=dict)
    """By series: in which quarter-hour it was looked up, and the median of the prices published lately."""
