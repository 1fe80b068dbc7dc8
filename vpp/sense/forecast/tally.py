"""Scores of forecasts as sums, so that they add up over days: the formulas are those of `scores.py`.

The naive forecast that every other is measured by: the value at the same clock time on the newest
day of the same type that was known at the issue (of any day, for series that keep no day types).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from vpp.model.calendar import Calendar, same_clock_time
from vpp.model.forecast import LEVELS
from vpp.model.forecastscore import ScoreSums
from vpp.model.horizon import Floats, Horizon
from vpp.model.time import QUARTER
from vpp.sense.forecast.scores import CELL_WIDTHS, LEAD_BUCKETS, METER_NOISE, pinball
from vpp.sense.series import SeriesStore

NAIVE_DAYS = 14
"""So far back the naive forecast looks for a day of the same type, and the largest value is sought."""


def sums_of(fan: Floats, actual: Floats, naive: Floats, *, noise: float = 0.0) -> ScoreSums:
    """Sums over cases: `fan` of shape (levels, cases), `actual` and `naive` (cases,), `naive` NaN where unknown.

    A fan without spread is met within `noise`, in the unit of the series: `METER_NOISE` of its largest value.
    """
    error = np.abs(actual - fan[LEVELS.index(0.5)])
    loss = pinball(fan, actual)

    def within(low: float, high: float) -> int:
        inside = (fan[LEVELS.index(low)] <= actual) & (actual <= fan[LEVELS.index(high)])
        return int((inside & unsure).sum())

    unsure = ~((fan[0] == fan[-1]) & (np.abs(actual - fan[0]) <= noise))
    compared = ~np.isnan(naive)
    return ScoreSums(
        cases=actual.size,
        abs_error=float(error.sum()),
        square_error=float((error**2).sum()),
        abs_value=float(np.abs(actual).sum()),
        pinball=float(loss.mean(axis=0).sum()),
        crps=float(2 * (CELL_WIDTHS @ loss).sum()),
        unsure=int(unsure.sum()),
        within80=within(0.1, 0.9),
        within90=within(0.05, 0.95),
        compared=int(compared.sum()),
        compared_abs_error=float(error[compared].sum()),
        naive_abs_error=float(np.abs(actual - naive)[compared].sum()),
    )


def bucket_of(lead: timedelta) -> str:
    """The lead bucket of a step that begins so long after the first step of its forecast."""
    (name,) = [name for name, (low, high) in LEAD_BUCKETS.items() if low <= lead < high]
    return name


def meter_noise(store: SeriesStore, series_id: str, until: datetime, now: datetime) -> float:
    """What a meter shows where there is nothing, by the largest value of the fortnight before `until`.

    Raises:
        DataError: No such series, or it does not lie on the grid of quarter-hours.
    """
    fortnight = timedelta(days=NAIVE_DAYS)
    values = store.known(
        series_id, Horizon(until - fortnight, QUARTER, fortnight // QUARTER), now
    ).values
    return METER_NOISE * float(np.nanmax(np.abs(values), initial=0.0))


def naive_values(
    store: SeriesStore,
    series_id: str,
    start: datetime,
    step: timedelta,
    *,
    calendar: Calendar,
    same_day_type: bool,
    issued_at: Sequence[datetime],
) -> Floats:
    """What the naive forecast said of the step that begins at `start`, at each of the moments `issued_at`.

    Shape (moments,), NaN where it had nothing to say.

    Raises:
        DataError: No such series, or it does not lie on the grid of the step.
    """
    values = np.full(len(issued_at), np.nan)
    local = start.astimezone(calendar.zone)
    kind = calendar.day_type(local.date())
    for back in range(1, NAIVE_DAYS + 1):
        day = local.date() - timedelta(days=back)
        if same_day_type and calendar.day_type(day) is not kind:
            continue
        moment = same_clock_time(day, local.time(), calendar.zone)
        if moment is None:
            continue
        found = store.known_when(series_id, moment, step, issued_at)
        values = np.where(np.isnan(values), found, values)
        if not np.isnan(values).any():
            break
    return values
