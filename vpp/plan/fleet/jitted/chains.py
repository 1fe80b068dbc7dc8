"""The chains of a bus's stores: B of each store's rows, factored, solved, and taken out of the bus's matrix.

    a_t = gain² theta_into + loss² theta_out        E_t = gain theta_into + loss theta_out
    L_t = theta of the level and its soft columns
    B   = tridiagonal: diagonal a_t + L_t + keep² L_t-1, beside it -keep L_t

(keep is r_t+1 of `tapers.py` where a power tapers, and below E is U there)

Pivots of sums alone, p_0 = a_0:  d_t = L_t + p_t,  g_t = keep L_t / d_t,  p_t+1 = a_t+1 + keep g_t p_t, and
(B^-1)_tj = iv_j g_t … g_j-1 for t <= j with iv_t = 1/d_t + g_t² iv_t+1. A recurrence waits for itself, so four
stores run side by side; there are always a multiple of four, the last ones with zeros everywhere.
"""

from __future__ import annotations

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD, DROPPED
from vpp.plan.fleet.jitted.compiling import jit
from vpp.plan.fleet.jitted.room import IV, LEVEL, LINE, RD, SIDE_BY_SIDE, A, G

LEAST_PIVOT = 1.0 / DROPPED
"""1/d of a row that is left out."""


@jit
def factor_chains(chains: Floats, kept: Floats) -> None:
    """From a and L to 1/d, g and iv."""
    for i in range(0, len(kept), SIDE_BY_SIDE):
        _pivots(
            chains[A, i : i + 4],
            chains[LEVEL, i : i + 4],
            chains[RD, i : i + 4],
            chains[G, i : i + 4],
            kept[i : i + 4],
        )
        _inverse_diagonal(chains[RD, i : i + 4], chains[G, i : i + 4], chains[IV, i : i + 4])


@jit
def _pivots(a: Floats, level: Floats, rd: Floats, g: Floats, kept: Floats) -> None:
    k0, k1, k2, k3 = kept[0], kept[1], kept[2], kept[3]
    l0, l1, l2, l3 = level[0], level[1], level[2], level[3]
    p0 = p1 = p2 = p3 = 0.0
    for t in range(l0.size):
        p0, p1, p2, p3 = a[0, t] + p0, a[1, t] + p1, a[2, t] + p2, a[3, t] + p3
        r0, r1 = _inverse(l0[t] + p0), _inverse(l1[t] + p1)
        r2, r3 = _inverse(l2[t] + p2), _inverse(l3[t] + p3)
        g0, g1 = k0[t] * l0[t] * r0, k1[t] * l1[t] * r1
        g2, g3 = k2[t] * l2[t] * r2, k3[t] * l3[t] * r3
        rd[0, t], rd[1, t], rd[2, t], rd[3, t] = r0, r1, r2, r3
        g[0, t], g[1, t], g[2, t], g[3, t] = g0, g1, g2, g3
        p0, p1 = k0[t] * g0 * p0, k1[t] * g1 * p1
        p2, p3 = k2[t] * g2 * p2, k3[t] * g3 * p3
    g[:, l0.size - 1] = 0.0


@jit
def _inverse(pivot: float) -> float:
    return 1.0 / pivot if pivot > DEAD else LEAST_PIVOT


@jit
def _inverse_diagonal(rd: Floats, g: Floats, iv: Floats) -> None:
    x0 = x1 = x2 = x3 = 0.0
    steps = rd.shape[1]
    for back in range(steps):
        t = steps - 1 - back
        x0, x1 = rd[0, t] + g[0, t] * g[0, t] * x0, rd[1, t] + g[1, t] * g[1, t] * x1
        x2, x3 = rd[2, t] + g[2, t] * g[2, t] * x2, rd[3, t] + g[3, t] * g[3, t] * x3
        iv[0, t], iv[1, t], iv[2, t], iv[3, t] = x0, x1, x2, x3


@jit
def solve_chains(chains: Floats, u: Floats, begin: int, end: int) -> None:
    """Put B^-1 u in place of u, for the stores from `begin` to `end`, multiples of four."""
    for i in range(begin, end, SIDE_BY_SIDE):
        _forward(chains[G, i : i + 4], u[i : i + 4])
        _backward(chains[RD, i : i + 4], chains[G, i : i + 4], u[i : i + 4])


@jit
def _forward(g: Floats, u: Floats) -> None:
    x0 = x1 = x2 = x3 = 0.0
    for t in range(u.shape[1]):
        x0, x1, x2, x3 = u[0, t] + x0, u[1, t] + x1, u[2, t] + x2, u[3, t] + x3
        u[0, t], u[1, t], u[2, t], u[3, t] = x0, x1, x2, x3
        x0, x1, x2, x3 = g[0, t] * x0, g[1, t] * x1, g[2, t] * x2, g[3, t] * x3


@jit
def _backward(rd: Floats, g: Floats, u: Floats) -> None:
    x0 = x1 = x2 = x3 = 0.0
    steps = u.shape[1]
    for back in range(steps):
        t = steps - 1 - back
        x0, x1 = u[0, t] * rd[0, t] + g[0, t] * x0, u[1, t] * rd[1, t] + g[1, t] * x1
        x2, x3 = u[2, t] * rd[2, t] + g[2, t] * x2, u[3, t] * rd[3, t] + g[3, t] * x3
        u[0, t], u[1, t], u[2, t], u[3, t] = x0, x1, x2, x3


@jit
def take_out(chains: Floats, e: Floats, rate: Floats, s: Floats, q: Floats) -> None:
    """S -= Σ E B^-1 E, upper triangle; `q` is work of shape (4, width of S).

    With a `rate` (`tapers.py`) later columns are E_j iv_j + rate_j; shape (fours, T), as that of `e`.
    """
    for i in range(0, chains.shape[1], SIDE_BY_SIDE):
        q[:] = 0.0
        four = slice(i, i + 4)
        _take_out_four(e[four], rate[four], chains[G, four], chains[IV, four], s, q)


@jit
def _take_out_four(e: Floats, rate: Floats, g: Floats, iv: Floats, s: Floats, q: Floats) -> None:
    steps = e.shape[1]
    for back in range(steps):
        t = steps - 1 - back
        at = (t + 1) // LINE * LINE  # where a cache line begins: q is still 0 up to t
        if at < s.shape[1]:
            _fade(s[t, at:], e[:, t], g[:, t], q[0, at:], q[1, at:], q[2, at:], q[3, at:])
        for i in range(SIDE_BY_SIDE):
            own = e[i, t] * iv[i, t]
            s[t, t] -= e[i, t] * own
            q[i, t] = own + rate[i, t]


@jit
def _fade(
    row: Floats, e: Floats, g: Floats, q0: Floats, q1: Floats, q2: Floats, q3: Floats
) -> None:
    """One step back: q *= g, row -= Σ E q."""
    e0, e1, e2, e3 = e[0], e[1], e[2], e[3]
    g0, g1, g2, g3 = g[0], g[1], g[2], g[3]
    for j in range(row.size):
        x0, x1, x2, x3 = g0 * q0[j], g1 * q1[j], g2 * q2[j], g3 * q3[j]
        q0[j], q1[j], q2[j], q3[j] = x0, x1, x2, x3
        row[j] -= e0 * x0 + e1 * x1 + e2 * x2 + e3 * x3
