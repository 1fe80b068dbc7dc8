"""Tables of a fleet: what a park file of a hundred thousand resources says once, and what each row says.

    fleets:
      - templates:                              points.csv     enterprise,name,point,meter,tariff,import_kw,…
          battery:                                             works-0,Works 0,gate-0,meter-0,flat,900,…
            kind: storage
            charge_efficiency: 0.95             resources.csv  id,template,point,capacity_kwh,max_charge_kw,…
        points: points.csv                                     battery-0,battery,gate-0,200,50,…
        resources: resources.csv

A row becomes what it would be in YAML, so that it is read and checked as everything else is: its template,
with the cells that are not empty laid over it. A column is called as the key is (`capacity_kwh`), or as the
way to it (`windows.0.least_units`). A fault of a row is told at its line of the table.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from vpp.service.park.config import (
    ConfigErrors,
    Document,
    Fault,
    KeyPath,
    plain_value,
    read_bytes,
)
from vpp.service.park.schematypes import FileName, Id, Section

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

MOST_ROWS = 500_000
MOST_BYTES = 200_000_000
MOST_FAULTS = 100
"""Of all tables of a park that are told at once, the first ones; whoever has more has one mistake, many times."""

OF_ANOTHER_TABLE = MappingProxyType(
    {"resources": "the resources of a point stand in the table of resources, by its id"}
)
"""Columns that a table of points must not have, and why."""

WORDS = frozenset(
    {"id", "template", "point", "enterprise", "name", "feeder", "meter", "tariff"}
    | {"kind", "node", "after", "unit", "power_series_id", "outdoor_series_id"}
)
"""Columns that are text also where a cell reads as a number."""


class FleetSection(Section):
    """Resources that are alike, in tables."""

    templates: Annotated[dict[Id, dict[str, Any]], Field(min_length=1, max_length=1000)]
    """By name: what its rows have in common, key by key as a resource of this file; `kind` at least."""
    points: FileName | None = None
    """A table of connection points, one a row, and whose each is; beside those below `enterprises`."""
    resources: FileName
    """A table of resources, one a row: `id`, `template`, `point`, and what differs."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Cells that are not empty by the name of their column, and the line where they stand."""

    file: str
    line: int
    cells: Mapping[str, str]


@dataclass(slots=True)
class _Joining:
    """A park file's tree, growing."""

    enterprises: list[Any]
    marks: dict[KeyPath, tuple[int, int]]
    files: dict[KeyPath, str]
    digest: Digest
    """Of the park file, and of every table that was read."""

    faults: list[Fault] = field(default_factory=list)

    def owners(self) -> dict[str, tuple[KeyPath, list[Any]]]:
        """The list of connection points of each enterprise, by its id, and where it stands."""
        return dict(_lists(("enterprises",), self.enterprises, "connection_points"))

    def points(self) -> dict[str, tuple[KeyPath, list[Any]]]:
        """The list of resources of each connection point, by its id, and where it stands."""
        return {
            name: found
            for path, points in self.owners().values()
            for name, found in _lists(path, points, "resources")
        }

    def put(self, path: KeyPath, row: _Row) -> None:
        """Let what stands at `path` be told at its row."""
        self.marks[path], self.files[path] = (row.line, 1), row.file

    def fault(self, row: _Row, column: str, what: str) -> None:
        """A mistake in a row."""
        self.faults.append(Fault(row.file, row.line, 1, column, what))


def _lists(path: KeyPath, items: list[Any], key: str) -> Iterator[tuple[str, tuple[KeyPath, Any]]]:
    """The list at `key` of each item that has an id; what is none is told by the schema."""
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("id"), str) and isinstance(item.get(key), list):
            yield item["id"], ((*path, place, key), item[key])


def with_fleets(document: Document, folder: Path) -> Document:
    """The document with the rows of its fleets where they would stand in YAML.

    Raises:
        ConfigErrors: A table cannot be read, or a row names no template or no connection point of this park.
    """
    fleets = document.tree.get("fleets")
    if not isinstance(fleets, list) or not fleets:
        return document
    tree = document.tree | {"enterprises": _copied(document.tree.get("enterprises"))}
    digest = hashlib.sha256(document.digest.encode())
    joining = _Joining(tree["enterprises"], dict(document.marks), {}, digest)
    joining.marks.setdefault(("enterprises",), document.marks["fleets",])
    tables = [fleet for fleet in fleets if isinstance(fleet, dict)]
    for key, join in (("points", _join_points), ("resources", _join_resources)):
        for place, fleet in enumerate(tables):
            if isinstance(name := fleet.get(key), str):
                try:
                    join(joining, folder / name, fleet)
                except ConfigErrors as error:
                    joining.faults += [_seen_from(document, place, key, f) for f in error.faults]
    if joining.faults:
        raise ConfigErrors([*document.faults, *joining.faults[:MOST_FAULTS]])
    return replace(
        document, tree=tree, marks=joining.marks, files=joining.files, digest=digest.hexdigest()
    )


def _copied(enterprises: Any) -> list[Any]:
    """The enterprises of the file, whose lists may grow here without the file's own growing."""
    return _own(enterprises) if isinstance(enterprises, list) else []


def _own(value: Any) -> Any:
    """A copy of what YAML gives: nothing but mappings and lists is ever changed."""
    match value:
        case dict():
            return {key: _own(below) for key, below in value.items()}
        case list():
            return [_own(item) for item in value]
        case _:
            return value


def _seen_from(document: Document, place: int, key: str, fault: Fault) -> Fault:
    """A table that cannot be read at all is a mistake where it is named."""
    if not fault.what.startswith("cannot be read"):
        return fault
    return document.fault(("fleets", place, key), f"{fault.file!r} {fault.what}")


def _join_points(joining: _Joining, file: Path, _: Mapping[str, Any]) -> None:
    owners = joining.owners()
    for row in _rows(joining, file, ("enterprise", "point"), refused=OF_ANOTHER_TABLE):
        values = {name: _value(name, text) for name, text in row.cells.items()}
        owner, name = values.pop("enterprise"), values.pop("name", None)
        if owner not in owners:
            at: KeyPath = ("enterprises", len(joining.enterprises))
            made = {"id": owner, "name": owner if name is None else name, "connection_points": []}
            joining.enterprises.append(made)
            joining.put(at, row)
            owners[owner] = ((*at, "connection_points"), made["connection_points"])
        path, points = owners[owner]
        joining.put((*path, len(points)), row)
        points.append({"id": values.pop("point"), **values, "resources": []})


def _join_resources(joining: _Joining, file: Path, fleet: Mapping[str, Any]) -> None:
    templates, points = fleet.get("templates"), joining.points()
    if not isinstance(templates, dict):
        return  # told by the schema
    for row in _rows(joining, file, ("id", "template", "point")):
        cells = dict(row.cells)
        named, behind = cells.pop("template"), cells.pop("point")
        template, point = templates.get(named), points.get(behind)
        if named in templates and template is None:
            joining.fault(row, "template", f"{named!r} is empty: give its kind at least")
        elif not isinstance(template, dict):
            what = f"{named!r} is none of {', '.join(sorted(templates))}"
            joining.fault(row, "template", what)
        elif point is None:
            joining.fault(row, "point", f"{behind!r} is no connection point of this park")
        else:
            path, resources = point
            joining.put((*path, len(resources)), row)
            resources.append(_resource(joining, row, cells, template))


def _resource(
    joining: _Joining, row: _Row, cells: Mapping[str, str], template: Mapping[str, Any]
) -> dict[str, Any]:
    """The template with the cells of a row laid over it."""
    inside = {name.partition(".")[0] for name in cells if "." in name}
    values = {**template, **{key: _own(template.get(key)) for key in inside}}
    for name, text in cells.items():
        if "." not in name:
            values[name] = _value(name, text)
        elif not _lay(values, name.split("."), text):
            joining.fault(row, name, "leads to nothing in the template")
    return values


def _lay(values: Any, way: list[str], text: str) -> bool:
    """Put a cell where its column leads to; False where the template has nothing on the way."""
    *before, last = way
    for step in before:
        if isinstance(values, list) and step.isdecimal() and int(step) < len(values):
            values = values[int(step)]
        elif isinstance(values, dict) and step in values:
            values = values[step]
        else:
            return False
    if not isinstance(values, dict):
        return False
    values[last] = _value(last, text)
    return True


def _value(name: str, text: str) -> Any:
    """A cell as YAML would read it, but that words stay words."""
    if name == "tags":
        return text.split()
    return text if name in WORDS else plain_value(text)


def _rows(
    joining: _Joining,
    file: Path,
    needed: tuple[str, ...],
    *,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[_Row]:
    """The rows of a table; `refused` says of columns it must not have why.

    Raises:
        ConfigErrors: It cannot be read, is no CSV, is too long, or lacks a column or a cell that is needed.
    """
    name, content = str(file), read_bytes(file, most=MOST_BYTES)
    joining.digest.update(content)
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        if faults := [*_unusable(name, header, needed, refused)]:
            raise ConfigErrors(faults)
        for count, line in enumerate(reader):
            if count >= MOST_ROWS:
                raise ConfigErrors([Fault(name, 1, 1, "", f"has more than {MOST_ROWS} rows")])
            if len(line) > len(header):
                what = f"{len(line)} cells under a header of {len(header)}"
                raise ConfigErrors([Fault(name, reader.line_num, 1, "", what)])
            cells = {key: cell.strip() for key, cell in zip(header, line, strict=False)}
            row = _Row(name, reader.line_num, {key: cell for key, cell in cells.items() if cell})
            if lacking := [key for key in needed if key not in row.cells]:
                if not row.cells:
                    continue  # an empty line
                raise ConfigErrors([Fault(name, row.line, 1, lacking[0], "missing")])
            yield row
    except UnicodeDecodeError as error:
        raise ConfigErrors([Fault(name, 1, 1, "", "is not UTF-8 text")]) from error
    except csv.Error as error:
        raise ConfigErrors([Fault(name, reader.line_num, 1, "", f"is no CSV: {error}")]) from error


def _unusable(
    file: str, header: list[str], needed: tuple[str, ...], refused: Mapping[str, str]
) -> Iterator[Fault]:
    """Columns that are missing, stand twice, or do not belong here."""
    for name in needed:
        if name not in header:
            yield Fault(file, 1, 1, name, "there is no such column")
    for name in dict.fromkeys(header):
        if not name or header.count(name) > 1:
            what = "a column has no name" if not name else "the column stands here twice"
            yield Fault(file, 1, 1, name, what)
        elif (key := name.partition(".")[0]) in refused:
            yield Fault(file, 1, 1, name, refused[key])
