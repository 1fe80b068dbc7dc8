"""Row A3: whatever number a device sends, no set-point, no row on disk and no state is anything but finite."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_telemetry import SqliteTelemetry
from tests.service.conftest import NOW, a_schedule, hear, publish
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement
from vpp.model.resource import Storage
from vpp.model.time import isoformat
from vpp.sense.decode import RefusalReason
from vpp.service import cycle
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.run import take
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

TOKENS = ["NaN", "Infinity", "-Infinity", "null", "1e308", "-1e308", "1e309", "-1e309"]
TOKENS += ["5e-324", "-5e-324", "2.5e-310", "0", "-0.0", "1" + "0" * 30, '"NaN"', "[]", "true"]
FLOATS = ["power_kw", "soc", "energy_kwh", "temperature_degc", "available_kw", "hours_on_today"]
FLOATS += [
    "reactive_kvar",
    "done_kwh",
    "discharged_today_kwh",
    "import_wh",
    "export_wh",
    "calls_today",
]
FLOATS += ["setpoint_seq", "seq", "sessions.wanted_kwh", "sessions.lends_kwh"]
"""Every field of telemetry that holds a number."""


SEQ = iter(range(10, 10**9))
REASONS = list(RefusalReason)
MOST_KW = 10_000
"""No resource of this park is larger."""
Steered = tuple[Plant, Any, list[Measurement]]


def a_payload(base: dict[str, Any], spoilt: dict[str, str]) -> bytes:
    """A good message with the text of some numbers replaced: JSON that Python's own reader would take."""
    body: dict[str, Any] = dict(base)
    session = {"session_id": "car", "departs_at": "2025-12-02T18:00:00Z", "wanted_kwh": 5.0}
    for name in spoilt:
        if name.startswith("sessions."):
            session[name.removeprefix("sessions.")] = f"<{name}>"
            body["sessions"] = [session]
        else:
            body[name] = f"<{name}>"
    text = json.dumps(body)
    for name, token in spoilt.items():
        text = text.replace(f'"<{name}>"', token)
    return text.encode()


def test_every_field_that_holds_a_number_is_spoilt() -> None:
    numbers = {
        name
        for name, kind in TelemetryMessage.__annotations__.items()
        if "float" in kind or "int" in kind
    }
    assert numbers <= set(FLOATS)


@pytest.fixture(scope="module")
def steered(park_file: ParkFile, a_link: Any, tmp_path_factory: pytest.TempPathFactory) -> Steered:
    """A plant whose every device is heard, with a plan, a link that keeps, and all that it records."""
    link, recorded = a_link(), []

    def record(measurement: Measurement) -> bool:
        recorded.append(measurement)
        return True

    plant = build_plant(
        park_file,
        clock=SimulatedClock(NOW),
        data=tmp_path_factory.mktemp("nonfinite"),
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=record,
    )
    hear(plant, NOW - timedelta(seconds=30))
    publish(plant)
    plant.schedule, plant.reconciled = a_schedule(park_file), True
    plant.safe_state = SafeState.NORMAL
    return plant, link, recorded


def finite(value: object) -> bool:
    """No float in `value`, however deep, is NaN or infinite."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    return True


def send(plant: Plant, device: ResourceId, spoilt: dict[str, str]) -> None:
    """Let a device say something with some numbers spoilt; its time and its count are good."""
    park, seq = plant.file.park, next(SEQ)
    base: dict[str, Any] = {
        "ts": isoformat(NOW - timedelta(seconds=20) + timedelta(milliseconds=seq)),
        "seq": seq,
        "power_kw": -1.0,
    }
    if device in {point.meter_id for point in park.connection_points}:
        base |= {"import_wh": 1000 * seq, "export_wh": 0}
    elif isinstance(park.resource_by_id[device], Storage):
        base |= {"soc": 0.5}
    owner, site = park.device_owner[device]
    take(plant, topic(owner, site, device, "telemetry"), a_payload(base, spoilt))


def check(plant: Plant, link: Any) -> None:
    """Steer once; nothing that the cycle froze, sent or drew is anything but finite."""
    asyncio.run(cycle.act(plant, NOW))
    assert plant.state is not None
    for state in plant.state.resources:
        assert finite(msgspec.to_builtins(state)), state
    for setpoint in link.sent:
        assert isfinite(setpoint.power_kw)
        assert abs(setpoint.power_kw) <= MOST_KW
    assert finite(msgspec.to_builtins(plant.trace[-1]))
    link.sent.clear()


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_nothing_but_finite_numbers_reaches_state_and_set_points(
    steered: Steered, data: st.DataObject
) -> None:
    plant, link, recorded = steered
    devices = sorted(plant.file.park.device_owner)
    spoils = st.dictionaries(st.sampled_from(FLOATS), st.sampled_from(TOKENS), max_size=3)
    for _ in range(data.draw(st.integers(1, 4))):
        send(plant, data.draw(st.sampled_from(devices)), data.draw(spoils))

    check(plant, link)
    assert all(finite(msgspec.to_builtins(measurement)) for measurement in recorded)


def test_nothing_but_finite_numbers_is_on_disk(steered: Steered, tmp_path: Path) -> None:
    """Every field with every token, from a store, a generator and a main meter; SQLite itself keeps infinities."""
    plant, link, recorded = steered
    recorded.clear()
    meter = plant.file.park.connection_points[0].meter_id
    for device in ("steel-battery", "steel-pv", meter):
        for name in FLOATS:
            for token in TOKENS:
                send(plant, ResourceId(device), {name: token})
                send(plant, ResourceId(device), {})  # who sends nothing good is not read at all
    check(plant, link)

    async def keep() -> None:
        async with SqliteTelemetry(tmp_path / "telemetry.sqlite") as historian:
            assert all(map(historian.add, recorded))
            await historian.flush()
            assert historian.written == len(recorded)

    asyncio.run(keep())
    with closing(sqlite3.connect(tmp_path / "telemetry.sqlite")) as file:
        names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [row for (name,) in names for row in file.execute(f"SELECT * FROM {name}")]
    refused = plant.metrics.registry.get_sample_value
    assert (
        sum(refused("vpp_telemetry_refused_total", {"reason": r.value}) or 0 for r in REASONS) > 300
    )
    assert len(rows) > 100
    assert all(map(finite, rows))
