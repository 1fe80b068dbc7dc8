"""What an answer is worth is found out from the forest alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.bound import lower_bounds, sound
from vpp.plan.fleet.certify import CLASSES, certify, residuals
from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Duals,
    Forest,
    Parts,
    Peaks,
    Point,
    SoftLevels,
    Stores,
    Tapers,
)
from vpp.plan.fleet.repair import repaired
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


def optimum(forest: Forest) -> tuple[Point, Duals]:
    found = by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    return found


def cost(forest: Forest, point: Point) -> float:
    whole = written(forest)
    return float(whole.programme.cost @ whole.columns(point))


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_of_a_random_forest_is_certified_as_it_is(seed: int) -> None:
    forest = random_forest(seed, levels=1 + seed % 3)
    point, duals = optimum(forest)
    found = certify(forest, point, duals)
    assert found.holds(1e-8).all()
    assert found.cost.sum() == pytest.approx(cost(forest, point), rel=1e-9)
    assert found.bound.sum() <= cost(forest, point)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e19])
@pytest.mark.parametrize("seed", [4, 5, 6])
def test_no_prices_prove_more_than_the_optimum(seed: int, size: float) -> None:
    forest = random_forest(seed, levels=2)
    point, duals = optimum(forest)
    best = certify(forest, point, duals).cost
    dice = np.random.default_rng(seed)
    for wide in (1.0, 1e-6):
        prices = Duals(
            bus=duals.bus + size * wide * dice.normal(size=duals.bus.shape),
            store=duals.store + size * wide * dice.normal(size=duals.store.shape),
            budget=duals.budget + size * wide * dice.normal(size=duals.budget.shape),
            peak=duals.peak + size * wide * dice.normal(size=duals.peak.shape),
            day_limit=duals.day_limit + size * wide * dice.normal(size=duals.day_limit.shape),
            taper=duals.taper + size * wide * dice.normal(size=duals.taper.shape),
        )
        assert (lower_bounds(forest, sound(forest, prices)) <= best).all()


@pytest.mark.parametrize("seed", [1, 5, 6])
def test_the_bound_is_that_of_the_matrix_written_out(seed: int) -> None:
    forest = random_forest(seed, trees=1, levels=2, steps=9)
    whole, dice = written(forest), np.random.default_rng(seed)
    prices = sound(forest, whole.duals(dice.normal(size=len(whole.programme.row_lower))))
    rows = (prices.bus, prices.store, prices.budget, prices.peak, prices.day_limit, prices.taper)
    y, programme = np.concatenate([one.ravel() for one in rows]), whole.programme
    assert (prices.taper <= 0).all()
    side = np.where(y > 0, programme.row_lower, programme.row_upper)
    r = programme.cost - programme.matrix.T @ y
    held = np.minimum(r * programme.lower, r * programme.upper).sum()
    expected = float(held + (y[y != 0] * side[y != 0]).sum())
    assert lower_bounds(forest, prices).sum() == pytest.approx(expected, rel=1e-6)


def no_stores() -> Stores:
    none, number = np.zeros((0, 1)), np.zeros(0)
    return Stores(
        bus=np.zeros(0, dtype=np.int64),
        keep=number,
        gain=none,
        loss=number,
        given=none,
        into_most=none,
        into_cost=none,
        out_most=none,
        out_cost=none,
        level_least=none,
        level_most=none,
        level_cost=none,
    )


def one_bus(load_kw: float, import_most_kw: float) -> Forest:
    """One step, an import for nothing, and a peak of 2 a kW that may be as high as it likes."""
    none, bus, step = np.zeros((0, 1)), np.zeros(1, dtype=np.int64), np.ones((1, 1))
    nobody, number = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Forest(
        steps=1,
        buses=Buses(parent=np.array([ROOT]), load_kw=load_kw * step),
        stores=no_stores(),
        soft=SoftLevels(store=nobody, least=none, most=none, cost=none),
        budgets=Budgets(
            bus=bus,
            first=bus,
            end=bus + 1,
            weight=np.ones(1),
            asked=np.zeros(1),
            lacking_most=np.zeros(1),
            lacking_cost=np.zeros(1),
            spare_most=np.array([np.inf]),
            draw_most=step,
            draw_cost=-5 * step,
        ),
        parts=Parts(
            bus=bus,
            here=step,
            up=0 * step,
            least=0 * step,
            most=import_most_kw * step,
            cost=0 * step,
        ),
        peaks=Peaks(
            bus=bus,
            cost=np.array([2.0]),
            most=np.array([np.inf]),
            interval=np.array([[0]]),
            share=step,
            least=0 * step,
            counts=np.array([True]),
        ),
        day_limits=DayLimits(store=nobody, first=nobody, end=nobody, most=number),
        tapers=Tapers.none(1),
    )


def priced(bus: float, peak: float, budget: float = 0.0) -> Duals:
    return Duals(
        bus=np.array([[bus]]),
        store=np.zeros((0, 1)),
        budget=np.array([budget]),
        peak=np.array([[peak]]),
        day_limit=np.zeros(0),
        taper=np.zeros((0, 1)),
    )


def standing(forest: Forest) -> Point:
    whole = written(forest)
    return whole.point(np.zeros(len(whole.programme.cost)))


@pytest.mark.parametrize(
    ("bus", "peak", "budget", "bound"),
    [(2.0, 2.0, 0.0, 17.0), (3.0, 3.0, 0.0, -82.0), (1.0, 1.0, 0.0, 6.0), (2.0, 2.0, -3.0, 17.0)],
)
def test_spare_energy_and_peaks_without_a_most_still_leave_a_bound(
    bus: float, peak: float, budget: float, bound: float
) -> None:
    """10 kW at 2 a kW, and one more drawn that earns 5. A peak is paid 2 and no more: at 3 a kW 110 kW earn 1 each."""
    forest = one_bus(10.0, 110.0)
    drawing = replace(standing(forest), draw=np.ones((1, 1)))
    found = certify(forest, drawing, priced(bus, peak, budget))
    assert found.cost[0] == pytest.approx(17.0)
    assert found.bound[0] == pytest.approx(bound, abs=1e-6)


def test_a_point_that_cannot_keep_a_row_does_not_hold_however_cheap_it_is() -> None:
    forest = one_bus(10.0, 4.0)
    found = certify(forest, standing(forest), priced(2.0, 2.0))
    assert found.cost[0] == 8.0 < found.bound[0]
    assert found.residual[0, CLASSES.index("bus")] == pytest.approx(6.0 / 15.0)
    assert not found.holds(1e-6).any()


@pytest.mark.parametrize("seed", range(6))
def test_a_point_off_by_a_little_is_repaired_to_keep_every_row(seed: int) -> None:
    forest = random_forest(seed, levels=1 + seed % 3)
    point, _ = optimum(forest)
    whole, dice = written(forest), np.random.default_rng(seed)
    x = whole.columns(point)
    off = whole.point(x + 1e-3 * dice.normal(size=x.shape))
    x = whole.columns(repaired(forest, off))
    programme = whole.programme
    rows = programme.matrix @ x
    assert (rows >= programme.row_lower - 1e-8).all()
    assert (rows <= programme.row_upper + 1e-8).all()
    assert (x >= programme.lower - 1e-9).all()
    assert (x <= programme.upper + 1e-9).all()


def test_each_class_of_rows_is_measured_relative_to_its_own_sizes() -> None:
    forest = random_forest(6, steps=8)
    good = repaired(forest, optimum(forest)[0])
    out, into = good.out.copy(), good.into.copy()
    out[forest.day_limits.store[0], forest.day_limits.first[0]] += 1e3
    tapers = forest.tapers
    fills = np.flatnonzero(~tapers.empties)[0]
    into[tapers.store[fills], tapers.on[fills].argmax()] += 1e3
    broken = {
        "bus": replace(good, part=good.part + 1.0),
        "store": replace(good, level=good.level + 1.0),
        "budget": replace(good, lacking=good.lacking + 1.0),
        "peak": replace(good, peak=good.peak - 1.0),
        "day limit": replace(good, out=out),
        "taper": replace(good, into=into),
        "bound": replace(good, part=good.part - 1e5),
    }
    assert list(broken) == list(CLASSES)
    assert residuals(forest, good).max() < 1e-12
    for i, (name, one) in enumerate(broken.items()):
        assert residuals(forest, one)[:, i].max() > 1e-4, name


def test_a_bus_of_a_million_kw_is_not_held_to_what_a_small_one_is() -> None:
    forest = random_forest(1, trees=2, steps=3)
    nothing, _ = optimum(forest)
    for name in ("into", "out", "draw", "part"):
        getattr(nothing, name)[:] = 0.0
    forest.buses.load_kw[:] = 0.0
    forest.buses.load_kw[:, 1] = [1e6, 10.0]
    nothing.part[0, 1], nothing.part[np.flatnonzero(forest.parts.bus == 1)[0], 1] = 1e6 - 0.1, 9.9
    np.testing.assert_allclose(residuals(forest, nothing)[:, 0], [0.1 / 2e6, 0.1 / 20.9], rtol=1e-6)


def test_an_empty_level_of_a_huge_store_is_kept_as_empty_as_that_of_a_small_one() -> None:
    forest = random_forest(5, steps=6)
    stores = forest.stores
    big = replace(stores, level_most=1e6 * stores.level_most)
    forest = replace(forest, stores=big)
    point, _ = optimum(forest)
    lowest = repaired(forest, replace(point, out=point.out + 1e-7)).level
    assert (lowest - forest.stores.level_least).min() >= -1e-9


def test_a_tree_with_a_nan_fails_alone() -> None:
    forest = random_forest(6, trees=4, steps=10)
    point, duals = optimum(forest)
    point.part[forest.parts.bus == 2, 3] = np.nan
    assert certify(forest, point, duals).holds(1e-6).tolist() == [True, True, False, True]


def test_prices_that_are_nan_prove_nothing_in_their_tree_alone() -> None:
    forest = random_forest(6, trees=4, steps=10)
    point, duals = optimum(forest)
    duals.bus[1, 0] = np.nan
    assert certify(forest, point, duals).holds(1e-6).tolist() == [True, False, True, True]


def test_a_dearer_point_fails_with_a_gap_that_is_told() -> None:
    forest = random_forest(6, trees=4, steps=10)
    point, duals = optimum(forest)
    best = certify(forest, point, duals)
    point.lacking[:] = 0.0
    root = forest.parts.bus == 3
    point.part[root] += 1.0
    duals.bus[3] *= 0.9
    found = certify(forest, point, duals)
    assert found.holds(1e-6).tolist() == [True, True, True, False]
    assert found.bound[3] < best.cost[3] <= found.cost[3]
