"""The choice of a model by its scores on the series' own past, and what is kept of it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import time, timedelta

import numpy as np
import pytest

from tests.sense.forecast.makings import HOUR, START, LastValue, Yesterday, a_past, hourly
from vpp.errors import DataError, PlanError
from vpp.model.forecast import LEVELS, mean_of
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.base import Fitted, Past
from vpp.sense.forecast.choose import Trial, best_of, choose
from vpp.sense.forecast.pasts import CutPast
from vpp.sense.forecast.trained import train

DAY = timedelta(days=1)
SHORT = Trial(horizon=DAY, window=14 * DAY)


def two_shifts(hour: int) -> float:
    """A load of 100 kW from 6 to 22, of 20 kW at night."""
    return -100.0 if 6 <= hour % 24 < 22 else -20.0


def a_load(days: int = 40, noise_kw: float = 2.0) -> Past:
    noise = noise_kw * np.random.default_rng(1).standard_normal(24 * days)
    return a_past(np.minimum(hourly(two_shifts, 24 * days) + noise, 0.0))


def test_the_model_that_did_best_on_the_series_own_past_is_chosen() -> None:
    chosen = choose([LastValue(), Yesterday(3.0)], a_load(), SHORT)

    choice = chosen.choice
    assert choice.model == chosen.model.name == "yesterday/1"
    assert list(choice.scores) == ["last/1", "yesterday/1"]
    assert choice.scores["last/1"].overall.crps > 5 * choice.scores["yesterday/1"].overall.crps
    assert choice.chosen_at == choice.window.end == START + 40 * DAY
    assert 13 * DAY < choice.window.end - choice.window.start <= 14 * DAY


def test_a_candidate_that_fails_is_named_with_its_reason() -> None:
    choice = choose([LastValue(), Yesterday(3.0), LastValue("thirsty/1", 0, 5000)], a_load(), SHORT)

    assert choice.choice.refused.keys() == {"thirsty/1"}
    assert "needs 5000 steps" in choice.choice.refused["thirsty/1"]


def test_a_candidate_that_fails_too_often_is_out_and_one_that_fails_once_is_not() -> None:
    past = a_load()
    once, often = past.values.values.copy(), past.values.values.copy()
    once[24 * 30 + 5] = np.nan
    often[24 * 28 :: 24] = np.nan

    def chosen(values: Floats) -> dict[str, str]:
        gappy = replace(past, values=Profile(past.values.horizon, values))
        return dict(choose([LastValue(), Yesterday(3.0)], gappy, SHORT).choice.refused)

    assert chosen(once) == {}
    assert "could not forecast from" in chosen(often)["yesterday/1"]


def test_scores_are_compared_over_the_origins_that_all_could_forecast() -> None:
    past = a_load()
    values = past.values.values.copy()
    values[24 * 30 + 5] = np.nan
    gappy = replace(past, values=Profile(past.values.horizon, values))

    scores = choose([LastValue(), Yesterday(3.0)], gappy, SHORT).choice.scores

    assert scores["last/1"].overall.cases == scores["yesterday/1"].overall.cases


def test_no_candidate_that_can_forecast_is_refused_with_all_reasons() -> None:
    with pytest.raises(PlanError, match=r"one/1.*needs 5000.*two/1.*needs 6000"):
        choose([LastValue("one/1", 0, 5000), LastValue("two/1", 0, 6000)], a_load(), SHORT)


@pytest.mark.parametrize(
    "candidates",
    [
        pytest.param([], id="none"),
        pytest.param([LastValue(), LastValue()], id="one twice"),
    ],
)
def test_candidates_that_are_no_choice_are_refused(candidates: list[LastValue]) -> None:
    with pytest.raises(DataError, match="candidates are"):
        choose(candidates, a_load(), SHORT)


def test_a_past_too_short_to_try_anything_is_refused() -> None:
    with pytest.raises(PlanError, match="too short"):
        choose([LastValue()], a_past([1.0, 2.0]), SHORT)


@pytest.mark.parametrize(
    ("crps", "best"),
    [
        pytest.param({"plain": 10.0, "fine": 9.95}, "plain", id="half a per cent is no reason"),
        pytest.param({"plain": 10.0, "fine": 9.8}, "fine", id="two per cent are"),
        pytest.param({"plain": 10.0, "fine": 9.8, "finest": 9.75}, "fine", id="of several"),
        pytest.param({"plain": 0.0, "fine": 0.0}, "plain", id="nothing to better"),
    ],
)
def test_the_simpler_model_stays_unless_the_other_is_clearly_better(
    crps: dict[str, float], best: str
) -> None:
    assert best_of(crps) == best


# ---------------------------------------------------------------- what is kept


def tomorrow(past: Past, steps: int = 24) -> Horizon:
    return Horizon(past.values.horizon.end, HOUR, steps)


def test_what_was_trained_issues_a_calibrated_forecast() -> None:
    past = a_load(noise_kw=5.0)

    trained = train(past, Yesterday(1.0), SHORT)  # far too narrow
    forecast = trained.issue(past, tomorrow(past))

    assert (forecast.model, forecast.issued_at) == ("yesterday/1", past.issued_at)
    fan = forecast.quantiles
    assert fan is not None
    assert forecast.expected.values.tolist() == mean_of(fan).tolist()
    noon = fan[LEVELS.index(0.9)][12] - fan[LEVELS.index(0.1)][12]
    assert noon == pytest.approx(2 * 1.28 * 5 * np.sqrt(2), rel=0.3)


def test_a_load_that_never_fed_never_feeds() -> None:
    past = a_load(noise_kw=15.0)

    fan = train(past, Yesterday(15.0), SHORT).issue(past, tomorrow(past)).quantiles

    assert fan is not None
    assert fan.max() <= 0
    assert fan[LEVELS.index(0.95)][2] == 0  # 20 kW at night, more than that off in one of twenty


def test_values_known_already_stand_in_the_forecast_without_spread() -> None:
    """Prices of tomorrow are published; the day after is not."""
    prices = a_past(hourly(lambda hour: float(hour % 24), 24 * 41), series_id="price.x")
    published = replace(prices, issued_at=START + 40 * DAY - 11 * HOUR)

    trained = train(
        published,
        Yesterday(2.0),
        SHORT,
        past_at=CutPast(past=published, published_at=time(12, 45)),
    )
    forecast = trained.issue(published, Horizon(START + 40 * DAY, HOUR, 48))

    fan = forecast.quantiles
    assert fan is not None
    assert forecast.model == "yesterday/1+known"
    assert (fan[:, :24] == np.arange(24)).all()
    assert (np.diff(fan[:, 24:], axis=0) > 0).any()


def test_the_past_of_another_series_is_refused() -> None:
    past = a_load()
    trained = train(past, Yesterday(3.0), SHORT)

    with pytest.raises(DataError, match=r"power\.other"):
        trained.issue(replace(past, series_id="power.other"), tomorrow(past))
    with pytest.raises(DataError, match=r"power\.other"):
        trained.updated(replace(past, series_id="power.other"))


def test_what_was_trained_survives_being_sent_to_another_process() -> None:
    past = a_load()
    trained = train(past, [LastValue(), Yesterday(3.0)], SHORT)

    again = pickle.loads(pickle.dumps(trained))

    assert again.choice == trained.choice
    first, second = (one.issue(past, tomorrow(past)).quantiles for one in (trained, again))
    np.testing.assert_array_equal(first, second)


def test_new_errors_widen_the_fan_without_learning_anew() -> None:
    quiet, loud = a_load(days=40, noise_kw=2.0), a_load(days=70, noise_kw=20.0)
    values = np.concatenate([quiet.values.values, loud.values.values[24 * 40 :]])
    later = a_past(values)

    class OnlyOnce(Yesterday):
        def fit(self, past: Past) -> Fitted:
            assert past.issued_at <= quiet.issued_at
            return self

    trained = train(quiet, OnlyOnce(2.0), SHORT)
    updated = trained.updated(later)

    def width(one: Floats | None) -> float:
        assert one is not None
        return float(one[LEVELS.index(0.9)][12] - one[LEVELS.index(0.1)][12])

    before = width(trained.issue(later, tomorrow(later)).quantiles)
    after = width(updated.issue(later, tomorrow(later)).quantiles)
    assert before < 12
    assert after > 40
    assert updated.trained_until == quiet.issued_at
    assert len(updated.track.origins) > len(trained.track.origins) + 50
    assert updated.updated(later).track.origins == updated.track.origins


def test_an_update_does_not_let_a_model_judge_what_it_has_learnt_from() -> None:
    """Origins before the training stay as they were rolled, with the model of then."""
    past = a_load()
    trained = train(past, Yesterday(3.0), replace(SHORT, horizon=2 * DAY))
    shifted = replace(trained, trained_until=past.issued_at + 100 * DAY)

    later = shifted.updated(a_load(days=60))

    assert later.track.origins == trained.track.origins
    assert np.isfinite(later.track.actual).sum() > np.isfinite(trained.track.actual).sum()
