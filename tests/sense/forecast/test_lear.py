"""Prices by sparse regression: what it learns, what it does with days known in part, and what it says."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import Interval, local_day
from vpp.sense.forecast.base import Past
from vpp.sense.forecast.lear import FittedLear, Lear

HOUR = timedelta(hours=1)
START = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday
MEDIAN = LEVELS.index(0.5)
DAYS = 70
NOISE = np.random.default_rng(7).normal(size=(DAYS + 7, 24))


def wind_mw(hour: int) -> float:
    day = hour // 24
    return 500 + 300 * math.sin(day * 2.4) + 50 * math.cos(hour % 24 / 4)


def by_wind(hour: int) -> float:
    """Cheap when it blows, dearer at noon, with 1 of noise."""
    return 80 - wind_mw(hour) / 20 + hour % 24 / 2 + float(NOISE[hour // 24, hour % 24])


def a_past(
    price: Callable[[int], float],
    *,
    days: int = DAYS,
    hours: int = 0,
    regressors: Mapping[str, tuple[Callable[[int], float], int]] | None = None,
) -> Past:
    """`days` whole days and `hours` of prices; each regressor is known so many days longer."""
    steps = days * 24 + hours
    axis = Horizon(START, HOUR, steps)
    ahead = {}
    for name, (value, more) in (regressors or {}).items():
        longer = np.full((days + 4) * 24, np.nan)
        known = (days + more) * 24
        longer[:known] = [value(hour) for hour in range(known)]
        ahead[name] = Profile(Horizon(START, HOUR, longer.size), longer)
    return Past(
        series_id="price.day-ahead",
        unit="EUR/MWh",
        issued_at=START + (days * 24 - 12) * HOUR,
        values=Profile(axis, np.array([price(hour) for hour in range(steps)])),
        calendar=Calendar(zone=ZoneInfo("UTC")),
        regressors=ahead,
    )


def day(number: int, days: int = 1) -> Horizon:
    return Horizon(START + number * 24 * HOUR, HOUR, 24 * days)


@cache
def windy(days_ahead: int = 3) -> tuple[Past, FittedLear]:
    past = a_past(by_wind, regressors={"forecast.wind": (wind_mw, days_ahead)})
    return past, Lear().fit(past)


def error(quantiles: Floats, price: Callable[[int], float], number: int) -> float:
    real = np.array([price(number * 24 + hour) for hour in range(24)])
    return float(np.abs(quantiles[MEDIAN] - real).mean())


def test_a_forecast_of_wind_is_used_and_the_error_is_little_more_than_the_noise() -> None:
    past, fitted = windy()

    assert fitted.regressors == ("forecast.wind",)
    assert error(fitted.quantiles(past, day(DAYS)), by_wind, DAYS) < 2.0


def test_without_regressors_prices_and_weekday_stand_alone() -> None:
    def workdays_are_dearer(hour: int) -> float:
        return (60.0 if hour // 24 % 7 < 5 else 40.0) + hour % 24

    past = a_past(workdays_are_dearer)
    fitted = Lear().fit(past)
    quantiles = fitted.quantiles(past, day(DAYS, 3))

    assert fitted.regressors == ()
    assert np.abs(quantiles[MEDIAN, :24] - (60 + np.arange(24))).max() < 4


def test_a_regressor_that_is_not_known_ahead_is_left_out() -> None:
    past = a_past(by_wind, regressors={"measured.wind": (wind_mw, 0)})

    assert Lear().fit(past).regressors == ()


def test_a_day_without_the_regressor_has_the_spread_of_such_days() -> None:
    past, fitted = windy()
    blind = a_past(by_wind, regressors={"forecast.wind": (wind_mw, 0)})

    known, missing = (fitted.quantiles(one, day(DAYS)) for one in (past, blind))

    width = [float((one[-1] - one[0]).mean()) for one in (known, missing)]
    assert width[1] > 2 * width[0]


def test_quantiles_rise_and_the_spread_holds_what_comes() -> None:
    past, fitted = windy()

    quantiles = fitted.quantiles(past, day(DAYS, 3))

    assert quantiles.shape == (9, 72)
    assert (np.diff(quantiles, axis=0) >= 0).all()
    real = np.array([by_wind(DAYS * 24 + hour) for hour in range(72)])
    inside = (quantiles[1] <= real) & (real <= quantiles[-2])
    assert 0.6 < inside.mean() < 0.97


def test_what_is_published_of_a_day_stands_and_its_error_is_carried_on() -> None:
    """All hours of the day are 30 dearer than anybody thought; eight of them are known."""
    _, fitted = windy()

    def dearer(hour: int) -> float:
        return by_wind(hour) + (30 if hour >= DAYS * 24 else 0)

    past = a_past(dearer, hours=8, regressors={"forecast.wind": (wind_mw, 3)})
    fitted = replace(fitted, spread=replace(fitted.spread, fading=0.9))
    plain = fitted.quantiles(replace(past, values=a_past(by_wind).values), day(DAYS))
    quantiles = fitted.quantiles(past, day(DAYS))

    np.testing.assert_array_equal(quantiles[:, :8], np.tile(past.values.values[-8:], (9, 1)))
    moved = quantiles[MEDIAN, 8:] - plain[MEDIAN, 8:]
    assert moved[0] > 15
    assert moved[-1] < moved[0] / 2
    assert (quantiles[-1] - quantiles[0])[8] < (plain[-1] - plain[0])[8]


def test_a_later_day_is_no_more_certain_than_the_one_before() -> None:
    """A walk: what a day begins with is where the one before stood."""
    walk = np.cumsum(np.random.default_rng(3).normal(scale=5, size=DAYS + 7))

    spread = Lear().fit(a_past(lambda hour: 50 + walk[hour // 24])).spread
    width = [float(np.ptp(spread.at(lead, stale=False), axis=0).mean()) for lead in (1, 2, 3, 9)]

    assert 0 < width[0] <= width[1] <= width[2]
    assert width[3] == width[2]


def test_quarter_hours_have_a_regression_each() -> None:
    """Every hour rises by 8 within itself, and falls back."""
    quarter = timedelta(minutes=15)
    rng = np.random.default_rng(1)
    level = np.repeat(50 + rng.normal(size=42 * 24), 4)
    values = level + np.tile([-4, -1, 1, 4], 42 * 24)
    past = Past(
        series_id="price.day-ahead",
        unit="EUR/MWh",
        issued_at=START + 42 * 24 * HOUR,
        values=Profile(Horizon(START, quarter, values.size), values),
        calendar=Calendar(zone=ZoneInfo("UTC")),
    )

    quantiles = Lear().fit(past).quantiles(past, Horizon(past.issued_at, quarter, 96))

    shape = quantiles[MEDIAN].reshape(24, 4)
    assert np.abs(shape - shape.mean(axis=1, keepdims=True) - [-4, -1, 1, 4]).max() < 2


def test_days_of_a_clock_change_have_their_own_number_of_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = local_day(date(2025, 2, 3), berlin).start
    for changed in (date(2025, 3, 30), date(2025, 10, 26)):
        end = local_day(changed, berlin).start
        axis = Horizon(first, HOUR, (end - first) // HOUR)
        clock = np.array([moment.astimezone(berlin).hour for moment in axis.starts()])
        past = Past(
            series_id="price.day-ahead",
            unit="EUR/MWh",
            issued_at=end,
            values=Profile(axis, 30.0 + clock),
            calendar=Calendar(zone=berlin),
        )
        horizon = Horizon.over(local_day(changed, berlin), HOUR)

        quantiles = Lear().fit(past).quantiles(past, horizon)

        expected = [30 + moment.astimezone(berlin).hour for moment in horizon.starts()]
        assert np.abs(quantiles[MEDIAN] - expected).max() < 1.0


def test_a_gap_of_days_is_passed_over() -> None:
    past, _ = windy()
    values = past.values.values.copy()
    values[30 * 24 : 32 * 24 + 5] = np.nan
    values[-1] = np.nan  # the last day lacks its last hour
    gappy = replace(past, values=Profile(past.values.horizon, values))

    quantiles = Lear().fit(gappy).quantiles(gappy, day(DAYS))

    assert error(quantiles, by_wind, DAYS) < 3.0


def test_too_short_a_past_is_refused_and_says_what_is_needed() -> None:
    with pytest.raises(PlanError, match="at least 28 whole days"):
        Lear().fit(a_past(by_wind, days=20))


def test_a_feed_that_stopped_weeks_ago_is_refused() -> None:
    past, fitted = windy()
    values = past.values.values.copy()
    values[-23 * 24 :] = np.nan

    with pytest.raises(PlanError, match="no whole day is known"):
        fitted.quantiles(replace(past, values=Profile(past.values.horizon, values)), day(DAYS))


def test_what_was_learnt_can_be_pickled() -> None:
    past, fitted = windy()

    again: FittedLear = pickle.loads(pickle.dumps(fitted))

    np.testing.assert_array_equal(
        again.quantiles(past, day(DAYS)), fitted.quantiles(past, day(DAYS))
    )


def test_a_holiday_is_priced_like_a_sunday() -> None:
    """Sundays cost 30 and all other days 60, whatever the days before cost."""
    sundays = frozenset(START.date() + timedelta(days=6 + 7 * week) for week in range(11))
    noise = np.random.default_rng(2).normal(scale=3, size=DAYS + 1)

    def dear(hour: int) -> float:
        today = START.date() + timedelta(days=hour // 24)
        return (30.0 if today in sundays else 60.0) + float(noise[hour // 24])

    past = a_past(dear)  # the day ahead is a Monday
    holiday = replace(
        past,
        calendar=Calendar(
            zone=ZoneInfo("UTC"), rest_days=frozenset({START.date() + timedelta(days=DAYS)})
        ),
    )

    workday, rest = (
        Lear().fit(one).quantiles(one, day(DAYS))[MEDIAN].mean() for one in (past, holiday)
    )

    assert workday == pytest.approx(60, abs=4)
    assert rest < 48


def test_both_hours_of_a_published_autumn_day_come_back_as_they_are() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    changed = local_day(date(2025, 10, 26), berlin)
    axis = Horizon.over(Interval(changed.start - 60 * timedelta(days=1), changed.end), HOUR)
    past = Past(
        series_id="price.day-ahead",
        unit="EUR/MWh",
        issued_at=changed.start - 12 * HOUR,
        values=Profile(axis, np.arange(float(axis.steps)) % 50),
        calendar=Calendar(zone=berlin),
    )

    quantiles = Lear().fit(past).quantiles(past, Horizon.over(changed, HOUR))

    np.testing.assert_array_equal(quantiles, np.tile(past.values.values[-25:], (9, 1)))
