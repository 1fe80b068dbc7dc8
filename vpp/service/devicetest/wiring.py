"""Open what a device test needs: the links of the park read-only, or the plant that may command one device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from adapters.broker_process import BrokerAccess
from adapters.memory_journal import MemoryJournal
from adapters.mqtt_witness import CommandWitness
from adapters.sqlite_journal import SqliteJournal
from vpp.clock import Watch
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Measurement
from vpp.ports import MessageSource
from vpp.sense.decode import plausible_kw
from vpp.sense.intake import Intake
from vpp.service.iec104.schema import ClientSection
from vpp.service.links.deviceschema import ModbusSection
from vpp.service.links.health import NATIVE
from vpp.service.links.httpdeviceschema import HttpGatewaySection
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.links.s2schema import S2Section
from vpp.service.links.sparkplugschema import SparkplugSection
from vpp.service.links.wiring import open_links
from vpp.service.listeners import serve_face
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering.schema import ControlSettings
from vpp.service.vtn.schema import SiteSection
from vpp.service.wiring import JOURNAL_FILE, build_plant, open_broker
from vpp.wire import topic

AnyGateway = TypeVar("AnyGateway", ModbusSection, MqttGatewaySection, HttpGatewaySection, S2Section)
AnyWritten = TypeVar("AnyWritten", ClientSection, SparkplugSection)


class Recorder(Protocol):
    def take(self, measurement: Measurement) -> bool:
        """Keep a measurement that came."""
        ...


@dataclass(slots=True, kw_only=True)
class Reader:
    """What reads: a source, a door, and somebody who looks whether anything is written."""

    source: MessageSource
    intake: Intake
    channel: str
    shut: str
    """What the channel lets nobody send."""
    witness: CommandWitness | None

    def proof(self) -> str:
        """In words: how it is known that nothing was written."""
        if self.witness is None:
            return (
                f"{self.channel}: no unit was opened for writing, so the connection lets no"
                f" {self.shut} leave"
            )
        seen = f"a second client at the broker saw {self.witness.seen} commands to it meanwhile"
        return seen if self.witness.alive else f"{seen}, and was cut off"

    @property
    def somebody_commands(self) -> bool:
        """Whether commands to it were seen that are not ours."""
        return self.witness is not None and self.witness.seen > 0


def channel_of(file: ParkFile, name: ResourceId) -> str:
    """The link that carries a device: a gateway or remote unit of the park file by name, or `mqtt`."""
    for section in _gateways(file):
        if any(device.resource == name for device in section.devices):
            return section.id
    for unit in _remote_units(file):
        if any(device.resource == name for device in unit.devices):
            return unit.id
    for group in file.sparkplug:
        if any(device.resource == name for device in group.devices):
            return group.id
    for site in _sites(file):
        if any(device.resource == name for device in site.devices):
            return site.id
    for central in file.ocpp:
        if any(park.resource == name for park in central.car_parks):
            return central.id
    return NATIVE


def _gateways(
    file: ParkFile,
) -> tuple[
    ModbusSection | MqttGatewaySection | HttpGatewaySection | ReplaySection | S2Section, ...
]:
    mapped: tuple[MqttGatewaySection | HttpGatewaySection | ReplaySection, ...]
    mapped = (*file.mqtt_gateways, *file.http_devices.gateways, *file.replays)
    return (*file.modbus, *mapped, *_managed(file))


def _managed(file: ParkFile) -> tuple[S2Section, ...]:
    return () if file.s2 is None else (file.s2,)


def _shut(file: ParkFile, channel: str) -> str:
    if any(unit.id == channel for unit in _remote_units(file)):
        return "command (types 45 and 50)"
    if any(site.id == channel for site in _sites(file)):
        return "event with a signal"
    if any(central.id == channel for central in file.ocpp):
        return "charging profile and no setting"
    if any(section.id == channel for section in file.http_devices.gateways):
        return "request but GET, and no command in an answer"
    if any(section.id == channel for section in _managed(file)):
        return "choice of a control type and no instruction"
    told = (*(g.id for g in file.mqtt_gateways), *(one.id for one in file.replays))
    if channel in {*told, *(group.id for group in file.sparkplug)}:
        return "command"
    return "writing function code (5, 6, 15, 16, 22, 23)"


def _sites(file: ParkFile) -> tuple[SiteSection, ...]:
    return () if file.openadr_vtn is None else tuple(file.openadr_vtn.sites)


def _remote_units(file: ParkFile) -> tuple[ClientSection, ...]:
    return tuple(one for one in file.iec104 if isinstance(one, ClientSection))


@asynccontextmanager
async def open_reader(
    file: ParkFile, name: ResourceId, *, clock: Watch, broker_url: str | None
) -> AsyncIterator[Reader]:
    """The links of the park with nothing that can write, and a witness where commands go over a broker.

    Raises:
        ConfigError: Nobody says where the broker is, or the device has no channel.
        UnavailableError: The broker does not answer.
    """
    channel = _require_channel(file, name, broker_url)
    park = file.park
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(open_broker(broker_url, park, embedded=False))
        witness = None
        if channel == NATIVE:
            witness = await stack.enter_async_context(_witness(file, name, door.access))
        linked = await open_links(
            _reading(file, channel),
            clock=clock,
            seed=0,
            broker=door.access.address(),
            stack=stack,
            journal=MemoryJournal(),
            client_id=f"vpp-test-read-{name}",
        )
        for face in linked.faces:
            await stack.enter_async_context(serve_face(face, folder=file.folder))
        yield Reader(
            source=linked.channels,
            intake=Intake(
                park.device_owner,
                plausible_kw(park),
                frozenset(point.meter_id for point in park.connection_points),
            ),
            channel=channel,
            shut=_shut(file, channel),
            witness=witness,
        )


@asynccontextmanager
async def open_bench(
    file: ParkFile,
    *,
    clock: Watch,
    data: Path,
    broker_url: str | None,
    period: timedelta,
    ttl: timedelta,
    recorder: Recorder,
) -> AsyncIterator[Plant]:
    """A plant that steers by hand: the guard, the kill switch, the limit orders and the journal of the real one.

    Raises:
        ConfigError: The journal is in use: a service runs the park.
        UnavailableError: The journal or the broker cannot be opened.
    """
    file = under_test(file, period=period, ttl=ttl)
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(SqliteJournal.open(data / JOURNAL_FILE))
        door = await stack.enter_async_context(open_broker(broker_url, file.park, embedded=False))
        linked = await open_links(
            file,
            clock=clock,
            seed=0,
            broker=door.access.address(),
            stack=stack,
            journal=journal,
            client_id=f"vpp-test-{file.park.park_id}",
        )
        for face in linked.faces:
            await stack.enter_async_context(serve_face(face, folder=file.folder))
        yield build_plant(
            file,
            clock=clock,
            data=data,
            journal=journal,
            source=linked.channels,
            sink=linked.channels,
            venue=None,
            executor=InlineExecutor(),
            record=recorder.take,
        )


def under_test(file: ParkFile, *, period: timedelta, ttl: timedelta) -> ParkFile:
    """The park file, steered by a test: often, with commands that live briefly, and without a dead band."""
    control = file.control.model_dump() | {
        "period_s": period.total_seconds(),
        "setpoint_ttl_s": ttl.total_seconds(),
        "deadband_kw": 0.0,
    }
    return replace(file, control=ControlSettings.model_validate(control))


def require_writable(file: ParkFile, name: ResourceId) -> None:
    """Refuse where the park file lets nobody write to the device.

    Raises:
        ConfigError: It is read-only, or a person turns it.
    """
    for reached in file.instructions.resources:
        if reached.resource == name:
            raise ConfigError(
                f"{reached.person} turns it by hand, and no set-point is ever sent to it",
                where=f"instructions of {name}",
                fix="Leave --write out, and try the way to its person with `vpp people test`",
            )
    for section in _gateways(file):
        for device in section.devices:
            if device.resource == name and device.read_only:
                raise ConfigError(
                    "is read-only",
                    where=f"{section.id} device {name}",
                    fix="Say read_only: false where the park file names the device",
                )
    written: tuple[ClientSection | SparkplugSection, ...]
    written = (*_remote_units(file), *file.sparkplug)
    for unit in written:
        if any(d.resource == name and d.setpoint is None for d in unit.devices):
            raise ConfigError(
                "is read-only",
                where=f"{unit.id} device {name}",
                fix="Give a setpoint where the park file names the device",
            )
    for park in [park for central in file.ocpp for park in central.car_parks]:
        if park.resource == name and park.read_only:
            raise ConfigError(
                "is read-only",
                where=f"OCPP car park {name}",
                fix="Say read_only: false where the park file names the car park",
            )
    for site in _sites(file):
        if any(d.resource == name and d.sends is None for d in site.devices):
            raise ConfigError(
                "is read-only",
                where=f"OpenADR device {name}",
                fix="Say with `sends` what it is sent where the park file names the device",
            )


def _require_channel(file: ParkFile, name: ResourceId, broker_url: str | None) -> str:
    if name not in file.park.device_owner:
        raise ConfigError(
            f"has no device {name}", where="park file", fix="Name a resource or a main meter"
        )
    channel = channel_of(file, name)
    over_mqtt: tuple[MqttGatewaySection | SparkplugSection, ...]
    over_mqtt = (*file.mqtt_gateways, *file.sparkplug)
    parks_broker = any(one.id == channel and one.broker is None for one in over_mqtt)
    if (channel == NATIVE or parks_broker) and broker_url is None:
        raise ConfigError(
            f"{name} speaks MQTT, and nobody says where its broker is",
            where="--broker",
            fix="Give mqtt://user:password@host:port, the broker that its gateway connects to",
        )
    if channel != NATIVE and file.trading.mode == "simulated":
        raise ConfigError(
            f"{name} is behind {channel}, and a simulated park reaches no real device",
            where="trading.mode",
            fix="Say shadow, or live",
        )
    return channel


def _reading(file: ParkFile, channel: str) -> ParkFile:
    """The park file with one link beside the broker's own, and every device behind it read-only.

    No other link is opened: a service may hold it, and a gateway may have room for one client.
    """
    modbus = tuple(_shown_only(section) for section in file.modbus if section.id == channel)
    gateways = tuple(_shown_only(one) for one in file.mqtt_gateways if one.id == channel)
    http = file.http_devices.model_copy(
        update={"gateways": [_shown_only(g) for g in file.http_devices.gateways if g.id == channel]}
    )
    replays = tuple(one for one in file.replays if one.id == channel)
    s2 = next((_shown_only(one) for one in _managed(file) if one.id == channel), None)
    remote = tuple(_unwritten(unit) for unit in _remote_units(file) if unit.id == channel)
    sparkplug = tuple(_unwritten(group) for group in file.sparkplug if group.id == channel)
    sites = [
        site.model_copy(
            update={"devices": [d.model_copy(update={"sends": None}) for d in site.devices]}
        )
        for site in _sites(file)
        if site.id == channel
    ]
    ocpp = tuple(
        central.model_copy(
            update={
                "car_parks": [
                    park.model_copy(update={"read_only": True}) for park in central.car_parks
                ]
            }
        )
        for central in file.ocpp
        if central.id == channel
    )
    vtn = file.openadr_vtn
    return replace(
        file,
        ocpp=ocpp,
        openadr_vtn=vtn.model_copy(update={"sites": sites}) if vtn and sites else None,
        modbus=modbus,
        mqtt_gateways=gateways,
        http_devices=http,
        replays=replays,
        s2=s2,
        sparkplug=sparkplug,
        iec104=remote,
    )


def _shown_only(section: AnyGateway) -> AnyGateway:
    """A gateway with every device read-only."""
    devices = [device.model_copy(update={"read_only": True}) for device in section.devices]
    return section.model_copy(update={"devices": devices})


def _unwritten(section: AnyWritten) -> AnyWritten:
    """A section whose devices have nothing that could be written."""
    devices = [device.model_copy(update={"setpoint": None}) for device in section.devices]
    return section.model_copy(update={"devices": devices})


def _witness(file: ParkFile, name: ResourceId, access: BrokerAccess) -> CommandWitness:
    enterprise_id, site_id = file.park.device_owner[name]
    where = topic(enterprise_id, site_id, name, "cmd")
    return CommandWitness(access.address(), where, client_id=f"vpp-test-witness-{name}")
