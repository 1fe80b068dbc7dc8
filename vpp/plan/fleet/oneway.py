"""No store is filled and emptied in the same step: found after the solve, and mended where it is not free.

Where energy at a bus is worth less than nothing, burning it pays in a linear programme: what goes round
through a store shrinks by loss/gain - 1. With w the price of the bus (what a kW there is worth is w), it pays where

    into_cost/gain + out_cost/loss + w (1/gain - 1/loss) < 0

    net      into and out both smaller by what they share, counted in the store: levels stay, the bus has a
             little more to place. Free where nothing is burned, and mostly where that costs nothing
    forbid   the smaller of both in the step, and solve the tree again
    decide   bus by bus, the columns of which one must be 0 decided by HiGHS (`deciding.py`), in all steps in
             which burning pays and those in which it was done; where that leaves a gap, small trees whole
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vpp.plan.fleet.certify import FEASIBLE, Certificate, certify
from vpp.plan.fleet.deciding import FREE, NOTHING_KW, decided, forbidden
from vpp.plan.fleet.forest import Duals, Failed, Forest, Infeasible, Point
from vpp.plan.fleet.pick import Mask, pick
from vpp.plan.fleet.sums import slices
from vpp.plan.lp import Deadline

ROUNDS = 6
"""How often the smaller of both is forbidden where it was done; then every step of every store is."""

MOST_AT_ONCE = 1000
"""Pairs of a store and a step, of a tree that is decided at once."""

Where = Mask
"""Stores and steps, shape (n, T)."""


Solve = Callable[[Forest], "Certificate | Infeasible | Failed"]


def one_way(
    forest: Forest,
    found: Certificate,
    solve: Solve,
    *,
    tolerance: float,
    enough: float,
    deadline: Deadline,
) -> tuple[Certificate, Mask] | Failed:
    """The answer with nothing that goes both ways at once; and in which trees that was not free.

    Args:
        forest: Whole trees.
        found: Their answer, proven; its arrays are written into.
        solve: Solves a forest like it, in which some columns are not allowed.
        tolerance: Of the gap, as in `Certificate.holds`.
        enough: The gap of all trees in which ways are decided, relative to the cost of the forest.
        deadline: For what is decided.
    """
    trees = forest.trees()
    at = both_ways(found.point)
    if not at.any():
        return found, np.zeros(len(trees.roots), dtype=bool)
    does = _trees_of(forest, at)
    picked = pick(forest, buses=does[trees.of])
    mine = found.of(picked, does)
    net = certify(picked.forest, netted(picked.forest, mine.point), mine.duals)
    dear = ~net.holds(tolerance) | _trees_of(picked.forest, both_ways(net.point))
    if dear.any():
        again = pick(picked.forest, buses=dear[picked.forest.trees().of])
        theirs = _mended(
            again.forest,
            mine.of(again, dear),
            solve,
            others=float(found.cost.sum() - mine.cost[dear].sum()),
            tolerance=tolerance,
            enough=enough,
            deadline=deadline,
        )
        if isinstance(theirs, Failed):
            roots = picked.buses[again.buses[again.forest.trees().roots]]
            return replace(theirs, roots=tuple(roots.tolist()))
        net = net.joined(again, dear, theirs)
    found = found.joined(picked, does, net)
    does[does] = dear
    return found, does


def _trees_of(forest: Forest, where: Where) -> Mask:
    """Which trees have some of those stores."""
    trees = forest.trees()
    found = np.zeros(len(trees.roots), dtype=bool)
    found[trees.of[forest.stores.bus[where.any(axis=1)]]] = True
    return found


def _mended(
    forest: Forest,
    found: Certificate,
    solve: Solve,
    *,
    others: float,
    tolerance: float,
    enough: float,
    deadline: Deadline,
) -> Certificate | Failed:
    """Trees that pay for going both ways, made not to; the bound is that of all that is allowed.

    `others` is what the trees beside them cost. Each has its share of the gap that is `enough`; less than
    `tolerance` of its own cost is not asked for.
    """
    found = replace(found, point=netted_for_nothing(forest, found.point))
    best = _forbidding(forest, found, solve)
    bound = found.bound.copy()
    could = forest.stores.into_most * forest.stores.out_most > 0
    pairs = np.bincount(
        forest.trees().of[forest.stores.bus], could.sum(axis=1), minlength=len(bound)
    )
    for apart in (True, False):
        known = best if isinstance(best, Certificate) else found
        allowed = enough * max(abs(others + float(known.cost.sum())), 1.0) / len(bound)
        open_trees = np.ones(len(bound), dtype=bool)
        if isinstance(best, Certificate):
            least = tolerance * (1.0 + np.abs(best.cost))
            open_trees = best.cost - bound > np.maximum(allowed, least)
        if not apart:
            open_trees &= pairs <= MOST_AT_ONCE
        if open_trees.any() and not deadline.passed:
            picked = pick(forest, buses=open_trees[forest.trees().of])
            mine = found.of(picked, open_trees)
            where = could[picked.stores]
            if apart:
                where = both_ways(mine.point) | burning_pays(picked.forest, mine.duals)
            ways, lifts = decided(
                *(picked.forest, mine.duals, where),
                apart=apart,
                gap=max(allowed / (1.0 + float(np.abs(known.cost).max())), tolerance),
                deadline=deadline.halfway,
            )
            bound[open_trees] = np.maximum(bound[open_trees], found.bound[open_trees] + lifts)
            best = _cheaper(forest, best, open_trees, _decided_ways(ways, solve))
    if not isinstance(best, Certificate):
        return Failed(reason="no point was found in which no store is filled and emptied at once")
    return replace(best, duals=found.duals, bound=bound)


def _decided_ways(ways: Forest, solve: Solve) -> Certificate | Failed:
    answer = solve(ways)
    if not isinstance(answer, Certificate):
        return Failed(reason="what was decided leaves nothing")
    return _forbidding(ways, _netted(ways, answer), solve)


def _cheaper(
    forest: Forest, best: Certificate | Failed, which: Mask, other: Certificate | Failed
) -> Certificate | Failed:
    """The best of all trees, where some were solved again."""
    if isinstance(other, Failed):
        return best
    if isinstance(best, Failed):
        return other if which.all() else best
    of = forest.trees().of
    cheaper = other.cost < best.cost[which]
    theirs = np.zeros(len(which), dtype=bool)
    theirs[which] = cheaper
    picked = pick(forest, buses=which[of])
    again = pick(picked.forest, buses=cheaper[picked.forest.trees().of])
    return best.joined(pick(forest, buses=theirs[of]), theirs, other.of(again, cheaper))


def _forbidding(forest: Forest, found: Certificate, solve: Solve) -> Certificate | Failed:
    """The smaller of both forbidden where both are done, again until none are; at last everywhere."""
    allowed = forest
    for again in range(ROUNDS + 1):
        at = both_ways(found.point)
        if not at.any():
            return found
        if again:
            at |= burning_pays(allowed, found.duals) | (again == ROUNDS)
        allowed = smaller_forbidden(allowed, found.point, at)
        answer = solve(allowed)
        if not isinstance(answer, Certificate):
            return Failed(reason="what is left allowed has no point")
        found = _netted(allowed, answer)
    return found


def _netted(forest: Forest, found: Certificate) -> Certificate:
    """Net where that breaks no row, whatever it costs: a step nearer."""
    net = certify(forest, netted(forest, found.point), found.duals)
    return net if net.residual.max(initial=0.0) <= FEASIBLE else found


def both_ways(point: Point) -> Where:
    """Where stores are filled and emptied at once."""
    return np.minimum(point.into, point.out) > NOTHING_KW


def netted(forest: Forest, point: Point) -> Point:
    """The point with one of both at 0; the rows of the buses are not closed again."""
    stores = forest.stores
    into, out = np.empty_like(point.into), np.empty_like(point.out)
    for some in slices(len(stores.bus), forest.steps):
        gain, loss = stores.gain[some], stores.loss[some, None]
        with np.errstate(invalid="ignore"):  # what went wrong is no number: the certificate sees it
            net = gain * point.into[some]
            net -= loss * point.out[some]
        np.divide(np.maximum(net, 0.0), gain, out=into[some])
        np.divide(np.maximum(-net, 0.0), loss, out=out[some])
    return replace(point, into=into, out=out)


def netted_for_nothing(forest: Forest, point: Point) -> Point:
    """The point in which no store goes both ways that burns nothing by it: what its bus has stays."""
    free = forest.stores.loss[:, None] <= forest.stores.gain
    net = netted(forest, point)
    return replace(
        point,
        into=np.where(free, net.into, point.into),
        out=np.where(free, net.out, point.out),
    )


def burning_pays(forest: Forest, duals: Duals) -> Where:
    """Where the prices make a linear programme burn, or leave it free to."""
    stores = forest.stores
    gain, loss = stores.gain, stores.loss[:, None]
    wear = stores.into_cost / gain + stores.out_cost / loss
    worth = duals.bus[stores.bus] * (1 / gain - 1 / loss)
    could = (stores.into_most > 0) & (stores.out_most > 0) & (loss > gain)
    pays: Where = could & (wear + worth <= FREE * (wear + np.abs(worth)))
    return pays


def smaller_forbidden(forest: Forest, point: Point, where: Where) -> Forest:
    """The forest in which the smaller of both is not allowed there."""
    stores = forest.stores
    fills = stores.gain * point.into > stores.loss[:, None] * point.out
    return forbidden(forest, into=where & ~fills, out=where & fills)
