"""The Lagrangian bound: what no point of a forest can cost less than, by any prices of its rows.

    L(y) = b'y + Σ_j min(r_j lo_j, r_j hi_j),   r = c - A'y

It is valid whatever went wrong where the prices come from: one pass over the columns, each between its
bounds. Reduced costs, with the names of `forest.py`:

    into   c + w + gain·y - z                   out    c - w - loss·y - loss·Σ its k - z
    level  c - y + keep·y[t+1] - steep·z[t+1]   soft   the same with its own c
    draw   c + w - weight·v                     lacking  c - v       spare  v
    part   c - here·w - up·w of the bus above + share·q of its interval, where it counts
    peak   c - Σ q                              slack  q, -k and -z

Slacks have no upper bound, so q is at least 0, k and z at most 0: what is not is taken as 0. Spare energy
and peaks may have none either; then v is at least 0, and Σ q at most c.

Sums of many terms round. The bound is lowered by 1e-11·(the size of all terms + 3e-4·the largest price
·the size of the box), with which prices that have run off prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import ROOT, Duals, Forest, Ints
from vpp.plan.fleet.sums import slices, summed

ROUNDING = 1e-11
OF_THE_BOX = 3e-4


@dataclass(slots=True)
class _Terms:
    """Sums by tree, shape (trees,)."""

    value: Floats
    size: Floats
    box: Floats

    def add(self, tree: Ints, value: Floats, size: Floats, box: Floats) -> None:
        count = len(self.value)
        self.value += np.bincount(tree, value, count)
        self.size += np.bincount(tree, size, count)
        self.box += np.bincount(tree, box, count)


def sound(forest: Forest, duals: Duals) -> Duals:
    """The prices as near as they can be to what proves something: see the module."""
    budget = np.where(
        np.isinf(forest.budgets.spare_most), np.maximum(duals.budget, 0.0), duals.budget
    )
    peak = np.where(np.isfinite(forest.peaks.least), np.maximum(duals.peak, 0.0), 0.0)
    whole, cost = peak.sum(axis=1), forest.peaks.cost
    with np.errstate(divide="ignore", invalid="ignore"):
        less = np.where(np.isinf(forest.peaks.most) & (whole > cost), cost / whole, 1.0)
    return replace(
        duals,
        budget=budget,
        peak=less[:, None] * peak,
        day_limit=np.minimum(duals.day_limit, 0.0),
        taper=np.where(forest.tapers.on, np.minimum(duals.taper, 0.0), 0.0),
    )


def lower_bounds(forest: Forest, duals: Duals) -> Floats:
    """The bound of each tree by prices that are `sound`, shape (trees,); NaN where they are."""
    trees = forest.trees()
    count = len(trees.roots)
    terms = _Terms(np.zeros(count), np.zeros(count), np.zeros(count))
    _of_buses(forest, duals, trees.of, terms)
    _of_stores(forest, duals, trees.of, terms)
    _of_budgets(forest, duals, trees.of, terms)
    _of_parts(forest, duals, trees.of, terms)
    highest = _highest_price(forest, duals, trees.of, count)
    margin = ROUNDING * (
        terms.size + OF_THE_BOX * _largest_coefficient(forest) * highest * terms.box
    )
    found: Floats = terms.value - margin
    return found


def _of_buses(forest: Forest, duals: Duals, tree: Ints, terms: _Terms) -> None:
    given = forest.buses.load_kw * duals.bus
    terms.add(tree, given.sum(axis=1), np.abs(given).sum(axis=1), np.zeros(len(given)))


def _of_stores(forest: Forest, duals: Duals, tree: Ints, terms: _Terms) -> None:
    stores, soft = forest.stores, forest.soft
    outwards, tapered = _priced_days(forest, duals), _priced_tapers(forest, duals)
    for some in slices(len(stores.bus), forest.steps):
        y, w = duals.store[some], duals.bus[stores.bus[some]]
        gain, loss = stores.gain[some], stores.loss[some, None]
        given = stores.given[some] * y
        into_most, out_most = stores.into_most[some], stores.out_most[some]
        r_out = stores.out_cost[some] - w - loss * y
        if outwards is not None:
            r_out -= outwards[some]
        r_into = stores.into_cost[some] + w + gain * y
        r_level = stores.level_cost[some] - _held(y, stores.keep[some])
        if tapered is not None:
            r_into -= tapered[0][some]
            r_out -= tapered[1][some]
            r_level -= tapered[2][some]
        least, most = stores.level_least[some], stores.level_most[some]
        held = np.minimum(r_level * least, r_level * most)
        moved = into_most * np.minimum(r_into, 0.0)
        moved += out_most * np.minimum(r_out, 0.0)
        terms.add(
            tree[stores.bus[some]],
            (given + held + moved).sum(axis=1),
            (np.abs(given) + np.abs(held) - moved).sum(axis=1),
            (into_most + out_most + np.maximum(np.abs(least), np.abs(most))).sum(axis=1),
        )
    for some in slices(len(soft.store), forest.steps):
        of = soft.store[some]
        r = soft.cost[some] - _held(duals.store[of], stores.keep[of])
        if tapered is not None:
            r -= tapered[2][of]
        _add_columns(terms, tree[stores.bus[of]], r, soft.least[some], soft.most[some])


def _held(y: Floats, keep: Floats) -> Floats:
    """What the rows pay for a unit of level at the end of each step."""
    found = y.copy()
    found[:, :-1] -= keep[:, None] * y[:, 1:]
    return found


def _priced_days(forest: Forest, duals: Duals) -> Floats | None:
    """What day limits pay for a unit of `out`, shape (n, T)."""
    limits, stores = forest.day_limits, forest.stores
    if not len(limits.store):
        return None
    steps = np.arange(forest.steps)
    within = (limits.first[:, None] <= steps) & (steps < limits.end[:, None])
    price = (stores.loss[limits.store] * duals.day_limit)[:, None] * within
    return summed(price, limits.store, len(stores.bus))


def _priced_tapers(forest: Forest, duals: Duals) -> tuple[Floats, Floats, Floats] | None:
    """What tapers pay for a unit of `into`, `out` and level, shapes (n, T)."""
    tapers, count = forest.tapers, len(forest.stores.bus)
    if not len(tapers.store):
        return None
    into, out = (
        summed(
            np.where((tapers.empties == empties)[:, None], duals.taper, 0.0), tapers.store, count
        )
        for empties in (False, True)
    )
    level = np.zeros_like(into)
    level[:, :-1] = summed(tapers.steep * duals.taper, tapers.store, count)[:, 1:]
    return into, out, level


def _of_budgets(forest: Forest, duals: Duals, tree: Ints, terms: _Terms) -> None:
    budgets, v = forest.budgets, duals.budget
    of = tree[budgets.bus]
    asked = budgets.asked * v
    spare_most = np.where(np.isinf(budgets.spare_most), 0.0, budgets.spare_most)
    left = budgets.lacking_most * np.minimum(budgets.lacking_cost - v, 0.0)
    left += spare_most * np.minimum(v, 0.0)
    terms.add(of, asked + left, np.abs(asked) - left, budgets.lacking_most + spare_most)
    r = budgets.draw_cost + duals.bus[budgets.bus] - (budgets.weight * v)[:, None]
    most = np.where(forest.windows(), budgets.draw_most, 0.0)
    _add_columns(terms, of, r, np.zeros(1), most)


def _of_parts(forest: Forest, duals: Duals, tree: Ints, terms: _Terms) -> None:
    parts, peaks, limits = forest.parts, forest.peaks, forest.day_limits
    parent = forest.buses.parent[parts.bus]
    r = parts.cost - parts.here * duals.bus[parts.bus]
    below = np.flatnonzero(parent != ROOT)
    r[below] -= parts.up[below] * duals.bus[parent[below]]
    peak, counted = forest.counted()
    if len(peak):
        at = np.maximum(peaks.interval, 0)
        price = peaks.share * np.where(
            peaks.interval >= 0, np.take_along_axis(duals.peak, at, axis=1), 0.0
        )
        r += summed(price[peak], counted, len(r))
    _add_columns(terms, tree[parts.bus], r, parts.least, parts.most)
    least = np.where(np.isfinite(peaks.least), peaks.least, 0.0) * duals.peak
    most = np.where(np.isinf(peaks.most), 0.0, peaks.most)
    r_peak = most * np.minimum(peaks.cost - duals.peak.sum(axis=1), 0.0)
    terms.add(
        tree[peaks.bus],
        least.sum(axis=1) + r_peak,
        np.abs(least).sum(axis=1) - r_peak,
        most,
    )
    day = limits.most * duals.day_limit
    of = tree[forest.stores.bus[limits.store]]
    terms.add(of, day, np.abs(day), np.zeros(len(day)))
    tapered = forest.tapers.most * duals.taper
    of = tree[forest.stores.bus[forest.tapers.store]]
    terms.add(of, tapered.sum(axis=1), np.abs(tapered).sum(axis=1), np.zeros(len(tapered)))


def _add_columns(terms: _Terms, tree: Ints, r: Floats, least: Floats, most: Floats) -> None:
    """Columns of shape (n, T) between their bounds, at their reduced costs."""
    value = np.minimum(r * least, r * most)
    box = np.broadcast_to(np.maximum(np.abs(least), np.abs(most)), r.shape)
    terms.add(tree, value.sum(axis=1), np.abs(value).sum(axis=1), box.sum(axis=1))


def _highest_price(forest: Forest, duals: Duals, tree: Ints, count: int) -> Floats:
    """The largest size of any price in each tree."""
    found = np.zeros(count)
    of_store = forest.stores.bus
    of_day = of_store[forest.day_limits.store]
    for bus, price in (
        (np.arange(len(tree)), duals.bus),
        (of_store, duals.store),
        (forest.budgets.bus, duals.budget[:, None]),
        (forest.peaks.bus, duals.peak),
        (of_day, duals.day_limit[:, None]),
        (of_store[forest.tapers.store], duals.taper),
    ):
        largest = np.maximum(price.max(axis=1, initial=0.0), -price.min(axis=1, initial=0.0))
        np.maximum.at(found, tree[bus], largest)
    return found


def _largest_coefficient(forest: Forest) -> float:
    stores, budgets, parts = forest.stores, forest.budgets, forest.parts
    return max(
        float(max(one.max(initial=1.0), -one.min(initial=0.0)))
        for one in (
            stores.gain,
            stores.loss,
            budgets.weight,
            parts.here,
            parts.up,
            forest.tapers.steep,
        )
    )
