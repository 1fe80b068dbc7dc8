"""One connection with a resource manager of S2, from its handshake on: every message is answered.

    read ─▶ taken by whoever is served ─▶ ReceptionStatus          one that cannot be read is answered so too
    ask  ─▶ message ─▶ its ReceptionStatus, in time, or an error

A connection that brings more than it may, nonsense again and again, or does not read what it is sent, ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from adapters.s2_wire import (
    VERSIONS,
    Handshake,
    HandshakeResponse,
    Incoming,
    OddMessageError,
    Outgoing,
    Reception,
    ReceptionStatus,
    SessionRequest,
    Unused,
    read,
    write,
)
from vpp.errors import RejectedError, UnavailableError

MAX_BYTES = 256 * 1024
"""A description of a hundred modes fits."""
ODD_IN_A_ROW = 20
GOODBYE_S = 1.0
"""How long the other side of a connection may take to close it: it may be half open."""
WAITING = 64
"""Messages that may go unanswered at once."""

Take = Callable[[Incoming], Reception]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTiming:
    """How long is waited, and how much may come; seconds."""

    answer_s: float = 5.0
    heartbeat_s: float = 15.0
    """A line that answers no ping for half of it is cut."""
    messages_per_s: float = 20.0
    burst: int = 500
    """At once, after a silence: a device begins with all that it has to say."""


class Session:
    """One connection; `run` lives as long as it does."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        where: str,
        *,
        timing: SessionTiming,
        new_id: Callable[[], str],
    ) -> None:
        """`where` names the device in errors."""
        self._socket, self._where, self._timing, self._new_id = socket, where, timing, new_id
        self._pending: dict[str, asyncio.Future[ReceptionStatus]] = {}
        self._odd = 0
        self._credit, self._credited_s = float(timing.burst), asyncio.get_running_loop().time()
        self.agreed = False
        """Whether a version was chosen."""
        self.why_ended: str | None = None

    # ------------------------------------------------------------ out

    async def tell(self, message: Outgoing) -> None:
        """Send a message and wait for no answer.

        Raises:
            UnavailableError: The line is gone, or the other side reads nothing.
        """
        try:
            async with asyncio.timeout(self._timing.answer_s):
                await self._socket.send_str(write(message))
        except (ConnectionError, TimeoutError, RuntimeError) as error:
            await self.end("it does not read what it is sent")
            raise self._gone("the connection is gone") from error

    async def ask(self, message: Outgoing) -> None:
        """Send a message and wait until it was received well.

        Raises:
            UnavailableError: No answer in time, or the line is gone.
            RejectedError: It says that something is wrong with the message.
        """
        assert not isinstance(message, ReceptionStatus)  # which nobody answers
        if len(self._pending) >= WAITING:
            raise self._gone("too many messages are not answered yet")
        answer: asyncio.Future[ReceptionStatus] = asyncio.get_running_loop().create_future()
        self._pending[message.message_id] = answer
        try:
            await self.tell(message)
            async with asyncio.timeout(self._timing.answer_s):
                told = await answer
        except TimeoutError as error:
            raise self._gone("it did not say in time that it has received a message") from error
        finally:
            del self._pending[message.message_id]
        if told.status is not Reception.OK:
            label = "" if told.diagnostic_label is None else f": {told.diagnostic_label[:120]}"
            raise RejectedError(
                f"it answers {told.status.value}{label}",
                where=self._where,
                fix="Compare what it supports with what the park file asks of it",
            )

    async def end(self, why: str) -> None:
        """Close the connection; the first reason counts."""
        if self.why_ended is None:
            self.why_ended = why
            try:
                async with asyncio.timeout(GOODBYE_S):
                    await self._socket.close(message=why.encode()[:120])
            except (TimeoutError, ConnectionError):
                return  # it is cut when the handler returns

    # ------------------------------------------------------------ in

    async def run(self, take: Take) -> str:
        """Hand over what comes until the connection ends; return why it did."""
        await self.tell(
            Handshake(message_id=self._new_id(), role="CEM", supported_protocol_versions=VERSIONS)
        )
        async for frame in self._socket:
            if frame.type is not WSMsgType.TEXT:
                await self.end("it sends what is no text")
            elif not self._may_send():
                await self.end("it sends too much")
            else:
                await self._came(frame.data, take)
            if self.why_ended is not None:
                break
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(self._gone("the connection is gone"))
        if self.why_ended is None:
            self.why_ended = "it has closed the connection"
        return self.why_ended

    async def _came(self, text: str, take: Take) -> None:
        try:
            message = read(text)
        except OddMessageError as error:
            await self._is_odd(error)
            return
        self._odd = 0
        match message:
            case ReceptionStatus():
                answer = self._pending.get(message.subject_message_id)
                if answer is not None and not answer.done():
                    answer.set_result(message)
            case Unused():
                await self._received(message.message_id, Reception.OK)
            case Handshake():
                await self._received(message.message_id, Reception.OK)
                await self._choose(message)
            case SessionRequest():
                await self._received(message.message_id, Reception.OK)
                await self.end(f"it asked to {message.request.lower()[:20]}")
            case _ if not self.agreed:
                await self._received(
                    message.message_id, Reception.TEMPORARY_ERROR, "handshake first"
                )
            case _:
                await self._received(message.message_id, take(message))

    async def _choose(self, theirs: Handshake) -> None:
        known = theirs.supported_protocol_versions or ()
        chosen = next((version for version in VERSIONS if version in known), None)
        if theirs.role != "RM" or chosen is None:
            shown = ", ".join(known)[:80] if known else "none"
            await self.end(f"role {theirs.role[:10]!r}, versions {shown}: we speak {VERSIONS[0]}")
            return
        self.agreed = True
        await self.tell(
            HandshakeResponse(message_id=self._new_id(), selected_protocol_version=chosen)
        )

    async def _received(self, message_id: str, status: Reception, label: str | None = None) -> None:
        await self.tell(
            ReceptionStatus(subject_message_id=message_id, status=status, diagnostic_label=label)
        )

    async def _is_odd(self, error: OddMessageError) -> None:
        self._odd += 1
        if self._odd >= ODD_IN_A_ROW:
            await self.end(f"{self._odd} messages in a row could not be read: {error}")
        else:
            await self._received(error.subject_id, error.status, str(error)[:120])

    def _may_send(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        gained = (now_s - self._credited_s) * self._timing.messages_per_s
        self._credit = min(float(self._timing.burst), self._credit + gained) - 1
        self._credited_s = now_s
        return self._credit >= 0

    def _gone(self, what: str) -> UnavailableError:
        return UnavailableError(what, where=self._where, fix="Wait until it is back")
