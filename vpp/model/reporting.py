"""What a dispatch centre or a platform is told of a bidding unit: a point of now, a rolling forecast, a day's plan.

    PointReport      every `telemetry`   power, reactive power, room up and down by how long it is held, baseline,
                                         working point, and each resource on its own
    ForecastReport   every step          the coming hours: what is planned, and the room beside it
    DayPlanReport    the day before      96 points (92, 100) of what is planned

Each value carries its own quality and the time it was measured (`Shown`): one that is old says so and is told with
its old time; one that nobody knows has no value (`Flaw.INVALID`). Powers are kW net injection, to the watt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId, ResourceId, UnitId
from vpp.model.telecontrol import Flaw, Shown
from vpp.model.time import isoformat, require_utc

W_PER_KW = 1000


class ReportKind(StrEnum):
    """What a report is about; also the last part of its place at a platform."""

    POINT = "point"
    FORECAST = "forecast"
    DAY_PLAN = "day-plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What is owed for one unit by one product's rules; None: nothing of the kind."""

    product_id: ProductId
    unit_id: UnitId
    telemetry: timedelta | None
    """How often a point is owed."""
    forecast_step: timedelta | None
    forecast_steps: int
    """A forecast of so many steps is owed at the beginning of each step."""
    plan_points: int | None
    """Of a day of 24 hours; a longer or shorter day has more or fewer."""
    holds: tuple[timedelta, ...]
    """For how long the room that is told could be held, shortest first."""
    members: timedelta | None
    """How often each resource is told on its own beside the sum."""

    def __post_init__(self) -> None:
        for name in ("telemetry", "members", "forecast_step"):
            step = getattr(self, name)
            if step is not None and (step <= timedelta(0) or timedelta(days=1) % step):
                raise DataError(
                    f"{name} of {step}",
                    where=f"report of {self.product_id}",
                    fix="Give a step that divides a day",
                )

    @property
    def duty_id(self) -> str:
        """Names it in keys of the record."""
        return f"{self.product_id}/{self.unit_id}"

    def step(self, kind: ReportKind) -> timedelta | None:
        """How often a report of a kind is owed; None where it never is, and of a day's plan, which is owed once a day."""
        match kind:
            case ReportKind.POINT:
                return self.telemetry
            case ReportKind.FORECAST:
                return self.forecast_step
            case ReportKind.DAY_PLAN:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHead:
    """Which report it is."""

    product_id: ProductId
    unit_id: UnitId
    kind: ReportKind
    due_at: datetime
    """The moment it is about: it was owed then, whenever it was made."""
    made_at: datetime

    def __post_init__(self) -> None:
        require_utc(self.due_at, where="ReportHead.due_at")
        require_utc(self.made_at, where="ReportHead.made_at")

    @property
    def duty_id(self) -> str:
        """Of the duty it fulfils."""
        return f"{self.product_id}/{self.unit_id}"

    @property
    def report_id(self) -> str:
        """The same for the same duty, kind and moment: one that is sent twice is counted once."""
        return f"{self.duty_id}/{self.kind}/{isoformat(self.due_at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """How far the net injection could be moved from what it is, and be held there for so long; sizes in kW."""

    hold: timedelta
    up: Shown
    down: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPoint:
    """One resource of the unit."""

    resource_id: ResourceId
    power: Shown
    """kW."""
    reactive: Shown | None
    """kvar, fed above 0; None where the device does not tell it."""
    soc: Shown | None
    """Share of its capacity; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointReport:
    """A unit as it is now."""

    head: ReportHead
    power: Shown
    """kW: the sum of what its resources show, to the watt."""
    reactive: Shown
    """kvar: the sum of those that tell it."""
    baseline: Shown
    """kW without what it was called to do."""
    planned: Shown
    """kW: the working point of the standing plan."""
    owed: Shown
    """kW: what was sold and called, as the mean over the quarter-hour; invalid where nothing is."""
    capability: tuple[Capability, ...]
    members: tuple[MemberPoint, ...]
    """Empty where only the sum is owed."""
    resources: int
    heard: int
    """How many of `resources` are heard and believed now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastReport:
    """The coming hours of a unit; every tuple has one value for each step of `horizon`."""

    head: ReportHead
    horizon: Horizon
    planned: tuple[Shown, ...]
    baseline: tuple[Shown, ...]
    up: tuple[Shown, ...]
    down: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlanReport:
    """What a unit is planned to do on a local day; one value for each step of `horizon`, which is that day."""

    head: ReportHead
    day: date
    horizon: Horizon
    planned: tuple[Shown, ...]
    baseline: tuple[Shown, ...]


Report: TypeAlias = PointReport | ForecastReport | DayPlanReport


# ---------------------------------------------------------------- what became of one at a platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The platform has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The platform does not want it; the same again would be declined again."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """It did not arrive, or nobody knows: it may be sent again, for its id is the same."""

    why: str


ReportAnswer: TypeAlias = Taken | Declined | NotTaken


# ---------------------------------------------------------------- values and their sums


def unknown(at: datetime) -> Shown:
    """No value, as it stands since `at`."""
    return Shown(0.0, Flaw.INVALID, at)


def known(value_kw: float | None, at: datetime, flaw: Flaw = Flaw.NONE) -> Shown:
    """A value to the watt; none at all where it is no number."""
    if value_kw is None or not isfinite(value_kw):
        return unknown(at)
    return Shown(round(value_kw, 3), flaw, at)


def is_known(shown: Shown) -> bool:
    """Whether there is a value, whatever else is wrong with it."""
    return not shown.flaw & Flaw.INVALID


def total(parts: Iterable[Shown], at: datetime) -> Shown:
    """The sum of all parts that have a value, exact to the watt, as old as the oldest of them.

    Where one has none the sum is not topical, for it is not the sum of all; where nobody has one it is none.
    """
    found = tuple(parts)
    values = [part for part in found if is_known(part)]
    if not values:
        return unknown(at)
    flaw = Flaw.NONE
    for part in values:
        flaw |= part.flaw
    if len(values) < len(found):
        flaw |= Flaw.NOT_TOPICAL
    watts = sum(round(part.value * W_PER_KW) for part in values)
    return Shown(watts / W_PER_KW, flaw, min(part.at for part in values))
