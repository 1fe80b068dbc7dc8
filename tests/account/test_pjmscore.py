"""PJM's score by hand: a signal that changes sides every 20 to 90 s, so that its size is always 1 MW."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.account.pjmscore import pjm_score_of

DICE = np.random.default_rng(7)
SIGNAL = np.concatenate([np.full(DICE.integers(2, 10), 1.0 - 2 * (n % 2)) for n in range(120)])[
    :360
]
"""An hour in steps of 10 s."""


def late(steps: int) -> list[float]:
    return [*([0.0] * steps), *SIGNAL[: SIGNAL.size - steps]]


def test_who_follows_at_once_or_within_the_ten_seconds_that_the_signal_takes_scores_one() -> None:
    for steps in (0, 1):
        score = pjm_score_of(SIGNAL, late(steps))
        assert score is not None
        assert score == pytest.approx((1, 1, 1), abs=1e-2)


@pytest.mark.parametrize("steps", [3, 6])
def test_a_delay_costs_a_thirtieth_for_each_ten_seconds_and_correlation_nothing(steps: int) -> None:
    score = pjm_score_of(SIGNAL, late(steps))
    assert score is not None
    assert score.accuracy == pytest.approx(1, abs=0.03)
    assert score.delay == pytest.approx(1 - (steps - 1) / 30, abs=0.04)


def test_half_of_what_is_asked_is_in_step_and_half_as_precise() -> None:
    score = pjm_score_of(4 * SIGNAL, 2 * SIGNAL)
    assert score is not None
    assert score == pytest.approx((1, 1, 0.5))
    assert score.score == pytest.approx(2.5 / 3)


def test_who_does_nothing_has_the_delay_of_nobody_and_no_more() -> None:
    """The signal is 1 MW in size and so is the error: no accuracy, no precision."""
    score = pjm_score_of(SIGNAL, np.zeros(SIGNAL.size))
    assert score == pytest.approx((0, 1, 0))


def test_a_signal_that_stands_still_is_followed_by_standing_still() -> None:
    held = np.ones(120)
    assert pjm_score_of(held, held) == pytest.approx((1, 1, 1))


def test_less_than_two_windows_or_no_signal_has_no_score() -> None:
    assert pjm_score_of(SIGNAL[:60], SIGNAL[:60]) is None
    assert pjm_score_of(SIGNAL[:61], SIGNAL[:61]) is not None
    assert pjm_score_of(np.zeros(200), np.ones(200)) is None


@given(st.lists(st.floats(-10, 10), min_size=70, max_size=90), st.integers(0, 9))
def test_each_part_lies_between_nothing_and_all(response: list[float], seed: int) -> None:
    signal = np.random.default_rng(seed).normal(size=len(response))
    score = pjm_score_of(signal, response)
    assert score is not None
    assert all(0 <= part <= 1 for part in score)
