"""A utility's server of OpenADR 3 (VTN), asked as its client (VEN): programs, events, reports.

    token (POST /auth/token) ─▶ GET /programs ─▶ GET /events?programID=… ─▶ POST /reports

A list is read to its end page by page, each page beginning with the last object of the page before: where that is
another one the list changed meanwhile, and nothing is believed, for what seems to be missing is cancelled. A
token is renewed ahead of its end, and once where the server does not take it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
from yarl import URL

from adapters.certificate import CertificateKeeper, ClientCertificate
from adapters.http_exchange import Answered, HttpExchange
from adapters.http_get import Reply, require_well
from adapters.http_token import TokenKeeper, TokenSource
from adapters.openadr3_wire import (
    Version,
    id_of,
    read_event,
    read_program,
    report_body,
    ven_body,
)
from adapters.safe_url import require_safe
from vpp.errors import ForeignError, RejectedError, UnavailableError
from vpp.model.programme import (
    EventFault,
    EventList,
    Program,
    ProgrammeEvent,
    ProgrammeReport,
)

PAGE = 50
"""The most that the standard lets us ask for at once."""

MOST_OBJECTS = 5000
KEPT_BYTES = 2000
"""Of an answer that is none, for the record."""

_UNAUTHORIZED = (401, 403)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vtn:
    """Which server, and who we are to it."""

    url: str
    version: Version
    ven_name: str
    token: TokenSource
    certificate: ClientCertificate | None = None
    targets: tuple[str, ...] = ()
    target_type: str | None = None
    """What 3.0 asks for beside targets; without it we choose among the answers alone."""

    timeout_s: float = 10.0
    max_bytes: int = 5_000_000


class OpenAdr3(HttpExchange):
    """A `ProgrammeServer`; an async context manager."""

    def __init__(self, vtn: Vtn, *, now: Callable[[], datetime]) -> None:
        """Take who to ask; nothing is asked yet.

        Raises:
            ConfigError: An address is neither https nor loopback, or carries more than host and path.
        """
        require_safe(vtn.url, where="openadr.url")
        require_safe(vtn.token.url, where="openadr.token_url")
        keeper = None if vtn.certificate is None else CertificateKeeper(vtn.certificate)
        super().__init__(context=lambda: None if keeper is None else keeper.context())
        self._vtn = vtn
        self._tokens = TokenKeeper(vtn.token, now)

    async def register(self) -> None:
        """Make ourselves known where we are not.

        Raises:
            UnavailableError: No answer.
            RejectedError: The server does not let clients register, or answers something else.
        """
        name = self._vtn.ven_name
        for raw in await self._objects("vens", {"venName": name}):
            if _decoded(raw, _Ven, self._where("vens")).venName == name:
                return
        body = ven_body(name, version=self._vtn.version)
        reply = await self._ask("POST", "vens", body=body)
        if reply.status not in (200, 201, 409):
            raise _refused(reply, self._where("vens"))

    async def events(self, programs: Sequence[str]) -> EventList:
        """All events of the programs with these names. Raises as the port says."""
        found = [read_program(raw) for raw in await self._objects("programs", {})]
        known = {program.name: program for program in found if program is not None}
        if missing := [name for name in programs if name not in known]:
            raise RejectedError(
                f"has no program {', '.join(missing)}",
                where=self._where("programs"),
                fix=f"Name some of {sorted(known)[:20]}",
            )
        ours = [known[name] for name in programs]
        read = [one for program in ours for one in await self._events_of(program)]
        return EventList(
            programs=tuple(ours),
            events=tuple(one for one in read if not isinstance(one, EventFault)),
            faults=tuple(one for one in read if isinstance(one, EventFault)),
        )

    async def send_report(self, report: ProgrammeReport) -> None:
        """Hand a report over. Raises as the port says."""
        vtn = self._vtn
        body = report_body(report, client_name=vtn.ven_name, version=vtn.version)
        reply = await self._ask("POST", "reports", body=body)
        if reply.status not in (200, 201, 409):  # 409: it has a report of that name
            raise _refused(reply, self._where("reports"))

    async def has_report(self, report: ProgrammeReport) -> bool:
        """Whether the server has a report of that name. Raises as the port says."""
        query = {"programID": report.program_id, "clientName": self._vtn.ven_name}
        for raw in await self._objects("reports", query):
            known = _decoded(raw, _Report, self._where("reports"))
            if (known.reportName, known.eventID) == (report.report_name, report.event_id):
                return True
        return False

    def offer_power(self, power_kw: Callable[[], float | None]) -> None:
        """Nothing: a server of OpenADR 3 asks for reports in its events."""

    async def _events_of(self, program: Program) -> list[ProgrammeEvent | EventFault]:
        query: dict[str, str | list[str]] = {"programID": program.program_id}
        if self._vtn.targets and self._vtn.version == "3.1":
            query["targets"] = list(self._vtn.targets)
        elif self._vtn.targets and self._vtn.target_type is not None:
            query |= {"targetType": self._vtn.target_type, "targetValues": list(self._vtn.targets)}
        return [read_event(raw) for raw in await self._objects("events", query)]

    async def _objects(self, path: str, query: Mapping[str, str | list[str]]) -> list[msgspec.Raw]:
        """All objects of a list, page by page."""
        where = self._where(path)
        found: list[msgspec.Raw] = []
        read_bytes = 0
        while True:
            paging = {"skip": str(max(len(found) - 1, 0)), "limit": str(PAGE)}
            reply = await self._ask("GET", path, query={**query, **paging})
            if reply.status != 200:
                raise _refused(reply, where)
            page = _decoded(_json(reply, where), list[msgspec.Raw], where)
            read_bytes += len(reply.body)
            if not found:
                found = page
                if not page:
                    return found
                continue
            if [id_of(raw) for raw in page] == [id_of(raw) for raw in found]:
                return found  # all at once, whatever was asked for
            if not page or id_of(page[0]) != id_of(found[-1]):
                raise UnavailableError(
                    "the list changed while it was read", where=where, fix="Ask again"
                )
            if len(page) == 1:
                return found
            found += page[1:]
            if len(found) > MOST_OBJECTS or read_bytes > self._vtn.max_bytes:
                what = f"lists more than {MOST_OBJECTS} objects or {self._vtn.max_bytes} bytes"
                raise RejectedError(what, where=where, fix="Ask for fewer programs")

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """The answer to a question, asked again once with a new token where the first is not taken."""
        for attempt in (1, 2):
            token = await self._tokens.token(self, timeout_s=self._vtn.timeout_s)
            reply = await self._once(method, path, token, query or {}, body)
            if reply.status not in _UNAUTHORIZED or attempt == 2:
                break
            self._tokens.refused(token)
        require_well(reply, self._where(path))
        return reply

    async def _once(
        self,
        method: str,
        path: str,
        token: str,
        query: Mapping[str, str | list[str]],
        body: bytes | None,
    ) -> Reply:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = await self.exchange(
            method,
            URL(f"{self._vtn.url.rstrip('/')}/{path}").with_query(query),
            headers=headers,
            body=body,
            timeout_s=self._vtn.timeout_s,
            max_bytes=self._vtn.max_bytes,
        )
        where = self._where(path)
        if not isinstance(answer, Answered):
            raise UnavailableError(answer.what, where=where, fix="Ask again")
        if answer.too_large:
            what = f"sends more than {self._vtn.max_bytes} bytes"
            raise RejectedError(what, where=where, fix="Ask for fewer programs")
        if answer.cut:
            raise UnavailableError(answer.cut, where=where, fix="Ask again")
        return answer.reply

    def _where(self, path: str) -> str:
        return f"{self._vtn.url.rstrip('/')}/{path}"


class _Ven(msgspec.Struct):
    venName: str  # noqa: N815 - as the wire writes it


class _Report(msgspec.Struct):
    eventID: str  # noqa: N815
    reportName: str | None = None  # noqa: N815


def _refused(reply: Reply, where: str) -> RejectedError:
    """A no, with what the server says about it."""
    return ForeignError(
        f"answered {reply.status} {reply.content_type}",
        where=where,
        fix="Look at the address, the version and the credentials",
        raw=reply.body[:KEPT_BYTES],
    )


def _json(reply: Reply, where: str) -> bytes:
    if reply.content_type != "application/json" and not reply.content_type.endswith("+json"):
        raise _refused(reply, where)
    return reply.body


def _decoded(raw: bytes | msgspec.Raw, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignError(
            f"answers something else: {str(error)[:120]}",
            where=where,
            fix="Look at the address and the version",
            raw=bytes(raw)[:KEPT_BYTES],
        ) from error
