"""The bench of a link over our OpenADR server: the other side is a site that asks; where it is away, it does not ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from tests.contracts.linkbench import BESS, NOON, PUMP, Bench, dead_gateway
from tests.contracts.ownvtn import OwnVtn
from vpp.model.command import Setpoint
from vpp.service.links.channels import Channels, Link


@dataclass
class OverOpenAdr:
    link: Link | Channels
    own: OwnVtn
    clock: list[datetime]
    http: aiohttp.ClientSession
    headers: dict[str, str]

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"{self.own.root('3.1')}{path}"
        async with self.http.request(method, url, json=body, headers=self.headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def says(self, power_kw: float) -> None:
        (event,) = [e for e in await self._ask("GET", "/events") if e["reportDescriptors"]]
        interval = {
            "id": 0,
            "intervalPeriod": {"start": "2025-12-03T11:59:00Z", "duration": "PT1M"},
            "payloads": [{"type": "READING", "values": [-power_kw]}],
        }
        resources = [{"resourceName": "bess", "intervals": [interval]}]
        report = {"eventID": event["id"], "clientName": "steel", "resources": resources}
        await self._ask("POST", "/reports", report)

    async def does(self, setpoint: Setpoint) -> float:
        assert await self.link.send([setpoint]) == ()
        (event,) = [e for e in await self._ask("GET", "/events") if not e["reportDescriptors"]]
        return -float(event["intervals"][0]["payloads"][0]["values"][0])

    async def away(self) -> None:
        self.clock[0] += timedelta(minutes=4)

    async def back(self) -> None:
        self.clock[0] = NOON
        await self._ask("GET", "/programs")


@asynccontextmanager
async def over_openadr(*, beside: bool = False) -> AsyncIterator[Bench]:
    clock = [NOON]
    async with AsyncExitStack() as stack:
        vtn = await stack.enter_async_context(OwnVtn.serving(now=lambda: clock[0]))
        own = vtn.links["steel"]
        link: Link | Channels = own
        if beside:
            link = Channels(
                {"site": own, "gateway": await stack.enter_async_context(dead_gateway())},
                {BESS: "site", PUMP: "gateway"},
            )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        form = {"grant_type": "client_credentials", "client_id": "steel"}
        form["client_secret"] = vtn.secrets["steel"]
        async with http.post(f"{vtn.root('3.1')}/auth/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        bench = OverOpenAdr(link, vtn, clock, http, {"Authorization": f"Bearer {token}"})
        await bench.back()
        yield bench
