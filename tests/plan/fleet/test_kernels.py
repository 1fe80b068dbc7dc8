"""Kernels behind the seam at which answers are certified."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.kernels import NUMPY, Structured
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


@pytest.mark.parametrize("seed", [100, 101])
def test_random_buses_are_solved_without_any_fallback(kernels: Structured, seed: int) -> None:
    forest = random_forest(seed, trees=10)
    found = solve_forest(forest, kernels=kernels, deadline=NEVER)
    answer = by_highs(forest, NEVER)
    assert isinstance(found, Solved)
    assert not isinstance(answer, Unsolved)
    whole = written(forest)
    assert found.fallbacks == ()
    assert found.cost == pytest.approx(whole.programme.cost @ whole.columns(answer[0]), rel=1e-6)
    assert found.bound <= found.cost
    assert found.method == f"structured ({kernels.name})"


@pytest.mark.parametrize("levels", [1, 2])
def test_where_powers_taper_both_kinds_of_loops_go_the_same_way(
    kernels: Structured, levels: int
) -> None:
    forest = random_forest(101, trees=6, levels=levels)
    tapers = forest.tapers
    both_ways = np.intersect1d(tapers.store[tapers.empties], tapers.store[~tapers.empties])
    assert len(both_ways), "so that tapers cross"
    (point, duals), (other, theirs) = (blank(forest) for _ in range(2))
    taken = kernels.solve(forest, point, duals, tolerance=1e-8, deadline=NEVER)
    numpy = NUMPY.solve(forest, other, theirs, tolerance=1e-8, deadline=NEVER)
    assert taken.tolist() == numpy.tolist()
    np.testing.assert_allclose(point.level, other.level, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(duals.taper, theirs.taper, rtol=1e-4, atol=1e-6)


def test_a_park_of_enterprises_is_proven_to_a_millionth_in_some_twenty_iterations(
    kernels: Structured,
) -> None:
    found = solve_forest(forest_of(make_case("A", 60, seed=3)), kernels=kernels, deadline=NEVER)
    assert isinstance(found, Solved)
    assert found.cost - found.bound < 1e-6 * found.cost
    assert 10 < found.iterations < 30
    assert found.fallbacks == ()
