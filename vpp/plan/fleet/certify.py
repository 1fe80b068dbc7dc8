"""What an answer is worth, found out from the forest alone: nothing that a solver says is believed.

    point     repaired, so that its cost is exact                                      `repair.py`
    bound     no point of the tree costs less                                          `bound.py`
    residual  how far each row is from its side, relative to 1 + the sizes in that row, and each column
              from its bounds, relative to 1 + those; the largest of each class in each tree

A row of a park with a million kW is not held to what a row of ten kW is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.bound import lower_bounds, sound
from vpp.plan.fleet.forest import ROOT, Duals, Forest, Ints, Point
from vpp.plan.fleet.pick import Mask, Picked
from vpp.plan.fleet.repair import interval_means, repaired, taken_out
from vpp.plan.fleet.sums import net_kw, slices, summed

CLASSES = ("bus", "store", "budget", "peak", "day limit", "taper", "bound")

FEASIBLE = 1e-7
"""The largest residual of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Certificate:
    """A point and prices, and what they are worth; shapes (trees,) and (trees, classes)."""

    point: Point
    duals: Duals
    roots: Ints
    cost: Floats
    bound: Floats
    residual: Floats
    """Its classes as `CLASSES` has them."""

    def holds(self, tolerance: float) -> Mask:
        """Which trees' points keep every row, and cost no more than is proven; shape (trees,)."""
        near: Mask = self.cost - self.bound <= tolerance * (1.0 + np.abs(self.cost))
        near &= self.residual.max(axis=1) <= FEASIBLE
        return near

    def of(self, picked: Picked, trees: Mask) -> Certificate:
        """Of the trees that were picked alone."""
        point, duals = picked.take(self.point, self.duals)
        return Certificate(
            point=point,
            duals=duals,
            roots=np.flatnonzero(picked.forest.buses.parent == ROOT),
            cost=self.cost[trees],
            bound=self.bound[trees],
            residual=self.residual[trees],
        )

    def joined(self, picked: Picked, trees: Mask, theirs: Certificate) -> Certificate:
        """With the answer of the trees that were picked in place of its own, whose arrays it writes into."""
        picked.put(theirs.point, theirs.duals, self.point, self.duals)
        cost, bound, residual = self.cost.copy(), self.bound.copy(), self.residual.copy()
        cost[trees], bound[trees], residual[trees] = theirs.cost, theirs.bound, theirs.residual
        return replace(self, cost=cost, bound=bound, residual=residual)


def certify(forest: Forest, point: Point, duals: Duals) -> Certificate:
    """Repair a point, and measure it and its prices. What is NaN fails, in its own tree alone."""
    with np.errstate(invalid="ignore", over="ignore"):
        point, duals = repaired(forest, point), sound(forest, duals)
        return Certificate(
            point=point,
            duals=duals,
            roots=forest.trees().roots,
            cost=costs(forest, point),
            bound=lower_bounds(forest, duals),
            residual=residuals(forest, point),
        )


def gathered(forest: Forest, parts: Iterable[tuple[Picked, Certificate]]) -> Certificate:
    """Of a forest of whose pieces each has one, in the order of its buses; made when its turn comes."""
    point, duals = blank(forest)
    found = list[Certificate]()
    for picked, one in parts:
        if picked.whole(forest):
            return one
        picked.put(one.point, one.duals, point, duals)
        found.append(replace(one, point=point, duals=duals))
    return Certificate(
        point=point,
        duals=duals,
        roots=forest.trees().roots,
        cost=np.concatenate([one.cost for one in found]),
        bound=np.concatenate([one.bound for one in found]),
        residual=np.concatenate([one.residual for one in found]),
    )


def costs(forest: Forest, point: Point) -> Floats:
    """What a point costs in each tree, shape (trees,)."""
    trees = forest.trees()
    found = np.zeros(len(trees.roots))
    stores, budgets = forest.stores, forest.budgets
    for some in slices(len(stores.bus), forest.steps):
        priced = np.einsum("it,it->i", stores.into_cost[some], point.into[some])
        priced += np.einsum("it,it->i", stores.out_cost[some], point.out[some])
        priced += np.einsum("it,it->i", stores.level_cost[some], point.level[some])
        found += np.bincount(trees.of[stores.bus[some]], priced, len(found))
    drawn = np.einsum("it,it->i", budgets.draw_cost, point.draw)
    for bus, priced in (
        (stores.bus[forest.soft.store], np.einsum("it,it->i", forest.soft.cost, point.soft)),
        (budgets.bus, drawn + budgets.lacking_cost * point.lacking),
        (forest.parts.bus, np.einsum("it,it->i", forest.parts.cost, point.part)),
        (forest.peaks.bus, forest.peaks.cost * point.peak),
    ):
        found += np.bincount(trees.of[bus], priced, len(found))
    return found


def residuals(forest: Forest, point: Point) -> Floats:
    """How far the rows and bounds of each class are broken in each tree, shape (trees, classes)."""
    trees = forest.trees()
    found = np.zeros((len(trees.roots), len(CLASSES)))
    classes = (_buses, _stores, _budgets, _peaks, _day_limits, _tapers, _bounds)
    for i, broken in enumerate(classes):
        for bus, by in broken(forest, point):
            # The largest of each unit first; NaN stays NaN.
            np.maximum.at(found[:, i], trees.of[bus], by.max(axis=1, initial=0.0))
    return found


Broken = Iterator[tuple[Ints, Floats]]
"""Buses, shape (n,), and by how much what hangs there is broken, shape (n, m)."""


def _buses(forest: Forest, point: Point) -> Broken:
    parts, load = forest.parts, forest.buses.load_kw
    off = np.abs(net_kw(forest, point) - load)
    sizes = summed(np.abs(parts.here * point.part), parts.bus, len(off))
    parent = forest.buses.parent[parts.bus]
    below = np.flatnonzero(parent != ROOT)
    sizes += summed(np.abs(parts.up[below] * point.part[below]), parent[below], len(off))
    yield np.arange(len(off)), off / (1.0 + np.abs(load) + sizes)


def _stores(forest: Forest, point: Point) -> Broken:
    stores, soft = forest.stores, forest.soft
    of_soft = np.searchsorted(soft.store, np.arange(len(stores.bus) + 1))
    for some in slices(len(stores.bus), forest.steps):
        theirs = slice(of_soft[some.start], of_soft[some.stop])
        whole = point.level[some]
        if theirs.start < theirs.stop:
            whole = whole + summed(point.soft[theirs], soft.store[theirs] - some.start, len(whole))
        off = whole - stores.gain[some] * point.into[some]
        off += stores.loss[some, None] * point.out[some]
        off -= stores.given[some]
        off[:, 1:] -= stores.keep[some, None] * whole[:, :-1]
        yield stores.bus[some], np.abs(off) / (1.0 + np.abs(whole))


def _budgets(forest: Forest, point: Point) -> Broken:
    budgets = forest.budgets
    had = budgets.weight * np.where(forest.windows(), point.draw, 0.0).sum(axis=1)
    off = had + point.lacking - point.spare - budgets.asked
    yield budgets.bus, (np.abs(off) / (1.0 + np.abs(budgets.asked)))[:, None]


def _peaks(forest: Forest, point: Point) -> Broken:
    peaks = forest.peaks
    above = peaks.least + interval_means(forest, point.part) - point.peak[:, None]
    yield peaks.bus, np.maximum(above, 0.0) / (1.0 + np.abs(point.peak[:, None]))


def _day_limits(forest: Forest, point: Point) -> Broken:
    limits = forest.day_limits
    above = np.maximum(taken_out(forest, point.out) - limits.most, 0.0)
    yield forest.stores.bus[limits.store], (above / (1.0 + np.abs(limits.most)))[:, None]


def _tapers(forest: Forest, point: Point) -> Broken:
    tapers, soft = forest.tapers, forest.soft
    of = tapers.store
    whole = point.level[of] + summed(point.soft, soft.store, len(forest.stores.bus))[of]
    above = np.where(tapers.empties[:, None], point.out[of], point.into[of]) - tapers.most
    above[:, 1:] += tapers.steep[:, 1:] * whole[:, :-1]
    above = np.where(tapers.on, np.maximum(above, 0.0), 0.0)
    yield forest.stores.bus[of], above / (1.0 + np.abs(tapers.most))


def _bounds(forest: Forest, point: Point) -> Broken:
    stores, budgets, parts, peaks = forest.stores, forest.budgets, forest.parts, forest.peaks
    none = np.zeros(1)
    for some in slices(len(stores.bus), forest.steps):
        bus = stores.bus[some]
        yield bus, _beyond(point.into[some], none, stores.into_most[some])
        yield bus, _beyond(point.out[some], none, stores.out_most[some])
        yield bus, _beyond(point.level[some], stores.level_least[some], stores.level_most[some])
    soft = forest.soft
    yield stores.bus[soft.store], _beyond(point.soft, soft.least, soft.most)
    within = np.where(forest.windows(), budgets.draw_most, 0.0)
    yield budgets.bus, _beyond(point.draw, none, within)
    yield budgets.bus, _beyond(point.lacking, none, budgets.lacking_most)[:, None]
    yield budgets.bus, _beyond(point.spare, none, budgets.spare_most)[:, None]
    yield parts.bus, _beyond(point.part, parts.least, parts.most)
    yield peaks.bus, _beyond(point.peak, none, peaks.most)[:, None]


def _beyond(x: Floats, least: Floats, most: Floats) -> Floats:
    """How far values are outside their bounds, relative to 1 + their sizes."""
    return np.maximum(least - x, x - most) / (1.0 + np.abs(x))
