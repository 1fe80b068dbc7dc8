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


def check_carriers(parts: Parts) -> None:
    """No two links have one name, and no device is behind two of them."""
    gateways = parts.known("gateway")  # no two of them have one name: `park/checks.py` sees to it
    others: set[str] = set()
    behind: dict[str, str] = {}
    for path, name, carried in _carriers(parts):
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
    for path, gateway in (*parts.modbus, *mapped_gateways(parts), *parts.sparkplug):
        yield Carrier(path, gateway.id, _each(path, [one.resource for one in gateway.devices]))
    for path, station in parts.iec104:
        devices = (
            [one.resource for one in station.devices] if isinstance(station, ClientSection) else []
        )
        yield Carrier(path, station.id, _each(path, devices))
    for path, central in parts.ocpp:
        parks = [park.resource for park in central.car_parks]
        yield Carrier(path, central.id, _each(path, parks, within="car_parks"))
    if parts.s2 is not None:
        yield Carrier(
            ("s2",), parts.s2.id, _each(("s2",), [one.resource for one in parts.s2.devices])
        )
    sites = [] if parts.openadr_vtn is None else parts.openadr_vtn.sites
    for place, site in enumerate(sites):
        path = ("openadr_vtn", "sites", place)
        yield Carrier(path, site.id, _each(path, [one.resource for one in site.devices]))


def _each(path: KeyPath, names: list[str], within: str = "devices") -> list[tuple[KeyPath, str]]:
    return [((*path, within, place, "resource"), name) for place, name in enumerate(names)]
