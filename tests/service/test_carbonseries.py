"""The grid's carbon as a live series: in the plan where it can be forecast, the figure where not, said once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.service.conftest import NOW
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.service import carbonseries
from vpp.service.plant import Plant

CARBON = "carbon.se3"
DAY = Horizon(NOW, QUARTER, 96)


@pytest.fixture
def green(plant: Plant) -> Plant:
    """A park whose file names a carbon series."""
    plant.file = replace(plant.file, carbon_series_id=CARBON)
    return plant


def know(plant: Plant, *, unit: str = "gCO2/kWh", days: int = 7) -> None:
    """40 g by night and 20 g from 8 to 20 UTC."""
    axis = Horizon(NOW - timedelta(days=days), QUARTER, 96 * days)
    hours = np.array([start.hour for start in axis.starts()])
    plant.series.put_profile(
        CARBON,
        unit=unit,
        profile=Profile(axis, np.where((hours >= 8) & (hours < 20), 20.0, 40.0)),
        known_at="interval_end",
        source="test",
    )


def told(plant: Plant) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == "carbon"]


def test_a_park_without_a_series_goes_by_its_figure_and_nothing_is_said(plant: Plant) -> None:
    assert carbonseries.usable(plant, DAY, NOW) == ()
    assert carbonseries.course(plant, {}) is None
    assert told(plant) == []


@pytest.mark.parametrize(
    ("unit", "kg"), [("gCO2/kWh", 0.02), ("kgCO2/MWh", 0.02), ("kgCO2/kWh", 20.0)]
)
def test_the_series_is_forecast_and_stands_in_the_view_in_kg(
    green: Plant, unit: str, kg: float
) -> None:
    know(green, unit=unit)

    assert carbonseries.usable(green, DAY, NOW) == (CARBON,)
    (forecast,) = green.desk.baseline.issue(green.series, [CARBON], DAY, NOW)
    course = carbonseries.course(green, {CARBON: forecast})

    assert course is not None
    assert course.values[0] == pytest.approx(kg)
    assert course.at(NOW.replace(hour=22)) == pytest.approx(2 * kg)


def test_a_series_that_never_came_or_has_another_unit_leaves_the_figure_and_says_so_once(
    green: Plant,
) -> None:
    for _ in range(2):
        assert carbonseries.usable(green, DAY, NOW) == ()
    (text,) = told(green)
    assert text.startswith("no live carbon series, plans go by the park file's 0.0174 kgCO2/kWh")

    know(green)
    assert carbonseries.usable(green, DAY, NOW) == (CARBON,)
    assert told(green)[1:] == ["plans go by the live carbon series again"]


def test_a_series_in_a_unit_that_is_no_intensity_is_not_used(green: Plant) -> None:
    know(green, unit="t")

    assert carbonseries.usable(green, DAY, NOW) == ()
    assert "is in t" in told(green)[0]
