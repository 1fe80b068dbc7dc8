"""A question over HTTP that can do no harm: no redirect, no proxy, no cookie, an answer that ends.

Whoever asks says which answers it believes; what is the same for all of them stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from vpp.errors import RejectedError, UnavailableError

WORTH_ANOTHER_TRY = {408, 425, 429}
"""Of the 4xx: who was asked was slow or busy, and has not looked at the question."""

LONGEST_WAIT = timedelta(hours=1)
"""What a `Retry-After` may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, undecoded."""

    status: int
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, those that are of use to somebody here."""

    body: bytes = b""


class HttpGet:
    """Asks addresses of the configuration; an async context manager, since it keeps connections."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No proxy and no cookies: nothing that the configuration does not name.
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self, url: URL, *, where: str, max_bytes: int, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The answer, whatever its status; `where` names the place in errors.

        Raises:
            UnavailableError: No answer in time, or no connection.
            RejectedError: More than `max_bytes`.
        """
        if self._session is None:
            raise RuntimeError("use it inside `async with`")
        try:
            async with self._session.get(url, allow_redirects=False, headers=headers) as response:
                body = b""
                async for chunk in response.content.iter_chunked(64 * 1024):
                    body += chunk
                    if len(body) > max_bytes:
                        raise RejectedError(
                            f"sends more than {max_bytes} bytes",
                            where=where,
                            fix="Ask for less, or raise max_bytes",
                        )
                return Reply(
                    status=response.status,
                    content_type=response.content_type,
                    headers={
                        name: response.headers[name]
                        for name in ("Retry-After", "Last-Modified")
                        if name in response.headers
                    },
                    body=body,
                )
        except TimeoutError as error:
            raise UnavailableError("no answer in time", where=where, fix="Ask again") from error
        except aiohttp.ClientError as error:
            raise UnavailableError(str(error), where=where, fix="Ask again") from error


def require_well(reply: Reply, where: str) -> None:
    """Refuse the answer of a server that is ill or busy.

    Raises:
        UnavailableError: 5xx, or busy: the same question may be answered later.
    """
    if reply.status >= 500 or reply.status in WORTH_ANOTHER_TRY:
        raise UnavailableError(f"answered {reply.status}", where=where, fix="Ask again")


def retry_at(reply: Reply, now: datetime) -> datetime | None:
    """When a busy server wants to be asked again; None where it does not say."""
    text = reply.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit() and len(text) < 9:
        return now + min(timedelta(seconds=int(text)), LONGEST_WAIT)
    moment = http_date(text)
    return None if moment is None else min(moment, now + LONGEST_WAIT)


def http_date(text: str) -> datetime | None:
    """A date as headers write it; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
