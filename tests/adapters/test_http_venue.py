"""How a venue's answers are read: only the agreed one counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from adapters.http_get import Reply
from adapters.http_venue import HttpVenueLedger, read_answer
from vpp.errors import AdapterError, ConfigError, RejectedError, UnavailableError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, bid_set_id: str = "b-1", *, timeout_s: float = 5.0) -> str:
    """Ask a real server on loopback that answers with `handler`."""

    async def main() -> str:
        application = web.Application()
        application.router.add_get("/venue/bid-sets/{id}", handler)
        application.router.add_get("/elsewhere", handler)
        runner = web.AppRunner(application, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            [(host, port)] = runner.addresses
            async with HttpVenueLedger(
                f"http://{host}:{port}/venue/", timeout_s=timeout_s
            ) as ledger:
                return await ledger.bid_set_status(bid_set_id)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize("word", ["received", "cleared", "unknown"])
def test_the_agreed_words_are_passed_on(word: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"status": word})

    assert ask(answer) == word


def test_an_id_with_slashes_reaches_the_venue_whole() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.match_info["id"])
        return web.json_response({"status": "received"})

    ask(answer, "da-15/steel/20251203T2300Z/1?x#y%2F")
    assert seen == ["da-15/steel/20251203T2300Z/1?x#y%2F"]


def test_a_redirect_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            return web.json_response({"status": "cleared"})
        raise web.HTTPFound("/elsewhere")

    with pytest.raises(RejectedError, match="302"):
        ask(answer)


def test_a_venue_that_is_too_slow_is_unavailable() -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(UnavailableError, match="in time"):
        ask(answer, timeout_s=0.1)


def test_a_venue_that_hangs_up_is_unavailable() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(UnavailableError):
        ask(answer)


def test_a_venue_that_is_not_there_is_unavailable() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with HttpVenueLedger(f"http://127.0.0.1:{port}") as ledger:
            await ledger.bid_set_status("b-1")

    with pytest.raises(UnavailableError):
        asyncio.run(main())


GOOD = b'{"status": "received"}'


@pytest.mark.parametrize(
    ("status", "content_type", "body", "error"),
    [
        pytest.param(500, "application/json", GOOD, UnavailableError, id="500"),
        pytest.param(503, "text/html", b"<html>", UnavailableError, id="503 as HTML"),
        pytest.param(429, "application/json", b"{}", UnavailableError, id="too many requests"),
        pytest.param(408, "text/plain", b"", UnavailableError, id="request timeout"),
        pytest.param(401, "application/json", GOOD, RejectedError, id="bad credentials"),
        pytest.param(404, "application/json", GOOD, RejectedError, id="404"),
        pytest.param(204, "application/json", b"", RejectedError, id="no content"),
        pytest.param(302, "application/json", GOOD, RejectedError, id="redirect"),
        pytest.param(200, "text/html", GOOD, RejectedError, id="HTML around JSON"),
        pytest.param(200, "application/json", b"<html>", RejectedError, id="HTML said to be JSON"),
        pytest.param(200, "application/json", b"", RejectedError, id="empty"),
        pytest.param(200, "application/json", b'"received"', RejectedError, id="no object"),
        pytest.param(200, "application/json", b"{}", RejectedError, id="no status"),
        pytest.param(
            200, "application/json", b'{"error": "no"}', RejectedError, id="200 with an error body"
        ),
        pytest.param(
            200,
            "application/json",
            b'{"status": "lost"}',
            RejectedError,
            id="a word we do not know",
        ),
        pytest.param(
            200,
            "application/json",
            b'{"status": "received", "note": 1}',
            RejectedError,
            id="a field we do not know",
        ),
        pytest.param(
            200, "application/json", b"[" * 60_000, RejectedError, id="a pile of brackets"
        ),
    ],
)
def test_any_other_answer_is_an_error_of_the_right_kind(
    status: int, content_type: str, body: bytes, error: type[AdapterError]
) -> None:
    with pytest.raises(error, match="venue"):
        read_answer(Reply(status=status, content_type=content_type, body=body), where="venue")


@given(st.binary(max_size=60))
def test_bytes_without_sense_are_refused(body: bytes) -> None:
    with pytest.raises(RejectedError):
        read_answer(Reply(status=200, content_type="application/json", body=body), where="venue")


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
    with pytest.raises(ConfigError, match="venue base_url"):
        HttpVenueLedger(url)


@pytest.mark.parametrize(
    "url", ["https://market.example/v1", "http://localhost:8080", "http://[::1]:8080/x"]
)
def test_a_safe_address_is_taken(url: str) -> None:
    HttpVenueLedger(url)
