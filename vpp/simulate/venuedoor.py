"""What a venue answers, without a socket: the dialect of bid sets and awards, the faults, the venue's own clock.

    POST /token                       form: grant_type, client_id, client_secret → {"access_token", "token_type", "expires_in"}
    PUT  /bid-sets/{bid_set_id}       201 first, 200 the same bytes again, 409 other bytes, 410 gate closed, 422 refused
    GET  /bid-sets/{bid_set_id}       {"status": "received" | "cleared" | "unknown"}
    GET  /awards?after=SEQ&limit=N    {"awards": [{"sequence", "issued_at", "product", "award"}], "last_sequence", "more"}
    GET  /awards?from=ISO&to=ISO      the same by time of issue

Every answer says the time in `Date`. 429 and 503 come with `Retry-After`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias, assert_never
from urllib.parse import parse_qs

from vpp.simulate.auction import utc
from vpp.simulate.hall import Hall, Refused, Taken
from vpp.simulate.ledger import Slot
from vpp.simulate.venuefaults import Fault, VenueFaults

MOST_ON_A_PAGE = 500
STATUSES = {"conflict": 409, "gate_closed": 410}
"""Of what is refused; 422 of all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    """Decoded, from the base address on: `/bid-sets/…`."""
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    """So late."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The connection ends without an answer."""


Answer: TypeAlias = Reply | HungUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who may ask, where the venue wants tokens."""

    client_id: str
    client_secret: str
    token_for: timedelta = timedelta(minutes=5)


class VenueDoor:
    """Answers requests over a hall."""

    def __init__(
        self,
        hall: Hall,
        faults: VenueFaults,
        *,
        now: Callable[[], datetime],
        clock_ahead: timedelta = timedelta(0),
        client: Client | None = None,
    ) -> None:
        """Make a door.

        Args:
            hall: Where bid sets go and awards come from.
            faults: What goes wrong.
            now: The true time.
            clock_ahead: So far the venue's clock is ahead of it.
            client: Who may ask; None: everybody, without a token.
        """
        self._hall = hall
        self.faults = faults
        self._now = now
        self._clock_ahead = clock_ahead
        self._client = client
        self._tokens: dict[str, datetime] = {}
        """When each of them ends."""
        self._denied: set[str] = set()
        """Bid sets that it said once it had not."""
        self.asked = 0

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        self.asked += 1
        now = self._now() + self._clock_ahead
        faulty = self._instead()
        if faulty is None:
            answer = self._with_faults(self._work(asked, now), asked, now)
        elif isinstance(faulty, Reply) and faulty.status == 200 and self._coin():
            self._work(asked, now)  # it was done, and nobody can tell by the answer
            answer = faulty
        else:
            answer = faulty
        if isinstance(answer, HungUp):
            return answer
        date = {"Date": format_datetime(now, usegmt=True)}
        return replace(answer, headers={**answer.headers, **date})

    # ------------------------------------------------------------ what goes wrong

    def _instead(self) -> Answer | None:
        """What comes in the place of an answer; None where nothing goes wrong before the work."""
        wait = {"Retry-After": str(self.faults.spec.retry_after_s)}
        if self.faults.happens(Fault.HUNG_UP):
            return HungUp()
        if self.faults.happens(Fault.BUSY):
            return _problem(429, "too_many_requests", "ask more slowly", wait)
        if self.faults.happens(Fault.UNAVAILABLE):
            return _problem(503, "unavailable", "we are away for a moment", wait)
        if self.faults.happens(Fault.REDIRECT):
            return Reply(status=302, body=b"", headers={"Location": "/elsewhere"})
        if self.faults.happens(Fault.HTML):
            page = b"<!doctype html><title>Maintenance</title><p>Back soon.</p>"
            return Reply(status=200, body=page, content_type="text/html")
        if self.faults.happens(Fault.ERROR_IN_200):
            return _json(200, {"error": "internal error", "code": 500})
        return None

    def _coin(self) -> bool:
        return self.faults.dice(Fault.HTML).random() < 0.5

    def _with_faults(self, reply: Reply, asked: Asked, now: datetime) -> Answer:
        """What goes wrong once the work is done."""
        taken = asked.method == "PUT" and reply.status in (200, 201)
        if taken and self.faults.happens(Fault.TWICE):
            self._hall.put(_bid_set_id(asked), asked.body, now, again=True)
        if self.faults.happens(Fault.REPLY_LOST):
            return HungUp()
        if self.faults.happens(Fault.SLOW):
            return replace(reply, after_s=self.faults.spec.slow_s)
        return reply

    # ------------------------------------------------------------ what is asked

    def _work(self, asked: Asked, now: datetime) -> Reply:
        if (asked.method, asked.path) == ("POST", "/token"):
            return self._token(asked, now)
        if self._client is not None and not self._allowed(asked, now):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return _problem(401, "invalid_token", "get a new one", challenge)
        is_bid_set = asked.path.startswith("/bid-sets/")
        if asked.method == "PUT" and is_bid_set:
            return self._put(asked, now)
        if asked.method == "GET" and is_bid_set:
            return self._status(_bid_set_id(asked))
        if asked.method == "GET" and asked.path == "/awards":
            return self._awards(asked, now)
        return _problem(404, "not_found", f"{asked.method} {asked.path[:100]}")

    def _put(self, asked: Asked, now: datetime) -> Reply:
        bid_set_id = _bid_set_id(asked)
        match self._hall.put(bid_set_id, asked.body, now):
            case Taken(new=new):
                return _json(201 if new else 200, {"bid_set_id": bid_set_id, "status": "received"})
            case Refused(code=code, detail=detail):
                return _problem(STATUSES.get(code, 422), code, detail)
            case put:
                assert_never(put)

    def _status(self, bid_set_id: str) -> Reply:
        status = self._hall.status(bid_set_id)
        if (
            status != "unknown"
            and bid_set_id not in self._denied
            and self.faults.happens(Fault.UNKNOWN_ONCE)
        ):
            self._denied.add(bid_set_id)
            status = "unknown"
        return _json(200, {"status": status})

    def _awards(self, asked: Asked, now: datetime) -> Reply:
        try:
            after = int(asked.query.get("after", "0"))
            limit = min(int(asked.query.get("limit", "100")), MOST_ON_A_PAGE)
            issued_in = _span(asked.query)
        except ValueError as error:
            return _problem(422, "invalid_query", repr(error))
        if after < 0 or limit < 1:
            return _problem(422, "invalid_query", "after from 0 on, limit from 1 on")
        page = self._hall.page(after, limit, now, issued_in)
        awards = [told.on_page() for told in page.told]
        return _json(
            200, {"awards": awards, "last_sequence": page.last_sequence, "more": page.more}
        )

    def _token(self, asked: Asked, now: datetime) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        client = self._client
        if form.get("grant_type") != "client_credentials":
            return _json(400, {"error": "unsupported_grant_type"})
        if client is not None and (form.get("client_id"), form.get("client_secret")) != (
            client.client_id,
            client.client_secret,
        ):
            return _json(401, {"error": "invalid_client"})
        lives = timedelta(minutes=5) if client is None else client.token_for
        token = hashlib.sha256(f"{len(self._tokens)}/{now.isoformat()}".encode()).hexdigest()
        self._tokens[token] = now + lives
        expires_in = int(lives.total_seconds())
        return _json(200, {"access_token": token, "token_type": "bearer", "expires_in": expires_in})

    def _allowed(self, asked: Asked, now: datetime) -> bool:
        scheme, _, token = asked.authorization.partition(" ")
        ends = self._tokens.get(token)
        return scheme.lower() == "bearer" and ends is not None and now < ends


def _bid_set_id(asked: Asked) -> str:
    return asked.path.removeprefix("/bid-sets/")


def _span(query: Mapping[str, str]) -> Slot | None:
    """`from` and `to`; None where neither is given.

    Raises:
        ValueError: One alone, or no times that name their zone.
    """
    if "from" not in query and "to" not in query:
        return None
    return utc(query.get("from", "")), utc(query.get("to", ""))


def _json(status: int, content: Mapping[str, Any]) -> Reply:
    return Reply(status=status, body=json.dumps(content).encode())


def _problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> Reply:
    body = json.dumps({"type": "about:blank", "status": status, "code": code, "detail": detail})
    return Reply(
        status=status,
        body=body.encode(),
        content_type="application/problem+json",
        headers=headers or {},
    )
