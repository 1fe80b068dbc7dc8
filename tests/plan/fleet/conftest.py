"""Both kinds of kernels, for tests that hold of either."""

from __future__ import annotations

import pytest

from vpp.plan.fleet.alone import solve_alone
from vpp.plan.fleet.kernels import Alone
from vpp.plan.parts import ALONE


@pytest.fixture(scope="session", params=["numpy", "numba"])
def alone(request: pytest.FixtureRequest) -> Alone:
    if request.param == "numpy":
        return solve_alone
    pytest.importorskip("numba", reason="-> pip install vpp[fleet]")
    from vpp.plan.fleet.jitted.alone import CompiledAlone

    return CompiledAlone(ALONE)
