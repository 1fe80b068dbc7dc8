"""Packs a forest: buses are sorted by layout, their columns begin at 0, their costs come near 0.05.

Children weigh on their parent's right side by their lower bounds. An interval that a peak does not have
(`least` -inf) becomes the row `peak - slack = 0`, which always holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import NOBODY, Block, Blocks
from vpp.plan.fleet.forest import ROOT, Forest, Ints
from vpp.plan.fleet.grouping import grouped
from vpp.plan.fleet.layout import Counts, Layout
from vpp.plan.fleet.reach import whole_bounds

USUAL = 0.05
"""What the usual price of a part is scaled to."""

NOTHING = 1e-9
"""A room up to this is none: what the sun gives at its rising would have multipliers that drown all others."""

COLUMNS = np.array([3, 1, 1, 1, 1, 0, 1])
"""Columns a step of each kind in `Counts`."""


def pack(forest: Forest, buses: Ints | None = None) -> Blocks:
    """Sort buses by layout and copy what hangs on them.

    Args:
        forest: Every column of it has finite bounds.
        buses: Which to pack, rising; all without it. Packed or not, children weigh on their parent's
            right side and a tree has one scale.

    Raises:
        DataError: A column has no finite bound, or an upper one below the lower one.
    """
    chosen = np.arange(len(forest.buses.parent)) if buses is None else buses
    hung = _Hung.of(forest)
    scale = cost_scales(forest)
    load = _shifted_load(forest)
    kinds, kind_of = grouped(hung.sizes[chosen], COLUMNS)
    return Blocks(
        forest=forest,
        blocks=tuple(
            _block(
                forest,
                hung,
                Layout(
                    steps=forest.steps,
                    intervals=forest.peaks.least.shape[1],
                    counts=Counts(*(int(n) for n in kind)),
                ),
                chosen[kind_of == number],
                scale,
                load,
            )
            for number, kind in enumerate(kinds)
        ),
    )


def cost_scales(forest: Forest) -> Floats:
    """What costs are divided by, one for every bus and alike in a tree; shape (B,).

    The lower quartile of the tree's part prices that are not 0 comes to `USUAL`: penalties, which stand
    beside the prices as parts of their own, are dearer and do not decide. A tree without prices keeps
    its costs as they are. Trees that share columns are one.
    """
    trees = forest.trees()
    parts = forest.parts
    of = trees.of if forest.shared is None else np.zeros_like(trees.of)
    price = np.abs(parts.cost)
    counted = (price > 0) & (parts.most > parts.least)
    tree = np.broadcast_to(of[parts.bus][:, None], price.shape)[counted]
    found = price[counted]
    order = np.lexsort((found, tree))
    number = np.bincount(tree, minlength=len(trees.roots))
    start = np.cumsum(number) - number
    scale = np.ones(len(trees.roots))
    priced = np.flatnonzero(number)
    scale[priced] = found[order[start[priced] + number[priced] // 4]] / USUAL
    of_bus: Floats = scale[of]
    return of_bus


def _shifted_load(forest: Forest) -> Floats:
    """The right side of the bus rows for columns that begin at 0, shape (B, T)."""
    parts, parent = forest.parts, forest.buses.parent
    load = np.array(forest.buses.load_kw, dtype=np.float64)
    off = np.flatnonzero((parts.least != 0).any(axis=1))
    np.subtract.at(load, parts.bus[off], parts.here[off] * parts.least[off])
    below = off[parent[parts.bus[off]] != ROOT]
    np.subtract.at(load, parent[parts.bus[below]], parts.up[below] * parts.least[below])
    return load


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Hung:
    """What hangs on each bus: for every kind the units' bus and their place there."""

    sizes: Ints
    """Units of each kind (in the order of `Counts`) on each bus, shape (B, 7)."""

    units: tuple[Ints, ...]
    """For every kind the units' numbers, sorted by bus."""

    starts: Ints
    """Where each bus begins in them, shape (B, 7)."""

    @classmethod
    def of(cls, forest: Forest) -> _Hung:
        count = len(forest.buses.parent)
        of_store = forest.stores.bus
        kinds = (
            of_store,
            of_store[forest.soft.store],
            forest.budgets.bus,
            forest.parts.bus,
            forest.peaks.bus,
            of_store[forest.day_limits.store],
            of_store[forest.tapers.store],
        )
        sizes = np.stack([np.bincount(bus, minlength=count) for bus in kinds], axis=1)
        return cls(
            sizes=sizes,
            units=tuple(np.argsort(bus, kind="stable") for bus in kinds),
            starts=np.cumsum(sizes, axis=0) - sizes,
        )

    def on(self, kind: int, buses: Ints, width: int) -> Ints:
        """The units of one kind on each bus, `NOBODY` behind them; shape (B, width)."""
        place = np.arange(width)
        real = place < self.sizes[buses, kind][:, None]
        found = np.full((len(buses), width), NOBODY, dtype=np.int64)
        found[real] = self.units[kind][(self.starts[buses, kind][:, None] + place)[real]]
        return found

    def place(self, kind: int, units: Ints, bus: Ints) -> Ints:
        """Where on its bus each unit stands (units are sorted by bus)."""
        found: Ints = units - self.starts[bus, kind]
        return found


def _block(
    forest: Forest, hung: _Hung, layout: Layout, buses: Ints, scale: Floats, load: Floats
) -> Block:
    stores, soft, budgets, parts = forest.stores, forest.soft, forest.budgets, forest.parts
    peaks, days = forest.peaks, forest.day_limits
    on = [hung.on(kind, buses, width) for kind, width in enumerate(layout.counts)]
    store, softs, budget, part, peak, day, taper = on
    tapers = forest.tapers
    u, c = np.zeros((2, len(buses), layout.size))
    _fill_columns(forest, layout, on, u, c)
    c /= scale[buses][:, None]
    return Block(
        layout=layout,
        bus=buses,
        store=store,
        softs=softs,
        budget=budget,
        parts=part,
        peaks=peak,
        day=day,
        taper=taper,
        scale=scale[buses],
        u=u,
        c=c,
        keep=_of(store, stores.keep, 1.0),
        gain=_alike(store, stores.gain, 1.0),
        loss=_of(store, stores.loss, 1.0),
        soft_of=_place(hung, forest, softs, soft.store),
        weight=_of(budget, budgets.weight, 1.0),
        first=_of(budget, budgets.first, 0),
        end=_of(budget, budgets.end, 0),
        here=_of(part, parts.here, 1.0),
        up=_of(part, parts.up, 0.0),
        counts=_of(part, peaks.counts.astype(np.float64), 0.0),
        interval=np.maximum(_of(peak, peaks.interval, 0), 0),
        share=np.where(_of(peak, peaks.interval, NOBODY) < 0, 0.0, _of(peak, peaks.share, 0.0)),
        day_of=_place(hung, forest, day, days.store),
        day_first=_of(day, days.first, 0),
        day_end=_of(day, days.end, 0),
        taper_of=_place(hung, forest, taper, tapers.store),
        empties=_of(taper, tapers.empties.astype(np.float64), 0.0),
        on=_of(taper, tapers.on.astype(np.float64), 0.0),
        steep=_of(taper, tapers.steep, 0.0),
        r_store=_shifted_given(forest, store, softs, _place(hung, forest, softs, soft.store)),
        r_bus=load[buses],
        r_budget=_of(budget, budgets.asked, 0.0),
        r_peak=_shifted_least(forest, layout, part, peak),
        r_day=_of(day, days.most, 0.0),
        r_taper=_shifted_most(forest, taper),
    )


def _of(units: Ints, values: NDArray[Any], dummy: float) -> NDArray[Any]:
    """The values of the units, `dummy` where there is nobody."""
    shape = units.shape + values.shape[1:]
    found = np.full(shape, dummy, dtype=np.int64 if values.dtype.kind in "iu" else np.float64)
    real = units != NOBODY
    found[real] = values[units[real]]
    return found


def _alike(units: Ints, values: Floats, dummy: float) -> Floats:
    """The same of values in each step, shape (n, T): one column of them where all steps are alike."""
    first = _of(units, values[:, :1], dummy)
    if values.strides[1] == 0:
        return first
    whole = _of(units, values, dummy)
    return first if (whole == first).all() else whole


def _place(hung: _Hung, forest: Forest, units: Ints, store: Ints) -> Ints:
    """Where on its bus the store of each unit stands, 0 for a dummy."""
    return _of(units, hung.place(0, store, forest.stores.bus[store]), 0)


def _fill_columns(forest: Forest, layout: Layout, on: Sequence[Ints], u: Floats, c: Floats) -> None:
    store, softs, budget, part, peak, day, taper = on
    stores, soft, budgets, parts = forest.stores, forest.soft, forest.budgets, forest.parts
    wide, dear = layout.split(u), layout.split(c)
    for name, units, least, most, cost in (
        ("into", store, None, stores.into_most, stores.into_cost),
        ("out", store, None, stores.out_most, stores.out_cost),
        ("level", store, stores.level_least, stores.level_most, stores.level_cost),
        ("soft", softs, soft.least, soft.most, soft.cost),
        ("draw", budget, None, budgets.draw_most, budgets.draw_cost),
        ("part", part, parts.least, parts.most, parts.cost),
        ("lacking", budget, None, budgets.lacking_most, budgets.lacking_cost),
        ("spare", budget, None, budgets.spare_most, None),
        ("peak", peak, None, forest.peaks.most, forest.peaks.cost),
        ("rest", day, None, forest.day_limits.most, None),
        ("short", taper, None, _tapered_room(forest), None),
    ):
        real = units != NOBODY
        chosen = units[real]
        room = most[chosen] if least is None else most[chosen] - least[chosen]
        if not (np.isfinite(room) & (room >= 0)).all():
            raise DataError(
                f"columns of {name} have bounds that are endless or crossed",
                where="pack",
                fix="Presolve the forest first; give every column a bound",
            )
        getattr(wide, name)[real] = np.where(room > NOTHING, room, 0.0)
        if cost is not None:
            getattr(dear, name)[real] = cost[chosen]
    steps = np.arange(layout.steps)
    inside = (steps >= _of(budget, budgets.first, 0)[..., None]) & (
        steps < _of(budget, budgets.end, 0)[..., None]
    )
    np.multiply(wide.draw, inside, out=wide.draw)
    # No slack has a bound; a room that is too small, or just filled, would leave no point inside.
    wide.slack[:] = 2 * _slack_room(forest, layout, part, peak)
    wide.rest[...] *= 2
    wide.short[...] *= 2


def _counted_least(forest: Forest, layout: Layout, part: Ints, peak: Ints) -> Floats:
    """The lowest mean that each interval of a peak can have, shape (B, nQ, R)."""
    count, peaks = peak.shape
    least = _of(part, forest.parts.least, 0.0)
    counted = _of(part, forest.peaks.counts.astype(np.float64), 0.0)
    lowest = np.einsum("bk,bkt->bt", counted, least)
    interval = _of(peak, forest.peaks.interval, NOBODY)
    mean = np.zeros((count, peaks, layout.intervals))
    bus, which, step = np.nonzero(interval >= 0)
    share = _of(peak, forest.peaks.share, 0.0)
    np.add.at(
        mean,
        (bus, which, interval[bus, which, step]),
        share[bus, which, step] * lowest[bus, step],
    )
    return mean


def _shifted_least(forest: Forest, layout: Layout, part: Ints, peak: Ints) -> Floats:
    least = _of(peak, forest.peaks.least, -np.inf)
    shifted: Floats = np.where(
        np.isneginf(least), 0.0, least + _counted_least(forest, layout, part, peak)
    )
    return shifted


def _slack_room(forest: Forest, layout: Layout, part: Ints, peak: Ints) -> Floats:
    room: Floats = np.maximum(
        _of(peak, forest.peaks.most, 0.0)[..., None] - _shifted_least(forest, layout, part, peak),
        0.0,
    )
    return room


def _tapered_room(forest: Forest) -> Floats:
    """What a taper leaves free at most, shape (tapers, T): where nothing moves, at the best level before."""
    tapers = forest.tapers
    least, most = whole_bounds(forest, tapers.store)
    level = np.where(tapers.steep[:, 1:] > 0, least[:, :-1], most[:, :-1])
    room = tapers.most.copy()
    room[:, 1:] -= tapers.steep[:, 1:] * level
    found: Floats = np.maximum(np.where(tapers.on, room, 0.0), 0.0)
    return found


def _shifted_most(forest: Forest, taper: Ints) -> Floats:
    """The right side of tapers when levels begin at 0, shape (B, nF, T)."""
    tapers = forest.tapers
    most = tapers.most.copy()
    most[:, 1:] -= tapers.steep[:, 1:] * whole_bounds(forest, tapers.store)[0][:, :-1]
    shifted: Floats = _of(taper, most, 0.0)
    return shifted


def _shifted_given(forest: Forest, store: Ints, softs: Ints, soft_of: Ints) -> Floats:
    """What the chain is given when its levels begin at 0, shape (B, nS, T)."""
    given = np.array(_of(store, forest.stores.given, 0.0))
    floor = np.array(_of(store, forest.stores.level_least, 0.0))
    bus, place = np.nonzero(softs != NOBODY)
    np.add.at(floor, (bus, soft_of[bus, place]), forest.soft.least[softs[bus, place]])
    keep = _of(store, forest.stores.keep, 1.0)
    given -= floor
    given[..., 1:] += keep[..., None] * floor[..., :-1]
    return given
