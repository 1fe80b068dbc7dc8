"""Forests side by side as one, each with trees of its own; and the answer of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
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
from vpp.plan.fleet.pick import Picked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Abreast:
    """Several forests of the same steps as one."""

    forest: Forest
    each: tuple[Picked, ...]
    """Where the members of each stand in it."""

    def apart(self, point: Point, duals: Duals) -> list[tuple[Point, Duals]]:
        """What was found of each."""
        found = []
        for one in self.each:
            own, theirs = one.take(point, duals)
            peak = theirs.peak[:, : one.forest.peaks.least.shape[1]]
            found.append((own, replace(theirs, peak=peak)))
        return found


def abreast(forests: Sequence[Forest]) -> Abreast:
    """Put forests side by side."""
    begins = dict.fromkeys(
        ("buses", "stores", "soft", "budgets", "parts", "peaks", "day_limits", "tapers"), 0
    )
    intervals = max(one.peaks.least.shape[1] for one in forests)
    moved, each = [], []
    for one in forests:
        at: dict[str, Ints] = {}
        for kind, count in _counts(one).items():
            at[kind] = begins[kind] + np.arange(count)
            begins[kind] += count
        bus, store = int(at["buses"][0]), begins["stores"] - len(at["stores"])
        each.append(Picked(forest=one, **at))
        moved.append(_moved(one, bus, store, intervals))
    return Abreast(
        forest=Forest(
            steps=forests[0].steps,
            buses=_joined([one.buses for one in moved]),
            stores=_joined([one.stores for one in moved]),
            soft=_joined([one.soft for one in moved]),
            budgets=_joined([one.budgets for one in moved]),
            parts=_joined([one.parts for one in moved]),
            peaks=_joined([one.peaks for one in moved]),
            day_limits=_joined([one.day_limits for one in moved]),
            tapers=_joined([one.tapers for one in moved]),
        ),
        each=tuple(each),
    )


def _counts(one: Forest) -> dict[str, int]:
    return {
        "buses": len(one.buses.parent),
        "stores": len(one.stores.bus),
        "soft": len(one.soft.store),
        "budgets": len(one.budgets.bus),
        "parts": len(one.parts.bus),
        "peaks": len(one.peaks.bus),
        "day_limits": len(one.day_limits.store),
        "tapers": len(one.tapers.store),
    }


def _moved(one: Forest, bus: int, store: int, intervals: int) -> Forest:
    """A forest whose buses and stores are numbered from there on, with room for so many intervals of a peak."""
    parent, least = one.buses.parent, one.peaks.least
    none = np.full((len(least), intervals - least.shape[1]), -np.inf)
    return replace(
        one,
        buses=replace(one.buses, parent=np.where(parent == ROOT, ROOT, parent + bus)),
        stores=replace(one.stores, bus=one.stores.bus + bus),
        soft=replace(one.soft, store=one.soft.store + store),
        budgets=replace(one.budgets, bus=one.budgets.bus + bus),
        parts=replace(one.parts, bus=one.parts.bus + bus),
        peaks=replace(one.peaks, bus=one.peaks.bus + bus, least=np.hstack([least, none])),
        day_limits=replace(one.day_limits, store=one.day_limits.store + store),
        tapers=replace(one.tapers, store=one.tapers.store + store),
    )


Kind = TypeVar("Kind", Buses, Stores, SoftLevels, Budgets, Parts, Peaks, DayLimits, Tapers)


def _joined(kinds: Sequence[Kind]) -> Kind:
    names = [each.name for each in fields(kinds[0])]
    return replace(
        kinds[0], **{name: np.concatenate([getattr(one, name) for one in kinds]) for name in names}
    )
