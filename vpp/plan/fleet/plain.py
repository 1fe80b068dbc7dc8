"""The kernels in numpy: what always works, without a compiler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.fleet.alone import End, solve_alone
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.packing import pack
from vpp.plan.lp import Deadline


@dataclass(frozen=True, slots=True)
class NumpyKernels:
    """Trees of one bus by themselves; those of several are left to whoever comes after."""

    name: str = "numpy"

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        """Write what was found into `point` and `duals`; iterations of each tree, 0 where it gave up."""
        trees = forest.trees()
        iterations = np.zeros(len(trees.roots), dtype=np.int64)
        lonely = np.flatnonzero(np.bincount(trees.of)[trees.of] == 1)
        packed = pack(forest, lonely)
        for block in packed.blocks:
            found = solve_alone(block, tolerance=tolerance, deadline=deadline)
            packed.unpack(block, found.x, found.y, point, duals)
            done = found.end == End.CONVERGED
            iterations[trees.of[block.bus]] = np.where(done, found.iterations, 0)
        return iterations
