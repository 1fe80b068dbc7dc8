"""What holds for every plan of every park, whatever its numbers are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from math import inf
from typing import Any

import numpy as np
import pytest

from tests.plan.independent import electric, networks
from tests.plan.independent.parks import random_park
from vpp.model.horizon import Horizon, Profile
from vpp.model.park import Limits
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Optimal, Schedule, Unsolved
from vpp.model.time import QUARTER
from vpp.plan.terms import (
    ActivityPrice,
    CarbonPrice,
    CarDeadline,
    EnergyTarget,
    OpenTrade,
    PeakCharge,
    ReserveHeadroom,
    StoredFloor,
    Term,
)
from vpp.plan.view import PlanningView

SEEDS = range(300, 325)
GAP = 1e-7
KW = 1e-4
"""What the solver's rounding may come to."""

Case = tuple[PlanningView, tuple[Term, ...]]


def plan(lab: Any, case: Case, *, money: float = 1.0) -> Schedule | None:
    """The best plan, None where none is possible."""
    view, terms = case
    problem = lab.problem(view, terms, gap=GAP)
    options = replace(problem.options, limit_excess_price_per_kwh=money * lab.excess_per_kwh)
    outcome = lab.solve(replace(problem, options=options))
    if isinstance(outcome, Unsolved):
        assert outcome.infeasible
        return None
    assert isinstance(outcome, Optimal), outcome
    return outcome.schedule


def cost(schedule: Schedule | None) -> float:
    return inf if schedule is None else schedule.cost


# ---------------------------------------------------------------- balances and limits


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_fed_is_drawn_at_every_point_and_node(lab: Any, seed: int) -> None:
    view, terms = random_park(seed)
    schedule = plan(lab, (view, terms))
    if schedule is None:
        return
    park, hours = view.park, view.horizon.step
    into: dict[str, Any] = defaultdict(lambda: np.zeros(view.horizon.steps))
    for r, power in zip(park.resources, schedule.power_kw, strict=True):
        into[r.node_id or r.connection_point_id] += power
        for node, flow in schedule.port_kw.get(r.resource_id, {}).items():
            into[node] += flow
    for pipe in park.pipes:
        enters = schedule.pipe_kw[pipe.pipe_id]
        late = round(pipe.delay / hours)
        into[pipe.from_node_id] -= enters
        into[pipe.to_node_id][late:] += (1 - pipe.loss_share) * enters[: len(enters) - late]

    for point, power in schedule.connection_point_kw.items():
        np.testing.assert_allclose(into[point], power, atol=KW)
    for place in park.nodes:
        over = into[place.node_id] + schedule.lacking_kw[place.node_id]
        spilled = schedule.spilled_kw.get(place.node_id, np.zeros(view.horizon.steps))
        np.testing.assert_allclose(over, spilled, atol=KW)
    np.testing.assert_allclose(sum(schedule.connection_point_kw.values()), schedule.net_kw, atol=KW)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_size_is_exceeded(lab: Any, seed: int) -> None:
    view, terms = random_park(seed)
    schedule = plan(lab, (view, terms))
    if schedule is None:
        return
    park = view.park
    power = dict(zip(schedule.resource_ids, schedule.power_kw, strict=True))
    for r in park.resources:
        most = r.draw_kw
        if isinstance(r, InterruptibleLoad) and r.rebound is not None:
            most += r.rebound.share * r.draw_kw * 4  # what is made up for comes on top
        if isinstance(r, Converter):
            most += r.standby_kw
        if isinstance(r, Converter) or r.resource_id not in view.base_kw:
            assert (power[r.resource_id] >= -most - KW).all(), r.resource_id
            assert (power[r.resource_id] <= r.feed_kw + KW).all(), r.resource_id
        if isinstance(r, Storage) and r.resource_id in schedule.stored_kwh:
            stored = schedule.stored_kwh[r.resource_id]
            assert (stored >= -KW).all()
            assert (stored <= r.capacity_kwh + KW).all()
    for pipe in park.pipes:
        assert (schedule.pipe_kw[pipe.pipe_id] <= pipe.max_kw + KW).all()
    for group in park.groups:
        drawn = sum(np.maximum(-power[name], 0.0) for name in group.resource_ids)
        assert (drawn <= group.max_draw_kw + KW).all(), group.group_id


# ---------------------------------------------------------------- freedom


def _resources(view: PlanningView, change: Callable[[Any], Any]) -> PlanningView:
    park = view.park
    return replace(view, park=replace(park, resources=tuple(change(r) for r in park.resources)))


def _with(of: type[Any] | tuple[type[Any], ...], **fields_: Any) -> Callable[[Case], Case]:
    """The same park, with other values in every resource of some kinds."""

    def freer(case: Case) -> Case:
        def change(r: Any) -> Any:
            if not isinstance(r, of):
                return r
            said = {k: v(r) if callable(v) else v for k, v in fields_.items()}
            return replace(r, **said)

        return _resources(case[0], change), case[1]

    return freer


def _park(**fields_: Any) -> Callable[[Case], Case]:
    def freer(case: Case) -> Case:
        view, terms = case
        said = {k: v(view.park) if callable(v) else v for k, v in fields_.items()}
        return replace(view, park=replace(view.park, **said)), terms

    return freer


def _term(of: type[Any], change: Callable[[Any], Term]) -> Callable[[Case], Case]:
    def freer(case: Case) -> Case:
        view, terms = case
        return view, tuple(change(t) if isinstance(t, of) else t for t in terms)

    return freer


def _no_rules(r: Any) -> Any:
    if r.on_off is None:
        return None
    none = timedelta(0)
    return replace(r.on_off, min_up=none, min_down=none, max_starts_per_day=None)


FREEDOMS: dict[str, Callable[[Case], Case]] = {
    "no limits at points": _park(
        connection_points=lambda park: tuple(
            replace(p, limits=Limits()) for p in park.connection_points
        )
    ),
    "no limits of park and feeders": _park(
        limits=Limits(),
        feeders=lambda park: tuple(replace(f, limits=Limits()) for f in park.feeders),
    ),
    "no limits of enterprises": _park(
        enterprises=lambda park: tuple(replace(e, limits=Limits()) for e in park.enterprises)
    ),
    "no groups": _park(groups=()),
    "no orders": lambda case: (replace(case[0], limit_orders=()), case[1]),
    "larger pipes": _park(
        pipes=lambda park: tuple(replace(p, max_kw=2 * p.max_kw) for p in park.pipes)
    ),
    "spilling at home": _park(
        nodes=lambda park: tuple(
            replace(n, spill_cost_per_kwh=min(n.spill_cost_per_kwh or 0.0, 0.0)) for n in park.nodes
        )
    ),
    "stronger stores": _with(
        Storage,
        max_charge_kw=lambda r: 2 * r.max_charge_kw,
        max_discharge_kw=lambda r: r.max_discharge_kw + 9,
    ),
    "stores without their own rules": _with(
        Storage,
        min_soc=0.0,
        final_soc=None,
        reserve_soc=0.0,
        charge_taper_soc=1.0,
        discharge_taper_soc=0.0,
        max_cycles_per_day=None,
        power_series_id=None,
    ),
    "no wear": _with((Storage, EvFleet), wear_cost_per_kwh=0.0),
    "no ramps": _with((Generator, FlexibleLoad, Converter), ramp_kw_per_min=inf),
    "machines without rules": _with((Generator, FlexibleLoad, Converter), on_off=_no_rules),
    "any draw will do": _with(FlexibleLoad, bands_kw=()),
    "no must-run": _with(Generator, must_run_share=0.0),
    "calls without rules": _with(
        CurtailableLoad,
        max_calls_per_day=None,
        rest=timedelta(0),
        longest_call=None,
        notice=timedelta(0),
    ),
    "more calls": _with(InterruptibleLoad, max_calls_per_day=9, notice=timedelta(0)),
    "a wider comfort": _with(ThermalZone, min_degc=15.0, max_degc=27.0),
    "stronger chargers": _with(EvFleet, charger_kw=20.0, max_draw_kw=lambda r: r.max_draw_kw + 20),
    "more room to trade": _term(OpenTrade, lambda t: replace(t, max_kw=t.max_kw + 25.0)),
    "peaks paid already": _term(PeakCharge, lambda t: replace(t, free_kw=t.free_kw + 30.0)),
    "less reserve owed": _term(
        ReserveHeadroom, lambda t: replace(t, firm_kw=t.firm_kw / 2, survives_largest=False)
    ),
    "a lower share of a car": _term(
        CarDeadline, lambda t: replace(t, charged_kwh=t.charged_kwh / 2)
    ),
    "a lower floor": _term(
        StoredFloor,
        lambda t: replace(t, least_kwh={name: kwh / 2 for name, kwh in t.least_kwh.items()}),
    ),
    "a lower target": _term(EnergyTarget, lambda t: replace(t, stored_kwh=t.stored_kwh / 2)),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_more_freedom_never_costs_more(lab: Any, seed: int) -> None:
    """Every freedom at this park; those that change nothing there are not planned again."""
    case = random_park(seed)
    usual = cost(plan(lab, case))
    for what, freer in FREEDOMS.items():
        other = freer(case)
        if _same(case, other):
            continue
        assert cost(plan(lab, other)) <= usual + 1e-6 * max(abs(usual), 1.0), what


def _same(one: Case, other: Case) -> bool:
    """Whether a freedom found nothing to change."""
    parks = one[0].park == other[0].park and one[0].limit_orders == other[0].limit_orders
    return parks and all(a is b for a, b in zip(one[1], other[1], strict=True))


# ---------------------------------------------------------------- money, order, time

PHYSICAL = {
    *("resistance_degc_per_kw", "capacity_kwh_per_degc", "cop_per_degc", "per_degc"),
    *("max_calls_per_day", "runs_per_day", "max_cycles_per_day", "max_hours_per_day"),
    *("standing_loss_per_h", "kgco2_per_kwh", "grid_kgco2_per_kwh", "kwh_per_unit"),
    *("ramp_kw_per_min", "max_starts_per_day", "electricity_per_kwh"),
}
"""Fields whose names look like prices."""


def dearer(thing: Any, times: float) -> Any:
    """The same thing with every price and cost multiplied."""
    said = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if field.name == "on_off" and value is not None:
            said[field.name] = dearer(value, times)
        elif field.name in PHYSICAL or value is None:
            continue
        elif "_per_" in field.name or "cost" in field.name:
            said[field.name] = value * times
    return replace(thing, **said)


@pytest.mark.parametrize("seed", SEEDS)
def test_other_money_is_the_same_plan(lab: Any, seed: int) -> None:
    """All prices and costs times seven: the bill times seven."""
    view, terms = random_park(seed)
    one = cost(plan(lab, (view, terms)))
    park = replace(
        view.park,
        resources=tuple(dearer(r, 7.0) for r in view.park.resources),
        nodes=tuple(dearer(n, 7.0) for n in view.park.nodes),
        pipes=tuple(dearer(p, 7.0) for p in view.park.pipes),
    )

    dear = plan(lab, (replace(view, park=park), tuple(dearer(t, 7.0) for t in terms)), money=7.0)

    assert cost(dear) == pytest.approx(7 * one, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_resources_changes_nothing(lab: Any, seed: int) -> None:
    view, terms = random_park(seed)
    one = plan(lab, (view, terms))
    order = np.random.default_rng(seed).permutation(len(view.park.resources))
    park = replace(view.park, resources=tuple(view.park.resources[i] for i in order))
    state = replace(view.state, resources=tuple(view.state.resources[i] for i in order))

    other = plan(lab, (replace(view, park=park, state=state), terms))

    assert cost(other) == pytest.approx(cost(one), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_halving_the_steps_changes_nothing(lab: Any, seed: int) -> None:
    """With equal data in both halves, where nothing has times of its own, or burns what it stores."""
    case = plain(random_park(seed, HALVES))
    finer = halved(*case)

    assert finer[0].horizon.step * 2 == case[0].horizon.step
    assert cost(plan(lab, finer)) == pytest.approx(cost(plan(lab, case)), rel=1e-6, abs=1e-6)


HALVES = (
    *(electric.fixed, electric.storage, electric.weather, electric.engine),
    *(electric.curtailable, electric.flexible),
    *(networks.heat_pump, networks.power_and_heat, networks.hydrogen),
)
NONE = timedelta(0)
PLAIN: dict[type[Any], dict[str, Any]] = {
    Storage: {
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
        "standing_loss_per_h": 0.0,
        "charge_taper_soc": 1.0,
        "discharge_taper_soc": 0.0,
        "reserve_soc": 0.0,
        "max_cycles_per_day": None,
    },
    Generator: {"on_off": None, "max_hours_per_day": None, "ramp_kw_per_min": inf},
    CurtailableLoad: {
        "max_calls_per_day": None,
        "rest": NONE,
        "longest_call": None,
        "notice": NONE,
    },
    FlexibleLoad: {"bands_kw": (), "on_off": None, "ramp_kw_per_min": inf},
    Converter: {
        "on_off": None,
        "running_cost_per_h": 0.0,
        "standby_kw": 0.0,
        "ramp_kw_per_min": inf,
    },
}


def plain(case: Case) -> Case:
    view, terms = case
    view = _resources(view, lambda r: replace(r, **PLAIN.get(type(r), {})))
    if view.horizon.step != QUARTER:  # windows begin within steps
        of = _with(FlexibleLoad, windows=())
        view, _ = of((view, terms))
    pipes = tuple(
        replace(p, delay=round(p.delay / view.horizon.step) * view.horizon.step)
        for p in view.park.pipes
    )
    view = replace(view, park=replace(view.park, pipes=pipes, groups=()), limit_orders=())
    return view, tuple(t for t in terms if not isinstance(t, ReserveHeadroom | ActivityPrice))


def _kept(term: Any, steps: int) -> dict[str, Any]:
    """What is asked at the end of whole steps is asked at the end of every second one."""
    match term:
        case EnergyTarget():
            return {"step": 2 * term.step + 1}
        case CarDeadline():
            return {"step": 2 * term.step}
        case StoredFloor():
            nothing = np.full(steps, np.nan)
            both = {n: np.column_stack((nothing, kwh)).ravel() for n, kwh in term.least_kwh.items()}
            return {"least_kwh": both, "shortfall_per_kwh_h": 2 * term.shortfall_per_kwh_h}
        case _:
            return {}


def halved(view: PlanningView, terms: tuple[Term, ...]) -> Case:
    """Each step as two of half its length, with the same data."""
    h = view.horizon
    horizon = Horizon(h.start, h.step / 2, 2 * h.steps)

    def twice(thing: Any) -> Any:
        if isinstance(thing, Profile):
            return Profile(horizon, np.repeat(thing.values, 2))
        if isinstance(thing, np.ndarray):
            return np.repeat(thing, 2)
        if isinstance(thing, Mapping):
            return {key: twice(value) for key, value in thing.items()}
        return thing

    def double(term: Any) -> Any:
        said = {f.name: twice(getattr(term, f.name)) for f in fields(term)}
        if isinstance(term, PeakCharge):
            for name in ("first_step", "last_step", "interval_steps", "elapsed_steps"):
                said[name] = 2 * getattr(term, name)
            if term.margin is not None:
                said["margin"] = replace(term.margin, import_kw=twice(term.margin.import_kw))
        if isinstance(term, CarbonPrice):
            last = term.last_step
            said |= {
                "first_step": 2 * term.first_step,
                "last_step": None if last is None else 2 * last,
            }
        said |= _kept(term, h.steps)
        return replace(term, **{k: v for k, v in said.items() if k != "borne_kwh"})

    values = {f.name: twice(getattr(view, f.name)) for f in fields(view)}
    return PlanningView(**(values | {"horizon": horizon})), tuple(double(t) for t in terms)
