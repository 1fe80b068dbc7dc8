"""Scores against sums done by hand, and the CRPS against its closed forms."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.special import ndtri

from tests.sense.forecast.makings import HOUR, START, LastValue, a_past, hourly
from vpp.errors import DataError
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats
from vpp.sense.forecast.rolling import rolling
from vpp.sense.forecast.scores import CELL_WIDTHS, pinball, score, scores

DAY = timedelta(days=1)


def a_fan(median: list[float], per_level: float = 0.0) -> Floats:
    fan: Floats = np.array(median) + per_level * (np.arange(9) - 4.0)[:, None]
    return fan


def test_errors_of_the_median_by_hand() -> None:
    got = score(a_fan([10, 10]), np.array([13.0, 6.0]))

    assert got.cases == 2
    assert got.mae == 3.5
    assert got.nrmse == pytest.approx(np.sqrt((9 + 16) / 2) / 9.5)


def test_pinball_by_hand() -> None:
    loss = pinball(a_fan([10, 10]), np.array([13.0, 6.0]))

    assert loss[LEVELS.index(0.9)].tolist() == pytest.approx([2.7, 0.4])
    assert loss[LEVELS.index(0.05)].tolist() == pytest.approx([0.15, 3.8])


def test_a_fan_without_spread_has_its_mae_as_crps() -> None:
    got = score(a_fan([10, 10]), np.array([13.0, 6.0]))

    assert pytest.approx(1) == CELL_WIDTHS.sum()
    assert got.crps == pytest.approx(got.mae)


def test_the_crps_of_a_true_normal_fan_is_that_of_the_closed_form() -> None:
    """CRPS of N(0, 1) against its own outcomes is 1/sqrt(pi) (Gneiting & Raftery 2007, eq. 21)."""
    outcomes = ndtri((np.arange(10_000) + 0.5) / 10_000)
    fan = np.repeat(ndtri(np.array(LEVELS))[:, None], outcomes.size, axis=1)

    got = score(fan, outcomes)

    assert got.crps == pytest.approx(1 / np.sqrt(np.pi), rel=0.002)
    assert got.coverage80 == pytest.approx(0.8, abs=0.001)
    assert got.coverage90 == pytest.approx(0.9, abs=0.001)


def test_a_fan_too_narrow_or_too_wide_scores_worse_than_the_true_one() -> None:
    outcomes = ndtri((np.arange(1_000) + 0.5) / 1_000)
    true = np.repeat(ndtri(np.array(LEVELS))[:, None], outcomes.size, axis=1)

    assert score(true, outcomes).crps < score(true * 0.6, outcomes).crps
    assert score(true, outcomes).crps < score(true * 1.7, outcomes).crps


def test_coverage_counts_the_ends_and_leaves_out_what_could_not_be_missed() -> None:
    fan = a_fan([0, 10, 10, 10], per_level=1.0)
    fan[:, 0] = 0.0  # the sun at night
    got = score(fan, np.array([0.0, 13.0, 13.1, 14.0]))

    assert got.coverage80 == pytest.approx(1 / 3)
    assert got.coverage90 == 1.0


def test_what_a_meter_shows_at_night_is_no_miss() -> None:
    fan = a_fan([0, 1000, 1000], per_level=50.0)
    fan[:, 0] = 0.0

    assert score(fan, np.array([3.0, 1000.0, 1160.0])).coverage80 == 0.5
    assert score(fan, np.array([30.0, 1000.0, 1160.0])).coverage80 == pytest.approx(1 / 3)


def test_a_certain_fan_that_was_wrong_counts_as_missed() -> None:
    assert score(a_fan([0, 0]), np.array([0.0, 5.0])).coverage80 == 0.0


def test_scores_stand_by_lead_and_unknown_values_are_left_out() -> None:
    values = hourly(lambda hour: float(hour), 30)
    track = rolling(LastValue(), a_past(values), [START + 20 * HOUR], 24, DAY)

    got = scores(track)

    assert list(got.by_lead) == ["0-1 h", "1-6 h", "6-24 h"]
    assert [one.cases for one in got.by_lead.values()] == [1, 5, 4]
    assert got.by_lead["0-1 h"].mae == 1.0
    assert got.overall.mae == 5.5  # 1 … 10 hours off


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="no step"):
        score(a_fan([1.0]), np.array([np.nan]))
