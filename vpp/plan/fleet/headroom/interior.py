"""The interior point of a tree, as `newton.py` has it, on columns that may lack a bound.

    dx/theta - A'dy = -h'    A dx = r    1/theta = zl/xl + zu/xu + PROXIMAL

The last term holds what nothing else does: a column that is far from both bounds has multipliers of nearly
nothing, and its theta would drown those of the rows it stands in. It moves the direction, not where it leads:
dx comes to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.headroom.normal import factored
from vpp.plan.fleet.headroom.shape import Shape
from vpp.plan.fleet.newton import FIRST_DUAL, SHORT_OF, STILL
from vpp.plan.fleet.packing import USUAL
from vpp.plan.lp import Deadline

PROXIMAL = 1e-9
"""Cost of a kW moved, squared, in scaled costs: a thousand kW are moved for a millionth."""

MOST_ITERATIONS = 150

KEPT = 1e-9
"""How well rows hold in the end, relative to 1 + the sizes in each."""

PRICED = 1e-10
"""How near the multipliers of each column are to its reduced cost, in scaled costs."""

STALLED = 25
"""Iterations in which nothing became a tenth better: it comes to no end."""

LEAST = 1e-300
"""So that nothing is divided by nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Where it ended; nothing says that this is any good."""

    x: Floats
    y: Floats
    """Prices of the rows, in money."""

    iterations: int


@dataclass(slots=True, kw_only=True, eq=False)
class _At:
    """Where it stands, shape (columns,) each; what a column has no bound for is 1, and its multiplier 0."""

    x: Floats
    y: Floats
    xl: Floats
    xu: Floats
    zl: Floats
    zu: Floats
    below: Floats
    """1 where a column has a lower bound and moves, else 0."""

    above: Floats

    def products(self) -> float:
        """S0, their sum."""
        return float(self.zl @ self.xl + self.zu @ self.xu)

    def move(self, dx: Floats, dy: Floats, dzl: Floats, dzu: Floats, short: float) -> None:
        """As far as nothing reaches more than so much of its bound."""
        primal, dual = self.reach(dx, dzl, dzu, short)
        self.x += primal * dx
        self.xl += primal * self.below * dx
        self.xu -= primal * self.above * dx
        self.y += dual * dy
        self.zl += dual * dzl
        self.zu += dual * dzu

    def reach(self, dx: Floats, dzl: Floats, dzu: Floats, short: float) -> tuple[float, float]:
        """The longest steps, at most 1."""
        zl, zu = self.zl + LEAST, self.zu + LEAST
        primal = max((-self.below * dx / self.xl).max(), (self.above * dx / self.xu).max())
        dual = max((-dzl / zl).max(), (-dzu / zu).max())
        return min(1.0, short / max(primal, LEAST)), min(1.0, short / max(dual, LEAST))


def solve(shape: Shape, *, tolerance: float, deadline: Deadline) -> Found | None:
    """Where the interior point ends; None where it runs out of time, of iterations, or of digits.

    Args:
        shape: A tree.
        tolerance: Of the products of columns and multipliers, relative to 1 + the cost.
        deadline: Looked at before each iteration.
    """
    priced = np.abs(shape.cost[shape.cost != 0])
    scale = float(np.quantile(priced, 0.25)) / USUAL if len(priced) else 1.0
    cost, matrix, sizes = shape.cost / scale, shape.matrix, abs(shape.matrix)
    back, at, best, since = matrix.T.tocsr(), _begin(shape, cost), np.inf, 0
    found: Found | None = None
    for iteration in range(MOST_ITERATIONS):
        r, h, gap = shape.right - matrix @ at.x, cost - back @ at.y, at.products()
        if not np.isfinite(gap) or deadline.passed:
            return found
        lacks = (np.abs(r) / (1.0 + sizes @ np.abs(at.x))).max()
        moves = (at.below + at.above) > 0
        off = np.abs(h - at.zl + at.zu)[moves].max(initial=0.0)
        far = max(gap / (tolerance * (1.0 + abs(float(cost @ at.x)))), lacks / KEPT, off / PRICED)
        if far <= 1.0 or found is not None:
            # Once more: what is left of columns that come to nothing is a thousandth after it.
            last, found = found, Found(x=at.x.copy(), y=scale * at.y, iterations=iteration)
            if last is not None:
                return found if far <= 1.0 else last
        best, since = (far, iteration) if far < 0.9 * best else (best, since)
        if iteration - since >= STALLED:
            return None
        _iterate(shape, at, h, r)
    return None


def _begin(shape: Shape, cost: Floats) -> _At:
    """The middle of every column's room; where that has no end, half the usual room from its bound."""
    low, high = np.isfinite(shape.lower), np.isfinite(shape.upper)
    lower, upper = np.where(low, shape.lower, 0.0), np.where(high, shape.upper, 0.0)
    live = ~(low & high & (shape.lower >= shape.upper))
    rooms = (upper - lower)[low & high & live]
    usual = 0.5 * float(np.median(rooms)) if len(rooms) else 1.0
    x = np.where(low & high, 0.5 * (lower + upper), lower + upper + usual * (low * 1.0 - high))
    below, above = (one.astype(np.float64) for one in (low & live, high & live))
    return _At(
        x=x,
        y=np.zeros(len(shape.right)),
        xl=np.where(below > 0, x - lower, 1.0),
        xu=np.where(above > 0, upper - x, 1.0),
        zl=below * (FIRST_DUAL + np.maximum(cost, 0.0)),
        zu=above * (FIRST_DUAL + np.maximum(-cost, 0.0)),
        below=below,
        above=above,
    )


def _iterate(shape: Shape, at: _At, h: Floats, r: Floats) -> None:
    """Predictor and corrector, with one factor."""
    tl, tu, moves = at.zl / at.xl, at.zu / at.xu, (at.below + at.above) > 0
    equations = factored(shape, np.where(moves, 1.0 / (tl + tu + PROXIMAL), STILL))
    dx = moves * equations.solve(h, r)[0]
    dzl, dzu = -at.zl - tl * dx, -at.zu + tu * dx
    primal, dual = at.reach(dx, dzl, dzu, 1.0)
    ahead = at.below * (at.xl + primal * dx) @ (at.zl + dual * dzl)
    ahead += at.above * (at.xu - primal * dx) @ (at.zu + dual * dzu)
    now, number = at.products(), float((at.below + at.above).sum())
    sm = now / number * min(1.0, max(float(ahead) / max(now, LEAST), 0.0)) ** 3
    p, q = at.below * (sm - dx * dzl) / at.xl, at.above * (sm + dx * dzu) / at.xu
    dx, dy = equations.solve(h - p + q, r)
    dx *= moves
    at.move(dx, dy, p - at.zl - tl * dx, q - at.zu + tu * dx, SHORT_OF)
