"""A platform that takes reports over HTTP: one POST each, to a place of its kind; a `ReportPlatform`.

POST {url}/point | /forecast | /day-plan        the bytes on record, Idempotency-Key: the report's id

2xx, 409                       taken: it has it (409: it had it already)
408, 425, 429, 5xx, silence    not taken: the same may be sent again
any other answer               declined: the same would be declined again
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from yarl import URL

from adapters.certificate import CertificateKeeper, ClientCertificate
from adapters.http_exchange import Answered, HttpExchange
from adapters.http_get import WORTH_ANOTHER_TRY, Reply
from adapters.http_token import TokenKeeper, TokenSource
from adapters.safe_url import require_safe
from vpp.errors import UnavailableError
from vpp.model.reporting import Declined, NotTaken, ReportAnswer, ReportHead, Taken

SHOWN_BYTES = 200
"""Of an answer that declines."""

MAX_BYTES = 64 * 1024
"""Of an answer; what it says beyond its status is for people alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccess:
    """Where a platform is, and how it lets us in."""

    url: str
    headers: Callable[[], Mapping[str, str]] = dict
    """What is sent along, asked for each time: secrets stay where they are kept. Raises UnavailableError
    where one is not there."""
    token: TokenSource | None = None
    certificate: ClientCertificate | None = None
    timeout_s: float = 5.0


class HttpPlatform:
    """A `ReportPlatform` at an address of the configuration; an async context manager."""

    def __init__(self, access: PlatformAccess, *, now: Callable[[], datetime]) -> None:
        """Take where to send; nothing is sent yet.

        Raises:
            ConfigError: An address is neither https nor loopback, or carries more than host and path.
        """
        require_safe(access.url, where="reporting.platforms.url")
        if access.token is not None:
            require_safe(access.token.url, where="reporting.platforms.token.url")
        keeper = None if access.certificate is None else CertificateKeeper(access.certificate)
        self._http = HttpExchange(context=lambda: None if keeper is None else keeper.context())
        self._access, self._base = access, access.url.rstrip("/")
        self._tokens = None if access.token is None else TokenKeeper(access.token, now)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
        """Hand one report over, as the port says."""
        access, token = self._access, ""
        try:
            headers = {
                **access.headers(),
                "Content-Type": "application/json",
                "Idempotency-Key": head.report_id,
            }
            if self._tokens is not None:
                token = await self._tokens.token(self._http, timeout_s=access.timeout_s)
                headers["Authorization"] = f"Bearer {token}"
            exchange = await self._http.exchange(
                "POST",
                URL(f"{self._base}/{head.kind}"),
                headers=headers,
                body=body,
                timeout_s=access.timeout_s,
                max_bytes=MAX_BYTES,
            )
        except UnavailableError as error:
            return NotTaken(why=str(error))
        if not isinstance(exchange, Answered):
            return NotTaken(why=exchange.what)
        if exchange.reply.status == 401 and self._tokens is not None:
            self._tokens.refused(token)
            return NotTaken(why="it does not take our token")
        return _meaning(exchange.reply)


def _meaning(reply: Reply) -> ReportAnswer:
    status = reply.status
    if 200 <= status < 300 or status == 409:
        return Taken()
    shown = reply.body[:SHOWN_BYTES].decode("utf-8", "replace")
    what = f"{status} {''.join(c if c.isprintable() else ' ' for c in shown)}".strip()
    if status >= 500 or status in WORTH_ANOTHER_TRY:
        return NotTaken(why=what)
    return Declined(why=what)
