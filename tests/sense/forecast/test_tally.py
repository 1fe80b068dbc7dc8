"""Scores as sums, by hand; and they say what the scores of a track say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.forecastscore import ScoreSums
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.forecast.scores import score
from vpp.sense.forecast.tally import bucket_of, meter_noise, naive_values, sums_of
from vpp.sense.series import SeriesStore

STOCKHOLM = Calendar(zone=ZoneInfo("Europe/Stockholm"))
NAN = float("nan")


def test_two_cases_by_hand() -> None:
    """Medians 100; 130 and 100 came, the naive forecast said 120 of the first and nothing of the second."""
    fan = np.repeat(100 + 10.0 * (np.arange(9)[:, None] - 4), 2, axis=1)  # 60 … 140

    sums = sums_of(fan, np.array([130.0, 100.0]), np.array([120.0, NAN]))

    assert (sums.cases, sums.abs_error, sums.square_error) == (2, 30.0, 900.0)
    assert (sums.unsure, sums.within80, sums.within90) == (2, 2, 2)  # 70 … 130, ends included
    assert (sums.compared, sums.compared_abs_error, sums.naive_abs_error) == (1, 30.0, 10.0)
    assert sums.skill == pytest.approx(-2.0)
    assert sums.mae == 15.0


def test_sums_of_parts_add_up_to_the_scores_of_the_whole() -> None:
    chance = np.random.default_rng(1)
    fan = np.sort(chance.normal(50, 10, (len(LEVELS), 40)), axis=0)
    actual = chance.normal(50, 10, 40)
    naive = np.full(40, NAN)

    parts = [sums_of(fan[:, i : i + 8], actual[i : i + 8], naive[:8]) for i in range(0, 40, 8)]
    total, whole = sum(parts, ScoreSums()), score(fan, actual)

    assert total.cases == whole.cases
    assert (total.mae, total.nrmse, total.mean_pinball, total.mean_crps) == pytest.approx(
        (whole.mae, whole.nrmse, whole.pinball, whole.crps)
    )
    assert (total.coverage80, total.coverage90) == pytest.approx(
        (whole.coverage80, whole.coverage90)
    )


def test_the_sun_at_night_is_met_exactly_and_no_case_for_coverage() -> None:
    sums = sums_of(np.zeros((9, 3)), np.array([0.0, 0.0, 5.0]), np.full(3, NAN))

    assert (sums.cases, sums.unsure, sums.within80) == (3, 1, 0)


def test_what_a_meter_shows_at_night_is_met_as_the_trial_of_models_counts_it() -> None:
    """The largest value is 100, so that 1 is noise: 0.8 at night is no case, 1.2 is missed."""
    fan = np.hstack([np.zeros((9, 2)), np.repeat(10.0 * (np.arange(9)[:, None] + 2), 1, axis=1)])
    actual = np.array([0.8, 1.2, 100.0])

    sums = sums_of(fan, actual, np.full(3, NAN), noise=1.0)

    assert (sums.unsure, sums.within80) == (2, 0)
    assert sums.coverage80 == score(fan, actual).coverage80


def test_the_noise_of_a_meter_goes_by_the_largest_value_of_a_fortnight() -> None:
    now = datetime(2025, 12, 1, tzinfo=UTC)
    store = SeriesStore()
    values = np.full(20 * 96, NAN)
    values[0], values[-1], values[-96] = 900.0, 100.0, -400.0
    horizon = Horizon(now - timedelta(days=20), QUARTER, len(values))
    store.put_profile(
        "available.pv",
        unit="kW",
        profile=Profile(horizon, values),
        known_at="interval_end",
        source="test",
    )

    assert meter_noise(store, "available.pv", now, now) == pytest.approx(4.0)


def test_nothing_scored_says_nothing() -> None:
    nothing = ScoreSums()

    assert nothing.mae is nothing.nrmse is nothing.mean_crps is nothing.coverage80 is None
    assert nothing.skill is None


@pytest.mark.parametrize(
    ("lead_h", "bucket"),
    [(0, "0-1 h"), (0.75, "0-1 h"), (1, "1-6 h"), (24, "24-48 h"), (60, "48 h and more")],
)
def test_a_lead_falls_into_one_bucket(lead_h: float, bucket: str) -> None:
    assert bucket_of(timedelta(hours=lead_h)) == bucket


@pytest.mark.parametrize(
    ("issued", "same_day_type", "expected"),
    [
        pytest.param("2025-12-08T06:00", True, 5.0, id="a Monday's: of Friday"),
        pytest.param("2025-12-08T06:00", False, 7.0, id="any day's: of Sunday"),
        pytest.param("2025-12-05T06:00", True, 4.0, id="known long before: of Thursday"),
        pytest.param("2025-11-20T06:00", True, NAN, id="before any history"),
    ],
)
def test_the_naive_forecast_is_the_newest_known_day_of_the_same_type(
    issued: str, same_day_type: bool, expected: float
) -> None:
    """A series whose value is the day of December, asked for Monday 8 December at 09:00."""
    first = datetime(2025, 11, 30, 23, tzinfo=UTC)
    store = SeriesStore()
    store.put_profile(
        "power.a",
        unit="kW",
        profile=Profile(Horizon(first, QUARTER, 10 * 96), np.repeat(np.arange(1.0, 11.0), 96)),
        known_at="interval_end",
        source="test",
    )

    (value,) = naive_values(
        store,
        "power.a",
        datetime(2025, 12, 8, 8, tzinfo=UTC),
        QUARTER,
        calendar=STOCKHOLM,
        same_day_type=same_day_type,
        issued_at=[datetime.fromisoformat(issued + "+00:00")],
    )

    assert value == pytest.approx(expected, nan_ok=True)
