"""Demand response from invitation to money: every step is on disk before it counts.

    POST invitation ─▶ fits? ─▶ journal ─▶ a new plan, paid for response
    reply_by − reply_before ─▶ nomination from the newest plan ─▶ limits ─▶ journal ─▶ bids of the window
    award ─▶ confirmed ─▶ reminded ─▶ under way ─▶ meters ─▶ evaluated ─▶ settled

`advance` is called by the trade and the account cycle and moves every story as far as it goes; a person may
alter or decline a reply as long as there is time. A reply is a bid set like any other: kill switch, limits,
shadow and go-live hold for it, and the platform confirms it by an award.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.demandresponse import Confirmation, Evaluation, Nomination, Stage
from vpp.model.ids import EnterpriseId
from vpp.model.time import isoformat
from vpp.service.calls.activations import listed
from vpp.service.demandresponse import bids as drbids
from vpp.service.demandresponse import money as drmoney
from vpp.service.demandresponse import reading as drread
from vpp.service.demandresponse import reply as drreply
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.service.trading.trading import product_of
from vpp.trade.book import BidSetStatus
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.drlifecycle import OWED, Happening
from vpp.trade.invitations import Detail, Step, Story, invitation_to_record, step_to_record
from vpp.wiredr import InvitationRequest, ReplyRequest

AUTO = "auto"


async def take(
    plant: Plant, product_id: str, request: InvitationRequest, *, now: datetime
) -> Story:
    """Book an invitation; acknowledged when it is on disk. The same again changes nothing.

    Raises:
        TradeRefusal: `unknown_product`, `not_biddable`, `unknown_unit`, `off_grid` or `over`.
        DataError: It does not fit the product, or overlaps another invitation.
        ConflictError: The same revision came with other content, or it is too late for another one.
        UnavailableError: The journal cannot be written; it must come again.
    """
    invitation = drread.read(plant, product_id, request, now)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        if not plant.dr.book.is_new(invitation):
            return _story(plant, product_id, invitation.invitation_id)
        drread.require_sound(plant, invitation, now)
        key = f"{invitation.invitation_id}/{invitation.revision}"
        record = invitation_to_record(invitation)
        await tradelog.append(plant, tradelog.INVITATION, key, record, now=now)
        plant.reach("invitation journalled")
        tradelog.book_invitation(plant, invitation)
    drread.tell(plant, invitation, now)
    return _story(plant, product_id, invitation.invitation_id)


async def reply(
    plant: Plant, product_id: str, invitation_id: str, request: ReplyRequest, *, now: datetime
) -> Story:
    """A person nominates, alters what was nominated, or declines, while there is time.

    Raises:
        TradeRefusal: `unknown_invitation`, `gate_closed`; no reply can be made of the plan; or as bids.
        DataError: Shares that do not fit.
        ConflictError: It is too late by the table of stages.
        UnavailableError: The journal cannot be written.
    """
    story = _story(plant, product_id, invitation_id)
    if now >= story.invitation.reply_by:
        raise TradeRefusal(
            f"the reply was due at {isoformat(story.invitation.reply_by)}",
            code=Refusal.GATE_CLOSED,
            where=f"invitation {invitation_id}",
            fix="Reply to a newer invitation",
        )
    who = f"{request.by}: {request.reason}"
    if request.decision == "decline":
        return await _decline(plant, story, who, now, by=who)
    shares = None
    if request.shares_mw is not None:
        shares = {EnterpriseId(name): mw for name, mw in request.shares_mw.items()}
    return await _nominate(plant, story, by=who, now=now, shares=shares)


async def advance(plant: Plant, now: datetime) -> None:
    """Move every story as far as it goes now; what cannot be put on record is tried again."""
    async with plant.dr.moving:
        for story in plant.dr.book.stories():
            with suppress(UnavailableError):  # said and counted there; the next cycle asks again
                await _advance(plant, story, now)


def find(plant: Plant, product_id: str, invitation_id: str) -> Story:
    """One invitation of a product.

    Raises:
        TradeRefusal: `unknown_product` or `unknown_invitation`.
    """
    product_of(plant, product_id)
    return _story(plant, product_id, invitation_id)


# ---------------------------------------------------------------- the steps


async def _advance(plant: Plant, story: Story, now: datetime) -> None:
    match story.stage:
        case Stage.INVITED:
            await _answer(plant, story, now)
        case Stage.NOMINATED | Stage.NOT_CHOSEN:
            await _listen(plant, story, now)
        case Stage.CONFIRMED | Stage.REMINDED:
            story = await _listen(plant, story, now)
            if story.stage in OWED:
                await _approach(plant, story, now)
        case Stage.UNDER_WAY | Stage.EVALUATED:
            story = await _listen(plant, story, now)
            if story.invitation.window.end <= now and story.confirmation is not None:
                await _evaluate(plant, story, now)
        case Stage.SETTLED:
            _tell_corrected(plant, story, now)
        case Stage.DECLINED | Stage.WITHDRAWN:
            pass


async def _answer(plant: Plant, story: Story, now: datetime) -> None:
    """Reply in time where nobody else does."""
    invitation, settings = story.invitation, plant.file.demand_response
    if now >= invitation.reply_by:
        why = plant.dr.told.get(invitation.invitation_id, "nobody sent a reply in time")
        await _decline(plant, story, why, now, by=AUTO)
        return
    due = invitation.reply_by - timedelta(minutes=settings.reply_before_minutes)
    seen = (invitation.invitation_id, invitation.revision) in plant.dr.planned
    if settings.reply == "hold" or now < due or not seen:
        return
    try:
        await _nominate(plant, story, by=AUTO, now=now)
    except (DataError, ConflictError) as error:  # a refusal is one of these
        _tell_once(plant, story, f"no reply to {invitation.invitation_id} yet: {error}", now)


async def _nominate(
    plant: Plant,
    story: Story,
    *,
    by: str,
    now: datetime,
    shares: Mapping[EnterpriseId, Decimal] | None = None,
) -> Story:
    found = drreply.capability(plant, story.invitation, now)
    if shares is None and not found.quantity_mw:
        return await _decline(plant, story, drreply.too_little(story.invitation, found), now, by=by)
    wanted = (
        found.shares_mw
        if shares is None
        else drreply.checked(plant, story.invitation, found, shares)
    )
    total = sum(wanted.values(), Decimal(0))
    quantity = drreply.in_steps(plant, story.invitation, total)  # in the product's own digits
    price = drreply.offered_price(plant, story.invitation)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        newest = _newest(plant, story)
        if _overtaken(newest, by):
            return newest
        story = newest
        bid_set_id, shadow = await drbids.place(plant, story, quantity, price, now=now)
        if shadow is not None:
            words = f"the reply stays in the shadow: {shadow}"
            return await _step(plant, story, Happening.DECLINE, words, now)
        nomination = Nomination(
            bid_set_id=bid_set_id,
            quantity_mw=quantity,
            price_per_mwh=price,
            shares_mw=wanted,
            made_at=now,
            by=by,
        )
        words = f"{quantity} MW at {price} by {len(wanted)} members ({by})"
        story = await _step(plant, story, Happening.NOMINATE, words, now, nomination)
        plant.book.sent(bid_set_id)
    plant.replan = f"nominated for {story.invitation.invitation_id}: {words}"
    return story


async def _decline(plant: Plant, story: Story, why: str, now: datetime, *, by: str) -> Story:
    async with plant.trading:
        tradelog.settle_unsure(plant)
        story = _newest(plant, story)
        if _overtaken(story, by):
            return story
        if story.nomination is not None:
            name = story.nomination.bid_set_id
            if plant.book.may_withdraw(name, now):
                await tradelog.append(plant, tradelog.WITHDRAWAL, name, b"{}", now=now)
                plant.book.withdraw(name, now)
        return await _step(plant, story, Happening.DECLINE, why, now)


def _newest(plant: Plant, story: Story) -> Story:
    """The story as it stands once `plant.trading` is held.

    Raises:
        ConflictError: The platform revised the invitation while this waited.
    """
    newest = _story(plant, story.invitation.product_id, story.invitation.invitation_id)
    if newest.invitation != story.invitation:
        raise ConflictError(
            f"it was revised meanwhile: revision {newest.invitation.revision}",
            where=f"invitation {story.invitation.invitation_id}",
            fix="Look at the invitation, and reply to what it says now",
        )
    return newest


def _overtaken(story: Story, by: str) -> bool:
    """Whether a person replied while the automatic reply waited: then that one stands."""
    return by == AUTO and story.stage is not Stage.INVITED


async def _listen(plant: Plant, story: Story, now: datetime) -> Story:
    """What the awards to a nomination say, where it is something new."""
    nomination = story.nomination
    if nomination is None:
        return story
    told = _confirmation(plant, story)
    if told is not None:
        if told == story.confirmation:
            return story
        words = f"{told.quantity_mw} MW at {told.price_per_mwh}"
        story = await _locked_step(plant, story, Happening.CONFIRM, words, now, told)
        plant.replan = f"{story.invitation.invitation_id} is confirmed: {words}"
        return story
    status = plant.book.status(nomination.bid_set_id)
    over = story.invitation.window.start <= now
    gone = {
        BidSetStatus.AWARDED: "the platform did not choose it",
        BidSetStatus.UNANSWERED: "the platform said nothing in time",
        BidSetStatus.WITHDRAWN: "its bids were withdrawn",
    }
    if story.stage not in OWED | {Stage.NOMINATED, Stage.EVALUATED}:
        return story
    if status in gone or over:
        words = gone.get(status, "it began, and nothing was confirmed")
        story = await _locked_step(plant, story, Happening.PASS_OVER, words, now)
        plant.statements.clear()  # it may have been evaluated
        plant.replan = f"{story.invitation.invitation_id}: {words}"
    return story


def _confirmation(plant: Plant, story: Story) -> Confirmation | None:
    """The sum of all awards to the nomination, mean over the window; None where nothing was chosen."""
    nomination, window = story.nomination, story.invitation.window
    assert nomination is not None  # asked for by the caller
    mwh = worth = Decimal(0)
    for trade in plant.book.trades_of(nomination.bid_set_id):
        hours = Decimal(str(trade.interval.hours))
        mwh += trade.quantity_mw * hours
        worth += trade.quantity_mw * hours * trade.price_per_mwh
    if not mwh:
        return None
    return Confirmation(quantity_mw=mwh / Decimal(str(window.hours)), price_per_mwh=worth / mwh)


async def _approach(plant: Plant, story: Story, now: datetime) -> None:
    """Remind people a stated time before the window; begin it."""
    window, name = story.invitation.window, story.invitation.invitation_id
    before = timedelta(minutes=plant.file.demand_response.remind_before_minutes)
    if window.start <= now:
        await _locked_step(plant, story, Happening.BEGIN, "the window begins", now)
    elif story.stage is Stage.CONFIRMED and window.start - before <= now:
        words = f"{story.owed_mw} MW from {isoformat(window.start)} to {isoformat(window.end)}"
        await _locked_step(plant, story, Happening.REMIND, words, now)
        for member in story.nomination.members if story.nomination is not None else ():
            text = f"{member}: demand response {name}: {words}"
            plant.events.emit(
                *("demand_response_reminder", text),
                at=now,
                severity=Severity.WARNING,
                invitation_id=name,
                enterprise_id=member,
            )


async def _evaluate(plant: Plant, story: Story, now: datetime) -> None:
    """Once the meters are read; again as long as one of them was filled in; settled when none is."""
    try:
        found = drmoney.evaluation_of(plant, story, now)
    except DataError as error:
        _tell_once(plant, story, f"{story.invitation.invitation_id} is not evaluated: {error}", now)
        return
    if found is None:
        return
    if story.evaluation is None or _differs(found, story.evaluation):
        words = (
            f"completion {found.completion:.3f}, {found.amount} {plant.file.park.currency},"
            f" penalty {found.penalty}{f', invalid: {found.invalid}' if found.invalid else ''}"
        )
        story = await _locked_step(plant, story, Happening.EVALUATE, words, now, found)
        plant.statements.clear()
    reporting = listed(plant, story.invitation.product_id).section.reporting
    lag = timedelta(days=0 if reporting is None else reporting.settlement_lag_days or 0)
    if not found.provisional and now >= story.invitation.window.end + lag:
        await _locked_step(plant, story, Happening.SETTLE, "nothing of it is open any more", now)


def _differs(one: Evaluation, other: Evaluation) -> bool:
    """Whether more than the time of it is another."""
    return (one.members, one.amount, one.penalty, one.provisional) != (
        other.members,
        other.amount,
        other.penalty,
        other.provisional,
    )


async def _locked_step(
    plant: Plant,
    story: Story,
    happening: Happening,
    words: str,
    now: datetime,
    detail: Detail = None,
) -> Story:
    async with plant.trading:
        tradelog.settle_unsure(plant)
        return await _step(plant, story, happening, words, now, detail)


async def _step(
    plant: Plant,
    story: Story,
    happening: Happening,
    words: str,
    now: datetime,
    detail: Detail = None,
) -> Story:
    """Put a step on disk, then book and tell it. `plant.trading` is held."""
    name = story.invitation.invitation_id
    story = _story(plant, story.invitation.product_id, name)
    step = Step(
        invitation_id=name,
        number=len(story.steps) + 1,
        happening=happening,
        at=now,
        words=words,
        detail=detail,
    )
    story.with_step(step)  # what the table does not hold must not be on disk
    await tradelog.append(plant, tradelog.INVITATION_STEP, step.key, step_to_record(step), now=now)
    plant.reach(f"invitation {happening} journalled")
    story = plant.dr.book.happen(step)
    plant.dr.told.pop(name, None)
    plant.events.emit(
        "demand_response",
        f"{name} is {story.stage.replace('_', ' ')}: {words}",
        at=now,
        severity=Severity.INFO if story.stage is not Stage.DECLINED else Severity.WARNING,
        invitation_id=name,
        stage=story.stage.value,
    )
    return story


# ---------------------------------------------------------------- reading


def _story(plant: Plant, product_id: str, invitation_id: str) -> Story:
    story = plant.dr.book.find(invitation_id)
    if story is None or story.invitation.product_id != product_id:
        raise TradeRefusal(
            "there is no such invitation to this product",
            code=Refusal.UNKNOWN_INVITATION,
            where=f"invitation {invitation_id[:80]}",
            fix="Look at GET …/invitations",
        )
    return story


def _tell_corrected(plant: Plant, story: Story, now: datetime) -> None:
    """Say that an award was corrected too late: the meters that an evaluation needs may be gone."""
    corrected = _confirmation(plant, story)
    if corrected != story.confirmation:
        told = (
            "nothing"
            if corrected is None
            else f"{corrected.quantity_mw} MW at {corrected.price_per_mwh}"
        )
        text = (
            f"{story.invitation.invitation_id} was settled, and its award is corrected to {told}:"
            " settle the difference by hand"
        )
        _tell_once(plant, story, text, now)


def _tell_once(plant: Plant, story: Story, text: str, now: datetime) -> None:
    """The change of a reason, not the reason each quarter-hour."""
    name = story.invitation.invitation_id
    if plant.dr.told.get(name) == text:
        return
    plant.dr.told[name] = text
    plant.events.emit(
        "demand_response", text, at=now, severity=Severity.WARNING, invitation_id=name
    )
