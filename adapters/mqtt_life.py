"""A connection to a broker that is kept for as long as it is wanted: what every link over MQTT is made of.

`run` holds the connection for as long as it runs: after a loss it waits a random time below a
bound that doubles (full jitter, so that a thousand clients do not return together), connects anew
and subscribes again, since a broker may have forgotten us. The bound falls back only after a
connection that has lasted; one that is accepted and closed at once counts as a failure (`mqtt_pace.py`).

A message is confirmed to the broker when the reader has taken it, so a late reader makes the broker wait,
not lose (`mqtt_inbox.py`). What is lost all the same (at a broker whose own queue is full, with a
connection, at a sender of QoS 0) shows as a gap in the sequence numbers of telemetry; registers let the
energy survive it.

Two processes with one client id throw each other out for ever. MQTT 3.1.1 does not say why a connection
ends, so after `SHORT_LIVES` that ended soon a second connection stands beside ours, under a name of its
own: where that one stays, our name is taken. The process that has never stood for long gives up.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from math import inf
from random import Random
from typing import Any

import aiomqtt
import structlog
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from adapters.link_life import SpannedLink
from adapters.mqtt_inbox import Confirms, Entry, Inbox, Quota
from adapters.mqtt_pace import LinkTiming, Pace
from adapters.mqtt_wire import WireClient
from vpp.errors import RejectedError
from vpp.ports import Message

log = structlog.get_logger(__name__)
_QUIET = logging.getLogger(f"{__name__}.beside")
_QUIET.disabled = True
"""For a connection whose messages nobody reads: it would complain of each."""

REFUSED = {4, 5, 134, 135}
"""CONNACK codes of both protocol levels: bad user or password, not authorised."""

BREATH = 64
"""Messages read in a row before other tasks get their turn."""

PIECE = 500
"""Messages that are on their way to the broker at once. MQTT knows 65 535 at most, and aiomqtt counts all that
wait at each that is added."""

SILENCE = 1.5
"""Keep-alive intervals without a word from the broker after which the connection is dead (MQTT 3.1.1,
3.1.2.10, holds the broker to the same)."""

SHORT_LIVES = 3
"""Connections in a row that ended soon: somebody else may use our name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker listens, and as whom to speak to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class BrokerLink(SpannedLink):
    """What a link has whatever is spoken over it.

    Start `run(stop)` as a supervised task, or use it as an async context manager, which does that for
    its own span.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        subscriptions: Sequence[str],
        *,
        client_id: str,
        now: Callable[[], datetime],
        jitter: Random,
        timing: LinkTiming | None = None,
        capacity: int = 50_000,
        quota: Quota | None = None,
        will: aiomqtt.Will | None = None,
    ) -> None:
        """`subscriptions` are topic filters, `will` what the broker says when it loses us.

        `capacity` is the number of messages the inbox holds for a reader that is late, `quota` what a
        topic may bring without waiting behind the others.
        """
        self._broker = broker
        self._subscriptions = [(one, 1) for one in subscriptions]
        self._client_id = client_id
        self._now = now
        self._timing = timing or LinkTiming()
        self._pace = Pace(self._timing, jitter)
        self._will = will
        self.inbox = Inbox(capacity, quota)
        self._client: aiomqtt.Client | None = None
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._down.set()
        self._running = False
        self._since = now()
        self._connections = 0
        self._short_lives = 0
        self._has_lasted = False
        self._fault: str | None = "not started"

    @property
    def connected(self) -> bool:
        """Whether we are connected and subscribed."""
        return self._client is not None

    @property
    def since(self) -> datetime:
        """When `connected` last changed."""
        return self._since

    @property
    def reconnects(self) -> int:
        """Connections made after the first one."""
        return max(0, self._connections - 1)

    @property
    def fault(self) -> str | None:
        """Why the link is down, or what is wrong while it stands; None while all is well."""
        if self._fault is None and self.inbox.overflowing:
            return f"the reader is late: {self.inbox.lost} messages gave way"
        return self._fault

    async def wait_until(self, *, connected: bool) -> None:
        """Return as soon as the link stands, or is down."""
        await (self._up if connected else self._down).wait()

    # ------------------------------------------------------------ in

    async def messages(self) -> AsyncIterator[Message]:
        """Yield messages as they come, across reconnects, until the link is stopped.

        One reader: two of them would share the messages between them.
        """
        inbox, read = self.inbox, _Read()
        try:
            while True:
                while entry := inbox.pop():
                    if read.note(entry):
                        await asyncio.sleep(0)
                    yield entry.message
                read.confirm()
                inbox.caught_up()
                if inbox.closed:
                    return
                await inbox.filled.wait()
        finally:
            # Also where the reader failed at a message: sent again it would only fail again.
            read.confirm()

    # ------------------------------------------------------------ out

    async def _publish_all(
        self, addressed: Iterable[tuple[str, bytes]], *, qos: int = 1
    ) -> list[str | None]:
        """Publish, never retained, a piece at a time; why each was not confirmed, None where it was.

        What makes messages as they are asked for (an iterator) makes a piece of them at a time too.

        Each piece has `publish_timeout_s` for itself: many messages take longer than few, and a broker that
        confirms is not late. After one that is not confirmed whole nothing more is sent. At `qos` 0 nobody
        confirms: what has left counts.
        """
        reasons: list[str | None] = []
        messages, why = iter(addressed), None
        while piece := list(islice(messages, PIECE)):
            client = self._client
            if client is None and why is None:
                why = self._not_sent(self._fault)
            if client is None or why is not None:
                reasons += [why] * len(piece)
                continue
            came = await self._publish_piece(client, piece, qos)
            reasons += came
            if any(came):
                why = self._not_sent("messages before it were not confirmed")
        return reasons

    async def _publish_piece(
        self, client: aiomqtt.Client, addressed: Sequence[tuple[str, bytes]], qos: int
    ) -> list[str | None]:
        tasks = [
            asyncio.ensure_future(client.publish(where, body, qos=qos, timeout=inf))
            for where, body in addressed
        ]
        try:
            await asyncio.wait(tasks, timeout=self._timing.publish_timeout_s)
        finally:
            for task in tasks:
                task.cancel()
        return [self._why_not(task) for task in tasks]

    def _not_sent(self, why: str | None) -> str:
        return f"{self._where}: not sent: {why}"

    def _why_not(self, task: asyncio.Future[None]) -> str | None:
        if not task.done():
            return f"{self._where}: not confirmed in time"
        error = task.exception()
        if error is None:
            return None
        if not isinstance(error, aiomqtt.MqttError):
            raise error
        return f"{self._where}: not confirmed: {error}"

    @property
    def _where(self) -> str:
        return f"broker {self._broker.host}:{self._broker.port}"

    # ------------------------------------------------------------ the connection's life

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the link up until `stop` is set; then `messages` ends when all are read.

        Raises:
            RejectedError: The broker refuses our credentials or subscriptions, and never took
                them before (later refusals are retried: a broker that restarts may be early);
                or another process uses our client id, and we have never stood for long.
        """
        if self._running:
            raise RuntimeError("the link runs already; it has one connection")
        self._running = True
        stopped = asyncio.create_task(stop.wait(), name="mqtt-link-stop")
        loop = asyncio.get_running_loop()
        try:
            while not stopped.done():
                began = loop.time()
                self._pace.attempt(began)
                reason = await self._connection(stopped)
                if stopped.done():
                    break
                if loop.time() - began >= self._timing.stable_after_s:
                    self._has_lasted, self._short_lives = True, 0
                delay_s = self._pace.wait_s(began, loop.time())
                log.warning("link down", where=self._where, reason=reason, retry_in_s=delay_s)
                await asyncio.wait({stopped}, timeout=delay_s)
        finally:
            stopped.cancel()
            self._running = False
            self.inbox.close()

    async def _connection(self, stopped: asyncio.Task[bool]) -> str:
        """Connect, subscribe and stay until the connection is lost; return why it was."""
        reason, went_up = "stopped", self._connections
        try:
            async with AsyncExitStack() as stack:
                beside = await self._beside(stack) if self._short_lives >= SHORT_LIVES else None
                client = await stack.enter_async_context(self._new_client())
                reason = await self._stay(client, stopped)
                if beside is not None and not client.own_fault and not stopped.done():
                    reason = await self._judge(reason, beside)
        except MqttConnectError as error:
            reason = str(error)
            if _code(error.rc) in REFUSED:
                reason = self._refused(f"us: {error}", "Check user and password")
        except aiomqtt.MqttError as error:
            reason = str(error)
        finally:
            self._short_lives += self._connections > went_up
            self._went_down(reason)
        return reason

    async def _stay(self, client: WireClient, stopped: asyncio.Task[bool]) -> str:
        """Subscribe and wait for the end of the connection; return what ended it."""
        lost = asyncio.create_task(_loss(client), name="mqtt-link-lost")
        silent = asyncio.create_task(self._silence(client), name="mqtt-link-silent")
        granted = asyncio.create_task(
            client.subscribe(self._subscriptions), name="mqtt-link-subscribe"
        )
        try:
            # A connection that dies before the answer would let `subscribe` wait for its timeout.
            await asyncio.wait({lost, granted, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if granted.done():
                if any(_code(code) >= 128 for code in granted.result()):
                    return self._refused("our subscriptions", "Check the broker's ACL")
                self._went_up(client)
                await asyncio.wait({lost, silent, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if silent.done() and not lost.done():
                client.drop(silent.result())
                return silent.result()
            if stopped.done() and self._client is client:
                await self._farewell()
            return lost.result() if lost.done() else "stopped"
        finally:
            for task in (lost, silent, granted):
                task.cancel()

    async def _farewell(self) -> None:
        """Say what is to be said before we close a connection that stands."""

    async def _silence(self, client: WireClient) -> str:
        """Return when the broker has been silent for too long: a line can be cut without a word."""
        most_s, loop = SILENCE * self._timing.keepalive_s, asyncio.get_running_loop()
        left_s = most_s
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = client.heard_at + most_s - loop.time()
        return f"the broker was silent for {most_s:g} s"

    async def _judge(self, reason: str, beside: aiomqtt.Client) -> str:
        """Whether another process uses our name: where so, the one that never stood for long gives up."""
        ended = asyncio.create_task(_loss(beside), name="mqtt-link-beside")
        try:
            await asyncio.wait({ended}, timeout=self._timing.survives_s)
            if ended.done():
                return reason
        finally:
            ended.cancel()
        what = f"another client uses our client id {self._client_id!r} and throws us out"
        if self._has_lasted:
            return what
        raise RejectedError(
            what, where=self._where, fix="Stop the other service of this park; one may run"
        )

    def _refused(self, what: str, fix: str) -> str:
        """The reason for the log; an error where the broker has never taken us."""
        if self._connections:
            return f"refuses {what}"
        raise RejectedError(f"refuses {what}", where=self._where, fix=fix)

    def _new_client(self) -> WireClient:
        """A client is used once: what waited in a lost one must not come out later."""
        inbox, client = self.inbox, None

        def taken(topic: str, payload: bytes, packet_id: bytes) -> None:
            assert client is not None  # nothing comes before it is made
            inbox.put(client, topic, payload, packet_id)

        client = WireClient(
            self._broker.host,
            self._broker.port,
            taken=taken,
            has_room=lambda: inbox.has_room,
            identifier=self._client_id,
            clean_session=True,
            max_inflight_messages=10_000,
            will=self._will,
            **self._common(),
        )
        client.pending_calls_threshold = 10_000
        return client

    async def _beside(self, stack: AsyncExitStack) -> aiomqtt.Client | None:
        """A second connection that does all that ours does, under another name; None where it is not to be had."""
        self._pace.attempt(asyncio.get_running_loop().time())
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            identifier=f"{self._client_id}-beside-{secrets.token_hex(4)}",
            max_queued_incoming_messages=1,
            logger=_QUIET,
            **self._common(),
        )
        try:
            await stack.enter_async_context(client)
        except aiomqtt.MqttError:
            return None
        lost = asyncio.create_task(_loss(client), name="mqtt-link-beside-lost")
        granted = asyncio.create_task(client.subscribe(self._subscriptions))
        try:
            await asyncio.wait({lost, granted}, return_when=asyncio.FIRST_COMPLETED)
            return None if lost.done() else client
        finally:
            lost.cancel()
            granted.cancel()

    def _common(self) -> dict[str, Any]:
        return {
            "username": self._broker.username,
            "password": self._broker.password,
            "keepalive": self._timing.keepalive_s,
            "timeout": self._timing.connect_timeout_s,
        }

    def _went_up(self, client: WireClient) -> None:
        self._client = client
        self._connections += 1
        self._since = self._now()
        self._fault = None
        self._up.set()
        self._down.clear()
        log.info("link up", where=self._where, reconnects=self.reconnects)

    def _went_down(self, reason: str) -> None:
        if self._client is not None:
            self._client = None
            self._since = self._now()
        self._fault = reason
        self._up.clear()
        self._down.set()


class _Read:
    """What the reader has taken since the broker was last told."""

    def __init__(self) -> None:
        self._sender: Confirms | None = None
        self._packet_ids: list[bytes] = []
        self._count = 0

    def note(self, entry: Entry) -> bool:
        """Take note of a message that is read now; whether it is time to let others have their turn."""
        if entry.sender is not self._sender:
            self.confirm()
            self._sender = entry.sender
        if entry.packet_id:
            self._packet_ids.append(entry.packet_id)
        self._count += 1
        if self._count % BREATH:
            return False
        self.confirm()
        return True

    def confirm(self) -> None:
        """Tell the broker."""
        if self._sender is not None and self._packet_ids:
            self._sender.confirm(self._packet_ids)
            self._packet_ids.clear()


async def _loss(client: aiomqtt.Client) -> str:
    """Why the connection ended; the client tells it to whoever waits for messages.

    Messages that come this way are passed over: all of a connection that nobody reads, and of ours those of
    QoS 2, which no broker may send to us.
    """
    try:
        async for _ in client.messages:
            pass
    except aiomqtt.MqttError as error:
        return f"connection lost: {error.__cause__ or error}"
    return "connection lost"


def _code(code: int | ReasonCode | None) -> int:
    return code.value if isinstance(code, ReasonCode) else int(code or 0)
