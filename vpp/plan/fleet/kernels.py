"""The structured solver whole: trees of one bus each by themselves, the others as trees.

What they find is written in the forest's order and units; nothing here says whether it is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp.plan.fleet.alone import End, Found, solve_alone
from vpp.plan.fleet.blocks import Block
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.growing import SOLVE_TIED
from vpp.plan.fleet.packing import pack
from vpp.plan.fleet.tied import Tied
from vpp.plan.lp import Deadline


class Alone(Protocol):
    """Solves every bus of a block by itself, in numpy or compiled."""

    def __call__(self, block: Block, *, tolerance: float, deadline: Deadline) -> Found:
        """What became of each bus."""
        ...


class Together(Protocol):
    """Solves trees of several buses, in numpy or compiled."""

    def __call__(
        self,
        forest: Forest,
        trees: Ints,
        point: Point,
        duals: Duals,
        *,
        tolerance: float,
        deadline: Deadline,
    ) -> Tied:
        """What became of each tree; writes into `point` and `duals`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Structured:
    """Kernels as `solve.solve_forest` takes them."""

    name: str
    alone: Alone
    tied: Together

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        """See `solve.Kernels`."""
        trees = forest.trees()
        sizes = np.bincount(trees.of, minlength=len(trees.roots))
        iterations = np.zeros(len(sizes), dtype=np.int64)
        packed = pack(forest, trees.roots[sizes == 1])
        for block in packed.blocks:
            found = self.alone(block, tolerance=tolerance, deadline=deadline)
            packed.unpack(block, found.x, found.y, point, duals)
            done = found.end == End.CONVERGED
            iterations[trees.of[block.bus]] = np.where(done, found.iterations, 0)
        several = np.flatnonzero(sizes > 1)
        if len(several):
            tied = self.tied(forest, several, point, duals, tolerance=tolerance, deadline=deadline)
            iterations[several] = np.where(tied.end == End.CONVERGED, tied.iterations, 0)
        return iterations


NUMPY = Structured(name="numpy", alone=solve_alone, tied=SOLVE_TIED)
