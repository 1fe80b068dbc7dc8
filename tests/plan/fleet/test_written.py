"""A forest with its matrix written out: every coefficient where the forest's equations have it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Parts,
    Peaks,
    SoftLevels,
    Stores,
    Tapers,
)
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


def small() -> Forest:
    """Two steps; bus 0 above bus 1, on which stand a store, a budget, an import and a peak."""
    two = np.ones((1, 2))
    return Forest(
        steps=2,
        buses=Buses(parent=np.array([ROOT, 0]), load_kw=np.array([[0.0, 0.0], [10.0, 30.0]])),
        stores=Stores(
            bus=np.array([1]),
            keep=np.array([0.5]),
            gain=0.8 * two,
            loss=np.array([1.25]),
            given=np.array([[20.0, 1.0]]),
            into_most=20 * two,
            into_cost=0.1 * two,
            out_most=10 * two,
            out_cost=0.2 * two,
            level_least=0 * two,
            level_most=50 * two,
            level_cost=0 * two,
        ),
        soft=SoftLevels(store=np.array([0]), least=0 * two, most=5 * two, cost=two),
        budgets=Budgets(
            bus=np.array([1]),
            first=np.array([1]),
            end=np.array([2]),
            weight=np.array([0.9]),
            asked=np.array([3.0]),
            lacking_most=np.array([3.0]),
            lacking_cost=np.array([7.0]),
            spare_most=np.array([2.0]),
            draw_most=4 * two,
            draw_cost=0 * two,
        ),
        parts=Parts(
            bus=np.array([0, 1]),
            here=np.ones((2, 2)),
            up=np.array([[0.0, 0.0], [-1.0, -1.0]]),
            least=np.zeros((2, 2)),
            most=np.full((2, 2), 100.0),
            cost=np.array([[0.5, 0.6], [0.0, 0.0]]),
        ),
        peaks=Peaks(
            bus=np.array([1]),
            cost=np.array([2.0]),
            most=np.array([100.0]),
            interval=np.array([[0, 0]]),
            share=0.5 * two,
            least=np.array([[-5.0]]),
            counts=np.array([False, True]),
        ),
        day_limits=DayLimits(
            store=np.array([0]), first=np.array([1]), end=np.array([2]), most=np.array([6.0])
        ),
        tapers=Tapers(
            store=np.array([0, 0]),
            empties=np.array([False, True]),
            on=np.array([[False, True], [False, True]]),
            steep=np.array([[0.0, 0.5], [0.0, -0.25]]),
            most=np.array([[0.0, 30.0], [0.0, 0.0]]),
        ),
    )


def test_every_coefficient_stands_where_the_equations_have_it() -> None:
    programme = written(small()).programme
    # into     out         level      soft      draw    la  sp   import   from    peak
    expected = [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, -1, 0],
        [-1, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0],
        [0, -1, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0],
        [-0.8, 0, 1.25, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, -0.8, 0, 1.25, -0.5, 1, -0.5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0.9, 0.9, 1, -1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -0.5, -0.5, 1],
        [0, 0, 0, 1.25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0.5, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, -0.25, 0, -0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    np.testing.assert_array_equal(programme.matrix.toarray(), expected)
    sides = [0, 0, 10, 30, 20, 1, 3]
    np.testing.assert_array_equal(programme.row_lower, [*sides, -5, *[-np.inf] * 5])
    np.testing.assert_array_equal(programme.row_upper, [*sides, np.inf, 6, 0, 30, 0, 0])


def test_a_draw_outside_its_window_is_held_at_nothing() -> None:
    forest = small()
    point = written(forest).point(written(forest).programme.upper)
    np.testing.assert_array_equal(point.draw, [[0, 4]])


def test_a_point_comes_back_from_its_columns_as_it_was() -> None:
    whole = written(random_forest(3, levels=2))
    values = np.arange(len(whole.programme.cost), dtype=float)
    np.testing.assert_array_equal(whole.columns(whole.point(values)), values)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_prices_of_a_random_forest_are_the_change_of_cost_per_unit(levels: int) -> None:
    forest = random_forest(levels, levels=levels, steps=6)
    answer = by_highs(forest, NEVER)
    assert not isinstance(answer, Unsolved)
    point, duals = answer
    programme = written(forest).programme
    cost = programme.cost @ written(forest).columns(point)
    forest.buses.load_kw[0, 2] += 1e-4
    moved = by_highs(forest, NEVER)
    assert not isinstance(moved, Unsolved)
    more = (programme.cost @ written(forest).columns(moved[0]) - cost) / 1e-4
    assert duals.bus[0, 2] == pytest.approx(more, rel=1e-4)
