"""Calibrated fans hold what they promise: too narrow or too wide, after a drift, and by the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.special import ndtri

from tests.sense.forecast.makings import HOUR, LONDON, START, a_past, hourly
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Fitted, Past
from vpp.sense.forecast.conformal import Calibration, calibrate, calibrated_track
from vpp.sense.forecast.rolling import Track, origins_between, rolling
from vpp.sense.forecast.scores import score

DAY = timedelta(days=1)
NOON, NIGHT = 12, 2


@dataclass(frozen=True)
class Always:
    """The same normal fan at every step."""

    level_kw: float
    sigma_kw: float
    name: str = "always/1"

    def fit(self, past: Past) -> Fitted:
        return self

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        fan = self.level_kw + self.sigma_kw * ndtri(np.array(LEVELS))
        return np.repeat(fan[:, None], horizon.steps, axis=1)


def a_track(values: Floats, sigma_kw: float, *, last_days: float = 56) -> Track:
    """A fan around 100 kW at every origin of the last days of `values`."""
    past = a_past(values)
    first = max(past.issued_at - last_days * DAY, START + HOUR)
    origins = origins_between(first, past.issued_at - HOUR)
    return rolling(Always(100.0, sigma_kw), past, origins, 24, 1000 * DAY)


def noisy(days: int, sigma_kw: float, seed: int = 1) -> Floats:
    return 100 + sigma_kw * np.random.default_rng(seed).standard_normal(24 * days)


def width_kw(fan: Floats) -> Floats:
    """From the 0.1 to the 0.9 quantile."""
    wide: Floats = fan[LEVELS.index(0.9)] - fan[LEVELS.index(0.1)]
    return wide


def a_day_ahead(track: Track) -> Floats:
    """The fan of a Tuesday, calibrated by the track."""
    tuesday = Horizon(START + 8 * DAY, HOUR, 24)
    fan = Always(100.0, 10.0).quantiles(a_past([1.0]), tuesday)
    return calibrate(track, LONDON).apply(fan, tuesday, LONDON)


@pytest.mark.parametrize(
    "sigma_kw",
    [pytest.param(3.0, id="far too narrow"), pytest.param(30.0, id="far too wide")],
)
def test_coverage_comes_to_what_is_promised(sigma_kw: float) -> None:
    values = noisy(90, 10.0)
    learnt = calibrate(a_track(values[: 24 * 60], sigma_kw), LONDON)
    later = a_track(values, sigma_kw, last_days=30)

    fans = [learnt.apply(fan, later.starts(i), LONDON) for i, fan in enumerate(later.quantiles)]
    raw = score(np.moveaxis(later.quantiles, 1, 0), later.actual)
    got = score(np.moveaxis(np.array(fans), 1, 0), later.actual)

    assert not 0.7 < raw.coverage80 < 0.9
    assert got.coverage80 == pytest.approx(0.8, abs=0.07)
    assert got.coverage90 == pytest.approx(0.9, abs=0.07)
    assert got.crps < raw.crps


def test_days_that_miss_as_one_are_fewer_cases_than_hours_that_miss_alone() -> None:
    """A fan too narrow by a third: told by hours apart it is mended; told by one week of bad luck, less."""
    chance = np.random.default_rng(1)
    days = 56
    apart = chance.standard_normal(24 * days)
    whole_days = np.repeat(chance.standard_normal(days), 24)
    weeks = np.repeat(chance.standard_normal(days // 7), 24 * 7)

    cases = [
        calibrate(a_track(100 + 10 * one, 10.0, last_days=days), LONDON).cases
        for one in (apart, whole_days, weeks)
    ]

    assert cases[0] > 5 * cases[1] > 10 * cases[2] > 10


def test_coverage_comes_back_after_a_drift() -> None:
    """Errors three times as large for the last six weeks, after many quiet ones."""
    values = np.concatenate([noisy(30, 10.0), noisy(70, 30.0, seed=2)])
    before = calibrate(a_track(values[: 24 * 30], 10.0), LONDON)
    after = calibrate(a_track(values[: 24 * 72], 10.0), LONDON)
    later = a_track(values, 10.0, last_days=28)

    def coverage(calibration: Calibration) -> float:
        fans = [
            calibration.apply(fan, later.starts(i), LONDON) for i, fan in enumerate(later.quantiles)
        ]
        return score(np.moveaxis(np.array(fans), 1, 0), later.actual).coverage80

    assert coverage(before) < 0.4
    assert coverage(after) > 0.74


def test_spread_follows_the_clock_where_errors_do() -> None:
    """Errors of 20 kW from 8 to 16 on workdays, of 5 kW else; the model says 10 kW at all times."""
    chance = np.random.default_rng(1).standard_normal(24 * 60)

    def value(hour: int) -> float:
        working = hour // 24 % 7 < 5 and 8 <= hour % 24 < 16
        return 100 + (20 if working else 5) * float(chance[hour])

    track = a_track(hourly(value, 24 * 60), 10.0)

    wide = width_kw(a_day_ahead(track))
    assert wide[NOON] > 1.3 * wide[NIGHT]
    assert np.abs(np.diff(wide)).max() < 0.35 * wide.max()  # no edges between blocks


def test_the_median_stays_where_the_model_put_it() -> None:
    track = a_track(noisy(60, 10.0) + 2.0, 10.0)

    fan = a_day_ahead(track)

    assert (fan[LEVELS.index(0.5)] == 100).all()
    assert fan[LEVELS.index(0.9)][NOON] - 100 > 100 - fan[LEVELS.index(0.1)][NOON]


def test_a_few_misses_move_little_and_many_move_much() -> None:
    wide = [
        width_kw(a_day_ahead(a_track(noisy(60, 15.0), 10.0, last_days=days)))[NOON]
        for days in (1.5, 10, 56)
    ]

    true, raw = 2 * 1.2816 * 15, 2 * 1.2816 * 10
    assert raw < wide[0] < raw + 0.3 * (true - raw)
    assert wide[0] < wide[1] < 1.15 * true
    assert wide[2] == pytest.approx(true, rel=0.15)


def test_a_track_without_a_case_moves_nothing() -> None:
    track = a_track(noisy(60, 10.0), 10.0)
    track = replace(track, actual=np.full_like(track.actual, np.nan))

    fan = a_day_ahead(track)

    assert fan[:, 0].tolist() == pytest.approx(100 + 10 * ndtri(np.array(LEVELS)))


def test_where_nothing_can_be_missed_nothing_is_moved() -> None:
    track = a_track(noisy(60, 30.0), 10.0)
    night = Horizon(START + 8 * DAY, HOUR, 3)
    fan = np.zeros((9, 3))
    fan[:, 2] = np.arange(9)

    got = calibrate(track, LONDON).apply(fan, night, LONDON)

    assert (got[:, :2] == 0).all()
    assert width_kw(got)[2] > width_kw(fan)[2]


def test_a_fan_without_any_spread_gets_some_from_the_others() -> None:
    """Four equal days in a row say nothing of the fifth."""
    track = a_track(noisy(60, 10.0), 10.0)
    day = Horizon(START + 8 * DAY, HOUR, 24)

    got = calibrate(track, LONDON).apply(np.full((9, 24), 50.0), day, LONDON)

    assert (np.diff(got, axis=0) >= 0).all()


def test_each_row_of_a_track_is_calibrated_by_what_had_come_before_it() -> None:
    track = a_track(noisy(60, 30.0), 10.0)

    got = calibrated_track(track, LONDON)

    def coverage(rows: range) -> float:
        part = got.rows(rows)
        return score(np.moveaxis(part.quantiles, 1, 0), part.actual).coverage80

    assert (got.quantiles[0] == track.quantiles[0]).all()
    assert coverage(range(6)) < 0.4
    assert coverage(range(60, len(got.origins))) == pytest.approx(0.8, abs=0.06)


def test_misses_that_come_later_do_not_change_how_an_earlier_row_was_calibrated() -> None:
    quiet = noisy(60, 10.0)
    loud = quiet.copy()
    loud[24 * 40 :] = noisy(20, 200.0, seed=3)

    one, other = (calibrated_track(a_track(values, 10.0), LONDON) for values in (quiet, loud))

    early = [i for i, at in enumerate(one.origins) if at <= START + 40 * DAY]
    assert len(early) > 50
    np.testing.assert_array_equal(one.quantiles[early], other.quantiles[early])


def test_misses_that_are_large_only_beside_a_narrow_fan_do_not_blow_up_a_wide_one() -> None:
    """The model is sure of nights (1 kW), not of days (40 kW), until the plant works at night too.

    It then misses by 60 kW: 60 times its own measure by night. By day, 60 times 40 would be 2400.
    """

    class ByDay(Always):
        def quantiles(self, past: Past, horizon: Horizon) -> Floats:
            sure = np.array([not 8 <= start.hour < 16 for start in horizon.starts()])
            fan = super().quantiles(past, horizon)
            return np.where(sure, 100 + (fan - 100) / 40, fan)

    chance = np.random.default_rng(1).standard_normal(24 * 40)

    def value(hour: int) -> float:
        if 8 <= hour % 24 < 16:
            return 100 + 40 * float(chance[hour])
        return 100 + 60 * float(hour % 48 < 24) + float(chance[hour])

    model, past = ByDay(100.0, 40.0), a_past(hourly(value, 24 * 40))
    origins = origins_between(past.issued_at - 30 * DAY, past.issued_at - HOUR)
    track = rolling(model, past, origins, 24, 1000 * DAY)
    tuesday = Horizon(START + 8 * DAY, HOUR, 24)
    fan = model.quantiles(a_past([1.0]), tuesday)

    calibrated = calibrate(track, LONDON).apply(fan, tuesday, LONDON)

    assert np.abs(calibrated[:, NOON] - 100).max() < 3 * 60
    assert calibrated[-1, NIGHT] > 110
