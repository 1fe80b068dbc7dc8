"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.calmloop import CalmPolicy
from vpp.service.solving.kernels import prepared

asyncio.set_event_loop_policy(CalmPolicy())

LONGEST_FIRST = ("test_packaging", "scenarios/test_clock", "scenarios/", "chaos/", "benchmarks/")
"""Files of few and long tests: begun last, one of two workers would wait for the other's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first."""

    def rank(item: pytest.Item) -> int:
        ranks = [i for i, part in enumerate(LONGEST_FIRST) if part in item.path.as_posix()]
        return min(ranks, default=len(LONGEST_FIRST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def require_program() -> Callable[[str, str], Path]:
    """`require_program(name, cure)`: the path of a program that a test needs.

    Where the program is missing the test is skipped with the cure; with VPP_REQUIRE_ALL=1 it
    fails, so that no pipeline is green because nothing ran.
    """

    def require(name: str, cure: str) -> Path:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            reason = f"{name} is not installed -> {cure}"
            if os.environ.get("VPP_REQUIRE_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return Path(found)

    return require


@pytest.fixture
def mosquitto(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("mosquitto", "apt-get install mosquitto (or: make system)")


@pytest.fixture
def redis_server(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("redis-server", "apt-get install redis-server (or: make system)")


@pytest.fixture(scope="session")
def chromium(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("chromium", "apt-get install chromium (or: make system)")


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet solver's kernels, compiled once for all processes that test."""
    root = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        root = root.parent
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("NUMBA_CACHE_DIR", str(root / "kernels"))
        folder = prepared()
    if isinstance(folder, str):
        pytest.skip(folder)
    return folder
