"""Instructions to people from plan to meter: every step is on disk before it counts.

    plan's call, or an operator ─▶ journal ─▶ message (`people.py`) ─▶ answer ─▶ journal
                                      deadline ─▶ unanswered ─┐
    declined, accepted less ──────────────────────────────────┴▶ a plan at once: others take it (within 60 s)
    window ─▶ meter of each quarter-hour ─▶ journal ─▶ kept ─▶ reliability of the load

`look` is called every few seconds and moves every story as far as it goes; `answer` is the door for whoever
answers, on a page or by telephone. What is promised is counted on by the plan (`instructionplan.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from vpp.act.instructionlife import (
    Happening,
    due,
    happening_of,
    require_in_time,
)
from vpp.act.kept import kept_of
from vpp.act.ladder import SafeState
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import PersonId, ResourceId
from vpp.model.instruction import (
    Accepted,
    Given,
    Instruction,
    Kept,
    Reason,
    State,
    Unanswered,
    Unverified,
    Verification,
    Why,
    require_fits,
)
from vpp.model.message import Topic
from vpp.model.time import QUARTER, Interval, isoformat, parse_utc
from vpp.service import instructionplan, people
from vpp.service.events import Severity
from vpp.service.instructiondesk import Detail, Lost, Step, Story, step_from_record, step_to_record
from vpp.service.instructionwords import message_of, words_of
from vpp.service.kill import ALL, Scope
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.drlifecycle import CALLED

INSTRUCTION, STEP, METERED = "instruction", "instruction_step", "instruction_metered"
"""Kinds of journal entries, by instruction, instruction and number, instruction and quarter-hour."""

METER_GRACE = timedelta(minutes=20)
"""After its end a window waits so long for its last quarter-hours to be metered."""

RETRY = timedelta(seconds=60)
"""A plan without what fell out is tried again after so long, where it failed."""


# ---------------------------------------------------------------- doors


async def ask(plant: Plant, instruction: Instruction, *, now: datetime) -> Story:
    """Put an instruction on disk, then let its person be told.

    Raises:
        UnavailableError: The journal cannot be written: nobody was asked.
    """
    name = instruction.instruction_id
    await append(plant, INSTRUCTION, name, msgspec.json.encode(instruction), now=now)
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
        return await _step(plant, story, Happening.ACCEPT, "it is a simulation", now, given)
    await _say(plant, story, Topic.ASK, now)
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
    """
    name, where = ResourceId(resource_id), f"instruction for {resource_id[:80]}"
    section = instructionplan.reached(plant).get(name)
    if section is None:
        raise DataError(
            "no person turns it by hand", where=where, fix="Name a resource of `instructions`"
        )
    made = plant.made_from
    if made is None or not made[0].horizon.span.covers(window):
        raise UnavailableError(
            "no plan reaches the window", where=where, fix="Ask for a nearer one, after a plan"
        )
    known = [s for s in plant.instructions.of(name) if s.instruction.window.overlaps(window)]
    if any(s.promised_kw > 0 for s in known):
        raise ConflictError("it is asked already", where=where, fix="Take that one back first")
    course = instructionplan.expected_kw(made[0], name, window)
    most_kw = instructionplan.load_of(plant, name).curtailable_share * sum(course) / len(course)
    if not 0 < amount_kw <= most_kw:
        raise DataError(
            f"{amount_kw:g} kW of {most_kw:g} kW that it can give up",
            where=where,
            fix="Ask for more than nothing, and no more than it draws",
        )
    wish = instructionplan.Wish(
        resource_id=name,
        window=window,
        amount_kw=amount_kw,
        course_kw=course,
        reliability=instructionplan.reliability_of(plant, name),
        why=Why(reason=Reason.OPERATOR, words=why),
    )
    async with plant.instructions.moving:
        story = await ask(plant, _instruction(plant, wish, now), now=now)
    plant.replan = f"{name} is asked by hand"
    return story


async def answer(plant: Plant, instruction_id: str, given: Given, *, now: datetime) -> Story:
    """Take a person's answer; it counts when it is on disk.

    Raises:
        DataError: There is no such instruction, or the amount is no answer to it.
        ConflictError: It was answered before, or it is too late.
        UnavailableError: The journal cannot be written: not answered.
    """
    async with plant.instructions.moving:
        story = find(plant, instruction_id)
        require_fits(story.instruction, given)
        require_in_time(story.instruction, story.state, now)
        words = f"{given.by}: {happening_of(given).replace('_', ' ')}"
        return await _step(plant, story, happening_of(given), words, now, given)


async def take_back(plant: Plant, instruction_id: str, why: str, *, now: datetime) -> Story:
    """Ask for nothing any more, and say so.

    Raises:
        DataError: There is no such instruction.
        ConflictError: It is over.
        UnavailableError: The journal cannot be written: it stands.
    """
    async with plant.instructions.moving:
        story = find(plant, instruction_id)
        return await _take_back(plant, story, why, now)


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


# ---------------------------------------------------------------- in step with time


async def look(plant: Plant, now: datetime) -> None:
    """Move every story as far as it goes, tell people of the newest plan's calls, and who took over.

    What cannot be put on record is tried again at the next look.
    """
    desk = plant.instructions
    async with desk.moving:
        for story in list(desk.stories.values()):
            with suppress(UnavailableError):  # said and counted there
                await _advance(plant, story, now)
        _note_known(plant)
        with suppress(UnavailableError):
            await _ask_of_plan(plant, now)
            await _note_taken_over(plant, now)


def waiting(plant: Plant, now: datetime) -> bool:
    """Whether a share fell out that no plan has given to others, and it is time to try (again)."""
    lost = plant.instructions.lost.values()
    return any(one.tried_at is None or now - one.tried_at >= RETRY for one in lost)


def try_again(plant: Plant, now: datetime) -> None:
    """Ask for a plan that makes up for all that fell out."""
    desk = plant.instructions
    desk.lost = {name: replace(one, tried_at=now) for name, one in desk.lost.items()}
    plant.replan = f"not promised: {', '.join(desk.lost)}"


async def _advance(plant: Plant, story: Story, now: datetime) -> None:
    await _say_what_was_not_said(plant, story, now)
    if story.state in (State.TAKEN_BACK, State.DECLINED, State.UNANSWERED, State.VERIFIED):
        return
    if _needed_no_more(plant, story):
        await _take_back(plant, story, f"{story.instruction.why.reference} is called off", now)
        return
    if story.state is State.UNDER_WAY:
        story = await _meter(plant, story, now)
    remind_before = plant.file.instructions.remind_before
    while happening := due(story.instruction, story.state, now, remind_before=remind_before):
        match happening:
            case Happening.REMIND:
                story = await _step(plant, story, happening, "no answer yet", now)
                await _say(plant, story, Topic.REMIND, now)
            case Happening.PASS:
                words = f"no answer by {isoformat(story.instruction.answer_by)}"
                story = await _step(plant, story, happening, words, now, Unanswered(at=now))
                await _say(plant, story, Topic.LAPSED, now)
            case Happening.BEGIN:
                words = f"{story.promised_kw:g} kW are promised"
                story = await _step(plant, story, happening, words, now)
            case _:  # VERIFY, the last of them
                if not _metered_whole(story, now):
                    return
                found = kept_of(story.instruction, story.drawn_kw)
                await _step(plant, story, happening, _kept_words(story, found), now, found)
                return


def _needed_no_more(plant: Plant, story: Story) -> bool:
    """Whether the call that it was made for is not owed any more, before its window begins."""
    why = story.instruction.why
    if why.reason is not Reason.DEMAND_RESPONSE or story.state is State.UNDER_WAY:
        return False
    called = plant.dr.book.find(why.reference)
    return called is None or called.stage not in CALLED


async def _take_back(plant: Plant, story: Story, why: str, now: datetime) -> Story:
    story = await _step(plant, story, Happening.TAKE_BACK, why, now)
    await _say(plant, story, Topic.WITHDRAWN, now)
    return story


async def _ask_of_plan(plant: Plant, now: datetime) -> None:
    """Tell people of the calls of a plan that was not looked at yet, and of those that begin soon now."""
    schedule, made = plant.schedule, plant.made_from
    if schedule is None or made is None or plant.replan is not None:
        return  # what is about to be replaced is told to nobody
    if plant.safe_state in (SafeState.RELEASE, SafeState.KILLED):
        return  # nobody is steered by a plan that is too old
    settings, latched = plant.file.instructions, plant.kill.latched()
    for wish in list(instructionplan.wishes(plant, schedule, made[0], now)):
        owner = plant.file.park.resource_by_id[wish.resource_id].enterprise_id
        if ALL in latched or Scope("enterprise", owner) in latched:
            continue  # what stops set-points stops instructions
        section = instructionplan.reached(plant)[wish.resource_id]
        late = wish.window.start - settings.answer_before(section) <= now
        if late or wish.amount_kw < settings.least_kw:
            why = "no time is left to answer" if late else f"{wish.amount_kw:g} kW is too little"
            _tell_once(plant, wish, why, now)
            continue
        await ask(plant, _instruction(plant, wish, now), now=now)


def _instruction(plant: Plant, wish: instructionplan.Wish, now: datetime) -> Instruction:
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


def _tell_once(plant: Plant, wish: instructionplan.Wish, why: str, now: datetime) -> None:
    """That nobody is asked for a call of the plan: once a window."""
    key = f"{wish.resource_id}/{isoformat(wish.window.start)}"
    if plant.instructions.told.get(wish.resource_id) == key:
        return
    plant.instructions.told[wish.resource_id] = key
    plant.events.emit(
        "instruction",
        f"{wish.resource_id} is not asked for {wish.amount_kw:g} kW from"
        f" {isoformat(wish.window.start)}: {why}",
        at=now,
        severity=Severity.WARNING,
        resource_id=wish.resource_id,
    )


# ---------------------------------------------------------------- the meter


async def _meter(plant: Plant, story: Story, now: datetime) -> Story:
    """Keep what the load drew in the newest quarter-hour of its window."""
    closed, instruction = plant.closed, story.instruction
    if closed is None or not instruction.window.covers(closed.interval):
        return story
    start, mean = closed.interval.start, closed.means.get(instruction.resource_id)
    if mean is None or start in story.drawn_kw:
        return story
    drawn_kw = -mean.power_kw
    key = f"{instruction.instruction_id}/{isoformat(start)}"
    await append(plant, METERED, key, msgspec.json.encode(drawn_kw), now=now)
    plant.instructions.meter(instruction.instruction_id, start, drawn_kw)
    return find(plant, instruction.instruction_id)


def _metered_whole(story: Story, now: datetime) -> bool:
    window = story.instruction.window
    whole = len(story.drawn_kw) == (window.end - window.start) // QUARTER
    return whole or now >= window.end + METER_GRACE


def _kept_words(story: Story, found: Verification) -> str:
    match found:
        case Kept():
            return (
                f"{found.delivered_kw:.1f} kW of {story.promised_kw:g} kW promised, in"
                f" {found.metered} of {found.quarters} quarter-hours"
            )
        case Unverified():
            return f"not verified: {found.reason}"


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


def _note_known(plant: Plant) -> None:
    """Take over what the newest view knew, once its plan stands: it may be under way, or was refused."""
    desk, made = plant.instructions, plant.made_from
    if made is not None and desk.seen is not None and made[0].most_turned_down_kw is desk.seen[0]:
        desk.known = desk.seen[1]


async def _note_taken_over(plant: Plant, now: datetime) -> None:
    """Say who does what fell out, once a plan knows of it."""
    desk, schedule = plant.instructions, plant.schedule
    if schedule is None:
        return
    for name, lost in list(desk.lost.items()):
        if desk.known.get(name, 0) < lost.steps:
            continue
        story = desk.find(name)
        if story is not None and story.instruction.window.end > now and lost.before is not None:
            after_s = (plant.clock.now() - lost.since).total_seconds()
            found = instructionplan.resplit(
                lost.before, schedule, story, lost_kw=lost.kw, after_s=after_s
            )
            words = instructionplan.taken_over(found)
            plant.metrics.instructions.resplit(after_s, found.left_kw)
            await _step(plant, story, Happening.RESPLIT, words, now, found)
            plant.acting.nudge.ask()
        del desk.lost[name]


# ---------------------------------------------------------------- steps


_LOUD = frozenset({State.DECLINED, State.UNANSWERED, State.ACCEPTED_LESS})
"""Something fell out that was counted on."""


async def _step(
    plant: Plant,
    story: Story,
    happening: Happening,
    words: str,
    now: datetime,
    detail: Detail = None,
) -> Story:
    """Put a step on disk, then book and tell it. `moving` is held."""
    name = story.instruction.instruction_id
    step = Step(
        instruction_id=name,
        number=len(story.steps) + 1,
        happening=happening,
        at=now,
        words=words,
        detail=detail,
    )
    told = story.with_step(step)  # what the table does not hold must not be on disk
    await append(plant, STEP, step.key, step_to_record(step), now=now)
    plant.reach(f"instruction {happening} journalled")
    plant.instructions.happen(step)
    plant.metrics.instructions.happened(happening)
    if happening is Happening.TAKE_BACK:
        plant.replan = f"{name} is taken back"
    elif told.state in _LOUD and happening is not Happening.RESPLIT:
        _note_lost(plant, story, told, now)
    plant.events.emit(
        "instruction",
        f"{name} is {told.state.replace('_', ' ')}: {words}",
        at=now,
        severity=Severity.WARNING if told.state in _LOUD else Severity.INFO,
        instruction_id=name,
        resource_id=story.instruction.resource_id,
        state=told.state.value,
        happening=happening.value,
    )
    return told


_TOPICS = {
    State.ASKED: Topic.ASK,
    State.REMINDED: Topic.REMIND,
    State.UNANSWERED: Topic.LAPSED,
    State.TAKEN_BACK: Topic.WITHDRAWN,
}
"""What a person has been told of whose instruction stands so."""


async def _say_what_was_not_said(plant: Plant, story: Story, now: datetime) -> None:
    """Say it now: the service may have ended between a step and its message, or the message was not taken."""
    topic = _TOPICS.get(story.state)
    if topic is None or now >= story.instruction.window.end:
        return
    message = message_of(story.instruction, topic, story.instruction.resource_id)
    if people.delivered(plant, message.message_id) is None and now < message.deliver_until:
        await _say(plant, story, topic, now)


async def _say(plant: Plant, story: Story, topic: Topic, now: datetime) -> None:
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
