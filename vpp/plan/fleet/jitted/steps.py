"""The passes over the columns of one bus: predictor, corrector, step (`newton.py` has the formulas).

Each is one loop over flat arrays that stay in the processor's own cache. Two divisions a column weigh it
(1/(xl xu) gives il and iu both), one finds the step of the multipliers.
"""

from __future__ import annotations

from vpp.model.horizon import Floats
from vpp.plan.fleet.jitted.compiling import bits, jit, of_bits
from vpp.plan.fleet.jitted.room import (
    ATY,
    DX,
    IL,
    IU,
    LIVE,
    THETA,
    WEIGHED,
    XL,
    XU,
    ZL,
    ZU,
    H,
    P,
    R,
)
from vpp.plan.fleet.newton import FIRST_DUAL, STILL


@jit
def begin(u: Floats, c: Floats, at: Floats) -> float:
    """The middle of every column's room, multipliers of the size of its cost; how many columns move."""
    size = u.size
    xl, xu, zl, zu = at[XL, :size], at[XU, :size], at[ZL, :size], at[ZU, :size]
    h, live = at[H, :size], at[LIVE, :size]
    at[ATY], at[DX], at[P], at[R] = 0.0, 0.0, 0.0, 0.0
    moving = 0.0
    for j in range(size):
        still = u[j] <= 0.0
        half = 1.0 if still else 0.5 * u[j]
        xl[j], xu[j] = half, half
        zl[j], zu[j] = FIRST_DUAL + max(c[j], 0.0), FIRST_DUAL + max(-c[j], 0.0)
        h[j] = c[j]
        live[j] = STILL if still else 1.0
        moving += 0.0 if still else 1.0
    return moving


@jit
def advance(at: Floats, size: int, primal: float, dual: float) -> float:
    """Go so far along what `correct` left, and weigh the columns anew.

    Returns:
        S0, the sum of the products of columns that move.
    """
    xl, xu, zl, zu, h = at[XL, :size], at[XU, :size], at[ZL, :size], at[ZU, :size], at[H, :size]
    live, il, iu, theta = at[LIVE, :size], at[IL, :size], at[IU, :size], at[THETA, :size]
    weighed, aty, dx = at[WEIGHED, :size], at[ATY, :size], at[DX, :size]
    p, r = at[P, :size], at[R, :size]
    s0 = 0.0
    for j in range(size):
        low = xl[j] + primal * dx[j]
        high = xu[j] - primal * dx[j]
        lower = zl[j] + dual * p[j]
        upper = zu[j] + dual * r[j]
        price = h[j] - dual * aty[j]
        xl[j], xu[j], zl[j], zu[j], h[j] = low, high, lower, upper, price
        both = 1.0 / (low * high)
        of_low, of_high = both * high, both * low
        weight = live[j] / (lower * of_low + upper * of_high)
        il[j], iu[j], theta[j], weighed[j] = of_low, of_high, weight, weight * price
        s0 += live[j] * (low * lower + high * upper)
    return s0


@jit
def dual_residual(at: Floats, size: int) -> float:
    """The largest |h - zl + zu| of the columns that move."""
    h, zl, zu, live = at[H, :size], at[ZL, :size], at[ZU, :size], at[LIVE, :size]
    most = 0
    for j in range(size):
        most = max(most, bits(abs((h[j] - zl[j] + zu[j]) * live[j])))
    residual: float = of_bits(most)
    return residual


@jit
def predict(at: Floats, size: int) -> tuple[float, float, float, float]:
    """The affine direction from A'dy: how far it leads (primal, dual), S1 and Q."""
    h, zl, zu, il, iu = at[H, :size], at[ZL, :size], at[ZU, :size], at[IL, :size], at[IU, :size]
    theta, aty, dx = at[THETA, :size], at[ATY, :size], at[DX, :size]
    e_least = e_most = f_least = f_most = 0
    s1 = q = 0.0
    for j in range(size):
        grown = aty[j] - h[j]
        step = theta[j] * grown
        dx[j] = step
        e, f = step * il[j], step * iu[j]
        e_least, e_most = max(e_least, bits(-e)), max(e_most, bits(e))
        f_least, f_most = max(f_least, bits(-f)), max(f_most, bits(f))
        s1 += step * (zl[j] - zu[j])
        q += step * grown
    primal = 1.0 / max(1.0, of_bits(max(e_least, f_most)))
    dual = 1.0 / (1.0 + of_bits(max(e_most, f_least)))
    return primal, dual, s1, q


@jit
def aim(at: Floats, size: int, sm: float) -> None:
    """The corrector's targets P and R, and theta h'."""
    h, zl, zu, il, iu = at[H, :size], at[ZL, :size], at[ZU, :size], at[IL, :size], at[IU, :size]
    theta, weighed, dx = at[THETA, :size], at[WEIGHED, :size], at[DX, :size]
    p, r = at[P, :size], at[R, :size]
    for j in range(size):
        e, f = dx[j] * il[j], dx[j] * iu[j]
        low = sm * il[j] + zl[j] * e * (1.0 + e)
        high = sm * iu[j] - zu[j] * f * (1.0 - f)
        p[j], r[j] = low, high
        weighed[j] = theta[j] * (h[j] - low + high)


@jit
def correct(at: Floats, size: int, short_of: float) -> tuple[float, float]:
    """The direction from A'dy, left in `DX`, `P` and `R`; how far it may be gone (primal, dual)."""
    h, zl, zu, il, iu = at[H, :size], at[ZL, :size], at[ZU, :size], at[IL, :size], at[IU, :size]
    theta, aty, dx = at[THETA, :size], at[ATY, :size], at[DX, :size]
    p, r = at[P, :size], at[R, :size]
    primal = dual = 0
    for j in range(size):
        step = theta[j] * (aty[j] - h[j] + p[j] - r[j])
        e, f = step * il[j], step * iu[j]
        low = p[j] - zl[j] - zl[j] * e
        high = r[j] - zu[j] + zu[j] * f
        dx[j], p[j], r[j] = step, low, high
        both = 1.0 / (zl[j] * zu[j])
        primal = max(primal, max(bits(-e), bits(f)))
        dual = max(dual, max(bits(-low * (both * zu[j])), bits(-high * (both * zl[j]))))
    return _short_of(of_bits(primal), short_of), _short_of(of_bits(dual), short_of)


@jit
def _short_of(rate: float, short_of: float) -> float:
    return 1.0 if rate <= short_of else short_of / rate


@jit
def worth(u: Floats, c: Floats, at: Floats) -> tuple[float, float]:
    """The cost of where it stands, and Σ u min(h, 0): the bound's part of the columns."""
    size = u.size
    xl, h = at[XL, :size], at[H, :size]
    cost = least = 0.0
    for j in range(size):
        cost += c[j] * min(xl[j], u[j])
        least += min(h[j], 0.0) * u[j]
    return cost, least
