"""What regulation and reserve remember: how signals were followed, and what deliveries came to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from vpp.account.following import Following
from vpp.account.regulation import Sample
from vpp.model.ids import ProductId

MOST_SAMPLES = 90_000
"""A day at one a second and some more: what the longest block that is still to be settled needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveResult:
    """What was awarded of one bid for one delivery, and what it came to."""

    product: str
    start: str
    """Of the delivery, as text."""
    revision: int = 1
    """Higher where the award was corrected after it was settled."""
    quantity_mw: Decimal
    price: Decimal
    """In the product's own unit."""
    judged: Decimal
    """Availability or performance as it was measured: it stays where the award is corrected."""
    amount: Decimal
    words: str


@dataclass(slots=True, kw_only=True)
class Run:
    """A signal from its first instruction until it pauses; the newest of each product is kept."""

    since: datetime
    until: datetime
    """Of the newest activation."""
    following: Following
    told_until: datetime | None = None
    """Set-points up to then were handed to `following`."""


@dataclass(slots=True, kw_only=True)
class ReserveDesk:
    """Results are filled from the journal, and samples of quarter-hours that were over."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    kept_until: datetime | None = None
    """Samples before this are on record."""
    base: tuple[datetime, float | None] | None = None
    """What was owed beside signals in the newest quarter-hour in which one ran, and when that began."""
    runs: dict[ProductId, Run] = field(default_factory=dict)
    """How signals are followed now, and were when they ran last; begins again with the process."""

    settled: dict[str, ReserveResult] = field(default_factory=dict)
    """By bid and delivery."""

    told: dict[str, str] = field(default_factory=dict)
    """Why something is not settled, as it was said last."""
