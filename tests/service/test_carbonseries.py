"""The grid's carbon as a live series: in the plan where it can be forecast, the figure where not, said once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from tests.service.conftest import NOW
from vpp.account.meters import MeteredEnergy
from vpp.account.statements import AccountedInterval
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import EnterpriseId
from vpp.model.settlement import Statement
from vpp.model.time import QUARTER, Interval
from vpp.service.accounting import statements_of
from vpp.service.feeds import carbonseries
from vpp.service.plant import Plant

CARBON = "carbon.se3"
DAY = Horizon(NOW, QUARTER, 96)
LAST, NEXT = Interval(NOW - QUARTER, NOW), Interval(NOW, NOW + QUARTER)
STEEL = EnterpriseId("steel")


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


# ---------------------------------------------------------------- statements


def stated(plant: Plant) -> Statement:
    """The steelworks' statement: 100 kWh drawn in the quarter-hour before NOW, 50 kWh in the one after."""
    for interval, import_wh in ((LAST, 100_000), (NEXT, 50_000)):
        plant.accounted[interval] = AccountedInterval(
            interval=interval,
            metered={STEEL: MeteredEnergy(import_wh, 0, provisional=False)},
            day_ahead_per_mwh=Decimal(40),
            lines=(),
        )
    made = statements_of(plant, Interval(LAST.start, NEXT.end))
    return next(one for one in made if one.enterprise_id == STEEL)


def test_a_statement_goes_by_what_the_series_told_and_by_the_figure_where_it_told_nothing(
    green: Plant,
) -> None:
    know(green)  # 20 g up to NOW; the figure is 17.4 g

    statement = stated(green)

    assert statement.carbon_kgco2 == pytest.approx(100 * 0.020 + 50 * 0.0174)
    assert statement.carbon_by_figure_kwh == 50


def test_without_a_series_a_statement_goes_by_the_figure_alone(plant: Plant) -> None:
    statement = stated(plant)

    assert statement.carbon_kgco2 == pytest.approx(150 * 0.0174)
    assert statement.carbon_by_figure_kwh == 150


def test_hours_of_a_coarser_series_hold_for_their_quarter_hours_and_what_is_not_known_yet_does_not_count(
    green: Plant,
) -> None:
    hour = timedelta(hours=1)
    for start, grams, issued_at in ((NOW - hour, 30.0, NOW), (NOW, 80.0, NOW + QUARTER)):
        green.series.put(
            CARBON,
            unit="gCO2/kWh",
            resolution=hour,
            issued_at=issued_at,
            source="test",
            revision=1,
            values=[(start, grams)],
        )

    statement = stated(green)

    assert statement.carbon_kgco2 == pytest.approx(100 * 0.030 + 50 * 0.0174)


@pytest.mark.parametrize(
    ("unit", "step"),
    [
        pytest.param("t", QUARTER, id="no intensity"),
        pytest.param("gCO2/kWh", QUARTER / 3, id="finer than a quarter-hour"),
    ],
)
def test_a_series_that_no_plan_could_use_is_not_used_by_statements_either(
    green: Plant, unit: str, step: timedelta
) -> None:
    axis = Horizon(NOW - timedelta(days=1), step, timedelta(days=1) // step)
    green.series.put_profile(
        CARBON,
        unit=unit,
        profile=Profile(axis, np.full(axis.steps, 20.0)),
        known_at="interval_end",
        source="test",
    )

    assert carbonseries.usable(green, DAY, NOW) == ()
    assert stated(green).carbon_by_figure_kwh == 150
