"""Has every kernel compiled, or loaded from numba's cache folder: by solving the smallest forest there is."""

from __future__ import annotations

import numpy as np

from vpp.errors import PlanError
from vpp.plan.fleet.bare import bare
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.forest import ROOT, Buses, Forest, Parts
from vpp.plan.fleet.jitted.alone import compiled
from vpp.plan.fleet.kernels import Structured
from vpp.plan.lp import Deadline
from vpp.plan.parts import Workers

TOLERANCE = 1e-6


def warm(workers: Workers) -> Structured:
    """The compiled kernels, ready to go.

    Raises:
        PlanError: They solve not even a load of 1 kW that is bought: what the cache holds is no good.
    """
    kernels = compiled(workers)
    forest = _smallest()
    point, duals = blank(forest)
    kernels.solve(forest, point, duals, tolerance=TOLERANCE, deadline=Deadline(lambda: 0.0, np.inf))
    if not np.allclose(point.part, 1.0, atol=1e-3):
        raise PlanError(
            "the compiled kernels solve their first programme wrongly",
            where="jitted",
            fix="Empty the folder that compiled kernels are kept in",
        )
    return kernels


def _smallest() -> Forest:
    """A bus alone and one below another, two steps: each buys 1 kW, the upper one for the lower."""
    ones, upper = np.ones((3, 2)), 2
    return bare(
        Buses(parent=np.array([ROOT, upper, ROOT]), load_kw=np.array([[1.0], [1.0], [0.0]]) * ones),
        Parts(
            bus=np.arange(3),
            here=ones,
            up=np.array([[0.0], [-1.0], [0.0]]) * ones,
            least=0 * ones,
            most=2 * ones,
            cost=ones,
        ),
    )
