"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


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


@pytest.fixture
def chromium(require_program: Callable[[str, str], Path]) -> Path:
    return require_program("chromium", "apt-get install chromium (or: make system)")
