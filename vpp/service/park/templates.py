"""Device templates: what a usual machine of a kind is like, for each kW of its size, as data.

    config/devices/heat-pump.yaml ──load_template──▶ Template ──resource_of(size_kw, names)──▶ Converter

A template is a resource of the park file, written for a size of 1 kW, without its id. Names of nodes and
series are placeholders in braces. Every number says where it is from and when it holds; most are
recalled, none replaces a data sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from vpp.model.resource import Resource
from vpp.service.park.config import ConfigErrors, Document, Fault, read_document, shipped
from vpp.service.park.resourceschema import AnyResource
from vpp.service.park.schematypes import Id, Section, Text

FOLDER = "devices"

SCALED = ("ramp_kw_per_min", "running_cost_per_h", "start_cost")
"""Keys that grow with the size, beside those that end in `_kw`."""

_RESOURCE: TypeAdapter[AnyResource] = TypeAdapter(AnyResource)


class Origin(Section):
    """Where the numbers of one key are from, and when they hold."""

    ref: Text
    mark: Literal["found", "recalled", "ours"]
    """found: an official text was seen; recalled: general knowledge; ours: an example to replace."""
    confidence: Literal["H", "M", "L"]
    valid: Text


class _File(Section):
    device: Id
    name: Text
    size: Text
    resource: dict[str, Any]
    sources: dict[str, Origin] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """One device for each kW of its size."""

    device: str
    name: str
    """As people know it."""

    size: str
    """What its size counts: electricity drawn, heat fed, …"""

    per_kw: Mapping[str, Any]
    """A resource of the park file without id, for a size of 1 kW."""

    sources: Mapping[str, Origin]
    document: Document

    def placeholders(self) -> frozenset[str]:
        """What `resource_of` must be told: names of nodes and series."""
        return frozenset(_braced(self.per_kw))


def template_schema() -> dict[str, Any]:
    """JSON Schema of a template's file; its resource is one of the park file's, with names in braces."""
    return _File.model_json_schema()


def load_template(device: str, folder: Path | None = None) -> Template:
    """A template by its name, of those that are shipped where no `folder` is given.

    Raises:
        ConfigErrors: It is not there, is no template, or holds numbers without a source.
    """
    folder = shipped(FOLDER) if folder is None else folder
    document = read_document(folder / f"{device}.yaml")
    if document.faults:
        raise ConfigErrors(document.faults)
    file = document.parse(TypeAdapter(_File), (), document.tree)
    if isinstance(file, list):
        raise ConfigErrors(file)
    if faults := list(_unfounded(document, file)):
        raise ConfigErrors(faults)
    return Template(
        device=file.device,
        name=file.name,
        size=file.size,
        per_kw=file.resource,
        sources=file.sources,
        document=document,
    )


def resource_of(
    template: Template,
    *,
    size_kw: float,
    resource_id: str,
    enterprise_id: str,
    connection_point_id: str,
    names: Mapping[str, str],
) -> Resource:
    """A device of a size, at its place in a park.

    `names` says which node or series of the park each placeholder stands for.

    Raises:
        ConfigErrors: A name is missing or is not asked for, the size is none, or the template makes no
            resource.
        DataError: Its numbers contradict each other.
    """
    document = template.document
    if not 0 < size_kw < inf:
        raise ConfigErrors([document.fault(("size",), f"{size_kw} kW is no size")])
    if wrong := sorted(template.placeholders() ^ names.keys()):
        asked = sorted(template.placeholders())
        raise ConfigErrors([document.fault(("resource",), f"names {wrong}: it asks for {asked}")])
    value = {"id": resource_id, **_filled(template.per_kw, size_kw, names)}
    found = document.parse(_RESOURCE, ("resource",), value)
    if isinstance(found, list):
        raise ConfigErrors(found)
    return found.resource(enterprise_id, connection_point_id)


def _unfounded(document: Document, file: _File) -> Iterator[Fault]:
    """Numbers that do not say where they are from, and sources of nothing."""
    if Path(document.file).stem != file.device:
        yield document.fault(("device",), f"the file is called {Path(document.file).name}")
    numbered = {key for key, value in file.resource.items() if _has_numbers(value)}
    for key in sorted(numbered - file.sources.keys()):
        yield document.fault(("resource", key), "has no entry in sources")
    for key in sorted(file.sources.keys() - numbered):
        yield document.fault(("sources", key), "speaks of no number of the resource")


def _has_numbers(value: Any) -> bool:
    match value:
        case bool():
            return False
        case int() | float():
            return True
        case dict():
            return any(map(_has_numbers, value.values()))
        case list():
            return any(map(_has_numbers, value))
        case _:
            return False


def _braced(value: Any) -> Iterator[str]:
    match value:
        case str() if value.startswith("{") and value.endswith("}"):
            yield value[1:-1]
        case dict():
            for inner in value.values():
                yield from _braced(inner)
        case list():
            for inner in value:
                yield from _braced(inner)


def _filled(value: Any, size_kw: float, names: Mapping[str, str], *, key: str = "") -> Any:
    """The value of one key with its placeholders filled and its sizes scaled."""
    match value:
        case dict():
            return {k: _filled(inner, size_kw, names, key=k) for k, inner in value.items()}
        case list():
            return [_filled(inner, size_kw, names, key=key) for inner in value]
        case bool():
            return value
        case int() | float() if key.endswith("_kw") or key in SCALED:
            return value * size_kw
        case str() if value.startswith("{") and value.endswith("}"):
            return names[value[1:-1]]
        case _:
            return value
