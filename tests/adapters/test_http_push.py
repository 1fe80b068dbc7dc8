"""Gateways that call us: who is let in, what is taken, and that a command is a state and no queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from adapters import http_push
from adapters.http_push import PushDoor, PushLink
from adapters.payload_mapping import ForeignDevice
from tests.adapters.httpdevices import NOON, Wall, a_setpoint, until
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.ports import Message
from vpp.service.http import reserved_port
from vpp.service.links.payloadmaps import load_payload_map
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection
from vpp.wire import AckMessage, TelemetryMessage

MILL, FARM = EnterpriseId("mill"), EnterpriseId("farm")
TOLD = {"time": "2025-12-03T12:00:00Z", "power_kw": -5.0}


def a_device(name: str, owner: EnterpriseId, *, read_only: bool = False) -> ForeignDevice:
    return ForeignDevice(
        device_id=ResourceId(name),
        enterprise_id=owner,
        site_id="gate",
        names={"device": name},
        is_meter=False,
        read_only=read_only,
    )


@dataclass
class Called:
    """Two gateways of two enterprises at one door, and whoever calls it."""

    url: str
    http: aiohttp.ClientSession
    mill: PushLink
    farm: PushLink
    wall: Wall
    tokens: dict[str, str]
    heard: list[Message] = field(default_factory=list)

    def telemetry(self) -> list[TelemetryMessage]:
        found = [m.payload for m in self.heard if m.topic.endswith("/telemetry")]
        return [msgspec.json.decode(payload, type=TelemetryMessage) for payload in found]

    def acks(self) -> list[AckMessage]:
        found = [m.payload for m in self.heard if m.topic.endswith("/ack")]
        return [msgspec.json.decode(payload, type=AckMessage) for payload in found]

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = "mill token"
    ) -> tuple[int, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        url = f"{self.url}/push/{path}"
        async with self.http.request(method, url, data=data, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def read(self, link: PushLink) -> None:
        async for message in link.messages():
            self.heard.append(message)

    async def posts(self, path: str, body: Any = TOLD) -> tuple[int, Any]:
        return await self.ask("POST", path, body)


@asynccontextmanager
async def called(*, reads: bool = True) -> AsyncIterator[Called]:
    wall, tokens = Wall(), {"mill": "mill token", "farm": "farm token"}

    def token(name: str) -> str:
        if name not in tokens:
            raise UnavailableError("there is no value", where=f"file {name}", fix="Put it there")
        return tokens[name]

    payload_map = load_payload_map("push-json", Path())
    mill, farm = (
        PushLink(name, payload_map, devices, token=lambda name=name: token(name), now=wall.now)  # type: ignore[misc]
        for name, devices in (
            ("mill", [a_device("u1", MILL), a_device("meter", MILL, read_only=True)]),
            ("farm", [a_device("pv", FARM)]),
        )
    )
    with reserved_port() as port:
        listen = ListenSection(port=port, requests_per_minute=1_000_000)
        routes = PushDoor([mill, farm]).routes()
        face = OuterFace(name="http_devices", listen=listen, routes=routes)
        async with (
            mill,
            farm,
            serve_face(face, folder=Path()) as url,
            aiohttp.ClientSession() as http,
        ):
            bench = Called(url, http, mill, farm, wall, tokens)
            reading = [asyncio.create_task(bench.read(link)) for link in (mill, farm) if reads]
            yield bench
    await asyncio.gather(*reading)


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_a_message_is_answered_when_the_service_has_read_it() -> None:
    async def check() -> None:
        async with called() as bench:
            assert await bench.posts("mill/devices/u1") == (
                200,
                {"revision": 0, "commands": [], "refused": {}},
            )
            assert bench.telemetry() == [
                TelemetryMessage(ts="2025-12-03T12:00:00Z", seq=1, power_kw=-5.0)
            ]
            assert bench.heard[0].topic == "vpp/v1/mill/gate/u1/telemetry"
            await bench.posts("mill/devices/u1")  # its answer was lost
            assert len(bench.heard) == 1

    run(check())


def test_a_message_that_nobody_reads_is_given_back_and_few_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_push, "TAKEN_S", 0.05)
    monkeypatch.setattr(http_push, "AT_ONCE", 3)

    async def check() -> None:
        async with called(reads=False) as bench:
            bodies = [TOLD | {"power_kw": kw, "soc": kw / 10} for kw in range(4)]
            found = await asyncio.gather(*(bench.posts("mill/devices/u1", b) for b in bodies))
            assert sorted(answer["error"] for status, answer in found if status == 503) == [
                *["the service is late"] * 3,
                "too many wait",
            ]
            # What was given back is sent again, and is no repetition then.
            (kw,) = [kw for kw in range(4) if found[kw][1]["error"] == "too many wait"]
            read = asyncio.create_task(bench.read(bench.mill))
            assert (await bench.posts("mill/devices/u1", bodies[kw]))[0] == 200
            assert [one.power_kw for one in bench.telemetry()].count(kw) == 1
            read.cancel()

    run(check())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("gateway", "token"),
    [
        pytest.param("mill", None, id="no token"),
        pytest.param("mill", "", id="an empty token"),
        pytest.param("mill", "farm token", id="another's token"),
        pytest.param("mill", "mill tokens", id="a token and more"),
        pytest.param("nobody", "mill token", id="no such gateway"),
        pytest.param("mill%00", "mill token", id="an odd name"),
    ],
)
def test_a_stranger_gets_the_same_answer_whatever_he_tries(
    method: str, gateway: str, token: str | None
) -> None:
    async def check() -> None:
        async with called() as bench:
            path = f"{gateway}/devices/u1" if method == "POST" else gateway
            status, answer = await bench.ask(method, path, TOLD, token=token)
            assert status == 401
            assert (answer["code"], answer["detail"]) == ("bad_request", "Unauthorized")
            assert bench.heard == []
            assert not bench.mill.connected

    run(check())


def test_a_message_without_a_point_of_the_map_shows_in_the_fault() -> None:
    async def check() -> None:
        async with called() as bench:
            assert (await bench.posts("mill/devices/u1", {"powerKw": 1}))[0] == 200
            assert bench.mill.fault == "the newest message has none of the map's points"
            await bench.posts("mill/devices/u1")
            assert bench.mill.fault is None

    run(check())


def test_a_token_of_octets_that_are_no_text_is_a_wrong_one() -> None:
    async def check() -> None:
        async with called() as bench:
            assert not bench.mill.admits("mill token\udcff")

    run(check())


def test_a_gateway_reaches_its_own_devices_whatever_names_it_says() -> None:
    async def check() -> None:
        async with called() as bench:
            assert (await bench.posts("mill/devices/pv"))[0] == 422
            assert (await bench.posts("mill/devices/pv/../u1%2F..%2Fpv"))[0] == 422
            assert bench.heard == []
            await bench.ask("POST", "farm/devices/pv", TOLD, token="farm token")
            await bench.farm.send([a_setpoint_for("pv", FARM)])
            _, answer = await bench.ask("GET", "mill")
            assert answer["commands"] == []

    run(check())


def a_setpoint_for(name: str, owner: EnterpriseId, seq: int = 1, power_kw: float = -3.0) -> Any:
    made = a_setpoint(power_kw, seq, name)
    return type(made)(**{f: getattr(made, f) for f in made.__slots__} | {"enterprise_id": owner})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "not_json", id="nothing"),
        pytest.param(b"[" * 100_000, "not_json", id="nested without end"),
        pytest.param(b" " * 300_000, "too_large", id="too large"),
        pytest.param(TOLD | {"power_kw": "much"}, "not_a_number", id="no number"),
        pytest.param(TOLD | {"time": "now"}, "bad_time", id="no time"),
    ],
)
def test_what_cannot_be_read_is_said_to_who_sent_it(body: Any, reason: str) -> None:
    async def check() -> None:
        async with called() as bench:
            status, answer = await bench.posts("mill/devices/u1", body)
            assert (status, answer["refused"]) == (422, {reason: 1})
            assert "could not be read" in (bench.mill.fault or "")
            await bench.posts("mill/devices/u1")
            assert bench.mill.fault is None

    run(check())


def test_a_command_stands_in_every_answer_until_it_is_answered() -> None:
    async def check() -> None:
        async with called() as bench:
            await bench.posts("mill/devices/u1")
            await bench.mill.send([a_setpoint_for("u1", MILL, seq=4)])
            for second in (1, 2):  # the first answer may be lost
                at = TOLD | {"time": f"2025-12-03T12:00:0{second}Z"}
                _, answer = await bench.posts("mill/devices/u1", at)
                assert answer["commands"] == [
                    {
                        "to": "devices/u1/command",
                        "payload": {
                            "id": "c4",
                            "power_kw": -3.0,
                            "until": "2025-12-03T12:02:00Z",
                            "valid_s": 120,
                        },
                    }
                ]
            taken = {"id": "c4", "accepted": True}
            assert (await bench.posts("mill/devices/u1/answer", taken))[1]["commands"] == []
            assert [ack.accepted for ack in bench.acks()] == [True]

    run(check())


def test_a_device_that_shows_its_set_point_is_not_told_again() -> None:
    async def check() -> None:
        async with called() as bench:
            await bench.posts("mill/devices/u1")
            await bench.mill.send([a_setpoint_for("u1", MILL, seq=4)])
            assert len((await bench.ask("GET", "mill"))[1]["commands"]) == 1
            shows = {"time": "2025-12-03T12:00:01Z", "power_kw": -5.0, "setpoint_kw": -3.0}
            assert (await bench.posts("mill/devices/u1", shows))[1]["commands"] == []
            assert bench.telemetry()[-1].setpoint_seq == 4

    run(check())


def test_a_newer_command_takes_the_place_of_the_older_and_one_that_has_ended_is_gone() -> None:
    async def check() -> None:
        async with called() as bench:
            await bench.posts("mill/devices/u1")
            await bench.mill.send([a_setpoint_for("u1", MILL, seq=1)])
            await bench.mill.send([a_setpoint_for("u1", MILL, seq=2, power_kw=-4.0)])
            _, answer = await bench.ask("GET", "mill")
            assert [one["payload"]["id"] for one in answer["commands"]] == ["c2"]
            bench.wall.moment = NOON + timedelta(minutes=2)
            assert (await bench.ask("GET", "mill"))[1]["commands"] == []

    run(check())


def test_an_open_question_is_answered_at_once_when_a_command_comes() -> None:
    async def check() -> None:
        async with called() as bench:
            older = asyncio.create_task(bench.ask("GET", "mill?after=0&wait_s=60"))
            await until(lambda: bench.mill.connected)
            newest = asyncio.create_task(bench.ask("GET", "mill?after=0&wait_s=60"))
            assert (await older)[1]["commands"] == []  # the newest question is the one that waits
            await bench.mill.send([a_setpoint_for("u1", MILL)])
            _, answer = await newest
            assert (answer["revision"], len(answer["commands"])) == (1, 1)
            status, _ = await bench.ask("GET", "mill?after=x")
            assert status == 400

    run(check())


def test_a_gateway_that_is_silent_is_away_and_gets_no_wish_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        async with called() as bench:
            assert bench.mill.fault == "has not called yet"
            (unsent,) = await bench.mill.send([a_setpoint_for("u1", MILL)])
            assert unsent.reason == "mill: has not called yet"
            monkeypatch.setattr(bench.mill, "_silent_after_s", 0.05)
            await bench.posts("mill/devices/u1")
            assert await bench.mill.send([a_setpoint_for("u1", MILL, seq=1)]) == ()
            await until(lambda: not bench.mill.connected)
            (unsent,) = await bench.mill.send([a_setpoint_for("u1", MILL, seq=2)])
            assert unsent.reason == "mill: has not called for 0.05 s, last from 127.0.0.1"
            _, answer = await bench.ask("GET", "mill")
            assert answer["commands"] == []
            assert bench.mill.reconnects == 1

    run(check())


def test_a_gateway_with_a_question_open_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with called() as bench:
            monkeypatch.setattr(bench.mill, "_silent_after_s", 0.4)
            for _ in range(3):
                await bench.ask("GET", "mill?after=0&wait_s=20")
                assert bench.mill.connected

    run(check())


def test_a_device_that_is_read_only_is_given_no_command() -> None:
    async def check() -> None:
        async with called() as bench:
            await bench.posts("mill/devices/meter")
            (unsent,) = await bench.mill.send([a_setpoint_for("meter", MILL)])
            assert unsent.reason == "mill: is read-only"
            assert (await bench.ask("GET", "mill"))[1]["commands"] == []

    run(check())


def test_a_token_may_change_and_where_it_is_gone_nobody_is_let_in() -> None:
    async def check() -> None:
        async with called() as bench:
            bench.tokens["mill"] = "another token"
            assert (await bench.posts("mill/devices/u1"))[0] == 401
            assert (await bench.ask("GET", "mill", token="another token"))[0] == 200
            del bench.tokens["mill"]
            assert (await bench.ask("GET", "mill", token=""))[0] == 401
            assert "nobody can be let in: file mill" in (bench.mill.fault or "")

    run(check())
