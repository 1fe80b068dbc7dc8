"""What happens, as it happens: server-sent events.

    id: 4711                    what Last-Event-ID brings back after a broken line
    data: {"kind": "award", …}  one line of JSON; every kind comes to the same listener

A comment each 15 s keeps proxies from closing a quiet line. A listener that reads too slowly loses
its oldest events (`EventLog`), nobody else's; one that takes nothing for `SLOW_S` is let go, and comes
back by itself where it is a browser.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
import structlog
from aiohttp import web
from pydantic import Field

from vpp.model.time import isoformat
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.api.views import EventsView, EventView
from vpp.service.events import Event
from vpp.service.plant import Plant
from vpp.wire import WireModel

KEEPALIVE_S = 15.0
RETRY_MS = 2000
SLOW_S = 10.0
MOST_LISTENERS = 200
MOST_AT_ONCE = 500

log = structlog.get_logger("vpp.http")

STREAMS = web.AppKey("streams", set[asyncio.Task[Any]])
"""The open streams of an application, to be ended when it shuts down."""


class EventsQuery(WireModel):
    format: Literal["stream", "json"] = "stream"
    after: Annotated[int, Field(ge=0)] | None = None
    """Only events with a higher number. A stream that names none begins with the present."""
    limit: Annotated[int, Field(ge=1, le=500)] = 500
    """For JSON: the newest so many."""


async def events(plant: Plant, call: Call[EventsQuery, Nothing]) -> EventsView | web.StreamResponse:
    if call.query.format == "json":
        recent = plant.events.recent(call.query.after or 0)[-call.query.limit :]
        return EventsView(events=[_view(event) for event in recent])
    assert call.request is not None
    streams = call.request.app[STREAMS]
    if len(streams) >= MOST_LISTENERS:
        raise HttpRefusal(
            f"{MOST_LISTENERS} listeners are served already",
            code="too_many_streams",
            where="events",
            fix="Close one, or ask with format=json",
        )
    task = asyncio.current_task()
    assert task is not None
    streams.add(task)
    try:
        return await _stream(plant, call.request, _after(call))
    finally:
        streams.discard(task)


async def end_streams(app: web.Application) -> None:
    """Let go of all listeners, so that a shutdown does not wait for them."""
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


async def _stream(plant: Plant, request: web.Request, after: int | None) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    with plant.events.listen() as queue:
        missed = [] if after is None else plant.events.recent(after)
        await response.prepare(request)
        try:
            await _write(response, b"retry: %d\n\n" % RETRY_MS + b"".join(map(_encoded, missed)))
            while True:
                await _write(response, await _next(queue))
        except ConnectionResetError:
            return response  # the listener has gone; there is nobody to tell
        except SlowListenerError:
            log.warning(
                "a listener takes nothing and is let go", kind="slow_listener", after_s=SLOW_S
            )
            if request.transport is not None:
                request.transport.abort()  # what it did not take goes with the line
            return response


class SlowListenerError(Exception):
    """A listener took nothing for `SLOW_S`."""


async def _write(response: web.StreamResponse, data: bytes) -> None:
    try:
        async with asyncio.timeout(SLOW_S):
            await response.write(data)
    except TimeoutError as error:
        raise SlowListenerError from error


async def _next(queue: asyncio.Queue[Event]) -> bytes:
    """The next events at once, or a comment where nothing happens."""
    try:
        async with asyncio.timeout(KEEPALIVE_S):
            batch = [await queue.get()]
    except TimeoutError:
        return b": still here\n\n"
    while len(batch) < MOST_AT_ONCE and not queue.empty():
        batch.append(queue.get_nowait())
    return b"".join(map(_encoded, batch))


def _after(call: Call[EventsQuery, Nothing]) -> int | None:
    """Where to begin. A browser that reconnects says it by header, and that is newer."""
    assert call.request is not None
    header = call.request.headers.get("Last-Event-ID", "")
    if header.isascii() and header.isdigit() and len(header) < 16:
        return int(header)
    return call.query.after


def _encoded(event: Event) -> bytes:
    body = {
        "number": event.number,
        "at": isoformat(event.at),
        "kind": event.kind,
        "severity": event.severity.value,
        "text": event.text,
        "data": event.data,
    }
    # JSON on one line: a line break inside a text is escaped, so none can forge a field.
    return b"id: %d\ndata: " % event.number + msgspec.json.encode(body) + b"\n\n"


def _view(event: Event) -> EventView:
    return EventView(
        number=event.number,
        at=event.at,
        kind=event.kind,
        severity=event.severity.value,
        text=event.text,
        data=event.data,
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/events",
        "What happens, as server-sent events or as JSON",
        events,
        gives=EventsView,
        media="text/event-stream",
        query=EventsQuery,
        codes=("too_many_streams",),
    ),
)
