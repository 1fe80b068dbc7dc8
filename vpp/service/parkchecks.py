"""What joins one place of a park file with another: ids, references, limits, the simulation.

The checks run on `Parts`: whatever of the file is valid by itself. So a file with a misspelt key
in one place and an unknown feeder in another shows both at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.model.market import MarketProduct
from vpp.model.resource import (
    EvFleet,
    FixedLoad,
    Generator,
    InterruptibleLoad,
    Resource,
    Storage,
    ThermalZone,
)
from vpp.model.tariff import TwoPartTariff
from vpp.service import parkschema as schema
from vpp.service.config import Document, Fault, KeyPath
from vpp.service.marketschema import MarketSection
from vpp.service.parknouns import tariff_noun
from vpp.service.resourceschema import AnyResource


@dataclass(frozen=True, slots=True)
class Found:
    """One resource that is valid by itself, and where it stands."""

    path: KeyPath
    point: schema.PointSection | None
    """Its connection point without the resources, where that is valid."""
    section: Any
    resource: Resource


@dataclass(slots=True)
class Parts:
    """The valid pieces of a park file, each with its path, and the ids that stand anywhere."""

    document: Document
    currency: str | None = None
    ids: dict[str, list[tuple[KeyPath, str]]] = field(default_factory=dict)
    """By kind (feeder, tariff, enterprise, connection point, device, resource, unit), even of invalid
    parts. A device is a resource or a meter."""
    points: list[tuple[KeyPath, schema.PointSection]] = field(default_factory=list)
    resources: list[Found] = field(default_factory=list)
    tariffs: list[tuple[KeyPath, TwoPartTariff]] = field(default_factory=list)
    units: list[tuple[KeyPath, schema.UnitSection]] = field(default_factory=list)
    products: list[tuple[KeyPath, MarketSection, MarketProduct]] = field(default_factory=list)
    """Path of the market file's name in the park file."""
    simulation: schema.SimulationSection | None = None
    faults: list[Fault] = field(default_factory=list)

    def known(self, kind: str) -> set[str]:
        return {name for _, name in self.ids.get(kind, [])}

    def by_id(self) -> dict[str, Resource]:
        return {found.resource.resource_id: found.resource for found in self.resources}

    def fault(self, path: KeyPath, what: str) -> None:
        self.faults.append(self.document.fault(path, what))


def collect(document: Document) -> Parts:
    """Take the valid pieces out of a document; a noun that refuses its values is a fault."""
    parts, tree = Parts(document), document.tree
    currency = tree.get("currency")
    parts.currency = currency if isinstance(currency, str) else None
    for path, item in _items(tree, (), "feeders"):
        _note(parts, "feeder", path, item, "id")
    for path, item in _items(tree, (), "tariffs"):
        _note(parts, "tariff", path, item, "id")
        if (tariff := _valid(schema.TariffSection, item)) is not None:
            try:
                parts.tariffs.append((path, tariff_noun(tariff)))
            except DataError as error:
                parts.fault((*path, "bands"), f"{error.what}: {error.fix}")
    for path, item in _items(tree, (), "enterprises"):
        _note(parts, "enterprise", path, item, "id")
        for point_path, point in _items(item, path, "connection_points"):
            _collect_point(parts, point_path, point, str(item.get("id")))
    for path, item in _items(tree, (), "bidding_units"):
        _note(parts, "unit", path, item, "id")
        if (unit := _valid(schema.UnitSection, item)) is not None:
            parts.units.append((path, unit))
    parts.simulation = _valid(schema.SimulationSection, tree.get("simulation"))
    return parts


def _collect_point(parts: Parts, path: KeyPath, item: dict[str, Any], enterprise_id: str) -> None:
    _note(parts, "connection point", path, item, "id")
    _note(parts, "device", path, item, "meter")
    point = _valid(schema.PointSection, item | {"resources": []})
    if point is not None:
        parts.points.append((path, point))
    for resource_path, resource in _items(item, path, "resources"):
        _note(parts, "device", resource_path, resource, "id")
        _note(parts, "resource", resource_path, resource, "id")
        section = _valid(AnyResource, resource)
        if section is None:
            continue
        try:
            noun = section.noun(enterprise_id, str(item.get("id")))
        except DataError as error:
            # A DataError begins with the name of its field where it is about one field alone.
            key = (*resource_path, error.what.split(" ", 1)[0])
            where = key if key in parts.document.marks else resource_path
            parts.fault(where, f"{error.what}: {error.fix}")
        else:
            parts.resources.append(Found(resource_path, point, section, noun))


def _items(tree: Any, path: KeyPath, key: str) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The mappings in the list at `key`, each with its path; anything else is skipped."""
    items = tree.get(key)
    for place, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield (*path, key, place), item


def _note(parts: Parts, kind: str, path: KeyPath, item: dict[str, Any], key: str) -> None:
    if isinstance(item.get(key), str):
        parts.ids.setdefault(kind, []).append(((*path, key), item[key]))


_KINDS: tuple[Any, ...] = (
    schema.TariffSection,
    schema.PointSection,
    AnyResource,
    schema.UnitSection,
    schema.SimulationSection,
)
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in _KINDS}


def _valid(kind: Any, item: Any) -> Any:
    """`item` as a model, None where it is none (the whole file's check says why)."""
    found = Document(file="", tree=item, marks={(): (1, 1)}, digest="", faults=()).parse(
        _ADAPTERS[kind], (), item
    )
    return None if isinstance(found, list) else found


def check(parts: Parts) -> list[Fault]:
    """Every contradiction between the parts."""
    _check_unique(parts)
    _check_references(parts)
    _check_limits(parts)
    _check_units(parts)
    if parts.simulation is not None:
        _check_simulation(parts, parts.simulation)
    return parts.faults


def _check_unique(parts: Parts) -> None:
    for kind, ids in parts.ids.items():
        if kind == "resource":
            continue  # unique among the devices, where the meters are too
        first: dict[str, KeyPath] = {}
        for path, name in ids:
            if name in first:
                line, _ = parts.document.marks[first[name]]
                parts.fault(path, f"{kind} id {name!r} stands in line {line} too")
            first.setdefault(name, path)
    seen: dict[str, KeyPath] = {}
    for path, section, _ in parts.products:
        if section.id in seen:
            parts.fault(path, f"product {section.id!r} comes from another market file too")
        seen[section.id] = path


def _require(parts: Parts, path: KeyPath, name: str, known: Iterable[str], kind: str) -> bool:
    names = sorted(known)
    if name in names:
        return True
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    parts.fault(path, f"unknown {kind} {name!r}; known: {shown or 'none'}")
    return False


def _check_references(parts: Parts) -> None:
    for path, point in parts.points:
        _require(parts, (*path, "tariff"), point.tariff, parts.known("tariff"), "tariff")
        if point.feeder is not None:
            _require(parts, (*path, "feeder"), point.feeder, parts.known("feeder"), "feeder")
    for path, section, _ in parts.products:
        if parts.currency is not None and section.currency != parts.currency:
            parts.fault(path, f"settles in {section.currency}, the park in {parts.currency}")


def _check_limits(parts: Parts) -> None:
    """A device larger than its connection point can never do what it says."""
    for path, point in parts.points:
        if point.period_to_date_peak_kw > point.import_kw:
            what = f"{point.period_to_date_peak_kw:g} kW above import_kw {point.import_kw:g}"
            parts.fault((*path, "period_to_date_peak_kw"), what)
    for found in parts.resources:
        behind, resource = found.point, found.resource
        if behind is not None and resource.draw_kw > behind.import_kw:
            what = f"draws up to {resource.draw_kw:g} kW behind a limit of {behind.import_kw:g} kW"
            parts.fault(found.path, what)
        if behind is not None and resource.feed_kw > behind.export_kw:
            what = f"feeds up to {resource.feed_kw:g} kW behind a limit of {behind.export_kw:g} kW"
            parts.fault(found.path, what)
        if isinstance(resource, EvFleet) and resource.charger_kw > resource.max_draw_kw:
            what = f"{resource.charger_kw:g} kW for one car, {resource.max_draw_kw:g} kW for all"
            parts.fault((*found.path, "charger_kw"), what)
        if isinstance(resource, InterruptibleLoad):
            _check_calls(parts, found.path, resource)


def _check_calls(parts: Parts, path: KeyPath, load: InterruptibleLoad) -> None:
    for place, hour in enumerate(load.callable_hours):
        begins = hour * 60
        ends = begins + load.call_length.total_seconds() / 60
        opened = load.operating_from.hour * 60 + load.operating_from.minute
        closed = load.operating_to.hour * 60 + load.operating_to.minute
        if not opened <= begins or not ends <= closed + (load.operating_to.minute == 59):
            what = (
                f"a call at {hour}:00 does not lie within the operating hours"
                f" {load.operating_from:%H:%M} to {load.operating_to:%H:%M}"
            )
            parts.fault((*path, "callable_hours", place), what)


def _check_units(parts: Parts) -> None:
    for path, unit in parts.units:
        products = {section.id: section for _, section, _ in parts.products}
        for place, name in enumerate(unit.products):
            if not _require(parts, (*path, "products", place), name, products, "product"):
                continue
            _check_trade(parts, (*path, "products", place), unit, products[name])
        if isinstance(unit.resources, list):
            known = parts.known("resource")
            for place, name in enumerate(unit.resources):
                _require(parts, (*path, "resources", place), name, known, "resource")
        for name in unit.trading_share:
            where = (*path, "trading_share", name)
            _require(parts, where, name, parts.known("enterprise"), "enterprise")
        if not any(unit.trading_share.values()):
            parts.fault((*path, "trading_share"), "no weight is above 0: nobody would be paid")
        if not unit.tested_kw <= unit.declared_kw <= unit.connected_kw:
            what = (
                f"connected {unit.connected_kw:g} kW, declared {unit.declared_kw:g} kW,"
                f" tested {unit.tested_kw:g} kW: each must not be above the one before"
            )
            parts.fault(path, what)
    _check_exclusive(parts)


def _check_trade(
    parts: Parts, path: KeyPath, unit: schema.UnitSection, product: MarketSection
) -> None:
    if product.zone != unit.zone:
        parts.fault(path, f"{product.id} is traded in {product.zone}, the unit is in {unit.zone}")
    day = unit.trades_from.date()
    if day < product.valid_from or (product.valid_to is not None and day >= product.valid_to):
        until = f" to {product.valid_to}" if product.valid_to else ""
        parts.fault(path, f"its rules hold from {product.valid_from}{until}, not on {day}")


def _check_exclusive(parts: Parts) -> None:
    """A resource is in at most one unit per exclusivity group."""
    groups = {section.id: section.exclusivity_group for _, section, _ in parts.products}
    every = [found.resource.resource_id for found in parts.resources]
    taken: dict[tuple[str, str], str] = {}
    for path, unit in parts.units:
        names = every if unit.resources == "all" else unit.resources
        own = sorted({groups[name] for name in unit.products if name in groups})
        for group in own:
            for place, name in enumerate(names):
                other = taken.setdefault((group, name), unit.id)
                if other != unit.id:
                    where = path if unit.resources == "all" else (*path, "resources", place)
                    what = f"{name} is in unit {other} of exclusivity group {group} too"
                    parts.fault(where, what)


def _check_simulation(parts: Parts, simulation: schema.SimulationSection) -> None:
    """Each simulated resource has exactly one course, an opening state, a weather."""
    root: KeyPath = ("simulation",)
    kinds = parts.by_id()
    loads = [c.resource for c in simulation.loads.courses]
    feeds = [c.resource for c in simulation.generation.courses]
    fleets = [f.resource for f in simulation.cars.fleets] if simulation.cars else []
    _check_courses(parts, (*root, "loads", "courses"), loads, FixedLoad)
    _check_courses(parts, (*root, "generation", "courses"), feeds, Generator)
    _check_courses(parts, (*root, "cars", "fleets"), fleets, EvFleet)
    outdoor = {series.id for series in simulation.outdoor.series}
    for found in parts.resources:
        resource = found.resource
        if isinstance(resource, ThermalZone):
            where = (*found.path, "outdoor_series_id")
            _require(parts, where, resource.outdoor_series_id, outdoor, "outdoor series")
        if isinstance(resource, Storage) and resource.resource_id not in simulation.opening.soc:
            parts.fault((*root, "opening", "soc"), f"{resource.resource_id} is missing")
    known = parts.known("resource")
    for name, soc in simulation.opening.soc.items():
        where = (*root, "opening", "soc", name)
        store = kinds.get(name)
        if not _require(parts, where, name, known, "resource") or store is None:
            continue
        if not isinstance(store, Storage):
            parts.fault(where, f"{name} is no storage")
        elif soc < store.min_soc:
            parts.fault(where, f"{soc:g} is below min_soc {store.min_soc:g}")
    for name in simulation.opening.degc:
        where = (*root, "opening", "degc", name)
        _require(parts, where, name, known, "resource")


def _check_courses(
    parts: Parts, path: KeyPath, named: list[str], kind: type[FixedLoad | Generator | EvFleet]
) -> None:
    first: set[str] = set()
    every = parts.by_id()
    for place, name in enumerate(named):
        where = (*path, place, "resource")
        if not _require(parts, where, name, parts.known("resource"), "resource"):
            continue
        resource = every.get(name)
        if resource is not None and not isinstance(resource, kind):
            parts.fault(where, f"{name} is no {kind.__name__}")
        if name in first:
            parts.fault(where, f"{name} has a course already")
        first.add(name)
    for found in parts.resources:
        if isinstance(found.resource, kind) and found.resource.resource_id not in first:
            parts.fault(path, f"{found.resource.resource_id} is missing")
