"""What an enterprise has agreed to: when it is left alone, and how often it may be called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from vpp.model.calendar import Calendar
from vpp.model.hours import Hours
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import Interval

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Times in which a member, or some of its resources, are left alone; all that is said must fit."""

    resources: frozenset[ResourceId]
    """Whose; empty where it is everything that the member owns."""

    steered: bool
    """Whether they are steered all the same: then the member is only in no call."""

    reason: str
    """In words, with what it is: a veto, maintenance."""

    hours: tuple[Hours, ...] = ()
    """Any of which must hold; none: at every hour."""

    first: date | None = None
    """Local day."""

    last: date | None = None
    """The last one included."""

    span: Interval | None = None

    def holds(self, moment: datetime, calendar: Calendar) -> bool:
        """Whether it holds at `moment`, by the park's clock and calendar."""
        if self.span is not None and moment not in self.span:
            return False
        local = moment.astimezone(calendar.zone)
        day = local.date()
        if (self.first is not None and day < self.first) or (
            self.last is not None and day > self.last
        ):
            return False
        holiday = day in calendar.rest_days
        return not self.hours or any(one.hold(local, holiday=holiday) for one in self.hours)

    def touches(self, interval: Interval, calendar: Calendar) -> bool:
        """Whether it holds in any quarter-hour of an interval."""
        return any(self.holds(part.start, calendar) for part in interval.split(QUARTER))


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRule:
    """What one enterprise has agreed to; None where there is no limit of its own."""

    enterprise_id: EnterpriseId
    takes_part: bool = True
    """In calls for demand response."""

    windows: tuple[Window, ...] = ()
    calls_per_day: int | None = None
    calls_per_month: int | None = None
    """Of the local calendar month."""

    hours_per_month: float | None = None
    called_before: int = 0
    """Calls of the month in which the record begins that lie before it."""

    hours_before: float = 0.0
    """Hours of those calls."""
