"""One message that asks for nothing, over every way to a person: to see that they work before it matters."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

from vpp.clock import Watch
from vpp.errors import ConfigError
from vpp.model.ids import PersonId
from vpp.model.message import (
    Handed,
    Handover,
    InBoth,
    Letter,
    NotYet,
    PersonMessage,
    Refused,
    Topic,
    Unsure,
)
from vpp.model.time import QUARTER, Interval
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.people import words as peoplewords
from vpp.service.people.desk import Person
from vpp.service.people.wiring import open_people

WHY = InBoth(zh="测试", en="a trial")


async def try_person(park: Path, name: str, clock: Watch) -> dict[str, Handover]:
    """What came of one try over each way to a person; nothing is put on record.

    Raises:
        ConfigError: The park file is wrong, nobody of that name stands in it, or nobody is written to.
    """
    file = load_park(park)
    async with AsyncExitStack() as stack:
        desk = await open_people(file, clock, stack)
        person = desk.persons.get(PersonId(name))
        if person is None:
            raise ConfigError(
                f"there is no person {name!r}",
                where=str(park),
                fix=f"Name one of {sorted(desk.persons)}",
            )
        if not person.addresses:
            raise ConfigError(
                "the market is simulated, and nobody is written to for what is not real",
                where="trading.mode",
                fix="Say shadow or live",
            )
        letter = _letter(file, person, clock.now())
        sent = [one.channel.port.send(letter, to=one.to) for one in person.addresses]
        outcomes = await asyncio.gather(*sent)
        names = [one.channel.name for one in person.addresses]
        return dict(zip(names, outcomes, strict=True))


def _letter(file: ParkFile, person: Person, now: datetime) -> Letter:
    zone = file.park.timezone
    message = PersonMessage(
        message_id=f"trial-{int(now.timestamp())}",
        instruction_id="trial",
        person_id=person.person_id,
        topic=Topic.TRIAL,
        place=file.park.name,
        change_kw=1.0,
        window=Interval(now, now + QUARTER),
        answer_by=now,
        why=WHY,
    )
    return Letter(
        message=message,
        name=person.name,
        language=person.language,
        subject=peoplewords.subject(message, person.language, zone),
        text=peoplewords.text(message, person.name, person.language, zone, None),
        link=None,
        written_at=now,
    )


def said(outcome: Handover) -> str:
    """An outcome in words."""
    match outcome:
        case Handed(what=what):
            return f"handed over: {what}"
        case NotYet(what=what):
            return f"not handed over, and worth another try: {what}"
        case Unsure(what=what):
            return f"nobody knows whether it arrived: {what}"
        case Refused(what=what):
            return f"refused: {what}"
