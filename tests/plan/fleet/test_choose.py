"""Which solver a plan is made by, what is told of it, and what happens where it goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from tests.plan.conftest import Lab
from vpp.model.measurement import Reading
from vpp.model.park import Limits
from vpp.model.schedule import Optimal, Schedule
from vpp.model.time import QUARTER
from vpp.plan.compile import build
from vpp.plan.fleet.auto import LEAST_COLUMNS, least_columns
from vpp.plan.fleet.back import Back, back
from vpp.plan.fleet.choose import Chooser
from vpp.plan.fleet.fit import Fitted, NoFit, fit
from vpp.plan.fleet.forest import (
    Answer,
    Clash,
    Duals,
    Failed,
    Forest,
    Infeasible,
    Ints,
    Point,
    Solved,
)
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.solve import Kernels, solve_forest
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.parts import ALONE
from vpp.plan.problem import Method, Problem
from vpp.plan.programme import Programme
from vpp.plan.solve import solve
from vpp.plan.terms import EnergyPrice
from vpp.plan.validate import violations

PRICES = (0.1, 0.1, 0.5, 0.5, 0.2, 0.2)


def deadline() -> Deadline:
    return Deadline(lambda: 0.0, 1e6)


@dataclass
class Watched:
    """The kernels in numpy; notes how many buses each call had."""

    buses: list[int]
    name: str = "numpy"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        self.buses.append(len(forest.buses.parent))
        return NUMPY.solve(forest, point, duals, tolerance=tolerance, deadline=deadline)


@dataclass
class Broken:
    """Kernels that say they are done, and have written what is none."""

    value: float
    name: str = "broken"

    def solve(self, forest: Forest, point: Point, duals: Duals, **_: Any) -> Ints:
        for one in (point.into, point.out, point.part, duals.bus, duals.store):
            one[:] = self.value
        return np.ones(len(forest.trees().roots), dtype=np.int64)


@dataclass
class BrokenAtFirst:
    """The kernels in numpy, which say of every first tree that they are done where they are not."""

    broken: bool = True
    name: str = "broken"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        done = NUMPY.solve(forest, point, duals, tolerance=tolerance, deadline=deadline)
        if self.broken:
            for one in (point.into, point.part, duals.bus, duals.store):
                one[0] = np.nan
        return done


def two_points(lab: Lab) -> tuple[Programme, Problem]:
    """A battery at each of two points that no market joins."""
    problem = asked(lab, lab.battery("one"), lab.battery("two", point="cp-b"))
    return build(problem.view, problem.terms, limit_excess_price_per_kwh=10.0), problem


def asked(
    lab: Lab,
    *resources: Any,
    method: Method = Method.STRUCTURED,
    points: Sequence[str] = ("cp-a", "cp-b"),
    limits: Limits | None = None,
) -> Problem:
    readings = [lab.reading(one.resource_id, soc=0.5) for one in resources]
    view = lab.view(*resources, price=PRICES, readings=readings, points=list(points))
    if limits is not None:
        view = replace(view, park=replace(view.park, limits=limits))
    terms = tuple(
        EnergyPrice(
            connection_point_id=point.connection_point_id,
            import_per_kwh=np.array(PRICES),
            export_per_kwh=np.array(PRICES) - 0.01,
        )
        for point in view.park.connection_points
    )
    problem = lab.problem(view, terms)
    return replace(problem, options=replace(problem.options, method=method, gap=1e-5))


def planned(problem: Problem, kernels: Kernels = NUMPY, kept: Kept | None = None) -> Schedule:
    outcome = solve(problem, perf_counter, kernels=kernels, kept=kept)
    assert isinstance(outcome, Optimal), outcome
    return outcome.schedule


BEST = 2 * (50 * 0.10 - 100 * 0.49)
"""Of two points: 50 kWh bought at 0.10, 100 sold at 0.49, each."""


@pytest.mark.parametrize(
    ("steps", "joined", "least"),
    [
        (96, True, 50_000),
        (192, True, 50_000),
        (384, True, 200_000),  # twice as long: four times as many
        (672, True, 612_500),
        (672, False, 50_000),
    ],
)
def test_a_long_horizon_is_left_to_highs_as_long_as_that_was_measured_to_be_quicker(
    lab: Lab, steps: int, joined: bool, least: int
) -> None:
    view = lab.view(lab.battery(), price=[0.1] * steps, step=QUARTER)
    terms = lab.terms(view) if joined else ()
    programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
    assert least_columns(programme) == least
    free = int((programme.lower < programme.upper).sum())
    answer = Chooser(programme, Method.AUTO, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert answer.how.why == f"auto: {free} columns, fewer than {least}"


def test_the_plan_says_that_the_structured_solver_made_it_and_how_well(lab: Lab) -> None:
    schedule = planned(asked(lab, lab.battery("one"), lab.battery("two", point="cp-b")))
    assert schedule.how.method == "structured (numpy)"
    assert schedule.how.why == "every tree fits"
    assert schedule.how.fallbacks == 0
    assert schedule.how.iterations > 0
    assert schedule.how.residual < 1e-9
    assert schedule.cost == pytest.approx(BEST, rel=1e-5)


def test_auto_leaves_a_small_park_to_highs_and_says_so(lab: Lab) -> None:
    schedule = planned(asked(lab, lab.battery("one"), method=Method.AUTO))
    assert schedule.how.method == "HiGHS"
    assert schedule.how.why.startswith("auto: ")
    assert f"fewer than {LEAST_COLUMNS}" in schedule.how.why


def test_the_park_file_may_keep_highs(lab: Lab) -> None:
    schedule = planned(asked(lab, lab.battery("one"), method=Method.HIGHS))
    assert (schedule.how.method, schedule.how.why) == ("HiGHS", "the park file says so")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.0])
def test_trees_that_kernels_get_wrong_go_to_highs_and_are_counted(lab: Lab, value: float) -> None:
    problem = asked(lab, lab.battery("one"), lab.battery("two", point="cp-b"))
    schedule = planned(problem, Broken(value))
    assert schedule.cost == pytest.approx(BEST, rel=1e-6)
    assert schedule.how.fallbacks == 2
    assert not violations(
        schedule, problem.view, problem.terms, limit_excess_price_per_kwh=lab.excess_per_kwh
    )


@pytest.mark.parametrize("what", ["values", "prices"])
def test_an_answer_that_is_read_wrongly_is_noticed_and_left_to_highs(
    lab: Lab, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Levels with the wrong sign break rows; prices of another bus prove too little."""

    def wrongly(*asked: Any) -> Fitted | NoFit:
        found = fit(*asked)
        assert isinstance(found, Fitted)
        if what == "values":
            return replace(found, signs=-found.signs)
        hanging = replace(found.hanging, bus=found.hanging.bus[::-1].copy())
        return replace(found, hanging=hanging)

    problem = asked(lab, lab.battery("one"), lab.pv(point="cp-b", max_feed_kw=0.0))
    right = planned(problem)
    monkeypatch.setattr("vpp.plan.fleet.choose.fit", wrongly)
    schedule = planned(problem)
    assert schedule.how.fallbacks > 0
    assert schedule.cost == pytest.approx(right.cost, rel=1e-5)


def test_trees_in_which_nothing_has_changed_are_not_solved_again(lab: Lab) -> None:
    programme, _ = two_points(lab)
    kernels = Watched([])
    chooser = Chooser(programme, Method.STRUCTURED, kernels)
    first = chooser.solve({}, deadline(), ALONE)
    assert isinstance(first, LpSolution)
    assert kernels.buses == [2]
    kept = {int(programme.fleet.storages.discharge[1, 2]): 0.0}
    again = chooser.solve(kept, deadline(), ALONE)
    assert isinstance(again, LpSolution)
    assert kernels.buses == [2, 1]
    want = solve_lp(programme, kept, deadline())
    assert isinstance(want, LpSolution)
    assert again.cost == pytest.approx(want.cost, rel=1e-5)
    one = programme.fleet.storages.charge[0]
    assert (again.x[one] == first.x[one]).all()
    assert chooser.solve(kept, deadline(), ALONE) is not None
    assert kernels.buses == [2, 1]


def stored(problem: Problem, name: str, soc: float) -> Problem:
    """The same a moment later: one battery holds something else."""
    view = problem.view
    state = tuple(
        replace(one, soc=soc) if one.resource_id == name and isinstance(one, Reading) else one
        for one in view.state.resources
    )
    return replace(problem, view=replace(view, state=replace(view.state, resources=state)))


def test_the_next_plan_solves_only_what_differs_from_the_one_before(lab: Lab) -> None:
    """Two batteries that nothing joins; one of them holds 25 kWh less, which it sold for 0.49."""
    problem = asked(lab, lab.battery("one"), lab.battery("two", point="cp-b"))
    kernels, kept = Watched([]), Kept()
    first = planned(problem, kernels, kept)
    assert kernels.buses == [2]
    same = planned(problem, kernels, kept)
    assert kernels.buses == [2]
    assert (same.power_kw == first.power_kw).all()
    assert same.how.why == "every tree fits; only what differs from the plan before was solved"
    after = planned(stored(problem, "two", 0.25), kernels, kept)
    assert kernels.buses == [2, 1]
    assert after.cost == pytest.approx(BEST + 25 * 0.10, rel=1e-5)
    assert (after.power_kw[0] == first.power_kw[0]).all()


def joined_by_a_limit(lab: Lab, import_kw: float, gap: float) -> Problem:
    """Nine half full batteries behind one connection each, and one limit over all: energy is cheap for two hours."""
    names = [f"cp-{at}" for at in range(9)]
    batteries = [lab.battery(f"b{at}", point=name) for at, name in enumerate(names)]
    problem = asked(
        lab, *batteries, points=names, limits=Limits(import_kw=import_kw, export_kw=500)
    )
    return replace(problem, options=replace(problem.options, gap=gap))


def test_where_a_limit_joins_all_the_others_are_held_if_that_is_good_enough(lab: Lab) -> None:
    problem, kernels, kept = joined_by_a_limit(lab, 300, 1e-2), Watched([]), Kept()
    first = planned(problem, kernels, kept)
    assert kernels.buses == [10]
    changed = stored(problem, "b3", 0.49)
    after = planned(changed, kernels, kept)
    assert kernels.buses == [10, 2, 1]
    assert after.how.why.endswith("was solved, with the others held")
    moved = np.flatnonzero((after.power_kw != first.power_kw).any(axis=1))
    assert moved.tolist() == [3]
    assert after.cost == pytest.approx(planned(changed).cost, rel=1e-2 / 2)
    assert after.gap <= 1e-2 / 2
    assert not violations(
        after, changed.view, changed.terms, limit_excess_price_per_kwh=lab.excess_per_kwh
    )


def test_where_too_little_is_proven_with_the_others_held_all_are_planned_again(lab: Lab) -> None:
    """200 kW fill 400 of 450 kWh; one that is nearly full by itself leaves its share, and others can take it."""
    problem, kernels, kept = joined_by_a_limit(lab, 200, 1e-3), Watched([]), Kept()
    planned(problem, kernels, kept)
    changed = stored(problem, "b3", 0.9)
    after = planned(changed, kernels, kept)
    assert kernels.buses == [10, 2, 1, 10]
    assert after.how.why == "every tree fits"
    assert after.cost == pytest.approx(planned(changed).cost, rel=2e-5)


class Flattering(Kept):
    """Says that all is proven, of an answer whose prices are not what things cost."""

    def answer(self, forest: Forest, **how: Any) -> tuple[Answer, bool]:
        answer = how["solve"](forest)
        duals = replace(answer.duals, bus=0.5 * answer.duals.bus)
        return replace(answer, duals=duals, bound=answer.cost, held=(9,)), True


def test_what_is_proven_with_the_others_held_is_not_believed_either(lab: Lab) -> None:
    problem, kernels = joined_by_a_limit(lab, 300, 1e-3), Watched([])
    after = planned(problem, kernels, Flattering())
    assert kernels.buses == [10, 10]
    assert (after.how.why, after.how.fallbacks) == ("every tree fits", 0)
    assert after.cost == pytest.approx(planned(problem).cost, rel=1e-5)


def test_a_tree_that_was_given_up_stays_counted_while_its_answer_is_kept(lab: Lab) -> None:
    programme, _ = two_points(lab)
    kernels = BrokenAtFirst()
    chooser = Chooser(programme, Method.STRUCTURED, kernels)
    first = chooser.solve({}, deadline(), ALONE)
    assert isinstance(first, LpSolution)
    assert first.how.fallbacks == 1
    kernels.broken = False
    kept = {int(programme.fleet.storages.discharge[1, 2]): 0.0}
    again = chooser.solve(kept, deadline(), ALONE)
    assert isinstance(again, LpSolution)
    one = programme.fleet.storages.charge[0]
    assert (again.x[one] == first.x[one]).all()
    assert again.how.fallbacks == 1
    # A change where it was given up asks for it anew, and then the kernels hold.
    kept |= {int(programme.fleet.storages.discharge[0, 2]): 0.0}
    last = chooser.solve(kept, deadline(), ALONE)
    assert isinstance(last, LpSolution)
    assert last.how.fallbacks == 0


@pytest.mark.parametrize("short", [100.0, np.inf])
def test_what_another_tree_lacks_hides_no_gap_of_one_that_was_decided(
    lab: Lab, short: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tree is proven to 1.0 by what was decided; the other is not proven, and HiGHS has it."""
    programme, _ = two_points(lab)

    def decided(*asked: Any, **said: Any) -> Solved:
        answer = solve_forest(*asked, **said)
        assert isinstance(answer, Solved)
        return replace(answer, bound=answer.cost - 1.0, decided=(0,))

    def read(found: Fitted, answer: Solved) -> Back:
        came = back(found, answer)
        first, second = found.of_roots([0]), found.of_roots([1])
        came.bound[first] = came.cost[first] - 2.0
        came.bound[second] = came.cost[second] - short
        return came

    monkeypatch.setattr("vpp.plan.fleet.choose.solve_forest", decided)
    monkeypatch.setattr("vpp.plan.fleet.known.back", read)
    answer = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert answer.how.fallbacks == 1
    assert answer.cost - answer.bound == pytest.approx(1.0)


@pytest.mark.parametrize(
    "said",
    [
        Infeasible(clashes=(Clash(bus=1, step=2, by=3.0),)),
        Failed(reason="a row is broken", roots=(1,)),
    ],
)
def test_one_tree_without_a_plan_sends_itself_alone_to_highs(
    lab: Lab, said: Infeasible | Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme, _ = two_points(lab)
    asked: list[int] = []

    def one_is_bad(forest: Forest, **how: Any) -> Answer:
        asked.append(len(forest.buses.parent))
        return said if len(asked) == 1 else solve_forest(forest, **how)

    monkeypatch.setattr("vpp.plan.fleet.choose.solve_forest", one_is_bad)
    answer = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert asked == [2, 1]
    assert answer.how.method == "structured (numpy), HiGHS"
    assert answer.how.fallbacks == 1
    assert answer.cost == pytest.approx(BEST, rel=1e-5)


@pytest.mark.parametrize("roots", [(), (0, 1)])
def test_where_no_tree_has_a_plan_or_nobody_knows_which_highs_has_all(
    lab: Lab, roots: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    programme, _ = two_points(lab)
    monkeypatch.setattr(
        "vpp.plan.fleet.choose.solve_forest", lambda *_, **__: Failed(reason="no", roots=roots)
    )
    answer = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert (answer.how.method, answer.how.fallbacks) == ("HiGHS", 2)
    assert answer.how.why == "the structured solver found no plan"
    assert answer.cost == pytest.approx(BEST)


def test_a_plan_of_which_no_tree_was_kept_is_none_of_the_structured_solver(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme, _ = two_points(lab)

    def unproven(found: Fitted, answer: Solved) -> Back:
        came = back(found, answer)
        came.bound[found.of_roots([0, 1])] = -np.inf
        return came

    monkeypatch.setattr("vpp.plan.fleet.known.back", unproven)
    answer = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert (answer.how.method, answer.how.fallbacks) == ("HiGHS", 2)
    assert (answer.how.iterations, answer.how.gap) == (0, 0.0)
    assert answer.cost == pytest.approx(BEST)


def test_a_bound_stands_below_the_cost_and_is_the_gap_that_is_told(lab: Lab) -> None:
    programme, _ = two_points(lab)
    answer = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(answer, LpSolution)
    assert answer.bound <= BEST + 1e-9 <= answer.cost + 1e-6
    assert answer.how.gap == pytest.approx((answer.cost - answer.bound) / abs(answer.cost))


@pytest.mark.parametrize("seed", [0, 1, 5, 8, 19])
def test_plans_of_random_parks_cost_what_those_of_highs_cost(lab: Lab, seed: int) -> None:
    view, terms = lab.random(seed, processes=0, runs=0, min_price=0.01)
    costs = []
    for method in (Method.HIGHS, Method.STRUCTURED):
        problem = lab.problem(view, terms)
        options = replace(problem.options, method=method)
        schedule = planned(replace(problem, options=options))
        assert not violations(schedule, view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        costs.append(schedule.cost)
    assert costs[1] == pytest.approx(costs[0], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", [3, 7, 15, 41, 58, 61])
def test_negative_prices_need_no_decisions_where_the_structured_solver_goes_one_way(
    lab: Lab, seed: int
) -> None:
    view, terms = lab.random(seed, processes=0, runs=0, min_price=-0.15)
    programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
    costs = []
    for method in (Method.HIGHS, Method.STRUCTURED):
        problem = lab.problem(view, terms)
        schedule = planned(replace(problem, options=replace(problem.options, method=method)))
        assert not violations(schedule, view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        costs.append(schedule.cost)
    assert programme.ways.size
    relaxed = Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)
    assert isinstance(relaxed, LpSolution)
    assert relaxed.how.method == "structured (numpy)"
    assert costs[1] == pytest.approx(costs[0], rel=1e-5, abs=1e-5)


def test_what_is_held_at_another_value_is_solved_again_where_it_stands(lab: Lab) -> None:
    """A run that is moved by a quarter-hour costs what it costs there, not what it did before."""
    view, terms = lab.random(3, processes=0, min_price=0.01)
    programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
    chooser = Chooser(programme, Method.STRUCTURED, NUMPY)
    starts = programme.integral.tolist()
    assert len(starts) > 2
    for chosen in (starts[0], starts[1], starts[0]):
        held = {column: float(column == chosen) for column in starts}
        want = solve_lp(programme, held, deadline())
        got = chooser.solve(held, deadline(), ALONE)
        assert isinstance(want, LpSolution) == isinstance(got, LpSolution)
        if isinstance(got, LpSolution) and isinstance(want, LpSolution):
            assert got.cost == pytest.approx(want.cost, rel=1e-5)
