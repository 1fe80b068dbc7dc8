"""Our server of OpenADR 3 (VTN) as its clients ask it: tokens, scopes, and lists of what is theirs.

    POST /auth/token ─▶ token          GET /events … ─▶ whose token? ─▶ its scope? ─▶ that client's shelf ─▶ JSON

3.1 is served under /openadr3/3.1.0, 3.0 under /openadr3/3.0.1. Whose objects are asked for comes from the token alone;
an id of another client is one that is not there. What is read into our types is kept, what else a client adds is
not. Programs, events and devices are the plant's: to write them is forbidden (403), whoever asks.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from adapters.openadr3_calls import callbacks_of, read_subscription, subscription_object
from adapters.openadr3_reports import ReportBody, SiteReading, read_report, readings_of
from adapters.openadr3_shelf import Report, Shelf, Subscription
from adapters.openadr3_tokens import Granted, Holder, Tokens
from adapters.openadr3_wire import Version, read_moment
from adapters.openadr3_written import (
    event_object,
    head,
    program_object,
    resource_object,
    ven_object,
)
from vpp.errors import ConflictError, DataError, RejectedError
from vpp.model.programme import ProgrammeEvent

ROOTS: Mapping[str, Version] = {"/openadr3/3.1.0": "3.1", "/openadr3/3.0.1": "3.0"}
MOST_AT_ONCE = 50
"""Objects of one page, as the standard has it."""

READS = frozenset({"read_all", "read_targets"})
READS_OWN = frozenset({"read_all", "read_ven_objects"})

Object = dict[str, Any]

log = structlog.get_logger("vpp.audit")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the server does for one client."""

    shelf: Shelf
    heard: Callable[[str], None]
    """The client has asked or told something, from an address."""
    read: Callable[[str, datetime | None], None]
    """It has read an event, in a version."""
    tell: Callable[[Iterable[SiteReading]], None]
    """It has reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request whose sender is known."""

    request: web.Request
    site: Site
    version: Version

    @property
    def shelf(self) -> Shelf:
        return self.site.shelf

    @property
    def name(self) -> str:
        """The id in the path."""
        return self.request.match_info["id"]


class _No(Exception):  # noqa: N818 - an answer, raised and caught here
    """A request that is refused."""

    def __init__(self, status: int, title: str, **headers: str) -> None:
        super().__init__(title)
        self.status, self.title, self.headers = status, title, headers


Serve = Callable[[_Asked], Awaitable[web.Response]]


class Door:
    """The routes of one server."""

    def __init__(
        self, sites: Mapping[str, Site], tokens: Tokens, *, public_url: str | None = None
    ) -> None:
        """`sites` are by the names that `tokens` lead to.

        `public_url` is how they reach us, `https://host:port`, where a proxy ends TLS; None: as each asked.
        """
        self._sites, self._tokens, self._public_url = dict(sites), tokens, public_url

    def routes(self) -> tuple[web.RouteDef, ...]:
        """For both dialects."""
        found: list[web.RouteDef] = []
        for root, version in ROOTS.items():
            found.append(web.post(f"{root}/auth/token", self._token))
            found.append(web.get(f"{root}/auth/server", self._token_server))
            for method, path, scopes, serve in _SERVED:
                if version == "3.0" and path.startswith("/resources"):
                    path = f"/vens/{{ven}}{path}"
                handler = self._handler(version, scopes, serve)
                found.append(web.route(method, root + path, handler))
        return tuple(found)

    # ------------------------------------------------------------ who asks

    async def _token_server(self, request: web.Request) -> web.Response:
        path = request.path.removesuffix("/server") + "/token"
        if self._public_url is not None:
            return _json({"tokenURL": self._public_url + path})
        try:
            url = request.url.with_path(path)
        except ValueError:  # of a Host that is no address
            return _problem(400, "Host is no address")
        return _json({"tokenURL": str(url.with_query(None))})

    async def _token(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            return _json({"error": "invalid_request"}, status=400)
        try:
            form = {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
        except (LookupError, UnicodeError):  # a charset that nobody knows, or another than it says
            return _json({"error": "invalid_request"}, status=400)
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, status=400)
        name, secret = _basic(request) or (form.get("client_id"), form.get("client_secret"))
        if name is None or secret is None:
            return _json({"error": "invalid_request"}, status=400)
        given = self._tokens.grant(name, secret, form.get("scope", ""))
        if not isinstance(given, Granted):
            log.warning("no token is given", reason=given.error, source=request.remote)
            status = 401 if given.error == "invalid_client" else 400
            return _json({"error": given.error}, status=status)
        answer = _json(
            {
                "access_token": given.token,
                "token_type": "Bearer",
                "expires_in": int(given.lifetime.total_seconds()),
                "scope": " ".join(sorted(given.scopes)),
            }
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _holder(self, request: web.Request, scopes: frozenset[str]) -> Holder:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = self._tokens.holder(token) if kind.lower() == "bearer" else None
        if holder is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise _No(401, "No token, or none that is valid", **challenge)
        if not holder.scopes & scopes:
            raise _No(403, f"The token has none of the scopes {', '.join(sorted(scopes))}")
        return holder

    def _handler(
        self, version: Version, scopes: frozenset[str], serve: Serve
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            try:
                site = self._sites[self._holder(request, scopes).client]
                if request.match_info.get("ven", site.shelf.ven_id) != site.shelf.ven_id:
                    raise _not_there()
                site.heard(request.remote or "")
                return await serve(_Asked(request=request, site=site, version=version))
            except _No as no:
                return _problem(no.status, no.title, headers=no.headers)
            except ConflictError as error:
                return _problem(409, error.what)
            except (DataError, RejectedError) as error:
                return _problem(400, f"{error.where}: {error.what}: {error.fix}")

        return handler


def _not_there() -> _No:
    """A new one each time: one that is raised again keeps every request it was raised for."""
    return _No(404, "There is no such object")


def _basic(request: web.Request) -> tuple[str, str] | None:
    """Credentials in the header, as OAuth 2 prefers; None where there are none there."""
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except ValueError:  # neither base 64 nor text
        return None
    return (name, secret) if colon else None


# ---------------------------------------------------------------- programs and events


async def _programs(asked: _Asked) -> web.Response:
    shelf, values = asked.shelf, _targets(asked)
    listed = [program_object(shelf.program, created_at=shelf.opened_at)]
    if asked.request.query.get("targetType") == "PROGRAM_NAME" and shelf.program.name not in values:
        listed = []
    return _page(asked, listed)


async def _program(asked: _Asked) -> web.Response:
    if asked.name != asked.shelf.program.program_id:
        raise _not_there()
    return _json(program_object(asked.shelf.program, created_at=asked.shelf.opened_at))


async def _events(asked: _Asked) -> web.Response:
    query, shelf = asked.request.query, asked.shelf
    events = list(shelf.events)
    if query.get("programID", shelf.program.program_id) != shelf.program.program_id:
        events = []
    wanted = _targets(asked)
    if wanted and query.get("targetType") not in ("VEN_NAME", "PROGRAM_NAME"):
        events = [one for one in events if not one.targets or set(one.targets) & wanted]
    since = read_moment(query.get("dateStart"), "dateStart")
    until = read_moment(query.get("dateEnd"), "dateEnd")
    events = [one for one in events if _touches(one, since, until)]
    page = _cut(asked, events)
    for one in page:
        asked.site.read(one.event_id, one.modified_at)
    return _json([event_object(one, asked.version) for one in page])


async def _event(asked: _Asked) -> web.Response:
    if (event := asked.shelf.event(asked.name)) is None:
        raise _not_there()
    asked.site.read(event.event_id, event.modified_at)
    return _json(event_object(event, asked.version))


async def _forbidden(asked: _Asked) -> web.Response:
    raise _No(403, "The plant alone writes this")


def _touches(event: ProgrammeEvent, since: datetime | None, until: datetime | None) -> bool:
    period = event.period
    if period is None or period.start is None:
        return True
    length = (period.duration or timedelta(0)) * len(event.intervals)
    end = period.start + (event.duration or length)
    return (since is None or end > since) and (until is None or period.start < until)


# ---------------------------------------------------------------- VENs and devices


async def _vens(asked: _Asked) -> web.Response:
    query, shelf = asked.request.query, asked.shelf
    listed = [_ven_object(asked)]
    if query.get("venName", shelf.owner.ven_name) != shelf.owner.ven_name:
        listed = []
    if query.get("targetType") == "VEN_NAME" and shelf.owner.ven_name not in _targets(asked):
        listed = []
    return _page(asked, listed)


async def _ven(asked: _Asked) -> web.Response:
    if asked.name != asked.shelf.ven_id:
        raise _not_there()
    return _json(_ven_object(asked))


async def _make_ven(asked: _Asked) -> web.Response:
    """A client is known before it comes; one that makes itself known finds itself."""
    wanted = _decoded(await asked.request.read(), _VenBody)
    if wanted.venName != asked.shelf.owner.ven_name:
        raise _No(403, "This client has another venName")
    raise _No(409, "This VEN is here already")


def _ven_object(asked: _Asked) -> Object:
    shelf = asked.shelf
    return ven_object(
        shelf.ven_id,
        shelf.owner.ven_name,
        client=shelf.owner.name,
        created_at=shelf.opened_at,
        version=asked.version,
    )


async def _resources(asked: _Asked) -> web.Response:
    query, shelf = asked.request.query, asked.shelf
    listed = [
        _resource_object(asked, name)
        for name, resource in shelf.resource_ids.items()
        if query.get("resourceName", resource) == resource
        and query.get("venID", shelf.ven_id) == shelf.ven_id
    ]
    return _page(asked, listed)


async def _resource(asked: _Asked) -> web.Response:
    if asked.name not in asked.shelf.resource_ids:
        raise _not_there()
    return _json(_resource_object(asked, asked.name))


def _resource_object(asked: _Asked, name: str) -> Object:
    shelf = asked.shelf
    return resource_object(
        name,
        shelf.resource_ids[name],
        ven_id=shelf.ven_id,
        created_at=shelf.opened_at,
        version=asked.version,
    )


# ---------------------------------------------------------------- reports


async def _reports(asked: _Asked) -> web.Response:
    query, shelf = asked.request.query, asked.shelf
    listed = [
        one
        for one in shelf.reports
        if query.get("programID", shelf.program.program_id) == shelf.program.program_id
        and query.get("eventID", one.event_id) == one.event_id
        and query.get("clientName", one.client_name) == one.client_name
    ]
    return _json([_report_object(asked, one) for one in _cut(asked, listed)])


async def _report(asked: _Asked) -> web.Response:
    if (report := asked.shelf.report(asked.name)) is None:
        raise _not_there()
    return _json(_report_object(asked, report))


async def _make_report(asked: _Asked) -> web.Response:
    body, readings = await _read_report(asked)
    report = asked.shelf.add_report(body)
    asked.site.tell(readings)
    return _json(_report_object(asked, report), status=201)


async def _change_report(asked: _Asked) -> web.Response:
    body, readings = await _read_report(asked)
    if (report := asked.shelf.change_report(asked.name, body)) is None:
        raise _not_there()
    asked.site.tell(readings)
    return _json(_report_object(asked, report))


async def _drop_report(asked: _Asked) -> web.Response:
    if (report := asked.shelf.drop_report(asked.name)) is None:
        raise _not_there()
    return _json(_report_object(asked, report))


async def _read_report(asked: _Asked) -> tuple[ReportBody, tuple[SiteReading, ...]]:
    body = read_report(await asked.request.read())
    return body, readings_of(body)


def _report_object(asked: _Asked, report: Report) -> Object:
    body: Object = msgspec.json.decode(report.content)
    body.pop("programID", None)
    if asked.version == "3.0":
        body["programID"] = asked.shelf.program.program_id
    else:
        body["clientID"] = asked.shelf.owner.name
    return head("REPORT", report.report_id, report.created_at, report.modified_at) | body


# ---------------------------------------------------------------- subscriptions


async def _subscriptions(asked: _Asked) -> web.Response:
    query, shelf = asked.request.query, asked.shelf
    listed = [
        _subscription_object(asked, one)
        for one in shelf.subscriptions
        if query.get("programID", one.program_id) == one.program_id
        and query.get("clientName", one.client_name) == one.client_name
    ]
    return _page(asked, listed)


async def _subscription(asked: _Asked) -> web.Response:
    if (found := asked.shelf.subscription(asked.name)) is None:
        raise _not_there()
    return _json(_subscription_object(asked, found))


async def _make_subscription(asked: _Asked) -> web.Response:
    put = asked.shelf.put_subscription(await _wanted(asked, "", asked.shelf.opened_at))
    return _json(_subscription_object(asked, put), status=201)


async def _change_subscription(asked: _Asked) -> web.Response:
    if (before := asked.shelf.subscription(asked.name)) is None:
        raise _not_there()
    wanted = await _wanted(asked, before.subscription_id, before.created_at)
    return _json(_subscription_object(asked, asked.shelf.put_subscription(wanted)))


async def _drop_subscription(asked: _Asked) -> web.Response:
    if (dropped := asked.shelf.drop_subscription(asked.name)) is None:
        raise _not_there()
    return _json(_subscription_object(asked, dropped))


async def _wanted(asked: _Asked, name: str, at: datetime) -> Subscription:
    body = read_subscription(await asked.request.read())
    return Subscription(
        subscription_id=name,
        client_name=body.clientName,
        program_id=body.programID,
        callbacks=callbacks_of(body, asked.shelf.owner.callbacks),
        old_words=asked.version == "3.0",
        created_at=at,
        modified_at=at,
    )


def _subscription_object(asked: _Asked, one: Subscription) -> Object:
    return head(
        "SUBSCRIPTION", one.subscription_id, one.created_at, one.modified_at
    ) | subscription_object(one, asked.shelf.program.program_id, asked.version)


async def _notifiers(asked: _Asked) -> web.Response:
    return _json({"WEBHOOK": True})


# ---------------------------------------------------------------- hands


class _VenBody(msgspec.Struct):
    venName: str  # noqa: N815 - as the wire writes it


def _decoded(raw: bytes, kind: type[_VenBody]) -> _VenBody:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(str(error)[:300], where="body", fix="Keep to the schema") from None


def _targets(asked: _Asked) -> set[str]:
    query = asked.request.query
    return {*query.getall("targets", []), *query.getall("targetValues", [])}


def _page(asked: _Asked, listed: list[Object]) -> web.Response:
    return _json(_cut(asked, listed))


def _cut(asked: _Asked, listed: list[T]) -> list[T]:
    first = _whole(asked, "skip", 0, 10**9)
    return listed[first : first + _whole(asked, "limit", MOST_AT_ONCE, MOST_AT_ONCE)]


def _whole(asked: _Asked, key: str, otherwise: int, most: int) -> int:
    text = asked.request.query.get(key, str(otherwise))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise _No(400, f"{key} is no whole number up to {most}")
    return int(text)


def _json(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json"
    )


def _problem(status: int, title: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode({"status": status, "title": title}),
        content_type="application/problem+json",
        headers=headers,
    )


_WRITE_REPORTS = frozenset({"write_reports"})
_WRITE_SUBSCRIPTIONS = frozenset({"write_subscriptions"})
_WRITE_VENS = frozenset({"write_vens"})
_ANY = READS | READS_OWN | _WRITE_REPORTS | _WRITE_SUBSCRIPTIONS | _WRITE_VENS

_SERVED: tuple[tuple[str, str, frozenset[str], Serve], ...] = (
    ("GET", "/programs", READS, _programs),
    ("GET", "/programs/{id}", READS, _program),
    ("GET", "/events", READS, _events),
    ("GET", "/events/{id}", READS, _event),
    ("GET", "/vens", READS_OWN, _vens),
    ("GET", "/vens/{id}", READS_OWN, _ven),
    ("POST", "/vens", _WRITE_VENS, _make_ven),
    ("GET", "/resources", READS_OWN, _resources),
    ("GET", "/resources/{id}", READS_OWN, _resource),
    ("GET", "/reports", READS_OWN, _reports),
    ("GET", "/reports/{id}", READS_OWN, _report),
    ("POST", "/reports", _WRITE_REPORTS, _make_report),
    ("PUT", "/reports/{id}", _WRITE_REPORTS, _change_report),
    ("DELETE", "/reports/{id}", _WRITE_REPORTS, _drop_report),
    ("GET", "/subscriptions", READS_OWN, _subscriptions),
    ("GET", "/subscriptions/{id}", READS_OWN, _subscription),
    ("POST", "/subscriptions", _WRITE_SUBSCRIPTIONS, _make_subscription),
    ("PUT", "/subscriptions/{id}", _WRITE_SUBSCRIPTIONS, _change_subscription),
    ("DELETE", "/subscriptions/{id}", _WRITE_SUBSCRIPTIONS, _drop_subscription),
    ("GET", "/notifiers", _ANY, _notifiers),
    *((method, path, _ANY, _forbidden)
      for kind in ("programs", "events", "vens", "resources")
      for method, path in (("POST", f"/{kind}"), ("PUT", f"/{kind}/{{id}}"), ("DELETE", f"/{kind}/{{id}}"))
      if (method, kind) != ("POST", "vens")),
)  # fmt: skip
