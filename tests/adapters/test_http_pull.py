"""Devices that are asked over HTTP: what is believed, what is sent, and what becomes of a gateway that fails."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from aiohttp import web

from adapters import http_pull, letting_go
from adapters.http_pull import PullAddress, PullLink, PullTiming
from tests.adapters.httpdevices import (
    MAP,
    NOON,
    Units,
    Wall,
    a_device,
    a_map,
    a_setpoint,
    units,
    until,
)
from tests.adapters.papers import Papers
from tests.patience import PATIENCE_S
from vpp.errors import UnavailableError
from vpp.wire import AckMessage, TelemetryMessage

QUICK = PullTiming(poll_s=0.01, timeout_s=0.2, first_delay_s=0.01, longest_delay_s=0.05)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letting_go, "LOOK_S", 0.005)


@dataclass
class Heard:
    """A link and what came over it."""

    link: PullLink
    there: Units
    telemetry: list[tuple[str, TelemetryMessage]] = field(default_factory=list)
    acks: list[AckMessage] = field(default_factory=list)

    async def read(self) -> None:
        async for message in self.link.messages():
            *_, device, leaf = message.topic.split("/")
            if leaf == "ack":
                self.acks.append(msgspec.json.decode(message.payload, type=AckMessage))
            else:
                told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                self.telemetry.append((device, told))

    def powers(self, device: str) -> list[float]:
        return [told.power_kw for name, told in self.telemetry if name == device]


def telling(kw: float = 5.0, second: int = 0, told: float | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"t": NOON.timestamp() + second, "kw": kw}
    return body if told is None else body | {"told": told}


@asynccontextmanager
async def asked(
    folder: Path,
    *names: str,
    read_only: bool = False,
    timing: PullTiming = QUICK,
    wall: Wall | None = None,
    headers: Any = dict,
    text: str = MAP,
) -> AsyncIterator[Heard]:
    names = names or ("u1",)
    async with units(**{name: telling() for name in names}) as there:
        link = PullLink(
            PullAddress(url=there.url, headers=headers),
            a_map(folder, text),
            [a_device(name, read_only=read_only) for name in names],
            now=(wall or Wall()).now,
            jitter=Random(1),
            timing=timing,
        )
        heard = Heard(link, there)
        reading = asyncio.create_task(heard.read())
        async with link:
            yield heard
        await reading


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_what_a_unit_tells_is_its_telemetry_once_and_draw_is_below_zero_here(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:
            await until(lambda: heard.there.asked["units/u1"] >= 5)
            assert heard.telemetry == [
                ("u1", TelemetryMessage(ts="2025-12-03T12:00:00Z", seq=1, power_kw=-5.0))
            ]
            assert heard.link.connected
            assert heard.link.fault is None

    run(check())


def test_an_answer_that_is_late_is_never_taken_for_that_of_another_path(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path, "u1", "u2") as heard:
            free = asyncio.Event()

            async def late(request: web.Request) -> web.Response:
                await free.wait()
                return web.json_response(telling(kw=99.0, second=1))

            await until(lambda: bool(heard.powers("u1")))
            heard.there.odd["units/u1"] = late
            await until(lambda: "no answer within 0.2 s" in (heard.link.fault or ""))
            free.set()
            del heard.there.odd["units/u1"]
            for second in range(2, 6):
                heard.there.tells["u2"] = telling(kw=second, second=second)
                await until(lambda s=second: heard.powers("u2")[-1] == -s)  # type: ignore[misc]
            await until(lambda: heard.link.fault is None)
            assert 99.0 not in map(abs, heard.powers("u2"))

    run(check())


def test_a_dead_path_is_asked_rarely_and_the_others_keep_their_pace(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path, "u1", "u2") as heard:

            async def gone(request: web.Request) -> web.Response:
                return web.Response(status=404)

            await until(lambda: bool(heard.powers("u1")) and bool(heard.powers("u2")))
            heard.there.odd["units/u1"] = gone
            heard.there.asked.clear()
            await until(lambda: heard.there.asked["units/u2"] >= 40)
            assert heard.there.asked["units/u1"] <= 4  # three times, and once that was under way
            assert heard.link.connected
            assert heard.link.fault == "units/u1: answered 404"

    run(check())


def test_a_gateway_that_comes_back_is_asked_for_everything_at_once(tmp_path: Path) -> None:
    """Also for what did not answer for long before it went."""

    async def check() -> None:
        async with asked(tmp_path, "u1", "u2") as heard:

            async def gone(request: web.Request) -> web.Response:
                return web.Response(status=404)

            await until(lambda: bool(heard.powers("u1")) and bool(heard.powers("u2")))
            heard.there.odd["units/u1"] = gone
            heard.there.asked.clear()
            await until(lambda: heard.there.asked["units/u2"] >= 20)
            await heard.there.stop()
            await until(lambda: not heard.link.connected)
            del heard.there.odd["units/u1"]
            for name in ("u1", "u2"):
                heard.there.tells[name] = telling(kw=7.0, second=1)
            await heard.there.start()
            await until(lambda: heard.powers("u1")[-1] == heard.powers("u2")[-1] == -7.0)
            assert heard.link.reconnects == 1

    run(check())


@pytest.mark.parametrize(
    ("status", "refused", "unsent"),
    [
        pytest.param(200, None, None, id="taken"),
        pytest.param(403, "answered 403", None, id="refused"),
        pytest.param(429, None, "answered 429", id="busy"),
        pytest.param(503, None, "answered 503", id="ill"),
        pytest.param(302, None, "answered 302", id="sent elsewhere"),
    ],
)
def test_the_status_says_what_becomes_of_a_command(
    tmp_path: Path, status: int, refused: str | None, unsent: str | None
) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:

            async def answer(request: web.Request) -> web.Response:
                return web.Response(status=status, headers={"Location": "/units/u1"})

            await until(lambda: heard.link.connected)
            heard.there.odd["units/u1/limit"] = answer
            told = await heard.link.send([a_setpoint(-3.0)])
            if unsent is not None:
                assert [one.reason for one in told] == [f"{heard.there.url}: {unsent}"]
                return
            assert told == ()
            await until(lambda: bool(heard.acks))
            assert (heard.acks[0].accepted, heard.acks[0].reason) == (refused is None, refused)

    run(check())


def test_a_command_that_is_not_answered_is_told_as_unsent(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:

            async def hang(request: web.Request) -> web.Response:
                await asyncio.Event().wait()
                raise AssertionError

            await until(lambda: heard.link.connected)
            heard.there.odd["units/u1/limit"] = hang
            (unsent,) = await heard.link.send([a_setpoint(-3.0)])
            assert unsent.reason == f"{heard.there.url}: no answer within 0.2 s"
            del heard.there.odd["units/u1/limit"]

    run(check())


def test_a_unit_that_says_yes_and_does_nothing_is_not_taken_at_its_word(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:
            heard.there.obeys = False
            await until(lambda: heard.link.connected)
            await heard.link.send([a_setpoint(-3.0, seq=9)])
            heard.there.tells["u1"] = telling(second=1, told=0.0)
            await until(lambda: bool(heard.acks) and len(heard.telemetry) >= 2)
            assert heard.acks[0].accepted
            assert heard.telemetry[-1][1].setpoint_seq is None
            heard.there.tells["u1"] = telling(second=2, told=3.0)
            await until(lambda: len(heard.telemetry) >= 3)
            assert heard.telemetry[-1][1].setpoint_seq == 9

    run(check())


def test_a_path_that_tells_nothing_is_a_fault_whatever_the_others_tell(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path, "u1", "u2") as heard:
            heard.there.tells["u1"] = {"t": NOON.timestamp()}
            await until(lambda: bool(heard.powers("u2")) and heard.there.asked["units/u1"] > 5)
            asked_before = heard.there.asked["units/u2"]
            await until(lambda: heard.there.asked["units/u2"] > asked_before + 1)
            assert heard.link.fault == "units/u1: the newest answer has none of the map's points"

    run(check())


def test_a_command_that_ended_before_its_turn_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_pull, "AT_ONCE", 1)
    wall, asking, answer = Wall(), asyncio.Event(), asyncio.Event()

    async def check() -> None:
        async with asked(tmp_path, wall=wall, timing=replace(QUICK, timeout_s=20)) as heard:

            async def slow(request: web.Request) -> web.Response:
                asking.set()
                await answer.wait()
                return web.json_response(telling())

            await until(lambda: heard.there.written == [("u1", None)])
            heard.there.odd["units/u1"] = slow
            await asking.wait()
            sending = asyncio.create_task(heard.link.send([a_setpoint(-3.0)]))
            await asyncio.sleep(0)
            wall.moment += timedelta(minutes=2)
            answer.set()
            (unsent,) = await sending
            assert unsent.reason == f"{heard.there.url}: it ended before its turn came"
            assert heard.there.written == [("u1", None)]

    run(check())


def test_what_somebody_else_sets_is_told_as_refused_and_the_unit_is_let_go(tmp_path: Path) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:
            await until(lambda: heard.link.connected)
            await heard.link.send([a_setpoint(-3.0)])
            assert heard.there.written[-1] == ("u1", 3.0)
            heard.there.tells["u1"] = telling(second=1, told=3.0)
            await until(lambda: heard.telemetry[-1][1].setpoint_seq == 1)
            heard.there.tells["u1"] = telling(second=2, told=8.0)
            await until(lambda: len(heard.acks) == 2)
            assert heard.acks[1].reason == "somebody else has set it to -8 kW"
            await until(lambda: heard.there.written[-1] == ("u1", None))

    run(check())


def test_a_unit_is_let_go_when_its_command_has_ended_and_not_before(tmp_path: Path) -> None:
    wall = Wall()

    async def check() -> None:
        async with asked(tmp_path, wall=wall) as heard:
            await until(lambda: heard.there.written == [("u1", None)])  # as after a kill
            await heard.link.send([a_setpoint(-3.0)])
            wall.moment += timedelta(minutes=1)
            await heard.link.send([a_setpoint(-4.0, seq=2)])
            assert heard.there.written[1:] == [("u1", 3.0), ("u1", 4.0)]
            wall.moment += timedelta(minutes=1)
            await until(lambda: heard.there.written[-1] == ("u1", None))

    run(check())


def test_what_lets_a_unit_go_is_never_overtaken_by_a_newer_command(tmp_path: Path) -> None:
    async def check() -> None:
        free = asyncio.Event()
        waiting: list[None] = []
        arrived: list[float | None] = []

        async def slow_to_let_go(request: web.Request) -> web.Response:
            if (said := (await request.json())["kw"]) is None and not free.is_set():
                waiting.append(said)
                await free.wait()
            arrived.append(said)
            return web.Response()

        async with asked(tmp_path, timing=replace(QUICK, timeout_s=5.0)) as heard:
            heard.there.odd["units/u1/limit"] = slow_to_let_go
            await until(lambda: len(waiting) == 1)
            sending = asyncio.create_task(heard.link.send([a_setpoint(-3.0)]))
            polls = heard.there.asked["units/u1"] + 10
            await until(lambda: heard.there.asked["units/u1"] >= polls)
            free.set()
            assert await sending == ()
            assert arrived == [None, 3.0]

    run(check())


def test_a_unit_is_not_let_go_after_a_newer_command_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_pull, "AT_ONCE", 1)
    wall = Looked()

    async def check() -> None:
        free, held = asyncio.Event(), asyncio.Event()

        async def late(request: web.Request) -> web.Response:
            held.set()
            await free.wait()
            return web.json_response(telling(second=1))

        async with asked(tmp_path, timing=replace(QUICK, timeout_s=5.0), wall=wall) as heard:
            await until(lambda: heard.there.written == [("u1", None)])
            await heard.link.send([a_setpoint(-3.0)])
            heard.there.odd["units/u1"] = late
            await held.wait()
            newer = replace(a_setpoint(-4.0, seq=2), expires_at=NOON + timedelta(minutes=9))
            sending = asyncio.create_task(heard.link.send([newer]))  # waits for the question
            await asyncio.sleep(0)
            wall.moment += timedelta(minutes=3)
            looks = wall.looks
            await until(lambda: wall.looks > looks)  # the first one has ended, and is to be let go
            del heard.there.odd["units/u1"]
            free.set()
            assert await sending == ()
            looks = wall.looks + 20
            await until(lambda: wall.looks > looks)
            assert heard.there.written == [("u1", None), ("u1", 3.0), ("u1", 4.0)]

    run(check())


@dataclass
class Looked(Wall):
    """A wall that counts how often its time was read."""

    looks: int = 0

    def now(self) -> datetime:
        self.looks += 1
        return self.moment


def test_a_unit_is_let_go_when_the_service_stops(tmp_path: Path) -> None:
    async def check() -> None:
        async with units(u1=telling()) as there:
            link = PullLink(
                PullAddress(url=there.url),
                a_map(tmp_path),
                [a_device()],
                now=Wall().now,
                jitter=Random(1),
                timing=QUICK,
            )
            async with link:
                await until(lambda: link.connected)
                await link.send([a_setpoint(-3.0)])
                # Whoever is not heard just now may hear all the same.
                there.odd["units/u1"] = _unwell
                await until(lambda: not link.connected)
            assert there.written[-1] == ("u1", None)

    run(check())


async def _unwell(request: web.Request) -> web.Response:
    return web.Response(status=500)


def test_a_unit_that_is_read_only_is_asked_by_get_and_by_nothing_else(tmp_path: Path) -> None:
    methods: set[str] = set()

    async def check() -> None:
        nonlocal methods
        async with asked(tmp_path, read_only=True) as heard:
            await until(lambda: heard.link.connected)
            (unsent,) = await heard.link.send([a_setpoint(-3.0)])
            assert unsent.reason.endswith("is read-only")
            await until(lambda: heard.there.asked["units/u1"] >= 5)
            methods = heard.there.methods

    run(check())
    assert methods == {"GET"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        pytest.param(web.Response, "could not be read", id="nothing"),
        pytest.param(
            lambda: web.Response(body=b" " * 300_000),
            "sends more than 262144 bytes",
            id="too large",
        ),
        pytest.param(
            lambda: web.Response(status=302, headers={"Location": "/units/u2"}),
            "answered 302",
            id="a redirect",
        ),
        pytest.param(
            lambda: web.json_response(telling() | {"kw": "NaN"}),
            "could not be read",
            id="no number",
        ),
        pytest.param(
            lambda: web.json_response({"error": "no such unit"}),
            "units/u1: the newest answer has none of the map's points",
            id="none of the points",
        ),
    ],
)
def test_an_answer_that_says_nothing_shows_in_the_fault_until_one_can_be_read(
    tmp_path: Path, answer: Any, fault: str
) -> None:
    async def check() -> None:
        async with asked(tmp_path) as heard:

            async def odd(request: web.Request) -> web.Response:
                found = answer()
                assert isinstance(found, web.Response)
                return found

            await until(lambda: bool(heard.powers("u1")))
            heard.there.odd["units/u1"] = odd
            await until(lambda: fault in (heard.link.fault or ""))
            del heard.there.odd["units/u1"]
            await until(lambda: heard.link.fault is None)
            assert heard.powers("u1") == [-5.0]

    run(check())


def test_credentials_are_sent_with_every_request_and_asked_for_each_time(tmp_path: Path) -> None:
    keys = iter(["first", "second"])
    newest = "none"

    def headers() -> Mapping[str, str]:
        nonlocal newest
        newest = next(keys, newest)
        return {"X-Api-Key": newest}

    async def check() -> None:
        async with asked(tmp_path, headers=headers) as heard:
            await until(lambda: heard.there.headers.get("X-Api-Key") == "second")
            await heard.link.send([a_setpoint(-3.0)])
            assert heard.there.headers["X-Api-Key"] == "second"

    run(check())


def test_a_secret_that_is_not_there_is_a_fault_that_names_its_place(tmp_path: Path) -> None:
    def headers() -> Mapping[str, str]:
        raise UnavailableError("there is no value", where="environment variable KEY", fix="Set it")

    async def check() -> None:
        async with asked(tmp_path, headers=headers) as heard:
            await until(lambda: "environment variable KEY" in (heard.link.fault or ""))
            assert not heard.there.asked

    run(check())


ANSWERING = MAP.replace(
    "sources:",
    "answer:\n  topic: units/{unit}/limit\n  command_id: id\n  accepted: ok\n  values: [true]\n"
    "  reason: why\nsources:\n  answer: {ref: a test, mark: ours, confidence: H, valid: all}",
).replace('payload: {kw: "{power}"}', 'payload: {kw: "{power}", id: "{command_id}"}')


@pytest.mark.parametrize(
    ("answer", "accepted", "reason"),
    [
        pytest.param({"id": "c1", "ok": True}, True, None, id="taken"),
        pytest.param({"id": "c1", "ok": False, "why": "too hot"}, False, "'too hot'", id="refused"),
    ],
)
def test_an_answer_in_words_says_more_than_its_status(
    tmp_path: Path, answer: dict[str, Any], accepted: bool, reason: str | None
) -> None:
    async def check() -> None:
        async with asked(tmp_path, text=ANSWERING) as heard:

            async def words(request: web.Request) -> web.Response:
                return web.json_response(answer)

            await until(lambda: heard.link.connected)
            heard.there.odd["units/u1/limit"] = words
            assert await heard.link.send([a_setpoint(-3.0)]) == ()
            await until(lambda: bool(heard.acks))
            assert (heard.acks[0].accepted, heard.acks[0].reason) == (accepted, reason)

    run(check())


def test_a_gateway_with_a_certificate_of_its_own_is_asked_by_who_trusts_that_alone(
    tmp_path: Path, require_program: Callable[[str, str], Path]
) -> None:
    papers = Papers(tmp_path, require_program("openssl", "apt-get install openssl"))
    papers.authority()
    papers.make("unit", 2)
    shows = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shows.load_cert_chain(tmp_path / "unit.pem", tmp_path / "unit.key")
    trusts = ssl.create_default_context(cafile=tmp_path / "ca.pem")

    def a_link(url: str, context: ssl.SSLContext | None) -> PullLink:
        return PullLink(
            PullAddress(url=url, context=lambda: context),
            a_map(tmp_path),
            [a_device()],
            now=Wall().now,
            jitter=Random(1),
            timing=QUICK,
        )

    async def check() -> None:
        async with units(shows, u1=telling()) as there:
            async with a_link(there.url, None) as stranger:
                await until(lambda: "certificate verify failed" in (stranger.fault or ""))
                assert not there.asked
            async with a_link(there.url, trusts) as trusting:
                await until(lambda: trusting.connected)

    run(check())
