"""Links to devices that speak JSON by a map, beside MQTT: over HTTP both ways, and out of recordings. Part of the wiring."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random

from adapters.csv_replay import Recording, ReplayLink
from adapters.http_pull import PullAddress, PullLink, PullTiming
from adapters.http_push import PushDoor, PushLink
from adapters.mqtt_life import BrokerAddress
from adapters.payload_mapping import ForeignDevice
from vpp.clock import Watch
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.service.links.channels import Link
from vpp.service.links.httpdeviceschema import HttpGatewaySection, PullSection, PushSection
from vpp.service.links.payloadschema import BrokerSection, GatewayDeviceSection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.listeners import OuterFace
from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import headers_of, read_secret


async def open_mapped_links(
    file: ParkFile, *, clock: Watch, seed: int, stack: AsyncExitStack
) -> tuple[dict[str, Link], tuple[OuterFace, ...]]:
    """Start every link over HTTP and every replay; `stack` stops them. With what others may call.

    Raises:
        UnavailableError: A certificate is not where the file says.
    """
    links: dict[str, Link] = {}
    called: list[PushLink] = []
    for gateway in file.http_devices.gateways:
        if gateway.pull is not None:
            jitter = Random(f"{seed}-http-{gateway.id}")
            asked = pull_link(gateway, gateway.pull, file, clock=clock, jitter=jitter)
            links[gateway.id] = await stack.enter_async_context(asked)
        elif gateway.push is not None:
            link = push_link(gateway, gateway.push, file, clock=clock)
            called.append(link)
            links[gateway.id] = await stack.enter_async_context(link)
    for replay in file.replays:
        links[replay.id] = await stack.enter_async_context(replay_link(replay, file, clock=clock))
    listen = file.http_devices.listen
    if listen is None or not called:
        return links, ()
    door = PushDoor(called)
    return links, (OuterFace(name="http_devices", listen=listen, routes=door.routes()),)


def pull_link(
    gateway: HttpGatewaySection, pull: PullSection, file: ParkFile, *, clock: Watch, jitter: Random
) -> PullLink:
    """The link to devices that are asked, as their section says; not started. Raises UnavailableError."""
    context = None if pull.trusts is None else _trusting(file.folder / pull.trusts)
    return PullLink(
        PullAddress(
            url=pull.url, headers=partial(_headers, pull, file.folder), context=lambda: context
        ),
        file.payload_maps[gateway.map],
        foreign_devices(gateway.devices, file),
        now=clock.now,
        jitter=jitter,
        timing=PullTiming(poll_s=pull.poll_s, timeout_s=pull.timeout_s),
    )


def push_link(
    gateway: HttpGatewaySection, push: PushSection, file: ParkFile, *, clock: Watch
) -> PushLink:
    """The link to a gateway that calls, as its section says; not started."""
    return PushLink(
        gateway.id,
        file.payload_maps[gateway.map],
        foreign_devices(gateway.devices, file),
        token=lambda: read_secret(push.token, file.folder),
        now=clock.now,
        silent_after_s=push.silent_after_s,
    )


def replay_link(replay: ReplaySection, file: ParkFile, *, clock: Watch) -> ReplayLink:
    """The link to a recording as its section says; not started."""
    return ReplayLink(
        Recording(file=file.folder / replay.file, delimiter=replay.delimiter, moved=replay.moved),
        file.payload_maps[replay.map],
        foreign_devices(replay.devices, file),
        now=clock.now,
    )


def foreign_devices(
    sections: Sequence[GatewayDeviceSection], file: ParkFile
) -> list[ForeignDevice]:
    """Devices of the park by the names that their messages carry."""
    meters = {point.meter_id for point in file.park.connection_points}
    found = []
    for section in sections:
        device_id = ResourceId(section.resource)
        enterprise_id, site_id = file.park.device_owner[device_id]
        found.append(
            ForeignDevice(
                device_id=device_id,
                enterprise_id=enterprise_id,
                site_id=site_id,
                names=section.names,
                is_meter=device_id in meters,
                read_only=section.read_only,
            )
        )
    return found


def broker_of(own: BrokerSection | None, file: ParkFile, parks: BrokerAddress) -> BrokerAddress:
    """The broker that a section names, else the park's. Raises UnavailableError: see `read_secret`."""
    if own is None:
        return parks
    return BrokerAddress(
        host=own.host,
        port=own.port,
        username=None if own.username is None else read_secret(own.username, file.folder),
        password=None if own.password is None else read_secret(own.password, file.folder),
    )


def _headers(pull: PullSection, folder: Path) -> Mapping[str, str]:
    headers = headers_of(pull.headers, folder)
    if pull.username is not None and pull.password is not None:
        pair = f"{read_secret(pull.username, folder)}:{read_secret(pull.password, folder)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers


def _trusting(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:  # an SSLError is one
        raise UnavailableError(
            f"cannot be used: {error}", where=str(file), fix="Put a certificate there as PEM"
        ) from error
