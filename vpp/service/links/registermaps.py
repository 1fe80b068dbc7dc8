"""Register maps of Modbus devices: from a file to a noun.

config/devices/modbus/NAME.yaml ──load_map──▶ RegisterMap     every point says where it is from
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.model.registers import Kind, Register, RegisterMap, Table, What, Write
from vpp.service.links.deviceschema import RegisterMapSection, RegisterSection, WriteSection
from vpp.service.park.config import ConfigErrors, Document, Fault, read_document, shipped

FOLDER = "devices/modbus"

_MAP: TypeAdapter[RegisterMapSection] = TypeAdapter(RegisterMapSection)


def shipped_maps() -> list[str]:
    """The names of the maps that come with the package."""
    return sorted(file.stem for file in shipped(FOLDER).glob("*.yaml"))


def load_map(name: str, folder: Path) -> RegisterMap:
    """A map by its name, or by the name of a file that ends in .yaml and lies in `folder`.

    Raises:
        ConfigErrors: Every fault of the file, or that there is none.
    """
    file = folder / name if name.endswith(".yaml") else shipped(FOLDER) / f"{name}.yaml"
    document = read_document(file)
    section = document.parse(_MAP, (), document.tree)
    faults = list(document.faults)
    faults += section if isinstance(section, list) else _unfounded(document, section)
    if isinstance(section, list) or faults:
        raise ConfigErrors(faults)
    return _noun(document, section)


def map_schema() -> dict[str, Any]:
    """JSON Schema of a register map."""
    return RegisterMapSection.model_json_schema(by_alias=True)


def _unfounded(document: Document, section: RegisterMapSection) -> Iterator[Fault]:
    """A map under another name, points that do not say where they are from, and sources of nothing."""
    if Path(document.file).stem != section.registers:
        yield document.fault(("registers",), f"the file is called {Path(document.file).name}")
    if "power_kw" not in section.points:
        yield document.fault(("points",), "power_kw is missing: a device without it says nothing")
    told: set[str] = set(section.points)
    if section.setpoint is not None:
        told.add("setpoint")
    for key in sorted(told - section.sources.keys()):
        path = (key,) if key == "setpoint" else ("points", key)
        yield document.fault(path, "has no entry in sources")
    for key in sorted(section.sources.keys() - told):
        yield document.fault(("sources", key), "speaks of no point of the map")


def _noun(document: Document, section: RegisterMapSection) -> RegisterMap:
    faults, points, writes = [], {}, []
    for name, point in section.points.items():
        try:
            points[str(name)] = _register(section, point)
        except DataError as error:
            faults.append(document.fault(("points", name), f"{error.what}: {error.fix}"))
    setpoint = section.setpoint
    for place, write in enumerate([] if setpoint is None else setpoint.writes):
        try:
            writes.append(_write(section, write))
        except DataError as error:
            path = ("setpoint", "writes", place)
            faults.append(document.fault(path, f"{error.what}: {error.fix}"))
    if faults:
        raise ConfigErrors(faults)
    return RegisterMap(
        map_id=section.registers,
        name=section.name,
        points=points,
        writes=tuple(writes),
        revert_s=None if setpoint is None else setpoint.revert_s,
        max_words=section.max_words,
        gap=section.gap,
    )


def _register(section: RegisterMapSection, one: RegisterSection) -> Register:
    return Register(
        at=one.at,
        kind=Kind(one.type),
        table=Table(one.table or section.table),
        scale=one.scale,
        scale_at=one.scale_at,
        of=one.of,
        counts=one.counts,
        word_order=one.word_order or section.word_order,
        byte_order=one.byte_order or section.byte_order,
        unknown=frozenset(one.unknown),
    )


def _write(section: RegisterMapSection, one: WriteSection) -> Write:
    """What is written stands among the holding registers, whatever the map reads."""
    holding = one.model_copy(update={"table": "holding"})
    return Write(
        register=_register(section, holding),
        what=What(one.what),
        value=one.value,
        released=one.released,
        code=one.code,
        tolerance=one.tolerance,
        reads_back=one.reads_back,
    )
