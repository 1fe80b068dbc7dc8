"""PyPSA: a bus an enterprise, storage units, generators with a sum of energy; its linopy model to HiGHS.

A storage unit has one marginal cost, for what it discharges. As every battery ends as full as it began, what
it charges is what it discharges, over both efficiencies: the wear of charging is put there. That
makes the end an equality, which costs nothing at the optimum.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pypsa

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Floats, windows
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("pypsa", "linopy", "highspy")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "FM")
    logging.disable(logging.WARNING)
    watch = Watch()
    network = _network(case)
    network.optimize.create_model()
    built = watch.lap()
    network.optimize.solve_model(solver_name="highs", io_api="direct", output_flag=False)
    return Answer(build_s=built, solve_s=watch.lap(), objective=float(network.objective))


def _network(case: Case) -> pypsa.Network:
    own, stores, loads, panels = case.enterprises, case.batteries, case.loads, case.panels
    m, network = len(own.peak_per_kw), pypsa.Network()
    network.set_snapshots(pd.date_range("2026-01-07", periods=STEPS, freq="15min"))
    network.snapshot_weightings = pd.DataFrame(
        STEP_HOURS, index=network.snapshots, columns=["objective", "stores", "generators"]
    )
    buses = pd.Index([f"bus {i}" for i in range(m)])
    network.add("Bus", buses)

    def table(values: Floats, names: pd.Index) -> pd.DataFrame:
        return pd.DataFrame(values.T, index=network.snapshots, columns=names)

    fixed = pd.Index([f"fixed {i}" for i in range(m)])
    network.add("Load", fixed, bus=buses, p_set=table(own.fixed_kw, fixed))
    imports = pd.Index([f"import {i}" for i in range(m)])
    # What may be extended costs its largest power once: the charge on the peak.
    network.add(
        "Generator",
        imports,
        bus=buses,
        p_nom_extendable=True,
        p_nom_max=own.import_limit_kw,
        capital_cost=own.peak_per_kw,
        marginal_cost=table(own.import_per_kwh, imports),
    )
    exports = pd.Index([f"export {i}" for i in range(m)])
    network.add(
        "Generator",
        exports,
        bus=buses,
        sign=-1.0,
        p_nom=own.export_limit_kw,
        marginal_cost=table(-own.export_per_kwh, exports),
    )
    names = pd.Index([f"store {i}" for i in range(len(stores.of))])
    end = np.full((len(names), STEPS), np.nan)
    end[:, -1] = stores.initial_kwh
    network.add(
        "StorageUnit",
        names,
        bus=buses[stores.of],
        p_nom=stores.power_kw,
        max_hours=stores.capacity_kwh / stores.power_kw,
        efficiency_store=EFFICIENCY,
        efficiency_dispatch=EFFICIENCY,
        marginal_cost=stores.wear_per_kwh * (1 + 1 / EFFICIENCY**2),
        state_of_charge_initial=stores.initial_kwh,
        cyclic_state_of_charge=False,
        state_of_charge_set=table(end, names),
    )
    if len(loads.of):
        names = pd.Index([f"draw {i}" for i in range(len(loads.of))])
        network.add(
            "Generator",
            names,
            bus=buses[loads.of],
            sign=-1.0,
            p_nom=loads.power_kw,
            p_max_pu=table(windows(loads.first, loads.end).astype(float), names),
            e_sum_min=loads.energy_kwh,
            e_sum_max=loads.energy_kwh,
        )
    if len(panels.of):
        names = pd.Index([f"pv {i}" for i in range(len(panels.of))])
        size_kw = np.maximum(panels.available_kw.max(axis=1), 1e-9)
        network.add(
            "Generator",
            names,
            bus=buses[panels.of],
            p_nom=size_kw,
            p_max_pu=table(panels.available_kw / size_kw[:, None], names),
        )
    return network
