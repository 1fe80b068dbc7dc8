"""A platform over HTTP: what arrives there, and what each of its answers means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.http_token import TokenSource
from adapters.report_http import HttpPlatform, PlatformAccess
from tests.patience import PATIENCE_S
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import ProductId, UnitId
from vpp.model.reporting import (
    Declined,
    NotTaken,
    ReportAnswer,
    ReportHead,
    ReportKind,
    Taken,
)

NOON = datetime(2025, 12, 2, 12, tzinfo=UTC)
HEAD = ReportHead(
    product_id=ProductId("cn.dr"),
    unit_id=UnitId("unit-a"),
    kind=ReportKind.DAY_PLAN,
    due_at=NOON,
    made_at=NOON,
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")


def run(check: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(check, PATIENCE_S)

    return asyncio.run(bounded())


@asynccontextmanager
async def platform(
    handler: Handler, *, timeout_s: float = 5.0, token: bool = False
) -> AsyncIterator[HttpPlatform]:
    """Ours, and theirs that answers every POST by `handler`."""
    app = web.Application()
    app.router.add_post("/vpp/{kind}", handler)

    numbers = count(1)

    async def give_token(request: web.Request) -> web.Response:
        named = f"t{next(numbers)}"
        return web.json_response({"access_token": named, "token_type": "Bearer", "expires_in": 60})

    app.router.add_post("/token", give_token)
    async with TestServer(app, host="127.0.0.1") as server:
        base = str(server.make_url("/"))
        access = PlatformAccess(
            url=f"{base}vpp/",
            headers=lambda: {"X-Api-Key": "k"},
            timeout_s=timeout_s,
            token=TokenSource(
                url=f"{base}token", client_id=lambda: "us", client_secret=lambda: "secret"
            )
            if token
            else None,
        )
        async with HttpPlatform(access, now=lambda: NOON) as ours:
            yield ours


def test_a_report_arrives_as_it_is_on_record_at_the_place_of_its_kind() -> None:
    seen: list[tuple[str, bytes, str, str, str]] = []

    async def take(request: web.Request) -> web.Response:
        heads = request.headers
        seen.append(
            (
                request.path,
                await request.read(),
                heads["Idempotency-Key"],
                heads["X-Api-Key"],
                heads["Authorization"],
            )
        )
        return web.Response(status=202)

    async def check() -> ReportAnswer:
        async with platform(take, token=True) as ours:
            return await ours.send(HEAD, b'{"a":1}')

    assert run(check()) == Taken()
    key = "cn.dr/unit-a/day-plan/2025-12-02T12:00:00Z"
    assert seen == [("/vpp/day-plan", b'{"a":1}', key, "k", "Bearer t1")]


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (200, Taken()),
        (204, Taken()),
        (409, Taken()),
        (429, NotTaken(why="429 no\nway".replace("\n", " "))),
        (503, NotTaken(why="503 no way")),
        (400, Declined(why="400 no way")),
        (302, Declined(why="302 no way")),
        (401, Declined(why="401 no way")),
    ],
)
def test_each_status_means_one_thing(status: int, means: ReportAnswer) -> None:
    async def answer(request: web.Request) -> web.Response:
        text = None if status == 204 else "no\nway"
        return web.Response(status=status, text=text, headers={"Location": "http://127.0.0.1:1/"})

    async def check() -> ReportAnswer:
        async with platform(answer) as ours:
            return await ours.send(HEAD, b"{}")

    assert run(check()) == means


def test_a_platform_that_hangs_or_is_not_there_has_not_taken_it() -> None:
    hung = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await hung.wait()
        return web.Response()

    async def check() -> tuple[ReportAnswer, ReportAnswer]:
        async with platform(hang, timeout_s=0.2) as ours:
            silent = await ours.send(HEAD, b"{}")
            hung.set()
        async with HttpPlatform(PlatformAccess(url="http://127.0.0.1:9"), now=lambda: NOON) as away:
            return silent, await away.send(HEAD, b"{}")

    silent, away = run(check())
    assert silent == NotTaken(why="no answer within 0.2 s")
    assert isinstance(away, NotTaken)


def test_a_token_that_is_refused_is_asked_for_again() -> None:
    async def answer(request: web.Request) -> web.Response:
        good = request.headers["Authorization"] == "Bearer t2"
        return web.Response(status=200 if good else 401)

    async def check() -> list[ReportAnswer]:
        async with platform(answer, token=True) as ours:
            return [await ours.send(HEAD, b"{}") for _ in range(2)]

    assert run(check()) == [NotTaken(why="it does not take our token"), Taken()]


def test_what_cannot_be_shown_of_us_keeps_the_report_back() -> None:
    def missing() -> dict[str, str]:
        raise UnavailableError("is not set", where="LOAD_CENTRE_KEY", fix="Set it")

    async def check() -> ReportAnswer:
        access = PlatformAccess(url="http://127.0.0.1:9", headers=missing)
        async with HttpPlatform(access, now=lambda: NOON) as ours:
            return await ours.send(HEAD, b"{}")

    found = run(check())
    assert isinstance(found, NotTaken)
    assert "LOAD_CENTRE_KEY" in found.why


def test_an_address_that_is_not_safe_is_refused() -> None:
    for url in ("http://platform.example/", "https://me:pw@platform.example/"):
        with pytest.raises(ConfigError):
            HttpPlatform(PlatformAccess(url=url), now=lambda: NOON)
