"""One bus is planned anew while the others stay, and what that costs and proves is that of the whole."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from vpp.plan.fleet.certify import certify
from vpp.plan.fleet.forest import ROOT, Answer, Forest, Infeasible, Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.replan import replan_bus
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.lp import Deadline

BUS = 1


def deadline() -> Deadline:
    return Deadline(perf_counter, perf_counter() + 60)


def solved(forest: Forest) -> Solved:
    answer = solve_forest(forest, kernels=NUMPY, deadline=deadline())
    assert isinstance(answer, Solved), answer
    return answer


def changed(forest: Forest, by: float) -> Forest:
    """The fixed load of one enterprise is another one in the third hour."""
    load_kw = forest.buses.load_kw.copy()
    load_kw[BUS, 8:12] *= by
    return replace(forest, buses=replace(forest.buses, load_kw=load_kw))


def replanned(before: Forest, answer: Solved, forest: Forest) -> Solved:
    again = replan_bus(before, answer, forest, BUS, kernels=NUMPY, deadline=deadline())
    assert isinstance(again, Solved), again
    return again


@pytest.mark.parametrize("family", ["A", "AC"])
def test_what_is_told_of_the_whole_is_what_its_certificate_says(family: str) -> None:
    before = forest_of(make_case(family, 60, seed=1))
    first, forest = solved(before), changed(before, 1.1)
    again = replanned(before, first, forest)
    whole = certify(forest, again.point, again.duals)
    assert again.cost == pytest.approx(whole.cost.sum(), rel=1e-9)
    assert again.bound == pytest.approx(whole.bound.sum(), rel=1e-7)
    assert again.bound <= whole.bound.sum() + 1e-9 * abs(again.bound)
    assert whole.residual.max() < 1e-7
    best = solved(forest)
    assert again.bound <= best.cost + 1e-9 * abs(best.cost)
    assert again.cost >= best.bound - 1e-9 * abs(best.cost)


def test_a_bus_by_itself_is_as_good_as_solved_anew() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    forest = changed(before, 1.1)
    again = replanned(before, solved(before), forest)
    assert again.cost == pytest.approx(solved(forest).cost, rel=1e-6)


@pytest.mark.parametrize("family", ["A", "AC"])
def test_nobody_else_is_moved(family: str) -> None:
    before = forest_of(make_case(family, 60, seed=1))
    first = solved(before)
    again = replanned(before, first, changed(before, 1.1))
    others = before.stores.bus != BUS
    assert (again.point.into[others] == first.point.into[others]).all()
    assert (again.point.level[others] == first.point.level[others]).all()
    assert not np.array_equal(again.point.part, first.point.part)


def test_what_has_not_changed_is_as_good_as_it_was() -> None:
    before = forest_of(make_case("AC", 60, seed=1))
    first = solved(before)
    again = replanned(before, first, before)
    assert again.cost == pytest.approx(first.cost, rel=2e-6)
    assert again.bound == pytest.approx(first.bound, rel=2e-6)


def test_what_the_price_of_a_bus_needed_is_the_trees_and_proves_nothing_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bus by itself goes to HiGHS and is decided, which proves 5.0 more than its prices do."""
    before = forest_of(make_case("AC", 60, seed=1))
    first = solved(before)
    root = int(before.buses.parent[BUS])

    def alone_decided(forest: Forest, **said: Any) -> Answer:
        answer = solve_forest(forest, **said)
        assert isinstance(answer, Solved)
        if len(forest.buses.parent) > 1:
            return answer
        return replace(answer, bound=answer.bound + 5.0, decided=(0,), fallbacks=(0,))

    with monkeypatch.context() as patched:
        patched.setattr("vpp.plan.fleet.replan.solve_forest", alone_decided)
        again = replanned(before, first, before)
    assert again.bound == pytest.approx(first.bound + 5.0, rel=1e-6)
    assert (again.decided, again.fallbacks) == ((root,), (root,))
    third = replanned(before, again, before)
    assert third.bound == pytest.approx(first.bound, rel=1e-6)


def test_what_cannot_be_beside_the_others_is_told() -> None:
    """A load a hundred times as large is above what the enterprise's connection carries."""
    before = forest_of(make_case("AC", 60, seed=1))
    assert before.buses.parent[BUS] != ROOT
    answer = replan_bus(
        before, solved(before), changed(before, 100.0), BUS, kernels=NUMPY, deadline=deadline()
    )
    assert isinstance(answer, Infeasible)
    assert {one.bus for one in answer.clashes} == {BUS}
