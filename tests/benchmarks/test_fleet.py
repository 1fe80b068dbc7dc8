"""The fleet's benchmark asks all tools the same: its parks as the structured solver takes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._beside import Row
from benchmarks._families import STEPS, make_case, parted
from benchmarks._fleet_ours import forest_of
from benchmarks._fleetgrowth import draw, growth_of
from benchmarks._peers import with_scipy
from benchmarks._peers.answer import Asked
from benchmarks.fleet import unproven
from tests.patience import PROGRAM_S

ROOT = Path(__file__).parents[2]


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


# ---------------------------------------------------------------- beside other tools


def beside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as people call it, where no other tool is installed."""
    return subprocess.run(
        (sys.executable, "benchmarks/fleet.py", *arguments),
        cwd=ROOT,
        env=os.environ | {"VPP_PEERS_PYTHON": "none/python"},
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )


def test_a_row_tells_what_is_proven_and_by_whom() -> None:
    done = beside(
        *("--batteries", "4,45", "--kernels", "numpy", "--peers", "scipy,split"),
        *("--repeat", "1", "--growth", "--json"),
    )

    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["disagree"] == []
    rows = {(row["tool"], row["threads"], row["resources"]): row for row in document["rows"]}
    assert len(rows) == 2 * 4
    ours, plain = rows["fleet", 1, 45], rows["scipy", 1, 45]
    assert ours["objective"] == pytest.approx(plain["objective"], rel=1e-6)
    assert ours["bound"] <= plain["objective"] + 1e-6
    assert ours["gap"] < 1e-6
    assert ours["residual"] < 1e-6
    assert (ours["kernels"], ours["fallbacks"]) == ("numpy", 0)
    assert ours["iterations"] > 0
    assert rows["split", 2, 45]["not_run"] == "not installed: make peers"
    (growth,) = document["growth"]
    assert (growth["smallest"], growth["largest"]) == (4, 45)


def test_where_something_is_on_or_off_the_planner_stands_beside_the_others() -> None:
    done = beside(
        *("--families", "B", "--batteries", "2", "--peers", "scipy", "--threads", "1"),
        *("--repeat", "1", "--json"),
    )

    assert done.returncode == 0, done.stderr
    ours, plain = json.loads(done.stdout)["rows"]
    assert (ours["tool"], ours["threads"]) == ("vpp", 1)
    assert ours["objective"] == pytest.approx(plain["objective"], rel=2e-3)


@pytest.mark.parametrize(
    "arguments", [("--peers", "abacus"), ("--kernels", "brass"), ("--families", "Z")]
)
def test_a_name_that_nobody_knows_is_bad_input(arguments: tuple[str, str]) -> None:
    done = beside(*arguments)

    assert done.returncode == 2
    assert f"nothing is called {arguments[1]}" in done.stderr


def of_ours(size: int, total_s: float, peak_mib: float, **said: Any) -> Row:
    usual: dict[str, Any] = {"family": "A", "tool": "fleet", "kernels": "numpy"}
    return Row(resources=size, total_s=total_s, peak_mib=peak_mib, **(usual | said))


ROWS = [of_ours(10, 1.0, 60.0), of_ours(100, 10.0, 120.0), of_ours(1000, 100.0, 240.0)]


def test_growth_is_the_slope_in_logarithms() -> None:
    told = [*ROWS, of_ours(10, 5.0, 70.0, kernels="numba", threads=2)]

    (growth,) = growth_of(told)

    assert growth.time_exponent == pytest.approx(1.0)
    assert growth.memory_exponent == pytest.approx(np.log10(2.0))
    assert growth.sentence() == (
        "A, numpy, threads 1, from 10 to 1000: time N^1.000, memory N^0.301"
    )


def test_time_and_memory_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed -> make test installs it")

    draw([*ROWS, of_ours(10, 5.0, 70.0, tool="highspy", kernels=None)], tmp_path / "growth.png")

    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param(of_ours(10, 1.0, 1.0, gap=9e-7), 0, id="near enough"),
        pytest.param(of_ours(10, 1.0, 1.0, gap=2e-6), 1, id="too far"),
        pytest.param(of_ours(10, 1.0, 1.0, gap=5e-4, family="B"), 0, id="something is on or off"),
        pytest.param(of_ours(10, 1.0, 1.0, gap=5e-4, tool="split"), 0, id="somebody else"),
    ],
)
def test_what_is_linear_must_be_proven_to_a_millionth(row: Row, told: int) -> None:
    assert len(list(unproven([row]))) == told
