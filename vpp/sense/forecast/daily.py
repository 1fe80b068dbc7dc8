"""A series as a table: one row a local day, one column a time on the clock.

    UTC   22:00 23:00 00:00 01:00 …             00:00 01:00 02:00 … 23:00   local clock
            │     │     │     │       ──▶  day 1   ·     ·     ·       ·
                                           day 2   ·     ·    gap      ·    spring: no 02:00
                                           day 3   ·     ·   mean      ·    autumn: two of them

For models that learn whole days at once (prices, arrivals, weather). `features.Table` lays out one
load up to its origin, which is another question; local time enters in these two places only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.calendar import Calendar, DayType
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import EPOCH

Ints: TypeAlias = NDArray[np.int64]

_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_EPOCH_ORDINAL = EPOCH.date().toordinal()


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
        local_s = _local_seconds(horizon, step_s, zone)
        ordinal = local_s // _DAY_S
        first, last = int(ordinal[0]), int(ordinal[-1])
        return cls(
            first_day=date.fromordinal(first + _EPOCH_ORDINAL),
            days=last - first + 1,
            slots=_DAY_S // step_s,
            row=ordinal - first,
            slot=local_s % _DAY_S // step_s,
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


def _local_seconds(horizon: Horizon, step_s: int, zone: ZoneInfo) -> Ints:
    """What the clock on the wall shows at each step's start, in seconds since 1970 of that clock."""
    start_s = (horizon.start - EPOCH) // _SECOND
    utc_s = start_s + np.arange(horizon.steps, dtype=np.int64) * step_s
    day = utc_s // _DAY_S
    midnights = range(int(day[0]), int(day[-1]) + 2)
    offsets = np.array([_offset_s(midnight * _DAY_S, zone) for midnight in midnights])
    before, after = offsets[day - midnights[0]], offsets[day - midnights[0] + 1]
    offset = before.copy()
    # Only on a day on which the clocks change does each step have to be asked about.
    for step in np.flatnonzero(before != after).tolist():
        offset[step] = _offset_s(int(utc_s[step]), zone)
    return np.asarray(utc_s + offset)


def _offset_s(utc_s: int, zone: ZoneInfo) -> int:
    offset = (EPOCH + utc_s * _SECOND).astimezone(zone).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return offset // _SECOND


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


def values_over(profile: Profile, horizon: Horizon) -> Floats:
    """The profile's values on a horizon of the same step, NaN outside of it."""
    values = np.full(horizon.steps, np.nan)
    shift = (horizon.start - profile.horizon.start) // horizon.step
    low, high = max(shift, 0), min(shift + horizon.steps, profile.horizon.steps)
    if low < high:
        values[low - shift : high - shift] = profile.values[low:high]
    return values
