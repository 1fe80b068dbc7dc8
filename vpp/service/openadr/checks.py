"""What joins the section `openadr` with the rest of a park file: places, products, units, series, secrets, addresses."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.service.openadr.schema import (
    CallUseSection,
    LimitUseSection,
    OpenAdrSection,
    PayloadsSection,
    SeriesUseSection,
)
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret
from vpp.service.venues.checks import check_certificate


def check_programmes(parts: Parts) -> None:
    """Every name that a utility's programs lead to is there, and every series has one source."""
    sources = {s.id: f"feed {feed.id!r}" for _, feed in parts.feeds for s in feed.series}
    for path, utility in parts.openadr:
        if isinstance(utility, OpenAdrSection):
            _check_secrets(parts, path, utility)
            if utility.target_type is not None and utility.version != "3.0":
                parts.fault((*path, "target_type"), "is of version 3.0 alone")
        if utility.certificate is not None:
            check_certificate(parts, (*path, "certificate"), utility.certificate)
        for place, program in enumerate(utility.programs):
            where = (*path, "programs", place, "does")
            _check_uses(parts, where, program.does, sources)


def _check_secrets(parts: Parts, path: KeyPath, utility: OpenAdrSection) -> None:
    for name in ("client_id", "client_secret"):
        try:
            read_secret(getattr(utility, name), Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault((*path, name), f"{error.where}: {error.what}: {error.fix}")


def _check_uses(
    parts: Parts, where: KeyPath, does: PayloadsSection, sources: dict[str, str]
) -> None:
    park = parts.document.tree.get("park")
    places = {str(park)} | {
        name for kind in ("feeder", "enterprise", "connection point") for name in parts.known(kind)
    }
    products = {pack.section.id for _, pack in parts.packs}
    for name in PayloadsSection.model_fields:
        use, path = getattr(does, name), (*where, name)
        match use:
            case LimitUseSection():
                require(parts, (*path, "place"), use.place, places, "place")
            case CallUseSection():
                require(parts, (*path, "product"), use.product, products, "product")
                if use.unit is not None:
                    require(parts, (*path, "unit"), use.unit, parts.known("unit"), "unit")
            case SeriesUseSection():
                _check_series(parts, path, name, use, sources)


def _check_series(
    parts: Parts, path: KeyPath, payload: str, use: SeriesUseSection, sources: dict[str, str]
) -> None:
    if payload == "GHG":
        fits = use.unit == "gCO2/kWh"
    else:
        fits = use.unit in (f"{parts.currency}/MWh", f"{parts.currency}/kWh")
    if not fits:
        usual = "gCO2/kWh" if payload == "GHG" else f"{parts.currency}/MWh"
        parts.fault((*path, "unit"), f"{use.unit} is nothing that {payload} can be: {usual}")
    where = ".".join(map(str, path))
    if (first := sources.setdefault(use.series, where)) != where:
        parts.fault((*path, "series"), f"series {use.series!r} comes from {first} already")
