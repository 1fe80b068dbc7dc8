"""Quantiles that hold what they promise: a fan moved by how it missed lately.

For a fan q(p) with local scale s (its own width) and what came y, the normalised miss at level p is
(y - q(p)) / s. Its weighted p-quantile over the track, times s, is added to q(p): conformalised
quantile regression (Romano, Patterson & Candès 2019), one-sided for each level, with misses of
leads alike together and newer ones weighing more (Barber et al. 2023, "Conformal prediction beyond
exchangeability"), so that coverage comes back after a drift.

Where nothing could be missed (all quantiles zero: the sun at night) nothing is moved, and a series
that was never above or never below zero stays so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.rolling import Track
from vpp.sense.forecast.scores import lead_slices

_LEVELS = np.array(LEVELS)
HALF_LIFE = timedelta(days=28)
"""A miss this old weighs half as much as the newest."""

POOLED_DAYS = 5.0
"""A bucket's own quantile weighs as much as that of all leads once it has so many days of misses."""

_NARROW = 0.2
"""No scale is smaller than this share of the track's middle one: yesterday's luck is no certainty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """By how much each quantile is moved, in units of the local scale."""

    step: timedelta
    shifts: Floats
    """Shape (levels, steps), for leads from the issue on; later leads take the last."""

    least_scale: float

    def apply(self, fan: Floats, horizon: Horizon, calendar: Calendar) -> Floats:
        """The fan (levels, steps) with its quantiles moved, not falling along the levels."""
        leads = np.minimum(np.arange(horizon.steps), self.shifts.shape[1] - 1)
        moved = fan + self.shifts[:, leads] * scale(fan, self.least_scale)
        ordered: Floats = np.sort(moved, axis=0)
        return ordered


def scale(fan: Floats, least: float = 0.0) -> Floats:
    """The local scale of a fan (levels, …): a standard deviation if it were normal; 0 where certain."""
    wide = np.maximum((fan[-1] - fan[0]) / 3.29, least)
    return np.where((fan == 0).all(axis=0), 0.0, wide)


def calibrate(track: Track, calendar: Calendar) -> Calibration:
    """Learn from a track how its fans missed. A track without a case moves nothing."""
    fan = np.moveaxis(track.quantiles, 1, 0)
    wide = fan[-1] - fan[0]
    positive = wide[wide > 0]
    least = _NARROW * float(np.median(positive)) / 3.29 if positive.size else 0.0
    local = scale(fan, least)
    with np.errstate(invalid="ignore", divide="ignore"):
        missed = (track.actual - fan) / local
    missed[:, ~(local > 0)] = np.nan
    newest = track.origins[-1]
    age = np.array([(newest - at) / HALF_LIFE for at in track.origins])
    weights = np.broadcast_to(0.5 ** age[:, None], track.actual.shape)
    pooled = _weighted_quantiles(missed, weights)
    shifts = np.repeat(pooled[:, None], track.actual.shape[1], axis=1)
    for part in lead_slices(track.step, track.actual.shape[1]).values():
        here = missed[:, :, part]
        days = np.isfinite(here[0]).any(axis=1).sum()
        share = days / (days + POOLED_DAYS)
        own = _weighted_quantiles(here, weights[:, part])
        shifts[:, part] = (share * own + (1 - share) * pooled)[:, None]
    return Calibration(step=track.step, shifts=shifts, least_scale=least)


def calibrated_track(track: Track, calendar: Calendar) -> Track:
    """The track with each of its fans calibrated by what the whole track shows."""
    calibration = calibrate(track, calendar)
    fans = [
        calibration.apply(fan, track.starts(i), calendar) for i, fan in enumerate(track.quantiles)
    ]
    return track.with_quantiles(np.array(fans))


def _weighted_quantiles(missed: Floats, weights: Floats) -> Floats:
    """The quantile of each level's own misses, shape (levels,); 0 where there is none."""
    found = np.zeros(len(LEVELS))
    for i, level in enumerate(LEVELS):
        use = np.isfinite(missed[i])
        if not use.any():
            continue
        values, mass = missed[i][use], weights[use]
        order = np.argsort(values, kind="stable")
        values, mass = values[order], mass[order]
        reached = (np.cumsum(mass) - mass / 2) / mass.sum()
        found[i] = np.interp(level, reached, values)
    return found
