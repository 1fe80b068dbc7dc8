"""Documents over HTTP: which answers are believed, and what is never done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.feed_table import SeriesColumn, TableLayout
from adapters.http_feed import HttpDocument, HttpFeed, address, not_before, read_reply
from adapters.http_get import Reply
from vpp.errors import ConfigError, RejectedError, UnavailableError

NOW = datetime(2025, 12, 1, 23, 30, tzinfo=UTC)
STOCKHOLM = ZoneInfo("Europe/Stockholm")
LAYOUT = TableLayout(
    start="time",
    stamps="utc",
    issued=None,
    resolution=timedelta(hours=1),
    source="s",
    series=(SeriesColumn(series_id="outdoor.mill", column="t2m", unit="degC"),),
)
WEATHER = '{"hourly": {"time": ["2025-12-01T10:00", "2025-12-01T11:00"], "t2m": [1.5, null]}}'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def document(url: str, **changes: Any) -> HttpDocument:
    standing: dict[str, Any] = {
        "zone": STOCKHOLM,
        "form": "json",
        "rows": "hourly",
        "layout": LAYOUT,
    }
    return HttpDocument(url=url, **{**standing, **changes})


def against(
    handler: Handler, check: Callable[[HttpFeed], Awaitable[None]], **changes: Any
) -> list[str]:
    """Run a check against a server; the paths it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await handler(request)

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{rest:.*}", answer)
        async with TestServer(app, host="127.0.0.1") as server:
            url = str(server.make_url("/weather"))
            async with HttpFeed(document(url, **changes)) as feed:
                await check(feed)

    asyncio.run(run())
    return asked


def test_columns_of_a_weather_service_become_a_series() -> None:
    async def answer(request: web.Request) -> web.Response:
        moment = "Mon, 01 Dec 2025 09:00:00 GMT"
        return web.Response(
            text=WEATHER, content_type="application/json", headers={"Last-Modified": moment}
        )

    async def check(feed: HttpFeed) -> None:
        (batch,) = (await feed.look(NOW)).batches
        assert batch.upload.issued_at == datetime(2025, 12, 1, 9, tzinfo=UTC)
        assert [(v.interval_start.hour, v.value) for v in batch.upload.values] == [(10, 1.5)]

    against(answer, check)


def test_no_redirect_is_followed_wherever_it_leads() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async def check(feed: HttpFeed) -> None:
        with pytest.raises(RejectedError, match="redirects are not followed"):
            await feed.look(NOW)

    assert against(answer, check) == ["/weather"]


def test_an_answer_without_end_is_cut_at_the_limit() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 100_000)
        except ConnectionError:
            return response

    async def check(feed: HttpFeed) -> None:
        with pytest.raises(RejectedError, match="more than 5000 bytes"):
            await feed.look(NOW)

    against(answer, check, max_bytes=5000)


def test_a_small_answer_that_unpacks_to_a_large_one_is_cut_too() -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text=" " * 1_000_000, content_type="application/json")
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def check(feed: HttpFeed) -> None:
        with pytest.raises(RejectedError, match="more than 5000 bytes"):
            await feed.look(NOW)

    against(answer, check, max_bytes=5000)


def test_an_answer_that_does_not_come_is_unavailable() -> None:
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async def check(feed: HttpFeed) -> None:
        with pytest.raises(UnavailableError, match="in time"):
            await feed.look(NOW)
        released.set()

    against(answer, check, timeout_s=0.2)


def test_a_server_that_asks_to_wait_is_not_asked_before() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "60"})

    async def check(feed: HttpFeed) -> None:
        for seconds in (0, 59, 60):
            with pytest.raises(UnavailableError):
                await feed.look(NOW + timedelta(seconds=seconds))

    assert against(answer, check) == ["/weather", "/weather"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<html>", id="html"),
        pytest.param('{"hourly": NaN}', id="no JSON"),
        pytest.param("[" * 100_000, id="a hundred thousand brackets"),
        pytest.param("{}", id="no rows"),
    ],
)
def test_a_document_that_cannot_be_read_is_a_fault_of_that_document(text: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    async def check(feed: HttpFeed) -> None:
        news = await feed.look(NOW)
        assert (len(news.batches), len(news.faults)) == (0, 1)

    against(answer, check)


# ---------------------------------------------------------------- pure


@pytest.mark.parametrize(
    ("status", "content_type", "error"),
    [
        (500, "application/json", UnavailableError),
        (503, "text/html", UnavailableError),
        (429, "", UnavailableError),
        (301, "", RejectedError),
        (304, "", RejectedError),
        (401, "application/json", RejectedError),
        (404, "application/json", RejectedError),
        (204, "application/json", RejectedError),
        (200, "text/html", RejectedError),
        (200, "", RejectedError),
        (200, "text/csv", RejectedError),
    ],
)
def test_only_200_with_the_agreed_type_is_a_document(
    status: int, content_type: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_reply(Reply(status=status, content_type=content_type), document("https://x/"), "u")


def test_a_day_that_is_not_there_yet_is_no_fault() -> None:
    tomorrow = document("https://x/{tomorrow:%Y/%m-%d}.json")

    assert read_reply(Reply(status=404), tomorrow, "u") is None
    assert read_reply(Reply(status=200, content_type="application/geo+json"), tomorrow, "u") == b""


def test_days_in_the_address_are_local() -> None:
    """At 23:30 UTC it is half an hour into 2 December in Stockholm."""
    one = document("https://x/{today}/{tomorrow:%Y/%m-%d}.json")

    assert address(one, NOW) == "https://x/2025-12-02/2025/12-03.json"


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (503, "60", 60),
        (429, "999999", 3600),
        (429, "Mon, 01 Dec 2025 23:31:00 GMT", 60),
        (429, "soon", None),
        (429, "", None),
        (200, "60", None),
    ],
)
def test_how_long_to_wait(status: int, text: str, seconds: int | None) -> None:
    reply = Reply(status=status, headers={"Retry-After": text})

    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert not_before(reply, NOW) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://ann:pw@example.org/",
        "https:///x",
        "https://[x",
    ],
)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        HttpFeed(document(url))
