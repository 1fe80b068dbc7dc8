from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import (
    EVERY_DAY,
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.time import Interval, isoformat
from vpp.simulate.fleet import Fleet, Snapshot
from vpp.simulate.spec import CarVisit
from vpp.simulate.trajectory import Trajectory
from vpp.wire import CommandMessage, TelemetryMessage

START = datetime(2025, 12, 1, tzinfo=UTC)
MIDNIGHT = datetime(2025, 12, 1, 23, tzinfo=UTC)
"""00:00 of 2 December in Stockholm."""
GATE = ConnectionPointId("gate-1")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TinyPark = Callable[..., Any]


def one_of_each(number: int = 1) -> list[Resource]:
    owned: dict[str, Any] = {
        "enterprise_id": EnterpriseId("acme"),
        "connection_point_id": GATE,
    }
    return [
        FixedLoad(resource_id=ResourceId(f"hall-{number}"), max_draw_kw=100, **owned),
        Storage(
            resource_id=ResourceId(f"bess-{number}"),
            capacity_kwh=200,
            max_charge_kw=100,
            max_discharge_kw=100,
            **owned,
        ),
        Generator(resource_id=ResourceId(f"pv-{number}"), max_feed_kw=50, **owned),
        InterruptibleLoad(
            resource_id=ResourceId(f"furnace-{number}"),
            rated_draw_kw=33,
            operating_from=time(6),
            operating_to=time(18),
            call_length=HOUR,
            callable_hours=(8,),
            call_cost_per_kwh=0.2,
            **owned,
        ),
        ShiftableRun(
            resource_id=ResourceId(f"bake-{number}"),
            profile_kw=(40, 20, 10),
            earliest_start=time(8),
            latest_end=time(16),
            default_start=time(10),
            run_days=EVERY_DAY,
            **owned,
        ),
        ThermalZone(
            resource_id=ResourceId(f"cold-{number}"),
            heating=False,
            max_draw_kw=100,
            cop=2,
            resistance_degc_per_kw=0.5,
            capacity_kwh_per_degc=100,
            min_degc=-24,
            max_degc=-18,
            target_degc=-20,
            discomfort_cost_per_degc_h=1,
            outdoor_series_id="outdoor",
            **owned,
        ),
        EvFleet(
            resource_id=ResourceId(f"cars-{number}"),
            charger_kw=11,
            max_draw_kw=60,
            unserved_cost_per_kwh=1,
            **owned,
        ),
    ]


def visits(number: int, count: int = 6) -> dict[ResourceId, tuple[CarVisit, ...]]:
    return {
        ResourceId(f"cars-{number}"): tuple(
            CarVisit(
                session_id=f"s{number}-{day}-{car}",
                arrives_at=START + timedelta(days=day, hours=7, minutes=7 * car),
                departs_at=START + timedelta(days=day, hours=9 + car),
                wanted_kwh=25.0 + car,
            )
            for day in range(3)
            for car in range(count)
        )
    }


def a_park(tiny: TinyPark, copies: int = 1) -> Any:
    numbers = range(1, copies + 1)
    return tiny(
        resources=[resource for number in numbers for resource in one_of_each(number)],
        level_kw={f"hall-{n}": -77.7 for n in numbers} | {f"pv-{n}": 33.3 for n in numbers},
        visits={key: value for n in numbers for key, value in visits(n).items()},
    )


def a_fleet(tiny: TinyPark, **changes: Any) -> Fleet:
    built = a_park(tiny)
    return Fleet(built.park, built.scenario, opened_at=START, **changes)


def command(seq: int, power_kw: float, at: datetime, *, lives: timedelta) -> CommandMessage:
    return CommandMessage(f"c-{seq}", seq, isoformat(at), isoformat(at + lives), power_kw)


def test_the_main_meters_registers_are_the_resources_energy(tiny: TinyPark) -> None:
    fleet = a_fleet(tiny)
    fleet.receive(ResourceId("bess-1"), command(1, 99.9, START, lives=4 * HOUR), START)
    fleet.step(START + timedelta(days=2))

    messages = {
        m.device_id: msgspec.json.decode(m.payload, type=TelemetryMessage) for m in fleet.messages()
    }
    meter = messages.pop(ResourceId("meter-gate-1"))
    assert meter.import_wh is not None
    assert meter.export_wh is not None
    energy_wh = 1000 * sum(message.energy_kwh or 0.0 for message in messages.values())
    assert meter.export_wh > 0
    assert meter.export_wh - meter.import_wh == pytest.approx(energy_wh, abs=1)


def test_a_trajectory_is_what_the_registers_say(tiny: TinyPark) -> None:
    fleet = a_fleet(tiny)
    fleet.step(START + timedelta(days=1))
    span = Interval(START, START + timedelta(days=1))

    lived = fleet.trajectory(span)

    assert lived.power_kw.shape == (7, 96)
    assert lived.power_kw[0] == pytest.approx([-77.7] * 96)
    net_wh = lived.export_wh[GATE] - lived.import_wh[GATE]
    assert net_wh == pytest.approx(lived.power_kw.sum(axis=0) * 250, abs=2)
    assert fleet.metered_wh([GATE], span) == net_wh.sum()
    assert lived.import_wh[GATE].dtype == np.int64
    assert lived.opening_stored_kwh == {"bess-1": 100}
    assert lived.temperature_degc[ResourceId("cold-1")][-1] == pytest.approx(-20)
    assert [d.session_id for d in lived.departures] == [f"s1-0-{car}" for car in range(6)]
    assert {d.unserved_kwh > 0 for d in lived.departures} == {False, True}


def test_a_trajectory_survives_the_pipe(tiny: TinyPark) -> None:
    fleet = a_fleet(tiny)
    fleet.step(START + 6 * HOUR)
    lived = fleet.trajectory(Interval(START, START + 6 * HOUR))

    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(lived.plain()))
    arrived = Trajectory.from_plain(sent)

    assert arrived.plain() == lived.plain()
    assert arrived.horizon == lived.horizon


def test_doing_nothing_starts_from_the_state_at_midnight_and_takes_no_orders(
    tiny: TinyPark,
) -> None:
    fleet = a_fleet(tiny)
    fleet.receive(ResourceId("bess-1"), command(1, -50, START, lives=HOUR), START)
    fleet.step(MIDNIGHT - 15 * MINUTE)
    late = command(2, 50, fleet.now, lives=4 * HOUR)
    fleet.receive(ResourceId("bess-1"), late, fleet.now)
    fleet.step(MIDNIGHT + 2 * HOUR)
    span = Interval(MIDNIGHT, MIDNIGHT + 2 * HOUR)

    ours, nothing = fleet.trajectory(span), fleet.rollout_defaults(span)

    bess = ResourceId("bess-1")
    assert nothing.opening_stored_kwh[bess] == ours.opening_stored_kwh[bess]
    assert nothing.opening_stored_kwh[bess] == pytest.approx(100 + 48 - 12.5 / 0.96)
    assert ours.power_kw[1] == pytest.approx([50] * 8)
    assert nothing.power_kw[1] == pytest.approx([0] * 8)
    assert np.delete(nothing.power_kw, 1, axis=0) == pytest.approx(
        np.delete(ours.power_kw, 1, axis=0)
    )


def test_a_fleet_restored_from_plain_data_goes_on_as_the_original(tiny: TinyPark) -> None:
    original, twin = a_fleet(tiny), a_fleet(tiny)
    original.receive(ResourceId("bess-1"), command(1, -50, START, lives=24 * HOUR), START)
    original.step(START + 9 * HOUR + MINUTE * 15)
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(original.snapshot().plain()))

    twin.restore(Snapshot(**plain))
    original.step(START + 12 * HOUR)
    twin.step(START + 12 * HOUR)

    assert [m.payload for m in twin.messages()] == [m.payload for m in original.messages()]


def test_steps_of_any_length_that_divides_a_quarter_hour_give_the_same_energy(
    tiny: TinyPark,
) -> None:
    fine, coarse = a_fleet(tiny, step=MINUTE), a_fleet(tiny, step=15 * MINUTE)
    span = Interval(START, START + 12 * HOUR)
    fine.step(span.end)
    coarse.step(span.end)

    difference = fine.trajectory(span).power_kw - coarse.trajectory(span).power_kw
    assert np.abs(difference.sum(axis=1)).max() < 1e-6


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda fleet: fleet.step(START + MINUTE / 2), id="half a step"),
        pytest.param(lambda fleet: fleet.step(START - MINUTE), id="backwards"),
        pytest.param(lambda fleet: fleet.step(START + timedelta(days=9)), id="beyond the series"),
        pytest.param(lambda fleet: fleet.snapshot_at(START + HOUR), id="a state nobody kept"),
        pytest.param(
            lambda fleet: fleet.trajectory(Interval(START, START + HOUR)), id="what has not been"
        ),
        pytest.param(lambda fleet: fleet.received_seq(ResourceId("ghost")), id="no such device"),
    ],
)
def test_what_cannot_be_is_refused(tiny: TinyPark, act: Callable[[Fleet], object]) -> None:
    with pytest.raises(DataError):
        act(a_fleet(tiny))


def test_a_scenario_that_lacks_a_series_is_refused_by_name(tiny: TinyPark) -> None:
    built = tiny(resources=one_of_each(), level_kw={"hall-1": -1})
    with pytest.raises(DataError, match="pv-1"):
        Fleet(built.park, built.scenario, opened_at=START)


def test_a_meter_takes_no_commands(tiny: TinyPark) -> None:
    answer = a_fleet(tiny).receive(
        ResourceId("meter-gate-1"), command(1, 0, START, lives=HOUR), START
    )
    assert answer is not None
    assert not answer.accepted


def test_a_fleet_may_open_between_quarter_hours_and_records_from_the_next(tiny: TinyPark) -> None:
    built = a_park(tiny)
    fleet = Fleet(built.park, built.scenario, opened_at=START + 14 * MINUTE)
    fleet.step(START + HOUR)

    assert fleet.recorded == Interval(START + 15 * MINUTE, START + HOUR)
    assert fleet.trajectory(fleet.recorded).power_kw[0] == pytest.approx([-77.7] * 3)


def test_the_lockstep_may_begin_with_a_step_of_its_own(tiny: TinyPark) -> None:
    built = a_park(tiny)
    fleet = Fleet(built.park, built.scenario, opened_at=START - MINUTE + HOUR)
    fleet.step(START + HOUR)
    assert fleet.recorded is None
    assert [m.seq for m in fleet.messages()] == [1] * 8


def test_a_zone_without_an_opening_temperature_begins_at_its_target(tiny: TinyPark) -> None:
    built = a_park(tiny)
    fleet = Fleet(built.park, replace(built.scenario, opening_degc={}), opened_at=START)
    fleet.step(START + HOUR)
    assert fleet.trajectory(Interval(START, START + HOUR)).opening_degc == {"cold-1": -20}
