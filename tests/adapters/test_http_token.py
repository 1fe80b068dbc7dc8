"""Tokens and certificates of a venue: renewed ahead of their end, and what happens while they cannot be."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.certificate import CertificateKeeper, ClientCertificate, ends_at
from adapters.http_get import Reply
from adapters.http_token import TokenSource, read_token
from adapters.http_venue import HttpVenue, HttpVenueAccess
from tests.adapters.papers import Papers
from tests.adapters.venueserver import NOW
from vpp.errors import UnavailableError
from vpp.model.venue import Later, Submission, Taken

GATE = NOW + timedelta(days=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Town:
    """A venue that wants tokens, and who gives them out for ten minutes each."""

    at: datetime = NOW
    gives: bool = True
    refuses: set[str] = field(default_factory=set)
    given: int = 0
    seen: list[str] = field(default_factory=list)
    """The tokens that bids came with."""

    forms: list[dict[str, str]] = field(default_factory=list)

    async def token(self, request: web.Request) -> web.Response:
        if not self.gives:
            return web.Response(status=503)
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        self.given += 1
        said = {"access_token": f"t{self.given}", "token_type": "Bearer", "expires_in": 600}
        return web.json_response(said)

    async def put(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.seen.append(token)
        if token in self.refuses:
            return web.json_response({"code": "invalid_token"}, status=401)
        return web.json_response({"status": "received"}, status=201)


@asynccontextmanager
async def town_and_venue() -> AsyncIterator[tuple[Town, HttpVenue]]:
    town = Town()
    app = web.Application()
    app.router.add_post("/token", town.token)
    app.router.add_put("/bid-sets/{name}", town.put)
    async with TestServer(app, host="127.0.0.1") as server:
        source = TokenSource(
            url=str(server.make_url("/token")),
            client_id=lambda: "park",
            client_secret=lambda: "hush & more",
        )
        access = HttpVenueAccess(url=str(server.make_url("/")), token=source)
        async with HttpVenue(access, now=lambda: town.at) as venue:
            yield town, venue


async def put(venue: HttpVenue) -> Submission:
    return await venue.submit("b-1", b"{}", until=GATE)


def test_a_token_is_asked_for_once_and_renewed_two_minutes_before_its_end() -> None:
    async def main() -> None:
        async with town_and_venue() as (town, venue):
            for minute in (0, 1, 7, 8, 9, 15, 16):
                town.at = NOW + minute * MINUTE
                assert isinstance(await put(venue), Taken)
            assert town.seen == ["t1", "t1", "t1", "t2", "t2", "t2", "t3"]
            assert town.forms[0] == {
                "grant_type": "client_credentials",
                "client_id": "park",
                "client_secret": "hush & more",
            }

    asyncio.run(main())


def test_a_token_is_there_before_bids_are_to_be_sent() -> None:
    async def main() -> None:
        async with town_and_venue() as (town, venue):
            await venue.prepare()
            assert (town.given, town.seen) == (1, [])
            assert isinstance(await put(venue), Taken)
            assert (town.given, town.seen) == (1, ["t1"])
            town.gives, town.at = False, NOW + 11 * MINUTE
            await venue.prepare()  # what cannot be had is told by submit
            assert isinstance(await put(venue), Later)

    asyncio.run(main())


def test_while_no_new_token_comes_the_old_one_serves_to_its_end() -> None:
    async def main() -> None:
        async with town_and_venue() as (town, venue):
            await put(venue)
            town.gives, town.at = False, NOW + 9 * MINUTE
            assert isinstance(await put(venue), Taken)
            assert venue.health().token_fault == "answered 503 application/octet-stream"
            town.at = NOW + 10 * MINUTE
            assert isinstance(await put(venue), Later)  # nothing was sent
            assert town.seen == ["t1", "t1"]
            town.gives, town.at = True, NOW + 12 * MINUTE
            assert isinstance(await put(venue), Taken)
            assert venue.health().token_fault is None

    asyncio.run(main())


def test_a_token_service_that_is_ill_is_not_asked_at_every_turn() -> None:
    async def main() -> None:
        async with town_and_venue() as (town, venue):
            town.gives = False
            await put(venue)
            town.gives = True
            assert isinstance(await put(venue), Later)  # within five seconds
            assert town.given == 0
            town.at = NOW + timedelta(seconds=5)
            assert isinstance(await put(venue), Taken)

    asyncio.run(main())


def test_a_token_that_the_venue_refuses_is_replaced_at_the_next_turn() -> None:
    async def main() -> None:
        async with town_and_venue() as (town, venue):
            town.refuses = {"t1"}
            assert isinstance(await put(venue), Later)
            assert isinstance(await put(venue), Taken)
            assert town.seen == ["t1", "t2"]

    asyncio.run(main())


GOOD = '{"access_token":"t","token_type":"bearer","expires_in":60}'
BAD_TOKENS = [
    pytest.param(401, "application/json", GOOD, id="refused"),
    pytest.param(302, "application/json", GOOD, id="a redirect"),
    pytest.param(200, "text/html", GOOD, id="HTML"),
    pytest.param(200, "application/json", "<p>", id="no JSON"),
    pytest.param(200, "application/json", "[]", id="no object"),
    pytest.param(200, "application/json", GOOD.replace('"t"', '""'), id="an empty token"),
    pytest.param(200, "application/json", GOOD.replace('"t"', '"a\\nb"'), id="a line break in it"),
    pytest.param(200, "application/json", GOOD.replace("bearer", "mac"), id="another type"),
    pytest.param(200, "application/json", GOOD.replace("60", "0"), id="ended already"),
    pytest.param(200, "application/json", GOOD.replace("60", "true"), id="a life of yes"),
    pytest.param(200, "application/json", GOOD.replace("60", '"60"'), id="a life in words"),
]


@pytest.mark.parametrize(("status", "kind", "body"), BAD_TOKENS)
def test_what_is_no_token_is_refused_and_never_repeated(status: int, kind: str, body: str) -> None:
    with pytest.raises(ValueError, match="answered") as raised:
        read_token(Reply(status=status, content_type=kind, body=body.encode()))
    assert 'access_token":' not in str(raised.value)


def test_a_token_without_a_life_is_used_for_five_minutes() -> None:
    body = GOOD.replace(',"expires_in":60', "")
    reply = Reply(status=200, content_type="application/json", body=body.encode())

    assert read_token(reply) == ("t", timedelta(minutes=5))


# ---------------------------------------------------------------- certificates


@pytest.fixture(scope="module")
def papers(
    require_program: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Papers:
    made = Papers(
        tmp_path_factory.mktemp("papers"), require_program("openssl", "apt-get install openssl")
    )
    made.authority()
    made.make("server", 20)
    made.make("client", 2)
    return made


def test_the_end_of_a_certificate_is_read(papers: Papers) -> None:
    end = ends_at((papers.folder / "client.pem").read_text(encoding="ascii"))
    left = end - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)


@pytest.mark.parametrize("cut", [60, 200, 400])
def test_what_is_no_certificate_has_no_end(papers: Papers, cut: int) -> None:
    text = (papers.folder / "client.pem").read_text(encoding="ascii")
    with pytest.raises(ValueError):
        ends_at(text[:cut] + "\n-----END CERTIFICATE-----\n")


def test_a_client_certificate_is_shown_and_its_renewal_is_noticed(papers: Papers) -> None:
    shown: list[str] = []
    papers.make("shown", 2)

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        shown.append(str(peer["serialNumber"]))
        return web.json_response({"status": "received"}, status=201)

    async def main() -> None:
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=papers.folder / "ca.pem"
        )
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(papers.folder / "server.pem", papers.folder / "server.key")
        app = web.Application()
        app.router.add_put("/bid-sets/{name}", answer)
        server = TestServer(app, host="127.0.0.1", scheme="https")
        await server.start_server(ssl=context)
        files = ClientCertificate(
            cert=papers.folder / "shown.pem",
            key=papers.folder / "shown.key",
            ca=papers.folder / "ca.pem",
        )
        access = HttpVenueAccess(url=str(server.make_url("/")), certificate=files)
        async with HttpVenue(access, now=lambda: NOW) as venue:
            first = venue.health().certificate_ends_at
            assert isinstance(await put(venue), Taken)
            papers.make("shown", 9)
            assert isinstance(await put(venue), Taken)
            second = venue.health().certificate_ends_at
        await server.close()
        assert first is not None
        assert second is not None
        assert timedelta(days=6) < second - first < timedelta(days=8)

    asyncio.run(main())
    assert len(set(shown)) == 2


def test_a_name_beside_the_certificate_may_be_in_any_script(papers: Papers) -> None:
    named = papers.folder / "named.pem"
    named.write_text(
        "friendlyName: 虚拟电厂\n" + (papers.folder / "client.pem").read_text(encoding="ascii"),
        encoding="utf-8",
    )
    keeper = CertificateKeeper(ClientCertificate(cert=named, key=papers.folder / "client.key"))

    keeper.context()

    assert keeper.ends_at == ends_at((papers.folder / "client.pem").read_text(encoding="ascii"))


def test_without_its_certificate_nothing_is_sent(papers: Papers, tmp_path: Path) -> None:
    async def main() -> Submission:
        files = ClientCertificate(cert=tmp_path / "no.pem", key=tmp_path / "no.key")
        access = HttpVenueAccess(url="https://127.0.0.1:1", certificate=files)
        async with HttpVenue(access, now=lambda: NOW) as venue:
            with pytest.raises(UnavailableError, match="certificate"):
                await venue.bid_set_status("b-1")
            return await put(venue)

    outcome = asyncio.run(main())
    assert isinstance(outcome, Later)
    assert "certificate" in outcome.what
