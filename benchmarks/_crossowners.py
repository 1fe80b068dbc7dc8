"""What each owner does by right before anybody tries anything: its devices call, report, charge, and stay connected.

So there is something to steal: ids of events, reports, programs, VENs, devices and transactions.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks._crosspark import OWNERS, World, a_command, secret_of
from vpp.model.time import isoformat

ROOT = "/openadr3/3.1.0"


@dataclass
class Station:
    """A charging station of an owner, connected by right."""

    socket: aiohttp.ClientWebSocketResponse
    answers: asyncio.Queue[list[Any]] = field(default_factory=asyncio.Queue)
    number: int = 0

    async def read(self) -> None:
        """Answer what is asked, and keep what is answered."""
        async for message in self.socket:
            frame = json.loads(message.data)
            if frame[0] == 2:
                await self.socket.send_str(json.dumps([3, frame[1], {"status": "Accepted"}]))
            else:
                await self.answers.put(frame)

    async def call(self, action: str, payload: object) -> list[Any]:
        """What the central system answers."""
        self.number += 1
        await self.socket.send_str(json.dumps([2, f"n{self.number}", action, payload]))
        async with asyncio.timeout(10):
            return await self.answers.get()


@dataclass
class Owner:
    """What an owner knows of itself, and may lose."""

    name: str
    token: str
    """Of the OpenADR server."""
    ended: str
    """The one before: it was given for a secret that is another by now."""
    narrow: str
    """One that may write reports, and read nothing."""
    objects: dict[str, str]
    """Ids of what it has there, by the kind of object as it stands in a path."""
    station: Station
    transaction: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def basic(user: str, password: str) -> str:
    """Credentials in a header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@asynccontextmanager
async def settled(world: World, http: aiohttp.ClientSession) -> AsyncIterator[dict[str, Owner]]:
    """All owners, with everything that is theirs."""
    async with AsyncExitStack() as stack:
        owners = {}
        for name in OWNERS:
            await _push(world, http, name)
            station = await _connected(world, http, name, stack)
            began = await station.call(
                "StartTransaction",
                {
                    "connectorId": 1,
                    "idTag": world.canaries[name],
                    "meterStart": 0,
                    "timestamp": isoformat(world.plant.clock.now()),
                },
            )
            ended = await _ended_token(world, http, name)
            token = await _token(world, http, name)
            owners[name] = Owner(
                name=name,
                token=token,
                ended=ended,
                narrow=await _token(world, http, name, scope="write_reports"),
                objects=await _objects(world, http, name, token),
                station=station,
                transaction=began[2]["transactionId"],
            )
        await world.plant.sink.send([a_command(world, name) for name in OWNERS])
        yield owners


async def _push(world: World, http: aiohttp.ClientSession, name: str) -> None:
    body = {"time": isoformat(world.plant.clock.now()), "power_kw": -1.0, "soc": 0.5}
    async with http.post(
        f"{world.urls['http_devices']}/push/{name}-gateway/devices/{name}-bess",
        json=body,
        headers={"Authorization": f"Bearer {secret_of(name, 'push')}"},
    ) as answer:
        assert answer.status == 200, await answer.text()


async def _ended_token(world: World, http: aiohttp.ClientSession, name: str) -> str:
    """A token that was given for a secret of before."""
    kept, secret = world.plant.file.folder / f"vtn.{name}", secret_of(name, "vtn")
    kept.write_text(f"before-{secret}\n")
    token = await _token(world, http, name, secret=f"before-{secret}")
    kept.write_text(f"{secret}\n")
    return token


async def _token(
    world: World, http: aiohttp.ClientSession, name: str, *, scope: str = "", secret: str = ""
) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": f"client-{name}",
        "client_secret": secret or secret_of(name, "vtn"),
        "scope": scope,
    }
    url = f"{world.urls['openadr_vtn']}{ROOT}/auth/token"
    async with http.post(url, data=form) as answer:
        return str((await answer.json())["access_token"])


async def _objects(
    world: World, http: aiohttp.ClientSession, name: str, token: str
) -> dict[str, str]:
    """The first of each kind; a report is made first, so that there is one."""
    url, headers = f"{world.urls['openadr_vtn']}{ROOT}", {"Authorization": f"Bearer {token}"}
    found: dict[str, str] = {}
    for kind in ("programs", "events", "vens", "resources", "reports"):
        if kind == "reports":
            async with http.post(
                f"{url}/reports", json=a_report(world, name, found), headers=headers
            ) as answer:
                assert answer.status == 201, await answer.text()
        async with http.get(f"{url}/{kind}", headers=headers) as answer:
            found[kind] = (await answer.json())[0]["id"]
    return found


def a_report(world: World, name: str, objects: dict[str, str], kw: float = 1.0) -> dict[str, Any]:
    """A report of a roof's power, about one of the owner's events."""
    interval = {
        "id": 0,
        "intervalPeriod": {"start": isoformat(world.plant.clock.now()), "duration": "PT1M"},
        "payloads": [{"type": "READING", "values": [kw]}],
    }
    return {
        "eventID": objects["events"],
        "clientName": name,
        "reportName": world.canaries[name],
        "payloadDescriptors": [{"payloadType": "READING", "units": "KW"}],
        "resources": [{"resourceName": f"{name}-pv", "intervals": [interval]}],
    }


async def _connected(
    world: World, http: aiohttp.ClientSession, name: str, stack: AsyncExitStack
) -> Station:
    socket = await stack.enter_async_context(
        http.ws_connect(
            f"{world.urls['ocpp']}/ocpp/cp-{name}",
            protocols=("ocpp1.6",),
            headers={"Authorization": basic(f"cp-{name}", secret_of(name, "ocpp"))},
        )
    )
    station = Station(socket)
    reading = asyncio.create_task(station.read())
    stack.callback(reading.cancel)
    await station.call(
        "BootNotification",
        {"chargePointVendor": "none", "chargePointModel": world.canaries[name]},
    )
    await station.call(
        "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
    )
    return station
