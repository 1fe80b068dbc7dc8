"""How far a park could move, by hand: device by device, and within the limits of the tree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vpp.act.units import Units
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession, ParkState, Quality, Reading, RunPhase, Unknown
from vpp.service.flexibility import Room, room
from vpp.service.parkfile import ParkFile

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)


def a_state(file: ParkFile, heard: dict[str, dict[str, Any]]) -> ParkState:
    """Only those named are heard."""
    states: list[Reading | Unknown] = []
    for resource in file.park.resources:
        said = heard.get(resource.resource_id)
        if said is None:
            states.append(Unknown(resource_id=resource.resource_id, reason="never heard"))
            continue
        states.append(
            Reading(
                resource_id=ResourceId(resource.resource_id),
                enterprise_id=resource.enterprise_id,
                measured_at=NOW,
                received_at=NOW,
                seq=1,
                quality=Quality.GOOD,
                **said,
            )
        )
    return ParkState(taken_at=NOW, resources=tuple(states))


CAR = EvSession(session_id="a", departs_at=NOW + timedelta(hours=4), wanted_kwh=30.0)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        pytest.param({}, Room(0.0, 0.0), id="nobody is heard"),
        pytest.param(
            {"office-battery": {"power_kw": 50.0, "soc": 0.5}},
            Room(450.0, 550.0),
            id="a battery of 500 kW that feeds 50 may feed 450 more, or turn to drawing 500",
        ),
        pytest.param(
            {"office-battery": {"power_kw": 0.0, "soc": 0.0}},
            Room(0.0, 500.0),
            id="an empty battery can only draw",
        ),
        pytest.param(
            {"office-pv": {"power_kw": 60.0, "available_kw": 100.0}},
            Room(40.0, 60.0),
            id="a capped roof: back to what the sun gives, or down to nothing",
        ),
        pytest.param(
            {"steel-shredder": {"power_kw": -300.0, "phase": RunPhase.RUNNING, "calls_today": 0}},
            Room(300.0, 0.0),
            id="a machine that may be called",
        ),
        pytest.param(
            {"steel-shredder": {"power_kw": -300.0, "phase": RunPhase.RUNNING, "calls_today": 9}},
            Room(0.0, 0.0),
            id="one that was called often enough",
        ),
        pytest.param(
            {"office-base": {"power_kw": -400.0}}, Room(0.0, 0.0), id="a fixed load does not move"
        ),
        pytest.param(
            {"office-cars": {"power_kw": -10.0, "sessions": (CAR,)}},
            Room(10.0, 12.0),
            id="one car at a charger of 22 kW",
        ),
        pytest.param(
            {"office-cars": {"power_kw": 0.0, "sessions": ()}}, Room(0.0, 0.0), id="no car"
        ),
    ],
)
def test_each_device_has_the_room_that_its_state_leaves(
    park_file: ParkFile, heard: dict[str, dict[str, Any]], expected: Room
) -> None:
    # Whoever is not heard counts as at its worst, so the tree is opened wide here.
    park = _without_limits(park_file)

    found = room(park.park, Units.of(park.park), a_state(park, heard))

    assert tuple(found) == pytest.approx(tuple(expected))


def test_a_full_connection_point_leaves_no_room_for_drawing(park_file: ParkFile) -> None:
    """Nobody else draws or feeds; the office's load draws all of its point but 100 kW."""
    limit_kw = park_file.park.point_by_id["office-house"].limits.import_kw  # type: ignore[index]
    everybody: dict[str, dict[str, Any]] = {
        name: {"power_kw": 0.0} for name in park_file.park.resource_by_id
    }
    everybody["office-base"] = {"power_kw": -(limit_kw - 100.0)}
    everybody["office-battery"] = {"power_kw": 0.0, "soc": 0.5}

    found = room(park_file.park, Units.of(park_file.park), a_state(park_file, everybody))

    assert found.available_down_kw == pytest.approx(100.0)
    assert found.available_up_kw == pytest.approx(500.0)


def _without_limits(file: ParkFile) -> ParkFile:
    from dataclasses import replace

    from vpp.model.park import Limits

    park = file.park
    return replace(
        file,
        park=replace(
            park,
            limits=Limits(),
            feeders=tuple(replace(f, limits=Limits()) for f in park.feeders),
            connection_points=tuple(replace(p, limits=Limits()) for p in park.connection_points),
        ),
    )
