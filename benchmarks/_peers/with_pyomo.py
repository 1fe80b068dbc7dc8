"""Pyomo, one rule a constraint as its users write it, with its quickest way to HiGHS (appsi)."""

from __future__ import annotations

from typing import Any

import pyomo.environ as pyo
from pyomo.contrib.appsi.solvers import Highs

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Ints, windows
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("pyomo", "highspy")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "FM")
    watch = Watch()
    model = _model(case)
    built = watch.lap()
    Highs().solve(model)
    return Answer(build_s=built, solve_s=watch.lap(), objective=float(pyo.value(model.cost)))


def _model(case: Case) -> Any:
    h, own, stores = STEP_HOURS, case.enterprises, case.batteries
    loads, panels = case.loads, case.panels
    model = pyo.ConcreteModel()
    model.T = pyo.RangeSet(0, STEPS - 1)
    model.M = pyo.RangeSet(0, len(own.peak_per_kw) - 1)
    model.N = pyo.RangeSet(0, len(stores.of) - 1)
    model.L = pyo.RangeSet(0, len(loads.of) - 1)
    model.P = pyo.RangeSet(0, len(panels.of) - 1)
    most_in, most_out = own.import_limit_kw.tolist(), own.export_limit_kw.tolist()
    model.imports = pyo.Var(model.M, model.T, bounds=lambda _, i, t: (0, most_in[i]))
    model.exports = pyo.Var(model.M, model.T, bounds=lambda _, i, t: (0, most_out[i]))
    model.peak = pyo.Var(model.M, bounds=lambda _, i: (0, most_in[i]))
    power_kw, capacity_kwh = stores.power_kw.tolist(), stores.capacity_kwh.tolist()
    initial_kwh = stores.initial_kwh.tolist()
    model.charge = pyo.Var(model.N, model.T, bounds=lambda _, i, t: (0, power_kw[i]))
    model.discharge = pyo.Var(model.N, model.T, bounds=lambda _, i, t: (0, power_kw[i]))
    model.stored = pyo.Var(
        model.N,
        model.T,
        bounds=lambda _, i, t: (initial_kwh[i] if t == STEPS - 1 else 0, capacity_kwh[i]),
    )
    open_kw = (loads.power_kw[:, None] * windows(loads.first, loads.end)).tolist()
    model.draw = pyo.Var(model.L, model.T, bounds=lambda _, i, t: (0, open_kw[i][t]))
    has_kw = panels.available_kw.tolist()
    model.feed = pyo.Var(model.P, model.T, bounds=lambda _, i, t: (0, has_kw[i][t]))

    def store(m: Any, i: int, t: int) -> Any:
        before = m.stored[i, t - 1] if t else initial_kwh[i]
        return m.stored[i, t] == before + h * (
            EFFICIENCY * m.charge[i, t] - m.discharge[i, t] / EFFICIENCY
        )

    model.store = pyo.Constraint(model.N, model.T, rule=store)
    energy_kwh = loads.energy_kwh.tolist()
    model.work = pyo.Constraint(
        model.L, rule=lambda m, i: h * pyo.quicksum(m.draw[i, t] for t in m.T) == energy_kwh[i]
    )
    theirs, loads_of, panels_of = (
        _members(of, len(own.peak_per_kw)) for of in (stores.of, loads.of, panels.of)
    )
    fixed_kw = own.fixed_kw.tolist()

    def balance(m: Any, e: int, t: int) -> Any:
        return (
            m.imports[e, t]
            - m.exports[e, t]
            + pyo.quicksum(m.discharge[i, t] - m.charge[i, t] for i in theirs[e])
            - pyo.quicksum(m.draw[i, t] for i in loads_of[e])
            + pyo.quicksum(m.feed[i, t] for i in panels_of[e])
            == fixed_kw[e][t]
        )

    model.balance = pyo.Constraint(model.M, model.T, rule=balance)
    model.highest = pyo.Constraint(
        model.M, model.T, rule=lambda m, e, t: m.peak[e] >= m.imports[e, t]
    )
    buy, sell = own.import_per_kwh.tolist(), own.export_per_kwh.tolist()
    per_kw, wear = own.peak_per_kw.tolist(), stores.wear_per_kwh.tolist()
    model.cost = pyo.Objective(
        expr=pyo.quicksum(
            h * (buy[e][t] * model.imports[e, t] - sell[e][t] * model.exports[e, t])
            for e in model.M
            for t in model.T
        )
        + pyo.quicksum(
            h * wear[i] * (model.charge[i, t] + model.discharge[i, t])
            for i in model.N
            for t in model.T
        )
        + pyo.quicksum(per_kw[e] * model.peak[e] for e in model.M)
    )
    return model


def _members(of: Ints, enterprises: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(enterprises)]
    for i, owner in enumerate(of.tolist()):
        found[owner].append(i)
    return found
