"""What the time asks of instructions: reminders, deadlines, windows, meters, the newest plan's calls, who took over.

    every few seconds   each story as far as it goes ▸ the plan's calls that begin soon ▸ who does what fell out

What cannot be put on record is tried again at the next look.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from vpp.act.instructionlife import COUNTED, Happening, due
from vpp.act.kept import kept_of
from vpp.act.ladder import SafeState
from vpp.errors import ConflictError, UnavailableError
from vpp.model.instruction import Kept, Reason, State, Unanswered, Unverified, Verification
from vpp.model.message import Topic
from vpp.model.time import QUARTER, isoformat
from vpp.service.events import Severity
from vpp.service.instructions import instructing
from vpp.service.instructions import plan as instructionplan
from vpp.service.instructions.desk import Story
from vpp.service.instructions.words import message_of
from vpp.service.kill import ALL, Scope
from vpp.service.people import people
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.trade.drlifecycle import CALLED

METER_GRACE = timedelta(minutes=20)
"""After its end a window waits so long for its last quarter-hours to be metered."""

RETRY = timedelta(seconds=60)
"""A plan without what fell out is tried again after so long, where it failed."""


async def look(plant: Plant, now: datetime) -> None:
    """Move every story as far as it goes, tell people of the newest plan's calls, and who took over.

    What cannot be put on record is tried again at the next look.
    """
    desk = plant.instructions
    async with desk.moving:
        for story in desk.alive():
            await _say_what_was_not_said(plant, story, now)
            if story.state in COUNTED:
                with suppress(
                    UnavailableError, ConflictError
                ):  # said and counted there; or taken up
                    await _advance(plant, story, now)
            elif story.instruction.window.end <= now:
                desk.retire(story)
        _note_known(plant)
        with suppress(UnavailableError, ConflictError):
            await _ask_of_plan(plant, now)
            await _note_taken_over(plant, now)


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
        await instructing.say(plant, story, topic, now)


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
    if _needed_no_more(plant, story):
        why = f"{story.instruction.why.reference} is called off"
        await instructing.withdraw(plant, story, Happening.CALL_OFF, why, now)
        return
    if story.state is State.UNDER_WAY:
        story = await _meter(plant, story, now)
    remind_before = plant.file.instructions.remind_before
    while happening := due(story.instruction, story.state, now, remind_before=remind_before):
        match happening:
            case Happening.REMIND:
                story = await instructing.step(plant, story, happening, "no answer yet", now)
                await instructing.say(plant, story, Topic.REMIND, now)
            case Happening.PASS:
                words = f"no answer by {isoformat(story.instruction.answer_by)}"
                story = await instructing.step(
                    plant, story, happening, words, now, Unanswered(at=now)
                )
                await instructing.say(plant, story, Topic.LAPSED, now)
            case Happening.BEGIN:
                words = f"{story.promised_kw:g} kW are promised"
                story = await instructing.step(plant, story, happening, words, now)
            case _:  # VERIFY, the last of them
                if not _metered_whole(story, now):
                    return
                found = kept_of(story.instruction, story.drawn_kw)
                await instructing.step(
                    plant, story, happening, _kept_words(story, found), now, found
                )
                return


def _needed_no_more(plant: Plant, story: Story) -> bool:
    """Whether the call that it was made for is not owed any more, before its window begins."""
    why = story.instruction.why
    if why.reason is not Reason.DEMAND_RESPONSE or story.state is State.UNDER_WAY:
        return False
    called = plant.dr.book.find(why.reference)
    return called is None or called.stage not in CALLED


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
        await instructing.ask(plant, instructing.instruction_of(plant, wish, now), now=now)


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
    await append(plant, instructing.METERED, key, msgspec.json.encode(drawn_kw), now=now)
    plant.instructions.meter(instruction.instruction_id, start, drawn_kw)
    return instructing.find(plant, instruction.instruction_id)


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
            await instructing.step(plant, story, Happening.RESPLIT, words, now, found)
            plant.acting.nudge.ask()
        del desk.lost[name]
