"""Clear-sky persistence, read otherwise: tomorrow's sky is as clear as the whole of the last day was.

`ClearSkyPersistence` takes the clearness at the same time of the newest day; a cloud of yesterday noon
is then one of tomorrow noon. The better of the two readings is what a PV model is measured by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.errors import PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past, Site
from vpp.sense.forecast.sun import Plane, clear_sky, fitted_plane

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearnessOfTheDay:
    """One clearness for all of tomorrow. Knows no spread: its fan is a line."""

    name: str = "clear-sky-of-the-day/1"

    def fit(self, past: Past) -> FittedClearness:
        """Find the panel's plane in its measured power.

        Raises:
            PlanError: Nobody says where the panel stands.
        """
        if past.site is None:
            raise PlanError("it has no site", where=past.series_id, fix="Give its site")
        plane = fitted_plane(clear_sky(past.site, past.values.horizon), past.values.values)
        return FittedClearness(plane=plane, site=past.site)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedClearness:
    """A panel's plane."""

    plane: Plane
    site: Site

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """The clear-sky power times the clearness of the last day that shows one; shape (levels, steps)."""
        expected = self.plane.clear(clear_sky(self.site, horizon)) * self._clearness(past)
        return np.tile(np.maximum(expected, 0.0), (len(LEVELS), 1))

    def _clearness(self, past: Past) -> float:
        step = past.values.horizon.step
        for back in range(1, 8):
            day = Horizon(past.issued_at - back * DAY, step, DAY // step)
            measured = past.values.values[past.values.horizon.slice(day.span)]
            known = np.isfinite(measured)
            clear = float(self.plane.clear(clear_sky(self.site, day))[known].sum())
            if clear > 0:
                return float(measured[known].sum()) / clear
        return 0.0
