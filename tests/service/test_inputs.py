"""What forecasts learn from measured means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from adapters.memory_journal import MemoryJournal
from vpp.clock import SimulatedClock
from vpp.model.command import Setpoint
from vpp.model.measurement import Reading
from vpp.model.resource import CurtailableLoad, FixedLoad
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.ports import Journal
from vpp.service.inputs import observe
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

NOON = datetime.fromisoformat("2025-12-02T12:00:00+00:00")
QUARTER_HOUR = Interval(NOON, NOON + QUARTER)


@pytest.fixture
def shop(park_file: ParkFile) -> CurtailableLoad:
    """The demo's first load, that could be turned down."""
    load = next(r for r in park_file.park.resources if isinstance(r, FixedLoad))
    return CurtailableLoad(
        resource_id=load.resource_id,
        enterprise_id=load.enterprise_id,
        connection_point_id=load.connection_point_id,
        max_draw_kw=load.max_draw_kw,
        curtailable_share=0.5,
        curtailment_cost_per_kwh=0.1,
    )


@pytest.fixture
def plant(
    park_file: ParkFile, shop: CurtailableLoad, tmp_path: Path, a_link: Callable[[], object]
) -> Plant:
    resources = tuple(
        shop if r.resource_id == shop.resource_id else r for r in park_file.park.resources
    )
    link = a_link()
    journal: Journal = MemoryJournal()
    return build_plant(
        replace(park_file, park=replace(park_file.park, resources=resources)),
        clock=SimulatedClock(NOON),
        data=tmp_path,
        journal=journal,
        source=link,  # type: ignore[arg-type]
        sink=link,  # type: ignore[arg-type]
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )


def hear(plant: Plant, shop: CurtailableLoad, phase: str, since: datetime, calls: int) -> None:
    """It draws 80 kW from the quarter-hour's start to its end, and says so each five minutes."""
    for seq in range(4):
        at = NOON + seq * timedelta(minutes=5)
        said = TelemetryMessage(
            ts=isoformat(at),
            seq=seq,
            power_kw=-80.0,
            phase=phase,  # type: ignore[arg-type]
            phase_since=isoformat(min(since, at)),
            calls_today=calls,
        )
        where = topic(shop.enterprise_id, shop.connection_point_id, shop.resource_id, "telemetry")
        taken = plant.intake.accept(where, msgspec.json.encode(said), at)
        assert isinstance(taken, Reading), taken
        plant.means.add(taken)


@pytest.mark.parametrize(
    ("phase", "since_min", "calls", "capped_min", "learnt"),
    [
        pytest.param("running", -60, 1, None, True, id="by itself"),
        pytest.param("running", 5, 0, None, True, id="its day began"),
        pytest.param("called", -60, 1, None, False, id="called"),
        pytest.param("running", 5, 1, None, False, id="its call ended"),
        pytest.param("running", -60, 1, 2, False, id="capped at the beginning"),
        pytest.param("running", -60, 1, -2, True, id="capped before"),
    ],
)
def test_what_a_load_draws_while_it_is_turned_down_is_not_learnt(
    plant: Plant,
    shop: CurtailableLoad,
    phase: str,
    since_min: int,
    calls: int,
    capped_min: int | None,
    learnt: bool,
) -> None:
    hear(plant, shop, phase, NOON + timedelta(minutes=since_min), calls)
    if capped_min is not None:
        command = Setpoint(
            command_id="c",
            seq=1,
            resource_id=shop.resource_id,
            enterprise_id=shop.enterprise_id,
            issued_at=NOON - timedelta(minutes=5),
            expires_at=NOON + timedelta(minutes=capped_min),
            power_kw=-80.0,
            serves="plan-1",
        )
        plant.setpoints = {shop.resource_id: command}

    seen = observe(plant, QUARTER_HOUR)

    name = f"power.{shop.resource_id}"
    assert seen.get(name) == (pytest.approx(-80) if learnt else None)
