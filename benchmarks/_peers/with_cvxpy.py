"""cvxpy, vectorised."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from scipy.sparse import csr_array

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Ints, windows
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("cvxpy", "highspy")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "FM")
    watch = Watch()
    problem = _problem(case)
    built = watch.lap()
    problem.solve(solver=cp.HIGHS)
    return Answer(build_s=built, solve_s=watch.lap(), objective=float(problem.value))


def _problem(case: Case) -> cp.Problem:
    h, own, stores = STEP_HOURS, case.enterprises, case.batteries
    loads, panels = case.loads, case.panels
    m = len(own.peak_per_kw)
    imports, exports = cp.Variable((m, STEPS), nonneg=True), cp.Variable((m, STEPS), nonneg=True)
    shape = (len(stores.of), STEPS)
    charge, discharge, stored = (cp.Variable(shape, nonneg=True) for _ in range(3))
    before = cp.hstack([stores.initial_kwh[:, None], stored[:, :-1]])
    power_kw = np.tile(stores.power_kw[:, None], STEPS)
    wear = np.tile(stores.wear_per_kwh[:, None], STEPS)
    net = imports - exports - _sums(stores.of, m) @ (charge - discharge)
    peak = cp.Variable((m, 1), nonneg=True)
    rules = [
        imports <= np.tile(own.import_limit_kw[:, None], STEPS),
        exports <= np.tile(own.export_limit_kw[:, None], STEPS),
        charge <= power_kw,
        discharge <= power_kw,
        stored <= np.tile(stores.capacity_kwh[:, None], STEPS),
        stored == before + h * EFFICIENCY * charge - h / EFFICIENCY * discharge,
        stored[:, -1] >= stores.initial_kwh,
        imports <= peak @ np.ones((1, STEPS)),
    ]
    if len(loads.of):
        draw = cp.Variable((len(loads.of), STEPS), nonneg=True)
        rules.append(draw <= loads.power_kw[:, None] * windows(loads.first, loads.end))
        rules.append(h * cp.sum(draw, axis=1) == loads.energy_kwh)
        net -= _sums(loads.of, m) @ draw
    if len(panels.of):
        feed = cp.Variable(panels.available_kw.shape, nonneg=True)
        rules.append(feed <= panels.available_kw)
        net += _sums(panels.of, m) @ feed
    rules.append(net == own.fixed_kw)
    energy = cp.sum(cp.multiply(own.import_per_kwh, imports))
    energy -= cp.sum(cp.multiply(own.export_per_kwh, exports))
    worn = cp.sum(cp.multiply(wear, charge + discharge))
    return cp.Problem(cp.Minimize(h * (energy + worn) + own.peak_per_kw @ peak[:, 0]), rules)


def _sums(of: Ints, enterprises: int) -> csr_array:
    """What adds up the resources of each enterprise."""
    return csr_array((np.ones(len(of)), (of, np.arange(len(of)))), shape=(enterprises, len(of)))
