"""Quantiles that hold what they promise: a fan moved by how it missed lately.

For a fan q(p) with local scale s (its own width) and what came y, the normalised miss at level p is
(y - q(p)) / s. Its weighted p-quantile over a track, times s, is added to q(p): conformalised
quantile regression (Romano, Patterson & Candès 2019), one-sided at each level, with weights that
fade by age (Barber et al. 2023, "Conformal prediction beyond exchangeability"). Twice, one after the other:

    by the clock   four-hour blocks of workdays, Saturdays and rest days; slow, since a block gathers one
                   day of misses a day; drawn to all blocks together by `POOLED_DAYS`
    by lead        what is left, in the buckets of `scores.py`; quick, since all hours tell of it:
                   this brings coverage back after a drift

How much the misses tell is measured, not supposed: as many cases as independent ones that would leave the
share of misses beyond the outer quantiles as uncertain, with those of one day together and days in a
row alike (Newey & West 1987). Hours that miss by themselves are many cases, bouts of misses few.

    shrink   both together are drawn back to the model's own fan where they are not larger than their standard
             error (James-Stein): a few misses, or a model that is calibrated already, are hardly touched
    levels   the second step asks a little farther out, since what comes may be a bout of its own, as no
             track of weeks can tell: by `BOUTS`, as the next case is covered by so many (k / (n + 1))

Six days in a row were once supposed to tell as much as one case. That drew back what was far beyond
chance: on the middle thirds of ten loads (one day in six) the 0.1-0.9 quantiles of the automatic choice
covered 0.753 (0.70-0.79). With cases as they are measured 0.774, with room for bouts 0.794 (0.75-0.84), at
a CRPS 0.1 to 0.2 % higher and the same median; stationary misses, which need no such room, are covered by
0.80 to 0.85. Tried there and left aside: no shrinkage at all (0.778), farther levels alone by a fixed 30 cases
(0.793, and stationary misses by more), the width times what the calibrated track missed (it swings: less).

Measured on the 15 loads of the forecast benchmark (middle third, day ahead, mean of the last days as model):
the 0.1-0.9 quantiles cover 0.56 to 0.92 as they come. The first step lowers CRPS by 2 to 4 % where spread
follows the shifts of a plant; a half-life of 9 days in the second raises it by 0.4 %. Adaptive conformal inference (Gibbs & Candès 2021) goes farther that way,
by single misses: those of one day are one event, and it swings.

A miss that is large only beside a narrow fan (a plant that never worked at night, until it did) says
little of hours whose fan is wide: beyond `_MOST` scales no quantile moves farther than the same quantile
of the misses as they are, in the series' own unit.

The median stays where the model has put it: moving it by its own misses made the mean absolute error of
13 of the 15 loads worse. Where nothing could be missed (all quantiles zero: the sun at night)
nothing is moved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vpp.model.calendar import Calendar, DayType
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past, side_of
from vpp.sense.forecast.rolling import Track
from vpp.sense.forecast.scores import lead_slices
from vpp.sense.forecast.wallclock import Ints, clock

HALF_LIFE = timedelta(days=21)
"""By lead: a miss this old weighs half as much as the newest. By the clock all rows weigh the same."""

POOLED_DAYS = 40.0
"""All blocks together weigh as much in each block as so many days of its own misses."""

POOLED_ROWS = 6.0
"""All leads together weigh as much in each bucket as so many rows of its own."""

ALIKE_DAYS = 7
"""Misses so many days apart may still be of one cause."""

BOUTS = 25.0
"""What comes is to a track of weeks as the next case is to a sample of so many. A number for all series:
eight weeks cannot tell how unlike the next ones will be."""

ROWS_A_CALIBRATION = 6
"""Three days and a bit at an origin each 13 hours."""

_BLOCKS = 6
"""Parts of the day whose misses are kept apart."""

_NARROW = 0.2
"""No scale is smaller than this share of the track's middle one: yesterday's luck is no certainty."""

_SIGNLESS = ("degC", "°C")
_PRICE = re.compile(r"^[A-Z]{3}/")
_MOST = 1.5
"""Largest shift by the clock alone, in scales: a block of few large misses shall not set it. Beyond it
all shifts together are held to the misses as they are."""

_LEVELS = np.array(LEVELS)
_FARTHER = _LEVELS + (_LEVELS - 0.5) / BOUTS
"""Levels in a sample of `BOUTS` cases that cover on the mean what `LEVELS` promise: the k-th of n in
order covers k / (n + 1) of what is to come, and stands at (k - 1/2) / n."""

_MEDIAN = LEVELS.index(0.5)
_OUTER = (LEVELS.index(0.1), LEVELS.index(0.9))
_SIGMAS = 3.29
"""A normal fan is so many standard deviations wide from 0.05 to 0.95."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """By how much each quantile is moved, in units of the local scale."""

    by_clock: Floats
    """Shape (levels, 2, blocks): workdays, then Saturdays and rest days."""

    by_lead: Floats
    """Shape (levels, steps) from the issue on; later steps take the last."""

    cases: float
    """As how many independent misses the track tells."""

    noise: Floats
    """Standard error of a shift, shape (levels,): what is not larger is hardly used."""

    least_scale: float
    plain: Floats
    """The same quantiles of the misses as they are, as sizes in the unit of the series, shape (levels,)."""

    low: float = -np.inf
    """No quantile lies below."""

    high: float = np.inf
    """No quantile lies above."""

    def apply(self, fan: Floats, horizon: Horizon, calendar: Calendar) -> Floats:
        """The fan (levels, steps), issued for `horizon`, moved; not falling along the levels."""
        leads = np.minimum(np.arange(horizon.steps), self.by_lead.shape[1] - 1)
        shift = self.by_lead[:, leads] + _at_clock(self.by_clock, _clock_of(horizon, calendar))
        # As much as is more likely true than chance: James & Stein's shrinkage, shift by shift.
        shift = shift**3 / (shift**2 + self.noise[:, None] ** 2)
        scale = _scale(fan, self.least_scale)
        most = np.maximum(self.plain[:, None], _MOST * scale)
        ordered: Floats = np.sort(fan + np.clip(shift * scale, -most, most), axis=0)
        return np.clip(ordered, self.low, self.high)


NO_CALIBRATION = Calibration(
    by_clock=np.zeros((len(LEVELS), 2, _BLOCKS)),
    by_lead=np.zeros((len(LEVELS), 1)),
    cases=0.0,
    noise=np.ones(len(LEVELS)),
    least_scale=0.0,
    plain=np.zeros(len(LEVELS)),
)
"""Moves nothing: for a series that has never been seen to miss."""


def sign_bounds(past: Past) -> tuple[float, float]:
    """Zero as a bound for a series that was never on its other side; prices and temperatures have none."""
    if past.unit in _SIGNLESS or _PRICE.match(past.unit):
        return -np.inf, np.inf
    return side_of(past.values.values)


def calibrate(
    track: Track, calendar: Calendar, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Calibration:
    """Learn from a track how its fans missed. A track without a case moves nothing.

    No quantile will lie outside `bounds`.
    """
    fan = np.moveaxis(track.quantiles, 1, 0)
    wide = fan[-1] - fan[0]
    if not (wide > 0).any():
        return replace(NO_CALIBRATION, low=bounds[0], high=bounds[1])
    least = _NARROW * float(np.median(wide[wide > 0])) / _SIGMAS
    scale = _scale(fan, least)
    missed = (track.actual - fan) / np.where(scale > 0, scale, np.nan)
    clocks = [_clock_of(track.starts(i), calendar) for i in range(len(track.origins))]
    seen = _Misses(
        missed=missed,
        # Neighbouring steps miss alike: one an hour, another quarter of it in each row, is enough.
        use=np.isfinite(missed[_MEDIAN]) & _hourly(track),
        day=np.array([one.day for one in clocks]),
        age_days=np.array([(track.origins[-1] - at) / timedelta(days=1) for at in track.origins]),
    )
    plain = replace(seen, missed=track.actual - fan).pooled()
    by_clock = np.clip(seen.by_clock(np.array([one.group for one in clocks])), -_MOST, _MOST)
    cases = seen.cases()
    noise = _noise(missed[_MEDIAN][seen.use], cases)
    seen.missed -= np.stack([_at_clock(by_clock, one) for one in clocks], axis=1)
    by_lead = seen.by_lead(lead_slices(track.step, track.actual.shape[1]))
    return Calibration(
        by_clock=by_clock,
        by_lead=by_lead,
        cases=cases,
        noise=noise,
        least_scale=least,
        plain=np.abs(plain),
        low=bounds[0],
        high=bounds[1],
    )


def _noise(missed: Floats, cases: float) -> Floats:
    """Standard error of the quantiles of misses (of the median) that are so many cases, shape (levels,)."""
    if not missed.size:
        return np.ones(len(LEVELS))
    low, high = np.quantile(missed, [LEVELS[0], LEVELS[-1]])
    density = np.exp(-(ndtri(_LEVELS) ** 2) / 2) / np.sqrt(2 * np.pi)
    error: Floats = np.sqrt(_LEVELS * (1 - _LEVELS) / cases) / density
    # Of misses that are wide for the fan that they are wide is no chance: the fan's own measure counts.
    return error * min(max(float(high - low) / _SIGMAS, 1e-6), 1.0)


def calibrated_track(
    track: Track, calendar: Calendar, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Track:
    """The track as it would have been issued: each fan calibrated by what had come before it.

    Calibrated anew once in `ROWS_A_CALIBRATION` rows; the first rows have nothing to go by.
    """
    fans = np.empty_like(track.quantiles)
    calibration = replace(NO_CALIBRATION, low=bounds[0], high=bounds[1])
    for i, fan in enumerate(track.quantiles):
        if i and i % ROWS_A_CALIBRATION == 0:
            calibration = calibrate(track.known_by(track.origins[i]), calendar, bounds)
        fans[i] = calibration.apply(fan, track.starts(i), calendar)
    return track.with_quantiles(fans)


def _scale(fan: Floats, least: float) -> Floats:
    """The local scale of a fan (levels, …): a standard deviation, were it normal; 0 where certain."""
    wide = np.maximum((fan[-1] - fan[0]) / _SIGMAS, least)
    return np.where(fan.any(axis=0), wide, 0.0)


@dataclass(slots=True, kw_only=True, eq=False)
class _Misses:
    """Normalised misses of a track and when they happened."""

    missed: Floats
    """Shape (levels, rows, steps)."""
    use: NDArray[np.bool_]
    day: Ints
    """The local day of each step, shape (rows, steps)."""
    age_days: Floats

    def pooled(self) -> Floats:
        """The shift of each level, all hours and leads together, fading by age."""
        return self._quantiles(self.use, self._fading(), _LEVELS)

    def cases(self) -> float:
        """As how many independent misses these tell of the quantiles that hold four fifths."""
        day, weights = self.day[self.use], self._fading()[self.use]
        if not day.size:
            return 1.0
        days, found = np.unique(day).size, self.pooled()
        # Few days cannot tell how much alike they are: until more have come, they pass for all alike.
        variance = ALIKE_DAYS / days * (ALIKE_DAYS / (days + ALIKE_DAYS)) ** 2
        for i in _OUTER:
            beyond = (self.missed[i][self.use] <= found[i]) - LEVELS[i]
            by_day = np.bincount(day - day.min(), weights * beyond) / weights.sum()
            variance += _variance_of_sum(by_day) / (LEVELS[i] * (1 - LEVELS[i])) / len(_OUTER)
        return float(1 / variance)

    def by_clock(self, group: Ints) -> Floats:
        """The shift of each level in each block; `group` has shape (rows, steps)."""
        even = np.ones_like(self.missed[0])
        pooled = self._quantiles(self.use, even, _LEVELS)
        found = np.repeat(pooled[:, None], 2 * _BLOCKS, axis=1)
        for one in range(2 * _BLOCKS):
            here = self.use & (group == one)
            if days := np.unique(self.day[here]).size:
                share = days / (days + POOLED_DAYS)
                found[:, one] = share * self._quantiles(here, even, _LEVELS) + (1 - share) * pooled
        return found.reshape(len(LEVELS), 2, _BLOCKS)

    def by_lead(self, buckets: dict[str, slice]) -> Floats:
        """The shift of each level at each lead."""
        weights = self._fading()
        pooled = self._quantiles(self.use, weights, _FARTHER)
        found = np.repeat(pooled[:, None], self.use.shape[1], axis=1)
        for part in buckets.values():
            here = np.zeros_like(self.use)
            here[:, part] = self.use[:, part]
            if rows := here.any(axis=1).sum():
                share = rows / (rows + POOLED_ROWS)
                own = self._quantiles(here, weights, _FARTHER)
                found[:, part] = (share * own + (1 - share) * pooled)[:, None]
        return found

    def _fading(self) -> Floats:
        """What a miss weighs by its age, shape (rows, steps)."""
        fading = np.exp2(-self.age_days / (HALF_LIFE / timedelta(days=1)))
        return np.repeat(fading[:, None], self.use.shape[1], axis=1)

    def _quantiles(self, use: NDArray[np.bool_], weights: Floats, levels: Floats) -> Floats:
        """The weighted quantile, at each of `levels`, of the misses there, shape (levels,); the median 0."""
        found = np.zeros(len(LEVELS))
        mass = weights[use]
        for i, level in enumerate(levels):
            if i != _MEDIAN and mass.size:
                values = self.missed[i][use]
                order = np.argsort(values)
                sorted_mass = mass[order]
                reached = (np.cumsum(sorted_mass) - sorted_mass / 2) / sorted_mass.sum()
                found[i] = np.interp(level, reached, values[order])
        return found


def _variance_of_sum(by_day: Floats) -> float:
    """Variance of the sum of a series of mean 0 whose days lie alike (Newey & West, Bartlett's weights)."""
    alone = float(by_day @ by_day)
    lags = range(1, min(ALIKE_DAYS + 1, len(by_day)))
    alike = sum((1 - k / (ALIKE_DAYS + 1)) * float(by_day[k:] @ by_day[:-k]) for k in lags)
    # Days that undo each other are not taken at their word: that they seem to is often chance.
    return max(alone + 2 * alike, alone / 2)


class _Clock:
    """What the clock shows at each step of a horizon; nobody writes into its arrays."""

    def __init__(self, horizon: Horizon, calendar: Calendar) -> None:
        self.day, slot = clock(horizon, calendar.zone)
        days, place = np.unique(self.day, return_inverse=True)
        resting = [
            calendar.day_type(date.fromordinal(int(one))) is not DayType.WORKDAY for one in days
        ]
        self.resting: Ints = np.array(resting, dtype=np.int64)[place]
        self.block: Floats = slot.astype(np.float64) * (horizon.step / timedelta(days=1)) * _BLOCKS
        """Blocks since midnight, with fraction."""
        self.group: Ints = self.resting * _BLOCKS + np.minimum(
            self.block.astype(np.int64), _BLOCKS - 1
        )


@lru_cache(maxsize=128)
def _clock_of(horizon: Horizon, calendar: Calendar) -> _Clock:
    """Kept: all series of a plan lie on one horizon, and the origins of all their tracks are the same."""
    return _Clock(horizon, calendar)


def _at_clock(by_clock: Floats, at: _Clock) -> Floats:
    """Shifts at the steps of a horizon, straight lines from the middle of one block to the next."""
    before = np.floor(at.block - 0.5).astype(np.int64)
    share = at.block - 0.5 - before
    first, second = before % _BLOCKS, (before + 1) % _BLOCKS
    found: Floats = (1 - share) * by_clock[:, at.resting, first]
    return found + share * by_clock[:, at.resting, second]


def _hourly(track: Track) -> NDArray[np.bool_]:
    """Which steps of each row are looked at: one an hour, or all where steps are longer."""
    each = max(timedelta(hours=1) // track.step, 1)
    rows, steps = track.actual.shape
    looked_at: NDArray[np.bool_] = (np.arange(steps) + np.arange(rows)[:, None]) % each == 0
    return looked_at
