"""The small dense matrix of a bus: S = U'U in place, rows of the upper triangle, four at a time.

`S` has shape (n, width), width the next multiple of 8, so that rows begin where a cache line does. Below the
diagonal stands anything. A pivot that is too small is replaced: its row is dropped for this step.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DROPPED
from vpp.plan.fleet.dense import DEAD_PIVOT
from vpp.plan.fleet.jitted.compiling import jit


@jit
def factor(s: Floats) -> None:
    """Put U in place of S; its diagonal holds 1/U_kk."""
    n = s.shape[0]
    k = 0
    while k + 4 <= n:
        _panel(s, k, k + 4)
        for i in range(k + 4, n):
            at = i // 8 * 8
            less_four(
                s[i, at:],
                *(s[k, i], s[k, at:]),
                *(s[k + 1, i], s[k + 1, at:]),
                *(s[k + 2, i], s[k + 2, at:]),
                *(s[k + 3, i], s[k + 3, at:]),
            )
        k += 4
    _panel(s, k, n)


@jit
def _panel(s: Floats, begin: int, end: int) -> None:
    """The rows from `begin` to `end`, from which all before have been taken."""
    for p in range(begin, end):
        row = s[p, p:]
        for q in range(begin, p):
            less(row, s[q, p], s[q, p:])
        pivot = s[p, p]
        if not pivot > DEAD_PIVOT:
            pivot = DROPPED
        inverse = 1.0 / np.sqrt(pivot)
        for j in range(row.size):
            row[j] *= inverse
        s[p, p] = inverse


@jit
def solve(s: Floats, w: Floats) -> None:
    """Put S^-1 w in place of w, for the U that `factor` left in `s`; shape (n,)."""
    n = s.shape[0]
    for k in range(n):
        w[k] *= s[k, k]
        less(w[k + 1 :], w[k], s[k, k + 1 : n])
    for k in range(n - 1, -1, -1):
        w[k] = (w[k] - dot(s[k, k + 1 : n], w[k + 1 :])) * s[k, k]


@jit
def less(row: Floats, factor: float, other: Floats) -> None:
    for j in range(row.size):
        row[j] -= factor * other[j]


@jit
def less_four(
    row: Floats,
    f0: float,
    u0: Floats,
    f1: float,
    u1: Floats,
    f2: float,
    u2: Floats,
    f3: float,
    u3: Floats,
) -> None:
    for j in range(row.size):
        row[j] -= f0 * u0[j] + f1 * u1[j] + f2 * u2[j] + f3 * u3[j]


@jit
def dot(a: Floats, b: Floats) -> float:
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@jit
def copy(values: Floats, into: Floats) -> None:
    """Into a place of the same shape: numba's own assignment would make an array where both may overlap."""
    for j in range(into.size):
        into[j] = values[j]
