"""The alarms of one plant: raised, returned, grouped under their causes, held back in a flood. Pure.

    conditions ─▶ held long enough? ─▶ alarm ─▶ under a cause that stands? ─▶ or too many at once? ─▶ shown
                  gone long enough? ─▶ returned

Of what is shown, first causes count: at most `MOST_SHOWN` new ones in `WINDOW`, which is where people begin to
lose track (EEMUA 191, ISA-18.2 table 10: more than 10 in 10 minutes is a flood). Critical ones always are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from vpp.errors import ConflictError, DataError
from vpp.model.alarm import Alarm, AlarmState, Condition, Priority
from vpp.service.alarms.catalogue import CATALOGUE, AlarmKind

WINDOW = timedelta(minutes=10)
MOST_SHOWN = 10

CHATTER = timedelta(minutes=10)
"""What returns sooner is the same alarm again, not a new one."""

SETTLE = timedelta(minutes=5)
"""So long after its cause is over a consequence may last without being an alarm of its own."""

MOST_ALARMS = 500
"""Beyond, those that are over and were never acknowledged go, the oldest first."""

KEPT_DONE = 300
"""Alarms that are over and seen, for whoever looks back."""

FLOOD = "flood"

LEAST_ROOM = 3
"""Others than critical ones are shown in any case, however many a park calls critical."""

What: TypeAlias = Literal[
    "raised", "again", "grew", "returned", "acknowledged", "shelved", "unshelved", "escalated"
]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an alarm."""

    what: What
    alarm: Alarm


@dataclass(slots=True)
class AlarmBook:
    """All alarms that are not done, and the newest that are."""

    kinds: Mapping[str, AlarmKind] = field(default_factory=lambda: CATALOGUE)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    """By id, oldest first; also those that are over and seen, as long as they may come again."""
    done: deque[Alarm] = field(default_factory=lambda: deque(maxlen=KEPT_DONE))
    number: int = 0
    """Of the newest alarm."""
    _newest: dict[tuple[str, str], str] = field(default_factory=dict)
    _since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _gone: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _shown: deque[datetime] = field(default_factory=deque)

    @property
    def room(self) -> int:
        """For how many others than critical ones and the one that tells of a flood there is room at once."""
        critical = sum(kind.priority is Priority.CRITICAL for kind in self.kinds.values())
        return max(LEAST_ROOM, MOST_SHOWN - 1 - critical)

    # ------------------------------------------------------------ what the plant says

    def look(self, conditions: Iterable[Condition], now: datetime) -> list[Change]:
        """Take what holds now; what became of alarms, in order. The same conditions again change nothing."""
        present = {condition.key: condition for condition in conditions}
        for key in self._since.keys() - present.keys():
            del self._since[key]
        changes: list[Change] = []
        for key, condition in present.items():
            self._since.setdefault(key, now)
            self._gone.pop(key, None)
            changes += self._hold(condition, present, now)
        for alarm in [*self.alarms.values()]:
            key = alarm.condition.key
            if alarm.returned_at is None and key not in present and key[0] != FLOOD:
                changes += self._go(alarm, now)
            if alarm.shelved_until is not None and now >= alarm.shelved_until:
                back = unshelved(alarm)
                self.put(back)
                changes.append(Change("unshelved", back))
        self._tidy(now)
        return changes + self._arrange(now)

    def _hold(
        self, condition: Condition, present: Mapping[tuple[str, str], Condition], now: datetime
    ) -> list[Change]:
        alarm = self._of(condition.key)
        if alarm is not None and alarm.returned_at is None:
            alarm.condition = condition
            grew = alarm.acknowledged_at is not None and (
                condition.count >= 2 * max(alarm.acknowledged_count, 1) and condition.count > 1
            )
            if not grew:
                return []
            alarm.acknowledged_at = None
            return [Change("grew", alarm)]
        kind = self.kinds[condition.kind]
        if now - self._since[condition.key] < kind.after or self._cause_comes(condition, present):
            return []
        if alarm is not None and alarm.returned_at is not None:
            if now - alarm.returned_at < CHATTER:
                alarm.condition, alarm.returned_at = condition, None
                alarm.times += 1
                return [Change("again", alarm)]
            self._finish(alarm)
        return [Change("raised", self._raise(condition, kind, now))]

    def _raise(self, condition: Condition, kind: AlarmKind, now: datetime) -> Alarm:
        self.number += 1
        alarm = Alarm(
            alarm_id=f"a-{self.number:06d}",
            condition=condition,
            priority=kind.priority,
            raised_at=now,
        )
        self.alarms[alarm.alarm_id] = alarm
        self._newest[condition.key] = alarm.alarm_id
        return alarm

    def _go(self, alarm: Alarm, now: datetime) -> list[Change]:
        key = alarm.condition.key
        gone = self._gone.setdefault(key, now)
        if now - gone < self.kinds[key[0]].clear_after:
            return []
        del self._gone[key]
        alarm.returned_at = now
        return [Change("returned", alarm)]

    def _cause_comes(
        self, condition: Condition, present: Mapping[tuple[str, str], Condition]
    ) -> bool:
        """Whether what explains it holds and is not told yet: that is to be the first that people see."""
        causes = self.kinds[condition.kind].causes
        for other in present.values():
            if other.kind in causes and _agree(other, condition):
                told = self._of(other.key)
                if told is None or told.returned_at is not None:
                    return True
        return False

    def _tidy(self, now: datetime) -> None:
        """Let go of what is over and seen, and of the oldest that nobody wanted to see."""
        for alarm in [*self.alarms.values()]:
            over = alarm.returned_at
            if alarm.state is AlarmState.NORMAL and over is not None and now - over >= CHATTER:
                self._finish(alarm)
        returned = [a for a in self.alarms.values() if a.state is AlarmState.RETURNED]
        for alarm in returned[: max(0, len(self.alarms) - MOST_ALARMS)]:
            self._finish(alarm)

    def _finish(self, alarm: Alarm) -> None:
        self.alarms.pop(alarm.alarm_id, None)
        self._newest.pop(alarm.condition.key, None)
        self.done.append(alarm)

    def _of(self, key: tuple[str, str]) -> Alarm | None:
        return self.alarms.get(self._newest.get(key, ""))

    # ------------------------------------------------------------ first cause first

    def _arrange(self, now: datetime) -> list[Change]:
        """Put consequences under their causes, and hold back what is too much."""
        for alarm in self.alarms.values():
            if alarm.condition.kind != FLOOD and alarm.returned_at is None:
                alarm.cause_id = self._cause(alarm, now)
        while self._shown and now - self._shown[0] >= WINDOW:
            self._shown.popleft()
        fresh = [a for a in self.roots() if a.shown_at is None and not a.is_shelved(now)]
        for alarm in sorted(fresh, key=_urgency):
            alarm.withheld = (
                alarm.priority is not Priority.CRITICAL
                and alarm.condition.kind != FLOOD
                and len(self._shown) >= self.room
            )
            if not alarm.withheld:
                alarm.shown_at = now
                self._shown.append(now)
        return self._tell_flood(now)

    def _tell_flood(self, now: datetime) -> list[Change]:
        held = [a for a in self.alarms.values() if a.withheld and a.state is not AlarmState.NORMAL]
        flood = self._of((FLOOD, ""))
        if not held:
            if flood is None or flood.returned_at is not None:
                return []
            flood.returned_at = now
            return [Change("returned", flood)]
        told = Condition(
            kind=FLOOD,
            detail=f"{len(held)} are held back",
            members=tuple(a.alarm_id for a in held[:20]),
            count=len(held),
        )
        if flood is not None and flood.returned_at is None:
            flood.condition = told
            return []
        if flood is not None:  # it came again
            flood.condition, flood.returned_at = told, None
            flood.times += 1
            return [Change("again", flood)]
        flood = self._raise(told, self.kinds[FLOOD], now)
        flood.shown_at = now
        self._shown.append(now)
        return [Change("raised", flood)]

    def _cause(self, alarm: Alarm, now: datetime) -> str | None:
        for kind in self.kinds[alarm.condition.kind].causes:
            for other in self.alarms.values():
                over = other.returned_at
                stands = over is None or now - over < SETTLE
                if (
                    stands
                    and other.condition.kind == kind
                    and _agree(other.condition, alarm.condition)
                ):
                    return other.alarm_id
        return None

    def root_of(self, alarm: Alarm) -> Alarm:
        """The first cause of an alarm; itself where nothing is known to be behind it."""
        while alarm.cause_id is not None and alarm.cause_id in self.alarms:
            alarm = self.alarms[alarm.cause_id]
        return alarm

    def roots(self) -> list[Alarm]:
        """First causes that are not done, or that have consequences which are not."""
        standing = (a for a in self.alarms.values() if a.state is not AlarmState.NORMAL)
        return list({root.alarm_id: root for root in map(self.root_of, standing)}.values())

    def shown_lately(self, now: datetime) -> int:
        """How many first causes came into the list within `WINDOW`."""
        return sum(now - at < WINDOW for at in self._shown)

    def shown(self, now: datetime) -> list[Alarm]:
        """What stands in the list: first causes that nobody shelved, the most urgent first."""
        seen = [a for a in self.roots() if not a.withheld and not a.is_shelved(now)]
        return sorted(seen, key=_urgency)

    def under(self, root: Alarm) -> list[Alarm]:
        """The consequences of a first cause; under a flood what it holds back."""
        if root.condition.kind == FLOOD:
            return [a for a in self.roots() if a.withheld]
        return [
            alarm
            for alarm in self.alarms.values()
            if alarm is not root
            and alarm.state is not AlarmState.NORMAL
            and self.root_of(alarm) is root
        ]

    # ------------------------------------------------------------ what people do

    def find(self, alarm_id: str) -> Alarm:
        """An alarm that is not done.

        Raises:
            DataError: There is none of that id.
        """
        alarm = self.alarms.get(alarm_id)
        if alarm is None or alarm.state is AlarmState.NORMAL:
            raise DataError(
                "there is no such alarm",
                where=f"alarm {alarm_id[:40]}",
                fix="Look at GET /v1/alarms",
            )
        return alarm

    def to_acknowledge(self, alarm_id: str) -> list[Alarm]:
        """An alarm with its consequences, as far as nobody acknowledged them. Raises as `find`."""
        root = self.find(alarm_id)
        return [a for a in (root, *self.under(root)) if a.acknowledged_at is None]

    def take_up(self, alarm: Alarm) -> None:
        """An alarm as the record has it, the newest state last.

        One of a kind that another release knew stays on record alone: nobody here could tell what it means.
        """
        self.number = max(self.number, int(alarm.alarm_id.removeprefix("a-")))
        if alarm.condition.kind not in self.kinds:
            return
        before = self.alarms.get(alarm.alarm_id)
        if before is not None and before.steps > alarm.steps:
            return
        older = self._of(alarm.condition.key)
        if older is not None and older.alarm_id != alarm.alarm_id:
            self._finish(older)
        self.put(alarm)

    def put(self, alarm: Alarm) -> None:
        """An alarm as it is now, in place of what it was."""
        self.alarms[alarm.alarm_id] = alarm
        self._newest[alarm.condition.key] = alarm.alarm_id


def acknowledged(alarm: Alarm, *, by: str, comment: str, now: datetime) -> Alarm:
    """The alarm as it is once somebody has seen it."""
    return replace(
        alarm,
        acknowledged_at=now,
        acknowledged_by=by,
        comment=comment,
        acknowledged_count=alarm.condition.count,
    )


def shelved(alarm: Alarm, *, by: str, reason: str, until: datetime, now: datetime) -> Alarm:
    """The alarm as it is while nobody wants to see it.

    Raises:
        DataError: The end is over.
        ConflictError: It is critical: the plant cannot be trusted, and that is not put aside.
    """
    if until <= now:
        raise DataError("it would end before now", where=alarm.alarm_id, fix="Give a time to come")
    if alarm.priority is Priority.CRITICAL:
        raise ConflictError(
            "a critical alarm is not shelved", where=alarm.alarm_id, fix="Settle what it tells"
        )
    return replace(alarm, shelved_until=until, shelved_by=by, shelved_because=reason)


def unshelved(alarm: Alarm) -> Alarm:
    """The alarm as it is once it is back in the list."""
    return replace(alarm, shelved_until=None, shelved_by="", shelved_because="")


def _agree(cause: Condition, effect: Condition) -> bool:
    """Whether a cause may be behind an effect: nothing says that they are in different places."""
    both = cause.place.keys() & effect.place.keys()
    return cause.key != effect.key and all(cause.place[k] == effect.place[k] for k in both)


def _urgency(alarm: Alarm) -> tuple[bool, int, datetime, str]:
    """Sorts what holds before what is over, then the most urgent and the oldest."""
    return alarm.returned_at is not None, alarm.priority.rank, alarm.raised_at, alarm.alarm_id
