"""A few of the forests of `benchmarks/fleet_harsh.py`: nothing wrong, nothing unnoticed, what is impossible named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks._forests import harsh_forest, random_forest
from benchmarks.fleet_harsh import judged, tried
from vpp.plan.fleet.forest import Failed, Forest, Infeasible, Solved
from vpp.plan.fleet.kernels import NUMPY, Structured
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


def short(seed: int) -> Forest:
    return harsh_forest(seed, steps=32)


def tied(seed: int) -> Forest:
    return harsh_forest(seed, enterprises=2, tied=True, steps=16)


def kinds(seed: int) -> Forest:
    return random_forest(seed, levels=1 + seed % 3)


@pytest.mark.parametrize(("make", "count"), [(short, 24), (tied, 12), (kinds, 18)])
def test_no_harsh_forest_is_wrong_or_unnoticed(
    kernels: Structured, make: Callable[[int], Forest], count: int
) -> None:
    found = tried("", count, make, kernels)
    assert found.wrong == []
    assert found.right + found.named == count
    assert max(found.gaps) <= 1e-6
    assert found.fallbacks <= 0.05 * found.trees


def test_some_of_the_sample_are_impossible() -> None:
    assert tried("", 24, short).named > 0


def test_the_judge_finds_what_is_wrong() -> None:
    forest = random_forest(1, steps=6)
    good = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(good, Solved)
    assert list(judged(forest, good)) == []
    off = replace(good.point, level=good.point.level + 1.0)
    burning = replace(good.point, into=good.point.into + 1.0, out=good.point.out + 1.0)
    too_much = replace(forest, buses=replace(forest.buses, load_kw=forest.buses.load_kw + 1e6))
    for one, answer, said in (
        (forest, replace(good, point=off), "row is broken"),
        (forest, replace(good, point=burning), "both ways"),
        (forest, replace(good, cost=good.cost - 1.0), "it costs"),
        (forest, replace(good, bound=good.cost + 1.0), "the judge"),
        (forest, Failed(reason="no"), "possible"),
        (too_much, good, "not noticed"),
        (too_much, Infeasible(clashes=()), "not named"),
    ):
        assert any(said in fault for fault in judged(one, answer)), said
