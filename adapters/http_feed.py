"""A document that is fetched over HTTP time and again; a `SeriesFeed`.

The address stands in the park file and nowhere else. An answer is believed only with status 200 and the content type that was agreed on: an HTML
page is never read as data. `{today}` and `{tomorrow}` in the address are local days, also written
as `{tomorrow:%Y/%m-%d}`; with one of them a 404 says that there is nothing yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from yarl import URL

from adapters.feed_table import Row, TableLayout, batches_of, csv_rows, json_rows
from adapters.http_get import HttpGet, Reply, http_date, require_well, retry_at
from adapters.safe_url import require_safe
from vpp.errors import DataError, RejectedError, UnavailableError
from vpp.ports import FeedFault, FeedNews

TYPES = {
    "json": ("application/json", "+json"),
    "csv": ("text/csv", "text/plain", "application/csv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDocument:
    """What to fetch, and how to read it."""

    url: str
    zone: ZoneInfo
    """In which `{today}` and `{tomorrow}` are days."""

    form: Literal["json", "csv"]
    rows: str
    """Where in a JSON document the rows stand: `data.prices`; empty for the whole."""

    layout: TableLayout
    headers: Callable[[], Mapping[str, str]] = dict
    """What is sent along, asked for each time: secrets stay where they are kept, and may be renewed.
    Raises UnavailableError where one is not there."""

    timeout_s: float = 10.0
    max_bytes: int = 5_000_000


class HttpFeed(HttpGet):
    """A `SeriesFeed` at one address; an async context manager, since it keeps connections."""

    def __init__(self, document: HttpDocument) -> None:
        """Take what to fetch; nothing is fetched yet.

        Raises:
            ConfigError: The address is neither https nor loopback, or carries a password.
        """
        require_safe(address(document, datetime.fromtimestamp(0, UTC)), where="url", query=True)
        super().__init__(timeout_s=document.timeout_s)
        self._document = document
        self._confirmed: dict[str, str] = {}
        self._not_before: datetime | None = None

    async def look(self, now: datetime) -> FeedNews:
        url = address(self._document, now)
        if self._not_before is not None and now < self._not_before:
            raise UnavailableError(
                f"asked us to wait until {self._not_before:%H:%M:%S}Z", where=url, fix="Wait"
            )
        reply = await self.get(
            URL(url),
            where=url,
            max_bytes=self._document.max_bytes,
            headers=self._document.headers(),
        )
        self._not_before = not_before(reply, now)
        content = read_reply(reply, self._document, url)
        if content is None:
            return FeedNews()
        version = hashlib.sha256(content).hexdigest()
        if self._confirmed.get(url) == version:
            return FeedNews()
        try:
            batches = batches_of(
                _rows(content, self._document, url),
                self._document.layout,
                issued_at=_issued_at(reply, now),
                now=now,
                where=url,
            )
        except DataError as error:
            fault = FeedFault(where=error.where, what=f"{error.what} -> {error.fix}")
            return FeedNews(faults=(fault,), versions={url: version})
        return FeedNews(batches=batches, versions={url: version})

    def confirm(self, news: FeedNews) -> None:
        if news.versions:
            self._confirmed = dict(news.versions)


def address(document: HttpDocument, now: datetime) -> str:
    """Where to look at `now`: the days are filled in."""
    today = now.astimezone(document.zone).date()
    return document.url.format(today=today, tomorrow=today + timedelta(days=1))


def read_reply(reply: Reply, document: HttpDocument, url: str) -> bytes | None:
    """The document of an answer; None where there is none yet.

    Raises:
        UnavailableError: 5xx, or busy.
        RejectedError: A redirect, any other refusal, another content type.
    """
    require_well(reply, url)
    if reply.status == 404 and "{" in document.url:
        return None
    if 300 <= reply.status < 400:
        raise RejectedError(
            f"answered {reply.status}, to somewhere else",
            where=url,
            fix="Write the final address into the park file: redirects are not followed",
        )
    if reply.status != 200:
        raise RejectedError(f"answered {reply.status}", where=url, fix="Check the address")
    if not reply.content_type.endswith(TYPES[document.form]):
        raise RejectedError(
            f"answered {reply.content_type or 'without a content type'}, not {document.form}",
            where=url,
            fix="Check the address and `form`",
        )
    return reply.body


def not_before(reply: Reply, now: datetime) -> datetime | None:
    """When a busy server wants to be asked again at the earliest."""
    return None if reply.status == 200 else retry_at(reply, now)


def _issued_at(reply: Reply, now: datetime) -> datetime:
    moment = http_date(reply.headers.get("Last-Modified", ""))
    return now if moment is None else min(moment, now)


def _rows(content: bytes, document: HttpDocument, url: str) -> list[Row]:
    try:
        text = content.decode("utf-8-sig")
        if document.form == "csv":
            return csv_rows(text, url)
        return json_rows(msgspec.json.decode(text), document.rows, url)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            f"no {document.form}: {str(error)[:120]}", where=url, fix="Look at the document"
        ) from error
