"""What an operator holds at a power is planned at that power; by hand, and in random parks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.plan.test_hedge import planned
from tests.plan.test_reserve import product
from vpp.model.horizon import Profile
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER
from vpp.plan.held import held_course_kw
from vpp.plan.problem import Future, Method
from vpp.plan.terms import EnergyPrice, Term
from vpp.plan.view import PlanningView

BAT, CP = ResourceId("bat"), ConnectionPointId("cp-a")


def held(view: PlanningView, power_kw: float, steps: int, name: ResourceId = BAT) -> PlanningView:
    """The view, with a store in hand for the first steps."""
    store, reading = view.park.resource_by_id[name], view.state.reading(name)
    assert isinstance(store, Storage)
    assert reading is not None
    assert reading.soc is not None
    course_kw = held_course_kw(view, store, reading.soc, power_kw, steps)
    return replace(view, held_kw={**view.held_kw, name: course_kw})


def empty(lab: Any, price: list[float], **sizes: Any) -> PlanningView:
    view: PlanningView = lab.view(
        lab.battery(**sizes), price=price, readings=[lab.reading("bat", soc=0.0)]
    )
    return view


@pytest.mark.parametrize("method", [Method.HIGHS, Method.STRUCTURED])
def test_a_store_in_hand_is_planned_at_its_power_and_what_it_then_holds_is_sold(
    lab: Any, method: Method
) -> None:
    """Left to itself it would buy where that is cheapest, in the second step."""
    view = empty(lab, [0.2, 0.1, 0.3])
    assert lab.power(_by(lab, view, method), "bat").tolist() == [0, -100, 100]

    plan = _by(lab, held(view, -60.0, 1), method)

    assert lab.power(plan, "bat").tolist() == [-60, -40, 100]
    assert plan.left_alone[BAT].tolist() == [True, False, False]


def _by(lab: Any, view: PlanningView, method: Method) -> Schedule:
    problem = lab.problem(view)
    outcome = lab.solve(replace(problem, options=replace(problem.options, method=method)))
    schedule: Schedule = lab.schedule_of(outcome)
    assert schedule.how.structured == (method is Method.STRUCTURED)
    assert lab.violations(schedule, view, problem.terms) == ()
    return schedule


def test_it_goes_on_until_it_is_full_and_no_further(lab: Any) -> None:
    view = empty(lab, [0.2, 0.1, 0.3], charge_efficiency=0.5)
    (store,) = view.park.kindred(Storage).units

    assert held_course_kw(view, store, 0.6, -60.0, 3) == pytest.approx([-60, -20, 0])
    assert held_course_kw(view, store, 0.6, 50.0, 2)[:2] == pytest.approx([50, 10])
    plan = lab.plan(held(view, -60.0, 3))
    assert lab.power(plan, "bat").tolist() == [-60, -60, -60]


def test_near_its_ends_it_does_less_as_it_tapers(lab: Any) -> None:
    """Above half full 100 kW fall to nothing: 50 of them are left at 0.75, 25 a quarter-hour later."""
    view = lab.view(
        lab.battery(charge_taper_soc=0.5),
        price=[0.2] * 3,
        step=QUARTER,
        readings=[lab.reading("bat", soc=0.75)],
    )

    plan = lab.plan(held(view, -100.0, 2))

    assert lab.power(plan, "bat")[:2] == pytest.approx([-50, -25], abs=1e-4)


def test_it_keeps_no_reserve_while_it_is_in_hand(lab: Any) -> None:
    """Half full it could keep 50 kW up for an hour, and by ending to charge more yet."""
    view = lab.view(lab.battery(), price=[0.0, 0.0], readings=[lab.reading("bat", soc=0.5)])
    term = product("bat", price_per_kw_h=1.0, steps=2)

    plan = lab.plan(held(view, -10.0, 1), [*lab.terms(view), term])

    reserve = plan.reserve[term.key]
    kept = np.round(reserve.kept_kw[BAT], 5)
    assert kept[0] == 0
    assert kept[1] > 50
    some = np.array([5.0, 0.0])
    for relief in (some, 0 * some):  # ending to charge, or feeding beside it
        more = replace(
            reserve,
            kept_kw={BAT: reserve.kept_kw[BAT] + some},
            relief_kw={BAT: reserve.relief_kw[BAT] + relief},
        )
        wrong = replace(plan, reserve={term.key: more})
        said = lab.violations(wrong, held(view, -10.0, 1), [*lab.terms(view), term])
        assert any(("relief" if relief.any() else "extra") in one for one in said)


def test_what_an_operator_takes_out_does_not_break_a_plan_by_its_cycles(lab: Any) -> None:
    view = lab.view(
        lab.battery(max_cycles_per_day=0.2), price=[0.1, 0.9], readings=[lab.reading("bat", soc=1)]
    )

    plan = lab.plan(held(view, 50.0, 1))

    assert lab.power(plan, "bat").tolist() == [50, 0]


@pytest.mark.parametrize("method", [Method.HIGHS, Method.STRUCTURED])
def test_a_store_that_loses_may_be_left_below_its_floor_by_who_holds_it(
    lab: Any, method: Method
) -> None:
    """Emptied to its floor and held on, it loses a tenth an hour; 2 kW afterwards do not lift it to the floor."""
    battery = lab.battery(min_soc=0.4, standing_loss_per_h=0.1, max_charge_kw=2.0)
    view = lab.view(battery, price=[0.1] * 4, readings=[lab.reading("bat", soc=0.5)])

    plan = _by(lab, held(view, 50.0, 3), method)

    assert lab.power(plan, "bat")[:3] == pytest.approx([5, 0, 0], abs=1e-4)
    assert plan.stored_kwh[BAT][:3] == pytest.approx([40, 36, 32.4], abs=1e-4)


@pytest.mark.parametrize("taper", [1.0, 0.5])
def test_where_its_owner_wants_it_left_alone_it_does_nothing_whoever_holds_it(
    lab: Any, taper: float
) -> None:
    view = empty(lab, [0.2, 0.1, 0.3], charge_taper_soc=taper)
    view = replace(view, left_alone={BAT: np.array([False, True, False])})

    plan = lab.plan(held(view, -20.0, 3))

    assert lab.power(plan, "bat").tolist() == [-20, 0, -20]


@pytest.mark.parametrize("method", [Method.HIGHS, Method.STRUCTURED])
def test_what_it_is_held_at_holds_in_a_future_in_which_less_of_its_power_is_there(
    lab: Any, method: Method
) -> None:
    battery = lab.battery(capacity_kwh=1e3, charge_taper_soc=0.5, power_series_id="share")
    view = lab.view(battery, price=[0.2, 0.1, 0.3], readings=[lab.reading("bat", soc=0.75)])
    whole = replace(view, power_share={"share": Profile(view.horizon, np.ones(3))})
    half = {"share": Profile(view.horizon, np.full(3, 0.5))}

    plan = _by(lab, replace(held(whole, -50.0, 1), power_share=half), method)

    assert lab.power(plan, "bat")[0] == pytest.approx(-50, abs=1e-4)
    half_held = held(replace(view, power_share=half), -100.0, 1)
    assert half_held.held_kw[BAT][0] == pytest.approx(-25)


def test_a_power_too_small_for_a_solver_to_tell_is_none(lab: Any) -> None:
    """As good as full, its on or off, where prices below 0 ask for one, would forbid what it is held at."""
    battery = lab.battery(charge_efficiency=0.9, charge_taper_soc=0.9, standing_loss_per_h=0.1)
    view = lab.view(
        battery, price=[-0.1] * 10, step=QUARTER, readings=[lab.reading("bat", soc=0.8)]
    )
    view = held(view, -100.0, 10)

    plan = lab.plan(view)

    charged_kw = -lab.power(plan, "bat")
    assert ((charged_kw == 0) | (charged_kw > 1)).all()


def test_a_plan_that_lets_go_of_it_is_found_wrong(lab: Any) -> None:
    view = empty(lab, [0.2, 0.1, 0.3])
    terms = lab.terms(view)
    free = lab.plan(view, terms)

    (first, *_) = lab.violations(free, held(view, -60.0, 1), terms)

    assert "bat" in first
    assert "max_charge_kw" in first


@pytest.mark.parametrize("method", [Method.HIGHS, Method.STRUCTURED])
def test_it_is_held_in_every_future_too(lab: Any, method: Method) -> None:
    """Energy costs 0.20 now, and 0.10 or 0.50 later: what is in by then is sold, 30 kWh each time."""

    def terms(later: float) -> tuple[Term, ...]:
        price = np.array([0.2, later])
        return (EnergyPrice(connection_point_id=CP, import_per_kwh=price, export_per_kwh=price),)

    view = held(empty(lab, [0.0, 0.0]), -30.0, 1)
    futures = [Future(view=view, terms=terms(later)) for later in (0.1, 0.5)]

    plan, told = planned(lab, view, terms(0.15), futures, method=method)

    assert lab.power(plan, "bat").tolist() == [-30, 30]
    assert told.costs == pytest.approx([6 - 3, 6 - 15], abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_in_random_parks_there_is_a_plan_whatever_is_held(lab: Any, seed: int) -> None:
    rng = np.random.default_rng([seed, 11])
    view, terms = lab.random(seed, runs=0, processes=0, zones=0, storages=4)
    for one in view.park.kindred(Storage).units:
        reading = view.state.reading(one.resource_id)
        if reading is None or reading.soc is None:
            continue
        view = _worn(rng, view, one)
        power_kw = float(rng.uniform(-one.max_charge_kw, one.max_discharge_kw))
        view = held(view, power_kw, int(rng.integers(1, view.horizon.steps + 1)), one.resource_id)

    plan = lab.schedule_of(lab.outcome(view, terms))

    assert lab.violations(plan, view, terms) == ()
    for name, course_kw in view.held_kw.items():
        hand = ~np.isnan(course_kw)
        assert lab.power(plan, name)[hand] == pytest.approx(course_kw[hand], abs=1e-4)


def _worn(rng: np.random.Generator, view: PlanningView, store: Storage) -> PlanningView:
    """The view with a store that loses by itself, tapers and has cycles of a day, some of it at least."""
    worn = replace(
        store,
        standing_loss_per_h=float(rng.choice([0.0, 0.01, 0.1])),
        charge_taper_soc=float(rng.choice([1.0, 0.9, 0.5, 0.0])),
        discharge_taper_soc=float(rng.choice([0.0, 0.1, 0.5, 1.0])),
        max_cycles_per_day=(None, 0.05, 0.5)[int(rng.integers(3))],
    )
    resources = tuple(worn if one is store else one for one in view.park.resources)
    return replace(view, park=replace(view.park, resources=resources))
