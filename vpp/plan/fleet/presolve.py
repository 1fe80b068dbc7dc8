"""What needs no solver, settled before: a forest without what cannot move, or what makes it impossible.

    a store that nothing fills and nothing empties      left out; its levels follow
    a budget that must have all there is, or nothing    left out; its draws go into the load
    a day limit that cannot bind, or lets nothing out   left out
    a level that only follows (the car is away)         its bounds moved away: they say nothing
    spare energy and peaks without a most               given one that cannot bind

Rows whose columns are all fixed have no interior: without this, they are most of what an interior point
fails on. Whatever the bounds alone make impossible is named here: budgets that ask more than fits, levels out
of reach, buses that lack. It takes a few passes over the bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.forest import (
    Budgets,
    Clash,
    Duals,
    Forest,
    Infeasible,
    Ints,
    Peaks,
    Point,
    Stores,
)
from vpp.plan.fleet.pick import Picked, pick
from vpp.plan.fleet.reach import Levels, bus_reach, level_reach
from vpp.plan.fleet.repair import interval_means
from vpp.plan.fleet.settled import settle_budgets, settle_day_limits, settle_stores
from vpp.plan.fleet.sums import summed

DEAD = 1e-9
"""kW that are nothing."""

NEAR = 1e-7
"""Of 1 + the size of what is asked: what lacks less than this fits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Presolved:
    """What is left to solve, and the way back."""

    forest: Forest
    whole: Forest
    picked: Picked
    dead_stores: Ints
    full_budgets: Ints
    """Which have all there is."""
    empty_budgets: Ints
    """Which have nothing."""
    closed_days: Ints
    """Which let nothing out."""

    def restore(self, point: Point, duals: Duals) -> tuple[Point, Duals]:
        """A point and prices of the whole forest from those of what was left of it.

        Prices of what was left out are such that they prove as much as those of the rest. Where nothing
        was left out they are what was given, not copied.
        """
        if self.picked.whole(self.whole):
            return point, duals
        whole, prices = blank(self.whole)
        self.picked.put(point, duals, whole, prices)
        settle_stores(self.whole, self.dead_stores, whole, prices)
        settle_budgets(self.whole, self.full_budgets, whole, prices, full=True)
        settle_budgets(self.whole, self.empty_budgets, whole, prices, full=False)
        settle_day_limits(self.whole, self.closed_days, prices)
        return whole, prices


def presolve(forest: Forest) -> Presolved | Infeasible:
    """Leave out what is settled, or say what cannot be.

    Raises:
        DataError: A number of the forest is none, or endless where it may not be.
    """
    _require_numbers(forest)
    forest = _uncrossed(forest)
    levels = level_reach(forest)
    full, empty = _settled(forest)
    clashes = [*_crossed(forest), *_in_stores(forest, levels), *_of_budgets(forest)]
    dead = _dead(forest.stores)
    binds, closed = _days(forest)
    picked = pick(forest, stores=~dead, budgets=~(full | empty), day_limits=binds & ~closed)
    small = picked.forest
    small = replace(
        small,
        buses=replace(small.buses, load_kw=_loaded(forest, full)),
        stores=_closed(_freed(small, levels, picked), forest, picked, closed),
        budgets=_boxed_budgets(small.budgets, small.windows()),
        peaks=_boxed_peaks(small),
    )
    clashes += _on_buses(small)
    clashes += [*_of_peaks(forest), *_of_days(forest)]
    if clashes:
        return Infeasible(clashes=tuple(sorted(clashes, key=lambda one: -abs(one.by))))
    return Presolved(
        forest=small,
        whole=forest,
        picked=picked,
        dead_stores=np.flatnonzero(dead),
        full_budgets=np.flatnonzero(full),
        empty_budgets=np.flatnonzero(empty),
        closed_days=np.flatnonzero(closed),
    )


def _require_numbers(forest: Forest) -> None:
    """Only spare energy and peaks may be without a most, and intervals without a least."""
    may_be = {
        ("budgets", "spare_most"): np.inf,
        ("peaks", "most"): np.inf,
        ("peaks", "least"): -np.inf,
    }
    kinds = ("buses", "stores", "soft", "budgets", "parts", "peaks", "day_limits", "tapers")
    for kind in kinds:
        group = getattr(forest, kind)
        for each in fields(group):
            values = getattr(group, each.name)
            if values.dtype.kind != "f" or np.isfinite(values).all():
                continue
            allowed = may_be.get((kind, each.name))
            if allowed is None or not (np.isfinite(values) | (values == allowed)).all():
                raise DataError(
                    "a number is none, or endless",
                    where=f"Forest.{kind}.{each.name}",
                    fix="Give every column finite bounds and every row a finite side",
                )


# ------------------------------------------------------------ what cannot be


def _uncrossed(forest: Forest) -> Forest:
    """Bounds that cross by no more than rounding made equal."""
    parts, stores = forest.parts, forest.stores
    if (parts.least > parts.most).any():
        near = parts.least <= parts.most + NEAR * (1.0 + np.abs(parts.most))
        parts = replace(parts, most=np.where(near, np.maximum(parts.most, parts.least), parts.most))
    if (stores.level_least > stores.level_most).any():
        least, most = stores.level_least, stores.level_most
        near = least <= most + NEAR * (1.0 + np.abs(most))
        stores = replace(stores, level_most=np.where(near, np.maximum(most, least), most))
    return replace(forest, parts=parts, stores=stores)


def _crossed(forest: Forest) -> Iterator[Clash]:
    """Parts whose least is above their most."""
    parts = forest.parts
    for part, step in np.argwhere(parts.least > parts.most).tolist():
        by = float(parts.least[part, step] - parts.most[part, step])
        yield Clash(bus=int(parts.bus[part]), step=step, by=by)


def _in_stores(forest: Forest, levels: Levels) -> Iterator[Clash]:
    """The first step in which each store's level is out of reach."""
    lacks = levels.lacks
    out = lacks > NEAR * (1.0 + np.abs(levels.most))
    stores = np.flatnonzero(out.any(axis=1))
    for store, step in zip(stores.tolist(), out[stores].argmax(axis=1).tolist(), strict=True):
        above = levels.low[store, step] > levels.most[store, step]
        by = float(lacks[store, step])
        bus = int(forest.stores.bus[store])
        yield Clash(bus=bus, step=step, store=store, by=-by if above else by)


def _of_budgets(forest: Forest) -> Iterator[Clash]:
    budgets = forest.budgets
    most = _fits(budgets, forest.windows())
    lacks = budgets.asked - budgets.lacking_most - most
    spills = -(budgets.asked + budgets.spare_most)
    near = NEAR * (1.0 + np.abs(budgets.asked))
    for budget in np.flatnonzero((lacks > near) | (spills > near)).tolist():
        by = float(lacks[budget] if lacks[budget] > near[budget] else -spills[budget])
        yield Clash(bus=int(budgets.bus[budget]), step=-1, budget=budget, by=by)


def _on_buses(forest: Forest) -> Iterator[Clash]:
    low, high = bus_reach(forest)
    load = forest.buses.load_kw
    near = NEAR * (1.0 + np.abs(load) + np.abs(low) + np.abs(high))
    by = np.where(load > high + near, load - high, np.where(load < low - near, load - low, 0.0))
    for bus, step in np.argwhere(by != 0).tolist():
        yield Clash(bus=bus, step=step, by=float(by[bus, step]))


def _of_peaks(forest: Forest) -> Iterator[Clash]:
    peaks = forest.peaks
    lowest = (peaks.least + interval_means(forest, forest.parts.least)).max(axis=1, initial=0.0)
    above = lowest - peaks.most
    for peak in np.flatnonzero(above > NEAR * (1.0 + np.abs(peaks.most))).tolist():
        yield Clash(bus=int(peaks.bus[peak]), step=-1, by=-float(above[peak]))


def _of_days(forest: Forest) -> Iterator[Clash]:
    """Days on which less than nothing may come out of a store, at the first step of each."""
    limits = forest.day_limits
    for day in np.flatnonzero(limits.most < -NEAR).tolist():
        store, by = int(limits.store[day]), float(limits.most[day])
        bus = int(forest.stores.bus[store])
        yield Clash(bus=bus, step=int(limits.first[day]), store=store, by=by)


# ------------------------------------------------------------ what is settled


def _dead(stores: Stores) -> NDArray[np.bool_]:
    """Which stores nothing fills or empties, shape (n,)."""
    most = np.maximum(
        stores.into_most.max(axis=1, initial=0.0), stores.out_most.max(axis=1, initial=0.0)
    )
    dead: NDArray[np.bool_] = most <= DEAD
    return dead


def _fits(budgets: Budgets, windows: NDArray[np.bool_]) -> Floats:
    most: Floats = budgets.weight * np.where(windows, budgets.draw_most, 0.0).sum(axis=1)
    return most


def _settled(forest: Forest) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which budgets must have all there is, and which nothing; shapes (n,)."""
    budgets = forest.budgets
    most = _fits(budgets, forest.windows())
    near = NEAR * (1.0 + np.abs(budgets.asked))
    full = budgets.asked - budgets.lacking_most >= most - near
    empty = (budgets.asked + budgets.spare_most <= near) & ~full
    return full, empty


def _loaded(forest: Forest, full: NDArray[np.bool_]) -> Floats:
    """The load with the draws of budgets that have all there is."""
    budgets, load = forest.budgets, forest.buses.load_kw
    if not full.any():
        return load
    drawn = np.where(forest.windows()[full], budgets.draw_most[full], 0.0)
    return load + summed(drawn, budgets.bus[full], len(load))


def _days(forest: Forest) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which day limits can bind, and which of them let nothing out."""
    limits, stores = forest.day_limits, forest.stores
    steps = np.arange(forest.steps)
    within = (limits.first[:, None] <= steps) & (steps < limits.end[:, None])
    could = stores.loss[limits.store] * (within * stores.out_most[limits.store]).sum(axis=1)
    return could > limits.most, (could > limits.most) & (limits.most <= DEAD)


def _closed(stores: Stores, whole: Forest, picked: Picked, closed: NDArray[np.bool_]) -> Stores:
    """Stores that let nothing out where a day limit says so."""
    if not closed.any():
        return stores
    number = np.full(len(whole.stores.bus), -1)
    number[picked.stores] = np.arange(len(picked.stores))
    out_most = np.array(stores.out_most)
    limits = whole.day_limits
    for day in np.flatnonzero(closed):
        if number[limits.store[day]] >= 0:
            out_most[number[limits.store[day]], limits.first[day] : limits.end[day]] = 0.0
    return replace(stores, out_most=out_most)


def _freed(small: Forest, levels: Levels, picked: Picked) -> Stores:
    """Stores with the bounds of levels that only follow moved away: they could not bind, and had no inside."""
    stores = small.stores
    low, high = levels.low[picked.stores], levels.high[picked.stores]
    follows = high - low <= DEAD * (1.0 + np.abs(high))
    follows[small.soft.store] = False
    if not follows.any():
        return stores
    room = np.maximum(stores.level_most - stores.level_least, 1.0)
    return replace(
        stores,
        level_least=np.where(follows, low - room, stores.level_least),
        level_most=np.where(follows, high + room, stores.level_most),
    )


def _boxed_budgets(budgets: Budgets, windows: NDArray[np.bool_]) -> Budgets:
    if np.isfinite(budgets.spare_most).all():
        return budgets
    room = np.maximum(_fits(budgets, windows) - budgets.asked + budgets.lacking_most, 0.0)
    return replace(budgets, spare_most=np.minimum(budgets.spare_most, room))


def _boxed_peaks(forest: Forest) -> Peaks:
    peaks = forest.peaks
    if np.isfinite(peaks.most).all():
        return peaks
    highest = (peaks.least + interval_means(forest, forest.parts.most)).max(axis=1, initial=0.0)
    return replace(peaks, most=np.minimum(peaks.most, 1.0 + highest))
