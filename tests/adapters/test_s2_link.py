"""Devices that speak S2: what they tell, what they are told, and what becomes of those that err."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from adapters.s2_device import FillLevel, S2Device
from adapters.s2_link import CONNECTIONS_PER_MINUTE, S2Link
from adapters.s2_session import ODD_IN_A_ROW
from adapters.s2_wire import Control
from tests.adapters.managers import BATTERY, ROOF, Manager
from tests.contracts.linkbench import BESS, NOON, until
from tests.contracts.s2bench import TOKEN, an_s2_device, s2_served
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.wire import AckMessage, TelemetryMessage

ROOF_DEVICE = replace(an_s2_device(Control.PEBC), limits="feed")


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, 30))


def a_setpoint(
    power_kw: float, seq: int = 7, *, lives: timedelta = timedelta(minutes=15)
) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        issued_at=NOON,
        expires_at=NOON + lives,
        power_kw=power_kw,
        serves="plan-1",
    )


@dataclass
class Clock:
    """What the link takes for now."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Bench:
    """A link, the device that has connected to it, and what came inward."""

    link: S2Link
    url: str
    manager: Manager
    clock: Clock
    telemetry: list[TelemetryMessage] = field(default_factory=list)
    answers: list[AckMessage] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        async for message in self.link.messages():
            if message.topic.endswith("/ack"):
                self.answers.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                found = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append(found)
            async with self.came:
                self.came.notify_all()

    async def next_telemetry(self) -> TelemetryMessage:
        seen = len(self.telemetry)
        async with self.came:
            await self.came.wait_for(lambda: len(self.telemetry) > seen)
        return self.telemetry[seen]

    async def answer(self, number: int = 0) -> AckMessage:
        async with self.came:
            await self.came.wait_for(lambda: len(self.answers) > number)
        return self.answers[number]

    async def instructions(self, count: int) -> list[dict[str, Any]]:
        """Until so many were heard, those for later among them."""

        def found() -> list[dict[str, Any]]:
            return self.manager.of("FRBC.Instruction") + self.manager.of("PEBC.Instruction")

        await self.manager.until(lambda: len(found()) >= count)
        return found()

    async def selections(self, *wanted: str) -> None:
        await self.manager.until(
            lambda: [m["control_type"] for m in self.manager.of("SelectControlType")] == [*wanted]
        )


FRBC, PEBC, NONE = Control.FRBC.value, Control.PEBC.value, Control.NONE.value


@asynccontextmanager
async def bench(
    device: S2Device | None = None,
    manager: Manager | None = None,
    *,
    selected: bool = True,
    answer_s: float = 5.0,
) -> AsyncIterator[Bench]:
    device = device or an_s2_device()
    clock = Clock()
    async with s2_served(device, now=clock, answer_s=answer_s) as (link, url):
        made = manager or Manager(
            tells=BATTERY if device.control is Control.FRBC else ROOF, control=device.control.value
        )
        found = Bench(link, url, made, clock)
        reading = asyncio.create_task(found.read())
        await made.connect(f"{url}bess", TOKEN)
        try:
            if selected:
                await found.selections(device.control.value)
            yield found
        finally:
            await made.vanish()
            reading.cancel()


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


# ---------------------------------------------------------------- strangers, and who errs


@pytest.mark.parametrize(
    ("name", "token"),
    [("bess", "of-pump"), ("pump", TOKEN), ("bess", ""), ("stranger", TOKEN), ("stranger", "")],
)
def test_a_wrong_token_and_a_device_that_nobody_knows_are_answered_alike(
    name: str, token: str
) -> None:
    async def check() -> None:
        other = replace(an_s2_device(), device_id=ResourceId("pump"), enterprise_id="office")
        async with s2_served(an_s2_device(), other) as (link, url):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await Manager(tells=BATTERY).connect(f"{url}{name}", token)
            assert refused.value.status == 401
            assert not link.connected

    run(check())


def test_a_device_that_boots_in_a_loop_is_sent_away_for_a_while_and_told_of() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            for _ in range(CONNECTIONS_PER_MINUTE):
                manager = Manager(tells=BATTERY)
                await manager.connect(f"{url}bess", TOKEN)
                await manager.vanish()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await Manager(tells=BATTERY).connect(f"{url}bess", TOKEN)
            assert refused.value.status == 429
            assert "again and again" in str(link.fault)

    run(check())


def test_a_second_connection_takes_the_place_of_the_first_and_goes_on() -> None:
    async def check() -> None:
        async with bench() as b:
            other = Manager(tells=BATTERY)
            await other.connect(f"{b.url}bess", TOKEN)
            await b.manager.until(lambda: b.manager.closed)
            await other.until(lambda: len(other.of("SelectControlType")) == 1)
            assert (b.link.connected, b.link.fault) == (True, None)
            await b.link.send([a_setpoint(-5.0)])
            await other.until(lambda: len(other.of("FRBC.Instruction")) == 2)
            assert not b.manager.of("FRBC.Instruction")
            await other.vanish()

    run(check())


def test_a_version_that_nobody_here_speaks_ends_the_connection_with_the_reason() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            manager = Manager(tells=BATTERY)
            await manager.connect(f"{url}bess", TOKEN)
            await manager.say(
                {"message_type": "Handshake", "role": "RM", "supported_protocol_versions": ["9.9"]}
            )
            await manager.until(lambda: manager.closed)
            await until(lambda: "versions 9.9: we speak 0.0.2-beta" in str(link.fault))
            await manager.vanish()

    run(check())


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{", "INVALID_DATA"),
        ("[]", "INVALID_DATA"),
        ("[" * 50_000, "INVALID_DATA"),
        ('{"message_type": "Nonsense", "message_id": "ab"}', "INVALID_MESSAGE"),
        ('{"message_type": "FRBC.StorageStatus", "message_id": "ab"}', "INVALID_MESSAGE"),
        (
            '{"message_type": "FRBC.StorageStatus", "message_id": "ab", "present_fill_level": 1e999}',
            "INVALID_MESSAGE",
        ),
        (
            '{"message_type": "FRBC.TimerStatus", "message_id": "ab", "timer_id": "ab", "actuator_id": "ab", "finished_at": "0001-01-01T00:00:00+14:00"}',
            "INVALID_MESSAGE",
        ),
        ('{"message_type": "PPBC.PowerProfileStatus", "message_id": "ab"}', "OK"),
    ],
)
def test_what_is_no_message_is_answered_so_and_the_next_one_is_read(text: str, status: str) -> None:
    async def check() -> None:
        async with bench() as b:
            before = len(b.manager.receptions)
            await b.manager.raw(text)
            await b.manager.until(lambda: len(b.manager.receptions) > before)
            assert [one["status"] for one in b.manager.receptions if one["status"] != "OK"] == (
                [] if status == "OK" else [status]
            )
            await b.manager.measures(1000)
            assert (await b.next_telemetry()).power_kw == -1.0

    run(check())


def test_nonsense_without_an_end_ends_the_connection() -> None:
    async def check() -> None:
        async with bench() as b:
            for _ in range(ODD_IN_A_ROW):
                await b.manager.raw("{")
            await b.manager.until(lambda: b.manager.closed)
            await until(lambda: "could not be read" in str(b.link.fault))

    run(check())


def test_a_flood_ends_its_own_connection() -> None:
    async def check() -> None:
        async with bench() as b:
            for _ in range(600):
                await b.manager.raw('{"message_type": "FRBC.LeakageBehaviour", "message_id": "ab"}')
            await b.manager.until(lambda: b.manager.closed)
            await until(lambda: "it sends too much" in str(b.link.fault))

    run(check())


def test_before_the_handshake_nothing_is_believed() -> None:
    async def check() -> None:
        async with s2_served(an_s2_device()) as (link, url):
            manager = Manager(tells=BATTERY)
            manager.answers = {"Handshake": ""}
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with session.ws_connect(f"{url}bess", headers=headers) as socket:
                    assert (await socket.receive_json())["message_type"] == "Handshake"
                    await socket.send_json(
                        {
                            "message_type": "FRBC.StorageStatus",
                            "message_id": "ab",
                            "present_fill_level": 5,
                        }
                    )
                    assert (await socket.receive_json())["status"] == "TEMPORARY_ERROR"
            assert not link.connected

    run(check())


def test_a_device_that_asks_to_end_is_let_go_of() -> None:
    async def check() -> None:
        async with bench() as b:
            await b.link.send([a_setpoint(-5.0)])
            await b.answer()
            await b.manager.say({"message_type": "SessionRequest", "request": "TERMINATE"})
            await b.manager.until(lambda: b.manager.closed)
            lost = await b.answer(1)
            assert "it asked to terminate" in str(lost.reason)

    run(check())


def test_commands_to_a_stranger_never_leave() -> None:
    async def check() -> None:
        async with bench() as b:
            with pytest.raises(DataError, match="engine: is no resource of steel"):
                await b.link.send([replace(a_setpoint(1.0), resource_id=ResourceId("engine"))])

    run(check())
