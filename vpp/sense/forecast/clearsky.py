"""PV: the power of a cloudless sky times how clear it will be, learnt from how clear it was.

    site ─▶ clear-sky power B (`sun.py`) ─────────────────────────────┐
    k = power / B, lately, at this hour, this week ─┐                 ▼
    sun, hours ahead ───────────────────────────────┼─▶ median of k ─ × B ─▶ quantiles
    weather known ahead (irradiance, cloud, °C) ────┘   + errors of days not learnt, by k and lead

B needs the panel's plane: as the park file has it (`panels`), else found from the power that was measured.
The median of k comes from boosted trees, each row weighted by B, so that it is the power's error
that is made small. Without regressors the clearness of the last hours fades, as far as that pays, into
the clearness of the season at that time of day; with an irradiance ahead it is brought onto the
panel's plane and the trees learn what it leaves open (snow, shade, haze).

`ClearSkyPersistence` takes the clearness of the newest day at that time as it was.

Irradiance is known by being nothing at night; any other regressor is handed over as it is. A regressor
that is not known ahead of the issue is left out; `FittedClearSky.regressors` says which were used.
One that is missing for some step is unknown there, and the trees have learnt such rows, too. Never
below 0; where the sun is down, 0 without spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from vpp.errors import PlanError
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.clearness import OWN_FEATURES, Course, Spread, even
from vpp.sense.forecast.sun import Plane, Sky, clear_sky, fitted_plane, site_of
from vpp.sense.forecast.wallclock import Ints

_LEAST_DAYS = 10
_LOOKBACK = timedelta(days=29)
"""What `quantiles` reads of the past."""

_HIDDEN = 0.15
"""Share of the rows that learn without regressors."""

_PERSISTENCE_LEAST_DAYS = 3
_PERSISTENCE_DAYS = 8
"""So far back a day is looked for that shows the hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearSky:
    """How the trees are grown."""

    iterations: int = 150
    learning_rate: float = 0.06
    leaves: int = 15
    least_in_leaf: int = 40
    bins: int = 63
    """Of each feature: with weighted rows scikit-learn takes longer to find 255 of them than to grow the
    trees, and the median error of PV (benchmark, second third) is 1.5 % larger with so many."""

    @property
    def name(self) -> str:
        """Name and version."""
        return "clear-sky/1"

    def fit(self, past: Past) -> FittedClearSky:
        """Learn from what was known at issue; some three seconds for a year of quarter-hours.

        Raises:
            PlanError: The past has no site, or fewer than ten days with daylight are known.
        """
        site = site_of(past)
        horizon = past.values.horizon
        sky = clear_sky(site, horizon)
        plane = _plane(sky, past)
        peak = float(plane.clear(sky).max())
        light, plain = _known_ahead(past, sky)
        seen = Course.of(past, horizon, sky, plane, peak, light, plain)
        rows, origins = seen.practice(past, _LEAST_DAYS)
        hidden = even(rows.size, 7) < _HIDDEN
        features = seen.features(rows, origins)
        features[np.ix_(hidden, np.arange(OWN_FEATURES, features.shape[1]))] = np.nan
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
            spread=Spread.measured(guessed, clear - guessed, weight, lead_h),
        )

    def _trees(self, features: Floats, clear: Floats, weight: Floats) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        trees = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=0.5,
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            max_bins=self.bins,
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
    spread: Spread

    @property
    def regressors(self) -> tuple[str, ...]:
        """Series ids of the regressors that are used; empty where the past of the power stands alone."""
        return (*self.light, *self.plain)

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`. Never below 0; 0 at every level while the sun is down.

        Raises:
            PlanError: The past has no site.
        """
        around = past.lately(_LOOKBACK, horizon)
        sky = clear_sky(site_of(past), around)
        seen = Course.of(past, around, sky, self.plane, self.peak, self.light, self.plain)

        def clearness(rows: Ints, origins: Ints) -> Floats:
            return np.asarray(self.trees.predict(seen.features(rows, origins)))

        return seen.forecast(horizon, clearness, self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearSkyPersistence:
    """As clear as at that time on the newest day: what forecasts of PV are measured by."""

    name: str = "clear-sky-persistence/1"

    def fit(self, past: Past) -> FittedPersistence:
        """Find the panel's plane, and how far one day's clearness lay off the next.

        Raises:
            PlanError: The past has no site, or fewer than three days with daylight are known.
        """
        horizon = past.values.horizon
        sky = clear_sky(site_of(past), horizon)
        plane = _plane(sky, past)
        peak = float(plane.clear(sky).max())
        seen = Course.of(past, horizon, sky, plane, peak)
        rows, origins = seen.practice(past, _PERSISTENCE_LEAST_DAYS)
        expected = _persisting(seen, rows, origins)
        error, lead_h = seen.clearness(rows) - expected, (rows - origins) / seen.per_hour
        return FittedPersistence(
            plane=plane,
            peak=peak,
            spread=Spread.measured(expected, error, seen.base[rows], lead_h).centred(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedPersistence:
    """A panel's plane, and how far clearness changes from day to day."""

    plane: Plane
    peak: float
    spread: Spread

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """See `Fitted.quantiles`. Never below 0; 0 at every level while the sun is down.

        Raises:
            PlanError: The past has no site.
        """
        around = past.lately(_LOOKBACK, horizon)
        seen = Course.of(past, around, clear_sky(site_of(past), around), self.plane, self.peak)
        return seen.forecast(horizon, partial(_persisting, seen), self.spread)


def _persisting(seen: Course, rows: Ints, origins: Ints) -> Floats:
    """The clearness at that time on the newest day that shows it; else as all of the past was."""
    clear = seen.at_that_time(rows, origins, 0, 1)
    for skipped in range(1, _PERSISTENCE_DAYS):
        clear = np.where(np.isnan(clear), seen.at_that_time(rows, origins, skipped, 1), clear)
    return np.where(np.isnan(clear), seen.power_sum[-1] / max(seen.base_sum[-1], 1e-9), clear)


def _plane(sky: Sky, past: Past) -> Plane:
    found = fitted_plane(sky, past.values.values, site_of(past).panels)
    if found.gain <= 0:
        raise PlanError(
            "there was never power while the sun stood up",
            where=f"clear-sky power for {past.series_id}",
            fix="Look at the sign and the site of the series, or choose another model",
        )
    return found


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
