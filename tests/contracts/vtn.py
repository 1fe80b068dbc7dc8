"""A small server of OpenADR 3 for tests: both dialects, tokens that end, pages, and faults on demand.

It keeps JSON objects as they are given and knows nothing of our nouns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

STAMP = "2025-01-01T09:00:00Z"


@dataclass(kw_only=True)
class SmallVtn:
    """What the utility says, and what it was told."""

    version: str = "3.1"
    programs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    vens: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Method and path with query of each, in order."""

    valid: set[str] = field(default_factory=set)
    """Tokens that are taken."""

    given: int = 0
    """How many tokens were given out."""

    no_tokens: bool = False
    """Whether the token service is down."""

    answer: web.Response | None = None
    """What every list is answered with instead."""

    drops_reports: bool = False
    """Whether it takes a report and never answers."""

    ven_role: bool = True
    """Whether a client may make itself known."""

    def add_program(self, name: str, **more: Any) -> str:
        program_id = f"p-{len(self.programs) + 1}"
        self.programs.append(
            {"id": program_id, "objectType": "PROGRAM", "programName": name} | _stamps() | more
        )
        return program_id

    def add_event(
        self, event_id: str, program_id: str, kind: str, *values: Any, **more: Any
    ) -> None:
        """One interval of an hour for each value, from `start`, or with keys of its own."""
        start = more.pop("start", "2026-03-01T12:00:00Z")
        event = {
            "id": event_id,
            "objectType": "EVENT",
            "programID": program_id,
            "eventName": None,
            "priority": None,
            "targets": None,
            "intervalPeriod": {"start": start, "duration": more.pop("duration", "PT1H")},
            "intervals": [
                {"id": n, "payloads": [{"type": kind, "values": [value]}]}
                for n, value in enumerate(values)
            ],
        }
        self.events.append(event | _stamps() | more)

    def revoke(self) -> None:
        """No token that was given out is taken any more."""
        self.valid.clear()

    # ------------------------------------------------------------ what it serves

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/auth/token", self._token)
        app.router.add_get("/auth/server", self._token_server)
        app.router.add_get("/programs", self._list)
        app.router.add_get("/events", self._list)
        app.router.add_get("/reports", self._list)
        app.router.add_get("/vens", self._list)
        app.router.add_post("/reports", self._take)
        app.router.add_post("/vens", self._take)
        return app

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address while the block lasts."""
        runner = web.AppRunner(self.application(), handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _token_server(self, request: web.Request) -> web.Response:
        """Where tokens are had, as 3.1 lets a client ask."""
        return web.json_response({"tokenURL": f"{request.url.origin()}/auth/token"})

    async def _token(self, request: web.Request) -> web.Response:
        self.requests.append("POST /auth/token")
        form = await request.post()
        if self.no_tokens:
            return web.json_response({"error": "server_error"}, status=500)
        if (form.get("grant_type"), form.get("client_secret")) != ("client_credentials", "secret"):
            return web.json_response({"error": "invalid_client"}, status=401)
        self.given += 1
        token = f"token-{self.given}"
        self.valid.add(token)
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        )

    def _denied(self, request: web.Request) -> web.Response | None:
        self.requests.append(f"{request.method} {request.path_qs}")
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer in self.valid:
            return None
        return web.json_response(
            {"status": 401, "title": "no such token"},
            status=401,
            content_type="application/problem+json",
        )

    async def _list(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        if self.answer is not None:
            return web.Response(
                status=self.answer.status,
                body=self.answer.body,
                content_type=self.answer.content_type,
            )
        objects: list[dict[str, Any]] = getattr(self, request.path.strip("/"))
        query = request.query
        for key in ("programID", "venName", "clientName"):
            if key in query:
                objects = [one for one in objects if one.get(key) in (query[key], None)]
        wanted = query.getall("targets", []) or query.getall("targetValues", [])
        if wanted:
            objects = [one for one in objects if _targets(one) & set(wanted) or not _targets(one)]
        first = int(query.get("skip", "0"))
        return web.json_response(objects[first : first + int(query.get("limit", "50"))])

    async def _take(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        kind = request.path.strip("/")
        if kind == "vens" and not self.ven_role:
            return web.json_response({"status": 403}, status=403)
        body: dict[str, Any] = await request.json()
        if kind == "reports" and ("programID" in body) != (self.version == "3.0"):
            return web.json_response({"status": 400, "detail": "programID"}, status=400)
        kept: list[dict[str, Any]] = getattr(self, kind)
        if kind == "reports" and any(r["reportName"] == body["reportName"] for r in kept):
            return web.json_response({"status": 409}, status=409)
        kept.append(body | {"id": f"{kind}-{len(kept)}"} | _stamps())
        if kind == "reports" and self.drops_reports:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(kept[-1], status=201)


def _targets(one: dict[str, Any]) -> set[str]:
    names: set[str] = set()
    for target in one.get("targets") or []:
        names |= {target} if isinstance(target, str) else set(target["values"])
    return names


def _stamps() -> dict[str, str]:
    return {"createdDateTime": STAMP, "modificationDateTime": STAMP}
