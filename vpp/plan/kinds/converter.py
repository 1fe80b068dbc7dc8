"""Converters: machines that draw at some ports and feed at others, at any mixture of their points.

    columns   weight (K,T) each, one row a point      off (T,) where standing ready draws
    rows      mix      Σ weight <= 1                  without on_off: standing still is a point too
                       Σ weight - on = 0              with it: the points are what it can do while on
              ready    off + on = 1                                          standby_kw
              ramps of the electric power, else of the first port                     ramp.py

A converter that is not heard, or left alone, stands still, ready.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import Converter
from vpp.plan.kinds import of_kind, onoff, ramp
from vpp.plan.kinds.onoff import OnOff
from vpp.plan.programme import Builder, Ints, Side


def add(b: Builder) -> OnOff:
    """All converters, heard or not; what is on or off of them."""
    units = of_kind(b.view, Converter)
    known = b.view.state.readings
    switched = [(u, u.on_off) for u in units if u.on_off is not None]
    may = np.array(
        [(u.resource_id in known) & ~b.view.alone(u.resource_id) for u, _ in switched], dtype=bool
    ).reshape(len(switched), b.steps)
    machines = onoff.add(
        b,
        [u.resource_id for u, _ in switched],
        [rules for _, rules in switched],
        may=may,
        idle_kw=[u.ready_kw for u, _ in switched],
    )
    for (unit, _), on in zip(switched, machines.on, strict=True):
        b.price(on, unit.running_cost_per_h * b.hours, "running")
    on_of = dict(zip(machines.names, machines.on, strict=True))
    for unit in units:
        _add_one(b, unit, on_of.get(unit.resource_id))
    return machines


def flows_kw(b: Builder, unit: Converter) -> Floats:
    """What flows at each port at each point in each step, shape (K, ports, T)."""
    factors = np.ones((len(unit.ports), b.steps))
    if unit.outdoor_series_id is not None:
        outdoor = b.view.outdoor_degc[unit.outdoor_series_id].values
        factors = np.array([port.factor_at(outdoor) for port in unit.ports])
    return np.array(unit.points_kw)[:, :, None] * factors


def _add_one(b: Builder, unit: Converter, on: Ints | None) -> None:
    """One converter's weights, in the balances of the nodes that its ports meet."""
    kw = flows_kw(b, unit)
    heard = b.view.state.reading(unit.resource_id) is not None
    there = heard & ~b.view.alone(unit.resource_id)
    weights = b.add_columns((len(kw), b.steps), upper=np.tile(there.astype(float), (len(kw), 1)))
    mix = b.add_rows((b.steps,), -np.inf if on is None else 0.0, 1.0 if on is None else 0.0)
    b.put(mix, weights, 1.0)
    if on is not None:
        b.put(mix, on, -1.0)
        b.name((f"{unit.resource_id}: points_kw",), Side.ROW_LOWER, mix)
    b.name((f"{unit.resource_id}: points_kw",), Side.ROW_UPPER, mix)
    for place in range(len(unit.ports)):
        _flow(b, unit, place, weights, kw[:, place])
    if on is not None and unit.standby_kw:
        _stand_by(b, unit, on)
    power = kw[:, _measured(unit)].sum(axis=1)
    ready_kw = unit.ready_kw
    least, most = np.minimum(power.min(axis=0), -ready_kw), np.maximum(power.max(axis=0), 0.0)
    if unit.electric:
        b.may(b.rows([unit.resource_id]), draw_kw=-least, feed_kw=most)
    parts: list[ramp.Part] = list(zip(weights, power, strict=True))
    if on is not None and ready_kw:
        parts.append((on, ready_kw))
    if heard:
        ramp.add(
            b,
            unit,
            parts,
            least_kw=least,
            most_kw=most,
            base_kw=-ready_kw,
            on=on,
            running_kw=(float(power[:, 0].min()), float(power[:, 0].max())),
        )


def _measured(unit: Converter) -> list[int]:
    """The ports of which its reading speaks: electricity, else the first."""
    return [i for i, port in enumerate(unit.ports) if port.node_id is None] or [0]


def _flow(b: Builder, unit: Converter, place: int, columns: Ints, kw: Floats) -> None:
    """A unit of each column, shape (…, T), makes `kw` flow at a port."""
    node_id = unit.ports[place].node_id
    if node_id is None:
        b.inject(b.rows([unit.resource_id]), columns, kw)
    else:
        b.inject_port(unit.resource_id, node_id, columns, kw)


def _stand_by(b: Builder, unit: Converter, on: Ints) -> None:
    """Draw at the first port while the machine is off but ready."""
    off = b.add_columns((b.steps,), upper=1.0)
    rows = b.add_rows((b.steps,), 1.0, 1.0)
    b.put(rows, off, 1.0)
    b.put(rows, on, 1.0)
    _flow(b, unit, 0, off, np.full(off.shape, -unit.standby_kw))
