"""What a model would have said, again and again, beside what came: the rolling-origin back-test.

    origin 1  ├─ quantiles over the horizon ─┤
    origin 2            ├──────────────────────────────┤
    origin 3                      ├──────────────────────────────┤
                        what came, once it is known, is the row's `actual`

At each origin the model is given the past as it was known then (`pasts.py`) and nothing else. It
learns anew every `refit_every`, as the service does.

Origins lie on one grid for all series (multiples of `ORIGINS_EVERY` since 1970), so that errors of
several series can be compared at the same moment; 13 hours, because it has no divisor in common
with a day: thirteen days meet every hour of the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np

from vpp.errors import DataError, PlanError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.model.time import latest_boundary
from vpp.sense.forecast.base import Fitted, Model, Past
from vpp.sense.forecast.pasts import CutPast, PastAt

ORIGINS_EVERY = timedelta(hours=13)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """Forecasts of one series by one model from many origins, and what came."""

    series_id: str
    unit: str
    model: str
    step: timedelta
    origins: tuple[datetime, ...]
    """Rising. The first step of row o is the first that begins at `origins[o]` or later."""

    quantiles: Floats
    """As the model gave them, shape (origins, levels, steps); NaN where it could say nothing."""

    actual: Floats
    """Shape (origins, steps); NaN where not known yet, or known already at the origin."""

    failed: Mapping[datetime, str]
    """Origins at which the model could not forecast, and why."""

    def starts(self, origin: int) -> Horizon:
        """The horizon of one row."""
        return horizon_from(self.origins[origin], self.step, self.actual.shape[1])

    def rows(self, use: Sequence[int]) -> Track:
        """Some of the origins, in the order given."""
        origins = tuple(self.origins[i] for i in use)
        return replace(
            self,
            origins=origins,
            quantiles=self.quantiles[list(use)],
            actual=self.actual[list(use)],
            failed={at: why for at, why in self.failed.items() if at in origins},
        )

    def known_by(self, moment: datetime) -> Track:
        """The rows issued before `moment`, with what had come by then."""
        use = [i for i, at in enumerate(self.origins) if at < moment]
        rows = self.rows(use)
        ended = np.array([(moment - rows.starts(i).start) // self.step for i in range(len(use))])
        came = np.arange(self.actual.shape[1]) < ended.reshape(-1, 1)
        return replace(rows, actual=np.where(came, rows.actual, np.nan))

    def with_quantiles(self, quantiles: Floats) -> Track:
        """The same with other quantiles."""
        return replace(self, quantiles=quantiles)


def horizon_from(issued_at: datetime, step: timedelta, steps: int) -> Horizon:
    """The horizon of a forecast: it begins with the first step not yet running at `issued_at`."""
    start = latest_boundary(issued_at, step)
    return Horizon(start if start == issued_at else start + step, step, steps)


def origins_between(
    first: datetime, last: datetime, every: timedelta = ORIGINS_EVERY
) -> tuple[datetime, ...]:
    """The multiples of `every` since 1970 from `first` to `last`, both included."""
    at = latest_boundary(first, every)
    at = at if at == first else at + every
    return tuple(at + i * every for i in range((last - at) // every + 1))


def rolling(
    model: Model,
    past: Past,
    origins: Sequence[datetime],
    horizon_steps: int,
    refit_every: timedelta,
    *,
    past_at: PastAt | None = None,
) -> Track:
    """Let `model` forecast `horizon_steps` from each origin, knowing what was known there.

    What came is read from `past.values`; `past_at` says what was known at an origin (default: each
    value when its interval had ended).

    Raises:
        DataError: No origins, or an origin lies outside the past.
        PlanError: The model cannot learn from what was known at the first origin.
    """
    known = past_at or CutPast(past=past)
    if not origins:
        raise DataError(
            "no origin to forecast from",
            where=f"back-test of {past.series_id}",
            fix="Give a longer past",
        )
    fitted, fitted_at = model.fit(known(origins[0])), origins[0]
    rows = []
    for origin in origins:
        if origin - fitted_at >= refit_every:
            fitted, fitted_at = model.fit(known(origin)), origin
        rows.append(_row(fitted, known(origin), past, horizon_steps))
    return _track(model.name, past, tuple(origins), rows)


def roll_on(
    fitted: Fitted,
    name: str,
    past: Past,
    origins: Sequence[datetime],
    horizon_steps: int,
    *,
    past_at: PastAt | None = None,
) -> Track:
    """As `rolling` for a model that has learnt already and does not learn anew.

    Raises:
        DataError: An origin lies outside the past.
    """
    known = past_at or CutPast(past=past)
    rows = [_row(fitted, known(origin), past, horizon_steps) for origin in origins]
    return _track(name, past, tuple(origins), rows)


_Row: TypeAlias = tuple[Floats, Floats, str | None]


def _row(fitted: Fitted, known: Past, past: Past, steps: int) -> _Row:
    """Quantiles and actual values from one origin, and the reason where there are none."""
    horizon = horizon_from(known.issued_at, past.values.horizon.step, steps)
    actual = past.values.on(horizon)
    actual[~np.isnan(known.values.on(horizon))] = np.nan  # known already: no forecast
    try:
        return fitted.quantiles(known, horizon), actual, None
    except PlanError as error:
        return np.full((len(LEVELS), steps), np.nan), actual, str(error)


def _track(name: str, past: Past, origins: tuple[datetime, ...], rows: list[_Row]) -> Track:
    return Track(
        series_id=past.series_id,
        unit=past.unit,
        model=name,
        step=past.values.horizon.step,
        origins=origins,
        quantiles=np.array([row[0] for row in rows]),
        actual=np.array([row[1] for row in rows]),
        failed={at: row[2] for at, row in zip(origins, rows, strict=True) if row[2] is not None},
    )


def with_actual(track: Track, past: Past, *, past_at: PastAt | None = None) -> Track:
    """The track with what has become known since; what was known at an origin stays out."""
    known = past_at or CutPast(past=past)
    actual = track.actual.copy()
    for i, origin in enumerate(track.origins):
        if np.isnan(actual[i]).any() and origin >= past.values.horizon.start + track.step:
            horizon = track.starts(i)
            came = past.values.on(horizon)
            came[~np.isnan(known(origin).values.on(horizon))] = np.nan
            actual[i] = np.where(np.isnan(actual[i]), came, actual[i])
    return replace(track, actual=actual)


def joined(first: Track, second: Track, most: int) -> Track:
    """The newest `most` rows of two tracks of the same series and steps, the second the later one."""
    both = replace(
        second,
        origins=first.origins + second.origins,
        quantiles=np.concatenate([first.quantiles, second.quantiles]),
        actual=np.concatenate([first.actual, second.actual]),
        failed={**first.failed, **second.failed},
    )
    return both.rows(range(len(both.origins))[-most:])
