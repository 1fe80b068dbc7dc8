"""The brokers that the contracts are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.broker_process import PrivateBroker
from adapters.brokers import EmbeddedBroker, MosquittoBroker
from tests.contracts.redisserver import window_server
from vpp.model.ids import EnterpriseId

STEEL, OFFICE = EnterpriseId("steel"), EnterpriseId("office")


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> PrivateBroker:
    """A broker that is not started, for the enterprises `steel` and `office`."""
    if request.param == "embedded":
        return EmbeddedBroker([STEEL, OFFICE])
    require: Callable[[str, str], Path] = request.getfixturevalue("require_program")
    program = require("mosquitto", "apt-get install mosquitto (or: make system)")
    return MosquittoBroker([STEEL, OFFICE], program=program)


@pytest.fixture(params=["redis", "valkey"])
def redis_program(request: pytest.FixtureRequest) -> Path:
    """A server that a window may live in; skipped, with the cure, where it is not installed."""
    return window_server(request, str(request.param))
