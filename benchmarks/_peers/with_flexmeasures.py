"""FlexMeasures' device scheduler on one site, its direct HiGHS backend; a bare Flask app holds its settings.

Powers are draws there. A stock is counted in kW times steps, prices in EUR per kW and step. The scheduler
decides for each device and step whether it draws or feeds, so it solves a MILP where ours is an LP; both
have the same optimum, since importing costs more than exporting earns and losses are real.
"""

from __future__ import annotations

from datetime import timedelta

import flask
import numpy as np
import pandas as pd
from flexmeasures.data.models.planning import FlowCommitment
from flexmeasures.data.models.planning.linear_optimization import device_scheduler
from flexmeasures.data.models.planning.utils import initialize_df

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("flexmeasures", "highspy")

COLUMNS = (
    *("equals", "max", "min", "efficiency"),
    *("derivative equals", "derivative max", "derivative min"),
    *("derivative down efficiency", "derivative up efficiency", "stock delta"),
)
START = pd.Timestamp("2026-01-07T00:00:00")
STEP = timedelta(hours=STEP_HOURS)


def solve(case: Case, asked: Asked) -> Answer:
    """Describe the site, then schedule it; the app is made before."""
    only(case, "FM")
    app = flask.Flask("benchmark")
    app.config |= {
        "FLEXMEASURES_LP_SOLVER": "highspy",
        "FLEXMEASURES_LP_SOLVER_OPTIONS": {},
        "LOGGING_LEVEL": "INFO",
    }
    with app.app_context():
        watch = Watch()
        devices, site, trade, initial = _site(case)
        built = watch.lap()
        _, cost, results, _ = device_scheduler(
            device_constraints=devices,
            ems_constraints=site,
            commitments=[trade],
            initial_stock=initial,
        )
        solved = watch.lap()
    if results.solver.termination_condition != "optimal":
        raise RuntimeError(results.solver.termination_condition)
    return Answer(build_s=built, solve_s=solved, objective=float(cost))


def _site(
    case: Case,
) -> tuple[list[pd.DataFrame], pd.DataFrame, FlowCommitment, list[float]]:
    own, stores = case.enterprises, case.batteries
    end = START + STEPS * STEP

    def frame() -> pd.DataFrame:
        return initialize_df(list(COLUMNS), START, end, STEP)

    fixed = frame()
    fixed["derivative equals"] = own.fixed_kw[0]
    devices = [fixed]
    for i in range(len(stores.of)):
        device = frame()
        device["max"] = (stores.capacity_kwh[i] - stores.initial_kwh[i]) / STEP_HOURS
        least = np.full(STEPS, -stores.initial_kwh[i] / STEP_HOURS)
        least[-1] = 0.0
        device["min"] = least
        device["derivative max"], device["derivative min"] = stores.power_kw[i], -stores.power_kw[i]
        device["derivative up efficiency"] = device["derivative down efficiency"] = EFFICIENCY
        devices.append(device)
    site = frame()
    site["derivative max"], site["derivative min"] = (
        own.import_limit_kw[0],
        -own.export_limit_kw[0],
    )
    trade = FlowCommitment(
        name="energy",
        quantity=0,
        upwards_deviation_price=pd.Series(STEP_HOURS * own.import_per_kwh[0], index=site.index),
        downwards_deviation_price=pd.Series(STEP_HOURS * own.export_per_kwh[0], index=site.index),
        index=site.index,
    )
    # Stocks count from what there is at the start.
    return devices, site, trade, [0.0] * len(devices)
