"""Messages of the HTTP contract about the control room's desk: alarms, shift log, hand-over, who did what.

Powers are kW net injection, times ISO 8601 with a zone, money strings. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from vpp.model.ids import ID_PATTERN
from vpp.wire import Moment, WireModel

Who = Annotated[str, StringConstraints(min_length=2, max_length=120, strip_whitespace=True)]
Why = Annotated[str, StringConstraints(min_length=3, max_length=500, strip_whitespace=True)]
PriorityName = Literal["critical", "high", "medium", "low"]


class ActRequest(WireModel):
    """Somebody does something, for a reason."""

    by: Who
    reason: Why


class ShelveRequest(ActRequest):
    """Put an alarm aside for a while."""

    end: Moment | None = None
    for_minutes: float | None = Field(default=None, gt=0, le=10_080, allow_inf_nan=False)
    """In place of `end`: from now on."""

    @model_validator(mode="after")
    def _says_how_long(self) -> ShelveRequest:
        if (self.end is None) == (self.for_minutes is None):
            raise ValueError("give end or for_minutes")
        return self


class EscalateRequest(ActRequest):
    """Tell persons of an alarm now."""

    to: Annotated[
        list[Annotated[str, StringConstraints(pattern=ID_PATTERN)]],
        Field(min_length=1, max_length=20),
    ]
    """Ids of `GET /v1/people`."""


class InBothView(WireModel):
    """One text in both languages."""

    en: str
    zh: str


class AlarmView(WireModel):
    """One alarm; its consequences are given one by one where it is shown as a first cause."""

    alarm_id: str
    kind: str
    title: InBothView
    action: InBothView
    """What a person does."""
    subject: str
    """Which link, enterprise, venue …; empty for the park."""
    detail: str
    members: list[str]
    """Devices or the like, the first 20."""
    count: int
    """Of how many it holds."""
    priority: PriorityName
    state: Literal["unacknowledged", "acknowledged", "returned", "normal"]
    raised_at: datetime
    returned_at: datetime | None
    times: int
    """How often it came within minutes."""
    acknowledged_at: datetime | None
    acknowledged_by: str
    comment: str
    shelved_until: datetime | None
    shelved_by: str
    shelved_because: str
    cause_id: str | None
    """The alarm of which it is a consequence."""
    told: int
    """Messages that told people of it."""
    consequences: list[AlarmView]
    """Under a first cause, at most 50; empty elsewhere."""
    more: int
    """Consequences beyond those that are given."""


class AlarmsView(WireModel):
    """What needs a person, the most urgent first."""

    now: datetime
    looked_at: datetime | None
    """When it was looked last; null where it was not yet."""
    shown: list[AlarmView]
    """First causes that nobody put aside."""
    shelved: list[AlarmView]
    withheld: int
    """Held back in a flood; they stand under the alarm `flood`."""
    raised_10min: int
    """First causes that came into the list within 10 minutes."""


class AlarmHistoryView(WireModel):
    """Alarms that are over and seen, the newest first."""

    now: datetime
    alarms: list[AlarmView]


class LogRequest(WireModel):
    """Write something into the shift log."""

    by: Who
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
    about: Annotated[str, StringConstraints(max_length=80, strip_whitespace=True)] = ""
    """An alarm, a resource, a product … that it is about; may be left out."""


class LogEntryView(WireModel):
    """One entry of the shift log; none is ever changed."""

    number: int
    at: datetime
    by: str
    text: str
    about: str


class LogView(WireModel):
    """The shift log, the newest first."""

    now: datetime
    entries: list[LogEntryView]


class HandoverRequest(WireModel):
    """Hand the desk over; what stands now is put on record with it."""

    by: Who
    to: Who
    text: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] = ""


class HandoverAlarm(WireModel):
    """An alarm as it is handed over."""

    alarm_id: str
    title: InBothView
    subject: str
    priority: PriorityName
    state: str
    raised_at: datetime
    shelved_until: datetime | None


class HandoverOverride(WireModel):
    """A resource that is in somebody's hand."""

    resource_id: str
    low_kw: float
    high_kw: float
    until: datetime
    by: str
    reason: str


class HandoverGate(WireModel):
    """A gate that closes within the next shift."""

    product: str
    delivery_start: datetime
    closes_at: datetime


class SummaryView(WireModel):
    """How the plant stands, as one shift tells the next."""

    at: datetime
    since: datetime | None
    """Of the hand-over before; null where there was none."""
    safe_state: str
    safe_state_reason: str
    plan_id: str | None
    plan_issued_at: datetime | None
    strategy_version: str
    park_kw: float | None
    """Measured net injection; null where a main meter is not heard."""
    planned_kw: float | None
    owed_kw: float | None
    money: str
    """Settled so far."""
    currency: str
    stopped: list[str]
    """What the kill switch stops, and why."""
    alarms: list[HandoverAlarm]
    shelved: list[HandoverAlarm]
    overrides: list[HandoverOverride]
    gates: list[HandoverGate]
    """The next 12 hours, the first of each product."""
    entries: list[LogEntryView]
    """Of the log since the hand-over before, at most 200, oldest first."""


class HandoverView(WireModel):
    """One hand-over as it was."""

    number: int
    at: datetime
    by: str
    to: str
    text: str
    last_entry: int
    """Number of the newest entry of the log that it hands over; 0 where there was none."""
    summary: SummaryView


class HandoversView(WireModel):
    """Hand-overs, the newest first, and how the plant would be handed over now."""

    now: datetime
    draft: SummaryView
    handovers: list[HandoverView]


class AuditEntryView(WireModel):
    """Something that a person did."""

    number: int
    """Of the journal."""
    at: datetime
    what: str
    """A word: kill, override, acknowledge, strategies …"""
    about: str
    """Which resource, product, alarm …"""
    by: str | None
    """Null where the record names nobody."""
    reason: str
    detail: str
    """What else the record says, shortened."""


class AuditView(WireModel):
    """Who did what, the newest first."""

    now: datetime
    entries: list[AuditEntryView]
    older: bool
    """Whether there is more before: ask again with `before`."""
