"""Devices that speak S2: what they tell, what they are told, and what becomes of those that err."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.s2_device import FillLevel
from tests.adapters.managers import BATTERY, ROOF, Manager
from tests.adapters.s2talk import (
    FRBC,
    NONE,
    PEBC,
    ROOF_DEVICE,
    a_setpoint,
    bench,
    run,
)
from tests.contracts.linkbench import until
from tests.contracts.s2bench import TOKEN, an_s2_device, s2_served

# ---------------------------------------------------------------- what it tells


def test_what_is_drawn_in_watts_is_told_as_kw_fed_with_the_charge_as_a_share() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.manager.say({"message_type": "FRBC.StorageStatus", "present_fill_level": 55})
            await b.manager.measures(3000, at="2025-12-03T13:59:58+02:00")
            told = await b.next_telemetry()
            assert (told.power_kw, told.soc, told.ts) == (-3.0, 0.55, "2025-12-03T11:59:58Z")
            assert told.setpoint_seq is None

    run(check())


def test_three_phases_are_added_and_a_sum_of_them_is_not_added_again() -> None:
    async def check() -> None:
        async with bench() as b:
            for number, values in enumerate(
                (
                    {"ELECTRIC.POWER.L1": 1000, "ELECTRIC.POWER.L2": 500, "ELECTRIC.POWER.L3": 500},
                    {"ELECTRIC.POWER.3_PHASE_SYMMETRIC": 6000, "ELECTRIC.POWER.L1": 2000},
                    {"HEAT.THERMAL_POWER": 9000, "ELECTRIC.POWER.L1": 3000},
                )
            ):
                shown = [{"commodity_quantity": q, "value": w} for q, w in values.items()]
                at = f"2025-12-03T11:59:0{number}Z"
                await b.manager.say(
                    {
                        "message_type": "PowerMeasurement",
                        "measurement_timestamp": at,
                        "values": shown,
                    }
                )
            while len(b.telemetry) < 3:
                await b.next_telemetry()
            assert [one.power_kw for one in b.telemetry] == [-2.0, -6.0, -3.0]

    run(check())


def test_a_measurement_that_comes_again_is_told_once_and_an_older_one_as_late() -> None:
    async def check() -> None:
        async with bench() as b:
            for at in ("10", "10", "05", "11"):
                await b.manager.measures(1000, at=f"2025-12-03T11:59:{at}Z")
            while len(b.telemetry) < 3:
                await b.next_telemetry()
            assert [one.seq for one in b.telemetry] == [1, 0, 2]

    run(check())


def test_a_time_that_is_still_to_come_makes_nothing_late_that_follows() -> None:
    async def check() -> None:
        async with bench() as b:
            for at in ("2199-01-01T00:00:00Z", "2025-12-03T11:59:10Z", "2025-12-03T11:59:11Z"):
                await b.manager.measures(1000, at=at)
            while len(b.telemetry) < 3:
                await b.next_telemetry()
            assert [one.seq for one in b.telemetry] == [0, 1, 2]

    run(check())


def test_a_target_of_a_charging_point_is_a_session_and_no_target_none() -> None:
    car = replace(an_s2_device(), charge_efficiency=0.9)

    async def check() -> None:
        async with bench(car) as b:
            await b.manager.measures(0, at="2025-12-03T11:59:01Z")
            assert (await b.next_telemetry()).sessions == ()
            await b.manager.say({"message_type": "FRBC.StorageStatus", "present_fill_level": 20})
            element = {
                "duration": 3_600_000,
                "fill_level_range": {"start_of_range": 0, "end_of_range": 100},
            }
            target = element | {"fill_level_range": {"start_of_range": 80, "end_of_range": 100}}
            await b.manager.say(
                {
                    "message_type": "FRBC.FillLevelTargetProfile",
                    "start_time": "2025-12-03T12:00:00Z",
                    "elements": [element, target],
                }
            )
            await b.manager.measures(0, at="2025-12-03T11:59:02Z")
            sessions = (await b.next_telemetry()).sessions
            assert sessions is not None
            (session,) = sessions
            assert session.departs_at == "2025-12-03T14:00:00Z"
            # 10 kW drawn raise it by 90 % in an hour; 60 % more are 6.67 kWh drawn, nine tenths of it in the car.
            assert session.wanted_kwh == pytest.approx(60 / 90 * 10 * 0.9)

    run(check())


def test_a_heat_buffer_tells_its_temperature() -> None:
    buffer = replace(an_s2_device(), fill_level=FillLevel(field="temperature_degc", scale=1.0))

    async def check() -> None:
        async with bench(buffer) as b:
            await b.manager.say({"message_type": "FRBC.StorageStatus", "present_fill_level": 61.5})
            await b.manager.measures(0)
            told = await b.next_telemetry()
            assert (told.temperature_degc, told.soc) == (61.5, None)

    run(check())


# ---------------------------------------------------------------- what it is told


def test_a_fill_rate_is_told_as_a_mode_and_its_factor_and_its_end_is_left_with_the_device() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])  # charging with half of what it can
            now, later = await b.instructions(2)
            assert (now["operation_mode"], now["operation_mode_factor"]) == ("run", 0.75)
            assert now["execution_time"] == "2025-12-03T12:00:00Z"
            ended = later["operation_mode"], later["operation_mode_factor"]
            assert ended == ("run", 0.5)  # which is 0 kW
            assert later["execution_time"] == "2025-12-03T12:15:00Z"
            answer = await b.answer()
            assert (answer.command_id, answer.accepted) == ("c-7", True)
            await b.manager.measures(5000)
            assert (await b.next_telemetry()).setpoint_seq == 7

    run(check())


def test_a_refresh_of_the_value_in_force_moves_its_end_and_says_nothing_else() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.instructions(2)
            await b.answer()
            await b.link.send([a_setpoint(-5.0, 8, lives=timedelta(minutes=30))])
            _, end, new_end = await b.instructions(3)
            assert new_end["execution_time"] == "2025-12-03T12:30:00Z"
            await b.manager.until(lambda: bool(b.manager.of("RevokeObject")))
            (revoked,) = b.manager.of("RevokeObject")
            assert (revoked["object_type"], revoked["object_id"]) == ("FRBC.Instruction", end["id"])
            await b.manager.measures(5000)
            assert (await b.next_telemetry()).setpoint_seq == 8
            assert len(b.answers) == 1

    run(check())


def test_an_envelope_ends_by_itself_and_curtails_what_is_fed() -> None:
    async def check() -> None:
        async with bench(ROOF_DEVICE) as b:
            await b.link.send([a_setpoint(4.0)])
            (told,) = await b.instructions(1)
            assert told["power_constraints_id"] == "roof"
            (envelope,) = told["power_envelopes"]
            (element,) = envelope["power_envelope_elements"]
            assert element == {"duration": 900_000, "upper_limit": 0.0, "lower_limit": -4000.0}
            assert (await b.answer()).accepted
            await b.manager.measures(-4000, at="2025-12-03T11:59:01Z")
            assert (await b.next_telemetry()).setpoint_seq is None  # accepted is not begun
            await b.manager.progresses(told["id"], "STARTED")
            await b.manager.measures(-4000, at="2025-12-03T11:59:02Z")
            assert (await b.next_telemetry()).setpoint_seq == 7

    run(check())


def test_more_than_a_roof_can_feed_is_no_limit_and_less_than_it_may_be_held_to_is_refused() -> None:
    stiff = ROOF | {
        "allowed_limit_ranges": [
            ROOF["allowed_limit_ranges"][0]
            | {"range_boundary": {"start_of_range": -10_000, "end_of_range": -6000}},
            ROOF["allowed_limit_ranges"][1],
        ]
    }

    async def check() -> None:
        async with bench(ROOF_DEVICE, Manager(tells=stiff, control=PEBC)) as b:
            await b.link.send([a_setpoint(12.0)])
            (told,) = await b.instructions(1)
            element = told["power_envelopes"][0]["power_envelope_elements"][0]
            assert element["lower_limit"] == -10_000
            await b.link.send([a_setpoint(2.0, 8)])
            refused = await b.answer(1)
            assert not refused.accepted
            assert "no limit that it allows: -10000 to -6000" in str(refused.reason)

    run(check())


def test_a_power_that_no_mode_holds_is_refused_and_told_why() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-12.0)])
            answer = await b.answer()
            assert not answer.accepted
            assert "no operation mode holds -12 kW now: 0 to 0 kW; -10 to 10 kW" in str(
                answer.reason
            )
            assert "no operation mode" in str(b.link.fault)

    run(check())


def test_a_mode_that_a_timer_blocks_is_not_asked_for() -> None:
    blocked: dict[str, Any] = json.loads(json.dumps(BATTERY))
    blocked["actuators"][0]["transitions"][0]["blocking_timers"] = ["rest"]

    async def check() -> None:
        async with bench(manager=Manager(tells=blocked)) as b:
            await b.manager.runs("idle", 0)
            await b.manager.say(
                {
                    "message_type": "FRBC.TimerStatus",
                    "timer_id": "rest",
                    "actuator_id": "inverter",
                    "finished_at": "2025-12-03T12:05:00Z",
                }
            )
            await b.link.send([a_setpoint(-5.0)])
            answer = await b.answer()
            assert "run is blocked until 12:05:00" in str(answer.reason)
            b.clock.now += timedelta(minutes=6)
            await b.link.send([a_setpoint(-5.0, 8)])
            told, _ = await b.instructions(2)
            assert told["operation_mode"] == "run"

    run(check())


def test_a_read_only_device_is_selected_by_nothing_and_told_nothing() -> None:
    async def check() -> None:
        async with bench(replace(an_s2_device(), read_only=True), selected=False) as b:
            await b.manager.until(
                lambda: len(b.manager.receptions) == 2
            )  # it has introduced itself
            (unsent,) = await b.link.send([a_setpoint(-5.0)])
            assert "is read-only" in unsent.reason
            await b.manager.measures(1000)
            await b.next_telemetry()
            said = {one["message_type"] for one in b.manager.heard}
            assert said == {"Handshake", "HandshakeResponse"}

    run(check())


# ---------------------------------------------------------------- how a command ends


def test_a_command_that_ends_unrenewed_is_let_go_and_the_device_tells_anew_what_it_can_do() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.instructions(2)
            b.clock.now += timedelta(minutes=16)
            await b.manager.measures(5000)  # wakes it
            await b.selections(FRBC, NONE, FRBC)
            await b.link.send([a_setpoint(3.0, 8, lives=timedelta(minutes=31))])
            told = await b.instructions(4)
            assert told[2]["operation_mode_factor"] == pytest.approx(0.35)

    run(check())


def test_when_the_service_stops_every_device_is_let_go_and_its_session_ended() -> None:
    manager = Manager(tells=BATTERY)

    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            await manager.connect(f"{url}bess", TOKEN)
            await manager.until(lambda: len(manager.of("SelectControlType")) == 1)
            await link.send([a_setpoint(-5.0)])
            await manager.until(lambda: len(manager.of("FRBC.Instruction")) == 2)
        assert manager.heard[-2]["control_type"] == NONE
        assert manager.heard[-1]["request"] == "TERMINATE"
        await manager.vanish()

    run(check())


@pytest.mark.parametrize("keeps_later", [True, False])
def test_only_a_device_that_keeps_instructions_is_left_an_end(keeps_later: bool) -> None:
    async def check() -> None:
        async with bench(replace(an_s2_device(), keeps_later=keeps_later)) as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.answer()
            await b.link.send([a_setpoint(-4.0, 8)])
            told = await b.instructions(4 if keeps_later else 2)
            later = [one for one in told if one["execution_time"] > "2025-12-03T12:00:00Z"]
            assert len(later) == (2 if keeps_later else 0)

    run(check())


def test_a_device_that_refuses_the_end_of_a_command_does_not_keep_the_command() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            _, end = await b.instructions(2)
            await b.answer()
            await b.manager.progresses(end["id"], "REJECTED")
            refused = await b.answer(1)
            assert "it keeps no end of it" in str(refused.reason)
            await b.selections(FRBC, NONE, FRBC)

    run(check())


# ---------------------------------------------------------------- who does not obey


def test_a_device_that_confirms_and_does_nothing_is_not_taken_at_its_word() -> None:
    async def check() -> None:
        async with bench(manager=Manager(tells=BATTERY, obeys=False)) as b:
            await b.link.send([a_setpoint(-5.0)])
            assert (await b.answer()).accepted
            await b.manager.runs("idle", 0)
            await b.manager.measures(0)
            assert (await b.next_telemetry()).setpoint_seq is None

    run(check())


def test_somebody_else_who_changes_the_mode_is_told_of_and_the_device_let_go() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.instructions(2)
            await b.answer()
            await b.manager.measures(5000)
            assert (await b.next_telemetry()).setpoint_seq == 7
            await b.manager.runs("idle", 0)
            answer = await b.answer(1)
            assert not answer.accepted
            assert "somebody else changed it: it runs idle at 0, not run at 0.75" in str(
                answer.reason
            )
            await b.selections(FRBC, NONE, FRBC)

    run(check())


@pytest.mark.parametrize(
    ("manager", "reason"),
    [
        (Manager(tells=BATTERY, progress="REJECTED"), "it says REJECTED"),
        (Manager(tells=BATTERY, progress="ABORTED"), "it says ABORTED"),
        (
            Manager(tells=BATTERY, answers={"FRBC.Instruction": "PERMANENT_ERROR"}),
            "it answers PERMANENT_ERROR",
        ),
        (
            Manager(tells=BATTERY, answers={"FRBC.Instruction": ""}),
            "it did not say in time that it has received a message",
        ),
    ],
)
def test_an_instruction_that_is_not_taken_is_told_as_refused_and_let_go(
    manager: Manager, reason: str
) -> None:
    fresh = replace(manager, heard=[], receptions=[], told=asyncio.Condition())

    async def check() -> None:
        async with bench(manager=fresh, answer_s=0.2) as b:
            await b.link.send([a_setpoint(-5.0)])
            answer = await b.answer()
            assert (answer.accepted, answer.reason) == (False, reason)
            await b.selections(FRBC, NONE, FRBC)

    run(check())


def test_new_constraints_make_the_limit_in_force_be_said_anew_and_its_answer_is_told_once() -> None:
    async def check() -> None:
        async with bench(ROOF_DEVICE) as b:
            await b.link.send([a_setpoint(4.0)])
            await b.instructions(1)
            await b.answer()
            await b.manager.say(ROOF | {"id": "roof-2"})
            _, again = await b.instructions(2)
            assert again["power_constraints_id"] == "roof-2"
            await b.manager.measures(-4000)
            await b.next_telemetry()
            assert len(b.answers) == 1

    run(check())


def test_a_device_that_withdraws_its_control_type_is_told_nothing_more() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.manager.introduce(["NOT_CONTROLABLE"])
            await until(lambda: b.link.fault == f"bess: it does not offer {FRBC}")
            await b.link.send([a_setpoint(-5.0)])
            assert "does not offer" in str((await b.answer()).reason)

    run(check())


def test_a_bug_in_steering_ends_the_connection_and_is_the_fault_of_the_device() -> None:
    async def check() -> None:
        async with bench() as b:
            nothing: Any = None
            odd = a_setpoint(-5.0)
            object.__setattr__(odd, "power_kw", nothing)
            await b.link.send([odd])
            await until(lambda: not b.link.connected)
            assert "a bug of ours: TypeError" in (b.link.fault or "")

    run(check())
