"""A listener beyond loopback bounds all that comes in, and ends with nothing left open."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import ValidationError

from tests.adapters.papers import Papers
from tests.patience import PATIENCE_S
from vpp.errors import ConfigError, UnavailableError
from vpp.service import listeners
from vpp.service.http import reserved_port
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenerTlsSection, ListenSection


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def nothing(request: web.Request) -> web.Response:
    return web.Response(status=404)


async def bug(request: web.Request) -> web.Response:
    raise KeyError("a secret of the inside")


async def away(request: web.Request) -> web.Response:
    raise UnavailableError("it is away", where="journal", fix="Ask again")


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=1000)
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


ROUTES = (
    web.post("/echo", echo),
    web.get("/nothing", nothing),
    web.get("/bug", bug),
    web.get("/away", away),
    web.get("/talk", talk),
)


@asynccontextmanager
async def served(folder: Path = Path(), **listen: Any) -> AsyncIterator[str]:
    with reserved_port() as port:
        face = OuterFace(name="test", listen=ListenSection(port=port, **listen), routes=ROUTES)
        async with serve_face(face, folder=folder) as address:
            yield address


async def raw(
    address: str, content: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(content)
    await writer.drain()
    return reader, writer


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    asyncio.run(bounded())


def test_a_body_passes_up_to_its_bound_and_no_further() -> None:
    async def test() -> None:
        async with served(body_bytes=1000) as address, aiohttp.ClientSession() as client:
            async with client.post(f"{address}/echo", data=b"x" * 1000) as answer:
                assert (answer.status, len(await answer.read())) == (200, 1000)
            async with client.post(f"{address}/echo", data=b"x" * 1001) as answer:
                assert answer.status == 413
                assert (await answer.json())["code"] == "body_too_large"

    run(test)


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "BODY_S", 0.05)

    async def test() -> None:
        async with served() as address:
            reader, writer = await raw(
                address, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
            )
            assert b" 408 " in await reader.readline()
            writer.close()

    run(test)


@pytest.mark.parametrize(
    "upgrade", [b"Upgrade: x\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"]
)
def test_a_body_that_trickles_is_given_up_also_where_it_pretends_to_be_a_websocket(
    monkeypatch: pytest.MonkeyPatch, upgrade: bytes
) -> None:
    monkeypatch.setattr(listeners, "BODY_S", 0.05)

    async def test() -> None:
        async with served() as address:
            reader, writer = await raw(
                address,
                b"POST /echo HTTP/1.1\r\nHost: x\r\n" + upgrade + b"Content-Length: 9\r\n\r\nabc",
            )
            assert b" 408 " in await reader.readline()
            writer.close()

    run(test)


def test_a_body_that_cannot_be_read_is_no_fault_of_ours() -> None:
    async def test() -> None:
        async with served() as address:
            reader, writer = await raw(
                address,
                b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
                b"Content-Length: 3\r\n\r\nabc",
            )
            assert b" 400 " in await reader.readline()
            writer.close()

    run(test)


def test_who_hangs_up_in_the_middle_of_a_body_leaves_no_fault_of_ours_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = asyncio.Queue[int]()
    problem = listeners._problem

    def noted(status: int, *rest: str) -> web.Response:
        answered.put_nowait(status)
        return problem(status, *rest)

    monkeypatch.setattr(listeners, "_problem", noted)

    async def test() -> None:
        async with served() as address:
            _, writer = await raw(
                address, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
            )
            writer.close()
            assert await answered.get() == 400

    run(test)


def test_a_stranger_who_sends_garbage_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with served() as address:
            for _ in range(20):
                reader, writer = await raw(address, b"GET / HTTP/9.9\r\n\r\n")
                assert b" 400 " in await reader.readline()
                writer.close()

    run(test)
    assert 1 <= len(caplog.records) <= listeners.GARBLED_LINES


def test_a_head_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "HEAD_S", 0.05)

    async def test() -> None:
        async with served() as address:
            reader, writer = await raw(address, b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert await reader.read() == b""
            writer.close()

    run(test)


def test_a_head_of_many_or_long_lines_is_refused() -> None:
    async def test() -> None:
        async with served() as address:
            for head in (b"X: y\r\n" * 200, b"X: " + b"y" * 10_000 + b"\r\n"):
                reader, writer = await raw(
                    address, b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n"
                )
                assert b" 400 " in await reader.readline()
                writer.close()

    run(test)


def test_one_address_holds_no_more_connections_than_its_share_and_gets_one_back_when_one_ends() -> (
    None
):
    async def test() -> None:
        async with served(connections_per_address=2) as address:
            held = [await raw(address) for _ in range(2)]
            reader, writer = await raw(address)
            assert await reader.read() == b""  # closed at once
            writer.close()
            held[0][1].close()
            await held[0][1].wait_closed()
            status = b""
            while not status:  # the listener has seen the end when one is answered
                reader, writer = await raw(address, b"GET /bug HTTP/1.1\r\nHost: x\r\n\r\n")
                status = await reader.readline()
                writer.close()
            assert b" 500 " in status
            held[1][1].close()

    run(test)


def test_an_address_that_asks_too_often_is_told_so_and_others_are_not_asked_to_wait() -> None:
    async def test() -> None:
        async with served(requests_per_minute=60) as address, aiohttp.ClientSession() as client:
            seen = []
            for _ in range(12):
                async with client.post(f"{address}/echo", data=b"x") as answer:
                    seen.append(answer.status)
            assert seen[:10] == [200] * 10  # ten seconds' worth at once
            assert seen[-1] == 429
            assert answer.headers["Retry-After"] == "10"
            other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
            async with (
                aiohttp.ClientSession(connector=other) as stranger,
                stranger.post(f"{address}/echo", data=b"x") as answer,
            ):
                assert answer.status == 200

    run(test)


def test_an_address_that_connects_too_often_is_not_taken_in_for_a_while() -> None:
    async def test() -> None:
        async with served(requests_per_minute=60) as address:
            answered = []
            for _ in range(25):  # twice ten seconds' worth of requests
                reader, writer = await raw(address, b"GET / HTTP/9.9\r\n\r\n")
                try:
                    answered.append(await reader.readline() != b"")
                except ConnectionError:
                    answered.append(False)
                writer.close()
            assert answered[:20] == [True] * 20
            assert answered[-1] is False

    run(test)


def test_bodies_on_their_way_take_so_much_room_and_one_address_only_a_share_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listeners, "BODIES_BYTES", 8_000)
    begins = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"

    async def test() -> None:
        async with served(body_bytes=1000) as address, aiohttp.ClientSession() as client:
            held = [await raw(address, begins) for _ in range(2)]
            statuses = [200]
            while statuses[-1] == 200:  # until both were read so far
                async with client.post(f"{address}/echo", data=b"x" * 999) as answer:
                    statuses.append(answer.status)
            assert (statuses[-1], answer.headers["Retry-After"]) == (503, "10")
            other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
            async with (
                aiohttp.ClientSession(connector=other) as stranger,
                stranger.post(f"{address}/echo", data=b"x" * 1000) as answer,
            ):
                assert answer.status == 200
            for reader, writer in held:
                writer.write(b"x" * 997)
                assert b" 200 " in await reader.readline()
                writer.close()
            async with client.post(f"{address}/echo", data=b"x" * 1000) as answer:
                assert answer.status == 200

    run(test)


def test_guessing_is_charged_tenfold() -> None:
    async def test() -> None:
        async with served(requests_per_minute=120) as address, aiohttp.ClientSession() as client:
            seen = []
            for _ in range(4):
                async with client.get(f"{address}/nothing") as answer:
                    seen.append(answer.status)
            assert seen == [404, 404, 429, 429]  # twenty at once: two guesses

    run(test)


def test_a_fault_of_our_own_is_told_without_its_inside() -> None:
    async def test() -> None:
        async with served() as address, aiohttp.ClientSession() as client:
            async with client.get(f"{address}/bug") as answer:
                text = await answer.text()
                assert (answer.status, answer.headers["Server"]) == (500, "vpp")
                assert "secret" not in text
                assert "KeyError" not in text
            async with client.get(f"{address}/away") as answer:
                assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")

    run(test)


def test_a_websocket_talks_and_is_cut_when_the_listener_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listeners, "SHUTDOWN_S", 0.05)

    async def test() -> None:
        async with aiohttp.ClientSession() as client:
            async with served() as address:
                talking = await client.ws_connect(f"{address}/talk")
                await talking.send_str("hello")
                assert await talking.receive_str() == "hello"
            assert (await talking.receive()).type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.ERROR,
            )

    run(test)


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not here")
    papers = Papers(tmp_path, Path(openssl))
    papers.authority()
    papers.make("first", 2)
    return papers


TLS = ListenerTlsSection(certificate_file="here.pem", key_file="here.key")


def put(papers: Papers, name: str) -> None:
    for ending in ("pem", "key"):
        shutil.copy(papers.folder / f"{name}.{ending}", papers.folder / f"here.{ending}")


async def shown(address: str, papers: Papers) -> str:
    """The name on the certificate that a client is shown."""
    context = ssl.create_default_context(cafile=papers.folder / "ca.pem")
    _, writer = await asyncio.open_connection(
        "127.0.0.1", int(address.rpartition(":")[2]), ssl=context
    )
    name: str = writer.get_extra_info("peercert")["subject"][0][0][1]
    writer.close()
    return name


def test_a_renewed_certificate_is_shown_and_half_a_renewal_keeps_the_old(papers: Papers) -> None:
    papers.make("second", 3)
    put(papers, "first")

    async def test() -> None:
        async with served(papers.folder, tls=TLS) as address:
            assert address.startswith("https://")
            assert await shown(address, papers) == "first"
            shutil.copy(papers.folder / "second.pem", papers.folder / "here.pem")
            assert await shown(address, papers) == "first"  # the key does not fit yet
            put(papers, "second")
            assert await shown(address, papers) == "second"

    run(test)


def test_a_handshake_that_never_ends_holds_a_place_for_a_while_only(
    papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(papers, "first")
    monkeypatch.setattr(listeners, "HANDSHAKE_S", 0.2)

    async def test() -> None:
        async with served(papers.folder, tls=TLS, connections_per_address=1) as address:
            silent, first = await raw(address)
            turned_away, second = await raw(address)
            assert await turned_away.read() == b""
            assert await silent.read() == b""
            assert await shown(address, papers) == "first"
            first.close()
            second.close()

    run(test)


def test_a_certificate_that_is_not_there_is_a_fault_of_the_park_file(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(ConfigError, match=r"here\.pem"):
            async with served(tmp_path, tls=TLS):
                pass

    run(test)


def test_a_key_behind_a_password_is_a_fault_too_and_nobody_is_asked_for_it(papers: Papers) -> None:
    put(papers, "first")
    key, kept = papers.folder / "first.key", papers.folder / "here.key"
    locked = ["-in", str(key), "-out", str(kept), "-aes256", "-passout", "pass:word"]
    subprocess.run([papers.openssl, "pkey", *locked], check=True, capture_output=True)

    async def test() -> None:
        with pytest.raises(ConfigError, match="without a password"):
            async with served(papers.folder, tls=TLS):
                pass

    run(test)


def test_a_port_that_is_taken_is_a_fault_of_the_park_file() -> None:
    async def test() -> None:
        async with served() as address:
            listen = ListenSection(port=int(address.rpartition(":")[2]))
            with pytest.raises(ConfigError, match=r"test\.listen"):
                async with serve_face(
                    OuterFace(name="test", listen=listen, routes=()), folder=Path()
                ):
                    pass

    run(test)


@pytest.mark.parametrize(
    ("listen", "what"),
    [
        ({"host": "192.0.2.1"}, "beyond loopback"),
        ({"host": "here"}, "no IP address"),
        ({"tls": TLS, "without_tls": True}, "exclude each other"),
    ],
)
def test_nothing_listens_in_the_clear_beyond_loopback_unless_it_is_said(
    listen: dict[str, Any], what: str
) -> None:
    with pytest.raises(ValidationError, match=what):
        ListenSection(port=8443, **listen)
    ListenSection(port=8443, host="192.0.2.1", without_tls=True)
    ListenSection(port=8443, host="192.0.2.1", tls=TLS)
