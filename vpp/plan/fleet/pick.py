"""Some of a forest as a forest of its own, and what was found for it put back into the whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    Clash,
    DayLimits,
    Duals,
    Forest,
    Ints,
    Parts,
    Peaks,
    Point,
    SoftLevels,
    Stores,
    Tapers,
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """A smaller forest, and which of the whole one each of its members is, rising."""

    forest: Forest
    buses: Ints
    stores: Ints
    soft: Ints
    budgets: Ints
    parts: Ints
    peaks: Ints
    day_limits: Ints
    tapers: Ints

    def whole(self, forest: Forest) -> bool:
        """Whether nothing of the forest was left out."""
        here, there = self.forest, forest
        return (
            len(here.stores.bus) == len(there.stores.bus)
            and len(here.budgets.bus) == len(there.budgets.bus)
            and len(here.buses.parent) == len(there.buses.parent)
            and len(here.day_limits.store) == len(there.day_limits.store)
        )

    def of_whole(self, clash: Clash) -> Clash:
        """What cannot be in the smaller forest, with the numbers of the whole one."""
        return replace(
            clash,
            bus=int(self.buses[clash.bus]),
            budget=-1 if clash.budget < 0 else int(self.budgets[clash.budget]),
            store=-1 if clash.store < 0 else int(self.stores[clash.store]),
        )

    def take(self, point: Point, duals: Duals) -> tuple[Point, Duals]:
        """What was found for the whole forest, for the smaller one."""
        return (
            Point(
                into=point.into[self.stores],
                out=point.out[self.stores],
                level=point.level[self.stores],
                soft=point.soft[self.soft],
                draw=point.draw[self.budgets],
                lacking=point.lacking[self.budgets],
                spare=point.spare[self.budgets],
                part=point.part[self.parts],
                peak=point.peak[self.peaks],
            ),
            Duals(
                bus=duals.bus[self.buses],
                store=duals.store[self.stores],
                budget=duals.budget[self.budgets],
                peak=duals.peak[self.peaks],
                day_limit=duals.day_limit[self.day_limits],
                taper=duals.taper[self.tapers],
            ),
        )

    def put(self, point: Point, duals: Duals, into: Point, prices: Duals) -> None:
        """Write what was found for the smaller forest into the arrays of the whole one."""
        for which, names in (
            (self.stores, ("into", "out", "level")),
            (self.soft, ("soft",)),
            (self.budgets, ("draw", "lacking", "spare")),
            (self.parts, ("part",)),
            (self.peaks, ("peak",)),
        ):
            for name in names:
                getattr(into, name)[which] = getattr(point, name)
        prices.bus[self.buses] = duals.bus
        prices.store[self.stores] = duals.store
        prices.budget[self.budgets] = duals.budget
        prices.peak[self.peaks] = duals.peak
        prices.day_limit[self.day_limits] = duals.day_limit
        prices.taper[self.tapers] = duals.taper


def pick(
    forest: Forest,
    *,
    buses: Mask | None = None,
    stores: Mask | None = None,
    budgets: Mask | None = None,
    day_limits: Mask | None = None,
) -> Picked:
    """The chosen buses with what hangs on them, less the stores, budgets and day limits not chosen.

    Args:
        forest: The whole one; what stays whole is shared with it, not copied.
        buses: Whole trees, shape (B,); left out, all of them.
        stores: Shape (n,); so are the others.
        budgets: Which windows.
        day_limits: Which of the chosen stores' limits.
    """
    own, hung = forest.stores, forest.soft
    bus = _all(buses, len(forest.buses.parent))
    store = _all(stores, len(own.bus)) & bus[own.bus]
    soft = store[hung.store]
    budget = _all(budgets, len(forest.budgets.bus)) & bus[forest.budgets.bus]
    part, peak = bus[forest.parts.bus], bus[forest.peaks.bus]
    day = _all(day_limits, len(forest.day_limits.store)) & store[forest.day_limits.store]
    taper = store[forest.tapers.store]
    bus_number, store_number = np.cumsum(bus) - 1, np.cumsum(store) - 1
    parent = forest.buses.parent[bus]
    return Picked(
        forest=Forest(
            steps=forest.steps,
            buses=Buses(
                parent=np.where(parent == ROOT, ROOT, bus_number[parent]),
                load_kw=_some(forest.buses.load_kw, bus),
            ),
            stores=_of(own, store, bus=bus_number[own.bus[store]]),
            soft=_of(hung, soft, store=store_number[hung.store[soft]]),
            budgets=_of(forest.budgets, budget, bus=bus_number[forest.budgets.bus[budget]]),
            parts=_of(forest.parts, part, bus=bus_number[forest.parts.bus[part]]),
            peaks=_of(
                forest.peaks,
                peak,
                bus=bus_number[forest.peaks.bus[peak]],
                counts=forest.peaks.counts[part],
            ),
            day_limits=_of(
                forest.day_limits, day, store=store_number[forest.day_limits.store[day]]
            ),
            tapers=_of(forest.tapers, taper, store=store_number[forest.tapers.store[taper]]),
        ),
        **{
            name: np.flatnonzero(mask)
            for name, mask in (
                ("buses", bus),
                ("stores", store),
                ("soft", soft),
                ("budgets", budget),
                ("parts", part),
                ("peaks", peak),
                ("day_limits", day),
                ("tapers", taper),
            )
        },
    )


Kind = TypeVar("Kind", Stores, SoftLevels, Budgets, Parts, Peaks, DayLimits, Tapers)


def _of(kind: Kind, mask: Mask, **given: NDArray[Any]) -> Kind:
    """The chosen members of one kind; `given` says what is not copied from them."""
    values = {each.name: getattr(kind, each.name) for each in fields(kind)}
    picked = {name: _some(one, mask) for name, one in values.items() if name not in given}
    return replace(kind, **picked | given)


def _all(mask: Mask | None, count: int) -> Mask:
    return np.ones(count, dtype=bool) if mask is None else mask


def _some(values: NDArray[Any], mask: Mask) -> NDArray[Any]:
    """The chosen rows; what is alike in all steps stays a view of one column."""
    if mask.all():
        return values
    if values.ndim == 2 and values.shape[1] and values.strides[1] == 0:
        return np.broadcast_to(values[mask, :1], (int(mask.sum()), values.shape[1]))
    return values[mask]
