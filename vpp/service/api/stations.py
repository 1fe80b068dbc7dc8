"""Dispatch centres over IEC 104: which station listens, which master is here, and what it ordered."""

from __future__ import annotations

from datetime import datetime

from vpp.model.telecontrol import MasterHealth
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.plant import Plant
from vpp.wire import WireModel


class MasterView(WireModel):
    """One master on the list of a station; counted since the station began."""

    host: str
    may_order: bool
    connections: int
    """That stand now; a second one is half-open, or takes over."""
    gets_data: bool
    since: datetime | None
    """When the newest connection was made, or the last one ended; null where there never was one."""
    gone_because: str | None
    """Why the last one ended; null while one stands."""
    orders: int
    refused: int
    ordered_at: datetime | None
    given_way: int
    """Changes of states that it has not been told, for it takes them too slowly."""


class StationView(WireModel):
    """One controlled station."""

    station: str
    host: str
    port: int
    fault: str | None
    """Why it cannot listen; null where it does."""
    points: int
    masters: list[MasterView]


class StationsView(WireModel):
    at: datetime
    stations: list[StationView]


async def list_stations(plant: Plant, call: Call[Nothing, Nothing]) -> StationsView:
    return StationsView(
        at=call.now,
        stations=[
            StationView(
                station=desk.section.id,
                host=desk.section.host,
                port=desk.section.port,
                fault=None if desk.port.listens else desk.fault,
                points=len(desk.section.points),
                masters=[_master(one) for one in desk.port.health()],
            )
            for desk in plant.stations
        ],
    )


def _master(one: MasterHealth) -> MasterView:
    return MasterView(
        host=one.host,
        may_order=one.may_order,
        connections=one.connections,
        gets_data=one.gets_data,
        since=one.since,
        gone_because=one.gone_because,
        orders=one.orders,
        refused=one.refused,
        ordered_at=one.ordered_at,
        given_way=one.given_way,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/stations",
        "Stations for dispatch centres, and how each of their masters does",
        list_stations,
        gives=StationsView,
    ),
)
