"""Kinds of charging stations: from a file to a noun.

config/devices/ocpp/NAME.yaml ──load_kind──▶ StationKind     every number says where it is from
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vpp.model.charging import StationKind
from vpp.service.ocpp.schema import StationKindSection
from vpp.service.park.config import ConfigErrors, Document, Fault, read_document, shipped

FOLDER = "devices/ocpp"
FOUNDED = ("max_kw", "min_kw", "unit")
"""Keys that must say where they are from, as must `safe_kw` where it is given."""

_KIND: TypeAdapter[StationKindSection] = TypeAdapter(StationKindSection)


def shipped_kinds() -> list[str]:
    """The names of the kinds that come with the package."""
    return sorted(file.stem for file in shipped(FOLDER).glob("*.yaml"))


def load_kind(name: str, folder: Path) -> StationKind:
    """A kind by its name, or by the name of a file that ends in .yaml and lies in `folder`.

    Raises:
        ConfigErrors: Every fault of the file, or that there is none.
    """
    file = folder / name if name.endswith(".yaml") else shipped(FOLDER) / f"{name}.yaml"
    document = read_document(file)
    section = document.parse(_KIND, (), document.tree)
    faults = list(document.faults)
    faults += section if isinstance(section, list) else _unfounded(document, section)
    if isinstance(section, list) or faults:
        raise ConfigErrors(faults)
    return StationKind(
        name=section.station,
        points=section.points,
        max_kw=section.max_kw,
        min_kw=section.min_kw,
        phases=section.phases,
        voltage_v=section.voltage_v,
        unit=section.unit,
        safe_kw=section.safe_kw,
    )


def kind_schema() -> dict[str, Any]:
    """JSON Schema of a kind of station."""
    return StationKindSection.model_json_schema(by_alias=True)


def _unfounded(document: Document, section: StationKindSection) -> Iterator[Fault]:
    """A kind under another name, numbers that do not say where they are from, and sources of nothing."""
    if Path(document.file).stem != section.station:
        yield document.fault(("station",), f"the file is called {Path(document.file).name}")
    asked = {*FOUNDED} | ({"safe_kw"} if section.safe_kw is not None else set())
    for key in sorted(asked - section.sources.keys()):
        yield document.fault((key,), "has no entry in sources")
    for key in sorted(section.sources.keys() - StationKindSection.model_fields.keys()):
        yield document.fault(("sources", key), "speaks of nothing in this file")
