"""The link to edge nodes of Sparkplug B: we are a host application that reads them and writes their set-points.

    spBv1.0/{group}/+/{node}/# ─▶ EdgeNode ─▶ SparkplugState ─▶ messages(), our topics and our JSON
    send() ─▶ DCMD (NCMD of the node itself), QoS 0, never retained, as the specification has it
    a gap, an unborn node, old data ─▶ NCMD Node Control/Rebirth

Nodes tell what changes and nothing else. So that a value that stands still does not look like one that nobody measures,
a node whose device has not told its power for `ask_s` is asked to be born again: a birth tells everything.

A command that the device cannot end by itself is let go by us when it has ended, when the service stops, and when a device
is first seen, for nobody knows what it follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
import structlog

from adapters.mqtt_inbox import Quota
from adapters.mqtt_life import BrokerAddress, BrokerLink
from adapters.mqtt_pace import LinkTiming
from adapters.mqtt_wire import WireClient
from adapters.sparkplug_device import SparkplugDevice, SparkplugState
from adapters.sparkplug_node import NODE, REBIRTH, ROOT, EdgeNode, Kind
from adapters.sparkplug_wire import DataType, Metric, Payload, decode, encode
from vpp.errors import DataError
from vpp.model.command import Setpoint, unknown_resource
from vpp.ports import Message, Unsent
from vpp.wire import AckMessage, TelemetryMessage, topic

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""How often it is looked who must be asked, and who let go."""
KINDS = frozenset(kind.value for kind in Kind)
IN_ORDER = Quota(per_s=1e6, burst=10_000_000)
"""Numbers run over all topics of a node: a topic that had to wait behind others would look like a gap."""
SHOWN = 5
"""Devices that a fault names."""


class SparkplugLink(BrokerLink):
    """A `MessageSource` and `SetpointSink` over the edge nodes of one group."""

    def __init__(
        self,
        broker: BrokerAddress,
        group: str,
        devices: Sequence[SparkplugDevice],
        *,
        client_id: str,
        now: Callable[[], datetime],
        jitter: Random,
        ask_s: float = 60.0,
        timing: LinkTiming | None = None,
    ) -> None:
        """`devices` are all that are read of this group; see `BrokerLink` for the others."""
        self._group, self._ask_after = group, timedelta(seconds=ask_s)
        self._nodes = {device.node: EdgeNode() for device in devices}
        self._states = {one.device_id: SparkplugState(device=one) for one in devices}
        self._by_place = {(s.device.node, s.device.device): s for s in self._states.values()}
        for state in self._states.values():
            written = state.device.setpoint
            state.let_go = written is not None and written.is_let_go and written.ends_in_s is None
        self.odd, self._odd_before = 0, 0
        """Messages that could not be read; as it was at the newest that could."""
        self._up_since: datetime | None = None
        self._news_at: dict[str, datetime] = {}
        """When nodes were asked last since a value was old."""
        self._wake = asyncio.Event()
        super().__init__(
            broker,
            [f"{ROOT}/{group}/+/{node}/#" for node in self._nodes],
            client_id=client_id,
            now=now,
            jitter=jitter,
            timing=timing,
            quota=IN_ORDER,
        )

    @property
    def fault(self) -> str | None:
        if (why := super().fault) is not None:
            return why
        ill = [*self._dead(), *self._held()]
        if len(ill) > SHOWN:
            ill = [*ill[:SHOWN], f"and {len(ill) - SHOWN} more"]
        if self.odd > self._odd_before:
            ill.append(f"the newest message could not be read, as {self.odd} in all")
        return "; ".join(ill) or None

    def _dead(self) -> Iterator[str]:
        """Who is not alive; not in the moments after the line came up, when births are still asked for."""
        up = self._up_since
        if up is None or self._now() - up < self._ask_after:
            return
        for state in self._states.values():
            node = self._nodes[state.device.node]
            if not node.alive(state.device.device):
                yield f"{state.device.device_id}: its node {node.why or 'lives, and it does not'}"

    def _held(self) -> Iterator[str]:
        for state in self._states.values():
            if state.held is not None and state.let_go:
                yield f"{state.device.device_id}: {state.held}"

    # ------------------------------------------------------------ in

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what comes in our words; as of `BrokerLink` otherwise."""
        async for message in super().messages():
            try:
                told = self._read(message)
            except DataError as error:
                self.odd += 1
                if self.odd == 1 or self.odd % 1000 == 0:
                    log.warning("a message is refused", topic=message.topic[:200], what=error.what)
                continue
            self._odd_before = self.odd
            for ours in told:
                yield ours

    def _read(self, message: Message) -> list[Message]:
        """One message of a node. Raises DataError where it is none."""
        parts = message.topic.split("/")
        if len(parts) not in (4, 5) or parts[2] not in KINDS:
            return []  # a command, ours or of another host, or a word that we do not know
        kind, device = Kind(parts[2]), parts[4] if len(parts) == 5 else NODE
        if (kind.value[0] == "D") != (device != NODE):
            raise DataError("is no topic of Sparkplug B", where=message.topic[:200], fix="Look who")
        node = self._nodes[parts[3]]
        payload, now = decode(message.payload), self._now()
        metrics = node.take(kind, device, payload)
        if kind in (Kind.NDEATH, Kind.DDEATH, Kind.NBIRTH):
            for one in self._of(parts[3]):
                if not node.alive(one.device.device):
                    one.forget(died=kind is not Kind.NBIRTH)
        if node.why is not None:
            self._wake.set()
        state = self._by_place.get((parts[3], device))
        if state is None:
            return []
        at_birth = kind in (Kind.NBIRTH, Kind.DBIRTH)
        told = state.take(metrics, payload.timestamp_ms, now, at_birth=at_birth)
        if state.let_go:
            self._wake.set()
        return [self._ours(state, one) for one in told]

    def _of(self, node: str) -> list[SparkplugState]:
        return [state for state in self._states.values() if state.device.node == node]

    def _ours(self, state: SparkplugState, told: TelemetryMessage | AckMessage) -> Message:
        device, leaf = state.device, "ack" if isinstance(told, AckMessage) else "telemetry"
        where = topic(device.enterprise_id, device.site_id, device.device_id, leaf)
        return Message(topic=where, payload=msgspec.json.encode(told))

    # ------------------------------------------------------------ out

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Say all set-points; return those that could not be said.

        Raises:
            DataError: A set-point names no device of this link, or another enterprise's.
        """
        now, unsent = self._now(), []
        said: list[tuple[Setpoint, tuple[str, bytes]]] = []
        for setpoint in setpoints:
            state = self._states.get(setpoint.resource_id)
            if state is None or state.device.enterprise_id != setpoint.enterprise_id:
                raise unknown_resource(setpoint)
            try:
                said.append((setpoint, self._command(state, setpoint, now)))
            except DataError as error:
                reason = f"{self._where}: {error.where}: {error.what}"
                unsent.append(Unsent(setpoint=setpoint, reason=reason))
        reasons = await self._publish_all([one for _, one in said], qos=0)
        for (setpoint, _), why in zip(said, reasons, strict=True):
            if why is not None:
                unsent.append(Unsent(setpoint=setpoint, reason=why))
        return tuple(unsent)

    def _command(
        self, state: SparkplugState, setpoint: Setpoint, now: datetime
    ) -> tuple[str, bytes]:
        """A command as it is said. Raises DataError where it cannot be."""
        if state.device.setpoint is None:
            raise DataError("is read-only", where=setpoint.resource_id, fix="Give it a setpoint")
        node = self._nodes[state.device.node]
        if not node.alive(state.device.device):
            what = node.why or "it has not been born"
            raise DataError(what, where=state.device.node, fix="Wait for its birth")
        payload = state.command(setpoint, self._types(state), now)
        body = encode(payload, numbered=False)
        state.said(setpoint, payload)
        return self._place(state), body

    def _types(self, state: SparkplugState) -> Callable[[str], int | None]:
        node, device = self._nodes[state.device.node], state.device.device
        return lambda name: node.type_of(device, name)

    def _place(self, state: SparkplugState) -> str:
        device = state.device
        if device.device == NODE:
            return f"{ROOT}/{self._group}/NCMD/{device.node}"
        return f"{ROOT}/{self._group}/DCMD/{device.node}/{device.device}"

    # ------------------------------------------------------------ beside it

    async def run(self, stop: asyncio.Event) -> None:
        """As of `BrokerLink`; beside it nodes are asked for births, and devices let go."""
        tending = asyncio.create_task(self._tend(), name="sparkplug-tend")
        try:
            await super().run(stop)
        finally:
            tending.cancel()

    async def _tend(self) -> None:
        while True:
            self._wake.clear()
            if self.connected:
                await self._ask(self._now(), self._up_since or self._now())
                await self._let_go(self._now())
            elif self._up_since is not None:
                self._line_lost()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _went_up(self, client: WireClient) -> None:
        super()._went_up(client)
        self._up_since = self._now()
        for node in self._nodes.values():
            node.asked_at = None
            node.lost("is asked for its birth")
        self._wake.set()

    def _line_lost(self) -> None:
        self._up_since = None
        for state in self._states.values():
            state.forget(died=False)

    async def _ask(self, now: datetime, up: datetime) -> None:
        """Ask for the births that are missing, and of nodes whose values have become old."""
        for state in self._states.values():
            node = self._nodes[state.device.node]
            since = max(filter(None, (state.heard_at, self._news_at.get(state.device.node), up)))
            if node.why is None and now - since >= self._ask_after:
                self._news_at[state.device.node] = now
                node.ask_for_news()
        wanted = [name for name, node in self._nodes.items() if node.must_ask(now)]
        metric = Metric(name=REBIRTH, datatype=DataType.BOOLEAN, value=True)
        stamp_ms = round(now.timestamp() * 1000)
        body = encode(Payload(timestamp_ms=stamp_ms, metrics=(metric,)), numbered=False)
        await self._publish_all(
            [(f"{ROOT}/{self._group}/NCMD/{name}", body) for name in wanted], qos=0
        )

    async def _let_go(self, now: datetime, *, last: bool = False) -> None:
        """Let go whoever follows a command that has ended, or one of before us.

        At the `last` also who is not known to be alive, as after a gap: it may hear all the same.
        """
        for state in self._states.values():
            state.end(now)
            alive = self._nodes[state.device.node].alive(state.device.device)
            if not state.let_go or not (alive or last):
                continue
            try:
                body = encode(state.release(self._types(state), now), numbered=False)
            except (
                DataError
            ) as error:  # born without what would let it go: its next birth may have it
                if state.held is None:
                    log.warning(
                        "a device cannot be let go", device=state.device.device_id, why=str(error)
                    )
                state.held = f"cannot be let go: {error.what}"
                continue
            (why,) = await self._publish_all([(self._place(state), body)], qos=0)
            if why is None:
                state.let_go, state.held = False, None

    async def _farewell(self) -> None:
        """The service stops: whoever follows us is let go."""
        for state in self._states.values():
            point = state.device.setpoint
            if state.force is not None and point is not None:
                state.let_go = point.is_let_go
        await self._let_go(self._now(), last=True)
