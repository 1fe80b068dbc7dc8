"""What a venue answers over HTTP, and each way in which it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.simulate.venuekit import CENT, START, bid_set, hall, quarter
from vpp.errors import UnavailableError
from vpp.simulate.ledger import Ledger
from vpp.simulate.venuedoor import Asked, Client, HungUp, Reply, VenueDoor
from vpp.simulate.venuefaults import Fault
from vpp.simulate.venueserver import VenueServer

MINUTE = timedelta(minutes=1)
NAME, BODY = bid_set(quarter(0))
PUT = Asked(method="PUT", path=f"/bid-sets/{NAME}", body=BODY)
STATUS = Asked(method="GET", path=f"/bid-sets/{NAME}")
AWARDS = Asked(method="GET", path="/awards")


def door(
    rates: dict[Fault, float] | None = None,
    *,
    ledger: Ledger | None = None,
    now: Callable[[], datetime] = lambda: START,
    **more: Any,
) -> VenueDoor:
    one, faults = hall(ledger or Ledger(CENT), rates=rates)
    return VenueDoor(one, faults, now=now, **more)


def replied(answer: Reply | HungUp) -> Reply:
    assert isinstance(answer, Reply)
    return answer


def content(answer: Reply | HungUp) -> Any:
    return json.loads(replied(answer).body)


# ---------------------------------------------------------------- as agreed


def test_a_bid_set_is_created_then_known_and_other_bytes_are_a_conflict() -> None:
    one = door()
    assert content(one.answer(STATUS)) == {"status": "unknown"}
    first = one.answer(PUT)
    assert replied(first).status == 201
    assert content(first) == {"bid_set_id": NAME, "status": "received"}
    assert replied(one.answer(PUT)).status == 200
    assert content(one.answer(STATUS)) == {"status": "received"}
    other = one.answer(Asked(method="PUT", path=PUT.path, body=bid_set(quarter(0), mw="1")[1]))
    assert (replied(other).status, content(other)["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        pytest.param(PUT, 410, "gate_closed", id="after the gate"),
        pytest.param(
            Asked(method="PUT", path=PUT.path, body=b"{}"), 422, "invalid_body", id="no bid set"
        ),
        pytest.param(
            Asked(method="GET", path="/awards", query={"after": "x"}), 422, "invalid_query", id="no number"
        ),
        pytest.param(
            Asked(method="GET", path="/awards", query={"from": "2025-12-01T10:00:00Z"}),
            422, "invalid_query", id="half a span",
        ),
        pytest.param(Asked(method="GET", path="/prices"), 404, "not_found", id="elsewhere"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_problem_with_a_code(asked: Asked, status: int, code: str) -> None:
    answer = door(now=lambda: START + 31 * MINUTE).answer(asked)
    assert replied(answer).content_type == "application/problem+json"
    assert (replied(answer).status, content(answer)["code"]) == (status, code)


def test_awards_are_asked_for_by_number_and_by_time() -> None:
    one, faults = hall(Ledger(CENT))
    for number in range(3):
        one.put(*bid_set(quarter(number)), START)
    while (due := one.next_due()) is not None:
        one.act(due)
    asked = VenueDoor(one, faults, now=lambda: START + timedelta(hours=3))

    page = content(
        asked.answer(Asked(method="GET", path="/awards", query={"after": "1", "limit": "1"}))
    )
    assert [award["sequence"] for award in page["awards"]] == [2]
    assert (page["last_sequence"], page["more"]) == (3, True)
    assert page["awards"][0]["product"] == "qh"
    assert page["awards"][0]["issued_at"] == "2025-12-01T10:46:00Z"
    span = {"from": "2025-12-01T10:40:00Z", "to": "2025-12-01T11:00:00Z"}
    page = content(asked.answer(Asked(method="GET", path="/awards", query=span)))
    assert [award["sequence"] for award in page["awards"]] == [2]


def test_the_date_is_that_of_the_venues_own_clock() -> None:
    one = door(clock_ahead=timedelta(seconds=90))
    told = parsedate_to_datetime(replied(one.answer(STATUS)).headers["Date"])
    assert told == START + timedelta(seconds=90)
    late = door(clock_ahead=timedelta(minutes=40))
    assert replied(late.answer(PUT)).status == 410  # its gate closes by its clock


def test_without_a_token_that_holds_nobody_is_let_in() -> None:
    moment = [START]
    client = Client(client_id="us", client_secret="secret", token_for=5 * MINUTE)
    one = door(now=lambda: moment[0], client=client)
    assert content(one.answer(STATUS))["code"] == "invalid_token"
    form = b"grant_type=client_credentials&client_id=us&client_secret="
    assert (
        replied(one.answer(Asked(method="POST", path="/token", body=form + b"wrong"))).status == 401
    )
    token = content(one.answer(Asked(method="POST", path="/token", body=form + b"secret")))
    assert (token["token_type"], token["expires_in"]) == ("bearer", 300)
    with_it = Asked(method="GET", path=STATUS.path, authorization=f"Bearer {token['access_token']}")
    assert replied(one.answer(with_it)).status == 200
    moment[0] += 5 * MINUTE
    assert replied(one.answer(with_it)).status == 401


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "status", "kind", "wait"),
    [
        (Fault.BUSY, 429, "application/problem+json", "5"),
        (Fault.UNAVAILABLE, 503, "application/problem+json", "5"),
        (Fault.REDIRECT, 302, "application/json", None),
        (Fault.HTML, 200, "text/html", None),
        (Fault.ERROR_IN_200, 200, "application/json", None),
    ],
)
def test_something_else_is_answered(fault: Fault, status: int, kind: str, wait: str | None) -> None:
    one = door({fault: 1.0})
    answer = replied(one.answer(PUT))
    assert (answer.status, answer.content_type) == (status, kind)
    assert answer.headers.get("Retry-After") == wait
    assert "Date" in answer.headers
    one.faults.become({})
    known = content(one.answer(STATUS))["status"]
    assert known == "unknown" if status != 200 else known in ("unknown", "received")
    assert one.faults.counts[fault] == 1


def test_behind_a_page_in_200_the_bids_were_taken_or_not() -> None:
    said = set()
    for number in range(12):
        ledger = Ledger(CENT)
        one, faults = hall(ledger, rates={Fault.HTML: 1.0}, seed=number)
        VenueDoor(one, faults, now=lambda: START).answer(PUT)
        said.add(ledger.status(NAME))
    assert said == {"received", "unknown"}


def test_an_answer_is_lost_after_the_bids_were_taken() -> None:
    one = door({Fault.REPLY_LOST: 1.0})
    assert one.answer(PUT) == HungUp()
    one.faults.become({})
    assert content(one.answer(STATUS)) == {"status": "received"}


def test_a_venue_hangs_up_and_has_done_nothing() -> None:
    one = door({Fault.HUNG_UP: 1.0})
    assert one.answer(PUT) == HungUp()
    one.faults.become({})
    assert content(one.answer(STATUS)) == {"status": "unknown"}


def test_a_bid_set_is_worked_through_twice() -> None:
    ledger = Ledger(CENT)
    one = door({Fault.TWICE: 1.0}, ledger=ledger)
    assert replied(one.answer(PUT)).status == 201
    assert ledger.counts["received_again"] == 1


def test_asked_about_a_bid_set_it_denies_it_once() -> None:
    one = door({Fault.UNKNOWN_ONCE: 1.0})
    one.answer(PUT)
    said = [content(one.answer(STATUS))["status"] for _ in range(3)]
    assert said == ["unknown", "received", "received"]


def test_an_answer_is_late() -> None:
    assert replied(door({Fault.SLOW: 1.0}).answer(PUT)).after_s == 30.0


# ---------------------------------------------------------------- on a socket


def on_socket(
    rates: dict[Fault, float], play: Callable[[VenueServer, aiohttp.ClientSession], Awaitable[None]]
) -> list[float]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> None:
        server = VenueServer(door(rates), pause=pause)
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                await play(server, session)
        finally:
            await server.stop()

    asyncio.run(run())
    return pauses


def test_the_dialect_is_spoken_over_http() -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        url = URL(f"{server.url}/bid-sets/{NAME}")
        async with session.put(url, data=BODY) as answer:
            assert answer.status == 201
            assert answer.headers["Date"] == "Mon, 01 Dec 2025 10:00:00 GMT"
        async with session.get(url) as answer:
            assert await answer.json() == {"status": "received"}
        async with session.get(f"{server.url}/awards", params={"after": "0"}) as answer:
            assert await answer.json() == {"awards": [], "last_sequence": 0, "more": False}

    on_socket({}, play)


def test_an_id_may_hold_slashes_as_they_are_or_in_code() -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        for path in ("da/unit-1/1", "da%2Funit-1%2F1"):
            url = URL(f"{server.url}/bid-sets/{path}", encoded=True)
            async with session.get(url) as answer:
                assert await answer.json() == {"status": "unknown"}

    on_socket({}, play)


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.HUNG_UP])
def test_a_lost_answer_ends_the_connection(fault: Fault) -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.put(f"{server.url}/bid-sets/{NAME}", data=BODY)

    on_socket({fault: 1.0}, play)


def test_a_late_answer_waits() -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{server.url}/awards") as answer:
            assert answer.status == 200

    assert on_socket({Fault.SLOW: 1.0}, play) == [30.0]


def test_a_venue_that_is_away_refuses_connections_and_comes_back_at_the_same_address() -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{server.url}/awards") as answer:
            assert answer.status == 200
        await session.close()
        async with aiohttp.ClientSession() as later:
            await server.go_away()
            with pytest.raises(aiohttp.ClientConnectorError):
                await later.get(f"{server.url}/awards")
            await server.come_back()
            async with later.get(f"{server.url}/awards") as answer:
                assert answer.status == 200

    on_socket({}, play)


def test_a_port_that_is_taken_is_named() -> None:
    async def play(server: VenueServer, session: aiohttp.ClientSession) -> None:
        port = int(server.url.rsplit(":", 1)[1])
        with pytest.raises(UnavailableError, match=f"venue port {port}"):
            await VenueServer(door(), port).start()

    on_socket({}, play)
