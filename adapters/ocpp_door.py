"""The door that charging stations come through: who is let in, and what is said over each connection.

    websocket ─▶ known? credentials? ─▶ frames ─▶ dialect ─▶ `ocpp_hearing.py`

One connection a station; a newer one takes the place of the older. Who is in no park file is quarantined: its
boot is refused, it is told, and nothing that it says is used. Whatever comes in is bounded: frames, messages
in a second, nonsense, connections in a minute, strangers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from adapters import ocpp_frames as frames
from adapters.ocpp16 import Ocpp16
from adapters.ocpp201 import Ocpp201
from adapters.ocpp_carpark import CarPark
from adapters.ocpp_hearing import Hearing, Tell
from adapters.ocpp_station import Station
from adapters.ocpp_talk import Pace, Talk
from adapters.ocpp_words import Began, Booted, Dialect, WordError
from adapters.ocpp_work import Worker
from vpp.errors import UnavailableError
from vpp.model.charging import CentralSpec

DIALECTS: dict[str, Dialect] = {one.subprotocol: one for one in (Ocpp201(), Ocpp16())}
PING_S = 30.0
"""A connection whose ping is not answered in half of that is gone."""
CLOSE_S = 1.0
"""How long a station may take to say goodbye."""
STRANGERS = 20
"""Unknown stations that are connected at one time; more are turned away."""
STRANGER_S = 600.0
"""An unknown station is let go after that; it may come again."""
STRANGER_MESSAGES = 100
STRANGER_INTERVAL_S = 3600
ANSWERS = 50
"""Of one connection: a call that comes again is answered as before. Over a new one its numbers may begin anew."""
NONSENSE = 20
"""Frames of one connection that are none; then it is closed."""
CONNECTIONS_A_MINUTE = 12
"""Of one station; more are turned away: two of one name would end each other's connection for ever."""


@dataclass(slots=True, eq=False)
class Seat:
    """A station and whoever speaks for it now."""

    park: CarPark
    station: Station
    worker: Worker | None = None
    talk: Talk | None = None
    answers: OrderedDict[tuple[str, int], str] = field(default_factory=OrderedDict)
    came_s: deque[float] = field(default_factory=lambda: deque(maxlen=CONNECTIONS_A_MINUTE))


class Door:
    """Takes the connections of all stations of one central system."""

    def __init__(
        self,
        spec: CentralSpec,
        seats: dict[str, Seat],
        hearing: Hearing,
        *,
        now: Callable[[], datetime],
        tell: Tell,
        changed: Callable[[CarPark], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        """`changed` is called when a station of a car park came, went or did something about a command.

        `broken` is called with what is a bug of ours.
        """
        self._broken = broken
        self._spec, self._seats, self._hearing = spec, seats, hearing
        self._now, self._tell, self._changed = now, tell, changed
        self._strangers = 0
        self.heard = 0
        """Messages of known stations."""

    # ------------------------------------------------------------ who is let in

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one station, named by the last part of its path, until it goes."""
        name = request.match_info["station"]
        offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")
        spoken = [one.strip() for one in offered if one.strip() in DIALECTS]
        if not spoken:
            raise web.HTTPBadRequest(reason=f"Offer a subprotocol of {', '.join(DIALECTS)}")
        dialect = DIALECTS[spoken[0]]
        seat = self._seats.get(name)
        if seat is None:
            return await self._stranger(request, name, dialect)
        if not self._lets_in(seat.station, request):
            self._tell("charger_refused", name, "came with other credentials than its own")
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="ocpp"'})
        if self._too_often(seat):
            self._tell(
                "charger_refused", name, "connects again and again: perhaps two have this name"
            )
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
        socket = await self._upgraded(request, dialect)
        await self._served(seat, socket, dialect)
        return socket

    @staticmethod
    async def _upgraded(request: web.Request, dialect: Dialect) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            protocols=(dialect.subprotocol,),
            max_msg_size=frames.MAX_BYTES,
            heartbeat=PING_S,
            compress=False,
            timeout=CLOSE_S,
        )
        await socket.prepare(request)
        return socket

    def _lets_in(self, station: Station, request: web.Request) -> bool:
        user, password = _credentials(request.headers.get(hdrs.AUTHORIZATION, ""))
        try:
            return station.spec.lets_in(user, password)
        except UnavailableError as error:
            self._tell(
                "charger_refused", station.name, f"its password: {error.where}: {error.what}"
            )
            return False

    def _too_often(self, seat: Seat) -> bool:
        now_s, came_s = asyncio.get_running_loop().time(), seat.came_s
        often = len(came_s) == came_s.maxlen and now_s - came_s[0] < 60
        if not often:
            came_s.append(now_s)
        return often

    async def _stranger(
        self, request: web.Request, name: str, dialect: Dialect
    ) -> web.StreamResponse:
        """A station of no park file: its boot is refused and told, and nothing else is heard."""
        if self._strangers >= STRANGERS:
            raise web.HTTPNotFound
        self._strangers += 1
        try:
            socket = await self._upgraded(request, dialect)
            self._tell_stranger(name, "connects, and the park file does not know it")
            with suppress(TimeoutError):
                async with asyncio.timeout(STRANGER_S):
                    await self._refuse_all(socket, name, dialect)
            await socket.close()
        finally:
            self._strangers -= 1
        return socket

    def _tell_stranger(self, name: str, said: str) -> None:
        """What it says of itself is shown to people: nothing in it moves a cursor or begins a line."""
        who, text = ("".join(c if c.isprintable() else "?" for c in one) for one in (name, said))
        self._tell("charger_unknown", who[:48], text)

    async def _refuse_all(self, socket: web.WebSocketResponse, name: str, dialect: Dialect) -> None:
        heard = 0
        async for message in socket:
            heard += 1
            if message.type is not WSMsgType.TEXT or heard > STRANGER_MESSAGES:
                return
            try:
                frame = frames.read(message.data)
            except frames.FrameError:
                continue
            if not isinstance(frame, frames.Call):
                continue
            try:
                word = dialect.read(frame.action, frame.payload)
            except WordError:
                word = None
            if not isinstance(word, Booted):
                what = "this station is not known here"
                await socket.send_str(frames.refusal(frame.message_id, "SecurityError", what))
                continue
            said = f"boots as {word.vendor} {word.model} {word.serial}, and the park file does not know it"
            self._tell_stranger(name, said)
            answer = dialect.answer(
                word,
                now=self._now(),
                status="Rejected",
                interval_s=STRANGER_INTERVAL_S,
                transaction="0",
            )
            await socket.send_str(frames.result(frame.message_id, answer))

    # ------------------------------------------------------------ one connection

    async def _served(self, seat: Seat, socket: web.WebSocketResponse, dialect: Dialect) -> None:
        station = seat.station
        try:
            await self._make_room(seat, dialect)
        except UnavailableError as error:  # its stays of before are not over: it may come again
            self._tell("charger_refused", station.name, f"{error.where}: {error.what}")
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return
        talk = Talk(socket, station.name, answer_s=self._spec.answer_s)
        worker = Worker(
            seat.park,
            station,
            dialect,
            talk,
            spec=self._spec,
            now=self._now,
            tell=self._tell,
            changed=lambda: self._changed(seat.park),
        )
        seat.talk, seat.worker = talk, worker
        seat.answers.clear()
        station.came(self._now(), dialect.subprotocol)
        seat.park.share(self._now())
        self._changed(seat.park)
        working = asyncio.create_task(worker.run(), name=f"ocpp-{station.name}")
        working.add_done_callback(self._worker_ended)
        try:
            await self._read(seat, socket, dialect, talk)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await talk.close("the connection is gone")
            self._gone(seat, talk)

    async def _make_room(self, seat: Seat, dialect: Dialect) -> None:
        """End the connection that a newer one takes the place of; another may come while it ends."""
        while True:
            while (old := seat.talk) is not None:
                await old.close("a newer connection takes its place")
                self._gone(seat, old)
            if seat.station.subprotocol in ("", dialect.subprotocol):
                return
            await self._hearing.forget(seat.station, self._now())
            seat.station.subprotocol = ""

    def _worker_ended(self, working: asyncio.Task[None]) -> None:
        """It is cancelled when the station goes; whatever else ends it is a bug, and reaches the top."""
        if not working.cancelled() and (error := working.exception()) is not None:
            self._broken(error)

    def _gone(self, seat: Seat, talk: Talk) -> None:
        if seat.talk is not talk:
            return  # a newer one took its place, and said so
        now = self._now()
        seat.talk = seat.worker = None
        last = {
            point.number: (point.powered_at, point.power_kw)
            for point in seat.station.points
            if point.stay is not None and point.powered_at is not None
        }
        seat.park.late.begins(seat.station.name, last)
        seat.station.went(now)
        seat.park.share(now)
        self._changed(seat.park)

    async def _read(
        self, seat: Seat, socket: web.WebSocketResponse, dialect: Dialect, talk: Talk
    ) -> None:
        loop, nonsense = asyncio.get_running_loop(), 0
        pace = Pace(self._spec.messages_per_s, self._spec.burst, loop.time())
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                return
            self.heard += 1
            if (wait_s := pace.wait_s(loop.time())) > 0:
                await asyncio.sleep(wait_s)
            try:
                frame = frames.read(message.data)
            except frames.FrameError as error:
                nonsense += 1
                seat.station.refused += 1
                if error.message_id is not None:
                    refusal = frames.refusal(error.message_id, "ProtocolError", str(error))
                    await talk.say(refusal)
                if nonsense >= NONSENSE:
                    self._tell("charger_refused", seat.station.name, f"sends nonsense: {error}")
                    return
                continue
            if not isinstance(frame, frames.Call):
                talk.answered(frame)
                continue
            try:
                await talk.say(await self._answered(seat, dialect, talk, frame))
            except UnavailableError:
                return  # it went before it was answered

    async def _answered(self, seat: Seat, dialect: Dialect, talk: Talk, frame: frames.Call) -> str:
        """The text that a call is answered with; one that comes again is answered as before."""
        key = frame.message_id, hash(bytes(frame.payload))
        if (before := seat.answers.get(key)) is not None:
            return before
        station, now = seat.station, self._now()
        try:
            word = dialect.read(frame.action, frame.payload)
            if station.is_put_off(now) and not isinstance(word, Booted):
                return frames.refusal(frame.message_id, "GenericError", "its boot was put off")
            reply = await self._hearing.hear(seat.park, station, word, now)
        except WordError as error:
            station.refused += 1
            return frames.refusal(frame.message_id, error.code, str(error))
        except UnavailableError as error:
            return frames.refusal(frame.message_id, "InternalError", error.what)
        text = frames.result(
            frame.message_id,
            dialect.answer(
                word,
                now=now,
                status=reply.status,
                interval_s=reply.interval_s,
                transaction=reply.transaction,
            ),
        )
        if seat.talk is talk:  # else a newer connection took its place: its numbers are others
            seat.answers[key] = text
            if len(seat.answers) > ANSWERS:
                seat.answers.popitem(last=False)
        if seat.worker is not None and seat.talk is talk:
            if isinstance(word, Booted):
                seat.worker.booted(accepted=reply.status == "Accepted")
            if isinstance(word, Began):
                seat.worker.began()
            seat.worker.spoke()
        if seat.park.changed:
            self._changed(seat.park)
        return text


def _credentials(header: str) -> tuple[str, str]:
    """User and password of basic authentication; empty where there are none."""
    kind, _, given = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(given, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return "", ""
    user, _, password = text.partition(":")
    return user, password
