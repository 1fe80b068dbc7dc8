"""Kernels behind the seam at which answers are certified."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import random_forest
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.kernels import Structured
from vpp.plan.fleet.pick import pick
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
    assert len(forest.tapers.store), "so that numpy has some of the trees, whatever the kernels"
    names = "numpy" if kernels.name == "numpy" else f"{kernels.name}; numpy"
    assert found.method == f"structured ({names})"


def test_the_plan_names_numpy_where_a_power_tapers_whatever_the_kernels(
    kernels: Structured,
) -> None:
    seed = next(n for n in range(100) if len(random_forest(n, trees=10).tapers.store))
    forest = random_forest(seed, trees=10)
    tapering = forest.stores.bus[forest.tapers.store]
    alone = pick(forest, buses=np.isin(forest.trees().of, forest.trees().of[tapering])).forest
    for some, names in ((forest, {kernels.name, "numpy"}), (alone, {"numpy"})):
        found = solve_forest(some, kernels=kernels, deadline=NEVER)
        assert isinstance(found, Solved)
        told = found.method.removeprefix("structured (").removesuffix(")")
        assert set(told.split("; ")) == names


def test_a_park_of_enterprises_is_proven_to_a_millionth_in_some_twenty_iterations(
    kernels: Structured,
) -> None:
    found = solve_forest(forest_of(make_case("A", 60, seed=3)), kernels=kernels, deadline=NEVER)
    assert isinstance(found, Solved)
    assert found.cost - found.bound < 1e-6 * found.cost
    assert 10 < found.iterations < 30
    assert found.fallbacks == ()
