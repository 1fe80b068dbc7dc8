"""The central system of OCPP against simulated charging stations: who is heard, what is asked, what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from adapters.memory_journal import MemoryJournal
from tests.adapters.ocppbench import (
    KIND,
    NOON,
    SPEC,
    Full,
    a_bench,
    a_park,
    run,
    until,
)
from vpp.errors import DataError
from vpp.model.charging import Wish
from vpp.model.ids import EnterpriseId
from vpp.model.time import isoformat
from vpp.simulate.charger import Car, Dialect, Purpose
from vpp.simulate.chargerfaults import (
    Away,
    Garbled,
    Ignores,
    Meddled,
    Refuses,
    Twice,
)

BOTH = pytest.mark.parametrize("dialect", list(Dialect))
CAR = Car(wanted_kwh=30.0, most_kw=20.0)


@BOTH
def test_a_car_is_a_session_and_what_it_draws_is_told_as_net_injection(dialect: Dialect) -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(dialect=dialect)
            point.plug_in(1, CAR)
            await bench.pass_s(360)
            told = bench.told[-1]
            assert (told.power_kw, told.quality) == (-4.0, "good")
            assert told.sessions is not None
            [car] = told.sessions
            assert car.departs_at == "2025-12-03T16:00:00Z"
            assert car.wanted_kwh == pytest.approx(20.0 - 0.4, abs=0.02)
            point.unplug(1)
            await bench.pass_s(10)
            assert (bench.told[-1].power_kw, bench.told[-1].sessions) == (0.0, ())

    run(check())


@BOTH
def test_a_limit_holds_until_it_ends_and_then_the_station_goes_by_its_own(dialect: Dialect) -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(dialect=dialect)
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            ack = await bench.asks(-12.0, for_s=60)
            assert ack.accepted
            assert point.charger.draw_kw(1) == 12.0
            await bench.pass_s(50)
            assert bench.told[-1].power_kw == -12.0
            assert bench.told[-1].setpoint_seq == 1
            point.line.cut()  # nobody can take it back: it must end by itself
            await until(lambda: not bench.link.connected)
            await bench.pass_s(10)
            assert point.charger.draw_kw(1) == 4.0

    run(check())


def test_what_is_allowed_is_split_and_a_new_car_makes_the_others_give_way() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            first, second = [await bench.station(name) for name in ("cp-1", "cp-2")]
            first.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-18.0)
            assert (first.charger.draw_kw(1), second.charger.draw_kw(1)) == (18.0, 0.0)
            second.plug_in(1, CAR)
            await bench.settled()
            await bench.settled()
            assert bench.draw_kw() == 18.0
            assert second.charger.limit_kw(1, bench.clock.at) in (0.0, 4.0)

    run(check())


def test_what_a_car_does_not_take_goes_to_another() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            first, second = [await bench.station(name) for name in ("cp-1", "cp-2")]
            first.plug_in(1, Car(wanted_kwh=30.0, most_kw=10.0))
            await bench.pass_s(10)
            second.plug_in(1, CAR)
            await bench.settled()
            await bench.asks(-24.0)
            assert (first.charger.draw_kw(1), second.charger.draw_kw(1)) == (10.0, 4.0)
            await bench.pass_s(20)
            # it is allowed a tenth more than it takes, so that it shows when it takes more
            assert (first.charger.draw_kw(1), second.charger.draw_kw(1)) == (10.0, 13.0)
            assert bench.kinds() == []

    run(check())


def test_too_little_to_begin_with_is_told_as_nothing() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            assert (await bench.asks(-3.0)).accepted
            assert point.charger.draw_kw(1) == 0.0

    run(check())


def test_a_limit_in_amperes_is_never_more_than_was_asked() -> None:
    async def check() -> None:
        kind = replace(KIND, unit="A")
        async with a_bench(a_park(kind=kind)) as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-10.0)
            # 10 kW are 14.49 A on three phases of 230 V
            assert point.charger.draw_kw(1) == pytest.approx(14.0 * 3 * 0.230)

    run(check())


@BOTH
def test_the_default_for_when_nobody_steers_is_set_after_the_boot(dialect: Dialect) -> None:
    async def check() -> None:
        async with a_bench(a_park(kind=replace(KIND, safe_kw=7.0))) as bench:
            point = await bench.station(dialect=dialect)
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            assert point.charger.draw_kw(1) == 7.0
            point.line.cut()
            await until(lambda: not bench.link.connected)
            await bench.pass_s(3600)
            assert point.charger.draw_kw(1) == 7.0

    run(check())


def test_at_a_read_only_car_park_nothing_is_ever_set() -> None:
    async def check() -> None:
        park = a_park(kind=replace(KIND, safe_kw=7.0), read_only=True)
        async with a_bench(park) as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            await bench.pass_s(120)
            [unsent] = await bench.link.send([bench.a_setpoint(-6.0)])
            assert unsent.reason == "is read-only"
            await bench.pass_s(60)
            assert bench.told[-1].power_kw == -4.0
            asked = {kind for kind in point.counts if kind.startswith("asked.")}
            assert asked == {"asked.TriggerMessage"}

    run(check())


def test_a_command_to_stations_that_are_away_is_told_as_unsent() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            [unsent] = await bench.link.send([bench.a_setpoint(-6.0)])
            assert unsent.reason == "none of its stations is connected: cp-1: never came"
            with pytest.raises(DataError, match="is no resource of mine"):
                await bench.link.send(
                    [replace(bench.a_setpoint(-6.0), enterprise_id=EnterpriseId("mine"))]
                )

    run(check())


# ---------------------------------------------------------------- who is heard


def test_a_station_with_a_wrong_password_is_not_let_in() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            for password in ("wrong", None, ""):
                point = await bench.station(password=password)
                assert point.line.turned_away == 401
            assert set(bench.kinds()) == {"charger_refused"}
            assert not bench.link.connected

    run(check())


def test_a_station_that_nobody_knows_is_told_and_never_used() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            await bench.station()
            stranger = await bench.station("cp-9")
            assert stranger.standing == "Rejected"
            stranger.line.admit(admitted=True)  # one that does not care
            stranger.plug_in(1, CAR)
            await bench.pass_s(60)
            assert stranger.counts["errors"] > 0
            assert (bench.told[-1].power_kw, bench.told[-1].sessions) == (0.0, ())
            texts = [n.text for n in bench.link.notices if n.kind == "charger_unknown"]
            assert "boots as vpp simulated" in texts[1]

    run(check())


def test_a_station_that_boots_in_a_loop_is_put_off_longer_each_time() -> None:
    async def check() -> None:
        async with a_bench(spec=replace(SPEC, boots_per_hour=2)) as bench:
            point = await bench.station()
            for _ in range(3):
                before = point.counts["connects"]
                point.standing = None
                point.restart()
                await until(lambda before=before: point.counts["connects"] > before)  # type: ignore[misc]
                await until(lambda: point.standing is not None)
            assert point.standing == "Rejected"
            assert bench.kinds().count("charger_boots") == 2
            texts = [n.text for n in bench.link.notices if n.kind == "charger_boots"]
            assert [text.rsplit(" ", 2)[1] for text in texts] == ["60", "120"]
            assert "boots too often" in (bench.link.fault or "")
            bench.clock.at += timedelta(hours=2)
            point.restart()
            await until(lambda: point.standing == "Accepted")
            assert bench.link.fault is None

    run(check())


def test_data_of_a_station_that_was_put_off_is_not_used() -> None:
    async def check() -> None:
        async with a_bench(spec=replace(SPEC, boots_per_hour=1)) as bench:
            point = await bench.station()
            point.standing = None
            point.restart()
            await until(lambda: point.standing == "Rejected")
            point.line.admit(admitted=True)
            point.plug_in(1, CAR)
            await bench.pass_s(20)
            assert point.counts["errors"] > 0
            assert bench.told[-1].sessions == ()

    run(check())


def test_a_newer_connection_takes_the_place_of_an_older_one_that_is_dead() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            dead = await bench.raw()
            point = await bench.station()
            assert point.standing == "Accepted"
            assert (await dead.receive()).type is WSMsgType.CLOSE
            assert bench.shown().connected
            point.plug_in(1, CAR)
            await bench.pass_s(20)
            assert bench.told[-1].power_kw == -4.0

    run(check())


def test_two_of_one_name_do_not_end_each_others_connection_for_ever() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            for _ in range(12):
                await bench.raw()
            with pytest.raises(WSServerHandshakeError, match="429"):
                await bench.raw()
            assert "perhaps two have this name" in bench.link.notices[0].text

    run(check())


# ---------------------------------------------------------------- what comes again, and what is none


def test_what_is_said_twice_is_booked_once() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station()
            point.suffer([Twice()])
            point.plug_in(1, CAR)
            await bench.pass_s(60)
            assert point.counts["said_twice"] > 5
            assert len(list(bench.journal.entries("charging_began"))) == 1
            assert bench.told[-1].power_kw == -4.0

    run(check())


def test_a_call_that_comes_again_is_answered_as_before_but_not_after_a_new_connection() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            answers: list[tuple[str, str]] = []
            for name in ("one", "one", "two"):
                if name not in (said for said, _ in answers):
                    line = await bench.raw()  # a station that began to count anew
                await line.send_json([2, "1", "Heartbeat", {}])
                while (answer := await line.receive_json())[0] != 3:
                    pass  # it asks something of its own
                answers.append((name, answer[2]["currentTime"][11:19]))
                bench.clock.at += timedelta(seconds=5)
            assert answers == [("one", "12:00:00"), ("one", "12:00:00"), ("two", "12:00:10")]

    run(check())


def test_broken_frames_between_sound_ones_harm_nothing() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            point.suffer([Garbled()])
            await bench.pass_s(30)
            assert bench.shown().refused > 0
            point.suffer([])
            await bench.pass_s(30)
            assert bench.told[-1].power_kw == -4.0

    run(check())


# ---------------------------------------------------------------- after a restart


def test_cars_that_were_there_before_a_restart_are_there_after_it() -> None:
    async def check() -> None:
        journal = MemoryJournal()
        async with a_bench(journal=journal) as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            await bench.pass_s(30)
            session = bench.shown().points[0].session
        async with a_bench(journal=journal) as bench:
            assert bench.shown().points[0].session == session

    run(check())


def test_a_stay_that_ended_is_over_after_a_restart_too() -> None:
    async def check() -> None:
        journal = MemoryJournal()
        async with a_bench(journal=journal) as bench:
            point = await bench.station()
            point.plug_in(1, CAR)
            await bench.pass_s(30)
            point.unplug(1)
            await bench.settled()
        async with a_bench(journal=journal) as bench:
            assert bench.shown().points[0].session is None

    run(check())


def test_a_start_that_cannot_be_recorded_is_told_again_by_the_station() -> None:
    async def check() -> None:
        journal = Full()
        async with a_bench(journal=journal) as bench:
            line = await bench.raw()
            start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": isoformat(NOON)}
            await line.send_json([2, "1", "StartTransaction", start])
            answer = await line.receive_json()
            assert answer[:3] == [4, "1", "InternalError"]
            assert bench.shown().points[0].session is None
            journal.full = False
            await line.send_json([2, "1", "StartTransaction", start])
            while (answer := await line.receive_json())[0] != 3:
                pass  # it asks something of its own
            assert answer[2]["transactionId"] == int(bench.shown().points[0].session or 0)

    run(check())


# ---------------------------------------------------------------- C5 and C11


def test_a_station_that_takes_its_limit_and_ignores_it_is_told_and_the_others_make_room() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2"), spec=replace(SPEC, read_back_s=3600)) as bench:
            first, second = [await bench.station(n, default_kw=14.0) for n in ("cp-1", "cp-2")]
            first.suffer([Ignores()])
            for point in (first, second):
                point.plug_in(1, CAR)
            await bench.pass_s(10)
            assert (await bench.asks(-10.0)).accepted
            await bench.pass_s(10)  # it may still draw more
            assert bench.kinds() == []
            await bench.pass_s(20)
            assert bench.kinds() == ["charger_limit"]
            assert "cp-1/1: does not keep its limit" in (bench.link.fault or "")
            await bench.pass_s(20)
            assert bench.told[-1].power_kw == -14.0
            assert (await bench.asks(-20.0, seq=2)).accepted
            assert second.charger.draw_kw(1) == 6.0
            assert (await bench.asks(-5.0, seq=3)).accepted is False

    run(check())


def test_a_limit_that_somebody_else_took_away_is_seen_when_it_is_read_back() -> None:
    async def check() -> None:
        async with a_bench(spec=replace(SPEC, settle_s=300)) as bench:
            point = await bench.station(default_kw=11.0)
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-6.0)
            point.charger.clear(purpose=Purpose.TRANSACTION)  # at its panel
            await bench.pass_s(30)
            assert bench.kinds() == ["charger_limit"]
            assert "somebody else changed it" in bench.link.notices[0].text
            assert "somebody else changed it" in (bench.link.fault or "")
            assert (await bench.asks(-6.0, seq=2)).accepted is False

    run(check())


def test_a_lower_limit_of_somebody_else_is_gone_by_and_told() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            first, second = [await bench.station(name) for name in ("cp-1", "cp-2")]
            for point in (first, second):
                point.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-30.0)
            first.suffer([Meddled(limit_kw=6.0)])
            await bench.pass_s(40)
            assert bench.kinds() == ["charger_limit"]
            assert (first.charger.draw_kw(1), second.charger.draw_kw(1)) == (6.0, 20.0)

    run(check())


def test_a_station_that_refuses_its_limit_is_fixed_and_the_command_refused_if_it_draws_too_much() -> (
    None
):
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(default_kw=11.0)
            point.suffer([Refuses()])
            point.plug_in(1, CAR)
            await bench.pass_s(20)
            ack = await bench.asks(-6.0)
            assert not ack.accepted
            assert "does not take its limit: Rejected" in (ack.reason or "")

    run(check())


# ---------------------------------------------------------------- the line goes and comes


@BOTH
def test_what_was_drawn_while_the_line_was_away_is_booked_at_its_own_time(dialect: Dialect) -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(dialect=dialect, default_kw=4.0)
            point.plug_in(1, CAR)
            await bench.pass_s(60)
            point.suffer([Away()])
            await until(lambda: not bench.link.connected)
            before = len(bench.told)
            point.charger.spec = replace(point.charger.spec, default_kw=8.0)
            await bench.pass_s(120)
            assert len(bench.told) == before  # nobody was heard, and nothing is made up
            point.suffer([])
            await until(lambda: bench.link.connected)
            await bench.settled()
            point.charger.spec = replace(point.charger.spec, default_kw=5.0)
            await bench.pass_s(60)
            late = [m for m in bench.told[before:] if m.ts < "2025-12-03T12:03:05Z"]
            assert [m.power_kw for m in late] == [-8.0] * 12
            assert late[0].ts == "2025-12-03T12:01:10Z"
            assert bench.told[-1].power_kw == -5.0
            numbers = sorted(m.seq for m in bench.told)
            assert numbers == list(range(numbers[0], numbers[-1] + 1))

    run(check())


def test_a_whole_stay_that_came_and_went_while_the_line_was_away_is_booked_then() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station()
            await bench.pass_s(30)
            point.suffer([Away()])
            await until(lambda: not bench.link.connected)
            await bench.pass_s(60)
            point.plug_in(1, CAR)
            await bench.pass_s(60)
            point.unplug(1)
            await bench.pass_s(60)
            before = len(bench.told)
            point.suffer([])
            await until(lambda: bench.link.connected)
            await bench.settled()
            await bench.pass_s(60)
            late = {
                m.ts[14:19]: m.power_kw
                for m in bench.told[before:]
                if m.ts < "2025-12-03T12:03:35Z"
            }
            assert (late["01:20"], late["02:00"], late["02:50"]) == (0.0, -4.0, 0.0)
            assert bench.told[-1].sessions == ()
            [began] = bench.journal.entries("charging_began")
            assert began.key.endswith("2025-12-03T12:01:30Z")

    run(check())


def test_while_one_station_is_away_the_others_are_told_and_what_lacks_is_mended_later() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            first, second = [await bench.station(name) for name in ("cp-1", "cp-2")]
            for point in (first, second):
                point.plug_in(1, CAR)
            await bench.pass_s(30)
            first.suffer([Away()])
            await until(lambda: not bench.shown("cp-1").connected)
            first.charger.spec = replace(first.charger.spec, default_kw=10.0)
            await bench.pass_s(30)
            assert (bench.told[-1].power_kw, bench.told[-1].quality) == (-8.0, "uncertain")
            first.suffer([])
            await until(lambda: bench.shown("cp-1").connected)
            await bench.settled()
            await bench.pass_s(40)
            at = {m.ts[14:19]: (m.power_kw, m.quality) for m in bench.told}
            assert at["00:50"] == (-14.0, "good")
            assert bench.told[-1].quality == "good"

    run(check())


def test_a_meter_that_is_silent_makes_no_value_that_stands_still() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            line = await bench.raw()
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": isoformat(NOON)}
            for action, payload in (("StatusNotification", status), ("StartTransaction", start)):
                await line.send_json([2, action, action, payload])
                while (await line.receive_json())[1] != action:
                    pass
            for seconds in (10, 20, 30, 40, 50):
                bench.clock.at = NOON + timedelta(seconds=seconds)
                bench.link.look(report=True)
            await until(lambda: len(bench.told) > 2)
            assert [told.ts[17:19] for told in bench.told] == ["10", "20", "30"]

    run(check())


def test_after_the_line_came_back_the_limit_is_set_anew() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(default_kw=11.0)
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-6.0, for_s=600)
            point.charger.clear()  # it forgets what it held
            point.line.cut()
            await until(lambda: not bench.link.connected)
            point.line.mend()
            await until(lambda: bench.link.connected)
            await bench.settled()
            await bench.settled()
            assert point.charger.draw_kw(1) == 6.0

    run(check())


def test_when_the_service_stops_every_limit_is_taken_back() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            point = await bench.station(default_kw=11.0)
            point.plug_in(1, CAR)
            await bench.pass_s(10)
            await bench.asks(-6.0)
            await bench.link.let_go()
            assert point.charger.draw_kw(1) == 11.0
            [unsent] = await bench.link.send([bench.a_setpoint(-6.0, seq=2)])
            assert unsent.reason == "the service stops"

    run(check())


# ---------------------------------------------------------------- cards


def test_a_driver_who_said_what_he_wants_gets_that_and_a_stranger_what_is_assumed() -> None:
    async def check() -> None:
        wish = Wish(wanted_kwh=7.0, stay=timedelta(hours=1), exact=True)
        async with a_bench(a_park(drivers={"card-7": wish})) as bench:
            point = await bench.station()
            point.plug_in(1, Car(token="card-7", wanted_kwh=50.0))
            await bench.pass_s(10)
            [car] = bench.told[-1].sessions or ()
            assert car.departs_at == "2025-12-03T13:00:00Z"
            assert car.wanted_kwh == pytest.approx(7.0, abs=0.02)

    run(check())


def test_where_only_drivers_charge_another_card_is_refused() -> None:
    async def check() -> None:
        wish = Wish(wanted_kwh=7.0, stay=timedelta(hours=1))
        async with a_bench(a_park(only_drivers=True, drivers={"card-7": wish})) as bench:
            line = await bench.raw()
            for card, status in (("card-1", "Invalid"), ("card-7", "Accepted")):
                await line.send_json([2, card, "Authorize", {"idTag": card}])
                answer = await line.receive_json()
                while answer[0] != 3:
                    answer = await line.receive_json()  # it asks something of its own
                assert answer == [3, card, {"idTagInfo": {"status": status}}]

    run(check())


def test_nothing_is_told_of_a_car_park_that_nobody_has_heard() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            bench.clock.at = NOON + timedelta(minutes=10)
            bench.link.look(report=True)
            assert bench.told == []
            assert "cp-1: never came" in (bench.link.fault or "")

    run(check())
