"""What joins the `ocpp` section of a park file with its EV fleets, kinds of stations and passwords."""

from __future__ import annotations

from pathlib import Path

from vpp.errors import UnavailableError
from vpp.model.resource import EvFleet
from vpp.service.ocpp.kinds import load_kind, shipped_kinds
from vpp.service.ocpp.schema import CarParkSection, OcppSection
from vpp.service.park.config import ConfigErrors, Fault, KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.secretfiles import read_secret
from vpp.service.security import is_loopback


def read_station_kinds(parts: Parts, folder: Path) -> list[Fault]:
    """Put every kind of station that is named into `parts`; return what fails, each file once."""
    faults: list[Fault] = []
    tried: set[str] = set()
    for where, name in _named(parts):
        if name in tried:
            continue
        tried.add(name)
        if not name.endswith(".yaml") and name not in shipped_kinds():
            shown = ", ".join(shipped_kinds())
            what = f"unknown kind of station {name!r}; shipped: {shown}; or give a file in .yaml"
            faults.append(parts.document.fault(where, what))
            continue
        try:
            parts.station_kinds[name] = load_kind(name, folder)
        except ConfigErrors as error:
            faults += [parts.seen_from(where, name, fault) for fault in error.faults]
    return faults


def _named(parts: Parts) -> list[tuple[KeyPath, str]]:
    found: list[tuple[KeyPath, str]] = []
    for path, central in parts.ocpp:
        for place, park in enumerate(central.car_parks):
            where = (*path, "car_parks", place)
            found.append(((*where, "kind"), park.kind))
            found += [
                ((*where, "stations", at, "kind"), station.kind)
                for at, station in enumerate(park.stations)
                if station.kind is not None
            ]
    return found


def check_charging(parts: Parts) -> None:
    """Each car park is an EV fleet of the park, each station is given once."""
    ports: dict[int, str] = {}
    for path, central in parts.ocpp:
        other = ports.setdefault(central.listen.port, central.id)
        if other != central.id:
            parts.fault((*path, "listen", "port"), f"{other!r} listens there already")
        seen: dict[str, KeyPath] = {}
        for place, park in enumerate(central.car_parks):
            where = (*path, "car_parks", place)
            _check_fleet(parts, where, park)
            _check_stations(parts, where, central, park, seen)


MOST_POINTS = 90
"""Of one car park: all its cars stand in one message inward, which has a size."""


def _check_fleet(parts: Parts, where: KeyPath, park: CarParkSection) -> None:
    if not require(parts, (*where, "resource"), park.resource, parts.known("resource"), "resource"):
        return
    fleet = parts.by_id().get(park.resource)
    if fleet is None:
        return  # faulty by itself
    if not isinstance(fleet, EvFleet):
        parts.fault((*where, "resource"), "is no ev_fleet: charging stations are one")
        return
    kinds = [parts.station_kinds.get(station.kind or park.kind) for station in park.stations]
    if (points := sum(kind.points for kind in kinds if kind is not None)) > MOST_POINTS:
        what = f"{points} points are more than {MOST_POINTS}: make several fleets of them"
        parts.fault((*where, "stations"), what)
    for place, kind in enumerate(kinds):
        if kind is not None and kind.max_kw > fleet.charger_kw + 0.5:
            what = f"gives {kind.max_kw:g} kW, and the fleet's charger_kw is {fleet.charger_kw:g}"
            parts.fault((*where, "stations", place), what)


def _check_stations(
    parts: Parts,
    where: KeyPath,
    central: OcppSection,
    park: CarParkSection,
    seen: dict[str, KeyPath],
) -> None:
    """Names are given once, and passwords are there; they are not shown."""
    for place, station in enumerate(park.stations):
        path: KeyPath = (*where, "stations", place)
        if station.id in seen:
            parts.fault((*path, "id"), f"station {station.id!r} stands here a second time")
        seen[station.id] = path
        if station.password is None:
            if not is_loopback(central.listen.host):
                parts.fault(path, "has no password, and this listens beyond loopback")
            continue
        try:
            read_secret(station.password, Path(parts.document.file).parent)
        except UnavailableError as error:
            parts.fault((*path, "password"), f"{error.where}: {error.what}: {error.fix}")
    cards = [driver.card for driver in park.drivers]
    for place, card in enumerate(cards):
        if card in cards[:place]:
            parts.fault((*where, "drivers", place, "card"), "this card stands here a second time")
