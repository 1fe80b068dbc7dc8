"""The link to the broker: telemetry, acknowledgements and status in, set-points out.

    broker ─▶ wire (QoS 1) ─▶ inbox, bounded ─▶ messages()         in large pieces, no task a message
    send() ─▶ CommandMessage ─▶ publish, QoS 1, never retained     all at once, each confirmed

`run` holds the connection for as long as it runs: after a loss it waits a random time below a
bound that doubles (full jitter, so that a thousand clients do not return together), connects anew
and subscribes again, since a broker may have forgotten us. The bound falls back only after a
connection that has lasted; one that is accepted and closed at once counts as a failure.

A message is confirmed to the broker when the reader has taken it, so a late reader makes the broker wait,
not lose (`mqtt_inbox.py`). What is lost all the same (at a broker whose own queue is full, with a
connection, at a sender of QoS 0) shows as a gap in the sequence numbers of telemetry; registers let the
energy survive it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Self

import aiomqtt
import msgspec
import structlog
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from adapters.mqtt_inbox import Confirms, Entry, Inbox, Quota
from adapters.mqtt_wire import WireClient
from vpp.errors import DataError, RejectedError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.ports import Message, Unsent
from vpp.wire import TOPIC_ROOT, command_of, topic

log = structlog.get_logger(__name__)

SUBSCRIPTIONS = [(f"{TOPIC_ROOT}/+/+/+/{leaf}", 1) for leaf in ("telemetry", "ack", "status")]
REFUSED = {4, 5, 134, 135}
"""CONNACK codes of both protocol levels: bad user or password, not authorised."""

BREATH = 64
"""Messages read in a row before other tasks get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker listens, and as whom to speak to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTiming:
    """Patience of the link, in seconds of the wall: a broker's recovery is not simulated."""

    first_delay_s: float = 0.5
    """Bound of the first wait; doubles with each failure."""

    longest_delay_s: float = 30.0
    stable_after_s: float = 10.0
    """A connection that lasted so long makes the delays start anew."""

    connect_timeout_s: float = 5.0
    publish_timeout_s: float = 5.0
    keepalive_s: int = 15

    def delay_s(self, failures: int, jitter: Random) -> float:
        """How long to wait after so many failures in a row (at least 1)."""
        # 2**30 half-seconds is far above any bound; the exponent must not grow for ever.
        bound = min(self.longest_delay_s, self.first_delay_s * 2 ** min(failures - 1, 30))
        return jitter.uniform(0, bound)


class MqttLink:
    """A `MessageSource` and `SetpointSink` over one broker.

    Start `run(stop)` as a supervised task, or use the link as an async context manager, which
    does that for its own span.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        homes: Mapping[ResourceId, tuple[str, str]],
        *,
        client_id: str,
        now: Callable[[], datetime],
        jitter: Random,
        timing: LinkTiming | None = None,
        capacity: int = 50_000,
        quota: Quota | None = None,
    ) -> None:
        """`homes` gives each resource's enterprise and connection point.

        `capacity` is the number of messages the inbox holds for a reader that is late, `quota` what a
        topic may bring without waiting behind the others.
        """
        self._broker = broker
        self._homes = homes
        self._client_id = client_id
        self._now = now
        self._jitter = jitter
        self._timing = timing or LinkTiming()
        self.inbox = Inbox(capacity, quota)
        self._client: aiomqtt.Client | None = None
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._down.set()
        self._running = False
        self._since = now()
        self._connections = 0
        self._fault: str | None = "not started"
        self._own: tuple[asyncio.Event, asyncio.Task[None]] | None = None

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
        """Why the link is down; None while it stands."""
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

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Publish all set-points, wait until the broker has confirmed each, return the others.

        Raises:
            DataError: A set-point names an unknown resource, or another enterprise's.
        """
        addressed = [
            (self._topic(setpoint), msgspec.json.encode(command_of(setpoint)))
            for setpoint in setpoints
        ]
        if self._client is None:
            return self._unsent(setpoints, f"not sent: {self._fault}")
        client = self._client
        try:
            async with asyncio.timeout(self._timing.publish_timeout_s):
                outcomes = await asyncio.gather(
                    *(client.publish(where, body, qos=1) for where, body in addressed),
                    return_exceptions=True,
                )
        except TimeoutError:
            return self._unsent(setpoints, "not confirmed in time")
        failures = [
            (setpoint, outcome)
            for setpoint, outcome in zip(setpoints, outcomes, strict=True)
            if isinstance(outcome, BaseException)
        ]
        if bugs := [error for _, error in failures if not isinstance(error, aiomqtt.MqttError)]:
            raise bugs[0]
        return tuple(
            unsent
            for setpoint, error in failures
            for unsent in self._unsent([setpoint], f"not confirmed: {error}")
        )

    def _topic(self, setpoint: Setpoint) -> str:
        home = self._homes.get(setpoint.resource_id)
        if home is None or home[0] != setpoint.enterprise_id:
            raise DataError(
                f"is no resource of {setpoint.enterprise_id}",
                where=setpoint.resource_id,
                fix="Command only what the park file knows, under its own enterprise",
            )
        return topic(*home, setpoint.resource_id, "cmd")

    def _unsent(self, setpoints: Sequence[Setpoint], why: str) -> tuple[Unsent, ...]:
        reason = f"{self._where}: {why}"
        return tuple(Unsent(setpoint=setpoint, reason=reason) for setpoint in setpoints)

    @property
    def _where(self) -> str:
        return f"broker {self._broker.host}:{self._broker.port}"

    # ------------------------------------------------------------ the connection's life

    async def __aenter__(self) -> Self:
        stop = asyncio.Event()
        self._own = stop, asyncio.create_task(self.run(stop), name="mqtt-link")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._own is not None
        stop, task = self._own
        stop.set()
        await task

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the link up until `stop` is set; then `messages` ends when all are read.

        Raises:
            RejectedError: The broker refuses our credentials or subscriptions, and never took
                them before. Later refusals are retried: a broker that restarts may be early.
        """
        if self._running:
            raise RuntimeError("the link runs already; it has one connection")
        self._running = True
        stopped = asyncio.create_task(stop.wait(), name="mqtt-link-stop")
        loop, failures = asyncio.get_running_loop(), 0
        try:
            while not stopped.done():
                begin = loop.time()
                reason = await self._connection(stopped)
                if stopped.done():
                    break
                lasted = loop.time() - begin >= self._timing.stable_after_s
                failures = 1 if lasted else failures + 1
                delay_s = self._timing.delay_s(failures, self._jitter)
                log.warning("link down", where=self._where, reason=reason, retry_in_s=delay_s)
                await asyncio.wait({stopped}, timeout=delay_s)
        finally:
            stopped.cancel()
            self._running = False
            self.inbox.close()

    async def _connection(self, stopped: asyncio.Task[bool]) -> str:
        """Connect, subscribe and stay until the connection is lost; return why it was."""
        reason = "stopped"
        try:
            async with self._new_client() as client:
                reason = await self._stay(client, stopped)
        except MqttConnectError as error:
            reason = str(error)
            if _code(error.rc) in REFUSED:
                reason = self._refused(f"us: {error}", "Check user and password")
        except aiomqtt.MqttError as error:
            reason = str(error)
        finally:
            self._went_down(reason)
        return reason

    async def _stay(self, client: aiomqtt.Client, stopped: asyncio.Task[bool]) -> str:
        """Subscribe and wait for the end of the connection; return what ended it."""
        lost = asyncio.create_task(_loss(client), name="mqtt-link-lost")
        granted = asyncio.create_task(client.subscribe(SUBSCRIPTIONS), name="mqtt-link-subscribe")
        try:
            # A connection that dies before the answer would let `subscribe` wait for its timeout.
            await asyncio.wait({lost, granted, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if granted.done():
                if any(_code(code) >= 128 for code in granted.result()):
                    return self._refused("our subscriptions", "Check the broker's ACL")
                self._went_up(client)
                await asyncio.wait({lost, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return lost.result() if lost.done() else "stopped"
        finally:
            lost.cancel()
            granted.cancel()

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
            username=self._broker.username,
            password=self._broker.password,
            identifier=self._client_id,
            clean_session=True,
            keepalive=self._timing.keepalive_s,
            timeout=self._timing.connect_timeout_s,
            max_inflight_messages=10_000,
        )
        client.pending_calls_threshold = 10_000
        return client

    def _went_up(self, client: aiomqtt.Client) -> None:
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
    """Why the connection ended; the client tells it to whoever waits for messages."""
    try:
        await anext(client.messages)
    except aiomqtt.MqttError as error:
        return f"connection lost: {error.__cause__ or error}"
    raise AssertionError("a message came past the intake")


def _code(code: int | ReasonCode | None) -> int:
    return code.value if isinstance(code, ReasonCode) else int(code or 0)
