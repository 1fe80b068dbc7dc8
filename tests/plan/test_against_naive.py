"""Random parks, planned twice: by the planner, and by the most naive model that says the same.

The naive model is written row by row from the resources and the terms, one dictionary a row, every
battery with an on/off decision in every step, every start a decision, solved by one `milp` to the
last digit. It shares no code with the planner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from vpp.model.measurement import Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.decide import by_parts
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.search import near
from vpp.plan.terms import Commitment, EnergyPrice, OpenTrade, PeakCharge, StoredEnergyValue, Term
from vpp.plan.view import PlanningView

SEEDS = range(70)
GAP = 1e-4
NEVER = Deadline(lambda: 0.0, 1e6)


class Naive:
    """A model as one would write it on a blackboard."""

    def __init__(self, view: PlanningView, terms: tuple[Term, ...], excess_per_kwh: float) -> None:
        self.view, self.terms, self.excess = view, terms, excess_per_kwh
        self.steps, self.hours = view.horizon.steps, view.horizon.step_hours
        self.cost: dict[str, float] = defaultdict(float)
        self.bounds: dict[str, tuple[float, float]] = {}
        self.whole: set[str] = set()
        self.rows: list[tuple[dict[str, float], float, float]] = []
        self.net: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        """By connection point and step: what adds to its net injection."""
        self.fixed: dict[tuple[str, int], float] = defaultdict(float)

    def var(self, name: str, low: float, high: float, cost: float = 0.0) -> str:
        self.bounds[name] = (low, high)
        self.cost[name] += cost
        return name

    def decide(self, name: str, cost: float = 0.0) -> str:
        self.whole.add(name)
        return self.var(name, 0.0, 1.0, cost)

    def row(self, row: Mapping[str, float], low: float, high: float) -> None:
        self.rows.append((dict(row), low, high))

    def solve(self) -> float:
        for resource in self.view.park.resources:
            self.resource(resource, self.view.state.reading(resource.resource_id))
        self.tree(self.view.park)
        self.market()
        names = list(self.bounds)
        column = {name: index for index, name in enumerate(names)}
        matrix = lil_array((len(self.rows), len(names)))
        for number, (row, _, _) in enumerate(self.rows):
            for name, value in row.items():
                matrix[number, column[name]] = value
        result = milp(
            np.array([self.cost[name] for name in names]),
            integrality=np.array([int(name in self.whole) for name in names]),
            bounds=Bounds(*np.array([self.bounds[name] for name in names]).T),
            constraints=LinearConstraint(
                matrix.tocsr(), [low for _, low, _ in self.rows], [high for _, _, high in self.rows]
            ),
            options={"mip_rel_gap": 1e-9},
        )
        assert result.success, result.message
        return float(result.fun)

    # ------------------------------------------------------------------ kinds

    def resource(self, r: Any, reading: Reading | None) -> None:
        name, point = r.resource_id, r.connection_point_id
        value = sum(t.price_per_kwh for t in self.terms if isinstance(t, StoredEnergyValue))
        for t in range(self.steps):
            net = self.net[point, t]
            match r:
                case FixedLoad():
                    self.fixed[point, t] += self.view.base_kw[name].values[t]
                case Generator():
                    most = max(float(self.view.available_kw[name].values[t]), 0.0)
                    net[self.var(f"{name} feeds {t}", 0, most)] = 1.0
                case EvFleet():
                    self.fixed[point, t] += self.view.arriving_kw[name].values[t]
                case _:
                    pass
        match r:
            case Storage() if reading is not None and reading.soc is not None:
                self.storage(r, reading.soc, value)
            case ThermalZone() if reading is not None:
                self.zone(r, reading, value)
            case ThermalZone():
                for t in range(self.steps):
                    self.fixed[point, t] -= self.holding_kw(r, t)
            case EvFleet():
                self.cars(r, reading)
            case InterruptibleLoad():
                self.process(r, reading)
            case ShiftableRun():
                self.run(r, reading)
            case _:
                pass

    def storage(self, r: Storage, soc: float, value: float) -> None:
        name, before = r.resource_id, soc * r.capacity_kwh
        floor, wear = min(r.min_soc * r.capacity_kwh, before), r.wear_cost_per_kwh * self.hours
        for t in range(self.steps):
            c = self.var(f"{name} charges {t}", 0, r.max_charge_kw, wear)
            d = self.var(f"{name} discharges {t}", 0, r.max_discharge_kw, wear)
            s = self.var(f"{name} stores {t}", floor, r.capacity_kwh)
            on = self.decide(f"{name} is charging {t}")
            self.row({c: 1, on: -r.max_charge_kw}, -np.inf, 0)
            self.row({d: 1, on: r.max_discharge_kw}, -np.inf, r.max_discharge_kw)
            row = {
                s: 1.0,
                c: -self.hours * r.charge_efficiency,
                d: self.hours / r.discharge_efficiency,
            }
            if t:
                row[f"{name} stores {t - 1}"] = -1.0
            self.row(row, before if t == 0 else 0, before if t == 0 else 0)
            self.net[r.connection_point_id, t] |= {c: -1.0, d: 1.0}
        self.cost[f"{name} stores {self.steps - 1}"] -= value * r.discharge_efficiency

    def zone(self, r: ThermalZone, reading: Reading, value: float) -> None:
        name, outdoor = r.resource_id, self.view.outdoor_degc[r.outdoor_series_id].values
        degc = r.target_degc if reading.temperature_degc is None else reading.temperature_degc
        price = r.discomfort_cost_per_degc_h * self.hours
        for t in range(self.steps):
            q = self.var(f"{name} draws {t}", 0, r.max_draw_kw)
            temp = self.var(f"{name} temperature {t}", -np.inf, np.inf)
            cold = self.var(f"{name} cold {t}", 0, np.inf, price)
            hot = self.var(f"{name} hot {t}", 0, np.inf, price)
            idle = r.temperature_after(0.0, 0.0, float(outdoor[t]), self.hours)
            per_kw = r.temperature_after(0.0, -1.0, float(outdoor[t]), self.hours) - idle
            kept = r.temperature_after(1.0, 0.0, float(outdoor[t]), self.hours) - idle
            row, given = {temp: 1.0, q: -per_kw}, idle
            if t:
                row[f"{name} temperature {t - 1}"] = -kept
            else:
                given += kept * degc
            self.row(row, given, given)
            self.row({temp: 1, cold: 1}, r.min_degc, np.inf)
            self.row({temp: 1, hot: -1}, -np.inf, r.max_degc)
            self.net[r.connection_point_id, t][q] = -1.0
        worth = value * r.capacity_kwh_per_degc / r.cop * (1 if r.heating else -1)
        self.cost[f"{name} temperature {self.steps - 1}"] -= worth

    def holding_kw(self, r: ThermalZone, t: int) -> float:
        low, high = 0.0, r.max_draw_kw
        outdoor = float(self.view.outdoor_degc[r.outdoor_series_id].values[t])
        for _ in range(60):  # bisection: the draw that leaves the temperature where it is
            middle = (low + high) / 2
            rises = r.temperature_after(r.target_degc, -middle, outdoor, 1.0) > r.target_degc
            low, high = (low, middle) if rises == r.heating else (middle, high)
        return (low + high) / 2

    def cars(self, r: EvFleet, reading: Reading | None) -> None:
        name = r.resource_id
        draws: dict[int, list[str]] = defaultdict(list)
        for s in (reading.sessions or ()) if reading is not None else ():
            row = {}
            for t, span in enumerate(self.view.horizon.intervals()):
                stay = min(s.departs_at, span.end) - span.start
                share = max(stay / self.view.horizon.step, 0.0)
                car = self.var(f"{name} {s.session_id} {t}", 0, r.charger_kw * share)
                draws[t].append(car)
                row[car] = self.hours * r.charge_efficiency
                self.net[r.connection_point_id, t][car] = -1.0
            row[self.var(f"{name} {s.session_id} unserved", 0, np.inf, r.unserved_cost_per_kwh)] = 1
            self.row(row, s.wanted_kwh, s.wanted_kwh)
        for t, cars in draws.items():
            room = max(r.max_draw_kw + float(self.view.arriving_kw[name].values[t]), 0.0)
            self.row(dict.fromkeys(cars, 1.0), -np.inf, room)

    def process(self, r: InterruptibleLoad, reading: Reading | None) -> None:
        name, point, starts = r.resource_id, r.connection_point_id, self.view.horizon.starts()
        zone, length = self.view.park.timezone, r.call_length // self.view.horizon.step
        local = [moment.astimezone(zone) for moment in starts]
        runs = [
            x.weekday() in r.operating_days and r.operating_from <= x.time() < r.operating_to
            for x in local
        ]
        rested = starts[0]
        if reading is not None and reading.phase is RunPhase.CALLED and reading.phase_since:
            ends = reading.phase_since + r.call_length
            rested = ends + self.view.horizon.step  # it runs a step between two calls
            runs = [on and moment >= ends for on, moment in zip(runs, starts, strict=True)]
        for t in range(self.steps):
            self.fixed[point, t] -= r.rated_draw_kw if runs[t] else 0.0
        if reading is None:
            return
        calls: dict[int, str] = {}
        for t in range(self.steps - length + 1):
            x = local[t]
            on_the_hour = x.hour in r.callable_hours and x.minute == 0 and starts[t] >= rested
            if on_the_hour and all(runs[t : t + length]):
                paid = r.call_cost_per_kwh * r.rated_draw_kw * length * self.hours
                calls[t] = self.decide(f"{name} call {t}", paid)
                for later in range(t, t + length):
                    self.net[point, later][calls[t]] = r.rated_draw_kw
        for day in {x.date() for x in local}:
            used = reading.calls_today or 0
            used = used if reading.measured_at.astimezone(zone).date() == day else 0
            today = {call: 1.0 for t, call in calls.items() if local[t].date() == day}
            if today:
                self.row(today, 0, max(r.max_calls_per_day - used, 0))
        for t, call in calls.items():
            for later, other in calls.items():
                if t < later <= t + length:
                    self.row({call: 1, other: 1}, 0, 1)

    def run(self, r: ShiftableRun, reading: Reading | None) -> None:
        name, point, horizon = r.resource_id, r.connection_point_id, self.view.horizon
        zone, length = self.view.park.timezone, len(r.profile_kw)

        def add(begins: datetime) -> None:
            for number, kw in enumerate(r.profile_kw):
                t = (begins - horizon.start) // horizon.step + number
                if 0 <= t < self.steps:
                    self.fixed[point, t] -= kw

        for day in sorted({moment.astimezone(zone).date() for moment in horizon.starts()}):
            if day.weekday() not in r.run_days:
                continue
            today = reading is not None and reading.measured_at.astimezone(zone).date() == day
            if reading is not None and today and reading.phase is RunPhase.DONE:
                continue
            if reading is not None and today and reading.phase is RunPhase.RUNNING:
                assert reading.phase_since is not None
                add(reading.phase_since)
                continue
            opens = datetime.combine(day, r.earliest_start, zone).astimezone(UTC)
            closes = datetime.combine(day, r.latest_end, zone).astimezone(UTC)
            latest = closes - length * horizon.step
            if latest < horizon.start:
                continue
            if reading is None or latest + length * horizon.step > horizon.end:
                add(datetime.combine(day, r.default_start, zone).astimezone(UTC))
                continue
            steps = [t for t, m in enumerate(horizon.starts()) if opens <= m <= latest]
            for t in steps:
                start = self.decide(f"{name} start {t}")
                for number, kw in enumerate(r.profile_kw):
                    at = self.net[point, t + number]
                    at[start] = at.get(start, 0.0) - kw
            self.row({f"{name} start {t}": 1.0 for t in steps}, 1, 1)

    # ------------------------------------------------------------------ grid and market

    def tree(self, park: Park) -> None:
        points = [p.connection_point_id for p in park.connection_points]
        nodes = [(p.limits, [p.connection_point_id]) for p in park.connection_points]
        nodes.append((park.limits, points))
        for feeder in park.feeders:
            below = [p for p in park.connection_points if p.feeder_id == feeder.feeder_id]
            nodes.append((feeder.limits, [p.connection_point_id for p in below]))
        for t in range(self.steps):
            for p in points:
                into = self.var(f"{p} import {t}", 0, np.inf)
                out = self.var(f"{p} export {t}", 0, np.inf)
                decided = {name: -value for name, value in self.net[p, t].items()}
                self.row({out: 1, into: -1} | decided, self.fixed[p, t], self.fixed[p, t])
            for n, (limits, below_ids) in enumerate(nodes):
                flow = {f"{p} export {t}": 1.0 for p in below_ids}
                flow |= {f"{p} import {t}": -1.0 for p in below_ids}
                price = self.excess * self.hours
                over = self.var(f"node {n} over {t}", 0, np.inf, price)
                under = self.var(f"node {n} under {t}", 0, np.inf, price)
                self.row(flow | {over: -1, under: 1}, -limits.import_kw, limits.export_kw)

    def market(self) -> None:
        points = [p.connection_point_id for p in self.view.park.connection_points]
        for number, term in enumerate(self.terms):
            if isinstance(term, PeakCharge):
                peak = self.var(f"peak {number}", term.free_kw, np.inf, term.price_per_kw)
                offset = self.var(f"paid {number}", 1, 1, -term.price_per_kw * term.free_kw)
                assert offset
                for t in range(term.first_step, term.last_step):
                    self.row({peak: 1, f"{term.connection_point_id} import {t}": -1}, 0, np.inf)
        for t in range(self.steps):
            committed = 0.0
            row = {f"{p} export {t}": 1.0 for p in points} | {
                f"{p} import {t}": -1.0 for p in points
            }
            short = self.var(f"short {t}", 0, np.inf)
            long = self.var(f"long {t}", 0, np.inf)
            row |= {short: 1.0, long: -1.0}
            for number, term in enumerate(self.terms):
                if isinstance(term, EnergyPrice):
                    p, h = term.connection_point_id, self.hours
                    self.cost[f"{p} import {t}"] += term.import_per_kwh[t] * h
                    self.cost[f"{p} export {t}"] -= term.export_per_kwh[t] * h
                if isinstance(term, Commitment):
                    committed += term.base_kw[t]
                    self.cost[short] += term.short_per_kwh[t] * self.hours
                    self.cost[long] -= term.long_per_kwh[t] * self.hours
                if isinstance(term, OpenTrade):
                    sell, buy, room = f"sell {number} {t}", f"buy {number} {t}", term.max_kw[t]
                    row[self.var(sell, 0, room, -term.sell_per_kwh[t] * self.hours)] = -1.0
                    row[self.var(buy, 0, room, term.buy_per_kwh[t] * self.hours)] = 1.0
            self.row(row, committed, committed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_park_is_planned_as_the_naive_model_does(lab: Any, seed: int) -> None:
    view, terms = lab.random(seed)
    programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)

    schedule = lab.plan(view, terms, gap=GAP)  # Optimal, and no violation

    truth = Naive(view, terms, lab.excess_per_kwh).solve()
    size = max(abs(truth), abs(schedule.cost), 1.0)
    within = GAP if len(programme.integral) else 1e-6
    assert truth - 1e-6 * size <= schedule.cost <= truth + (within + 1e-6) * size
    assert schedule.gap <= GAP
    assert schedule.binaries == len(programme.integral)


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

        truth = Naive(view, terms, lab.excess_per_kwh).solve()
        assert relaxed.cost - 1e-9 <= bound <= truth + 1e-6 * max(abs(truth), 1.0), seed
        better += bound > relaxed.cost + 1e-6
    assert better >= 5


# ---------------------------------------------------------------- properties

PROPERTY_SEEDS = range(12)


@pytest.mark.parametrize("seed", PROPERTY_SEEDS)
def test_the_order_of_resources_changes_nothing(lab: Any, seed: int) -> None:
    view, terms = lab.random(seed)
    order = np.random.default_rng(seed).permutation(len(view.park.resources))
    park = replace(view.park, resources=tuple(view.park.resources[i] for i in order))
    state = replace(view.state, resources=tuple(view.state.resources[i] for i in order))

    one = lab.plan(view, terms, gap=1e-9)
    other = lab.plan(replace(view, park=park, state=state), terms, gap=1e-9)

    assert other.cost == pytest.approx(one.cost, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", PROPERTY_SEEDS)
def test_other_money_is_the_same_plan(lab: Any, seed: int) -> None:
    """All prices and costs times seven: the bill times seven."""
    view, terms = lab.random(seed)
    one = lab.plan(view, terms, gap=1e-9)

    dear_view, dear_terms = lab.in_other_money(view, terms, 7.0)
    problem = lab.problem(dear_view, dear_terms, gap=1e-9)
    options = replace(problem.options, limit_excess_price_per_kwh=7.0 * lab.excess_per_kwh)
    dear = lab.schedule_of(lab.solve(replace(problem, options=options)))

    assert dear.cost == pytest.approx(7 * one.cost, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("seed", PROPERTY_SEEDS)
@pytest.mark.parametrize("what", ["limits", "battery", "room"])
def test_more_freedom_never_costs_more(lab: Any, seed: int, what: str) -> None:
    view, terms = lab.random(seed)
    one = lab.plan(view, terms, gap=1e-9)
    freer, terms = lab.with_more(what, view, terms)

    other = lab.plan(freer, terms, gap=1e-9)

    assert other.cost <= one.cost + 1e-6 * max(abs(one.cost), 1.0)


@pytest.mark.parametrize("seed", PROPERTY_SEEDS)
def test_halving_the_steps_changes_nothing(lab: Any, seed: int) -> None:
    """Batteries, sun and loads: nothing whose own times cut a step in two."""
    view, terms = lab.random(seed, runs=0, processes=0, zones=0, cars=0, min_price=0.0)
    halved, halved_terms = lab.halved(view, terms)

    one, other = lab.plan(view, terms), lab.plan(halved, halved_terms)

    assert other.cost == pytest.approx(one.cost, rel=1e-6, abs=1e-6)
    assert halved.horizon.step * 2 == view.horizon.step == timedelta(minutes=15)
