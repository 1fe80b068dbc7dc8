"""The spread of the baseline: measured errors, by hour and type of day, pushed outwards where days are few."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER, local_day
from vpp.sense.forecast.seasonal import SeasonalBaseline
from vpp.sense.forecast.spread import measure
from vpp.sense.series import SeriesStore

STOCKHOLM = ZoneInfo("Europe/Stockholm")
NOW = datetime(2025, 11, 30, 23, tzinfo=UTC)
"""Local midnight, the beginning of Monday 1 December."""


def a_store(days: int, values: np.ndarray) -> SeriesStore:
    """A load of `days` local days up to `NOW`, shape (days * 96,)."""
    store = SeriesStore()
    store.put_profile(
        "power.a",
        unit="kW",
        profile=Profile(Horizon(NOW - timedelta(days=days), QUARTER, days * 96), values),
        known_at="interval_end",
        source="test",
    )
    return store


def quantiles(store: SeriesStore, day: date) -> tuple[np.ndarray, np.ndarray]:
    """Expected values of a local day, shape (96,), and their quantiles, shape (levels, 96)."""
    baseline = SeasonalBaseline(Calendar(zone=STOCKHOLM))
    horizon = Horizon.over(local_day(day, STOCKHOLM), QUARTER)
    (forecast,) = baseline.issue(store, ["power.a"], horizon, NOW)
    spread = measure(baseline, store, ["power.a"], NOW)["power.a"]
    return forecast.expected.values, spread.around(forecast.expected, baseline.calendar)


def test_a_load_that_never_erred_has_no_spread() -> None:
    expected, spread = quantiles(a_store(40, np.full(40 * 96, -100.0)), date(2025, 12, 1))

    assert (spread == expected).all()


def test_noise_comes_back_as_spread_about_the_expected_value() -> None:
    noise = np.random.default_rng(1).normal(0, 10, 62 * 96)
    expected, spread = quantiles(a_store(62, -100 + noise), date(2025, 12, 2))

    # The mean of four days adds half of its noise: 10 * sqrt(1 + 1/4) = 11.18. Of 20 workdays the
    # level 0.9 is taken at 0.5 + 0.4 * 21 / 20 = 0.92, where a normal curve stands at 1.405.
    width = (spread[LEVELS.index(0.9)] - spread[LEVELS.index(0.1)]).mean()
    assert width == pytest.approx(2 * 1.405 * 11.18, rel=0.05)
    assert (spread[LEVELS.index(0.5)] == expected).all()
    assert (np.diff(spread, axis=0) >= 0).all()


def test_equal_errors_do_not_fall_by_a_last_digit_from_level_to_level() -> None:
    chance = np.random.default_rng(0)
    values = np.zeros((40, 96))
    values[chance.integers(0, 40, 6)] = (
        chance.integers(1, 40) / 10
    )  # the same on six days, all else 0
    _, spread = quantiles(a_store(40, values.ravel()), date(2025, 12, 2))

    assert (np.diff(spread, axis=0) >= 0).all()


def test_an_hour_that_errs_is_wide_and_the_others_are_not() -> None:
    values = np.full((56, 96), -100.0)
    values[:, 40:44] += np.random.default_rng(1).normal(0, 10, (56, 4))  # 10:00 to 11:00
    _, spread = quantiles(a_store(56, values.ravel()), date(2025, 12, 2))

    width = spread[-1] - spread[0]
    assert width[42] > 20
    assert (width[:36] == 0).all()
    assert (width[48:] == 0).all()


def test_workdays_do_not_lend_their_spread_to_sundays() -> None:
    values = np.full((56, 96), -100.0)
    workdays = np.array(
        [(NOW + timedelta(hours=1) - timedelta(days=56 - d)).weekday() < 5 for d in range(56)]
    )
    values[workdays] += np.random.default_rng(1).normal(0, 10, (int(workdays.sum()), 96))
    store = a_store(56, values.ravel())

    _, tuesday = quantiles(store, date(2025, 12, 2))
    _, sunday = quantiles(store, date(2025, 12, 7))

    assert (tuesday[-1] - tuesday[0]).mean() > 20
    assert (sunday[-1] == sunday[0]).all()


def test_without_a_single_error_the_whole_range_may_come_next() -> None:
    """One Sunday of history: a level at which it stood is as likely as any other."""
    one_day = np.repeat([-80.0, -120.0], 48)
    expected, spread = quantiles(a_store(1, one_day), date(2025, 12, 7))

    assert spread[LEVELS.index(0.9)] - expected == pytest.approx(np.full(96, 0.8 * 40))
    assert expected - spread[LEVELS.index(0.1)] == pytest.approx(np.full(96, 0.8 * 40))
