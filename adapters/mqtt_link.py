"""The link to the broker: telemetry, acknowledgements and status in, set-points out.

    broker ─▶ wire (QoS 1) ─▶ inbox, bounded ─▶ messages()         in large pieces, no task a message
    send() ─▶ CommandMessage ─▶ publish, QoS 1, never retained     all at once, each confirmed

How the connection lives, and what becomes of messages for a late reader, is in `mqtt_life.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import Random

import msgspec

from adapters.mqtt_inbox import Quota
from adapters.mqtt_life import BrokerAddress, BrokerLink
from adapters.mqtt_pace import LinkTiming
from vpp.model.command import Setpoint, unknown_resource
from vpp.model.ids import ResourceId
from vpp.ports import Unsent
from vpp.wire import TOPIC_ROOT, command_of, topic
from vpp.wirebackfill import RESEND, ResendMessage

SUBSCRIPTIONS = [f"{TOPIC_ROOT}/+/+/+/{leaf}" for leaf in ("telemetry", "ack", "status")]


class MqttLink(BrokerLink):
    """A `MessageSource` and `SetpointSink` over one broker, in our own words."""

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
        """`homes` gives each resource's enterprise and connection point; the others as for every link."""
        super().__init__(
            broker,
            SUBSCRIPTIONS,
            client_id=client_id,
            now=now,
            jitter=jitter,
            timing=timing,
            capacity=capacity,
            quota=quota,
        )
        self._homes = homes

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        """Publish all set-points, wait until the broker has confirmed each, return the others.

        Raises:
            DataError: A set-point names an unknown resource, or another enterprise's.
        """
        topics = [self._topic(s) for s in setpoints]  # nothing leaves where one of them is wrong
        reasons = await self._publish_all(
            (where, msgspec.json.encode(command_of(s)))
            for where, s in zip(topics, setpoints, strict=True)
        )
        return tuple(
            Unsent(setpoint=setpoint, reason=reason)
            for setpoint, reason in zip(setpoints, reasons, strict=True)
            if reason is not None
        )

    async def ask_again(self, requests: Mapping[ResourceId, ResendMessage]) -> None:
        """Ask devices for telemetry that never came. What does not arrive is asked for again."""
        await self._publish_all(
            [
                (topic(*self._homes[device_id], device_id, RESEND), msgspec.json.encode(request))
                for device_id, request in requests.items()
                if device_id in self._homes
            ]
        )

    def _topic(self, setpoint: Setpoint) -> str:
        home = self._homes.get(setpoint.resource_id)
        if home is None or home[0] != setpoint.enterprise_id:
            raise unknown_resource(setpoint)
        return topic(*home, setpoint.resource_id, "cmd")
