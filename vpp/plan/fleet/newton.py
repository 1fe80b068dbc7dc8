"""The predictor and corrector of the interior point, on packed arrays; who solves the normal equations is not said.

With xl = x, xu = u - x, their multipliers zl, zu > 0, and h = c - A'y, every Newton step solves

    (A Theta A') dy = r + A (Theta h')          theta = 1 / (zl/xl + zu/xu), r = b - A x
    dx = theta (A'dy - h')

twice with one factor. Written with few divisions: il = 1/xl, iu = 1/xu, tl = zl il, tu = zu iu,

    predictor   h' = h;  G = A'dy - h;  dx = theta G;  e = dx il;  f = dx iu
                alpha_p = 1 / max(1, -min e, max f);  alpha_d = 1 / max(1, 1 + max e, 1 - min f)
                S0 = Σ xl zl + xu zu;  S1 = Σ dx (zl - zu);  Q = Σ dx G
                S_aff = S0 + alpha_p S1 - alpha_d (S0 + S1) - alpha_p alpha_d (S1 + Q)
                sm = S0/(2n) min(1, S_aff/S0)^3, n columns that move
    corrector   P = sm il + zl e (1 + e);  R = sm iu - zu f (1 - f);  h' = h - P + R
                dx = theta (A'dy - h');  dzl = P - zl - tl dx;  dzu = R - zu + tu dx
                alpha_p = min(1, .9995 / max(-dx il, dx iu));  alpha_d alike of z

A column that cannot move (u = 0) has xl = xu = 1 in place of 0 and theta 1e-100: it stands still while its
multipliers follow sm, the same for all such columns of a bus: it needs no branch, and its part of S0 is known
and taken off, so that room for nobody changes nothing. `values` gives it 0 again.

Several buses that share one step (`tied`) take the smallest of `Reach` and sum their `Sums` in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Ints

STILL = 1e-100
"""Theta of a column that cannot move."""

NOTHING = 1e-300
"""S0 of a bus in which nothing moves."""

SHORT_OF = 0.9995
"""How much of the way to the nearest bound is gone."""

TIED_SHORT_OF = 0.99
"""The same of buses that share a step: what is left almost nothing of is what stops all of them the next time."""

FIRST_DUAL = 0.05
"""Multipliers at the start, beside the cost: of the size of a usual price (`packing.USUAL`)."""


class Reach(NamedTuple):
    """The longest steps, at most 1, shape (B,)."""

    primal: Floats
    dual: Floats


class Sums(NamedTuple):
    """S0, S1 and Q of the predictor, shape (B,)."""

    now: Floats
    along: Floats
    across: Floats


@dataclass(slots=True, eq=False)
class Iterate:
    """Where each bus stands: arrays of shape (B, C) that the steps write into."""

    xl: Floats
    xu: Floats
    zl: Floats
    zu: Floats
    h: Floats
    """c - A'y."""

    held: NDArray[np.bool_]
    """Columns that cannot move."""

    moving: Floats
    """How many columns can move, shape (B,)."""

    still: Ints
    """A column that cannot, 0 where all can; shape (B,)."""

    def take(self, some: slice, h: Floats) -> Iterate:
        """Views of some buses, whose `h` stands elsewhere."""
        return Iterate(
            xl=self.xl[some],
            xu=self.xu[some],
            zl=self.zl[some],
            zu=self.zu[some],
            h=h,
            held=self.held[some],
            moving=self.moving[some],
            still=self.still[some],
        )

    def values(self) -> Floats:
        """x, from 0 to u: a new array."""
        return np.where(self.held, 0.0, self.xl)


@dataclass(slots=True, eq=False)
class Work:
    """What one iteration needs for itself, shape (B, C) each; used again by the next."""

    il: Floats
    iu: Floats
    tl: Floats
    tu: Floats
    theta: Floats
    e: Floats
    f: Floats
    target: Floats
    """h' of the predictor or the corrector: what the right side is made of."""

    dx: Floats
    aty: Floats
    """A'dy: the caller writes it before `predict` and before `correct`."""

    some: Floats

    @classmethod
    def room(cls, buses: int, columns: int) -> Work:
        """Room for so many buses."""
        return cls(*np.empty((11, buses, columns)))

    def first(self, buses: int) -> Work:
        """The part of the room that so many buses take."""
        return Work(*(getattr(self, name)[:buses] for name in self.__slots__))


def start(u: Floats, c: Floats) -> Iterate:
    """The middle of every column's room, multipliers of the size of its cost."""
    still = u <= 0
    half = np.where(still, 1.0, 0.5 * u)
    return Iterate(
        xl=half,
        xu=half.copy(),
        zl=FIRST_DUAL + np.where(still, 0.0, np.maximum(c, 0.0)),
        zu=FIRST_DUAL + np.where(still, 0.0, np.maximum(-c, 0.0)),
        h=c.copy(),
        held=still,
        moving=(~still).sum(axis=1).astype(np.float64),
        still=still.argmax(axis=1) if u.shape[1] else np.zeros(len(u), dtype=np.int64),
    )


def weigh(at: Iterate, work: Work) -> None:
    """Theta, and theta h for the predictor's right side (left in `work.some`)."""
    np.divide(1.0, at.xl, out=work.il)
    np.divide(1.0, at.xu, out=work.iu)
    np.multiply(at.zl, work.il, out=work.tl)
    np.multiply(at.zu, work.iu, out=work.tu)
    np.add(work.tl, work.tu, out=work.theta)
    np.divide(1.0, work.theta, out=work.theta)
    np.putmask(work.theta, at.held, STILL)
    np.multiply(work.theta, at.h, out=work.some)


def predict(at: Iterate, work: Work) -> tuple[Reach, Sums]:
    """The affine direction from `work.aty`: how far it leads, and what it promises."""
    grown = np.subtract(work.aty, at.h, out=work.some)
    np.multiply(work.theta, grown, out=work.dx)
    np.multiply(work.dx, work.il, out=work.e)
    np.multiply(work.dx, work.iu, out=work.f)
    reach = Reach(
        1.0 / np.maximum(1.0, np.maximum(-_least(work.e), _most(work.f))),
        1.0 / np.maximum(1.0, np.maximum(1.0 + _most(work.e), 1.0 - _least(work.f))),
    )
    sums = Sums(
        products(at),
        _dot(work.dx, at.zl) - _dot(work.dx, at.zu),
        _dot(work.dx, grown),
    )
    return reach, sums


def centre(reach: Reach, sums: Sums, moving: Floats) -> Floats:
    """Sm, what all products are drawn to, shape (B,); `moving` counts the columns of the sums."""
    s0, s1, q = sums
    ap, ad = reach
    affine = s0 + ap * s1 - ad * (s0 + s1) - ap * ad * (s1 + q)
    share: Floats = np.clip(affine / np.maximum(s0, NOTHING), 0.0, 1.0)
    found: Floats = s0 / (2 * np.maximum(moving, 1.0)) * share**3
    return found


def aim(at: Iterate, work: Work, sm: Floats) -> None:
    """The corrector's targets: P in `work.e`, R in `work.f`, theta h' in `work.some`."""
    wide = sm[:, None]
    curved = np.add(work.e, 1.0, out=work.some)
    curved *= work.e
    curved *= at.zl
    np.multiply(work.il, wide, out=work.e)
    work.e += curved
    curved = np.subtract(1.0, work.f, out=work.some)
    curved *= work.f
    curved *= at.zu
    np.multiply(work.iu, wide, out=work.f)
    work.f -= curved
    target(at, work)


def target(at: Iterate, work: Work) -> None:
    """The same h' once more where P and R are kept and h and theta were made anew."""
    np.subtract(at.h, work.e, out=work.target)
    work.target += work.f
    np.multiply(work.theta, work.target, out=work.some)


def correct(at: Iterate, work: Work, short_of: float = SHORT_OF) -> Reach:
    """The direction from `work.aty`: dx in `work.dx`, dzl in `work.e`, dzu in `work.f`."""
    np.subtract(work.aty, work.target, out=work.dx)
    work.dx *= work.theta
    work.tl *= work.dx
    work.e -= at.zl
    work.e -= work.tl
    work.tu *= work.dx
    work.f -= at.zu
    work.f += work.tu
    work.il *= work.dx
    work.iu *= work.dx
    primal = np.maximum(-_least(work.il), _most(work.iu))
    shrunk = np.divide(work.e, at.zl, out=work.tl)
    dual = -_least(shrunk)
    shrunk = np.divide(work.f, at.zu, out=work.tu)
    dual = np.maximum(dual, -_least(shrunk))
    return Reach(_short_of(primal, short_of), _short_of(dual, short_of))


def advance(at: Iterate, work: Work, reach: Reach) -> None:
    """Go so far along what `correct` left."""
    move(at, work, reach)
    work.aty *= reach.dual[:, None]
    at.h -= work.aty


def move(at: Iterate, work: Work, reach: Reach) -> None:
    """The same of x and z alone, where h is made anew."""
    primal, dual = reach.primal[:, None], reach.dual[:, None]
    work.dx *= primal
    at.xl += work.dx
    at.xu -= work.dx
    work.e *= dual
    at.zl += work.e
    work.f *= dual
    at.zu += work.f


def products(at: Iterate) -> Floats:
    """S0, the sum of the products of all columns that move, shape (B,)."""
    # Those that do not all have the same multipliers.
    held = at.zl[np.arange(len(at.zl)), at.still] if at.zl.shape[1] else 0.0
    unmoved = at.zl.shape[1] - at.moving
    moved: Floats = np.maximum(_dot(at.xl, at.zl) + _dot(at.xu, at.zu) - 2.0 * unmoved * held, 0.0)
    return moved


def dual_residual(at: Iterate) -> Floats:
    """The largest |h - zl + zu| of a bus, shape (B,), over the columns that move."""
    found: Floats = np.abs((at.h - at.zl + at.zu) * ~at.held).max(axis=1, initial=0.0)
    return found


def _dot(a: Floats, b: Floats) -> Floats:
    found: Floats = np.einsum("bc,bc->b", a, b)
    return found


def _least(values: Floats) -> Floats:
    found: Floats = values.min(axis=1, initial=0.0)
    return found


def _most(values: Floats) -> Floats:
    found: Floats = values.max(axis=1, initial=0.0)
    return found


def _short_of(rate: Floats, short_of: float) -> Floats:
    found: Floats = np.minimum(1.0, short_of / np.maximum(rate, short_of))
    return found
