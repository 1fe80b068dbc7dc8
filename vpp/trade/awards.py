"""What a venue's award is to us: new, known, in conflict with what is booked, or not ours.

An award is checked against the bids it answers. Nothing here changes a book; `book.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid, Cleared, Side


class QuarantineReason(StrEnum):
    UNKNOWN_BID_SET = "unknown_bid_set"
    UNKNOWN_BID = "unknown_bid"
    WRONG_PRODUCT = "wrong_product"
    WRONG_INTERVAL = "wrong_interval"
    NOT_OPEN = "not_open"
    """The bid set was withdrawn, or a newer revision has taken its place."""
    ABOVE_BID = "above_bid"
    PRICE_WORSE_THAN_LIMIT = "price_worse_than_limit"
    CLEARED_AND_REJECTED = "cleared_and_rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The award fits and is new."""

    replaces: int | None
    """The revision whose numbers it takes the place of; the position moves by the difference."""

    late: bool
    """True where a higher revision is booked already: kept for the record, moves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyBooked:
    """This award was booked with these very numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """This award id and revision were booked with other numbers."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """New, and does not fit our bids: to be booked as owed all the same, and alarmed."""

    reason: QuarantineReason
    what: str


AwardCheck: TypeAlias = Book | AlreadyBooked | Conflict | Quarantine


def read_bid_id(bid_id: str) -> tuple[ProductId, UnitId, Side] | None:
    """Product, unit and side as our ids spell them (`vpp/model/market.py`)."""
    try:
        product, unit, _, side, _ = bid_id.split("/")
        return ProductId(product), UnitId(unit), Side(side)
    except ValueError:
        return None


def overreach(bid: Bid, taken: Sequence[Cleared]) -> QuarantineReason | None:
    """Whether more was taken of `bid` than it offers, at all or at these prices.

    What was paid no better than some price may not exceed what the curve offers at that price.
    """
    sign = bid.side.sign
    total = sum((line.quantity_mw for line in taken), Decimal(0))
    if total > bid.offer.quantity_mw:
        return QuarantineReason.ABOVE_BID
    for price in {line.price_per_mwh for line in taken}:
        offered = sum(
            (s.quantity_mw for s in bid.offer.steps if s.price_per_mwh * sign <= price * sign),
            Decimal(0),
        )
        at_price = sum(
            (line.quantity_mw for line in taken if line.price_per_mwh * sign <= price * sign),
            Decimal(0),
        )
        if at_price > offered:
            return QuarantineReason.PRICE_WORSE_THAN_LIMIT
    return None
