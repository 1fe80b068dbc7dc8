"""Invitations to demand response: the platform's door, a person's decision, the whole story."""

from __future__ import annotations

from vpp.errors import DataError
from vpp.model.demandresponse import Evaluation
from vpp.model.market import Side
from vpp.service.api.markets import NO_BIDS
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.demandresponse import demandresponse
from vpp.service.demandresponse import plan as drplan
from vpp.service.demandresponse import reply as drreply
from vpp.service.plant import Plant
from vpp.service.trading.trading import product_of
from vpp.trade.drlifecycle import OPEN
from vpp.trade.invitations import Story
from vpp.wiredr import (
    CapabilityView,
    ConfirmationView,
    EvaluationView,
    InvitationRequest,
    InvitationsView,
    InvitationView,
    MemberResultView,
    NominationView,
    ReplyRequest,
    StepView,
)


async def take_invitation(plant: Plant, call: Call[Nothing, InvitationRequest]) -> InvitationView:
    story = await demandresponse.take(plant, call.path["product"], call.body, now=call.now)
    return _view(plant, story, None)


async def take_reply(plant: Plant, call: Call[Nothing, ReplyRequest]) -> InvitationView:
    path = call.path
    story = await demandresponse.reply(
        plant, path["product"], path["invitation_id"], call.body, now=call.now
    )
    return _view(plant, story, None)


async def list_invitations(plant: Plant, call: Call[Nothing, Nothing]) -> InvitationsView:
    product = product_of(plant, call.path["product"])
    stories = plant.dr.book.stories(product.product_id)
    return InvitationsView(
        product=product.product_id, invitations=[_view(plant, story, None) for story in stories]
    )


async def show_invitation(plant: Plant, call: Call[Nothing, Nothing]) -> InvitationView:
    story = demandresponse.find(plant, call.path["product"], call.path["invitation_id"])
    return _view(plant, story, _capability(plant, story, call))


def _capability(plant: Plant, story: Story, call: Call[Nothing, Nothing]) -> CapabilityView | None:
    """While a reply can be made."""
    if story.stage not in OPEN or story.invitation.reply_by <= call.now:
        return None
    nothing: dict[str, str] = {}
    try:
        found = drreply.capability(plant, story.invitation, call.now)
    except DataError as error:
        return CapabilityView.model_validate(
            {"quantity_mw": 0, "reliability": 1, "response_kw": {}, "refused": nothing}
            | {"not_known": str(error)}
        )
    return CapabilityView(
        quantity_mw=found.quantity_mw,
        reliability=found.reliability,
        response_kw={str(name): round(kw, 3) for name, kw in found.response_kw.items()},
        refused={str(name): why for name, why in found.refused.items()},
        not_known="",
    )


def _view(plant: Plant, story: Story, capability: CapabilityView | None) -> InvitationView:
    one, nomination, confirmation = story.invitation, story.nomination, story.confirmation
    return InvitationView(
        invitation_id=one.invitation_id,
        revision=one.revision,
        product=one.product_id,
        unit=one.unit_id,
        start=one.window.start,
        end=one.window.end,
        direction="up" if one.side is Side.SELL else "down",
        wanted_mw=one.wanted_mw,
        price_cap_per_mwh=one.price_cap_per_mwh,
        fixed_price_per_mwh=one.fixed_price_per_mwh,
        reply_by=one.reply_by,
        area=one.area,
        source=one.source,
        received_at=one.received_at,
        stage=story.stage.value,
        capability=capability,
        nomination=None
        if nomination is None
        else NominationView(
            bid_set_id=nomination.bid_set_id,
            quantity_mw=nomination.quantity_mw,
            price_per_mwh=nomination.price_per_mwh,
            shares_mw={str(name): mw for name, mw in nomination.shares_mw.items()},
            made_at=nomination.made_at,
            by=nomination.by,
        ),
        confirmation=None
        if confirmation is None
        else ConfirmationView(
            quantity_mw=confirmation.quantity_mw,
            price_per_mwh=confirmation.price_per_mwh,
            called_mw=drplan.called_mw(plant, story),
        ),
        evaluation=None if story.evaluation is None else _evaluation(story.evaluation),
        steps=[
            StepView(number=s.number, happening=s.happening.value, at=s.at, words=s.words)
            for s in story.steps
        ],
    )


def _evaluation(of: Evaluation) -> EvaluationView:
    return EvaluationView(
        at=of.at,
        cleared_mwh=of.cleared_mwh,
        response_mwh=of.response_mwh,
        completion=of.completion,
        invalid=of.invalid,
        amount=of.amount,
        penalty=of.penalty,
        provisional=of.provisional,
        members=[
            MemberResultView(
                enterprise=name,
                baseline_mwh=one.baseline_mwh,
                actual_mwh=one.actual_mwh,
                response_mwh=one.response_mwh,
                amount=one.amount,
                penalty=one.penalty,
            )
            for name, one in of.members.items()
        ],
    )


_PATH = "/v1/markets/{product}/invitations"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        _PATH,
        "Invitations to demand response, and what came of each",
        list_invitations,
        gives=InvitationsView,
        codes=("unknown_product", "not_biddable"),
    ),
    writing(
        "POST",
        _PATH,
        "Invite to demand response; a higher revision replaces, 0 MW takes back",
        take_invitation,
        takes=InvitationRequest,
        gives=InvitationView,
        codes=(
            *("unknown_product", "not_biddable", "unknown_unit", "off_grid", "over", "conflict"),
            *("invalid_data", "unavailable"),
        ),
    ),
    reading(
        f"{_PATH}/{{invitation_id}}",
        "The whole story of an invitation, with what could be offered now",
        show_invitation,
        gives=InvitationView,
        codes=("unknown_product", "not_biddable", "unknown_invitation"),
    ),
    writing(
        "PUT",
        f"{_PATH}/{{invitation_id}}/reply",
        "Nominate, alter what is nominated, or decline, before the reply is due",
        take_reply,
        takes=ReplyRequest,
        gives=InvitationView,
        codes=(
            *("unknown_product", "unknown_invitation", "conflict", "invalid_data", "unavailable"),
            *(code for code in NO_BIDS if code not in ("off_grid", "wrong_length")),
        ),
    ),
)
