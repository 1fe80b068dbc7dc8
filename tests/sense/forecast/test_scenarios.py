"""Drawn futures: each series as its fan says, all of them together as their errors were."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.special import ndtri

from tests.sense.forecast.makings import HOUR, START
from vpp.errors import DataError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.rolling import Track, origins_between
from vpp.sense.forecast.scenarios import (
    Dependence,
    draw_scenarios,
    learn_dependence,
    normal_scores,
)

DAY = timedelta(days=1)
Z = ndtri(np.array(LEVELS))


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def a_forecast(
    series_id: str, *, level: float = 100.0, sigma: float = 10.0, steps: int = 24
) -> Forecast:
    """A normal fan around one level."""
    horizon = Horizon(START, HOUR, steps)
    return Forecast(
        series_id=series_id,
        unit="kW",
        issued_at=START,
        model="test/1",
        expected=Profile.constant(horizon, level),
        quantiles=np.repeat((level + sigma * Z)[:, None], steps, axis=1),
    )


def a_track(series_id: str, errors: Floats) -> Track:
    """A unit normal fan around zero at each origin, and `errors` (origins, steps) that came."""
    origins = origins_between(START, START + len(errors) * DAY)[: len(errors)]
    return Track(
        series_id=series_id,
        unit="kW",
        model="test/1",
        step=HOUR,
        origins=origins,
        quantiles=np.broadcast_to(Z[None, :, None], (len(errors), 9, errors.shape[1])).copy(),
        actual=errors,
        failed={},
    )


def fading(rows: int, steps: int, keeps: float, seed: int) -> Floats:
    """Unit normal errors of which each step keeps a share of the one before."""
    drawn = chance(seed).standard_normal((rows, steps))
    for step in range(1, steps):
        drawn[:, step] = keeps * drawn[:, step - 1] + np.sqrt(1 - keeps**2) * drawn[:, step]
    return drawn


def learnt(*tracks: Track, steps: int = 24, **more: dict[str, tuple[float, float]]) -> Dependence:
    return learn_dependence(tracks, step=HOUR, steps=steps, bounds=more.get("bounds"))


def correlation(first: Floats, second: Floats) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_each_step_has_the_quantiles_of_its_forecast() -> None:
    """Two hundred futures: one in each 200th part of the fan, tails a normal one's."""
    drawn = draw_scenarios([a_forecast("power.a")], learnt(), 200, chance())

    values = np.sort(drawn.values["power.a"], axis=0)
    assert values.shape == (200, 24)
    for level in LEVELS:
        share = (values <= 100 + 10 * ndtri(level) + 1e-9).mean(axis=0)
        assert share == pytest.approx(level, abs=0.005)
    assert values[0] == pytest.approx(100 + 10 * ndtri(0.5 / 200), abs=0.5)


def test_ten_scenarios_keep_the_mean_and_lie_on_both_sides_of_the_median() -> None:
    values = draw_scenarios([a_forecast("power.a")], learnt(), 10, chance()).values["power.a"]

    assert values.mean(axis=0) == pytest.approx(100)
    assert ((values > 100).sum(axis=0) == 5).all()


def test_sums_of_series_are_even_about_their_middle_however_few_are_drawn() -> None:
    """Forty series apart from each other: each sum has its opposite, so four of eight lie on either side."""
    forecasts = [a_forecast(f"power.{n}") for n in range(40)]

    drawn = draw_scenarios(forecasts, learn_dependence([], step=HOUR, steps=24), 8, chance())

    total = np.sort(sum(drawn.values.values()) - 40 * 100, axis=0)
    assert total + total[::-1] == pytest.approx(np.zeros_like(total), abs=1e-6)
    assert total.std() > 40


def test_a_single_scenario_is_the_expected_course() -> None:
    values = draw_scenarios([a_forecast("power.a")], learnt(), 1, chance()).values["power.a"]

    assert values == pytest.approx(np.full((1, 24), 100.0))


def test_correlation_over_time_is_that_of_the_errors() -> None:
    slow, quick = (
        a_track(name, fading(100, 24, keeps, seed))
        for name, keeps, seed in (("power.slow", 0.95, 1), ("power.quick", 0.3, 2))
    )

    drawn = draw_scenarios(
        [a_forecast("power.slow"), a_forecast("power.quick")], learnt(slow, quick), 500, chance()
    ).values

    for name, keeps in (("power.slow", 0.95), ("power.quick", 0.3)):
        next_hour = correlation(drawn[name][:, :-1], drawn[name][:, 1:])
        four_hours = correlation(drawn[name][:, :-4], drawn[name][:, 4:])
        assert next_hour == pytest.approx(keeps, abs=0.08)
        assert four_hours == pytest.approx(keeps**4, abs=0.12)


def test_correlation_between_series_is_that_of_the_errors() -> None:
    common = fading(120, 24, 0.8, 1)
    apart = fading(120, 24, 0.8, 2)
    tracks = [
        a_track("power.a", common),
        a_track("power.b", 0.9 * common + np.sqrt(1 - 0.81) * apart),
        a_track("power.c", -common),
        a_track("power.d", fading(120, 24, 0.8, 3)),
    ]

    drawn = draw_scenarios(
        [a_forecast(track.series_id) for track in tracks], learnt(*tracks), 500, chance()
    ).values

    assert correlation(drawn["power.a"], drawn["power.b"]) == pytest.approx(0.85, abs=0.08)
    assert correlation(drawn["power.a"], drawn["power.c"]) < -0.85
    assert abs(correlation(drawn["power.a"], drawn["power.d"])) < 0.1


def test_series_that_fade_differently_still_share_what_they_share() -> None:
    """The gusts of the hour in both, but one of them remembers yesterday's as well."""
    fresh = fading(400, 24, 0.0, 1)
    slow = 0.4 * fresh + np.sqrt(1 - 0.16) * fading(400, 24, 0.97, 2)
    tracks = [a_track("power.a", fresh), a_track("power.b", slow)]

    drawn = draw_scenarios(
        [a_forecast("power.a"), a_forecast("power.b")], learnt(*tracks), 500, chance()
    ).values

    assert correlation(drawn["power.a"], drawn["power.b"]) == pytest.approx(0.4, abs=0.05)


def test_with_few_rows_series_are_nearly_apart_and_fade_as_the_default() -> None:
    common = fading(2, 24, 0.0, 1)
    tracks = [a_track("power.a", common), a_track("power.b", common)]

    drawn = draw_scenarios(
        [a_forecast("power.a"), a_forecast("power.b")], learnt(*tracks), 500, chance()
    ).values

    assert correlation(drawn["power.a"], drawn["power.b"]) < 0.3
    next_hour = correlation(drawn["power.a"][:, :-1], drawn["power.a"][:, 1:])
    assert 0.3 < next_hour < np.exp(-1 / 6)


def test_a_series_without_a_track_stands_apart_and_fades_by_the_stated_default() -> None:
    track = a_track("power.a", fading(100, 24, 0.8, 1))

    drawn = draw_scenarios(
        [a_forecast("power.new"), a_forecast("power.a")], learnt(track), 500, chance()
    ).values

    assert abs(correlation(drawn["power.a"], drawn["power.new"])) < 0.1
    next_hour = correlation(drawn["power.new"][:, :-1], drawn["power.new"][:, 1:])
    assert next_hour == pytest.approx(np.exp(-1 / 6), abs=0.05)


def test_what_is_known_is_the_same_in_each_scenario() -> None:
    forecast = a_forecast("price.x")
    fan = forecast.quantiles
    assert fan is not None
    fan[:, :12] = 42.0

    values = draw_scenarios([forecast], learnt(), 50, chance()).values["price.x"]

    assert (values[:, :12] == 42).all()
    assert (values[:, 12:].std(axis=0) > 5).all()


def test_a_forecast_without_spread_is_expected_in_each() -> None:
    plain = replace(a_forecast("outdoor.x"), quantiles=None)

    values = draw_scenarios([plain], learnt(), 3, chance()).values["outdoor.x"]

    assert values.tolist() == [[100.0] * 24] * 3


def test_tails_end_at_the_bounds() -> None:
    load = a_forecast("power.load", level=-15.0, sigma=10.0)
    bounded = learnt(a_track("power.load", fading(50, 24, 0.5, 1)), bounds={"power.load": (-30, 0)})

    values = draw_scenarios([load], bounded, 200, chance()).values["power.load"]

    assert values.max() == 0
    assert values.min() == -30


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        pytest.param((-30.0, 0.0), -8.0, id="towards the upper bound"),
        pytest.param((-30.0, 0.0), -14.0, id="towards the lower bound"),
        pytest.param((-np.inf, 0.0), -14.0, id="no bound that way"),
    ],
)
def test_the_mean_of_few_draws_is_what_the_point_plan_expects(
    bounds: tuple[float, float], expected: float
) -> None:
    """Tails cut by a bound, or longer than the fan says, would make the futures expect something else."""
    load = a_forecast("power.load", level=-10.0, sigma=8.0)
    load = replace(load, expected=Profile.constant(load.expected.horizon, expected))

    dependence = learnt(
        a_track("power.load", fading(50, 24, 0.5, 1)), bounds={"power.load": bounds}
    )
    values = draw_scenarios([load], dependence, 8, chance()).values["power.load"]

    assert values.mean(axis=0) == pytest.approx(expected)
    assert values.min() >= bounds[0]
    assert values.max() <= bounds[1]
    assert values.std() > 4


def test_a_fan_on_one_side_of_zero_is_not_drawn_beyond_it() -> None:
    generator = a_forecast("available.pv", level=17.0, sigma=10.0)

    values = draw_scenarios([generator], learnt(), 200, chance()).values["available.pv"]

    assert values.min() == 0


def test_the_same_chance_gives_the_same_futures() -> None:
    track = a_track("power.a", fading(50, 24, 0.5, 1))
    forecasts = [a_forecast("power.a"), a_forecast("power.b")]

    first, again, other = (
        draw_scenarios(forecasts, learnt(track), 10, chance(seed)).values["power.b"]
        for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_shorter_horizon_than_learnt_can_be_drawn_and_a_longer_one_not() -> None:
    assert draw_scenarios([a_forecast("power.a", steps=7)], learnt(), 5, chance()).count == 5
    with pytest.raises(DataError, match="25 steps"):
        draw_scenarios([a_forecast("power.a", steps=25)], learnt(), 5, chance())


@pytest.mark.parametrize("count", [0, -3])
def test_less_than_one_scenario_is_refused(count: int) -> None:
    with pytest.raises(DataError, match="scenarios on 1 horizons"):
        draw_scenarios([a_forecast("power.a")], learnt(), count, chance())


def test_scenarios_of_no_forecast_are_refused() -> None:
    with pytest.raises(DataError, match="on 0 horizons"):
        draw_scenarios([], learnt(), 5, chance())


def test_two_tracks_of_one_series_are_refused() -> None:
    track = a_track("power.a", fading(5, 24, 0.5, 1))
    with pytest.raises(DataError, match="one track a series"):
        learnt(track, track)


def test_scores_of_a_true_fan_are_normal_and_of_a_wrong_one_made_so() -> None:
    errors = fading(100, 24, 0.0, 1)

    for width in (1.0, 5.0):
        scores = normal_scores(a_track("power.a", width * errors))
        assert scores.std() == pytest.approx(1.0, abs=0.02)
        assert correlation(scores, errors) > 0.9


def test_a_step_that_was_certain_or_not_measured_has_no_score() -> None:
    errors = fading(10, 24, 0.0, 1)
    errors[:, 3] = np.nan
    track = a_track("power.a", errors)
    track.quantiles[:, :, 5] = 0.0

    scores = normal_scores(track)

    assert np.isnan(scores[:, [3, 5]]).all()
    assert np.isfinite(np.delete(scores, [3, 5], axis=1)).all()
