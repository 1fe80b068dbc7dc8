"""How charging stations do, in words and as people see them."""

from __future__ import annotations

from datetime import datetime

from adapters.ocpp_station import Point, Station
from vpp.model.charging import PointShown, StationShown
from vpp.model.ids import ResourceId


def ill(station: Station, now: datetime) -> str:
    """What is wrong with a station; empty while all is well."""
    if station.fault:
        return f"{station.name}: {station.fault}"
    if not station.connected:
        return f"{station.name}: {'is away' if station.heard else 'never came'}"
    if station.is_put_off(now):
        return f"{station.name}: boots too often"
    for point in station.points:
        if (why := _point_ill(point, now)) != "":
            return f"{station.name}/{point.number}: {why}"
    return ""


def _point_ill(point: Point, now: datetime) -> str:
    if point.stray:
        return "does not keep its limit"
    if point.alone_until is not None and now < point.alone_until:
        return point.why
    return point.error


def shown(station: Station, resource_id: ResourceId, now: datetime) -> StationShown:
    """A station as people see it."""
    return StationShown(
        station_id=station.name,
        resource_id=resource_id,
        connected=station.connected,
        since=station.since,
        protocol=station.subprotocol,
        made_by=station.made_by,
        connections=station.connections,
        refused=station.refused,
        fault=ill(station, now),
        points=tuple(_point(point, now) for point in station.points),
    )


def _point(point: Point, now: datetime) -> PointShown:
    stay = point.stay
    return PointShown(
        number=point.number,
        plug=str(point.plug),
        power_kw=point.power_kw,
        limit_kw=None if point.limit is None else point.limit_kw,
        session=None if stay is None else stay.transaction,
        wanted_kwh=None if stay is None else stay.left_kwh(point.plug),
        departs_at=None if stay is None else stay.leaves_at(now),
        fault=_point_ill(point, now),
    )
