"""The link to gateways that call us over HTTP: each tells its telemetry and is given its commands.

    POST /push/{gateway}/{topic}   token, JSON ─▶ PayloadTranslator ─▶ messages()
         ◀─ {"revision": 7, "commands": [{"to": topic, "payload": …}], "refused": {}}
    GET  /push/{gateway}?after=7&wait_s=20   ◀─ the same, as soon as there is something newer than that

* A gateway has a token of its own and reaches its own devices, whatever names it says. Which gateways
  there are cannot be told from outside: a wrong name and a wrong token get the same answer.
* A message is answered when the service has taken it in. Where it does not in time the answer is 503, and
  the gateway sends it again: with a time of its own, a message that comes twice counts once.
* Commands are a state and no queue: every answer says what each device is to do now, until it has said that
  it took it, a newer command came, or it has ended. An answer that is lost loses nothing.
* We cannot call: every command carries its end, and a gateway that is silent is away.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256

import msgspec
from aiohttp import web

from adapters.mapped_link import MappedLink, log
from adapters.payload_mapping import ForeignDevice
from vpp.errors import UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.payloads import PayloadMap
from vpp.ports import Message, Unsent
from vpp.wire import AckMessage, TelemetryMessage

TAKEN_S = 5.0
"""So long a message waits to be taken in before it is given back."""

AT_ONCE = 32
"""Requests of one gateway that may wait at a time."""

LONGEST_WAIT_S = 60.0
"""That a question for commands may stay open."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A command as a gateway is given it."""

    to: str
    """The map's topic."""
    payload: msgspec.Raw


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to everything a gateway asks."""

    revision: int
    """Rises whenever a command comes."""
    commands: tuple[Told, ...]
    refused: dict[str, int]
    """How many parts of the message could not be read, by reason."""


class PushLink(MappedLink):
    """A `MessageSource` and `SetpointSink` over one gateway that calls us."""

    def __init__(
        self,
        gateway: str,
        payload_map: PayloadMap,
        devices: Sequence[ForeignDevice],
        *,
        token: Callable[[], str],
        now: Callable[[], datetime],
        silent_after_s: float = 90.0,
    ) -> None:
        """`token` is asked at each call, so that it may change; it raises UnavailableError where there is none."""
        super().__init__(gateway, payload_map, devices, now=now)
        self.gateway = gateway
        self._token, self._silent_after_s = token, silent_after_s
        self._wanted: dict[ResourceId, Setpoint] = {}
        """What each device is to do and has not said that it does."""
        self._revision = 0
        self._news = asyncio.Event()
        self._waits, self._newest_wait = 0, 0
        self._silence: asyncio.TimerHandle | None = None
        self._keyless: str | None = None
        self._standing.away = "has not called yet"

    @property
    def fault(self) -> str | None:
        return self._keyless or super().fault

    # ------------------------------------------------------------ who calls

    def admits(self, token: str) -> bool:
        """Whether this is the gateway's token; the time it takes says nothing of how it differs."""
        try:
            own, self._keyless = self._token(), None
        except UnavailableError as error:
            own, self._keyless = "", f"nobody can be let in: {error}"
        given = token.encode("utf-8", "surrogateescape")  # as the octets came
        same = hmac.compare_digest(sha256(given).digest(), sha256(own.encode()).digest())
        return same and bool(own)

    def called(self, who: str) -> None:
        """Note a call by somebody who was let in."""
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(
            self._silent_after_s, self._went_silent, who
        )
        if not self.inbox.closed:
            self._standing.went_up()

    def _went_silent(self, who: str) -> None:
        self._standing.went_down(f"has not called for {self._silent_after_s:g} s, last from {who}")

    async def _live(self, stop: asyncio.Event) -> None:
        await stop.wait()
        if self._silence is not None:
            self._silence.cancel()
        self._news.set()

    # ------------------------------------------------------------ what a gateway asks

    async def take(self, topic: str, body: bytes) -> Reply:
        """Take a message in, and wait until the service has read it.

        Raises:
            UnavailableError: It has not in time; the message may count all the same.
        """
        # What is given back must not have been read: sent again it would count as a repetition.
        async with self._waiting():
            before = self._translator.refused.copy()
            found = self._read(topic, body)
            refused = {r.value: n for r, n in (self._translator.refused - before).items()}
            self._translator.taken_over()  # each of its commands ends by itself
            for message in found:
                self._note_taken(message)
            self._tell(found)
            try:
                await asyncio.wait_for(self.inbox.until_taken(), TAKEN_S)
            except TimeoutError as error:
                raise UnavailableError(
                    "the service is late", where=self._where, fix="Send it again"
                ) from error
        return self._reply(refused)

    async def commands(self, after: int | None, wait_s: float) -> Reply:
        """What the devices are to do, as soon as that is newer than `after`; at once where that is None.

        Of several who wait the newest does; the others are answered with what there is. None waits for longer
        than half of what makes a gateway silent: whoever has a question open is there.

        Raises:
            UnavailableError: Too many ask at a time.
        """
        self._newest_wait = mine = self._newest_wait + 1
        self._news.set()
        until = asyncio.get_running_loop().time() + min(wait_s, self._silent_after_s / 2)
        async with self._waiting():
            while mine == self._newest_wait and not self.inbox.closed and self._revision == after:
                self._news = news = asyncio.Event()
                left_s = until - asyncio.get_running_loop().time()
                try:
                    await asyncio.wait_for(news.wait(), left_s)
                except TimeoutError:
                    break
        return self._reply({})

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        if self._waits >= AT_ONCE or self.inbox.closed:
            raise UnavailableError("too many wait", where=self._where, fix="Ask again later")
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1

    def _reply(self, refused: Mapping[str, int]) -> Reply:
        now = self._now()
        for device_id, setpoint in list(self._wanted.items()):
            if setpoint.expires_at <= now:
                del self._wanted[device_id]
        said = [self._translator.command(setpoint, now) for setpoint in self._wanted.values()]
        told = tuple(Told(to=to, payload=msgspec.Raw(payload)) for to, payload in said)
        return Reply(revision=self._revision, commands=told, refused=dict(refused))

    def _note_taken(self, message: Message) -> None:
        """A device that has answered, or shows what it was told, is not told again."""
        if not self._wanted:
            return
        *_, device, leaf = message.topic.split("/")
        wanted = self._wanted.get(ResourceId(device))
        if wanted is None:
            return
        if leaf == "ack":
            done = msgspec.json.decode(message.payload, type=AckMessage).seq >= wanted.seq
        else:
            shown = msgspec.json.decode(message.payload, type=TelemetryMessage).setpoint_seq
            done = shown is not None and shown >= wanted.seq
        if done:
            del self._wanted[wanted.resource_id]

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Let each command wait for the gateway's next call in place of an older one.

        What becomes of it is told as an acknowledgement, where the map has one.

        Raises:
            DataError: A device is not behind this gateway, or another enterprise's.
        """
        unsent = []
        for setpoint in setpoints:
            if (deaf := self._deaf(setpoint)) is not None:
                self._wanted.pop(setpoint.resource_id, None)  # given later it would be an old wish
                unsent.append(deaf)
            else:
                self._wanted[setpoint.resource_id] = setpoint
                self._revision += 1
        self._news.set()
        return tuple(unsent)


class PushDoor:
    """The routes of all gateways of a park that call."""

    def __init__(self, links: Sequence[PushLink]) -> None:
        self._links = {link.gateway: link for link in links}

    def routes(self) -> tuple[web.RouteDef, ...]:
        """What an HTTP server is to serve; it bounds sizes and rates."""
        return (
            web.post("/push/{gateway}/{topic:.+}", self._take),
            web.get("/push/{gateway}", self._commands),
        )

    async def _take(self, request: web.Request) -> web.Response:
        link = self._let_in(request)
        body = await request.read()  # the listener has bounded its size and its time
        try:
            reply = await link.take(request.match_info["topic"], body)
        except UnavailableError as error:
            return _later(error)
        return _json(422 if reply.refused else 200, reply)

    async def _commands(self, request: web.Request) -> web.Response:
        link = self._let_in(request)
        after, wait_s = _number(request, "after"), _number(request, "wait_s")
        try:
            reply = await link.commands(after, min(wait_s or 0, LONGEST_WAIT_S))
        except UnavailableError as error:
            return _later(error)
        return _json(200, reply)

    def _let_in(self, request: web.Request) -> PushLink:
        """The gateway that calls.

        Raises:
            HTTPUnauthorized: It is none of ours, or the token is another.
        """
        link = self._links.get(request.match_info["gateway"])
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        # A gateway that is not there costs the same time as one whose token is wrong.
        asked = link or next(iter(self._links.values()), None)
        admitted = asked is not None and asked.admits(token)
        if link is None or not admitted or kind.lower() != "bearer":
            log.debug("somebody was not let in", remote=request.remote)
            raise web.HTTPUnauthorized(
                text='{"error": "unknown gateway or token"}',
                content_type="application/json",
                headers={"WWW-Authenticate": "Bearer"},
            )
        link.called(request.remote or "somewhere")
        return link


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise web.HTTPBadRequest(text=f'{{"error": "{name} is no whole number"}}')
    return int(text)


def _later(error: UnavailableError) -> web.Response:
    return web.json_response({"error": error.what}, status=503, headers={"Retry-After": "1"})


def _json(status: int, reply: Reply) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(reply), content_type="application/json"
    )
