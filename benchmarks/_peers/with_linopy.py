"""linopy, vectorised over resources and steps; the model goes to HiGHS without a file."""

from __future__ import annotations

from typing import Any

import linopy
import numpy as np
import xarray as xr

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Floats, Ints, windows
from benchmarks._peers.answer import Answer, Asked, Watch, only

DISTRIBUTIONS = ("linopy", "highspy")


def solve(case: Case, asked: Asked) -> Answer:
    """Build and solve."""
    only(case, "A", "FM")
    watch = Watch()
    model = _model(case)
    built = watch.lap()
    model.solve(solver_name="highs", io_api="direct", output_flag=False)
    return Answer(build_s=built, solve_s=watch.lap(), objective=float(model.objective.value))


def _table(values: Floats, kind: str) -> xr.DataArray:
    """Values of one kind, shape (k,) or (k, T)."""
    coords: dict[str, Any] = {kind: np.arange(values.shape[0])}
    if values.ndim == 2:
        coords["step"] = np.arange(STEPS)
    return xr.DataArray(values, coords=coords)


def _sums(of: Ints, kind: str) -> xr.DataArray:
    """The owner of each resource, to group by."""
    return xr.DataArray(of, coords={kind: np.arange(len(of))}, name="owner")


def _model(case: Case) -> linopy.Model:
    h, own, stores = STEP_HOURS, case.enterprises, case.batteries
    loads, panels = case.loads, case.panels
    m, model = len(own.peak_per_kw), linopy.Model()
    steps = np.arange(STEPS)
    each = [np.arange(m), steps]
    each_store = [np.arange(len(stores.of)), steps]

    def variable(name: str, upper: xr.DataArray, coords: list[Any], kind: str) -> Any:
        return model.add_variables(
            lower=0, upper=upper, coords=coords, dims=[kind, "step"], name=name
        )

    imports = variable("import", _table(own.import_limit_kw, "owner"), each, "owner")
    exports = variable("export", _table(own.export_limit_kw, "owner"), each, "owner")
    power_kw = _table(stores.power_kw, "store")
    charge = variable("charge", power_kw, each_store, "store")
    discharge = variable("discharge", power_kw, each_store, "store")
    least = np.zeros((len(stores.of), STEPS))
    least[:, -1] = stores.initial_kwh
    stored = model.add_variables(
        lower=_table(least, "store"), upper=_table(stores.capacity_kwh, "store"), name="stored"
    )
    moved = h * EFFICIENCY * charge - h / EFFICIENCY * discharge
    model.add_constraints(
        stored.isel(step=0) - moved.isel(step=0) == _table(stores.initial_kwh, "store"),
        name="first",
    )
    later = {"step": slice(1, None)}
    model.add_constraints((stored - stored.shift(step=1) - moved).isel(later) == 0, name="store")
    net = imports - exports - (charge - discharge).groupby(_sums(stores.of, "store")).sum()
    if len(loads.of):
        open_kw = loads.power_kw[:, None] * windows(loads.first, loads.end)
        draw = model.add_variables(lower=0, upper=_table(open_kw, "load"), name="draw")
        model.add_constraints(h * draw.sum("step") == _table(loads.energy_kwh, "load"), name="work")
        net = net - (1 * draw).groupby(_sums(loads.of, "load")).sum()
    if len(panels.of):
        feed = model.add_variables(lower=0, upper=_table(panels.available_kw, "pv"), name="feed")
        net = net + (1 * feed).groupby(_sums(panels.of, "pv")).sum()
    model.add_constraints(net == _table(own.fixed_kw, "owner"), name="balance")
    peak = model.add_variables(lower=0, coords=[np.arange(m)], dims=["owner"], name="peak")
    model.add_constraints(imports - peak <= 0, name="peak")
    wear = _table(stores.wear_per_kwh, "store")
    model.add_objective(
        (h * _table(own.import_per_kwh, "owner") * imports).sum()
        - (h * _table(own.export_per_kwh, "owner") * exports).sum()
        + (h * wear * charge).sum()
        + (h * wear * discharge).sum()
        + (_table(own.peak_per_kw, "owner") * peak).sum()
    )
    return model
