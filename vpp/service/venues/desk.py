"""Bids out to venues: made before each gate, sent, and never sent twice while one may be there already.

    look ─▶ settle what is in doubt ─▶ make bids whose gate is near ─▶ send ─▶ fetch awards (`awards.py`)

    trading.answer_bid_request ─▶ intent on disk ─▶ submit ─▶ outcome on disk
                                                      taken      the venue has it
                                                      declined   nothing is owed of it; a person hears of it
                                                      later      surely not there: the same bytes again
                                                      unknown    asked by id; only `unknown` lets it leave again
                                                      foreign    as unknown, and the venue is latched

Whatever bid set is open for a product of the venue is carried there, also one that a person asked for by
POST. Nothing leaves in the last seconds before a gate. Who watches the gates is in `watch.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from vpp.errors import ConflictError, UnavailableError
from vpp.model.ids import ProductId
from vpp.model.market import BidSet, MarketProduct
from vpp.model.time import Interval
from vpp.model.venue import Foreign, Later, Submission
from vpp.service.events import Severity
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant
from vpp.service.trading import awarding, golive, hands, trading
from vpp.service.trading.log import DISOWNED
from vpp.service.venues import awards as venueawards
from vpp.service.venues import log as venuelog
from vpp.service.venues.state import Attempt, Sending, SendState, VenueDesk
from vpp.service.venues.talk import ask, wait_after
from vpp.trade.book import BidSetStatus
from vpp.trade.calendar import Refusal, TradeRefusal, deliveries_from
from vpp.wire import BidRequest

TICK = timedelta(seconds=5)
"""How often it is looked whether something is due."""

MOST_AHEAD_S = 60.0


async def look(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """Do what is due at one venue."""
    desk.attempts = {key: made for key, made in desk.attempts.items() if key[1].start > now}
    await _settle_doubts(plant, desk, now)
    if desk.sends:
        for product, delivery in due(plant, desk, now):
            await _make(plant, desk, product, delivery)
        for bid_set in sorted(plant.book.open_sets(now), key=lambda b: b.valid_until):
            if bid_set.product_id in desk.section.products:
                await _carry(plant, desk, bid_set)
    await venueawards.look(plant, desk, plant.clock.now())


def due(plant: Plant, desk: VenueDesk, now: datetime) -> Iterator[tuple[MarketProduct, Interval]]:
    """Deliveries whose gate is open and near, the nearest gate first."""
    unit, ahead = trading_unit(plant), timedelta(minutes=desk.section.ask_before_minutes)
    found = []
    for name in desk.section.products:
        product = plant.products[ProductId(name)]
        if product.by_invitation:
            continue  # bid for where somebody invites; what was nominated is carried all the same
        for delivery in deliveries_from(product, now):
            gate = product.gate_closes_at(delivery)
            if gate - ahead > now:
                break
            opened = product.gate_opens_at(delivery) <= now < gate
            if opened and delivery.start >= unit.trades_from:
                found.append((gate, product, delivery))
    return ((p, d) for _, p, d in sorted(found, key=lambda one: (one[0], one[2].start)))


# ---------------------------------------------------------------- make


async def _make(plant: Plant, desk: VenueDesk, product: MarketProduct, delivery: Interval) -> None:
    """Bids for one delivery, where there are none yet; refused, they are tried again a little later."""
    unit, now = trading_unit(plant), plant.clock.now()
    revision = plant.book.revision_for(product.product_id, unit.unit_id, delivery)
    if desk.no_new_bids is not None or not _wanted(plant, product, delivery, revision):
        return
    key = product.product_id, delivery
    before = desk.attempts.get(key)
    plan_id = None if plant.schedule is None else plant.schedule.plan_id
    if before is not None:
        same_plan = before.code == Refusal.LIMITS_BREACHED and before.plan_id == plan_id
        if now < before.not_before or same_plan:  # the same plan breaks the same limits
            return
    request = BidRequest.model_validate(
        {
            "request_id": _request_id(desk, product, unit.unit_id, delivery, revision),
            "unit": unit.unit_id,
            "delivery": {"start": delivery.start, "end": delivery.end},
        }
    )
    try:
        await trading.answer_bid_request(
            plant, product.product_id, request, digest=_digest(request.request_id), now=now
        )
    except TradeRefusal as refusal:
        plant.metrics.bid_refused(refusal.code)
        code, what = refusal.code, str(refusal)
    except UnavailableError as error:  # the journal, which said so
        code, what = "unavailable", str(error)
    except ConflictError as error:  # somebody asked by POST under the very id
        code, what = "conflict", str(error)
    else:
        desk.attempts.pop(key, None)
        return
    failures = 1 if before is None else before.failures + 1
    desk.attempts[key] = Attempt(
        code=code,
        what=what,
        failures=failures,
        not_before=now + 2 * wait_after(failures),
        plan_id=plan_id,
    )


def _wanted(plant: Plant, product: MarketProduct, delivery: Interval, revision: int) -> bool:
    """Whether bids are to be made: none are there, only some in the shadow of a live product, or not a person's."""
    if revision == 1:
        return True
    hand = hands.standing(plant, product.product_id, delivery)
    if hand is not None and hands.given_as(plant, hand) is None:
        return True
    newest = plant.book.newest_of(product.product_id, trading_unit(plant).unit_id, delivery)
    if newest is None:  # a person withdrew them
        return False
    in_shadow = plant.book.status(newest.bid_set_id) is BidSetStatus.SHADOW
    return in_shadow and golive.shadow_reason(plant, product) is None


def _request_id(
    desk: VenueDesk, product: MarketProduct, unit_id: str, delivery: Interval, revision: int
) -> str:
    """The same for the same bids: a desk that begins again finds what it made."""
    what = hashlib.sha256(f"{product.product_id}/{unit_id}".encode()).hexdigest()[:8]
    return f"{desk.name}:{delivery.start:%Y%m%dT%H%MZ}:{revision}:{what}"


def _digest(request_id: str) -> str:
    return hashlib.sha256(f"venue desk {request_id}".encode()).hexdigest()


# ---------------------------------------------------------------- send


async def _carry(plant: Plant, desk: VenueDesk, bid_set: BidSet) -> None:
    """Send an open bid set to its venue, if it is time and it may leave."""
    name, now = bid_set.bid_set_id, plant.clock.now()
    sending = desk.sendings.get(name)
    if plant.book.status(name) is not BidSetStatus.OPEN or desk.no_new_bids is not None:
        return
    if sending is not None:
        waits = sending.not_before is not None and now < sending.not_before
        if sending.state is SendState.DECLINED:
            await _give_up(plant, bid_set, desk)  # the journal was away when it was declined
        if waits or sending.state not in (SendState.LATER, SendState.ABSENT):
            return
    deadline = last_send(desk, bid_set.valid_until)
    if now >= deadline:
        return
    try:
        body = await _body(plant, bid_set)
        if plant.book.status(name) is not BidSetStatus.OPEN:  # withdrawn or replaced meanwhile
            return
        sending = await venuelog.intend(plant, desk, name, body)
    except (TradeRefusal, UnavailableError) as error:
        plant.metrics.bid_refused(getattr(error, "code", "unavailable"))
        waiting = desk.sendings.setdefault(name, Sending())
        waiting.what = str(error)
        _put_off(waiting, now, None)
        return
    plant.reach("venue intent journalled")
    outcome = await _submit(plant, desk, bid_set, body, deadline)
    plant.reach("venue answered")
    state = await venuelog.note_outcome(plant, desk, name, outcome)
    plant.reach("venue outcome journalled")
    plant.metrics.venues.submitted(desk.name, state.value)
    wait_until = outcome.retry_at if isinstance(outcome, Later) else None
    await _after(plant, desk, bid_set, sending, wait_until)
    if isinstance(outcome, Foreign):
        what = f"its answer to {name} is foreign: {outcome.what}"
        await venuelog.latch(plant, desk, what, outcome.raw, now=plant.clock.now())


async def _submit(
    plant: Plant, desk: VenueDesk, bid_set: BidSet, body: bytes, deadline: datetime
) -> Submission:
    """Let the bytes out, unless the kill switch was set while their intent was written or a token awaited."""
    await desk.port.prepare()
    try:
        trading.require_ready(plant, plant.products[bid_set.product_id])
    except TradeRefusal as refusal:
        return Later(retry_at=None, what=str(refusal))
    return await desk.port.submit(bid_set.bid_set_id, body, until=deadline)


def last_send(desk: VenueDesk, gate: datetime) -> datetime:
    """The last moment at which something may leave; earlier where the venue's clock is ahead of ours.

    By a minute at most: a clock that is further off is told, and not believed.
    """
    ahead_s = min(max(0.0, desk.port.health().clock_offset_s or 0.0), MOST_AHEAD_S)
    return gate - timedelta(seconds=desk.section.last_send_s + ahead_s)


async def _body(plant: Plant, bid_set: BidSet) -> bytes:
    """The very bytes of a bid set, from the one place that lets bids out: what is killed does not leave.

    Raises:
        TradeRefusal: It may not leave now.
    """
    request = BidRequest.model_validate(
        {
            "request_id": bid_set.request_id,
            "unit": bid_set.unit_id,
            "delivery": {"start": bid_set.delivery.start, "end": bid_set.delivery.end},
        }
    )
    known = plant.book.answer(bid_set.bid_set_id)
    return await trading.answer_bid_request(
        plant,
        bid_set.product_id,
        request,
        digest=known.request_digest,
        now=plant.clock.now(),
    )


async def _after(
    plant: Plant,
    desk: VenueDesk,
    bid_set: BidSet,
    sending: Sending,
    wait_until: datetime | None,
) -> None:
    """What follows from where a sending stands now."""
    name, now = bid_set.bid_set_id, plant.clock.now()
    match sending.state:
        case SendState.TAKEN:
            sending.failures, sending.not_before = 0, None
            plant.book.confirmed(name)
            plant.events.emit(
                "bid_sent",
                f"venue {desk.name} has {name}",
                at=now,
                bid_set_id=name,
                venue=desk.name,
            )
        case SendState.DECLINED:
            _tell(plant, desk, "bid_declined", f"declines {name}: {sending.what}", bid_set)
            await _give_up(plant, bid_set, desk)
        case SendState.CONFLICT:
            what = f"holds other bytes under {name}: {sending.what}"
            _tell(plant, desk, "bid_conflict", what, bid_set)
            await venuelog.latch(plant, desk, f"it {what}", sending.what.encode(), now=now)
        case SendState.LATER | SendState.ABSENT:
            _put_off(sending, now, wait_until)
        case _:
            plant.book.doubted(name)
            _put_off(sending, now, None)


async def _give_up(plant: Plant, bid_set: BidSet, desk: VenueDesk) -> None:
    what = f"venue {desk.name} did not take {bid_set.bid_set_id}: nothing is owed of it"
    await awarding.give_up(plant, DISOWNED, bid_set.bid_set_id, what, plant.clock.now())


def _put_off(sending: Sending, now: datetime, until: datetime | None) -> None:
    sending.failures += 1
    sending.not_before = now + wait_after(sending.failures) if until is None else until


def _tell(plant: Plant, desk: VenueDesk, kind: str, what: str, bid_set: BidSet) -> None:
    plant.events.emit(
        kind,
        f"venue {desk.name} {what}",
        at=plant.clock.now(),
        severity=Severity.ALARM,
        bid_set_id=bid_set.bid_set_id,
        venue=desk.name,
    )


# ---------------------------------------------------------------- ask


async def _settle_doubts(plant: Plant, desk: VenueDesk, now: datetime) -> None:
    """Ask the venue about bid sets that it may have; before that nothing is sent again.

    When the service begins those of its last run come first: until they are settled nothing new is bid.
    """
    asked = not desk.sends and desk.port.answers
    if asked and not desk.reconciled:  # our answer to its request may never have left
        for bid_set in plant.book.open_sets(now):
            if bid_set.product_id in desk.section.products:
                desk.sendings.setdefault(
                    bid_set.bid_set_id, Sending(state=SendState.LEFT, left=True)
                )
    for bid_set in plant.book.live_sets():
        if desk.in_doubt(bid_set.bid_set_id) and not await _settle(plant, desk, bid_set):
            return
    if not desk.reconciled and venuelog.settled(plant, desk):
        desk.reconciled = True


async def _settle(plant: Plant, desk: VenueDesk, bid_set: BidSet) -> bool:
    """Ask about one bid set in doubt; False where the venue does not answer."""
    name, now = bid_set.bid_set_id, plant.clock.now()
    sending = desk.sendings[name]
    plant.book.doubted(name)
    if not desk.port.answers:
        if not sending.told:
            sending.told = True
            what = f"may have {name} and cannot be asked: {sending.what}. Look at its portal"
            _tell(plant, desk, "bid_unsure", what, bid_set)
        return True
    if sending.not_before is not None and now < sending.not_before:
        return True
    word = await ask(plant, desk, name)
    if word is None:
        _put_off(sending, plant.clock.now(), None)
        return False
    if word == "silent":  # whoever carries the files has not said yet
        sending.left = False
        _put_off(sending, now, None)
        return True
    if word == "unknown":
        state, what = SendState.ABSENT, "the venue was asked, and does not have it"
    else:
        state, what = SendState.TAKEN, f"the venue was asked, and says {word}"
    sending.failures = 0
    await venuelog.note_asked(plant, desk, name, state, what)
    plant.reach("venue word journalled")
    plant.metrics.venues.submitted(desk.name, f"asked_{word}")
    if state is SendState.TAKEN:
        await _after(plant, desk, bid_set, sending, None)
    elif bid_set.valid_until <= plant.clock.now():
        await awarding.take_word(plant, bid_set, word, plant.clock.now())
    else:
        sending.not_before = None
    return True
