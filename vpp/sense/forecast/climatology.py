"""Temperature, irradiance, carbon intensity: what is now fades into what is usual at that hour and season.

    usual      a smooth course over day and year, apart for workdays and rest days
    anomaly    how far the series lies off it: last hour, day, week, month; at that time yesterday
    forecast   usual + anomalies, each by a weight that was learnt for that many hours ahead
    spread     what errors were left, by hours ahead and time of day

With less than `_YEAR_DAYS` of history the usual has no year in it, and the month's anomaly carries
the season.

A forecast of others stands in a series of its own and comes as a regressor: where it is known
ahead, its anomaly has a weight too, and what errors it left in the past are the spread. Those
are of the newest version of it, as a past knows no other: a provider's long leads look better than they are.
Where it is missing, the forecast is the one without it. `FittedClimatology.regressors` says what is used.
Values that stand in the series itself beyond the issue are taken for known.

What is never below 0 stays so; at times of day that were 0 for the last weeks (an irradiance at night)
it is 0 without spread. Where the site is known, `ClearSky` with flat panels is the better model of irradiance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.errors import PlanError
from vpp.model.calendar import Calendar, DayType
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past, side_of
from vpp.sense.forecast.daily import DayGrid
from vpp.sense.forecast.wallclock import Ints

_LEADS_H = (0.25, 1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 30.0, 36.0, 48.0, 60.0, 84.0)
"""Hours ahead at which weights and errors are learnt; straight lines between."""

_ANOMALIES_H = (1, 6, 24, 168, 672)
_DAY_HARMONICS = 4
_YEAR_HARMONICS = 2
_YEAR_DAYS = 330
_LEAST_DAYS = 7
_LOOKBACK = timedelta(days=36)
"""What `quantiles` reads of the past: four weeks of anomalies, and the same time a week before."""

_QUIET_DAYS = 14
_RIDGE = 1e-3
_NEIGHBOURS_H = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Climatology:
    """Nothing to set."""

    name: str = "climatology/1"

    def fit(self, past: Past) -> FittedClimatology:
        """Learn the usual course, and how anomalies fade; a second for two years of hours.

        Raises:
            PlanError: Fewer than seven days are known.
        """
        axis = past.values.horizon
        known = ~np.isnan(past.values.values)
        days = known.sum() * (axis.step / timedelta(days=1))
        if days < _LEAST_DAYS:
            raise PlanError(
                f"{days:.1f} days are known",
                where=f"climatology for {past.series_id}",
                fix=f"Give at least {_LEAST_DAYS} days, or choose a naive model",
            )
        names = tuple(
            name
            for name, one in past.regressors.items()
            if not np.isnan(one.values[max(one.horizon.index(past.issued_at), 0) :]).all()
        )
        season = days >= _YEAR_DAYS
        usual = {
            name: _Usual.fit(past.calendar, axis, values, season=season)
            for name, values in _columns(past, axis, names).items()
        }
        seen = _Seen.of(past, axis, usual)
        return FittedClimatology(
            regressors=names,
            usual=usual,
            alone=_Fading.fit(seen, ()),
            led=_Fading.fit(seen, names) if names else None,
            floor=side_of(past.values.values)[0],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedClimatology:
    """The usual course, and how fast one comes back to it."""

    regressors: tuple[str, ...]
    """Series ids of the forecasts of others that are used."""

    usual: Mapping[str, _Usual]
    """Of the series itself under the empty name, and of the regressors."""

    alone: _Fading
    led: _Fading | None
    """With the regressors, where they are known."""

    floor: float

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`. With nothing known lately it is the usual, with the spread of the longest lead."""
        axis = past.lately(_LOOKBACK, horizon)
        seen = _Seen.of(past, axis, self.usual)
        rows = axis.index(horizon.start) + np.arange(horizon.steps)
        origins = np.full(rows.size, seen.origin)
        quantiles = self.alone.quantiles(seen, rows, origins)
        if self.led is not None:
            led = self.led.quantiles(seen, rows, origins)
            quantiles = np.where(np.isnan(led), quantiles, led)
        quantiles = np.maximum(seen.usual[rows] + quantiles, self.floor)
        if self.floor == 0:
            quantiles[:, seen.quiet(rows)] = 0.0
        return np.asarray(np.maximum.accumulate(quantiles, axis=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Usual:
    """A smooth course over the day, the year, and days of rest."""

    season: bool
    weights: Floats

    @classmethod
    def fit(cls, calendar: Calendar, axis: Horizon, values: Floats, *, season: bool) -> _Usual:
        """Least squares on sines and cosines of what is known of `values` (steps,)."""
        known = ~np.isnan(values)
        x = _waves(calendar, axis, season=season)[known]
        return cls(season=season, weights=_ridge(x, values[known]))

    def over(self, calendar: Calendar, axis: Horizon) -> Floats:
        return np.asarray(_waves(calendar, axis, season=self.season) @ self.weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """A series on one axis: its usual course, and running sums of how far it lay off."""

    per_hour: float
    slot: Ints
    slots: int
    values: Floats
    usual: Floats
    anomaly: Floats
    """NaN where not known."""

    total: Floats
    """Running sum of the anomaly (steps + 1,), and of how many are known."""

    count: Floats
    regressors: Mapping[str, Floats]
    """Anomalies of what others forecast."""

    @classmethod
    def of(cls, past: Past, axis: Horizon, usual: Mapping[str, _Usual]) -> _Seen:
        columns = _columns(past, axis, tuple(name for name in usual if name))
        courses = {name: one.over(past.calendar, axis) for name, one in usual.items()}
        anomalies = {name: columns[name] - courses[name] for name in usual}
        own = anomalies.pop("")
        known = ~np.isnan(own)
        grid = DayGrid.over(axis, past.calendar.zone)
        return cls(
            per_hour=timedelta(hours=1) / axis.step,
            slot=grid.slot,
            slots=grid.slots,
            values=columns[""],
            usual=courses[""],
            anomaly=own,
            total=np.concatenate([[0.0], np.cumsum(np.where(known, own, 0.0))]),
            count=np.concatenate([[0.0], np.cumsum(known)]),
            regressors=anomalies,
        )

    @property
    def origin(self) -> int:
        """The step after the newest one that is known."""
        known = np.flatnonzero(~np.isnan(self.anomaly))
        return int(known[-1]) + 1 if known.size else 0

    def features(self, rows: Ints, origins: Ints, names: Sequence[str]) -> Floats:
        """Anomalies known before `origins`, and those others forecast for `rows`: (rows, features).

        An anomaly of the past that is not known is 0: nothing speaks against the usual.
        """
        columns = [
            self._mean(origins - max(round(hours * self.per_hour), 1), origins)
            for hours in _ANOMALIES_H
        ]
        day, near = round(24 * self.per_hour), max(round(self.per_hour), 1)
        back = np.maximum(-((origins - rows - near - 1) // day), 1) * day
        columns.extend(
            self._mean(rows - earlier - near, rows - earlier + near + 1)
            for earlier in (back, np.maximum(back, 7 * day))
        )
        columns.extend(self.regressors[name][rows] for name in names)
        return np.column_stack(columns)

    def quiet(self, rows: Ints) -> Ints:
        """Those of `rows` (as indices into it) at whose time of day everything known lately was 0."""
        low = max(self.origin - round(_QUIET_DAYS * 24 * self.per_hour), 0)
        lately = np.arange(low, self.origin)
        lately = lately[~np.isnan(self.values[lately])]
        lit = np.zeros(self.slots, dtype=bool)
        lit[self.slot[lately[self.values[lately] > 0]]] = True
        shown = np.zeros(self.slots, dtype=bool)
        shown[self.slot[lately]] = True
        return np.flatnonzero((shown & ~lit)[self.slot[rows]])

    def _mean(self, low: Ints, high: Ints) -> Floats:
        last = self.total.size - 1
        low, high = np.clip(low, 0, last), np.clip(high, 0, last)
        count = self.count[high] - self.count[low]
        return np.asarray((self.total[high] - self.total[low]) / np.maximum(count, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fading:
    """How much of each anomaly is left so many hours ahead, and what errors remain."""

    names: tuple[str, ...]
    weights: Floats
    """(leads, features)."""

    errors: Floats
    """Quantiles around the forecast, (leads, levels, slots)."""

    @classmethod
    def fit(cls, seen: _Seen, names: tuple[str, ...]) -> _Fading:
        """Regress the anomaly of every known step on what was known so many hours before."""
        weights, errors = [], []
        for lead_h in _LEADS_H:
            lead = max(round(lead_h * seen.per_hour), 1) - 1
            rows = np.flatnonzero(~np.isnan(seen.anomaly))
            rows = rows[rows - lead > 24 * seen.per_hour]
            x = seen.features(rows, rows - lead, names)
            use = ~np.isnan(x).any(axis=1)
            if use.sum() < 3 * x.shape[1]:
                # A past shorter than the lead: nothing is left of any anomaly.
                weights.append(np.zeros(x.shape[1]))
                rows = np.flatnonzero(~np.isnan(seen.anomaly))
                error = seen.anomaly[rows]
            else:
                rows = rows[use]
                weights.append(_ridge(x[use], seen.anomaly[rows]))
                error = seen.anomaly[rows] - x[use] @ weights[-1]
            errors.append(_by_slot(error, seen.slot[rows], seen.slots))
        return cls(names=names, weights=np.array(weights), errors=np.array(errors))

    def quantiles(self, seen: _Seen, rows: Ints, origins: Ints) -> Floats:
        """Of the anomaly at `rows`, (levels, rows); NaN where a regressor is not known."""
        x = seen.features(rows, origins, self.names)
        lead_h = np.maximum(rows - origins + 1, 1) / seen.per_hour
        at = np.interp(lead_h, _LEADS_H, np.arange(len(_LEADS_H)))
        low = np.minimum(at.astype(np.int64), len(_LEADS_H) - 2)
        part = (at - low)[:, None]
        weights = self.weights[low] * (1 - part) + self.weights[low + 1] * part
        slots = seen.slot[rows]
        errors = self.errors[low, :, slots] * (1 - part) + self.errors[low + 1, :, slots] * part
        return np.asarray((x * weights).sum(axis=1) + errors.T)


def _columns(past: Past, axis: Horizon, names: tuple[str, ...]) -> dict[str, Floats]:
    """The series under the empty name, and regressors, on one axis."""
    own = {"": past.values.on(axis)}
    return own | {name: past.regressors[name].on(axis) for name in names}


def _waves(calendar: Calendar, axis: Horizon, *, season: bool) -> Floats:
    """Sines and cosines of the day, of the year, and of both, and of the day on days of rest."""
    grid = DayGrid.over(axis, calendar.zone)
    dates = grid.dates()
    rest = np.array([calendar.day_type(day) is not DayType.WORKDAY for day in dates], dtype=float)
    year = np.array([day.timetuple().tm_yday for day in dates]) / 365.25
    of_day = _circle(grid.slot / grid.slots, _DAY_HARMONICS)
    blocks = [of_day, of_day * rest[grid.row][:, None]]
    if season:
        of_year = _circle(year, _YEAR_HARMONICS)[grid.row, 1:]
        blocks += [of_day * of_year[:, [i]] for i in range(of_year.shape[1])]
    return np.column_stack(blocks)


def _circle(turn: Floats, harmonics: int) -> Floats:
    """1, and sines and cosines of 1, 2, … turns: (rows, 1 + 2 harmonics)."""
    angle = 2 * np.pi * turn[:, None] * np.arange(1, harmonics + 1)
    return np.column_stack([np.ones(turn.size), np.sin(angle), np.cos(angle)])


def _ridge(x: Floats, y: Floats) -> Floats:
    """Least squares, a little drawn to zero so that columns that say the same share it."""
    gram = x.T @ x
    size = np.trace(gram) / len(gram)
    return np.asarray(
        np.linalg.solve(gram + _RIDGE * max(size, 1e-12) * np.eye(len(gram)), x.T @ y)
    )


def _by_slot(error: Floats, slot: Ints, slots: int) -> Floats:
    """Quantiles of errors within two hours of each time of day, (levels, slots)."""
    reach = max(round(_NEIGHBOURS_H * slots / 24), 0)
    order = np.argsort(slot, kind="stable")
    edges = np.searchsorted(slot[order], np.arange(1, slots))
    by_slot = np.split(error[order], edges)
    near = [
        np.concatenate([by_slot[(i + shift) % slots] for shift in range(-reach, reach + 1)])
        for i in range(slots)
    ]
    return np.stack([np.quantile(one if one.size else error, LEVELS) for one in near], axis=1)
