"""What the kernels are given: the sizes of a bus, the numbers of a block, and room to work in.

All of it is allocated here, in Python: a kernel makes no array, so numba counts no references, and counting
them would take longer than the sums. The room for a bus of 20 stores is about 1 MB.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Layout, Rows

LINE = 8
"""Floats in a cache line: rows of arrays that many loops run over begin on one."""

SIDE_BY_SIDE = 4
"""Stores whose recurrences run at once."""

XL, XU, ZL, ZU, H, LIVE, IL, IU, THETA, WEIGHED, ATY, DX, P, R = range(14)
"""What the arrays of a bus's columns hold. `LIVE` is 1 or `STILL`, `WEIGHED` theta h', `ATY` A'dy; `P` and `R`
become dzl and dzu."""

Y, DY, RESIDUAL, RIGHT = range(4)
"""What the arrays of a bus's rows hold; a solve uses `RIGHT` up."""

A, E, LEVEL, RD, G, IV = range(6)
"""What the arrays of the chains hold: `RD` is 1/d, `LEVEL` L."""

INTO, OUT, FREE, TIE, U, RATE = range(6)
"""What `Room.bent` holds of the stores of a bus with tapers: th_c', th_d', L/th_e, m, U and m/r (`tapers.py`)."""


class Sizes(NamedTuple):
    """How many of each kind, and where each group of columns and rows begins in a flat array of a bus."""

    steps: int
    intervals: int
    stores: int
    softs: int
    budgets: int
    parts: int
    peaks: int
    days: int
    tapers: int
    out: int
    level: int
    soft: int
    draw: int
    part: int
    lacking: int
    spare: int
    peak: int
    slack: int
    rest: int
    short: int
    columns: int
    bus_row: int
    budget_row: int
    peak_row: int
    day_row: int
    taper_row: int
    rows: int


class Numbers(NamedTuple):
    """Coefficients of a block, as in `Block`: the bus is the first axis."""

    keep: Floats
    gain: Floats
    """One number a store, or one a step."""

    loss: Floats
    soft_of: Ints
    weight: Floats
    first: Ints
    end: Ints
    here: Floats
    counts: Floats
    interval: Ints
    share: Floats
    day_of: Ints
    day_first: Ints
    day_end: Ints
    taper_of: Ints
    empties: Floats
    on: Floats
    steep: Floats


class Room(NamedTuple):
    """What one bus needs at a time; a worker has one, and uses it again."""

    at: Floats
    """Shape (14, C or a little more)."""

    rows: Floats
    """Shape (4, rows)."""

    chains: Floats
    """Shape (6, fours, T): stores rounded up to `SIDE_BY_SIDE`, zeros behind them."""

    u: Floats
    """Right sides of the chains, shape (fours, T)."""

    kept: Floats
    """What is kept of each level, r where its store tapers; shape (fours, T)."""

    bent: Floats
    """Shape (6, fours, T); without tapers zeros."""

    width: Floats
    """1/W of each taper, 0 where it is not on; shape (nF, T)."""

    asked: Floats
    """Of one taper, shape (T,)."""

    s: Floats
    """The dense matrix, shape (T + nD, next multiple of `LINE`)."""

    w: Floats
    """Its right side, shape (T + nD,)."""

    q: Floats
    """Shape (4, as `s`)."""

    draw: Floats
    """weight theta_draw, shape (nL, T)."""

    beta: Floats
    """Shape (nL,)."""

    near: Floats
    """n, shape (nQ, T)."""

    free: Floats
    """1/D, shape (nQ, R)."""

    before: Floats
    """1/theta_peak + Σ 1/D of the intervals before each, shape (nQ, R + 1); 1/kap at the end."""

    fits: Floats
    """How many steps an interval has, shape (nQ, R)."""

    counted: Floats
    """Sums over counted parts, shape (5, T)."""

    reach: Floats
    """z, shape (nD, T)."""

    beside: Floats
    """What couples one day limit with the bus, shape (T,)."""


def sizes_of(layout: Layout) -> Sizes:
    """The sizes of the buses of a block."""
    n = layout.counts
    t = layout.steps
    rows = (n.stores * t, t, n.budgets, n.peaks * layout.intervals, n.days, n.tapers * t)
    return Sizes(
        *(layout.steps, layout.intervals, *n),
        *(*layout.starts[1:], layout.size),
        *accumulate(rows),
    )


def numbers_of(block: Block) -> Numbers:
    """The coefficients of a block."""
    return Numbers(*(getattr(block, name) for name in Numbers._fields))


def room_of(n: Sizes) -> Room:
    """Room for one bus at a time."""
    dense = n.steps + n.days
    width = _lines(dense)
    fours = -(-n.stores // SIDE_BY_SIDE) * SIDE_BY_SIDE
    shapes = (
        (14, _lines(n.columns)),
        (4, _lines(n.rows)),
        (6, fours, n.steps),
        (fours, n.steps),
        (fours, n.steps),
        (6, fours, n.steps),
        (n.tapers, n.steps),
        (n.steps,),
        (dense, width),
        (dense,),
        (SIDE_BY_SIDE, width),
        (n.budgets, n.steps),
        (n.budgets,),
        (n.peaks, n.steps),
        (n.peaks, n.intervals),
        (n.peaks, n.intervals + 1),
        (n.peaks, n.intervals),
        (5, n.steps),
        (n.days, n.steps),
        (n.steps,),
    )
    return Room(*(_zeros(shape) for shape in shapes))


def grouped(layout: Layout, y: Floats) -> Rows:
    """Views of an array of shape (B, rows)."""
    shapes = [group.shape[1:] for group in layout.rows(1)]
    ends = np.cumsum([prod(shape) for shape in shapes])
    cut = np.split(y, ends[:-1], axis=1)
    return Rows(*(one.reshape(len(y), *shape) for one, shape in zip(cut, shapes, strict=True)))


def _lines(count: int) -> int:
    return -(-count // LINE) * LINE


def _zeros(shape: tuple[int, ...]) -> Floats:
    """Zeros that begin on a cache line."""
    size = prod(shape)
    flat = np.zeros(size + LINE)
    off = -flat.ctypes.data // flat.itemsize % LINE
    return flat[off : off + size].reshape(shape)
