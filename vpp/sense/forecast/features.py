"""What a model may know of a step ahead: the same clock time on past days, the level, the calendar.

    step ahead (target)       Tue 09:00, a workday, forecast at Mon 12:00 (origin)
    newest known at 09:00     Mon 09:00 | Fri 09:00 | Thu 09:00 …       (Mon 13:00 is not known yet)
    of the same day type      Mon | Fri | Thu | Wed                     (Sat, Sun passed over)
    level                     how far the newest hours, day, week lay off their own baseline

A series is laid out as a table, one row a local day and
one column a clock time. On the day of a clock change a clock time may be missing (its cell is
NaN) or double (the first occurrence stands in the table; both steps ahead read the same past).

The origin is the step after the newest known one. Rows for training pair a past target with a
pretended origin, and read nothing from the origin on: what holds for a live forecast holds for them.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError, PlanError
from vpp.model.calendar import Calendar, DayType
from vpp.model.horizon import Floats, Horizon
from vpp.model.time import isoformat
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.wallclock import Ints, clock

Bools: TypeAlias = NDArray[np.bool_]

LOOKBACK_DAYS = 42
"""No day further back is compared with the one ahead: six Saturdays, and not another season."""

_LONGEST_REST = 7
"""Days without work in a row that are told apart."""

_KINDS = tuple(DayType)

_GOLDEN = 0.618_033_988_749_894_9
"""Its multiples, taken modulo 1, fill the unit interval evenly from any start on: even leads without
a random generator."""


class Table:
    """One series up to its origin, as days by clock times, and the calendar to the end of a horizon."""

    def __init__(self, past: Past, until: datetime, *, lookback_days: int | None = None) -> None:
        """Lay out `past`, all of it or its last `lookback_days`, and the empty days up to `until`.

        Raises:
            DataError: The step does not divide a day.
            PlanError: No value is known at all.
        """
        axis = past.values.horizon
        self.slots, uneven = divmod(timedelta(days=1), axis.step)
        if uneven:
            raise DataError(
                f"steps of {axis.step}",
                where=f"past of {past.series_id}",
                fix="Forecast in steps that divide a day",
            )
        known = np.flatnonzero(np.isfinite(past.values.values))
        if not known.size:
            raise PlanError(
                "no value is known",
                where=f"forecast of {past.series_id}",
                fix="Put history into the series, or let it borrow a profile",
            )
        end = int(known[-1]) + 1
        first = 0 if lookback_days is None else max(end - lookback_days * self.slots, 0)
        self.series_id = past.series_id
        self.axis = Horizon(
            axis.start + first * axis.step,
            axis.step,
            max(-((axis.start - until) // axis.step), end) - first,
        )
        """From the first step laid out to the end of what is forecast; rows count its steps."""
        self.origin = end - first
        self.values: Floats = np.full(self.axis.steps + 1, np.nan)
        """By step, NaN from the origin on; one more at the end, for step -1 to read."""
        self.values[: self.origin] = past.values.values[first:end]
        self.regressors = {
            name: _cut(profile.values, first, self.axis.steps)
            for name, profile in past.regressors.items()
        }
        self.day, self.slot = clock(self.axis, past.calendar.zone)
        self.first_day = int(self.day[0])
        self.day -= self.first_day
        self.days = _Days(past.calendar, self.first_day, int(self.day[-1]) + 1)

        self.step_at: Ints = np.full((self.days.count, self.slots), -1)
        # Of a double hour `unique` gives the first occurrence; an assignment might keep either.
        cells, steps = np.unique(self.day * self.slots + self.slot, return_index=True)
        self.step_at.flat[cells] = steps
        """The step of each day (row) at each clock time (column), -1 where a day lacks it."""

    def targets(self, horizon: Horizon) -> Ints:
        """The rows' steps that `horizon` asks for.

        Raises:
            DataError: It does not lie on the grid of the series, or outside the table.
        """
        offset, rest = divmod(horizon.start - self.axis.start, self.axis.step)
        if rest or horizon.step != self.axis.step or offset < 0 or horizon.end > self.axis.end:
            raise DataError(
                f"asked for {horizon} of a series on {self.axis}",
                where=f"forecast of {self.series_id}",
                fix="Forecast on the steps of the series, not before they begin",
            )
        return offset + np.arange(horizon.steps)

    def newest(
        self,
        targets: Ints,
        origins: Ints,
        *,
        most: int,
        same_type: bool = False,
        every_days: int = 1,
        lookback_days: int = LOOKBACK_DAYS,
    ) -> Ints:
        """The newest steps known at the clock time of each target, newest first.

        Args:
            targets: Steps ahead, shape (rows,).
            origins: First step not known to each row, shape (rows,).
            most: How many steps to find.
            same_type: Whether days of another type than the target's are passed over.
            every_days: 7 looks at the same weekday only.
            lookback_days: How far back to look.

        Returns:
            Shape (rows, most), -1 behind the last one found; `values` reads NaN there.
        """
        ahead, slot = self.day[targets], self.slot[targets]
        found = np.full((targets.size, most), -1)
        count = np.zeros(targets.size, np.int64)
        rows = np.arange(targets.size)
        for back in range(every_days, lookback_days + 1, every_days):
            day = ahead[rows] - back
            there = day >= 0
            rows, day = rows[there], day[there]
            step = self.step_at[day, slot[rows]]
            use = np.isfinite(self.values[step]) & (step < origins[rows])
            if same_type:
                use &= self.days.kind[day] == self.days.kind[ahead[rows]]
            taking = rows[use]
            found[taking, count[taking]] = step[use]
            count[taking] += 1
            rows = rows[count[rows] < most]
            if not rows.size:
                break
        return found

    def mean(self, steps: Ints, first: int | None = None) -> Floats:
        """Mean of the known values at the `first` columns of `steps`, shape (rows,), NaN where none."""
        return mean_known(self.values[steps[:, :first]])

    def require_complete(self, values: Floats, targets: Ints) -> None:
        """Refuse a forecast with holes; `values` has shape (rows,).

        Raises:
            PlanError: Some row has nothing to go by; names the first one.
        """
        missing = np.flatnonzero(~np.isfinite(values))
        if missing.size:
            start = self.axis.start + int(targets[missing[0]]) * self.axis.step
            raise PlanError(
                f"no known value to go by for the step at {isoformat(start)}"
                f" ({missing.size} of {values.size} steps)",
                where=f"forecast of {self.series_id}",
                fix="Give the series at least one day of history of each day type",
            )


def _cut(values: Floats, first: int, steps: int) -> Floats:
    """From `first` on, `steps` values and one NaN more, NaN where there are none."""
    cut: Floats = np.full(steps + 1, np.nan)
    there = values[first : first + steps]
    cut[: there.size] = there
    return cut


class _Days:
    """What the calendar says of each local day of a table, whatever lies around the table."""

    def __init__(self, calendar: Calendar, first_day: int, count: int) -> None:
        self.count = count
        around = range(first_day - _LONGEST_REST, first_day + count + _LONGEST_REST)
        kind = np.array(
            [_KINDS.index(calendar.day_type(date.fromordinal(ordinal))) for ordinal in around]
        )
        here = slice(_LONGEST_REST, _LONGEST_REST + count)
        self.kind: Ints = kind[here]
        """0 workday, 1 Saturday, 2 rest day."""
        self.kind_before: Ints = np.roll(kind, 1)[here]
        self.kind_after: Ints = np.roll(kind, -1)[here]
        self.weekday: Ints = (first_day + np.arange(count) + 6) % 7
        """0 is Monday."""
        self.special: Bools = (self.kind == 2) & (self.weekday != 6)
        """Holidays and shutdowns on what would be a workday or a Saturday."""
        self.rested: Ints = _run_before(kind > 0)[here]
        """Days without work up to the evening before, `_LONGEST_REST` at most."""
        self.resting: Ints = _run_before(kind[::-1] > 0)[::-1][here]
        """Days without work from the next morning on, `_LONGEST_REST` at most."""


def _run_before(flags: Bools) -> Ints:
    """How many true ones stand right before each element, `_LONGEST_REST` at most."""
    index = np.arange(flags.size)
    newest_false = np.maximum.accumulate(np.where(flags, -1, index))
    run: Ints = np.minimum(np.concatenate([[0], (index - newest_false)[:-1]]), _LONGEST_REST)
    return run


def training_rows(table: Table, *, longest: timedelta, warm_up_days: int) -> tuple[Ints, Ints]:
    """Known targets, each with a pretended origin; leads spread evenly up to `longest`.

    No origin lies in the first `warm_up_days`. Gives (targets, origins), each of shape (rows,).
    """
    targets = np.flatnonzero(np.isfinite(table.values))
    spread = (targets * _GOLDEN) % 1.0
    leads = (spread * (longest // table.axis.step)).astype(np.int64)
    origins = targets - leads
    use = origins >= warm_up_days * table.slots
    return targets[use], origins[use]


def mean_known(values: Floats) -> Floats:
    """Mean of the known values in each row, NaN where there is none; shape (rows,)."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean
