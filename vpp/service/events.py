"""What happened, in order: for people (page, log), for machines (stream), bounded in memory."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from vpp.model.ids import ResourceId

KEPT_EVENTS = 2000
MOST_ALIKE = 20
"""Resources to which the same happens at one moment and that are told one by one."""

QUEUE_PER_LISTENER = 1000
"""A listener that is slower than this loses its oldest events, nobody else's."""


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    number: int
    """Rises by one; what `Last-Event-ID` refers to."""

    at: datetime
    kind: str
    """A stable word: plan, bid, award, setpoint, telemetry_refused, broker, kill, tick …"""

    severity: Severity
    text: str
    data: dict[str, Any]
    """JSON-ready details."""


class EventLog:
    """Keeps the newest events and hands them to whoever listens."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._number = 0
        self._hushed = False
        self._alike: Counter[str] = Counter()
        self._waiting: defaultdict[tuple[str, Severity], list[tuple[str, dict[str, str]]]] = (
            defaultdict(list)
        )
        self._log = structlog.get_logger("vpp")

    @property
    def number(self) -> int:
        """Of the newest event; 0 before the first."""
        return self._number

    def hush(self) -> None:
        """Keep events out of the process's log: they are those of a simulation, not of the service."""
        self._hushed = True

    def emit(
        self,
        kind: str,
        text: str,
        *,
        at: datetime,
        severity: Severity = Severity.INFO,
        **data: Any,
    ) -> Event:
        """Record an event, log it, and hand it to every listener; a full queue loses its oldest.

        Kind `tick` (the live picture of each control cycle) is handed out but not kept.
        """
        self._number += 1
        event = Event(
            number=self._number, at=at, kind=kind, severity=severity, text=text, data=data
        )
        if self._hushed:
            pass  # told to whoever asks the simulation
        elif severity is Severity.INFO:
            tell = self._log.debug if kind == "tick" else self._log.info
            tell(text, kind=kind, at=at.isoformat(), **data)
        else:
            self._log.warning(text, kind=kind, at=at.isoformat(), severity=severity.value, **data)
        if kind != "tick":
            self._events.append(event)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)
        return event

    def emit_each(
        self,
        kind: str,
        texts: Mapping[ResourceId, str],
        *,
        at: datetime,
        severity: Severity = Severity.INFO,
        **data: Any,
    ) -> None:
        """Record what happened to each of several resources; where they are many, one event tells of all.

        A whole fleet that changes at once would push out all else that is kept, and hold the loop while it is logged.
        """
        if len(texts) <= MOST_ALIKE:
            for name, text in texts.items():
                self.emit(kind, text, at=at, severity=severity, resource_id=name, **data)
            return
        named = list(texts)[:MOST_ALIKE]
        text = f"{texts[named[0]]}; and {len(texts) - 1} others alike"
        self.emit(
            kind, text, at=at, severity=severity, count=len(texts), resource_ids=named, **data
        )

    def emit_of_one(
        self, kind: str, text: str, *, at: datetime, severity: Severity = Severity.INFO, **who: str
    ) -> None:
        """Record what happened to one of many, who may not be the only one; `who` is one word with its name.

        What comes message by message has no moment at which it is many: the first few since the last `tell_alike` are
        told at once, the others wait for the next and are one event.
        """
        # Counted whatever the severity: who waits with bad news must not be told of after the good ones.
        self._alike[kind] += 1
        if self._alike[kind] <= MOST_ALIKE:
            self.emit(kind, text, at=at, severity=severity, **who)
        else:
            self._waiting[kind, severity].append((text, who))

    def tell_alike(self, at: datetime) -> None:
        """Tell what `emit_of_one` has kept, one event for each kind; a control cycle calls it."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        self._alike.clear()
        for (kind, severity), kept in waiting.items():
            text, who = kept[0]
            if len(kept) == 1:
                self.emit(kind, text, at=at, severity=severity, **who)
                continue
            named = {
                f"{word}s": [one[word] for _, one in kept[:MOST_ALIKE] if word in one]
                for word in who
            }
            told = f"{text}; and {len(kept) - 1} others alike"
            self.emit(kind, told, at=at, severity=severity, count=len(kept), **named)

    def recent(self, after: int = 0) -> list[Event]:
        """Kept events with a number above `after`, oldest first; ticks are not kept."""
        return [event for event in self._events if event.number > after]

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that gets every event from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_PER_LISTENER)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
