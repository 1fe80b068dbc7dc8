"""The predictor and corrector, with normal equations solved densely, against HiGHS."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from vpp.model.horizon import Floats
from vpp.plan.fleet.newton import (
    Iterate,
    Reach,
    Sums,
    Work,
    advance,
    aim,
    centre,
    correct,
    dual_residual,
    predict,
    products,
    start,
    weigh,
)


def small(seed: int, rows: int = 6, columns: int = 20) -> tuple[Floats, Floats, Floats, Floats]:
    """A, b, c, u of a programme that has a point inside; some columns cannot move."""
    dice = np.random.default_rng(seed)
    a = dice.normal(size=(rows, columns))
    u = dice.uniform(1, 20, columns) * (dice.random(columns) < 0.8)
    return a, a @ (u * dice.uniform(0.2, 0.8, columns)), dice.uniform(-0.1, 0.1, columns), u


def step(a: Floats, b: Floats, at: Iterate, work: Work) -> Reach:
    """One iteration, as `newton` describes it."""
    r = b - a @ at.values()[0]
    weigh(at, work)
    matrix = (a * work.theta[0]) @ a.T
    work.aty[0] = a.T @ np.linalg.solve(matrix, r + a @ work.some[0])
    reach, sums = predict(at, work)
    aim(at, work, centre(reach, sums, at.moving))
    work.aty[0] = a.T @ np.linalg.solve(matrix, r + a @ work.some[0])
    found = correct(at, work)
    advance(at, work, found)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_dense_programme_comes_to_the_value_of_highs(seed: int) -> None:
    a, b, c, u = small(seed)
    at, work = start(u[None], c[None]), Work.room(1, len(u))
    for _ in range(30):
        if products(at)[0] < 1e-9:
            break
        step(a, b, at, work)
    judge = linprog(c, A_eq=a, b_eq=b, bounds=np.stack([0 * u, u], axis=1))
    assert c @ at.values()[0] == pytest.approx(judge.fun, abs=1e-7)
    np.testing.assert_allclose(a @ at.values()[0], b, atol=1e-8)
    assert dual_residual(at)[0] < 1e-8


def test_what_the_predictor_promises_is_what_its_step_would_leave() -> None:
    a, b, c, u = small(3)
    at, work = start(u[None], c[None]), Work.room(1, len(u))
    step(a, b, at, work)
    weigh(at, work)
    matrix = (a * work.theta[0]) @ a.T
    right = b - a @ at.values()[0] + a @ work.some[0]
    work.aty[0] = a.T @ np.linalg.solve(matrix, right)
    reach, sums = predict(at, work)
    dx = work.dx
    dzl, dzu = -at.zl - work.tl * dx, -at.zu + work.tu * dx
    moved = at.xl + reach.primal * dx, at.xu - reach.primal * dx
    moves = u > 0
    left = (moved[0] * (at.zl + reach.dual * dzl))[0, moves].sum()
    left += (moved[1] * (at.zu + reach.dual * dzu))[0, moves].sum()
    s0, s1, q = (one[0] for one in sums)
    ap, ad = reach.primal[0], reach.dual[0]
    assert s0 == pytest.approx((at.xl * at.zl + at.xu * at.zu)[0, moves].sum())
    assert s0 + ap * s1 - ad * (s0 + s1) - ap * ad * (s1 + q) == pytest.approx(left)
    share = left / s0
    sm = s0 / (2 * moves.sum()) * share**3
    assert centre(reach, sums, at.moving)[0] == pytest.approx(sm)


def test_no_step_reaches_a_bound() -> None:
    a, b, c, u = small(4)
    at, work = start(u[None], c[None]), Work.room(1, len(u))
    for _ in range(12):
        reach = step(a, b, at, work)
        assert 0 < reach.primal[0] <= 1
        assert 0 < reach.dual[0] <= 1
        for values in (at.xl, at.xu, at.zl, at.zu):
            assert (values > 0).all()
        np.testing.assert_allclose((at.xl + at.xu)[0, u > 0], u[u > 0])


def test_a_column_without_room_stays_at_nothing() -> None:
    a, b, c, u = small(0)
    at, work = start(u[None], c[None]), Work.room(1, len(u))
    for _ in range(5):
        step(a, b, at, work)
    assert (at.values()[0, u == 0] == 0).all()
    np.testing.assert_allclose(at.xl[0, u == 0], 1)


def test_columns_without_room_change_no_step() -> None:
    a, b, c, u = small(2)
    moves = u > 0
    all_of_it = start(u[None], c[None]), Work.room(1, len(u))
    moving = start(u[None, moves], c[None, moves]), Work.room(1, int(moves.sum()))
    for _ in range(8):
        one = step(a, b, *all_of_it)
        other = step(a[:, moves], b, *moving)
        assert one.primal[0] == pytest.approx(other.primal[0], rel=1e-6)
        assert one.dual[0] == pytest.approx(other.dual[0], rel=1e-6)
    assert products(all_of_it[0])[0] == pytest.approx(products(moving[0])[0], rel=1e-6)


def test_where_nothing_moves_nothing_is_drawn_anywhere() -> None:
    none = np.zeros(1)
    sm = centre(Reach(none + 1, none + 1), Sums(none, none, none - 1e-90), none)
    assert sm[0] == 0
