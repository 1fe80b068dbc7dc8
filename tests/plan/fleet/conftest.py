"""Both kinds of kernels, for tests that hold of either."""

from __future__ import annotations

from functools import partial

import pytest

from vpp.plan.fleet.alone import solve_alone
from vpp.plan.fleet.growing import Branches
from vpp.plan.fleet.kernels import Alone
from vpp.plan.fleet.tied import MakeSweeps
from vpp.plan.parts import ALONE


@pytest.fixture(scope="session", params=["numpy", "numba"])
def alone(request: pytest.FixtureRequest) -> Alone:
    if request.param == "numpy":
        return solve_alone
    pytest.importorskip("numba", reason="-> pip install vpp[fleet]")
    from vpp.plan.fleet.jitted.alone import CompiledAlone

    return CompiledAlone(ALONE)


@pytest.fixture(scope="session", params=["numpy", "numba"])
def sweeps(request: pytest.FixtureRequest) -> MakeSweeps:
    if request.param == "numpy":
        return Branches.of
    pytest.importorskip("numba", reason="-> pip install vpp[fleet]")
    from vpp.plan.fleet.jitted.tied import CompiledBranches

    return partial(CompiledBranches.of, workers=ALONE)
