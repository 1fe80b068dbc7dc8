"""A plant of the demo park, put together by the real wiring and fed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from adapters.memory_journal import MemoryJournal
from tests.trading import TRADING
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.model.command import Setpoint
from vpp.model.horizon import Horizon, Profile
from vpp.model.resource import FixedLoad, Storage
from vpp.model.schedule import Optimal, Schedule, Size
from vpp.model.time import QUARTER, isoformat
from vpp.ports import Message, Unsent
from vpp.service.api.face import build_api
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
"""11:00 in Stockholm, an hour before the day-ahead gate."""

Client = TestClient[Request, Application]
Serving = Callable[[Plant], AbstractAsyncContextManager[Client]]


class QuietLink:
    """A link that stands, brings nothing and keeps what it is given."""

    def __init__(self, *, connected: bool = True) -> None:
        self.connected = connected
        self.since = NOW
        self.sent: list[Setpoint] = []

    async def messages(self) -> AsyncIterator[Message]:
        nothing: tuple[Message, ...] = ()
        for message in nothing:
            yield message

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        self.sent.extend(setpoints)
        return ()


def a_schedule(file: ParkFile) -> Schedule:
    """37 hours: each fixed load draws 100 kW, each store feeds 500 kW at 18:00 UTC tomorrow."""
    park = file.park
    horizon = Horizon(NOW, QUARTER, 4 * 37)
    power = np.zeros((len(park.resources), horizon.steps))
    stores = [r for r in park.resources if isinstance(r, Storage)]
    evening = horizon.index(NOW.replace(day=3, hour=18))
    for row, resource in enumerate(park.resources):
        if isinstance(resource, FixedLoad):
            power[row] = -100.0
        elif isinstance(resource, Storage):
            power[row, evening : evening + 4] = min(500.0, resource.max_discharge_kw)
    net = power.sum(axis=0)
    at = {
        p.connection_point_id: power[
            [r.connection_point_id == p.connection_point_id for r in park.resources]
        ].sum(axis=0)
        for p in park.connection_points
    }
    return Schedule(
        plan_id="plan-1",
        issued_at=NOW,
        horizon=horizon,
        resource_ids=tuple(r.resource_id for r in park.resources),
        power_kw=power,
        stored_kwh={r.resource_id: np.full(horizon.steps, r.capacity_kwh / 2) for r in stores},
        temperature_degc={},
        connection_point_kw=at,
        net_kw=net,
        committed_kw=np.zeros(horizon.steps),
        trade_kw={p.product_id: net for p in file.products[:1]},
        stored_value_per_kwh={r.resource_id: np.full(horizon.steps, 0.05) for r in stores},
        net_value_per_kwh=np.full(horizon.steps, 0.05),
        starts={},
        unserved_kwh={},
        cost_by_cause={"energy": 1234.5678, "wear": 1.5},
        gap=1e-4,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=12),
        build_s=0.01,
        solve_s=0.2,
        strategy_version="s1",
        input_digest="i",
    )


def publish(plant: Plant) -> None:
    """Day-ahead prices of 40 EUR/MWh, from yesterday to the end of tomorrow."""
    horizon = Horizon(NOW - timedelta(days=1), QUARTER, 96 * 2 + 4 * 13)
    plant.series.put_profile(
        "price.day-ahead.se3",
        unit="EUR/MWh",
        profile=Profile.constant(horizon, 40.0),
        known_at=NOW - timedelta(hours=1),
        source="test",
    )


def hear(plant: Plant, at: datetime, *, seq: int = 1) -> None:
    """Every device is heard once."""
    park = plant.file.park
    meters = {p.meter_id for p in park.connection_points}
    stores = {r.resource_id for r in park.resources if isinstance(r, Storage)}
    for device, (owner, site) in park.device_owner.items():
        message = TelemetryMessage(
            ts=isoformat(at),
            seq=seq,
            power_kw=-100.0 if device in meters else 0.0,
            soc=0.5 if device in stores else None,
            import_wh=1000 * seq if device in meters else None,
            export_wh=0 if device in meters else None,
        )
        taken = plant.intake.accept(
            topic(owner, site, device, "telemetry"), msgspec.json.encode(message), at
        )
        assert not isinstance(taken, Exception), taken


@pytest.fixture(scope="session")
def park_file() -> ParkFile:
    return load_park(
        shipped_park("demo"), strategies=Path(TRADING)
    )  # wishes have tests of their own


@pytest.fixture(scope="session")
def a_link() -> Callable[[], QuietLink]:
    return QuietLink


@pytest.fixture
def empty_plant(park_file: ParkFile, tmp_path: Path) -> Plant:
    """Just started: nothing heard, no plan."""
    return a_plant(park_file, NOW, tmp_path)


def a_plant(file: ParkFile, now: datetime, data: Path) -> Plant:
    """A plant of any park, just started, its links quiet."""
    link = QuietLink()
    return build_plant(
        file,
        clock=SimulatedClock(now),
        data=data,
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """In full swing: every device heard, prices published, a fresh plan, NORMAL."""
    plant = empty_plant
    hear(plant, NOW - timedelta(seconds=30))
    publish(plant)
    plant.schedule = a_schedule(plant.file)
    plant.outcome = Optimal(schedule=plant.schedule)
    plant.reconciled = True
    plant.safe_state, plant.safe_state_reason = SafeState.NORMAL, ""
    return plant


@pytest.fixture
def serving() -> Serving:
    """`async with serving(plant) as client:` on a loopback port of its own."""

    @asynccontextmanager
    async def serve(plant: Plant) -> AsyncIterator[Client]:
        async with TestClient(TestServer(build_api(plant), host="127.0.0.1")) as client:
            yield client

    return serve
