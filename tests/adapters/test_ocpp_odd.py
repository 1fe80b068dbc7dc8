"""The central system of OCPP against stations that say odd things: wrong clocks, and what comes when it is over."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.ocpp_late import Mended
from adapters.ocpp_station import Point
from adapters.ocpp_words import Sample
from tests.adapters.ocppbench import NOON, Full, a_bench, a_park, run, until
from vpp.model.charging import Wish
from vpp.model.time import isoformat
from vpp.ports import JournalEntry
from vpp.simulate.charger import Car
from vpp.simulate.chargerfaults import Away

NUMBERS = count(1)


async def says(line: aiohttp.ClientWebSocketResponse, action: str, **payload: Any) -> Any:
    """Call; the answer's payload, or the code that it is refused with."""
    name = f"{action}-{next(NUMBERS)}"
    await line.send_json([2, name, action, payload])
    while (answer := await line.receive_json(timeout=5))[1] != name:
        pass  # it asks something of its own
    return answer[2]


@pytest.mark.parametrize("clock", ["9999-12-31T23:00:00Z", "0001-01-01T00:30:00Z"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_a_start_from_a_clock_in_another_age_ends_nothing_not_even_after_a_restart(
    clock: str, zone: str
) -> None:
    async def check() -> None:
        journal = MemoryJournal()
        place = ZoneInfo(zone)
        wish = Wish(wanted_kwh=20.0, leaves=time(8))
        park = a_park(zone=place, wish=wish)
        async with a_bench(park, journal=journal) as bench:
            line = await bench.raw()
            start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": clock}
            begun = await says(line, "StartTransaction", **start)
            assert begun["idTagInfo"] == {"status": "Accepted"}
            assert bench.kinds() == ["charger_fault"]
            assert bench.shown().fault.endswith("its clock is wrong")
            again = await says(line, "StartTransaction", **start)
            assert again["transactionId"] == begun["transactionId"]
            await line.close()
        async with a_bench(park, journal=journal) as bench:
            assert bench.shown().points[0].session == str(begun["transactionId"])
            [point] = bench.shown().points
            assert point.departs_at is not None
            assert timedelta(0) < point.departs_at - NOON <= timedelta(days=1)

    run(check())


def test_of_connections_that_come_at_one_moment_one_alone_is_heard() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            lines = [await bench.raw()]
            reads = [asyncio.create_task(reads_on(lines[0]))]
            lines += await asyncio.gather(*(bench.raw() for _ in range(3)))
            reads += [asyncio.create_task(reads_on(line)) for line in lines[1:]]
            await until(lambda: sum(read.done() for read in reads) >= 3)
            [alive] = [line for line in lines if not line.closed]
            assert bench.link.connected
            await alive.close()
            await asyncio.gather(*reads)

    run(check())


async def reads_on(line: aiohttp.ClientWebSocketResponse) -> None:
    """Until the other side ends it."""
    async for _ in line:
        pass


def test_a_reading_that_comes_after_the_end_of_its_transaction_brings_no_car_back() -> None:
    async def check() -> None:
        journal = MemoryJournal()
        async with a_bench(journal=journal) as bench:
            line = await bench.raw()
            begun = await says(line, "StartTransaction", **a_start())
            first = begun["transactionId"]
            bench.clock.at += timedelta(minutes=1)
            stop = {
                "transactionId": first,
                "meterStop": 100,
                "timestamp": isoformat(bench.clock.at),
            }
            await says(line, "StopTransaction", **stop)
            await says(line, "MeterValues", **a_reading(first, bench.clock.at))
            assert bench.shown().points[0].session is None
            bench.clock.at += timedelta(minutes=1)
            begun = await says(line, "StartTransaction", **a_start(bench.clock.at))
            reading = a_reading(first, bench.clock.at - timedelta(minutes=1))
            await says(line, "MeterValues", **reading)
            assert bench.shown().points[0].session == str(begun["transactionId"])
            assert bench.shown().points[0].power_kw == 0.0
            await line.close()
        async with a_bench(journal=journal) as bench:
            assert bench.shown().points[0].session == str(begun["transactionId"])

    run(check())


@pytest.mark.parametrize("none", [0, -1])
def test_a_reading_of_transaction_zero_is_of_none(none: int) -> None:
    async def check() -> None:
        async with a_bench() as bench:
            line = await bench.raw()
            await says(line, "MeterValues", **a_reading(none, NOON))
            assert bench.shown().points[0].session is None
            await line.close()

    run(check())


def test_a_card_that_is_shown_after_the_cable_is_welcome_or_not_like_any_other() -> None:
    async def check() -> None:
        park = a_park(only_drivers=True, drivers={"KNOWN": Wish(wanted_kwh=9.0, leaves=time(8))})
        async with a_bench(park) as bench:
            line = await bench.raw(protocol="ocpp2.0.1")
            for card, status in (("KNOWN", "Accepted"), ("OTHER", "Invalid")):
                event = an_event("Updated", idToken={"idToken": card, "type": "ISO14443"})
                answer = await says(line, "TransactionEvent", **event)
                assert answer == {"idTokenInfo": {"status": status}}
            assert await says(line, "TransactionEvent", **an_event("Updated")) == {}
            await line.close()

    run(check())


def a_start(at: datetime = NOON) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": isoformat(at)}


def a_reading(transaction: int | None, at: datetime, kw: str = "7") -> dict[str, Any]:
    """Of a meter of 1.6 that tells its power."""
    power = {"value": kw, "measurand": "Power.Active.Import", "unit": "kW"}
    told = {"connectorId": 1, "meterValue": [{"timestamp": isoformat(at), "sampledValue": [power]}]}
    return told if transaction is None else told | {"transactionId": transaction}


def an_event(kind: str, **more: Any) -> dict[str, Any]:
    """Of a transaction of 2.0.1."""
    return {
        "eventType": kind,
        "timestamp": isoformat(NOON),
        "triggerReason": "Authorized",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "t-1"},
        "evse": {"id": 1},
    } | more


# ---------------------------------------------------------------- what stands in, and for how long


def test_the_last_power_of_a_station_that_never_comes_back_stands_in_until_its_car_was_to_leave() -> (
    None
):
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            gone, here = [await bench.station(name) for name in ("cp-1", "cp-2")]
            gone.plug_in(1, Car(wanted_kwh=30.0, most_kw=20.0))
            await bench.pass_s(30)
            gone.suffer([Away()])
            await until(lambda: not bench.shown("cp-1").connected)
            await bench.pass_s(10)
            assert (bench.told[-1].power_kw, bench.told[-1].quality) == (-4.0, "uncertain")
            assert len(bench.told[-1].sessions or ()) == 1
            assert (await bench.asks(-3.0)).accepted is False  # it may charge still
            bench.clock.at = NOON + timedelta(hours=3, minutes=50)
            await bench.pass_s(10)
            assert bench.told[-1].power_kw == -4.0
            bench.clock.at = NOON + timedelta(hours=4, minutes=10)
            await bench.pass_s(10)
            assert (bench.told[-1].power_kw, bench.told[-1].quality) == (0.0, "uncertain")
            assert bench.told[-1].sessions == ()
            assert (await bench.asks(-3.0, seq=2)).accepted
            assert here.standing is not None

    run(check())


@pytest.mark.parametrize("kw", ["7000", "-7000"])
def test_a_meter_in_a_wrong_unit_makes_no_car_that_draws_nothing(kw: str) -> None:
    async def check() -> None:
        async with a_bench() as bench:
            line = await bench.raw()
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            await says(line, "StatusNotification", **status)
            begun = await says(line, "StartTransaction", **a_start())
            for _ in range(6):
                bench.clock.at += timedelta(seconds=10)
                reading = a_reading(begun["transactionId"], bench.clock.at, kw)
                await says(line, "MeterValues", **reading)
                bench.link.look(report=True)
            assert [notice.who for notice in bench.link.news()] == ["cp-1/1"]
            assert max(told.ts[14:19] for told in bench.told) == "00:30"  # no "good" zero after it
            await line.close()

    run(check())


def test_a_register_that_leaps_is_no_power() -> None:
    point = Point(number=1)
    first, leapt = [Sample(NOON + timedelta(seconds=s), None, wh) for s, wh in ((0, 0.0), (1, 1e6))]
    assert point.take(first, late=False, most_kw=40.0) is None
    assert point.take(leapt, late=False, most_kw=40.0) is None
    assert (point.power_kw, point.odd_meter) == (0.0, True)


def test_where_what_nobody_can_steer_grows_the_others_give_way_at_once() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            other = await bench.station("cp-2")
            other.plug_in(1, Car(wanted_kwh=30.0, most_kw=20.0))
            await bench.pass_s(10)
            await bench.asks(-18.0)
            assert other.charger.draw_kw(1) == 18.0
            stubborn = await bench.raw("cp-1")  # draws without a transaction: nobody can limit it
            await says(stubborn, "MeterValues", **a_reading(None, bench.clock.at, "8"))
            await until(lambda: other.charger.draw_kw(1) == 10.0)
            for _ in range(4):
                bench.clock.at += timedelta(seconds=10)
                other.tick(bench.clock.at)
                await other.line.settled()
                bench.link.look(report=True)
            await until(lambda: len(bench.told) == 4)
            # without a car no power stands in for long
            assert [told.power_kw for told in bench.told] == [-18.0, -18.0, -18.0, -10.0]
            await stubborn.close()

    run(check())


def test_however_much_comes_late_at_once_nothing_of_now_gives_way_to_it() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            [park] = bench.link._parks.values()
            ticks = [Mended(NOON, seq, 4.0, True) for seq in range(8000)]
            park.mends += ticks
            bench.link.look(report=False)
            assert len(bench.link.inbox) == 5000
            await until(lambda: len(bench.told) == 5000)
            bench.link.look(report=False)
            await until(lambda: len(bench.told) == 8000)
            assert [told.seq for told in bench.told] == list(range(8000))
            assert bench.link.inbox.lost == 0

    run(check())


def test_an_absence_of_many_ticks_holds_what_was_drawn_once() -> None:
    async def check() -> None:
        async with a_bench(a_park("cp-1", "cp-2")) as bench:
            gone, _ = [await bench.station(name) for name in ("cp-1", "cp-2")]
            gone.plug_in(1, Car(wanted_kwh=30.0, most_kw=20.0))
            await bench.pass_s(30)
            gone.suffer([Away()])
            await until(lambda: not bench.shown("cp-1").connected)
            await bench.pass_s(100)
            [park] = bench.link._parks.values()
            gaps = park.late._gaps
            assert len(gaps) >= 10
            assert len({id(gap.away) for gap in gaps}) == 1

    run(check())


def test_a_number_is_not_given_a_second_time_after_a_restart_within_the_same_second() -> None:
    async def check() -> None:
        journal, given = MemoryJournal(), []
        for begins in ((0, 1, 2), (3,)):
            async with a_bench(journal=journal) as bench:  # its clock is at noon again
                line = await bench.raw()
                for minute in begins:
                    at = NOON - timedelta(minutes=9 - minute)
                    answer = await says(line, "StartTransaction", **a_start(at))
                    given.append(answer["transactionId"])
                await line.close()
        noon_s = int(NOON.timestamp())
        assert given == [noon_s, noon_s + 1, noon_s + 2, noon_s + 3]

    run(check())


def test_where_the_record_refuses_a_station_that_changes_its_version_it_alone_is_sent_away_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        journal = Full()
        journal.full = False
        async with a_bench(journal=journal) as bench:
            old = await bench.raw()
            await says(old, "StartTransaction", **a_start())
            await old.close()
            await until(lambda: not bench.link.connected)
            journal.full = True
            new = await bench.raw(protocol="ocpp2.0.1")
            assert (await new.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
            assert new.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER
            assert bench.kinds() == ["charger_refused"]
            assert bench.shown().points[0].session is not None
            journal.full = False
            again = await bench.raw(protocol="ocpp2.0.1")
            await until(lambda: bench.link.connected)
            assert bench.shown().points[0].session is None
            await again.close()

    run(check())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class Waits(MemoryJournal):
    """While it is not `open` it lets nobody go on."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.waits = asyncio.Event(), False
        self.open.set()

    async def append(self, kind: str, key: str, body: bytes, *, now: datetime) -> JournalEntry:
        self.waits = not self.open.is_set()
        await self.open.wait()
        return await super().append(kind, key, body, now=now)


def test_what_is_answered_over_a_connection_that_was_displaced_answers_nothing_of_the_new_one() -> (
    None
):
    async def check() -> None:
        journal = Waits()
        async with a_bench(journal=journal) as bench:
            old = await bench.raw()
            await says(old, "StartTransaction", **a_start())
            free, charges = (
                {"connectorId": 1, "errorCode": "NoError", "status": status}
                for status in ("Available", "Charging")
            )
            journal.open.clear()
            await old.send_json([2, "1", "StatusNotification", free])
            await until(lambda: journal.waits)
            reading = asyncio.create_task(reads_on(old))
            new = await bench.raw()
            await until(lambda: bench.shown().connections == 2)
            journal.open.set()
            await says(new, "StatusNotification", **charges)
            assert bench.shown().points[0].plug == "charging"
            await new.send_json([2, "1", "StatusNotification", free])
            while (await new.receive_json(timeout=5))[1] != "1":
                pass  # it asks something of its own
            assert bench.shown().points[0].plug == "free"
            await new.close()
            await reading

    run(check())


def test_a_line_that_is_lost_while_a_limit_is_pending_is_no_refusal_of_the_point() -> None:
    async def check() -> None:
        async with a_bench() as bench:
            line = await bench.raw()
            await says(line, "StartTransaction", **a_start())
            assert await bench.link.send([bench.a_setpoint(-6.0, for_s=900.0)]) == ()
            for _ in range(4):
                await line.send_json([2, "1", "Heartbeat", {}])
                while (said := await line.receive_json(timeout=5))[2] != "SetChargingProfile":
                    if said[0] == 2:
                        await line.send_json([3, said[1], {"status": "Accepted"}])
                newer = await bench.raw()  # takes the place of the one that waits for its answer
                await reads_on(line)
                line = newer
                bench.clock.at += timedelta(seconds=10)
                bench.link.look(report=True)
            await line.close()

    run(check())
