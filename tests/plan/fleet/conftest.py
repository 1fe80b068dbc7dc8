"""Both kinds of kernels, for tests that hold of either."""

from __future__ import annotations

from functools import partial

import pytest

from vpp.plan.fleet.growing import Branches
from vpp.plan.fleet.kernels import NUMPY, Alone, Structured
from vpp.plan.fleet.tied import MakeSweeps
from vpp.plan.parts import ALONE
from vpp.service.solving.kernels import loaded


@pytest.fixture(scope="session", params=["numpy", "numba"])
def kernels(request: pytest.FixtureRequest) -> Structured:
    if request.param == "numpy":
        return NUMPY
    return loaded(request.getfixturevalue("compiled_folder"), ALONE)


@pytest.fixture(scope="session")
def alone(kernels: Structured) -> Alone:
    return kernels.alone


@pytest.fixture(scope="session")
def sweeps(kernels: Structured) -> MakeSweeps:
    if kernels is NUMPY:
        return Branches.of
    from vpp.plan.fleet.jitted.tied import CompiledBranches

    return partial(CompiledBranches.of, workers=ALONE)
