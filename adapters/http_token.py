"""A bearer token of a venue, asked for ahead of its end; while a new one does not come the old one serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from yarl import URL

from adapters.http_exchange import Answered, HttpExchange
from adapters.http_get import Reply
from vpp.errors import UnavailableError

MAX_BODY_BYTES = 64 * 1024
UNSAID_S = 300.0
"""How long a token is used of which it is not said: OAuth 2 recommends to say it, and OpenADR leaves it open."""

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where tokens come from."""

    url: str
    client_id: Callable[[], str]
    client_secret: Callable[[], str]
    """Asked for each time: secrets stay where they are kept. Both raise UnavailableError where one is
    not there."""

    scope: str | None = None
    ahead: timedelta = timedelta(minutes=2)
    """So long before its end a new one is asked for; at most half of its life."""


class TokenKeeper:
    """The newest token of one source."""

    def __init__(self, source: TokenSource, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now
        self._token = ""
        self._renew_at = self._ends_at = self._not_before = datetime.min.replace(
            tzinfo=now().tzinfo
        )
        self._failures = 0
        self._asking = asyncio.Lock()
        self.fault: str | None = None
        """Why no new one came the last time."""

    def refused(self, token: str) -> None:
        """The venue does not take this token: the next request gets another one."""
        if token == self._token:
            self._token = ""

    async def token(self, http: HttpExchange, *, timeout_s: float) -> str:
        """A token that has not ended.

        Raises:
            UnavailableError: There is none, and no new one can be had now.
        """
        async with self._asking:
            now = self._now()
            if self._token and now < self._renew_at:
                return self._token
            if now >= self._not_before:
                await self._renew(http, timeout_s)
            if self._token and now < self._ends_at:
                return self._token
        raise UnavailableError(
            f"no token: {self.fault}", where=self._source.url, fix="Look at the token service"
        )

    async def _renew(self, http: HttpExchange, timeout_s: float) -> None:
        source, now = self._source, self._now()
        try:
            form = {
                "grant_type": "client_credentials",
                "client_id": source.client_id(),
                "client_secret": source.client_secret(),
            } | ({} if source.scope is None else {"scope": source.scope})
            answered = await http.exchange(
                "POST",
                URL(source.url),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
                timeout_s=timeout_s,
                max_bytes=MAX_BODY_BYTES,
            )
            if not isinstance(answered, Answered):
                raise ValueError(answered.what)
            token, lifetime = read_token(answered.reply)
        except (UnavailableError, ValueError) as error:
            self.fault = str(error)
            self._failures += 1
            wait = FIRST_RETRY * 2 ** min(self._failures - 1, 10)
            self._not_before = now + min(wait, LONGEST_RETRY)
            return
        self.fault, self._failures, self._token = None, 0, token
        self._ends_at = now + lifetime
        self._renew_at = self._ends_at - min(source.ahead, lifetime / 2)


def read_token(reply: Reply) -> tuple[str, timedelta]:
    """A token and how long it lives. What is wrong is told without the answer, which may hold a token.

    Raises:
        ValueError: The answer is no token.
    """
    if reply.status != 200 or reply.content_type != "application/json":
        raise ValueError(f"answered {reply.status} {reply.content_type}")
    try:
        body: Any = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("answered no JSON") from None
    if not isinstance(body, dict):
        raise ValueError("answered no JSON object")
    token, kind = body.get("access_token"), body.get("token_type")
    seconds = body.get("expires_in", UNSAID_S)
    if not (isinstance(token, str) and 0 < len(token) <= 8192 and token.isascii()):
        raise ValueError("answered no access_token")
    if not token.isprintable():
        raise ValueError("answered no access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ValueError("answered another token_type than bearer")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise ValueError("answered no expires_in")
    return token, timedelta(seconds=seconds)
