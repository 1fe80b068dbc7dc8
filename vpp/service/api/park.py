"""The park and its resources, as built and as they stand."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading
from vpp.model.park import BiddingUnit, ConnectionPoint, Limits
from vpp.model.resource import Resource
from vpp.sense.state import state_of
from vpp.service.api.paging import PageQuery, enterprises_of, page_of, points_of
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import (
    ConnectionPointView,
    EnterpriseView,
    FeederView,
    LimitsView,
    ParkView,
    ResourcesView,
    ResourceView,
    SetpointView,
    TraceView,
    UnitView,
)
from vpp.service.links.watch import broker
from vpp.service.park.numbers import finite
from vpp.service.plant import Plant, TracePoint
from vpp.wire import Moment

METER_MAX_AGE = timedelta(minutes=3)
"""A main meter that was silent for longer shows no power."""


class ParkQuery(PageQuery):
    trace_after: Moment | None = None
    """Only control cycles after this moment; all that are kept, where left out."""


async def show_park(plant: Plant, call: Call[ParkQuery, Nothing]) -> ParkView:
    park, trace = plant.file.park, plant.trace
    places, behind = page_of(plant, call.query)
    broker_connected, broker_since = broker(plant)
    return ParkView(
        park_id=park.park_id,
        name=park.name,
        timezone=park.timezone.key,
        currency=park.currency,
        now=call.now,
        limits=limits_view(park.limits),
        feeders=[
            FeederView(feeder_id=f.feeder_id, limits=limits_view(f.limits)) for f in park.feeders
        ],
        enterprises=_enterprises(plant, places, call.now),
        units=[_unit(unit) for unit in park.bidding_units],
        power_kw=finite(trace[-1].park_kw) if trace else None,
        money_so_far=plant.money,
        safe_state=plant.safe_state.value,
        safe_state_reason=plant.safe_state_reason,
        kill_reason=plant.kill.reason,
        broker_connected=broker_connected,
        broker_since=broker_since,
        telemetry_accepted=plant.intake.accepted,
        telemetry_refused=sum(plant.intake.refused.values()),
        telemetry_lost=plant.intake.lost,
        trace=trace_view(_after(trace, call.query.trace_after)),
        next=behind,
    )


async def list_resources(plant: Plant, call: Call[PageQuery, Nothing]) -> ResourcesView:
    places, behind = page_of(plant, call.query)
    page, newest = plant.file.park.resources[places.start : places.stop], plant.intake.newest
    states = [state_of(one, newest.get(one.resource_id), call.now) for one in page]
    return ResourcesView(
        now=call.now,
        resources=[
            resource_view(
                plant,
                resource,
                state if isinstance(state, Reading) else None,
                "" if isinstance(state, Reading) else state.reason,
                call.now,
            )
            for resource, state in zip(page, states, strict=True)
        ],
        next=behind,
    )


def resource_view(
    plant: Plant, resource: Resource, known: Reading | None, reason: str, now: datetime
) -> ResourceView:
    """A resource as it stands: `known` is what is gone by, else `reason` says why nobody can speak for it."""
    name = resource.resource_id
    newest = plant.intake.newest.get(name)
    tested = plant.tested.get(name)
    planned_kw = plant.schedule.planned_kw(name, now) if plant.schedule else None
    return ResourceView(
        resource_id=name,
        kind=type(resource).__name__,
        enterprise_id=resource.enterprise_id,
        connection_point_id=resource.connection_point_id,
        node_id=resource.node_id,
        max_draw_kw=resource.draw_kw,
        max_feed_kw=resource.feed_kw,
        known=known is not None,
        reason=reason,
        measured_at=newest.measured_at if newest else None,
        age_s=(now - newest.measured_at).total_seconds() if newest else None,
        power_kw=known.power_kw if known else None,
        raw_power_kw=newest.raw_power_kw if newest else None,
        soc=known.soc if known else None,
        temperature_degc=known.temperature_degc if known else None,
        available_kw=known.available_kw if known else None,
        tested_kw=tested.tested_kw if tested else None,
        tested_up_kw=tested.up_kw if tested else None,
        tested_down_kw=tested.down_kw if tested else None,
        tested_at=tested.at if tested else None,
        phase=known.phase.value if known and known.phase else None,
        cars=len(known.sessions) if known and known.sessions is not None else None,
        setpoint_taken=newest.setpoint_seq if newest else None,
        planned_kw=finite(planned_kw),
        setpoint=_setpoint(plant, resource, now),
    )


def _setpoint(plant: Plant, resource: Resource, now: datetime) -> SetpointView | None:
    newest = plant.setpoints.get(resource.resource_id)
    if newest is None:
        return None
    return SetpointView(
        power_kw=newest.power_kw,
        seq=newest.seq,
        issued_at=newest.issued_at,
        expires_at=newest.expires_at,
        in_force=newest.issued_at <= now < newest.expires_at,
        serves=newest.serves,
    )


def _after(trace: deque[TracePoint], after: datetime | None) -> list[TracePoint]:
    if after is None:
        return list(trace)
    fresh = 0
    for point in reversed(trace):
        if point.at <= after:
            break
        fresh += 1
    return list(islice(trace, len(trace) - fresh, None))


def trace_view(points: list[TracePoint]) -> TraceView:
    return TraceView(
        at=[p.at for p in points],
        park_kw=[finite(p.park_kw) for p in points],
        planned_kw=[finite(p.planned_kw) for p in points],
        owed_kw=[finite(p.owed_kw) for p in points],
        spot_per_mwh=[finite(p.spot_per_mwh) for p in points],
        stored_kwh=[finite(p.stored_kwh) for p in points],
        capacity_kwh=[finite(p.capacity_kwh) for p in points],
        money=[finite(p.money) for p in points],
    )


def _enterprises(plant: Plant, places: range, now: datetime) -> list[EnterpriseView]:
    """Whose the resources of a page are, and what the main meters before them say now."""
    park = plant.file.park
    points = points_of(park, places)
    views: dict[str, list[ConnectionPointView]] = defaultdict(list)
    for at, names in points.items():
        point = park.connection_points[at]
        views[point.enterprise_id].append(point_view(plant, point, names, now))
    owners = [park.enterprises[at] for at in enterprises_of(park, places, points)]
    return [
        EnterpriseView(
            enterprise_id=one.enterprise_id,
            name=one.name,
            connection_points=views[one.enterprise_id],
        )
        for one in owners
    ]


def point_view(
    plant: Plant, point: ConnectionPoint, behind: Iterable[ResourceId], now: datetime
) -> ConnectionPointView:
    """A connection point, what its main meter says now, and the resources `behind` it that are to be named."""
    return ConnectionPointView(
        connection_point_id=point.connection_point_id,
        feeder_id=point.feeder_id,
        limits=limits_view(point.limits),
        meter_id=point.meter_id,
        tariff_id=point.tariff_id,
        power_kw=heard_kw(plant, point, now),
        resource_ids=list(behind),
    )


def heard_kw(plant: Plant, point: ConnectionPoint, now: datetime) -> float | None:
    """What a connection point's main meter says; None where it was silent for too long."""
    meter = plant.intake.newest_meter.get(point.meter_id)
    heard = meter is not None and now - meter.measured_at <= METER_MAX_AGE
    return finite(meter.power_kw) if meter is not None and heard else None


def _unit(unit: BiddingUnit) -> UnitView:
    return UnitView(
        unit_id=unit.unit_id,
        zone=unit.zone,
        product_ids=list(unit.product_ids),
        connected_kw=unit.connected_kw,
        declared_kw=unit.declared_kw,
        tested_kw=unit.tested_kw,
        trades_from=unit.trades_from,
    )


def limits_view(limits: Limits) -> LimitsView:
    return LimitsView(import_kw=finite(limits.import_kw), export_kw=finite(limits.export_kw))


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/park",
        "The park: structure, resources a page at a time, limits, current power, safe state, money so far",
        show_park,
        gives=ParkView,
        query=ParkQuery,
        codes=("unknown_resource",),
    ),
    reading(
        "/v1/resources",
        "Resources, a page at a time: state, plan, the set-point in force",
        list_resources,
        query=PageQuery,
        gives=ResourcesView,
        codes=("unknown_resource",),
    ),
)
