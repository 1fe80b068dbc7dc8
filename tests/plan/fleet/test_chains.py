"""Chains of levels: pivots that lose nothing, and what is solved with them."""

from __future__ import annotations

import numpy as np
import pytest

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import Chains


def written_out(a: Floats, level: Floats, keep: float) -> Floats:
    """B of one store, shape (T, T)."""
    before = np.append(0.0, keep**2 * level[:-1])
    return np.diag(a + level + before) - keep * (np.diag(level[:-1], 1) + np.diag(level[:-1], -1))


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_several_stores_are_solved_as_each_by_itself(steps: int) -> None:
    dice = np.random.default_rng(steps)
    a, level, right = dice.uniform(0.1, 10, (3, 2, 3, steps))
    keep = dice.uniform(0.5, 1.0, (2, 3, 1))
    chains = Chains.of(a, level, keep)
    found, diagonal = chains.solve(right), chains.inverse_diagonal()
    for at in np.ndindex(2, 3):
        b = written_out(a[at], level[at], float(keep[at][0]))
        np.testing.assert_allclose(found[at], np.linalg.solve(b, right[at]))
        np.testing.assert_allclose(diagonal[at], np.diag(np.linalg.inv(b)))


def test_a_level_with_much_room_costs_no_digit() -> None:
    # Levels weigh 1e17 times what flows: a difference of neighbours would be 0 or rubbish. With nothing
    # lost, what reaches step t is the sum of the t + 1 flows before it.
    a, level = np.ones((1, 1, 5)), np.full((1, 1, 5), 1e17)
    level[..., -1] = 1.0
    chains = Chains.of(a, level, np.ones((1, 1, 1)))
    assert chains.d[0, 0, -1] == pytest.approx(1.0 + 5.0, rel=1e-14)


def test_a_row_that_nothing_can_move_is_left_out() -> None:
    a, level = np.full((1, 1, 2), 1e-300), np.full((1, 1, 2), 1e-300)
    found = Chains.of(a, level, np.ones((1, 1, 1))).solve(np.ones((1, 1, 2)))
    assert (np.abs(found) < 1e-29).all()


def test_stores_may_be_picked_in_any_order_and_twice() -> None:
    a, level, right = np.random.default_rng(0).uniform(1, 2, (3, 1, 3, 4))
    chains = Chains.of(a, level, np.ones((1, 3, 1)))
    order = np.array([[2, 0, 2]])
    picked = chains.pick(order).solve(right[:, order[0]])
    np.testing.assert_allclose(picked, chains.solve(right)[:, order[0]])


def test_a_bus_that_is_no_number_spoils_no_other() -> None:
    a, level, right = np.random.default_rng(1).uniform(1, 2, (3, 3, 2, 4))
    level[1, 0, 2] = np.nan
    chains = Chains.of(a, level, np.ones((3, 2, 1)))
    for found in (chains.solve(right), chains.inverse_diagonal()):
        assert np.isfinite(found[[0, 2]]).all()
        assert np.isnan(found[1]).any()
