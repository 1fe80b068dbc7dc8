"""The buses of trees packed level by level, the deepest first, and cut into branches.

Buses of one depth never touch each other, so a level is eliminated at once. Leaves and buses with children
of one depth are two levels: leaves have no matrix below them, and correct their targets by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.fleet.branch import Branch, Joints
from vpp.plan.fleet.forest import ROOT, Forest, Ints
from vpp.plan.fleet.packing import pack

AT_ONCE = 4
"""Buses of a branch: their arrays stay in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grown:
    """Branches, the deepest first, and where they meet."""

    branches: tuple[Branch, ...]
    joints: Joints
    trees: int


def grow(forest: Forest, trees: Ints) -> Grown:
    """Pack and cut.

    Args:
        forest: Every column has finite bounds.
        trees: Which, by their place in `forest.trees()`, rising.
    """
    known, parent = forest.trees(), forest.buses.parent
    number = np.full(len(known.roots), -1)
    number[trees] = np.arange(len(trees))
    tree = number[known.of]
    buses = np.flatnonzero(tree >= 0)
    nowhere = len(buses)
    place = np.full(len(parent), nowhere)
    place[buses] = np.arange(nowhere)
    bears = np.zeros(len(parent), dtype=bool)
    bears[parent[buses][parent[buses] != ROOT]] = True
    matrix = np.cumsum(bears) - 1
    branches: list[Branch] = []
    for depth in range(int(known.depth[buses].max(initial=0)), -1, -1):
        for inner in (False, True):
            of_level = buses[(known.depth[buses] == depth) & (bears[buses] == inner)]
            for block in pack(forest, of_level).blocks:
                for first in range(0, len(block.bus), AT_ONCE):
                    some = block.take(slice(first, first + AT_ONCE))
                    above = parent[some.bus]
                    branches.append(
                        Branch.of(
                            some,
                            tree=tree[some.bus],
                            place=place[some.bus],
                            above=np.where(above == ROOT, nowhere, place[above]),
                            inner=matrix[some.bus] if inner else None,
                            upper=matrix[above] if depth else None,
                        )
                    )
    return Grown(
        branches=tuple(branches),
        joints=Joints.of(nowhere, int(bears.sum()), forest.steps),
        trees=len(trees),
    )
