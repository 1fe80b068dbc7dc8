"""What a plant keeps of the people it reaches: who they are, over which channels, and what is on its way to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vpp.model.ids import PersonId
from vpp.model.message import Delivered, Handover, Language, Letter, OnItsWay, PersonMessage
from vpp.ports import Messenger
from vpp.service.people.onetimelinks import OneTimeLinks

AT_ONCE = 4
"""Letters that one channel carries at the same time; 1 while it is ill."""


@dataclass(slots=True, kw_only=True)
class Channel:
    """A mail server or a receiver, and how it did last."""

    name: str
    """`mail`, or the id of a receiver of webhooks."""

    port: Messenger
    failures: int = 0
    """Letters in a row that could not be handed over."""
    told: bool = False
    """Whether people were told that it is ill."""
    sending: int = 0

    @property
    def room(self) -> int:
        """How many more letters it may be given now."""
        return (AT_ONCE if self.failures == 0 else 1) - self.sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """How one person is reached over one channel."""

    channel: Channel
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can be asked."""

    person_id: PersonId
    name: str
    language: Language
    addresses: tuple[Address, ...]
    """Every one of them is used."""


@dataclass(slots=True, kw_only=True)
class Errand:
    """One message over one channel: tried until it is handed over, refused, or worth nothing any more."""

    message: PersonMessage
    address: Address
    due: datetime
    tries: int = 0
    newest: Handover | None = None
    busy: bool = False
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class Tracked:
    """One message over all channels of its person."""

    message: PersonMessage
    errands: list[Errand]
    delivered: Delivered = field(default_factory=OnItsWay)
    letter: Letter | None = None
    """Written at the first try; it holds the link, so it is kept here alone."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, kw_only=True)
class PeopleDesk:
    """Everybody who can be reached, and what is on its way."""

    persons: Mapping[PersonId, Person] = field(default_factory=dict)
    page_url: str = ""
    """What links begin with."""
    links: OneTimeLinks = field(default_factory=OneTimeLinks)
    tracked: dict[str, Tracked] = field(default_factory=dict)
    """By message id; let go of some time after its window."""
    answering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while an answer over a link is taken: a link serves once."""
    sending: set[asyncio.Task[None]] = field(default_factory=set)
    closed: bool = False
    """Whether the service ends: nothing leaves any more, what waits is sent after the next start."""

    @property
    def waiting(self) -> int:
        """Messages that nobody has yet."""
        return sum(isinstance(one.delivered, OnItsWay) for one in self.tracked.values())
