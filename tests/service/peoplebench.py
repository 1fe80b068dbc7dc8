"""People of a small staff, and channels that tests bend: what the tests of messages to people share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from vpp.model.ids import PersonId
from vpp.model.message import Handed, Handover, InBoth, Letter, NotYet, PersonMessage, Topic
from vpp.model.time import Interval
from vpp.service.people import people
from vpp.service.people.desk import Address, Channel, PeopleDesk, Person
from vpp.service.plant import Plant

WANG, ANNA = PersonId("wang"), PersonId("anna")
HOUR = timedelta(hours=1)


@dataclass
class Postbox:
    """A messenger that does as it is told, and keeps what it was given."""

    outcomes: list[Handover] = field(default_factory=list)
    """Of the next tries; then every letter is taken."""
    hangs: bool = False
    breaks: bool = False
    given: list[tuple[str, Letter]] = field(default_factory=list)
    """Each try: to whom, what."""
    most_at_once: int = 0
    at_once: int = 0
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, letter: Letter, *, to: str) -> Handover:
        self.given.append((to, letter))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.breaks:
                raise RuntimeError("a bug")
            if self.hangs:
                await self._let_go.wait()
                return NotYet(what="no answer within 20 s")
            return self.outcomes.pop(0) if self.outcomes else Handed(what="250 OK")
        finally:
            self.at_once -= 1

    def time_out(self) -> None:
        """Every try that hangs now ends; later ones hang again."""
        self._let_go.set()
        self._let_go = asyncio.Event()


def staff(mail: Postbox, webhook: Postbox | None = None) -> PeopleDesk:
    """Wang by mail in Chinese, Anna by mail and, where there is one, by webhook in English."""
    post = Channel(name="mail", port=mail)
    anna = [Address(channel=post, to="anna@park.example")]
    if webhook is not None:
        anna.append(Address(channel=Channel(name="erp", port=webhook), to="anna"))
    return PeopleDesk(
        persons={
            WANG: Person(
                person_id=WANG,
                name="王工",
                language="zh",
                addresses=(Address(channel=post, to="wang@park.example"),),
            ),
            ANNA: Person(person_id=ANNA, name="Anna", language="en", addresses=tuple(anna)),
        },
        page_url="https://park.example/answer",
    )


def a_message(
    now: datetime,
    person: PersonId = WANG,
    *,
    message_id: str = "m-1",
    topic: Topic = Topic.ASK,
    change_kw: float = 120.0,
) -> PersonMessage:
    """120 kW less from the third to the fifth hour, to be answered within two."""
    return PersonMessage(
        message_id=message_id,
        instruction_id="i-1",
        person_id=person,
        topic=topic,
        place="Cold store 3",
        change_kw=change_kw,
        window=Interval(now + 3 * HOUR, now + 5 * HOUR),
        answer_by=now + 2 * HOUR,
        why=InBoth(zh="电网需求响应", en="Demand response of the grid"),
    )


IDLE_TURNS = 200
"""So many turns of the loop in which no try ends: what is still under way waits for something from outside."""


async def settle(plant: Plant) -> None:
    """Until every try that can end by itself has ended, however slow the machine is."""
    idle = 0
    while plant.people.sending and idle < IDLE_TURNS:
        before = _tries(plant)
        await asyncio.sleep(0)
        idle = idle + 1 if _tries(plant) == before else 0
    if plant.people.sending:  # a thread or a socket may have something for it
        before = _tries(plant)
        await asyncio.wait(plant.people.sending.copy(), timeout=0.02)
        if _tries(plant) != before:
            await settle(plant)


def _tries(plant: Plant) -> list[int]:
    return [errand.tries for one in plant.people.tracked.values() for errand in one.errands]


async def look(plant: Plant, now: datetime) -> None:
    """One look, and all that follows of it."""
    await people.look(plant, now)
    await settle(plant)


def acted(story: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that awaits; what it leaves under way ends with it."""

    @wraps(story)
    def run(*given: Any, **named: Any) -> None:
        async def whole() -> None:
            await story(*given, **named)

        asyncio.run(whole())

    return run
