"""Answers that pages share, files that are packed, and listeners that are let go."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.patience import PATIENCE_S
from vpp.service.api import stream
from vpp.service.api.pages import static_files, web_folder
from vpp.service.api.shared import LEAST_S, MOST_AGE_S, MOST_ANSWERS, SharedAnswers, takes_gzip
from vpp.service.plant import Plant

STALE = {"Cache-Control": "max-stale=1"}


@dataclass
class Kitchen:
    """Makes answers, counts them, and owns the time."""

    newest: int = 1
    at_s: float = 1000.0
    made: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self.shared = SharedAnswers(lambda: self.newest, clock=lambda: self.at_s)

    async def make(self) -> web.Response:
        self.made += 1
        number = self.made
        self.begun.set()
        await self.gate.wait()
        return web.Response(body=b"%d" % number)

    async def ask(self, path: str = "/v1/park") -> bytes:
        answer = await self.shared.answer(make_mocked_request("GET", path), self.make)
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        return answer.body


def test_who_asks_the_same_before_anything_happened_gets_the_same_answer() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        assert [await kitchen.ask() for _ in range(3)] == [b"1", b"1", b"1"]
        assert await kitchen.ask("/v1/plan") == b"2"

    asyncio.run(run())


def test_a_hundred_who_ask_at_once_cost_one_answer() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()
        asked = [asyncio.create_task(kitchen.ask()) for _ in range(100)]
        await asyncio.sleep(0)
        kitchen.gate.set()
        assert set(await asyncio.gather(*asked)) == {b"1"}

    asyncio.run(run())


def test_an_event_a_write_and_a_second_each_make_it_anew() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        assert await kitchen.ask() == b"1"
        kitchen.newest, kitchen.at_s = 2, kitchen.at_s + LEAST_S
        assert await kitchen.ask() == b"2"
        kitchen.shared.changed()
        kitchen.at_s += LEAST_S
        assert await kitchen.ask() == b"3"
        kitchen.at_s += MOST_AGE_S
        assert await kitchen.ask() == b"3"
        kitchen.at_s += 0.001
        assert await kitchen.ask() == b"4"

    asyncio.run(run())


def test_who_asks_after_an_event_never_gets_what_was_begun_before_it() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()
        early = asyncio.create_task(kitchen.ask())
        await kitchen.begun.wait()
        kitchen.newest, kitchen.at_s = 2, kitchen.at_s + LEAST_S
        late = asyncio.create_task(kitchen.ask())
        await asyncio.sleep(0)
        kitchen.gate.set()
        assert (await early, await late) == (b"1", b"2")

    asyncio.run(run())


def test_who_goes_away_does_not_take_the_answer_from_the_others() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()
        one, other = (asyncio.create_task(kitchen.ask()) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        kitchen.gate.set()
        assert await other == b"1"

    asyncio.run(run())


def test_only_so_many_answers_are_kept() -> None:
    async def run() -> None:
        kitchen = Kitchen()
        for number in range(MOST_ANSWERS + 1):
            await kitchen.ask(f"/v1/park?n={number}")
        assert await kitchen.ask("/v1/park?n=1") == b"2"  # kept
        assert await kitchen.ask("/v1/park?n=0") == b"%d" % (MOST_ANSWERS + 2)  # the oldest went

    asyncio.run(run())


def test_a_refusal_is_not_kept(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            for _ in range(2):
                answer = await client.get("/v1/resources/nobody", headers=STALE)
                assert (answer.status, (await answer.json())["code"]) == (404, "unknown_resource")

    asyncio.run(run())


def test_who_does_not_ask_for_it_gets_an_answer_of_his_own(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            await (await client.get("/v1/status", headers=STALE)).json()
            plant.safe_state_reason = "without an event"
            fresh = await (await client.get("/v1/status")).json()
            assert fresh["safe_state_reason"] == "without an event"

    asyncio.run(run())


def test_a_large_shared_answer_comes_packed(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            whole = await (await client.get("/v1/tree")).read()
            packed = await client.get("/v1/tree", headers=STALE | {"Accept-Encoding": "gzip"})
            assert packed.headers["Content-Encoding"] == "gzip"
            assert int(packed.headers["Content-Length"]) < len(whole) / 3
            assert await packed.read() == whole

    asyncio.run(run())


@pytest.mark.parametrize(
    ("accepts", "takes"),
    [
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_gzip_goes_to_who_says_that_he_unpacks_it(accepts: str, takes: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept-Encoding": accepts})
    assert takes_gzip(request) is takes


def test_a_file_comes_packed_and_is_not_sent_to_who_has_it(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            first = await client.get("/static/js/main.js", headers={"Accept-Encoding": "gzip"})
            assert first.headers["Content-Encoding"] == "gzip"
            assert first.content_type in ("text/javascript", "application/javascript")
            body = (web_folder() / "js" / "main.js").read_bytes()
            assert await first.read() == body
            again = await client.get(
                "/static/js/main.js", headers={"If-None-Match": first.headers["ETag"]}
            )
            assert (again.status, await again.read()) == (304, b"")
            plain = await client.get("/static/app.css", headers={"Accept-Encoding": "identity"})
            assert "Content-Encoding" not in plain.headers

    asyncio.run(run())


def test_the_whole_page_weighs_less_than_300_kib_packed() -> None:
    files = [file for file in static_files(web_folder()) if "rapidoc" not in file.name]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 300 * 1024


def test_no_file_beside_the_page_is_served(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            for name in ("../pages.py", "%2e%2e/pages.py", "js/../../pages.py", "vendor/README.md"):
                assert (await client.get(f"/static/{name}")).status == 404

    asyncio.run(run())


def test_a_listener_that_takes_nothing_is_let_go_and_nobody_else(
    plant: Plant, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SLOW_S", 0.05)

    async def run() -> None:
        async with serving(plant) as client:
            deaf = await client.get("/v1/events")
            assert deaf.connection is not None
            deaf.connection.transport.pause_reading()
            well = await client.get("/v1/events")
            streams = client.server.app[stream.STREAMS]
            assert len(streams) == 2
            async with asyncio.timeout(PATIENCE_S):
                while len(streams) == 2:
                    plant.events.emit("storm", 50_000 * "x", at=plant.clock.now())
                    await well.content.readany()
            plant.events.emit("award", "after the storm", at=plant.clock.now())
            async with asyncio.timeout(PATIENCE_S):
                while b"after the storm" not in await well.content.readline():
                    pass
            assert len(streams) == 1

    asyncio.run(run())
