"""Room below a limit is a quantile of measured errors, and never shrinks with the lead."""

from __future__ import annotations

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.sense.forecast.margins import added_up, rooms_kw


def test_of_nineteen_errors_the_largest_is_the_room_for_95_percent() -> None:
    """The conformal rank is ceil(20 · 0.95) = 19: one more error exceeds it once in 20 times."""
    errors = np.arange(-9.0, 10.0)[:, None]

    drawing, feeding = rooms_kw(errors, 0.95, 1)

    assert drawing.tolist() == [9]
    assert feeding.tolist() == [9]


def test_who_draws_more_than_forecast_needs_room_for_drawing_alone() -> None:
    errors = -np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0], [8.0], [9.0]])

    drawing, feeding = rooms_kw(errors, 0.8, 1)

    assert drawing.tolist() == [8], "rank ceil(10 · 0.8)"
    assert feeding.tolist() == [0]


def test_room_never_shrinks_with_the_lead() -> None:
    """2, 6, 4 and 8 by chance: the two in the middle are the same, 5."""
    errors = np.array([2.0, 6.0, 4.0, 8.0]) * np.linspace(0.1, 1.0, 10)[:, None]

    _, feeding = rooms_kw(errors, 0.9, 4)

    assert feeding == pytest.approx([2, 5, 5, 8])


def test_steps_beyond_the_last_lead_have_its_room_and_known_ones_none() -> None:
    errors = np.array([3.0, 7.0]) * np.ones((9, 1))

    _, feeding = rooms_kw(errors, 0.8, 4, known=np.array([True, False, False, False]))

    assert feeding.tolist() == [0, 7, 7, 7]


def test_errors_that_cancel_below_one_place_need_no_room_together() -> None:
    one = np.array([[5.0], [-5.0], [4.0], [-4.0], [3.0]])

    drawing, feeding = rooms_kw(added_up([one, -one]), 0.8, 1)

    assert drawing.tolist() == feeding.tolist() == [0]


def test_a_lead_with_few_errors_has_the_room_of_the_lead_before_it() -> None:
    errors = np.array([[2.0, np.nan]] * 8 + [[2.0, 50.0]])

    _, feeding = rooms_kw(errors, 0.8, 2)

    assert feeding.tolist() == [2, 2]


def test_the_room_covers_the_next_error_as_often_as_asked() -> None:
    rng = np.random.default_rng(4)
    errors = rng.standard_t(3, (400, 8)) * np.arange(1, 9)

    _, feeding = rooms_kw(errors[:200], 0.9, 8)

    assert (errors[200:] <= feeding).mean() == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_a_probability_that_means_nothing_is_refused(probability: float) -> None:
    with pytest.raises(DataError, match="probability"):
        rooms_kw(np.zeros((9, 1)), probability, 1)


def test_too_few_errors_are_refused() -> None:
    with pytest.raises(DataError, match="at most 4 errors"):
        rooms_kw(np.zeros((4, 3)), 0.9, 3)
