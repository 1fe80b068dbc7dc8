"""What joins the `iec104` section of a park file with its devices, places and products."""

from __future__ import annotations

from collections.abc import Iterable

from vpp.service.iec104.schema import (
    ActivationSection,
    ClientSection,
    DeviceSection,
    LimitSection,
    StationSection,
)
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require

REGISTERS = ("import_wh", "export_wh")


def check_telecontrol(parts: Parts) -> None:
    """Addresses are given once, and what they name is of the park."""
    bound: dict[tuple[str, int], str] = {}
    for path, one in parts.iec104:
        other = bound.setdefault((one.host, one.port), one.id)
        if other != one.id:
            parts.fault((*path, "host"), f"{one.host}:{one.port} is {other!r} already")
        if isinstance(one, StationSection):
            _check_station(parts, path, one)
        else:
            _check_client(parts, path, one)


def _check_station(parts: Parts, path: KeyPath, station: StationSection) -> None:
    hosts = [master.host for master in station.masters]
    _check_once(parts, (*path, "masters"), hosts, "host")
    written = [order.ioa for order in station.orders]
    shown = [point.ioa for point in station.points]
    _check_once(parts, (*path, "points"), shown, "ioa")
    _check_once(parts, (*path, "orders"), written, "ioa", before=set(shown))
    if station.orders and not any(master.may_order for master in station.masters):
        parts.fault((*path, "masters"), "orders are taken, and no master may order")
    for place, point in enumerate(station.points):
        where = (*path, "points", place)
        if point.resource is not None:
            known = parts.known("resource")
            require(parts, (*where, "resource"), point.resource, known, "resource")
        if point.order is not None and point.order not in written:
            parts.fault((*where, "order"), f"nothing is written at {point.order}")
        if point.is_state and point.dead_band:
            parts.fault((*where, "dead_band"), "a state has no dead band: every change is told")
    for place, order in enumerate(station.orders):
        _check_order(parts, (*path, "orders", place), order)


def _check_order(parts: Parts, path: KeyPath, order: LimitSection | ActivationSection) -> None:
    match order:
        case LimitSection():
            kinds = ("feeder", "enterprise", "connection point")
            places = {str(parts.document.tree.get("park"))}.union(*map(parts.known, kinds))
            require(parts, (*path, "place"), order.place, places, "place")
        case ActivationSection():
            products = {str(pack.product_id) for _, pack in parts.packs}
            require(parts, (*path, "product"), order.product, products, "product")
            if order.unit is not None:
                require(parts, (*path, "unit"), order.unit, parts.known("unit"), "unit")
            if order.hold_minutes % 15:
                parts.fault((*path, "hold_minutes"), "a call lasts whole quarter-hours")


def _check_client(parts: Parts, path: KeyPath, client: ClientSection) -> None:
    read: list[int] = []
    for place, device in enumerate(client.devices):
        where = (*path, "devices", place)
        if require(parts, (*where, "resource"), device.resource, parts.known("device"), "device"):
            _check_device(parts, where, device)
        read += [point.ioa for point in device.points.values()]
        if device.setpoint is not None and device.setpoint.reads_at is not None:
            read.append(device.setpoint.reads_at)
    _check_once(parts, (*path, "devices"), read, None)


def _check_device(parts: Parts, where: KeyPath, device: DeviceSection) -> None:
    if device.resource in parts.known("resource"):
        return
    if device.setpoint is not None:
        parts.fault((*where, "setpoint"), "a main meter takes no set-points")
    for name in REGISTERS:
        if name not in device.points:
            parts.fault((*where, "points"), f"a main meter tells {name} too")


def _check_once(
    parts: Parts,
    path: KeyPath,
    found: Iterable[int | str],
    key: str | None,
    *,
    before: set[int] | None = None,
) -> None:
    """Say which of `found` stands there twice, each at its own row where `key` names the field."""
    seen: set[int | str] = set(before or ())
    for place, one in enumerate(found):
        if one in seen:
            where = path if key is None else (*path, place, key)
            parts.fault(where, f"{one} is given twice")
        seen.add(one)
