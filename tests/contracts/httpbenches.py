"""Benches for links over HTTP: a device that is asked, and a gateway that calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from aiohttp import web

from adapters.http_pull import PullAddress, PullLink, PullTiming
from adapters.http_push import PushDoor, PushLink
from adapters.payload_mapping import ForeignDevice
from tests.contracts.linkbench import BESS, NOON, PUMP, Bench, dead_gateway
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId
from vpp.service.http import reserved_port
from vpp.service.links.channels import Channels, Link
from vpp.service.links.payloadmaps import load_payload_map
from vpp.service.listeners import OuterFace, serve_face
from vpp.service.listenerschema import ListenSection

TOKEN = "the token of the gateway"


def a_device(names: dict[str, str], *, read_only: bool = False) -> ForeignDevice:
    return ForeignDevice(
        device_id=BESS,
        enterprise_id=EnterpriseId("steel"),
        site_id="mill",
        names=names,
        is_meter=False,
        read_only=read_only,
    )


# ---------------------------------------------------------------- a device that is asked


@dataclass
class OverHttpPull:
    """The other side is an OpenEMS-like server that tells watts and takes them."""

    port: int
    link: Link | Channels = field(default_factory=lambda: Channels({}, {}))
    watts: float = 1000.0
    written: asyncio.Queue[float] = field(default_factory=asyncio.Queue)
    runner: web.AppRunner | None = None

    async def says(self, power_kw: float) -> None:
        self.watts = 1000 * power_kw

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        return await self.written.get() / 1000

    async def away(self) -> None:
        assert self.runner is not None
        await self.runner.cleanup()

    async def back(self) -> None:
        async def value(request: web.Request) -> web.Response:
            told = {"ActivePower": self.watts, "Soc": 50}
            return web.json_response({"value": told[request.match_info["channel"]]})

        async def write(request: web.Request) -> web.Response:
            said = (await request.json())["value"]
            if said is not None:  # null lets it go
                await self.written.put(said)
            return web.Response()

        app = web.Application()
        app.add_routes(
            [
                web.get("/rest/channel/ess0/{channel}", value),
                web.post("/rest/channel/ess0/SetActivePowerEquals", write),
            ]
        )
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()


@asynccontextmanager
async def over_http_pull(*, beside: bool = False) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        bench = OverHttpPull(stack.enter_context(reserved_port()))
        await bench.back()
        own = await stack.enter_async_context(a_pull_link(f"http://127.0.0.1:{bench.port}"))
        bench.link = own
        if beside:
            bench.link = Channels(
                {"http": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "http", PUMP: "gateway"},
            )
        yield bench
    await bench.away()


def a_pull_link(url: str) -> PullLink:
    return PullLink(
        PullAddress(url=url),
        load_payload_map("openems-rest", Path()),
        [a_device({"component": "ess0"})],
        now=lambda: NOON,
        jitter=Random(1),
        timing=PullTiming(poll_s=0.02, first_delay_s=0.01, longest_delay_s=0.05),
    )


# ---------------------------------------------------------------- a gateway that calls


@dataclass
class OverHttpPush:
    """The other side is a gateway that keeps a question for commands open."""

    url: str
    link: Link | Channels
    http: aiohttp.ClientSession
    commands: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    posting: list[asyncio.Task[int]] = field(default_factory=list)
    asking: asyncio.Task[None] | None = None

    def post(self, where: str, body: dict[str, Any]) -> None:
        """Beside the test: it is answered when it has been read, and not every test reads on."""

        async def say() -> int:
            async with self.http.post(f"{self.url}/devices/bms{where}", json=body) as answer:
                return answer.status

        self.posting.append(asyncio.create_task(say()))

    async def says(self, power_kw: float) -> None:
        self.post("", {"time": "2025-12-03T12:00:00Z", "power_kw": power_kw})

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        command = await self.commands.get()
        assert command["to"] == "devices/bms/command"
        self.post("/answer", {"id": command["payload"]["id"], "accepted": True})
        return float(command["payload"]["power_kw"])

    async def away(self) -> None:
        assert self.asking is not None
        self.asking.cancel()

    async def back(self) -> None:
        async def ask() -> None:
            after = 0
            while True:
                async with self.http.get(f"{self.url}?after={after}&wait_s=0") as answer:
                    found = await answer.json()
                if found["revision"] > after:
                    after = found["revision"]
                    for command in found["commands"]:
                        await self.commands.put(command)
                await asyncio.sleep(0.02)

        self.asking = asyncio.create_task(ask())


@asynccontextmanager
async def over_http_push(*, beside: bool = False) -> AsyncIterator[Bench]:
    own = PushLink(
        "shed",
        load_payload_map("push-json", Path()),
        [a_device({"device": "bms"})],
        token=lambda: TOKEN,
        now=lambda: NOON,
        silent_after_s=0.3,
    )
    async with AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port())
        await stack.enter_async_context(own)
        link: Link | Channels = own
        if beside:
            link = Channels(
                {"shed": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "shed", PUMP: "gateway"},
            )
        listen = ListenSection(port=port, requests_per_minute=1_000_000)
        face = OuterFace(name="http_devices", listen=listen, routes=PushDoor([own]).routes())
        address = await stack.enter_async_context(serve_face(face, folder=Path()))
        http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"})
        await stack.enter_async_context(http)
        bench = OverHttpPush(f"{address}/push/shed", link, http)
        await bench.back()
        yield bench
        await bench.away()
        for posting in bench.posting:
            posting.cancel()
