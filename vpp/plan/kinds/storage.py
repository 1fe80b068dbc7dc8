"""Storages: batteries and other stores, of any carrier.

    columns   charge, discharge, stored (S,T)
              short (·,T)  what the reserve for outages lacks        lacking (·)  what the end lacks
    rows      store    stored[t] - kept·stored[t-1] - ηc·h·charge + h/ηd·discharge = 0
              fuller   charge    + Pc/(1 - taper)·stored[t-1]/capacity <= Pc/(1 - taper)
              emptier  discharge - Pd/taper·stored[t-1]/capacity <= 0
              cycles   Σ h/ηd·discharge on a local day <= what is left of max_cycles_per_day
              final    stored[T-1] + lacking >= final_soc·capacity
              reserve  stored + short >= reserve_soc·capacity

`kept` is what a standing loss leaves of the last step's energy; Pc and Pd are the share of both power
limits that is available. Never both ways at once: `oneway.py`. A battery that does not say how full it
is cannot be planned; it is left idle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Storage
from vpp.model.rows import Rows
from vpp.plan.kinds import column, of_kind, readings, said_on, stack
from vpp.plan.kinds.oneway import BothWays
from vpp.plan.programme import Builder, Counted, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ByLevel:
    """Rows that limit a power by what is stored before the step, shapes (k,) and (k, T)."""

    units: Ints
    """Which storages."""

    rows: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Storages:
    """Shapes (S,) and (S, T)."""

    units: tuple[Storage, ...]
    which: Ints
    """Rows in park order."""

    stored_kwh: Floats
    """At the start of the horizon, shape (S,)."""

    floor_kwh: Floats
    """The least that may be stored at the end of each step."""

    both_ways: BothWays
    """Charge and discharge, and the most of each."""

    charge: Ints
    discharge: Ints
    stored: Ints
    rows: Ints
    """Balance of each store."""

    fuller: ByLevel
    """Charging power of those that taper when nearly full."""
    emptier: ByLevel
    """Discharging power of those that taper when nearly empty."""

    def stored_profiles(self, x: Floats) -> Rows[ResourceId]:
        """Energy at the end of each step, from a solution."""
        return Rows([u.resource_id for u in self.units], x[self.stored])


def add(b: Builder, *, limit_excess_price_per_kwh: float) -> Storages:
    """All storages that say how full they are."""
    full = {name: r.soc for name, r in readings(b.view).items() if r.soc is not None}
    units = [u for u in of_kind(b.view, Storage) if u.resource_id in full]
    which = b.rows([u.resource_id for u in units])
    stored_kwh = np.array([full[u.resource_id] * u.capacity_kwh for u in units])
    capacity_kwh = column(u.capacity_kwh for u in units)
    floor_kwh = _floor_kwh(b, units, stored_kwh)
    terminals = _terminals(b, units, which)
    stored = b.add_columns(floor_kwh.shape, lower=floor_kwh, upper=capacity_kwh)
    b.name([f"{u.resource_id}: capacity_kwh" for u in units], Side.UPPER, stored)
    b.name([f"{u.resource_id}: min_soc" for u in units], Side.LOWER, stored)
    fuller, emptier = _tapers(b, units, terminals, stored, stored_kwh)
    found = Storages(
        units=tuple(units),
        which=which,
        stored_kwh=stored_kwh,
        floor_kwh=floor_kwh,
        both_ways=terminals,
        charge=terminals.into,
        discharge=terminals.out,
        stored=stored,
        rows=_balance(b, units, terminals, stored, stored_kwh),
        fuller=fuller,
        emptier=emptier,
    )
    _cycles(b, found)
    _final(b, found, limit_excess_price_per_kwh)
    _reserve(b, found)
    return found


def _floor_kwh(b: Builder, units: Sequence[Storage], stored_kwh: Floats) -> Floats:
    """The least at the end of each step, shape (S, T).

    A store found below its reserve may stay there, less what it loses: it is not forced up at any price.
    """
    kept = column(u.kept(b.hours) for u in units)
    left_alone = stored_kwh[:, None] * kept ** np.arange(1, b.steps + 1)
    return np.asarray(np.minimum(column(u.min_soc * u.capacity_kwh for u in units), left_alone))


def _terminals(b: Builder, units: Sequence[Storage], which: Ints) -> BothWays:
    """Charge and discharge, at the node where each store stands."""
    share = stack([_share(b, u) for u in units], b.steps)
    charge_kw = column(u.max_charge_kw for u in units) * share
    discharge_kw = column(u.max_discharge_kw for u in units) * share
    charge = b.add_columns(share.shape, upper=charge_kw)
    discharge = b.add_columns(share.shape, upper=discharge_kw)
    b.name([f"{u.resource_id}: max_charge_kw" for u in units], Side.UPPER, charge)
    b.name([f"{u.resource_id}: max_discharge_kw" for u in units], Side.UPPER, discharge)
    wear = column(u.wear_cost_per_kwh for u in units)
    b.price(charge, wear * b.hours, "wear")
    b.price(discharge, wear * b.hours, "wear")
    b.inject(which[:, None], discharge, 1.0)
    b.inject(which[:, None], charge, -1.0)
    b.may(which, draw_kw=charge_kw, feed_kw=discharge_kw)
    return BothWays(
        into=charge,
        out=discharge,
        into_kw=charge_kw,
        out_kw=discharge_kw,
        kept_into=column(u.charge_efficiency for u in units),
        kept_out=column(u.discharge_efficiency for u in units),
        wear_into_per_kwh=wear,
        wear_out_per_kwh=wear,
        node=b.nodes(which),
    )


def _balance(
    b: Builder, units: Sequence[Storage], ways: BothWays, stored: Ints, stored_kwh: Floats
) -> Ints:
    """What is stored follows from what was, what went in and what was taken out; rows (S, T)."""
    kept = column(u.kept(b.hours) for u in units)
    opening = np.zeros(stored.shape)
    opening[:, :1] = kept * stored_kwh[:, None]
    rows = b.add_rows(stored.shape, opening, opening)
    b.put(rows, stored, 1.0)
    b.put(rows[:, 1:], stored[:, :-1], -kept)
    b.put(rows, ways.into, -b.hours * ways.kept_into)
    b.put(rows, ways.out, b.hours / ways.kept_out)
    which = b.rows([u.resource_id for u in units])[:, None]
    b.count(Counted.TAKEN_OUT_KWH, which, ways.out, b.hours / ways.kept_out)
    return rows


def _share(b: Builder, unit: Storage) -> Floats:
    """Share of both power limits that is available in each step, shape (T,); none where it is left alone."""
    name = unit.power_series_id
    share = np.ones(b.steps) if name is None else b.view.power_share[name].values
    return np.where(b.view.alone(unit.resource_id), 0.0, share)


def _tapers(
    b: Builder, units: Sequence[Storage], most: BothWays, stored: Ints, stored_kwh: Floats
) -> tuple[ByLevel, ByLevel]:
    """Nearly full, a store charges ever less; nearly empty, it discharges ever less."""
    capacity_kwh = column(u.capacity_kwh for u in units)
    # A store without capacity holds nothing, and its share is none.
    per_kwh = np.divide(1.0, capacity_kwh, out=np.zeros_like(capacity_kwh), where=capacity_kwh > 0)

    def by_level(at: Ints, power: Ints, empty_kw: Floats, more_kw: Floats, field: str) -> ByLevel:
        """Limit a power to `empty_kw`, and `more_kw` for each share that was stored before."""
        steep = more_kw * per_kwh[at]
        most_kw = empty_kw.copy()
        most_kw[:, :1] += steep[:, :1] * stored_kwh[at][:, None]
        rows = b.add_rows(most_kw.shape, -np.inf, most_kw)
        b.put(rows, power[at], 1.0)
        b.put(rows[:, 1:], stored[at, :-1], -steep[:, 1:])
        b.name([f"{units[i].resource_id}: {field}" for i in at], Side.ROW_UPPER, rows)
        return ByLevel(units=at, rows=rows)

    full = np.array([i for i, u in enumerate(units) if u.charge_taper_soc < 1], dtype=np.int64)
    in_kw = most.into_kw[full] / column(1 - units[i].charge_taper_soc for i in full)
    empty = np.array([i for i, u in enumerate(units) if u.discharge_taper_soc > 0], dtype=np.int64)
    out_kw = most.out_kw[empty] / column(units[i].discharge_taper_soc for i in empty)
    return (
        by_level(full, most.into, in_kw, -in_kw, "charge_taper_soc"),
        by_level(empty, most.out, 0 * out_kw, out_kw, "discharge_taper_soc"),
    )


def _cycles(b: Builder, storages: Storages) -> None:
    """What may be taken out on each local day; what was, this day, counts."""
    for i, unit in enumerate(storages.units):
        if unit.max_cycles_per_day is None:
            continue
        for day, steps in b.local_days.items():
            reading = said_on(b.view, unit.resource_id, day)
            used_kwh = 0.0 if reading is None else reading.discharged_today_kwh or 0.0
            left_kwh = max(unit.max_cycles_per_day * unit.capacity_kwh - used_kwh, 0.0)
            rows = b.add_rows((1,), -np.inf, left_kwh)
            b.put(rows, storages.discharge[i, steps], b.hours / unit.discharge_efficiency)
            b.name((f"{unit.resource_id}: max_cycles_per_day",), Side.ROW_UPPER, rows)


def _final(b: Builder, storages: Storages, lacking_per_kwh: float) -> None:
    """What must be stored at the end, or is paid for like a limit that is broken."""
    asked = [
        (i, u.resource_id, u.final_soc * u.capacity_kwh)
        for i, u in enumerate(storages.units)
        if u.final_soc is not None
    ]
    at = [i for i, _, _ in asked]
    lacking = b.add_columns((len(at),))
    b.price(lacking, lacking_per_kwh, "limit excess")
    rows = b.add_rows((len(at),), np.array([kwh for _, _, kwh in asked]), np.inf)
    b.put(rows, storages.stored[at, -1], 1.0)
    b.put(rows, lacking, 1.0)
    words = [f"{name}: final_soc" for _, name, _ in asked]
    b.name(words, Side.ROW_LOWER, rows, np.array([-1]))
    b.name(words, Side.BROKEN, lacking, np.array([b.steps - 1]))


def _reserve(b: Builder, storages: Storages) -> None:
    """What is kept for outages, where going below it costs something."""
    units = storages.units
    at = [i for i, u in enumerate(units) if u.reserve_soc * u.reserve_cost_per_kwh_h > 0]
    short = b.add_columns((len(at), b.steps))
    price = column(units[i].reserve_cost_per_kwh_h for i in at) * b.hours
    b.price(short, price, "reserve energy kept")
    kept_kwh = column(units[i].reserve_soc * units[i].capacity_kwh for i in at)
    rows = b.add_rows(short.shape, kept_kwh, np.inf)
    b.put(rows, storages.stored[at], 1.0)
    b.put(rows, short, 1.0)
    b.name([f"{units[i].resource_id}: reserve_soc" for i in at], Side.ROW_LOWER, rows)
