"""No forecast goes beyond what a resource can draw or feed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.service.forecasting.possible import bounds_of, possible
from vpp.service.park.parkfile import ParkFile

NOON = Horizon(datetime(2025, 12, 3, 12, tzinfo=UTC), QUARTER, 2)
OUTWARD = np.array(LEVELS) - 0.5
"""From -0.45 to 0.45."""


def a_forecast(series_id: str, width_kw: float | None) -> Forecast:
    """About -100 kW, the second step as wide as `width_kw`; without a fan for None."""
    middle = np.full(2, -100.0)
    fan = None
    if width_kw is not None:
        fan = middle + OUTWARD[:, None] * np.array([0.0, width_kw])
    return Forecast(
        series_id=series_id,
        unit="kW",
        issued_at=NOON.start,
        model="test/1",
        expected=Profile(NOON, middle),
        quantiles=fan,
    )


def test_the_park_file_says_what_loads_and_generators_can_do(park_file: ParkFile) -> None:
    bounds = bounds_of(park_file.park)

    assert bounds["power.steel-furnaces"] == (-3600, 0)
    assert bounds["available.steel-pv"] == (0, 1400)
    assert "outdoor.aachen" not in bounds


@pytest.mark.parametrize(
    ("width_kw", "low_kw", "high_kw"),
    [
        pytest.param(100.0, -145, -55, id="a fan that is possible stays"),
        pytest.param(400.0, -150, 0, id="one that is not is cut on both sides"),
    ],
)
def test_a_fan_is_cut_to_what_can_be(width_kw: float, low_kw: float, high_kw: float) -> None:
    cut = possible(a_forecast("power.a", width_kw), {"power.a": (-150.0, 0.0)})

    assert cut.quantiles is not None
    assert cut.quantiles[[0, -1], 1] == pytest.approx([low_kw, high_kw])
    assert (cut.quantiles[:, 0] == -100).all()


def test_the_mean_of_what_is_left_is_expected() -> None:
    """Cut at -150 and 0 a fan about -100 loses more below than above."""
    cut = possible(a_forecast("power.a", 400.0), {"power.a": (-150.0, 0.0)})

    assert cut.expected.values[0] == -100
    assert -100 < cut.expected.values[1] < -75


def test_without_a_fan_the_expected_value_is_cut() -> None:
    cut = possible(a_forecast("power.a", None), {"power.a": (-60.0, 0.0)})

    assert (cut.expected.values == -60).all()


def test_other_series_stay_as_they_are() -> None:
    forecast = a_forecast("price.day-ahead.se3", 400.0)

    assert possible(forecast, {"power.a": (-60.0, 0.0)}) is forecast
