"""Messages to people: on record before they leave, tried until somebody has them, given up when they are late.

    tell ─▶ journal ─▶ an errand for each channel ─▶ letter with a fresh link ─▶ Messenger
                             ▲                                                    │
                             │ later, with growing pauses: not yet, unsure ◀──────┤
                             │                                                    ▼
                       after a restart                     handed, refused, too late ─▶ journal

A channel that hangs holds its own letters and nobody else's: each try ends in a bounded time, an ill channel is
tried with one letter at a time, and no cycle waits for any of it. A message that was under way when the service
ended is sent again with the same id and another link; both links open the same question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from traceback import format_exception
from typing import assert_never

import msgspec
import structlog

from vpp.act.instructionlife import OPEN
from vpp.clock import Clock
from vpp.errors import DataError, UnavailableError
from vpp.model.instruction import State
from vpp.model.message import (
    Delivered,
    Handed,
    Handover,
    Letter,
    NotReached,
    NotYet,
    OnItsWay,
    PersonMessage,
    Reached,
    Refused,
    Unsure,
)
from vpp.service.events import Severity
from vpp.service.people import words as peoplewords
from vpp.service.people.desk import Errand, PeopleDesk, Tracked
from vpp.service.people.onetimelinks import LINK, Link, hash_of
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.run import every

MESSAGE, MESSAGE_END = "person_message", "person_message_end"
"""Kinds of journal entries: what is to be said, by its id; how one channel ended with it, by id and channel."""

TICK = timedelta(seconds=5)
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(minutes=5)
MOST_WAITING = 2000
"""Messages on their way at once; beyond, nothing more is taken."""

FAILURES_TOLD = 3
"""Failures of a channel in a row after which people are told: one letter may be put off for itself alone."""

KEPT = timedelta(days=1)
"""So long after its window a message is known."""

MOOT = "its question was answered or taken back meanwhile"

PATIENCE_S = 0.2
"""A look waits so long, of the wall's time, for letters that are quickly handed over."""

log = structlog.get_logger(__name__)


class _End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one channel ended with a message."""

    at: datetime
    handed: bool
    what: str


async def tell(plant: Plant, message: PersonMessage, now: datetime) -> None:
    """Put a message on record and let it leave at once; the same id again changes nothing.

    Raises:
        DataError: Nobody of that name is in the park file.
        ConflictError: The id was used for another message.
        UnavailableError: The journal refuses, or too much waits already; nothing was said.
    """
    desk = plant.people
    if message.person_id not in desk.persons:
        raise DataError(
            f"there is no person {message.person_id}",
            where=message.message_id,
            fix="Name somebody of people.persons",
        )
    if desk.waiting >= MOST_WAITING and message.message_id not in desk.tracked:
        raise UnavailableError(
            f"{MOST_WAITING} messages wait to be handed over",
            where="people",
            fix="Look at the mail server and the receivers",
        )
    await append(plant, MESSAGE, message.message_id, msgspec.json.encode(message), now=now)
    if message.message_id not in desk.tracked:
        _conclude(plant, _track(desk, message, now, ended={}), now)
    fill(plant)


def delivered(plant: Plant, message_id: str) -> Delivered | None:
    """Where a message stands over all channels; None where none of that id is known any more."""
    found = plant.people.tracked.get(message_id)
    return None if found is None else found.delivered


async def follow(plant: Plant, clock: Clock, stop: asyncio.Event) -> None:
    """Look each tick until `stop`; what is under way then is given up and sent again after the next start."""
    try:
        await every(TICK, look, plant, clock=clock, stop=stop)
    finally:
        await close(plant.people)


async def close(desk: PeopleDesk) -> None:
    """End every try; no other begins, for channels close next."""
    desk.closed = True
    for task in desk.sending:
        task.cancel()
    await asyncio.gather(*desk.sending, return_exceptions=True)


async def look(plant: Plant, now: datetime) -> None:
    """Give up what is late, try what is due, forget what is long over."""
    desk = plant.people
    for tracked in list(desk.tracked.values()):
        if now >= tracked.message.window.end + KEPT:
            del desk.tracked[tracked.message.message_id]
            continue
        for errand in tracked.errands:
            if errand.ended or errand.busy:
                continue
            if _is_moot(plant, tracked.message):
                await _end_unsent(plant, tracked, errand, now)
            elif now >= tracked.message.deliver_until:
                await _end(plant, tracked, errand, handed=False, what=_late(errand), now=now)
    desk.links.forget(now)
    fill(plant)
    plant.metrics.people.waits(desk.waiting)
    if desk.sending:
        await asyncio.wait(desk.sending, timeout=PATIENCE_S)


def fill(plant: Plant) -> None:
    """Begin as many tries as channels have room for; the least tried and the most urgent first."""
    if plant.people.closed:
        return
    now = plant.clock.now()
    due = [
        (errand.tries, errand.message.deliver_until, errand.message.message_id, tracked, errand)
        for tracked in plant.people.tracked.values()
        for errand in tracked.errands
        if not (errand.ended or errand.busy)
        and errand.due <= now < errand.message.deliver_until
        and not _is_moot(plant, errand.message)
    ]
    for _, _, _, tracked, errand in sorted(due, key=lambda one: one[:3]):
        channel = errand.address.channel
        if channel.room > 0:
            errand.busy = True
            channel.sending += 1
            task = asyncio.create_task(
                _run(plant, tracked, errand), name=f"people-{errand.message.message_id}"
            )
            plant.people.sending.add(task)
            task.add_done_callback(partial(_done, plant, errand))


def _done(plant: Plant, errand: Errand, task: asyncio.Task[None]) -> None:
    """The next letter leaves when one is done, and not at the next tick."""
    plant.people.sending.discard(task)
    errand.address.channel.sending -= 1
    errand.busy = False
    if not task.cancelled():
        fill(plant)


async def _run(plant: Plant, tracked: Tracked, errand: Errand) -> None:
    """One try. A fault of ours costs this errand and nothing else."""
    (outcome,) = await asyncio.gather(_try(plant, tracked, errand), return_exceptions=True)
    if isinstance(outcome, BaseException):
        # As plain text, without local variables: a letter holds a link, which is a secret.
        log.error("a letter broke its sender", trace="".join(format_exception(outcome))[-2000:])
        outcome = Refused(what=f"a fault of our own: {type(outcome).__name__}")
    now = plant.clock.now()
    errand.tries += 1
    errand.newest = outcome
    _note_health(plant, errand, outcome, now)
    match outcome:
        case Handed():
            await _end(plant, tracked, errand, handed=True, what=outcome.what, now=now)
        case Refused():
            await _end(plant, tracked, errand, handed=False, what=outcome.what, now=now)
        case NotYet():
            errand.due = max(now + _pause(errand), outcome.retry_at or now)
        case Unsure():
            errand.due = now + _pause(errand)
        case _:
            assert_never(outcome)


async def _try(plant: Plant, tracked: Tracked, errand: Errand) -> Handover:
    try:
        letter = await _letter(plant, tracked)
    except UnavailableError as error:  # the journal, which said so
        return NotYet(what=str(error))
    outcome = await errand.address.channel.port.send(letter, to=errand.address.to)
    return outcome if letter.link is None else _without(letter.link, outcome)


def _without(link: str, outcome: Handover) -> Handover:
    """An outcome without the link: servers repeat what they refuse, and a link is a secret."""
    return replace(outcome, what=outcome.what.replace(link.rpartition("/")[2], "(link)"))


async def _letter(plant: Plant, tracked: Tracked) -> Letter:
    """The letter of a message, written once; the hash of its link is on disk before it leaves.

    Raises:
        UnavailableError: The journal refuses.
    """
    async with tracked.writing:
        if tracked.letter is None:
            now, message = plant.clock.now(), tracked.message
            link = await _link(plant, message, now) if message.topic.wants_answer else None
            tracked.letter = _written(plant, message, link, now)
        return tracked.letter


async def _link(plant: Plant, message: PersonMessage, now: datetime) -> str:
    """The address of a fresh one-time page."""
    desk = plant.people
    token = desk.links.mint()
    link = Link(
        instruction_id=message.instruction_id,
        person_id=message.person_id,
        ends_at=message.answer_by,
    )
    await append(plant, LINK, hash_of(token), msgspec.json.encode(link), now=now)
    desk.links.links[hash_of(token)] = link
    return f"{desk.page_url}/{token}"


def _written(plant: Plant, message: PersonMessage, link: str | None, now: datetime) -> Letter:
    person, zone = plant.people.persons[message.person_id], plant.file.park.timezone
    return Letter(
        message=message,
        name=person.name,
        language=person.language,
        subject=peoplewords.subject(message, person.language, zone),
        text=peoplewords.text(message, person.name, person.language, zone, link),
        link=link,
        written_at=now,
    )


# ---------------------------------------------------------------- how it ends


async def _end(
    plant: Plant, tracked: Tracked, errand: Errand, *, handed: bool, what: str, now: datetime
) -> None:
    """One channel is done with a message. Should the disk not take that, it is sent again after a restart."""
    errand.ended = True
    channel = errand.address.channel.name
    end = _End(at=now, handed=handed, what=what[:500])
    if handed and isinstance(tracked.delivered, OnItsWay | NotReached):
        tracked.delivered = Reached(channel=channel, at=now)
    key = f"{errand.message.message_id}/{channel}"
    plant.metrics.people.ended(handed=handed)
    with suppress(UnavailableError):  # said and counted there
        await append(plant, MESSAGE_END, key, msgspec.json.encode(end), now=now)
    if not handed:
        plant.events.emit(
            "message_not_handed_over",
            f"{channel} gives up {errand.message.topic} to {errand.message.person_id}: {what}"[
                :500
            ],
            at=now,
            severity=Severity.WARNING,
            person=errand.message.person_id,
            instruction=errand.message.instruction_id,
            channel=channel,
        )
    _conclude(plant, tracked, now)


def _is_moot(plant: Plant, message: PersonMessage) -> bool:
    """Whether it asks what was answered another way, or was taken back: it must not arrive after that.

    One whose deadline passed is late: it was missed.
    """
    story = plant.instructions.find(message.instruction_id)
    waits = OPEN | {State.UNANSWERED}
    return message.topic.wants_answer and story is not None and story.state not in waits


async def _end_unsent(plant: Plant, tracked: Tracked, errand: Errand, now: datetime) -> None:
    """One channel need not hand a question over any more: nobody gave up, and nobody misses it."""
    errand.ended = True
    if isinstance(tracked.delivered, OnItsWay):
        tracked.delivered = NotReached(what=MOOT, at=now)
    end = _End(at=now, handed=False, what=MOOT)
    key = f"{errand.message.message_id}/{errand.address.channel.name}"
    with suppress(UnavailableError):  # said and counted there
        await append(plant, MESSAGE_END, key, msgspec.json.encode(end), now=now)


def _conclude(plant: Plant, tracked: Tracked, now: datetime) -> None:
    """Where no channel is left and none handed it over, nobody will hear of it: that is an alarm."""
    if not isinstance(tracked.delivered, OnItsWay) or not all(e.ended for e in tracked.errands):
        return
    whys = [
        f"{errand.address.channel.name}: {errand.newest.what}"
        for errand in tracked.errands
        if errand.newest is not None
    ]
    why = "; ".join(whys) or "nobody was tried in time" if tracked.errands else "no channel"
    tracked.delivered = NotReached(what=why[:500], at=now)
    message = tracked.message
    plant.events.emit(
        "person_not_reached",
        f"{message.person_id} hears nothing of {message.instruction_id} ({message.topic}): {why}"[
            :500
        ],
        at=now,
        severity=Severity.ALARM,
        person=message.person_id,
        instruction=message.instruction_id,
    )


def _late(errand: Errand) -> str:
    newest = "it was never tried" if errand.newest is None else errand.newest.what
    return f"too late after {errand.tries} tries: {newest}"


def _pause(errand: Errand) -> timedelta:
    pause: timedelta = FIRST_RETRY * 2 ** min(errand.tries - 1, 10)
    return min(pause, LONGEST_RETRY)


def _note_health(plant: Plant, errand: Errand, outcome: Handover, now: datetime) -> None:
    """A channel that fails several times in a row is told once, and once that it works again."""
    channel = errand.address.channel
    match outcome:
        case Handed() | Refused():  # it answered
            if channel.told:
                plant.events.emit("channel", f"{channel.name} takes letters again", at=now)
            channel.failures, channel.told = 0, False
        case NotYet() | Unsure():
            channel.failures += 1
            plant.metrics.people.failed()
            if channel.failures >= FAILURES_TOLD and not channel.told:
                channel.told = True
                text = f"{channel.name} takes no letters: {outcome.what}; they are tried again"
                plant.events.emit("channel", text[:500], at=now, severity=Severity.ALARM)
        case _:
            assert_never(outcome)


# ---------------------------------------------------------------- after a restart


def recover(plant: Plant) -> None:
    """Take up what the journal holds: links that still open something, messages that nobody has yet."""
    desk, now = plant.people, plant.clock.now()
    for entry in plant.journal.entries(LINK):
        desk.links.links[entry.key] = msgspec.json.decode(entry.body, type=Link)
    desk.links.forget(now)
    ended: dict[str, dict[str, _End]] = {}
    for entry in plant.journal.entries(MESSAGE_END):
        message_id, _, channel = entry.key.partition("/")
        ended.setdefault(message_id, {})[channel] = msgspec.json.decode(entry.body, type=_End)
    for entry in plant.journal.entries(MESSAGE):
        message = msgspec.json.decode(entry.body, type=PersonMessage)
        if message.person_id in desk.persons and now < message.window.end + KEPT:
            _track(desk, message, now, ended=ended.get(message.message_id, {}))


def _track(
    desk: PeopleDesk, message: PersonMessage, now: datetime, *, ended: Mapping[str, _End]
) -> Tracked:
    """Errands for all channels of a person but those that are done with it."""
    tracked = Tracked(message=message, errands=[])
    for address in desk.persons[message.person_id].addresses:
        name = address.channel.name
        end = ended.get(name)
        tracked.errands.append(
            Errand(message=message, address=address, due=now, ended=end is not None)
        )
        if end is not None and end.handed:
            tracked.delivered = Reached(channel=name, at=end.at)
    desk.tracked[message.message_id] = tracked
    return tracked
