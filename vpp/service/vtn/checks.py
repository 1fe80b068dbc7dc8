"""What joins the section `openadr_vtn` with the rest of a park file: devices, places, secrets."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.iec104.schema import ClientSection
from vpp.service.links.gatewaychecks import LEAST_CHARS, mapped_gateways
from vpp.service.links.health import NATIVE
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret
from vpp.service.vtn.schema import SiteSection


def check_vtn(parts: Parts) -> None:
    """Every device is of the park and behind one link, every client has a secret of its own."""
    if parts.openadr_vtn is None:
        return
    carried = _carried(parts)
    links = {g.id for _, g in parts.modbus} | {g.id for _, g in mapped_gateways(parts)}
    links |= {one.id for _, one in (*parts.iec104, *parts.ocpp)}
    links |= set() if parts.s2 is None else {parts.s2.id}
    shown: dict[str, str] = {}
    for place, site in enumerate(parts.openadr_vtn.sites):
        path: KeyPath = ("openadr_vtn", "sites", place)
        if site.id == NATIVE or site.id in links:
            parts.fault((*path, "id"), f"{site.id!r} is the name of another link")
        _check_secrets(parts, path, site, shown)
        places = parts.known("enterprise") | parts.known("connection point")
        for number, name in enumerate(site.limits_of):
            require(parts, (*path, "limits_of", number), name, places, "place")
        for number, device in enumerate(site.devices):
            where = (*path, "devices", number, "resource")
            if not require(parts, where, device.resource, parts.known("resource"), "resource"):
                continue
            if device.resource in carried:
                behind = carried[device.resource]
                parts.fault(where, f"device {device.resource!r} is behind {behind!r} already")
            carried[device.resource] = site.id


def _carried(parts: Parts) -> dict[str, str]:
    found = {device.resource: g.id for _, g in parts.modbus for device in g.devices}
    for _, mapped in mapped_gateways(parts):
        found |= {device.resource: mapped.id for device in mapped.devices}
    for _, one in parts.iec104:
        if isinstance(one, ClientSection):
            found |= {device.resource: one.id for device in one.devices}
    for _, central in parts.ocpp:
        found |= {park.resource: central.id for park in central.car_parks}
    if parts.s2 is not None:
        found |= {device.resource: parts.s2.id for device in parts.s2.devices}
    return found


def _check_secrets(parts: Parts, path: KeyPath, site: SiteSection, shown: dict[str, str]) -> None:
    folder = Path(parts.document.file).parent
    for name in ("client_id", "client_secret"):
        try:
            value = read_secret(getattr(site, name), folder)
        except UnavailableError as error:
            parts.fault((*path, name), f"{error.where}: {error.what}: {error.fix}")
            continue
        if name == "client_secret" and len(value) < LEAST_CHARS:
            parts.fault((*path, name), f"has fewer than {LEAST_CHARS} characters")
        if name == "client_id" and shown.setdefault(value, site.id) != site.id:
            parts.fault((*path, name), f"is that of {shown[value]!r} too")
