"""Simulations on request, and every route of a live plant again on each of them.

POST /v1/simulations/{simulation_id}/markets/{product}/bids ─▶ the handler of /v1/markets/{product}/bids
                                                               on the plant of that simulation
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

from aiohttp import web

from vpp.service.api.routes import Answer, AnyRoute, Call, Nothing, reading, writing
from vpp.service.simulations.desk import SimulationDesk
from vpp.service.simulations.simulation import Simulation
from vpp.service.simulations.table import as_csv, manifest_of, table_of, view_of
from vpp.service.simulations.views import (
    BranchRequest,
    ManifestView,
    ResetRequest,
    SimulationRequest,
    SimulationsView,
    SimulationView,
    SnapshotRequest,
    SnapshotView,
    StepRequest,
    TableView,
)
from vpp.wire import WireModel


class TableQuery(WireModel):
    format: Literal["json", "csv"] = "json"


async def make_simulation(
    desk: SimulationDesk, call: Call[Nothing, SimulationRequest]
) -> SimulationView:
    return _view(desk, await desk.make(call.body))


async def list_simulations(desk: SimulationDesk, call: Call[Nothing, Nothing]) -> SimulationsView:
    return SimulationsView(
        at_most=desk.settings.at_most, simulations=[_view(desk, one) for one in desk.all()]
    )


async def show_simulation(desk: SimulationDesk, call: Call[Nothing, Nothing]) -> SimulationView:
    return _view(desk, _found(desk, call))


async def remove_simulation(desk: SimulationDesk, call: Call[Nothing, Nothing]) -> SimulationView:
    return _view(desk, await desk.remove(call.path["simulation_id"]))


async def step_simulation(desk: SimulationDesk, call: Call[Nothing, StepRequest]) -> SimulationView:
    return _view(desk, await desk.step(call.path["simulation_id"], call.body.until))


async def reset_simulation(
    desk: SimulationDesk, call: Call[Nothing, ResetRequest]
) -> SimulationView:
    return _view(desk, await desk.reset(call.path["simulation_id"], call.body.seed))


async def take_snapshot(desk: SimulationDesk, call: Call[Nothing, SnapshotRequest]) -> SnapshotView:
    kept = desk.keep(call.path["simulation_id"])
    return SnapshotView(
        snapshot_id=kept.snapshot_id,
        simulation_id=kept.simulation,
        at=kept.at,
        requests=kept.requests,
        record_digest=kept.digest,
    )


async def branch_simulation(
    desk: SimulationDesk, call: Call[Nothing, BranchRequest]
) -> SimulationView:
    return _view(desk, await desk.branch(call.path["simulation_id"], call.body.snapshot_id))


async def show_manifest(desk: SimulationDesk, call: Call[Nothing, Nothing]) -> ManifestView:
    return manifest_of(_found(desk, call), desk.settings.idle_minutes)


async def show_table(desk: SimulationDesk, call: Call[TableQuery, Nothing]) -> Answer:
    table = table_of(_found(desk, call).plant)
    if call.query.format == "json":
        return table
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=as_csv(table), content_type="text/csv", headers=headers)


def _found(desk: SimulationDesk, call: Call[Any, Any]) -> Simulation:
    return desk.find(call.path["simulation_id"])


def _view(desk: SimulationDesk, simulation: Simulation) -> SimulationView:
    return view_of(simulation, desk.settings.idle_minutes)


# ---------------------------------------------------------------- every route again

_ONE = "/v1/simulations/{simulation_id}"


def again(routes: Iterable[AnyRoute]) -> list[AnyRoute]:
    """The routes of a live plant below `/v1`, on the plant of a simulation."""
    return [_again(route) for route in routes if route.path.startswith("/v1/")]


def _again(route: AnyRoute) -> AnyRoute:
    async def handle(desk: SimulationDesk, call: Call[Any, Any]) -> Answer:
        simulation = _found(desk, call)
        if route.changes:
            return await simulation.do(route, call)
        return await simulation.look(route, call)

    handle.__name__ = f"simulated_{route.handle.__name__}"
    return replace(
        route,
        path=route.path.replace("/v1", _ONE, 1),
        summary=f"In a simulation: {route.summary[0].lower()}{route.summary[1:]}",
        handle=handle,
        codes=(*route.codes, "unknown_simulation", "simulation_failed"),
    )


ROUTES: tuple[AnyRoute, ...] = (
    writing(
        "POST",
        "/v1/simulations",
        "Run the whole service again on a clock of its own, with simulated devices",
        make_simulation,
        takes=SimulationRequest,
        gives=SimulationView,
        codes=("too_many_simulations", "unknown_park", "invalid_data", "simulation_failed"),
        example={"park": "demo", "seed": 1},
    ),
    reading(
        "/v1/simulations", "The simulations that there are", list_simulations, gives=SimulationsView
    ),
    reading(
        _ONE,
        "Where a simulation stands",
        show_simulation,
        gives=SimulationView,
        codes=("unknown_simulation",),
    ),
    reading(
        _ONE,
        "End a simulation and forget it",
        remove_simulation,
        method="DELETE",
        gives=SimulationView,
        codes=("unknown_simulation",),
    ),
    writing(
        "POST",
        f"{_ONE}/step",
        "Let devices, telemetry, plans, control and accounts go on until a moment",
        step_simulation,
        takes=StepRequest,
        gives=SimulationView,
        codes=("unknown_simulation", "invalid_data", "simulation_failed"),
        example={"until": "2025-12-02T12:00:00Z"},
    ),
    writing(
        "POST",
        f"{_ONE}/reset",
        "Begin a simulation again",
        reset_simulation,
        takes=ResetRequest,
        gives=SimulationView,
        codes=("unknown_simulation", "invalid_data", "simulation_failed"),
    ),
    writing(
        "POST",
        f"{_ONE}/snapshot",
        "Keep the present, to branch off from it",
        take_snapshot,
        takes=SnapshotRequest,
        gives=SnapshotView,
        codes=("unknown_simulation", "conflict"),
    ),
    writing(
        "POST",
        f"{_ONE}/branch",
        "Another simulation that stands where a snapshot was taken",
        branch_simulation,
        takes=BranchRequest,
        gives=SimulationView,
        codes=(
            *("unknown_simulation", "unknown_snapshot", "conflict"),
            *("too_many_simulations", "simulation_failed"),
        ),
    ),
    reading(
        f"{_ONE}/manifest",
        "What a run was made of, and the fingerprint of its record",
        show_manifest,
        gives=ManifestView,
        codes=("unknown_simulation",),
    ),
    reading(
        f"{_ONE}/table",
        "All bids, awards and deliveries, as JSON or CSV",
        show_table,
        gives=TableView,
        media="text/csv",
        query=TableQuery,
        codes=("unknown_simulation",),
    ),
)
