"""The pieces of a park file that are valid by themselves, each with its place.

The checks run on `Parts`: so a file with a misspelt key in one place and an unknown feeder in
another shows both at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.model.charging import StationKind
from vpp.model.network import Pipe
from vpp.model.park import PowerGroup
from vpp.model.payloads import PayloadMap
from vpp.model.registers import RegisterMap
from vpp.model.resource import Resource
from vpp.model.tariff import TwoPartTariff
from vpp.service.alarms.schema import AlarmsSection
from vpp.service.bids.schema import BidSection
from vpp.service.demandresponse.schema import DemandResponseSection
from vpp.service.feeds.schema import AnyFeed
from vpp.service.iec104.schema import AnyStation
from vpp.service.instructions.schema import InstructionsSection
from vpp.service.links.deviceschema import ModbusSection
from vpp.service.links.httpdeviceschema import HttpGatewaySection
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.links.s2schema import S2Section
from vpp.service.links.sparkplugschema import SparkplugSection
from vpp.service.markets.pack import Pack
from vpp.service.markets.schema import MarketSection
from vpp.service.ocpp.schema import OcppSection
from vpp.service.openadr.schema import AnyUtility
from vpp.service.park import schema
from vpp.service.park.calendars import CalendarSection
from vpp.service.park.config import Document, Fault, KeyPath
from vpp.service.park.nouns import group_noun, pipe_noun
from vpp.service.park.resourceschema import AnyResource
from vpp.service.park.tariffschema import TariffSection, tariff_noun
from vpp.service.people.schema import PeopleSection
from vpp.service.quotas.schema import AnyQuota
from vpp.service.reports.schema import ReportingSection
from vpp.service.steering.schema import ControlSettings
from vpp.service.trading.contractschema import ContractSection
from vpp.service.trading.nominationschema import NominationSection
from vpp.service.trading.schema import TradingSection
from vpp.service.trading.waivers import WaiverSection
from vpp.service.venues.schema import AnyVenue, MappingSection
from vpp.service.vtn.schema import VtnSection
from vpp.service.window.schema import RedisSection


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
    read: schema.ParkSection | None
    """The whole file as it was read; None where some of it is not valid."""
    currency: str | None = None
    ids: dict[str, list[tuple[KeyPath, str]]] = field(default_factory=dict)
    """By kind (feeder, tariff, enterprise, connection point, node, pipe, group, quota, device, resource,
    unit, contract, feed, venue, gateway,
    receiver, person), even of invalid parts. A device is a resource or a meter."""
    points: list[tuple[KeyPath, schema.PointSection]] = field(default_factory=list)
    resources: list[Found] = field(default_factory=list)
    tariffs: list[tuple[KeyPath, TwoPartTariff]] = field(default_factory=list)
    units: list[tuple[KeyPath, schema.UnitSection]] = field(default_factory=list)
    pipes: list[tuple[KeyPath, Pipe]] = field(default_factory=list)
    groups: list[tuple[KeyPath, PowerGroup]] = field(default_factory=list)
    quotas: list[tuple[KeyPath, AnyQuota]] = field(default_factory=list)
    packs: list[tuple[KeyPath, Pack]] = field(default_factory=list)
    """Path of the market file's name in the park file."""
    waivers: list[tuple[KeyPath, WaiverSection]] = field(default_factory=list)
    bids: list[tuple[KeyPath, BidSection]] = field(default_factory=list)
    contracts: list[tuple[KeyPath, ContractSection]] = field(default_factory=list)
    nominations: list[tuple[KeyPath, NominationSection]] = field(default_factory=list)
    feeds: list[tuple[KeyPath, AnyFeed]] = field(default_factory=list)
    venues: list[tuple[KeyPath, AnyVenue]] = field(default_factory=list)
    mappings: dict[str, MappingSection] = field(default_factory=dict)
    """How each venue speaks, by its id; one whose file is faulty is left out."""
    modbus: list[tuple[KeyPath, ModbusSection]] = field(default_factory=list)
    register_maps: dict[str, RegisterMap] = field(default_factory=dict)
    """By the name that the park file gives; one whose file is faulty is left out."""
    mqtt_gateways: list[tuple[KeyPath, MqttGatewaySection]] = field(default_factory=list)
    http_gateways: list[tuple[KeyPath, HttpGatewaySection]] = field(default_factory=list)
    replays: list[tuple[KeyPath, ReplaySection]] = field(default_factory=list)
    payload_maps: dict[str, PayloadMap] = field(default_factory=dict)
    """As `register_maps`."""
    iec104: list[tuple[KeyPath, AnyStation]] = field(default_factory=list)
    ocpp: list[tuple[KeyPath, OcppSection]] = field(default_factory=list)
    station_kinds: dict[str, StationKind] = field(default_factory=dict)
    """As `register_maps`."""
    s2: S2Section | None = None
    sparkplug: list[tuple[KeyPath, SparkplugSection]] = field(default_factory=list)
    openadr: list[tuple[KeyPath, AnyUtility]] = field(default_factory=list)
    openadr_vtn: VtnSection | None = None
    calendar: CalendarSection | None = None
    simulation: schema.SimulationSection | None = None
    trading: TradingSection | None = None
    control: ControlSettings | None = None
    people: PeopleSection | None = None
    alarms: AlarmsSection | None = None
    redis: RedisSection | None = None
    reporting: ReportingSection | None = None
    demand_response: DemandResponseSection | None = None
    instructions: InstructionsSection | None = None
    planning: schema.PlanningSettings | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def markets(self) -> list[MarketSection]:
        """The market files that are in order."""
        return [pack.section for _, pack in self.packs]

    def known(self, kind: str) -> set[str]:
        return {name for _, name in self.ids.get(kind, [])}

    def by_id(self) -> dict[str, Resource]:
        return {found.resource.resource_id: found.resource for found in self.resources}

    def fault(self, path: KeyPath, what: str) -> None:
        self.faults.append(self.document.fault(path, what))

    def seen_from(self, path: KeyPath, name: str, fault: Fault) -> Fault:
        """A mistake in a file that is named at `path`: one that cannot be read at all is one there."""
        if not fault.what.startswith("cannot be read"):
            return fault
        return self.document.fault(path, f"{name!r} {fault.what}")

    def refused(self, path: KeyPath, error: DataError) -> None:
        """A noun that refuses what stands at `path`: told at the key that it is about.

        A DataError begins with the name of its field where it is about one field alone, and a part
        of a resource (its `on_off`) says its own name as the place.
        """
        keys_said = tuple(error.what.split(" ", 1)[0].split("."))
        tried = ((error.where, *keys_said), (error.where,), keys_said, ())
        where = next((*path, *keys) for keys in tried if (*path, *keys) in self.document.marks)
        self.fault(where, f"{error.what}: {error.fix}")


def collect(document: Document, read: schema.ParkSection | None) -> Parts:
    """Take the valid pieces out of a document; a noun that refuses its values is a fault.

    `read` is the whole of it, None where it is not valid as a whole.
    """
    parts, tree = Parts(document, read), document.tree
    currency = tree.get("currency")
    parts.currency = currency if isinstance(currency, str) else None
    for path, item in _items(tree, (), "feeders"):
        _note(parts, "feeder", path, item, "id")
    for path, item in _items(tree, (), "tariffs"):
        _note(parts, "tariff", path, item, "id")
        if (tariff := _valid(TariffSection, item)) is not None:
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
    _collect_networks(parts)
    for path, item in _items(tree, (), "quotas"):
        _note(parts, "quota", path, item, "id")
        if (quota := _valid(AnyQuota, item)) is not None:
            parts.quotas.append((path, quota))
    _collect_waivers(parts)
    _collect_bids(parts)
    _collect_contracts(parts)
    _collect_feeds(parts)
    _collect_venues(parts)
    _collect_utilities(parts)
    _collect_gateways(parts)
    parts.calendar = _valid(CalendarSection, tree.get("calendar", {}))
    parts.simulation = _valid(schema.SimulationSection, tree.get("simulation"))
    parts.trading = _valid(TradingSection, tree.get("trading", {}))
    parts.control = _valid(ControlSettings, tree.get("control", {}))
    _collect_people(parts)
    parts.alarms = _valid(AlarmsSection, tree.get("alarms", {}))
    parts.s2 = _valid(S2Section, tree["s2"]) if "s2" in tree else None
    parts.redis = _valid(RedisSection, tree["redis"]) if "redis" in tree else None
    parts.reporting = _valid(ReportingSection, tree.get("reporting", {}))
    parts.openadr_vtn = _valid(VtnSection, tree["openadr_vtn"]) if "openadr_vtn" in tree else None
    parts.demand_response = _valid(DemandResponseSection, tree.get("demand_response", {}))
    parts.instructions = _valid(InstructionsSection, tree.get("instructions", {}))
    parts.planning = _valid(schema.PlanningSettings, tree.get("planning", {}))
    return parts


def _collect_waivers(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "waivers"):
        if (waiver := _valid(WaiverSection, item)) is not None:
            parts.waivers.append((path, waiver))


def _collect_bids(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "bids"):
        if (bid := _valid(BidSection, item)) is not None:
            parts.bids.append((path, bid))


def _collect_contracts(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "contracts"):
        _note(parts, "contract", path, item, "id")
        if (contract := _valid(ContractSection, item)) is not None:
            parts.contracts.append((path, contract))
    for path, item in _items(parts.document.tree, (), "nominations"):
        if (nomination := _valid(NominationSection, item)) is not None:
            parts.nominations.append((path, nomination))


def _collect_utilities(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "openadr"):
        _note(parts, "utility", path, item, "id")
        if (utility := _valid(AnyUtility, item)) is not None:
            parts.openadr.append((path, utility))


def _collect_gateways(parts: Parts) -> None:
    """Links to devices: their ids are of one kind, since events and metrics tell them apart by it."""
    tree = parts.document.tree
    http = tree.get("http_devices")
    http = http if isinstance(http, dict) else {}
    kinds: tuple[tuple[Any, KeyPath, str, Any, list[Any]], ...] = (
        (tree, (), "modbus", ModbusSection, parts.modbus),
        (tree, (), "mqtt_gateways", MqttGatewaySection, parts.mqtt_gateways),
        (http, ("http_devices",), "gateways", HttpGatewaySection, parts.http_gateways),
        (tree, (), "replays", ReplaySection, parts.replays),
        (tree, (), "sparkplug", SparkplugSection, parts.sparkplug),
        (tree, (), "iec104", AnyStation, parts.iec104),
        (tree, (), "ocpp", OcppSection, parts.ocpp),
    )
    for within, at, key, kind, found in kinds:
        for path, item in _items(within, at, key):
            _note(parts, "gateway", path, item, "id")
            if (section := _valid(kind, item)) is not None:
                found.append((path, section))


def _collect_people(parts: Parts) -> None:
    section = parts.document.tree.get("people", {})
    parts.people = _valid(PeopleSection, section)
    for kind, key in (("receiver", "webhooks"), ("person", "persons")):
        for path, item in _items(section if isinstance(section, dict) else {}, ("people",), key):
            _note(parts, kind, path, item, "id")


def _collect_feeds(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "feeds"):
        _note(parts, "feed", path, item, "id")
        if (feed := _valid(AnyFeed, item)) is not None:
            parts.feeds.append((path, feed))


def _collect_venues(parts: Parts) -> None:
    for path, item in _items(parts.document.tree, (), "venues"):
        _note(parts, "venue", path, item, "id")
        if (venue := _valid(AnyVenue, item)) is not None:
            parts.venues.append((path, venue))


def _collect_networks(parts: Parts) -> None:
    tree = parts.document.tree
    for path, item in _items(tree, (), "nodes"):
        _note(parts, "node", path, item, "id")
    for path, item in _items(tree, (), "pipes"):
        _note(parts, "pipe", path, item, "id")
        if (section := _valid(schema.PipeSection, item)) is not None:
            try:
                parts.pipes.append((path, pipe_noun(section)))
            except DataError as error:
                parts.refused(path, error)
    for path, item in _items(tree, (), "groups"):
        _note(parts, "group", path, item, "id")
        if (group := _valid(schema.GroupSection, item)) is not None:
            parts.groups.append((path, group_noun(group)))


def _collect_point(parts: Parts, path: KeyPath, item: dict[str, Any], enterprise_id: str) -> None:
    _note(parts, "connection point", path, item, "id")
    _note(parts, "device", path, item, "meter")
    point = _valid(schema.PointSection, item | {"resources": []})
    if point is not None:
        parts.points.append((path, point))
    for resource_path, resource in _items(item, path, "resources"):
        _note(parts, "device", resource_path, resource, "id")
        _note(parts, "resource", resource_path, resource, "id")
        section = _resource_section(parts, resource_path, resource)
        if section is None:
            continue
        try:
            noun = section.resource(enterprise_id, str(item.get("id")))
        except DataError as error:
            parts.refused(resource_path, error)
        else:
            parts.resources.append(Found(resource_path, point, section, noun))


def _resource_section(parts: Parts, path: KeyPath, item: Any) -> Any:
    """The resource at `path`, None where it is not valid: a hundred thousand are not read twice."""
    if parts.read is None:
        return _valid(AnyResource, item)
    found: Any = parts.read
    for key in path:
        found = found[key] if isinstance(key, int) else getattr(found, key)
    return found


def _items(tree: Any, path: KeyPath, key: str) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The mappings in the list at `key`, each with its path; anything else is skipped."""
    items = tree.get(key)
    for place, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield (*path, key, place), item


def _note(parts: Parts, kind: str, path: KeyPath, item: dict[str, Any], key: str) -> None:
    if isinstance(item.get(key), str):
        parts.ids.setdefault(kind, []).append(((*path, key), item[key]))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _valid(kind: Any, item: Any) -> Any:
    """`item` as a model, None where it is none (the whole file's check says why)."""
    found = Document(file="", tree=item, marks={(): (1, 1)}, digest="", faults=()).parse(
        _adapter(kind), (), item
    )
    return None if isinstance(found, list) else found


def require(parts: Parts, path: KeyPath, name: str, known: Collection[str], kind: str) -> bool:
    if name in known:
        return True
    names = sorted(known)
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    parts.fault(path, f"unknown {kind} {name!r}; known: {shown or 'none'}")
    return False
