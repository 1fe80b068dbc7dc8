"""Charging stations over OCPP: which is here, what stands at each point, and what it was asked for."""

from __future__ import annotations

from datetime import datetime

from vpp.model.charging import PointShown, StationShown
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.plant import Plant
from vpp.wire import WireModel


class ChargingPointView(WireModel):
    """One point of a charging station. Powers are draw, as stations count."""

    number: int
    plug: str
    """free, occupied, charging, suspended_ev, suspended_evse or out_of_order."""
    draw_kw: float
    limit_kw: float | None
    """That the station has confirmed; null where no limit of ours is in force."""
    session: str | None
    """The transaction; null where nobody charges."""
    wanted_kwh: float | None
    departs_at: datetime | None
    fault: str
    """Why it cannot be steered; empty where all is well."""


class ChargerView(WireModel):
    """One charging station of the park file."""

    station: str
    link: str
    resource: str
    connected: bool
    since: datetime | None
    """When that last changed; null where it never came."""
    protocol: str
    """ocpp1.6 or ocpp2.0.1, as it spoke last."""
    made_by: str
    """Maker, model and firmware, as it said when it booted."""
    connections: int
    refused: int
    """Messages of it that could not be read."""
    fault: str
    points: list[ChargingPointView]


class ChargersView(WireModel):
    at: datetime
    chargers: list[ChargerView]


async def list_chargers(plant: Plant, call: Call[Nothing, Nothing]) -> ChargersView:
    return ChargersView(
        at=call.now,
        chargers=[
            _charger(desk.section.id, one) for desk in plant.chargers for one in desk.port.shown()
        ],
    )


def _charger(link: str, one: StationShown) -> ChargerView:
    return ChargerView(
        station=one.station_id,
        link=link,
        resource=one.resource_id,
        connected=one.connected,
        since=one.since,
        protocol=one.protocol,
        made_by=one.made_by,
        connections=one.connections,
        refused=one.refused,
        fault=one.fault,
        points=[_point(point) for point in one.points],
    )


def _point(one: PointShown) -> ChargingPointView:
    return ChargingPointView(
        number=one.number,
        plug=one.plug,
        draw_kw=one.power_kw,
        limit_kw=one.limit_kw,
        session=one.session,
        wanted_kwh=one.wanted_kwh,
        departs_at=one.departs_at,
        fault=one.fault,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/chargers", "Each charging station, and who charges", list_chargers, gives=ChargersView
    ),
)
