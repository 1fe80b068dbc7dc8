"""What every `SeriesFeed` promises, wherever the documents come from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.csv_feed import CsvFeed
from adapters.feed_table import SeriesColumn, TableLayout
from adapters.http_feed import HttpDocument, HttpFeed
from vpp.errors import UnavailableError
from vpp.ports import SeriesFeed

NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)
GOOD = "interval_start,temp\n2025-12-01T12:00Z,1.5\n2025-12-01T13:00Z,\n2025-12-01T14:00Z,2.5\n"
LAYOUT = TableLayout(
    start="interval_start",
    stamps="zoned",
    issued=None,
    resolution=timedelta(hours=1),
    source="a station",
    series=(SeriesColumn(series_id="outdoor.mill", column="temp", unit="degC"),),
)


@dataclass
class Bench:
    """A place where documents can be put, and feeds that look there."""

    publish: Callable[[str | None], None]
    """Put this text there; None takes the place itself away."""

    feed: Callable[[], AbstractAsyncContextManager[SeriesFeed]]


Check = Callable[[Bench], Awaitable[None]]
Run = Callable[[Check], None]


@asynccontextmanager
async def _folder(folder: Path) -> AsyncIterator[Bench]:
    changes = iter(range(1, 100))

    def publish(text: str | None) -> None:
        if text is None:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            return
        (folder / "new.tmp").write_text(text, encoding="utf-8")
        at = (NOW - timedelta(hours=1)).timestamp() + next(changes)
        os.utime(folder / "new.tmp", (at, at))
        (folder / "new.tmp").rename(folder / "temperature.csv")

    @asynccontextmanager
    async def feed() -> AsyncIterator[SeriesFeed]:
        yield CsvFeed(folder, "*.csv", LAYOUT, max_bytes=10_000)

    yield Bench(publish, feed)


@asynccontextmanager
async def _server() -> AsyncIterator[Bench]:
    held: list[str | None] = [""]

    async def answer(request: web.Request) -> web.Response:
        if held[0] is None:
            return web.Response(status=503)
        return web.Response(text=held[0], content_type="text/csv")

    app = web.Application()
    app.router.add_get("/temperature", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        document = HttpDocument(
            url=str(server.make_url("/temperature")),
            zone=ZoneInfo("UTC"),
            form="csv",
            rows="",
            layout=LAYOUT,
            max_bytes=10_000,
        )

        def publish(text: str | None) -> None:
            held[0] = text

        yield Bench(publish, lambda: HttpFeed(document))


@pytest.fixture(params=["csv", "http"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a check against one kind of feed."""

    async def against(check: Check) -> None:
        bench = _folder(tmp_path) if request.param == "csv" else _server()
        async with bench as one:
            await check(one)

    return lambda check: asyncio.run(against(check))


def test_a_document_is_news_until_it_is_confirmed(run: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.publish(GOOD)
        async with bench.feed() as feed:
            first, again = await feed.look(NOW), await feed.look(NOW)
            feed.confirm(again)
            afterwards = await feed.look(NOW)

        assert first.batches == again.batches
        (batch,) = first.batches
        assert batch.series_id == "outdoor.mill"
        assert (batch.upload.unit, batch.upload.resolution_s) == ("degC", 3600)
        assert batch.upload.source == "a station"
        assert batch.upload.issued_at <= NOW
        assert [(v.interval_start.hour, v.value) for v in batch.upload.values] == [
            (12, 1.5),
            (14, 2.5),
        ]
        assert (afterwards.batches, afterwards.faults) == ((), ())

    run(check)


def test_a_document_that_has_changed_is_news_again(run: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.publish(GOOD)
        async with bench.feed() as feed:
            feed.confirm(await feed.look(NOW))
            bench.publish(GOOD.replace("1.5", "9.5"))
            news = await feed.look(NOW)

        assert [v.value for v in news.batches[0].upload.values] == [9.5, 2.5]

    run(check)


def test_a_faulty_document_is_told_with_its_row_and_nothing_of_it_is_taken(run: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.publish(GOOD.replace("2.5", "warm"))
        async with bench.feed() as feed:
            news = await feed.look(NOW)
            feed.confirm(news)
            afterwards = await feed.look(NOW)

        assert news.batches == ()
        (fault,) = news.faults
        assert fault.where.endswith(":4")
        assert "temp 'warm' is no number" in fault.what
        assert (afterwards.batches, afterwards.faults) == ((), ())

    run(check)


def test_a_feed_that_begins_again_brings_everything_again(run: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.publish(GOOD)
        async with bench.feed() as feed:
            news = await feed.look(NOW)
            feed.confirm(news)
        async with bench.feed() as feed:
            assert (await feed.look(NOW)).batches == news.batches

    run(check)


def test_a_source_that_is_away_is_unavailable_and_may_come_back(run: Run) -> None:
    async def check(bench: Bench) -> None:
        bench.publish(None)
        async with bench.feed() as feed:
            with pytest.raises(UnavailableError):
                await feed.look(NOW)

    run(check)
