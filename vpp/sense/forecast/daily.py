"""A series as a table: one row a local day, one column a time on the clock.

    UTC   22:00 23:00 00:00 01:00 …             00:00 01:00 02:00 … 23:00   local clock
            │     │     │     │       ──▶  day 1   ·     ·     ·       ·
                                           day 2   ·     ·    gap      ·    spring: no 02:00
                                           day 3   ·     ·   mean      ·    autumn: two of them

For models that learn whole days at once (prices, arrivals, weather). `features.Table` lays out one
load up to its origin, which is another question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import DataError
from vpp.model.calendar import Calendar, DayType
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.wallclock import Ints, clock

_SECOND = timedelta(seconds=1)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class DayGrid:
    """Which row and column of the table each step of a horizon falls into."""

    first_day: date
    days: int
    slots: int
    """Columns: steps of a day that has 24 hours."""

    row: Ints
    """Shape (steps,)."""

    slot: Ints
    """Shape (steps,)."""

    @classmethod
    def over(cls, horizon: Horizon, zone: ZoneInfo) -> DayGrid:
        """The grid of the local days that `horizon` touches.

        Raises:
            DataError: The step does not divide a day.
        """
        step_s, rest = divmod(horizon.step, _SECOND)
        if rest or _DAY_S % step_s:
            raise DataError(
                f"the step is {horizon.step}",
                where="DayGrid",
                fix="Use a step of whole seconds that divides 24 hours",
            )
        ordinal, slot = clock(horizon, zone)
        first, last = int(ordinal[0]), int(ordinal[-1])
        return cls(
            first_day=date.fromordinal(first),
            days=last - first + 1,
            slots=_DAY_S // step_s,
            row=ordinal - first,
            slot=slot,
        )

    def dates(self) -> tuple[date, ...]:
        """The local day of each row."""
        return tuple(self.first_day + timedelta(days=i) for i in range(self.days))

    def table(self, values: Floats) -> Floats:
        """`values` (steps,) as (days, slots): the mean of what falls together, NaN where nothing does."""
        there = np.flatnonzero(~np.isnan(values))
        cell = self.row[there] * self.slots + self.slot[there]
        size = self.days * self.slots
        total = np.bincount(cell, weights=values[there], minlength=size)
        count = np.bincount(cell, minlength=size)
        mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
        return np.asarray(mean.reshape(self.days, self.slots))

    def steps(self, table: Floats) -> Floats:
        """The cells of a table (…, days, slots) in the order of the horizon's steps: (…, steps)."""
        return np.asarray(table[..., self.row, self.slot])


def bridged(table: Floats, most: int) -> Floats:
    """Gaps of at most `most` columns inside a row filled on a straight line; others stay NaN.

    The hour that a clock change leaves out is such a gap; the end of a day not yet published is not.
    """
    filled = table.copy()
    for row in np.flatnonzero(np.isnan(table).any(axis=1)).tolist():
        known = np.flatnonzero(~np.isnan(table[row]))
        for left, right in pairwise(known.tolist()):
            if 1 < right - left <= most + 1:
                inner = np.arange(left + 1, right)
                filled[row, inner] = np.interp(inner, (left, right), table[row, [left, right]])
    return filled


def weekday_like(calendar: Calendar, day: date) -> int:
    """0 Monday … 6 Sunday, a public holiday read as a Sunday and a make-up work day as a Friday."""
    kind = calendar.day_type(day)
    if kind is DayType.REST_DAY:
        return 6
    return min(day.weekday(), 4) if kind is DayType.WORKDAY else day.weekday()
