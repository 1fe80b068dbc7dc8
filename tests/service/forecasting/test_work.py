"""What a forecaster does with a question: errors are about what plans go by, one bad series costs itself alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.conformal import NO_CALIBRATION
from vpp.sense.forecast.pasts import StoredPast
from vpp.sense.forecast.rolling import Track
from vpp.sense.forecast.trained import Trained
from vpp.sense.series import SeriesStore
from vpp.service.forecasting.jobs import IssueJob
from vpp.service.forecasting.work import Models, errors_of

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
CALENDAR = Calendar(zone=ZoneInfo("Europe/Stockholm"))
SELDOM = np.append(np.zeros(len(LEVELS) - 1), 100.0)[:, None]
"""None on the median; 7.5 of 100 on the mean: what lies nearest to the level 0.95."""


class Seldom:
    """A fitted model that says so of every step."""

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """Shape (levels, steps)."""
        return np.repeat(SELDOM, horizon.steps, axis=1)


def trained(series_id: str, *actual: float) -> Trained:
    steps = max(len(actual), 1)
    return Trained(
        series_id=series_id,
        unit="kW",
        model="seldom/1",
        trained_until=NOW,
        choice=cast(Any, None),
        fitted=Seldom(),
        track=Track(
            series_id=series_id,
            unit="kW",
            model="seldom/1",
            step=QUARTER,
            origins=(NOW - timedelta(hours=13),),
            quantiles=np.repeat(SELDOM, steps, axis=1)[None],
            actual=np.array([actual or [np.nan]], dtype=float),
            failed={},
        ),
        calibration=NO_CALIBRATION,
    )


def test_errors_are_measured_from_the_mean_that_plans_go_by() -> None:
    errors = errors_of(trained("power.a", 0.0, 100.0, np.nan), CALENDAR)

    assert errors.origins == (NOW - timedelta(hours=13),)
    assert errors.above[0] == pytest.approx([-7.5, 92.5, np.nan], nan_ok=True)


def test_a_series_whose_calibration_fails_costs_the_others_nothing() -> None:
    """The store knows nothing of `arriving.b`: it has no forecast of its model, and `arriving.a` has."""
    store = SeriesStore()
    day = Horizon(NOW - timedelta(days=1), QUARTER, 96)
    store.put_profile(
        "arriving.a",
        unit="kW",
        profile=Profile(day, np.zeros(96)),
        known_at="interval_end",
        source="test",
    )
    known, unknown = (
        StoredPast(
            store=store,
            series_id=name,
            calendar=CALENDAR,
            step=QUARTER,
            history=timedelta(days=1),
            ahead=timedelta(0),
        )
        for name in ("arriving.a", "arriving.b")
    )
    models = Models()
    models.take({name: trained(name) for name in ("arriving.a", "arriving.b")})

    issued = models.issue(
        IssueJob(
            issued_at=NOW,
            horizon=Horizon(NOW, QUARTER, 4),
            pasts=(known(NOW), replace(known(NOW), series_id="arriving.b")),
            update=(known, unknown),
            others=(),
            drawn=frozenset(),
            scenarios=0,
            seed=1,
        )
    )

    assert list(issued.forecasts) == list(issued.errors) == ["arriving.a"]
    assert "arriving.b" in issued.failed["arriving.b"]
