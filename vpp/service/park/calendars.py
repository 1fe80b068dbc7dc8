"""The section `calendar` of a park file: which days are rest days, and which weekends are worked.

    country's public holidays ─┐
    days the park lists ───────┼─▶ Calendar of the park ──┐
                               │   days a member lists ───┴─▶ Calendar of that enterprise
    its make-up work days ─────┘

The nearer list wins: a day that the park works is no rest day, whatever the country does. Holidays
come from the `holidays` library, imported only where a country is named. Some countries decree their
holidays year by year (China and its make-up work days among them): for a year that the library does
not know yet it gives only the predictable ones, and `ParkCalendars.warning` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from vpp.errors import ConfigError
from vpp.model.calendar import Calendar
from vpp.model.ids import EnterpriseId
from vpp.service.park.schematypes import Section

YEARS = range(2000, 2061)
"""Years whose holidays are looked up."""

AHEAD = timedelta(days=60)
"""A year so near is warned of: China decrees the next one's holidays in November."""

LONGEST_RANGE = timedelta(days=400)


class DayRange(Section):
    """Days in a row, the last one included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _in_order(self) -> DayRange:
        if not timedelta(0) <= self.last - self.first <= LONGEST_RANGE:
            raise ValueError(f"{self.first} to {self.last} is no span of 1 to 401 days")
        return self


DayList = Annotated[list[date | DayRange], Field(max_length=2000)]


class DaysSection(Section):
    """Days of one place that are not as their weekday says."""

    rest_days: DayList = Field(default_factory=list)
    """Days on which nothing is produced: holidays, shutdowns. Dates, or `{first, last}`."""
    work_days: DayList = Field(default_factory=list)
    """Saturdays, Sundays and holidays that are worked."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> DaysSection:
        if both := sorted(days(self.rest_days) & days(self.work_days)):
            raise ValueError(f"{both[0]} is a rest day and a work day")
        return self


class CalendarSection(DaysSection):
    """Which local days are alike: what forecasts and baselines compare with what."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    """ISO 3166 code: its public holidays are rest days, its make-up work days work days."""
    subdivision: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,20}$")] | None = None
    """State or province, where holidays differ: `BY`."""

    @model_validator(mode="after")
    def _of_a_country(self) -> CalendarSection:
        if self.subdivision is not None and self.country is None:
            raise ValueError("a subdivision without its country")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryDays:
    """Public holidays of one country, and the weekends that are worked for them."""

    rest_days: frozenset[date]
    work_days: frozenset[date]
    decreed_until: int | None
    """The last year whose holidays are decreed; None where a law gives them for good."""


NO_COUNTRY = CountryDays(rest_days=frozenset(), work_days=frozenset(), decreed_until=None)


def days(listed: Iterable[date | DayRange]) -> frozenset[date]:
    """Every single day of a list of dates and ranges."""
    found: set[date] = set()
    for item in listed:
        if isinstance(item, DayRange):
            count = (item.last - item.first).days + 1
            found.update(item.first + timedelta(days=n) for n in range(count))
        else:
            found.add(item)
    return frozenset(found)


@cache
def country_days(country: str | None, subdivision: str | None) -> CountryDays:
    """What the `holidays` library knows of a country.

    Raises:
        ConfigError: It knows no such country or subdivision; `where` names the key.
    """
    if country is None:
        return NO_COUNTRY
    import holidays

    try:
        known: Any = holidays.country_holidays(country, subdiv=subdivision, years=YEARS)
    except NotImplementedError as error:
        supported = country in holidays.list_supported_countries()
        raise ConfigError(
            str(error),
            where="subdivision" if supported else "country",
            fix="Use a code that the holidays library knows, or list days in rest_days",
        ) from error
    make_up = getattr(known, "weekend_workdays", ())  # of years too that nobody asked for
    decreed = getattr(known, "special_public_holidays", {})
    return CountryDays(
        rest_days=frozenset(day for day in known if day.year in YEARS),
        work_days=frozenset(day for day in make_up if day.year in YEARS),
        decreed_until=max(decreed) if decreed and known.has_substituted_holidays else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkCalendars:
    """The calendar of a park, and those of its members."""

    park: Calendar
    own: Mapping[EnterpriseId, Calendar]
    """Of enterprises that list days of their own."""

    country: str | None
    decreed_until: int | None
    listed: frozenset[int]
    """Years of which the park lists days itself."""

    def of(self, enterprise_id: EnterpriseId) -> Calendar:
        """The calendar of a member."""
        return self.own.get(enterprise_id, self.park)

    def warning(self, today: date) -> str | None:
        """What is not known of the holidays of this year, or of a new one that is near; else None."""
        for year in (today.year, (today + AHEAD).year):
            if (
                self.decreed_until is not None
                and year > self.decreed_until
                and year not in self.listed
            ):
                return (
                    f"calendar.country: {self.country} decrees its holidays year by year, and of"
                    f" {year} only the predictable ones are known -> list days in"
                    " calendar.rest_days and calendar.work_days, or update the holidays library"
                )
        return None


def calendars(
    section: CalendarSection, members: Mapping[str, DaysSection], zone: ZoneInfo
) -> ParkCalendars:
    """The calendars of a park file.

    Raises:
        ConfigError: As `country_days`.
    """
    country = country_days(section.country, section.subdivision)
    national = Calendar(zone=zone, rest_days=country.rest_days, work_days=country.work_days)
    park = _with_days(national, section)
    return ParkCalendars(
        park=park,
        own={EnterpriseId(name): _with_days(park, days) for name, days in members.items()},
        country=section.country,
        decreed_until=country.decreed_until,
        listed=frozenset(day.year for day in days(section.rest_days) | days(section.work_days)),
    )


def _with_days(calendar: Calendar, section: DaysSection) -> Calendar:
    """A calendar with days of its own: they win over what stood there."""
    rest, work = days(section.rest_days), days(section.work_days)
    return Calendar(
        zone=calendar.zone,
        rest_days=(calendar.rest_days - work) | rest,
        work_days=(calendar.work_days - rest) | work,
    )
