"""Who gives how much of what all together are to do: five rules, each one pass of arrays.

    total wanted ──▶ what each may do: base, low, high ──▶ rule ──▶ power of each, and what is left

    PROPORTIONAL      every unit moves by the same part of the headroom it has that way
    MERIT_ORDER       the cheapest moves to its bound first; equal costs share like PROPORTIONAL
    EQUAL_LEVEL       every unit runs at the same kW, as far as its bounds let it (water filling)
    EQUAL_SOC         stores are led to one state of charge; none is filled out of another
    LEAST_CORRECTION  the powers nearest to the plan in the sum of squares

Powers are net injection, positive feeds. All rules keep these promises:

* The powers add up to the total, or everybody is at a bound and `left_kw` says what is left.
* Nobody leaves its bounds; a base beyond them counts as the nearest bound.
* A higher total lowers nobody.
* Units that are alike in everything the rule looks at get the same.

Squares, because the least total move has no answer of its own: moving the first unit by 10 kW or ten
units by 1 kW is the same total. The sum of squares has exactly one least answer, and it changes
smoothly with the total, so a small correction is a small one everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from vpp.act.level import Lines, powers_at_level
from vpp.act.merit import Order, fill, ranked
from vpp.errors import DataError
from vpp.model.horizon import Floats

__all__ = ["Order", "Room", "Rule", "Shared", "hand_out"]

MOST_KW = 1e12
"""No unit is larger: what is, is a wrong register, and would swallow the others in rounding."""

MEET_HOURS = 0.25
"""In which stores are led to one state of charge where nobody says: a market interval."""


class Rule(StrEnum):
    PROPORTIONAL = "proportional"
    MERIT_ORDER = "merit_order"
    EQUAL_LEVEL = "equal_level"
    EQUAL_SOC = "equal_soc"
    LEAST_CORRECTION = "least_correction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Room:
    """What each of n units does and may do now; arrays of float64, shape (n,).

    Raises:
        DataError: A value is no finite number, a shape is not (n,), or a low bound is above the high one.
    """

    base_kw: Floats
    """Where each stands before anything is shared: the plan, or what it does now."""

    low_kw: Floats
    high_kw: Floats

    cost_up_per_kwh: Floats
    """What one kWh more of net injection costs at the unit: wear, fuel, shadow price of what is stored."""

    cost_down_per_kwh: Floats
    """What one kWh less costs; below 0 where it saves."""

    stored_kwh: Floats
    """Energy in the store; NaN where the unit is none, as `capacity_kwh` then."""

    capacity_kwh: Floats

    def __post_init__(self) -> None:
        size = np.shape(self.base_kw)
        for name in ("base_kw", "low_kw", "high_kw", "cost_up_per_kwh", "cost_down_per_kwh"):
            _require_numbers(name, getattr(self, name), size)
        for name in ("stored_kwh", "capacity_kwh"):
            _require_numbers(name, getattr(self, name), size, or_nan=True)
        none = np.isnan(self.capacity_kwh)
        _require("stored_kwh", self.stored_kwh, np.isnan(self.stored_kwh) == none)
        if len(none) and not none.all():
            _require("capacity_kwh", self.capacity_kwh, none | (self.capacity_kwh >= 1e-6))
        _require("low_kw", self.low_kw, self.low_kw <= self.high_kw)

    @property
    def size(self) -> int:
        return len(self.base_kw)

    @property
    def start_kw(self) -> Floats:
        """The base, or the bound nearest to it, shape (n,)."""
        start_kw = np.maximum(self.base_kw, self.low_kw)
        return np.minimum(start_kw, self.high_kw, out=start_kw)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """What came out."""

    power_kw: Floats
    """Net injection of each unit, shape (n,)."""

    left_kw: float
    """What nobody had room for, 0 where all was shared; above 0: more was to be fed."""

    order: Order
    """For the next call with the same units: what is sorted need not be sorted again."""


def hand_out(
    rule: Rule,
    room: Room,
    total_kw: float,
    order: Order | None = None,
    *,
    meet_hours: float = MEET_HOURS,
) -> Shared:
    """Share `total_kw` (net injection of all together) by `rule`.

    Args:
        rule: Which of the five.
        room: What each unit may do.
        total_kw: What all of them together are to do.
        order: What the last call gave back, of the same units; None: there was none.
        meet_hours: EQUAL_SOC only: the time in which the stores are to meet. The shorter, the more
            the fullest does alone; the longer, the more each does by its size.

    Raises:
        DataError: `total_kw` is no finite number, or `meet_hours` is not within 0.001 … 10 000.
    """
    _require_numbers("total_kw", np.array([total_kw], dtype=np.float64), (1,))
    _require(
        "meet_hours",
        np.array([meet_hours], dtype=np.float64),
        np.array([1e-3 <= meet_hours <= 1e4]),
    )
    kept = Order() if order is None else order
    least_kw, most_kw = float(room.low_kw.sum()), float(room.high_kw.sum())
    if total_kw >= most_kw:
        return Shared(power_kw=room.high_kw.copy(), left_kw=total_kw - most_kw, order=kept)
    if total_kw <= least_kw:
        return Shared(power_kw=room.low_kw.copy(), left_kw=total_kw - least_kw, order=kept)
    match rule:
        case Rule.PROPORTIONAL:
            power_kw = _proportional(room, room.start_kw, total_kw)
        case Rule.MERIT_ORDER:
            power_kw, kept = _merit_order(room, total_kw, kept)
        case Rule.EQUAL_LEVEL:
            power_kw = _at_level(room, np.zeros(room.size), np.ones(room.size), total_kw)
        case Rule.EQUAL_SOC:
            power_kw = _equal_soc(room, total_kw, meet_hours)
        case Rule.LEAST_CORRECTION:
            power_kw = _at_level(room, room.base_kw, np.ones(room.size), total_kw)
        case _:
            assert_never(rule)
    return Shared(power_kw=power_kw, left_kw=0.0, order=kept)


def _proportional(room: Room, start_kw: Floats, total_kw: float) -> Floats:
    """Every unit goes the same part of its way to the bound on that side."""
    more_kw = total_kw - float(start_kw.sum())
    way_kw = (room.high_kw if more_kw > 0 else room.low_kw) - start_kw
    whole_kw = float(way_kw.sum())
    if whole_kw == 0:
        return start_kw
    way_kw *= min(more_kw / whole_kw, 1.0)
    way_kw += start_kw
    return np.clip(way_kw, room.low_kw, room.high_kw, out=way_kw)


def _merit_order(room: Room, total_kw: float, order: Order) -> tuple[Floats, Order]:
    start_kw = room.start_kw
    more_kw = total_kw - float(start_kw.sum())
    if more_kw > 0:
        order = replace(order, up=(side := ranked(order.up, room.cost_up_per_kwh)))
        return fill(side, start_kw, room.high_kw, more_kw), order
    order = replace(order, down=(side := ranked(order.down, room.cost_down_per_kwh)))
    return fill(side, start_kw, room.low_kw, -more_kw), order


def _at_level(room: Room, offset_kw: Floats, slope: Floats, total_kw: float) -> Floats:
    lines = Lines(offset_kw=offset_kw, slope=slope, low_kw=room.low_kw, high_kw=room.high_kw)
    return powers_at_level(lines, total_kw)


def _equal_soc(room: Room, total_kw: float, meet_hours: float) -> Floats:
    """Each store feeds what lies above one level of charge, or draws what is missing, in `meet_hours`.

    It rests, and so does not work against the others, where that would be the other way: energy that
    goes from one store to another pays the losses of both. Losses are not in the level itself.
    Units without a store stay at their base until every store is at its bound.
    """
    stores = np.flatnonzero(~np.isnan(room.capacity_kwh))
    low, high = room.low_kw[stores], room.high_kw[stores]
    power_kw = room.start_kw
    wanted_kw = total_kw - float(power_kw.sum() - power_kw[stores].sum())
    rest = np.minimum(np.maximum(0.0, low), high)
    up = wanted_kw > float(rest.sum())
    bound = high if up else low
    if up == (wanted_kw > float(bound.sum())):  # more than the stores can do
        power_kw[stores] = bound
        return _proportional(room, power_kw, total_kw)
    lines = Lines(
        offset_kw=room.stored_kwh[stores] / meet_hours,
        slope=room.capacity_kwh[stores] / meet_hours,
        low_kw=rest if up else low,
        high_kw=high if up else rest,
    )
    power_kw[stores] = powers_at_level(lines, wanted_kw)
    return power_kw


def _require_numbers(
    name: str, values: Floats, shape: tuple[int, ...], *, or_nan: bool = False
) -> None:
    if np.shape(values) != shape:
        raise DataError(
            f"{name} has the shape {np.shape(values)}, not {shape}",
            where=f"hand_out: {name}",
            fix="Give one number for each unit, in park order",
        )
    if values.dtype != np.float64:
        raise DataError(
            f"{name} is an array of {values.dtype}",
            where=f"hand_out: {name}",
            fix="Give float64: whole numbers would cut what is shared",
        )
    if not len(values):
        return
    # The least of an array with a NaN is NaN (by fmin: of an array of nothing else), and no
    # comparison with NaN holds.
    least, most = (np.fmin, np.fmax) if or_nan else (np.minimum, np.maximum)
    if not (least.reduce(values) >= -MOST_KW and most.reduce(values) <= MOST_KW):
        _require(name, values, (np.abs(values) <= MOST_KW) | (or_nan & np.isnan(values)))


def _require(name: str, values: Floats, holds: NDArray[np.bool_]) -> None:
    if holds.all():
        return
    first = int(np.flatnonzero(~holds)[0])
    raise DataError(
        f"{name} is {values[first]} at unit {first}, and wrong at {int((~holds).sum())} in all",
        where=f"hand_out: {name}",
        fix="Leave a unit out whose numbers are not known; give finite ones, low <= high",
    )
