"""The `quotas` of a park file or a case, key by key: budgets that reach beyond the horizon.

    quotas:
      - id: backup-2026
        counts: hours_on              # which activity, and below the resource that does it
        resource: engine
        period: year                  # day, month or year of the park's calendar
        most_hours: 200
        used_at_start_hours: 35       # in the running period, before the service began
        expected:                     # of a day that is left; the first entry that fits it holds
          - {days: [sat, sun]}
          - must_hours_per_day: 0.1
            could: [{hours_per_day: 2, worth_per_hour: 80}, {hours_per_day: 6, worth_per_hour: 15}]

What is expected is declared, not learnt: what was used already shows what a price made of it, not what
more of it would have been worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from vpp.service.park.schematypes import (
    DAYS,
    WEEK,
    Cost,
    Day,
    Id,
    Positive,
    Section,
    Share,
    Size,
    day_numbers,
)
from vpp.service.park.tariffschema import YEAR, Month

Block: TypeAlias = tuple[float, float]
"""Units a day, and what one of them is worth."""


class Period(StrEnum):
    """Over what a budget is counted: local calendar."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


# ---------------------------------------------------------------- what a day is expected to want


class ExpectedDay(Section):
    """Days that are alike; both must fit."""

    days: list[Day] = WEEK
    months: Annotated[list[Month], Field(min_length=1)] = YEAR

    @property
    def must(self) -> float:
        """Units used whatever they cost."""
        raise NotImplementedError

    @property
    def blocks(self) -> Sequence[Block]:
        """What could be used beside it, the worthiest first."""
        raise NotImplementedError

    def fits(self, day: date) -> bool:
        """Whether `day` is one of these."""
        return day.month in self.months and day.weekday() in day_numbers(self.days)

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if any(later > earlier for (_, earlier), (_, later) in pairwise(self.blocks)):
            raise ValueError("a later block is worth more than an earlier one: put that one first")
        return self


class KwhBlock(Section):
    kwh_per_day: Positive
    worth_per_kwh: Cost
    """What a kWh of it is worth; below 0 where it costs."""


class KwhDay(ExpectedDay):
    must_kwh_per_day: Size = 0.0
    """What is used whatever it costs."""
    could: Annotated[list[KwhBlock], Field(max_length=20)] = Field(default_factory=list)
    """What could be used beside it, the worthiest first."""

    @property
    def must(self) -> float:
        return self.must_kwh_per_day

    @property
    def blocks(self) -> Sequence[Block]:
        return [(block.kwh_per_day, block.worth_per_kwh) for block in self.could]


class CallBlock(Section):
    calls_per_day: Positive
    worth_per_call: Cost


class CallDay(ExpectedDay):
    must_calls_per_day: Size = 0.0
    """Calls or starts that come whatever they cost."""
    could: Annotated[list[CallBlock], Field(max_length=20)] = Field(default_factory=list)

    @property
    def must(self) -> float:
        return self.must_calls_per_day

    @property
    def blocks(self) -> Sequence[Block]:
        return [(block.calls_per_day, block.worth_per_call) for block in self.could]


class HourBlock(Section):
    hours_per_day: Positive
    worth_per_hour: Cost


class HourDay(ExpectedDay):
    must_hours_per_day: Size = 0.0
    could: Annotated[list[HourBlock], Field(max_length=20)] = Field(default_factory=list)

    @property
    def must(self) -> float:
        return self.must_hours_per_day

    @property
    def blocks(self) -> Sequence[Block]:
        return [(block.hours_per_day, block.worth_per_hour) for block in self.could]


class CarbonBlock(Section):
    kgco2_per_day: Positive
    worth_per_kgco2: Cost


class CarbonDay(ExpectedDay):
    must_kgco2_per_day: Size = 0.0
    could: Annotated[list[CarbonBlock], Field(max_length=20)] = Field(default_factory=list)

    @property
    def must(self) -> float:
        return self.must_kgco2_per_day

    @property
    def blocks(self) -> Sequence[Block]:
        return [(block.kgco2_per_day, block.worth_per_kgco2) for block in self.could]


class LessExport(Section):
    kwh_per_day: Positive
    cost_per_kwh: Size
    """What it costs to use a kWh of it at home (or not to make it) instead."""


class GreenDay(ExpectedDay):
    """A day of a green direct connection, if nobody counted its ratios."""

    fed_kwh_per_day: Size
    curtailed_kwh_per_day: Size = 0.0
    exported_kwh_per_day: Size
    storage_loss_kwh_per_day: Size = 0.0
    load_kwh_per_day: Size
    """All that is consumed."""
    less_export: Annotated[list[LessExport], Field(max_length=20)] = Field(default_factory=list)
    """How much less could be exported and used at home instead, the cheapest first."""

    @property
    def must(self) -> float:
        return self.fed_kwh_per_day - self.exported_kwh_per_day

    @property
    def blocks(self) -> Sequence[Block]:
        """Of green use: what more of it is worth, below 0 since it costs."""
        return [(block.kwh_per_day, -block.cost_per_kwh) for block in self.less_export]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        less = sum(block.kwh_per_day for block in self.less_export)
        if not less <= self.exported_kwh_per_day <= self.fed_kwh_per_day:
            raise ValueError(
                f"less_export {less:g}, exported {self.exported_kwh_per_day:g}, fed"
                f" {self.fed_kwh_per_day:g} kWh: none may be above the next"
            )
        return self


class LessPeak(Section):
    kw: Positive
    cost_per_kw: Size
    """What it costs that day to draw one kW less at its peak."""


class PeakDay(ExpectedDay):
    """The highest mean import of a day, if nobody lowered it."""

    import_kw: Size
    less: Annotated[list[LessPeak], Field(max_length=20)] = Field(default_factory=list)
    """By how much it could be lowered, the cheapest first."""

    @property
    def must(self) -> float:
        return self.import_kw - sum(block.kw for block in self.less)

    @property
    def blocks(self) -> Sequence[Block]:
        return [(block.kw, -block.cost_per_kw) for block in self.less]

    @model_validator(mode="after")
    def _not_below_nothing(self) -> Self:
        if self.must < 0:
            raise ValueError(f"less adds up to more than the {self.import_kw:g} kW imported")
        return self


# ---------------------------------------------------------------- what is counted


class QuotaBase(Section):
    id: Id
    period: Period

    @model_validator(mode="after")
    def _every_day_is_expected(self) -> Self:
        expected: list[ExpectedDay] = getattr(self, "expected", [])
        for month in YEAR:
            for day in DAYS:
                if not any(month in e.months and day in e.days for e in expected):
                    raise ValueError(f"expected says nothing of a {day} in month {month}")
        return self


class EnergyQuota(QuotaBase):
    """So much may be imported or exported by the whole park."""

    counts: Literal["import", "export"]
    most_kwh: Size
    used_at_start_kwh: Size = 0.0
    """In the running period, before the service began to look (in a case: so far)."""
    expected: list[KwhDay]


class GreenUseQuota(QuotaBase):
    """So much green generation must be used at home: fed by green sources and not exported."""

    counts: Literal["green_use"]
    least_kwh: Size
    used_at_start_kwh: Size = 0.0
    expected: list[KwhDay]


class DischargeQuota(QuotaBase):
    """So much may be taken out of a storage: its cycle life."""

    counts: Literal["discharged"]
    resource: Id
    most_kwh: Size
    used_at_start_kwh: Size = 0.0
    """Before the day on which the service began: of that day the resource says itself."""
    expected: list[KwhDay]


class CallsQuota(QuotaBase):
    """So many calls of a load, starts of a machine, runs."""

    counts: Literal["calls"]
    resource: Id
    most_calls: Size
    used_at_start_calls: Size = 0.0
    """Before the day on which the service began: of that day the resource says itself."""
    expected: list[CallDay]


class HoursQuota(QuotaBase):
    """So many hours a machine may be on."""

    counts: Literal["hours_on"]
    resource: Id
    most_hours: Size
    used_at_start_hours: Size = 0.0
    """Before the day on which the service began: of that day the resource says itself."""
    expected: list[HourDay]


class CarbonQuota(QuotaBase):
    """So much carbon: of imports by the grid's factor, of generators by theirs."""

    counts: Literal["carbon"]
    most_kgco2: Size
    used_at_start_kgco2: Size = 0.0
    """In the running period, before the service began to look (in a case: so far)."""
    expected: list[CarbonDay]


class GreenSoFar(Section):
    """Energies of the running period before the service began to look (in a case: so far)."""

    fed_kwh: Size = 0.0
    curtailed_kwh: Size = 0.0
    exported_kwh: Size = 0.0
    storage_loss_kwh: Size = 0.0
    load_kwh: Size = 0.0


class GreenRatiosQuota(QuotaBase):
    """The ratios of a green direct connection; leave out one that no rule asks for."""

    counts: Literal["green_ratios"]
    least_self_use_share: Share = 0.0
    """Used at home, of what was available from green sources."""
    least_green_share: Share = 0.0
    """Green and used at home, of all that was consumed."""
    most_export_share: Share = 1.0
    """Exported, of what was available."""
    used_at_start: GreenSoFar = GreenSoFar()
    expected: list[GreenDay]


class PeakQuota(QuotaBase):
    """The peak that a demand charge is paid on: what the plan sees of a month is priced by what comes."""

    counts: Literal["peak"]
    connection_point: Id
    period: Literal[Period.MONTH]
    expected: list[PeakDay]


Budget: TypeAlias = (
    EnergyQuota
    | GreenUseQuota
    | DischargeQuota
    | CallsQuota
    | HoursQuota
    | CarbonQuota
    | GreenRatiosQuota
)
"""What is counted up over a period."""

AnyQuota: TypeAlias = Annotated[
    EnergyQuota
    | GreenUseQuota
    | DischargeQuota
    | CallsQuota
    | HoursQuota
    | CarbonQuota
    | GreenRatiosQuota
    | PeakQuota,
    Field(discriminator="counts"),
]
QuotaList: TypeAlias = Annotated[list[AnyQuota], Field(max_length=50)]
