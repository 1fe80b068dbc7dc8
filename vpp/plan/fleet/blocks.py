"""A forest packed for the kernels: buses of one layout side by side, as `packing` makes them, and back.

Columns are shifted by their lower bound, so 0 <= x <= u, and the right sides with them. The costs of a tree
are divided by one `scale`, such that the usual price of a part is about 0.05: the start of the interior
point is made for that. Places of a layout that a bus does not need are dummies: their columns have u = 0,
their rows a right side of 0, and their coefficients are 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.layout import Layout, Rows

NOBODY = -1
"""In place of a unit's number: a dummy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """B buses of one layout. Every array has the bus as its first axis, C-contiguous."""

    layout: Layout
    bus: Ints
    """Which bus of the forest, shape (B,)."""

    store: Ints
    """Which stores of the forest, shape (B, nS), `NOBODY` for a dummy; so the six that follow."""

    softs: Ints
    budget: Ints
    parts: Ints
    peaks: Ints
    day: Ints
    taper: Ints

    scale: Floats
    """Money per unit of the scaled cost, shape (B,)."""

    u: Floats
    """Shape (B, C)."""

    c: Floats
    """Shape (B, C)."""

    keep: Floats
    loss: Floats
    """Shape (B, nS)."""

    gain: Floats
    """Shape (B, nS, T), or (B, nS, 1) where that of every store is the same in all steps."""

    soft_of: Ints
    """The store's place in the block, shape (B, nP)."""

    weight: Floats
    first: Ints
    end: Ints
    """Shape (B, nL)."""

    here: Floats
    up: Floats
    """Shape (B, nK, T): what a heat pump gives per kW changes with the weather."""

    counts: Floats
    """1 where a peak counts the part, else 0; shape (B, nK)."""

    interval: Ints
    """Shape (B, nQ, T); 0 where the step does not count, its share is 0 there."""

    share: Floats
    """Shape (B, nQ, T)."""

    day_of: Ints
    """The store's place in the block, shape (B, nD)."""

    day_first: Ints
    day_end: Ints

    taper_of: Ints
    """The store's place in the block, shape (B, nF)."""

    empties: Floats
    """1 where a taper limits `out`, 0 where it limits `into`; shape (B, nF)."""

    on: Floats
    """1 in steps in which it is, else 0; shape (B, nF, T)."""

    steep: Floats
    """Shape (B, nF, T)."""

    r_store: Floats
    """Shape (B, nS, T)."""

    r_bus: Floats
    """Shape (B, T)."""

    r_budget: Floats
    r_peak: Floats
    """Shape (B, nQ, R)."""

    r_day: Floats
    r_taper: Floats
    """Shape (B, nF, T)."""

    def take(self, index: NDArray[np.int64] | slice) -> Block:
        """The same for some of its buses: a copy, or a view where `index` is a slice."""
        return Block(
            **{
                each.name: getattr(self, each.name)
                if each.name == "layout"
                else getattr(self, each.name)[index]
                for each in fields(self)
            }
        )

    @property
    def right(self) -> Rows:
        """The right sides."""
        return Rows(self.r_store, self.r_bus, self.r_budget, self.r_peak, self.r_day, self.r_taper)

    def with_right(self, right: Rows) -> Block:
        """The same with right sides that stand elsewhere."""
        return replace(
            self,
            r_store=right.store,
            r_bus=right.bus,
            r_budget=right.budget,
            r_peak=right.peak,
            r_day=right.day,
            r_taper=right.taper,
        )

    @property
    def long(self) -> bool:
        """Whether any interval of a peak is longer than a step."""
        if not self.layout.counts.peaks:
            return False
        steps = np.where(self.share != 0, self.interval, NOBODY)
        ordered = np.sort(steps, axis=2)
        return bool(((np.diff(ordered, axis=2) == 0) & (ordered[..., 1:] != NOBODY)).any())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Some or all buses of a forest, packed."""

    forest: Forest
    blocks: tuple[Block, ...]

    def unpack(self, block: Block, x: Floats, y: Rows, point: Point, duals: Duals) -> None:
        """Write what a solver found for one of the blocks into `point` and `duals` (of `blank`).

        Args:
            block: One of `blocks`.
            x: Its columns, from 0 to u, shape (B, C).
            y: Its duals at scaled costs.
            point: Gets the columns in the forest's order and units.
            duals: Gets the rows' prices, in money.
        """
        _unpack_columns(self.forest, block, x, point)
        _unpack_rows(block, y, duals)


def blank(forest: Forest) -> tuple[Point, Duals]:
    """Zeros for every column and row of a forest, to be written into."""
    t, n = forest.steps, len(forest.stores.bus)
    budgets, peaks = len(forest.budgets.bus), len(forest.peaks.bus)
    point = Point(
        into=np.zeros((n, t)),
        out=np.zeros((n, t)),
        level=np.zeros((n, t)),
        soft=np.zeros((len(forest.soft.store), t)),
        draw=np.zeros((budgets, t)),
        lacking=np.zeros(budgets),
        spare=np.zeros(budgets),
        part=np.zeros((len(forest.parts.bus), t)),
        peak=np.zeros(peaks),
        shared=np.zeros(0 if forest.shared is None else len(forest.shared.step)),
    )
    duals = Duals(
        bus=np.zeros((len(forest.buses.parent), t)),
        store=np.zeros((n, t)),
        budget=np.zeros(budgets),
        peak=np.zeros((peaks, forest.peaks.least.shape[1])),
        day_limit=np.zeros(len(forest.day_limits.store)),
        taper=np.zeros(forest.tapers.most.shape),
    )
    return point, duals


def _unpack_columns(forest: Forest, block: Block, x: Floats, point: Point) -> None:
    columns = block.layout.split(x)
    for name, units, least in (
        ("into", block.store, None),
        ("out", block.store, None),
        ("level", block.store, forest.stores.level_least),
        ("soft", block.softs, forest.soft.least),
        ("draw", block.budget, None),
        ("part", block.parts, forest.parts.least),
        ("lacking", block.budget, None),
        ("spare", block.budget, None),
        ("peak", block.peaks, None),
    ):
        real = units != NOBODY
        found = getattr(columns, name)[real]
        getattr(point, name)[units[real]] = found if least is None else found + least[units[real]]


def _unpack_rows(block: Block, y: Rows, duals: Duals) -> None:
    duals.bus[block.bus] = y.bus * block.scale[:, None]
    for found, into, units in (
        (y.store, duals.store, block.store),
        (y.budget, duals.budget, block.budget),
        (y.peak, duals.peak, block.peaks),
        (y.day, duals.day_limit, block.day),
        (y.taper, duals.taper, block.taper),
    ):
        real = units != NOBODY
        scale = np.broadcast_to(block.scale[:, None], units.shape)[real]
        into[units[real]] = found[real] * scale.reshape(-1, *[1] * (found.ndim - 2))
