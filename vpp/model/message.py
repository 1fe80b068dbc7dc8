"""What is said to a person, and what became of it on its way: closed unions, so that no end is left without a meaning.

Handed      the next hand has it: a mail server, a receiver. Nobody says that it was read
NotYet      surely not handed over: the same may be sent again
Unsure      it may have arrived: the same is sent again, and a person may see it twice
Refused     whoever it goes to does not want it, and will not later

A message is in words and numbers that a channel turns into a mail, a request or a page. What a person answers
comes back by another way, and only while the question is open (`vpp.model.instruction`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Literal, TypeAlias

from vpp.errors import DataError
from vpp.model.ids import PersonId, require_id
from vpp.model.time import Interval

Language: TypeAlias = Literal["zh", "en"]

MAX_TEXT_CHARS = 1000
_MESSAGE_ID = re.compile(r"^[A-Za-z0-9._-]{1,100}$")


class Topic(StrEnum):
    """What a message is about."""

    ASK = "ask"
    """Something is asked, and waits for an answer."""

    REMIND = "remind"
    """It was asked before, and no answer came yet."""

    WITHDRAWN = "withdrawn"
    """What was asked is not needed any more: back to normal."""

    LAPSED = "lapsed"
    """The deadline passed without an answer: nothing is expected."""

    TRIAL = "trial"
    """Nothing: somebody looks whether it arrives."""

    ALARM = "alarm"
    """Something needs a look, and nobody at the desk has acknowledged it."""

    @property
    def asks_power(self) -> bool:
        """Whether it is about an amount of power that a person turns."""
        return self not in (Topic.TRIAL, Topic.ALARM)

    @property
    def wants_answer(self) -> bool:
        return self in (Topic.ASK, Topic.REMIND)


@dataclass(frozen=True, slots=True, kw_only=True)
class InBoth:
    """One text in both languages that people are spoken to in."""

    zh: str
    en: str

    def __post_init__(self) -> None:
        for name in ("zh", "en"):
            text: str = getattr(self, name)
            if not 0 < len(text) <= MAX_TEXT_CHARS:
                raise DataError(
                    f"has {len(text)} characters",
                    where=f"InBoth.{name}",
                    fix=f"Say it in 1 to {MAX_TEXT_CHARS}",
                )

    def of(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMessage:
    """One message to one person about one instruction. The same id again is the same message."""

    message_id: str
    """1 to 100 of letters, digits and `. _ -`; a receiver knows by it what it has already."""

    instruction_id: str
    """What it belongs to: an instruction, or an alarm."""

    person_id: PersonId
    topic: Topic
    place: str
    """What it is about, as people there call it: the name of a resource."""

    change_kw: float
    """What is asked, net injection positive: above 0 draws less or feeds more, below 0 the other way.

    0 where nothing is asked (`Topic.asks_power`).
    """

    window: Interval
    answer_by: datetime
    """The answer counts until here."""

    why: InBoth

    def __post_init__(self) -> None:
        if not _MESSAGE_ID.fullmatch(self.message_id):
            raise DataError(
                f"{self.message_id!r} is no id of a message",
                where="PersonMessage.message_id",
                fix="Use 1 to 100 of letters, digits, point, hyphen and underscore",
            )
        require_id(self.person_id, where="PersonMessage.person_id")
        if not isfinite(self.change_kw) or (self.change_kw == 0 and self.topic.asks_power):
            raise DataError(
                f"change_kw is {self.change_kw}",
                where=self.message_id,
                fix="Ask for something, in kW",
            )
        if self.answer_by.tzinfo is not UTC:
            raise DataError(
                f"{self.answer_by!r} is not in UTC",
                where="PersonMessage.answer_by",
                fix="Convert with .astimezone(UTC) where the value enters",
            )

    @property
    def deliver_until(self) -> datetime:
        """After this it is worth nothing: a question at its deadline, all else when its window ends."""
        return self.answer_by if self.topic.wants_answer else self.window.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as channels carry it to one person: in their language, with the way to answer."""

    message: PersonMessage
    name: str
    """Of whom it goes to."""

    language: Language
    subject: str
    text: str
    """The whole of it in words, link included."""

    link: str | None
    """The one-time page; None where no answer is asked for. It is a secret: never logged, never on record."""

    written_at: datetime
    """Of the first try: the same bytes leave at each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The next hand has it."""

    what: str
    """What it said, for the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Surely not handed over; the same may be sent again."""

    what: str
    retry_at: datetime | None = None
    """Not before; None where the other side does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """It left, and nobody knows whether it was taken."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It is not wanted, and will not be."""

    what: str


Handover: TypeAlias = Handed | NotYet | Unsure | Refused
"""What came of one try to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnItsWay:
    """No channel has handed it over yet, and one still tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """At least one channel handed it over."""

    channel: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReached:
    """Every channel has given up: nobody will hear of it."""

    what: str
    at: datetime


Delivered: TypeAlias = OnItsWay | Reached | NotReached
"""Where one message stands over all channels of its person."""
