"""Load a park file, its market files and its series: all of it valid, or every fault at once.

park.yaml ──▶ Document ──▶ whole schema ───────────┐
                 └──▶ Parts (what is valid) ──▶ checks ──▶ faults, or
   markets/*.yaml ──▶ products ──────┘                      nouns + series ──▶ ParkFile
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vpp.account.settlement import GapRule
from vpp.errors import ConfigError, DataError
from vpp.model.calendar import Calendar
from vpp.model.charging import StationKind
from vpp.model.ids import ProductId, ResourceId
from vpp.model.market import Binding, MarketProduct
from vpp.model.park import Park
from vpp.model.payloads import PayloadMap
from vpp.model.registers import RegisterMap
from vpp.model.resource import Generator, Panels
from vpp.model.resource.series import available_series
from vpp.service.alarms.schema import AlarmsSection
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.demandresponse.checks import platform_rules
from vpp.service.demandresponse.schema import DemandResponseSection
from vpp.service.feeds.schema import AnyFeed
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.iec104.schema import AnyStation
from vpp.service.instructions.schema import InstructionsSection
from vpp.service.links.devicechecks import read_register_maps
from vpp.service.links.deviceschema import ModbusSection
from vpp.service.links.gatewaychecks import read_payload_maps
from vpp.service.links.httpdeviceschema import HttpDevicesSection
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.links.s2schema import S2Section
from vpp.service.links.sparkplugschema import SparkplugSection
from vpp.service.links.telemetryschema import TelemetrySection
from vpp.service.markets.pack import Pack, pack_of
from vpp.service.markets.schema import MarketSection
from vpp.service.ocpp.checks import read_station_kinds
from vpp.service.ocpp.schema import OcppSection
from vpp.service.openadr.schema import AnyUtility
from vpp.service.park.calendars import DaysSection, ParkCalendars, calendars
from vpp.service.park.checks import check
from vpp.service.park.config import (
    ConfigErrors,
    Document,
    Fault,
    KeyPath,
    read_document,
    shipped,
)
from vpp.service.park.fleetfile import with_fleets
from vpp.service.park.nouns import park_noun
from vpp.service.park.parts import Parts, collect
from vpp.service.park.recordschema import RecordSection
from vpp.service.park.schema import (
    ParkSection,
    PlanningSettings,
    SimulatorSettings,
)
from vpp.service.park.series import SeriesReader
from vpp.service.people.schema import PeopleSection
from vpp.service.quotas.schema import AnyQuota
from vpp.service.reports.schema import ReportingSection
from vpp.service.steering.schema import ControlSettings
from vpp.service.strategies.reading import parse_strategies, read_strategies, without_file
from vpp.service.strategies.strategies import Ground, Strategies
from vpp.service.trading.contractschema import ContractSection
from vpp.service.trading.nominationschema import NominationSection
from vpp.service.trading.schema import TradingSection
from vpp.service.trading.waivers import WaiverSection
from vpp.service.venues.schema import AnyVenue, HttpVenueSection, MappingSection
from vpp.service.vtn.schema import VtnSection
from vpp.service.window.schema import RedisSection
from vpp.simulate.spec import Scenario

_PARK: TypeAdapter[ParkSection] = TypeAdapter(ParkSection)
_MAPPING: TypeAdapter[MappingSection] = TypeAdapter(MappingSection)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParkFile:
    """All that a park file says, checked and turned into nouns."""

    park: Park
    calendars: ParkCalendars
    """Which local days are alike in this park, and in each enterprise."""

    products: tuple[MarketProduct, ...]
    """What we can bid."""

    packs: tuple[Pack, ...]
    """All market files, in the file's order, also of products that nothing is bid into yet."""

    waivers: tuple[WaiverSection, ...]
    bindings: Mapping[ProductId, Binding]
    """How offers are made, where the park file says it."""

    curves: Mapping[ProductId, CurveSettings]
    """How curves are made of products that are bid in the mode `expected`."""

    trading: TradingSection
    demand_response: DemandResponseSection
    """How invitations are answered."""

    instructions: InstructionsSection
    """Loads that people turn down by hand."""

    contracts: tuple[ContractSection, ...]
    nominations: tuple[NominationSection, ...]
    gap_rules: tuple[GapRule, ...]
    """What a missing imbalance price settles at, by date."""

    strategies: Strategies
    """What the park is steered for; another takes its place while the service runs."""

    quotas: tuple[AnyQuota, ...]
    carbon_series_id: str | None
    """The live carbon intensity of the grid, in gCO2/kWh; None where there is one figure alone."""

    feeds: tuple[AnyFeed, ...]
    venues: tuple[AnyVenue, ...]
    """Markets that bids are sent to, or whose awards are fetched."""

    mappings: Mapping[str, MappingSection]
    """How each venue that speaks HTTP does so, by its id."""

    modbus: tuple[ModbusSection, ...]
    """Gateways whose devices speak Modbus TCP."""

    register_maps: Mapping[str, RegisterMap]
    """What their devices are read by, as the park file names it."""

    telemetry: TelemetrySection
    mqtt_gateways: tuple[MqttGatewaySection, ...]
    """Gateways that speak MQTT in words of their own."""

    http_devices: HttpDevicesSection
    """Devices that are asked over HTTP, or that call."""

    sparkplug: tuple[SparkplugSection, ...]
    """Edge nodes of Sparkplug B with devices behind them."""

    s2: S2Section | None
    """Devices that speak S2 and connect to us."""

    replays: tuple[ReplaySection, ...]
    """Recordings that are told in place of devices."""

    payload_maps: Mapping[str, PayloadMap]
    """How they speak, as the park file names it."""

    iec104: tuple[AnyStation, ...]
    """Dispatch centres that read and command this park, and devices that we do."""

    ocpp: tuple[OcppSection, ...]
    """Charging stations that connect to us."""

    station_kinds: Mapping[str, StationKind]
    """What they are like, as the park file names it."""
    reporting: ReportingSection
    """Where reports are sent."""
    openadr_vtn: VtnSection | None
    """Our own OpenADR server, whose sites reach devices."""

    openadr: tuple[AnyUtility, ...]
    """Utilities whose programmes this park takes part in."""

    people: PeopleSection
    """Who can be asked, and how each is reached."""

    alarms: AlarmsSection
    """Who is told of what nobody acknowledges."""

    record: RecordSection
    redis: RedisSection | None
    """Where other processes look at us; None where nobody does."""

    folder: Path
    """Where the park file lies: what it names is beside it."""

    forecasts: ForecastsSection
    planning: PlanningSettings
    control: ControlSettings
    simulators: SimulatorSettings
    simulation: Scenario | None
    """None for a live park."""

    digest: str
    """SHA-256 of the park file's bytes."""

    @property
    def most_plan_s(self) -> float:
        """Wall time after which no plan is waited for: its own, and that of the curves made with it."""
        return self.planning.hard_s + sum(curves.seconds for curves in self.curves.values())

    def not_biddable(self, product_id: str) -> str | None:
        """Why nothing may be bid into a product of this park; None where it may.

        Unverified rules keep bids from leaving to a market that is not simulated with the park, so they
        matter where `trading.mode` is live. What stays in the shadow harms nobody.
        """
        pack = next(pack for pack in self.packs if pack.product_id == product_id)
        if (reason := pack.not_built()) is not None or self.trading.mode != "live":
            return reason
        return pack.not_live(self.waivers)

    def in_simulation(self) -> ParkFile:
        """This park with a market that is simulated with it: bids leave, whatever `trading.mode` says.

        Live in simulation; limits, and who may release the kill switch, are as they are.
        """
        return replace(self, trading=self.trading.model_copy(update={"mode": "simulated"}))

    def binding(self, product_id: ProductId) -> Binding:
        """How offers of a product are made."""
        return self.bindings.get(product_id) or Binding(product_id=product_id)

    @property
    def calendar(self) -> Calendar:
        """Which local days are alike in this park."""
        return self.calendars.park

    def calendar_of(self, series_id: str) -> Calendar:
        """The calendar that a series follows: of its resource's enterprise, else of the park."""
        resource = self.park.resource_by_id.get(ResourceId(series_id.partition(".")[2]))
        return self.calendar if resource is None else self.calendars.of(resource.enterprise_id)

    def panels_of(self, series_id: str) -> Panels | None:
        """How the panels stand whose power a series is; None where nobody said, or there are none."""
        for resource in self.park.resources:
            if isinstance(resource, Generator) and available_series(resource) == series_id:
                return resource.panels
        return None


def shipped_park(name: str) -> Path:
    """The file of a park that comes with the package.

    Raises:
        ConfigError: There is none of that name.
    """
    known = sorted(file.stem for file in shipped("parks").glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"no park {name!r} is shipped", where="--park", fix=f"Use one of {known}, or a path"
        )
    return shipped(f"parks/{name}.yaml")


def park_schema() -> dict[str, Any]:
    """JSON Schema of a park file, for editors and for `vpp schema park`."""
    return ParkSection.model_json_schema(by_alias=True)


def venue_mapping_schema() -> dict[str, Any]:
    """JSON Schema of the mapping of a venue."""
    return MappingSection.model_json_schema(by_alias=True)


def market_schema() -> dict[str, Any]:
    """JSON Schema of a market file."""
    return MarketSection.model_json_schema(by_alias=True)


def load_park(source: Path | Traversable, *, strategies: Path | bytes | None = None) -> ParkFile:
    """Read a park file and all that it names.

    `strategies` stands in for the strategy file that it names: another file, or a text.

    Raises:
        ConfigErrors: Every fault found, in the park file first.
    """
    with collector_at_rest():
        return _load(source, strategies)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Collect no garbage meanwhile: what a large park is made of stays, and would be walked again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _load(source: Path | Traversable, strategies: Path | bytes | None) -> ParkFile:
    if not isinstance(source, Path):
        raise ConfigError(
            "lies inside an archive, where files cannot name each other",
            where=str(source),
            fix="Unpack the archive first",
        )
    document = read_document(source)
    if not isinstance(document.tree, dict):
        what = "is no mapping of keys to values"
        raise ConfigErrors([*document.faults, document.fault((), what)])
    document = with_fleets(document, source.parent)
    section = document.parse(_PARK, (), document.tree)
    faults = list(section) if isinstance(section, list) else []
    parts = collect(document, None if isinstance(section, list) else section)
    faults += _read_markets(parts, source.parent)
    faults += _read_mappings(parts, source.parent)
    faults += read_register_maps(parts, source.parent)
    faults += read_payload_maps(parts, source.parent)
    faults += read_station_kinds(parts, source.parent)
    faults += check(parts)
    if isinstance(section, list) or faults or document.faults:
        raise ConfigErrors(_in_order(document, faults))
    return _build(document, section, parts, source.parent, strategies)


def _read_markets(parts: Parts, folder: Path) -> list[Fault]:
    """Put the products of every market file that is named into `parts`; return what fails."""
    faults: list[Fault] = []
    names = parts.document.tree.get("markets")
    for place, name in enumerate(names if isinstance(names, list) else []):
        path: KeyPath = ("markets", place)
        if not isinstance(name, str):
            continue
        try:
            market = read_document(folder / name)
        except ConfigErrors as error:
            faults += [parts.seen_from(path, name, fault) for fault in error.faults]
            continue
        pack = pack_of(market)
        if isinstance(pack, Pack):
            parts.packs.append((path, pack))
        else:
            faults += _in_order(market, pack)
    return faults


def _read_mappings(parts: Parts, folder: Path) -> list[Fault]:
    """Put the mapping of every venue that speaks HTTP into `parts`; return what fails."""
    faults: list[Fault] = []
    for path, venue in parts.venues:
        if not isinstance(venue, HttpVenueSection):
            continue
        if venue.mapping is None:
            parts.mappings[venue.id] = MappingSection()
            continue
        try:
            document = read_document(folder / venue.mapping)
        except ConfigErrors as error:
            where = (*path, "mapping")
            faults += [parts.seen_from(where, venue.mapping, f) for f in error.faults]
            continue
        section = document.parse(_MAPPING, (), document.tree)
        if isinstance(section, MappingSection) and not document.faults:
            parts.mappings[venue.id] = section
        else:
            found = section if isinstance(section, list) else []
            faults += _in_order(document, found)
    return faults


def _strategies(section: ParkSection, ground: Ground, instead: Path | bytes | None) -> Strategies:
    """The strategies that hold, from the file that the park names or what stands in for it."""
    named = section.strategies or "strategies"
    match instead:
        case bytes():
            return parse_strategies(instead, ground, name=named)
        case Path():
            return read_strategies(instead, ground)
        case None if section.strategies is not None:
            return read_strategies(ground.folder / section.strategies, ground)
        case None:
            return without_file(ground)


def _tags(section: ParkSection) -> dict[str, frozenset[str]]:
    """The words that enterprises and resources are spoken of by."""
    tags: dict[str, frozenset[str]] = {}
    for enterprise in section.enterprises:
        tags[enterprise.id] = own = frozenset(enterprise.tags)
        for point in enterprise.connection_points:
            tags |= {resource.id: own | {*resource.tags} for resource in point.resources}
    return tags


def _build(
    document: Document,
    section: ParkSection,
    parts: Parts,
    folder: Path,
    strategies: Path | bytes | None,
) -> ParkFile:
    try:
        park = park_noun(section, tuple(found.resource for found in parts.resources))
    except DataError as error:
        raise ConfigErrors([document.fault((), str(error))]) from error
    scenario = None
    if section.simulation is not None:
        reader = SeriesReader(document, folder, park)
        scenario = reader.scenario(section.simulation)
        if scenario is None:
            raise ConfigErrors(_in_order(document, reader.faults))
    packs = tuple(pack for _, pack in parts.packs)
    own_days = {e.id: e.calendar for e in section.enterprises if e.calendar != DaysSection()}
    all_days = calendars(section.calendar, own_days, park.timezone)
    if scenario is not None and section.simulation is not None:
        rules = platform_rules(section.simulation, packs, park, all_days)
        scenario = replace(scenario, demand_response=rules)
    products = (pack.product(all_days.park) for pack in packs)
    ground = Ground(park=park, calendars=all_days, tags=_tags(section), folder=folder)
    return ParkFile(
        park=park,
        calendars=all_days,
        products=tuple(product for product in products if product is not None),
        packs=packs,
        waivers=tuple(section.waivers),
        bindings={ProductId(bid.product): bid.noun() for bid in section.bids},
        curves={
            ProductId(bid.product): bid.curves or CurveSettings()
            for bid in section.bids
            if bid.mode == "expected"
        },
        trading=section.trading,
        demand_response=section.demand_response,
        instructions=section.instructions,
        contracts=tuple(section.contracts),
        nominations=tuple(section.nominations),
        gap_rules=tuple(
            rule.noun() for pack in packs for rule in pack.section.settlement.gap_rules
        ),
        strategies=_strategies(section, ground, strategies),
        quotas=tuple(section.quotas),
        carbon_series_id=section.carbon.series,
        feeds=tuple(section.feeds),
        venues=tuple(section.venues),
        mappings=parts.mappings,
        modbus=tuple(section.modbus),
        register_maps=parts.register_maps,
        telemetry=section.telemetry,
        mqtt_gateways=tuple(section.mqtt_gateways),
        http_devices=section.http_devices,
        sparkplug=tuple(section.sparkplug),
        s2=section.s2,
        replays=tuple(section.replays),
        payload_maps=parts.payload_maps,
        iec104=tuple(section.iec104),
        ocpp=tuple(section.ocpp),
        station_kinds=parts.station_kinds,
        reporting=section.reporting,
        openadr=tuple(section.openadr),
        people=section.people,
        alarms=section.alarms,
        openadr_vtn=section.openadr_vtn,
        record=section.record,
        redis=section.redis,
        folder=folder,
        forecasts=section.forecasts,
        planning=section.planning,
        control=section.control,
        simulators=section.simulators,
        simulation=scenario,
        digest=document.digest,
    )


def _in_order(document: Document, found: list[Fault]) -> list[Fault]:
    """The document's faults by place, then those of other files.

    A value that is wrong as YAML already is not told a second time for being of a wrong type.
    """
    told = {fault.path for fault in document.faults}
    fresh = [f for f in found if f.file != document.file or f.path not in told]
    unique = dict.fromkeys([*document.faults, *fresh])
    return sorted(unique, key=lambda f: (f.file != document.file, f.file, f.line, f.column))
