"""What couples a bus with the one above it, and the block that it hands up (`branch.py` says what for).

P = diag(Σ theta up here) - Nu' F N and Q = diag(Σ theta up²) - Nu' F Nu, with near n_t = share Σ here theta_c and
risen r_t = share Σ up theta_c over counted parts, D and kap as in `normal.py`:

    P_ts = p_t [t = s] - r_t n_s / D [t /= s, one interval] + kap (r_t / D) (n_s / D)

W = Q - V'V with V = U'^-1 P', S = U'U. Without the rank-one parts m b' (m = n/D, b = kap r/D) V is a lower
triangle but for as many columns as an interval is long; with a = U'^-1 m and l = V'a,

    W = Q - V'V - l b' - b l' - a'a b b'

No step is counted by two peaks of one bus.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.jitted import dense
from vpp.plan.fleet.jitted.compiling import jit
from vpp.plan.fleet.jitted.room import LINE, THETA, Numbers, Room, Sizes

SIGMA, RISEN, BOTH, SQUARE, BOTH_APART, UP_APART = range(6)
"""Sums over counted parts: theta, up theta, up here theta, up² theta, and of pairs what makes them differ."""


class Cross(NamedTuple):
    """Room of a worker."""

    p: Floats
    """Shape (T,)."""

    q: Floats
    risen: Floats
    """Shape (nQ, T)."""

    sums: Floats
    """Shape (6, T)."""

    fits: Floats
    """How many steps an interval has, shape (nQ, R)."""

    v: Floats
    """Shape (T + nD, next multiple of `LINE` from T)."""

    m: Floats
    """m, then a; shape (nQ, T + nD)."""

    b: Floats
    """Shape (nQ, T)."""

    behind: Floats
    """l, shape (nQ, T)."""

    dy: Floats
    """Shape (rows,)."""

    right: Floats
    """The right side of a solve, shape (rows,)."""


def cross_of(n: Sizes) -> Cross:
    """Room for one bus at a time."""
    t, dense_rows = n.steps, n.steps + n.days
    shapes = (
        *((t,), (t,), (n.peaks, t), (6, t), (n.peaks, n.intervals)),
        (dense_rows, -(-t // LINE) * LINE),
        *((n.peaks, dense_rows), (n.peaks, t), (n.peaks, t), (n.rows,), (n.rows,)),
    )
    return Cross(*(np.zeros(shape) for shape in shapes))


@jit
def weigh_crossing(n: Sizes, of: Numbers, b: int, up: Floats, room: Room, cross: Cross) -> None:
    """p, the diagonal of Q and the vectors of the peaks; `up` has shape (nK, T)."""
    theta, t, sums = room.at[THETA], n.steps, cross.sums
    cross.p[:] = 0.0
    cross.q[:] = 0.0
    sums[:] = 0.0
    for k in range(n.parts):
        part = theta[n.part + k * t :][:t]
        if of.counts[b, k] == 0.0:
            _add_free(up[k], of.here[b, k], part, cross.p, cross.q)
            continue
        _add_counted(up[k], of.here[b, k], part, sums)
        for other in range(k):
            if of.counts[b, other] != 0.0:
                also = theta[n.part + other * t :][:t]
                _add_apart(up[k], of.here[b, k], part, up[other], of.here[b, other], also, sums)
    for q in range(n.peaks):
        _weigh_peak(n, of, b, q, theta, room, cross)
    dense.less(cross.p, -1.0, sums[BOTH])  # of steps that no peak counts
    dense.less(cross.q, -1.0, sums[SQUARE])


@jit
def _add_free(up: Floats, here: Floats, part: Floats, p: Floats, q: Floats) -> None:
    for t in range(p.size):
        p[t] += up[t] * here[t] * part[t]
        q[t] += up[t] * up[t] * part[t]


@jit
def _add_counted(up: Floats, here: Floats, part: Floats, sums: Floats) -> None:
    for t in range(part.size):
        sums[SIGMA, t] += part[t]
        sums[RISEN, t] += up[t] * part[t]
        sums[BOTH, t] += up[t] * here[t] * part[t]
        sums[SQUARE, t] += up[t] * up[t] * part[t]


@jit
def _add_apart(
    up: Floats,
    here: Floats,
    part: Floats,
    also_up: Floats,
    also_here: Floats,
    also: Floats,
    sums: Floats,
) -> None:
    for t in range(part.size):
        rises, both = up[t] - also_up[t], part[t] * also[t]
        sums[BOTH_APART, t] += rises * (here[t] - also_here[t]) * both
        sums[UP_APART, t] += rises * rises * both


@jit
def _weigh_peak(
    n: Sizes, of: Numbers, b: int, q: int, theta: Floats, room: Room, cross: Cross
) -> None:
    free, fits, sums = room.free[q], cross.fits[q], cross.sums
    slack = theta[n.slack + q * n.intervals :][: n.intervals]
    kap = 1.0 / room.before[q, n.intervals]
    fits[:] = 0.0
    for t in range(n.steps):
        if of.share[b, q, t] != 0.0:
            fits[of.interval[b, q, t]] += 1.0
    for t in range(n.steps):
        share, r = of.share[b, q, t], of.interval[b, q, t]
        cross.risen[q, t] = share * sums[RISEN, t]
        cross.m[q, t] = room.near[q, t] * free[r]
        cross.b[q, t] = kap * cross.risen[q, t] * free[r]
        if share != 0.0:
            square = share * share
            rest = slack[r]
            if fits[r] > 1.0:
                rest = max(1.0 / free[r] - square * sums[SIGMA, t], 0.0)
            cross.p[t] += (sums[BOTH, t] * rest + square * sums[BOTH_APART, t]) * free[r]
            cross.q[t] += (sums[SQUARE, t] * rest + square * sums[UP_APART, t]) * free[r]
            sums[BOTH, t], sums[SQUARE, t] = 0.0, 0.0


@jit
def hand_up(n: Sizes, of: Numbers, b: int, room: Room, cross: Cross, into: Floats) -> None:
    """Add W to the upper triangle of `into`, shape (T, as `cross.v`); `weigh_crossing` has been there."""
    t, v, span = n.steps, cross.v, 1
    v[:] = 0.0
    for k in range(t):
        v[k, k] = cross.p[k]
        into[k, k] += cross.q[k]
    for q in range(n.peaks):
        span = max(span, _spread(n, of, b, q, room, cross, into))
    _divide(room.s, v, span)
    for q in range(n.peaks):
        cross.m[q, t:] = 0.0
        _divide_one(room.s, cross.m[q])
    _less_square(v, into, span)
    for q in range(n.peaks):
        behind = cross.behind[q]
        behind[:] = 0.0
        for k in range(len(v)):
            dense.less(behind, -cross.m[q, k], v[k, :t])
    for q in range(n.peaks):
        for also in range(n.peaks):
            twice = dense.dot(cross.m[q], cross.m[also])
            for k in range(t):
                if q == also:
                    dense.less(into[k, k:t], cross.behind[q, k], cross.b[q, k:])
                    dense.less(into[k, k:t], cross.b[q, k], cross.behind[q, k:])
                dense.less(into[k, k:t], twice * cross.b[q, k], cross.b[also, k:])


@jit
def _spread(n: Sizes, of: Numbers, b: int, q: int, room: Room, cross: Cross, into: Floats) -> int:
    """What a peak adds beside the diagonals of P and Q; how far apart steps of one interval are, and one."""
    span, t = 1, n.steps
    kap = 1.0 / room.before[q, n.intervals]
    for k in range(t):
        # kap (r/D) (r/D)' of Q.
        scale = cross.b[q, k] / kap
        dense.less(into[k, k:t], -scale, cross.b[q, k:])
        r = of.interval[b, q, k]
        if of.share[b, q, k] == 0.0 or cross.fits[q, r] < 2.0:
            continue
        free = room.free[q, r]
        for other in range(t):
            if other == k or of.interval[b, q, other] != r or of.share[b, q, other] == 0.0:
                continue
            # P' has the bus's step first: k is the step here, `other` the one above.
            cross.v[k, other] -= room.near[q, k] * cross.risen[q, other] * free
            if other > k:
                into[k, other] -= cross.risen[q, k] * cross.risen[q, other] * free
                span = max(span, other - k + 1)
    return span


@jit
def _divide(s: Floats, v: Floats, span: int) -> None:
    """V = U'^-1 v, row k of which is 0 from column k + span on."""
    size, four = len(s), 4
    for k in range(0, size, four):
        stop = min(k + four, size)
        end = min(stop - 1 + span, v.shape[1])
        for one in range(k, stop):
            row = v[one, :end]
            for j in range(row.size):
                row[j] *= s[one, one]
            for later in range(one + 1, stop):
                dense.less(v[later, :end], s[one, later], row)
        if stop - k < four:
            break
        # Four rows at a time go through the later ones: those pass through the cache a quarter as often.
        for later in range(stop, size):
            dense.less_four(
                v[later, :end],
                *(s[k, later], v[k]),
                *(s[k + 1, later], v[k + 1]),
                *(s[k + 2, later], v[k + 2]),
                *(s[k + 3, later], v[k + 3]),
            )


@jit
def _divide_one(s: Floats, m: Floats) -> None:
    for k in range(m.size):
        m[k] *= s[k, k]
        dense.less(m[k + 1 :], m[k], s[k, k + 1 : m.size])


@jit
def _less_square(v: Floats, into: Floats, span: int) -> None:
    """The upper triangle less v'v."""
    whole = len(v) // 4 * 4
    for k in range(0, whole, 4):
        end = min(k + 3 + span, len(into))
        for i in range(end):
            dense.less_four(
                into[i, i:end],
                *(v[k, i], v[k, i:]),
                *(v[k + 1, i], v[k + 1, i:]),
                *(v[k + 2, i], v[k + 2, i:]),
                *(v[k + 3, i], v[k + 3, i:]),
            )
    for k in range(whole, len(v)):
        end = min(k + span, len(into))
        for i in range(end):
            dense.less(into[i, i:end], v[k, i], v[k, i:end])
