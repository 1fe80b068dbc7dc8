"""A forest is solved by kernels that are not believed: what they do wrong is found out and done by HiGHS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks._forests import harsh_forest, random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.certify import certify
from vpp.plan.fleet.forest import Duals, Failed, Forest, Infeasible, Ints, Point, Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.pick import Mask, pick
from vpp.plan.fleet.solve import solve_forest, too_much_together
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)
OVER = Deadline(lambda: 1e6, 0.0)

Fault = Callable[[Forest, Point, Duals], None]


@dataclass(frozen=True)
class Faulty:
    """Kernels that find the optimum of each tree, and then do something wrong."""

    fault: Fault
    name: str = "faulty"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        trees = forest.trees()
        iterations = np.full(len(trees.roots), 7)
        for tree in range(len(trees.roots)):
            picked = pick(forest, buses=trees.of == tree)
            found = by_highs(picked.forest, NEVER)
            if not isinstance(found, Unsolved):
                picked.put(*found, point, duals)
        self.fault(forest, point, duals)
        return iterations


@dataclass(frozen=True)
class Idle:
    """Kernels that find nothing."""

    name: str = "idle"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        return np.zeros(len(forest.trees().roots), dtype=np.int64)


def victim(forest: Forest) -> tuple[Mask, Ints]:
    """Parts of the second tree of `FOREST`, and its bus, wherever it stands in a forest."""
    bus = np.flatnonzero(forest.buses.load_kw[:, 0] == FOREST.buses.load_kw[1, 0])
    return np.isin(forest.parts.bus, bus), bus


def nothing(forest: Forest, point: Point, duals: Duals) -> None:
    pass


def gives_up(forest: Forest, point: Point, duals: Duals) -> None:
    parts, bus = victim(forest)
    point.part[parts], duals.bus[bus] = 0.0, 0.0


def all_give_up(forest: Forest, point: Point, duals: Duals) -> None:
    point.part[:], duals.bus[:] = 0.0, 0.0


def nan_in_a_point(forest: Forest, point: Point, duals: Duals) -> None:
    point.part[victim(forest)[0]] = np.nan


def nan_in_a_price(forest: Forest, point: Point, duals: Duals) -> None:
    duals.bus[victim(forest)[1], -1] = np.nan


def runs_off(forest: Forest, point: Point, duals: Duals) -> None:
    duals.bus[victim(forest)[1]] = 1e19


def stops_too_early(forest: Forest, point: Point, duals: Duals) -> None:
    point.part[victim(forest)[0]] *= 0.97


def claims_too_cheap_a_point(forest: Forest, point: Point, duals: Duals) -> None:
    point.part[victim(forest)[0]] = 0.0


FOREST = random_forest(6, trees=4, steps=10)


def cost(forest: Forest) -> float:
    whole, found = written(forest), by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    return float(whole.programme.cost @ whole.columns(found[0]))


def solved(forest: Forest, fault: Fault = nothing) -> Solved:
    answer = solve_forest(forest, kernels=Faulty(fault), deadline=NEVER)
    assert isinstance(answer, Solved), answer
    return answer


def test_an_answer_without_fault_needs_no_fallback() -> None:
    answer = solved(FOREST)
    assert answer.fallbacks == ()
    assert answer.iterations == 7
    assert answer.method == "structured (faulty)"


@pytest.mark.parametrize(
    "fault",
    [
        gives_up,
        nan_in_a_point,
        nan_in_a_price,
        runs_off,
        stops_too_early,
        claims_too_cheap_a_point,
    ],
)
def test_a_tree_that_goes_wrong_is_solved_by_highs_and_counted(fault: Fault) -> None:
    answer = solved(FOREST, fault)
    assert answer.fallbacks == (1,)
    assert answer.cost == pytest.approx(cost(FOREST), rel=1e-8)
    assert 0.0 <= answer.cost - answer.bound <= 1e-6 * (1.0 + abs(answer.cost))
    assert answer.residual <= 1e-7


@pytest.mark.parametrize("seed", range(4))
def test_every_tree_of_any_depth_may_fall_back(seed: int) -> None:
    forest = random_forest(seed, levels=1 + seed % 3, steps=8)
    answer = solved(forest, all_give_up)
    assert answer.fallbacks == tuple(forest.trees().roots)
    assert answer.cost == pytest.approx(cost(forest), rel=1e-8)


def test_what_bounds_make_impossible_is_named_before_anything_is_solved() -> None:
    forest = replace(FOREST, buses=replace(FOREST.buses, load_kw=FOREST.buses.load_kw.copy()))
    forest.buses.load_kw[2, 4] += 1e5

    def must_not_run(forest: Forest, point: Point, duals: Duals) -> None:
        raise AssertionError

    answer = solve_forest(forest, kernels=Faulty(must_not_run), deadline=NEVER)
    assert isinstance(answer, Infeasible)
    assert [(one.bus, one.step) for one in answer.clashes] == [(2, 4)]


def test_what_rows_make_impossible_together_is_located_in_the_whole_forest() -> None:
    """Bus 3 is cut off from all but its stores, and its load takes more than they hold."""
    parts = FOREST.parts
    forest = replace(FOREST, parts=replace(parts, most=parts.most.copy()))
    forest.parts.most[parts.bus == 3] = 0.0
    least = FOREST.stores.out_most[FOREST.stores.bus == 3].sum(axis=0)
    forest.buses.load_kw[3] = 0.9 * least
    answer = solve_forest(forest, kernels=Faulty(nothing), deadline=NEVER)
    assert isinstance(answer, Infeasible)
    assert {one.bus for one in answer.clashes} == {3}
    assert answer.clashes[0].by > 0.1


def test_what_neither_finds_in_time_is_told() -> None:
    forest = harsh_forest(1, enterprises=6, tied=True)
    late = by_highs(forest, OVER)
    assert isinstance(late, Unsolved)
    assert not late.infeasible
    answer = solve_forest(forest, kernels=Idle(), deadline=OVER)
    assert isinstance(answer, Failed)
    assert "ime limit" in answer.reason


@pytest.mark.parametrize("seed", range(6))
def test_trees_of_one_bus_are_solved_by_the_kernels_themselves(seed: int) -> None:
    forest = random_forest(seed, trees=3)
    answer = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved)
    assert answer.fallbacks == ()
    assert answer.cost == pytest.approx(cost(forest), rel=1e-6, abs=1e-6)
    assert answer.cost - answer.bound <= 1e-6 * (1.0 + abs(answer.cost))


def test_a_tolerance_that_no_kernel_reaches_sends_the_trees_to_highs_with_their_gap_told() -> None:
    answer = solve_forest(FOREST, kernels=NUMPY, deadline=NEVER, tolerance=1e-15)
    assert isinstance(answer, Solved)
    assert answer.fallbacks == (0, 1, 2, 3)
    assert answer.cost == pytest.approx(cost(FOREST), rel=1e-9)
    assert 0.0 < answer.cost - answer.bound < 1e-6


def test_a_near_miss_is_solved_again_by_the_kernels() -> None:
    """Stopped at a gap of a thousandth at first; asked for less, they find the optimum."""
    asked: list[float] = []

    def hurried(forest: Forest, point: Point, duals: Duals) -> None:
        if len(asked) == 1:
            duals.bus[1] *= 1 + 1e-4

    @dataclass(frozen=True)
    class Hurried(Faulty):
        def solve(
            self,
            forest: Forest,
            point: Point,
            duals: Duals,
            *,
            tolerance: float,
            deadline: Deadline,
        ) -> Ints:
            asked.append(tolerance)
            return Faulty.solve(self, forest, point, duals, tolerance=tolerance, deadline=deadline)

    answer = solve_forest(FOREST, kernels=Hurried(hurried), deadline=NEVER)
    assert isinstance(answer, Solved)
    assert answer.fallbacks == ()
    assert len(asked) == 2
    assert asked[1] < asked[0] / 100


def test_a_tree_that_is_far_off_is_tried_once_more_with_less_asked_of_it() -> None:
    asked: list[float] = []

    def broken_at_first(forest: Forest, point: Point, duals: Duals) -> None:
        if not asked:
            gives_up(forest, point, duals)
        asked.append(len(forest.buses.parent))

    answer = solved(FOREST, broken_at_first)
    assert answer.fallbacks == ()
    assert asked == [4, 1]


def test_gaps_that_are_too_much_together_are_made_smaller_by_the_kernels() -> None:
    """A hundred is paid by one tree and earned by another: each may be off by 1e-4 alone, both by 1e-6."""
    forest = random_forest(6, trees=2, steps=10)
    found = certify(forest, *optimum(forest))
    opposite = replace(found, cost=np.array([100.0, -100.0]), bound=np.array([100 - 9e-5, -100.0]))
    np.testing.assert_array_equal(too_much_together(opposite, 1e-6), [True, False])
    alike = replace(opposite, cost=np.array([100.0, 20.0]), bound=np.array([100 - 9e-5, 20.0]))
    np.testing.assert_array_equal(too_much_together(alike, 1e-6), [False, False])


def two_loads() -> Forest:
    """1 kW on each of two buses: one pays 100 for it, the other earns 100."""
    forest = random_forest(0, trees=2, steps=1)
    one = np.ones((2, 1))
    no_bus = np.zeros(len(forest.buses.parent), dtype=bool)
    empty = pick(forest, buses=no_bus).forest
    assert len(empty.stores.bus) == len(empty.peaks.bus) == 0
    return replace(
        empty,
        buses=replace(forest.buses, load_kw=one),
        parts=replace(
            forest.parts,
            bus=np.arange(2),
            here=one,
            up=0 * one,
            least=0 * one,
            most=2 * one,
            cost=np.array([[100.0], [-100.0]]),
        ),
        peaks=replace(empty.peaks, counts=np.zeros(2, dtype=bool)),
    )


def test_a_worse_second_answer_does_not_replace_a_first_that_holds() -> None:
    """Both hold alone; together they cost nothing, and the first is asked for again: now it proves nothing."""
    asked: list[int] = []

    def worse_at_last(forest: Forest, point: Point, duals: Duals) -> None:
        asked.append(len(forest.buses.parent))
        point.part[:] = 1.0
        duals.bus[:] = forest.parts.cost
        duals.bus[0] = 100.0 - 5e-5 if len(asked) == 1 else 0.0

    answer = solved(two_loads(), worse_at_last)
    assert asked == [2, 1]
    assert answer.fallbacks == ()
    assert answer.cost == pytest.approx(0.0, abs=1e-9)
    assert answer.cost - answer.bound == pytest.approx(5e-5, rel=1e-3)


def optimum(forest: Forest) -> tuple[Point, Duals]:
    found = by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    return found
