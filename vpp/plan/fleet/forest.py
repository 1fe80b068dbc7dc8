"""What the structured solver solves: a forest of buses, and what hangs on them, in arrays by kind.

Minimise the sum of cost·x over all columns, each between its bounds, subject to, in every step t,

    bus b        Σ parts here·x + Σ stores (out - into) - Σ budgets draw
                 + Σ parts of its child buses up·x                        = load[b, t]          dual w
    store i      level[t] - keep·level[t-1] - gain[t]·into[t] + loss·out[t] = given[t]          dual y
                 level = its main column + its soft ones;  level[-1] = 0, what was stored is in given[0]
    budget j     weight·Σ draw[t] + lacking - spare                       = asked               dual v
    peak p       peak - Σ share·(its parts' x of an interval) - slack     = least               dual q
    day limit k  loss·Σ out[t] over its steps + slack                     = most                dual k
    taper j      into[t] or out[t] + steep[t]·level[t-1] + short[t]       = most[t]             dual z

A part is a column in each step that enters its own bus with `here` and the bus above with `up`:

    import  here +1, up -1     export  here -1, up +1     a generator   here +1, up 0
    heat pump that feeds a heat bus from the electric bus above   here +cop, up -1
    what lacks or is too much, at a price                         here +1 or -1, up 0

So connection point, feeder, park and market are buses above each other, a convex price of a net position
is several parts side by side, and trees that share no bus are solved apart. Powers are kW in a step, levels
kWh (or degC), costs money per unit of the column. Arrays that are alike in all steps or for all units may be
broadcast views (`np.broadcast_to`): nobody writes into them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats

Ints: TypeAlias = NDArray[np.int64]

ROOT = -1
"""The parent of a bus that has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buses:
    """Shapes (B,), (B, T)."""

    parent: Ints
    """The bus above, `ROOT` where there is none. A bus stands behind its parent or before it; no cycle."""

    load_kw: Floats
    """The right side of each bus: what nobody decides."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stores:
    """Batteries, cars that may feed back, thermal zones; shapes (n,), (n, T). `bus` does not fall."""

    bus: Ints
    keep: Floats
    """Share of a level that is left a step later, above 0, at most 1."""

    gain: Floats
    """Level per unit of `into`, above 0; shape (n, T): what a heat pump gives per kW changes with the weather."""

    loss: Floats
    """Level per unit of `out`, above 0."""

    given: Floats
    into_most: Floats
    into_cost: Floats
    out_most: Floats
    """0 where it cannot feed."""

    out_cost: Floats
    level_least: Floats
    level_most: Floats
    level_cost: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftLevels:
    """Further columns of a store's level, at a price of their own; shapes (n,), (n, T)."""

    store: Ints
    """Which, rising or equal."""

    least: Floats
    most: Floats
    cost: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Budgets:
    """Energy that is wanted within a window: one window of a load, or a car that only charges; (n,), (n, T)."""

    bus: Ints
    """Does not fall."""

    first: Ints
    end: Ints
    """Exclusive; `draw` is 0 outside."""

    weight: Floats
    """Per unit of draw, above 0: step hours, times an efficiency."""

    asked: Floats
    lacking_most: Floats
    lacking_cost: Floats
    spare_most: Floats
    """How much more than asked may be had, for nothing."""

    draw_most: Floats
    draw_cost: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Columns of the buses themselves; shapes (n,), (n, T). `bus` does not fall."""

    bus: Ints
    here: Floats
    up: Floats
    """0 on a bus without a parent."""

    least: Floats
    most: Floats
    cost: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peaks:
    """Highest means that cost; shapes (n,), (n, T), (n, R) for R intervals (the most of any; R <= T)."""

    bus: Ints
    """Rises: a bus has one peak at most."""

    cost: Floats
    most: Floats
    """No peak is higher."""

    interval: Ints
    """The interval of each step, from 0; -1 where it does not count."""

    share: Floats
    """Of each step in its interval's mean; 0 where it does not count."""

    least: Floats
    """The right side of each interval; -inf where there is none of that number."""

    counts: NDArray[np.bool_]
    """Which parts a peak of their bus counts, shape (parts of the forest,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayLimits:
    """The most that may be taken out of a store over some steps; shape (n,)."""

    store: Ints
    """Which, rising or equal."""

    first: Ints
    end: Ints
    """Exclusive."""

    most: Floats
    """In units of the level."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tapers:
    """Powers of stores that are limited by the level before the step; shapes (n,), (n, T).

    No level within its bounds forbids standing still: steep·level is at most `most` at each of them.
    """

    store: Ints
    """Which, rising or equal: one taper at most of what fills it, and one of what empties it."""

    empties: NDArray[np.bool_]
    """Whether it is `out` that is limited, and not `into`."""

    on: NDArray[np.bool_]
    """In which steps it is; never in the first one, whose level before is nobody's to decide."""

    steep: Floats
    """kW less for each unit of the level before; below 0: so much more. 0 where it is not on."""

    most: Floats
    """kW with an empty level; 0 where it is not on."""

    @classmethod
    def none(cls, steps: int) -> Tapers:
        """Nobody's."""
        nothing = np.zeros((0, steps))
        nobody = np.zeros(0, dtype=np.int64)
        return cls(
            store=nobody,
            empties=np.zeros(0, dtype=bool),
            on=nothing > 0,
            steep=nothing,
            most=nothing,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """Columns that several trees have in common, each in one step: what is bid for all futures; shape (n,)."""

    roots: Ints
    """Root buses that each of them enters, shape (K,)."""

    step: Ints
    here: Floats
    """What a unit feeds into the row of each root."""

    most: Floats
    """The least is 0."""

    cost: Floats
    """Of a unit, once for all trees."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trees:
    """Which buses hang together: nothing joins one tree with another."""

    roots: Ints
    """The root bus of each, rising; shape (trees,)."""

    of: Ints
    """The tree of each bus, shape (B,)."""

    depth: Ints
    """How many buses stand above each, shape (B,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """One linear programme of a fleet, on T steps."""

    steps: int
    buses: Buses
    stores: Stores
    soft: SoftLevels
    budgets: Budgets
    parts: Parts
    peaks: Peaks
    day_limits: DayLimits
    tapers: Tapers
    shared: Shared | None = None
    """What joins its trees, where kernels solve them as one (`shared.py`); nothing else knows of it."""

    def __post_init__(self) -> None:
        for name in ("stores", "budgets", "parts", "peaks"):
            bus = getattr(self, name).bus
            if len(bus) and (np.diff(bus) < 0).any():
                raise DataError(
                    f"the buses of {name} fall",
                    where="Forest",
                    fix="Sort what hangs on buses by bus",
                )
        if len(self.peaks.bus) and (np.diff(self.peaks.bus) == 0).any():
            raise DataError(
                "a bus has two peaks",
                where="Forest.peaks",
                fix="Put a bus between for the second one",
            )

    def trees(self) -> Trees:
        """Which buses hang together."""
        parent = self.buses.parent
        depth = np.zeros(len(parent), dtype=np.int64)
        root = np.arange(len(parent))
        while (below := parent[root] != ROOT).any():
            root = np.where(below, parent[root], root)
            depth += below
            if depth.max() > len(parent):
                raise DataError(
                    "a bus stands above itself", where="Forest.buses.parent", fix="Break the circle"
                )
        roots, of = np.unique(root, return_inverse=True)
        return Trees(roots=roots, of=of, depth=depth)

    def windows(self) -> NDArray[np.bool_]:
        """Which steps lie inside each budget's window, shape (n, T)."""
        steps = np.arange(self.steps)
        inside: NDArray[np.bool_] = (self.budgets.first[:, None] <= steps) & (
            steps < self.budgets.end[:, None]
        )
        return inside

    def counted(self) -> tuple[Ints, Ints]:
        """Peaks and the parts that each counts, one pair after the other, shapes (pairs,)."""
        first, end = (
            np.searchsorted(self.parts.bus, self.peaks.bus, side) for side in ("left", "right")
        )
        peak = np.repeat(np.arange(len(first)), end - first)
        before = np.cumsum(end - first) - (end - first)
        part = np.arange(len(peak)) + np.repeat(first - before, end - first)
        counts = self.peaks.counts[part]
        return peak[counts], part[counts]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Duals:
    """Prices of the rows: change of cost per unit of each right side."""

    bus: Floats
    """Shape (B, T)."""

    store: Floats
    """Shape (n, T)."""

    budget: Floats
    """Shape (n,)."""

    peak: Floats
    """Shape (n, R)."""

    day_limit: Floats
    """Shape (n,)."""

    taper: Floats
    """Shape (n, T)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """A value for every column, shapes as in the forest."""

    into: Floats
    out: Floats
    level: Floats
    """The main column; what is stored is this and the soft ones."""

    soft: Floats
    draw: Floats
    lacking: Floats
    spare: Floats
    part: Floats
    peak: Floats
    shared: Floats = field(default_factory=lambda: np.zeros(0))
    """Of the columns that trees have in common."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solved:
    """The answer: a point that keeps every row, and the proof of how good it is."""

    point: Point
    duals: Duals
    cost: float
    bound: float
    """No point costs less: a Lagrangian bound, valid whatever the solver did wrong."""

    residual: float
    """The largest violation of any row or bound, relative to 1 + the sizes in its row class."""

    iterations: int
    """Of the tree that took most."""

    method: str
    """`structured (numpy)`, `structured (numba, 2 threads)`, …"""

    fallbacks: tuple[int, ...] = field(default=())
    """Root buses of trees that went to HiGHS."""

    decided: tuple[int, ...] = field(default=())
    """Root buses of trees in which a store was filled and emptied at once until that was decided against:
    `bound` is that of the decided problem, which these prices alone may not prove."""

    held: tuple[int, ...] = field(default=())
    """Root buses of trees of which a part was planned with the others held: their gap is what was asked of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """What cannot be: a budget that asks more than fits, a store or its day out of reach, or a bus that lacks."""

    bus: int
    step: int
    """-1 where it is the whole horizon."""

    budget: int = -1
    """-1 where it is the bus or a store."""

    store: int = -1
    """-1 where it is the bus or a budget."""

    by: float
    """kW, units of the level, or of the budget: above 0 what lacks, below 0 what is too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """There is no point; why, as far as it was found, the largest first."""

    clashes: tuple[Clash, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The solver came to no answer and neither did HiGHS in time."""

    reason: str

    roots: tuple[int, ...] = ()
    """Of the trees that there is no answer for, where those are known; what others have is not told."""


Answer: TypeAlias = "Solved | Infeasible | Failed"
