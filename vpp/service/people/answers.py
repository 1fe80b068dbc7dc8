"""What a one-time link opens, and what may be done with it: answer its question once, before its deadline.

Whoever holds the token is taken for its person, so nothing else is told of what it opens: an unknown token is
nobody's, and one that came too late shows nothing of what was asked. Looking never answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from vpp.act.instructionlife import OPEN
from vpp.errors import ConflictError
from vpp.model.instruction import Accepted, AcceptedLess, Declined, Given, State
from vpp.model.message import Language
from vpp.service.instructions import instructing
from vpp.service.instructions.desk import Story
from vpp.service.people.desk import Person
from vpp.service.plant import Plant


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question is open."""

    person: Person
    story: Story


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """It was answered, over this link or another way; the window is not over."""

    person: Person
    story: Story
    given: Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Too late, taken back, or long ago: nothing is expected, and nothing is shown of it."""

    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLink:
    """No link of ours."""


Opened: TypeAlias = Asked | Answered | Over | NoLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """All of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Less:
    """Part of it."""

    amount_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Nothing of it."""

    reason: str


Choice: TypeAlias = Accept | Less | Decline


def look_up(plant: Plant, token: str, now: datetime) -> Opened:
    """What a token opens now; it changes nothing, however often and by whomever it is asked."""
    link = plant.people.links.find(token)
    if link is None:
        return NoLink()
    person = plant.people.persons.get(link.person_id)
    story = plant.instructions.find(link.instruction_id)
    if person is None or (story is not None and story.instruction.person_id != link.person_id):
        return NoLink()
    if story is None or story.state is State.TAKEN_BACK or now >= story.instruction.window.end:
        return Over(language=person.language)
    match story.answer:
        case Accepted() | AcceptedLess() | Declined():
            return Answered(person=person, story=story, given=story.answer)
    if story.state in OPEN and now < link.ends_at:
        return Asked(person=person, story=story)
    return Over(language=person.language)


async def answer(plant: Plant, token: str, choice: Choice, now: datetime) -> tuple[bool, Opened]:
    """Whether this choice was taken, and what the link opens after it.

    One after the other: of two that come at once the second finds the question answered.

    Raises:
        DataError: The amount is no answer to it; the question stays open.
        UnavailableError: It could not be put on record; the question stays open.
    """
    async with plant.people.answering:
        opened = look_up(plant, token, now)
        if not isinstance(opened, Asked):
            return False, opened
        name = opened.story.instruction.instruction_id
        try:
            await instructing.answer(plant, name, _given(choice, opened, now), now=now)
        except ConflictError:  # the deadline, or the control room, was faster
            return False, look_up(plant, token, now)
        return True, look_up(plant, token, now)


def _given(choice: Choice, opened: Asked, now: datetime) -> Given:
    by = opened.person.person_id
    match choice:
        case Accept():
            return Accepted(at=now, by=by)
        case Less(amount_kw=amount_kw):
            return AcceptedLess(at=now, by=by, amount_kw=amount_kw)
        case Decline(reason=reason):
            return Declined(at=now, by=by, reason=reason)
