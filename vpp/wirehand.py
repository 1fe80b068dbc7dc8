"""Messages of the HTTP contract about bids that a person writes or locks.

Quantities are MW and prices per MWh as strings, times ISO 8601 with a zone. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from vpp.wire import Id, LongId, Span, WireBid, WireModel, WireOffer


class HandBid(WireModel):
    """One bid as a person writes it; its id follows from what it is for."""

    start: datetime
    end: datetime
    side: Literal["buy", "sell"]
    offer: WireOffer


class HandRequest(WireModel):
    """What is to be offered for one delivery in place of the plan's own offer: all of its bids."""

    delivery: Span
    unit: Id | None = None
    based_on: LongId | None = None
    """The newest bid set of the delivery, as whoever writes has it before them; null where there is none.
    Refused with `conflict` where another one was given out meanwhile."""
    bids: list[HandBid] = Field(max_length=2000)
    by: str = Field(min_length=2, max_length=120)
    """Who writes it. There are no credentials yet: the record has what was said."""
    reason: str = Field(min_length=3, max_length=500)
    dry_run: bool = False
    """Check it and keep nothing."""


class HandEndRequest(WireModel):
    """Give a delivery back to the plan: the next bid set is made of that again."""

    delivery: Span
    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


class LockRequest(WireModel):
    """Let nothing newer leave for a delivery (`locked: true`), or let go of that."""

    delivery: Span
    locked: bool
    by: str = Field(min_length=2, max_length=120)
    reason: str = Field(min_length=3, max_length=500)


class HandView(WireModel):
    """Bids that a person wrote for one delivery."""

    number: int
    """0 of what was only checked."""
    unit: str
    delivery: Span
    state: Literal["waits", "given", "ended", "checked"]
    """`waits`: no bid set was made of them yet; `given`: `bid_set_id` offers just them."""
    bid_set_id: str | None
    based_on: str | None
    by: str
    reason: str
    at: datetime
    ended_by: str | None
    ended_because: str | None
    bids: list[WireBid]
    warnings: list[str]
    """What is odd about them and refuses nothing; told when they are written."""


class LockView(WireModel):
    """What was last said of a delivery's lock."""

    delivery: Span
    locked: bool
    by: str
    reason: str
    at: datetime


class HandsView(WireModel):
    """What people said about the bids of a product, of deliveries that are not over."""

    product: str
    by_hand: list[HandView]
    locks: list[LockView]
