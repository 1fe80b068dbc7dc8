"""A few of the forests of `benchmarks/fleet_harsh.py`: nothing wrong, nothing unnoticed, what is impossible named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import nan

import pytest

from benchmarks._forests import harsh_forest, random_forest
from benchmarks.fleet_harsh import Tally, Verdict, judged, tried
from tests.plan.fleet.test_oneway import full_stores
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
    assert found.right + found.named + found.unjudged == count
    assert max(found.gaps) <= 1e-6
    assert found.fallbacks <= 0.05 * found.trees


def test_some_of_the_sample_are_impossible() -> None:
    assert tried("", 24, short).named > 0


def test_the_judge_finds_what_is_wrong() -> None:
    forest = random_forest(1, steps=6)
    good = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(good, Solved)
    assert judged(forest, good) == Verdict()
    off = replace(good.point, level=good.point.level + 1.0)
    burning = replace(good.point, into=good.point.into + 1.0, out=good.point.out + 1.0)
    too_much = replace(forest, buses=replace(forest.buses, load_kw=forest.buses.load_kw + 1e6))
    for one, answer, said in (
        (forest, replace(good, point=off), "row is broken"),
        (forest, replace(good, point=burning), "both ways"),
        (forest, replace(good, cost=good.cost - 1.0), "it costs"),
        (forest, replace(good, bound=good.cost + 1.0), "the judge"),
        (forest, replace(good, point=replace(good.point, part=good.point.part * nan)), "row is"),
        (forest, replace(good, point=replace(good.point, level=good.point.level * nan)), "row is"),
        (forest, replace(good, cost=nan), "it costs"),
        (forest, replace(good, cost=nan), "the judge"),
        (forest, replace(good, bound=nan), "the judge"),
        (forest, Failed(reason="no"), "possible"),
        (too_much, good, "not noticed"),
        (too_much, Infeasible(clashes=()), "not named"),
    ):
        assert any(said in fault for fault in judged(one, answer).faults), said


def burning() -> tuple[Forest, Solved]:
    """A full store that would burn 7.5 kW at a price below nothing; it may take 1 kWh, for 2 kW."""
    forest = full_stores(-1.0, tied=False, room=1.0)
    answer = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved)
    assert answer.decided
    assert answer.cost == pytest.approx(-2.0)
    return forest, answer


def test_the_judge_finds_what_is_wrong_where_burning_was_decided_against() -> None:
    forest, good = burning()
    assert judged(forest, good, NEVER) == Verdict()
    for answer, said in (
        (replace(good, bound=good.cost + 1.0), "is enough"),
        (replace(good, bound=nan), "is enough"),
        (replace(good, cost=-1e6), "nothing is below"),
        (replace(good, cost=nan), "nothing is below"),
    ):
        assert any(said in fault for fault in judged(forest, answer, NEVER).faults), said


def test_what_the_judge_did_not_decide_in_time_is_not_right() -> None:
    """It has 0.01 s for some hundreds of decisions."""
    forest = random_forest(1, trees=2, steps=64)
    cost = forest.parts.cost.copy()
    cost[0::6] -= 0.2
    cost[1::6] += 0.2
    forest = replace(forest, parts=replace(forest.parts, cost=cost))
    good = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(good, Solved)
    assert good.decided
    over = Deadline(lambda: 1e6, 0.0)
    assert judged(forest, good, over) == Verdict(in_time=False)
    for bound in (nan, good.cost + 1.0):
        assert judged(forest, replace(good, bound=bound), over).faults
    tally = Tally()
    tally.add("late", forest, good, over)
    assert (tally.right, tally.unjudged, tally.burned, tally.wrong) == (0, 1, 1, [])
