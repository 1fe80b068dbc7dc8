"""Instructions to people from plan to meter: every step is on disk before it counts.

    plan's call, or an operator ─▶ journal ─▶ message (`people/people.py`) ─▶ answer ─▶ journal
                                      deadline ─▶ unanswered ─┐
    declined, accepted less ──────────────────────────────────┴▶ a plan at once: others take it (within 60 s)
    window ─▶ meter of each quarter-hour ─▶ journal ─▶ kept ─▶ reliability of the load

Here are the doors, and how a step is made; `answer` is for whoever answers, on a page or by telephone. What the
time asks for is in `turn.py`; what is promised is counted on by the plan (`plan.py`).
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from vpp.act.instructionlife import (
    PROMISED,
    Happening,
    happening_of,
    require_in_time,
)
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import PersonId, ResourceId
from vpp.model.instruction import (
    Accepted,
    Given,
    Instruction,
    Reason,
    State,
    Why,
    require_fits,
)
from vpp.model.message import Topic
from vpp.model.time import Interval, parse_utc
from vpp.service.events import Severity
from vpp.service.instructions import plan as instructionplan
from vpp.service.instructions.desk import (
    Detail,
    Lost,
    Step,
    Story,
    step_from_record,
    step_to_record,
)
from vpp.service.instructions.words import message_of, words_of
from vpp.service.kill import ALL, Scope
from vpp.service.people import people
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.calendar import Refusal, TradeRefusal

INSTRUCTION, STEP, METERED = "instruction", "instruction_step", "instruction_metered"
"""Kinds of journal entries, by instruction, instruction and number, instruction and quarter-hour."""


# ---------------------------------------------------------------- doors


async def ask(plant: Plant, instruction: Instruction, *, now: datetime) -> Story:
    """Put an instruction on disk, then let its person be told.

    Raises:
        UnavailableError: The journal cannot be written: nobody was asked.
    """
    name = instruction.instruction_id
    try:
        await append(plant, INSTRUCTION, name, msgspec.json.encode(instruction), now=now)
    except ConflictError:  # an earlier try reached the disk though it said no: that one stands
        entry = plant.journal.find(INSTRUCTION, name)
        assert entry is not None
        instruction = msgspec.json.decode(entry.body, type=Instruction)
    plant.reach("instruction journalled")
    story = plant.instructions.take(instruction)
    plant.metrics.instructions.happened("ask")
    plant.events.emit(
        "instruction",
        f"{name}: {words_of(instruction)}",
        at=now,
        instruction_id=name,
        resource_id=instruction.resource_id,
        state=story.state.value,
    )
    if instructionplan.is_simulated(plant, instruction.person_id):
        given = Accepted(at=now, by="simulated")
        return await step(plant, story, Happening.ACCEPT, "it is a simulation", now, given)
    await say(plant, story, Topic.ASK, now)
    return story


async def ask_by_hand(
    plant: Plant,
    resource_id: str,
    *,
    window: Interval,
    amount_kw: float,
    why: str,
    now: datetime,
) -> Story:
    """An operator asks a person for something the plan did not ask for.

    Raises:
        DataError: Nobody turns this load by hand, it cannot give so much, or the window does not fit.
        ConflictError: Its person is asked for something in this window already.
        UnavailableError: The journal cannot be written, or the park has no plan yet.
        TradeRefusal: `killed`.
    """
    name, where = ResourceId(resource_id), f"instruction for {resource_id[:80]}"
    section = instructionplan.reached(plant).get(name)
    if section is None:
        raise DataError(
            "no person turns it by hand", where=where, fix="Name a resource of `instructions`"
        )
    async with plant.instructions.moving:  # of two that ask at once the second finds the first
        _require_not_killed(plant, name)
        wish = _wish_by_hand(plant, name, window=window, amount_kw=amount_kw, why=why)
        story = await ask(plant, instruction_of(plant, wish, now), now=now)
    plant.replan = f"{name} is asked by hand"
    return story


def _require_not_killed(plant: Plant, name: ResourceId) -> None:
    """What stops set-points stops instructions. Raises TradeRefusal."""
    owner = plant.file.park.resource_by_id[name].enterprise_id
    for scope in (ALL, Scope("enterprise", owner)):
        if (reason := plant.kill.reason_of(scope)) is not None:
            raise TradeRefusal(
                f"the kill switch is set for {scope}: {reason}",
                code=Refusal.KILLED,
                where=f"instruction for {name}",
                fix="Have two operators release it",
            )


def _wish_by_hand(
    plant: Plant, name: ResourceId, *, window: Interval, amount_kw: float, why: str
) -> instructionplan.Wish:
    """What an operator asks for. `moving` is held; raises as `ask_by_hand`."""
    desk, made, where = plant.instructions, plant.made_from, f"instruction for {name}"
    if made is None or not made[0].horizon.span.covers(window):
        raise UnavailableError(
            "no plan reaches the window", where=where, fix="Ask for a nearer one, after a plan"
        )
    known = [s for s in desk.of(name) if s.instruction.window.overlaps(window)]
    if any(s.promised_kw > 0 for s in known):
        raise ConflictError("it is asked already", where=where, fix="Take that one back first")
    newer = [k for s in known for k in s.steps[desk.known.get(s.instruction.instruction_id, 0) :]]
    if any(one.happening is not Happening.RESPLIT for one in newer):
        raise UnavailableError(
            "the plan that stands still counts on what was asked before",
            where=where,
            fix="Ask again in a minute, after the next plan",
        )
    course = instructionplan.expected_kw(made[0], name, window)
    most_kw = instructionplan.load_of(plant, name).curtailable_share * sum(course) / len(course)
    if not 0 < amount_kw <= most_kw:
        raise DataError(
            f"{amount_kw:g} kW of {most_kw:g} kW that it can give up",
            where=where,
            fix="Ask for more than nothing, and no more than it draws",
        )
    return instructionplan.Wish(
        resource_id=name,
        window=window,
        amount_kw=amount_kw,
        course_kw=course,
        reliability=instructionplan.reliability_of(plant, name),
        why=Why(reason=Reason.OPERATOR, words=why),
    )


async def answer(plant: Plant, instruction_id: str, given: Given, *, now: datetime) -> Story:
    """Take a person's answer; it counts when it is on disk.

    Raises:
        DataError: There is no such instruction, or the amount is no answer to it: a promise is never raised.
        ConflictError: It was answered before, or it is too late.
        UnavailableError: The journal cannot be written: not answered.
    """
    async with plant.instructions.moving:
        story = find(plant, instruction_id)
        before = story.answer if story.state in PROMISED else None
        require_fits(story.instruction, before, given)
        require_in_time(story.instruction, story.state, now)
        return await step(plant, story, happening_of(given), _answered_words(given), now, given)


def _answered_words(given: Given) -> str:
    """Who answered what, and what was said beside it, for the control room."""
    words = f"{given.by}: {happening_of(given).replace('_', ' ')}"
    return f"{words} ({given.reason})" if given.reason else words


async def take_back(plant: Plant, instruction_id: str, why: str, *, now: datetime) -> Story:
    """Ask for nothing any more, and say so; no plan asks again for its window.

    Raises:
        DataError: There is no such instruction.
        ConflictError: It is over.
        UnavailableError: The journal cannot be written: it stands.
    """
    async with plant.instructions.moving:
        story = find(plant, instruction_id)
        return await withdraw(plant, story, Happening.TAKE_BACK, why, now)


def find(plant: Plant, instruction_id: str) -> Story:
    """One instruction.

    Raises:
        DataError: There is none of that name.
    """
    story = plant.instructions.find(instruction_id)
    if story is None:
        raise DataError(
            "there is no such instruction",
            where=f"instruction {instruction_id[:80]}",
            fix="Look at GET /v1/instructions",
        )
    return story


async def withdraw(
    plant: Plant, story: Story, happening: Happening, why: str, now: datetime
) -> Story:
    """Take a story back, or call it off, and say so. `moving` is held; raises as `step`."""
    story = await step(plant, story, happening, why, now)
    await say(plant, story, Topic.WITHDRAWN, now)
    return story


def instruction_of(plant: Plant, wish: instructionplan.Wish, now: datetime) -> Instruction:
    """The next instruction, as the park file says who is asked and until when.

    Raises:
        DataError: No time is left to answer.
    """
    section = instructionplan.reached(plant)[wish.resource_id]
    resource = plant.file.park.resource_by_id[wish.resource_id]
    before = plant.file.instructions.answer_before(section)
    return Instruction(
        instruction_id=f"{wish.resource_id}-{plant.instructions.made + 1}",
        resource_id=wish.resource_id,
        enterprise_id=resource.enterprise_id,
        person_id=PersonId(section.person),
        amount_kw=wish.amount_kw,
        course_kw=wish.course_kw,
        window=wish.window,
        answer_by=wish.window.start - before,
        made_at=now,
        why=wish.why,
        reliability=wish.reliability,
    )


# ---------------------------------------------------------------- what falls out


def _note_lost(plant: Plant, before: Story, after: Story, now: datetime) -> None:
    """Ask for a plan at once where less is promised than was counted on."""
    lost_kw = instructionplan.counts_kw(before) - instructionplan.counts_kw(after)
    if lost_kw <= 0:
        return
    name = after.instruction.instruction_id
    plant.replan = f"{name}: {lost_kw:.0f} kW are not promised"
    known = plant.instructions.lost.get(name)
    plant.instructions.lost[name] = Lost(
        since=now if known is None else known.since,
        kw=lost_kw + (0.0 if known is None else known.kw),
        steps=len(after.steps),
        before=plant.schedule if known is None else known.before,
    )


# ---------------------------------------------------------------- steps


_LOUD = frozenset({State.DECLINED, State.UNANSWERED, State.ACCEPTED_LESS})
"""Something fell out that was counted on."""


async def step(
    plant: Plant,
    story: Story,
    happening: Happening,
    words: str,
    now: datetime,
    detail: Detail = None,
) -> Story:
    """Put a step on disk, then book and tell it. `moving` is held.

    Where an earlier try reached the disk though it said no, that one stands, and is booked.

    Raises:
        ConflictError: The table does not hold it, or what stands is something else.
        UnavailableError: The journal cannot be written: it did not happen, as far as anybody knows.
    """
    made = Step(
        instruction_id=story.instruction.instruction_id,
        number=len(story.steps) + 1,
        happening=happening,
        at=now,
        words=words,
        detail=detail,
    )
    told = story.with_step(made)  # what the table does not hold must not be on disk
    try:
        await append(plant, STEP, made.key, step_to_record(made), now=now)
    except ConflictError:
        entry = plant.journal.find(STEP, made.key)
        assert entry is not None
        made = step_from_record(entry.key, entry.body)
        told = story.with_step(made)
    plant.reach(f"instruction {made.happening} journalled")
    _book(plant, story, told, made, now)
    if made.happening is not happening:
        raise ConflictError(
            f"it is {told.state.replace('_', ' ')} already",
            where=f"instruction {made.instruction_id}",
            fix="Look at the instruction",
        )
    return told


def _book(plant: Plant, before: Story, told: Story, made: Step, now: datetime) -> None:
    """A step is on disk: it counts, and is told."""
    name = made.instruction_id
    plant.instructions.happen(made)
    plant.metrics.instructions.happened(made.happening)
    if told.state is State.TAKEN_BACK:
        plant.replan = f"{name} is taken back"
        plant.instructions.lost.pop(name, None)  # what is not asked any more nobody takes over
    elif told.state in _LOUD and made.happening is not Happening.RESPLIT:
        _note_lost(plant, before, told, now)
    plant.events.emit(
        "instruction",
        f"{name} is {told.state.replace('_', ' ')}: {made.words}",
        at=now,
        severity=Severity.WARNING if told.state in _LOUD else Severity.INFO,
        instruction_id=name,
        resource_id=told.instruction.resource_id,
        state=told.state.value,
        happening=made.happening.value,
    )


async def say(plant: Plant, story: Story, topic: Topic, now: datetime) -> None:
    """Let the person be told; what cannot be told is told in the control room."""
    if instructionplan.is_simulated(plant, story.instruction.person_id):
        return
    place = story.instruction.resource_id
    message = message_of(story.instruction, topic, place)
    try:
        await people.tell(plant, message, now)
    except (UnavailableError, DataError) as error:
        if plant.instructions.told.get(message.message_id) == str(error):
            return
        plant.instructions.told[message.message_id] = str(error)
        plant.events.emit(
            "instruction",
            f"{story.instruction.person_id} was not told of {story.instruction.instruction_id}"
            f" ({topic}): {error}",
            at=now,
            severity=Severity.ALARM,
            instruction_id=story.instruction.instruction_id,
        )


# ---------------------------------------------------------------- after a restart


def recover(plant: Plant) -> None:
    """Take up what the journal holds; the first plan after it knows what fell out meanwhile."""
    desk = plant.instructions
    for entry in plant.journal.entries(INSTRUCTION, STEP, METERED):
        match entry.kind:
            case "instruction":
                desk.take(msgspec.json.decode(entry.body, type=Instruction))
            case "instruction_step":
                desk.happen(step_from_record(entry.key, entry.body))
            case _:
                name, _, quarter = entry.key.rpartition("/")
                at = parse_utc(quarter, where="journal")
                desk.meter(name, at, msgspec.json.decode(entry.body, type=float))
