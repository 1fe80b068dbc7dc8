"""Bids out, awards in: each is on disk before anyone hears of it.

    request ─▶ known? same bytes again
       │ new
       ▼
    offer from the newest plan ─▶ pre-submit limits ─▶ journal ─▶ book ─▶ answer
                                                        ▲ a kill here loses nothing: the same request
                                                          finds the record and gets these bytes
    award ─▶ fits the book? ─▶ journal ─▶ book (position) ─▶ acknowledge

This is the only module through which a bid can leave.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np

from vpp.errors import RejectedError, UnavailableError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidSet, MarketProduct
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service import feedwatch, tradelog
from vpp.service.events import Severity
from vpp.service.inputs import trading_unit
from vpp.service.plant import MadeOffer, Plant
from vpp.trade.awards import AlreadyBooked, Book, Conflict, Quarantine
from vpp.trade.calendar import Refusal, TradeRefusal, deliveries_from, require_open
from vpp.trade.limits import check_bid_set
from vpp.trade.offering import offer_for
from vpp.trade.reasons import reasons_for
from vpp.trade.records import (
    award_from_wire,
    award_to_record,
    bid_set_to_bytes,
    bid_set_to_record,
    cut_at_revision,
    to_bytes,
    with_reasons,
)
from vpp.wire import AwardRequest, AwardResponse, BidRequest

OVERDUE = QUARTER
"""So long after its successor was due, a plan may still be bid from."""


async def answer_bid_request(
    plant: Plant, product_id: str, request: BidRequest, *, digest: str, now: datetime
) -> bytes:
    """The bids for one delivery, as the bytes of a `BidSetResponse`.

    `digest` is that of the request: the same `request_id` gives the same bytes, with another
    request it is refused.

    Raises:
        TradeRefusal: No bid can be made; its code says why.
        ConflictError: The request id is taken by another request.
        UnavailableError: The journal cannot be written, so nothing may leave.
    """
    product = product_of(plant, product_id)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        known = plant.book.by_request(request.request_id, request_digest=digest)
        if known is not None:
            return known.response
        unit = _unit(plant, request.unit)
        delivery = Interval(
            request.delivery.start.astimezone(UTC), request.delivery.end.astimezone(UTC)
        )
        if not request.dry_run and (reason := plant.file.not_biddable(product.product_id)):
            raise _not_biddable(product.product_id, reason)
        _require_ready(plant, product)
        require_open(product, delivery, now)
        _require_prices(plant, product, delivery, now)
        schedule = _fresh_schedule(plant, product, now)
        revision = plant.book.revision_for(product.product_id, unit.unit_id, delivery)
        made = _made_offer(plant, product, unit, delivery, schedule)
        bid_set = _bid_set(plant, product, unit, delivery, made, request.request_id, revision, now)
        if request.dry_run:
            return bid_set_to_bytes(bid_set, "dry_run", made.json)
        response = bid_set_to_bytes(bid_set, "open", made.json)
        plant.reach("bid made")
        entry = bid_set_to_record(response, digest, made.reasons_key)
        why = (tradelog.REASONS, made.reasons_key, made.reasons)
        await tradelog.append(
            plant, tradelog.BID_SET, bid_set.bid_set_id, entry, now=now,
            before=[] if made.reasoned else [why],
        )  # fmt: skip
        made.reasoned = True
        plant.reach("bid journalled")
        plant.book.add(bid_set, response, digest)
    plant.metrics.bid_set()
    plant.events.emit(
        "bid",
        f"{len(bid_set.bids)} bids for {product_id}",
        at=now,
        bid_set_id=bid_set.bid_set_id,
        bids=len(bid_set.bids),
        delivery_start=delivery.start.isoformat(),
    )
    plant.reach("bid booked")
    return response


async def withdraw(plant: Plant, product_id: str, bid_set_id: str, *, now: datetime) -> bytes:
    """Take a bid set back before its gate; again changes nothing.

    Raises:
        TradeRefusal: Unknown, or too late.
        ConflictError: It was superseded or awarded.
        UnavailableError: The journal cannot be written.
    """
    product_of(plant, product_id)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        answer = plant.book.answer(bid_set_id)
        if answer.bid_set.product_id != product_id:
            raise _unknown_bid_set(bid_set_id)
        if plant.book.may_withdraw(bid_set_id, now):
            await tradelog.append(plant, tradelog.WITHDRAWAL, bid_set_id, b"{}", now=now)
            plant.book.withdraw(bid_set_id, now)
    plant.events.emit("withdrawal", f"{bid_set_id} is withdrawn", at=now, bid_set_id=bid_set_id)
    return show_bid_set(plant, product_id, bid_set_id)


def show_bid_set(plant: Plant, product_id: str, bid_set_id: str) -> bytes:
    """A bid set as it stands and why, as the bytes of a `ShownBidSet`.

    Raises:
        TradeRefusal: Unknown product or bid set.
    """
    product_of(plant, product_id)
    answer = plant.book.answer(bid_set_id)
    if answer.bid_set.product_id != product_id:
        raise _unknown_bid_set(bid_set_id)
    shown = bid_set_to_bytes(answer.bid_set, plant.book.status(bid_set_id).value)
    return with_reasons(shown, tradelog.reasons_of(plant, bid_set_id))


async def book_award(
    plant: Plant, product_id: str, request: AwardRequest, *, now: datetime
) -> AwardResponse:
    """Book what a venue cleared; acknowledged when it is on disk, counted once.

    Raises:
        TradeRefusal: Unknown product.
        DataError: The award is not well formed.
        ConflictError: The same id and revision came with other numbers.
        UnavailableError: The journal cannot be written; the venue must send it again.
    """
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
    plant.metrics.award(status)
    plant.reach("award booked")
    return AwardResponse.model_validate(
        {"award_id": award.award_id, "revision": award.revision, "status": status}
    )


async def ask_about_doubts(plant: Plant, now: datetime) -> None:
    """Ask the market about bid sets whose outcome we do not know; nothing is bid before it is done.

    After a restart that is every open one (the answer may never have left), later only those whose
    gate has passed without an award. What the market does not know before the gate, it may still
    ask for again; only after the gate its word is the last one.
    """
    doubts = plant.book.in_doubt(now)
    if not plant.reconciled:
        doubts += plant.book.open_sets(now)
    for bid_set in doubts:
        if bid_set.bid_set_id in plant.settled_doubts or plant.venue is None:
            continue
        try:
            status = await plant.venue.bid_set_status(bid_set.bid_set_id)
        except (UnavailableError, RejectedError) as error:
            if not plant.venue_silent:  # the change of state, not the state
                plant.events.emit("venue", str(error), at=now, severity=Severity.WARNING)
            plant.venue_silent = True
            return
        plant.venue_silent = False
        if status == "unknown" and bid_set.valid_until <= now:
            plant.settled_doubts.add(bid_set.bid_set_id)
            plant.events.emit(
                "bid_in_doubt",
                f"the market never had {bid_set.bid_set_id}: nothing is owed of it",
                at=now,
                severity=Severity.WARNING,
                bid_set_id=bid_set.bid_set_id,
            )
    plant.reconciled = True


def closed_between(product: MarketProduct, after: datetime, until: datetime) -> list[Interval]:
    """Deliveries whose gate closed in (after, until]."""
    closed = []
    for delivery in deliveries_from(product, after):
        if product.gate_closes_at(delivery) > until:
            break
        if product.gate_closes_at(delivery) > after:
            closed.append(delivery)
    return closed


def product_of(plant: Plant, product_id: str) -> MarketProduct:
    """The product of that id.

    Raises:
        TradeRefusal: This park does not trade it.
    """
    product = plant.products.get(ProductId(product_id))
    if product is None and any(pack.product_id == product_id for pack in plant.file.packs):
        raise _not_biddable(product_id, str(plant.file.not_biddable(product_id)))
    if product is None:
        raise TradeRefusal(
            "this park does not trade it",
            code=Refusal.UNKNOWN_PRODUCT,
            where=f"product {product_id}",
            fix=f"Use one of {sorted(plant.products)}",
        )
    return product


def _not_biddable(product_id: str, reason: str) -> TradeRefusal:
    return TradeRefusal(
        reason,
        code=Refusal.NOT_BIDDABLE,
        where=f"product {product_id}",
        fix="See docs/markets.md: what is bid today, how a rule is cleared or waived",
    )


def _unit(plant: Plant, unit_id: str | None) -> BiddingUnit:
    unit = trading_unit(plant)
    if unit_id not in (None, unit.unit_id):
        raise TradeRefusal(
            "this park has no such unit",
            code=Refusal.UNKNOWN_UNIT,
            where=f"unit {unit_id}",
            fix=f"Use {unit.unit_id}, or leave it out",
        )
    return unit


def _unknown_bid_set(bid_set_id: str) -> TradeRefusal:
    return TradeRefusal(
        "it belongs to another product",
        code=Refusal.UNKNOWN_BID_SET,
        where=f"bid set {bid_set_id}",
        fix="Ask under the product it was made for",
    )


def _require_ready(plant: Plant, product: MarketProduct) -> None:
    where = f"product {product.product_id}"
    if plant.kill.killed:
        raise TradeRefusal(
            f"the kill switch is set: {plant.kill.reason}",
            code=Refusal.KILLED,
            where=where,
            fix="Have an operator release it",
        )
    if not plant.reconciled:
        raise TradeRefusal(
            "bids of the last run are still in doubt",
            code=Refusal.NO_NEW_BIDS,
            where=where,
            fix="Let the market answer what became of them",
        )


def most_plan_age(plant: Plant) -> timedelta:
    """A plan older than this may not be bid from."""
    return plant.file.planning.every + OVERDUE


def _require_prices(
    plant: Plant, product: MarketProduct, delivery: Interval, now: datetime
) -> None:
    """Refuse where the price of some interval is neither published nor forecast."""
    missing = feedwatch.unpublished(plant, delivery, now)
    if missing is None or plant.outcome is None:  # nothing was tried yet: there is no plan
        return
    series_id, oldest = feedwatch.price_id(plant), now - most_plan_age(plant)
    forecast = any(f.series_id == series_id and f.issued_at >= oldest for f in plant.forecasts)
    why = feedwatch.prices_missing(plant, now) if forecast else "it was not forecast"
    if why is not None:
        raise TradeRefusal(
            f"{series_id} of {isoformat(missing)} is not published, and {why}",
            code=Refusal.PRICES_MISSING,
            where=f"product {product.product_id}",
            fix="Put prices into the series, or look at the feed they come from",
        )


def _fresh_schedule(plant: Plant, product: MarketProduct, now: datetime) -> Schedule:
    schedule, where = plant.schedule, f"product {product.product_id}"
    if schedule is None:
        raise TradeRefusal(
            "there is no plan yet",
            code=Refusal.NO_PLAN,
            where=where,
            fix="Ask again after the next planning cycle",
        )
    if now - schedule.issued_at > most_plan_age(plant):
        raise TradeRefusal(
            f"the newest plan is of {schedule.issued_at}",
            code=Refusal.PLAN_STALE,
            where=where,
            fix="Find out why planning fails; see /readyz",
        )
    return schedule


def _bid_set(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    made: MadeOffer,
    request_id: str,
    revision: int,
    now: datetime,
) -> BidSet:
    """A bid set that passed every pre-submit limit."""
    bid_set = BidSet(
        bid_set_id=f"{product.product_id}.{unit.unit_id}.{delivery.start:%Y%m%dT%H%MZ}.{revision}",
        request_id=request_id,
        product_id=product.product_id,
        unit_id=unit.unit_id,
        delivery=delivery,
        revision=revision,
        issued_at=now,
        valid_until=product.gate_closes_at(delivery),
        plan_id=made.schedule.plan_id,
        strategy_version=plant.strategy_version,
        pack_digest=product.pack_digest,
        bids=tuple(
            Bid(
                bid_id=f"{stem}/{revision}",
                interval=bid.interval,
                side=bid.side,
                offer=bid.offer,
            )
            for bid, stem in zip(made.bids, made.stems, strict=True)
        ),
    )
    if made.checked:
        return bid_set
    if breaches := check_bid_set(bid_set, product, unit, plant.file.park):
        plant.events.emit("limits_breached", "; ".join(breaches), at=now, severity=Severity.ALARM)
        raise TradeRefusal(
            "; ".join(breaches),
            code=Refusal.LIMITS_BREACHED,
            where=f"product {product.product_id}",
            fix="Report this: the offer and its limits disagree",
        )
    made.checked = True
    return bid_set


def _made_offer(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
) -> MadeOffer:
    """The offer for a delivery: it does not change while plan and position stand, only its ids do."""
    position, binding = (
        plant.book.position(unit.unit_id),
        plant.file.binding(product.product_id),
    )
    made = plant.offers.get((product.product_id, delivery))
    if made is None or made.schedule is not schedule or made.position is not position:
        bids = offer_for(
            product,
            unit,
            delivery,
            schedule,
            position,
            plant.file.park,
            binding,
            revision=0,
        )
        reasons = to_bytes(
            reasons_for(
                product, unit, delivery, bids, schedule, position, plant.file.park, binding,
                _expected_prices(plant, schedule),
            )
        )  # fmt: skip
        stems = tuple(bid.bid_id.rsplit("/", 1)[0] for bid in bids)
        made = MadeOffer(
            schedule=schedule,
            position=position,
            bids=bids,
            stems=stems,
            json=cut_at_revision(bids),
            reasons=reasons,
            reasons_key=hashlib.sha256(reasons).hexdigest(),
        )
        plant.offers[product.product_id, delivery] = made
    return made


def _expected_prices(plant: Plant, schedule: Schedule) -> Floats:
    """Per kWh, shape (T,) on the plan's horizon; NaN where the view of that plan is gone."""
    view = None if plant.made_from is None else plant.made_from[0]
    if view is None or view.horizon != schedule.horizon:
        return np.full(schedule.horizon.steps, np.nan)
    return view.spot_per_kwh.values


def forget_offers(plant: Plant, now: datetime) -> None:
    """Drop offers of deliveries whose time has passed."""
    plant.offers = {key: made for key, made in plant.offers.items() if key[1].end > now}
