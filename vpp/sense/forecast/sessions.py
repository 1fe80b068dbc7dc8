"""Cars that come: the days that were like it, the newer the likelier, and no curve forced on them.

    day ahead   Tue ── past Tuesdays weigh 1 ─┐
                       other workdays  alike  ├─ × exp(-age / memory) ─▶ weighted quantiles
                       rest days       ~ 0    ┘   of what came at that time of day, give or take

A site sees no car on many days and five on others: what came is a mixture with a lump at zero, and the
weighted past itself is its distribution. `memory` (usage grows, drivers leave), `alike` (how far
one workday stands for another: what shrinks a rarely seen weekday to all of them) and whether
neighbouring times count are chosen by the quantile loss on the series' own past, each day from the
days before it. A holiday is a Sunday.

For whatever sessions add up to: kWh a day of a site, kWh or cars that arrive or leave in a step, and the
service's `arriving.<resource>` (kW if each car took what it wants evenly in two hours), which is
never above 0. The median is often 0 where hardly a car comes; how much may come is in the quantiles.
Sites are not pooled: a past holds one series.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import numpy as np

from vpp.errors import PlanError
from vpp.model.calendar import DayType
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.daily import DayGrid, bridged, weekday_like
from vpp.sense.forecast.wallclock import Ints

_LEAST_DAYS = 14
_LOOKBACK_DAYS = 182
_OTHER_KIND = 1e-6
"""Weight of a day of another type: it counts where no day of the type is known, and then alone."""

_TRIED_DAYS = 120
_TRIED_SLOTS = 24
"""So many of the newest days, and of the times of day, are forecast for each choice."""

_LAG_DAYS = 2
"""A day tried is forecast from the days up to so many before it, as a plan made at noon would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """What is tried."""

    memories_days: tuple[float, ...] = (7.0, 14.0, 28.0, 56.0, 112.0)
    alikes: tuple[float, ...] = (0.0, 0.15, 0.4, 1.0)
    reaches: tuple[timedelta, ...] = (timedelta(0), timedelta(hours=1))

    @property
    def name(self) -> str:
        """Name and version."""
        return "sessions/1"

    def fit(self, past: Past) -> FittedSessions:
        """Choose memory, likeness and reach on the past; a second or two for a year of quarter-hours.

        Raises:
            PlanError: Fewer than two weeks of days are known.
        """
        days = _Days.of(past, past.values.horizon)
        known = np.flatnonzero(~np.isnan(days.table).all(axis=1))
        if known.size < _LEAST_DAYS:
            raise PlanError(
                f"{known.size} days are known",
                where=f"sessions of {past.series_id}",
                fix=f"Give at least {_LEAST_DAYS} days, or a naive model",
            )
        choices = [
            FittedSessions(memory_days=memory, alike=alike, reach=reach)
            for memory, alike, reach in product(self.memories_days, self.alikes, self.reaches)
            if not reach or reach >= past.values.horizon.step
        ]
        tried = known[known >= known[0] + _LEAST_DAYS - _LAG_DAYS][-_TRIED_DAYS:]
        losses = [days.loss(one, tried) for one in choices]
        return choices[int(np.argmin(losses))]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSessions:
    """How past days are weighed."""

    memory_days: float
    alike: float
    """Weight of a day of the same type and another weekday."""

    reach: timedelta
    """How far around a time of day other times count, less with distance."""

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`.

        Raises:
            PlanError: Nothing is known of a time of day in the last half year.
        """
        days = _Days.of(past, past.lately(timedelta(days=_LOOKBACK_DAYS), horizon))
        wanted = DayGrid.over(horizon, past.calendar.zone)
        rows = np.arange(wanted.days) + (wanted.first_day - days.grid.first_day).days
        table = np.zeros((len(LEVELS), wanted.days, wanted.slots))
        for slot in np.unique(wanted.slot).tolist():
            fan = days.fan(self, slot, rows, lag_days=0)
            if np.isnan(fan).any():
                raise PlanError(
                    f"nothing is known of slot {slot} of the day in {_LOOKBACK_DAYS} days",
                    where=f"sessions of {past.series_id}",
                    fix="Mend the feed, or choose another model",
                )
            table[:, :, slot] = fan
        return wanted.steps(table)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Days:
    """A series by local day, and what kind of day each is."""

    grid: DayGrid
    table: Floats
    """(days, slots), NaN where not known."""

    weekday: Ints
    kind: Ints

    @classmethod
    def of(cls, past: Past, axis: Horizon) -> _Days:
        grid = DayGrid.over(axis, past.calendar.zone)
        dates = grid.dates()
        kinds = list(DayType)
        return cls(
            grid=grid,
            table=bridged(grid.table(past.values.on(axis)), max(grid.slots // 24, 1)),
            weekday=np.array([weekday_like(past.calendar, day) for day in dates]),
            kind=np.array([kinds.index(past.calendar.day_type(day)) for day in dates]),
        )

    def fan(self, how: FittedSessions, slot: int, rows: Ints, *, lag_days: int) -> Floats:
        """Quantiles (levels, rows) at a time of day, from days at least `lag_days` before each row.

        With `lag_days` 0 whatever is known counts. NaN where nothing is.
        """
        reach = min(how.reach * self.grid.slots // timedelta(days=1), self.grid.slots // 2)
        shifts = np.arange(-reach, reach + 1)
        near = self.table[:, (slot + shifts) % self.grid.slots]
        day, shift = np.nonzero(~np.isnan(near))
        values = near[day, shift]
        order = np.argsort(values, kind="stable")
        day, shift, values = day[order], shift[order], values[order]
        age = rows[:, None] - day
        like = np.where(
            self.weekday[rows][:, None] == self.weekday[day],
            1.0,
            np.where(self.kind[rows][:, None] == self.kind[day], how.alike, 0.0) + _OTHER_KIND,
        )
        weights = like * np.exp(-np.abs(age) / how.memory_days)
        weights = weights * (1 - np.abs(shifts[shift]) / (reach + 1))
        if lag_days:
            weights[age < lag_days] = 0.0
        return _weighted(values, weights)

    def loss(self, how: FittedSessions, rows: Ints) -> float:
        """Mean quantile loss of days `rows`, each forecast from the days well before it."""
        levels = np.array(LEVELS)[:, None]
        total = 0.0
        for slot in range(0, self.grid.slots, max(self.grid.slots // _TRIED_SLOTS, 1)):
            off = self.table[rows, slot] - self.fan(how, slot, rows, lag_days=_LAG_DAYS)
            total += float(np.nansum(np.maximum(levels * off, (levels - 1) * off)))
        return total


def _weighted(values: Floats, weights: Floats) -> Floats:
    """Quantiles (levels, rows) of rising `values` (n,), weighed for each row (rows, n); NaN without any."""
    if not values.size:
        return np.full((len(LEVELS), len(weights)), np.nan)
    sums = np.cumsum(weights, axis=1)
    whole = sums[:, -1:]
    at = [np.minimum((sums < level * whole).sum(axis=1), values.size - 1) for level in LEVELS]
    return np.where(whole.T > 0, values[np.array(at)], np.nan)
