"""A venue over HTTP, spoken to as its mapping says; a `Venue`. Without a token service it needs no token.

    submit           PUT  {base}/bid-sets/{bid_set_id}     the bytes of our BidSetResponse
    bid_set_status   GET  {base}/bid-sets/{bid_set_id}     {"status": "received" | "cleared" | "unknown"}
    awards           GET  {base}/awards?after=SEQ&limit=N  {"awards": […], "last_sequence": N, "more": …}

This is the default mapping (`venue_mapping.py`), and that of the simulated venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

from yarl import URL

from adapters.certificate import CertificateKeeper, ClientCertificate
from adapters.http_exchange import Answered, Exchange, HttpExchange, NoAnswer, NotSent
from adapters.http_get import http_date
from adapters.http_token import TokenKeeper, TokenSource
from adapters.safe_url import require_safe
from adapters.venue_mapping import (
    VenueMapping,
    read_awards,
    read_submission,
    read_word,
)
from vpp.errors import UnavailableError
from vpp.model.time import Interval, isoformat
from vpp.model.venue import BidSetWord, Later, Submission, Unknown, VenueHealth
from vpp.ports import AwardPage


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpVenueAccess:
    """Where a venue is, and how it lets us in."""

    url: str
    mapping: VenueMapping = field(default_factory=VenueMapping)
    headers: Callable[[], Mapping[str, str]] = dict
    """What is sent along, asked for each time: secrets stay where they are kept. Raises UnavailableError
    where one is not there."""

    token: TokenSource | None = None
    certificate: ClientCertificate | None = None
    timeout_s: float = 10.0
    max_bytes: int = 2_000_000


class HttpVenue:
    """A `Venue` at an address of the configuration; an async context manager."""

    def __init__(
        self,
        access: HttpVenueAccess,
        *,
        now: Callable[[], datetime],
        http: HttpExchange | None = None,
    ) -> None:
        """`now` is the service's clock: a venue's `Date` and the end of a token are held against it.

        `http` takes the place of the wire: a venue in the same process is spoken to without a socket.

        Raises:
            ConfigError: An address is neither https nor loopback, or carries a password or a query.
        """
        require_safe(access.url, where="venue url")
        if access.token is not None:
            require_safe(access.token.url, where="venue token url")
        self._access = access
        self._now = now
        self._base = access.url.rstrip("/")
        self._certificate = (
            None if access.certificate is None else CertificateKeeper(access.certificate)
        )
        self._http = http or HttpExchange(
            context=lambda: None if self._certificate is None else self._certificate.context()
        )
        self._token = None if access.token is None else TokenKeeper(access.token, now)
        self._clock_offset_s: float | None = None

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

    @property
    def answers(self) -> bool:
        return self._access.mapping.status is not None

    def confirm(self, page: AwardPage) -> None:
        """Nothing: the venue numbers its awards."""

    def health(self) -> VenueHealth:
        if self._certificate is not None:
            with suppress(UnavailableError):  # told when something is to be sent
                self._certificate.context()
        return VenueHealth(
            clock_offset_s=self._clock_offset_s,
            certificate_ends_at=None if self._certificate is None else self._certificate.ends_at,
            token_fault=None if self._token is None else self._token.fault,
        )

    async def prepare(self) -> None:
        if self._token is not None:
            with suppress(UnavailableError):  # told when something is to be sent
                await self._token.token(self._http, timeout_s=self._access.timeout_s)

    async def submit(self, bid_set_id: str, body: bytes, *, until: datetime) -> Submission:
        bids = self._access.mapping.bids
        more = {"Content-Type": bids.content_type}
        try:
            exchange = await self._ask(
                bids.method, self._url(bids.path, bid_set_id), body=body, more=more, until=until
            )
        except UnavailableError as error:  # before anything was sent
            return Later(retry_at=None, what=str(error))
        match exchange:
            case NotSent(what=what):
                return Later(retry_at=None, what=f"not sent: {what}")
            case NoAnswer(what=what):
                return Unknown(what=f"sent, and no answer: {what}")
            case Answered() as answered:
                return read_submission(answered, bids, self._now())

    async def bid_set_status(self, bid_set_id: str) -> BidSetWord:
        mapping = self._access.mapping.status
        if mapping is None:
            raise RuntimeError("this venue cannot be asked: see `answers`")
        where = f"venue {self._base}, bid set {bid_set_id}"
        answered = await self._answer(self._url(mapping.path, bid_set_id), where)
        return read_word(answered, mapping, where=where)

    async def awards(self, after: int, *, issued_in: Interval | None = None) -> AwardPage:
        mapping = self._access.mapping.awards
        if mapping is None:
            return AwardPage()
        query = {mapping.after: str(after), mapping.limit: str(mapping.page)}
        if issued_in is not None:
            query[mapping.since] = isoformat(issued_in.start)
            query[mapping.until] = isoformat(issued_in.end)
        url = self._url(mapping.path).with_query(query)
        where = f"venue {self._base}, awards after {after}"
        answered = await self._answer(url, where)
        return read_awards(answered, mapping, after=after, where=where)

    def _url(self, path: str, bid_set_id: str = "") -> URL:
        name = quote(bid_set_id, safe="")
        return URL(self._base + path.replace("{bid_set_id}", name), encoded=True)

    async def _answer(self, url: URL, where: str) -> Answered:
        exchange = await self._ask("GET", url)
        if not isinstance(exchange, Answered):
            raise UnavailableError(exchange.what, where=where, fix="Ask again")
        return exchange

    async def _ask(
        self,
        method: str,
        url: URL,
        *,
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
        until: datetime | None = None,
    ) -> Exchange:
        """One request with our credentials, over by `until`. Raises UnavailableError: nothing was sent."""
        access, token = self._access, ""
        headers = {**access.headers(), **(more or {})}
        if self._token is not None:
            token = await self._token.token(self._http, timeout_s=access.timeout_s)
            headers["Authorization"] = f"Bearer {token}"
        asked_at = self._now()
        left_s = access.timeout_s if until is None else (until - asked_at).total_seconds()
        if left_s <= 0:
            return NotSent(what=f"it is {isoformat(asked_at)}, too late to send it")
        exchange = await self._http.exchange(
            method,
            url,
            headers=headers,
            body=body,
            timeout_s=min(access.timeout_s, left_s),
            max_bytes=access.max_bytes,
        )
        if isinstance(exchange, Answered):
            self._note_clock(exchange, asked_at)
            if exchange.reply.status == 401 and self._token is not None:
                self._token.refused(token)
        return exchange

    def _note_clock(self, answered: Answered, asked_at: datetime) -> None:
        """What the `Date` leaves no doubt of: it is cut to the second, and of any moment since we asked."""
        told = http_date(answered.reply.headers.get("Date", ""))
        if told is None:
            return
        least = (told - self._now()).total_seconds()
        most = (told - asked_at).total_seconds() + 1
        self._clock_offset_s = max(least, 0.0) or min(most, 0.0)
