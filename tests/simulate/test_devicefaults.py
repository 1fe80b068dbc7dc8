"""Every kind of fault by hand on a battery of 100 kW and 200 kWh, and the plan that draws them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.resource import FixedLoad, Storage, ThermalZone
from vpp.model.time import Interval, isoformat, parse_utc
from vpp.simulate.devicefaults import (
    FAILURES,
    ClockSkew,
    Delay,
    Drift,
    Fallback,
    Fault,
    FaultPlan,
    Lie,
    MeterRegister,
    Noise,
    Panel,
    Partial,
    PowerLoss,
    Refuse,
    Register,
    Scale,
    Silence,
    SlowRamp,
    Spike,
    Stuck,
    What,
    require_sound,
)
from vpp.simulate.fleet import Fleet
from vpp.wire import AckMessage, CommandMessage, TelemetryMessage

START = datetime(2025, 12, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BESS, HALL, METER = ResourceId("bess"), ResourceId("hall"), ResourceId("meter-gate-1")
OWNED: dict[str, Any] = {
    "enterprise_id": EnterpriseId("acme"),
    "connection_point_id": ConnectionPointId("gate-1"),
}
TinyPark = Callable[..., Any]


@pytest.fixture
def opened(tiny: TinyPark) -> Callable[..., Fleet]:
    """A battery and a hall that draws 30 kW, with what goes wrong with them."""

    def build(
        *whats: What, of: ResourceId = BESS, plan: FaultPlan | None = None, **when: Any
    ) -> Fleet:
        faults = tuple(Fault(whats=(w,), devices=frozenset({of}), **when) for w in whats)
        built = tiny(
            resources=[
                Storage(
                    resource_id=BESS,
                    capacity_kwh=200,
                    max_charge_kw=100,
                    max_discharge_kw=100,
                    charge_efficiency=1.0,
                    discharge_efficiency=1.0,
                    **OWNED,
                ),
                FixedLoad(resource_id=HALL, max_draw_kw=100, **OWNED),
            ],
            level_kw={"hall": -30.0},
        )
        plan = plan or FaultPlan(faults=faults, seed=1)
        return Fleet(built.park, built.scenario, opened_at=START, faults=plan)

    return build


def lived(fleet: Fleet, minutes: int = 1) -> dict[str, TelemetryMessage]:
    """What each device tells after so many minutes."""
    fleet.step(fleet.now + minutes * MINUTE)
    return {
        m.device_id: msgspec.json.decode(m.payload, type=TelemetryMessage) for m in fleet.messages()
    }


def told(fleet: Fleet, kw: float, seq: int = 1, ttl: timedelta = 15 * MINUTE) -> AckMessage | None:
    command = CommandMessage(
        f"c-{seq}", seq, isoformat(fleet.now), isoformat(fleet.now + ttl), power_kw=kw
    )
    return fleet.receive(BESS, command, fleet.now)


def accepted(answer: AckMessage | None) -> bool:
    return answer is not None and answer.accepted


def test_a_delay_comes_before_the_first_change_of_power(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Delay(seconds=120))
    assert accepted(told(fleet, 50))
    assert [lived(fleet)["bess"].power_kw for _ in range(3)] == [0, 0, 50]
    assert fleet.fired == {"delay": 1}


def test_a_slow_ramp_moves_by_its_share_of_the_size_a_minute(opened: Callable[..., Fleet]) -> None:
    fleet = opened(SlowRamp(share_per_min=0.1))
    lived(fleet)
    told(fleet, 50)
    assert [lived(fleet)["bess"].power_kw for _ in range(6)] == pytest.approx(
        [5, 15, 25, 35, 45, 50]  # the mean of each minute
    )


def test_a_lie_acknowledges_and_does_nothing(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Lie())
    assert accepted(told(fleet, 50, seq=7))
    heard = lived(fleet)["bess"]
    assert (heard.power_kw, heard.setpoint_seq) == (0, 7)
    assert fleet.fired == {"lie": 1}


def test_a_refusal_gives_its_reason(opened: Callable[..., Fleet]) -> None:
    answer = told(opened(Refuse(reason="maintenance")), 50)
    assert answer is not None
    assert (answer.accepted, answer.reason) == (False, "maintenance")


def test_partial_delivery_is_told_as_it_is(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Partial(share=0.5))
    assert accepted(told(fleet, 80))
    assert lived(fleet)["bess"].power_kw == 40


def test_the_devices_own_watchdog_ends_a_set_point_that_is_not_refreshed(
    opened: Callable[..., Fleet],
) -> None:
    fleet = opened(Fallback(after_s=120))
    told(fleet, 50)
    assert [lived(fleet)["bess"].power_kw for _ in range(3)] == [50, 50, 0]
    told(fleet, 50, seq=2)
    lived(fleet)
    told(fleet, 50, seq=3)
    assert [lived(fleet)["bess"].power_kw for _ in range(3)] == [50, 50, 0]


@pytest.mark.parametrize("refuses", [True, False])
def test_a_panel_holds_the_device_whatever_is_asked(
    opened: Callable[..., Fleet], refuses: bool
) -> None:
    fleet = opened(
        Panel(share=-0.2, refuses=refuses), begins_after=2 * MINUTE, ends_after=4 * MINUTE
    )
    told(fleet, 50)
    assert [lived(fleet)["bess"].power_kw for _ in range(3)] == [50, 50, -20]
    assert accepted(told(fleet, 60, seq=2)) is not refuses
    assert [lived(fleet)["bess"].power_kw for _ in range(2)] == [-20, 50]


def test_power_loss_forgets_everything_and_begins_to_count_anew(
    opened: Callable[..., Fleet],
) -> None:
    fleet = opened(PowerLoss(), begins_after=2 * MINUTE, ends_after=4 * MINUTE)
    told(fleet, 60)
    assert lived(fleet, 2)["bess"].seq == 1
    stored_kwh = fleet.snapshot().devices["bess"]["stored_kwh"]
    assert "bess" not in lived(fleet)
    assert told(fleet, 60, seq=5) is None
    assert fleet.received_seq(BESS) == 5
    assert "bess" not in lived(fleet)
    assert fleet.snapshot().devices["bess"]["stored_kwh"] == stored_kwh
    heard = lived(fleet)["bess"]
    assert (heard.power_kw, heard.seq) == (0, 1)


def test_a_silent_device_runs_on_and_hears_nothing(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Silence(), begins_after=MINUTE)
    told(fleet, 60)
    lived(fleet)
    heard = lived(fleet)
    assert "bess" not in heard
    assert heard["meter-gate-1"].power_kw == pytest.approx(30)
    assert told(fleet, 0, seq=2) is None
    assert lived(fleet)["meter-gate-1"].power_kw == pytest.approx(30)


def test_stuck_values_come_under_new_times_or_as_one_message_again_and_again(
    opened: Callable[..., Fleet],
) -> None:
    fresh, old = opened(Stuck()), opened(Stuck(fresh=False))
    for fleet in (fresh, old):
        lived(fleet)
        told(fleet, 50)
    assert [(m.power_kw, m.seq) for m in (lived(fresh)["bess"] for _ in range(2))] == [
        (0, 2),
        (0, 3),
    ]
    first, second = lived(old)["bess"], lived(old)["bess"]
    assert first == second
    assert (first.seq, first.ts) == (1, isoformat(START + MINUTE))


def test_noise_scatters_what_is_told_and_not_what_is_done(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Noise(sd_share=0.02))
    told(fleet, 50, ttl=timedelta(hours=10))
    values = [lived(fleet)["bess"].power_kw for _ in range(60)]
    mean = sum(values) / 60
    assert mean == pytest.approx(50, abs=1)  # sd 2 kW, of the mean of 60 a quarter
    assert 1 < (sum((v - mean) ** 2 for v in values) / 59) ** 0.5 < 3
    assert fleet.snapshot().devices["bess"]["_energy_kwh"] == pytest.approx(50)


def test_drift_grows_with_time(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Drift(share_per_h=0.1))
    assert lived(fleet, 60)["bess"].power_kw == pytest.approx(10)
    assert lived(fleet, 60)["bess"].power_kw == pytest.approx(20)


def test_about_one_message_in_a_hundred_is_a_spike(opened: Callable[..., Fleet]) -> None:
    fleet = opened(Spike(chance=0.01, share=0.8))
    values = [lived(fleet)["bess"].power_kw for _ in range(1000)]
    assert {abs(v) for v in values} == {0, 80}
    assert 3 <= fleet.fired["spike"] <= 20
    assert fleet.fired["spike"] == sum(v != 0 for v in values)


@pytest.mark.parametrize(("factor", "power_kw"), [(1000.0, -30_000.0), (-1.0, 30.0)])
def test_units_and_signs_can_be_mistaken(
    opened: Callable[..., Fleet], factor: float, power_kw: float
) -> None:
    fleet = opened(Scale(factor=factor), of=HALL)
    heard = lived(fleet, 60)["hall"]
    assert [heard.power_kw, heard.energy_kwh] == pytest.approx([power_kw, power_kw])
    meter = lived(opened(Scale(factor=factor), of=METER), 60)["meter-gate-1"]
    drawn_wh = 30_000_000 if factor > 0 else 0
    assert (meter.import_wh, meter.export_wh) == (drawn_wh, 30_000 - drawn_wh if factor < 0 else 0)


@pytest.mark.parametrize("seconds", [10.0, -600.0, 365 * 86400.0])
def test_a_clock_can_be_wrong(opened: Callable[..., Fleet], seconds: float) -> None:
    heard = lived(opened(ClockSkew(seconds=seconds)))["bess"]
    assert parse_utc(heard.ts, where="ts") == START + MINUTE + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("how", "shown_wh"),
    [
        (Register.ROLL_OVER, [60_000, 90_000, 20_000]),  # 120 kWh in two digits
        (Register.RESET, [60_000, 29_500, 59_500]),  # from the first message on, at 60.5 kWh
        (Register.SWAP, [60_000, 529_500, 559_500]),
    ],
)
def test_a_register_can_roll_over_be_reset_or_be_another(
    opened: Callable[..., Fleet], how: Register, shown_wh: list[int]
) -> None:
    what = MeterRegister(how=how, digits=2, other_kwh=500.0)
    fleet = opened(what, of=METER, begins_after=121 * MINUTE)
    shown = [lived(fleet, 120)["meter-gate-1"].import_wh]
    lived(fleet)
    shown += [lived(fleet, minutes)["meter-gate-1"].import_wh for minutes in (59, 60)]
    assert shown == shown_wh
    true = fleet.metered_wh([ConnectionPointId("gate-1")], Interval(START, START + 4 * HOUR))
    assert true == -120_000


# ---------------------------------------------------------------- the plan

MANY = [ResourceId(f"bess-{n}") for n in range(200)]


@given(share=st.floats(0.02, 0.9), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_about_the_share_asked_for_fails_at_any_moment(share: float, seed: int) -> None:
    plan = FaultPlan.at_random(share, seed=seed)
    moments = [START + n * 7 * MINUTE for n in range(20)]
    failing = [bool(plan.active(name, now, START)) for name in MANY for now in moments]
    # Pieces of 10 minutes over 133: about 14 draws for each of 200 devices.
    assert sum(failing) / len(failing) == pytest.approx(share, abs=5 * (share / 2800) ** 0.5)


def test_devices_do_not_all_fail_at_the_same_beat() -> None:
    plan = FaultPlan.at_random(0.5, seed=3)
    later = START + timedelta(hours=2)
    begun = {a.since for name in MANY for a in plan.active(name, later, START)}
    assert len(begun) > 50
    assert all(later - timedelta(minutes=10) < since <= later for since in begun)


def test_a_plan_depends_on_its_seed_and_on_nothing_that_was_asked_before() -> None:
    moments = [START + n * MINUTE for n in range(100)]
    one, other = FaultPlan.at_random(0.2, seed=1), FaultPlan.at_random(0.2, seed=1)
    forward = [one.active(MANY[0], now, START) for now in moments]
    assert [other.active(MANY[0], now, START) for now in reversed(moments)] == forward[::-1]
    third = FaultPlan.at_random(0.2, seed=2)
    assert [third.active(MANY[0], now, START) for now in moments] != forward


@pytest.mark.parametrize(
    "whats",
    [
        pytest.param(
            (
                *(Delay(), SlowRamp(), Noise(), Drift(), Spike(chance=0.2), Partial(), Fallback()),
                *(MeterRegister(), ClockSkew(seconds=-5.0)),
            ),
            id="all at once",
        ),
        pytest.param((Stuck(),), id="stuck"),
        pytest.param((Stuck(fresh=False),), id="stuck at one message"),
        pytest.param((Lie(),), id="lie"),
        pytest.param((PowerLoss(),), id="power that is back"),
        pytest.param(FAILURES, id="at random"),
    ],
)
def test_a_restored_fleet_goes_on_byte_by_byte_as_the_first_did(
    opened: Callable[..., Fleet], whats: tuple[What, ...]
) -> None:
    def begun() -> Fleet:
        if whats is FAILURES:
            return opened(plan=FaultPlan.at_random(0.7, seed=3, lasts=4 * MINUTE))
        back = 4 * MINUTE if whats == (PowerLoss(),) else None
        return opened(*whats, ends_after=back)

    first = begun()
    told(first, 50)
    for _ in range(7):
        lived(first)
    second = begun()
    second.restore(first.snapshot())

    def goes_on(fleet: Fleet) -> list[bytes]:
        out = []
        for minute in range(30):
            if minute == 3:
                told(fleet, -40, seq=2)
            fleet.step(fleet.now + MINUTE)
            out += [m.payload for m in fleet.messages()]
        return out

    assert goes_on(first) == goes_on(second)
    assert first.fired == second.fired
    assert first.snapshot() == second.snapshot()


def test_every_way_to_fail_at_random_comes_about(opened: Callable[..., Fleet]) -> None:
    fleet = opened(plan=FaultPlan.at_random(0.6, seed=5, lasts=3 * MINUTE))
    for number in range(1, 240):
        told(fleet, 20.0 + number % 2, seq=number)
        lived(fleet)
    assert set(fleet.fired) == {"silence", "power_loss", "lie", "refuse", "partial", "stuck"}
    assert len(FAILURES) == 6
    assert min(fleet.fired.values()) >= 5


def test_a_fault_of_nobody_and_numbers_that_cannot_be_meant_are_refused(
    opened: Callable[..., Fleet],
) -> None:
    with pytest.raises(DataError, match=r"no devices.*ghost"):
        opened(Lie(), of=ResourceId("ghost"))
    with pytest.raises(DataError, match="share 2"):
        Fault(whats=(Lie(),), share=2)
    with pytest.raises(DataError, match="seconds is -1"):
        require_sound(Delay(seconds=-1))
    require_sound(ClockSkew(seconds=-1))


def test_a_zone_warms_up_while_its_machine_has_no_power(tiny: TinyPark) -> None:
    cold = ThermalZone(
        resource_id=ResourceId("cold"),
        heating=False,
        max_draw_kw=100,
        cop=2,
        resistance_degc_per_kw=0.5,
        capacity_kwh_per_degc=100,
        min_degc=-24,
        max_degc=-18,
        target_degc=-20,
        discomfort_cost_per_degc_h=1.0,
        outdoor_series_id="outdoor",
        **OWNED,
    )
    built = tiny(resources=[cold])
    plan = FaultPlan(faults=(Fault(whats=(PowerLoss(),)),))
    fleet = Fleet(built.park, built.scenario, opened_at=START, faults=plan)
    fleet.step(START + 10 * HOUR)
    held = Fleet(built.park, built.scenario, opened_at=START)
    held.step(START + 10 * HOUR)
    warm, kept = (f.snapshot().devices["cold"]["temperature_degc"] for f in (fleet, held))
    assert warm > -15
    assert kept == pytest.approx(-20, abs=0.1)
