"""How clear it was and is said to be: measured power and forecast irradiance beside a clear sky.

    clearness k = measured power / clear-sky power, of a span: the sums of both
    features    k lately, k at that clock time on past days; irradiance ahead over that of a clear sky
    spread      errors of forecast k, by hours ahead and by k: clear days err downwards only

For the PV models of `clearsky.py`. Sums over spans are differences of running sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.sun import Plane, Sky, split
from vpp.sense.forecast.wallclock import Ints

Bools: TypeAlias = NDArray[np.bool_]

_DARK = 0.005
"""Below this share of its highest clear-sky power a panel counts as dark."""

_FARTHEST = timedelta(hours=60)
"""Longest lead that is practised."""

_GOLDEN = 0.618_033_988_749_894_9
"""Its multiples modulo 1 fill the unit interval evenly: leads without a random generator."""

_MOST_ROWS = 24_000
_MOST_CLEAR = 2.0
"""k is cut here: broken clouds and dawn give more, and mean nothing."""

_WINDOWS_H = ((0, 1), (0, 3), (0, 24), (24, 48), (0, 168), (0, 672))
"""Spans before the origin over which the clearness is a feature, hours."""

_SAME_TIME_DAYS = (1, 3, 10)
OWN_FEATURES = 4 + len(_WINDOWS_H) + len(_SAME_TIME_DAYS)
"""Features before those of regressors."""

_LEADS_H = (3.0, 12.0, np.inf)
_BINS = 12
"""Groups of leads and of forecast k whose errors are kept apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Everything on one axis: sun, clear-sky power, measured power, regressors."""

    axis: Horizon
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
    light: tuple[Light, ...]
    plain: tuple[Floats, ...]

    @classmethod
    def of(
        cls,
        past: Past,
        horizon: Horizon,
        sky: Sky,
        plane: Plane,
        peak: float,
        light: tuple[str, ...] = (),
        plain: tuple[str, ...] = (),
    ) -> Course:
        clear = plane.clear(sky)
        base = np.where(clear > _DARK * peak, clear, 0.0)
        power = past.values.on(horizon)
        known = ~np.isnan(power)
        ahead = {name: past.regressors[name].on(horizon) for name in (*light, *plain)}
        return cls(
            axis=horizon,
            per_hour=timedelta(hours=1) / horizon.step,
            sky=sky,
            base=base,
            peak=peak,
            power=power,
            power_sum=_running(np.where(known, power, 0.0)),
            base_sum=_running(np.where(known, base, 0.0)),
            light=tuple(Light.of(ahead[name], sky, plane, power) for name in light),
            plain=tuple(ahead[name] for name in plain),
        )

    def forecast(
        self, horizon: Horizon, clearness: Callable[[Ints, Ints], Floats], spread: Spread
    ) -> Floats:
        """Quantiles of power (levels, steps), from what `clearness` says of rows and origins.

        `horizon` lies on this axis; where it is dark every level is 0.
        """
        first = self.axis.index(horizon.start)
        rows = np.arange(first, first + horizon.steps)
        known = np.flatnonzero(~np.isnan(self.power))
        origins = np.full(rows.size, known[-1] + 1 if known.size else 0)
        clear = np.zeros((len(LEVELS), rows.size))
        day = np.flatnonzero(self.base[rows] > 0)
        if day.size:
            lead_h = (rows - origins)[day] / self.per_hour
            clear[:, day] = spread.around(clearness(rows[day], origins[day]), lead_h)
        return np.asarray(clear * self.base[rows])

    def practice(self, past: Past, least_days: int) -> tuple[Ints, Ints]:
        """Rows in daylight to learn, and the pretended origin of each.

        Raises:
            PlanError: Fewer than `least_days` days have any.
        """
        day = np.flatnonzero((self.base > 0) & ~np.isnan(self.power))
        most = round(_FARTHEST / timedelta(hours=1) * self.per_hour)
        days = np.unique(day // round(24 * self.per_hour)).size
        if days < least_days:
            raise PlanError(
                f"{days} days with daylight are known",
                where=f"clear-sky power for {past.series_id}",
                fix=f"Give at least {least_days} days, or choose another model",
            )
        twice = np.concatenate([day, day])
        every = max(twice.size // _MOST_ROWS, 1)
        rows = np.sort(twice)[::every]
        origins = rows - (even(rows.size, 0) * most).astype(np.int64)
        enough = origins > round(24 * self.per_hour)
        return rows[enough], origins[enough]

    def clearness(self, rows: Ints) -> Floats:
        """Measured power over clear-sky power, 0 … 2."""
        return np.asarray(np.clip(self.power[rows] / self.base[rows], 0.0, _MOST_CLEAR))

    def features(self, rows: Ints, origins: Ints) -> Floats:
        """What the trees see of steps `rows`, known before `origins`: (rows, features)."""
        hour = self.per_hour
        columns = [
            self.sky.elevation_deg[rows],
            self.sky.azimuth_deg[rows],
            self.base[rows] / self.peak,
            (rows - origins) / hour,
        ]
        for first_h, last_h in _WINDOWS_H:
            low, high = origins - round(last_h * hour), origins - round(first_h * hour)
            columns.append(self._ratio(((low, high),)))
        columns.extend(self.at_that_time(rows, origins, 0, days) for days in _SAME_TIME_DAYS)
        for light in self.light:
            columns.extend(light.features(rows, origins, hour))
        columns.extend(plain[rows] for plain in self.plain)
        return np.column_stack(columns)

    def at_that_time(self, rows: Ints, origins: Ints, skipped: int, days: int) -> Floats:
        """Clearness within an hour of the clock time of `rows`, on `days` days before `origins`.

        The newest `skipped` days on which that time had passed are left out. NaN where it was dark
        or nothing is known.
        """
        day, near = round(24 * self.per_hour), max(round(self.per_hour), 1)
        back = np.maximum(-((origins - rows - near - 1) // day), 1) + skipped
        at = [rows - (back + n) * day for n in range(days)]
        return self._ratio([(one - near, one + near + 1) for one in at])

    def _ratio(self, spans: Sequence[tuple[Ints, Ints]]) -> Floats:
        """Power over clear-sky power, each summed over the spans; NaN where there was little light."""
        power = _over(self.power_sum, spans)
        base = _over(self.base_sum, spans)
        enough = base > 0.1 * self.peak * self.per_hour
        return _divided(power, base, enough)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Light:
    """An irradiance regressor: on the ground and on the panel's plane, beside the clear sky."""

    ghi_w_per_m2: Floats
    ground: tuple[Floats, Floats]
    """Running sums of it and of the clear sky's; so is the next, on the plane."""

    plane: tuple[Floats, Floats]
    followed: tuple[Floats, Floats]
    """Running sums of the measured power, and of the power that this irradiance means."""

    known: Bools

    @classmethod
    def of(cls, ghi_w_per_m2: Floats, sky: Sky, plane: Plane, power: Floats) -> Light:
        dhi_w_per_m2, dni_w_per_m2 = split(sky, ghi_w_per_m2)
        meant = plane.power(
            sky, ghi_w_per_m2=ghi_w_per_m2, dhi_w_per_m2=dhi_w_per_m2, dni_w_per_m2=dni_w_per_m2
        )
        known, both = ~np.isnan(ghi_w_per_m2), ~np.isnan(ghi_w_per_m2 + power)
        return cls(
            ghi_w_per_m2=ghi_w_per_m2,
            ground=_running_pair(ghi_w_per_m2, sky.ghi_w_per_m2, known),
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
            self.ghi_w_per_m2[rows],
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
class Spread:
    """Quantiles of the error of k, by lead and by the k that was forecast."""

    centers: Floats
    """Forecast k of each group, rising, shape (leads, bins)."""

    errors: Floats
    """(leads, bins, levels)."""

    @classmethod
    def measured(cls, expected: Floats, error: Floats, weight: Floats, lead_h: Floats) -> Spread:
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

    def centred(self) -> Spread:
        """The same without its median: the forecast is taken at its word."""
        median = self.errors[:, :, [LEVELS.index(0.5)]]
        return Spread(centers=self.centers, errors=self.errors - median)

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


def even(count: int, shift: int) -> Floats:
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
