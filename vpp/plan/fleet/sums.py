"""Sums over what hangs on a bus, a store or a tree, and walks over many units in slices that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import ROOT, Forest, Ints, Point

CHUNK = 50_000
"""Numbers in a slice: a dozen arrays of as many stay in the second cache."""


def summed(values: Floats, of: Ints, count: int) -> Floats:
    """Sums of the rows of `values`, shape (n, T), by the number in `of`, shape (n,); shape (count, T)."""
    # Written row by row: scipy takes ten times as long to find the rows of a few.
    ends = np.cumsum(np.bincount(of, minlength=count))
    rows = (np.ones(len(of)), np.argsort(of, kind="stable"), np.append(0, ends))
    found: Floats = csr_array(rows, shape=(count, len(of))) @ values
    return found


def slices(count: int, steps: int) -> Iterator[slice]:
    """`count` units of `steps` numbers each, a slice after the other."""
    width = max(CHUNK // max(steps, 1), 1)
    for start in range(0, count, width):
        yield slice(start, min(start + width, count))


def net_kw(forest: Forest, point: Point) -> Floats:
    """The left side of each bus's row, shape (B, T)."""
    stores, budgets, parts, parent = (
        *(forest.stores, forest.budgets, forest.parts),
        forest.buses.parent,
    )
    found = summed(parts.here * point.part, parts.bus, len(parent))
    below = np.flatnonzero(parent[parts.bus] != ROOT)
    found += summed(parts.up[below] * point.part[below], parent[parts.bus[below]], len(parent))
    for some in slices(len(stores.bus), forest.steps):
        first = stores.bus[some][0]
        count = stores.bus[some][-1] + 1 - first
        found[first : first + count] += summed(
            point.out[some] - point.into[some], stores.bus[some] - first, count
        )
    return found - summed(point.draw, budgets.bus, len(parent))
