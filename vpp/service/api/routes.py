"""One line of the contract: a path, what it takes, what it gives, how it refuses.

Both the server and the OpenAPI document are made from these, so neither can lie about the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, overload

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from vpp.clock import Watch
from vpp.service.api.reading import read_body, read_query
from vpp.service.api.shared import SharedAnswers, wants_shared
from vpp.wire import WireModel


class Subject(Protocol):
    """Whom a route is about: a plant, or the desk of simulations."""

    @property
    def clock(self) -> Watch:
        """Whose present a request comes in."""
        ...


S = TypeVar("S", bound=Subject)
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


class Nothing(WireModel):
    """Neither query nor body."""


Answer: TypeAlias = BaseModel | bytes | web.StreamResponse
"""A view, JSON bytes that are ready, or a response that was made by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """One request, read and checked."""

    request: web.Request | None
    """None where a recorded request is done again."""

    path: Mapping[str, str]
    """Path parameters, percent-decoded."""

    query: Q
    body: B
    now: datetime
    """The present of whom the route is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[S, Q, B]):
    """One operation of the contract."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """As OpenAPI writes it: `/v1/markets/{product}`."""

    summary: str
    handle: Callable[[S, Call[Q, B]], Awaitable[Answer]]
    gives: type[BaseModel] | None = None
    """The JSON that is answered; None where `media` says what it is instead."""

    media: str = "application/json"
    query: type[Q]
    body: type[B]
    codes: tuple[str, ...] = ()
    """Refusals beside those that every route has (`openapi.py`)."""

    tail: str | None = None
    """The last path parameter where it may hold slashes."""

    example: Mapping[str, Any] | None = None
    """A body, for bodies whose schema alone does not show what to send."""

    keeps: bool = True
    """False where nothing is kept of a body: a question."""

    @property
    def changes(self) -> bool:
        """Whether something is otherwise after it."""
        return self.method != "GET" and self.keeps

    @property
    def pattern(self) -> str:
        """The path as aiohttp's router takes it."""
        if self.tail is None:
            return self.path
        return self.path.replace(f"{{{self.tail}}}", f"{{{self.tail}:.+}}")

    def endpoint(
        self, subject: S, shared: SharedAnswers | None = None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler that aiohttp calls: read, do, write; pages may share what `shared` holds."""
        query = TypeAdapter(self.query)
        body = None if self.body is Nothing else TypeAdapter(self.body)
        nothing: Any = Nothing()

        async def own(request: web.Request) -> web.StreamResponse:
            call = Call(
                request=request,
                path=request.match_info,
                query=read_query(request.query, query),
                body=nothing if body is None else await read_body(request, body),
                now=subject.clock.now(),
            )
            return respond(await self.handle(subject, call))

        if shared is None:
            return own
        held = shared

        async def sharing(request: web.Request) -> web.StreamResponse:
            return (
                await held.answer(request, lambda: own(request))
                if wants_shared(request)
                else await own(request)
            )

        async def changing(request: web.Request) -> web.StreamResponse:
            try:
                return await own(request)
            finally:
                held.changed()

        if self.changes:
            return changing
        return (
            sharing
            if self.method == "GET" and self.gives is not None and self.media == "application/json"
            else own
        )


@overload
def reading(
    path: str,
    summary: str,
    handle: Callable[[S, Call[Nothing, Nothing]], Awaitable[Answer]],
    *,
    method: Literal["GET", "DELETE"] = "GET",
    gives: type[BaseModel] | None = None,
    media: str = "application/json",
    codes: tuple[str, ...] = (),
    tail: str | None = None,
) -> Route[S, Nothing, Nothing]: ...


@overload
def reading(
    path: str,
    summary: str,
    handle: Callable[[S, Call[Q, Nothing]], Awaitable[Answer]],
    *,
    method: Literal["GET", "DELETE"] = "GET",
    gives: type[BaseModel] | None = None,
    media: str = "application/json",
    query: type[Q],
    codes: tuple[str, ...] = (),
    tail: str | None = None,
) -> Route[S, Q, Nothing]: ...


def reading(
    path: str,
    summary: str,
    handle: Callable[[S, Any], Awaitable[Answer]],
    *,
    method: Literal["GET", "DELETE"] = "GET",
    gives: type[BaseModel] | None = None,
    media: str = "application/json",
    query: type[Any] = Nothing,
    codes: tuple[str, ...] = (),
    tail: str | None = None,
) -> Route[S, Any, Nothing]:
    """A route without a body."""
    return Route(
        method=method,
        path=path,
        summary=summary,
        handle=handle,
        gives=gives,
        media=media,
        query=query,
        body=Nothing,
        codes=codes,
        tail=tail,
    )


def writing(
    method: Literal["POST", "PUT"],
    path: str,
    summary: str,
    handle: Callable[[S, Call[Nothing, B]], Awaitable[Answer]],
    *,
    takes: type[B],
    gives: type[BaseModel],
    codes: tuple[str, ...] = (),
    example: Mapping[str, Any] | None = None,
    keeps: bool = True,
) -> Route[S, Nothing, B]:
    """A route with a JSON body; it changes something, unless `keeps` is False."""
    return Route(
        method=method,
        path=path,
        summary=summary,
        handle=handle,
        gives=gives,
        query=Nothing,
        body=takes,
        codes=codes,
        example=example,
        keeps=keeps,
    )


AnyRoute: TypeAlias = Route[Any, Any, Any]


def respond(answer: Answer) -> web.StreamResponse:
    """What goes out. Nothing of it may be kept by a cache, for all of it is about now."""
    if isinstance(answer, web.StreamResponse):
        return answer
    content = answer if isinstance(answer, bytes) else answer.model_dump_json().encode()
    return web.Response(
        body=content, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
