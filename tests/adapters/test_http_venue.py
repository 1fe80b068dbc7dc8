"""How a venue over HTTP is spoken to, and what each of its answers becomes: none is taken for another."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http_exchange import Answered
from adapters.http_get import Reply
from adapters.http_venue import HttpVenue, HttpVenueAccess
from adapters.venue_mapping import BidsMapping, StatusMapping, read_submission, read_word
from tests.adapters.venueserver import NOW, http, raw_server, talk
from tests.patience import PATIENCE_S
from vpp.errors import AdapterError, ConfigError, ForeignError, UnavailableError
from vpp.model.venue import Declined, Foreign, Later, Submission, Taken, Unknown
from vpp.ports import AwardPage

BODY = b'{"bid_set_id":"b-1"}'
GATE = NOW + timedelta(minutes=10)
RECEIVED = '{"bid_set_id":"b-1","status":"received"}'
REFUSED = '{"type":"about:blank","status":422,"code":"too_small","detail":"0.1 MW at least"}'
PAGE = "<!doctype html><p>Back soon.</p>"


async def put(venue: HttpVenue) -> Submission:
    return await venue.submit("b-1", BODY, until=GATE)


async def ask(venue: HttpVenue) -> str:
    return await venue.bid_set_status("b-1")


async def fetch(venue: HttpVenue) -> AwardPage:
    return await venue.awards(0)


# ---------------------------------------------------------------- bids

IN_30_S = NOW + timedelta(seconds=30)
AFTER_ALL_YEARS = "Fri, 31 Dec 9999 23:59:59 -1400"
ANSWERS = [
    pytest.param(http(201, RECEIVED), Taken, "", id="201 received"),
    pytest.param(http(200, RECEIVED), Taken, "", id="200 the same again"),
    pytest.param(http(200, '{"status":"received"}'), Taken, "", id="200 without the id"),
    pytest.param(http(409, "{}"), Declined, "conflict", id="409"),
    pytest.param(http(410, "{}"), Declined, "gate_closed", id="410"),
    pytest.param(http(422, REFUSED, "application/problem+json"), Declined, "too_small", id="422"),
    pytest.param(http(422, '{"detail":"no"}'), Foreign, "without a code", id="422 without a code"),
    pytest.param(http(422, PAGE, "text/html"), Foreign, "not JSON", id="422 as HTML"),
    pytest.param(http(410, PAGE, "text/html"), Foreign, "not JSON", id="410 as HTML"),
    pytest.param(http(409, PAGE, "text/html"), Foreign, "not JSON", id="409 as HTML"),
    pytest.param(
        http(429, "{}", "application/json", "Retry-After: 30"), Later, IN_30_S, id="429, seconds"
    ),
    pytest.param(
        http(429, "", "", "Retry-After: Mon, 01 Dec 2025 12:00:30 GMT"),
        Later,
        IN_30_S,
        id="429, a date",
    ),
    pytest.param(http(429, "{}"), Later, None, id="429 without a time"),
    pytest.param(
        http(429, PAGE, "text/html", "Retry-After: 99999"),
        Later,
        NOW + timedelta(hours=1),
        id="429 that asks for more than an hour",
    ),
    pytest.param(
        http(429, "", "", "Retry-After: \u00b2"), Later, None, id="429, no digits of ours"
    ),
    pytest.param(
        http(429, "", "", f"Retry-After: {AFTER_ALL_YEARS}"), Later, None, id="429, no date of ours"
    ),
    pytest.param(
        http(201, RECEIVED, "application/json", f"Date: {AFTER_ALL_YEARS}"),
        Taken,
        "",
        id="201 of no date that there is",
    ),
    pytest.param(http(408), Later, None, id="408"),
    pytest.param(http(425), Later, None, id="425"),
    pytest.param(http(401, "{}"), Later, None, id="401"),
    pytest.param(
        http(503, "{}", "application/json", "Retry-After: 30"), Later, IN_30_S, id="503 with a time"
    ),
    pytest.param(http(503, "{}"), Unknown, "without a time", id="503 without a time"),
    pytest.param(http(500, "{}"), Unknown, "answered 500", id="500"),
    pytest.param(http(502, PAGE, "text/html"), Unknown, "answered 502", id="502 of a proxy"),
    pytest.param(http(504, "", ""), Unknown, "answered 504", id="504"),
    pytest.param(http(500, RECEIVED), Unknown, "answered 500", id="500 that says received"),
    pytest.param(
        http(302, "", "", "Location: /elsewhere"), Foreign, "answered 302", id="a redirect"
    ),
    pytest.param(
        http(308, RECEIVED, "application/json", "Location: /x"),
        Foreign,
        "308",
        id="308 that says received",
    ),
    pytest.param(http(200, PAGE, "text/html"), Foreign, "text/html", id="a page for people"),
    pytest.param(http(200, RECEIVED, "text/html"), Foreign, "text/html", id="HTML around JSON"),
    pytest.param(
        http(200, RECEIVED, "text/plain"), Foreign, "text/plain", id="another content type"
    ),
    pytest.param(http(201, RECEIVED, ""), Foreign, "not JSON", id="no content type"),
    pytest.param(http(200, PAGE), Foreign, "no JSON", id="HTML said to be JSON"),
    pytest.param(http(200, '{"error":"no"}'), Foreign, "error", id="200 with an error body"),
    pytest.param(
        http(200, '{"status":"received","error":"no"}'),
        Foreign,
        "error",
        id="received, with an error",
    ),
    pytest.param(http(200, '{"status":"pending"}'), Foreign, "pending", id="a word we do not know"),
    pytest.param(
        http(200, '{"state":"received"}'), Foreign, "state", id="a field that was renamed"
    ),
    pytest.param(http(200, '{"bid_set_id":"b-1"}'), Foreign, "no text", id="a field that is gone"),
    pytest.param(http(200, '"received"'), Foreign, "no JSON object", id="no object"),
    pytest.param(http(200, ""), Foreign, "no JSON", id="empty"),
    pytest.param(http(204, "", ""), Foreign, "204", id="204"),
    pytest.param(http(202, RECEIVED), Foreign, "202", id="202, which nobody agreed on"),
    pytest.param(http(400, "{}"), Foreign, "400", id="400"),
    pytest.param(http(403, "{}"), Foreign, "403", id="403"),
    pytest.param(http(404, "{}"), Foreign, "404", id="404"),
    pytest.param(http(200, RECEIVED + " " * 200_000), Foreign, "more bytes", id="too large"),
    pytest.param(http(200, '{"status":"rec', length=500), Unknown, "cut", id="cut off"),
    pytest.param(
        http(422, '{"code":"x"', length=500), Unknown, "cut", id="a refusal that is cut off"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nConte", Unknown, "no answer", id="cut off in its headers"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", Unknown, "no answer", id="no HTTP at all"),
    pytest.param(None, Unknown, "no answer", id="hung up"),
]


@pytest.mark.parametrize(("answer", "kind", "more"), ANSWERS)
def test_every_answer_to_bids_has_one_type(
    answer: bytes | None, kind: type[Submission], more: Any
) -> None:
    outcome, requests = talk(answer, put)

    assert type(outcome) is kind, outcome
    if isinstance(outcome, Later):
        assert outcome.retry_at == more
    elif isinstance(outcome, Declined):
        assert outcome.code == more
    elif not isinstance(outcome, Taken):
        assert more in outcome.what
    assert len(requests) == 1  # never twice behind our back


def test_a_foreign_answer_is_kept_up_to_a_bound() -> None:
    outcome, _ = talk(http(200, "x" * 50_000, "text/plain"), put)

    assert isinstance(outcome, Foreign)
    assert outcome.raw == b"x" * 4096


def test_the_bytes_go_out_as_they_are_to_the_address_of_the_bid_set() -> None:
    async def put_odd(venue: HttpVenue) -> Submission:
        return await venue.submit("a/b c?d#e%2F", BODY, until=GATE)

    _, (request,) = talk(http(201, RECEIVED), put_odd)

    assert request.startswith(b"PUT /bid-sets/a%2Fb%20c%3Fd%23e%252F HTTP/1.1\r\n")
    assert b"Content-Type: application/json\r\n" in request
    assert request.endswith(b"\r\n\r\n" + BODY)


def test_a_venue_that_is_not_there_has_surely_not_got_them() -> None:
    async def main() -> Submission:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        access = HttpVenueAccess(url=f"http://127.0.0.1:{port}")
        async with HttpVenue(access, now=lambda: NOW) as venue:
            return await put(venue)

    outcome = asyncio.run(main())
    assert isinstance(outcome, Later)
    assert "not sent" in outcome.what


def test_a_venue_that_takes_them_and_is_silent_may_have_them() -> None:
    outcome, requests = talk(None, put, holds=True, timeout_s=0.2)

    assert isinstance(outcome, Unknown)
    assert len(requests) == 1


def test_a_connection_that_does_not_come_about_in_time_has_sent_nothing() -> None:
    async def main() -> Submission:
        async with raw_server(None, holds=True) as raw:
            # TLS to somebody who says nothing: no request leaves before the handshake.
            access = HttpVenueAccess(url=raw.url.replace("http:", "https:"), timeout_s=0.2)
            async with HttpVenue(access, now=lambda: NOW) as venue:
                return await put(venue)

    assert isinstance(asyncio.run(main()), Later)


def test_nothing_is_sent_at_the_gate() -> None:
    async def at_the_gate(venue: HttpVenue) -> Submission:
        return await venue.submit("b-1", BODY, until=NOW)

    outcome, requests = talk(http(201, RECEIVED), at_the_gate)

    assert isinstance(outcome, Later)
    assert requests == []


def test_a_request_that_is_under_way_ends_at_the_gate() -> None:
    async def just_before(venue: HttpVenue) -> Submission:
        async with asyncio.timeout(PATIENCE_S):
            return await venue.submit("b-1", BODY, until=NOW + timedelta(seconds=0.2))

    outcome, _ = talk(None, just_before, holds=True, timeout_s=60)

    assert isinstance(outcome, Unknown)


# ---------------------------------------------------------------- questions


@pytest.mark.parametrize("word", ["received", "cleared", "unknown"])
def test_the_agreed_words_are_passed_on(word: str) -> None:
    said, (request,) = talk(http(200, f'{{"status":"{word}"}}'), ask)

    assert said == word
    assert request.startswith(b"GET /bid-sets/b-1 HTTP/1.1\r\n")


QUESTIONS = [
    pytest.param(http(500, RECEIVED), UnavailableError, id="500"),
    pytest.param(http(503, PAGE, "text/html"), UnavailableError, id="503 as HTML"),
    pytest.param(http(429, "{}"), UnavailableError, id="too many requests"),
    pytest.param(http(408), UnavailableError, id="request timeout"),
    pytest.param(http(401, "{}"), UnavailableError, id="our credentials"),
    pytest.param(http(200, '{"status":', length=99), UnavailableError, id="cut off"),
    pytest.param(None, UnavailableError, id="hung up"),
    pytest.param(http(302, "", "", "Location: /x"), ForeignError, id="a redirect"),
    pytest.param(http(404, "{}"), ForeignError, id="404"),
    pytest.param(http(204), ForeignError, id="no content"),
    pytest.param(http(200, '{"status":"received"}', "text/html"), ForeignError, id="HTML"),
    pytest.param(http(200, PAGE), ForeignError, id="HTML said to be JSON"),
    pytest.param(http(200, ""), ForeignError, id="empty"),
    pytest.param(http(200, "{}"), ForeignError, id="no status"),
    pytest.param(http(200, '{"error":"no"}'), ForeignError, id="200 with an error body"),
    pytest.param(http(200, '{"status":"lost"}'), ForeignError, id="a word we do not know"),
    pytest.param(http(200, '{"status":"received","note":1}'), ForeignError, id="a field more"),
    pytest.param(http(200, "[" * 60_000), ForeignError, id="a pile of brackets"),
    pytest.param(http(200, " " * 200_000), ForeignError, id="too large"),
]


@pytest.mark.parametrize(("answer", "error"), QUESTIONS)
def test_any_other_word_is_an_error_of_the_right_kind(
    answer: bytes | None, error: type[AdapterError]
) -> None:
    with pytest.raises(error, match="bid set b-1") as raised:
        talk(answer, ask)
    assert type(raised.value) is error


ALONE = [
    pytest.param("", b"", Taken, id="nothing at all"),
    pytest.param("application/json", b"{}", Taken, id="an empty object"),
    pytest.param("application/json", b'{"error":"no"}', Foreign, id="an error"),
    pytest.param("text/html", b"<p>Back soon.</p>", Foreign, id="a page for people"),
]


@pytest.mark.parametrize(("kind", "body", "outcome"), ALONE)
def test_a_status_may_say_alone_that_bids_were_taken(
    kind: str, body: bytes, outcome: type[Submission]
) -> None:
    answered = Answered(reply=Reply(status=201, content_type=kind, body=body))
    assert type(read_submission(answered, BidsMapping(word_at=None), NOW)) is outcome


@pytest.mark.parametrize("status", [409, 410])
def test_a_refusal_by_status_needs_no_body(status: int) -> None:
    answered = Answered(reply=Reply(status=status))
    assert isinstance(read_submission(answered, BidsMapping(), NOW), Declined)


def test_a_word_of_the_body_may_decline_or_put_off_what_its_status_takes() -> None:
    words = {"ok": "taken", "no": "declined", "wait": "later", "maybe": "unknown"}
    mapping = BidsMapping(word_at="result.word", words=words, also=frozenset({"result"}))  # type: ignore[arg-type]

    def outcome(word: str) -> Submission:
        body = f'{{"result":{{"word":"{word}"}},"code":"c","detail":"d"}}'.encode()
        reply = Reply(status=200, content_type="application/json", body=body)
        return read_submission(Answered(reply=reply), mapping, NOW)

    kinds = [type(outcome(word)) for word in ("ok", "no", "wait", "maybe", "what")]
    assert kinds == [Taken, Declined, Later, Unknown, Foreign]


@given(st.binary(max_size=60))
def test_bytes_without_sense_are_foreign(body: bytes) -> None:
    answered = Answered(reply=Reply(status=200, content_type="application/json", body=body))
    assert isinstance(read_submission(answered, BidsMapping(), NOW), Foreign)
    with pytest.raises(ForeignError):
        read_word(answered, StatusMapping(), where="venue")


def test_a_status_may_mean_that_a_bid_set_is_not_known() -> None:
    answered = Answered(reply=Reply(status=404, content_type="text/html", body=b"<p>"))
    mapping = StatusMapping(unknown_statuses=frozenset({404}))
    assert read_word(answered, mapping, where="venue") == "unknown"


# ---------------------------------------------------------------- awards

AWARD = {"award_id": "a-1", "revision": 1, "final": True, "bid_set_id": "b-1", "cleared": []}
ENTRY = {"sequence": 7, "issued_at": "2025-12-01T11:00:00Z", "product": "da", "award": AWARD}


def listed(*entries: Any, last: Any = 7, more: Any = False, **strange: Any) -> bytes:
    body = {"awards": list(entries), "last_sequence": last, "more": more} | strange
    return http(200, msgspec.json.encode(body).decode())


def test_a_page_of_awards_is_read_with_its_place_in_the_list() -> None:
    page, (request,) = talk(listed(ENTRY, ENTRY | {"sequence": 9}, last=12, more=True), fetch)

    assert request.startswith(b"GET /awards?after=0&limit=200 HTTP/1.1\r\n")
    assert [(a.sequence, a.product_id, a.award.award_id) for a in page.awards] == [
        (7, "da", "a-1"),
        (9, "da", "a-1"),
    ]
    assert (page.next_after, page.last_sequence, page.foreign) == (9, 12, ())


def test_the_last_page_has_none_after_it() -> None:
    page, _ = talk(listed(ENTRY), fetch)
    assert page.next_after is None


def test_behind_a_page_without_an_award_in_it_the_list_goes_on() -> None:
    page, _ = talk(listed(ENTRY | {"kind": "x"}, last=12, more=True), fetch)

    assert page.awards == ()
    assert (page.next_after, len(page.foreign)) == (7, 1)


def test_a_page_that_promises_more_and_brings_nothing_ends_the_list() -> None:
    page, _ = talk(listed(more=True), fetch)
    assert page.next_after is None


STRANGE = [
    pytest.param(
        ENTRY | {"award": AWARD | {"revision": 0}}, "revision", id="a value out of bounds"
    ),
    pytest.param(ENTRY | {"award": AWARD | {"kind": "x"}}, "kind", id="a field more in the award"),
    pytest.param(ENTRY | {"kind": "x"}, "kind", id="a field more beside it"),
    pytest.param({k: v for k, v in ENTRY.items() if k != "award"}, "award", id="no award"),
    pytest.param(ENTRY | {"sequence": "7"}, "sequence", id="a sequence that is no number"),
    pytest.param(ENTRY | {"sequence": True}, "sequence", id="a sequence that is yes"),
    pytest.param(ENTRY | {"product": 5}, "product", id="a product that is no text"),
    pytest.param("award", "sequence", id="no object"),
]


@pytest.mark.parametrize(("entry", "what"), STRANGE)
def test_an_entry_that_is_no_award_hides_no_other(entry: Any, what: str) -> None:
    page, _ = talk(listed(entry, ENTRY), fetch)

    assert [a.sequence for a in page.awards] == [7]
    (stranger,) = page.foreign
    assert what in stranger.what.lower() or what in stranger.where
    assert msgspec.json.decode(stranger.raw) == entry


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(listed(ENTRY, next="x"), id="a field more"),
        pytest.param(listed(ENTRY, last="7"), id="a sequence that is no number"),
        pytest.param(listed(ENTRY, last=-1), id="a sequence below 0"),
        pytest.param(listed(ENTRY, more="no"), id="more that is no yes or no"),
        pytest.param(http(200, '{"awards":{},"last_sequence":0,"more":false}'), id="no list"),
        pytest.param(http(200, "[]"), id="a list alone"),
        pytest.param(http(200, PAGE, "text/html"), id="a page for people"),
        pytest.param(http(301, "", "", "Location: /x"), id="a redirect"),
    ],
)
def test_a_list_that_is_none_is_foreign(answer: bytes) -> None:
    with pytest.raises(ForeignError, match="awards after 0"):
        talk(answer, fetch)


# ---------------------------------------------------------------- what is noticed beside the answers


@pytest.mark.parametrize(
    ("date", "offset_s"),
    [
        pytest.param("Mon, 01 Dec 2025 12:00:00 GMT", 0, id="the same"),
        pytest.param("Mon, 01 Dec 2025 11:59:59 GMT", 0, id="cut to the second before"),
        pytest.param("Mon, 01 Dec 2025 12:00:09 GMT", 9, id="ahead"),
        pytest.param("Mon, 01 Dec 2025 11:59:50 GMT", -9, id="behind, by nine at least"),
        pytest.param("Yesterday", None, id="no date"),
    ],
)
def test_the_clock_of_the_venue_is_held_against_ours(date: str, offset_s: float | None) -> None:
    async def look(venue: HttpVenue) -> float | None:
        await ask(venue)
        return venue.health().clock_offset_s

    said, _ = talk(http(200, '{"status":"received"}', "application/json", f"Date: {date}"), look)
    assert said == offset_s


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://market.example", id="not encrypted, not this machine"),
        pytest.param("http://10.0.0.1", id="a private address"),
        pytest.param("ftp://127.0.0.1", id="another protocol"),
        pytest.param("127.0.0.1:80", id="no protocol"),
        pytest.param("https://", id="no host"),
        pytest.param("https://user:word@market.example", id="a password in it"),
        pytest.param("https://market.example/?a=b", id="a query in it"),
    ],
)
def test_an_unsafe_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="venue url"):
        HttpVenue(HttpVenueAccess(url=url), now=lambda: NOW)


@pytest.mark.parametrize(
    "url", ["https://market.example/v1", "http://localhost:8080", "http://[::1]:8080/x"]
)
def test_a_safe_address_is_taken(url: str) -> None:
    HttpVenue(HttpVenueAccess(url=url), now=lambda: NOW)
