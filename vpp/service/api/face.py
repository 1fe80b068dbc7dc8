"""Build the application: routes, page, and the one middleware that answers when something fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from time import perf_counter

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from structlog.contextvars import bound_contextvars

from vpp.errors import VppError
from vpp.service import security
from vpp.service.api import (
    accounts,
    byhand,
    calls,
    chargers,
    control,
    decisions,
    desk,
    forecasts,
    instructions,
    invitations,
    limits,
    links,
    markets,
    members,
    money,
    nominations,
    operations,
    overrides,
    overview,
    park,
    people,
    planning,
    planpage,
    positions,
    programmes,
    regulation,
    reports,
    result,
    series,
    simulations,
    sites,
    stations,
    strategies,
    stream,
    tree,
    venues,
)
from vpp.service.api.openapi import encoded
from vpp.service.api.pages import API_PAGES, PAGES, add_pages
from vpp.service.api.problems import (
    HttpRefusal,
    problem_response,
    refusal_of,
    refusal_of_http,
)
from vpp.service.api.reading import MAX_BODY_BYTES
from vpp.service.api.routes import AnyRoute, Call, Nothing, Subject, reading
from vpp.service.api.shared import SharedAnswers
from vpp.service.metrics import Metrics
from vpp.service.plant import Plant
from vpp.service.simulations.desk import SimulationDesk

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API_VERSION = "1.0.0"
"""Of the contract, not of the package: its first part is the `v1` of the paths."""

log = structlog.get_logger("vpp.http")
audit = structlog.get_logger("vpp.audit")
"""One line for each write that was refused: all that it leaves behind."""


def build_api(plant: Plant) -> web.Application:
    """The application of one plant; whoever runs it has checked `require_loopback`."""
    desk = SimulationDesk(plant.file.simulators, parks=plant.file.folder, clock=plant.clock)
    app = _application(desk, plant.metrics)
    shared = SharedAnswers(lambda: plant.events.number)
    for route in _with_document(plant_routes(), routes()):
        app.router.add_route(route.method, route.pattern, route.endpoint(plant, shared))
    add_pages(app, PAGES)
    return app


def build_simulators_api(desk: SimulationDesk) -> web.Application:
    """The application of a service without a park of its own: simulations, and nothing else."""
    app = _application(desk, Metrics("simulations"))
    described = simulation_routes()
    for route in _with_document([], described):
        app.router.add_route(route.method, route.pattern, route.endpoint(desk))
    add_pages(app, API_PAGES)
    return app


def _application(desk: SimulationDesk, metrics: Metrics) -> web.Application:
    """With everything but the routes and pages of a plant."""
    began = int(desk.clock.now().timestamp())
    app = web.Application(middlewares=[_face(metrics, began)], client_max_size=MAX_BODY_BYTES)
    app[stream.STREAMS] = set()
    app.on_shutdown.append(stream.end_streams)
    app.on_response_prepare.append(_add_headers)

    async def simulating(app: web.Application) -> AsyncIterator[None]:
        async with desk.open():
            yield

    app.cleanup_ctx.append(simulating)
    for route in simulation_routes():
        app.router.add_route(route.method, route.pattern, route.endpoint(desk))
    return app


def plant_routes() -> list[AnyRoute]:
    """Every route that is about a plant."""
    return [
        *markets.ROUTES,
        *byhand.ROUTES,
        *calls.ROUTES,
        *invitations.ROUTES,
        *decisions.ROUTES,
        *series.ROUTES,
        *limits.ROUTES,
        *overrides.ROUTES,
        *instructions.ROUTES,
        *control.ROUTES,
        *desk.ROUTES,
        *park.ROUTES,
        *overview.ROUTES,
        *tree.ROUTES,
        *people.ROUTES,
        *links.ROUTES,
        *chargers.ROUTES,
        *stations.ROUTES,
        *sites.ROUTES,
        *planning.ROUTES,
        *planpage.ROUTES,
        *programmes.ROUTES,
        *forecasts.ROUTES,
        *money.ROUTES,
        *accounts.ROUTES,
        *members.ROUTES,
        *result.ROUTES,
        *positions.ROUTES,
        *regulation.ROUTES,
        *reports.ROUTES,
        *nominations.ROUTES,
        *strategies.ROUTES,
        *stream.ROUTES,
        *venues.ROUTES,
        *operations.ROUTES,
    ]


def simulation_routes() -> list[AnyRoute]:
    """Every route that is about simulations, those of a plant again on each of them among these."""
    return [*simulations.ROUTES, *simulations.again(plant_routes())]


def routes() -> tuple[AnyRoute, ...]:
    """Every route of the contract, the OpenAPI document's own among them."""
    whole = [*plant_routes(), *simulation_routes()]
    return tuple(_with_document(whole, whole))


def _with_document(served: list[AnyRoute], described: Sequence[AnyRoute]) -> list[AnyRoute]:
    """`served`, and the route of the document that describes `described` and itself."""

    async def show_openapi(subject: Subject, call: Call[Nothing, Nothing]) -> bytes:
        return document

    own: AnyRoute = reading("/openapi.json", "This document", show_openapi)
    named = [route for route in described if route.path != own.path]
    document = encoded([*named, own], version=API_VERSION)
    return [*served, own]


def _face(metrics: Metrics, began: int) -> Middleware:
    numbers = count(1)

    @web.middleware
    async def face(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = perf_counter()
        correlation_id = f"{began:x}-{next(numbers):x}"
        with bound_contextvars(correlation_id=correlation_id):
            response = await _answer(request, handler, correlation_id)
        if not response.prepared:
            response.headers["X-Request-ID"] = correlation_id
        if isinstance(response, web.Response | web.FileResponse):
            resource = request.match_info.route.resource
            metrics.http_request(
                request.method if resource else "other",
                resource.canonical if resource else "unknown",
                response.status,
                perf_counter() - started,
            )
        return response

    return face


async def _answer(
    request: web.Request, handler: Handler, correlation_id: str
) -> web.StreamResponse:
    refusal: HttpRefusal | None
    try:
        if (denial := security.deny(request)) is None:
            return await handler(request)
        refusal = HttpRefusal(denial.what, code=denial.code, where="request", fix=denial.fix)
    except web.HTTPException as error:
        refusal = refusal_of_http(error)
    except VppError as error:
        refusal = refusal_of(error)
        if refusal is None:
            log.exception("a fault of our own", correlation_id=correlation_id)
    except Exception:
        log.exception("a fault of our own", correlation_id=correlation_id)
        refusal = None
    if refusal is None:
        refusal = HttpRefusal(
            "the service could not answer this",
            code="internal",
            where="service",
            fix="Report the correlation_id; the service's log has the reason",
        )
    if request.method in security.WRITES:
        audit.warning(
            "refused",
            code=refusal.code,
            method=request.method,
            path=request.path[:200],
            correlation_id=correlation_id,
        )
    return problem_response(refusal, correlation_id)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in security.HEADERS.items():
        response.headers.setdefault(name, value)
