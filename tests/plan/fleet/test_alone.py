"""Buses by themselves, against HiGHS on the matrix written out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks._families import make_case, parted
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import random_forest
from tests.plan.fleet.packed import crowded
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.alone import End, solve_alone
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.certify import Certificate, certify
from vpp.plan.fleet.forest import Forest
from vpp.plan.fleet.kernels import Alone
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline
from vpp.plan.parts import ALONE
from vpp.service.solving.child import Threads
from vpp.service.solving.kernels import loaded

NEVER = Deadline(lambda: 0.0, 1e6)


def certified(alone: Alone, forest: Forest) -> Certificate:
    packed = pack(forest)
    point, duals = blank(forest)
    for block in packed.blocks:
        found = alone(block, tolerance=1e-8, deadline=NEVER)
        assert (found.end == End.CONVERGED).all()
        packed.unpack(block, found.x, found.y, point, duals)
    return certify(forest, point, duals)


def value(forest: Forest) -> float:
    """What HiGHS finds."""
    answer = by_highs(forest, NEVER)
    assert not isinstance(answer, Unsolved)
    whole = written(forest)
    return float(whole.programme.cost @ whole.columns(answer[0]))


def test_rows_without_a_right_side_are_held_to_the_size_of_what_flows(alone: Alone) -> None:
    """Held to 1e-7 kW of 700, the rows of this enterprise's peak went on until nothing could move."""
    forest = forest_of(parted(make_case("A", 10_000, seed=2))[66])
    (block,) = pack(forest).blocks

    found = alone(block, tolerance=1e-8, deadline=NEVER)

    assert found.end.tolist() == [End.CONVERGED]
    assert found.iterations[0] <= 25


@pytest.mark.parametrize("seed", range(8))
def test_random_buses_cost_what_highs_finds_and_prove_it(alone: Alone, seed: int) -> None:
    forest = random_forest(seed, trees=8)
    found = certified(alone, forest)
    assert found.holds(1e-6).all()
    assert found.cost.sum() == pytest.approx(value(forest), rel=1e-6, abs=1e-5)


def test_enterprises_of_a_park_cost_what_highs_finds_and_prove_it(alone: Alone) -> None:
    forest = forest_of(make_case("A", 40, seed=1))
    found = certified(alone, forest)
    assert found.holds(1e-6).all()
    assert found.cost.sum() == pytest.approx(value(forest), rel=1e-6)


def test_buses_of_many_stores_with_places_for_nobody_cost_what_highs_finds(alone: Alone) -> None:
    forest = crowded(random_forest(9, trees=6), 3)
    found = certified(alone, forest)
    assert found.holds(1e-6).all()
    assert found.cost.sum() == pytest.approx(value(forest), rel=1e-6)


def test_a_limit_of_a_store_that_cannot_feed_stands_in_nobodys_way(alone: Alone) -> None:
    forest = random_forest(0, trees=4)
    still = replace(forest.stores, out_most=np.zeros(forest.stores.out_most.shape))
    assert len(forest.day_limits.store) > 0
    assert certified(alone, replace(forest, stores=still)).holds(1e-6).all()


def test_a_bus_that_cannot_be_supplied_is_told_and_its_neighbour_is_solved(alone: Alone) -> None:
    forest = random_forest(1, trees=2)
    parts = forest.parts
    dead = parts.bus[:, None] == 0
    cut = replace(parts, most=np.where(dead, 0.01 * np.minimum(parts.most, 100.0), parts.most))
    load = forest.buses.load_kw.copy()
    load[0] = 5000.0
    forest = replace(forest, parts=cut, buses=replace(forest.buses, load_kw=load))
    ends: dict[int, int] = {}
    for block in pack(forest).blocks:
        found = alone(block, tolerance=1e-8, deadline=NEVER)
        ends |= dict(zip(block.bus.tolist(), found.end.tolist(), strict=True))
    assert ends[0] in (End.STALLED, End.BROKEN)
    assert ends[1] == End.CONVERGED


def test_a_cost_that_is_no_number_breaks_its_bus_alone(alone: Alone) -> None:
    forest = random_forest(4, trees=3)
    cost = np.array(forest.parts.cost)
    cost[0, 0] = np.nan
    blocks = pack(replace(forest, parts=replace(forest.parts, cost=cost))).blocks
    for block in blocks:
        found = alone(block, tolerance=1e-8, deadline=NEVER)
        for bus, end in zip(block.bus, found.end, strict=True):
            assert end == (End.BROKEN if bus == forest.parts.bus[0] else End.CONVERGED)


def test_no_bus_is_begun_after_the_deadline(alone: Alone) -> None:
    block = pack(random_forest(3)).blocks[0]
    found = alone(block, tolerance=1e-8, deadline=Deadline(lambda: 1.0, 1.0))
    assert (found.end == End.LATE).all()


def test_a_bus_on_which_nothing_can_move_is_done_at_once(alone: Alone) -> None:
    forest = random_forest(1, trees=2)
    block = pack(forest).blocks[0].take(np.array([0]))
    zeros = {
        name: np.zeros_like(getattr(block, name))
        for name in ("u", "r_store", "r_bus", "r_budget", "r_peak", "r_day", "r_taper")
    }
    found = alone(replace(block, **zeros), tolerance=1e-8, deadline=NEVER)
    assert found.end[0] == End.CONVERGED
    assert (found.x == 0).all()
    assert found.iterations[0] <= 1


def test_two_workers_find_what_one_does_to_the_last_digit(compiled_folder: Path) -> None:
    block = pack(forest_of(make_case("A", 160, seed=2))).blocks[0]
    with ThreadPoolExecutor(2) as pool:
        two = loaded(compiled_folder, Threads(pool, 2)).alone
        together = two(block, tolerance=1e-8, deadline=NEVER)
    one = loaded(compiled_folder, ALONE).alone(block, tolerance=1e-8, deadline=NEVER)
    assert len(block.bus) > 2
    assert (together.x == one.x).all()
    assert (together.y.bus == one.y.bus).all()
    assert (together.iterations == one.iterations).all()


def test_compiled_kernels_stop_where_numpy_does(compiled_folder: Path) -> None:
    block = pack(forest_of(make_case("A", 160, seed=2))).blocks[0]
    compiled = loaded(compiled_folder, ALONE).alone(block, tolerance=1e-8, deadline=NEVER)
    plain = solve_alone(block, tolerance=1e-8, deadline=NEVER)
    assert (abs(compiled.iterations - plain.iterations) <= 1).all()
    cost = (block.c * compiled.x).sum(axis=1)
    assert cost == pytest.approx((block.c * plain.x).sum(axis=1), rel=1e-6)
