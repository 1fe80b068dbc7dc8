"""Trees of several buses, against the matrix written out and against HiGHS."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import harsh_forest, random_forest
from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.alone import End
from vpp.plan.fleet.bare import bare
from vpp.plan.fleet.blocks import Blocks, blank
from vpp.plan.fleet.certify import Certificate, certify
from vpp.plan.fleet.forest import ROOT, Buses, Forest, Infeasible, Parts, Solved
from vpp.plan.fleet.growing import SOLVE_TIED, Branches
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.newton import Reach
from vpp.plan.fleet.presolve import presolve
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.fleet.tied import FEW, MakeSweeps, SolveTied, Tied
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline
from vpp.plan.parts import Alone

NEVER = Deadline(lambda: 0.0, 1e6)

ASKED = 1e-7
"""What a solve asks of its kernels. A digit more is rounding: some trees stall before it, by either loops."""


def every_tree(forest: Forest) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.arange(len(forest.trees().roots))


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What became of the trees, and what their points and prices are worth."""

    tied: Tied
    certificate: Certificate


def solved(
    forest: Forest,
    sweeps: MakeSweeps = Branches.of,
    *,
    few: int = FEW,
    tolerance: float = ASKED,
) -> Answer:
    point, duals = blank(forest)
    solve = SolveTied(sweeps, few=few)
    tied = solve(forest, every_tree(forest), point, duals, tolerance=tolerance, deadline=NEVER)
    return Answer(tied=tied, certificate=certify(forest, point, duals))


def value(forest: Forest) -> float:
    """What HiGHS finds."""
    answer = by_highs(forest, NEVER)
    assert not isinstance(answer, Unsolved)
    whole = written(forest)
    return float(whole.programme.cost @ whole.columns(answer[0]))


def columns(forest: Forest, grown: Branches, values: list[Floats]) -> Floats:
    """One value a column of the matrix written out, slacks left out."""
    point, duals = blank(forest)
    whole = Blocks(forest=forest, blocks=tuple(one.frame.block for one in grown.branches))
    for one, x in zip(grown.branches, values, strict=True):
        whole.unpack(one.frame.block, x, one.y, point, duals)
    return written(forest).columns(point)


def two_under_a_cap(cap_kw: float, *, load_kw: tuple[float, float] = (10.0, 20.0)) -> Forest:
    """One step. Both buses import from above; bus 1 makes its own at 0.2, bus 2 at 0.3; bus 0 buys at 0.1."""
    here = np.ones((5, 1))
    return bare(
        Buses(parent=np.array([ROOT, 0, 0]), load_kw=np.array([[0.0], [load_kw[0]], [load_kw[1]]])),
        Parts(
            bus=np.array([0, 1, 1, 2, 2]),
            here=here,
            up=np.array([[0.0], [-1.0], [0.0], [-1.0], [0.0]]),
            least=0 * here,
            most=np.array([[cap_kw], [100.0], [100.0], [100.0], [100.0]]),
            cost=np.array([[0.1], [0.0], [0.2], [0.0], [0.3]]),
        ),
    )


def test_what_a_cap_leaves_goes_to_the_bus_whose_own_power_is_dearer(sweeps: MakeSweeps) -> None:
    forest = two_under_a_cap(24.0)
    found = solved(forest, sweeps).certificate
    assert found.cost == pytest.approx([24 * 0.1 + 6 * 0.2])
    np.testing.assert_allclose(found.point.part[:, 0], [24, 4, 6, 20, 0], atol=1e-5)
    # One kW more under the cap saves what bus 1's own power costs more.
    np.testing.assert_allclose(found.duals.bus[:, 0], [0.2, 0.2, 0.2], atol=1e-6)
    assert value(forest) == pytest.approx(3.6)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_direction_of_trees_keeps_every_row_of_the_matrix_written_out(
    seed: int, levels: int
) -> None:
    forest = random_forest(seed, trees=2, levels=levels, steps=9)
    grown = Branches.of(forest, every_tree(forest))
    buses = len(grown.tree)
    grown.go(Reach(*np.zeros((2, buses))), np.ones(buses, dtype=bool))
    now = [one.at.values() for one in grown.branches]
    grown.affine()
    then = [x + one.work.dx for x, one in zip(now, grown.branches, strict=True)]
    programme = written(forest).programme
    equal = programme.row_lower == programme.row_upper
    reached = programme.matrix @ columns(forest, grown, then)
    sizes = 1 + np.abs(programme.row_lower[equal])
    assert np.max(np.abs(reached - programme.row_lower)[equal] / sizes) < 1e-9
    begun = programme.matrix @ columns(forest, grown, now)
    assert np.max(np.abs(begun - programme.row_lower)[equal] / sizes) > 0.1


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_random_trees_cost_what_highs_finds_and_prove_it(
    seed: int, levels: int, sweeps: MakeSweeps
) -> None:
    forest = random_forest(seed, levels=levels)
    found = solved(forest, sweeps)
    assert (found.tied.end == End.CONVERGED).all()
    answer = found.certificate
    assert answer.holds(1e-6).all()
    assert answer.cost.sum() == pytest.approx(value(forest), rel=1e-6, abs=1e-5)


def test_enterprises_that_a_portfolio_ties_cost_what_highs_finds(sweeps: MakeSweeps) -> None:
    forest = forest_of(make_case("AC", 20, seed=1))
    answer = solved(forest, sweeps).certificate
    assert answer.holds(1e-6).all()
    assert answer.cost.sum() == pytest.approx(value(forest), rel=1e-6)


def test_a_tree_takes_as_many_iterations_in_company_as_alone(sweeps: MakeSweeps) -> None:
    forest = random_forest(2, trees=4, levels=2)
    together = solved(forest, sweeps).tied
    apart = [
        SolveTied(sweeps)(forest, np.array([tree]), *blank(forest), tolerance=ASKED, deadline=NEVER)
        for tree in range(len(together.end))
    ]
    assert together.iterations.tolist() == [int(one.iterations[0]) for one in apart]
    assert len(set(together.iterations.tolist())) > 1


def test_corrections_of_leaves_change_the_way_and_not_the_answer(sweeps: MakeSweeps) -> None:
    forest = forest_of(make_case("AC", 100, seed=2))
    plain, corrected = (solved(forest, sweeps, few=few) for few in (6, 5))  # it has 6 buses
    assert corrected.tied.iterations != plain.tied.iterations
    costs = [each.certificate.cost.sum() for each in (plain, corrected)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)


def test_a_tree_that_corrections_got_stuck_goes_on_without_them(sweeps: MakeSweeps) -> None:
    ready = presolve(harsh_forest(25, enterprises=3, tied=True))
    assert not isinstance(ready, Infeasible)
    found = solved(ready.forest, sweeps, few=0, tolerance=3e-7).tied
    assert (found.end == End.CONVERGED).all()
    assert found.iterations.max() > 40  # it was stuck


def test_numpy_keeps_no_more_than_the_point_the_direction_and_the_factors_of_a_fleet() -> None:
    ready = presolve(forest_of(make_case("AC", 800, seed=2)))
    assert not isinstance(ready, Infeasible)
    forest = ready.forest
    tracemalloc.start()
    grown = Branches.of(forest, every_tree(forest))
    buses = len(grown.tree)
    grown.go(Reach(*np.zeros((2, buses))), np.ones(buses, dtype=bool))
    grown.affine()
    grown.corrected(np.full(buses, 1e-3), np.ones(buses, dtype=bool))
    kept_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    columns = sum(one.frame.block.u.size for one in grown.branches)
    # u, c, the point's four and the direction's three are nine; rows, factors and what is shared are six more.
    assert kept_bytes < 18 * 8 * columns


@pytest.mark.parametrize("seed", [2, 4])
def test_rounding_keeps_no_tied_park_from_its_end(seed: int, sweeps: MakeSweeps) -> None:
    found = solved(forest_of(make_case("AC", 60, seed=seed)), sweeps, tolerance=3e-7).tied
    assert (found.end == End.CONVERGED).all()


@pytest.mark.parametrize("broken", [np.nan, 1e6])
def test_a_tree_that_breaks_or_lacks_leaves_its_neighbours_alone(
    broken: float, sweeps: MakeSweeps
) -> None:
    forest = _beside(two_under_a_cap(24.0), two_under_a_cap(24.0, load_kw=(10.0, broken)))
    found = solved(forest, sweeps)
    assert found.tied.end[0] == End.CONVERGED
    assert found.tied.end[1] == (End.BROKEN if np.isnan(broken) else End.STALLED)
    assert found.certificate.cost[0] == pytest.approx(3.6)


def test_what_is_under_way_at_the_deadline_is_late() -> None:
    forest = random_forest(1, levels=2)
    over = Deadline(lambda: 1.0, 0.0)
    found = SOLVE_TIED(forest, every_tree(forest), *blank(forest), tolerance=ASKED, deadline=over)
    assert (found.end == End.LATE).all()
    assert (found.iterations == 0).all()


def _beside(one: Forest, other: Forest) -> Forest:
    """Two forests as one; only buses and parts hang on anything there."""
    count = len(one.buses.parent)
    parent = np.where(other.buses.parent == ROOT, ROOT, other.buses.parent + count)
    joined = {
        name: np.concatenate([getattr(one.parts, name), getattr(other.parts, name)])
        for name in ("here", "up", "least", "most", "cost")
    }
    return replace(
        one,
        buses=Buses(
            parent=np.append(one.buses.parent, parent),
            load_kw=np.concatenate([one.buses.load_kw, other.buses.load_kw]),
        ),
        parts=Parts(bus=np.append(one.parts.bus, other.parts.bus + count), **joined),
        peaks=replace(one.peaks, counts=np.append(one.peaks.counts, other.peaks.counts)),
    )


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_forest_of_trees_is_solved_behind_the_seam_without_any_help(levels: int) -> None:
    forest = random_forest(5, levels=levels)
    answer = solve_forest(forest, kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved)
    assert answer.fallbacks == ()
    assert answer.cost - answer.bound < 1e-6 * (1 + abs(answer.cost))
    assert answer.cost == pytest.approx(value(forest), rel=1e-6, abs=1e-5)


def test_workers_who_share_parents_come_to_the_same_answer_as_one() -> None:
    pytest.importorskip("numba", reason="-> .venv/bin/pip install '.[fleet]'")
    from vpp.plan.fleet.jitted.tied import CompiledBranches

    forest = random_forest(1, trees=2, levels=3)
    one, three = (
        solved(forest, partial(CompiledBranches.of, workers=Alone(count=count))) for count in (1, 3)
    )
    assert one.tied.iterations.tolist() == three.tied.iterations.tolist()
    np.testing.assert_allclose(one.certificate.point.part, three.certificate.point.part, atol=1e-6)
