"""Simulated devices on the wire: a fleet, and a gateway to the broker for each enterprise.

    step the fleet ─▶ tell() ─▶ gateways ─▶ broker
    broker ─▶ gateways ─▶ receive ─▶ fleet ─▶ answer

In lockstep somebody else holds the clock (`world.py`); with a clock of its own `run` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from vpp.clock import Clock
from vpp.errors import UnavailableError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.park import Park
from vpp.model.time import latest_boundary
from vpp.simulate.fleet import DeviceMessage, Fleet
from vpp.simulate.gateway import BrokerAccess, Gateway
from vpp.simulate.modbusface import ModbusFace
from vpp.wire import AckMessage, CommandMessage, TelemetryMessage

_decode = msgspec.json.Decoder(TelemetryMessage).decode

CONNECT_S = 20.0
COMMANDS_S = 20.0
"""Wall time in which a command that was sent must have arrived; only ever ends a broken run."""


class DeviceLinks:
    """The devices of a park, connected. `start`, then `run`, or `told` after each step; `stop`."""

    def __init__(
        self,
        park: Park,
        fleet: Fleet,
        brokers: Mapping[EnterpriseId, BrokerAccess],
        *,
        seed: int,
        now: Callable[[], datetime],
        faces: Sequence[ModbusFace] = (),
    ) -> None:
        """`now` is the time at which a command arrives; `seed` is that of jitter.

        Devices of `faces` speak there and not over the broker; whoever makes a face starts and stops it.
        """
        self._park, self.fleet, self._now = park, fleet, now
        # Each gateway has a random stream of its own, so that one outage does not disturb another.
        self._gateways = {
            one.enterprise_id: Gateway(
                one.enterprise_id,
                {
                    device_id: site_id
                    for device_id, (owner, site_id) in park.device_owner.items()
                    if owner == one.enterprise_id
                },
                brokers[one.enterprise_id],
                self._receive,
                Random(f"{seed}/{one.enterprise_id}"),
            )
            for one in park.enterprises
        }
        self._faces = tuple(faces)
        self._elsewhere = {name for face in faces for name in face.device_ids}
        self._stop = asyncio.Event()
        self._links: list[asyncio.Task[None]] = []
        self.seq: dict[str, int] = {}
        """The newest message of each sound device."""

    async def start(self) -> None:
        """Connect every gateway.

        Raises:
            UnavailableError: The broker does not answer.
        """
        self._links = [
            asyncio.create_task(gateway.run(self._stop), name=f"gateway-{enterprise_id}")
            for enterprise_id, gateway in self._gateways.items()
        ]
        for gateway in self._gateways.values():
            await gateway.wait_connected(CONNECT_S)

    async def stop(self) -> list[BaseException | None]:
        """Say goodbye at the broker; what each gateway ended with."""
        self._stop.set()
        return await asyncio.gather(*self._links, return_exceptions=True)

    def require_alive(self) -> None:
        """Raise what a gateway that ended by itself ended with: it must not pass for an outage."""
        for link in self._links:
            if link.done() and not self._stop.is_set():
                link.result()

    async def run(self, clock: Clock, stop: asyncio.Event, period: timedelta) -> None:
        """Live by `clock` until `stop` is set: a message of each device each `period`.

        Steps that were missed are lived through in one go and reported once.
        """
        while await clock.wait_until(self.fleet.now + period, stop):
            self.require_alive()
            self.catch_up(clock, period)
            await self.publish(self.told())

    def catch_up(self, clock: Clock, period: timedelta) -> None:
        """Let the devices live up to now, to whole periods."""
        self.fleet.step(max(self.fleet.now, latest_boundary(clock.now(), period)))

    def told(self) -> dict[EnterpriseId, list[DeviceMessage]]:
        """Telemetry about the last step, by whose gateway sends it; each call counts `seq` up."""
        by_enterprise: dict[EnterpriseId, list[DeviceMessage]] = {}
        messages = self.fleet.messages()
        for face in self._faces:
            own = face.device_ids
            face.tell((m.device_id, _decode(m.payload)) for m in messages if m.device_id in own)
        for message in messages:
            if message.device_id in self._elsewhere:
                continue
            by_enterprise.setdefault(message.enterprise_id, []).append(message)
            if message.sound:
                self.seq[message.device_id] = message.seq
        return by_enterprise

    async def publish(self, messages: Mapping[EnterpriseId, list[DeviceMessage]]) -> None:
        """Hand messages to their gateways; returns when the broker has those it can have now."""
        await asyncio.gather(*(self._gateways[key].publish(some) for key, some in messages.items()))

    async def await_commands(self, expected: Mapping[str, int]) -> None:
        """Wait until each device has had the command of this number, or a later one.

        Raises:
            UnavailableError: A command did not arrive; names the device.
        """
        waiting = [(ResourceId(device), seq) for device, seq in expected.items()]
        for device_id, seq in waiting:
            gateway = self._gateways[self._park.device_owner[device_id][0]]
            try:
                async with asyncio.timeout(COMMANDS_S):
                    while self.fleet.received_seq(device_id) < seq:
                        gateway.command_arrived.clear()
                        await gateway.command_arrived.wait()
            except TimeoutError as error:
                raise UnavailableError(
                    f"has command {self.fleet.received_seq(device_id)}, expected {seq}, "
                    f"after {COMMANDS_S} s",
                    where=f"device {device_id}",
                    fix="Look at the broker and at the service's command link",
                ) from error

    def counts(self) -> dict[str, Any]:
        """What the gateways counted, as plain data."""
        gateways = self._gateways.values()
        return {
            "published": {device: count for g in gateways for device, count in g.published.items()},
            "sent_seq": dict(self.seq),
            "waiting": sum(g.waiting for g in gateways),
            "dropped": sum(g.dropped for g in gateways),
            "acked": sum(g.acked for g in gateways),
            "refused": sum(g.refused for g in gateways),
            "malformed": sum(g.malformed for g in gateways),
            "connects": sum(g.connects for g in gateways),
            "faults": dict(self.fleet.fired),
        }

    def _receive(self, device_id: ResourceId, command: CommandMessage) -> AckMessage | None:
        return self.fleet.receive(device_id, command, self._now())
