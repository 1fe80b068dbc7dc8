"""Where plans cost the same, one that people would make is taken, and the same one each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.schedule import Feasible, Optimal, Schedule, Unsolved
from vpp.model.time import QUARTER
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.lp import Deadline, LpSolution
from vpp.plan.parts import ALONE
from vpp.plan.search import search
from vpp.plan.solve import solve
from vpp.plan.ties import LEAST_RISE, settle

NEVER = Deadline(lambda: 0.0, 1e6)
FLAT = [0.2] * 6


def planned(
    lab: Any,
    *resources: Any,
    price: Sequence[float] = FLAT,
    announced: dict[str, list[float]] | None = None,
    **more: Any,
) -> Schedule:
    """A plan from noon on, every resource heard; what was announced is by its name."""
    readings = [lab.reading(r.resource_id, **more.pop("said", {})) for r in resources]
    view = lab.view(*resources, price=price, readings=readings, **more)
    problem = replace(
        lab.problem(view),
        announced_kw={ResourceId(n): np.array(kw) for n, kw in (announced or {}).items()},
    )
    outcome = solve(problem, perf_counter)
    assert isinstance(outcome, Optimal), outcome
    assert lab.violations(outcome.schedule, view, problem.terms) == ()
    return outcome.schedule


def pump(lab: Any, name: str = "pump") -> Any:
    """20 kWh between noon and 16:00, at most 10 kW."""
    return lab.flexible(name, lab.window("12:00", "16:00", 20))


def powers(lab: Any, schedule: Schedule, name: str) -> list[float]:
    return [round(kw, 6) + 0.0 for kw in lab.power(schedule, name).tolist()]


# ---------------------------------------------------------------- what is taken


def test_at_a_flat_price_a_store_rests(lab: Any) -> None:
    """What it would buy at 0.20 it could sell at 0.20, or keep for nothing: it keeps what it has."""
    terms = {"wear_cost_per_kwh": 0.0, "final_soc": 0.5}

    schedule = planned(lab, lab.battery(**terms), said={"soc": 0.5})

    assert powers(lab, schedule, "bat") == [0] * 6
    assert schedule.ties_left == ""


def test_at_a_flat_price_work_is_done_early(lab: Any) -> None:
    assert powers(lab, planned(lab, pump(lab)), "pump") == [-10, -10, 0, 0, 0, 0]


def test_of_two_equal_machines_the_first_of_the_park_file_runs(lab: Any) -> None:
    """Both could feed 100 kW for 0.10; 60 kW may leave the site."""
    engines = [lab.source(name, cost_per_kwh=0.1) for name in ("b", "a")]

    schedule = planned(lab, *engines, point_limits=lab.limits(export_kw=60.0))

    assert powers(lab, schedule, "b") == [60] * 6
    assert powers(lab, schedule, "a") == [0] * 6


def test_the_sun_is_not_curtailed_where_it_is_worth_nothing(lab: Any) -> None:
    schedule = planned(lab, lab.pv(), price=[0.0] * 3, available_kw={"pv": [5, 7, 3]})

    assert powers(lab, schedule, "pv") == [5, 7, 3]


def test_nobody_is_turned_down_for_nothing(lab: Any) -> None:
    """Turning down earns 0.20 and costs 0.20."""
    load = lab.curtailable("line", curtailment_cost_per_kwh=0.2)

    schedule = planned(lab, load, base_kw={"line": [-100.0] * 6})

    assert schedule.curtailed_kw[ResourceId("line")].tolist() == [0] * 6


@pytest.mark.parametrize(
    ("announced", "kw"),
    [
        pytest.param([0, 0, -10, -10, 0, 0], [0, 0, -10, -10, 0, 0], id="as it was announced"),
        pytest.param([0, -5, -5, -10, 0, 0], [0, -5, -5, -10, 0, 0], id="in parts"),
        pytest.param(
            [np.nan, 0, 0, -7, np.nan, np.nan],
            [-10, -3, 0, -7, 0, 0],
            id="13 kWh unannounced: early",
        ),
        pytest.param([0, -30, -30, 0, 0, 0], [0, -10, -10, 0, 0, 0], id="as near as it can"),
    ],
)
def test_of_equal_plans_the_nearest_to_the_announced_one_is_taken(
    lab: Any, announced: list[float], kw: list[float]
) -> None:
    schedule = planned(lab, pump(lab), announced={"pump": announced})

    assert powers(lab, schedule, "pump") == kw


def test_the_sun_is_used_whatever_was_announced(lab: Any) -> None:
    schedule = planned(
        lab, lab.pv(), price=[0.0] * 3, available_kw={"pv": [5, 7, 3]}, announced={"pv": [5, 5, 5]}
    )

    assert powers(lab, schedule, "pv") == [5, 7, 3]


def test_a_plan_tells_a_later_horizon_what_it_announced(lab: Any) -> None:
    schedule = planned(lab, pump(lab))
    hour = schedule.horizon.step

    later, name = Horizon(lab.noon + hour, hour, 6), ResourceId("pump")

    assert schedule.announced_kw(later)[name][:5] == pytest.approx([-10, 0, 0, 0, 0])
    assert np.isnan(schedule.announced_kw(later)[name][5])
    for other in (Horizon(lab.noon, QUARTER, 6), Horizon(lab.noon + QUARTER, hour, 6)):
        assert np.isnan(schedule.announced_kw(other)[name]).all()


def test_what_was_announced_is_left_for_a_cheaper_hour(lab: Any) -> None:
    schedule = planned(
        lab,
        pump(lab),
        price=[0.2, 0.2, 0.2, 0.1, 0.2, 0.2],
        announced={"pump": [-10, -10, 0, 0, 0, 0]},
    )

    assert powers(lab, schedule, "pump") == [-10, 0, 0, -10, 0, 0]


# ---------------------------------------------------------------- how firmly


@pytest.mark.parametrize("seed", range(8))
def test_rounding_of_a_forecast_turns_nothing_round(lab: Any, seed: int) -> None:
    """A big load beside, so that the noise is small against what the plan costs."""
    noise = 1e-9 * np.random.default_rng(seed).uniform(-1, 1, 6)
    work = pump(lab), lab.battery(final_soc=0.5, capacity_kwh=10.0), lab.load()
    loads = {"load": [-1000.0] * 6}
    said = {"soc": 0.5}

    schedule = planned(lab, *work, price=(FLAT + noise).tolist(), base_kw=loads, said=said)

    assert powers(lab, schedule, "pump") == [-10, -10, 0, 0, 0, 0]
    assert powers(lab, schedule, "bat") == [0] * 6


def test_breaking_ties_costs_nothing_and_keeps_every_rule(lab: Any) -> None:
    moved = 0
    for seed in range(60):
        view, terms = lab.random(seed)
        problem = lab.problem(view, terms)
        programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)
        found = search(programme, view.horizon, Announced(), gap=1e-6, deadline=NEVER)
        assert not isinstance(found, Unsolved)

        outcome = lab.solve(problem, perf_counter)

        assert isinstance(outcome, Optimal | Feasible)
        least = found[0].cost
        assert outcome.schedule.cost <= least + LEAST_RISE * max(abs(least), 1.0) + 1e-12
        assert lab.violations(outcome.schedule, view, terms) == ()
        assert outcome.schedule.ties_left == "", seed
        plain = (programme.power @ found[0].x).reshape(programme.base_kw.shape)
        moved += not np.allclose(programme.base_kw + plain, outcome.schedule.power_kw, atol=1e-3)
    assert moved > 10  # ties are common: without them nothing would have been tested


def test_on_off_decisions_stay_as_they_were_taken(lab: Any) -> None:
    """Two starts cost the same; whichever was announced is kept, whatever the third wish says."""
    view = lab.view(lab.run(), price=[0.2] * 8, readings=[lab.reading("oven")], step=QUARTER)

    for start in (0, 3):
        preferred = {"oven": (lab.noon + start * QUARTER,)}
        assert lab.plan(view, preferred=preferred).starts["oven"] == (start,)


# ---------------------------------------------------------------- where it does not work


def found_by_search(lab: Any) -> tuple[Any, Any, LpSolution]:
    view = lab.view(pump(lab), price=FLAT, readings=[lab.reading("pump")])
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=lab.excess_per_kwh)
    found = search(programme, view.horizon, Announced(), gap=1e-6, deadline=NEVER)
    assert not isinstance(found, Unsolved)
    return view, programme, found[0]


def test_a_large_programme_is_left_as_it_was_and_says_so(lab: Any) -> None:
    view, programme, solution = found_by_search(lab)

    settled = settle(programme, view, solution, {}, deadline=NEVER, workers=ALONE, most_columns=10)

    assert settled.solution is solution
    assert settled.left == "more than 10 columns"


@pytest.mark.parametrize(
    ("lacking_held", "left"),
    [
        pytest.param(True, "LP: ", id="the work cannot be done: no second solution"),
        pytest.param(False, "it would cost", id="the work is left undone: dearer"),
    ],
)
def test_where_the_second_solve_fails_the_plan_is_left_and_says_why(
    lab: Any, lacking_held: bool, left: str
) -> None:
    """Marginals that no optimum has hold the load at nothing."""
    view, programme, solution = found_by_search(lab)
    wrong: Floats = np.full(len(programme.cost), float(lacking_held))
    wrong[programme.fleet.market.sell] = 0.0
    wrong[programme.fleet.flexibles.draw] = 1.0

    settled = settle(
        programme,
        view,
        replace(solution, column_marginals=wrong),
        {},
        deadline=NEVER,
        workers=ALONE,
    )

    assert settled.solution.x is solution.x
    assert settled.left.startswith(left)
