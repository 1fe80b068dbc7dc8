"""What a market knows about our bid sets, asked over HTTP after a restart.

    GET {base}/bid-sets/{bid_set_id}  ->  {"status": "received" | "cleared" | "unknown"}

An answer is believed only when it is exactly that: status 200, JSON, one known word. A redirect, an
HTML page or an error in other clothes is a refusal, never a success.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec
from yarl import URL

from adapters.http_get import HttpGet, Reply, require_well
from adapters.safe_url import require_safe
from vpp.errors import RejectedError

MAX_BODY_BYTES = 64 * 1024


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    status: Literal["received", "cleared", "unknown"]


class HttpVenueLedger(HttpGet):
    """A `VenueLedger` at `base_url`; an async context manager, since it keeps connections."""

    def __init__(self, base_url: str, *, timeout_s: float = 5.0) -> None:
        """`base_url` comes from configuration and nowhere else.

        Raises:
            ConfigError: It is neither https nor loopback, or carries a password or a query.
        """
        require_safe(base_url, where="venue base_url")
        super().__init__(timeout_s=timeout_s)
        self._base_url = base_url.rstrip("/")

    async def bid_set_status(self, bid_set_id: str) -> str:
        url = f"{self._base_url}/bid-sets/{quote(bid_set_id, safe='')}"
        where = f"venue {self._base_url}, bid set {bid_set_id}"
        reply = await self.get(URL(url, encoded=True), where=where, max_bytes=MAX_BODY_BYTES)
        return read_answer(reply, where=where)


def read_answer(reply: Reply, *, where: str) -> str:
    """The venue's word. Pure, so that every odd answer gets a test.

    Raises:
        UnavailableError: 5xx, or busy: the same question may be answered later.
        RejectedError: Any other refusal, and whatever is not the agreed answer.
    """
    require_well(reply, where)
    if reply.status != 200 or reply.content_type != "application/json":
        raise RejectedError(
            f"answered {reply.status} {reply.content_type}",
            where=where,
            fix="Check the venue's address",
        )
    try:
        return msgspec.json.decode(reply.body, type=_Answer).status
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedError(
            f"{error} in {reply.body[:80]!r}", where=where, fix="Compare with the agreed answer"
        ) from error
