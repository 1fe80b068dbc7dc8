"""Days that are alike, and the same time of day on another one: for forecasts and baselines.

A load repeats by the clock on the wall, not by UTC, and a Sunday says little about a Monday.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo


class DayType(StrEnum):
    """Which days are compared with each other."""

    WORKDAY = "workday"
    SATURDAY = "saturday"
    REST_DAY = "rest_day"
    """Sundays and public holidays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which local days are alike at one place."""

    zone: ZoneInfo
    rest_days: frozenset[date] = frozenset()
    """Public holidays, and days on which the park stands still."""

    work_days: frozenset[date] = frozenset()
    """Saturdays and Sundays that are worked to make up for a holiday (调休)."""

    def day_type(self, day: date) -> DayType:
        """The type of a local calendar day."""
        return day_type(day, self.rest_days, self.work_days)


def day_type(day: date, holidays: Set[date], work_days: Set[date] = frozenset()) -> DayType:
    """The type of a local calendar day, whatever its weekday: a make-up day is worked, a holiday is not."""
    if day in work_days:
        return DayType.WORKDAY
    if day in holidays or day.weekday() == 6:
        return DayType.REST_DAY
    return DayType.SATURDAY if day.weekday() == 5 else DayType.WORKDAY


def same_clock_time(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """When the clocks of `zone` show `at` on `day`, in UTC.

    None where the spring change skips that time; its first occurrence where the autumn change
    repeats it.
    """
    local = datetime.combine(day, at.replace(fold=0), zone)
    moment = local.astimezone(UTC)
    there = moment.astimezone(zone)
    return moment if there.time() == local.time() and there.date() == day else None
