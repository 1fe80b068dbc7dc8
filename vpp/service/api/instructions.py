"""Instructions to people: what is asked of whom and what came of it, asking by hand, answering for somebody."""

from __future__ import annotations

from datetime import datetime

from vpp.errors import DataError
from vpp.model.instruction import (
    Accepted,
    AcceptedLess,
    Declined,
    Given,
    Kept,
    Unanswered,
    Unverified,
)
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.instructions import instructing
from vpp.service.instructions import plan as instructionplan
from vpp.service.instructions.desk import Resplit, Story
from vpp.service.plant import Plant
from vpp.wirecontrol import WithdrawQuery
from vpp.wireinstruction import (
    AnswerRequest,
    InstructionRequest,
    InstructionStepView,
    InstructionsView,
    InstructionView,
    ReachedView,
    ResplitView,
)

MOST_SHOWN = 500


async def list_instructions(plant: Plant, call: Call[Nothing, Nothing]) -> InstructionsView:
    newest = list(plant.instructions.stories.values())[-MOST_SHOWN:]
    return InstructionsView(
        resources=[
            ReachedView(
                resource=name,
                person=section.person,
                reliability=round(instructionplan.reliability_of(plant, name), 4),
            )
            for name, section in instructionplan.reached(plant).items()
        ],
        instructions=[view_of(story) for story in reversed(newest)],
    )


async def show_instruction(plant: Plant, call: Call[Nothing, Nothing]) -> InstructionView:
    return view_of(_found(plant, call.path["instruction_id"]))


async def ask(plant: Plant, call: Call[Nothing, InstructionRequest]) -> InstructionView:
    body = call.body
    where = f"instruction for {body.resource}"
    if not body.start < body.end or any(
        latest_boundary(at, QUARTER) != at for at in (body.start, body.end)
    ):
        raise DataError(
            f"{body.start} to {body.end} is no span of quarter-hours",
            where=where,
            fix="Begin and end on whole quarter-hours",
        )
    story = await instructing.ask_by_hand(
        plant,
        body.resource,
        window=Interval(body.start, body.end),
        amount_kw=body.amount_kw,
        why=body.why,
        now=call.now,
    )
    return view_of(story)


async def answer(plant: Plant, call: Call[Nothing, AnswerRequest]) -> InstructionView:
    name = call.path["instruction_id"]
    _found(plant, name)
    return view_of(await instructing.answer(plant, name, _given(call.body, call.now), now=call.now))


async def take_back(plant: Plant, call: Call[WithdrawQuery, Nothing]) -> InstructionView:
    name, who = call.path["instruction_id"], call.query
    _found(plant, name)
    story = await instructing.take_back(plant, name, f"{who.by}: {who.reason}", now=call.now)
    return view_of(story)


def _given(body: AnswerRequest, now: datetime) -> Given:
    if body.decision == "accept":
        return Accepted(at=now, by=body.by, reason=body.reason)
    if body.decision == "decline":
        return Declined(at=now, by=body.by, reason=body.reason)
    assert body.amount_kw is not None  # the request makes sure of it
    return AcceptedLess(at=now, by=body.by, amount_kw=body.amount_kw, reason=body.reason)


def view_of(story: Story) -> InstructionView:
    """An instruction as it is shown."""
    one, given, found = story.instruction, story.answer, story.verification
    return InstructionView.model_validate(
        {
            "instruction_id": one.instruction_id,
            "resource": one.resource_id,
            "enterprise": one.enterprise_id,
            "person": one.person_id,
            "state": story.state.value,
            "amount_kw": one.amount_kw,
            "promised_kw": story.promised_kw,
            "expected_kw": round(one.expected_kw, 3),
            "start": one.window.start,
            "end": one.window.end,
            "answer_by": one.answer_by,
            "made_at": one.made_at,
            "why": one.why.reason.value,
            "reference": one.why.reference,
            "words": one.why.words,
            "reliability": one.reliability,
            "answered_by": None if isinstance(given, Unanswered | None) else given.by,
            "answered_at": None if given is None else given.at,
            "delivered_kw": found.delivered_kw if isinstance(found, Kept) else None,
            "not_verified": found.reason if isinstance(found, Unverified) else None,
            "resplit": None if story.resplit is None else _resplit(story.resplit),
            "steps": [
                InstructionStepView(number=s.number, happening=s.happening, at=s.at, words=s.words)
                for s in story.steps
            ],
        }
    )


def _resplit(of: Resplit) -> ResplitView:
    return ResplitView(
        plan_id=of.plan_id,
        after_s=of.after_s,
        lost_kw=of.lost_kw,
        taken_kw={str(name): kw for name, kw in of.taken_kw.items()},
        left_kw=of.left_kw,
    )


def _found(plant: Plant, name: str) -> Story:
    story = plant.instructions.find(name)
    if story is None:
        raise HttpRefusal(
            "there is no such instruction",
            code="unknown_instruction",
            where=f"instruction {name[:80]}",
            fix="Look at /v1/instructions",
        )
    return story


_ONE = "/v1/instructions/{instruction_id}"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/instructions",
        "What people are asked to do, and what came of it; how far each load is counted on",
        list_instructions,
        gives=InstructionsView,
    ),
    writing(
        "POST",
        "/v1/instructions",
        "Ask the person of a load to turn it down",
        ask,
        takes=InstructionRequest,
        gives=InstructionView,
        codes=("invalid_data", "conflict", "unavailable", "killed"),
        example={
            "resource": "press-line",
            "amount_kw": 300.0,
            "start": "2026-07-15T09:00:00Z",
            "end": "2026-07-15T11:00:00Z",
            "why": "a transformer is being repaired",
        },
    ),
    reading(
        _ONE,
        "One instruction, and how it came to where it stands",
        show_instruction,
        gives=InstructionView,
        codes=("unknown_instruction",),
    ),
    writing(
        "PUT",
        f"{_ONE}/answer",
        "Answer for a person who was heard by telephone",
        answer,
        takes=AnswerRequest,
        gives=InstructionView,
        codes=("unknown_instruction", "conflict", "invalid_data", "unavailable"),
    ),
    reading(
        _ONE,
        "Take an instruction back; its person is told",
        take_back,
        method="DELETE",
        gives=InstructionView,
        query=WithdrawQuery,
        codes=("unknown_instruction", "conflict", "unavailable"),
    ),
)
