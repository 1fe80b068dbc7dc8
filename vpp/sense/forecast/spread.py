"""How far the seasonal baseline was off lately: the spread of a forecast that no model has learnt.

    errors of the last `DAYS` days, each against the baseline of the days before it
        by type of day and local quarter-hour, an hour to either side
    quantile of a level = expected + the error's quantile at that level

The errors are those of a forecast made long before, so the spread is too wide for the next hour rather
than too narrow. Of few days the quantiles are pushed outwards, as a conformal interval has it
(Vovk et al. 2005): with D days the upper level q is taken at q (D + 1) / D. A series with no error
known at all gets the range of its values, and says so by its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.model.calendar import Calendar, DayType
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER, latest_boundary, local_date
from vpp.sense.forecast.seasonal import SeasonalBaseline
from vpp.sense.series import SeriesStore

Ints: TypeAlias = NDArray[np.int64]

DAYS = 28
_SLOTS = 96
_AROUND = 4
"""Quarter-hours to either side whose errors count too."""

_ENOUGH_DAYS = 4
"""With fewer days of a type, days of all types count."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """What is added to the expected value at each level, in the unit of the series."""

    above: Floats
    """Shape (levels, day types, quarter-hours of a local day), not falling along the levels."""

    def around(self, expected: Profile, calendar: Calendar) -> Floats:
        """Quantiles about `expected`, which stays the median; shape (levels, steps)."""
        kinds, slots = _places(expected.horizon, calendar)
        quantiles = expected.values + self.above[:, kinds, slots]
        middle = LEVELS.index(0.5)
        quantiles[:middle] = np.minimum(quantiles[:middle], expected.values)
        quantiles[middle] = expected.values
        quantiles[middle + 1 :] = np.maximum(quantiles[middle + 1 :], expected.values)
        return quantiles


def measure(
    baseline: SeasonalBaseline, store: SeriesStore, series: Sequence[str], now: datetime
) -> dict[str, Spread]:
    """The spread of each series by what was known at `now`.

    Raises:
        DataError: A series is not in the store, off the grid of quarter-hours, or no rule fits it.
    """
    end = latest_boundary(now, QUARTER)
    past = Horizon(end - timedelta(days=DAYS), QUARTER, DAYS * _SLOTS)
    kinds, slots = _places(past, baseline.calendar)
    days = _day_numbers(past, baseline.calendar)
    kind_of_day = np.zeros(days.max() + 1, np.int64)
    kind_of_day[days] = kinds
    spreads = {}
    for series_id, errors in baseline.errors(store, series, past, now).items():
        table = np.full((len(kind_of_day), _SLOTS), np.nan)
        table[days, slots] = errors
        if np.isnan(table).all():
            values = store.known(series_id, past, now).values
            spreads[series_id] = Spread(_range_of(values))
        else:
            spreads[series_id] = Spread(_above(table, kind_of_day))
    return spreads


def _above(table: Floats, kind_of_day: Ints) -> Floats:
    """Quantiles of the errors; `table` has shape (days, quarter-hours), NaN where unknown."""
    known = ~np.isnan(table).all(axis=1)
    above = np.empty((len(LEVELS), len(DayType), _SLOTS))
    for kind in range(len(DayType)):
        rows = known & (kind_of_day == kind)
        if rows.sum() < _ENOUGH_DAYS:
            rows = known
        above[:, kind] = _quantiles(table[rows])
    return above


def _quantiles(table: Floats) -> Floats:
    """At `LEVELS` for each quarter-hour; where an hour has no error at all, those of the whole day."""
    days = len(table)
    near = np.stack([np.roll(table, shift, axis=1) for shift in range(-_AROUND, _AROUND + 1)])
    samples = np.sort(near.reshape(-1, _SLOTS), axis=0)  # NaN comes last
    count = (~np.isnan(samples)).sum(axis=0)
    whole = np.sort(table[~np.isnan(table)])
    quantiles = np.empty((len(LEVELS), _SLOTS))
    for row, level in enumerate(LEVELS):
        outward = np.clip(0.5 + (level - 0.5) * (days + 1) / days, 0.0, 1.0)
        at = outward * np.maximum(count - 1, 0)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        columns = np.arange(_SLOTS)
        inside = samples[low, columns] * (1 - (at - low)) + samples[high, columns] * (at - low)
        quantiles[row] = np.where(count > 0, inside, np.quantile(whole, outward))
    # Between equal errors rounding lets a higher level lie a last digit below a lower one.
    rising: Floats = np.maximum.accumulate(quantiles, axis=0)
    return rising


def _range_of(values: Floats) -> Floats:
    """Without a single error: anything the series ever did may come next."""
    known = values[~np.isnan(values)]
    reach = float(np.ptp(known)) if known.size else 0.0
    reach = reach or float(np.abs(known).max(initial=0.0))
    above = (2 * np.array(LEVELS) - 1) * reach
    return np.broadcast_to(above[:, None, None], (len(LEVELS), len(DayType), _SLOTS)).copy()


@lru_cache(maxsize=64)
def _places(horizon: Horizon, calendar: Calendar) -> tuple[Ints, Ints]:
    """Type of day, as `DayType` counts them, and local quarter-hour of each step. Read-only.

    Kept, as all series of a plan lie on one horizon.
    """
    order = list(DayType)
    local = [start.astimezone(calendar.zone) for start in horizon.starts()]
    kind = {day: order.index(calendar.day_type(day)) for day in {at.date() for at in local}}
    kinds = np.array([kind[at.date()] for at in local])
    slots = np.array([at.hour * 4 + at.minute // 15 for at in local])
    kinds.setflags(write=False)
    slots.setflags(write=False)
    return kinds, slots


@lru_cache(maxsize=8)
def _day_numbers(horizon: Horizon, calendar: Calendar) -> Ints:
    """Which local day each step lies on, counted from the first one. Read-only; kept as `_places` is."""
    zone, first = calendar.zone, local_date(horizon.start, calendar.zone).toordinal()
    days = np.array([at.astimezone(zone).toordinal() - first for at in horizon.starts()])
    days.setflags(write=False)
    return days
