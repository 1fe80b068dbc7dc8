"""Prices of tomorrow from whole days before: one sparse regression an hour, averaged over windows.

    prices of D-1, D-2, D-3, D-7    ┐  asinh((x - median) / MAD), each column by itself
    regressors of D, D-1, D-7       ├─▶ LASSO, one for each slot of day D ─▶ back to prices
    weekday of D                    ┘   on the last 56, 84, 364, … days  ─▶ mean over the windows

After the LEAR of Lago, Marcjasz, De Schutter and Weron, Applied Energy 293 (2021) 116983. Ours
differs where it saves time or need not guess: instead of choosing one penalty by AIC each day, the
coefficients of four penalties around 1/n are averaged; a window of one year stands among the four
of the paper (both chosen on the Nord Pool prices of 2016, before the test years).

* Regressors are what the past holds (load and wind forecasts of others). Those that are not known
  for the day after the last known price are left out as a whole, and without any the prices and
  the weekday stand alone: `FittedLear.regressors` says which were used. One that is missing for
  some later day stands at its value a week before, and the spread is that of such days.
* Features are hourly means whatever the step is; with quarter-hours there are 96 regressions.
* A day that is published in part keeps what is published, without spread; its error is carried on
  over the rest of the day, fading as errors of neighbouring slots were seen to fade.
* A day further on is forecast from the forecast of the day before. The spread comes from days held
  back when learning, by how many days ahead and by time of day; it widens with high prices,
  because it is measured behind the asinh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.daily import DayGrid, bridged, weekday_like
from vpp.sense.forecast.sparse import Regression, Scaling
from vpp.sense.forecast.wallclock import Ints

_PRICE_LAGS = (1, 2, 3, 7)
_REGRESSOR_LAGS = (0, 1, 7)
_WEEK = 7
_LEADS = 3
"""Days ahead told apart in the spread; later ones have the spread of the last."""

_LEAST_DAYS = 21
"""Rows to learn from, besides the week that only serves as their past."""

_LOOKBACK = timedelta(days=22)
"""What `quantiles` reads of the past: the lags, and two weeks to fill gaps from."""

_NEIGHBOURS_H = 2
"""Hours on either side whose errors count for the spread of a slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lear:
    """How the regression is set up."""

    windows_days: tuple[int, ...] = (56, 84, 364, 1092, 1456)
    """Calibration windows; one that is longer than the past is cut to it."""

    penalties: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)
    """Penalties of the LASSO in units of 1/n, n the days of the window; falling."""

    held_back_days: int = 56
    """Last days that a second fit does not see, for the spread; at most a quarter of the past."""

    @property
    def name(self) -> str:
        """Name and version."""
        return "lear/1"

    def fit(self, past: Past) -> FittedLear:
        """Learn from the days known at issue; half a second or so for six years of hours.

        Raises:
            PlanError: Fewer than four weeks of days are known.
        """
        days = _Days.of(past, _whole(past), tuple(past.regressors))
        last = days.last_complete()
        days = replace(days, regressors=_known_ahead(days.regressors, last + 1))
        rows = np.arange(_WEEK, last + 1)
        rows = rows[~np.isnan(days.prices[_WEEK : last + 1]).any(axis=1)]
        if rows.size < _LEAST_DAYS:
            raise PlanError(
                f"{rows.size} days are known that have a week before them",
                where=f"lear for {past.series_id}",
                fix=f"Give at least {_LEAST_DAYS + _WEEK} whole days, or choose another model",
            )
        held = min(self.held_back_days, rows.size // 4)
        early = self._regressions(days, rows[:-held], self.penalties[1:2] or self.penalties)
        scaling = Scaling.of(days.prices[rows[-364:]])
        return FittedLear(
            regressors=tuple(days.regressors),
            regressions=self._regressions(days, rows, self.penalties),
            scaling=scaling,
            spread=_Spread.measured(early, days, int(rows[-held]), last, scaling),
        )

    def _regressions(
        self, days: _Days, rows: Ints, penalties: tuple[float, ...]
    ) -> tuple[Regression, ...]:
        sizes = sorted({min(window, rows.size) for window in self.windows_days})
        features, targets = days.features(rows), days.prices[rows]
        return tuple(Regression.fit(features[-n:], targets[-n:], penalties) for n in sizes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedLear:
    """Regressions of each window, and how far they were off."""

    regressors: tuple[str, ...]
    """Series ids of the regressors that are used; empty where prices and weekday stand alone."""

    regressions: tuple[Regression, ...]
    scaling: Scaling
    spread: _Spread

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`. What is published already comes back as it is, at every level.

        Raises:
            PlanError: No whole day of prices is known in the last three weeks.
        """
        days = _Days.of(past, past.lately(_LOOKBACK, horizon), self.regressors)
        last = days.last_complete()
        if last < 0:
            raise PlanError(
                f"no whole day is known in the {_LOOKBACK.days} days before {past.issued_at}",
                where=f"lear for {past.series_id}",
                fix="Mend the feed, or choose a model that needs no whole days",
            )
        wanted = DayGrid.over(horizon, past.calendar.zone)
        offset = (wanted.first_day - days.grid.first_day).days
        table = np.repeat(days.prices[None], len(LEVELS), axis=0)
        for row in range(last + 1, offset + wanted.days):
            table[:, row] = self._day(days, row, last)
            days.prices[row] = table[LEVELS.index(0.5), row]
        values = wanted.steps(table[:, offset : offset + wanted.days])
        published = past.values.on(horizon)
        return np.where(np.isnan(published), values, published)

    def _day(self, days: _Days, row: int, last: int) -> Floats:
        """The quantiles of one day (levels, slots), with what is published of it taken as it is."""
        rows = np.array([row])
        known = days.prices[row]
        stale = not days.regressors_known(row)
        expected = self.scaling.forward(
            np.mean([r.predict(days.features(rows))[0] for r in self.regressions], axis=0)
        )
        error = self.scaling.forward(known) - expected
        carried, left = _carried(error, self.spread.fading)
        spread = self.spread.at(row - last, stale=stale)
        quantiles = self.scaling.back(expected + carried + spread * left)
        return np.where(np.isnan(known), quantiles, known)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Days:
    """Prices and regressors by local day, and what a regression sees of them."""

    grid: DayGrid
    prices: Floats
    """(days, slots), NaN where not known."""

    regressors: Mapping[str, Floats]
    """By series id: (days, columns)."""

    weekday: Ints
    """(days,): 0 Monday … 6 Sunday and holidays."""

    @classmethod
    def of(cls, past: Past, horizon: Horizon, names: tuple[str, ...]) -> _Days:
        """Cut `horizon` out of the past; beyond what is known there is NaN."""
        grid = DayGrid.over(horizon, past.calendar.zone)
        hour = max(grid.slots // 24, 1)
        return cls(
            grid=grid,
            prices=bridged(grid.table(past.values.on(horizon)), most=hour),
            regressors={
                name: _hourly(bridged(grid.table(past.regressors[name].on(horizon)), 2 * hour))
                for name in names
            },
            weekday=np.array([weekday_like(past.calendar, day) for day in grid.dates()]),
        )

    def last_complete(self) -> int:
        """The newest row without a gap; -1 where there is none."""
        complete = np.flatnonzero(~np.isnan(self.prices).any(axis=1))
        return int(complete[-1]) if complete.size else -1

    def regressors_known(self, row: int) -> bool:
        """Whether every regressor has a whole day there."""
        return all(not np.isnan(table[row]).any() for table in self.regressors.values())

    def features(
        self, rows: Ints, *, stale: bool = False, forecast: Mapping[int, Floats] | None = None
    ) -> Floats:
        """What stands on the right of the regression for days `rows`: (rows, features).

        `stale` reads the regressors of the day itself a week before. `forecast` holds prices by lag,
        (rows, slots), that take the place of the known ones.
        """
        columns: list[Floats] = []
        for lag in _PRICE_LAGS:
            given = (forecast or {}).get(lag)
            own = _hourly(_lagged(self.prices, rows, lag) if given is None else given)
            # A day that is missing is taken to be like the one after it.
            columns.append(np.where(np.isnan(own), columns[-1], own) if columns else own)
        for table in self.regressors.values():
            for lag in _REGRESSOR_LAGS:
                own = _lagged(table, rows, lag)
                week_before = _lagged(table, rows, _WEEK)
                if lag == 0:
                    own = week_before if stale else np.where(np.isnan(own), week_before, own)
                columns.append(own)
        return np.column_stack([*columns, np.eye(_WEEK)[self.weekday[rows]]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spread:
    """Quantiles of the errors on days held back, behind the asinh."""

    fresh: Floats
    """(leads, levels, slots), regressors of the day known."""

    stale: Floats
    """The same with the regressors of the week before."""

    fading: float
    """How much of an error is left one slot later on the same day, 0 … 1."""

    @classmethod
    def measured(
        cls,
        regressions: tuple[Regression, ...],
        days: _Days,
        first: int,
        last: int,
        scaling: Scaling,
    ) -> _Spread:
        """The errors of rows `first` … `last`, which `regressions` have not seen."""
        by_age = []
        for stale in (False, True):
            rows = np.arange(first, last + 1)
            errors = [
                scaling.forward(days.prices[rows]) - scaling.forward(prices)
                for prices in _at_leads(regressions, days, rows, stale=stale)
            ]
            by_age.append((errors, _widening(np.stack([_by_slot(error) for error in errors]))))
            if not days.regressors:
                by_age *= 2
                break
        (errors, fresh), (_, stale_quantiles) = by_age
        return cls(fresh=fresh, stale=stale_quantiles, fading=_fading(errors[0]))

    def at(self, lead_days: int, *, stale: bool) -> Floats:
        """(levels, slots) around the median."""
        by_lead = self.stale if stale else self.fresh
        return np.asarray(by_lead[min(lead_days, _LEADS) - 1])


def _at_leads(
    regressions: tuple[Regression, ...], days: _Days, rows: Ints, *, stale: bool
) -> list[Floats]:
    """Prices of `rows` forecast one, two … days ahead, each day from the forecast of the one before."""
    # A day two ahead needs the day before it one ahead, so the first of them begin earlier.
    rows = np.arange(rows[0] - _LEADS + 1, rows[-1] + 1)
    ahead: list[Floats] = []
    for lead in range(1, _LEADS + 1):
        # Lag l of a day `lead` ahead was itself forecast `lead - l` ahead, l days before.
        earlier = {lag: _shifted(ahead[lead - lag - 1], lag) for lag in range(1, lead)}
        features = days.features(rows, stale=stale, forecast=earlier)
        ahead.append(np.mean([one.predict(features) for one in regressions], axis=0))
    return [prices[_LEADS - 1 :] for prices in ahead]


def _shifted(table: Floats, rows: int) -> Floats:
    """The table `rows` later; the first rows repeat its first one, and nobody reads them."""
    return np.concatenate([np.repeat(table[:1], rows, axis=0), table[:-rows]])


def _by_slot(errors: Floats) -> Floats:
    """Quantiles (levels, slots) of errors (days, slots) around their median, over near slots."""
    slots = errors.shape[1]
    reach = _NEIGHBOURS_H * slots // 24
    near = np.stack([np.roll(errors, shift, axis=1) for shift in range(-reach, reach + 1)])
    quantiles = np.nanquantile(near, LEVELS, axis=(0, 1))
    return np.asarray(quantiles - quantiles[LEVELS.index(0.5)])


def _widening(by_lead: Floats) -> Floats:
    """The same (leads, levels, slots), no later lead narrower: the days held back are too few to say so."""
    below = np.minimum.accumulate(by_lead, axis=0)
    return np.where(by_lead <= 0, below, np.maximum.accumulate(by_lead, axis=0))


def _fading(errors: Floats) -> float:
    """The correlation of errors in neighbouring slots of a day."""
    one, next_ = errors[:, :-1].ravel(), errors[:, 1:].ravel()
    both = ~np.isnan(one + next_)
    power = float(one[both] @ one[both])
    return min(max(float(one[both] @ next_[both]) / power, 0.0), 0.99) if power > 0 else 0.0


def _carried(error: Floats, fading: float) -> tuple[Floats, Floats]:
    """What a day's known errors (NaN elsewhere) say of its later slots, and the share of spread left."""
    known = ~np.isnan(error)
    slots = np.arange(error.size)
    newest = np.maximum.accumulate(np.where(known, slots, -1))
    after = fading ** (slots - newest)
    carried = np.where(newest >= 0, np.where(known, error, 0.0)[newest] * after, 0.0)
    return carried, np.where(newest >= 0, np.sqrt(1 - after**2), 1.0)


def _lagged(table: Floats, rows: Ints, lag: int) -> Floats:
    """The table `lag` days before each of `rows`, NaN before its beginning."""
    at = rows - lag
    return np.where((at >= 0)[:, None], table[np.maximum(at, 0)], np.nan)


def _hourly(table: Floats) -> Floats:
    """Means of the hours of each day; slots of an hour and more stay what they are."""
    days, slots = table.shape
    if slots <= 24 or slots % 24:
        return table
    return np.asarray(table.reshape(days, 24, slots // 24).mean(axis=2))


def _known_ahead(regressors: Mapping[str, Floats], row: int) -> dict[str, Floats]:
    """The regressors that are known for at least half of the day `row`: the others cannot be used."""
    return {
        name: table
        for name, table in regressors.items()
        if row < len(table) and np.isfinite(table[row]).mean() >= 0.5
    }


def _whole(past: Past) -> Horizon:
    """From the first value to the end of what is known of anything."""
    ends = [profile.horizon.end for profile in (past.values, *past.regressors.values())]
    start, step = past.values.horizon.start, past.values.horizon.step
    return Horizon(start, step, (max(ends) - start) // step)
