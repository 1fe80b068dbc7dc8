"""The interior point of one bus from its start to its end.

`newton.py` has the formulas, `normal.py` the elimination. Each thing is called in one place only, in a loop
where it is needed twice: the compiler puts it into its caller each time.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.alone import EXACT, MOST_ITERATIONS, PATIENCE
from vpp.plan.fleet.jitted.compiling import entry, jit
from vpp.plan.fleet.jitted.dense import copy, dot
from vpp.plan.fleet.jitted.normal import factor_bus, solve_bus
from vpp.plan.fleet.jitted.products import add_product, transposed
from vpp.plan.fleet.jitted.room import (
    ATY,
    DY,
    LIVE,
    RESIDUAL,
    RIGHT,
    THETA,
    WEIGHED,
    XL,
    H,
    Numbers,
    Room,
    Sizes,
    Y,
)
from vpp.plan.fleet.jitted.steps import advance, aim, begin, correct, dual_residual, predict, worth
from vpp.plan.fleet.jitted.tapers import bend
from vpp.plan.fleet.newton import NOTHING, SHORT_OF

CONVERGED, STALLED, BROKEN = 0, 1, 2
"""`alone.End` as numbers."""


@entry
def solve_bus_alone(
    n: Sizes,
    of: Numbers,
    b: int,
    room: Room,
    u: Floats,
    c: Floats,
    right: Floats,
    tolerance: float,
) -> tuple[int, int]:
    """The point in `room.at[XL]` and the duals in `room.rows[Y]`; how it ended, and after how many iterations."""
    size, at, rows = n.columns, room.at, room.rows
    moving = begin(u, c, at)
    rows[:] = 0.0
    primal = dual = 0.0
    best, since, cost, seen = np.inf, 0, 0.0, np.inf
    for iteration in range(MOST_ITERATIONS + 1):
        s0 = advance(at, size, primal, dual)
        if not s0 < np.inf:
            return BROKEN, iteration
        near = s0 < 10 * tolerance * (1 + abs(cost))
        if near or iteration == 0:
            _refresh(n, of, b, room, c, right)
        if near or s0 < 0.1 * seen:
            seen = s0
            cost, least = worth(u, c, at)
            gap = cost - least - dot(right, rows[Y, : n.rows])
            enough = tolerance * (1 + abs(cost))
            if near and s0 < 10 * enough and gap < enough and _exact(n, room, right):
                return CONVERGED, iteration
        since = 0 if s0 < 0.9 * best else since + 1
        best = min(best, s0) if since == 0 else best
        if since >= PATIENCE:
            return STALLED, iteration
        bend(n, of, b, room)
        factor_bus(n, of, b, at[THETA], room)
        primal, dual = _direct(n, of, b, room, s0, moving)
    return STALLED, MOST_ITERATIONS


@jit
def _direct(
    n: Sizes, of: Numbers, b: int, room: Room, s0: float, moving: float
) -> tuple[float, float]:
    """Predictor and corrector; rows go along, columns are left to `advance`. How far it may be gone."""
    size, at, rows = n.columns, room.at, room.rows
    primal = dual = 0.0
    for corrector in range(2):
        copy(rows[RESIDUAL], rows[RIGHT])
        add_product(n, of, b, at[WEIGHED], rows[RIGHT])
        solve_bus(n, of, b, room, rows[RIGHT], rows[DY])
        transposed(n, of, b, rows[DY], at[ATY])
        if corrector:
            primal, dual = correct(at, size, SHORT_OF)
        else:
            reach, dual_reach, s1, q = predict(at, size)
            affine = s0 + reach * s1 - dual_reach * (s0 + s1) - reach * dual_reach * (s1 + q)
            share = min(max(affine / max(s0, NOTHING), 0.0), 1.0)
            aim(at, size, s0 / (2 * max(moving, 1.0)) * share**3)
    for i in range(n.rows):
        rows[Y, i] += dual * rows[DY, i]
        rows[RESIDUAL, i] *= 1.0 - primal
    return primal, dual


@jit
def _refresh(n: Sizes, of: Numbers, b: int, room: Room, c: Floats, right: Floats) -> None:
    """Find r = b - A x and h = c - A'y afresh, and theta h with them."""
    at, rows, size = room.at, room.rows, n.columns
    for j in range(size):
        at[WEIGHED, j] = -at[XL, j] if at[LIVE, j] == 1.0 else 0.0
    copy(right, rows[RESIDUAL, : n.rows])
    add_product(n, of, b, at[WEIGHED], rows[RESIDUAL])
    transposed(n, of, b, rows[Y], at[ATY])
    for j in range(size):
        at[H, j] = c[j] - at[ATY, j]
        at[WEIGHED, j] = at[THETA, j] * at[H, j]


@jit
def _exact(n: Sizes, room: Room, right: Floats) -> bool:
    """Whether every kind of row holds, and the multipliers fit the prices."""
    if not dual_residual(room.at, n.columns) < EXACT:
        return False
    residual = room.rows[RESIDUAL]
    flow = _largest(room.at[XL, n.part : n.lacking])
    begin = 0
    for end in (n.bus_row, n.budget_row, n.peak_row, n.day_row, n.taper_row, n.rows):
        size = 1.0 + max(_largest(right[begin:end]), flow)
        if not _largest(residual[begin:end]) < EXACT * size:
            return False
        begin = end
    return True


@jit
def _largest(values: Floats) -> float:
    most = 0.0
    for i in range(values.size):
        if not abs(values[i]) <= most:  # NaN is the largest
            most = abs(values[i])
    return most
