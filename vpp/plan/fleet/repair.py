"""A point near the optimum made one that keeps the rows: what follows from other columns is computed anew.

    into, out, draw, part   brought between their bounds
    out                     a little less of it where a day limit is exceeded
    into, out               no more than a taper lets them, by the level that those before made
    lacking, spare          max(±(asked - weight·Σ draw), 0); what they cannot take, the draws take
    level                   keep·level[t-1] + gain·into - loss·out + given; where that leaves its bounds,
                            into and out give way
    part                    what a bus's row lacks is dealt out to its parts by the room they have on both
                            sides (what stands at a bound stays there), from the deepest buses up
    peak                    the highest mean there is

What no column can take stays as a residual, which `certify.py` measures: nothing is hidden here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Forest, Ints, Point
from vpp.plan.fleet.sums import net_kw, slices, summed

ROUNDING = 1e-10
"""Relative: levels nearer than this to their bounds are within them."""


def repaired(forest: Forest, point: Point) -> Point:
    """The point with everything that follows computed anew. NaN stays NaN, in its own tree."""
    into, out, level, soft = _stores(forest, point)
    draw, lacking, spare = _budgets(forest, point)
    point = replace(
        point, into=into, out=out, level=level, soft=soft, draw=draw, lacking=lacking, spare=spare
    )
    point = replace(point, part=_parts(forest, point))
    return replace(point, peak=_peaks(forest, point.part))


def interval_means(forest: Forest, part: Floats) -> Floats:
    """What each interval of each peak holds of its parts, shape (n, R)."""
    peaks = forest.peaks
    peak, counted = forest.counted()
    kw = peaks.share * summed(part[counted], peak, len(peaks.bus))
    count, intervals = peaks.least.shape
    # Steps that do not count fall into a place of their own behind the last interval.
    at = np.where(peaks.interval >= 0, peaks.interval, intervals)
    at += (intervals + 1) * np.arange(count)[:, None]
    means = np.bincount(at.ravel(), kw.ravel(), count * (intervals + 1)).astype(float)
    found: Floats = means.reshape(count, intervals + 1)[:, :intervals]
    return found


def taken_out(forest: Forest, out: Floats) -> Floats:
    """What each day limit counts, shape (n,)."""
    limits, stores = forest.day_limits, forest.stores
    steps = np.arange(forest.steps)
    within = (limits.first[:, None] <= steps) & (steps < limits.end[:, None])
    found: Floats = stores.loss[limits.store] * (within * out[limits.store]).sum(axis=1)
    return found


# ------------------------------------------------------------ stores


def _stores(forest: Forest, point: Point) -> tuple[Floats, Floats, Floats, Floats]:
    """Into, out, level and soft levels."""
    stores, soft = forest.stores, forest.soft
    into, out = np.empty_like(point.into), np.empty_like(point.out)
    level, softs = np.empty_like(point.level), np.empty_like(point.soft)
    for some in slices(len(stores.bus), forest.steps):
        np.clip(point.into[some], 0.0, stores.into_most[some], out=into[some])
        np.clip(point.out[some], 0.0, stores.out_most[some], out=out[some])
    _within_day_limits(forest, out)
    _within_tapers(forest, into, out)
    first_soft = np.searchsorted(soft.store, np.arange(len(stores.bus) + 1))
    for some in slices(len(stores.bus), forest.steps):
        theirs = slice(int(first_soft[some.start]), int(first_soft[some.stop]))
        _levels(forest, point, some, theirs, (into, out, level, softs))
    return into, out, level, softs


def _within_day_limits(forest: Forest, out: Floats) -> None:
    limits = forest.day_limits
    taken = taken_out(forest, out)
    for which in np.flatnonzero(taken > limits.most):
        span = slice(limits.first[which], limits.end[which])
        out[limits.store[which], span] *= max(limits.most[which], 0.0) / taken[which]


def _within_tapers(forest: Forest, into: Floats, out: Floats) -> None:
    tapers, stores = forest.tapers, forest.stores
    own = np.unique(tapers.store)
    level = np.zeros(len(stores.bus))
    for step in range(forest.steps if len(own) else 0):
        for powers, mine in ((into, ~tapers.empties), (out, tapers.empties)):
            at = np.flatnonzero(mine & tapers.on[:, step])
            of = tapers.store[at]
            most = tapers.most[at, step] - tapers.steep[at, step] * level[of]
            powers[of, step] = np.minimum(powers[of, step], np.maximum(most, 0.0))
        moved = stores.gain[own, step] * into[own, step] - stores.loss[own] * out[own, step]
        level[own] = stores.keep[own] * level[own] + moved + stores.given[own, step]


def _levels(
    forest: Forest,
    point: Point,
    some: slice,
    theirs: slice,
    found: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Levels of a slice of stores, and of `theirs` soft ones, put into `found`."""
    stores, soft = forest.stores, forest.soft
    into, out, level, softs = found
    of, count = soft.store[theirs] - some.start, some.stop - some.start
    least, most = stores.level_least[some], stores.level_most[some]
    whole_least, whole_most = least, most
    if len(of):
        np.clip(point.soft[theirs], soft.least[theirs], soft.most[theirs], out=softs[theirs])
        whole_least = least + summed(soft.least[theirs], of, count)
        whole_most = most + summed(soft.most[theirs], of, count)
    whole = _stored(forest, some, into, out)
    leaves = (whole < whole_least - ROUNDING * (1.0 + np.abs(whole_least))).any(axis=1)
    leaves |= (whole > whole_most + ROUNDING * (1.0 + np.abs(whole_most))).any(axis=1)
    if leaves.any():
        which = np.flatnonzero(leaves)
        _give_way(forest, some.start + which, into, out, whole_least[which], whole_most[which])
        whole = _stored(forest, some, into, out)
    if not len(of):
        level[some] = whole
        return
    level[some] = np.clip(whole - summed(softs[theirs], of, count), least, most)
    lacks = (whole - level[some] - summed(softs[theirs], of, count))[of]
    room_above, room_below = soft.most[theirs] - softs[theirs], softs[theirs] - soft.least[theirs]
    room = np.where(lacks > 0, room_above, room_below)
    softs[theirs] += lacks * _shares(room, summed(room, of, count)[of])


def _stored(forest: Forest, some: slice, into: Floats, out: Floats) -> Floats:
    """The whole level of a slice of stores."""
    stores = forest.stores
    keep = stores.keep[some]
    whole = stores.gain[some] * into[some]
    whole -= stores.loss[some, None] * out[some]
    whole += stores.given[some]
    if (keep == 1.0).all():
        found: Floats = np.cumsum(whole, axis=1)
        return found
    for step in range(1, forest.steps):
        whole[:, step] += keep * whole[:, step - 1]
    return whole


def _give_way(
    forest: Forest, which: Ints, into: Floats, out: Floats, least: Floats, most: Floats
) -> None:
    """Let what fills and what empties some stores change so that their levels stay within bounds."""
    stores = forest.stores
    keep, loss = stores.keep[which], stores.loss[which]
    held = np.zeros(len(which))
    fills, empties = into[which], out[which]
    for step in range(forest.steps):
        before, gain = keep * held + stores.given[which, step], stores.gain[which, step]
        held = before + gain * fills[:, step] - loss * empties[:, step]
        too_much = np.maximum(held - most[:, step], 0.0)
        less = np.minimum(too_much / gain, fills[:, step])
        fills[:, step] -= less
        empties[:, step] += (too_much - gain * less) / loss
        too_little = np.maximum(least[:, step] - held, 0.0)
        less = np.minimum(too_little / loss, empties[:, step])
        empties[:, step] -= less
        fills[:, step] += (too_little - loss * less) / gain
        fills[:, step] = np.minimum(fills[:, step], stores.into_most[which, step])
        empties[:, step] = np.minimum(empties[:, step], stores.out_most[which, step])
        held = before + gain * fills[:, step] - loss * empties[:, step]
    into[which], out[which] = fills, empties


# ------------------------------------------------------------ budgets, parts, peaks


def _budgets(forest: Forest, point: Point) -> tuple[Floats, Floats, Floats]:
    """Draws, and what lacks and is spare. Spare costs nothing, so never are both above 0."""
    budgets = forest.budgets
    most = np.where(forest.windows(), budgets.draw_most, 0.0)
    draw = np.clip(point.draw, 0.0, most)
    short = budgets.asked - budgets.weight * draw.sum(axis=1)
    lacking = np.clip(short, 0.0, budgets.lacking_most)
    spare = np.clip(-short, 0.0, budgets.spare_most)
    rest = ((short - lacking + spare) / budgets.weight)[:, None]
    room = np.where(rest > 0, most - draw, draw)
    draw += rest * _shares(room, room.sum(axis=1, keepdims=True), np.abs(rest))
    return draw, lacking, spare


def _parts(forest: Forest, point: Point) -> Floats:
    """Parts that close the rows of their buses, as far as they can."""
    trees, parts, parent = forest.trees(), forest.parts, forest.buses.parent
    part = np.clip(point.part, parts.least, parts.most)
    lacks = forest.buses.load_kw - net_kw(forest, replace(point, part=part))
    depth = trees.depth[parts.bus]
    for storey in range(int(trees.depth.max(initial=-1)), -1, -1):
        mine = np.flatnonzero(depth == storey)
        bus, here = parts.bus[mine], parts.here[mine]
        least, most = parts.least[mine], parts.most[mine]
        for both_sides in (True, False):
            if not (np.abs(lacks[bus]) > ROUNDING).any():
                break
            x = part[mine]
            wanted = lacks[bus]
            room = np.where(wanted * here > 0, most - x, x - least)
            if both_sides:
                room = np.minimum(most - x, x - least)
            able = np.abs(here) * room
            share = _shares(able, summed(able, bus, len(parent))[bus], np.abs(wanted))
            with np.errstate(divide="ignore", invalid="ignore"):
                moves = np.where(here != 0, wanted * share / here, 0.0)
            part[mine] = np.clip(x + moves, least, most)
            moves = part[mine] - x
            lacks -= summed(here * moves, bus, len(parent))
            if storey:
                lacks -= summed(parts.up[mine] * moves, parent[bus], len(parent))
    return part


def _peaks(forest: Forest, part: Floats) -> Floats:
    peaks = forest.peaks
    highest = (peaks.least + interval_means(forest, part)).max(axis=1, initial=0.0)
    return np.where(peaks.cost < 0, peaks.most, highest)


def _shares(room: Floats, whole: Floats, wanted: Floats | None = None) -> Floats:
    """What share of something each of those with `room` takes: no more than fits, when `wanted` is given."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0, room / whole, 0.0)
        if wanted is not None:
            share = share * np.where(wanted > whole, whole / wanted, 1.0)
    return share
