"""`vpp simulate devices`: the devices of a park on a broker, in real time, before real ones are there.

    vpp simulate devices PARK.yaml      devices ─▶ broker ─▶ vpp run PARK.yaml --broker …

They live what the park's `simulation` section measured once, moved to the present by whole weeks. The service
that runs the park cannot tell them from real ones, and nothing else is simulated: no market, no weather.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from vpp.clock import WallClock
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId
from vpp.model.time import QUARTER, isoformat, latest_boundary
from vpp.service.links.deviceschema import ModbusDeviceSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.wiring import BrokerDoor, open_broker
from vpp.simulate.devicefaults import FaultPlan
from vpp.simulate.devicelinks import DeviceLinks
from vpp.simulate.fleet import Fleet
from vpp.simulate.gateway import BrokerAccess
from vpp.simulate.modbusface import ModbusFace
from vpp.simulate.modbusunit import ModbusUnit
from vpp.simulate.moved import moved_to


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What the command was asked for."""

    broker_url: str | None
    """None: a private broker, which ends with the devices."""

    period: timedelta
    """How finely devices live, and how often they tell; divides the quarter-hour."""

    speed: float
    """Times as fast as the wall."""

    seed: int
    faults: FaultPlan

    called: str
    """The park file in the line that starts the service beside them, to be typed as it stands."""

    modbus_port: int | None = None
    """Where the first Modbus gateway of the park file is served, the next one at the port after it; None: its
    devices speak MQTT as all others."""


async def serve_devices(file: ParkFile, options: DeviceOptions, say: Callable[[str], None]) -> None:
    """Let the devices of a park live until SIGTERM or SIGINT; `say` gets lines for people.

    Raises:
        ConfigError: No simulation section, a broker that cannot be used, or a period that divides no
            quarter-hour.
        UnavailableError: The broker does not answer.
        DataError: The park's series end.
    """
    if file.simulation is None:
        raise ConfigError(
            "has no simulation section: nothing says how its devices behave",
            where="park file",
            fix="Add one; docs/park-file.md shows how",
        )
    if options.period <= timedelta(0) or QUARTER % options.period:
        raise ConfigError(
            f"{options.period} divides no quarter-hour", where="--period", fix="Say 1, 5 or 60"
        )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = WallClock(speed=options.speed)
    opened_at = latest_boundary(clock.now(), options.period)
    scenario = moved_to(file.simulation, opened_at)
    fleet = Fleet(
        file.park, scenario, opened_at=opened_at, step=options.period, faults=options.faults
    )
    async with open_broker(options.broker_url, file.park, embedded=False) as door:
        ours = options.broker_url is None
        brokers = {
            one.enterprise_id: _access(door, one.enterprise_id if ours else None)
            for one in file.park.enterprises
        }
        faces = modbus_faces(file, fleet, clock.now, options.modbus_port)
        links = DeviceLinks(
            file.park, fleet, brokers, seed=options.seed, now=clock.now, faces=faces
        )
        await links.start()
        try:
            for section, face in zip(file.modbus, faces, strict=False):
                await face.start()
                say(
                    f"{section.id}: {len(face.device_ids)} devices over Modbus at 127.0.0.1:{face.port}"
                )
            ends = isoformat(scenario.day_ahead_per_mwh.horizon.end)
            say(f"{len(file.park.resources)} devices of {file.park.name} live until {ends}")
            if (
                ours
            ):  # what somebody else's broker is called, and its password, is known to who asked
                say(f"vpp run {shlex.quote(options.called)} --broker {_url(door)}")
            await links.run(clock, stop, options.period)
        finally:
            await links.stop()
            for face in faces:
                await face.stop()
    counts = links.counts()
    told = sum(counts["published"].values())
    fired = ", ".join(f"{kind} {n}" for kind, n in sorted(counts["faults"].items()))
    say(f"{told} messages told, {counts['acked']} set-points taken, {counts['refused']} refused")
    if fired:
        say(f"faults: {fired}")


def modbus_faces(
    file: ParkFile, fleet: Fleet, now: Callable[[], datetime], port: int | None
) -> list[ModbusFace]:
    """A face for each Modbus gateway of the park file, by the maps it names; none where no port is given.

    Raises:
        ConfigError: A device that is found by SunSpec: simulated ones answer by a map.
    """
    if port is None:
        return []
    return [
        ModbusFace(
            {device.unit: _unit(device, file, fleet, now) for device in section.devices},
            port=port + number if port else 0,
        )
        for number, section in enumerate(file.modbus)
    ]


def _unit(
    section: ModbusDeviceSection, file: ParkFile, fleet: Fleet, now: Callable[[], datetime]
) -> ModbusUnit:
    name = ResourceId(section.resource)
    if section.map is None:
        raise ConfigError(
            "is found by SunSpec, and simulated devices answer by a map",
            where=f"modbus device {name}",
            fix="Name a map, such as battery-inverter, for the time of the trial",
        )
    resource = file.park.resource_by_id.get(name)
    size_kw = 0.0 if resource is None else max(resource.feed_kw, resource.draw_kw)
    return ModbusUnit(
        name,
        file.register_maps[section.map],
        rated_kw=section.rated_kw or size_kw,
        receive=fleet.receive,
        local=fleet.in_local_mode,
        now=now,
    )


def _access(door: BrokerDoor, user: str | None) -> BrokerAccess:
    """How a gateway enters: as its enterprise at a broker of ours, else as the user of the URL."""
    address = door.access.address(user)
    return BrokerAccess(address.host, address.port, address.username, address.password)


def _url(door: BrokerDoor) -> str:
    """The broker as `vpp run` takes it; the password of a private broker lives as long as this process."""
    address = door.access.address()
    word = quote(address.password or "", safe="")
    return f"mqtt://{quote(address.username or '', safe='')}:{word}@{address.host}:{address.port}"
