"""What needs a person: a condition that holds, and the alarm that tells of it, in the words of ISA-18.2.

    condition holds ─▶ UNACKNOWLEDGED ──acknowledge──▶ ACKNOWLEDGED
                            │ it is over                    │ it is over
                            ▼                               ▼
                        RETURNED ──acknowledge──▶ NORMAL: the alarm is done

Beside its state an alarm may be shelved (a person does not want to see it for a while) or be the consequence
of another one, under which it stands then. ANSI/ISA-18.2-2016, clause 5 and annex A; IEC 62682.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

MOST_NAMED = 20
"""Members of a condition that are named; the others are counted."""


class Priority(StrEnum):
    """How soon a person must do something, most urgent first."""

    CRITICAL = "critical"
    """At once: the plant cannot be trusted."""

    HIGH = "high"
    """Within minutes: money or a promise is at stake."""

    MEDIUM = "medium"
    """Within the hour."""

    LOW = "low"
    """Within the shift."""

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return list(Priority).index(self)


class AlarmState(StrEnum):
    """Whether it holds, and whether a person has seen it."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    """It is over, and nobody acknowledged it."""

    NORMAL = "normal"
    """It is over and was seen; nothing is shown of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that holds now and that a person must know. The same kind and subject is the same one."""

    kind: str
    """A word of the catalogue (`vpp/service/alarms/catalogue.py`)."""

    subject: str = ""
    """What it is about, among others of its kind: a link, an enterprise, a venue; empty for the park."""

    detail: str = ""
    members: tuple[str, ...] = ()
    """Devices or the like of which it holds, at most `MOST_NAMED`."""

    count: int = 1
    """Of how many it holds, those that are not named included."""

    place: Mapping[str, str] = field(default_factory=dict)
    """Where it is: `link`, `enterprise`, `product`, …; what explains it is not elsewhere."""

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject


@dataclass(slots=True, kw_only=True)
class Alarm:
    """One occurrence of a condition, from when it was raised until it is over and seen."""

    alarm_id: str
    condition: Condition
    priority: Priority
    raised_at: datetime
    times: int = 1
    """How often it came; what returns soon after it went is the same alarm."""

    returned_at: datetime | None = None
    """Since when it is over; None while it holds."""

    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    comment: str = ""
    acknowledged_count: int = 0
    """Of how many it held when it was acknowledged: twice as many is news."""

    shelved_until: datetime | None = None
    shelved_by: str = ""
    shelved_because: str = ""
    cause_id: str | None = None
    """The alarm of which this is a consequence; None where it is a first cause."""

    withheld: bool = False
    """Whether it waits because too many came at once."""

    shown_at: datetime | None = None
    """When it first stood in the list as a first cause."""

    escalated: tuple[str, ...] = ()
    """Messages that told people of it, by id."""

    steps: int = 0
    """Changes that are on record: the next one's number less 1."""

    @property
    def state(self) -> AlarmState:
        if self.returned_at is None:
            seen = self.acknowledged_at is not None
            return AlarmState.ACKNOWLEDGED if seen else AlarmState.UNACKNOWLEDGED
        return AlarmState.RETURNED if self.acknowledged_at is None else AlarmState.NORMAL

    def is_shelved(self, now: datetime) -> bool:
        return self.shelved_until is not None and now < self.shelved_until
