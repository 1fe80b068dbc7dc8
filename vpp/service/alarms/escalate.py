"""Alarms that nobody acknowledges are told to people over mail and webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from vpp.errors import ConflictError, DataError
from vpp.model.alarm import Alarm, AlarmState, Priority
from vpp.model.ids import PersonId
from vpp.model.message import MAX_TEXT_CHARS, InBoth, PersonMessage, Topic
from vpp.model.time import Interval
from vpp.service.people import people
from vpp.service.plant import Plant

WORTH = timedelta(hours=12)
"""So long it is tried to hand the message over."""

BY_ITSELF = "the escalation of the park file"

NEVER = frozenset({"people_unreached", "channel_down"})
"""That a person was not reached is not sent to persons: it would tell itself for ever."""


def escalate_due(plant: Plant, now: datetime) -> Iterator[tuple[Alarm, list[str]]]:
    """Alarms whose time has come, and whom each is told to."""
    for alarm in plant.alarms.book.shown(now):
        if alarm.state is not AlarmState.UNACKNOWLEDGED or alarm.condition.kind in NEVER:
            continue
        told = {
            name: None
            for rule in plant.file.alarms.escalate
            for name in rule.to
            if alarm.priority.rank <= Priority(rule.priority).rank
            and now - alarm.raised_at >= timedelta(minutes=rule.after_minutes)
            and _reachable(plant, name)
            and _message_id(alarm, name) not in alarm.escalated
        }
        if told:
            yield alarm, list(told)


async def tell_people(plant: Plant, alarm: Alarm, persons: Sequence[str], now: datetime) -> Alarm:
    """Put a message to each person on its way; the alarm as it is after that.

    Raises:
        DataError: There is no such person, or somebody who cannot be written to.
        UnavailableError: A message cannot be put on record.
    """
    for name in persons:
        if not _reachable(plant, name):
            raise DataError(
                f"{name!r} cannot be written to",
                where=alarm.alarm_id,
                fix="Name somebody of GET /v1/people who has channels",
            )
    told = alarm.escalated
    for name in persons:
        message = _message(plant, alarm, name, now)
        if message.message_id in told:
            continue
        with suppress(ConflictError):  # it was on record before a crash kept us from noting it
            await people.tell(plant, message, now)
        told = (*told, message.message_id)
        plant.metrics.alarms.escalated()
    return replace(alarm, escalated=told)


def _reachable(plant: Plant, name: str) -> bool:
    person = plant.people.persons.get(PersonId(name))
    return person is not None and bool(person.addresses)


def _message_id(alarm: Alarm, name: str) -> str:
    """The same alarm is told to a person once for each time it came."""
    return f"alarm-{alarm.alarm_id}-{alarm.times}-{name}"


def _message(plant: Plant, alarm: Alarm, name: str, now: datetime) -> PersonMessage:
    kind = plant.alarms.book.kinds[alarm.condition.kind]
    about = f" ({alarm.condition.subject})" if alarm.condition.subject else ""
    detail = f"\n{alarm.condition.detail}" if alarm.condition.detail else ""
    why = InBoth(
        zh=f"{kind.title.zh}{about}\n{kind.action.zh}{detail}"[:MAX_TEXT_CHARS],
        en=f"{kind.title.en}{about}\n{kind.action.en}{detail}"[:MAX_TEXT_CHARS],
    )
    return PersonMessage(
        message_id=_message_id(alarm, name),
        instruction_id=alarm.alarm_id,
        person_id=PersonId(name),
        topic=Topic.ALARM,
        place=plant.file.park.name,
        change_kw=0.0,
        window=Interval(now, now + WORTH),
        answer_by=now,
        why=why,
    )
