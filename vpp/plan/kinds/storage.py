"""Storages: batteries and other stores, of any carrier.

    columns   charge, discharge, stored (S,T)          charging (·) 0/1 where burning energy pays
    rows      store    stored[t] - kept·stored[t-1] - ηc·h·charge + h/ηd·discharge = 0
              one way  charge <= Pc·charging, discharge <= Pd·(1 - charging)

A battery that does not say how full it is cannot be planned; it is left idle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Storage
from vpp.plan.kinds import column, of_kind, readings
from vpp.plan.programme import Builder, Counted, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Storages:
    """Shapes (S,) and (S, T)."""

    units: tuple[Storage, ...]
    which: Ints
    """Rows in park order."""

    stored_kwh: Floats
    """At the start of the horizon, shape (S,)."""

    charge: Ints
    discharge: Ints
    stored: Ints
    rows: Ints
    """Balance of each store."""

    def stored_profiles(self, x: Floats) -> dict[ResourceId, Floats]:
        """Energy at the end of each step, from a solution."""
        return {u.resource_id: x[self.stored[i]] for i, u in enumerate(self.units)}


def add(b: Builder) -> Storages:
    """All storages that say how full they are."""
    full = {name: r.soc for name, r in readings(b.view).items() if r.soc is not None}
    units = [u for u in of_kind(b.view, Storage) if u.resource_id in full]
    which, shape = b.rows([u.resource_id for u in units]), (len(units), b.steps)
    capacity = column(u.capacity_kwh for u in units)
    stored_kwh = np.array([full[u.resource_id] * u.capacity_kwh for u in units])
    # A store found below its reserve may stay there; it is not forced up at any price.
    floor = np.minimum(column(u.min_soc for u in units) * capacity, stored_kwh[:, None])
    charge_kw = column(u.max_charge_kw for u in units)
    discharge_kw = column(u.max_discharge_kw for u in units)
    charge = b.add_columns(shape, upper=charge_kw)
    discharge = b.add_columns(shape, upper=discharge_kw)
    stored = b.add_columns(shape, lower=floor, upper=capacity)
    wear = column(u.wear_cost_per_kwh for u in units) * b.hours
    b.price(charge, wear, "wear")
    b.price(discharge, wear, "wear")
    opening = np.zeros(shape)
    opening[:, :1] = stored_kwh[:, None]
    rows = b.add_rows(shape, opening, opening)
    b.put(rows, stored, 1.0)
    b.put(rows[:, 1:], stored[:, :-1], -1.0)
    b.put(rows, charge, -b.hours * column(u.charge_efficiency for u in units))
    b.put(rows, discharge, b.hours / column(u.discharge_efficiency for u in units))
    taken_out = b.hours / column(u.discharge_efficiency for u in units)
    b.count(Counted.TAKEN_OUT_KWH, which[:, None], discharge, taken_out)
    b.inject(which[:, None], discharge, 1.0)
    b.inject(which[:, None], charge, -1.0)
    b.may(which, draw_kw=charge_kw, feed_kw=discharge_kw)
    for field, columns, side in (
        ("max_charge_kw", charge, Side.UPPER),
        ("max_discharge_kw", discharge, Side.UPPER),
        ("capacity_kwh", stored, Side.UPPER),
        ("min_soc", stored, Side.LOWER),
    ):
        b.name([f"{u.resource_id}: {field}" for u in units], side, columns)
    return Storages(
        units=tuple(units),
        which=which,
        stored_kwh=stored_kwh,
        charge=charge,
        discharge=discharge,
        stored=stored,
        rows=rows,
    )


def forbid_burning(b: Builder, storages: Storages, worth_per_kwh: Floats) -> None:
    """Forbid charging and discharging at once where burning energy in the losses could pay.

    A kWh drawn and fed back shrinks to e = ηc·ηd and wears the store (1 + e) times: it pays where
    energy is worth less than -wear·(1 + e) / (1 - e). `worth_per_kwh` is the least that a kWh fed at
    each connection point is worth, shape (P, T). (`search.py` repairs what is rarer: a load that
    feeds beyond an export limit.)
    """
    units = [u for u in storages.units if u.node_id is None]
    if not units:
        return
    position = np.array([i for i, u in enumerate(storages.units) if u.node_id is None])
    kept = column(u.charge_efficiency * u.discharge_efficiency for u in units)
    wear = column(u.wear_cost_per_kwh for u in units)
    worth = worth_per_kwh[[b.point_of[u.connection_point_id] for u in units]]
    unit, step = np.nonzero(worth * (1 - kept) + wear * (1 + kept) < 0)
    if not len(unit):
        return
    charging = b.decide((len(unit),))
    charge_kw = np.array([units[i].max_charge_kw for i in unit])
    discharge_kw = np.array([units[i].max_discharge_kw for i in unit])
    in_rows = b.add_rows((len(unit),), -np.inf, 0.0)
    b.put(in_rows, storages.charge[position[unit], step], 1.0)
    b.put(in_rows, charging, -charge_kw)
    out_rows = b.add_rows((len(unit),), -np.inf, discharge_kw)
    b.put(out_rows, storages.discharge[position[unit], step], 1.0)
    b.put(out_rows, charging, discharge_kw)
