"""Every invitation and what came of it: a pure state machine, rebuilt from the journal in its order.

The journal comes first: a step is written down and then told to the book. The same revision again changes
nothing, with other content it is a conflict, and one that comes late moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from vpp.errors import ConflictError
from vpp.model.demandresponse import Confirmation, Evaluation, Invitation, Nomination, Stage
from vpp.model.ids import ProductId, UnitId
from vpp.trade.drlifecycle import Happening, after

Detail: TypeAlias = Nomination | Confirmation | Evaluation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened to an invitation after it came."""

    invitation_id: str
    number: int
    """From 1 on, by invitation."""
    happening: Happening
    at: datetime
    words: str
    detail: Detail = None

    @property
    def key(self) -> str:
        """Under which the journal holds it."""
        return f"{self.invitation_id}/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An invitation as it stands, and how it came to that."""

    invitation: Invitation
    stage: Stage
    nomination: Nomination | None = None
    confirmation: Confirmation | None = None
    evaluation: Evaluation | None = None
    steps: tuple[Step, ...] = ()

    @property
    def owed_mw(self) -> Decimal:
        """Confirmed; before that what is nominated, for it may be confirmed any moment."""
        if self.confirmation is not None:
            return self.confirmation.quantity_mw
        return Decimal(0) if self.nomination is None else self.nomination.quantity_mw

    def with_step(self, step: Step) -> Story:
        """The story after one more step.

        Raises:
            ConflictError: The table of stages does not hold it.
        """
        stage = after(self.stage, step.happening, where=f"invitation {step.invitation_id}")
        told = replace(self, stage=stage, steps=(*self.steps, step))
        match step.happening, step.detail:
            case Happening.NOMINATE, Nomination() as nomination:
                return replace(told, nomination=nomination)
            case Happening.DECLINE, _:
                return replace(told, nomination=None)
            case Happening.CONFIRM, Confirmation() as confirmation:
                return replace(told, confirmation=confirmation, evaluation=None)
            case Happening.PASS_OVER, _:
                return replace(told, confirmation=None, evaluation=None)
            case Happening.EVALUATE, Evaluation() as evaluation:
                return replace(told, evaluation=evaluation)
            case _:
                return told


class InvitationBook:
    """All invitations of one service, in memory."""

    def __init__(self) -> None:
        self._stories: dict[str, Story] = {}

    def find(self, invitation_id: str) -> Story | None:
        return self._stories.get(invitation_id)

    def stories(self, product_id: ProductId | None = None) -> tuple[Story, ...]:
        """The oldest first; of one product (None: of all)."""
        return tuple(
            story
            for story in self._stories.values()
            if product_id in (None, story.invitation.product_id)
        )

    def of_bid_set(self, bid_set_id: str) -> Story | None:
        """Whose nomination a bid set is, also one that was replaced."""
        for story in self._stories.values():
            for step in story.steps:
                if isinstance(step.detail, Nomination) and step.detail.bid_set_id == bid_set_id:
                    return story
        return None

    def beside(self, one: Invitation) -> Iterator[Story]:
        """Others of the same unit whose window overlaps, and that may still come to something."""
        for story in self._stories.values():
            other = story.invitation
            if (
                other.invitation_id != one.invitation_id
                and other.unit_id == one.unit_id
                and other.window.overlaps(one.window)
                and story.stage not in (Stage.WITHDRAWN, Stage.DECLINED, Stage.NOT_CHOSEN)
            ):
                yield story

    def is_new(self, invitation: Invitation) -> bool:
        """Whether `take` would change something; a lower revision than the known one never does.

        Raises:
            ConflictError: The revision is known with other content, the id is of another product or unit, or
                it is too late for another revision.
        """
        story = self._stories.get(invitation.invitation_id)
        if story is None:
            return True
        known, where = story.invitation, f"invitation {invitation.invitation_id}"
        if (known.product_id, known.unit_id) != (invitation.product_id, invitation.unit_id):
            raise ConflictError(
                f"it was one to {known.product_id} before", where=where, fix="Use another id"
            )
        if invitation.revision < known.revision:
            return False
        if invitation.revision == known.revision:
            if not known.same_order(invitation):
                raise ConflictError(
                    f"revision {known.revision} came with other content",
                    where=where,
                    fix="Send changes as a higher revision",
                )
            return False
        after(story.stage, _revised(invitation), where=where)
        return True

    def take(self, invitation: Invitation) -> None:
        """Book one revision; a higher one begins the story anew, one of 0 MW ends it. Raises as `is_new`."""
        if not self.is_new(invitation):
            return
        story = self._stories.get(invitation.invitation_id)
        if story is None:
            stage = Stage.INVITED if invitation.wanted_mw else Stage.WITHDRAWN
            self._stories[invitation.invitation_id] = Story(invitation=invitation, stage=stage)
            return
        happening = _revised(invitation)
        taken_back = not invitation.wanted_mw
        words = "taken back by the platform" if taken_back else f"revision {invitation.revision}"
        step = Step(
            invitation_id=invitation.invitation_id,
            number=len(story.steps) + 1,
            happening=happening,
            at=invitation.received_at,
            words=words,
        )
        told = story.with_step(step)
        if not taken_back:
            told = replace(told, nomination=None, confirmation=None, evaluation=None)
        self._stories[invitation.invitation_id] = replace(told, invitation=invitation)

    def happen(self, step: Step) -> Story:
        """Book a step that is on disk; one that is booked already changes nothing.

        Raises:
            ConflictError: The table does not hold it, or steps before it are missing.
        """
        story = self._stories[step.invitation_id]
        if step.number <= len(story.steps):
            return story
        told = self._stories[step.invitation_id] = story.with_step(step)
        return told


def _revised(invitation: Invitation) -> Happening:
    return Happening.REVISE if invitation.wanted_mw else Happening.WITHDRAW


# ---------------------------------------------------------------- bytes

_DETAILS: dict[Happening, type[Nomination] | type[Confirmation] | type[Evaluation]] = {
    Happening.NOMINATE: Nomination,
    Happening.CONFIRM: Confirmation,
    Happening.EVALUATE: Evaluation,
}


class _StepRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    happening: Happening
    at: datetime
    words: str
    detail: msgspec.Raw
    """`null` where there is none."""


def invitation_to_record(invitation: Invitation) -> bytes:
    """What the journal keeps of a revision."""
    return msgspec.json.encode(invitation)


def invitation_from_record(body: bytes) -> Invitation:
    """A revision as `InvitationBook.take` takes it."""
    found: Invitation = msgspec.json.decode(body, type=Invitation)
    return replace(found, product_id=ProductId(found.product_id), unit_id=UnitId(found.unit_id))


def step_to_record(step: Step) -> bytes:
    """What the journal keeps of a step, beside its key."""
    return msgspec.json.encode(
        {
            "happening": step.happening,
            "at": step.at,
            "words": step.words,
            "detail": step.detail,
        }
    )


def step_from_record(key: str, body: bytes) -> Step:
    """A step as `InvitationBook.happen` takes it."""
    record = msgspec.json.decode(body, type=_StepRecord)
    name, _, number = key.rpartition("/")
    kind = _DETAILS.get(record.happening)
    detail: Detail = None
    if kind is not None:
        detail = msgspec.json.decode(record.detail, type=kind)
    return Step(
        invitation_id=name,
        number=int(number),
        happening=record.happening,
        at=record.at,
        words=record.words,
        detail=detail,
    )
