"""What the service keeps of a series it forecasts: the model that has learnt it, and how it errs.

train      once a week, in a process of its own: choose, learn, calibrate        minutes
updated    once a day: how the same model did since then, calibrated anew        milliseconds
issue      every planning cycle: quantiles, calibrated, known values put in      milliseconds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from vpp.errors import DataError
from vpp.model.forecast import Forecast, mean_of
from vpp.model.horizon import Horizon, Profile
from vpp.sense.forecast.base import Fitted, Model, Past
from vpp.sense.forecast.choose import Choice, Chosen, Trial, choose
from vpp.sense.forecast.conformal import Calibration, calibrate, sign_bounds
from vpp.sense.forecast.pasts import PastAt
from vpp.sense.forecast.rolling import (
    ORIGINS_EVERY,
    Track,
    joined,
    origins_between,
    roll_on,
    with_actual,
)

KEPT_ORIGINS = 128
"""Rows of the track that are kept, 69 days at one each 13 hours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """One series' model, its calibration and the record of its choice. Can be pickled."""

    series_id: str
    unit: str
    model: str
    """Name and version."""

    trained_until: datetime
    """Nothing issued later was learnt."""

    choice: Choice
    fitted: Fitted
    track: Track
    """The newest forecasts of the model before calibration, and what came: for calibration, and for
    what errors of several series have in common (`scenarios.py`)."""

    calibration: Calibration

    @property
    def low(self) -> float:
        """No quantile lies below: 0 for a series that never was, else -inf."""
        return self.calibration.low

    @property
    def high(self) -> float:
        """No quantile lies above: 0 for a series that never was, else inf."""
        return self.calibration.high

    def issue(self, past: Past, horizon: Horizon) -> Forecast:
        """Forecast `horizon` from what `past` knows; values known already stand in it as they are.

        Raises:
            DataError: The past is of another series, or its unit has changed.
            PlanError: There is nothing to go by for some step.
        """
        if (past.series_id, past.unit) != (self.series_id, self.unit):
            raise DataError(
                f"the past is of {past.series_id} in {past.unit}",
                where=f"forecast of {self.series_id}",
                fix=f"Give the past of this series in {self.unit}, or train it anew",
            )
        fan = self.calibration.apply(self.fitted.quantiles(past, horizon), horizon, past.calendar)
        known = past.values.on(horizon)
        there = ~np.isnan(known)
        fan[:, there] = known[there]
        return Forecast(
            series_id=self.series_id,
            unit=self.unit,
            issued_at=past.issued_at,
            model=f"{self.model}+known" if there.any() else self.model,
            expected=Profile(horizon, mean_of(fan)),
            quantiles=fan,
        )

    def updated(self, past: Past, *, past_at: PastAt | None = None) -> Trained:
        """The same model, calibrated by what it would have said since, too. Quick: nothing is learnt.

        `past_at` says what was known at an origin, as in `rolling`.

        Raises:
            DataError: The past is of another series.
        """
        if past.series_id != self.series_id:
            raise DataError(
                f"the past is of {past.series_id}",
                where=f"calibration of {self.series_id}",
                fix="Give the past of this series",
            )
        track = with_actual(self.track, past, past_at=past_at)
        # The model has seen what came before it was trained: only later origins are honest.
        after = max(self.trained_until, track.origins[-1] + ORIGINS_EVERY / 2)
        new = origins_between(after, past.issued_at - track.step)
        if new:
            steps = track.actual.shape[1]
            rows = roll_on(self.fitted, self.model, past, new, steps, past_at=past_at)
            track = joined(track, rows, KEPT_ORIGINS)
        calibration = calibrate(track, past.calendar, sign_bounds(past))
        return replace(self, track=track, calibration=calibration)


def train(
    past: Past,
    candidates: Sequence[Model] | Model,
    trial: Trial | None = None,
    *,
    past_at: PastAt | None = None,
) -> Trained:
    """Choose among `candidates` (the simplest first; or take the one given), learn and calibrate.

    Raises:
        DataError: No candidate, or two of one name.
        PlanError: Every candidate failed, or the past is too short; says why.
    """
    models = candidates if isinstance(candidates, Sequence) else (candidates,)
    return keep(choose(models, past, trial, past_at=past_at), past)


def keep(chosen: Chosen, past: Past) -> Trained:
    """Let the model that was chosen learn all of `past`, and calibrate it by its trial.

    Raises:
        PlanError: The past is too thin for it after all.
    """
    track = chosen.tracks[chosen.model.name]
    return Trained(
        series_id=past.series_id,
        unit=past.unit,
        model=chosen.model.name,
        trained_until=past.issued_at,
        choice=chosen.choice,
        fitted=chosen.model.fit(past),
        track=track,
        calibration=calibrate(track, past.calendar, sign_bounds(past)),
    )
