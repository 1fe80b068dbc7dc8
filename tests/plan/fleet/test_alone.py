"""Buses by themselves, against HiGHS on the matrix written out."""

from __future__ import annotations

import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.alone import End, Found, solve_alone
from vpp.plan.fleet.blocks import Blocks, blank
from vpp.plan.fleet.certify import Certificate, certify
from vpp.plan.fleet.forest import Forest
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


def solved(packed: Blocks) -> list[Found]:
    return [solve_alone(block, tolerance=1e-8) for block in packed.blocks]


def certified(forest: Forest) -> Certificate:
    packed = pack(forest)
    found = solved(packed)
    assert all((one.end == End.CONVERGED).all() for one in found)
    point, duals = blank(forest)
    packed.unpack([one.x for one in found], [one.y for one in found], point, duals)
    return certify(forest, point, duals)


def value(forest: Forest) -> float:
    """What HiGHS finds."""
    answer = by_highs(forest, NEVER)
    assert not isinstance(answer, Unsolved)
    whole = written(forest)
    return float(whole.programme.cost @ whole.columns(answer[0]))


@pytest.mark.parametrize("seed", range(8))
def test_random_buses_cost_what_highs_finds_and_prove_it(seed: int) -> None:
    forest = random_forest(seed, trees=8)
    found = certified(forest)
    assert found.holds(1e-6).all()
    assert found.cost.sum() == pytest.approx(value(forest), rel=1e-6, abs=1e-5)


def test_enterprises_of_a_park_cost_what_highs_finds_and_prove_it() -> None:
    forest = forest_of(make_case("A", 40, seed=1))
    found = certified(forest)
    assert found.holds(1e-6).all()
    assert found.cost.sum() == pytest.approx(value(forest), rel=1e-6)
