"""No store is filled and emptied in the same step: found after the solve, and mended where it is not free.

Where energy at a bus is worth less than nothing, burning it pays in a linear programme: what goes round
through a store shrinks by loss/gain - 1. With w the price of the bus (what a kW there is worth is w), it pays where

    into_cost/gain + out_cost/loss + w (1/gain - 1/loss) < 0

    net      into and out both smaller by what they share, counted in the store: levels stay, the bus has a
             little more to place. Free where nothing is burned, and mostly where that costs nothing
    forbid   the smaller of both in the step, and solve the tree again
    decide   bus by bus, the columns of which one must be 0 decided by HiGHS at the prices of the bus above,
             in all steps in which burning pays and those in which it was done. With those prices L(y) is
             a sum over buses, so what a bus costs more when it is decided is added to the bound
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.decide import whole
from vpp.plan.fleet.bound import ROUNDING
from vpp.plan.fleet.certify import FEASIBLE, Certificate, certify
from vpp.plan.fleet.forest import ROOT, Duals, Failed, Forest, Infeasible, Point
from vpp.plan.fleet.pick import Mask, Picked, pick
from vpp.plan.fleet.sums import slices
from vpp.plan.fleet.written import written
from vpp.plan.lp import Deadline
from vpp.plan.parts import Part, parts_of
from vpp.plan.programme import LinearProgramme

NOTHING_KW = 1e-6
"""Less than this both ways is rounding."""

FREE = 1e-6
"""Of what is paid and earned: less than this between them is nothing."""

ROUNDS = 6
"""How often the smaller of both is forbidden where it was done; then every step of every store is."""

NO_DECISIONS = np.zeros(0, dtype=np.int64)

Where = Mask
"""Stores and steps, shape (n, T)."""


Solve = Callable[[Forest], "Certificate | Infeasible | Failed"]


def one_way(
    forest: Forest, found: Certificate, solve: Solve, *, tolerance: float, deadline: Deadline
) -> tuple[Certificate, Mask] | Failed:
    """The answer with nothing that goes both ways at once; and in which trees that was not free.

    Args:
        forest: Whole trees.
        found: Their answer, proven; its arrays are written into.
        solve: Solves a forest like it, in which some columns are not allowed.
        tolerance: Of the gap, as in `Certificate.holds`.
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
        theirs = _mended(again.forest, mine.of(again, dear), solve, tolerance, deadline)
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
    forest: Forest, found: Certificate, solve: Solve, tolerance: float, deadline: Deadline
) -> Certificate | Failed:
    """Trees that pay for going both ways, made not to; the bound is that of all that is allowed."""
    best = _forbidding(forest, found, solve)
    bound, open_trees = found.bound.copy(), np.ones(len(found.bound), dtype=bool)
    if isinstance(best, Certificate):
        open_trees = best.cost - bound > tolerance * (1.0 + np.abs(best.cost))
    if open_trees.any():
        picked = pick(forest, buses=open_trees[forest.trees().of])
        mine = found.of(picked, open_trees)
        other, lifts = _deciding(picked.forest, mine, solve, tolerance, deadline)
        bound[open_trees] += lifts
        if isinstance(other, Certificate):
            if isinstance(best, Certificate):
                cheaper = np.zeros(len(bound), dtype=bool)
                cheaper[open_trees] = other.cost < best.cost[open_trees]
                again = pick(picked.forest, buses=cheaper[open_trees][picked.forest.trees().of])
                best = best.joined(
                    pick(forest, buses=cheaper[forest.trees().of]),
                    cheaper,
                    other.of(again, cheaper[open_trees]),
                )
            else:
                best = other
    if not isinstance(best, Certificate):
        return Failed(reason="no point was found in which no store is filled and emptied at once")
    return replace(best, duals=found.duals, bound=bound)


def _deciding(
    forest: Forest, found: Certificate, solve: Solve, tolerance: float, deadline: Deadline
) -> tuple[Certificate | Failed, Floats]:
    where = both_ways(found.point) | burning_pays(forest, found.duals)
    ways, lifts = decided(forest, found.duals, where, gap=tolerance, deadline=deadline.halfway)
    answer = solve(ways)
    if not isinstance(answer, Certificate):
        return Failed(reason="what was decided leaves nothing"), lifts
    return _forbidding(ways, _netted(ways, answer), solve), lifts


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


def forbidden(forest: Forest, *, into: Where, out: Where) -> Forest:
    """The forest in which some stores are not filled, or not emptied, in some steps."""
    stores = forest.stores
    return replace(
        forest,
        stores=replace(
            stores,
            into_most=np.where(into, 0.0, stores.into_most),
            out_most=np.where(out, 0.0, stores.out_most),
        ),
    )


def decided(
    forest: Forest, duals: Duals, where: Where, *, gap: float, deadline: Deadline
) -> tuple[Forest, Floats]:
    """One way decided on buses without children; and by how much that lifts the bound of each tree.

    Args:
        forest: Trees some of whose stores go both ways.
        duals: Prices of its rows, sound ones.
        where: Stores and steps to decide on; those of buses with children are left to be forbidden.
        gap: That HiGHS may leave on each bus, relative.
        deadline: Every bus has its share of what is left.
    """
    cut = _cut(forest, duals, where)
    programme, prices = written(cut.forest).programme, _row_prices(duals, cut)
    trees = forest.trees()
    lifts = np.zeros(len(trees.roots))
    into, out = np.zeros(where.shape, dtype=bool), np.zeros(where.shape, dtype=bool)
    pairs = _pairs(cut.forest, where[cut.stores])
    open_parts = list(
        _with_pairs(parts_of(programme, least_nonzeros=0), pairs, len(programme.cost))
    )
    for number, (part, theirs) in enumerate(open_parts):
        until = _share(deadline, len(open_parts) - number)
        found = whole(part.programme, NO_DECISIONS, theirs, gap=gap, deadline=until)
        if isinstance(found, Unsolved):
            continue
        chosen, bound = found
        side, store, step = np.unravel_index(
            part.columns[np.array(sorted(chosen), dtype=np.int64)], (2, *where[cut.stores].shape)
        )
        for which, mask in ((side == 0, into), (side == 1, out)):
            mask[cut.stores[store[which]], step[which]] = True
        if np.isfinite(bound):
            lift = bound - _lagrangian(part.programme, prices[part.rows])
            lifts[trees.of[forest.stores.bus[cut.stores[store[0]]]]] += max(lift, 0.0)
    return forbidden(forest, into=into, out=out), lifts


def _cut(forest: Forest, duals: Duals, where: Where) -> Picked:
    """The buses to decide on, by themselves: what they give to the bus above has its price."""
    parent, parts = forest.buses.parent, forest.parts
    above = parent[parts.bus]
    below = np.flatnonzero(above != ROOT)
    cost = np.array(parts.cost)
    cost[below] -= parts.up[below] * duals.bus[above[below]]
    alone = replace(
        forest,
        buses=replace(forest.buses, parent=np.full(len(parent), ROOT)),
        parts=replace(parts, up=np.broadcast_to(0.0, cost.shape), cost=cost),
    )
    asked = np.zeros(len(parent), dtype=bool)
    asked[forest.stores.bus[where.any(axis=1)]] = True
    asked[parent[parent != ROOT]] = False
    return pick(alone, buses=asked)


def _row_prices(duals: Duals, cut: Picked) -> Floats:
    """A price for each row of the picked forest, as `written` has them."""
    fields = (
        *(duals.bus[cut.buses], duals.store[cut.stores], duals.budget[cut.budgets]),
        *(duals.peak[cut.peaks], duals.day_limit[cut.day_limits]),
    )
    return np.concatenate([one.ravel() for one in fields])


def _pairs(forest: Forest, where: Where) -> Floats:
    """Both columns of each pair to decide on, and the most of each; shape (4, n)."""
    store, step = np.nonzero(where)
    into = store * forest.steps + step
    mosts = (forest.stores.into_most[store, step], forest.stores.out_most[store, step])
    return np.array([into, into + where.size, *mosts], dtype=float)


def _with_pairs(
    parts: Sequence[Part], pairs: Floats, columns: int
) -> Iterator[tuple[Part, Floats]]:
    """The parts that have pairs, with those in the part's own columns."""
    owner, place = np.empty((2, columns), dtype=np.int64)
    for number, part in enumerate(parts):
        owner[part.columns], place[part.columns] = number, np.arange(len(part.columns))
    into = pairs[0].astype(np.int64)
    for number in np.unique(owner[into]).tolist():
        mine = owner[into] == number
        theirs = pairs[:, mine]
        theirs[:2] = place[theirs[:2].astype(np.int64)]
        yield parts[number], theirs


def _share(deadline: Deadline, among: int) -> Deadline:
    """One of `among` equal shares of the time that is left."""
    now = deadline.stopwatch()
    return Deadline(deadline.stopwatch, now + (deadline.moment - now) / among)


def _lagrangian(programme: LinearProgramme, y: Floats) -> float:
    """What no point costs less than, by prices of the rows."""
    r = programme.cost - programme.matrix.T @ y
    sides = np.where(y > 0, programme.row_lower, programme.row_upper)
    bounds = np.where(r > 0, programme.lower, programme.upper)
    terms = np.concatenate([y[y != 0] * sides[y != 0], r[r != 0] * bounds[r != 0]])
    return float(terms.sum() + ROUNDING * np.abs(terms).sum())
