"""A case as one sparse programme, in plain arrays: what one would write who needs nothing else.

columns   import, export (M,T)  peak (M)  charge, discharge, stored (N,T)  load (L,T)  pv (P,T)
unit, on, started (U,T)  over, under (Q,T)
rows      balance (M,T)  peak (M,T)  store (N,T)  work (L), (U)  promise (Q,T)
unit <= max·on  unit >= min·on  started >= on - on before  Σ started of min_up steps <= on
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Floats, Ints, windows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrays:
    """minimise cost·x, row_lower <= A x <= row_upper, lower <= x <= upper."""

    cost: Floats
    lower: Floats
    upper: Floats
    integral: Ints
    matrix: csr_array
    row_lower: Floats
    row_upper: Floats


class _Growing:
    """Columns and rows as they are added."""

    def __init__(self) -> None:
        self.sides: dict[str, list[Floats]] = {
            name: [] for name in ("cost", "lower", "upper", "row_lower", "row_upper")
        }
        self.columns = self.rows = 0
        self.triplets: list[tuple[Ints, Ints, Floats]] = []

    def add(
        self,
        shape: tuple[int, ...],
        *,
        cost: Floats | float = 0.0,
        lower: Floats | float = 0.0,
        upper: Floats | float = np.inf,
    ) -> Ints:
        for name, values in (("cost", cost), ("lower", lower), ("upper", upper)):
            self.sides[name].append(np.broadcast_to(values, shape).ravel())
        first, self.columns = self.columns, self.columns + int(np.prod(shape))
        return np.arange(first, self.columns).reshape(shape)

    def row(self, shape: tuple[int, ...], lower: Floats | float, upper: Floats | float) -> Ints:
        for name, values in (("row_lower", lower), ("row_upper", upper)):
            self.sides[name].append(np.broadcast_to(values, shape).ravel())
        first, self.rows = self.rows, self.rows + int(np.prod(shape))
        return np.arange(first, self.rows).reshape(shape)

    def put(self, rows: Ints, columns: Ints, values: Floats | float) -> None:
        rows, columns, filled = np.broadcast_arrays(rows, columns, np.asarray(values, float))
        self.triplets.append((rows.ravel(), columns.ravel(), filled.ravel()))

    def arrays(self, integral: Ints) -> Arrays:
        rows, columns, values = (np.concatenate(part) for part in zip(*self.triplets, strict=True))
        return Arrays(
            integral=integral,
            matrix=csr_array((values, (rows, columns)), shape=(self.rows, self.columns)),
            **{name: np.concatenate(parts) for name, parts in self.sides.items()},
        )


def arrays_of(case: Case) -> Arrays:
    """The whole case."""
    h, g, own = STEP_HOURS, _Growing(), case.enterprises
    stores, loads, panels = case.batteries, case.loads, case.panels
    m = len(own.peak_per_kw)
    most_in, most_out = own.import_limit_kw[:, None], own.export_limit_kw[:, None]
    imports = g.add((m, STEPS), cost=h * own.import_per_kwh, upper=most_in)
    exports = g.add((m, STEPS), cost=-h * own.export_per_kwh, upper=most_out)
    balance = g.row((m, STEPS), own.fixed_kw, own.fixed_kw)
    g.put(balance, imports, 1.0)
    g.put(balance, exports, -1.0)
    if own.peak_per_kw.any():
        peak = g.add((m, 1), cost=own.peak_per_kw[:, None], upper=most_in)
        above = g.row((m, STEPS), 0.0, np.inf)
        g.put(above, peak, 1.0)
        g.put(above, imports, -1.0)
    shape = (len(stores.of), STEPS)
    power_kw, wear = stores.power_kw[:, None], h * stores.wear_per_kwh[:, None]
    charge = g.add(shape, cost=wear, upper=power_kw)
    discharge = g.add(shape, cost=wear, upper=power_kw)
    least, opening = np.zeros(shape), np.zeros(shape)
    least[:, -1] = opening[:, 0] = stores.initial_kwh
    stored = g.add(shape, lower=least, upper=stores.capacity_kwh[:, None])
    store = g.row(shape, opening, opening)
    g.put(store, stored, 1.0)
    g.put(store[:, 1:], stored[:, :-1], -1.0)
    g.put(store, charge, -h * EFFICIENCY)
    g.put(store, discharge, h / EFFICIENCY)
    g.put(balance[stores.of], charge, -1.0)
    g.put(balance[stores.of], discharge, 1.0)
    open_kw = loads.power_kw[:, None] * windows(loads.first, loads.end)
    draw = g.add(open_kw.shape, upper=open_kw)
    work = g.row(loads.energy_kwh.shape, loads.energy_kwh, loads.energy_kwh)
    g.put(work[:, None], draw, h)
    g.put(balance[loads.of], draw, -1.0)
    feed = g.add(panels.available_kw.shape, upper=panels.available_kw)
    g.put(balance[panels.of], feed, 1.0)
    _portfolio(g, case, imports, exports)
    on = _units(g, case, balance) if case.integer else np.zeros(0, dtype=np.int64)
    return g.arrays(on.ravel())


def _portfolio(g: _Growing, case: Case, imports: Ints, exports: Ints) -> None:
    """What ties the enterprises: net import - over + under = committed, over <= cap - committed."""
    tied = case.portfolio
    price = STEP_HOURS * tied.penalty_per_kwh[:, None]
    committed_kw, cap_kw = tied.committed_kw, tied.import_cap_kw[:, None]
    over = g.add(committed_kw.shape, cost=price, upper=cap_kw - committed_kw)
    under = g.add(committed_kw.shape, cost=price)
    promise = g.row(committed_kw.shape, committed_kw, committed_kw)
    if promise.size:
        g.put(promise, imports, 1.0)
        g.put(promise, exports, -1.0)
        g.put(promise, over, -1.0)
        g.put(promise, under, 1.0)


def _units(g: _Growing, case: Case, balance: Ints) -> Ints:
    """Loads that are on or off; the columns that are 0 or 1."""
    units = case.units
    may = windows(units.first, units.end).astype(float)
    draw = g.add(may.shape, upper=units.max_kw[:, None] * may)
    on = g.add(may.shape, upper=may)
    started = g.add(may.shape, cost=units.start_cost[:, None], upper=1.0)
    work = g.row(units.energy_kwh.shape, units.energy_kwh, units.energy_kwh)
    g.put(work[:, None], draw, STEP_HOURS)
    g.put(balance[units.of], draw, -1.0)
    most, least = g.row(may.shape, -np.inf, 0.0), g.row(may.shape, 0.0, np.inf)
    for rows, kw in ((most, units.max_kw), (least, units.min_kw)):
        g.put(rows, draw, 1.0)
        g.put(rows, on, -kw[:, None])
    switch = g.row(may.shape, 0.0, np.inf)
    g.put(switch, started, 1.0)
    g.put(switch, on, -1.0)
    g.put(switch[:, 1:], on[:, :-1], 1.0)
    long = np.flatnonzero(units.min_up > 1)
    stay = g.row((len(long), STEPS), -np.inf, 0.0)
    g.put(stay, on[long], -1.0)
    for back in range(int(units.min_up.max(initial=1))):
        some = units.min_up[long] > back
        g.put(stay[some][:, back:], started[long[some]][:, : STEPS - back], 1.0)
    return on
