r"""Trees that have columns in common, solved as one: what is bid now is the same in every future.

A shared column x of step t feeds `here` into the row of every root k. Beside the trees' own elimination down to
S_k dw_k = rho_k (`branch`), with f_t = Σ here·dx of its columns,

    S_k dw_k = rho_k - f                    dx = theta (here Σ_k dw_k - h')
    (D^-1 + Q) f = Σ S_k^-1 rho_k - D^-1 g  Q = Σ S_k^-1, D = diag(Σ here² theta), g = Σ here theta h'

so that however many trees there are, one more matrix of the size of the horizon joins them, written with
f = D^1/2 v and (I + D^1/2 Q D^1/2) v = D^1/2 Σ S_k^-1 rho_k - D^-1/2 g: a step in which nothing is shared
has D = 0. All trees take one step; the shared columns are one bus more, which has no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from vpp.model.horizon import Floats
from vpp.plan.fleet import newton
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point, Shared
from vpp.plan.fleet.newton import Iterate, Reach, Sums, Work
from vpp.plan.fleet.packing import cost_scales

if TYPE_CHECKING:
    from vpp.plan.fleet.tied import Mask, Rooted, Seen

LEAST = 1e-150
"""D^1/2 below this is that of a step in which nothing moves."""


def joined(sweeps: Rooted, forest: Forest) -> Joined:
    """The sweeps of a forest's trees with the columns that these have in common."""
    shared = forest.shared
    assert shared is not None
    scale = float(cost_scales(forest)[0])
    u, c = shared.most[None], shared.cost[None] / scale
    found = Joined(
        sweeps=sweeps,
        shared=shared,
        c=c,
        u=u,
        at=newton.start(u, c),
        work=Work(*np.zeros((11, 1, len(shared.step)))),
        tree=np.zeros(len(sweeps.tree) + 1, dtype=np.int64),
        columns=np.append(sweeps.columns, np.count_nonzero(u > 0)),
        steps=forest.steps,
        along=np.zeros(forest.steps),
    )
    sweeps.meet = found
    return found


@dataclass(slots=True, kw_only=True, eq=False)
class Joined:
    """Sweeps over trees with columns in common (`tied.Sweeps`, and `tied.Meet` to its own sweeps)."""

    sweeps: Rooted
    shared: Shared
    c: Floats
    """Scaled costs, shape (1, n); `u` alike is their room."""

    u: Floats
    at: Iterate
    work: Work
    tree: Ints
    columns: Floats
    steps: int
    along: Floats
    """Σ_k dw_k as f says it, shape (T,): dx is then what the rows of all roots were told, to rounding."""

    root: tuple[Floats, bool] | None = field(default=None)
    """The factor of I + D^1/2 Q D^1/2, as scipy has it."""

    @property
    def given_kw(self) -> Floats:
        """As `tied.Meet` has it."""
        return self._fed(self.at.values()[0])

    def feeds(self, answered: Floats, inverse: Callable[[], Floats]) -> Floats:
        """As `tied.Meet` has it."""
        here, theta = self.shared.here, self.work.theta[0]
        wide = np.sqrt(np.bincount(self.shared.step, here**2 * theta, self.steps))
        if self.root is None:
            self.root = cho_factor(
                np.eye(self.steps) + wide[:, None] * inverse() * wide, check_finite=False
            )
        own = self._fed(self.work.some[0])
        moved = np.divide(own, wide, out=np.zeros(self.steps), where=wide > LEAST)
        v = cho_solve(self.root, wide * answered - moved, check_finite=False)
        self.along = np.divide(v + moved, wide, out=np.zeros(self.steps), where=wide > LEAST)
        found: Floats = wide * v
        return found

    def go(self, reach: Reach, running: Mask) -> Seen:
        """As `tied.Sweeps` has it."""
        newton.advance(self.at, self.work, Reach(*(each[-1:] for each in reach)))
        seen = self.sweeps.go(Reach(*(each[:-1] for each in reach)), running[:-1])
        np.subtract(self.c, self._priced(self.sweeps.prices[0]), out=self.at.h)
        nothing = np.zeros(1)
        own = (
            np.einsum("bc,bc->b", self.c, self.at.values()),
            np.einsum("bc,bc->b", np.minimum(self.at.h, 0.0), self.u),
            newton.products(self.at),
            *(nothing, nothing, newton.dual_residual(self.at)),
        )
        return type(seen)(
            *(np.append(theirs, mine) for theirs, mine in zip(seen, own, strict=True))
        )

    def affine(self) -> tuple[Reach, Sums]:
        """As `tied.Sweeps` has it."""
        newton.weigh(self.at, self.work)
        self.root = None
        theirs = self.sweeps.affine()
        self.work.aty[...] = self.shared.here * self.along[self.shared.step]
        own = newton.predict(self.at, self.work)
        reach, sums = (
            [np.append(*each) for each in zip(*both, strict=True)]
            for both in zip(theirs, own, strict=True)
        )
        return Reach(*reach), Sums(*sums)

    def corrected(self, sm: Floats, correcting: Mask) -> Reach:
        """As `tied.Sweeps` has it."""
        newton.aim(self.at, self.work, sm[-1:])
        theirs = self.sweeps.corrected(sm[:-1], correcting[:-1])
        self.work.aty[...] = self.shared.here * self.along[self.shared.step]
        own = newton.correct(self.at, self.work, newton.TIED_SHORT_OF)
        return Reach(*(np.append(*each) for each in zip(theirs, own, strict=True)))

    def write(self, point: Point, duals: Duals) -> None:
        """As `tied.Sweeps` has it."""
        self.sweeps.write(point, duals)
        point.shared[...] = self.at.values()[0]

    def _fed(self, values: Floats) -> Floats:
        """Σ here·values of each step, shape (T,)."""
        found = np.bincount(self.shared.step, self.shared.here * values, self.steps)
        return found.astype(np.float64)

    def _priced(self, prices: Floats) -> Floats:
        """Here·Σ of the roots' prices in the step of each column, shape (1, n)."""
        of_roots = prices[self.sweeps.roots].sum(axis=0)
        found: Floats = (self.shared.here * of_roots[self.shared.step])[None]
        return found
