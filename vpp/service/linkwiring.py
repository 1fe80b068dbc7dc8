"""The links of a park to its devices, each as its section of the park file says: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

from adapters.modbus_device import ModbusDevice
from adapters.modbus_tcp import GatewayTiming, ModbusLink
from adapters.modbus_wire import GatewayAddress
from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.sunspec import Choices
from vpp.service.channels import Channels, Link
from vpp.service.deviceschema import ModbusDeviceSection, ModbusSection
from vpp.service.linkhealth import NATIVE
from vpp.service.parkfile import ParkFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """All links of a park, and the one to the broker by itself."""

    channels: Channels
    native: MqttLink


async def open_links(
    file: ParkFile,
    *,
    clock: Watch,
    seed: int,
    broker: BrokerAddress,
    stack: AsyncExitStack,
    client_id: str | None = None,
) -> Linked:
    """Start every link of a park; `stack` stops them.

    Whoever looks at devices beside the service that runs the park goes by another `client_id`: a broker
    lets go of the first of two clients with one name.

    Where the market is simulated with the park so are its devices, and all of them speak MQTT: nothing
    that a simulation decides may reach a real machine.
    """
    native = MqttLink(
        broker,
        homes_of(file.park),
        client_id=client_id or f"vpp-{file.park.park_id}",
        now=clock.now,
        jitter=Random(seed),
    )
    await stack.enter_async_context(native)
    links: dict[str, Link] = {NATIVE: native}
    carrier = dict.fromkeys(file.park.device_owner, NATIVE)
    for number, section in enumerate(file.modbus if file.trading.mode != "simulated" else ()):
        gateway = modbus_link(section, file, clock=clock, jitter=Random(seed + number + 1))
        links[section.id] = await stack.enter_async_context(gateway)
        carrier |= {ResourceId(device.resource): section.id for device in section.devices}
    channels = Channels(links, carrier)
    stack.push_async_callback(channels.close)
    return Linked(channels=channels, native=native)


def modbus_link(
    section: ModbusSection, file: ParkFile, *, clock: Watch, jitter: Random
) -> ModbusLink:
    """The link to a gateway as its section says; not started."""
    return ModbusLink(
        GatewayAddress(host=section.host, port=section.port),
        [_device(device, file) for device in section.devices],
        now=clock.now,
        jitter=jitter,
        timing=GatewayTiming(
            timeout_s=section.timeout_s, connect_timeout_s=section.connect_timeout_s
        ),
    )


def _device(section: ModbusDeviceSection, file: ParkFile) -> ModbusDevice:
    device_id = ResourceId(section.resource)
    enterprise_id, site_id = file.park.device_owner[device_id]
    said = section.sunspec
    return ModbusDevice(
        device_id=device_id,
        enterprise_id=enterprise_id,
        site_id=site_id,
        unit=section.unit,
        map=None if section.map is None else file.register_maps[section.map],
        sunspec=Choices()
        if said is None
        else Choices(meter_counts=said.meter_counts, revert_s=said.revert_s),
        poll_s=section.poll_s,
        read_only=section.read_only,
        rated_kw=section.rated_kw,
        write_s=section.write_s,
    )


def homes_of(park: Park) -> dict[ResourceId, tuple[str, str]]:
    """Enterprise and site of each device, as they stand in its topics."""
    return {device: (owner, site) for device, (owner, site) in park.device_owner.items()}
