"""Tridiagonal systems of all stores at once: pivots without cancellation, and solving with them.

`normal` says what the letters stand for. The stores of all buses stand behind each other as one long
tridiagonal matrix whose links between two stores are 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Ints

DEAD = 1e-60
"""A pivot below this belongs to a row none of whose columns can move."""

DROPPED = 1e30
"""In place of the pivot of a row that is left out of a step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """L and d of every store's B, shape (B, nS, T)."""

    d: Floats
    link: Floats
    """l_t = keep g_t, the last one of each store 0; below 0 where a taper takes more than is kept."""

    @classmethod
    def of(cls, a: Floats, level: Floats, keep: Floats) -> Chains:
        """Factor.

        Args:
            a: gain² th_into + loss² th_out, shape (B, nS, T).
            level: th of the level and its soft ones, shape (B, nS, T).
            keep: Of each level in the step after it, shape (B, nS, 1) or (B, nS, T).
        """
        buses, stores, steps = a.shape
        flat = buses * stores
        added = np.ascontiguousarray(a.reshape(flat, steps).T)
        held = np.ascontiguousarray(level.reshape(flat, steps).T)
        square = np.square(keep).reshape(flat, keep.shape[2]).T
        kept = held * square
        pivots = np.empty_like(held)
        p = added[0].copy()
        for step in range(steps):
            d = np.add(held[step], p, out=pivots[step])
            if step + 1 < steps:
                # p_t+1 = a_t+1 + keep² (th/d) p_t
                np.divide(p, d, out=p)
                np.multiply(p, kept[step], out=p)
                np.add(p, added[step + 1], out=p)
        pivots[pivots < DEAD] = DROPPED
        d = np.ascontiguousarray(pivots.T).reshape(a.shape)
        link = keep * level
        link /= d
        link[..., -1] = 0.0
        return cls(d=d, link=link)

    def pick(self, store: Ints) -> Chains:
        """Those of some stores of each bus, `store` of shape (B, n): any order, any as often as it likes."""
        of = store[..., None]
        return Chains(
            d=np.take_along_axis(self.d, of, axis=1), link=np.take_along_axis(self.link, of, axis=1)
        )

    def solve(self, right: Floats) -> Floats:
        """B^-1 of a right side of shape (B, nS, T)."""
        if right.size < 2:  # LAPACK's wrapper wants a neighbour
            return right / self.d
        found, info = lapack.dpttrs(self.d.ravel(), -self.link.ravel()[:-1], right.ravel())
        assert info == 0
        solved: Floats = found.reshape(right.shape)
        if len(solved) > 1 and not np.isfinite(solved).all():
            # What is no number passes even a link of 0: no bus may spoil the next one.
            return np.concatenate([one.solve(part) for one, part in self._each(right)])
        return solved

    def _each(self, right: Floats) -> Iterator[tuple[Chains, Floats]]:
        for bus in range(len(right)):
            some = slice(bus, bus + 1)
            yield Chains(d=self.d[some], link=self.link[some]), right[some]

    def inverse_diagonal(self) -> Floats:
        """iv, the diagonal of every B^-1, shape (B, nS, T)."""
        if not self.d.size:
            return self.d
        band = np.zeros((2, self.d.size), order="F")
        band[0, 1:] = -np.square(self.link.ravel()[:-1])
        found, info = lapack.dtbtrs(band, 1.0 / self.d.ravel(), uplo="U", diag="U")
        assert info == 0
        diagonal: Floats = found.reshape(self.d.shape)
        if len(diagonal) > 1 and not np.isfinite(diagonal).all():
            return np.concatenate([one.inverse_diagonal() for one, _ in self._each(self.d)])
        return diagonal
