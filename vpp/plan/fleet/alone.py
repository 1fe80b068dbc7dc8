"""Trees of one bus, each solved to its own end with its own steps, a few at a time so that they stay in cache.

A bus has converged when all of this holds, with r = b - A x and h = c - A'y computed afresh:

    Σ products < 10 tol (1 + |c x|)         c x - L(y) < tol (1 + |c x|)
    |r| < 1e-7 (1 + size of the kind of row)             |h - zl + zu| < 1e-7

with the bound L(y) = b'y + Σ u min(h, 0), and as size the largest |b| of the kind, or |x| of a part of the
bus: rows of a peak have no right side, and what flows through a bus without a load is as large as elsewhere.
A bus whose products do not fall by a tenth in 25 iterations has stalled, one that comes to a number which is
none has broken: both are told, neither is mended here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.layout import Rows
from vpp.plan.fleet.matrix import Frame, times, transposed
from vpp.plan.fleet.newton import Iterate, Work
from vpp.plan.fleet.normal import factor, solve
from vpp.plan.lp import Deadline

AT_ONCE = 12
"""Buses whose arrays are worked on together."""

EXACT = 1e-7
"""How well rows must hold, beside 1 + their sizes."""

PATIENCE = 25
MOST_ITERATIONS = 200


class End(IntEnum):
    """How a bus came to its end."""

    CONVERGED = 0
    STALLED = 1
    BROKEN = 2
    LATE = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What became of the buses of a block."""

    x: Floats
    """Shape (B, C)."""

    y: Rows
    end: Ints
    """An `End` each, shape (B,)."""

    iterations: Ints


def solve_alone(block: Block, *, tolerance: float, deadline: Deadline) -> Found:
    """Solve every bus of a block by itself.

    Args:
        block: Its buses have no parent.
        tolerance: Of the gap, relative to 1 + |cost| at scaled costs.
        deadline: No bus is begun after it.
    """
    count = len(block.bus)
    found = Found(
        x=np.zeros(block.u.shape),
        y=block.layout.rows(count),
        end=np.full(count, End.LATE, dtype=np.int64),
        iterations=np.zeros(count, dtype=np.int64),
    )
    with np.errstate(all="ignore"):  # what breaks is found by its value
        for first in range(0, count, AT_ONCE):
            if deadline.passed:
                break
            _run(block, slice(first, min(first + AT_ONCE, count)), tolerance, found)
    return found


@dataclass(slots=True, eq=False)
class _Group:
    """Some buses under way."""

    index: NDArray[np.int64]
    """Which of the block."""

    frame: Frame
    price: Floats
    """Costs of the columns that move, shape (B, C)."""

    at: Iterate
    y: Rows
    r: Rows
    best: Floats
    """The least sum of products that counted as progress, shape (B,)."""

    since: NDArray[np.int64]
    """Iterations since then."""

    def only(self, kept: NDArray[np.bool_]) -> _Group:
        block = self.frame.block.take(np.flatnonzero(kept))
        return _Group(
            self.index[kept],
            Frame.of(block),
            self.price[kept],
            Iterate(*(getattr(self.at, each.name)[kept] for each in fields(Iterate))),
            Rows(*(group[kept] for group in self.y)),
            Rows(*(group[kept] for group in self.r)),
            self.best[kept],
            self.since[kept],
        )


def _run(block: Block, part: slice, tolerance: float, found: Found) -> None:
    group = _begun(block, part)
    room = Work.room(len(group.index), block.layout.size)
    for iteration in range(1, MOST_ITERATIONS + 1):
        work = room.first(len(group.index))
        _iterate(group, work)
        end = _ends(group, tolerance)
        done = end >= 0
        if done.any():
            _keep(group, done, end, found)
            found.iterations[group.index[done]] = iteration
            if done.all():
                return
            group = group.only(~done)
    _keep(
        group, np.ones(len(group.index), dtype=bool), np.full(len(group.index), End.STALLED), found
    )
    found.iterations[group.index] = MOST_ITERATIONS


def _begun(block: Block, part: slice) -> _Group:
    chosen = block.take(part)
    frame = Frame.of(chosen)
    at = newton.start(chosen.u, chosen.c)
    count = len(chosen.bus)
    return _Group(
        np.arange(part.start, part.stop),
        frame,
        np.where(chosen.u > 0, chosen.c, 0.0),
        at,
        block.layout.rows(count),
        _residual(frame, at.values()),
        np.full(count, np.inf),
        np.zeros(count, dtype=np.int64),
    )


def _iterate(group: _Group, work: Work) -> None:
    frame, at = group.frame, group.at
    newton.weigh(at, work)
    factors = factor(frame, work.theta)
    dy = solve(frame, factors, _plus(group.r, times(frame, work.some)))
    transposed(frame, dy, work.aty)
    reach, sums = newton.predict(at, work)
    newton.aim(at, work, newton.centre(reach, sums, at.moving))
    dy = solve(frame, factors, _plus(group.r, times(frame, work.some)))
    transposed(frame, dy, work.aty)
    reach = newton.correct(at, work)
    newton.advance(at, work, reach)
    for price, change, left in zip(group.y, dy, group.r, strict=True):
        wide = (-1, *[1] * (price.ndim - 1))
        price += reach.dual.reshape(wide) * change
        left *= 1.0 - reach.primal.reshape(wide)


def _ends(group: _Group, tolerance: float) -> Ints:
    """The `End` of each bus, -1 where it goes on."""
    left = newton.products(group.at)
    end = np.full(len(left), -1, dtype=np.int64)
    better = left < 0.9 * group.best
    group.best[better] = left[better]
    group.since[...] = np.where(better, 0, group.since + 1)
    end[group.since >= PATIENCE] = End.STALLED
    end[~np.isfinite(left)] = End.BROKEN
    cost = np.einsum("bc,bc->b", group.price, group.at.xl)
    if (left < 10 * tolerance * (1 + np.abs(cost))).any():
        end[_converged(group, cost, left, tolerance)] = End.CONVERGED
    return end


def _converged(group: _Group, cost: Floats, left: Floats, tolerance: float) -> NDArray[np.bool_]:
    block = group.frame.block
    transposed(group.frame, group.y, group.at.h)
    np.subtract(block.c, group.at.h, out=group.at.h)
    afresh = _residual(group.frame, group.at.values())
    for old, new in zip(group.r, afresh, strict=True):
        old[...] = new
    bound = np.einsum("bc,bc->b", block.u, np.minimum(group.at.h, 0.0))
    exact = np.ones(len(cost), dtype=bool)
    flow = np.abs(block.layout.part(group.at.xl)).max(axis=(1, 2), initial=0.0)
    for right, price, off in zip(block.right, group.y, afresh, strict=True):
        axes = tuple(range(1, right.ndim))
        bound += (right * price).sum(axis=axes)
        size = 1 + np.maximum(np.abs(right).max(axis=axes, initial=0.0), flow)
        exact &= np.abs(off).max(axis=axes, initial=0.0) < EXACT * size
    converged: NDArray[np.bool_] = (
        exact
        & (left < 10 * tolerance * (1 + np.abs(cost)))
        & (cost - bound < tolerance * (1 + np.abs(cost)))
        & (newton.dual_residual(group.at) < EXACT)
    )
    return converged


def _keep(group: _Group, done: NDArray[np.bool_], end: Ints, found: Found) -> None:
    into = group.index[done]
    found.x[into] = group.at.values()[done]
    for kept, price in zip(found.y, group.y, strict=True):
        kept[into] = price[done]
    found.end[into] = end[done]


def _residual(frame: Frame, x: Floats) -> Rows:
    return Rows(*(b - a for b, a in zip(frame.block.right, times(frame, x), strict=True)))


def _plus(one: Rows, other: Rows) -> Rows:
    return Rows(*(a + b for a, b in zip(one, other, strict=True)))
