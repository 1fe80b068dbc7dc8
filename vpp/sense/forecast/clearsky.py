"""PV: the power of a cloudless sky times how clear it will be, learnt from how clear it was.

    site ─▶ clear-sky power B (`sun.py`) ─────────────────────────────┐
    k = power / B, lately, at this hour, this week ─┐                 ▼
    sun, hours ahead ───────────────────────────────┼─▶ median of k ─ × B ─▶ quantiles
    weather known ahead (irradiance, cloud, °C) ────┘   + errors of days not learnt, by k and lead

The median of k comes from boosted trees, each row weighted by B, so that it is the power's error
that is made small. Without regressors the clearness of the last hours fades, as far as that pays, into
the clearness of the season at that time of day; with an irradiance ahead it is brought onto the
panel's plane and the trees learn what it leaves open (snow, shade, haze).

Irradiance is known by being nothing at night; any other regressor is handed over as it is. A regressor
that is not known ahead of the issue is left out; `FittedClearSky.regressors` says which were used.
One that is missing for some step is unknown there, and the trees have learnt such rows, too. Never
below 0; where the sun is down, 0 without spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past, Site
from vpp.sense.forecast.daily import Ints, values_over
from vpp.sense.forecast.sun import Plane, Sky, clear_sky, fitted_plane, split

Bools: TypeAlias = NDArray[np.bool_]

_DARK = 0.005
"""Below this share of its highest clear-sky power a panel counts as dark."""

_LEAST_DAYS = 10
_LOOKBACK = timedelta(days=29)
"""What `quantiles` reads of the past."""

_FARTHEST = timedelta(hours=60)
"""Longest lead that is practised."""

_GOLDEN = 0.618_033_988_749_894_9
"""Its multiples modulo 1 fill the unit interval evenly: leads and folds without a random generator."""

_MOST_ROWS = 24_000
_HIDDEN = 0.15
"""Share of the rows that learn without regressors."""

_MOST_CLEAR = 2.0
"""k is cut here: broken clouds and dawn give more, and mean nothing."""

_WINDOWS_H = ((0, 1), (0, 3), (0, 24), (24, 48), (0, 168), (0, 672))
"""Spans before the origin over which the clearness is a feature, hours."""

_SAME_TIME_DAYS = (1, 3, 10)
_OWN = 4 + len(_WINDOWS_H) + len(_SAME_TIME_DAYS)
"""Features before those of regressors."""

_LEADS_H = (3.0, 12.0, np.inf)
_BINS = 12
"""Groups of leads and of forecast k whose errors are kept apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearSky:
    """How the trees are grown."""

    iterations: int = 150
    learning_rate: float = 0.06
    leaves: int = 15
    least_in_leaf: int = 40

    tilt_deg: float | None = None
    """As built; with `azimuth_deg`. Not given: found from the measured power."""

    azimuth_deg: float | None = None

    @property
    def name(self) -> str:
        """Name and version."""
        return "clearsky/1"

    def fit(self, past: Past) -> FittedClearSky:
        """Learn from what was known at issue; some ten seconds for a year of quarter-hours.

        Raises:
            PlanError: The past has no site, or fewer than ten days with daylight are known.
        """
        site = _site_of(past)
        horizon = past.values.horizon
        sky = clear_sky(site, horizon)
        plane = self._plane(sky, past)
        peak = float(plane.clear(sky).max())
        light, plain = _known_ahead(past, sky)
        seen = _Course.of(past, horizon, sky, plane, peak, light, plain)
        rows, origins = seen.practice(past)
        hidden = _even(rows.size, 7) < _HIDDEN
        features = seen.features(rows, origins)
        features[np.ix_(hidden, np.arange(_OWN, features.shape[1]))] = np.nan
        clear, weight = seen.clearness(rows), seen.base[rows] / peak
        # Every other four days: what one half says of the other is no memory of it.
        fold = (rows // (seen.per_hour * 96) % 2).astype(bool)
        guessed = np.empty_like(clear)
        for half in (fold, ~fold):
            trees = self._trees(features[~half], clear[~half], weight[~half])
            guessed[half] = trees.predict(features[half])
        lead_h = (rows - origins) / seen.per_hour
        return FittedClearSky(
            plane=plane,
            peak=peak,
            light=light,
            plain=plain,
            trees=self._trees(features, clear, weight),
            spread=_Spread.measured(guessed, clear - guessed, weight, lead_h),
        )

    def _plane(self, sky: Sky, past: Past) -> Plane:
        found = fitted_plane(sky, past.values.values, self.tilt_deg, self.azimuth_deg)
        if found.gain <= 0:
            raise PlanError(
                "there was never power while the sun stood up",
                where=f"clearsky for {past.series_id}",
                fix="Look at the sign and the site of the series, or choose another model",
            )
        return found

    def _trees(self, features: Floats, clear: Floats, weight: Floats) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        trees = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=0.5,
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_in_leaf,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        )
        return trees.fit(features, clear, sample_weight=weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedClearSky:
    """A panel's plane, the trees that say how clear it will be, and how far they were off."""

    plane: Plane
    peak: float
    """Highest clear-sky power of the past, in the unit of the series."""

    light: tuple[str, ...]
    """Series ids of irradiances, W/m² on the ground."""

    plain: tuple[str, ...]
    """Series ids of other regressors."""

    trees: Any
    spread: _Spread

    @property
    def regressors(self) -> tuple[str, ...]:
        """Series ids of the regressors that are used; empty where the past of the power stands alone."""
        return (*self.light, *self.plain)

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`. Never below 0; 0 at every level while the sun is down.

        Raises:
            PlanError: The past has no site.
        """
        around = _recent(past, horizon)
        sky = clear_sky(_site_of(past), around)
        seen = _Course.of(past, around, sky, self.plane, self.peak, self.light, self.plain)
        first = around.index(horizon.start)
        rows = np.arange(first, first + horizon.steps)
        origins = np.full(rows.size, seen.origin(past))
        clear = np.zeros((len(LEVELS), rows.size))
        day = np.flatnonzero(seen.base[rows] > 0)
        if day.size:
            expected = self.trees.predict(seen.features(rows[day], origins[day]))
            lead_h = (rows - origins)[day] / seen.per_hour
            clear[:, day] = self.spread.around(expected, lead_h)
        return np.asarray(clear * seen.base[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Course:
    """Everything on one axis: sun, clear-sky power, measured power, regressors."""

    per_hour: float
    """Steps of an hour."""

    sky: Sky
    base: Floats
    """Clear-sky power, 0 where it is dark."""

    peak: float
    power: Floats
    """NaN where not known."""

    power_sum: Floats
    """Running sums (steps + 1,) where the power is known; so is the next."""

    base_sum: Floats
    light: tuple[_Light, ...]
    plain: tuple[Floats, ...]

    @classmethod
    def of(
        cls,
        past: Past,
        horizon: Horizon,
        sky: Sky,
        plane: Plane,
        peak: float,
        light: tuple[str, ...],
        plain: tuple[str, ...],
    ) -> _Course:
        clear = plane.clear(sky)
        base = np.where(clear > _DARK * peak, clear, 0.0)
        power = values_over(past.values, horizon)
        known = ~np.isnan(power)
        ahead = {name: values_over(past.regressors[name], horizon) for name in (*light, *plain)}
        return cls(
            per_hour=timedelta(hours=1) / horizon.step,
            sky=sky,
            base=base,
            peak=peak,
            power=power,
            power_sum=_running(np.where(known, power, 0.0)),
            base_sum=_running(np.where(known, base, 0.0)),
            light=tuple(_Light.of(ahead[name], sky, plane, power) for name in light),
            plain=tuple(ahead[name] for name in plain),
        )

    def origin(self, past: Past) -> int:
        """The step after the newest one that is known."""
        known = np.flatnonzero(~np.isnan(self.power))
        return int(known[-1]) + 1 if known.size else 0

    def practice(self, past: Past) -> tuple[Ints, Ints]:
        """Rows in daylight to learn, and the pretended origin of each.

        Raises:
            PlanError: Too few.
        """
        day = np.flatnonzero((self.base > 0) & ~np.isnan(self.power))
        most = round(_FARTHEST / timedelta(hours=1) * self.per_hour)
        days = np.unique(day // round(24 * self.per_hour)).size
        if days < _LEAST_DAYS:
            raise PlanError(
                f"{days} days with daylight are known",
                where=f"clearsky for {past.series_id}",
                fix=f"Give at least {_LEAST_DAYS} days, or choose another model",
            )
        twice = np.concatenate([day, day])
        every = max(twice.size // _MOST_ROWS, 1)
        rows = np.sort(twice)[::every]
        origins = rows - (_even(rows.size, 0) * most).astype(np.int64)
        enough = origins > round(24 * self.per_hour)
        return rows[enough], origins[enough]

    def clearness(self, rows: Ints) -> Floats:
        """Measured power over clear-sky power, 0 … 2."""
        return np.asarray(np.clip(self.power[rows] / self.base[rows], 0.0, _MOST_CLEAR))

    def features(self, rows: Ints, origins: Ints) -> Floats:
        """What the trees see of steps `rows`, known before `origins`: (rows, features)."""
        hour, day = self.per_hour, round(24 * self.per_hour)
        near = max(round(hour), 1)
        columns = [
            self.sky.elevation_deg[rows],
            self.sky.azimuth_deg[rows],
            self.base[rows] / self.peak,
            (rows - origins) / hour,
        ]
        for first_h, last_h in _WINDOWS_H:
            low, high = origins - round(last_h * hour), origins - round(first_h * hour)
            columns.append(self._ratio(((low, high),)))
        back = np.maximum(-((origins - rows - near - 1) // day), 1) * day
        for days in _SAME_TIME_DAYS:
            at = [rows - back - n * day for n in range(days)]
            columns.append(self._ratio([(one - near, one + near + 1) for one in at]))
        for light in self.light:
            columns.extend(light.features(rows, origins, hour))
        columns.extend(plain[rows] for plain in self.plain)
        return np.column_stack(columns)

    def _ratio(self, spans: Sequence[tuple[Ints, Ints]]) -> Floats:
        """Power over clear-sky power, each summed over the spans; NaN where there was little light."""
        power = _over(self.power_sum, spans)
        base = _over(self.base_sum, spans)
        enough = base > 0.1 * self.peak * self.per_hour
        return _divided(power, base, enough)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Light:
    """An irradiance regressor: on the ground and on the panel's plane, beside the clear sky."""

    ghi: Floats
    ground: tuple[Floats, Floats]
    """Running sums of it and of the clear sky's; so is the next, on the plane."""

    plane: tuple[Floats, Floats]
    followed: tuple[Floats, Floats]
    """Running sums of the measured power, and of the power that this irradiance means."""

    known: Bools

    @classmethod
    def of(cls, ghi: Floats, sky: Sky, plane: Plane, power: Floats) -> _Light:
        dhi, dni = split(sky, ghi)
        meant = plane.power(sky, ghi=ghi, dhi=dhi, dni=dni)
        known, both = ~np.isnan(ghi), ~np.isnan(ghi + power)
        return cls(
            ghi=ghi,
            ground=_running_pair(ghi, sky.ghi, known),
            plane=_running_pair(meant, plane.clear(sky), known),
            followed=_running_pair(power, meant, both),
            known=known,
        )

    def features(self, rows: Ints, origins: Ints, per_hour: float) -> list[Floats]:
        """How clear it is said to be around `rows`, and how well that was followed before `origins`."""
        half = max(round(per_hour / 2), 1)
        wide = [(rows - 3 * half, rows + 3 * half + 1)]
        near = [(rows - half, rows + half + 1)]
        before, after = [(rows - half, rows)], [(rows + 1, rows + half + 1)]
        day, week = round(24 * per_hour), round(168 * per_hour)
        columns = [
            self.ghi[rows],
            _share(self.ground, near),
            _share(self.ground, wide),
            _share(self.plane, near),
            _share(self.plane, [(rows, rows + 1)]),
            _share(self.plane, before),
            _share(self.plane, after),
        ]
        columns = [np.where(self.known[rows], one, np.nan) for one in columns]
        columns.extend(_share(self.followed, [(origins - n, origins)]) for n in (day, week))
        return columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Spread:
    """Quantiles of the error of k, by lead and by the k that was forecast."""

    centers: Floats
    """Forecast k of each group, rising, shape (leads, bins)."""

    errors: Floats
    """(leads, bins, levels)."""

    @classmethod
    def measured(cls, expected: Floats, error: Floats, weight: Floats, lead_h: Floats) -> _Spread:
        """Group the errors of forecasts `expected`; all of shape (rows,)."""
        group = np.searchsorted(_LEADS_H, lead_h)
        centers, errors = [], []
        for lead in range(len(_LEADS_H)):
            mine = np.flatnonzero(group == lead)
            # A lead that was never practised (a short past) errs like all of them together.
            mine = mine if mine.size >= 20 * _BINS else np.arange(expected.size)
            parts = np.array_split(mine[np.argsort(expected[mine], kind="stable")], _BINS)
            centers.append([float(expected[part].mean()) for part in parts])
            errors.append([_weighted_quantiles(error[part], weight[part]) for part in parts])
        return cls(centers=np.array(centers), errors=np.array(errors))

    def around(self, expected: Floats, lead_h: Floats) -> Floats:
        """Quantiles of k (levels, rows) around `expected` (rows,), 0 … 2 and rising."""
        group = np.searchsorted(_LEADS_H, np.maximum(lead_h, 0.0))
        clear = np.empty((len(LEVELS), expected.size))
        for lead in np.unique(group).tolist():
            mine = group == lead
            for level in range(len(LEVELS)):
                clear[level, mine] = expected[mine] + np.interp(
                    expected[mine], self.centers[lead], self.errors[lead, :, level]
                )
        return np.asarray(np.maximum.accumulate(np.clip(clear, 0.0, _MOST_CLEAR), axis=0))


def _weighted_quantiles(values: Floats, weight: Floats) -> Floats:
    """The quantiles at `LEVELS` of values that count as `weight` says."""
    order = np.argsort(values)
    at = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return np.asarray(np.interp(LEVELS, at, values[order]))


def _even(count: int, shift: int) -> Floats:
    """`count` numbers that fill [0, 1) evenly, another order for each `shift`."""
    return np.asarray((np.arange(count) + 0.5 * shift) * (_GOLDEN + shift * 0.1) % 1.0)


def _running(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])


def _running_pair(one: Floats, other: Floats, where: Bools) -> tuple[Floats, Floats]:
    return _running(np.where(where, one, 0.0)), _running(np.where(where, other, 0.0))


def _over(sums: Floats, spans: Sequence[tuple[Ints, Ints]]) -> Floats:
    """What running sums say of the spans [low, high) together, cut to the axis."""
    last = sums.size - 1
    total = np.zeros(spans[0][0].size)
    for low, high in spans:
        total += sums[np.clip(high, 0, last)] - sums[np.clip(low, 0, last)]
    return total


def _share(sums: tuple[Floats, Floats], spans: Sequence[tuple[Ints, Ints]]) -> Floats:
    """The first over the second, each summed over the spans; NaN where the second is nothing."""
    part, whole = _over(sums[0], spans), _over(sums[1], spans)
    return _divided(part, whole, whole > 1e-9)


def _divided(part: Floats, whole: Floats, where: Bools) -> Floats:
    share: Floats = np.full(whole.size, np.nan)
    np.divide(part, whole, out=share, where=where)
    return share


def _known_ahead(past: Past, sky: Sky) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The regressors that are known beyond the issue: irradiances, and others."""
    night = sky.elevation_deg < -3
    light: list[str] = []
    plain: list[str] = []
    for name, profile in past.regressors.items():
        if np.isnan(profile.values[max(profile.horizon.index(past.issued_at), 0) :]).all():
            continue
        known = np.nan_to_num(np.abs(profile.values[: night.size]))
        dark = known[night[: known.size]].max(initial=0.0) <= 0.02 * known.max(initial=0.0)
        (light if dark else plain).append(name)
    return tuple(light), tuple(plain)


def _site_of(past: Past) -> Site:
    if past.site is None:
        raise PlanError(
            "nobody said where it stands",
            where=f"clearsky for {past.series_id}",
            fix="Give the park's latitude and longitude, or choose another model",
        )
    return past.site


def _recent(past: Past, horizon: Horizon) -> Horizon:
    """The last weeks of the past, to the end of the forecast."""
    values = past.values.horizon
    steps = min(_LOOKBACK // values.step, values.steps)
    start = min(values.end - steps * values.step, horizon.start)
    return Horizon(start, values.step, (max(horizon.end, values.end) - start) // values.step)
