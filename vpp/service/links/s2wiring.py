"""What a park file says of S2, with its adapter: a part of the wiring."""

from __future__ import annotations

from random import Random

from aiohttp import web

from adapters.s2_device import FillLevel, S2Device
from adapters.s2_link import S2Link
from adapters.s2_session import SessionTiming
from adapters.s2_wire import Control
from vpp.clock import Watch
from vpp.model.ids import ResourceId
from vpp.model.resource import EvFleet
from vpp.service.links.s2schema import S2DeviceSection, S2Section
from vpp.service.listeners import OuterFace
from vpp.service.park.parkfile import ParkFile
from vpp.service.secretfiles import read_secret

CONTROLS = {"frbc": Control.FRBC, "pebc": Control.PEBC}


def s2_link(
    section: S2Section, file: ParkFile, *, clock: Watch, jitter: Random
) -> tuple[S2Link, OuterFace]:
    """The link to devices that connect, as its section says, and where they do; not started."""
    tokens = {ResourceId(device.resource): device.token for device in section.devices}
    link = S2Link(
        f"{section.listen.host}:{section.listen.port}",
        [_device(device, file) for device in section.devices],
        token_of=lambda device: read_secret(tokens[device], file.folder),
        now=clock.now,
        jitter=jitter,
        timing=SessionTiming(answer_s=section.answer_s),
    )
    face = OuterFace(
        name=section.id,
        listen=section.listen,
        routes=(web.get("/s2/{device}", link.handle),),
        closing=link.close,
    )
    return link, face


def _device(section: S2DeviceSection, file: ParkFile) -> S2Device:
    device_id = ResourceId(section.resource)
    enterprise_id, site_id = file.park.device_owner[device_id]
    resource, level = file.park.resource_by_id[device_id], section.fill_level
    return S2Device(
        device_id=device_id,
        enterprise_id=enterprise_id,
        site_id=site_id,
        control=CONTROLS[section.control],
        limits=section.limits or "power",
        fill_level=FillLevel()
        if level is None
        else FillLevel(field=level.field, scale=level.scale),
        charge_efficiency=resource.charge_efficiency if isinstance(resource, EvFleet) else None,
        idle_kw=section.idle_kw,
        keeps_later=section.keeps_later,
        tolerance_kw=section.tolerance_kw,
        read_only=section.read_only,
    )
