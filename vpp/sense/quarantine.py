"""Who sends what cannot be read is not read for a while, and is told of seldom.

    20 unreadable in a row ─▶ not read for 60 s ─▶ one is tried ─┬─ good ─▶ as ever
                                                     ▲        └─ bad ──┐
                                                     └── twice as long ◀┘  at most 15 min

Only what cannot be read counts: a parser's time is what a broken or hostile sender costs. A device whose clock
or value is wrong is refused each time and taken again with its first good message.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from vpp.sense.decode import RefusalReason

UNREADABLE = frozenset(
    {
        RefusalReason.TOO_LARGE,
        RefusalReason.NOT_JSON,
        RefusalReason.SCHEMA,
        RefusalReason.NOT_FINITE,
    }
)

MAX_SOURCES = 1024
"""Bad topics that are remembered, the newest of them, so that a flood of them cannot fill the memory."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much nonsense is listened to, and how much of it is told."""

    unreadable: int = 20
    """In a row, from one topic."""
    first: timedelta = MINUTE
    longest: timedelta = timedelta(minutes=15)
    tell_again: timedelta = timedelta(minutes=10)
    """The same topic is told of no more often."""
    told_a_minute: int = 20
    """All topics together."""


@dataclass(slots=True)
class _Source:
    unreadable: int = 0
    until: datetime | None = None
    last: timedelta | None = None
    """How long it was shut out last; None where it was not, or has been good since."""
    told_at: datetime | None = None


class Quarantine:
    """The senders of refused messages, by topic."""

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._told: deque[datetime] = deque(maxlen=self._patience.told_a_minute)

    def until(self, topic: str, now: datetime) -> datetime | None:
        """Until when a topic is not read; None where it is."""
        source = self._sources.get(topic)
        if source is None or source.until is None or now >= source.until:
            return None
        return source.until

    def shut_out(self, now: datetime) -> tuple[str, ...]:
        """The topics that are not read at `now`."""
        return tuple(topic for topic in self._sources if self.until(topic, now) is not None)

    def refused(self, topic: str, reason: RefusalReason, now: datetime) -> bool:
        """Take note of a refusal; whether to tell of it."""
        source = self._sources.get(topic)
        if source is None:
            source = self._sources[topic] = _Source()
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)
        if reason in UNREADABLE:
            source.unreadable += 1
            if source.last is not None or source.unreadable >= self._patience.unreadable:
                self._shut_out(source, now)
                return self._may_tell(source, now, again=True)
        return self._may_tell(source, now, again=False)

    def good(self, topic: str) -> None:
        """A message of this topic passed."""
        if self._sources and (source := self._sources.get(topic)) is not None:
            source.unreadable, source.until, source.last = 0, None, None

    def _shut_out(self, source: _Source, now: datetime) -> None:
        longer = self._patience.first if source.last is None else 2 * source.last
        source.last = min(longer, self._patience.longest)
        source.until = now + source.last

    def _may_tell(self, source: _Source, now: datetime, *, again: bool) -> bool:
        """Not too often: of one topic (but for its being shut out), and of all."""
        told_at = source.told_at
        if not again and told_at is not None and now - told_at < self._patience.tell_again:
            return False
        if len(self._told) == self._told.maxlen and now - self._told[0] < MINUTE:
            return False
        source.told_at = now
        self._told.append(now)
        return True
