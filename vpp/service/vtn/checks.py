"""What joins the section `openadr_vtn` with the rest of a park file: devices, places, secrets."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.links.gatewaychecks import LEAST_CHARS
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret
from vpp.service.vtn.schema import SiteSection


def check_vtn(parts: Parts) -> None:
    """Every device is of the park, each site of one enterprise, every client has a secret of its own."""
    if parts.openadr_vtn is None:
        return
    shown: dict[str, str] = {}
    for place, site in enumerate(parts.openadr_vtn.sites):
        path: KeyPath = ("openadr_vtn", "sites", place)
        _check_secrets(parts, path, site, shown)
        places = parts.known("enterprise") | parts.known("connection point")
        for number, name in enumerate(site.limits_of):
            require(parts, (*path, "limits_of", number), name, places, "place")
        for number, device in enumerate(site.devices):
            where = (*path, "devices", number, "resource")
            require(parts, where, device.resource, parts.known("resource"), "resource")
        _check_owner(parts, path, site)


def _check_owner(parts: Parts, path: KeyPath, site: SiteSection) -> None:
    """What one enterprise is told no other's controller may read."""
    by_place = {at[1]: name for at, name in parts.ids.get("enterprise", [])}
    owners = {
        name: by_place.get(at[1])  # every one of them stands below its enterprise
        for kind in ("enterprise", "connection point", "resource")
        for at, name in parts.ids.get(kind, [])
    }
    named = [
        ((*path, "devices", n, "resource"), one.resource) for n, one in enumerate(site.devices)
    ]
    named += [((*path, "limits_of", n), name) for n, name in enumerate(site.limits_of)]
    first = next((owners[name] for _, name in named if name in owners), None)
    for where, name in named:
        if owners.get(name, first) != first:
            what = f"{name!r} belongs to {owners[name]!r}, and this site to {first!r}: give each its own"
            parts.fault(where, what)


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
