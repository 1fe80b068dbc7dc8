"""The parks of `_families.py` as the structured solver takes them: arrays to a `Forest`, nothing between.

Bus e is enterprise e; where a portfolio ties them, it is the last bus, above all others. There an import is
what it draws, so the row of the promise has the other sign: Σ (export - import) + over - under = -committed.
What is on or off (family B) is taken without its minimum power, its minimum time and what a start
costs: no plan costs less than that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks._families import EFFICIENCY, STEP_HOURS, STEPS, Case, Floats, Ints, windows
from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Parts,
    Peaks,
    SoftLevels,
    Stores,
    Tapers,
)


def forest_of(case: Case) -> Forest:
    """The whole case; money is EUR, so a cost per kW and step is the price per kWh by the step's hours."""
    parts, imports = _parts(case)
    return Forest(
        steps=STEPS,
        buses=_buses(case),
        stores=_stores(case),
        soft=SoftLevels(store=_none(), least=_no_rows(), most=_no_rows(), cost=_no_rows()),
        budgets=_budgets(case),
        parts=parts,
        peaks=_peaks(case, imports),
        day_limits=DayLimits(store=_none(), first=_none(), end=_none(), most=np.zeros(0)),
        tapers=Tapers.none(STEPS),
    )


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


def _no_rows() -> Floats:
    return np.zeros((0, STEPS))


def _alike(values: Floats | float, count: int) -> Floats:
    """The same in all steps, as a view; shape (count, T)."""
    column = np.broadcast_to(np.asarray(values, dtype=np.float64), count)
    return np.broadcast_to(column[:, None], (count, STEPS))


def _buses(case: Case) -> Buses:
    own, tied = case.enterprises, case.portfolio
    m, q = len(own.peak_per_kw), len(tied.import_cap_kw)
    return Buses(
        parent=np.append(np.full(m, m if q else ROOT), np.full(q, ROOT)),
        load_kw=np.concatenate([own.fixed_kw, -tied.committed_kw]),
    )


def _stores(case: Case) -> Stores:
    own = case.batteries
    order = np.argsort(own.of, kind="stable")
    n, initial_kwh = len(order), own.initial_kwh[order]
    power = _alike(own.power_kw[order], n)
    wear = _alike(STEP_HOURS * own.wear_per_kwh[order], n)
    given, least = np.zeros((n, STEPS)), np.zeros((n, STEPS))
    given[:, 0] = least[:, -1] = initial_kwh
    return Stores(
        bus=own.of[order],
        keep=np.ones(n),
        gain=_alike(STEP_HOURS * EFFICIENCY, n),
        loss=np.full(n, STEP_HOURS / EFFICIENCY),
        given=given,
        into_most=power,
        into_cost=wear,
        out_most=power,
        out_cost=wear,
        level_least=least,
        level_most=_alike(own.capacity_kwh[order], n),
        level_cost=_alike(0.0, n),
    )


def _budgets(case: Case) -> Budgets:
    """Windowed loads, then units as far as they are linear; sorted by bus."""
    loads, units = case.loads, case.units
    of = np.append(loads.of, units.of)
    order = np.argsort(of, kind="stable")
    first = np.append(loads.first, units.first)[order]
    end = np.append(loads.end, units.end)[order]
    power = np.append(loads.power_kw, units.max_kw)[order]
    energy_kwh = np.append(loads.energy_kwh, units.energy_kwh)[order]
    n = len(order)
    return Budgets(
        bus=of[order],
        first=first,
        end=end,
        weight=np.full(n, STEP_HOURS),
        asked=energy_kwh,
        lacking_most=np.zeros(n),
        lacking_cost=np.zeros(n),
        spare_most=np.zeros(n),
        draw_most=power[:, None] * windows(first, end),
        draw_cost=_alike(0.0, n),
    )


def _parts(case: Case) -> tuple[Parts, NDArray[np.bool_]]:
    """Import and export of each enterprise, PV, what the portfolio misses; and which are the imports."""
    own, panels, tied = case.enterprises, case.panels, case.portfolio
    m, p, q = len(own.peak_per_kw), len(panels.of), len(tied.import_cap_kw)
    bus = np.concatenate([np.arange(m), np.arange(m), panels.of, np.full(2 * q, m)])
    order = np.argsort(bus, kind="stable")
    sign = np.repeat([1.0, -1.0, 1.0, 1.0, -1.0], [m, m, p, q, q])
    # To the portfolio an import is what it draws; without one there is no bus above.
    up = np.repeat([-1.0, 1.0, 0.0], [m, m, p + 2 * q]) * min(q, 1)
    # The least that can be imported is all the export there is, so what is under the promise has a bound.
    deepest = np.maximum(own.export_limit_kw.sum() + tied.committed_kw, 0.0)
    most = np.concatenate(
        [
            _alike(own.import_limit_kw, m),
            _alike(own.export_limit_kw, m),
            panels.available_kw,
            tied.import_cap_kw[:, None] - tied.committed_kw,
            deepest,
        ]
    )
    penalty = _alike(tied.penalty_per_kwh, q)
    per_kwh = np.concatenate(
        [own.import_per_kwh, -own.export_per_kwh, np.zeros((p, STEPS)), penalty, penalty]
    )
    parts = Parts(
        bus=bus[order],
        here=_alike(sign[order], len(order)),
        up=_alike(up[order], len(order)),
        least=_alike(0.0, len(order)),
        most=most[order],
        cost=STEP_HOURS * per_kwh[order],
    )
    return parts, order < m


def _peaks(case: Case, imports: NDArray[np.bool_]) -> Peaks:
    own = case.enterprises
    bus = np.flatnonzero(own.peak_per_kw > 0)
    n = len(bus)
    return Peaks(
        bus=bus,
        cost=own.peak_per_kw[bus],
        most=own.import_limit_kw[bus],
        interval=np.broadcast_to(np.arange(STEPS), (n, STEPS)),
        share=_alike(1.0, n),
        least=_alike(0.0, n),
        counts=imports,
    )
