"""Measured errors of the series that nobody moves, side by side: what margins are reckoned from."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.sense.forecast.rolling import ORIGINS_EVERY, horizon_from, origins_between
from vpp.sense.forecast.spread import DAYS
from vpp.service import inputs
from vpp.service.plant import Plant

UNMOVED = ("power.", "available.", "arriving.")
"""Beginnings of the ids of series that a plan takes as they come."""


def unmoved_errors_kw(plant: Plant, horizon: Horizon, now: datetime) -> dict[str, Floats]:
    """Measured less forecast by series id, net injection; each of shape (origins, leads), the same origins.

    Of learnt series by their models; of the others by the seasonal baseline over the same weeks. NaN where
    not known. Empty where nothing was measured yet.
    """
    names = [name for name in inputs.series_needed(plant) if name.startswith(UNMOVED)]
    errors = {name: one for name in names if (one := plant.desk.errors.get(name)) is not None}
    origins = origins_between(now - timedelta(days=DAYS), now - QUARTER, ORIGINS_EVERY)
    if errors:
        common = set.intersection(*(set(one.origins) for one in errors.values()))
        origins = tuple(sorted(common))
    if not origins:
        return {}
    aligned = {}
    for name, one in errors.items():
        places = {at: row for row, at in enumerate(one.origins)}
        aligned[name] = _as_long(one.above[[places[at] for at in origins]], horizon.steps)
    rest = [name for name in names if name not in errors]
    return aligned | _of_baseline(plant, rest, origins, horizon.steps, now)


def _as_long(above: Floats, steps: int) -> Floats:
    """Errors for `steps` leads; leads that were never tried are not known."""
    found = np.full((len(above), steps), np.nan)
    tried = min(above.shape[1], steps)
    found[:, :tried] = above[:, :tried]
    return found


def _of_baseline(
    plant: Plant, names: list[str], origins: tuple[datetime, ...], steps: int, now: datetime
) -> dict[str, Floats]:
    """The baseline errs by the same whatever the lead, but for the correction of the level it gets."""
    if not names:
        return {}
    first = latest_boundary(origins[0], QUARTER)
    past = Horizon.over(Interval(first, latest_boundary(now, QUARTER)), QUARTER)
    by_step = plant.desk.baseline.errors(plant.series, names, past, now)
    starts = np.array([past.index(horizon_from(at, QUARTER, 1).start) for at in origins])
    places = starts[:, None] + np.arange(steps)
    found = {}
    for name, errors in by_step.items():
        padded = np.append(errors, np.nan)
        found[name] = padded[np.minimum(places, errors.size)]
    return found
