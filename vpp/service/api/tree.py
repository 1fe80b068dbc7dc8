"""The park as a tree: how it is built, once and page by page; what flows, again and again, for those in sight only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vpp.act.health import Fault
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, ResourceState, Unknown
from vpp.model.park import ConnectionPoint, Park
from vpp.model.resource import Resource, Storage
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.sense.state import state_of
from vpp.service.api.control import steering_view
from vpp.service.api.pageviews import (
    FlowView,
    ResourceAheadView,
    ResourceFlowView,
    ResourcePageView,
    TelemetryView,
    TreeEnterprise,
    TreeFlowsView,
    TreePoint,
    TreeResources,
    TreeView,
)
from vpp.service.api.paging import PageQuery, enterprises_of, page_of, points_of
from vpp.service.api.park import heard_kw, limits_view, resource_view
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import FeederView
from vpp.service.park.numbers import finite, listed
from vpp.service.plant import Plant
from vpp.wire import WireModel

MOST_IN_SIGHT = 200
"""Rows that one screen shows, with some to spare."""

LOOK_BACK = timedelta(hours=6)
MOMENTS = 300


Places = Annotated[str, Field(pattern=r"^(\d{1,6}(,\d{1,6})*)?$", max_length=1400)]
"""Numbers with commas between."""


class FlowsQuery(WireModel):
    at: Places = ""
    """Places of resources in the park, with commas between: at most 200."""
    points: Places = ""
    """The same of connection points."""
    enterprises: Places = ""
    """The same of enterprises."""


async def show_tree(plant: Plant, call: Call[PageQuery, Nothing]) -> TreeView:
    park = plant.file.park
    places, behind = page_of(plant, call.query)
    page = park.resources[places.start : places.stop]
    kinds = sorted({type(r).__name__ for r in page})
    kind = {name: place for place, name in enumerate(kinds)}
    points = points_of(park, places)
    return TreeView(
        limits=limits_view(park.limits),
        feeders=[
            FeederView(feeder_id=f.feeder_id, limits=limits_view(f.limits)) for f in park.feeders
        ],
        enterprises=[_named(park, at) for at in enterprises_of(park, places, points)],
        kinds=kinds,
        points=[_point(park, at) for at in points],
        resources=TreeResources(
            resource_id=[r.resource_id for r in page],
            kind=[kind[type(r).__name__] for r in page],
            point=[park.row_of_point[r.connection_point_id] for r in page],
            max_draw_kw=[finite(r.draw_kw) for r in page],
            max_feed_kw=[finite(r.feed_kw) for r in page],
        ),
        first=places.start,
        in_park=len(park.resources),
        next=behind,
    )


def _named(park: Park, at: int) -> TreeEnterprise:
    one = park.enterprises[at]
    return TreeEnterprise(place=at, enterprise_id=one.enterprise_id, name=one.name)


def _point(park: Park, at: int) -> TreePoint:
    one = park.connection_points[at]
    return TreePoint(
        place=at,
        connection_point_id=one.connection_point_id,
        enterprise=park.row_of_enterprise[one.enterprise_id],
        feeder_id=one.feeder_id,
        limits=limits_view(one.limits),
        meter_id=one.meter_id,
    )


async def show_flows(plant: Plant, call: Call[FlowsQuery, Nothing]) -> TreeFlowsView:
    park, now, query = plant.file.park, call.now, call.query
    resources = _places("at", query.at, len(park.resources))
    points = _places("points", query.points, len(park.connection_points))
    enterprises = _places("enterprises", query.enterprises, len(park.enterprises))
    schedule, step = plant.schedule, _step(plant, now)
    owned = [park.points_of_enterprise[park.enterprises[at].enterprise_id] for at in enterprises]
    return TreeFlowsView(
        now=now,
        power_kw=_sum(heard_kw(plant, p, now) for p in park.connection_points),
        planned_kw=None
        if step is None or schedule is None
        else finite(float(schedule.net_kw[step])),
        feeders=[
            _sum(heard_kw(plant, p, now) for p in park.points_of_feeder[f.feeder_id])
            for f in park.feeders
        ],
        enterprises=[
            _flow(plant, at, own, step, now) for at, own in zip(enterprises, owned, strict=True)
        ],
        points=[_flow(plant, at, (park.connection_points[at],), step, now) for at in points],
        resources=[_resource(plant, at, step, now) for at in resources],
    )


def _places(key: str, said: str, there: int) -> list[int]:
    """Places that a query names.

    Raises:
        HttpRefusal: `invalid_query`: too many, or one that the park does not have.
    """
    places = [int(place) for place in said.split(",") if place]
    if len(places) > MOST_IN_SIGHT or any(place >= there for place in places):
        raise HttpRefusal(
            f"at most {MOST_IN_SIGHT} places, each below {there}",
            code="invalid_query",
            where=f"query.{key}",
            fix="Ask for what is in sight",
        )
    return places


def _step(plant: Plant, now: datetime) -> int | None:
    """The step of the newest plan that runs; None where there is none."""
    if plant.schedule is None or now not in plant.schedule.horizon.span:
        return None
    return plant.schedule.horizon.index(now)


def _flow(
    plant: Plant, at: int, points: Sequence[ConnectionPoint], step: int | None, now: datetime
) -> FlowView:
    """What flows at these connection points together; `at` is the place of whose they are."""
    ages_s = [_age_s(plant, point, now) for point in points]
    known_s = [age_s for age_s in ages_s if age_s is not None]
    return FlowView(
        place=at,
        power_kw=_sum(heard_kw(plant, point, now) for point in points),
        age_s=max(known_s) if known_s and len(known_s) == len(points) else None,
        planned_kw=_sum(_planned_kw(plant.schedule, point, step) for point in points),
    )


def _age_s(plant: Plant, point: ConnectionPoint, now: datetime) -> float | None:
    meter = plant.intake.newest_meter.get(point.meter_id)
    return None if meter is None else (now - meter.measured_at).total_seconds()


def _planned_kw(
    schedule: Schedule | None, point: ConnectionPoint, step: int | None
) -> float | None:
    if schedule is None or step is None:
        return None
    planned = schedule.connection_point_kw.get(point.connection_point_id)
    return None if planned is None else finite(float(planned[step]))


def _sum(powers: Iterable[float | None]) -> float | None:
    """All together; None where one of them is not known."""
    total = 0.0
    for kw in powers:
        if kw is None:
            return None
        total += kw
    return total


def _resource(plant: Plant, place: int, step: int | None, now: datetime) -> ResourceFlowView:
    resource = plant.file.park.resources[place]
    name, schedule = resource.resource_id, plant.schedule
    newest = plant.intake.newest.get(name)
    state = state_of(resource, newest, now)
    setpoint = plant.setpoints.get(name)
    mark, why = _mark(plant, name, state, now)
    return ResourceFlowView(
        place=place,
        power_kw=finite(state.power_kw) if isinstance(state, Reading) else None,
        planned_kw=finite(float(schedule.power_kw[place, step]))
        if schedule is not None and step is not None and place < len(schedule.power_kw)
        else None,
        told_kw=finite(setpoint.power_kw)
        if setpoint is not None and setpoint.issued_at <= now < setpoint.expires_at
        else None,
        soc=state.soc if isinstance(state, Reading) else None,
        age_s=None if newest is None else (now - newest.measured_at).total_seconds(),
        state=mark,
        why=why,
    )


def _mark(
    plant: Plant, name: ResourceId, state: ResourceState, now: datetime
) -> tuple[Literal["well", "unknown", "in_hand", "left_out"], str]:
    """What an operator should see at once of a resource, and why."""
    held = plant.acting.overrides.get(name)
    if held is not None and held.holds(now):
        return "in_hand", f"{held.by}: {held.reason}"
    if isinstance(state, Unknown):
        return "unknown", state.reason
    at, health = plant.units.index.get(name), plant.acting.health
    if at is not None and now.timestamp() < float(health.until_s[at]):
        return "left_out", Fault(int(health.fault[at])).name.lower()
    return "well", ""


# ---------------------------------------------------------------- one resource


async def show_resource(plant: Plant, call: Call[Nothing, Nothing]) -> ResourcePageView:
    name, now = ResourceId(call.path["resource_id"]), call.now
    resource = plant.file.park.resource_by_id.get(name)
    if resource is None:
        raise HttpRefusal(
            "the park has no such resource",
            code="unknown_resource",
            where=f"resource {name[:80]}",
            fix="Look at /v1/tree",
        )
    state = state_of(resource, plant.intake.newest.get(name), now)
    at = plant.units.index.get(name)
    telemetry, missing = await _telemetry(plant, name, now)
    return ResourcePageView(
        now=now,
        resource=resource_view(
            plant,
            resource,
            state if isinstance(state, Reading) else None,
            state.reason if isinstance(state, Unknown) else "",
            now,
        ),
        steering=None if at is None else steering_view(plant, at, now),
        capacity_kwh=resource.capacity_kwh if isinstance(resource, Storage) else None,
        telemetry=telemetry,
        telemetry_missing=missing,
        ahead=_ahead(plant, resource, now),
        plan_id=None if plant.schedule is None else plant.schedule.plan_id,
    )


async def _telemetry(plant: Plant, name: ResourceId, now: datetime) -> tuple[TelemetryView, str]:
    """What it told in the last hours; and why nothing, where there is nothing."""
    read, missing = plant.readings, ""
    found: list[Reading] = []
    if read is None:
        missing = "nothing is recorded here"
    else:
        span = Interval(now - LOOK_BACK, now)
        try:
            found = await asyncio.to_thread(read, name, span)
        except UnavailableError as error:
            missing = str(error)
        if not found and not missing:
            missing = f"it told nothing in the last {LOOK_BACK // timedelta(hours=1)} hours"
    if len(found) > MOMENTS:
        places = np.unique(np.linspace(0, len(found) - 1, MOMENTS).round().astype(int))
        found = [found[place] for place in places.tolist()]
    return (
        TelemetryView(
            at=[one.measured_at for one in found],
            power_kw=[finite(one.power_kw) for one in found],
            soc=[finite(one.soc) for one in found],
            temperature_degc=[finite(one.temperature_degc) for one in found],
        ),
        missing,
    )


def _ahead(plant: Plant, resource: Resource, now: datetime) -> ResourceAheadView | None:
    schedule, step = plant.schedule, _step(plant, now)
    name = resource.resource_id
    if schedule is None or step is None or name not in schedule.row_of:
        return None
    stored = schedule.stored_kwh.get(name)
    value = schedule.point_value_per_kwh.get(resource.connection_point_id)
    return ResourceAheadView(
        start=schedule.horizon.start + step * schedule.horizon.step,
        step_s=schedule.horizon.step // timedelta(seconds=1),
        power_kw=listed(schedule.power_kw[schedule.row_of[name], step:]),
        stored_kwh=None if stored is None else listed(stored[step:]),
        value_per_kwh=None if value is None else listed(value[step:]),
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/tree",
        "How the park is built, resources as columns, a page at a time",
        show_tree,
        query=PageQuery,
        gives=TreeView,
        codes=("unknown_resource",),
    ),
    reading(
        "/v1/tree/flows",
        "What flows now in the whole, and at the enterprises, meters and resources that are asked for",
        show_flows,
        gives=TreeFlowsView,
        query=FlowsQuery,
    ),
    reading(
        "/v1/resources/{resource_id}",
        "One resource: state, telemetry, set-point, who decides and why, what is planned",
        show_resource,
        gives=ResourcePageView,
        codes=("unknown_resource",),
    ),
)
