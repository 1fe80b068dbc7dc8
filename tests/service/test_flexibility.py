"""How far a park could move, by hand: device by device, and within the limits of the tree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.service.smallpark import MARKET, PARK
from vpp.act.units import Units
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession, ParkState, Quality, Reading, RunPhase, Unknown
from vpp.model.park import Limits
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.planning.flexibility import Room, room

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


@pytest.mark.parametrize(
    ("name", "said", "hours", "expected"),
    [
        pytest.param(
            "battery", {"power_kw": 0.0, "soc": 0.5}, 1.0, Room(76.8, 100.0),
            id="80 kWh above its least charge, at 96 %, are 76.8 kW for an hour",
        ),
        pytest.param(
            "battery", {"power_kw": 0.0, "soc": 0.5}, 2.0, Room(38.4, 100 / 0.96 / 2),
            id="and half of that for two",
        ),
        pytest.param(
            "saw", {"power_kw": -60.0, "phase": RunPhase.RUNNING}, 1.0, Room(60.0, 0.0),
            id="a call may last an hour",
        ),
        pytest.param(
            "saw", {"power_kw": -60.0, "phase": RunPhase.RUNNING}, 1.25, Room(0.0, 0.0),
            id="and no longer",
        ),
        pytest.param(
            "kiln", {"power_kw": 0.0, "phase": RunPhase.WAITING}, 0.5, Room(0.0, 40.0),
            id="a run of half an hour can draw for half an hour",
        ),
        pytest.param(
            "kiln", {"power_kw": 0.0, "phase": RunPhase.WAITING}, 0.75, Room(0.0, 0.0),
            id="and not for longer",
        ),
        pytest.param(
            "hall", {"power_kw": -30.0, "temperature_degc": 20.0}, 4.0, Room(30.0, 20.0),
            id="a hall of 300 kWh a degree stands four hours without heat",
        ),
        pytest.param(
            "hall", {"power_kw": -30.0, "temperature_degc": 20.0}, 20.0, Room(10.0, 10.0),
            id="and two degrees either way are 10 kW for twenty",
        ),
    ],
)  # fmt: skip
def test_the_longer_it_is_held_the_less_there_is(
    tmp_path: Path, name: str, said: dict[str, Any], hours: float, expected: Room
) -> None:
    (tmp_path / "park.yaml").write_text(PARK, encoding="utf-8")
    (tmp_path / "market.yaml").write_text(MARKET, encoding="utf-8")
    file = _without_limits(load_park(tmp_path / "park.yaml"))
    names = frozenset({ResourceId(name)})

    found = room(
        file.park, Units.of(file.park), a_state(file, {name: said}), hours=hours, among=names
    )

    assert tuple(found) == pytest.approx(tuple(expected))


def test_cars_draw_later_what_they_do_not_draw_now_as_long_as_they_can(
    park_file: ParkFile,
) -> None:
    """30 kWh in four hours at 22 kW: after three and a half there is time for 11, so 19 must be drawn before."""
    park, car = _without_limits(park_file), replace(CAR, wanted_kwh=30 * 0.92)
    state = a_state(park, {"office-cars": {"power_kw": -22.0, "sessions": (car,)}})
    units = Units.of(park.park)

    assert room(park.park, units, state, hours=1.0).available_up_kw == pytest.approx(22.0)
    held = room(park.park, units, state, hours=3.5)
    assert held.available_up_kw == pytest.approx(22.0 - 19 / 3.5)
