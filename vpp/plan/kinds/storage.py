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
limits that is available. While an operator has a store in hand (`held_kw` of the view) charge and discharge are
what that is, whatever of its power would be available, and it keeps no reserve. Never both ways at once:
`oneway.py`. A battery that does not say how full it is cannot be planned; it is left idle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.kindred import Kindred
from vpp.model.resource import Storage
from vpp.model.rows import Rows
from vpp.plan.held import left_kwh
from vpp.plan.kinds import left_alone, said_on
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
    every, known = b.view.park.kindred(Storage), b.view.state.readings
    said = [reading and reading.soc for reading in map(known.get, every.names)]
    soc = np.array(said, dtype=np.float64)  # None is NaN
    units = every.only(~np.isnan(soc))
    capacity_kwh = units.column("capacity_kwh")
    stored_kwh = soc[~np.isnan(soc)] * capacity_kwh[:, 0]
    floor_kwh = _below_in_hand(b, units, stored_kwh, _floor_kwh(b, units, stored_kwh))
    terminals = _terminals(b, units)
    stored = b.add_columns(floor_kwh.shape, lower=floor_kwh, upper=capacity_kwh)
    b.name(units.words("capacity_kwh"), Side.UPPER, stored)
    b.name(units.words("min_soc"), Side.LOWER, stored)
    fuller, emptier = _tapers(b, units, terminals, stored, stored_kwh)
    found = Storages(
        units=units.units,
        which=units.rows,
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
    _cycles(b, units, found)
    _final(b, units, found, limit_excess_price_per_kwh)
    _reserve(b, units, found)
    return found


def _floor_kwh(b: Builder, units: Kindred[Storage], stored_kwh: Floats) -> Floats:
    """The least at the end of each step, shape (S, T).

    A store found below its reserve may stay there, less what it loses: it is not forced up at any price.
    """
    kept = units.column("kept", b.hours)
    least_kwh = units.column("min_soc") * units.column("capacity_kwh")
    loses = kept[:, 0] != 1
    floor_kwh = np.minimum(least_kwh, stored_kwh[:, None])
    floor_kwh = np.broadcast_to(floor_kwh, (len(floor_kwh), b.steps))
    if not loses.any():
        return floor_kwh
    floor_kwh = floor_kwh.copy()
    left_kwh = stored_kwh[loses, None] * kept[loses] ** np.arange(1, b.steps + 1)
    floor_kwh[loses] = np.minimum(least_kwh[loses], left_kwh)
    return floor_kwh


def _below_in_hand(
    b: Builder, units: Kindred[Storage], stored_kwh: Floats, floor_kwh: Floats
) -> Floats:
    """The floor, no higher than where an operator's hand leaves a store that loses by itself; shape (S, T)."""
    found = floor_kwh
    for name, kw in b.view.held_kw.items():
        at = units.place.get(name)
        if at is None or units.units[at].kept(b.hours) == 1:
            continue
        found = found.copy() if found is floor_kwh else found
        idle_kwh = left_kwh(units.units[at], float(stored_kwh[at]), kw, b.hours)
        found[at] = np.minimum(found[at], np.maximum(idle_kwh, 0.0))
    return found


def _terminals(b: Builder, units: Kindred[Storage]) -> BothWays:
    """Charge and discharge, at the node where each store stands."""
    share, which = _share(b, units), units.rows
    shape = (len(units), b.steps)
    charge_kw = np.broadcast_to(units.column("max_charge_kw") * share, shape)
    discharge_kw = np.broadcast_to(units.column("max_discharge_kw") * share, shape)
    charge, discharge = (
        b.add_columns(shape, lower=least_kw, upper=most_kw)
        for least_kw, most_kw in _held(b, units, charge_kw, discharge_kw)
    )
    b.name(units.words("max_charge_kw"), Side.UPPER, charge)
    b.name(units.words("max_discharge_kw"), Side.UPPER, discharge)
    wear = units.column("wear_cost_per_kwh")
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
        kept_into=units.column("charge_efficiency"),
        kept_out=units.column("discharge_efficiency"),
        wear_into_per_kwh=wear,
        wear_out_per_kwh=wear,
        node=b.nodes(which),
    )


def _held(
    b: Builder, units: Kindred[Storage], charge_kw: Floats, discharge_kw: Floats
) -> tuple[tuple[float | Floats, Floats], tuple[float | Floats, Floats]]:
    """Least and most of charge and of discharge: both what an operator's hand holds them at, while it does."""
    if not b.view.held_kw:
        return (0.0, charge_kw), (0.0, discharge_kw)
    held_kw = np.full(charge_kw.shape, np.nan)
    for name, kw in b.view.held_kw.items():
        if (at := units.place.get(name)) is not None:
            held_kw[at] = kw
    free, into_kw, out_kw = np.isnan(held_kw), np.maximum(-held_kw, 0.0), np.maximum(held_kw, 0.0)
    return (
        (np.where(free, 0.0, into_kw), np.where(free, charge_kw, into_kw)),
        (np.where(free, 0.0, out_kw), np.where(free, discharge_kw, out_kw)),
    )


def _balance(
    b: Builder, units: Kindred[Storage], ways: BothWays, stored: Ints, stored_kwh: Floats
) -> Ints:
    """What is stored follows from what was, what went in and what was taken out; rows (S, T)."""
    kept = units.column("kept", b.hours)
    opening = np.zeros(stored.shape)
    opening[:, :1] = kept * stored_kwh[:, None]
    rows = b.add_rows(stored.shape, opening, opening)
    b.put(rows, stored, 1.0)
    b.put(rows[:, 1:], stored[:, :-1], -kept)
    b.put(rows, ways.into, -b.hours * ways.kept_into)
    b.put(rows, ways.out, b.hours / ways.kept_out)
    b.count(Counted.TAKEN_OUT_KWH, units.rows[:, None], ways.out, b.hours / ways.kept_out)
    return rows


def _share(b: Builder, units: Kindred[Storage]) -> Floats:
    """Share of both power limits that is available, none where a store is left alone; shape (S, T).

    Or (S, 1) where that is all of both in every step. All of it is where a hand holds the store: what it does then
    is known already, and another future in which less is available changes nothing of it.
    """
    series, alone = units.where("power_series_id"), left_alone(b.view, units)
    if not len(series) and not alone.any():
        return np.ones((len(units), 1))
    share = np.ones((len(units), b.steps))
    for i in series:
        share[i] = b.view.power_share[str(units.units[i].power_series_id)].values
    share[alone] = 0.0
    for name in b.view.held_kw:
        if (at := units.place.get(name)) is not None:
            share[at, b.view.in_hand(name)] = 1.0
    return share


def _tapers(
    b: Builder, units: Kindred[Storage], most: BothWays, stored: Ints, stored_kwh: Floats
) -> tuple[ByLevel, ByLevel]:
    """Nearly full, a store charges ever less; nearly empty, it discharges ever less."""
    capacity_kwh = units.column("capacity_kwh")
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
        b.name([f"{units.names[i]}: {field}" for i in at], Side.ROW_UPPER, rows)
        return ByLevel(units=at, rows=rows)

    full_soc, empty_soc = units.column("charge_taper_soc"), units.column("discharge_taper_soc")
    full, empty = np.flatnonzero(full_soc < 1), np.flatnonzero(empty_soc > 0)
    in_kw = most.into_kw[full] / (1 - full_soc[full])
    out_kw = most.out_kw[empty] / empty_soc[empty]
    return (
        by_level(full, most.into, in_kw, -in_kw, "charge_taper_soc"),
        by_level(empty, most.out, 0 * out_kw, out_kw, "discharge_taper_soc"),
    )


def _cycles(b: Builder, units: Kindred[Storage], storages: Storages) -> None:
    """What may be taken out on each local day; what was, this day, counts."""
    most = units.column("max_cycles_per_day") * units.column("capacity_kwh")
    for i in np.flatnonzero(~np.isnan(most)):
        unit = units.units[i]
        for day, steps in b.local_days.items():
            reading = said_on(b.view, unit.resource_id, day)
            used_kwh = 0.0 if reading is None else reading.discharged_today_kwh or 0.0
            per_kw = b.hours / unit.discharge_efficiency
            left_kwh = max(float(most[i, 0]) - used_kwh, 0.0)
            if (held_kw := b.view.held_kw.get(unit.resource_id)) is not None:
                # What an operator takes out is taken out, whatever was promised of its cycles.
                left_kwh = max(left_kwh, per_kw * np.nansum(np.maximum(held_kw[steps], 0.0)))
            rows = b.add_rows((1,), -np.inf, left_kwh)
            b.put(rows, storages.discharge[i, steps], per_kw)
            b.name((f"{unit.resource_id}: max_cycles_per_day",), Side.ROW_UPPER, rows)


def _final(b: Builder, units: Kindred[Storage], storages: Storages, lacking_per_kwh: float) -> None:
    """What must be stored at the end, or is paid for like a limit that is broken."""
    asked_kwh = (units.column("final_soc") * units.column("capacity_kwh"))[:, 0]
    at = np.flatnonzero(~np.isnan(asked_kwh))
    lacking = b.add_columns((len(at),))
    b.price(lacking, lacking_per_kwh, "limit excess")
    rows = b.add_rows((len(at),), asked_kwh[at], np.inf)
    b.put(rows, storages.stored[at, -1], 1.0)
    b.put(rows, lacking, 1.0)
    words = [f"{units.names[i]}: final_soc" for i in at]
    b.name(words, Side.ROW_LOWER, rows, np.array([-1]))
    b.name(words, Side.BROKEN, lacking, np.array([b.steps - 1]))


def _reserve(b: Builder, units: Kindred[Storage], storages: Storages) -> None:
    """What is kept for outages, where going below it costs something."""
    soc, per_kwh_h = units.column("reserve_soc"), units.column("reserve_cost_per_kwh_h")
    at = np.flatnonzero(soc * per_kwh_h > 0)
    short = b.add_columns((len(at), b.steps))
    b.price(short, per_kwh_h[at] * b.hours, "reserve energy kept")
    kept_kwh = soc[at] * units.column("capacity_kwh")[at]
    rows = b.add_rows(short.shape, kept_kwh, np.inf)
    b.put(rows, storages.stored[at], 1.0)
    b.put(rows, short, 1.0)
    b.name([f"{units.names[i]}: reserve_soc" for i in at], Side.ROW_LOWER, rows)
