"""How on/off decisions are found: what was announced is kept, time runs out honestly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vpp.model.schedule import Feasible, Optimal, Unsolved
from vpp.model.time import QUARTER
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.decide import by_parts
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.programme import BLOCK_BYTES, Side
from vpp.plan.search import near, relative_gap, search

NEVER = Deadline(lambda: 0.0, 1e6)

ROWS = (Side.ROW_LOWER, Side.ROW_UPPER)


def knapsack(lab: Any, *, runs: int = 4) -> Any:
    """Runs that fight over a feeder: their relaxation is fractional, and the parts are coupled."""
    names = [f"oven-{number}" for number in range(runs)]
    points = [f"cp-{number}" for number in range(runs)]
    rng = np.random.default_rng(7)
    return lab.view(
        *(
            lab.run(name, point=point, profile_kw=(30.0 + 7 * i, 55.0 - 9 * i, 41.0))
            for i, (name, point) in enumerate(zip(names, points, strict=True))
        ),
        points=points,
        price=np.round(rng.uniform(0.1, 0.2, 8), 3).tolist(),
        readings=[lab.reading(name) for name in names],
        step=QUARTER,
        feeder=lab.limits(import_kw=60.0),
    )


# ---------------------------------------------------------------- what was announced


@pytest.mark.parametrize(
    ("gap", "announced", "starts"),
    [
        pytest.param(0.5, 4, (4,), id="good enough: kept"),
        pytest.param(1e-6, 4, (1,), id="better by more than the gap: moved"),
        pytest.param(0.5, 1, (1,), id="the best one: kept"),
    ],
)
def test_an_announced_start_is_kept_where_it_is_good_enough(
    lab: Any, gap: float, announced: int, starts: tuple[int, ...]
) -> None:
    """Also where the relaxation knows a better one by itself."""
    view = lab.view(
        lab.run(),
        price=[0.2, 0.1, 0.1, 0.2, 0.11, 0.11, 0.2, 0.2],
        readings=[lab.reading("oven")],
        step=QUARTER,
    )
    preferred = {"oven": (lab.noon + announced * QUARTER,)}

    assert lab.plan(view, gap=gap, preferred=preferred).starts["oven"] == starts


def test_announced_starts_that_have_passed_are_forgotten(lab: Any) -> None:
    view = knapsack(lab)
    preferred = {f"oven-{i}": (lab.noon - timedelta(days=1),) for i in range(4)}

    kept, fresh = lab.plan(view, preferred=preferred), lab.plan(view)

    assert kept.cost == pytest.approx(fresh.cost, rel=1e-5)


def test_decisions_near_the_relaxation_are_always_possible(lab: Any) -> None:
    for seed in range(40):
        view, terms = lab.random(seed, runs=3, processes=3)
        programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        relaxed = solve_lp(programme, {}, NEVER)
        assert isinstance(relaxed, LpSolution)
        rng = np.random.default_rng(seed)
        wished: dict[Any, tuple[datetime, ...]] = {
            r.resource_id: tuple(
                view.horizon.start + int(step) * QUARTER for step in rng.integers(0, 28, 3)
            )
            for r in view.park.resources
        }

        chosen = near(
            programme,
            relaxed.x,
            view.horizon,
            Announced({name: [(m, None) for m in at] for name, at in wished.items()}),
        )

        assert set(chosen) == set(programme.integral.tolist())
        assert set(chosen.values()) <= {0.0, 1.0}
        assert isinstance(solve_lp(programme, chosen, NEVER), LpSolution), seed


def test_an_announced_call_is_kept_alone_and_rounded_ones_do_not_touch_it(lab: Any) -> None:
    """The relaxation calls at 13:00; 14:00 was announced, and two calls must not touch."""
    view = lab.view(
        lab.process(max_calls_per_day=2),
        price=[0.1, 0.7, 0.65, 0.1],
        readings=[lab.reading("mill")],
    )
    preferred = {"mill": (lab.noon + timedelta(hours=2),)}

    assert lab.plan(view, gap=0.5, preferred=preferred).starts["mill"] == (2,)
    assert lab.plan(view, gap=1e-6, preferred=preferred).starts["mill"] == (1,)


# ---------------------------------------------------------------- the whole search


def test_where_the_parts_do_not_prove_enough_the_whole_is_searched(lab: Any) -> None:
    """Runs that share a feeder: their parts alone cannot see how they fit together."""
    view = knapsack(lab)
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=lab.excess_per_kwh)

    loose = search(programme, view.horizon, Announced(), gap=0.9, deadline=NEVER)
    tight = search(programme, view.horizon, Announced(), gap=1e-6, deadline=NEVER)

    assert not isinstance(loose, Unsolved)
    assert not isinstance(tight, Unsolved)
    assert tight[1] > loose[1]  # the whole search proved what the parts could not
    assert tight[0].cost <= loose[0].cost
    assert relative_gap(tight[0].cost, tight[1]) <= 1e-6


def test_no_order_of_starts_is_cheaper_than_the_plan(lab: Any) -> None:
    view = knapsack(lab, runs=3)
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=lab.excess_per_kwh)
    schedule = lab.plan(view)
    groups = np.array([start.group for start in programme.fleet.starts.possible])
    columns = programme.fleet.starts.chosen

    cheapest = np.inf
    for pick in np.ndindex(*(int((groups == g).sum()) for g in range(3))):
        chosen = dict.fromkeys(columns.tolist(), 0.0)
        for group, number in enumerate(pick):
            chosen[int(columns[groups == group][number])] = 1.0
        solution = solve_lp(programme, chosen, NEVER)
        assert isinstance(solution, LpSolution)
        cheapest = min(cheapest, solution.cost)

    assert schedule.cost == pytest.approx(cheapest, rel=1e-6)


@pytest.mark.parametrize(
    ("limits", "per_kw"),
    [
        pytest.param({"import_kw": 50.0}, -0.3, id="a kW more of import: 0.30 earned later"),
        pytest.param({"export_kw": 50.0}, -0.3, id="a kW more of export: 0.40, not 0.10"),
    ],
)
def test_a_limit_that_binds_has_the_price_of_a_kilowatt_more(
    lab: Any, limits: dict[str, float], per_kw: float
) -> None:
    """Charge at 0.10 or sell at 0.40. The row's side moves with the limit: -import, +export."""
    view = lab.view(
        lab.battery(),
        price=[0.1, 0.4],
        readings=[lab.reading("bat", soc=0.0 if "import_kw" in limits else 0.8)],
        limits=lab.limits(**limits),
    )
    terms = lab.terms(view, stored_value_per_kwh=0.0)
    programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)

    solution = solve_lp(programme, {}, NEVER)

    assert isinstance(solution, LpSolution)
    side = -1.0 if "import_kw" in limits else 1.0
    words = f"park test: {next(iter(limits))}"
    (shared,) = (n for n in programme.named if n.words == (words,) and n.side in ROWS)
    found = side * solution.row_marginals[shared.index]
    assert found.min() == pytest.approx(per_kw)
    assert found.max() <= 1e-9  # more room never costs


# ---------------------------------------------------------------- time


class Stopwatch:
    """Reads out the given seconds, then stays at the last one: time without waiting."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self._seconds: Iterator[float] = iter(seconds)
        self._now = 0.0

    def __call__(self) -> float:
        self._now = next(self._seconds, self._now)
        return self._now


@pytest.mark.parametrize("readings", range(1, 14))
def test_where_time_runs_out_a_plan_says_how_far_it_may_be_from_the_best(
    lab: Any, readings: int
) -> None:
    """The time is up after the n-th look at the watch: from then on each search has 0.01 s."""
    view = knapsack(lab)
    problem = lab.problem(view, gap=1e-6, soft_s=10.0)
    truth = lab.plan(view).cost

    outcome = lab.solve(problem, Stopwatch([0.0] * readings + [1e9]))

    if isinstance(outcome, Unsolved):
        assert "ime limit" in outcome.reason
        return
    schedule = outcome.schedule
    assert lab.violations(schedule, view, problem.terms) == ()
    assert schedule.cost >= truth - 1e-6
    assert schedule.cost * (1 - schedule.gap) <= truth + 1e-6  # the bound is a bound
    assert isinstance(outcome, Optimal) == (schedule.gap <= 1e-6)
    if isinstance(outcome, Feasible):
        assert outcome.gap == schedule.gap > 1e-6


def test_a_large_search_without_time_is_never_called_optimal(lab: Any) -> None:
    """Forty runs that fight over a feeder, and no time to sort them out."""
    names = [f"oven-{number}" for number in range(40)]
    rng = np.random.default_rng(3)
    view = lab.view(
        *(
            lab.run(
                name,
                profile_kw=tuple(rng.uniform(10, 60, 5).tolist()),
                latest_end=lab.clock("20:00"),
            )
            for name in names
        ),
        price=rng.uniform(0.1, 0.3, 32).tolist(),
        readings=[lab.reading(name) for name in names],
        step=QUARTER,
        feeder=lab.limits(import_kw=300.0),
    )
    problem = lab.problem(view, gap=1e-9, soft_s=0.3)

    outcome = lab.outcome(view, gap=1e-9, soft_s=0.3)

    assert isinstance(outcome, Feasible | Unsolved)
    if isinstance(outcome, Feasible):
        assert outcome.gap > 1e-9
        assert lab.violations(outcome.schedule, view, problem.terms) == ()


def test_an_impossible_programme_is_unsolved_in_words(lab: Any) -> None:
    view = lab.view(lab.battery(), price=[0.1], readings=[lab.reading("bat", soc=0.5)])
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)
    impossible = replace(programme, row_lower=programme.row_lower + 1e3, row_upper=programme.row_upper + 1e3)  # fmt: skip

    found = search(impossible, view.horizon, Announced(), gap=1e-3, deadline=NEVER)

    assert isinstance(found, Unsolved)
    assert found.reason.startswith("LP: ")


def test_the_same_input_gives_the_same_plan_and_digest(lab: Any) -> None:
    one, other = (lab.plan(*lab.random(5)) for _ in range(2))

    assert one.input_digest == other.input_digest
    assert one.power_kw.tobytes() == other.power_kw.tobytes()
    assert lab.plan(*lab.random(6)).input_digest != one.input_digest


@pytest.mark.parametrize("where", ["cost", "lower", "row_upper"])
def test_one_number_that_differs_or_two_that_change_places_give_another_digest(
    lab: Any, where: str
) -> None:
    view = lab.view(lab.battery(), price=[0.1, 0.3], readings=[lab.reading("bat", soc=0.5)])
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)
    numbers = np.arange(2.5 * BLOCK_BYTES // 8)
    other, swapped = numbers.copy(), numbers.copy()
    other[-1] = np.nextafter(other[-1], np.inf)
    swapped[[0, -1]] = swapped[[-1, 0]]

    def digest(of: Any) -> str:
        changed: dict[str, Any] = {where: of}
        return replace(programme, **changed).digest()

    found = {digest(of) for of in (numbers, other, swapped, numbers[:-1])}

    assert len(found) == 4
    assert digest(numbers.copy()) in found


# ---------------------------------------------------------------- bounds


def test_the_bound_of_the_parts_lies_between_the_relaxation_and_the_truth(lab: Any) -> None:
    better = 0
    for seed in range(60):
        view, terms = lab.random(seed, runs=3, processes=3)
        programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        relaxed = solve_lp(programme, {}, NEVER)
        assert isinstance(relaxed, LpSolution)
        if relaxed.chosen(programme) is not None:
            continue  # nothing to search
        rounded = near(programme, relaxed.x, view.horizon, Announced())

        _, bound = by_parts(programme, relaxed, rounded, gap=1e-9, deadline=NEVER)

        truth = lab.true_cost(view, terms)
        assert truth is not None
        assert relaxed.cost - 1e-9 <= bound <= truth + 1e-6 * max(abs(truth), 1.0), seed
        better += bound > relaxed.cost + 1e-6
    assert better >= 5
