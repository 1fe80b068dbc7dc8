"""The MQTT side of one enterprise: its devices speak and listen through one connection.

    publish(messages) ─▶ outbox ─▶ broker        outbox: bounded, drops the oldest and counts
                └─▶ buffer ◀─ resend             what the service asks for is sent again
    cmd ◀─ broker ─▶ receive ─▶ ack ─▶ outbox

A broker that is away costs nothing but time: the gateway reconnects with a jittered, growing
delay, and what was not confirmed is sent again with the same `seq`, so that a receiver can tell.
The gateway speaks for itself on `vpp/v1/{enterprise}/gateway/gateway/status`, retained, with
`online: false` as its last will.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import NamedTuple

import aiomqtt
import msgspec

from vpp.errors import UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.simulate.fleet import DeviceMessage
from vpp.wire import TOPIC_ROOT, AckMessage, CommandMessage, StatusMessage, topic
from vpp.wirebackfill import RESEND, ResendMessage

log = logging.getLogger(__name__)

OUTBOX_MESSAGES = 20_000
BUFFER_MESSAGES = 2_000
"""Of each device, kept to be sent again."""
INFLIGHT_MESSAGES = 1_000
CONFIRM_S = 10.0
"""A publish that the broker has not confirmed by then counts as lost, and is sent again."""
RECONNECT_FIRST_S = 0.1
RECONNECT_MOST_S = 5.0

_decode_resend = msgspec.json.Decoder(ResendMessage).decode

Receive = Callable[[ResourceId, CommandMessage], AckMessage | None]


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Where a broker listens, and as whom to enter."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None


class _Outgoing(NamedTuple):
    device_id: ResourceId
    topic: str
    payload: bytes
    extra: bool
    """An answer, or telemetry once more: not counted as published."""


class Gateway:
    """Connects the devices of one enterprise to a broker; `run` lives as long as it is wanted."""

    def __init__(
        self,
        enterprise_id: EnterpriseId,
        sites: dict[ResourceId, str],
        access: BrokerAccess,
        receive: Receive,
        random: Random,
        *,
        outbox_messages: int = OUTBOX_MESSAGES,
    ) -> None:
        """Make a gateway; nothing is connected yet.

        Args:
            enterprise_id: Whose devices these are.
            sites: The site of each device of the enterprise, meters included.
            access: The broker.
            receive: Takes a command to a device, gives its answer.
            random: For the jitter.
            outbox_messages: How many unconfirmed messages are kept while the broker is away.
        """
        self._enterprise_id = enterprise_id
        self._sites = sites
        self._access = access
        self._receive = receive
        self._random = random
        self._most = outbox_messages
        self._outbox: deque[_Outgoing] = deque()
        self._client: aiomqtt.Client | None = None
        self._sending = asyncio.Lock()
        self._pending: list[asyncio.Task[None]] = []
        self._acks_wait = asyncio.Event()
        self._malformed_from: set[str] = set()
        self._decode = msgspec.json.Decoder(CommandMessage).decode
        self._encode = msgspec.json.Encoder().encode
        self.connected = asyncio.Event()
        self.command_arrived = asyncio.Event()
        """Set at each command; whoever waits clears it."""
        self.published: Counter[str] = Counter()
        """Telemetry messages the broker has confirmed, by device."""
        self._buffers: dict[ResourceId, OrderedDict[int, DeviceMessage]] = {}
        self.sent_again = 0
        """Telemetry messages that the service asked for."""
        self.acked = 0
        self.refused = 0
        self.malformed = 0
        self.dropped = 0
        self.connects = 0

    @property
    def status_topic(self) -> str:
        return topic(self._enterprise_id, "gateway", "gateway", "status")

    @property
    def waiting(self) -> int:
        """Messages that the broker has not confirmed yet."""
        return len(self._outbox)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the connection, across outages, until `stop` is set."""
        failures = 0
        while not stop.is_set():
            try:
                await self._session(stop)
                failures = 0
            except aiomqtt.MqttError as error:
                failures = 1 if self.connected.is_set() else failures + 1
                log.warning("gateway %s: %s; will reconnect", self._enterprise_id, error)
            finally:
                self._link_lost()
            delay_s = min(RECONNECT_MOST_S, RECONNECT_FIRST_S * 2 ** min(failures, 16))
            try:
                await asyncio.wait_for(stop.wait(), delay_s * self._random.uniform(0.5, 1.0))
            except TimeoutError:
                continue

    async def publish(self, messages: Iterable[DeviceMessage]) -> None:
        """Send telemetry; returns when the broker has confirmed all, or at once where it is away."""
        self._outbox.extend(
            _Outgoing(message.device_id, message.topic, message.payload, False)
            for message in self._buffered(messages)
        )
        while len(self._outbox) > self._most:
            self._outbox.popleft()
            self.dropped += 1
        await self._flush()

    async def wait_connected(self, timeout_s: float) -> None:
        """Return once the gateway is connected and subscribed.

        Raises:
            UnavailableError: Not within `timeout_s` of wall time.
        """
        try:
            await asyncio.wait_for(self.connected.wait(), timeout_s)
        except TimeoutError as error:
            raise UnavailableError(
                f"no connection to {self._access.host}:{self._access.port} in {timeout_s} s",
                where=f"gateway {self._enterprise_id}",
                fix="Check that the broker listens there and takes these credentials",
            ) from error

    # ------------------------------------------------------------ within

    async def _session(self, stop: asyncio.Event) -> None:
        """One connection, from its beginning to its end."""
        offline = self._encode(StatusMessage(online=False))
        client = aiomqtt.Client(
            self._access.host,
            self._access.port,
            username=self._access.username,
            password=self._access.password,
            will=aiomqtt.Will(self.status_topic, offline, qos=1, retain=True),
            max_inflight_messages=INFLIGHT_MESSAGES,
            timeout=CONFIRM_S,
            # Small messages, answered at once: waiting to fill a segment only delays the step.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        client.pending_calls_threshold = INFLIGHT_MESSAGES
        async with client:
            own = f"{TOPIC_ROOT}/{self._enterprise_id}/+/+"
            await client.subscribe([(f"{own}/cmd", 1), (f"{own}/{RESEND}", 1)])
            online = self._encode(StatusMessage(online=True))
            await client.publish(self.status_topic, online, qos=1, retain=True)
            self._client = client
            self.connects += 1
            self.connected.set()
            jobs = {
                asyncio.create_task(self._listen(client), name="gateway-listen"),
                asyncio.create_task(self._answer(), name="gateway-answer"),
                asyncio.create_task(stop.wait(), name="gateway-stop"),
            }
            try:
                done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
            for job in done:
                job.result()
            await self._flush()
            await client.publish(self.status_topic, offline, qos=1, retain=True)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if str(message.topic).endswith(f"/{RESEND}"):
                self._send_again(str(message.topic), message.payload)
            else:
                self._take(str(message.topic), message.payload)

    async def _answer(self) -> None:
        """Send acks soon, and at first what an outage has left behind."""
        while True:
            await self._flush()
            await self._acks_wait.wait()
            self._acks_wait.clear()

    def _buffered(self, messages: Iterable[DeviceMessage]) -> Iterator[DeviceMessage]:
        """The same messages; each is kept for a while, to be sent again."""
        for message in messages:
            buffer = self._buffers.setdefault(message.device_id, OrderedDict())
            buffer[message.seq] = message
            if len(buffer) > BUFFER_MESSAGES:
                buffer.popitem(last=False)
            yield message

    def _send_again(self, asked_topic: str, payload: object) -> None:
        """Send what is asked for again, as far as it is still there."""
        buffer = self._buffers.get(ResourceId(asked_topic.split("/")[4]), OrderedDict())
        try:
            asked = _decode_resend(payload if isinstance(payload, bytes) else b"")
        except msgspec.DecodeError as error:
            self.malformed += 1
            log.warning("request refused on %s: %s", asked_topic, error)
            return
        again = [m for seq, m in buffer.items() if any(a <= seq <= b for a, b in asked.ranges)]
        self._outbox.extend(_Outgoing(m.device_id, m.topic, m.payload, True) for m in again)
        self.sent_again += len(again)
        self._acks_wait.set()

    def _take(self, command_topic: str, payload: object) -> None:
        site_id, device_id = command_topic.split("/")[3:5]
        device = ResourceId(device_id)
        try:
            if self._sites.get(device) != site_id or not isinstance(payload, bytes):
                raise msgspec.ValidationError(f"no device {device_id} at {site_id}")
            command = self._decode(payload)
        except msgspec.DecodeError as error:
            self.malformed += 1
            if command_topic not in self._malformed_from:  # say it once, not at every message
                self._malformed_from.add(command_topic)
                log.warning("command refused on %s: %s", command_topic, error)
            return
        answer = self._receive(device, command)
        self.command_arrived.set()
        if answer is None:
            return
        self.acked += answer.accepted
        self.refused += not answer.accepted
        ack_topic = topic(self._enterprise_id, site_id, device_id, "ack")
        self._outbox.append(_Outgoing(device, ack_topic, self._encode(answer), True))
        self._acks_wait.set()

    async def _flush(self) -> None:
        """Send the outbox in order; what is not confirmed goes back to its front."""
        async with self._sending:
            while self._outbox and (client := self._client):
                batch = [self._outbox.popleft() for _ in range(min(len(self._outbox), 500))]
                # One deadline for the batch: one for each message costs a task for each message.
                self._pending = [
                    asyncio.create_task(client.publish(m.topic, m.payload, qos=1, timeout=inf))
                    for m in batch
                ]
                try:
                    await asyncio.wait(self._pending, timeout=CONFIRM_S)
                finally:
                    lost = self._settle(batch, self._pending)
                    self._outbox.extendleft(reversed(lost))
                    self._pending = []
                if lost:
                    return

    def _settle(
        self, batch: Sequence[_Outgoing], sent: Sequence[asyncio.Task[None]]
    ) -> list[_Outgoing]:
        """Count what was confirmed; what was not."""
        lost = []
        for item, task in zip(batch, sent, strict=True):
            if not task.done() or task.cancelled():
                task.cancel()
                lost.append(item)
            elif isinstance(error := task.exception(), aiomqtt.MqttError):
                lost.append(item)
            elif error is not None:
                raise error
            elif not item.extra:
                self.published[item.device_id] += 1
        return lost

    def _link_lost(self) -> None:
        self._client = None
        self.connected.clear()
        for task in self._pending:
            task.cancel()
