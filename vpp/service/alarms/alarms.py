"""The alarms of a plant: looked for each tick, kept on record, changed by people, told to those who are not here.

    look   what holds ─▶ book ─▶ journal ─▶ event ─▶ escalate
    act    a person ─▶ journal ─▶ book ─▶ event

What the plant raises stands though the disk refuses it (that is an alarm too) and is put on record later; what a
person does counts once it is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.alarm import Alarm, AlarmState
from vpp.model.time import isoformat
from vpp.service.alarms import book as alarmbook
from vpp.service.alarms.book import Change, What
from vpp.service.alarms.desk import MOST_UNRECORDED
from vpp.service.alarms.escalate import BY_ITSELF, escalate_due, tell_people
from vpp.service.alarms.watch import conditions
from vpp.service.events import Severity
from vpp.service.plant import Plant
from vpp.service.record import append, append_all

ALARM, ALARM_ACT = "alarm", "alarm_act"
"""Kinds of journal entries: what became of an alarm by itself, and by a person; by alarm and step."""

LONGEST_TICK, SHORTEST_TICK = timedelta(seconds=60), timedelta(seconds=5)


class Act(msgspec.Struct, frozen=True):
    """What a person did with an alarm, and the alarm after it."""

    act: str
    by: str
    reason: str
    alarm: Alarm


def tick(plant: Plant) -> timedelta:
    """How often it is looked: as often as the park is steered, within bounds."""
    period = timedelta(seconds=plant.file.control.period_s)
    return min(max(period, SHORTEST_TICK), LONGEST_TICK)


async def look(plant: Plant, now: datetime) -> None:
    """Raise what holds, return what is over, put it on record, tell people who are not here."""
    desk = plant.alarms
    async with desk.acting:
        for change in desk.book.look(conditions(plant, desk, now), now):
            change.alarm.steps += 1
            body = msgspec.json.encode(change.alarm)
            desk.unrecorded.append((_key(change.alarm), body, now))
            _tell(plant, change, now)
        await _to_record(plant)
        while (
            len(desk.unrecorded) > MOST_UNRECORDED
        ):  # what the disk took is on record, however many
            _forget_oldest(plant, now)
        desk.looked_at = now
        await _escalate_due(plant, now)
    plant.metrics.alarms.stand(desk.book, now)


async def _escalate_due(plant: Plant, now: datetime) -> None:
    """Tell people who are not here; what cannot be put on record is tried again at the next look."""
    for alarm, persons in escalate_due(plant, now):
        try:
            after = await tell_people(plant, alarm, persons, now)
            why = "nobody acknowledged it"
            await _record(plant, [after], act="escalate", by=BY_ITSELF, reason=why)
        except UnavailableError:  # said and counted there
            return
        _tell(plant, Change("escalated", after), now)


# ---------------------------------------------------------------- what people do


async def acknowledge(plant: Plant, alarm_id: str, *, by: str, reason: str, now: datetime) -> Alarm:
    """Say that somebody has seen an alarm and its consequences; again changes nothing.

    Raises:
        DataError: There is no such alarm.
        UnavailableError: It cannot be put on record: nobody has seen it.
    """
    async with plant.alarms.acting:
        alarm = plant.alarms.book.find(alarm_id)
        seen = [
            alarmbook.acknowledged(one, by=by, comment=reason, now=now)
            for one in plant.alarms.book.to_acknowledge(alarm_id)
        ]
        await _act(plant, seen, "acknowledge", "acknowledged", by=by, reason=reason, now=now)
        return plant.alarms.book.alarms.get(alarm_id, alarm)


async def shelve(
    plant: Plant, alarm_id: str, *, until: datetime, by: str, reason: str, now: datetime
) -> Alarm:
    """Put an alarm with its consequences aside until then.

    Raises:
        DataError: There is no such alarm, or its end is over or too far.
        ConflictError: It is critical.
        UnavailableError: It cannot be put on record: it stays in the list.
    """
    most = timedelta(hours=plant.file.alarms.shelve_most_hours)
    if until > now + most:
        raise DataError(
            f"{isoformat(until)} is more than {most.total_seconds() / 3600:g} h away",
            where=alarm_id,
            fix="Give a nearer end, and shelve it again then",
        )
    async with plant.alarms.acting:
        alarm = plant.alarms.book.find(alarm_id)
        after = alarmbook.shelved(alarm, by=by, reason=reason, until=until, now=now)
        await _act(plant, [after], "shelve", "shelved", by=by, reason=reason, now=now)
        return after


async def unshelve(plant: Plant, alarm_id: str, *, by: str, reason: str, now: datetime) -> Alarm:
    """Put an alarm back into the list.

    Raises:
        DataError: There is no such alarm.
        ConflictError: It is not shelved.
        UnavailableError: It cannot be put on record: it stays aside.
    """
    async with plant.alarms.acting:
        alarm = plant.alarms.book.find(alarm_id)
        if not alarm.is_shelved(now):
            raise ConflictError("it is not shelved", where=alarm_id, fix="Look at GET /v1/alarms")
        after = alarmbook.unshelved(alarm)
        await _act(plant, [after], "unshelve", "unshelved", by=by, reason=reason, now=now)
        return after


async def escalate(
    plant: Plant, alarm_id: str, persons: Sequence[str], *, by: str, reason: str, now: datetime
) -> Alarm:
    """Tell persons of an alarm now, over every way to each of them.

    Raises:
        DataError: There is no such alarm or person, or nobody of them can be written to.
        UnavailableError: It cannot be put on record: nobody is told.
    """
    async with plant.alarms.acting:
        alarm = plant.alarms.book.find(alarm_id)
        after = await tell_people(plant, alarm, persons, now)
        await _act(plant, [after], "escalate", "escalated", by=by, reason=reason, now=now)
        return after


async def _act(
    plant: Plant,
    after: Sequence[Alarm],
    act: str,
    what: What,
    *,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    await _record(plant, after, act=act, by=by, reason=reason)
    for alarm in after:
        _tell(plant, Change(what, alarm), now)
    plant.metrics.alarms.stand(plant.alarms.book, now)


# ---------------------------------------------------------------- on record


async def _record(plant: Plant, after: Sequence[Alarm], *, act: str, by: str, reason: str) -> None:
    """Put what a person did on record, then let it count. Raises UnavailableError: it does not."""
    entries = []
    for alarm in after:
        standing = plant.alarms.book.alarms[alarm.alarm_id]
        standing.steps += 1  # used up though the disk be in doubt: a second try is another entry
        alarm.steps = standing.steps
        body = msgspec.json.encode(Act(act=act, by=by, reason=reason, alarm=alarm))
        entries.append((ALARM_ACT, _key(alarm), body))
    if entries:
        await append_all(plant, entries, now=plant.clock.now())
    for alarm in after:
        plant.alarms.book.put(alarm)


async def _to_record(plant: Plant) -> None:
    """What became of alarms, oldest first; what the disk refuses waits."""
    waiting = plant.alarms.unrecorded
    while waiting:
        key, body, at = waiting[0]
        try:
            await append(plant, ALARM, key, body, now=at)
        except UnavailableError:  # said and counted there
            return
        waiting.popleft()
    if plant.alarms.forgotten:
        plant.events.emit(
            "alarm",
            f"{plant.alarms.forgotten} changes of alarms are on no record: the disk refused them for too long",
            at=plant.clock.now(),
            severity=Severity.WARNING,
            changes=plant.alarms.forgotten,
        )
        plant.alarms.forgotten = 0


def _forget_oldest(plant: Plant, now: datetime) -> None:
    """Make room where too many changes wait for the disk; counted, and told as it begins and when it is over."""
    desk = plant.alarms
    desk.unrecorded.popleft()
    plant.metrics.alarms.forgotten()
    if not desk.forgotten:
        plant.events.emit(
            "alarm",
            f"{MOST_UNRECORDED} changes of alarms wait for the disk: the oldest are forgotten",
            at=now,
            severity=Severity.WARNING,
        )
    desk.forgotten += 1


def _key(alarm: Alarm) -> str:
    return f"{alarm.alarm_id}/{alarm.steps}"


def recover(plant: Plant) -> None:
    """Take up what the journal holds: what was raised, seen and shelved. What is over returns at the next looks.

    Kinds that another release knew are told, and left on record.
    """
    strange = set()
    for entry in plant.journal.entries(ALARM, ALARM_ACT):
        if entry.kind == ALARM:
            alarm = msgspec.json.decode(entry.body, type=Alarm)
        else:
            alarm = msgspec.json.decode(entry.body, type=Act).alarm
        plant.alarms.book.take_up(alarm)
        if alarm.condition.kind not in plant.alarms.book.kinds:
            strange.add(alarm.condition.kind)
    if strange:
        plant.events.emit(
            "alarm",
            f"the record has alarms of kinds that this release does not know: {', '.join(sorted(strange))}",
            at=plant.clock.now(),
            severity=Severity.WARNING,
        )


def _tell(plant: Plant, change: Change, now: datetime) -> None:
    alarm = change.alarm
    plant.metrics.alarms.changed(change)
    title = plant.alarms.book.kinds[alarm.condition.kind].title.en
    about = f" ({alarm.condition.subject})" if alarm.condition.subject else ""
    first = alarm.cause_id is None and alarm.state is not AlarmState.NORMAL
    plant.events.emit(
        "alarm",
        f"{change.what}: {alarm.priority} {title}{about}",
        at=now,
        alarm_id=alarm.alarm_id,
        change=change.what,
        priority=alarm.priority.value,
        first_cause=first,
    )
