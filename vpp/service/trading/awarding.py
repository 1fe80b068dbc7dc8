"""Awards in: on disk before they are acknowledged; and what becomes of bids that get none.

award ─▶ fits the book? ─▶ journal ─▶ book (position) ─▶ acknowledge

gate ───── results are due ───── + trading.unanswered_after_minutes
  ask the venue what it has          given up: the headroom is free, an event says so
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from vpp.errors import RejectedError, UnavailableError
from vpp.model.ids import ProductId
from vpp.model.market import BidSet
from vpp.model.time import isoformat
from vpp.service import accounting
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading.trading import product_of
from vpp.service.venues.state import desk_of
from vpp.trade.awards import AlreadyBooked, Book, Conflict, Quarantine
from vpp.trade.book import BidSetStatus
from vpp.trade.records import award_from_wire, award_to_record
from vpp.wire import AwardRequest, AwardResponse


async def book_award(
    plant: Plant, product_id: str, request: AwardRequest, *, now: datetime
) -> AwardResponse:
    """Book what a venue cleared; acknowledged when it is on disk, counted once.

    Of a bid set that we gave out it is taken although the park file lost its product meanwhile.

    Raises:
        TradeRefusal: Unknown product.
        DataError: The award is not well formed.
        ConflictError: The same id and revision came with other numbers.
        UnavailableError: The journal cannot be written; the venue must send it again.
    """
    if not plant.book.knows(request.bid_set_id, ProductId(product_id)):
        product_of(plant, product_id)
    award = award_from_wire(request, ProductId(product_id), now)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        check = plant.book.check_award(award)
        if isinstance(check, Book | Quarantine):
            key = f"{award.award_id}/{award.revision}"
            plant.reach("award checked")
            await tradelog.append(plant, tradelog.AWARD, key, award_to_record(award), now=now)
            plant.reach("award journalled")
        check = plant.book.apply(award)
        if isinstance(check, Book | Quarantine) and award.cleared:
            accounting.reopen(plant, min(line.interval.start for line in award.cleared))
    # As the award stands, so that one that comes again gets the answer that was lost.
    status = "quarantined" if plant.book.is_quarantined(award.award_id) else "booked"
    match check:
        case Quarantine(reason=reason, what=what):
            plant.events.emit(
                "award_quarantined",
                f"award {award.award_id} does not fit our bids: {reason}: {what}",
                at=now,
                severity=Severity.ALARM,
                award_id=award.award_id,
            )
        case Book():
            plant.events.emit(
                "award",
                f"{len(award.cleared)} bids of {product_id} cleared",
                at=now,
                award_id=award.award_id,
                bid_set_id=award.bid_set_id,
                cleared=len(award.cleared),
            )
        case AlreadyBooked() | Conflict():
            pass  # nothing new; a conflict has been raised by apply
    if any(now in line.interval for line in award.cleared):  # what is owed now is another
        plant.acting.nudge.ask()
    plant.metrics.award(status)
    plant.reach("award booked")
    return AwardResponse.model_validate(
        {"award_id": award.award_id, "revision": award.revision, "status": status}
    )


async def ask_about_doubts(plant: Plant, now: datetime) -> None:
    """Ask the market about bid sets whose outcome we do not know; nothing is bid before it is done.

    Those of a venue with a desk of its own are its business (`venues/desk.py`). After a restart that is every open one (the answer may never have left), later only those whose
    gate has passed without an award. What the market does not know before the gate, it may still
    ask for again; only after the gate its word is the last one.
    """
    doubts = plant.book.in_doubt(now)
    if not plant.reconciled:
        doubts += plant.book.open_sets(now)
    for bid_set in doubts:
        if desk_of(plant.venues, bid_set.product_id) is not None:
            continue
        plant.book.doubted(bid_set.bid_set_id)
        status = "silent"
        if plant.venue is not None:
            try:
                status = await plant.venue.bid_set_status(bid_set.bid_set_id)
            except (UnavailableError, RejectedError) as error:
                if not plant.venue_silent:  # the change of state, not the state
                    plant.events.emit("venue", str(error), at=now, severity=Severity.WARNING)
                plant.venue_silent = True
                return
            plant.venue_silent = False
        await take_word(plant, bid_set, status, now)
    plant.reconciled = True


async def take_word(plant: Plant, bid_set: BidSet, status: str, now: datetime) -> None:
    """What a venue said of a bid set in doubt, or `silent` where it says nothing."""
    name = bid_set.bid_set_id
    if status in ("received", "cleared"):
        plant.book.confirmed(name)
    if status == "unknown" and bid_set.valid_until <= now:
        what = f"the market never had {name}: nothing is owed of it"
        await give_up(plant, tradelog.DISOWNED, name, what, now)
    elif unanswered_at(plant, bid_set) > now:
        return
    elif status == "cleared":  # it is owed, and nobody here knows how much
        if name not in plant.trade.missing:
            plant.trade.missing.add(name)
            what = f"the market says it cleared {name}, and its award has not come: ask for it"
            plant.events.emit(
                "award_missing", what, at=now, severity=Severity.ALARM, bid_set_id=name
            )
    else:
        what = (
            f"no award to {name} until {isoformat(unanswered_at(plant, bid_set))}:"
            " what it offered is free again"
        )
        await give_up(plant, tradelog.LAPSED, name, what, now)


async def give_up(plant: Plant, kind: str, bid_set_id: str, what: str, now: datetime) -> None:
    """On record first; where the journal is away the set stays in doubt, and the next cycle asks again."""
    with suppress(UnavailableError):  # said and counted there
        async with plant.trading:
            tradelog.settle_unsure(plant)
            if plant.book.status(bid_set_id) is not BidSetStatus.OPEN:
                return  # its award came while we asked
            await tradelog.append(plant, kind, bid_set_id, b"{}", now=now)
            tradelog.give_up(plant, kind, bid_set_id)
        plant.events.emit(
            "bid_in_doubt" if kind == tradelog.DISOWNED else "bid_unanswered",
            what,
            at=now,
            severity=Severity.WARNING,
            bid_set_id=bid_set_id,
        )


def unanswered_at(plant: Plant, bid_set: BidSet) -> datetime:
    """When a bid set without an award is given up."""
    product = plant.products.get(bid_set.product_id)  # the park file may have lost it meanwhile
    results_after = timedelta(0) if product is None else product.gate.results_after
    grace = timedelta(minutes=plant.file.trading.unanswered_after_minutes)
    if product is not None and product.by_invitation:
        # A platform confirms in its own time: what is nominated is held until the window begins.
        return max(bid_set.valid_until + grace, bid_set.delivery.start)
    return bid_set.valid_until + results_after + grace
