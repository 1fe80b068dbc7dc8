"""Messages between the client and the reader: bounded, with a quota for each topic.

    put ─▶ within its quota ─▶ first lane  ─▶ pop      confirmed to the broker when it was read
      └──▶ beyond it ────────▶ second lane ─▶ pop, where the first is empty      confirmed after those before it

A device that sends fifty times as much as it should delays nobody else: what it sends beyond its quota
waits behind everything of the others, and is what gives way first. Where there is time it is read all
the same, since a buffer that is sent after an outage comes in a burst too; intake puts such readings
where their times belong.

Messages of the first lane are confirmed when they were read, and beyond a mark no more are fetched from
the socket (`has_room`): a reader that is late makes the broker wait, and nothing is lost here. One that
stands still must not stop what else goes over the connection, so after a while messages are fetched
again; then the oldest gives way and is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol

import structlog

from vpp.ports import Message

log = structlog.get_logger(__name__)

MOST_TOPICS = 100_000
"""Topics whose pace is remembered; beyond, all begin anew, so that made-up topics cannot fill the memory."""


LONGEST_TOPIC = 1_024
"""Characters of a topic that are kept: no device of ours has more, and MQTT allows 65 535 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one topic may bring before it has to wait behind the others."""

    per_s: float = 20.0
    burst: int = 200
    """At once, after a silence."""


class Confirms(Protocol):
    """Where a message came from."""

    def confirm(self, packet_ids: Iterable[bytes]) -> None:
        """Tell the broker that it was taken."""
        ...


class Entry(NamedTuple):
    """A message that waits, and what its broker wants to hear of it."""

    message: Message
    sender: Confirms
    packet_id: bytes
    """Empty where nothing is to be confirmed."""


class Inbox:
    """Messages that wait for the reader; the oldest gives way when full, those beyond a quota first."""

    def __init__(
        self,
        capacity: int,
        quota: Quota | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`capacity` is how many messages each of the two lanes holds; `clock` counts seconds."""
        quota = quota or Quota()
        self._capacity = capacity
        self._mark = max(1, capacity // 10)
        self._each_s = 1 / quota.per_s
        self._slack_s = (quota.burst - 1) * self._each_s
        self._clock = clock
        self._due: dict[str, float] = {}
        self._first: deque[Entry] = deque()
        self._second: deque[Message] = deque(maxlen=capacity)
        self.received = 0
        self.over_quota = 0
        """Messages that had to wait behind the others."""
        self.lost = 0
        """Messages that gave way, those beyond a quota among them."""
        self.lost_over_quota = 0
        self.overflowing = False
        """Whether messages were lost since the reader last caught up."""
        self.filled = asyncio.Event()
        self.closed = False

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def put(self, sender: Confirms, topic: str, payload: bytes, packet_id: bytes) -> None:
        """Take a message that came."""
        self.received += 1
        topic = topic[:LONGEST_TOPIC]
        message = Message(topic=topic, payload=payload)
        now = self._clock()
        due = self._due.get(topic, 0.0)
        if due < now:
            due = now
        if due - now > self._slack_s:
            self._put_second(sender, message, packet_id)
        else:
            if len(self._due) >= MOST_TOPICS:
                self._due.clear()
            self._due[topic] = due + self._each_s
            if len(self._first) == self._capacity:
                self._give_way()
            self._first.append(Entry(message, sender, packet_id))
        self.filled.set()

    @property
    def has_room(self) -> bool:
        """Whether the reader is not far behind."""
        return len(self._first) < self._mark

    def pop(self) -> Entry | None:
        """The next message to read; None where none waits."""
        if self._first:
            return self._first.popleft()
        if self._second:
            return Entry(self._second.popleft(), _NOBODY, b"")
        return None

    def caught_up(self) -> None:
        """The reader has read all."""
        self.overflowing = False
        self.filled.clear()

    def close(self) -> None:
        """No more will come: the reader ends when it has read the rest."""
        self.closed = True
        self.filled.set()

    def _put_second(self, sender: Confirms, message: Message, packet_id: bytes) -> None:
        self.over_quota += 1
        if packet_id:
            # Unread: a flood that was not confirmed would fill the broker's window for all.
            sender.confirm((packet_id,))
        if len(self._second) == self._capacity:
            self.lost_over_quota += 1
            self._count_lost()
        self._second.append(message)

    def _give_way(self) -> None:
        """Drop the oldest of the first lane; the broker need not send it again."""
        oldest = self._first.popleft()
        if oldest.packet_id:
            oldest.sender.confirm((oldest.packet_id,))
        self._count_lost()

    def _count_lost(self) -> None:
        self.lost += 1
        if not self.overflowing:
            self.overflowing = True
            log.warning("reader is late, messages are lost", capacity=self._capacity)


class _Nobody:
    """The sender of what was confirmed already."""

    def confirm(self, packet_ids: Iterable[bytes]) -> None:
        """Nothing is left to say."""


_NOBODY = _Nobody()
