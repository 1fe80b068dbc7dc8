"""Messages about reports: what a platform is sent, and what the HTTP contract tells of it.

Powers are kW net injection, above 0 feeds; room up and down are sizes; times ISO 8601 with a zone. A value with the
flaw `invalid` is null. See `wire.py`; what the words mean is in `model/reporting.py`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from vpp.model.horizon import Horizon
from vpp.model.reporting import (
    Capability,
    DayPlanReport,
    ForecastReport,
    MemberPoint,
    PointReport,
    Report,
    ReportHead,
    ReportKind,
    is_known,
)
from vpp.model.telecontrol import Flaw, Shown
from vpp.wire import Id, Moment, ProductName, WireModel

FlawWord = Literal["overflow", "blocked", "substituted", "not_topical", "invalid"]
Format = Literal["vpp-report-1"]
FORMAT: Format = "vpp-report-1"

_WORDS: tuple[tuple[Flaw, FlawWord], ...] = (
    (Flaw.OVERFLOW, "overflow"),
    (Flaw.BLOCKED, "blocked"),
    (Flaw.SUBSTITUTED, "substituted"),
    (Flaw.NOT_TOPICAL, "not_topical"),
    (Flaw.INVALID, "invalid"),
)


class ValueMessage(WireModel):
    """A value, what is wrong with it, and since when it is what it is."""

    value: float | None
    flaws: list[FlawWord]
    """Empty: it is good. substituted: estimated; not_topical: older than it may be, or not of all."""
    at: datetime


class CapabilityMessage(WireModel):
    """How far the net injection could be moved, and be held there for so long."""

    hold_s: int
    up_kw: ValueMessage
    down_kw: ValueMessage


class MemberMessage(WireModel):
    """One resource of the unit."""

    resource_id: str
    power_kw: ValueMessage
    reactive_kvar: ValueMessage | None
    """null where the device does not tell it."""
    soc: ValueMessage | None
    """Share of its capacity; null where it has none."""


class _ReportMessage(WireModel):
    format: Format
    report_id: str
    """The same for the same product, unit, kind and moment: a report that comes twice counts once."""
    product: ProductName
    unit: Id
    due_at: datetime
    """The moment that it is about."""
    made_at: datetime


class PointMessage(_ReportMessage):
    """A unit as it is now."""

    kind: Literal["point"]
    power_kw: ValueMessage
    """The sum of what its resources show, to the watt."""
    reactive_kvar: ValueMessage
    baseline_kw: ValueMessage
    planned_kw: ValueMessage
    owed_kw: ValueMessage
    capability: list[CapabilityMessage]
    members: list[MemberMessage]
    """Empty where only the sum is owed."""
    resources: int
    heard: int
    """How many of `resources` are heard and believed now."""


class ForecastMessage(_ReportMessage):
    """The coming hours of a unit; each list has one value for each step."""

    kind: Literal["forecast"]
    start: datetime
    step_s: int
    planned_kw: list[ValueMessage]
    baseline_kw: list[ValueMessage]
    up_kw: list[ValueMessage]
    down_kw: list[ValueMessage]


class DayPlanMessage(_ReportMessage):
    """What a unit is planned to do on a local day; each list has one value for each step of it."""

    kind: Literal["day-plan"]
    day: date
    start: datetime
    step_s: int
    planned_kw: list[ValueMessage]
    baseline_kw: list[ValueMessage]


AnyReportMessage: TypeAlias = Annotated[
    PointMessage | ForecastMessage | DayPlanMessage, Field(discriminator="kind")
]


def message_of(report: Report) -> PointMessage | ForecastMessage | DayPlanMessage:
    """A report as it goes over the wire."""
    match report:
        case PointReport():
            return PointMessage(
                kind="point",
                **_head(report.head),
                power_kw=_value(report.power),
                reactive_kvar=_value(report.reactive),
                baseline_kw=_value(report.baseline),
                planned_kw=_value(report.planned),
                owed_kw=_value(report.owed),
                capability=[_capability(one) for one in report.capability],
                members=[_member(one) for one in report.members],
                resources=report.resources,
                heard=report.heard,
            )
        case ForecastReport():
            return ForecastMessage(
                kind="forecast",
                **_head(report.head),
                **_axis(report.horizon),
                planned_kw=_values(report.planned),
                baseline_kw=_values(report.baseline),
                up_kw=_values(report.up),
                down_kw=_values(report.down),
            )
        case DayPlanReport():
            return DayPlanMessage(
                kind="day-plan",
                **_head(report.head),
                day=report.day,
                **_axis(report.horizon),
                planned_kw=_values(report.planned),
                baseline_kw=_values(report.baseline),
            )


def _head(head: ReportHead) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "report_id": head.report_id,
        "product": head.product_id,
        "unit": head.unit_id,
        "due_at": head.due_at,
        "made_at": head.made_at,
    }


def _axis(horizon: Horizon) -> dict[str, Any]:
    return {"start": horizon.start, "step_s": horizon.step // timedelta(seconds=1)}


def _value(shown: Shown) -> ValueMessage:
    flaws = [word for flaw, word in _WORDS if shown.flaw & flaw]
    return ValueMessage(value=shown.value if is_known(shown) else None, flaws=flaws, at=shown.at)


def _values(shown: tuple[Shown, ...]) -> list[ValueMessage]:
    return [_value(one) for one in shown]


def _capability(one: Capability) -> CapabilityMessage:
    return CapabilityMessage(
        hold_s=one.hold // timedelta(seconds=1), up_kw=_value(one.up), down_kw=_value(one.down)
    )


def _member(one: MemberPoint) -> MemberMessage:
    return MemberMessage(
        resource_id=one.resource_id,
        power_kw=_value(one.power),
        reactive_kvar=None if one.reactive is None else _value(one.reactive),
        soc=None if one.soc is None else _value(one.soc),
    )


# ---------------------------------------------------------------- the HTTP contract


class StreamView(WireModel):
    """How the reports of one kind go that are owed for one unit by one product."""

    product: str
    unit: str
    kind: ReportKind
    every_s: float | None
    """null: once a day."""
    made: int
    missed: int
    """Whose moment passed without one: the service was too busy, or its record could not be written."""
    newest: AnyReportMessage | None


class PlatformView(WireModel):
    """How one platform does."""

    platform: str
    taken: int
    declined: int
    not_taken: int
    """Tries that failed."""
    waiting: int
    """Reports that are still to be sent, those among them that somebody asked for again."""
    dropped: int
    """Reports that found no room to wait."""
    fault: str | None
    """Why the newest try failed; null where it did not."""
    taken_until: datetime | None
    """The moment of the newest report that it has."""


class ReportsView(WireModel):
    """What is owed to dispatch centres and platforms, and how that goes."""

    at: datetime
    streams: list[StreamView]
    platforms: list[PlatformView]


class ReportPageView(WireModel):
    """Reports as they were made, oldest first."""

    reports: list[AnyReportMessage]
    missing: int
    """Moments of the span at which one was owed, and none is on record."""
    next_from: datetime | None
    """Where to go on; null where that is all."""


class ReplayRequest(WireModel):
    """Send reports again, as they were made."""

    platform: str = Field(max_length=40)
    product: ProductName
    unit: Id | None = None
    kind: ReportKind
    start: Moment
    end: Moment
    """Reports due from `start` to before `end`."""

    @model_validator(mode="after")
    def _in_order(self) -> ReplayRequest:
        if not self.start < self.end:
            raise ValueError("start is not before end")
        return self


class ReplayView(WireModel):
    queued: int
    missing: int
    """As in a page of reports."""
    next_from: datetime | None
    """Where to go on asking; null where all of the span waits to be sent."""
