"""The `tariffs` of a park file, key by key, with what they become.

    bands, or seasons ▸ day types ▸ bands     price of a kWh by month, weekday, holiday, time of day
    demand_charge_per_kw_month, or demand     charge on the peak, on a contract, or on the capacity

Every number of a tariff, the ones a regulator sets too (1.05, 0.4, 0.9, 260), stands in the file beside
its source and the day from which it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from vpp.model.demand import (
    ActualDemand,
    CapacityCharge,
    ContractDemand,
    DemandCharge,
    LoadFactorDiscount,
    Measuring,
)
from vpp.model.hours import Hours
from vpp.model.tariff import TouBand, TwoPartTariff, floating_price
from vpp.service.park.schematypes import (
    WEEK,
    Day,
    Id,
    LocalTime,
    Money,
    Price,
    Section,
    Text,
    day_numbers,
)

Month = Annotated[int, Field(ge=1, le=12)]
YEAR = list(range(1, 13))
Times = Annotated[Decimal, Field(ge=0, le=100, max_digits=18)]


class DaysSection(Section):
    """Days that are alike; all that is said must fit."""

    days: list[Day] = WEEK
    months: Annotated[list[Month], Field(min_length=1)] = YEAR
    holidays: bool | None = None
    """true: on the tariff's holidays only; false: on other days only; left out: on both."""


class HoursSection(Section):
    """Hours of the day, in local time."""

    start: LocalTime
    end: LocalTime
    """00:00 means the end of the day."""


class WindowSection(HoursSection, DaysSection):
    """Hours of some days in which peaks count."""


class DayBand(HoursSection):
    """One band of a type of day; the first that holds gives the price."""

    name: Text
    price_per_kwh: Money | None = None
    ratio: Money | None = None
    """Instead of a price: multiplies the tariff's `floating` base."""

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.price_per_kwh is None) == (self.ratio is None):
            raise ValueError("give either price_per_kwh or ratio")
        return self


class Band(DayBand, DaysSection):
    """One band of the calendar; the first that holds gives the price."""


class DayTypeSection(Section):
    """The bands of one type of day; the first type that fits a day counts."""

    days: list[Day] = WEEK
    holidays: bool | None = None
    """true: holidays only; false: other days only; left out: both."""
    bands: Annotated[list[DayBand], Field(min_length=1)]


class SeasonSection(Section):
    """Months that are alike."""

    name: Text
    months: Annotated[list[Month], Field(min_length=1)]
    day_types: Annotated[list[DayTypeSection], Field(min_length=1)]


class FloatingSection(Section):
    """Where bands give ratios: a kWh costs `base_per_kwh` times the ratio, plus `fixed_per_kwh`."""

    base_per_kwh: Money
    fixed_per_kwh: Money


class DiscountSection(Section):
    """The demand's price is multiplied in months that use so much energy for each kVA."""

    least_kwh_per_kva: Price
    times: Times


class _MeasuredSection(Section):
    price_per_kw_month: Price
    interval_minutes: Literal[15, 30, 60] = 15
    """Over how long imports are averaged before the month's highest is taken."""
    windows: list[WindowSection] = Field(default_factory=list)
    """Hours in which peaks count; left out: always."""
    discount: DiscountSection | None = None


class ActualDemandSection(_MeasuredSection):
    """The month's highest mean import is charged."""

    form: Literal["actual"]


class ContractDemandSection(_MeasuredSection):
    """The connection point's `contract_kw` is charged, and what goes beyond it at a multiple."""

    form: Literal["contract"]
    least_share_of_capacity: Times
    """The contract counts at least as this share of `capacity_kva`."""
    free_share: Annotated[Decimal, Field(ge=1, le=100, max_digits=18)]
    """Up to this share of the contract the peak is included."""
    excess_times: Times


class CapacitySection(Section):
    """The connection point's `capacity_kva` is charged."""

    form: Literal["capacity"]
    price_per_kva_month: Price


AnyDemand: TypeAlias = Annotated[
    ActualDemandSection | ContractDemandSection | CapacitySection, Field(discriminator="form")
]


class TariffSection(Section):
    """Time-of-use price on each kWh imported, and a monthly charge on demand or capacity."""

    id: Id
    valid_from: date
    source: Text
    bands: list[Band] = Field(default_factory=list)
    """By weekday and time, first come first served; or `seasons`."""
    seasons: list[SeasonSection] = Field(default_factory=list)
    floating: FloatingSection | None = None
    holidays: list[date] = Field(default_factory=list)
    """Local days that bands and windows with `holidays` look at."""
    demand_charge_per_kw_month: Price | None = None
    """Short for `demand` of the form `actual`, measured by the quarter-hour."""
    demand_interval_minutes: Literal[15, 30, 60] = 15
    demand: AnyDemand | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.bands) == bool(self.seasons):
            raise ValueError("give either bands or seasons")
        if (self.demand_charge_per_kw_month is None) == (self.demand is None):
            raise ValueError("give either demand_charge_per_kw_month or demand")
        if self.demand is not None and self.demand_interval_minutes != 15:
            raise ValueError("give interval_minutes in demand, not demand_interval_minutes")
        everything = [band for _, band in _bands(self)]
        if self.floating is None and any(band.ratio is not None for band in everything):
            raise ValueError("a band gives a ratio: give floating, with its base")
        return self


def tariff_noun(section: TariffSection) -> TwoPartTariff:
    """The tariff.

    Raises:
        DataError: Some hour of the year has no price, or a band is no span of the day.
    """
    return TwoPartTariff(
        tariff_id=section.id,
        bands=tuple(
            TouBand(
                name=band.name,
                start=band.start,
                end=band.end,
                days=day_numbers(days.days),
                months=tuple(days.months),
                holidays=days.holidays,
                price_per_kwh=_price(band, section.floating),
            )
            for days, band in _bands(section)
        ),
        demand=_demand(section),
        holidays=frozenset(section.holidays),
    )


def _bands(section: TariffSection) -> Iterator[tuple[DaysSection, DayBand]]:
    """Every band, with the days on which it holds."""
    for dated in section.bands:
        yield dated, dated
    for season in section.seasons:
        for day_type in season.day_types:
            days = DaysSection(days=day_type.days, months=season.months, holidays=day_type.holidays)
            for band in day_type.bands:
                yield days, band


def _price(band: DayBand, floating: FloatingSection | None) -> Decimal:
    if band.ratio is not None and floating is not None:
        return floating_price(floating.base_per_kwh, band.ratio, floating.fixed_per_kwh)
    return band.price_per_kwh or Decimal(0)


def _demand(section: TariffSection) -> DemandCharge:
    match section.demand:
        case None:
            return ActualDemand(
                price_per_kw_month=section.demand_charge_per_kw_month or Decimal(0),
                measuring=Measuring(interval=timedelta(minutes=section.demand_interval_minutes)),
            )
        case ActualDemandSection() as demand:
            return ActualDemand(
                price_per_kw_month=demand.price_per_kw_month,
                measuring=_measuring(demand),
                discount=_discount(demand),
            )
        case ContractDemandSection() as demand:
            return ContractDemand(
                price_per_kw_month=demand.price_per_kw_month,
                least_share_of_capacity=demand.least_share_of_capacity,
                free_share=demand.free_share,
                excess_times=demand.excess_times,
                measuring=_measuring(demand),
                discount=_discount(demand),
            )
        case CapacitySection() as demand:
            return CapacityCharge(price_per_kva_month=demand.price_per_kva_month)


def _measuring(section: _MeasuredSection) -> Measuring:
    return Measuring(
        interval=timedelta(minutes=section.interval_minutes),
        windows=tuple(
            Hours(
                start=window.start,
                end=window.end,
                days=day_numbers(window.days),
                months=tuple(window.months),
                holidays=window.holidays,
            )
            for window in section.windows
        ),
    )


def _discount(section: _MeasuredSection) -> LoadFactorDiscount | None:
    if section.discount is None:
        return None
    return LoadFactorDiscount(
        least_kwh_per_kva=section.discount.least_kwh_per_kva, times=section.discount.times
    )
