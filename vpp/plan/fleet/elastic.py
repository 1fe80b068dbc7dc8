"""Rows that give way: what a forest lacks, where, and how much.

Every bus gets two more parts, what it lacks and what it has too much; every store two more levels; every
budget may lack all it asks. At prices of 1 a unit, with nothing else priced, the cheapest point says how
little would have to give way, and where: `what_lacks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.forest import Budgets, Clash, Forest, Ints, Parts, Point, SoftLevels, Tapers
from vpp.plan.fleet.reach import bus_reach, level_reach
from vpp.plan.fleet.written import by_highs
from vpp.plan.lp import Deadline
from vpp.plan.parts import ALONE, Workers

LEAST = 1e-6
"""Less than this much of 1 + the size of what is asked does not lack."""


def elastic(forest: Forest, price: float) -> Forest:
    """The forest with two parts more on every bus: what lacks, then what is too much, at a price a unit.

    They stand behind the bus's other parts.
    """
    parts, load = forest.parts, forest.buses.load_kw
    buses = len(load)
    low, high = bus_reach(forest)
    one, none = np.ones(load.shape), np.zeros(load.shape)
    bus = np.concatenate([parts.bus, np.arange(buses), np.arange(buses)])
    order = np.argsort(bus, kind="stable")

    def joined(own: Floats, lacks: Floats, spills: Floats) -> Floats:
        found: Floats = np.concatenate([own, lacks, spills])[order]
        return found

    return replace(
        forest,
        parts=Parts(
            bus=bus[order],
            here=joined(parts.here, one, -one),
            up=joined(parts.up, none, none),
            least=joined(parts.least, none, none),
            most=joined(parts.most, np.maximum(load - low, 0.0), np.maximum(high - load, 0.0)),
            cost=joined(parts.cost, price * one, price * one),
        ),
        peaks=replace(
            forest.peaks,
            counts=np.concatenate([forest.peaks.counts, np.zeros(2 * buses, dtype=bool)])[order],
        ),
    )


def what_lacks(
    forest: Forest, deadline: Deadline, workers: Workers = ALONE
) -> tuple[Clash, ...] | Unsolved:
    """The least that has to give way so that there is a point, largest first; HiGHS says how much."""
    whole = elastic(_unpriced(forest), 1.0)
    soft, added = _softer(whole)
    # Levels beyond their bounds would forbid standing still. What tapers make impossible bounds say alone.
    none = Tapers.none(forest.steps)
    whole = replace(whole, soft=soft, budgets=_laxer(whole.budgets), tapers=none)
    found = by_highs(whole, deadline, workers)
    if isinstance(found, Unsolved):
        return found
    point, _ = found
    clashes = [*_on_buses(whole, point), *_of_budgets(forest.budgets, point)]
    clashes += _in_stores(whole, np.flatnonzero(added), point)
    return tuple(sorted(clashes, key=lambda one: -abs(one.by)))


def _on_buses(whole: Forest, point: Point) -> Iterator[Clash]:
    load = whole.buses.load_kw
    behind = np.searchsorted(whole.parts.bus, np.arange(len(load)), side="right")
    by = point.part[behind - 2] - point.part[behind - 1]
    for bus, step in np.argwhere(np.abs(by) > LEAST * (1.0 + np.abs(load))).tolist():
        yield Clash(bus=bus, step=step, by=float(by[bus, step]))


def _of_budgets(budgets: Budgets, point: Point) -> Iterator[Clash]:
    by = point.lacking
    for budget in np.flatnonzero(by > LEAST * (1.0 + np.abs(budgets.asked))).tolist():
        yield Clash(bus=int(budgets.bus[budget]), step=-1, budget=budget, by=float(by[budget]))


def _in_stores(whole: Forest, added: Ints, point: Point) -> Iterator[Clash]:
    """The first step in which each store's level is out of reach."""
    level = point.soft[added]
    size = LEAST * (1.0 + np.abs(whole.stores.level_most[whole.soft.store[added]]))
    for which, step in np.argwhere(np.abs(level) > size).tolist():
        if (np.abs(level[which, :step]) <= size[which, :step]).all():
            store = int(whole.soft.store[added[which]])
            bus = int(whole.stores.bus[store])
            yield Clash(bus=bus, step=step, store=store, by=-float(level[which, step]))


def _unpriced(forest: Forest) -> Forest:
    def nothing(like: Floats) -> Floats:
        return np.broadcast_to(0.0, like.shape)

    stores = replace(
        forest.stores,
        into_cost=nothing(forest.stores.into_cost),
        out_cost=nothing(forest.stores.out_cost),
        level_cost=nothing(forest.stores.level_cost),
    )
    return replace(
        forest,
        stores=stores,
        soft=replace(forest.soft, cost=nothing(forest.soft.cost)),
        budgets=replace(
            forest.budgets,
            lacking_cost=nothing(forest.budgets.lacking_cost),
            draw_cost=nothing(forest.budgets.draw_cost),
        ),
        parts=replace(forest.parts, cost=nothing(forest.parts.cost)),
        peaks=replace(forest.peaks, cost=nothing(forest.peaks.cost)),
    )


def _softer(forest: Forest) -> tuple[SoftLevels, NDArray[np.bool_]]:
    """Two more levels of every store, one below its bounds, one above; and which those are."""
    soft, reach = forest.soft, level_reach(forest)
    count = len(forest.stores.bus)
    none = np.zeros(reach.low.shape)
    wide = np.abs(reach.low) + np.abs(reach.high) + np.abs(reach.least) + np.abs(reach.most)
    store = np.concatenate([soft.store, np.arange(count), np.arange(count)])
    order = np.argsort(store, kind="stable")
    softer = SoftLevels(
        store=store[order],
        least=np.concatenate([soft.least, -wide, none])[order],
        most=np.concatenate([soft.most, none, wide])[order],
        cost=np.concatenate([soft.cost, none - 1.0, none + 1.0])[order],
    )
    return softer, order >= len(soft.store)


def _laxer(budgets: Budgets) -> Budgets:
    """What may lack anyway is not asked; the rest may lack too."""
    asked = np.abs(budgets.asked)
    return replace(
        budgets,
        asked=budgets.asked - budgets.lacking_most,
        lacking_most=asked,
        lacking_cost=np.ones(len(asked)),
        spare_most=budgets.spare_most + budgets.lacking_most,
    )
