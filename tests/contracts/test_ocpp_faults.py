"""What befalls charging stations of OCPP 2.0.1 is harmless to the plant, as `adapters/test_ocpp_link.py` shows of 1.6:
C5, C11, backlogs, repeats, nonsense, wrong clocks, strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import aiohttp
import msgspec
import pytest

from tests.adapters.ocppbench import SPEC as QUIET
from tests.adapters.ocppbench import a_bench as central_bench
from tests.adapters.ocppbench import a_park
from tests.contracts.linkbench import NOON, a_setpoint, until
from tests.contracts.ocppbenches import SPEC, OverOcpp, a_bench, a_station
from tests.patience import PATIENCE_S
from vpp.model.time import Interval, parse_utc
from vpp.simulate.charger import Car, Dialect
from vpp.simulate.chargerfaults import (
    TROUBLES,
    BootLoop,
    Garbled,
    Ignores,
    Mute,
    Refuses,
    Skewed,
    Twice,
    Wiped,
    active,
    drawn,
)
from vpp.wire import AckMessage, TelemetryMessage


@dataclass
class Heard:
    """What the link told inward."""

    telemetry: list[TelemetryMessage] = field(default_factory=list)
    acks: list[AckMessage] = field(default_factory=list)

    async def read(self, bench: OverOcpp) -> None:
        async for message in bench.link.messages():
            if message.topic.endswith("/ack"):
                self.acks.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                self.telemetry.append(msgspec.json.decode(message.payload, type=TelemetryMessage))

    async def tells(self, what: Callable[[TelemetryMessage], bool]) -> None:
        """Until what is told from now on is so."""
        self.telemetry.clear()
        await until(lambda: bool(self.telemetry) and what(self.telemetry[-1]))


@asynccontextmanager
async def hearing(bench: OverOcpp) -> AsyncIterator[Heard]:
    heard = Heard()
    reading = asyncio.create_task(heard.read(bench))
    try:
        yield heard
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def limits(bench: OverOcpp) -> dict[str, float | None]:
    """What each station has confirmed."""
    return {one.station_id: one.points[0].limit_kw for one in bench.central.shown()}


def told(bench: OverOcpp, kind: str) -> list[str]:
    """What a person is told of stations."""
    return [f"{one.who} {one.text}" for one in bench.central.notices if one.kind == kind]


async def lives(bench: OverOcpp, seconds: float) -> None:
    """Time passes, and each station tells what its car draws then."""
    bench.time.passes(seconds)
    for point in bench.points.values():
        point.charger.live(bench.time.now())
        point.tell()
        if point.line.connected.is_set():
            await point.line.settled()


# ---------------------------------------------------------------- C5: acknowledged and not obeyed


def test_a_station_that_takes_its_limit_and_draws_on_is_told_and_the_others_make_room() -> None:
    async def check() -> None:
        async with a_bench(stations=("cp-1", "cp-2")) as bench:
            await lives(bench, 10)
            bench.point.suffer({Ignores()})
            assert await bench.link.send([a_setpoint(power_kw=-3.0)]) == ()
            await until(lambda: sum(kw or 0.0 for kw in limits(bench).values()) == 3.0)
            while not told(bench, "charger_limit"):
                await lives(bench, 20)
            assert bench.time.now() <= NOON + timedelta(minutes=3)
            (said,) = told(bench, "charger_limit")
            assert said.startswith("cp-1/1 draws 4.0 kW, though it has taken a limit of")
            await until(lambda: limits(bench)["cp-2"] == 0.0)
            await lives(bench, 20)
            assert bench.points["cp-2"].charger.connectors[1].draw_kw == 0.0
            assert "does not keep its limit" in (bench.central.fault or "")

    run(check())


def test_a_station_that_refuses_is_no_part_of_what_is_promised() -> None:
    async def check() -> None:
        async with a_bench() as bench, hearing(bench) as heard:
            await lives(bench, 10)
            bench.point.suffer({Refuses()})
            await bench.link.send([a_setpoint(power_kw=-0.5)])  # it draws 1.5
            await until(lambda: bool(heard.acks))
            assert not heard.acks[0].accepted
            assert "does not take its limit: Rejected" in (heard.acks[0].reason or "")

    run(check())


def test_a_station_that_never_answers_holds_up_nobody_else() -> None:
    async def check() -> None:
        spec = replace(SPEC, answer_s=0.1)
        async with a_bench(stations=("cp-1", "cp-2"), spec=spec) as bench:
            await lives(bench, 10)
            bench.point.suffer({Mute()})
            await bench.link.send([a_setpoint(power_kw=-6.0)])
            await until(
                lambda: limits(bench)["cp-2"] == 4.5
            )  # cp-1 draws 1.5 and cannot be reached
            assert limits(bench)["cp-1"] is None

    run(check())


# ---------------------------------------------------------------- C11: somebody else changes it


def test_a_limit_that_somebody_else_took_away_is_told_and_not_fought_over() -> None:
    async def check() -> None:
        async with a_bench() as bench, hearing(bench) as heard:
            await lives(bench, 10)
            await bench.link.send([a_setpoint(power_kw=-2.0)])
            await until(lambda: limits(bench)["cp-1"] == 2.0)
            bench.point.suffer({Wiped()})
            await lives(bench, 61)
            await until(lambda: bool(told(bench, "charger_limit")))
            assert told(bench, "charger_limit") == [
                "cp-1/1 goes by 4.0 kW, asked for 2.0 kW: somebody else changed it"
            ]
            asked = bench.point.counts["asked.SetChargingProfile"]
            await bench.link.send([replace(a_setpoint(power_kw=-1.0), seq=8)])
            await until(lambda: any(ack.seq == 8 for ack in heard.acks))
            assert not heard.acks[-1].accepted
            assert bench.point.counts["asked.SetChargingProfile"] == asked
            bench.time.passes(660)
            await bench.link.send(
                [
                    replace(
                        a_setpoint(power_kw=-1.0),
                        seq=9,
                        issued_at=bench.time.now(),
                        expires_at=bench.time.now() + timedelta(minutes=5),
                    )
                ]
            )
            await until(lambda: limits(bench)["cp-1"] == 1.0)

    run(check())


# ---------------------------------------------------------------- the line


def test_what_a_station_kept_is_booked_at_its_own_times_and_never_as_now() -> None:
    async def check() -> None:
        async with a_bench() as bench, hearing(bench) as heard:
            await lives(bench, 10)
            await heard.tells(lambda told: told.power_kw == -1.5)
            bench.point.line.cut()
            await until(lambda: not bench.central.connected)
            for draw_kw in (6.0, 7.0, 8.0):
                bench.time.passes(10)
                bench.point.charger.now = bench.time.now()
                bench.point.charger.connectors[1].draw_kw = draw_kw
                bench.point.tell()
                await asyncio.sleep(0.05)  # ticks that nobody hears
            bench.point.charger.connectors[1].draw_kw = 2.0
            bench.time.passes(10)
            bench.point.charger.now = bench.time.now()
            before, back_at = len(heard.telemetry), bench.time.now()
            bench.point.line.mend()
            await bench.point.line.connected.wait()
            bench.point.tell()
            await bench.point.line.settled()
            await until(lambda: heard.telemetry[-1].power_kw == -2.0)
            bench.time.passes(31)
            bench.point.charger.now = bench.time.now()
            bench.point.tell()
            old = {-6.0, -7.0, -8.0}
            await until(lambda: old <= {one.power_kw for one in heard.telemetry[before:]})
            for one in heard.telemetry[before:]:
                at = parse_utc(one.ts, where="ts")
                if at != back_at:  # that tick may be of either side
                    assert (one.power_kw in old) is (at < back_at)

    run(check())


def test_a_whole_stay_that_nobody_heard_leaves_no_car_behind() -> None:
    async def check() -> None:
        async with a_bench(cars=False) as bench, hearing(bench) as heard:
            bench.point.line.cut()
            await until(lambda: not bench.central.connected)
            bench.point.plug_in()
            bench.time.passes(600)
            bench.point.charger.live(bench.time.now())
            bench.point.tell()
            bench.point.unplug()
            bench.time.passes(600)
            bench.point.charger.live(bench.time.now())
            bench.point.line.mend()
            await bench.point.line.connected.wait()
            await bench.point.line.settled()
            await heard.tells(lambda told: (told.power_kw, told.sessions) == (0.0, ()))

    run(check())


# ---------------------------------------------------------------- odd senders


def test_what_is_said_twice_under_one_id_is_taken_once() -> None:
    async def check() -> None:
        async with a_bench(cars=False) as bench, hearing(bench) as heard:
            bench.point.suffer({Twice()})
            bench.point.plug_in()
            await lives(bench, 10)
            await lives(bench, 10)
            await until(lambda: bench.point.counts["unasked"] == bench.point.counts["said_twice"])
            await heard.tells(lambda told: len(told.sessions or ()) == 1)
            bench.point.unplug()
            await bench.point.line.settled()
            await heard.tells(lambda told: told.sessions == ())

    run(check())


def test_broken_frames_harm_nobody_and_their_sender_is_heard_again_when_it_is_sound() -> None:
    async def check() -> None:
        async with (
            a_bench(stations=("cp-1", "cp-2")) as bench,
            hearing(bench) as heard,
        ):
            bench.point.suffer({Garbled()})
            for _ in range(40):
                await lives(bench, 1)
            assert bench.point.counts["broken"] >= 40
            bench.point.suffer(())
            await until(bench.point.line.connected.is_set)
            await lives(bench, 10)
            await until(lambda: heard.telemetry[-1].power_kw == -3.0)
            assert bench.points["cp-2"].counts["connects"] == 1
            assert all(one.power_kw in (0.0, -1.5, -3.0) for one in heard.telemetry)
            assert sum(one.refused for one in bench.central.shown()) > 20

    run(check())


def test_a_station_whose_clock_is_wrong_is_told_and_its_meter_is_not_used() -> None:
    async def check() -> None:
        async with a_bench() as bench, hearing(bench) as heard:
            await lives(bench, 10)
            bench.point.suffer({Skewed(seconds=600)})
            bench.point.charger.connectors[1].draw_kw = 9.0
            bench.point.tell()
            await bench.point.line.settled()
            assert "its clock is wrong" in told(bench, "charger_fault")[0]
            assert -9.0 not in {one.power_kw for one in heard.telemetry}

    run(check())


# ---------------------------------------------------------------- strangers


def test_a_station_of_no_park_file_is_told_of_and_nothing_that_it_says_is_used() -> None:
    async def check() -> None:
        async with (
            a_bench(cars=False) as bench,
            hearing(bench) as heard,
            aiohttp.ClientSession() as session,
        ):
            stop = asyncio.Event()
            stranger = a_station(
                bench.url,
                session,
                bench.time,
                name="cp-9",
            )
            running = asyncio.create_task(stranger.run(stop))
            await until(lambda: stranger.standing == "Rejected")
            stranger.plug_in()
            stranger.tell()
            heard.telemetry.clear()
            await until(lambda: len(heard.telemetry) > 2)
            assert {one.power_kw for one in heard.telemetry} == {0.0}
            assert {one.sessions for one in heard.telemetry} == {()}
            assert len(told(bench, "charger_unknown")) == 2
            assert stranger.counts["asked"] == 0
            stop.set()
            await running

    run(check())


# ---------------------------------------------------------------- all of it, at random


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_befalls_stations_at_random_the_plant_goes_on_and_all_are_steered_afterwards(
    seed: int,
) -> None:
    names = tuple(f"cp-{number}" for number in range(6))
    hour = Interval(NOON, NOON + timedelta(minutes=20))
    # Of connections only so many are let in within a minute of the wall, whatever our clock says.
    whats = tuple(what for what in TROUBLES if not isinstance(what, BootLoop | Mute))
    faults = drawn(
        names, Random(seed), share=1.0, within=hour, whats=(*whats, BootLoop(every_s=50.0))
    )

    async def check() -> None:
        spec = replace(QUIET, answer_s=0.05)
        async with central_bench(a_park(*names), spec=spec) as bench:
            for number, name in enumerate(names):
                point = await bench.station(name, dialect=list(Dialect)[number % 2])
                point.plug_in(car=Car(wanted_kwh=200.0, most_kw=20.0, holds_kwh=300.0))
            seq = 0
            while bench.clock.at < NOON + timedelta(minutes=50):
                for name, point in bench.points.items():
                    point.suffer(active(faults, name, bench.clock.at))
                if bench.clock.at.second == 0:
                    seq += 1
                    await bench.link.send([bench.a_setpoint(-60.0, seq=seq)])
                await bench.pass_s(10)
            assert len({type(fault.what) for fault in faults}) > 2
            assert all(-120.0 <= one.power_kw <= 0.0 for one in bench.told)
            assert all(one.connected and not one.fault for one in bench.link.shown())
            assert (await bench.asks(-60.0, seq=seq + 1)).accepted
            await bench.pass_s(10)
            assert len(bench.told[-1].sessions or ()) == len(names)
            assert bench.told[-1].power_kw == -60.0 == -bench.draw_kw()

    run(check())
