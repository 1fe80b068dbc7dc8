"""What is now fades into what is usual; a provider's forecast is taken by its measured errors."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.climatology import Climatology

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
MEDIAN = LEVELS.index(0.5)
DAYS = 120


def a_past(
    value: Callable[[int], float] | Floats,
    *,
    days: int = DAYS,
    regressors: Mapping[str, Floats] | None = None,
) -> Past:
    """`days` days of hours since a Monday in winter."""
    steps = days * 24
    values = (
        value[:steps] if isinstance(value, np.ndarray) else np.array([*map(value, range(steps))])
    )
    return Past(
        series_id="outdoor.park",
        unit="degC",
        issued_at=START + steps * HOUR,
        values=Profile(Horizon(START, HOUR, steps), values),
        calendar=Calendar(zone=ZoneInfo("UTC")),
        regressors={
            name: Profile(Horizon(START, HOUR, one.size), one)
            for name, one in (regressors or {}).items()
        },
    )


def ahead(hours: int, days: int = DAYS) -> Horizon:
    return Horizon(START + days * 24 * HOUR, HOUR, hours)


def by_day(hour: int) -> float:
    """10 °C, warmest at 18:00 with 15, coldest at 06:00 with 5."""
    return 10 - 5 * math.sin(hour * math.pi / 12)


def walk(days: int = DAYS + 4) -> Floats:
    """An anomaly that loses 5 % an hour and gains noise of 1 °C."""
    rng = np.random.default_rng(4)
    course = np.zeros(days * 24)
    for hour in range(1, course.size):
        course[hour] = 0.95 * course[hour - 1] + rng.normal()
    return course


def test_what_repeats_by_the_day_is_forecast_as_it_was() -> None:
    past = a_past(by_day)

    quantiles = Climatology().fit(past).quantiles(past, ahead(48))

    expected = [by_day(hour) for hour in range(48)]
    assert np.abs(quantiles - expected).max() < 0.05


def test_an_anomaly_fades_and_the_spread_grows() -> None:
    """10 °C above the usual now: after 24 hours 0.95 ** 24 = 29 % of it are left."""
    course = 20 + walk()
    course[DAYS * 24 - 1] = 30
    past = a_past(course)

    quantiles = Climatology().fit(past).quantiles(past, ahead(60))

    median, width = quantiles[MEDIAN] - 20, quantiles[-2] - quantiles[1]
    assert median[0] > 6
    assert abs(median[23]) < 5
    assert width[0] < width[5] < width[23]
    # 80 % of a normal walk that started h hours ago: 2.56 σ sqrt((1 - 0.95**2h) / (1 - 0.95**2)).
    assert width[0] == pytest.approx(2.56, rel=0.15)
    assert width[23] == pytest.approx(2.56 * 3.07, rel=0.2)


def test_rest_days_have_a_course_of_their_own() -> None:
    past = a_past(lambda hour: 200.0 if hour // 24 % 7 < 5 else 100.0)

    quantiles = Climatology().fit(past).quantiles(past, ahead(72))

    # Day 120 is a Tuesday; two years of carbon intensity know their Sundays as well.
    assert quantiles[MEDIAN, :24] == pytest.approx(200, abs=5)
    sunday = replace(past, issued_at=past.issued_at + 5 * 24 * HOUR)
    steps = past.values.horizon.steps
    values = np.concatenate([past.values.values, np.full(5 * 24, np.nan)])
    sunday = replace(sunday, values=Profile(Horizon(START, HOUR, steps + 120), values))
    later = Climatology().fit(past).quantiles(sunday, Horizon(sunday.issued_at, HOUR, 24))
    assert later[MEDIAN] == pytest.approx(100, abs=5)


def test_two_years_know_the_season() -> None:
    def by_year(hour: int) -> float:
        return 10 - 10 * math.cos(hour * 2 * math.pi / (24 * 365.25))

    past = a_past(by_year, days=600)
    fitted = Climatology().fit(past)

    assert fitted.usual[""].season
    july = Horizon(START + 560 * 24 * HOUR, HOUR, 24)
    assert fitted.usual[""].over(past.calendar, july).mean() == pytest.approx(
        by_year(560 * 24), abs=1
    )
    assert not Climatology().fit(a_past(by_year, days=100)).usual[""].season


def test_a_forecast_of_others_is_used_and_its_errors_are_the_spread() -> None:
    course = 10 + walk()
    provider = course + np.random.default_rng(9).normal(scale=0.5, size=course.size)
    past = a_past(course, regressors={"forecast.outdoor": provider})

    fitted = Climatology().fit(past)
    quantiles = fitted.quantiles(past, ahead(48))

    assert fitted.regressors == ("forecast.outdoor",)
    real = course[DAYS * 24 :][:48]
    assert np.abs(quantiles[MEDIAN] - real).mean() < 0.7
    assert (quantiles[-2] - quantiles[1])[30] == pytest.approx(2.56 * 0.5, rel=0.25)


def test_where_the_provider_is_silent_the_forecast_is_our_own() -> None:
    course = 10 + walk()
    provider = course.copy()
    past = a_past(course, regressors={"forecast.outdoor": provider})
    provider[DAYS * 24 + 24 :] = np.nan
    silent = a_past(course, regressors={"forecast.outdoor": provider})

    quantiles = Climatology().fit(past).quantiles(silent, ahead(48))
    alone = Climatology().fit(a_past(course)).quantiles(a_past(course), ahead(48))

    np.testing.assert_allclose(quantiles[:, 24:], alone[:, 24:])
    assert np.ptp(quantiles[:, :24], axis=0).max() < 0.5 * np.ptp(alone[:, 23:24], axis=0).min()


def test_what_is_only_measured_is_no_forecast_of_others() -> None:
    past = a_past(by_day, regressors={"measured.wind": np.arange(DAYS * 24.0)})

    assert Climatology().fit(past).regressors == ()


def test_an_irradiance_is_zero_at_night_without_spread() -> None:
    clouds = np.random.default_rng(6).uniform(0.2, 1, size=DAYS * 24)

    def lit(hour: int) -> float:
        return max(0.0, 800 * math.sin((hour % 24 - 6) * math.pi / 12)) * float(clouds[hour])

    past = a_past(lit)
    quantiles = Climatology().fit(past).quantiles(past, ahead(24))

    assert (quantiles[:, [0, 3, 5, 20, 23]] == 0).all()
    assert (quantiles >= 0).all()
    assert quantiles[-1, 12] > quantiles[0, 12] + 200


def test_a_gap_at_the_end_leaves_the_usual() -> None:
    course = 10 + walk()
    course[(DAYS - 10) * 24 : DAYS * 24] = np.nan

    past = a_past(course)
    quantiles = Climatology().fit(past).quantiles(past, ahead(24))

    assert np.isfinite(quantiles).all()
    assert np.abs(quantiles[MEDIAN] - 10).max() < 4


def test_less_than_a_week_is_refused() -> None:
    with pytest.raises(PlanError, match="at least 7 days"):
        Climatology().fit(a_past(by_day, days=6))


def test_what_was_learnt_can_be_pickled() -> None:
    past = a_past(10 + walk())
    fitted = Climatology().fit(past)

    again = pickle.loads(pickle.dumps(fitted))

    np.testing.assert_array_equal(again.quantiles(past, ahead(9)), fitted.quantiles(past, ahead(9)))
