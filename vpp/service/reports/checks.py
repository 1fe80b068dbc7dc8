"""What joins the `reporting` section of a park file with its market files."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret


def check_reporting(parts: Parts) -> None:
    """A platform is named once, gets reports that are owed, and what it is to be shown is there."""
    if parts.reporting is None:
        return
    seen: set[str] = set()
    owed = {pack.section.id for _, pack in parts.packs if pack.section.reporting is not None}
    for place, platform in enumerate(parts.reporting.platforms):
        where = ("reporting", "platforms", place)
        if platform.id in seen:
            parts.fault((*where, "id"), f"{platform.id!r} is given twice")
        seen.add(platform.id)
        for number, product in enumerate(platform.products or ()):
            require(parts, (*where, "products", number), product, owed, "product with reports")
        for name, secret in platform.headers.items():
            try:
                read_secret(secret, Path(parts.document.file).parent)
            except UnavailableError as error:
                parts.fault((*where, "headers", name), f"{error.where}: {error.what}: {error.fix}")
