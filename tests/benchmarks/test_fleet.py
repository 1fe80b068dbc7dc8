"""The fleet's benchmark asks all tools the same: its parks as the structured solver takes them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._families import STEPS, make_case, parted
from benchmarks._fleet_ours import forest_of
from benchmarks._peers import with_scipy
from benchmarks._peers.answer import Asked


def test_enterprises_of_one_portfolio_are_those_that_are_each_alone() -> None:
    alone, tied = make_case("A", 40, seed=1), make_case("AC", 40, seed=1)

    assert (tied.enterprises.fixed_kw == alone.enterprises.fixed_kw).all()
    assert (tied.loads.energy_kwh == alone.loads.energy_kwh).all()
    assert alone.portfolio.committed_kw.shape == (0, STEPS)
    assert tied.portfolio.committed_kw.shape == (1, STEPS)
    assert (tied.portfolio.committed_kw <= tied.portfolio.import_cap_kw[:, None]).all()


@pytest.mark.parametrize("family", ["A", "AC"])
def test_what_hangs_on_a_bus_is_what_the_enterprise_has(family: str) -> None:
    case = make_case(family, 50, seed=1)
    forest = forest_of(case)
    own = case.batteries.of == 1

    assert forest.buses.parent.tolist() == ([2, 2, -1] if family == "AC" else [-1, -1])
    assert (forest.buses.load_kw[:2] == case.enterprises.fixed_kw).all()
    assert (
        forest.stores.into_most[forest.stores.bus == 1, 0] == case.batteries.power_kw[own]
    ).all()
    assert forest.budgets.asked[forest.budgets.bus == 1].sum() == pytest.approx(
        case.loads.energy_kwh[case.loads.of == 1].sum()
    )
    imports = forest.peaks.counts
    assert forest.parts.bus[imports].tolist() == [0, 1]
    assert (forest.parts.cost[imports] == 0.25 * case.enterprises.import_per_kwh).all()
    assert (forest.parts.up[imports] == (-1.0 if family == "AC" else 0.0)).all()


def test_the_portfolio_pays_for_what_it_misses_either_way_up_to_the_cap() -> None:
    case = make_case("AC", 20, seed=1)
    parts, tied = forest_of(case).parts, case.portfolio
    over, under = np.flatnonzero(parts.bus == 1)

    assert (parts.here[over, 0], parts.here[under, 0]) == (1.0, -1.0)
    assert (parts.most[over] == tied.import_cap_kw - tied.committed_kw[0]).all()
    assert parts.cost[[over, under]].tolist() == [[0.25 * 0.05] * STEPS] * 2


def test_enterprises_solved_one_by_one_cost_what_they_cost_together() -> None:
    case = make_case("A", 45, seed=1)
    parts = parted(case)

    assert [len(part.batteries.of) for part in parts] == [23, 22]
    together = with_scipy.solve(case, Asked(gap=0.0)).objective
    assert sum(with_scipy.solve(part, Asked(gap=0.0)).objective for part in parts) == pytest.approx(
        together, rel=1e-9
    )
