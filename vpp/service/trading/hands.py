"""What people said about the bids of a delivery: written by hand, or locked. On record first, read at every bid.

    by hand    its bids leave in place of the plan's, past the same limits, until the person gives it back
    locked     what stands in the market stays: no newer revision leaves, and none is withdrawn

How a person says it is in `byhand.py`; whether bids leave is asked in `trading.py` and by nominations.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec

from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Bid, BidSet, MarketProduct
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, isoformat, parse_utc
from vpp.ports import JournalEntry
from vpp.service.plant import Plant
from vpp.service.trading.desk import BidLock, HandBids
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.deliverable import lacking
from vpp.trade.presubmit import Offered, offered_of
from vpp.trade.records import bid_from_wire, bid_to_wire
from vpp.wire import WireBid

HAND, HAND_END, LOCK = "bid_by_hand", "bid_by_hand_end", "bid_lock"
"""Kinds of journal entries; all under `product/beginning of the delivery/number`."""

Key = tuple[ProductId, Interval]


class _Hand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str
    end: str
    bids: msgspec.Raw
    based_on: str | None
    by: str
    reason: str


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    reason: str


class _Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    end: str
    locked: bool
    by: str
    reason: str


def standing(plant: Plant, product_id: ProductId, delivery: Interval) -> HandBids | None:
    """What a person wants offered for a delivery; None where the plan's own is."""
    hand = plant.trade.by_hand.get((product_id, delivery))
    return None if hand is None or hand.ended_by is not None else hand


def lock_of(plant: Plant, product_id: ProductId, delivery: Interval) -> BidLock | None:
    """The lock that holds on a delivery; None where none does."""
    lock = plant.trade.locks.get((product_id, delivery))
    return lock if lock is not None and lock.locked else None


def require_unlocked(plant: Plant, product_id: ProductId, delivery: Interval) -> None:
    """Refuse what would change the bids of a delivery that a person locked.

    Raises:
        TradeRefusal: `locked`.
    """
    lock = lock_of(plant, product_id, delivery)
    if lock is not None:
        raise TradeRefusal(
            f"{lock.by} locked it at {isoformat(lock.at)}: {lock.reason}",
            code=Refusal.LOCKED,
            where=f"{product_id} of {isoformat(delivery.start)}",
            fix="Let go of the lock first: POST …/locks",
        )


def require_deliverable(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    hand: HandBids,
    own: tuple[Bid, ...],
    schedule: Schedule,
) -> None:
    """Refuse what a person wrote where the unit cannot do it by this plan; `own` is what the plan would offer.

    Raises:
        TradeRefusal: `limits_breached`.
    """
    position = plant.book.position(unit.unit_id)
    short = lacking(
        product,
        unit,
        hand.delivery,
        hand.bids,
        own,
        schedule,
        position,
        plant.file.park,
        plant.products,
    )
    if short:
        more = f"; and {len(short) - 5} more" if len(short) > 5 else ""
        raise TradeRefusal(
            f"{'; '.join(map(str, short[:5]))}{more}, by {schedule.plan_id}",
            code=Refusal.LIMITS_BREACHED,
            where=f"what {hand.by} wrote for {product.product_id}",
            fix="Offer less, or give the delivery back to the plan",
        )


def offered_by(hand: HandBids, plant: Plant) -> Offered:
    """What it comes to, as the limits count it."""
    return offered_of(as_set(hand, plant), plant.products.get(hand.product_id))


def as_set(hand: HandBids, plant: Plant) -> BidSet:
    """Its bids as a set of revision 0, to be looked at; none such is ever booked."""
    product, plan = plant.products[hand.product_id], plant.schedule
    return BidSet(
        bid_set_id=f"{hand.product_id}.{hand.unit_id}.{hand.delivery.start:%Y%m%dT%H%MZ}.0",
        request_id="by-hand",
        product_id=hand.product_id,
        unit_id=hand.unit_id,
        delivery=hand.delivery,
        revision=0,
        issued_at=hand.at,
        valid_until=product.gate_closes_at(hand.delivery),
        plan_id="" if plan is None else plan.plan_id,
        # Not the live one: a version that was taken since has planned nothing of it.
        strategy_version=plant.strategy_version if plan is None else plan.strategy_version,
        pack_digest=product.pack_digest,
        bids=hand.bids,
    )


def given_as(plant: Plant, hand: HandBids) -> str | None:
    """The newest bid set of its delivery, where that offers what the person wrote; else None: it waits."""
    newest = plant.book.newest_of(hand.product_id, hand.unit_id, hand.delivery)
    if newest is None:
        return None
    return newest.bid_set_id if _content(newest.bids) == _content(hand.bids) else None


def _content(bids: tuple[Bid, ...]) -> list[tuple[object, ...]]:
    return sorted((bid.interval.start, bid.side.value, repr(bid.offer)) for bid in bids)


def forget(plant: Plant, now: datetime) -> None:
    """Drop what was said of deliveries whose time has passed; the record keeps it."""
    desk = plant.trade
    desk.by_hand = {key: hand for key, hand in desk.by_hand.items() if key[1].end > now}
    desk.locks = {key: lock for key, lock in desk.locks.items() if key[1].end > now}


# ---------------------------------------------------------------- the record


def key_of(product_id: ProductId, delivery: Interval, number: int) -> str:
    """Under which the journal holds what was said."""
    return f"{product_id}/{isoformat(delivery.start)}/{number}"


def hand_to_record(hand: HandBids) -> bytes:
    """The body of its entry: every bid as the market gets it."""
    bids = msgspec.Raw(
        b"[" + b",".join(bid_to_wire(bid).model_dump_json().encode() for bid in hand.bids) + b"]"
    )
    return msgspec.json.encode(
        _Hand(
            unit=hand.unit_id,
            end=isoformat(hand.delivery.end),
            bids=bids,
            based_on=hand.based_on,
            by=hand.by,
            reason=hand.reason,
        )
    )


def end_to_record(by: str, reason: str) -> bytes:
    """The body of the entry that gives a delivery back to the plan."""
    return msgspec.json.encode(_End(by=by, reason=reason))


def lock_to_record(lock: BidLock) -> bytes:
    """The body of its entry."""
    end = isoformat(lock.delivery.end)
    return msgspec.json.encode(_Lock(end=end, locked=lock.locked, by=lock.by, reason=lock.reason))


def replay(plant: Plant, entry: JournalEntry) -> None:
    """Take up what was said, in the order in which it was; the newest of a delivery holds."""
    desk, where = plant.trade, f"journal, {entry.key}"
    name, start_text, number_text = entry.key.split("/")
    product_id, number = ProductId(name), int(number_text)
    start = parse_utc(start_text, where=where)
    desk.hands = max(desk.hands, number)
    if entry.kind == HAND_END:
        ended = msgspec.json.decode(entry.body, type=_End)
        for key, hand in desk.by_hand.items():
            if hand.number == number:
                desk.by_hand[key] = replace(hand, ended_by=ended.by, ended_because=ended.reason)
    elif entry.kind == LOCK:
        said = msgspec.json.decode(entry.body, type=_Lock)
        delivery = Interval(start, parse_utc(said.end, where=where))
        desk.locks[product_id, delivery] = BidLock(
            number=number,
            product_id=product_id,
            delivery=delivery,
            locked=said.locked,
            by=said.by,
            reason=said.reason,
            at=entry.recorded_at,
        )
    else:
        told = msgspec.json.decode(entry.body, type=_Hand)
        delivery = Interval(start, parse_utc(told.end, where=where))
        bids = [WireBid.model_validate_json(bytes(one)) for one in _each(told.bids)]
        desk.by_hand[product_id, delivery] = HandBids(
            number=number,
            product_id=product_id,
            unit_id=UnitId(told.unit),
            delivery=delivery,
            bids=tuple(bid_from_wire(bid) for bid in bids),
            based_on=told.based_on,
            by=told.by,
            reason=told.reason,
            at=entry.recorded_at,
        )


def _each(bids: msgspec.Raw) -> list[msgspec.Raw]:
    return msgspec.json.decode(bytes(bids), type=list[msgspec.Raw])
