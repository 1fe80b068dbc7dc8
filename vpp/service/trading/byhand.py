"""A person writes the bids of one delivery, gives it back to the plan, or locks what stands.

    PUT ─▶ market's rules ─▶ money and exposure ─▶ can it be delivered? ─▶ journal ─▶ holds
             (`limits.py`)     (`presubmit.py`)      (`deliverable.py`)

Nothing leaves by that alone: markets ask for bids, and the next answer is made of what was written; a venue
that bids are sent to gets it at the next look. It passes the same checks again whenever it leaves, from the
plan that stands then. Surprise alone holds nothing up, for a person has looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from vpp.errors import ConflictError, DataError
from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidSet, MarketProduct, Side
from vpp.model.offer import BlockOffer
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, isoformat
from vpp.service.events import Severity
from vpp.service.plant import MadeOffer, Plant
from vpp.service.record import append
from vpp.service.trading import hands, presubmit, trading
from vpp.service.trading.desk import BidLock, HandBids
from vpp.service.trading.facts import facts_of
from vpp.trade.calendar import Refusal, TradeRefusal, require_open
from vpp.trade.offerforms import offer_from_wire
from vpp.trade.presubmit import Severity as Grade
from vpp.trade.presubmit import judge, offered_of, slots_of
from vpp.wire import BidRequest
from vpp.wirehand import HandBid, HandRequest


async def write(
    plant: Plant, product_id: str, request: HandRequest, *, now: datetime
) -> tuple[HandBids, list[str]]:
    """Check what a person wrote and let it hold; with it everything that is odd and refuses nothing.

    A dry run is checked alike and kept nowhere (number 0).

    Raises:
        TradeRefusal: `locked`, `limits_breached` with every rule that it breaks, or as for a bid.
        ConflictError: Another bid set was given out since the one that it is based on.
        DataError: An offer breaks a rule of its form, or the product is bid for by invitation.
        UnavailableError: The journal cannot be written: it does not hold.
    """
    product = trading.product_of(plant, product_id)
    if product.by_invitation:
        raise DataError(
            "it is bid for where somebody invites",
            where=f"product {product_id}",
            fix="Alter the reply: PUT …/invitations/{invitation_id}/reply",
        )
    async with plant.trading:
        unit, delivery, schedule = trading.askable(plant, product, _asked(request), now)
        hands.require_unlocked(plant, product.product_id, delivery)
        _require_newest(plant, product.product_id, unit, delivery, request.based_on)
        hand = HandBids(
            number=0 if request.dry_run else plant.trade.hands + 1,
            product_id=product.product_id,
            unit_id=unit.unit_id,
            delivery=delivery,
            bids=_bids(product, unit, request.bids),
            based_on=request.based_on,
            by=request.by,
            reason=request.reason,
            at=now,
        )
        warnings = _check(plant, product, unit, schedule, hand, now)
        if request.dry_run:
            return hand, warnings
        plant.trade.hands = hand.number  # taken before the disk is: two at once are two
        key = hands.key_of(product.product_id, delivery, hand.number)
        await append(plant, hands.HAND, key, hands.hand_to_record(hand), now=now)
        plant.trade.by_hand[product.product_id, delivery] = hand
    told = f"{hand.by} writes {len(hand.bids)} bids of {product_id} for {isoformat(delivery.start)}"
    _tell(plant, f"{told}: {hand.reason}", product.product_id, delivery, now)
    return hand, warnings


async def end(
    plant: Plant, product_id: str, delivery: Interval, *, by: str, reason: str, now: datetime
) -> HandBids:
    """Give a delivery back to the plan; again changes nothing.

    Raises:
        DataError: Nobody wrote bids for it.
        UnavailableError: The journal cannot be written: they hold on.
    """
    product = trading.product_of(plant, product_id)
    async with plant.trading:
        hand = plant.trade.by_hand.get((product.product_id, delivery))
        if hand is None:
            raise DataError(
                f"nobody wrote bids for {isoformat(delivery.start)}",
                where=f"product {product_id}",
                fix="Look at GET …/by-hand",
            )
        if hand.ended_by is not None:
            return hand
        key = hands.key_of(product.product_id, delivery, hand.number)
        await append(plant, hands.HAND_END, key, hands.end_to_record(by, reason), now=now)
        hand = replace(hand, ended_by=by, ended_because=reason)
        plant.trade.by_hand[product.product_id, delivery] = hand
    told = f"{by} gives the bids of {product_id} for {isoformat(delivery.start)} back to the plan"
    _tell(plant, f"{told}: {reason}", product.product_id, delivery, now)
    return hand


async def lock(
    plant: Plant,
    product_id: str,
    delivery: Interval,
    *,
    locked: bool,
    by: str,
    reason: str,
    now: datetime,
) -> BidLock:
    """Let nothing newer leave for a delivery, or let go of that; acknowledged when it is on disk.

    Raises:
        TradeRefusal: No such product or delivery, or its gate has closed.
        UnavailableError: The journal cannot be written: nothing changes.
    """
    product = trading.product_of(plant, product_id)
    if product.by_invitation:
        _require_invited(plant, product, delivery)
    elif locked:
        _require_ahead(product, delivery, now)
    async with plant.trading:
        made = BidLock(
            number=plant.trade.hands + 1,
            product_id=product.product_id,
            delivery=delivery,
            locked=locked,
            by=by,
            reason=reason,
            at=now,
        )
        plant.trade.hands = made.number
        key = hands.key_of(product.product_id, delivery, made.number)
        await append(plant, hands.LOCK, key, hands.lock_to_record(made), now=now)
        plant.trade.locks[product.product_id, delivery] = made
    verb = "locks" if locked else "unlocks"
    told = f"{by} {verb} the bids of {product_id} for {isoformat(delivery.start)}: {reason}"
    _tell(plant, told, product.product_id, delivery, now)
    return made


# ---------------------------------------------------------------- inside


def _asked(request: HandRequest) -> BidRequest:
    """The request for bids that this one takes the place of; nothing of it leaves."""
    return BidRequest(
        request_id="by-hand", delivery=request.delivery, unit=request.unit, dry_run=True
    )


def _require_newest(
    plant: Plant,
    product_id: ProductId,
    unit: BiddingUnit,
    delivery: Interval,
    based_on: str | None,
) -> None:
    newest = plant.book.newest_of(product_id, unit.unit_id, delivery)
    known = None if newest is None else newest.bid_set_id
    if known != based_on:
        raise ConflictError(
            f"the newest bid set is {known}, not {based_on}",
            where=f"{product_id} of {isoformat(delivery.start)}",
            fix="Look at what stands now, and write it again",
        )


def _require_ahead(product: MarketProduct, delivery: Interval, now: datetime) -> None:
    """A delivery of the product whose gate has not closed; it need not be open yet."""
    try:
        require_open(product, delivery, now)
    except TradeRefusal as refusal:
        if refusal.code != Refusal.GATE_NOT_OPEN:
            raise


def _require_invited(plant: Plant, product: MarketProduct, delivery: Interval) -> None:
    windows = [s.invitation.window for s in plant.dr.book.stories(product.product_id)]
    if delivery not in windows:
        raise DataError(
            f"nobody invited for {isoformat(delivery.start)} to {isoformat(delivery.end)}",
            where=f"product {product.product_id}",
            fix="Look at GET …/invitations",
        )


def _bids(product: MarketProduct, unit: BiddingUnit, written: Sequence[HandBid]) -> tuple[Bid, ...]:
    """The bids in order, of revision 0; what a block hangs on is named as the planner names it."""
    bids = []
    for one in written:
        interval = Interval(one.start.astimezone(UTC), one.end.astimezone(UTC))
        stem = f"{product.product_id}/{unit.unit_id}/{interval.start:%Y%m%dT%H%MZ}/{one.side}"
        offer = offer_from_wire(one.offer)
        if isinstance(offer, BlockOffer) and offer.linked_to is not None:
            offer = replace(offer, linked_to=f"{offer.linked_to.rpartition('/')[0]}/0")
        bids.append(Bid(bid_id=f"{stem}/0", interval=interval, side=Side(one.side), offer=offer))
    return tuple(sorted(bids, key=lambda bid: (bid.interval.start, bid.side)))


def _check(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    schedule: Schedule,
    hand: HandBids,
    now: datetime,
) -> list[str]:
    """Refuse what breaks a rule; what is odd is returned."""
    bid_set = replace(hands.as_set(hand, plant), issued_at=now)
    made = MadeOffer(
        schedule=schedule,
        position=plant.book.position(unit.unit_id),
        bids=hand.bids,
        stems=(),
        json=(),
        reasons=b"",
        reasons_key="",
        hand=hand,
    )
    presubmit.require_rules(plant, bid_set, product, unit, made, now, counts=False)
    own = trading.plan_offer(plant, product, unit, hand.delivery, schedule)
    hands.require_deliverable(plant, product, unit, hand, own, schedule)
    limits = plant.file.trading.limits.noun()
    facts = replace(facts_of(plant, bid_set, product, unit, made, now), twin=None)
    breaches = judge(offered_of(bid_set, product), limits, facts)
    if hard := [breach for breach in breaches if breach.severity is Grade.HARD]:
        raise TradeRefusal(
            "; ".join(map(str, hard)),
            code=Refusal.LIMITS_BREACHED,
            where=f"what {hand.by} wrote for {product.product_id}",
            fix="Offer less; the limits are in `trading.limits` of the park file",
        )
    return [*map(str, breaches), *_uncovered(bid_set, own)]


def _uncovered(bid_set: BidSet, own: Sequence[Bid]) -> list[str]:
    """Intervals and sides in which the plan would offer, and the person does not."""
    offered = {(span, bid.side) for bid in bid_set.bids for span, mw in slots_of(bid) if mw}
    left = sorted(
        {
            (span.start, bid.side.value)
            for bid in own
            for span, mw in slots_of(bid)
            if mw and (span, bid.side) not in offered
        }
    )
    if not left:
        return []
    first = ", ".join(f"{isoformat(start)} {side}" for start, side in left[:3])
    return [f"uncovered: the plan would offer in {len(left)} places where these do not: {first}"]


def _tell(
    plant: Plant, text: str, product_id: ProductId, delivery: Interval, now: datetime
) -> None:
    plant.events.emit(
        "bid_by_hand",
        text,
        at=now,
        severity=Severity.WARNING,
        product=product_id,
        delivery_start=isoformat(delivery.start),
    )
