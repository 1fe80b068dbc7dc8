"""A simulated charging station on the wire, against a central system of a few lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from ocpp.messages import Call, validate_payload

from tests.patience import PATIENCE_S
from vpp.clock import SimulatedClock
from vpp.simulate.charger import ChargerSpec, Dialect
from vpp.simulate.chargerfaults import (
    Away,
    BootLoop,
    Garbled,
    Ignores,
    Meddled,
    Mute,
    Refuses,
    Skewed,
    Twice,
    Wiped,
)
from vpp.simulate.chargerfleet import ChargerFleet
from vpp.simulate.chargerline import LineTiming
from vpp.simulate.chargerpoint import ChargePoint

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
VERSION = {Dialect.V16: "1.6", Dialect.V201: "2.0.1"}


class Centre:
    """Says yes to everything, and writes down what was said; each sound message must be valid."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.boots = "Accepted"
        self.answers = True
        self.frames: list[str | bytes] = []
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.ws: web.WebSocketResponse | None = None
        self._answered: dict[str, asyncio.Future[list[Any]]] = {}
        self._heard = asyncio.Event()
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.ws = web.WebSocketResponse(protocols=(self.dialect.value,))
        await self.ws.prepare(request)
        async for message in self.ws:
            self.frames.append(message.data)
            try:
                frame = json.loads(message.data)
                kind = frame[0]
            except (ValueError, IndexError, KeyError, TypeError, RecursionError):
                continue
            if kind == 2 and len(frame) == 4 and len(str(frame[1])) == 36:
                await self._take(*frame[1:])
            elif kind in (3, 4) and frame[1] in self._answered:
                self._answered[frame[1]].set_result(frame)
        return self.ws

    async def _take(self, unique_id: str, action: str, payload: dict[str, Any]) -> None:
        call = Call(unique_id=unique_id, action=action, payload=payload)
        await validate_payload(call, VERSION[self.dialect])
        self.ids.append(unique_id)
        self.said.append((action, payload))
        self._heard.set()
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            answer = {"status": self.boots, "interval": 300}
        elif action == "StartTransaction":
            answer = {"transactionId": 42, "idTagInfo": {"status": "Accepted"}}
        assert self.ws is not None
        if self.answers:
            await self.ws.send_str(json.dumps([3, unique_id, answer]))

    async def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        assert self.ws is not None
        name = f"q{len(self._answered)}"
        self._answered[name] = asyncio.get_running_loop().create_future()
        await self.ws.send_str(json.dumps([2, name, action, payload]))
        frame = await self._answered[name]
        assert frame[0] == 3, frame
        answer: dict[str, Any] = frame[2]
        return answer

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._heard.clear()
            await self._heard.wait()

    def of(self, action: str) -> list[dict[str, Any]]:
        return [payload for said, payload in self.said if said == action]


@asynccontextmanager
async def a_centre(dialect: Dialect = Dialect.V16) -> AsyncIterator[Centre]:
    centre = Centre(dialect)
    app = web.Application()
    app.router.add_get("/ocpp/{charger_id}", centre.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    centre.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ocpp"
    try:
        yield centre
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_point(centre: Centre) -> AsyncIterator[ChargePoint]:
    stop = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        point = ChargePoint(
            ChargerSpec(charger_id="cp-1", dialect=centre.dialect, default_kw=4.0),
            centre.url,
            session,
            now=lambda: NOON,
            chance=Random(1),
            timing=LineTiming(first_delay_s=0.001, longest_delay_s=0.01, answer_s=5.0),
        )
        running = asyncio.create_task(point.run(stop))
        try:
            yield point
        finally:
            stop.set()
            await running


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def profile_of(limit_w: int, *, transaction: str | None = None) -> dict[str, Any]:
    named = {} if transaction is None else {"transactionId": int(transaction)}
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 7,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "W",
                "startSchedule": "2025-12-03T12:00:00Z",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_w}],
            },
        }
        | named,
    }


@pytest.mark.parametrize("dialect", Dialect)
def test_a_backlog_arrives_in_order_and_with_its_own_times(dialect: Dialect) -> None:
    async def check() -> None:
        async with a_centre(dialect) as centre, a_point(centre) as point:
            await centre.until(lambda: bool(centre.of("StatusNotification")))
            await point.line.settled()
            point.line.cut()
            point.plug_in()
            for minute in (10, 20):
                point.charger.live(NOON + timedelta(minutes=minute))
                point.tell()
            point.unplug()
            assert point.line.waiting == 4
            point.line.mend()
            await point.line.settled()
            assert len(centre.of("BootNotification")) == 1
            if dialect is Dialect.V201:
                events = centre.of("TransactionEvent")
                assert [event["eventType"] for event in events] == [
                    "Started",
                    "Updated",
                    "Updated",
                    "Ended",
                ]
                assert [event["seqNo"] for event in events] == [0, 1, 2, 3]
                assert {event["offline"] for event in events} == {True}
                times = [event["timestamp"][11:16] for event in events]
            else:
                meters = centre.of("MeterValues")
                assert [meter["transactionId"] for meter in meters] == [42, 42]
                (begun,), (ended,) = centre.of("StartTransaction"), centre.of("StopTransaction")
                assert (begun["meterStart"], ended["meterStop"]) == (0, 1333)
                rows = [begun, *(meter["meterValue"][0] for meter in meters), ended]
                times = [row["timestamp"][11:16] for row in rows]
            assert times == ["12:00", "12:10", "12:20", "12:20"]

    run(check())


@pytest.mark.parametrize("boots", ["Pending", "Rejected"])
def test_who_is_not_accepted_says_nothing_but_who_it_is(boots: str) -> None:
    async def check() -> None:
        async with a_centre() as centre:
            centre.boots = boots
            async with a_point(centre) as point:
                await centre.until(lambda: bool(centre.said))
                point.plug_in()
                point.tell()
                for _ in range(3):  # what was to leave would have left before the last of them
                    asked = {"requestedMessage": "MeterValues"}
                    answer = await centre.ask("TriggerMessage", asked)
                    assert answer == {"status": "Accepted"}
                assert [action for action, _ in centre.said] == ["BootNotification"]
                assert point.standing == boots

    run(check())


def test_a_message_without_an_answer_is_said_again_under_its_id_when_the_line_is_back() -> None:
    async def check() -> None:
        async with a_centre() as centre, a_point(centre) as point:
            await centre.until(lambda: bool(centre.of("StatusNotification")))
            await point.line.settled()
            centre.answers = False
            point.plug_in()
            await centre.until(lambda: len(centre.of("StatusNotification")) == 2)
            point.line.cut()
            centre.answers = True
            point.line.mend()
            await point.line.settled()
            assert len(centre.of("StartTransaction")) == 1
            centre.answers = False
            point.unplug()
            await centre.until(lambda: bool(centre.of("StopTransaction")))
            point.line.cut()
            centre.answers = True
            point.line.mend()
            await point.line.settled()
            first, second = [
                unique_id
                for unique_id, (action, _) in zip(centre.ids, centre.said, strict=True)
                if action == "StopTransaction"
            ]
            assert first == second

    run(check())


def test_it_starts_anew_in_a_loop() -> None:
    async def check() -> None:
        async with a_centre() as centre, a_point(centre) as point:
            point.suffer({BootLoop(every_s=1.0)})
            for second in range(3):
                await centre.until(lambda: len(centre.of("BootNotification")) == second + 1)  # noqa: B023
                await point.line.connected.wait()
                point.tick(NOON + timedelta(seconds=second))
            await centre.until(lambda: len(centre.of("BootNotification")) == 4)

    run(check())


def test_troubles_change_what_it_says_and_does() -> None:
    async def check() -> None:
        async with a_centre() as centre, a_point(centre) as point:
            await centre.until(lambda: bool(centre.of("StatusNotification")))
            stay = point.plug_in()
            await point.line.settled()
            point.suffer({Ignores()})
            answer = await centre.ask("SetChargingProfile", profile_of(1000, transaction="42"))
            assert answer == {"status": "Accepted"}
            assert point.charger.draw_kw(1) == 4.0
            point.suffer({Meddled(limit_kw=2.0)})
            asked = {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}
            schedule = (await centre.ask("GetCompositeSchedule", asked))["chargingSchedule"]
            assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 1000.0}]
            point.suffer({Wiped()})
            assert point.charger.profiles == []
            point.suffer({Refuses()})
            assert await centre.ask("SetChargingProfile", profile_of(1000)) == {
                "status": "Rejected"
            }
            point.suffer({Twice()})
            point.tell()
            await centre.until(lambda: len(set(centre.ids)) == len(centre.ids) - 1)
            point.suffer({Garbled()})
            point.tell()
            await point.line.settled()
            assert (point.counts["broken"], stay.transaction) == (1, "42")
            point.suffer({Skewed(seconds=600.0)})
            point.tell()
            await point.line.settled()
            at = centre.of("MeterValues")[-1]["meterValue"][0]["timestamp"]
            assert at == "2025-12-03T12:10:00Z"
            point.suffer({Mute()})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(centre.ask("Reset", {"type": "Soft"}), 0.05)
            point.suffer({Away()})
            point.suffer(())
            await centre.until(lambda: len(centre.of("StatusNotification")) == 3)

    run(check())


@pytest.mark.parametrize(
    "odd",
    [
        {},
        profile_of(1000) | {"connectorId": "one"},
        profile_of(-1),
        {"connectorId": 1, "csChargingProfiles": {"chargingProfileKind": "Recurring"}},
    ],
)
def test_a_question_that_cannot_be_read_gets_an_error_and_changes_nothing(
    odd: dict[str, Any],
) -> None:
    async def check() -> None:
        async with a_centre() as centre, a_point(centre) as point:
            await centre.until(lambda: bool(centre.of("StatusNotification")))
            point.plug_in()
            await point.line.settled()
            with pytest.raises(AssertionError, match="4"):
                await centre.ask("SetChargingProfile", odd)
            assert point.charger.profiles == []

    run(check())


def test_a_fleet_lives_the_same_day_whatever_the_line_does() -> None:
    async def registers(url: str) -> list[float]:
        clock, stop = SimulatedClock(NOON), asyncio.Event()
        specs = [ChargerSpec(charger_id=f"cp-{n}") for n in range(5)]
        async with aiohttp.ClientSession() as session:
            fleet = ChargerFleet(specs, url, session, clock.seat("chargers"), seed=3)
            beat = clock.seat("end")

            async def end() -> None:
                await beat.wait_until(NOON + timedelta(minutes=5), stop)
                stop.set()

            await asyncio.gather(fleet.run(stop), clock.run(stop), end())
            return [point.charger.connectors[1].register_kwh for point in fleet.points.values()]

    async def check() -> None:
        async with a_centre() as centre:
            with_line = await registers(centre.url)
        assert await registers("http://127.0.0.1:1/") == with_line
        assert sum(with_line) > 0

    run(check())
