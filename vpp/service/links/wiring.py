"""The links of a park to its devices, each as its section of the park file says: a part of the wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

from adapters.modbus_device import ModbusDevice
from adapters.modbus_tcp import GatewayTiming, ModbusLink
from adapters.modbus_wire import GatewayAddress
from adapters.mqtt_gateway import GatewayLink
from adapters.mqtt_inbox import Quota
from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.sunspec import Choices
from vpp.ports import Journal
from vpp.service.iec104.schema import ClientSection
from vpp.service.iec104.wiring import remote_link
from vpp.service.links.channels import Channels, Link
from vpp.service.links.deviceschema import ModbusDeviceSection, ModbusSection
from vpp.service.links.health import NATIVE
from vpp.service.links.httpdeviceschema import HttpGatewaySection
from vpp.service.links.mappedwiring import broker_of, foreign_devices, open_mapped_links
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.links.s2wiring import s2_link
from vpp.service.links.sparkplugwiring import sparkplug_link
from vpp.service.listeners import OuterFace
from vpp.service.ocpp.desk import ChargerDesk
from vpp.service.ocpp.ledger import JournalLedger
from vpp.service.ocpp.wiring import charger_link
from vpp.service.park.parkfile import ParkFile
from vpp.service.vtn.desk import VtnDesk
from vpp.service.vtn.wiring import vtn_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """All links of a park, and the one to the broker by itself."""

    channels: Channels
    native: MqttLink
    native_devices: frozenset[ResourceId]
    """What `native` carries."""
    faces: tuple[OuterFace, ...] = ()
    """Where devices call that are not called."""
    chargers: tuple[ChargerDesk, ...] = ()
    """Those that charging stations connect to."""
    vtn: VtnDesk | None = None
    """Our OpenADR server, whose sites are links too."""


async def open_links(
    file: ParkFile,
    *,
    clock: Watch,
    seed: int,
    broker: BrokerAddress,
    stack: AsyncExitStack,
    journal: Journal,
    client_id: str | None = None,
) -> Linked:
    """Start every link of a park; `stack` stops them.

    Whoever looks at devices beside the service that runs the park goes by another `client_id`: a broker
    lets go of the first of two clients with one name.

    Where the market is simulated with the park so are its devices, and all of them speak MQTT: nothing
    that a simulation decides may reach a real machine.
    """
    own_id = client_id or f"vpp-{file.park.park_id}"
    native = MqttLink(
        broker,
        homes_of(file.park),
        client_id=own_id,
        now=clock.now,
        jitter=Random(seed),
        quota=Quota(per_s=file.telemetry.messages_per_s, burst=file.telemetry.burst),
    )
    await stack.enter_async_context(native)
    links: dict[str, Link] = {NATIVE: native}
    carrier = dict.fromkeys(file.park.device_owner, NATIVE)
    real = file.trading.mode != "simulated"
    for number, section in enumerate(file.modbus if real else ()):
        gateway = modbus_link(section, file, clock=clock, jitter=Random(seed + number + 1))
        links[section.id] = await stack.enter_async_context(gateway)
        carrier |= {ResourceId(device.resource): section.id for device in section.devices}
    for number, foreign in enumerate(file.mqtt_gateways if real else ()):
        jitter = Random(seed - number - 1)
        speaker = mqtt_gateway_link(
            foreign, file, broker, clock=clock, jitter=jitter, client_id=own_id
        )
        links[foreign.id] = await stack.enter_async_context(speaker)
        carrier |= {ResourceId(device.resource): foreign.id for device in foreign.devices}
    for group in file.sparkplug if real else ():
        jitter = Random(f"{seed}-{group.id}")
        nodes = sparkplug_link(group, file, broker, clock=clock, jitter=jitter, client_id=own_id)
        links[group.id] = await stack.enter_async_context(nodes)
        carrier |= {ResourceId(device.resource): group.id for device in group.devices}
    for number, unit in enumerate(file.iec104 if real else ()):
        if isinstance(unit, ClientSection):
            remote = remote_link(unit, file, clock=clock, jitter=Random(f"{seed}-iec104-{number}"))
            links[unit.id] = await stack.enter_async_context(remote)
            carrier |= {ResourceId(device.resource): unit.id for device in unit.devices}
    faces: tuple[OuterFace, ...] = ()
    if real:
        mapped, faces = await open_mapped_links(file, clock=clock, seed=seed, stack=stack)
        links |= mapped
        read: tuple[HttpGatewaySection | ReplaySection, ...]
        read = (*file.http_devices.gateways, *file.replays)
        for told in read:
            carrier |= {ResourceId(device.resource): told.id for device in told.devices}
    chargers = []
    for central in file.ocpp if real else ():
        port = charger_link(central, file, clock=clock, ledger=JournalLedger(journal, clock))
        links[central.id] = await stack.enter_async_context(port)
        carrier |= {ResourceId(park.resource): central.id for park in central.car_parks}
        chargers.append(ChargerDesk(section=central, port=port))
        faces += (chargers[-1].face,)
    if real and file.s2 is not None:
        named, face = s2_link(file.s2, file, clock=clock, jitter=Random(f"{seed}-s2"))
        links[file.s2.id] = await stack.enter_async_context(named)
        carrier |= {ResourceId(device.resource): file.s2.id for device in file.s2.devices}
        faces += (face,)
    vtn = None
    if real and file.openadr_vtn is not None:
        server = vtn_of(file.openadr_vtn, file, clock)
        vtn, faces = server.desk, (*faces, server.face)
        await stack.enter_async_context(server.notifier)
        for site in file.openadr_vtn.sites:
            links[site.id] = await stack.enter_async_context(server.links[site.id])
            carrier |= {ResourceId(device.resource): site.id for device in site.devices}
    channels = Channels(links, carrier)
    stack.push_async_callback(channels.close)
    alone = frozenset(device for device, link in carrier.items() if link == NATIVE)
    return Linked(
        channels=channels,
        native=native,
        native_devices=alone,
        faces=faces,
        chargers=tuple(chargers),
        vtn=vtn,
    )


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


def mqtt_gateway_link(
    section: MqttGatewaySection,
    file: ParkFile,
    broker: BrokerAddress,
    *,
    clock: Watch,
    jitter: Random,
    client_id: str,
) -> GatewayLink:
    """The link to gateways that speak words of their own; not started. `broker` is the park's own.

    `client_id` is ours at the park's broker; this link goes by it and its own.

    Raises:
        UnavailableError: User or password of their broker are not where the file says.
    """
    return GatewayLink(
        broker_of(section.broker, file, broker),
        file.payload_maps[section.map],
        foreign_devices(section.devices, file),
        client_id=f"{client_id}-{section.id}",
        now=clock.now,
        jitter=jitter,
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
