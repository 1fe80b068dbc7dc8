"""What is counted for budgets, by local day: what is on record, and what resources say beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeAlias, assert_never
from zoneinfo import ZoneInfo

from vpp.model.ids import ResourceId
from vpp.model.time import local_date, local_moment
from vpp.service.quotas.schema import Period

IMPORT, EXPORT = "import", "export"
"""Of the whole park, by its main meters, in kWh."""

UNMETERED_H, UNMEASURED_H = "unmetered_h", "unmeasured_h"
"""Hours that some main meter, or some resource that is measured, does not tell: not counted."""

What: TypeAlias = Literal["calls", "hours_on", "discharged", "fed", "unfed", "kept"]
"""Of one resource. As it says itself: `calls`, `hours_on`, `discharged`. Measured, in kWh: `fed` by a
generator, `unfed` though it could have been, `kept` by a store (drawn less fed)."""


def counter(what: What, resource_id: ResourceId) -> str:
    """The name under which a resource's doing is counted."""
    return f"{what}/{resource_id}"


@dataclass(frozen=True, slots=True)
class Days:
    """Local days from `first` to the one before `end`."""

    first: date
    end: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day < self.end


def beginnings(
    period: Period, now: datetime, until: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    """When periods begin after `now` and before `until`."""
    days = days_of(period, local_date(now, zone))
    while (begins := local_moment(days.end, time(), zone)) < until:
        yield begins
        days = days_of(period, days.end)


@dataclass(slots=True)
class Tally:
    """What was done on each local day, by name."""

    by_day: dict[date, dict[str, float]] = field(default_factory=dict)
    """On record."""

    seen: dict[tuple[date, str], float] = field(default_factory=dict)
    """What resources say of a whole day; more than is on record of it, for a while."""

    def see(self, day: date, name: str, amount: float) -> None:
        """A count that falls (a device that began anew) does not undo what was done."""
        self.seen[day, name] = max(self.seen.get((day, name), 0.0), amount)

    def rises(self, day: date) -> dict[str, float]:
        """What was seen of a day and is not on record."""
        of = self.by_day.get(day, {})
        return {
            name: more
            for (seen_on, name), said in self.seen.items()
            if seen_on == day and (more := said - of.get(name, 0.0)) > 0
        }

    def add(self, day: date, name: str, amount: float) -> None:
        of = self.by_day.setdefault(day, {})
        of[name] = of.get(name, 0.0) + amount

    def total(self, name: str, days: Days) -> float:
        """Over all days of a period."""
        recorded = sum(of.get(name, 0.0) for day, of in self.by_day.items() if day in days)
        seen_on = [day for day, of in self.seen if of == name and day in days]
        fresh = (self.rises(day).get(name, 0.0) for day in seen_on)
        return recorded + sum(fresh)


def days_of(period: Period, day: date) -> Days:
    """The period that a local day belongs to."""
    match period:
        case Period.DAY:
            return Days(day, day + timedelta(days=1))
        case Period.MONTH:
            first = day.replace(day=1)
            return Days(first, (first + timedelta(days=31)).replace(day=1))
        case Period.YEAR:
            return Days(date(day.year, 1, 1), date(day.year + 1, 1, 1))
        case _:
            assert_never(period)
