"""Values and prices of what a presolve left out: such that they prove as much as those of the rest.

store that stands still   levels follow, the cheapest columns first; with c the cost of the last one filled,
                          y[t] = c[t] + keep·y[t+1]: then no level has a reduced cost that counts
budget, all there is      v as high as the dearest draw, (c + w)/weight: every draw is at its most
budget, nothing           v as low as the cheapest draw: every draw is at 0
day limit, nothing        k so low that no step lets anything out: (c - w - loss·y)/loss
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point


def settle_stores(forest: Forest, which: Ints, point: Point, duals: Duals) -> None:
    """Write levels and prices of stores that nothing fills or empties."""
    if not len(which):
        return
    stores = forest.stores
    keep = stores.keep[which]
    whole = np.array(stores.given[which])
    for step in range(1, forest.steps):
        whole[:, step] += keep * whole[:, step - 1]
    level, cost = _cheapest(forest, which, whole, point)
    point.level[which] = level
    y = np.array(cost)
    for step in range(forest.steps - 2, -1, -1):
        y[:, step] += keep * y[:, step + 1]
    duals.store[which] = y


def _cheapest(forest: Forest, which: Ints, whole: Floats, point: Point) -> tuple[Floats, Floats]:
    """Main levels that with soft ones, written into `point`, make `whole`; the cost of the last one filled."""
    stores, soft = forest.stores, forest.soft
    level, last = np.empty(whole.shape), np.empty(whole.shape)
    for row, store in enumerate(which.tolist()):
        first, end = np.searchsorted(soft.store, [store, store + 1])
        columns = [(stores.level_least, stores.level_most, stores.level_cost, store)]
        columns += [(soft.least, soft.most, soft.cost, i) for i in range(first, end)]
        least, most, cost = (np.stack([one[i][one[3]] for one in columns]) for i in range(3))
        x, last[row] = _filled(least, most, cost, whole[row])
        level[row] = x[0]
        point.soft[first:end] = x[1:]
    return level, last


def _filled(least: Floats, most: Floats, cost: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Columns, shape (k, T), filled from their least, the cheapest first, until they make `whole`."""
    order = np.argsort(cost, axis=0, kind="stable")
    room = np.take_along_axis(most - least, order, axis=0)
    left = whole - least.sum(axis=0)
    before = np.cumsum(room, axis=0) - room
    taken = np.clip(left - before, 0.0, room)
    x = np.empty(least.shape)
    np.put_along_axis(x, order, taken, axis=0)
    filled = np.maximum((before < left).sum(axis=0) - 1, 0)
    last = np.take_along_axis(order, filled[None], axis=0)
    return x + least, np.take_along_axis(cost, last, axis=0)[0]


def settle_budgets(forest: Forest, which: Ints, point: Point, duals: Duals, *, full: bool) -> None:
    """Write draws and prices of budgets that have all there is, or nothing."""
    budgets = forest.budgets
    most = np.where(forest.windows()[which], budgets.draw_most[which], 0.0)
    price = budgets.draw_cost[which] + duals.bus[budgets.bus[which]]
    price /= budgets.weight[which, None]
    asked, lacking_cost = budgets.asked[which], budgets.lacking_cost[which]
    if full:
        point.draw[which] = most
        dearest = np.where(most > 0, price, -np.inf).max(axis=1, initial=-np.inf)
        lacks = asked > budgets.weight[which] * most.sum(axis=1)
        v = np.where(lacks, np.maximum(dearest, lacking_cost), np.maximum(dearest, 0.0))
    else:
        cheapest = np.where(most > 0, price, np.inf).min(axis=1, initial=np.inf)
        v = np.where(asked < 0, np.minimum(cheapest, 0.0), np.minimum(cheapest, lacking_cost))
    duals.budget[which] = v


def settle_day_limits(forest: Forest, which: Ints, duals: Duals) -> None:
    """Write prices of day limits that let nothing out."""
    limits, stores = forest.day_limits, forest.stores
    for day in which.tolist():
        store, span = limits.store[day], slice(limits.first[day], limits.end[day])
        loss = stores.loss[store]
        earns = stores.out_cost[store] - duals.bus[stores.bus[store]] - loss * duals.store[store]
        duals.day_limit[day] = min(float(earns[span].min()) / loss, 0.0)
