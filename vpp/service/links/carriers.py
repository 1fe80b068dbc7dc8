"""Who carries a device: each link of a park file has a name of its own, and each device is behind one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vpp.service.iec104.schema import ClientSection
from vpp.service.links.gatewaychecks import mapped_gateways
from vpp.service.links.health import NATIVE
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts


class Carrier(NamedTuple):
    """A link as a park file writes it."""

    path: KeyPath
    """Of its section; its name is at `id` there."""
    name: str
    carried: list[tuple[KeyPath, str]]
    """Each device, with its place in the file."""
    told: frozenset[str]
    """Those of them that are sent set-points."""


def told_set_points(parts: Parts) -> dict[str, tuple[KeyPath, str]]:
    """Each device that a link sends set-points to, with its place in the file and the name of the link."""
    return {
        device: (where, link.name)
        for link in _carriers(parts)
        for where, device in link.carried
        if device in link.told
    }


def check_carriers(parts: Parts) -> None:
    """No two links have one name, and no device is behind two of them."""
    gateways = parts.known("gateway")  # no two of them have one name: `park/checks.py` sees to it
    others: set[str] = set()
    behind: dict[str, str] = {}
    for path, name, carried, _ in _carriers(parts):
        if name == NATIVE:
            parts.fault((*path, "id"), f"{NATIVE!r} is the name of the link to our own broker")
        if path[0] in ("s2", "openadr_vtn"):
            if name in gateways | others:
                parts.fault((*path, "id"), f"{name!r} is the name of another link")
            others.add(name)
        for where, device in carried:
            if device in behind:
                parts.fault(where, f"device {device!r} is behind {behind[device]!r} already")
            behind.setdefault(device, name)


def _carriers(parts: Parts) -> Iterator[Carrier]:
    for path, gateway in (*parts.modbus, *mapped_gateways(parts)):
        sent = [(one.resource, not one.read_only) for one in gateway.devices]
        yield _carrier(path, gateway.id, sent)
    for path, group in parts.sparkplug:
        sent = [(one.resource, one.setpoint is not None) for one in group.devices]
        yield _carrier(path, group.id, sent)
    for path, station in parts.iec104:
        devices = station.devices if isinstance(station, ClientSection) else []
        sent = [(one.resource, one.setpoint is not None) for one in devices]
        yield _carrier(path, station.id, sent)
    for path, central in parts.ocpp:
        sent = [(park.resource, not park.read_only) for park in central.car_parks]
        yield _carrier(path, central.id, sent, within="car_parks")
    if parts.s2 is not None:
        sent = [(one.resource, not one.read_only) for one in parts.s2.devices]
        yield _carrier(("s2",), parts.s2.id, sent)
    sites = [] if parts.openadr_vtn is None else parts.openadr_vtn.sites
    for place, site in enumerate(sites):
        sent = [(one.resource, one.sends is not None) for one in site.devices]
        yield _carrier(("openadr_vtn", "sites", place), site.id, sent)


def _carrier(
    path: KeyPath, name: str, sent: list[tuple[str, bool]], within: str = "devices"
) -> Carrier:
    """`sent`: each device, and whether it is sent set-points."""
    return Carrier(
        path=path,
        name=name,
        carried=[
            ((*path, within, place, "resource"), device) for place, (device, _) in enumerate(sent)
        ],
        told=frozenset(device for device, takes in sent if takes),
    )
