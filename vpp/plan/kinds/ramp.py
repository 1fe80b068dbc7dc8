"""Ramps: how fast a machine may change its power from one step to the next.

    rows      |power[t] - power[t-1]| <= ramp_kw_per_min · 60 · h     (free where it starts or stops)

Powers are means over a step, and so is what the rows compare. The step before the horizon is the last
reading; without one the first step is free, and so it is for a machine that is on and was found at less
than it can do while on: it is still starting. What a machine cannot keep from where it was found is not
asked: one that draws 100 kW and whose shift ends in the next step stops, whatever its ramp. Where a
step is long enough for the whole range (nearly always, with steps of an hour) there is no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.resource import Resource
from vpp.plan.kinds.onoff import ON_KW, is_on
from vpp.plan.programme import Builder, Ints, Side

Part = tuple[Ints, "Floats | float"]
"""Columns, shape (T,), and the kW that a unit of each feeds, which broadcast to them."""


def add(
    b: Builder,
    unit: Resource,
    parts: Sequence[Part],
    *,
    least_kw: Floats,
    most_kw: Floats,
    base_kw: float = 0.0,
    on: Ints | None = None,
    running_kw: tuple[float, float] = (-inf, inf),
) -> None:
    """Keep the ramp of one machine whose power is `base_kw` and the sum of `parts`.

    Args:
        b: Where rows grow.
        unit: The machine.
        parts: Columns and their kW, net injection like the reading's: what is drawn counts -1.
        least_kw: Least power the machine can have in each step, off included; shape (T,).
        most_kw: The most, shape (T,).
        base_kw: What depends on no column (standby).
        on: Its on/off columns, shape (T,): a step in which it starts or stops is free.
        running_kw: Least and most power while it is on.
    """
    change_kw = unit.ramp_kw_per_min * 60 * b.hours
    range_kw = float(most_kw.max() - least_kw.min())
    if change_kw >= range_kw:
        return
    reading = b.view.state.reading(unit.resource_id)
    found_kw = None
    starting = (
        on is not None
        and reading is not None
        and not (running_kw[0] - ON_KW <= reading.power_kw <= running_kw[1] + ON_KW)
    )
    if reading is not None and not (starting and is_on(reading, idle_kw=abs(base_kw))):
        found_kw = float(np.clip(reading.power_kw, least_kw.min(), most_kw.max()))
    at = np.flatnonzero(_keepable(least_kw, most_kw, found_kw, change_kw))
    # `power[t] - power[t-1]` lies within the ramp; on both sides room for all where on is 0.
    free_kw = np.zeros(len(at))
    before = np.zeros(len(at))
    if on is not None:
        free_kw += 2 * range_kw
        free_kw[at == 0] -= range_kw * float(is_on(reading, idle_kw=abs(base_kw)))
    if found_kw is not None:
        before[at == 0] = found_kw - base_kw
    words = (f"{unit.resource_id}: ramp_kw_per_min",)
    later = at > 0
    for sign, side in ((1.0, Side.ROW_UPPER), (-1.0, Side.ROW_LOWER)):
        room_kw = before + sign * (change_kw + free_kw)
        rows = b.add_rows(
            (len(at),),
            room_kw if side is Side.ROW_LOWER else -np.inf,
            room_kw if side is Side.ROW_UPPER else np.inf,
        )
        for columns, kw in parts:
            filled = np.broadcast_to(np.asarray(kw, dtype=float), columns.shape)
            b.put(rows, columns[at], filled[at])
            b.put(rows[later], columns[at[later] - 1], -filled[at[later] - 1])
        if on is not None:
            b.put(rows, on[at], sign * range_kw)
            b.put(rows[later], on[at[later] - 1], sign * range_kw)
        b.name(words, side, rows, at)


def _keepable(
    least_kw: Floats, most_kw: Floats, found_kw: float | None, change_kw: float
) -> NDArray[np.bool_]:
    """Steps whose ramp can be kept, going as near as can be from where the machine was found."""
    kept = np.ones(len(least_kw), dtype=bool)
    kept[0] = found_kw is not None
    low = high = found_kw
    for step, (least, most) in enumerate(zip(least_kw.tolist(), most_kw.tolist(), strict=True)):
        if low is None or high is None:
            low, high = least, most
            continue
        low, high = low - change_kw, high + change_kw
        kept[step] = low <= most and high >= least
        low, high = min(max(low, least), most), max(min(high, most), least)
    return kept
