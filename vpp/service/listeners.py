"""Listeners beyond the operator's loopback: a port each, TLS, and a bound on all that comes in.

    accept ─▶ too many, or too many or too often of this address? closed ─▶ TLS within 10 s ─▶ head within 30 s
           ─▶ this address too often? 429 ─▶ room for its body? ─▶ at most so many bytes within 15 s ─▶ handler

Every outer face (OCPP, OpenADR, devices over HTTP, one-time links) is served here and never by the operator's
API, which stays on loopback: a fault of one opens no door of the other. A handler does its own authentication;
what it answers with 401, 403 or 404 is charged tenfold, so that guessing is slow. X-Forwarded-For is not read:
whoever connects is the source.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from itertools import count
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from vpp.errors import ConfigError, VppError
from vpp.service import security
from vpp.service.api.problems import problem_response, refusal_of
from vpp.service.listenerschema import ListenSection
from vpp.wire import Problem

HANDSHAKE_S = 10.0
HEAD_S = 30.0
"""A connection that has asked for nothing whole, or for nothing more, for so long is closed."""

BODY_S = 15.0
SHUTDOWN_S = 2.0
"""Websockets never end by themselves; they are cut after this."""

BURST_S = 10.0
"""The budget of an address that was quiet: what it may ask for in so much time, at once."""

DEAR = frozenset({401, 403, 404})
DEAR_COST = 10.0

ARRIVALS = 2.0
"""Connections that an address may begin for each request it may make: who asks too often is to hear so."""

BODIES_BYTES = 32_000_000
"""Of bodies that are being read, for they come before anybody is known; at least eight of the largest."""

BODIES_SHARE = 4
"""Addresses that it takes to fill them."""

MOST_SOURCES = 10_000
"""Addresses whose budgets are remembered; the one that was quiet for longest is forgotten first."""

ACCEPT_AGAIN_S = 1.0
"""After the system could give no socket, as when files are exhausted."""

GARBLED_LINES, GARBLED_EACH_S = 5, 60.0
"""Lines that aiohttp may log of heads it cannot read: these come before any budget is asked."""

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_KEPT = ("Allow", "WWW-Authenticate", "Location")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger("vpp.listener")


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterFace:
    """What is served at a listener of its own."""

    name: str
    """As in the log: `openadr_vtn`, `ocpp`."""

    listen: ListenSection
    routes: tuple[web.RouteDef, ...]
    """`web.get("/ocpp/{id}", desk.connect)`; a websocket passes `max_msg_size=face.listen.body_bytes`."""

    closing: Callable[[], Awaitable[None]] | None = None
    """Called when no more connections are taken and those that stand still do: a goodbye, in a bounded time."""


@asynccontextmanager
async def serve_face(face: OuterFace, *, folder: Path) -> AsyncIterator[str]:
    """Serve until the block is left; yields the address, e.g. `https://192.0.2.1:8443`.

    `folder` is the park file's, where certificates are looked for.

    Raises:
        ConfigError: The certificate cannot be used, or the address is taken or not of this machine.
    """
    listen = face.listen
    gate = _Gate(face.name, listen)
    app = web.Application(middlewares=[gate.guard], client_max_size=listen.body_bytes)
    app.add_routes(face.routes)
    app.on_response_prepare.append(_add_headers)
    papers = None if listen.tls is None else _Papers(face, folder)
    opened = _bound(face)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_few_lines(face.name),
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=HEAD_S,
    )
    await runner.setup()
    accepting = asyncio.create_task(gate.accept(opened, runner, papers), name=f"{face.name}-accept")
    shown = f"[{listen.host}]" if ":" in listen.host else listen.host
    scheme = "http" if papers is None else "https"
    try:
        yield f"{scheme}://{shown}:{opened.getsockname()[1]}"
    finally:
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        opened.close()
        if face.closing is not None:
            await face.closing()  # aiohttp's own signal comes when nothing is read any more
        await runner.cleanup()
        await gate.empty()


def _bound(face: OuterFace) -> socket.socket:
    host, port = face.listen.host, face.listen.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise ConfigError(
            f"cannot listen at {host} port {port}: {error.strerror or error}",
            where=f"{face.name}.listen",
            fix="Give an address of this machine and a port that is free",
        ) from error
    opened.setblocking(False)
    return opened


class _Papers:
    """The certificate of a listener, loaded again when its files change."""

    def __init__(self, face: OuterFace, folder: Path) -> None:
        assert face.listen.tls is not None
        self._name = face.name
        self._cert = folder / face.listen.tls.certificate_file
        self._key = folder / face.listen.tls.key_file
        self._stamps = self._look()
        self._context = self._load()

    def _look(self) -> tuple[int, ...]:
        try:
            return tuple(file.stat().st_mtime_ns for file in (self._cert, self._key))
        except OSError:
            return ()  # `_load` says which

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._cert, self._key, password="")
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise ConfigError(
                f"cannot be used: {error}",
                where=f"{self._name}.listen.tls: {self._cert}",
                fix="Put certificate and key there as PEM, without a password, readable for the service",
            ) from error
        return context

    def context(self) -> ssl.SSLContext:
        """What the next connection is taken with; half a renewal keeps the one that works."""
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = self._load()
            except ConfigError as error:
                log.error("a renewed certificate is not used", listener=self._name, why=str(error))
        return self._context


class _Gate:
    """Counts who is connected and how often each address asks."""

    def __init__(self, name: str, listen: ListenSection) -> None:
        self._name, self._listen = name, listen
        self._connected: Counter[str] = Counter()
        per_s = listen.requests_per_minute / 60.0
        self._requests, self._arrivals = _Budgets(per_s), _Budgets(per_s * ARRIVALS)
        self._bodies: Counter[str] = Counter()
        """Bytes of bodies that are being read, by address."""
        self._greeting: set[asyncio.Task[None]] = set()
        self._numbers = count(1)

    # ------------------------------------------------------------ connections

    async def accept(
        self, opened: socket.socket, runner: web.AppRunner, papers: _Papers | None
    ) -> None:
        """Take connections until cancelled; the system's own limits do not end it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, address = await loop.sock_accept(opened)
            except ConnectionError:  # gone before it was taken
                continue
            except OSError as error:
                log.error("no connection can be taken", listener=self._name, why=str(error))
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            source = _source(address[0])
            if not self._room_for(source) or not self._arrivals.of(source).spend(1.0):
                taken.close()
                continue
            self._connected[source] += 1
            task = asyncio.create_task(self._greet(taken, source, runner, papers))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    def _room_for(self, source: str) -> bool:
        return (
            self._connected.total() < self._listen.connections
            and self._connected[source] < self._listen.connections_per_address
        )

    async def _greet(
        self, taken: socket.socket, source: str, runner: web.AppRunner, papers: _Papers | None
    ) -> None:
        server = runner.server
        assert server is not None
        line = _Line(server(), lambda: self._left(source))
        tls = {"ssl": papers.context(), "ssl_handshake_timeout": HANDSHAKE_S} if papers else {}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: line, taken, **tls)  # type: ignore[arg-type]
        except (OSError, TimeoutError) as error:  # no TLS, or none that we speak
            log.info("no connection", listener=self._name, source=source, why=str(error))
        finally:
            if not line.made:
                taken.close()
                self._left(source)

    def _left(self, source: str) -> None:
        self._connected[source] -= 1
        if not self._connected[source]:
            del self._connected[source]

    async def empty(self) -> None:
        """Let go of who has not come as far as a request."""
        for task in tuple(self._greeting):
            task.cancel()
        await asyncio.gather(*self._greeting, return_exceptions=True)

    # ------------------------------------------------------------ requests

    @property
    def guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            correlation_id = f"{self._name}-{next(self._numbers):x}"
            budget = self._requests.of(_source(request.remote or ""))
            if not budget.spend(1.0):
                if budget.first_refusal():
                    log.warning("too many requests", listener=self._name, source=request.remote)
                return _problem(429, "too_many_requests", "Ask less often", correlation_id)
            response = await self._answer(request, handler, correlation_id)
            if response.status in DEAR:
                budget.spend(DEAR_COST - 1.0, even_in_debt=True)
            return response

        return guard

    async def _answer(
        self, request: web.Request, handler: Handler, correlation_id: str
    ) -> web.StreamResponse:
        try:
            with self._room_for_body(request) as there_is:
                if not there_is:
                    return _problem(503, "unavailable", "Too much is sent at once", correlation_id)
                if not await _read(request):
                    return _problem(
                        408, "request_timeout", "The body did not come in time", correlation_id
                    )
            return await handler(request)
        except web.HTTPException as error:  # an unknown path, another method, too large a body
            code = _HTTP_CODES.get(error.status, "bad_request")
            answer = _problem(error.status, code, error.reason, correlation_id)
            answer.headers.update({k: v for k, v in error.headers.items() if k in _KEPT})
            return answer
        except (web.RequestPayloadError, ConnectionResetError):  # garbled, or gone in its middle
            return _problem(400, "bad_request", "The body cannot be read", correlation_id)
        except VppError as error:
            if (refusal := refusal_of(error)) is not None:
                return problem_response(refusal, correlation_id)
            log.exception("a fault of our own", correlation_id=correlation_id)
        except Exception:
            log.exception("a fault of our own", correlation_id=correlation_id)
        return _problem(500, "internal", "The service could not answer this", correlation_id)

    @contextmanager
    def _room_for_body(self, request: web.Request) -> Iterator[bool]:
        """Whether there is room for it among all that are being read; it is taken while the block lasts."""
        most, source = self._listen.body_bytes, _source(request.remote or "")
        length = request.content_length if request.body_exists else 0
        if length is None or "Content-Encoding" in request.headers:
            length = most  # nobody knows yet
        need, whole = min(length, most), max(BODIES_BYTES, 8 * most)
        if need > min(whole - self._bodies.total(), whole / BODIES_SHARE - self._bodies[source]):
            yield False
            return
        self._bodies[source] += need
        try:
            yield True
        finally:
            self._bodies[source] -= need
            self._bodies += Counter()  # drops who has nothing left


class _Budgets:
    """Those of all addresses."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._known: OrderedDict[str, _Budget] = OrderedDict()

    def of(self, source: str) -> _Budget:
        budget = self._known.get(source)
        if budget is None:
            budget = self._known[source] = _Budget(self._per_s)
            if len(self._known) > MOST_SOURCES:
                self._known.popitem(last=False)
        self._known.move_to_end(source)
        return budget


class _Budget:
    """Requests that an address has left; it fills with time, up to a burst."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._most = per_s, max(DEAR_COST, per_s * BURST_S)
        self._left, self._at_s = self._most, asyncio.get_running_loop().time()
        self._refusing = False

    def spend(self, cost: float, *, even_in_debt: bool = False) -> bool:
        now_s = asyncio.get_running_loop().time()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < cost and not even_in_debt:
            return False
        self._left = max(-self._most, self._left - cost)
        self._refusing = self._refusing and self._left < self._most / 2
        return True

    def first_refusal(self) -> bool:
        """Whether nothing was refused since it was last half full: one line in the log, not thousands."""
        first, self._refusing = not self._refusing, True
        return first


class _Line(asyncio.Protocol):
    """A connection of aiohttp's that says when it has ended."""

    def __init__(self, inner: asyncio.Protocol, left: Callable[[], None]) -> None:
        self._inner, self._left = inner, left
        self.made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._left()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


async def _read(request: web.Request) -> bool:
    """Read the body, which the request then keeps; whether it came in time."""
    if not request.body_exists or request.method == "GET":  # a websocket's messages are no body
        return True
    try:
        async with asyncio.timeout(BODY_S):
            await request.read()
    except TimeoutError:
        return False
    return True


class _Few(logging.Filter):
    """Lets some lines pass in each minute: a stranger who sends garbage must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._since_s, self._passed = -GARBLED_EACH_S, 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._since_s >= GARBLED_EACH_S or record.created < self._since_s:
            self._since_s, self._passed = record.created, 0
        self._passed += 1
        return self._passed <= GARBLED_LINES


def _few_lines(name: str) -> logging.Logger:
    """What aiohttp says of one listener."""
    found = logging.getLogger(f"vpp.listener.{name}")
    found.filters = [_Few()]
    return found


def _source(address: str) -> str:
    """Who is counted: an IPv4 address, or the /64 of an IPv6 one, which is one customer's."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)


def _problem(status: int, code: str, detail: str, correlation_id: str) -> web.Response:
    shown = Problem(
        type=f"urn:vpp:problem:{code}",
        title=detail,
        status=status,
        code=code,
        detail=detail,
        errors=[],
        correlation_id=correlation_id,
    )
    return web.Response(
        status=status,
        body=shown.model_dump_json().encode(),
        content_type="application/problem+json",
        headers={"Retry-After": "10"} if status in (429, 503) else {},
    )


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "vpp"
    for name, value in security.HEADERS.items():
        response.headers.setdefault(name, value)
