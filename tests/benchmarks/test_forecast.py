"""The forecast benchmark judges by what it says: no model sees the day ahead, scores are those of paper."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._forecast.data import SETS, windows
from benchmarks._forecast.peer_run import WEEKS, _filled
from benchmarks._forecast.rolling import Candidate, rolled
from benchmarks._forecast.scores import WEIGHTS, reliability, score
from benchmarks._forecast.verdicts import verdicts
from tests.patience import PROGRAM_S
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.model.time import local_day
from vpp.sense.forecast.base import Past

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as people call it, without any peer."""
    return subprocess.run(
        (sys.executable, "benchmarks/forecast.py", *arguments),
        cwd=ROOT,
        env=os.environ | {"VPP_FORECAST_PEERS_PYTHON": "none/python", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


# ---------------------------------------------------------------- what a model may look at

ONE_OF_EACH = ("steel", "cambridge_b36", "nord_pool_price", "pv_2012_weather", "ev_site_493904")


def test_models_see_the_past_without_its_defects_and_are_scored_by_what_was_measured() -> None:
    series = SETS["cambridge_b91"].read()
    past = series.past_at(series.days[-1]).values
    measured = series.values.values[: past.horizon.steps]
    spikes = measured > 9 * np.nanmean(measured)

    assert spikes.any()
    assert np.isnan(past.values[spikes]).all()
    assert np.isfinite(series.values.values[: past.horizon.steps][spikes]).all()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_no_model_sees_the_day_that_it_forecasts(name: str) -> None:
    series = SETS[name].read()
    day = windows(series)["test"][3]
    past = series.past_at(day)
    known = past.values.values
    ahead = past.values.horizon.slice(local_day(day, series.zone))

    assert past.issued_at < local_day(day, series.zone).start
    assert np.isnan(known[ahead]).all()
    np.testing.assert_array_equal(
        known[: ahead.start][~np.isnan(known[: ahead.start])],
        series.values.values[: ahead.start][~np.isnan(known[: ahead.start])],
    )


def test_a_measured_load_is_known_up_to_noon_and_a_published_price_up_to_midnight() -> None:
    load, price = SETS["steel"].read(), SETS["nord_pool_price"].read()
    issued = {one.name: one.past_at(windows(one)["test"][0]) for one in (load, price)}

    assert issued["steel"].values.horizon.end == issued["steel"].issued_at
    assert issued["steel"].issued_at.astimezone(load.zone).hour == 12
    assert (
        issued["nord_pool_price"].values.horizon.end
        == issued["nord_pool_price"].issued_at + 12 * HOUR
    )


def test_temperature_is_known_up_to_the_issue_and_a_weather_forecast_beyond_it() -> None:
    building, roof = SETS["cambridge_b36"].read(), SETS["pv_2012_weather"].read()
    outdoor = building.past_at(windows(building)["test"][0])
    sun = roof.past_at(day := windows(roof)["test"][0])
    noon = outdoor.regressors["outdoor"].horizon.index(outdoor.issued_at)

    assert np.isfinite(outdoor.regressors["outdoor"].values[:noon]).all()
    assert np.isnan(outdoor.regressors["outdoor"].values[noon:]).all()
    assert np.isfinite(sun.regressors["ghi"].values).all()
    assert sun.regressors["ghi"].horizon.end == local_day(day, roof.zone).end


def test_the_window_that_counts_is_the_last_third_and_what_is_tuned_on_lies_before_it() -> None:
    series = SETS["nord_pool_price"].read()
    parts = windows(series)

    assert [str(parts["test"][0]), str(parts["test"][-1])] == ["2016-12-27", "2018-12-24"]
    assert parts["validation"][-1] + timedelta(days=1) == parts["test"][0]
    assert len(parts["test"]) == len(series.days) / 3


def test_a_reading_of_0_in_cambridge_is_a_missing_one_and_a_spike_stays() -> None:
    values = SETS["cambridge_b91"].read().values.values

    assert np.isnan(values).sum() == 8
    assert np.nanmin(values) > 0
    assert np.nanmax(values) > 9 * np.nanmean(values)


# ---------------------------------------------------------------- the rolling origin


class Same:
    """Says the newest known value for every step, and remembers from where it learnt."""

    def __init__(self, past: Past) -> None:
        self.learnt = past.issued_at

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        return np.full((len(LEVELS), horizon.steps), past.values.values[-1])


def test_a_model_learns_anew_every_so_many_days() -> None:
    series = SETS["steel"].read()
    days = windows(series)["test"][:9]
    learnt = []

    def fit(past: Past) -> Same:
        learnt.append(past.issued_at)
        return Same(past)

    done = rolled(series, days, Candidate(name="same", fit=fit, every_days=4))

    assert learnt == [series.issued_at(days[n]) for n in (0, 4, 8)]
    assert done.all_quantiles.shape == (9, 9 * 96)
    assert done.all_actual.shape == (9 * 96,)


def test_what_is_no_forecast_is_refused() -> None:
    series = SETS["steel"].read()

    class Hole(Same):
        def quantiles(self, past: Past, horizon: Horizon) -> Floats:
            fan = super().quantiles(past, horizon)
            fan[4, 7] = np.nan
            return fan

    with pytest.raises(ValueError, match="hole on steel"):
        rolled(series, windows(series)["test"][:1], Candidate(name="hole", fit=Hole))


# ---------------------------------------------------------------- scores


def test_a_fan_without_spread_scores_its_distance() -> None:
    told = score(np.full((9, 2), 10.0), np.array([12.0, 6.0]))

    assert (told.mae, told.crps, told.coverage80) == pytest.approx((3.0, 3.0, 0.0))
    assert told.nrmse == pytest.approx(np.sqrt(10) / 9)


def test_steps_that_were_not_measured_are_not_scored() -> None:
    told = score(np.full((9, 3), 10.0), np.array([np.nan, 11.0, np.nan]))

    assert (told.scored, told.mae) == (1, 1.0)


def test_a_true_fan_covers_what_it_says() -> None:
    fan = np.tile(np.array(LEVELS)[:, None], 1000)
    came = (np.arange(1000) + 0.5) / 1000

    assert score(fan, came).coverage80 == pytest.approx(0.8, abs=0.002)
    assert reliability(fan, came) == pytest.approx(LEVELS, abs=0.001)
    assert WEIGHTS.sum() == pytest.approx(1.0)


# ---------------------------------------------------------------- figures


def a_row(name: str, model: str = "auto", **numbers: Any) -> dict[str, Any]:
    row = {
        "set": name,
        "kind": "load",
        "model": model,
        "peer": False,
        "not_run": None,
        "mae": 9.0,
        "best_naive_mae": 10.0,
        "ratio": 0.9,
        "crps": 6.0,
        "nrmse": 0.3,
        "coverage80": 0.8,
    }
    return row | numbers


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        pytest.param([a_row("a"), a_row("b")], set(), id="as asked"),
        pytest.param(
            [a_row("a", ratio=0.7), a_row("b", ratio=1.05)],
            {"MAE / best naive, worst of 2 load sets"},
            id="one set worse than naive",
        ),
        pytest.param(
            [a_row("a", coverage80=0.95), a_row("b", coverage80=0.65)],
            {"80 % interval covers, least of 2 load sets", "80 % interval covers, most of 2 load sets"},
            id="right on the mean alone",
        ),
        pytest.param(
            [a_row("a"), a_row("a", "lightgbm", peer=True, crps=5.0)],
            {"CRPS / lightgbm, mean of 1 load sets"},
            id="a peer is better",
        ),
        pytest.param(
            [a_row("a"), a_row("a", "lightgbm", peer=True, not_run="not installed")],
            set(),
            id="a peer that was not run is not beaten",
        ),
        pytest.param(
            [
                a_row("pv_2012", kind="pv", mae=9.0),
                a_row("pv_2012", "clear-sky-persistence", kind="pv", mae=10.0, nrmse=0.5),
                a_row("pv_2012_weather", kind="pv", nrmse=0.3),
            ],
            {"pv_2012_weather: nrmse / clear-sky persistence"},
            id="weather that helps too little",
        ),
    ],
)  # fmt: skip
def test_figures_are_met_or_missed_as_the_rows_say(
    rows: list[dict[str, Any]], missed: set[str]
) -> None:
    told = verdicts(rows)

    assert {figure.name for figure in told if figure.verdict == "missed"} == missed
    assert not any("not installed" in str(figure) for figure in told)


# ---------------------------------------------------------------- peers


def test_a_gap_is_filled_for_a_peer_that_takes_none_by_the_week_before() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan, 5.0, np.nan])

    assert _filled(values, 2).tolist() == [1.0, 3.0, 3.0, 3.0, 5.0, 3.0]
    assert WEEKS >= 2


def test_a_peer_that_is_not_there_is_told_as_not_run_and_may_be_required() -> None:
    done = run(
        *("--sets", "ev_site_493904", "--days", "2", "--models", "statsforecast-naive"),
        *("--json", "--require"),
    )

    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    rows = {row["model"]: row for row in document["rows"]}
    assert rows["statsforecast-naive"]["not_run"] == "not installed: make peers"
    assert rows["statsforecast-naive"]["mae"] is None
    assert rows["mean-of-last"]["ratio"] >= 1.0
    assert (rows["yesterday"]["first_day"], rows["yesterday"]["days"]) == ("2015-06-19", 2)


def test_a_set_that_nobody_knows_is_bad_input() -> None:
    done = run("--sets", "moon")

    assert done.returncode == 2
    assert "no set moon" in done.stderr
