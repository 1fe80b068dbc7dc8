"""The park as a tree: how it is built, once; what flows, again and again, for those in sight only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from vpp.act.health import Fault
from vpp.errors import UnavailableError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading, ResourceState, Unknown
from vpp.model.resource import Resource, Storage
from vpp.model.time import Interval
from vpp.sense.state import state_of
from vpp.service.api.control import steering_view
from vpp.service.api.pageviews import (
    EnterpriseName,
    FlowView,
    ResourceAheadView,
    ResourceFlowView,
    ResourcePageView,
    TelemetryView,
    TreeFlowsView,
    TreePoint,
    TreeResources,
    TreeView,
)
from vpp.service.api.park import METER_MAX_AGE, limits_view, resource_view
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


class FlowsQuery(WireModel):
    at: Annotated[str, Field(pattern=r"^(\d{1,6}(,\d{1,6})*)?$", max_length=1400)] = ""
    """Places of resources in the tree, with commas between: at most 200."""


async def show_tree(plant: Plant, call: Call[Nothing, Nothing]) -> TreeView:
    park = plant.file.park
    kinds = sorted({type(r).__name__ for r in park.resources})
    kind = {name: place for place, name in enumerate(kinds)}
    enterprise = {e.enterprise_id: place for place, e in enumerate(park.enterprises)}
    point = {p.connection_point_id: place for place, p in enumerate(park.connection_points)}
    return TreeView(
        limits=limits_view(park.limits),
        feeders=[
            FeederView(feeder_id=f.feeder_id, limits=limits_view(f.limits)) for f in park.feeders
        ],
        enterprises=[
            EnterpriseName(enterprise_id=e.enterprise_id, name=e.name) for e in park.enterprises
        ],
        kinds=kinds,
        points=[
            TreePoint(
                connection_point_id=p.connection_point_id,
                enterprise=enterprise[p.enterprise_id],
                feeder_id=p.feeder_id,
                limits=limits_view(p.limits),
                meter_id=p.meter_id,
            )
            for p in park.connection_points
        ],
        resources=TreeResources(
            resource_id=[r.resource_id for r in park.resources],
            kind=[kind[type(r).__name__] for r in park.resources],
            point=[point[r.connection_point_id] for r in park.resources],
            max_draw_kw=[finite(r.draw_kw) for r in park.resources],
            max_feed_kw=[finite(r.feed_kw) for r in park.resources],
        ),
    )


async def show_flows(plant: Plant, call: Call[FlowsQuery, Nothing]) -> TreeFlowsView:
    park, now = plant.file.park, call.now
    places = [int(place) for place in call.query.at.split(",") if place]
    if len(places) > MOST_IN_SIGHT or any(place >= len(park.resources) for place in places):
        raise HttpRefusal(
            f"at most {MOST_IN_SIGHT} places, each below {len(park.resources)}",
            code="invalid_query",
            where="query.at",
            fix="Ask for what is in sight",
        )
    schedule, step = plant.schedule, _step(plant, now)
    points = []
    for point in park.connection_points:
        planned = (
            None
            if step is None or schedule is None
            else (schedule.connection_point_kw.get(point.connection_point_id))
        )
        points.append(_flow(plant, point.meter_id, planned, step, now))
    names = (p.connection_point_id for p in park.connection_points)
    flows = dict(zip(names, points, strict=True))
    return TreeFlowsView(
        now=now,
        power_kw=_sum(flow.power_kw for flow in points),
        planned_kw=None
        if step is None or schedule is None
        else finite(float(schedule.net_kw[step])),
        feeders=[
            _sum(flows[p.connection_point_id].power_kw for p in park.points_of_feeder[f.feeder_id])
            for f in park.feeders
        ],
        points=points,
        resources=[_resource(plant, place, step, now) for place in places],
    )


def _step(plant: Plant, now: datetime) -> int | None:
    """The step of the newest plan that runs; None where there is none."""
    if plant.schedule is None or now not in plant.schedule.horizon.span:
        return None
    return plant.schedule.horizon.index(now)


def _flow(
    plant: Plant, meter_id: ResourceId, planned: Floats | None, step: int | None, now: datetime
) -> FlowView:
    meter = plant.intake.newest_meter.get(meter_id)
    age = None if meter is None else now - meter.measured_at
    heard = meter is not None and age is not None and age <= METER_MAX_AGE
    return FlowView(
        power_kw=finite(meter.power_kw) if meter is not None and heard else None,
        age_s=None if age is None else age.total_seconds(),
        planned_kw=None if planned is None or step is None else finite(float(planned[step])),
    )


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
        "/v1/tree", "How the park is built, all resources as columns", show_tree, gives=TreeView
    ),
    reading(
        "/v1/tree/flows",
        "What flows now at every meter, and at the resources that are asked for",
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
