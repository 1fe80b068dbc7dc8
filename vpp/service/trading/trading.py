"""Bids out: each is on disk before anyone hears of it.

    request ─▶ known? same bytes again
       │ new
       ▼
    offer from the newest plan ─▶ pre-submit limits ─▶ journal ─▶ book ─▶ answer, or a refusal in the shadow
                                                        ▲ a kill here loses nothing: the same request
                                                          finds the record and gets these bytes

This is the only module through which a bid can leave. What comes back is in `awarding.py`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np

from vpp.errors import ConflictError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidSet, MarketProduct
from vpp.model.park import BiddingUnit
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service.calls import activations
from vpp.service.feeds import watch as feedwatch
from vpp.service.inputs import trading_unit
from vpp.service.plant import MadeOffer, Plant
from vpp.service.strategies import selling
from vpp.service.trading import golive, hands, presubmit
from vpp.service.trading import log as tradelog
from vpp.service.venues.state import desk_of
from vpp.trade.calendar import Refusal, TradeRefusal, deliveries_from, require_open
from vpp.trade.offering import offer_for
from vpp.trade.reasons import reasons_for
from vpp.trade.records import (
    bid_set_to_bytes,
    bid_set_to_record,
    cut_at_revision,
    to_bytes,
    with_reasons,
)
from vpp.wire import BidRequest

OVERDUE = QUARTER
"""So long after its successor was due, a plan may still be bid from."""


async def answer_bid_request(
    plant: Plant, product_id: str, request: BidRequest, *, digest: str, now: datetime
) -> bytes:
    """The bids for one delivery, as the bytes of a `BidSetResponse`.

    `digest` is that of the request: the same `request_id` gives the same bytes, with another
    request it is refused.

    The kill switch is looked at again where bids leave: neither a retry nor a bid under way gets past it.
    What is made and does not leave stays in the book; asked again after a release, it gives its bytes.

    Raises:
        TradeRefusal: No bid can be made, or none may leave; its code says why.
        ConflictError: The request id is taken by another request.
        UnavailableError: The journal cannot be written, so nothing may leave.
    """
    product = product_of(plant, product_id)
    _count_arrival(plant, product, request, now)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        known = plant.book.by_request(request.request_id, request_digest=digest)
        if known is not None:
            _require_out_of_the_shadow(plant, product, known.bid_set, shadow=known.shadow)
            _require_not_killed(plant, product)
            plant.book.sent(known.bid_set.bid_set_id)
            return known.response
        unit, delivery, schedule = askable(plant, product, request, now)
        revision = plant.book.revision_for(product.product_id, unit.unit_id, delivery)
        made = _made_offer(plant, product, unit, delivery, schedule)
        bid_set = _bid_set(product, unit, delivery, made, request.request_id, revision, now)
        if request.dry_run:
            presubmit.require_rules(plant, bid_set, product, unit, made, now, counts=False)
            return bid_set_to_bytes(bid_set, "dry_run", made.json)
        shadow = golive.tell_shadow(plant, product, now) is not None
        leaves = not shadow and plant.file.trading.mode == "live"
        beside = await presubmit.check(plant, bid_set, product, unit, made, now, leaves=leaves)
        response = bid_set_to_bytes(bid_set, "shadow" if shadow else "open", made.json)
        plant.reach("bid made")
        entry = bid_set_to_record(response, digest, made.reasons_key)
        if not made.reasoned:
            beside.append((tradelog.REASONS, made.reasons_key, made.reasons))
        await tradelog.append(
            plant, tradelog.BID_SET, bid_set.bid_set_id, entry, now=now, before=beside
        )
        made.reasoned = True
        plant.reach("bid journalled")
        plant.book.add(bid_set, response, digest, shadow=shadow)
    plant.metrics.bid_set()
    plant.events.emit(
        "bid",
        f"{len(bid_set.bids)} bids for {product_id}{' in the shadow' if shadow else ''}",
        at=now,
        bid_set_id=bid_set.bid_set_id,
        bids=len(bid_set.bids),
        delivery_start=delivery.start.isoformat(),
        shadow=shadow,
    )
    plant.reach("bid booked")
    _require_out_of_the_shadow(plant, product, bid_set, shadow=shadow)
    _require_not_killed(plant, product)  # it may have come while the bids were written
    plant.book.sent(bid_set.bid_set_id)
    return response


def _count_arrival(
    plant: Plant, product: MarketProduct, request: BidRequest, now: datetime
) -> None:
    """Count a request for new bids when it comes, before it waits its turn: a flood is stopped at the door.

    What is known or asked dry is no new bid. Nor is what cannot be bid for, or not yet: it is refused here
    and counts for nothing, so that neither nonsense nor patience stops a market.

    Raises:
        TradeRefusal: `rate_exceeded`, or as `askable`.
    """
    may_be_known = plant.unsure or plant.book.by_request(request.request_id) is not None
    if not request.dry_run and not may_be_known:
        askable(plant, product, request, now)
        presubmit.require_rate(plant, product, now)


def askable(
    plant: Plant, product: MarketProduct, request: BidRequest, now: datetime
) -> tuple[BiddingUnit, Interval, Schedule]:
    """For whom, for when and from what plan bids can be made now; refused where they cannot.

    Raises:
        TradeRefusal: By what is asked, or by what is missing here; its code says which.
    """
    unit, delivery = _unit(plant, product, request.unit), _delivery(request)
    if not request.dry_run and (reason := plant.file.not_biddable(product.product_id)):
        raise _not_biddable(product.product_id, reason)
    if not request.dry_run:
        hands.require_unlocked(plant, product.product_id, delivery)
    require_ready(plant, product)
    require_open(product, delivery, now)
    _require_length(product, delivery, request)
    _require_prices(plant, product, delivery, now)
    schedule = _fresh_schedule(plant, product, now)
    activations.require_planned(plant, product.product_id, delivery)
    return unit, delivery, schedule


def _delivery(request: BidRequest) -> Interval:
    return Interval(request.delivery.start.astimezone(UTC), request.delivery.end.astimezone(UTC))


def _require_out_of_the_shadow(
    plant: Plant, product: MarketProduct, bid_set: BidSet, *, shadow: bool
) -> None:
    """A venue gets a refusal for bids in the shadow: nobody can take those for valid by mistake."""
    if shadow:
        reason = golive.shadow_reason(plant, product) or "these were made before it was taken live"
        raise TradeRefusal(
            f"the bids stay in the shadow: {reason}",
            code=Refusal.SHADOW,
            where=f"bid set {bid_set.bid_set_id}",
            fix="Look at them under GET …/bids; see docs/operations.md for going live",
        )


async def withdraw(plant: Plant, product_id: str, bid_set_id: str, *, now: datetime) -> bytes:
    """Take a bid set back before its gate; again changes nothing.

    Raises:
        TradeRefusal: Unknown, too late, or locked.
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
            hands.require_unlocked(plant, answer.bid_set.product_id, answer.bid_set.delivery)
            _require_not_sent(plant, product_id, bid_set_id)
            await tradelog.append(plant, tradelog.WITHDRAWAL, bid_set_id, b"{}", now=now)
            plant.book.withdraw(bid_set_id, now)
    plant.events.emit("withdrawal", f"{bid_set_id} is withdrawn", at=now, bid_set_id=bid_set_id)
    return show_bid_set(plant, product_id, bid_set_id)


def _require_not_sent(plant: Plant, product_id: str, bid_set_id: str) -> None:
    """What left for a venue cannot be taken back here: no mapping says how."""
    desk = desk_of(plant.venues, product_id)
    if desk is not None and desk.sends and bid_set_id in desk.sendings:
        raise ConflictError(
            f"it was sent to venue {desk.name}",
            where=f"bid set {bid_set_id}",
            fix="Ask for bids again: a newer revision takes its place; or withdraw it at the venue",
        )


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


def _unit(plant: Plant, product: MarketProduct, unit_id: str | None) -> BiddingUnit:
    unit = trading_unit(plant)
    if product.product_id not in unit.product_ids:
        raise TradeRefusal(
            f"unit {unit.unit_id} is not registered for it",
            code=Refusal.UNKNOWN_UNIT,
            where=f"product {product.product_id}",
            fix=f"Use one of {sorted(unit.product_ids)}, or register the unit in the park file",
        )
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


def _require_not_killed(plant: Plant, product: MarketProduct) -> None:
    unit = trading_unit(plant)
    owners = dict.fromkeys(
        resource.enterprise_id
        for resource in plant.file.park.resources
        if resource.resource_id in unit.resource_ids
    )
    if (stopped := plant.kill.stops_bids(product.product_id, owners)) is not None:
        scope, reason = stopped
        raise TradeRefusal(
            f"the kill switch is set for {scope}: {reason}",
            code=Refusal.KILLED,
            where=f"product {product.product_id}",
            fix="Have two operators release it",
        )


def require_ready(plant: Plant, product: MarketProduct) -> None:
    """Refuse while the kill switch is set, or bids of the last run are in doubt.

    Raises:
        TradeRefusal: `killed` or `no_new_bids`.
    """
    _require_not_killed(plant, product)
    if not plant.reconciled:
        raise TradeRefusal(
            "bids of the last run are still in doubt",
            code=Refusal.NO_NEW_BIDS,
            where=f"product {product.product_id}",
            fix="Let the market answer what became of them",
        )
    desk = desk_of(plant.venues, product.product_id)
    if desk is not None and desk.no_new_bids is not None:
        raise TradeRefusal(
            desk.no_new_bids,
            code=Refusal.NO_NEW_BIDS,
            where=f"product {product.product_id}",
            fix="Look at GET /v1/venues, and release the venue when its answer is understood",
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


def _require_length(product: MarketProduct, delivery: Interval, request: BidRequest) -> None:
    """Prices that the asker expects are one for each interval, or none at all."""
    prices = request.prices_per_mwh
    if prices is not None and len(prices) != (count := len(product.intervals(delivery))):
        raise TradeRefusal(
            f"{len(prices)} prices for {count} intervals",
            code=Refusal.WRONG_LENGTH,
            where="prices_per_mwh",
            fix="Give one for each interval of the delivery, or leave them out",
        )


def _bid_set(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    made: MadeOffer,
    request_id: str,
    revision: int,
    now: datetime,
) -> BidSet:
    """The bids of an offer under the ids of this request."""
    return BidSet(
        bid_set_id=f"{product.product_id}.{unit.unit_id}.{delivery.start:%Y%m%dT%H%MZ}.{revision}",
        request_id=request_id,
        product_id=product.product_id,
        unit_id=unit.unit_id,
        delivery=delivery,
        revision=revision,
        issued_at=now,
        valid_until=product.gate_closes_at(delivery),
        plan_id=made.schedule.plan_id,
        strategy_version=made.schedule.strategy_version,
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


def _made_offer(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
) -> MadeOffer:
    """The offer for a delivery: while plan, position and what a person wrote stand, only its ids change.

    Raises:
        TradeRefusal: `limits_breached`: what a person wrote cannot be delivered by this plan.
    """
    position, binding = (
        plant.book.position(unit.unit_id),
        plant.file.binding(product.product_id),
    )
    hand = hands.standing(plant, product.product_id, delivery)
    made = plant.offers.get((product.product_id, delivery))
    same = made is not None and made.schedule is schedule and made.position is position
    if made is None or not same or made.hand is not hand:
        bids = plan_offer(plant, product, unit, delivery, schedule)
        if hand is not None:
            hands.require_deliverable(plant, product, unit, hand, bids, schedule)
            bids = hand.bids
        told = reasons_for(
            product, unit, delivery, bids, schedule, position, plant.file.park, binding,
            _expected_prices(plant, schedule),
        )  # fmt: skip
        if hand is not None:
            told = told.model_copy(update={"note": f"{hand.by} wrote them: {hand.reason}"})
        reasons = to_bytes(told)
        stems = tuple(bid.bid_id.rsplit("/", 1)[0] for bid in bids)
        made = MadeOffer(
            schedule=schedule,
            position=position,
            bids=bids,
            stems=stems,
            json=cut_at_revision(bids),
            reasons=reasons,
            reasons_key=hashlib.sha256(reasons).hexdigest(),
            hand=hand,
        )
        plant.offers[product.product_id, delivery] = made
    return made


def plan_offer(
    plant: Plant,
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
) -> tuple[Bid, ...]:
    """What the plan itself would offer for a delivery, of revision 0. Raises as `offer_for`.

    Reserve and regulation on the terms of the strategies that sell them (`selling.py`).
    """
    allowed, sellers, seen = selling.allowed(plant.strategies, product, unit, delivery, schedule)
    return offer_for(
        allowed,
        sellers,
        delivery,
        seen,
        plant.book.position(unit.unit_id),
        plant.file.park,
        plant.file.binding(product.product_id),
        plant.products,
        revision=0,
    )


def _expected_prices(plant: Plant, schedule: Schedule) -> Floats:
    """Per kWh, shape (T,) on the plan's horizon; NaN where the view of that plan is gone."""
    view = None if plant.made_from is None else plant.made_from[0]
    if view is None or view.horizon != schedule.horizon:
        return np.full(schedule.horizon.steps, np.nan)
    return view.spot_per_kwh.values


def forget_offers(plant: Plant, now: datetime) -> None:
    """Drop offers of deliveries whose time has passed, and what bids are compared by once nothing is compared to it."""
    plant.offers = {key: made for key, made in plant.offers.items() if key[1].end > now}
    hands.forget(plant, now)
    desk = plant.trade
    oldest = now - timedelta(days=plant.file.trading.limits.novelty_days + 1)
    desk.held = {name: held for name, held in desk.held.items() if held.delivery.end > oldest}
    desk.offered = {
        name: offered
        for name, offered in desk.offered.items()
        if _delivered_after(plant, name, oldest)
    }
    desk.contents = {
        name: content
        for name, content in desk.contents.items()
        if _delivered_after(plant, name, now)
    }


def _delivered_after(plant: Plant, bid_set_id: str, moment: datetime) -> bool:
    """False too where the set never came into the book: it was asked dry, or refused."""
    bid_set = plant.book.find(bid_set_id)
    return bid_set is not None and bid_set.delivery.end > moment
