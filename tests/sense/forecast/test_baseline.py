"""The seasonal baseline as a model is the baseline that the service goes by."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.baseline import BASELINE
from vpp.sense.forecast.seasonal import SeasonalBaseline
from vpp.sense.series import SeriesStore

NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)
CALENDAR = Calendar(zone=ZoneInfo("Europe/Stockholm"))
AHEAD = Horizon(NOW, QUARTER, 96)


def a_past(series_id: str) -> Past:
    steps = 21 * 96
    values = -np.abs(np.random.default_rng(1).normal(100, 20, steps))
    return Past(
        series_id=series_id,
        unit="kW",
        issued_at=NOW,
        values=Profile(Horizon(NOW - timedelta(days=21), QUARTER, steps), values),
        calendar=CALENDAR,
    )


def test_the_model_expects_what_the_baseline_of_the_service_does() -> None:
    past = a_past("power.a")
    store = SeriesStore()
    store.put_profile(
        "power.a", unit="kW", profile=past.values, known_at="interval_end", source="test"
    )
    (served,) = SeasonalBaseline(CALENDAR).issue(store, ["power.a"], AHEAD, NOW)

    fitted = pickle.loads(pickle.dumps(BASELINE.fit(past)))
    fan = fitted.quantiles(past, AHEAD)

    assert (fan[LEVELS.index(0.5)] == served.expected.values).all()
    assert (np.diff(fan, axis=0) >= 0).all()
    assert (fan <= 0).all()  # a load never feeds, in no quantile


def test_a_series_of_no_known_kind_is_refused_with_what_to_do() -> None:
    with pytest.raises(PlanError, match="Begin its id with one of"):
        BASELINE.fit(a_past("unheard.of"))
