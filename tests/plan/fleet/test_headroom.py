"""Trees whose stores keep reserve: solved as well as HiGHS does, proven by the programme, or refused by name."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from tests.plan.conftest import Lab
from tests.plan.independent import electric
from tests.plan.independent.parks import random_park
from vpp.model.ids import ProductId, ResourceId
from vpp.model.resource import Resource
from vpp.model.schedule import Optimal, Unsolved
from vpp.model.time import QUARTER
from vpp.plan.compile import build
from vpp.plan.fleet.choose import Chooser
from vpp.plan.fleet.fitting.chains import chains_of
from vpp.plan.fleet.fitting.ledger import Ledger
from vpp.plan.fleet.headroom.normal import factored
from vpp.plan.fleet.headroom.shape import Shape, shape_of
from vpp.plan.fleet.headroom.solve import METHOD, kept_reserve
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.lp import Deadline, LpAnswer, LpSolution, solve_lp
from vpp.plan.parts import ALONE
from vpp.plan.problem import Method
from vpp.plan.programme import Programme
from vpp.plan.solve import solve
from vpp.plan.terms import EnergyPrice, ReserveHeadroom, StoredEnergyValue, Term
from vpp.plan.view import PlanningView

STEPS = 16
KINDS = (
    *(electric.fixed, electric.storage, electric.storage, electric.storage),
    *(electric.weather, electric.curtailable, electric.flexible),
)


def deadline() -> Deadline:
    return Deadline(lambda: 0.0, 1e6)


def compiled(view: PlanningView, terms: tuple[Term, ...]) -> Programme:
    return build(view, terms, limit_excess_price_per_kwh=Lab.excess_per_kwh)


def chosen(programme: Programme) -> LpAnswer:
    return Chooser(programme, Method.STRUCTURED, NUMPY).solve({}, deadline(), ALONE)


def shaped(programme: Programme) -> Shape:
    every = np.ones(len(programme.lower), dtype=bool)
    ledger = Ledger(programme, programme.lower, programme.upper, every, one_way=False)
    found = shape_of(ledger, chains_of(programme.fleet))
    assert isinstance(found, Shape), found
    return found


def reserve(view: PlanningView, *, up: bool, **said: Any) -> ReserveHeadroom:
    """Two hours' blocks of all batteries: 40 kW owed, 200 for sale."""
    steps = view.horizon.steps
    keepers = [one.resource_id for one in view.park.resources if str(one.resource_id)[0] == "b"]
    usual: dict[str, Any] = {
        "product_id": ProductId("afrr"),
        "resource_ids": frozenset(keepers),
        "firm_kw": 40.0,
        "open_kw": 200.0,
        "price_per_kw_h": 0.02,
        "shortfall_per_kw_h": 2.0,
        "activation_hours": 1.0,
        "block_steps": 8,
    }
    values = usual | said
    for name in ("firm_kw", "open_kw", "price_per_kw_h"):
        values[name] = np.broadcast_to(np.array(values[name], dtype=float), (steps,)).copy()
    return ReserveHeadroom(up=up, **values)


def fleet(
    lab: Lab, seed: int = 1, *, least_price: float = 0.02, **said: Any
) -> tuple[PlanningView, tuple[Term, ...]]:
    """Two connection points of three batteries, a load and a roof each, short of room; one market."""
    rng = np.random.default_rng(seed)
    units: list[Resource] = []
    readings, base, sun = [], {}, {}
    for point in ("cp-a", "cp-b"):
        for i in range(3):
            name, kw = f"b{point}{i}", float(rng.uniform(20, 100))
            sizes = {"capacity_kwh": 2 * kw, "max_charge_kw": kw, "max_discharge_kw": kw}
            ways = {"charge_efficiency": 0.95, "discharge_efficiency": 0.9}
            wear = {"wear_cost_per_kwh": float(rng.uniform(0.002, 0.02))}
            units.append(lab.battery(name, point=point, **sizes, **ways, **wear))
            readings.append(lab.reading(name, soc=float(rng.uniform(0.2, 0.8))))
        units += [lab.load(f"load-{point}", point=point), lab.pv(f"pv-{point}", point=point)]
        base[f"load-{point}"] = (-rng.uniform(20, 120, STEPS)).tolist()
        sun[f"pv-{point}"] = rng.uniform(0, 80, STEPS).tolist()
    view = lab.view(
        *units,
        points=("cp-a", "cp-b"),
        price=rng.uniform(least_price, 0.3, STEPS).tolist(),
        step=QUARTER,
        readings=readings,
        base_kw=base,
        available_kw=sun,
        point_limits=lab.limits(import_kw=150.0, export_kw=120.0),
        limits=lab.limits(import_kw=260.0, export_kw=220.0),
        network_per_kwh=0.02,
    )
    both = (reserve(view, up=True, **said), reserve(view, up=False, **said))
    return view, lab.terms(view, *both, spread_per_kwh=0.004, stored_value_per_kwh=0.1)


def agrees(programme: Programme, *, method: str = METHOD) -> LpSolution:
    """Both find the same cost, and what the programme proves of it is near."""
    found, judge = chosen(programme), solve_lp(programme, {}, deadline())
    assert isinstance(found, LpSolution), found
    assert isinstance(judge, LpSolution), judge
    size = 1 + abs(judge.cost)
    assert method in found.how.method
    assert found.how.fallbacks == 0
    assert found.cost == pytest.approx(judge.cost, abs=1e-6 * size)
    assert judge.cost - 1e-6 * size < found.bound <= judge.cost + 1e-9 * size
    assert found.how.residual < 1e-7
    return found


# ------------------------------------------------------------ the algebra


@pytest.mark.parametrize("span", [3.0, 12.0])
def test_a_direction_keeps_every_row_and_leads_down_every_column(lab: Lab, span: float) -> None:
    """Against the equations themselves, weights e^-span to e^span: dx/theta - A'dy = -h, A dx = r."""
    shape = shaped(compiled(*fleet(lab)))
    rng = np.random.default_rng(5)
    theta = np.exp(rng.uniform(-span, span, len(shape.cost)))
    target, right = rng.normal(size=len(shape.cost)), rng.normal(size=len(shape.right))
    theta[-1], target[-1], right[-1] = 1e-100, 0.0, 0.0

    dx, dy = factored(shape, theta).solve(target, right)

    sizes = abs(shape.matrix) @ np.abs(dx) + 1
    assert np.abs(shape.matrix @ dx - right)[:-1].max() < 1e-9 * sizes.max()
    left = (dx / theta - shape.matrix.T @ dy + target)[:-1]
    paid = (np.abs(dx / theta) + abs(shape.matrix).T @ np.abs(dy))[:-1] + 1
    assert np.abs(left / paid).max() < 1e-9


def test_a_row_that_is_tight_moves_no_further_than_its_slack(lab: Lab) -> None:
    """Weights of 1e-18 beside 1e6: headroom that is used up stays so, to that weight."""
    shape = shaped(compiled(*fleet(lab)))
    rng = np.random.default_rng(6)
    theta = np.full(len(shape.cost), 1e6)
    own = np.unique(shape.stores.slack[shape.stores.slack < len(theta) - 1])
    tight = rng.choice(own, len(own) // 3, replace=False)
    theta[tight], theta[-1] = 1e-18, 1e-100
    target = rng.normal(size=len(theta))
    target[-1] = 0.0

    dx, dy = factored(shape, theta).solve(target, np.zeros(len(shape.right)))

    assert np.isfinite(dy).all()
    assert np.abs(dx[tight]).max() < 1e-10 * np.abs(dx).max()


# ------------------------------------------------------------ answers


def test_what_a_half_full_battery_keeps_is_what_it_can_by_hand(lab: Lab) -> None:
    """50 kWh last an hour at 50 kW, up and down, at 0.05 each: 5.00 of the sixteen quarters' hours."""
    view = lab.view(
        lab.battery("bat"), readings=[lab.reading("bat", soc=0.5)], price=[0.0], step=4 * QUARTER
    )
    said: dict[str, Any] = {"firm_kw": 0.0, "open_kw": 1000.0, "price_per_kw_h": 0.05}
    both = [reserve(view, up=up, block_steps=1, **said) for up in (True, False)]

    found = agrees(compiled(view, lab.terms(view, *both)))

    assert found.cost == pytest.approx(-5.0, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "said",
    [
        pytest.param({}, id="plain"),
        pytest.param({"firm_kw": 500.0}, id="more owed than there is"),
        pytest.param({"called_share": 0.1, "block_steps": 1}, id="calls move the store"),
        pytest.param({"held_at_end": False, "elapsed_steps": 3}, id="held as the step begins"),
        pytest.param({"least_price": -0.3}, id="prices below nothing, ways to decide"),
    ],
)
def test_a_fleet_that_sells_reserve_costs_what_highs_says(
    lab: Lab, seed: int, said: dict[str, Any]
) -> None:
    agrees(compiled(*fleet(lab, seed, **said)))


def test_random_parks_that_keep_reserve_are_right_or_refused() -> None:
    solved = 0
    for seed in range(100):
        view, terms = random_park(seed, KINDS)
        if not any(isinstance(one, ReserveHeadroom) for one in terms):
            continue
        programme = compiled(view, terms)
        every = np.ones(len(programme.lower), dtype=bool)
        kept = kept_reserve(programme, programme.lower, programme.upper, every, deadline())
        assert kept.answer is not None or len(kept.strange) or kept.given_up == 0
        if kept.answer is None:
            continue
        solved += 1
        agrees(programme)
    assert solved >= 5


def test_the_schedule_is_valid_and_says_who_made_it(lab: Lab) -> None:
    view, terms = fleet(lab, 3)
    problem = lab.problem(view, terms)
    options = replace(problem.options, method=Method.STRUCTURED)

    outcome = solve(replace(problem, options=options), perf_counter)

    assert isinstance(outcome, Optimal), outcome
    assert lab.violations(outcome.schedule, view, terms) == ()
    assert METHOD in outcome.schedule.how.method
    assert outcome.schedule.reserve["afrr up"].sold_kw.max() > 0


def test_which_way_a_store_goes_is_decided_where_it_goes_but_one(lab: Lab) -> None:
    programme = compiled(*fleet(lab, 3))
    assert programme.ways.size

    found = chosen(programme)

    assert isinstance(found, LpSolution)
    assert found.chosen(programme) is not None


# ------------------------------------------------------------ what is not covered


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"max_cycles_per_day": 1.0}, "max_cycles_per_day", id="cycles of a day"),
        pytest.param({}, "reserve afrr up: firm_kw", id="the failure of the largest"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(
    lab: Lab, change: dict[str, Any], words: str
) -> None:
    view, terms = fleet(lab, survives_largest=not change)
    if change:
        units = [
            replace(one, **change) if str(one.resource_id) == "bcp-a0" else one
            for one in view.park.resources
        ]
        view = replace(view, park=replace(view.park, resources=tuple(units)))

    found = chosen(compiled(view, terms))

    assert isinstance(found, LpSolution)
    assert METHOD not in found.how.method
    assert words in found.how.why.split("beside reserve: ")[1]


def test_a_tree_beside_reserve_stays_with_the_forest(lab: Lab) -> None:
    """Without a market nothing joins both points: one keeps reserve, the other has none to keep."""
    view, terms = fleet(lab)
    at = frozenset(ResourceId(f"bcp-a{i}") for i in range(3))
    keeping = [replace(one, resource_ids=at) for one in terms if isinstance(one, ReserveHeadroom)]
    prices = [one for one in terms if isinstance(one, EnergyPrice | StoredEnergyValue)]
    free = replace(view, park=replace(view.park, limits=lab.limits()))

    found = agrees(compiled(free, (*prices, *keeping)))

    assert found.how.method == f"{METHOD}, structured (numpy)"


def test_what_cannot_be_is_told_as_ever(lab: Lab) -> None:
    """A battery that is to be full after a quarter of an hour: no point, whoever looks for it."""
    programme = compiled(*fleet(lab))
    first = programme.fleet.storages.stored[0, 0]
    lower = programme.lower.copy()
    lower[first] = programme.upper[first]
    programme = replace(programme, lower=lower)

    for found in (solve_lp(programme, {}, deadline()), chosen(programme)):
        assert isinstance(found, Unsolved)
        assert found.infeasible
