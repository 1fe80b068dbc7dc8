from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import EvFleet, FixedLoad, Generator, Storage, ThermalZone
from vpp.model.time import QUARTER, isoformat
from vpp.simulate.device import Course, Device
from vpp.simulate.devices import (
    SimulatedEvFleet,
    SimulatedGenerator,
    SimulatedLoad,
    SimulatedStorage,
    SimulatedZone,
)
from vpp.simulate.spec import CarVisit
from vpp.wire import CommandMessage

NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

BATTERY = Storage(
    resource_id=ResourceId("bess"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
    capacity_kwh=100,
    max_charge_kw=60,
    max_discharge_kw=120,
    charge_efficiency=0.8,
    discharge_efficiency=0.5,
)
PV = Generator(
    resource_id=ResourceId("pv"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
    max_feed_kw=50,
)
COLD_STORE = ThermalZone(
    resource_id=ResourceId("cold"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
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
)
CARS = EvFleet(
    resource_id=ResourceId("cars"),
    enterprise_id=EnterpriseId("acme"),
    connection_point_id=ConnectionPointId("gate-1"),
    charger_kw=10,
    max_draw_kw=30,
    unserved_cost_per_kwh=1,
)


def constant(value: float) -> Course:
    return Course(Profile.constant(Horizon(NOON - HOUR, QUARTER, 200), value), "series")


def command(
    seq: int, power_kw: float, *, at: datetime = NOON, lives: timedelta = 3 * MINUTE
) -> CommandMessage:
    return CommandMessage(
        command_id=f"c-{seq}",
        seq=seq,
        issued_at=isoformat(at),
        expires_at=isoformat(at + lives),
        power_kw=power_kw,
    )


def powers(
    device: Device, steps: int, *, dt: timedelta = MINUTE, start: datetime = NOON
) -> list[float]:
    """Mean power of each of `steps` steps."""
    out = []
    for step in range(steps):
        device.step(start + (step + 1) * dt, dt)
        out.append(device.telemetry().power_kw)
    return out


def battery(soc: float = 0.5, **changes: Any) -> SimulatedStorage:
    return SimulatedStorage(replace(BATTERY, **changes), soc, ZoneInfo("Europe/Stockholm"), NOON)


@pytest.mark.parametrize(
    ("soc", "wish_kw", "does_kw"),
    [
        pytest.param(0.9, -60, -15, id="nearly full, a quarter of its charging is left"),
        pytest.param(0.1, 120, 24, id="nearly empty, a fifth of its discharging"),
        pytest.param(0.5, 120, 120, id="between them all of it"),
    ],
)
def test_a_store_tapers_near_its_ends(soc: float, wish_kw: float, does_kw: float) -> None:
    device = battery(soc, charge_taper_soc=0.6, discharge_taper_soc=0.5)
    device.receive(command(1, wish_kw), NOON)

    assert powers(device, 1) == [pytest.approx(does_kw)]


def test_a_store_whose_cycles_are_limited_counts_what_is_taken_out_on_a_local_day() -> None:
    """NOON is noon UTC: the local day ends 11 hours later. 9 kW an hour take out 10 kWh."""
    device = battery(max_cycles_per_day=1.0, discharge_efficiency=0.9)
    device.receive(command(1, 9, lives=20 * HOUR), NOON)

    counted = []
    for begins, hours in ((0, 1), (1, 10), (11, 1)):
        powers(device, hours, dt=HOUR, start=NOON + begins * HOUR)
        counted.append(device.telemetry().discharged_today_kwh)

    assert counted == [pytest.approx(10), pytest.approx(50), pytest.approx(0)]
    assert battery().telemetry().discharged_today_kwh is None


# ---------------------------------------------------------------- set-points


def test_a_setpoint_that_expires_gives_way_to_the_default() -> None:
    device = battery()
    device.receive(command(1, 30), NOON)

    assert powers(device, 5) == [30, 30, 30, 0, 0]


def test_a_refresh_prolongs_a_setpoint_and_is_not_acknowledged() -> None:
    device = battery()
    first = device.receive(command(1, 30), NOON)
    device.step(NOON + MINUTE, MINUTE)
    second = device.receive(command(2, 30, at=NOON + MINUTE), NOON + MINUTE)

    assert first is not None
    assert first.accepted
    assert second is None
    assert powers(device, 4, start=NOON + MINUTE) == [30, 30, 30, 0]
    assert device.telemetry().setpoint_seq == 2


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(command(5, 10), "stale", id="the same number again"),
        pytest.param(command(4, 10), "stale", id="a lower number"),
        pytest.param(command(6, float("nan")), "finite", id="not a number"),
        pytest.param(command(6, float("inf")), "finite", id="infinite"),
        pytest.param(command(6, 10, at=NOON - HOUR), "expired", id="expired on arrival"),
        pytest.param(
            CommandMessage("c", 6, "2025-12-01T12:00:00Z", "soon", 10), "ISO", id="no time"
        ),
        pytest.param(
            CommandMessage("c", 6, "2025-12-01T12:00:00Z", "2025-12-01T13:00:00", 10),
            "zone",
            id="a time without a zone",
        ),
    ],
)
def test_a_bad_command_is_refused_and_changes_nothing(message: CommandMessage, reason: str) -> None:
    device = battery()
    device.receive(command(5, 30), NOON)

    answer = device.receive(message, NOON)

    assert answer is not None
    assert not answer.accepted
    assert reason in (answer.reason or "")
    assert powers(device, 1) == [30]


def test_a_response_delay_divides_the_step_in_which_it_ends() -> None:
    device = battery(response_delay_s=90)
    device.receive(command(1, 40), NOON)

    assert powers(device, 4) == pytest.approx([0, 20, 40, 0])


def test_frequent_changes_do_not_starve_behind_the_delay() -> None:
    device = battery(response_delay_s=90)
    seen = []
    for step in range(4):
        device.receive(
            command(step + 1, 10.0 * (step + 1), at=NOON + step * MINUTE), NOON + step * MINUTE
        )
        seen += powers(device, 1, start=NOON + step * MINUTE)

    assert seen == pytest.approx([0, 5, 15, 25])


def test_a_ramp_moves_linearly_and_the_mean_is_exact() -> None:
    device = battery(ramp_kw_per_min=20)
    powers(device, 1)
    device.receive(command(1, 50, at=NOON + MINUTE, lives=HOUR), NOON + MINUTE)

    # 0→20, 20→40, 40→50 in half a minute and then held
    assert powers(device, 4, start=NOON + MINUTE) == pytest.approx([10, 30, 47.5, 50])


def test_a_released_device_returns_to_its_default() -> None:
    device = battery()
    device.receive(command(1, 30), NOON)
    device.release()

    assert powers(device, 1) == [0]


# ---------------------------------------------------------------- kinds


def test_a_fixed_load_follows_its_series_and_takes_no_setpoints() -> None:
    load = FixedLoad(
        resource_id=ResourceId("hall"),
        enterprise_id=EnterpriseId("acme"),
        connection_point_id=ConnectionPointId("gate-1"),
        max_draw_kw=100,
    )
    device = SimulatedLoad(load, constant(-80), NOON)

    answer = device.receive(command(1, 0), NOON)

    assert answer is not None
    assert not answer.accepted
    assert device.received_seq == 1
    assert powers(device, 2) == [-80, -80]
    assert device.energy_kwh == pytest.approx(-80 / 30)


def test_a_series_with_a_hole_is_refused() -> None:
    with pytest.raises(DataError, match="without a value"):
        constant(float("nan"))


def test_beyond_its_series_a_device_says_so() -> None:
    with pytest.raises(DataError, match="no value at"):
        constant(1).at(NOON + timedelta(days=9))


@pytest.mark.parametrize(
    ("soc", "wish_kw", "expected"),
    [
        pytest.param(0.5, 30, [25, 0, 0], id="50 kWh in the store are 25 kWh at the terminals"),
        pytest.param(0.5, -500, [-60, -2.5, 0], id="clipped to its size, tapers when full"),
        pytest.param(0.5, 500, [25, 0, 0], id="stops when empty"),
        pytest.param(1.0, -10, [0, 0, 0], id="full takes nothing"),
    ],
)
def test_a_battery_never_leaves_its_range(
    soc: float, wish_kw: float, expected: Sequence[float]
) -> None:
    device = battery(soc)
    device.receive(command(1, wish_kw, lives=12 * HOUR), NOON)

    assert powers(device, 3, dt=HOUR) == pytest.approx(expected)


@given(
    soc=st.floats(0, 1),
    wishes=st.lists(st.floats(-200, 200), min_size=1, max_size=20),
    ramp=st.sampled_from([5.0, 100.0, float("inf")]),
)
def test_stored_energy_is_the_models_formula_and_the_register_is_the_integral(
    soc: float, wishes: list[float], ramp: float
) -> None:
    device = battery(soc, ramp_kw_per_min=ramp)
    energy_kwh, stored_kwh, throughput_kwh = 0.0, device.stored_kwh, 0.0
    for step, wish in enumerate(wishes):
        now = NOON + step * MINUTE
        device.receive(command(step + 1, wish, at=now), now)
        [power_kw] = powers(device, 1, start=now)
        energy_kwh += power_kw / 60
        throughput_kwh += abs(power_kw) / 60
        stored_kwh = BATTERY.stored_kwh_after(stored_kwh, power_kw, 1 / 60)

    assert device.energy_kwh == pytest.approx(energy_kwh)
    assert device.stored_kwh == pytest.approx(stored_kwh, abs=1e-9)
    assert device.throughput_kwh == pytest.approx(throughput_kwh)
    assert 0 <= device.stored_kwh <= 100
    assert 0 <= (device.telemetry().soc or 0) <= 1


@pytest.mark.parametrize(
    ("wish_kw", "fed_kw"),
    [
        pytest.param(None, 40, id="by default all that the source gives"),
        pytest.param(15, 15, id="a set-point is the most it may feed"),
        pytest.param(90, 40, id="it cannot feed more than there is"),
        pytest.param(-5, 0, id="it never draws"),
    ],
)
def test_a_generator_feeds_at_most_its_setpoint(wish_kw: float | None, fed_kw: float) -> None:
    device = SimulatedGenerator(PV, constant(40), NOON)
    if wish_kw is not None:
        device.receive(command(1, wish_kw), NOON)

    assert powers(device, 1) == [fed_kw]
    assert device.telemetry().available_kw == 40


def zone(opening_degc: float = -20, outdoor_degc: float = 10) -> SimulatedZone:
    return SimulatedZone(COLD_STORE, constant(outdoor_degc), opening_degc, NOON)


def test_the_thermostat_holds_the_target_exactly() -> None:
    device = zone()

    # 30 degC across 0.5 degC/kW leak 60 kW of heat, which COP 2 moves with 30 kW.
    assert powers(device, 5) == pytest.approx([-30] * 5)
    assert device.temperature_degc == pytest.approx(-20)


def test_the_thermostat_runs_flat_out_until_the_target_is_reached() -> None:
    device = zone(opening_degc=-19)
    assert powers(device, 1) == [-100]


@given(wishes=st.lists(st.floats(-100, 0), min_size=1, max_size=30))
def test_temperature_is_the_models_formula(wishes: list[float]) -> None:
    device, expected = zone(), -20.0
    for step, wish in enumerate(wishes):
        now = NOON + step * MINUTE
        device.receive(command(step + 1, wish, at=now), now)
        [power_kw] = powers(device, 1, start=now)
        expected = COLD_STORE.temperature_after(expected, power_kw, 10, 1 / 60)

    assert device.temperature_degc == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wish_kw", "bound_degc"),
    [
        pytest.param(0, -17, id="too warm: it cools although told to rest"),
        pytest.param(-100, -25, id="too cold: it rests although told to cool"),
    ],
)
def test_the_zones_own_protection_overrides_setpoints(wish_kw: float, bound_degc: float) -> None:
    device = zone()
    device.receive(command(1, wish_kw, lives=24 * HOUR), NOON)
    powers(device, 24 * 60)

    assert device.temperature_degc == pytest.approx(bound_degc)
    assert device.discomfort_degc_h > 1


# ---------------------------------------------------------------- cars


def visit(name: str, wanted_kwh: float, *, stays_h: float, arrives: datetime = NOON) -> CarVisit:
    return CarVisit(
        session_id=name,
        arrives_at=arrives,
        departs_at=arrives + timedelta(hours=stays_h),
        wanted_kwh=wanted_kwh,
    )


def cars(*visits: CarVisit, **changes: Any) -> SimulatedEvFleet:
    return SimulatedEvFleet(replace(CARS, **changes), visits, NOON)


def wanted(device: SimulatedEvFleet) -> dict[str, Any]:
    sessions = device.telemetry().sessions or ()
    return {session.session_id: pytest.approx(session.wanted_kwh) for session in sessions}


def test_by_default_every_car_charges_at_full_power_on_arrival() -> None:
    device = cars(visit("a", 5, stays_h=8), visit("b", 20, stays_h=8))

    assert powers(device, 2, dt=HOUR) == pytest.approx([-15, -10])
    assert powers(device, 1, dt=HOUR, start=NOON + 2 * HOUR) == pytest.approx([0])


def test_what_a_setpoint_leaves_goes_to_the_earliest_deadline() -> None:
    device = cars(visit("late", 10, stays_h=9), visit("soon", 10, stays_h=2))
    device.receive(command(1, -10, lives=HOUR), NOON)

    assert powers(device, 60) == pytest.approx([-10] * 60)
    assert wanted(device) == {"late": 10, "soon": 0}


def test_a_car_that_needs_more_comes_before_one_with_the_same_deadline() -> None:
    device = cars(visit("a", 5, stays_h=2), visit("b", 15, stays_h=2))
    device.receive(command(1, -10, lives=HOUR), NOON)
    powers(device, 60)

    left = {session.session_id: session.wanted_kwh for session in device.telemetry().sessions or ()}
    assert left["b"] < 6
    assert sum(left.values()) == pytest.approx(10)


def test_the_car_park_has_a_limit_of_its_own() -> None:
    device = cars(*(visit(name, 50, stays_h=8) for name in "abcde"))
    assert powers(device, 1) == pytest.approx([-30])


def test_a_car_charges_for_just_the_part_of_a_step_in_which_it_is_there() -> None:
    device = cars(visit("a", 50, stays_h=0.25, arrives=NOON + timedelta(minutes=30)))

    assert powers(device, 1, dt=HOUR) == pytest.approx([-2.5])
    assert device.departed == [["a", NOON + timedelta(minutes=45), pytest.approx(47.5)]]
    assert device.telemetry().sessions == ()


def test_losses_count_between_charger_and_car() -> None:
    device = cars(visit("a", 4, stays_h=8), charge_efficiency=0.8)
    powers(device, 60)

    assert device.energy_kwh == pytest.approx(-5)
    assert wanted(device) == {"a": 0}


def test_a_car_that_arrives_now_is_reported_now() -> None:
    device = cars(visit("a", 5, stays_h=8, arrives=NOON + MINUTE))
    powers(device, 1)
    assert wanted(device) == {"a": 5}


# ---------------------------------------------------------------- state


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(battery, id="battery"),
        pytest.param(lambda: SimulatedGenerator(PV, constant(40), NOON), id="generator"),
        pytest.param(zone, id="zone"),
        pytest.param(lambda: cars(visit("a", 5, stays_h=8)), id="cars"),
    ],
)
def test_a_restored_device_goes_on_as_the_original(build: Callable[[], Device]) -> None:
    original, twin = build(), build()
    original.receive(command(1, -9, lives=HOUR), NOON)
    powers(original, 3)
    twin.restore(original.snapshot())

    assert powers(twin, 9, start=NOON + 3 * MINUTE) == powers(original, 9, start=NOON + 3 * MINUTE)
    assert twin.telemetry() == original.telemetry()


def test_sequence_numbers_rise_by_one() -> None:
    device = battery()
    seqs = [device.telemetry().seq for _ in range(4)]
    assert [b - a for a, b in pairwise(seqs)] == [1, 1, 1]
