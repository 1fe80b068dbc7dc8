"""oemof.solph, its Pyomo model handed to HiGHS by appsi, the quickest way there is.

`balanced` makes the end of a storage an equality, which costs nothing at the optimum.
"""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pyomo.environ as pyo
from oemof import solph
from pyomo.contrib.appsi.solvers import Highs

from benchmarks._families import EFFICIENCY, STEPS, Case, windows
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("oemof.solph", "pyomo", "highspy")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "FM")
    warnings.simplefilter("ignore")
    watch = Watch()
    model = solph.Model(_system(case))
    built = watch.lap()
    Highs().solve(model)
    return Answer(build_s=built, solve_s=watch.lap(), objective=float(pyo.value(model.objective)))


def _system(case: Case) -> Any:
    own, stores, loads, panels = case.enterprises, case.batteries, case.loads, case.panels
    index = pd.date_range("2026-01-07", periods=STEPS + 1, freq="15min")
    system = solph.EnergySystem(timeindex=index, infer_last_interval=False)
    buses = [solph.Bus(label=f"bus {i}") for i in range(len(own.peak_per_kw))]
    system.add(*buses)
    for i, bus in enumerate(buses):
        paid = solph.Investment(ep_costs=own.peak_per_kw[i], maximum=own.import_limit_kw[i])
        bought = solph.Flow(nominal_capacity=paid, variable_costs=own.import_per_kwh[i])
        sold = solph.Flow(
            nominal_capacity=own.export_limit_kw[i], variable_costs=-own.export_per_kwh[i]
        )
        fixed = solph.Flow(nominal_capacity=1.0, fix=own.fixed_kw[i])
        system.add(
            solph.components.Source(label=f"import {i}", outputs={bus: bought}),
            solph.components.Sink(label=f"export {i}", inputs={bus: sold}),
            solph.components.Sink(label=f"fixed {i}", inputs={bus: fixed}),
        )
    for i, owner in enumerate(stores.of.tolist()):
        wear = stores.wear_per_kwh[i]
        into, out = (
            solph.Flow(nominal_capacity=stores.power_kw[i], variable_costs=wear) for _ in range(2)
        )
        system.add(
            solph.components.GenericStorage(
                label=f"store {i}",
                inputs={buses[owner]: into},
                outputs={buses[owner]: out},
                nominal_capacity=stores.capacity_kwh[i],
                initial_storage_level=stores.initial_kwh[i] / stores.capacity_kwh[i],
                balanced=True,
                inflow_conversion_factor=EFFICIENCY,
                outflow_conversion_factor=EFFICIENCY,
            )
        )
    is_open = windows(loads.first, loads.end).astype(float)
    for i, owner in enumerate(loads.of.tolist()):
        hours = loads.energy_kwh[i] / loads.power_kw[i]
        drawn = solph.Flow(
            nominal_capacity=loads.power_kw[i],
            maximum=is_open[i],
            full_load_time_min=hours,
            full_load_time_max=hours,
        )
        system.add(solph.components.Sink(label=f"draw {i}", inputs={buses[owner]: drawn}))
    for i, owner in enumerate(panels.of.tolist()):
        fed = solph.Flow(nominal_capacity=1.0, maximum=panels.available_kw[i])
        system.add(solph.components.Source(label=f"pv {i}", outputs={buses[owner]: fed}))
    return system
