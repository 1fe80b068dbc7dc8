"""What a market knows about our bid sets, asked over HTTP after a restart.

    GET {base}/bid-sets/{bid_set_id}  ->  {"status": "received" | "cleared" | "unknown"}

An answer is believed only when it is exactly that: status 200, JSON, one known word. A redirect, an
HTML page or an error in other clothes is a refusal, never a success.
"""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from adapters.safe_url import require_safe
from vpp.errors import RejectedError, UnavailableError

MAX_BODY_BYTES = 64 * 1024
WORTH_ANOTHER_TRY = {408, 425, 429}
"""Of the 4xx: the venue was slow or busy, and has not looked at what we asked."""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    status: Literal["received", "cleared", "unknown"]


class HttpVenueLedger:
    """A `VenueLedger` at `base_url`; an async context manager, since it keeps connections."""

    def __init__(self, base_url: str, *, timeout_s: float = 5.0) -> None:
        """`base_url` comes from configuration and nowhere else.

        Raises:
            ConfigError: It is neither https nor loopback, or carries a password or a query.
        """
        require_safe(base_url, where="venue base_url")
        self._base_url = base_url.rstrip("/")
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

    async def bid_set_status(self, bid_set_id: str) -> str:
        if self._session is None:
            raise RuntimeError("use the ledger inside `async with`")
        url = f"{self._base_url}/bid-sets/{quote(bid_set_id, safe='')}"
        where = f"venue {self._base_url}, bid set {bid_set_id}"
        try:
            async with self._session.get(URL(url, encoded=True), allow_redirects=False) as response:
                body = await response.content.read(MAX_BODY_BYTES)
                return read_answer(response.status, response.content_type, body, where=where)
        except TimeoutError as error:
            raise UnavailableError(
                "did not answer in time", where=where, fix="Ask again"
            ) from error
        except aiohttp.ClientError as error:
            raise UnavailableError(str(error), where=where, fix="Ask again") from error


def read_answer(status: int, content_type: str, body: bytes, *, where: str) -> str:
    """The venue's word. Pure, so that every odd answer gets a test.

    Raises:
        UnavailableError: 5xx, or busy: the same question may be answered later.
        RejectedError: Any other refusal, and whatever is not the agreed answer.
    """
    if status >= 500 or status in WORTH_ANOTHER_TRY:
        raise UnavailableError(f"answered {status}", where=where, fix="Ask again")
    if status != 200 or content_type != "application/json":
        raise RejectedError(
            f"answered {status} {content_type}", where=where, fix="Check the venue's address"
        )
    try:
        return msgspec.json.decode(body, type=_Answer).status
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedError(
            f"{error} in {body[:80]!r}", where=where, fix="Compare with the agreed answer"
        ) from error
