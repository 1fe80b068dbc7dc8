"""A connection of IEC 60870-5-104 on asyncio: the machine of `iec104_session.py` with a socket and a clock.

    socket ─▶ ASDUs ─▶ the station or client that owns the line
           ◀─ as many as k and the socket allow ◀─ its supplier, asked for one at a time

What is sent is made when there is room for it, so nothing queues here. Whatever is odd about the other side
ends the connection, with a reason, and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from math import isfinite
from zoneinfo import ZoneInfo

import structlog

from adapters.iec104_asdu import Asdu, parsed
from adapters.iec104_frames import Word
from adapters.iec104_session import Session
from vpp.errors import AdapterError
from vpp.model.telecontrol import LinkTiming

SEND_BUFFER = 65_536
"""Octets that the kernel may hold for the other side: what waits longer is told anew, with its newest value."""
MOST_UNREAD = 262_144
"""Octets beyond that, of answers that nobody reads, and the connection ends."""

log = structlog.get_logger(__name__)


class Line(asyncio.Protocol):
    """One connection, of either side."""

    def __init__(
        self,
        timing: LinkTiming,
        zone: ZoneInfo,
        *,
        controlling: bool,
        made: Callable[[Line], bool],
        take: Callable[[Line, Asdu], None],
        give: Callable[[Line], bytes | None],
        turned: Callable[[Line], None],
        lost: Callable[[Line, str], None],
    ) -> None:
        """`turned` is told that data may flow, or no more; `made` says whether the other side may stay; `give` makes the next ASDU, None: nothing now."""
        self._timing, self._zone, self._controlling = timing, zone, controlling
        self._made, self._take, self._give = made, take, give
        self._turned, self._lost = turned, lost
        self._loop = asyncio.get_running_loop()
        self.session = Session(timing, controlling=controlling, now_s=self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._why: str | None = None
        self.gone = False

    @property
    def peer(self) -> str:
        """The other side's address, without its port."""
        address = self._transport and self._transport.get_extra_info("peername")
        return str(address[0]) if address else "?"

    # ------------------------------------------------------------ the socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        endpoint = transport.get_extra_info("socket")
        if endpoint is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if not self._made(self):
            self.close("is not on the list")
        elif self._controlling:
            self.session.ask(Word.START_ACT, self._loop.time())
            self.pump()

    def data_received(self, data: bytes) -> None:
        if self._why is not None:
            return
        before = self.session.started
        try:
            for octets in self.session.received(data, self._loop.time()):
                self._take(self, parsed(octets, self._zone))
                if self._why is not None:
                    return
        except AdapterError as error:
            self.close(error.what)
            return
        if self.session.started is not before:
            self._turned(self)
        self.pump()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._why = self._why or (f"lost: {error}" if error else "closed by the other side")
        self._lost(self, self._why)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    # ------------------------------------------------------------ our side

    def pump(self) -> None:
        """Send what there is to send and room for."""
        if self._transport is None or self._why is not None:
            return
        now_s = self._loop.time()
        while self.session.room > 0 and not self._paused:
            asdu = self._give(self)
            if asdu is None:
                break
            self.session.send(asdu, now_s)
        if data := self.session.take():
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > MOST_UNREAD:
                self.close("does not read what it is answered")
                return
        self._set_timer()

    def close(self, why: str) -> None:
        """End the connection; what waits in the socket is thrown away."""
        if self._why is None:
            self._why = why
            if self._transport is not None:
                self._transport.abort()

    def _set_timer(self) -> None:
        due_s = self.session.due_s()
        if self._timer is not None:
            if self._timer.when() <= due_s and not self._timer.cancelled():
                return  # it will look then, and find what is due by itself
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._tick) if isfinite(due_s) else None

    def _tick(self) -> None:
        self._timer = None
        if self._why is not None:
            return
        try:
            self.session.tick(self._loop.time())
        except AdapterError as error:
            self.close(error.what)
            return
        self.pump()
