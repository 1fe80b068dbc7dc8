"""The central system of OCPP: charging stations connect to it, and it is a link to car parks inward.

    websocket ─▶ known? credentials? ─▶ frames ─▶ dialect ─▶ `ocpp_hearing.py` ─▶ car park ─▶ messages()
    send() ─▶ car park: split ─▶ a worker for each connection: set, take back, ask what is in force

One connection a station; a newer one takes the place of the older. Who is in no park file is quarantined: its
boot is refused, it is told, and nothing that it says is used. Limits end by themselves at the station, which
then goes by its own default; they are taken back besides when they end, and when the service stops.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

import msgspec
import structlog
from aiohttp import WSMsgType, hdrs, web

from adapters import ocpp_frames as frames
from adapters.ocpp16 import Ocpp16
from adapters.ocpp201 import Ocpp201
from adapters.ocpp_carpark import CarPark
from adapters.ocpp_hearing import Hearing
from adapters.ocpp_shown import shown
from adapters.ocpp_station import Station
from adapters.ocpp_talk import Pace, Talk
from adapters.ocpp_words import Booted, Dialect, WordError
from adapters.ocpp_work import Worker
from vpp.errors import DataError, UnavailableError
from vpp.model.charging import CarParkSpec, CentralSpec, Notice, StationShown
from vpp.model.command import Setpoint
from vpp.ports import Message, StayLedger, Unsent
from vpp.wire import AckMessage, TelemetryMessage, topic

log = structlog.get_logger(__name__)

DIALECTS: dict[str, Dialect] = {one.subprotocol: one for one in (Ocpp201(), Ocpp16())}
PING_S = 30.0
"""A connection whose ping is not answered in half of that is gone."""
LOOK_S = 1.0
STRANGERS = 20
"""Unknown stations that are connected at one time; more are turned away."""
STRANGER_S = 600.0
"""An unknown station is let go after that; it may come again."""
STRANGER_MESSAGES = 100
STRANGER_INTERVAL_S = 3600
ANSWERS = 50
"""Of one station: a call that comes again is answered as before."""
NONSENSE = 20
"""Frames of one connection that are none; then it is closed."""
QUIET_S = 30.0
"""A station that sent nothing of before for so long has brought all."""
CONNECTIONS_A_MINUTE = 12
"""Of one station; more are turned away: two of one name would end each other's connection for ever."""
LET_GO_S = 2.0


@dataclass(slots=True, eq=False)
class _Seat:
    """A station and whoever speaks for it now."""

    park: CarPark
    station: Station
    worker: Worker | None = None
    talk: Talk | None = None
    answers: OrderedDict[tuple[str, int], str] = field(default_factory=OrderedDict)
    came_s: deque[float] = field(default_factory=lambda: deque(maxlen=CONNECTIONS_A_MINUTE))


class OcppLink:
    """A `MessageSource` and `SetpointSink` over charging stations."""

    def __init__(
        self,
        spec: CentralSpec,
        parks: Iterable[CarParkSpec],
        *,
        now: Callable[[], datetime],
        ledger: StayLedger,
        capacity: int = 10_000,
    ) -> None:
        """`capacity` messages wait for the reader; the oldest give way."""
        self._spec, self._now = spec, now
        began = now()
        self._parks = {
            one.resource_id: CarPark(one, sample_s=spec.sample_s, began_at=began) for one in parks
        }
        self._seats = {
            station.name: _Seat(park, station)
            for park in self._parks.values()
            for station in park.stations
        }
        self.notices: deque[Notice] = deque(maxlen=1000)
        self._hearing = Hearing(spec, ledger, self._tell)
        self._take_up(ledger)
        self._inbox: deque[Message] = deque(maxlen=capacity)
        self._filled = asyncio.Event()
        self._closed, self._overflowing, self.lost = False, False, 0
        self._broken: BaseException | None = None
        self._strangers = 0
        self._up, self._since = False, began
        self._reported_s = -float("inf")
        self.messages_heard = 0
        self.own: tuple[asyncio.Event, asyncio.Task[None]] | None = None

    def _take_up(self, ledger: StayLedger) -> None:
        """Stays that went on when the service ended."""
        for stay in ledger.going_on():
            seat = self._seats.get(stay.station_id)
            point = None if seat is None else seat.station.point(stay.point)
            if seat is not None and point is not None:
                point.begin(stay, seat.park.spec, fresh=False)

    # ------------------------------------------------------------ how it does

    @property
    def connected(self) -> bool:
        """Whether any station is connected."""
        return self._up

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        return self._since

    @property
    def reconnects(self) -> int:
        """How often stations came back, all together."""
        return sum(max(seat.station.connections - 1, 0) for seat in self._seats.values())

    @property
    def fault(self) -> str | None:
        """What is wrong with stations; None while all is well."""
        now = self._now()
        ill = [text for park in self._parks.values() if (text := park.ill(now))]
        if self._overflowing:
            ill.insert(0, f"the reader is late: {self.lost} messages gave way")
        return "; ".join(ill)[:500] or None

    def shown(self) -> tuple[StationShown, ...]:
        """How each station of the park file stands, in its order."""
        now = self._now()
        return tuple(
            shown(station, park.spec.resource_id, now)
            for park in self._parks.values()
            for station in park.stations
        )

    def _tell(self, kind: str, who: str, text: str) -> None:
        log.warning(kind, who=who, what=text)
        self.notices.append(Notice(kind, who, text))

    def _count(self) -> None:
        up = any(seat.talk is not None for seat in self._seats.values())
        if up is not self._up:
            self._up, self._since = up, self._now()

    # ------------------------------------------------------------ in

    async def messages(self) -> AsyncIterator[Message]:
        """Yield telemetry and answers as they come, until the link is stopped. One reader.

        What broke the link, where that is a bug, is raised here: whoever reads must not wait for ever.
        """
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._overflowing = False
            if self._broken is not None:
                raise self._broken
            if self._closed:
                return
            self._filled.clear()
            await self._filled.wait()

    def _say(self, park: CarPark, told: TelemetryMessage | AckMessage) -> None:
        spec, leaf = park.spec, "ack" if isinstance(told, AckMessage) else "telemetry"
        where = topic(spec.enterprise_id, spec.site_id, spec.resource_id, leaf)
        if len(self._inbox) == self._inbox.maxlen:
            self._overflowing, self.lost = True, self.lost + 1
        self._inbox.append(Message(topic=where, payload=msgspec.json.encode(told)))
        self._filled.set()

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Split each command among the cars of its park; return those that no station can hear.

        What becomes of a command is told as an acknowledgement once all its cars have their limits.

        Raises:
            DataError: A set-point names no car park of this link, or another enterprise's.
        """
        now, unsent = self._now(), []
        for setpoint in setpoints:
            park = self._parks.get(setpoint.resource_id)
            if park is None or park.spec.enterprise_id != setpoint.enterprise_id:
                raise DataError(
                    f"is no resource of {setpoint.enterprise_id}",
                    where=setpoint.resource_id,
                    fix="Command only what the park file knows, under its own enterprise",
                )
            if park.spec.read_only:
                unsent.append(Unsent(setpoint=setpoint, reason="is read-only"))
            elif not any(station.connected for station in park.stations):
                unsent.append(Unsent(setpoint=setpoint, reason="none of its stations is connected"))
            else:
                park.take(setpoint, now)
                self._settle(park)
        return tuple(unsent)

    def _settle(self, park: CarPark) -> None:
        """Let the stations of a park do what is wanted now, and tell what became of its command."""
        now, park.changed = self._now(), False
        for station in park.stations:
            worker = self._seats[station.name].worker
            if worker is not None:
                worker.look(now)
        self._answer(park)

    def _answer(self, park: CarPark) -> None:
        if (answer := park.answer(self._now())) is not None:
            self._say(park, answer)

    # ------------------------------------------------------------ stations come

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

    def _too_often(self, seat: _Seat) -> bool:
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
            self._tell("charger_unknown", name[:48], "connects, and the park file does not know it")
            with suppress(TimeoutError):
                async with asyncio.timeout(STRANGER_S):
                    await self._refuse_all(socket, name, dialect)
            await socket.close()
        finally:
            self._strangers -= 1
        return socket

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
            self._tell("charger_unknown", name[:48], said)
            answer = dialect.answer(
                word,
                now=self._now(),
                status="Rejected",
                interval_s=STRANGER_INTERVAL_S,
                transaction="0",
            )
            await socket.send_str(frames.result(frame.message_id, answer))

    async def _served(self, seat: _Seat, socket: web.WebSocketResponse, dialect: Dialect) -> None:
        station = seat.station
        if seat.talk is not None:
            await seat.talk.close("a newer connection takes its place")
            self._gone(seat, seat.talk)
        talk = Talk(socket, station.name, answer_s=self._spec.answer_s)
        worker = Worker(
            seat.park,
            station,
            dialect,
            talk,
            spec=self._spec,
            now=self._now,
            tell=self._tell,
            changed=lambda: (
                self._settle(seat.park) if seat.park.changed else self._answer(seat.park)
            ),
        )
        if station.subprotocol not in ("", dialect.subprotocol):
            for point in station.points:  # its transactions have other names now
                point.end()
        seat.talk, seat.worker = talk, worker
        station.came(self._now(), dialect.subprotocol)
        self._count()
        seat.park.share(self._now())
        working = asyncio.create_task(worker.run(), name=f"ocpp-{station.name}")
        try:
            await self._read(seat, socket, dialect, talk)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await talk.close("the connection is gone")
            self._gone(seat, talk)

    def _gone(self, seat: _Seat, talk: Talk) -> None:
        if seat.talk is not talk:
            return  # a newer one took its place, and said so
        now = self._now()
        seat.talk = seat.worker = None
        for point in seat.station.points:
            if (
                point.stay is not None and point.newest is not None
            ):  # the course begins where it broke off
                at = point.newest.at
                seat.park.late.sample(seat.station.name, point.number, at, point.power_kw)
        seat.station.went(now)
        seat.park.share(now)
        self._settle(seat.park)
        self._count()

    async def _read(
        self, seat: _Seat, socket: web.WebSocketResponse, dialect: Dialect, talk: Talk
    ) -> None:
        loop, nonsense = asyncio.get_running_loop(), 0
        pace = Pace(self._spec.messages_per_s, self._spec.burst, loop.time())
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                return
            self.messages_heard += 1
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
                await talk.say(await self._answered(seat, dialect, frame))
            except UnavailableError:
                return  # it went before it was answered
            if (wait_s := pace.wait_s(loop.time())) > 0:
                await asyncio.sleep(wait_s)

    async def _answered(self, seat: _Seat, dialect: Dialect, frame: frames.Call) -> str:
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
        seat.answers[key] = text
        if len(seat.answers) > ANSWERS:
            seat.answers.popitem(last=False)
        if seat.worker is not None:
            if isinstance(word, Booted):
                seat.worker.booted(accepted=reply.status == "Accepted")
            seat.worker.spoke()
        if seat.park.changed:
            self._settle(seat.park)
        return text

    # ------------------------------------------------------------ its own time

    async def __aenter__(self) -> Self:
        stop = asyncio.Event()
        task = asyncio.create_task(self.run(stop), name="ocpp")
        self.own = stop, task
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.own is not None
        stop, task = self.own
        stop.set()
        await task

    async def run(self, stop: asyncio.Event) -> None:
        """Tell car parks inward and see to what ends, until `stop`; then take all limits back."""
        stopped = asyncio.create_task(stop.wait(), name="ocpp-stop")
        step_s = min(LOOK_S, self._spec.report_s)
        try:
            while not stopped.done():
                self._look()
                await asyncio.wait({stopped}, timeout=step_s)
        except Exception as error:
            self._broken = error
            raise
        finally:
            stopped.cancel()
            await self.let_go()
            self._closed = True
            self._filled.set()

    def _look(self) -> None:
        now, now_s = self._now(), asyncio.get_running_loop().time()
        due = now_s - self._reported_s >= self._spec.report_s
        if due:
            self._reported_s = now_s
        for park in self._parks.values():
            if park.setpoint is not None and park.setpoint.expires_at <= now:
                park.share(now)
            for station in park.stations:
                if self._has_brought_all(station, now) and park.late.is_waiting(station.name):
                    for tick in park.late.through(station.name):
                        self._say(park, park.mended(tick))
            if due:
                for told in park.tick(now):
                    self._say(park, told)
            self._settle(park)

    @staticmethod
    def _has_brought_all(station: Station, now: datetime) -> bool:
        if not station.connected or station.back_at is None:
            return False
        newest = max(station.back_at, station.late_at or station.back_at)
        return (now - newest).total_seconds() >= QUIET_S

    async def let_go(self) -> None:
        """Take back every limit, as far as time allows; what stays ends by itself."""
        for park in self._parks.values():
            park.setpoint = None
            park.share(self._now())
        workers = [seat.worker for seat in self._seats.values() if seat.worker is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S):
                await asyncio.gather(*(worker.let_go() for worker in workers))


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
