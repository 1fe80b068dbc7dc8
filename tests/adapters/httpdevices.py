"""Devices over HTTP for tests: a server that tells and takes what a test says, and a map to read it by."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.payload_mapping import ForeignDevice
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.payloads import PayloadMap
from vpp.service.http import reserved_port
from vpp.service.links.payloadmaps import load_payload_map

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
MAP = """\
payloads: unit
name: A unit that tells and takes kW
device_by: [unit]
incoming:
  - topic: units/{unit}
    time: {path: t, form: unix_s}
    points:
      power_kw: {path: kw, counts: draw}
      setpoint_kw: {path: told, counts: draw}
command:
  topic: units/{unit}/limit
  method: PUT
  payload: {kw: "{power}"}
  counts: draw
  release: {kw: null}
  without_expiry: keeps its last value
sources:
  incoming: {ref: a test, mark: ours, confidence: H, valid: all}
  command: {ref: a test, mark: ours, confidence: H, valid: all}
"""


def a_map(folder: Path, text: str = MAP) -> PayloadMap:
    (folder / "unit.yaml").write_text(text, encoding="utf-8")
    return load_payload_map("unit.yaml", folder)


def a_device(name: str = "u1", *, read_only: bool = False) -> ForeignDevice:
    return ForeignDevice(
        device_id=ResourceId(name),
        enterprise_id=EnterpriseId("mill"),
        site_id="gate",
        names={"unit": name},
        is_meter=False,
        read_only=read_only,
    )


def a_setpoint(power_kw: float, seq: int = 1, name: str = "u1") -> Setpoint:
    return Setpoint(
        command_id=f"c{seq}",
        seq=seq,
        resource_id=ResourceId(name),
        enterprise_id=EnterpriseId("mill"),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=2),
        power_kw=power_kw,
        serves="plan-1",
    )


@dataclass
class Wall:
    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment


async def until(done: Callable[[], bool]) -> None:
    """Let other tasks run until something is true that no event tells of."""
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Units:
    """A server of units; what each tells can be replaced by a handler of a test's own."""

    port: int
    tells: dict[str, dict[str, Any]] = field(default_factory=dict)
    odd: dict[str, Handler] = field(default_factory=dict)
    """By path: what is answered instead."""
    asked: Counter[str] = field(default_factory=Counter)
    methods: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)
    written: list[tuple[str, float | None]] = field(default_factory=list)
    obeys: bool = True
    tls: ssl.SSLContext | None = None
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked[path] += 1
        self.methods.add(request.method)
        self.headers = dict(request.headers)
        if (odd := self.odd.get(path)) is not None:
            return await odd(request)
        unit = path.split("/")[1]
        if request.method == "PUT":
            said = (await request.json())["kw"]
            self.written.append((unit, said))
            if self.obeys:
                self.tells[unit]["told"] = said
            return web.Response()
        return web.json_response(self.tells[unit])


@asynccontextmanager
async def units(
    tls: ssl.SSLContext | None = None, /, **tells: dict[str, Any]
) -> AsyncIterator[Units]:
    with reserved_port() as port:
        there = Units(port, tells=tells, tls=tls)
        await there.start()
        try:
            yield there
        finally:
            await there.stop()
