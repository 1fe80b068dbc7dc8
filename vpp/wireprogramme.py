"""What the contract says of a utility's programmes: programs, events, what each order does, polls, reports."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from vpp.wire import WireModel


class ProgrammeEventView(WireModel):
    """One event of a utility, as it stands with us."""

    event_id: str
    program: str
    name: str
    priority: int | None
    """0 is the highest; null is below them all."""
    seen_at: datetime
    modified_at: datetime | None
    start: datetime | None
    end: datetime | None
    """Null where it has no end."""
    state: Literal["to_come", "in_force", "over"]
    payload_types: list[str]
    reports: list[str]
    """What it asks to be told."""


class ProgrammeOrderView(WireModel):
    """What an event asks for over a span, where no other event is followed instead."""

    event_id: str
    start: datetime
    end: datetime
    kind: Literal["signal", "capacity", "setpoint", "change", "alert"]
    does: str
    """In words, net injection positive."""


class NotDoneView(WireModel):
    event_id: str
    payload_type: str
    why: str


class SentReportView(WireModel):
    name: str
    event_id: str
    at: datetime


class UtilityView(WireModel):
    """One utility, and how we stand with it."""

    id: str
    url: str
    version: str
    ven_name: str
    programs: list[str]
    heard_at: datetime | None
    """When its list was read last."""
    ill: str | None
    """Why it was not heard the last time."""
    events: list[ProgrammeEventView]
    orders: list[ProgrammeOrderView]
    not_done: list[NotDoneView]
    last_report: SentReportView | None
    reports_unanswered: int


class ProgrammesView(WireModel):
    utilities: list[UtilityView]
