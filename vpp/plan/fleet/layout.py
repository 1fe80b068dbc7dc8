"""Where each column and each row of a bus stands in the packed arrays.

The columns of one bus stand behind each other in this order, unit by unit, each with its steps:

    into | out | level | soft | draw | part | lacking | spare | peak | slack | rest | short

`slack` has one column an interval of a peak, `lacking` and `spare` one a budget, `peak` one a peak and
`rest` one a day limit; `short` has one a step of a taper. Buses with equal counts of everything have the same layout and share arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats


class Counts(NamedTuple):
    """How many of each kind hang on a bus."""

    stores: int
    softs: int
    budgets: int
    parts: int
    peaks: int
    days: int
    tapers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """T steps, R intervals of a peak at most, and so many of each kind on every bus."""

    steps: int
    intervals: int
    counts: Counts

    @property
    def size(self) -> int:
        """Columns of a bus."""
        return _cuts(self)[-1][1]

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each group of columns begins."""
        return tuple(first for first, _, _ in _cuts(self))

    def split(self, columns: Floats) -> Columns:
        """Views of an array of shape (B, C), group by group: writing into them writes into it."""
        count = len(columns)
        return Columns._make(
            [
                columns[:, first:end].reshape(count, *shape) if shape[1:] else columns[:, first:end]
                for first, end, shape in _cuts(self)
            ]
        )

    def part(self, columns: Floats) -> Floats:
        """The view of the parts alone, as `split` has it."""
        first, end, shape = _cuts(self)[Columns._fields.index("part")]
        return columns[:, first:end].reshape(len(columns), *shape)

    def rows(self, buses: int) -> Rows:
        """Zeros for every row of so many buses."""
        n, t = self.counts, self.steps
        return Rows(
            store=np.zeros((buses, n.stores, t)),
            bus=np.zeros((buses, t)),
            budget=np.zeros((buses, n.budgets)),
            peak=np.zeros((buses, n.peaks, self.intervals)),
            day=np.zeros((buses, n.days)),
            taper=np.zeros((buses, n.tapers, t)),
        )


@cache
def _cuts(layout: Layout) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
    """Where each group of columns begins and ends, and the shape it has for one bus."""
    n, t = layout.counts, layout.steps
    shapes = (
        (n.stores, t),
        (n.stores, t),
        (n.stores, t),
        (n.softs, t),
        (n.budgets, t),
        (n.parts, t),
        (n.budgets,),
        (n.budgets,),
        (n.peaks,),
        (n.peaks, layout.intervals),
        (n.days,),
        (n.tapers, t),
    )
    ends = np.cumsum([prod(shape) for shape in shapes]).tolist()
    return tuple((end - prod(shape), end, shape) for end, shape in zip(ends, shapes, strict=True))


class Columns(NamedTuple):
    """One value a column; shapes (B, n, T), (B, n) and (B, n, R) for `slack`."""

    into: Floats
    out: Floats
    level: Floats
    soft: Floats
    draw: Floats
    part: Floats
    lacking: Floats
    spare: Floats
    peak: Floats
    slack: Floats
    rest: Floats
    short: Floats


class Rows(NamedTuple):
    """One value a row: right sides, residuals or duals."""

    store: Floats
    """Shape (B, nS, T)."""

    bus: Floats
    """Shape (B, T)."""

    budget: Floats
    """Shape (B, nL)."""

    peak: Floats
    """Shape (B, nQ, R)."""

    day: Floats
    """Shape (B, nD)."""

    taper: Floats
    """Shape (B, nF, T)."""
