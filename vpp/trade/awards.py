"""What a venue's award is to us: new, known, in conflict with what is booked, or not ours.

An award is checked against the bids it answers. Nothing here changes a book; `book.py` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid, Cleared, Side
from vpp.model.offer import BlockOffer, SingleOffer, most_mw, offered_mw
from vpp.model.time import Interval


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
    BELOW_LEAST_SHARE = "below_least_share"
    UNEVEN_BLOCK = "uneven_block"
    """Its parts were not taken by one share."""
    TIED_BLOCK = "tied_block"
    """An exclusive group was taken more than once, or a linked block beyond the other's share."""


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
    """Whether more was taken of `bid` than it offers, at all or at these prices, or too small a share.

    What was paid no better than some price may not exceed what is offered at that price.
    """
    if isinstance(bid.offer, BlockOffer):
        return _block_overreach(bid.offer, bid.side.sign, taken)
    sign = bid.side.sign
    total = _sum(taken)
    if total > most_mw(bid.offer):
        return QuarantineReason.ABOVE_BID
    for price in {line.price_per_mwh for line in taken}:
        at_price = _sum(line for line in taken if line.price_per_mwh * sign <= price * sign)
        if at_price > offered_mw(bid.offer, price, sign):
            return QuarantineReason.PRICE_WORSE_THAN_LIMIT
    if isinstance(bid.offer, SingleOffer) and 0 < total < bid.offer.min_share * most_mw(bid.offer):
        return QuarantineReason.BELOW_LEAST_SHARE
    return None


def _block_overreach(
    offer: BlockOffer, sign: int, taken: Sequence[Cleared]
) -> QuarantineReason | None:
    """The same share of each part, and no less than the least."""
    parts = {part.interval: part.quantity_mw for part in offer.parts}
    got = {span: _sum(line for line in taken if line.interval == span) for span in parts}
    if any(got[span] > mw for span, mw in parts.items()):
        return QuarantineReason.ABOVE_BID
    if any(line.price_per_mwh * sign < offer.price_per_mwh * sign for line in taken):
        return QuarantineReason.PRICE_WORSE_THAN_LIMIT
    first = offer.parts[0]
    share = got[first.interval], first.quantity_mw
    if any(got[span] * share[1] != share[0] * mw for span, mw in parts.items()):
        return QuarantineReason.UNEVEN_BLOCK
    if 0 < share[0] < offer.min_share * share[1]:
        return QuarantineReason.BELOW_LEAST_SHARE
    return None


def tied(bids: Sequence[Bid], taken: Mapping[str, Sequence[Cleared]]) -> str | None:
    """The first block that was taken though what it is tied to forbids it; None where all fits.

    `taken` is by bid id, all awards of the set together.
    """
    shares: dict[str, Decimal] = {}
    groups: dict[str, Decimal] = {}
    blocks = {bid.bid_id: bid.offer for bid in bids if isinstance(bid.offer, BlockOffer)}
    for name, block in blocks.items():
        first = block.parts[0]
        got = _sum(line for line in taken.get(name, ()) if line.interval == first.interval)
        shares[name] = got / first.quantity_mw
    for name, block in blocks.items():
        if block.exclusive_group is not None:
            total = groups.get(block.exclusive_group, Decimal(0)) + shares[name]
            groups[block.exclusive_group] = total
            if total > 1:
                return name
        if block.linked_to is not None and shares[name] > shares.get(block.linked_to, 0):
            return name
    return None


def fits(bid: Bid, interval: Interval) -> bool:
    """Whether an award may speak of `bid` in this interval: its own, or that of a part of its block."""
    if isinstance(bid.offer, BlockOffer):
        return any(part.interval == interval for part in bid.offer.parts)
    return bid.interval == interval


def _sum(lines: Iterable[Cleared]) -> Decimal:
    return sum((line.quantity_mw for line in lines), Decimal(0))
