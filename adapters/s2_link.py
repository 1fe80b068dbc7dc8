"""The link to resource managers of S2: we are their energy manager (CEM), and they connect to us.

    GET /s2/{device}, its token ─▶ Session ─▶ S2State ─▶ TelemetryMessage ─┐
    a command taken or refused ─────────────────────────────────────────────┴▶ inbox ─▶ messages()

Each device has a connection of its own and a task that tells it what is wanted, one thing at a time:

* Of the commands to a device the newest counts: a queue of one.
* Every command has an end that the device knows: an envelope ends by itself; for a fill rate a second instruction
  is left with the device, revoked and set anew with each refresh. A device whose connection is lost leaves
  the control type by itself, as the standard has it.
* Letting go is a change to no control type and back: so it runs as it would alone, and goes on telling.
* How it runs is read. Where somebody else has changed it, it is let go and told.
* A second connection of a device takes the place of its first, which may be half open.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from aiohttp import web

from adapters.link_life import Inboxed, ill_devices
from adapters.s2_device import S2Device, S2State
from adapters.s2_hearing import hear
from adapters.s2_line import CONNECTIONS_PER_MINUTE, Line
from adapters.s2_session import MAX_BYTES, Session, SessionTiming
from adapters.s2_wire import (
    Control,
    Incoming,
    Reception,
    ResourceManagerDetails,
    RevokeObject,
    SelectControlType,
    SessionRequest,
)
from vpp.errors import AdapterError, DataError, UnavailableError
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.ids import ResourceId
from vpp.ports import Unsent
from vpp.wire import AckMessage, TelemetryMessage

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""How often at least it is looked whether a command has ended."""
LET_GO_S = 2.0
"""How long the last releases may take when the link is stopped."""
ANOTHER = "another connection took its place"


class S2Link(Inboxed):
    """A `MessageSource` and `SetpointSink` over resource managers that connect to us: there while half of them are.

    Hang `handle` into a web application, and use the link as an async context manager. All devices are let
    go when it is closed, so `close` is called while their connections stand; leaving the context calls it too.
    """

    def __init__(
        self,
        where: str,
        devices: Iterable[S2Device],
        *,
        token_of: Callable[[ResourceId], str],
        now: Callable[[], datetime],
        jitter: Random,
        timing: SessionTiming | None = None,
        capacity: int = 10_000,
    ) -> None:
        """`where` names the listener; `token_of` raises UnavailableError where a token cannot be had.

        `capacity` is the number of messages kept for a reader that is late; the oldest gives way.
        """
        super().__init__(where, now=now, capacity=capacity)
        self._jitter = jitter
        self._token_of, self._timing = token_of, timing or SessionTiming()
        self._lines = {d.device_id: Line(state=S2State(device=d)) for d in devices}
        self._open = False

    # ------------------------------------------------------------ how it does

    @property
    def reconnects(self) -> int:
        """How often devices came back."""
        return sum(max(0, line.connections - 1) for line in self._lines.values())

    @property
    def fault(self) -> str | None:
        """Which devices are away or ill, and why; None while all is well."""
        devices = ((name, line.ill()) for name, line in self._lines.items())
        return ill_devices(devices, late=self.inbox.late)

    # ------------------------------------------------------------ in

    def _tell(self, state: S2State, told: TelemetryMessage | AckMessage) -> None:
        device = state.device
        self.inbox.tell(device.enterprise_id, device.site_id, device.device_id, told)

    # ------------------------------------------------------------ who connects

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A device connects; returns when its connection has ended."""
        if not self._open:
            raise web.HTTPServiceUnavailable(text="not started, or stopping")
        line = self._who(request)
        now_s = asyncio.get_running_loop().time()
        if len(line.lately_s) == CONNECTIONS_PER_MINUTE and now_s - line.lately_s[0] < 60:
            if line.session is None:
                line.away = "it connects again and again"
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
        line.lately_s.append(now_s)
        socket = web.WebSocketResponse(heartbeat=self._timing.heartbeat_s, max_msg_size=MAX_BYTES)
        await socket.prepare(request)
        name = line.state.device.device_id
        session = Session(
            socket, f"{self._where}, {name}", timing=self._timing, new_id=self._new_id
        )
        before = line.session
        if before is not None:
            self._gone(line, ANOTHER)
        line.session = session
        if before is not None:
            await before.end(ANOTHER)
        await self._serve(line, session)
        return socket

    def _who(self, request: web.Request) -> Line:
        """The device whose token this is; strangers learn nothing of who is here."""
        line = self._lines.get(ResourceId(request.match_info["device"]))
        given = request.headers.get("Authorization", "")[:8300]
        try:
            wanted = "" if line is None else f"Bearer {self._token_of(line.state.device.device_id)}"
        except UnavailableError as error:
            assert line is not None  # without it no token was asked for
            if line.session is None:
                line.away = f"its token cannot be had: {error.what}"
            raise web.HTTPServiceUnavailable(text="not ready") from error
        if line is None or not hmac.compare_digest(_raw(given), _raw(wanted)):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return line

    async def _serve(self, line: Line, session: Session) -> None:
        """One connection, from its handshake to its end."""
        steering = asyncio.create_task(
            self._steer(line, session), name=f"s2-{line.state.device.device_id}"
        )
        why = "lost"
        try:
            why = await session.run(lambda message: self._take(line, session, message))
        except UnavailableError as error:
            why = session.why_ended or error.what
        finally:
            steering.cancel()
            await asyncio.gather(steering, return_exceptions=True)
            if line.session is session:
                self._gone(line, why)

    def _take(self, line: Line, session: Session, message: Incoming) -> Reception:
        """What a device tells; how it was received."""
        if line.session is not session:
            return Reception.TEMPORARY_ERROR  # its newer connection counts
        if isinstance(message, ResourceManagerDetails):
            self._introduced(line, message)
            return Reception.OK
        if line.details is None:
            return Reception.TEMPORARY_ERROR
        heard = hear(line.state, message, self._now())
        for told in heard.told:
            self._tell(line.state, told)
        line.wake.set()
        return heard.reception

    def _introduced(self, line: Line, details: ResourceManagerDetails) -> None:
        state = line.state
        if line.details is None:
            line.connections += 1
            log.info("link up", where=self._where, device=state.device.device_id)
        line.details, line.away = details, None
        if line.unoffered() is not None:
            line.selected = None
        self._look_up()
        line.wake.set()

    def _gone(self, line: Line, why: str) -> None:
        state = line.state
        for setpoint in dict.fromkeys((state.force, state.wanted)):
            if setpoint is not None:
                self._refuse(state, setpoint, f"its connection ended: {why}")
        state.wanted, state.let_go, state.fault = None, False, None
        state.forget()
        line.session, line.details, line.selected, line.away = None, None, None, why
        log.warning("link down", where=self._where, device=state.device.device_id, reason=why)
        self._look_up()

    def _look_up(self) -> None:
        there = sum(line.details is not None for line in self._lines.values())
        self._standing.turn(2 * there >= len(self._lines) > 0)

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Let each command wait for its turn in place of an older one; return those that cannot.

        What becomes of a command that waits is told as an acknowledgement.

        Raises:
            DataError: A set-point names no device of this link, or another enterprise's.
        """
        unsent = []
        for setpoint in setpoints:
            line = self._lines.get(setpoint.resource_id)
            if line is None or line.state.device.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            why = "is read-only" if line.state.device.read_only else line.away
            if why is not None or line.session is None:
                unsent.append(Unsent(setpoint=setpoint, reason=f"{self._where}: {why}"))
                continue
            line.state.wanted = setpoint
            line.wake.set()
        return tuple(unsent)

    async def _steer(self, line: Line, session: Session) -> None:
        """Tell one device what is wanted, one thing after the other, while its connection stands."""
        while True:
            line.wake.clear()
            try:
                await self._next(line, session)
            except AdapterError as error:
                line.state.fault = error.what
            except Exception as error:
                # A bug: nothing steers this device now, so it must not look as if it were. Others go on.
                device = line.state.device.device_id
                log.exception("a device cannot be steered", where=self._where, device=device)
                await session.end(f"a bug of ours: {type(error).__name__}: {error}")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await line.wake.wait()

    async def _next(self, line: Line, session: Session) -> None:
        state, now = line.state, self._now()
        if line.details is None or state.device.read_only or not self._open:
            return  # nothing that steers ever leaves for it, or it is let go by `close`
        if (why := line.unoffered()) is not None:
            self._give_up(state, why)
            return
        if state.force is not None and state.force.expires_at <= now:
            state.let_go = True
        if state.wanted is not None and state.wanted.expires_at <= now:
            self._give_up(state, "it ended before it could be said")
        if state.let_go:
            await self._release(line, session)
        if line.selected is not state.device.control:
            await self._select(line, session, state.device.control)
        if state.wanted is not None and state.ready:
            await self._command(state, session, state.wanted)

    async def _select(self, line: Line, session: Session, control: Control) -> None:
        await session.ask(SelectControlType(message_id=self._new_id(), control_type=control))
        line.selected, line.state.fault = control, None

    async def _release(self, line: Line, session: Session) -> None:
        """It runs as it would alone; what it can do it tells anew when it is selected again."""
        await self._select(line, session, Control.NONE)
        line.state.let_go = False
        line.state.forget()

    async def _command(self, state: S2State, session: Session, setpoint: Setpoint) -> None:
        state.wanted = None
        try:
            said = state.instruct(setpoint, self._now(), self._new_id)
            if said is not None:
                state.said(setpoint, said)  # it may answer before we hear that it has received it
                await session.ask(said)
            else:
                state.said(setpoint, None)
            await self._leave_end(state, session, setpoint)
        except (AdapterError, DataError) as error:
            state.let_go = state.let_go or state.force is not None
            state.fault = error.what
            self._refuse(state, setpoint, error.what)
            return
        state.fault = None

    async def _leave_end(self, state: S2State, session: Session, setpoint: Setpoint) -> None:
        """What ends a command where we cannot, in place of the end of the one before."""
        end = state.ends(setpoint, self._now(), self._new_id)
        if end is None:
            return
        before, state.end_id = state.end_id, end.id
        await session.ask(end)
        if before is not None:
            # Not every device answers to this. One that keeps the old end is let go early, and told anew.
            await session.tell(
                RevokeObject(
                    message_id=self._new_id(), object_type="FRBC.Instruction", object_id=before
                )
            )

    def _give_up(self, state: S2State, reason: str) -> None:
        if state.wanted is not None:
            self._refuse(state, state.wanted, reason)
            state.wanted = None

    def _refuse(self, state: S2State, setpoint: Setpoint, reason: str) -> None:
        if (told := state.answer(setpoint, self._now(), reason=reason)) is not None:
            self._tell(state, told)

    def _new_id(self) -> str:
        return str(UUID(int=self._jitter.getrandbits(128), version=4))

    # ------------------------------------------------------------ its life

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Take no more connections, and let go of all devices; once."""
        self._open = False
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_S):
                await asyncio.gather(*(self._farewell(line) for line in self._lines.values()))
        self.inbox.close()

    async def _farewell(self, line: Line) -> None:
        """The last thing that a device hears: it is let go."""
        session = line.session
        if session is None:
            return
        try:
            if line.details is not None and not line.state.device.read_only:
                await self._select(line, session, Control.NONE)
            await session.tell(SessionRequest(message_id=self._new_id(), request="TERMINATE"))
        except AdapterError as error:
            log.warning("a device could not be let go", where=self._where, reason=error.what)
        await session.end("the energy manager stops")


def _raw(header: str) -> bytes:
    return header.encode("utf-8", "surrogateescape")
