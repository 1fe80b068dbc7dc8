"""The links of a park to its devices, each as its section of the park file says: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

from adapters.mqtt_link import BrokerAddress, MqttLink
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.service.channels import Channels, Link
from vpp.service.parkfile import ParkFile

NATIVE = "mqtt"
"""The link to our own broker: it carries every device that the park file gives no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """All links of a park, and the one to the broker by itself."""

    channels: Channels
    native: MqttLink


async def open_links(
    file: ParkFile, *, clock: Watch, seed: int, broker: BrokerAddress, stack: AsyncExitStack
) -> Linked:
    """Start every link of a park; `stack` stops them."""
    native = MqttLink(
        broker,
        homes_of(file.park),
        client_id=f"vpp-{file.park.park_id}",
        now=clock.now,
        jitter=Random(seed),
    )
    await stack.enter_async_context(native)
    links: dict[str, Link] = {NATIVE: native}
    carrier = dict.fromkeys(file.park.device_owner, NATIVE)
    channels = Channels(links, carrier)
    stack.push_async_callback(channels.close)
    return Linked(channels=channels, native=native)


def homes_of(park: Park) -> dict[ResourceId, tuple[str, str]]:
    """Enterprise and site of each device, as they stand in its topics."""
    return {device: (owner, site) for device, (owner, site) in park.device_owner.items()}
