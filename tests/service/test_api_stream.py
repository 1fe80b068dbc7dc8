"""Events: as JSON, and as they happen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from vpp.service.api.stream import MOST_LISTENERS
from vpp.service.plant import Plant


async def next_event(answer: Any) -> dict[str, Any]:
    """The next event of a stream, with its id."""
    fields: dict[str, str] = {}
    while True:
        line = (await answer.content.readline()).decode().rstrip("\n")
        if line == "" and "data" in fields:
            return dict(json.loads(fields["data"]), id=int(fields["id"]))
        if ": " in line and not line.startswith(":"):
            name, value = line.split(": ", 1)
            fields[name] = value


def say(plant: Plant, text: str, kind: str = "plan", **data: Any) -> None:
    plant.events.emit(kind, text, at=plant.clock.now(), **data)


def test_events_are_listed_oldest_first(plant: Plant, serving: Any) -> None:
    for text in ("one", "two", "three"):
        say(plant, text)
    say(plant, "", kind="tick")

    async def run() -> None:
        async with serving(plant) as client:
            every = await (await client.get("/v1/events?format=json")).json()
            newest = await (await client.get("/v1/events?format=json&limit=1")).json()
            after = await (await client.get("/v1/events?format=json&after=2")).json()
        assert [e["text"] for e in every["events"]] == ["one", "two", "three"]
        assert [e["text"] for e in newest["events"]] == ["three"]
        assert [e["number"] for e in after["events"]] == [3]

    asyncio.run(run())


def test_a_stream_begins_with_the_present_and_brings_what_happens(
    plant: Plant, serving: Any
) -> None:
    say(plant, "past")

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.get("/v1/events")
            assert answer.content_type == "text/event-stream"
            assert "Content-Security-Policy" in answer.headers
            assert await answer.content.readline() == b"retry: 2000\n"
            say(plant, "", kind="tick", park_kw=-5.0)
            say(plant, "line\nbreak\ndata: forged")
            tick, line = await next_event(answer), await next_event(answer)
        assert (tick["kind"], tick["data"]) == ("tick", {"park_kw": -5.0})
        assert line["text"] == "line\nbreak\ndata: forged"
        assert line["id"] == line["number"] == 3

    asyncio.run(run())


def test_a_broken_line_takes_up_where_it_broke(plant: Plant, serving: Any) -> None:
    for text in ("one", "two", "three"):
        say(plant, text)

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.get("/v1/events", headers={"Last-Event-ID": "1"})
            missed = [await next_event(answer), await next_event(answer)]
            say(plant, "four")
            missed.append(await next_event(answer))
            odd = await client.get("/v1/events", headers={"Last-Event-ID": "x" * 50})
            assert odd.status == 200
        assert [event["text"] for event in missed] == ["two", "three", "four"]

    asyncio.run(run())


def test_a_shutdown_does_not_wait_for_listeners(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):  # a minute is aiohttp's own patience
            async with serving(plant) as client:
                answer = await client.get("/v1/events")
                assert answer.status == 200

    asyncio.run(run())


def test_only_so_many_may_listen(plant: Plant, serving: Any) -> None:
    async def run() -> None:
        async with serving(plant) as client:
            client.session.connector._limit = 0
            open_streams = [await client.get("/v1/events") for _ in range(MOST_LISTENERS)]
            refused = await client.get("/v1/events")
            assert {answer.status for answer in open_streams} == {200}
            assert (refused.status, (await refused.json())["code"]) == (503, "too_many_streams")

    asyncio.run(run())
