"""The link to gateways that speak MQTT in words of their own: a map makes them ours, both ways.

    their broker ─▶ BrokerLink ─▶ PayloadTranslator.read ─▶ messages(), our topics and our JSON
    send() ─▶ PayloadTranslator.command ─▶ publish, QoS 1, never retained

Commands to a gateway that knows their expiry carry it, and the device falls back by itself. To one that
does not, what lets the device go is published by us when a command has expired unrenewed and when the
service stops. Where a link commands one such device alone it is also the last will of the connection: the
broker says it when we are killed. With several they are let go when we come back, if nobody commands them
anew: give each a link of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from random import Random

import aiomqtt

from adapters.letting_go import LettingGo
from adapters.mqtt_life import BrokerAddress, BrokerLink
from adapters.mqtt_pace import LinkTiming
from adapters.payload_mapping import ForeignDevice, PayloadTranslator
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.payloads import PayloadMap
from vpp.ports import Message, Unsent


class GatewayLink(BrokerLink):
    """A `MessageSource` and `SetpointSink` over gateways of one kind."""

    def __init__(
        self,
        broker: BrokerAddress,
        payload_map: PayloadMap,
        devices: Sequence[ForeignDevice],
        *,
        client_id: str,
        now: Callable[[], datetime],
        jitter: Random,
        timing: LinkTiming | None = None,
    ) -> None:
        """`devices` are all that stand behind these gateways; see `BrokerLink` for the others."""
        self._translator = PayloadTranslator(payload_map, devices)
        commanded = [device.device_id for device in devices if not device.read_only]
        self._letting_go = LettingGo(self._translator, commanded, now=now, say=self._say)
        self._read_only = {device.device_id for device in devices if device.read_only}
        self._refused_before = 0
        release = self._letting_go.texts.get(commanded[0]) if len(commanded) == 1 else None
        super().__init__(
            broker,
            payload_map.subscriptions,
            client_id=client_id,
            now=now,
            jitter=jitter,
            timing=timing,
            will=None if release is None else aiomqtt.Will(release[0], release[1], qos=1),
        )

    @property
    def refused(self) -> int:
        """Messages, or parts of them, that could not be read."""
        return self._translator.refused.total()

    @property
    def fault(self) -> str | None:
        if (why := super().fault) is not None:
            return why
        if self.refused > self._refused_before:
            return f"the newest message could not be read, as {self.refused} in all"
        return None

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what comes in our words; as of `BrokerLink` otherwise."""
        async for message in super().messages():
            refused = self.refused
            found = self._translator.read(message.topic, message.payload, self._now())
            for device_id in self._translator.taken_over():
                self._letting_go.at_once(device_id)
            for ours in found:
                yield ours
            if self.refused == refused:
                self._refused_before = refused

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Say all set-points, wait until the broker has confirmed each, return the others.

        Raises:
            DataError: A device is not behind this gateway, or another enterprise's.
        """
        now = self._now()
        # One that is only read must not cost the others theirs.
        ready = [one for one in setpoints if one.resource_id not in self._read_only]
        unsent = [
            Unsent(setpoint=one, reason=f"{self._where}: is read-only")
            for one in setpoints
            if one.resource_id in self._read_only
        ]
        said = [self._translator.command(setpoint, now) for setpoint in ready]
        self._letting_go.note(ready)
        for setpoint, reason in zip(ready, await self._publish_all(said), strict=True):
            if reason is not None:
                unsent.append(Unsent(setpoint=setpoint, reason=reason))
        return tuple(unsent)

    async def _say(self, said: Mapping[ResourceId, tuple[str, bytes]]) -> Sequence[str | None]:
        return await self._publish_all(list(said.values()))

    async def run(self, stop: asyncio.Event) -> None:
        """As of `BrokerLink`; beside it, devices whose commands have expired are let go."""
        letting_go = asyncio.create_task(
            self._letting_go.run(lambda: self.connected), name="mqtt-gateway-let-go"
        )
        try:
            await super().run(stop)
        finally:
            letting_go.cancel()

    async def _farewell(self) -> None:
        await self._letting_go.all()
