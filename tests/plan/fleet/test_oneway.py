"""No store is filled and emptied in the same step, and what that costs is proven."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.decide import whole
from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Ints,
    Parts,
    Peaks,
    SoftLevels,
    Solved,
    Stores,
    Tapers,
)
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.oneway import both_ways, netted, netted_for_nothing
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)
NOBODY: Ints = np.zeros(0, dtype=np.int64)


def full_stores(price: float, *, tied: bool, room: float = 0.0) -> Forest:
    """One step and a full store that halves what goes in and what comes out, on a bus that imports.

    10 kW in and 2.5 kW out leave it full, and 7.5 kW are burned. `room` is what it may still take. `tied`:
    the price is that of the bus above, from which everything comes.
    """
    one = np.ones((1, 1))
    none, number = np.zeros((0, 1)), np.zeros(0)
    return Forest(
        steps=1,
        buses=Buses(
            parent=np.array([1, ROOT] if tied else [ROOT]), load_kw=np.zeros((1 + tied, 1))
        ),
        stores=Stores(
            bus=np.array([0]),
            keep=np.ones(1),
            gain=0.5 * one,
            loss=np.array([2.0]),
            given=10 * one,
            into_most=10 * one,
            into_cost=0 * one,
            out_most=10 * one,
            out_cost=0 * one,
            level_least=10 * one,
            level_most=(10 + room) * one,
            level_cost=0 * one,
        ),
        soft=SoftLevels(store=NOBODY, least=none, most=none, cost=none),
        budgets=Budgets(
            bus=NOBODY,
            first=NOBODY,
            end=NOBODY,
            weight=number,
            asked=number,
            lacking_most=number,
            lacking_cost=number,
            spare_most=number,
            draw_most=none,
            draw_cost=none,
        ),
        parts=Parts(
            bus=np.array([0, 1] if tied else [0]),
            here=np.ones((1 + tied, 1)),
            up=np.array([[-1.0], [0.0]] if tied else [[0.0]]),
            least=np.zeros((1 + tied, 1)),
            most=np.full((1 + tied, 1), 50.0),
            cost=np.array([[0.0], [price]] if tied else [[price]]),
        ),
        peaks=Peaks(
            bus=NOBODY,
            cost=number,
            most=number,
            interval=none.astype(np.int64),
            share=none,
            least=none,
            counts=np.zeros(1 + tied, dtype=bool),
        ),
        day_limits=DayLimits(store=NOBODY, first=NOBODY, end=NOBODY, most=number),
        tapers=Tapers.none(1),
    )


def solved(forest: Forest) -> Solved:
    answer = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved), answer
    return answer


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("room", "cost"), [(0.0, 0.0), (2.0, -4.0)])
def test_what_burning_would_earn_is_neither_earned_nor_left_in_the_bound(
    tied: bool, room: float, cost: float
) -> None:
    """Each kW drawn earns 1. Burning would earn 7.5; one way, 4 kW fill the room of 2 kWh."""
    answer = solved(full_stores(-1.0, tied=tied, room=room))
    assert not both_ways(answer.point).any()
    assert answer.cost == pytest.approx(cost, abs=1e-6)
    assert answer.bound == pytest.approx(cost, abs=1e-5)
    assert answer.bound <= answer.cost + 1e-9
    assert answer.decided == (int(tied),)


def test_what_goes_round_for_nothing_is_netted_and_needs_no_decision() -> None:
    """At a price of 0 the middle of all optima draws and feeds at once."""
    answer = solved(full_stores(0.0, tied=False))
    assert not both_ways(answer.point).any()
    assert answer.decided == ()
    assert answer.fallbacks == ()


def test_stores_that_lose_nothing_are_not_decided_on_where_others_burn() -> None:
    """At -1 two stores beside each other go round: that which halves burns, that which keeps all does not."""
    one = full_stores(-1.0, tied=False)
    pair = {
        name: np.repeat(getattr(one.stores, name), 2, axis=0)
        for name in (field.name for field in fields(one.stores))
    }
    pair |= {"gain": np.array([[0.5], [1.0]]), "loss": np.array([2.0, 1.0])}
    forest = replace(one, stores=replace(one.stores, **pair))
    point, _ = by_highs_point(forest)
    point = replace(point, into=np.full((2, 1), 3.0), out=np.full((2, 1), 2.0))
    net = netted_for_nothing(forest, point)
    assert net.into.tolist() == [[3.0], [1.0]]
    assert net.out.tolist() == [[2.0], [0.0]]
    answer = solved(forest)
    assert answer.cost == pytest.approx(0.0, abs=1e-6)


def test_netting_keeps_every_level() -> None:
    forest = random_forest(5, steps=6)
    point, _ = by_highs_point(forest)
    point = replace(point, into=point.into + 3.0, out=point.out + 2.0)
    net = netted(forest, point)
    gain, loss = forest.stores.gain, forest.stores.loss[:, None]
    np.testing.assert_allclose(
        gain * net.into - loss * net.out, gain * point.into - loss * point.out, atol=1e-9
    )
    assert (np.minimum(net.into, net.out) == 0).all()


def by_highs_point(forest: Forest) -> tuple:  # type: ignore[type-arg]
    found = by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_under_negative_prices_the_gap_that_is_told_is_true(seed: int) -> None:
    """HiGHS decides on every store and step at once: our bound is not above its cost, nor ours below its bound."""
    forest = random_forest(seed, trees=2, levels=1 + seed % 2, steps=5)
    cost = forest.parts.cost.copy()
    cost[0::6] -= 0.2
    cost[1::6] += 0.2
    forest = replace(forest, parts=replace(forest.parts, cost=cost))
    answer = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved)
    assert not both_ways(answer.point).any()
    stores, everything = forest.stores, written(forest).programme
    store, step = np.nonzero((stores.into_most > 0) & (stores.out_most > 0))
    into = store * forest.steps + step
    mosts = (stores.into_most[store, step], stores.out_most[store, step])
    pairs = np.array([into, into + stores.given.size, *mosts], dtype=float)
    true = whole(everything, NOBODY, pairs, gap=1e-9, deadline=NEVER)
    assert not isinstance(true, Unsolved)
    near = 1e-6 * (1 + abs(true[1]))
    assert answer.bound <= true[1] + near
    assert answer.cost >= true[1] - near
