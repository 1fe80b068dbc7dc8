"""Machines of the simulated world, by hand: hours from 08:00 UTC on a Wednesday."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, NodeId, ResourceId
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EnergyWindow,
    FlexibleLoad,
    Generator,
    OnOffRules,
    Port,
)
from vpp.model.time import isoformat
from vpp.simulate.device import BaseDevice, Course
from vpp.simulate.machines import SimulatedCurtailable, SimulatedFlexible, SimulatedMachine
from vpp.wire import CommandMessage

EIGHT = datetime(2025, 12, 3, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONE = ZoneInfo("UTC")
OWNED: dict[str, Any] = {
    "resource_id": ResourceId("it"),
    "enterprise_id": EnterpriseId("a"),
    "connection_point_id": ConnectionPointId("cp"),
}


def told(device: BaseDevice, powers_kw: list[float | None]) -> list[float]:
    """Power in each hour, where the device is told (None: nothing) at the start of each."""
    done = []
    for number, kw in enumerate(powers_kw):
        now = EIGHT + number * HOUR
        if kw is None:
            device.release()
        else:
            command = CommandMessage(
                command_id=f"c{number}",
                seq=number + 1,
                issued_at=isoformat(now),
                expires_at=isoformat(now + HOUR),
                power_kw=kw,
            )
            answer = device.receive(command, now)
            assert answer is None or answer.accepted
        device.step(now + HOUR, HOUR)
        done.append(round(device.telemetry().power_kw, 6))
    return done


def test_a_load_is_turned_down_as_far_as_it_can_be_and_counts_its_calls() -> None:
    load = CurtailableLoad(
        **OWNED, max_draw_kw=200, curtailable_share=0.4, curtailment_cost_per_kwh=0.1
    )
    base = Profile(Horizon(EIGHT, HOUR, 6), np.full(6, -100.0))
    device = SimulatedCurtailable(load, Course(base, "base"), ZONE, EIGHT)

    done = told(device, [None, -80.0, 0.0, -150.0, None, -90.0])

    assert done == [-100, -80, -60, -100, -100, -90]
    assert device.telemetry().calls_today == 2
    assert device.telemetry().phase == "called"


def test_a_call_of_a_load_goes_on_while_it_turns_nothing_down() -> None:
    load = CurtailableLoad(
        **OWNED, max_draw_kw=200, curtailable_share=0.4, curtailment_cost_per_kwh=0.1
    )
    base = Profile(Horizon(EIGHT, HOUR, 6), np.full(6, -100.0))
    device = SimulatedCurtailable(load, Course(base, "base"), ZONE, EIGHT)

    assert told(device, [-80.0, -120.0, -80.0]) == [-80, -100, -80]
    assert (device.telemetry().phase, device.telemetry().calls_today) == ("called", 1)


def test_a_cap_of_the_whole_size_is_no_call() -> None:
    load = CurtailableLoad(
        **OWNED, max_draw_kw=200, curtailable_share=0.4, curtailment_cost_per_kwh=0.1
    )
    base = Profile(Horizon(EIGHT, HOUR, 6), np.full(6, -100.0))
    device = SimulatedCurtailable(load, Course(base, "base"), ZONE, EIGHT)

    assert told(device, [-80.0, -200.0]) == [-80, -100]
    assert (device.telemetry().phase, device.telemetry().calls_today) == ("running", 1)


@pytest.mark.parametrize(
    ("said", "powers_kw", "expected_kw", "done_kwh"),
    [
        pytest.param({}, [None] * 4, [-30, -30, 0, 0], 60.0, id="its default, in its window"),
        pytest.param({}, [-80.0, -80.0, -80.0, 0.0], [-80, -20, 0, 0], 100.0, id="done is done"),
        pytest.param(
            {"on_off": OnOffRules(min_power_kw=40)},
            [-30.0, -50.0, -60.0, 0.0],
            [0, -50, 0, 0],
            50.0,
            id="below its least power it is off",
        ),
    ],
)
def test_work_is_done_in_its_window_alone(
    said: dict[str, Any], powers_kw: list[float | None], expected_kw: list[float], done_kwh: float
) -> None:
    load = FlexibleLoad(
        **OWNED,
        max_draw_kw=80,
        default_draw_kw=30,
        windows=(EnergyWindow(start=time(8), end=time(10), least_units=0, most_units=100),),
        **said,
    )
    device = SimulatedFlexible(load, ZONE, EIGHT)

    assert told(device, powers_kw) == expected_kw
    assert device.telemetry().done_kwh == pytest.approx(done_kwh)


def test_an_engine_runs_when_it_is_told_and_counts_starts_and_hours() -> None:
    engine = Generator(
        **OWNED, max_feed_kw=500, weather_driven=False, on_off=OnOffRules(min_power_kw=200)
    )
    device = SimulatedMachine(engine, ZONE, EIGHT)

    assert told(device, [None, 300.0, 900.0, 100.0, 250.0]) == [0, 300, 500, 0, 250]
    said = device.telemetry()
    assert (said.calls_today, said.hours_on_today, said.phase) == (2, 3.0, "running")


def test_what_must_run_runs_whatever_is_said() -> None:
    well = Generator(**OWNED, max_feed_kw=500, weather_driven=False, must_run_share=0.2)

    assert told(SimulatedMachine(well, ZONE, EIGHT), [None, 0.0, 300.0]) == [100, 100, 300]


def test_a_machine_that_stands_ready_draws_for_it_and_is_off() -> None:
    boiler = Converter(
        **OWNED,
        ports=(Port(node_id=None), Port(node_id=NodeId("heat"))),
        points_kw=((-100.0, 95.0), (-40.0, 38.0)),
        standby_kw=5.0,
        on_off=OnOffRules(),
    )
    device = SimulatedMachine(boiler, ZONE, EIGHT)

    assert told(device, [None, -60.0, 0.0]) == [-5, -60, -5]
    said = device.telemetry()
    assert (said.calls_today, said.hours_on_today, said.phase) == (1, 1.0, "waiting")


def test_a_machine_without_electricity_runs_at_what_its_first_port_is_told() -> None:
    hall = NodeId("hall")
    pump = Converter(
        **OWNED, ports=(Port(node_id=hall), Port(node_id=hall)), points_kw=((-100.0, 60.0),)
    )

    assert told(SimulatedMachine(pump, ZONE, EIGHT), [None, -70.0, -200.0]) == [0, -70, -100]
