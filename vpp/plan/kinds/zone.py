"""Thermal zones: rooms and cold stores whose warmth is a store.

    columns   heat, comfort, hot, cold (Z,T)
    rows      temperature[t] - a·temperature[t-1] - (1-a)·g·heat = (1-a)·(outdoor + gain·R)
              where temperature = comfort (within the band) + hot - cold

A zone that is not heard is expected to hold its target by itself, one that is left alone for a while to draw as much
as holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading
from vpp.model.resource import ThermalZone
from vpp.plan.kinds import column, of_kind, stack
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zones:
    """Zones that are heard, shapes (Z,) and (Z, T)."""

    units: tuple[ThermalZone, ...]
    comfort: Ints
    hot: Ints
    cold: Ints

    heat: Ints
    rows: Ints
    """Balance of each zone's warmth."""

    def temperatures(self, x: Floats) -> dict[ResourceId, Floats]:
        """Temperature at the end of each step, from a solution."""
        degc = x[self.comfort] + x[self.hot] - x[self.cold]
        return {u.resource_id: row for u, row in zip(self.units, degc, strict=True)}


def add(b: Builder) -> Zones:
    """All zones that are heard; the others hold their target, in `b.base_kw`."""
    known = b.view.state.readings
    for unit in of_kind(b.view, ThermalZone):
        if unit.resource_id not in known:
            outdoor = b.view.outdoor_degc[unit.outdoor_series_id].values
            b.base_kw[b.row_of[unit.resource_id]] = -holding_kw(unit, outdoor)
    units = [u for u in of_kind(b.view, ThermalZone) if u.resource_id in known]
    which, shape = b.rows([u.resource_id for u in units]), (len(units), b.steps)
    temperature = np.array([_degc(known[u.resource_id], u) for u in units], dtype=float)
    outdoor = stack([b.view.outdoor_degc[u.outdoor_series_id].values for u in units], b.steps)
    most_kw = column(u.max_draw_kw for u in units)
    alone = np.array([b.view.alone(u.resource_id) for u in units]).reshape(shape)
    held_kw = stack([holding_kw(u, row) for u, row in zip(units, outdoor, strict=True)], b.steps)
    heat = b.add_columns(
        shape,
        lower=np.where(alone, held_kw, 0.0),
        upper=np.where(alone, held_kw, np.broadcast_to(most_kw, shape)),
    )
    # The temperature is what lies within the comfort band, plus what is too hot, less too cold.
    least, most = column(u.min_degc for u in units), column(u.max_degc for u in units)
    comfort = b.add_columns(shape, lower=least, upper=most)
    hot, cold = b.add_columns(shape), b.add_columns(shape)
    discomfort = column(u.discomfort_cost_per_degc_h for u in units) * b.hours
    b.price(hot, discomfort, "discomfort")
    b.price(cold, discomfort, "discomfort")
    decay = column(u.decay(b.hours) for u in units)
    gain = column(u.internal_gain_kw * u.resistance_degc_per_kw for u in units)
    given = (1 - decay) * (outdoor + gain)
    given[:, :1] += decay * temperature[:, None]
    rows = b.add_rows(shape, given, given)
    for part, sign in ((comfort, 1.0), (hot, 1.0), (cold, -1.0)):
        b.put(rows, part, sign)
        b.put(rows[:, 1:], part[:, :-1], -sign * decay)
    per_kw = stack([u.degc_per_kw(row) for u, row in zip(units, outdoor, strict=True)], b.steps)
    b.put(rows, heat, -(1 - decay) * per_kw)
    b.inject(which[:, None], heat, -1.0)
    b.may(which, draw_kw=most_kw)
    names = [u.resource_id for u in units]
    for field, columns, side in (
        ("max_draw_kw", heat, Side.UPPER),
        ("min_degc", comfort, Side.LOWER),
        ("max_degc", comfort, Side.UPPER),
    ):
        b.name([f"{name}: {field}" for name in names], side, columns)
    return Zones(
        units=tuple(units),
        comfort=comfort,
        hot=hot,
        cold=cold,
        heat=heat,
        rows=rows,
    )


def holding_kw(unit: ThermalZone, outdoor_degc: Floats) -> Floats:
    """Draw that holds the target temperature in the steady state, shape (T,)."""
    gap = unit.target_degc - outdoor_degc - unit.internal_gain_kw * unit.resistance_degc_per_kw
    return np.clip(gap / unit.degc_per_kw(outdoor_degc), 0.0, unit.max_draw_kw)


def _degc(reading: Reading, unit: ThermalZone) -> float:
    return unit.target_degc if reading.temperature_degc is None else reading.temperature_degc
