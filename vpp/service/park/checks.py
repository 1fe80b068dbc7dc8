"""What joins one place of a park file with another: ids, references, limits, the simulation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from vpp.errors import ConfigError, UnavailableError
from vpp.model.outside import CONTRACTS
from vpp.model.resource import (
    Converter,
    EvFleet,
    InterruptibleLoad,
    Resource,
    Storage,
    ThermalZone,
)
from vpp.model.resource.series import arriving_series, available_series, power_series
from vpp.service.alarms.checks import check_alarms
from vpp.service.demandresponse.checks import check_demand_response
from vpp.service.feeds.schema import HttpFeedSection
from vpp.service.iec104.checks import check_telecontrol
from vpp.service.instructions.checks import check_instructions
from vpp.service.links.carriers import check_carriers
from vpp.service.links.devicechecks import check_gateways
from vpp.service.links.gatewaychecks import check_mapped_gateways
from vpp.service.links.s2checks import check_s2
from vpp.service.links.sparkplugchecks import check_sparkplug
from vpp.service.markets.clearingchecks import check_clearing
from vpp.service.markets.schema import MarketSection
from vpp.service.ocpp.checks import check_charging
from vpp.service.openadr.checks import check_programmes
from vpp.service.park import schema
from vpp.service.park.calendars import CalendarSection, country_days
from vpp.service.park.clusterchecks import check_clusters
from vpp.service.park.config import Fault, KeyPath
from vpp.service.park.networkchecks import check_networks
from vpp.service.park.parts import Parts, require
from vpp.service.park.portchecks import check_ports
from vpp.service.people.checks import check_people
from vpp.service.quotas.peaks import faults_of as peak_faults
from vpp.service.quotas.prices import faults_of
from vpp.service.reports.checks import check_reporting
from vpp.service.secretfiles import read_secret
from vpp.service.steering.checks import check_control
from vpp.service.trading.schema import TradingSection
from vpp.service.venues.checks import check_venues
from vpp.service.vtn.checks import check_vtn
from vpp.service.window.checks import check_window


def check(parts: Parts) -> list[Fault]:
    """Every contradiction between the parts."""
    _check_unique(parts)
    if not parts.known("enterprise"):
        what = "there is none: name one here, or in a fleet's table of points"
        parts.fault(("enterprises",), what)
    _check_references(parts)
    _check_limits(parts)
    check_clusters(parts)
    check_networks(parts)
    _check_units(parts)
    for path, quota in parts.quotas:
        for key, what in faults_of(quota, parts.by_id(), parts.known("resource")):
            parts.fault((*path, key), what)
    paths = [path for path, _ in parts.quotas]
    points = parts.known("connection point")
    for place, key, what in peak_faults([quota for _, quota in parts.quotas], points):
        parts.fault((*paths[place], key), what)
    _check_feeds(parts)
    check_programmes(parts)
    check_venues(parts)
    check_people(parts)
    check_alarms(parts)
    check_window(parts)
    check_carriers(parts)
    check_gateways(parts)
    check_mapped_gateways(parts)
    check_telecontrol(parts)
    check_charging(parts)
    check_reporting(parts)
    check_s2(parts)
    check_sparkplug(parts)
    check_vtn(parts)
    check_ports(parts)
    _check_waivers(parts)
    _check_bids(parts)
    _check_contracts(parts)
    if parts.trading is not None:
        _check_trading(parts, parts.trading)
    check_control(parts)
    check_demand_response(parts)
    check_instructions(parts)
    if parts.calendar is not None:
        _check_country(parts, parts.calendar)
    if parts.simulation is not None:
        _check_simulation(parts, parts.simulation)
        check_clearing(parts, parts.simulation)
    return parts.faults


def _check_country(parts: Parts, calendar: CalendarSection) -> None:
    try:
        country_days(calendar.country, calendar.subdivision)
    except ConfigError as error:
        parts.fault(("calendar", error.where), f"{error.what}: {error.fix}")


def _check_feeds(parts: Parts) -> None:
    """A series comes from one feed, and what it is needed for is traded here."""
    first: dict[str, str] = {}
    products = {pack.section.id for _, pack in parts.packs if pack.not_built() is None}
    for path, feed in parts.feeds:
        for place, series in enumerate(feed.series):
            if series.id in first:
                what = f"series {series.id!r} comes from feed {first[series.id]!r} already"
                parts.fault((*path, "series", place, "id"), what)
            first.setdefault(series.id, feed.id)
        for place, need in enumerate(feed.needed):
            where = (*path, "needed", place, "product")
            require(parts, where, need.product, products, "product")
        if isinstance(feed, HttpFeedSection):
            _check_headers(parts, path, feed)


def _check_headers(parts: Parts, path: KeyPath, feed: HttpFeedSection) -> None:
    """What is to be sent along is there; it is not shown."""
    for name, secret in feed.headers.items():
        try:
            read_secret(secret, Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault((*path, "headers", name), f"{error.where}: {error.what}: {error.fix}")


def _check_waivers(parts: Parts) -> None:
    """A waiver is of the version that is traded, and of what is unverified in it."""
    packs = {pack.section.id: pack for _, pack in parts.packs}
    for path, waiver in parts.waivers:
        if not require(parts, (*path, "product"), waiver.product, packs, "product"):
            continue
        pack = packs[waiver.product]
        if waiver.version != pack.section.version:
            what = f"{waiver.product} is of version {pack.section.version} now: decide again"
            parts.fault((*path, "version"), what)
        for place, name in enumerate(waiver.fields):
            if not any(f"{f.path}.".startswith(f"{name}.") for f in pack.open_fields):
                shown = ", ".join(f.path for f in pack.open_fields) or "nothing"
                what = f"{name} is not unverified in {waiver.product}; unverified: {shown}"
                parts.fault((*path, "fields", place), what)


CURVED_FORMS = ("curve_step", "curve_linear", "segments_mw_price")
"""Of day-ahead markets that take a curve over price scenarios."""


def _check_bids(parts: Parts) -> None:
    """Each product is bound once, and comes from a market file of this park."""
    known = {pack.section.id: pack.section for _, pack in parts.packs}
    bound: set[str] = set()
    for path, bid in parts.bids:
        require(parts, (*path, "product"), bid.product, known, "product")
        if bid.product in bound:
            parts.fault((*path, "product"), f"{bid.product} is bound already")
        bound.add(bid.product)
        if bid.curves is not None and bid.mode != "expected":
            parts.fault((*path, "curves"), "curves are of the mode expected")
        section = known.get(bid.product)
        if section is None or bid.mode != "expected":
            continue
        offer = section.offer
        if section.kind != "energy_da" or offer.form not in CURVED_FORMS:
            what = f"{bid.product} is of kind {section.kind}, form {offer.form}: expected needs"
            parts.fault((*path, "mode"), f"{what} energy_da, {' or '.join(CURVED_FORMS)}")
        elif not offer.per_interval:
            what = f"prices of {bid.product} hold for a whole day: expected needs a curve for each interval"
            parts.fault((*path, "mode"), what)


def _check_contracts(parts: Parts) -> None:
    """Contracts and nominations are of bidding units, and no product is called as contracts are counted."""
    units = parts.known("unit")
    for path, contract in parts.contracts:
        if contract.unit is not None:
            require(parts, (*path, "unit"), contract.unit, units, "unit")
        elif not units:
            parts.fault(path, "there is no bidding unit that could hold it")
    nominated: set[str] = set()
    for path, nomination in parts.nominations:
        require(parts, (*path, "unit"), nomination.unit, units, "unit")
        if nomination.unit in nominated:
            parts.fault((*path, "unit"), f"{nomination.unit} is nominated already")
        nominated.add(nomination.unit)
    for path, pack in parts.packs:
        if pack.section.id == CONTRACTS:
            parts.fault(path, f"{CONTRACTS!r} is what contracts are counted under: use another id")


def _check_trading(parts: Parts, trading: TradingSection) -> None:
    """Nobody trades *simulated* with a market that is not; limits are of members that exist."""
    if trading.mode == "simulated" and parts.document.tree.get("simulation") is None:
        parts.fault(("trading", "mode"), "is simulated, and there is no simulation: shadow or live")
    known = parts.known("enterprise")
    for name in trading.limits.enterprises:
        where: KeyPath = ("trading", "limits", "enterprises", name)
        require(parts, where, name, known, "enterprise")


def _check_unique(parts: Parts) -> None:
    for kind, ids in parts.ids.items():
        if kind == "resource":
            continue  # unique among the devices, where the meters are too
        first: dict[str, KeyPath] = {}
        for path, name in ids:
            if name in first:
                there = parts.document.fault(first[name], "")
                of = "" if there.file == parts.document.file else f" of {there.file}"
                parts.fault(path, f"{kind} id {name!r} stands in line {there.line}{of} too")
            first.setdefault(name, path)
    seen: dict[str, KeyPath] = {}
    for path, section in ((path, pack.section) for path, pack in parts.packs):
        if section.id in seen:
            parts.fault(path, f"product {section.id!r} comes from another market file too")
        seen[section.id] = path


def _check_references(parts: Parts) -> None:
    tariffs, feeders = parts.known("tariff"), parts.known("feeder")
    for path, point in parts.points:
        require(parts, (*path, "tariff"), point.tariff, tariffs, "tariff")
        for tariff in (noun for _, noun in parts.tariffs if noun.tariff_id == point.tariff):
            for name in tariff.demand.needs:
                if getattr(point, name) is None:
                    parts.fault(path, f"tariff {point.tariff!r} bills by {name}: give {name}")
        if point.feeder is not None:
            require(parts, (*path, "feeder"), point.feeder, feeders, "feeder")
    for path, section in ((path, pack.section) for path, pack in parts.packs):
        if parts.currency is not None and section.currency != parts.currency:
            parts.fault(path, f"settles in {section.currency}, the park in {parts.currency}")


def _check_limits(parts: Parts) -> None:
    """A device larger than its connection point can never do what it says."""
    for path, point in parts.points:
        if point.period_to_date_peak_kw > point.import_kw:
            what = f"{point.period_to_date_peak_kw:g} kW above import_kw {point.import_kw:g}"
            parts.fault((*path, "period_to_date_peak_kw"), what)
    names = parts.known("resource")
    for found in parts.resources:
        behind, resource = found.point, found.resource
        name = resource.resource_id
        if resource.node_id is not None or (
            isinstance(resource, Converter) and not resource.electric
        ):
            behind = None  # its power is of another carrier
        if behind is not None and resource.draw_kw > behind.import_kw:
            what = f"{name} draws up to {resource.draw_kw:g} kW behind a limit of {behind.import_kw:g} kW"
            parts.fault(found.path, what)
        if behind is not None and resource.feed_kw > behind.export_kw:
            what = f"{name} feeds up to {resource.feed_kw:g} kW behind a limit of {behind.export_kw:g} kW"
            parts.fault(found.path, what)
        if isinstance(resource, EvFleet) and resource.charger_kw > resource.max_draw_kw:
            what = f"{resource.charger_kw:g} kW for one car, {resource.max_draw_kw:g} kW for all"
            parts.fault((*found.path, "charger_kw"), what)
        if (cluster := getattr(resource, "forecast_as", None)) in names:
            what = f"{cluster} is the id of a resource, which has a course of its own"
            parts.fault((*found.path, "forecast_as"), what)
        if isinstance(resource, InterruptibleLoad):
            _check_calls(parts, found.path, resource)


def _check_calls(parts: Parts, path: KeyPath, load: InterruptibleLoad) -> None:
    for place, hour in enumerate(load.callable_hours):
        begins = hour * 60
        ends = begins + load.call_length / timedelta(minutes=1)
        opened = load.operating_from.hour * 60 + load.operating_from.minute
        closed = load.operating_to.hour * 60 + load.operating_to.minute
        if not opened <= begins or not ends <= closed + (load.operating_to.minute == 59):
            what = (
                f"a call at {hour}:00 does not lie within the operating hours"
                f" {load.operating_from:%H:%M} to {load.operating_to:%H:%M}"
            )
            parts.fault((*path, "callable_hours", place), what)


def _check_units(parts: Parts) -> None:
    resources, enterprises = parts.known("resource"), parts.known("enterprise")
    for path, unit in parts.units:
        products = {section.id: section for section in parts.markets}
        for place, name in enumerate(unit.products):
            if not require(parts, (*path, "products", place), name, products, "product"):
                continue
            _check_trade(parts, (*path, "products", place), unit, products[name])
        if isinstance(unit.resources, list):
            for place, name in enumerate(unit.resources):
                require(parts, (*path, "resources", place), name, resources, "resource")
        for name in unit.trading_share:
            where = (*path, "trading_share", name)
            require(parts, where, name, enterprises, "enterprise")
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
    if product.zone not in (None, unit.zone):
        parts.fault(path, f"{product.id} is traded in {product.zone}, the unit is in {unit.zone}")
    day = unit.trades_from.date()
    if day < product.valid_from or (product.valid_to is not None and day >= product.valid_to):
        until = f" to {product.valid_to}" if product.valid_to else ""
        parts.fault(path, f"its rules hold from {product.valid_from}{until}, not on {day}")


def _check_exclusive(parts: Parts) -> None:
    """A resource is in at most one unit per exclusivity group."""
    groups = {section.id: section.exclusivity_group for section in parts.markets}
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
    _check_courses(parts, (*root, "loads", "courses"), loads, power_series)
    _check_courses(parts, (*root, "generation", "courses"), feeds, available_series)
    _check_courses(parts, (*root, "cars", "fleets"), fleets, arriving_series)
    outdoor = {series.id for series in simulation.outdoor.series}
    for found in parts.resources:
        resource = found.resource
        if isinstance(resource, ThermalZone):
            where = (*found.path, "outdoor_series_id")
            require(parts, where, resource.outdoor_series_id, outdoor, "outdoor series")
        if isinstance(resource, Storage) and resource.resource_id not in simulation.opening.soc:
            parts.fault((*root, "opening", "soc"), f"{resource.resource_id} is missing")
    known = parts.known("resource")
    for name, soc in simulation.opening.soc.items():
        where = (*root, "opening", "soc", name)
        store = kinds.get(name)
        if not require(parts, where, name, known, "resource") or store is None:
            continue
        if not isinstance(store, Storage):
            parts.fault(where, f"{name} is no storage")
        elif soc < store.min_soc:
            parts.fault(where, f"{soc:g} is below min_soc {store.min_soc:g}")
    for name in simulation.opening.degc:
        where = (*root, "opening", "degc", name)
        require(parts, where, name, known, "resource")


def _check_courses(
    parts: Parts,
    path: KeyPath,
    named: list[str],
    series_of: Callable[[Resource], str | None],
) -> None:
    first: set[str] = set()
    every, known = parts.by_id(), parts.known("resource")
    for place, name in enumerate(named):
        where = (*path, place, "resource")
        if not require(parts, where, name, known, "resource"):
            continue
        resource = every.get(name)
        if resource is not None and series_of(resource) is None:
            parts.fault(where, f"{name} is a {type(resource).__name__}, which has no such course")
        if name in first:
            parts.fault(where, f"{name} has a course already")
        first.add(name)
    for found in parts.resources:
        if series_of(found.resource) is not None and found.resource.resource_id not in first:
            parts.fault(path, f"{found.resource.resource_id} is missing")
