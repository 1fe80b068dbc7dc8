"""An afternoon of fourteen members, seven of them people: what their machines do, and how each foreman answers.

    platform ─HTTP▶ plant ─mail, webhook▶ foremen ─page▶ plant        minute by minute, with nobody's real time
                    plant ─set-points▶ batteries      machines ─telemetry, main meters▶ plant

The plant, its HTTP face, the mail, the webhook and the one-time page are the real ones. Machines are a few lines:
a press draws 400 kW unless its foreman has turned it down, a battery does what it was told last.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.adapters.letters import Mailroom
from tests.service.conftest import Client, QuietLink
from tests.service.drpark import FIRST
from tests.service.peoplebench import settle
from tests.service.peoplepark import (
    BASE_KW,
    NOW,
    PRESS_KW,
    PRODUCT,
    WINDOW,
    a_plant,
    at,
    meter,
    planned,
    write_park,
)
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.time import isoformat
from vpp.service import cycle
from vpp.service.api.face import build_api
from vpp.service.demandresponse import demandresponse
from vpp.service.http import reserved_port
from vpp.service.instructions import loop as instructionloop
from vpp.service.listeners import serve_face
from vpp.service.park.parkfile import ParkFile
from vpp.service.people import people
from vpp.service.people.page import faces
from vpp.service.people.wiring import open_people
from vpp.service.plant import Plant
from vpp.service.run import take
from vpp.wire import TelemetryMessage, topic

STEP, TICK = timedelta(minutes=5), instructionloop.TICK
END = WINDOW.end + timedelta(minutes=30)
HANDS, SITES = 7, 7
SHARES_MW = {f"hand-{n}": "0.3" for n in range(1, HANDS + 1)} | {
    f"site-{n}": "0.2" for n in range(1, SITES + 1)
}
"""3.5 MW: each press all that it can, each battery half."""

Word = Literal["accept", "less", "decline", "silent"]


@dataclass(frozen=True, kw_only=True)
class Foreman:
    """How one answers, and what he then does."""

    word: Word
    after: timedelta = timedelta(minutes=10)
    """He was told."""
    less_kw: float | None = None
    does_kw: float
    """Turned down in the window, whatever he said."""
    by: Literal["mail", "webhook"] = "mail"


MINUTE = timedelta(minutes=1)
FOREMEN = {
    1: Foreman(word="accept", does_kw=300.0),
    2: Foreman(word="accept", after=25 * MINUTE, does_kw=300.0, by="webhook"),
    3: Foreman(word="less", less_kw=150.0, after=45 * MINUTE, does_kw=150.0),
    4: Foreman(word="decline", after=90 * MINUTE, does_kw=0.0, by="webhook"),
    5: Foreman(word="silent", does_kw=0.0),
    6: Foreman(word="accept", after=200 * MINUTE, does_kw=300.0, by="webhook"),  # once reminded
    7: Foreman(word="accept", after=60 * MINUTE, does_kw=100.0),
}
"""By the number of their press."""

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def a_park(folder: Path, mail_port: int, hook_port: int, page_port: int) -> ParkFile:
    """The park file; odd presses are reached by mail in Chinese, others by webhook in English."""
    (folder / "secret").write_text(SECRET)
    changes = {
        "port: 2525": f"port: {mail_port}",
        "8443": str(page_port),
        "listen: {": "listen: {requests_per_minute: 100000, ",
        "  persons:\n": f"  webhooks:\n    - {{id: erp, url: 'http://127.0.0.1:{hook_port}/hook',"
        " secret: {file: secret}}\n  persons:\n",
        "wear_cost_per_kwh: 0.5": "wear_cost_per_kwh: 1.5",
        "trades_from: 2026-07-14T00": "trades_from: 2026-07-15T16",
        "simulation:\n": "planning: {every_minutes: 60}\n"
        "control: {period_s: 300, setpoint_ttl_s: 900}\nsimulation:\n",
    }
    for n, foreman in FOREMEN.items():
        if foreman.by == "webhook":
            changes[f"mail: person-{n}@park.example"] = "webhook: erp"
    return write_park(folder, hands=HANDS, sites=SITES, changes=changes)


@dataclass
class Afternoon:
    """The plant, its surroundings, and how far the day is."""

    plant: Plant
    api: Client
    browser: aiohttp.ClientSession
    room: Mailroom
    hooked: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = NOW
    soc: dict[str, float] = field(default_factory=dict)
    registers: dict[ResourceId, tuple[float, float]] = field(default_factory=dict)
    """Of main meters: Wh drawn and fed."""
    energy_kwh: dict[ResourceId, float] = field(default_factory=dict)
    """Net injection that each machine has counted."""
    seen: dict[str, datetime] = field(default_factory=dict)
    """When each link came to its person."""
    statuses: dict[int, int] = field(default_factory=dict)
    """What the page said to each foreman's answer."""
    late_statuses: list[int] = field(default_factory=list)
    slowest_s: float = 0.0

    # -------------------------------------------------------- machines

    def power_kw(self, name: str) -> float:
        """What a machine does in the step that ends now; net injection."""
        n = int(name.rpartition("-")[2])
        if name.startswith("press"):
            inside = WINDOW.start < self.now <= WINDOW.end
            return -PRESS_KW + (FOREMEN[n].does_kw if inside else 0.0)
        if not name.startswith("battery"):
            return -BASE_KW
        told = self.told.get(ResourceId(name))
        if told is None or told.expires_at <= self.now - STEP:
            return 0.0
        return min(told.power_kw, self.soc.get(name, 1.0) * 800 / (STEP / timedelta(hours=1)))

    @property
    def told(self) -> dict[ResourceId, Setpoint]:
        link = self.plant.sink
        assert isinstance(link, QuietLink)
        return {one.resource_id: one for one in link.sent}

    def live(self, moment: datetime) -> None:
        """A step passes: stores empty, meters count, everybody says so."""
        self.now = moment
        at(self.plant, moment)
        hours, park = STEP / timedelta(hours=1), self.plant.file.park
        at_point = {point.connection_point_id: 0.0 for point in park.connection_points}
        for resource in park.resources:
            name, kw = resource.resource_id, self.power_kw(resource.resource_id)
            soc = None
            if name.startswith("battery"):
                soc = self.soc[name] = min(self.soc.get(name, 1.0) - kw * hours / 800, 1.0)
                soc = max(soc, 0.0)
            at_point[resource.connection_point_id] += kw
            energy = self.energy_kwh[name] = self.energy_kwh.get(name, 0.0) + kw * hours
            self._say(name, kw, soc=soc, energy_kwh=energy)
        for point in park.connection_points:
            kw = at_point[point.connection_point_id]
            drawn, fed = self.registers[point.meter_id]
            wh = kw * hours * 1000
            drawn, fed = drawn + max(-wh, 0.0), fed + max(wh, 0.0)
            self.registers[point.meter_id] = drawn, fed
            self._say(point.meter_id, kw, import_wh=round(drawn), export_wh=round(fed))

    def _say(self, name: ResourceId, kw: float, **more: Any) -> None:
        owner, site = self.plant.file.park.device_owner[name]
        message = TelemetryMessage(
            ts=isoformat(self.now),
            seq=int(self.now.timestamp()),
            power_kw=kw,
            **more,
        )
        take(self.plant, topic(owner, site, name, "telemetry"), msgspec.json.encode(message))

    # -------------------------------------------------------- foremen

    def links(self) -> dict[int, str]:
        """The newest link of each foreman."""
        found = {}
        for raw in self.room.mails:
            mail = message_from_bytes(raw, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            who, link = (
                re.search(r"person-(\d+)@", str(raw)),
                re.search(r"http://127\.0\.0\.1:\d+/\S{43}", mail.get_content()),
            )
            if who is not None and link is not None:
                found[int(who.group(1))] = link.group(0)
        for body in self.hooked:
            link = re.search(
                r"http://127\.0\.0\.1:\d+/[A-Za-z0-9_-]{43}", msgspec.json.encode(body).decode()
            )
            who = re.search(r"person-(\d+)", msgspec.json.encode(body).decode())
            if who is not None and link is not None:
                found[int(who.group(1))] = link.group(0)
        return found

    async def foremen(self) -> None:
        """Whoever's time has come opens the page (which changes nothing) and answers on it."""
        for n, link in self.links().items():
            foreman, came = FOREMEN[n], self.seen.setdefault(f"press-{n}", self.now)
            if n in self.statuses or foreman.word == "silent" or self.now < came + foreman.after:
                continue
            async with self.browser.get(link) as shown:
                assert shown.status == 200
            body: dict[str, Any] = {"answer": foreman.word}
            if foreman.less_kw is not None:
                body["amount_kw"] = foreman.less_kw
            how = (
                {"json": body}
                if foreman.by == "webhook"
                else {"data": {k: str(v) for k, v in body.items()}}
            )
            async with self.browser.post(link, allow_redirects=False, **how) as said:
                self.statuses[n] = said.status

    # -------------------------------------------------------- time

    async def until(self, end: datetime) -> None:
        """Time passes in steps, with the cycles in their order."""
        while self.now < end:
            self.live(self.now + STEP)
            moment, plant = self.now, self.plant
            await instructionloop.look(plant, moment)
            if moment.minute % 15 == 0:
                await cycle.plan(plant, moment)
            elif plant.replan is not None:
                await cycle.replan(plant, moment)
            await cycle.act(plant, moment)
            if moment.minute % 15 == 5:  # trade and account look a little after the quarter-hour
                await demandresponse.advance(plant, moment)
            await instructionloop.look(plant, moment)
            await people.look(plant, moment)
            await settle(plant)
            await self.foremen()
            at(plant, moment + TICK)  # whatever was answered is seen by the next turn of the loop
            await instructionloop.look(plant, moment + TICK)

    async def open(self) -> None:
        """Two weeks of meters lie behind it; everybody is heard, and the first plan is made."""
        meter(self.plant, FIRST, NOW, {})
        for point in self.plant.file.park.connection_points:
            usual_kw = BASE_KW + (PRESS_KW if point.enterprise_id.startswith("hand") else 0.0)
            hours = (NOW - FIRST) / timedelta(hours=1)
            self.registers[point.meter_id] = usual_kw * hours * 1000, 0.0
        await planned(self.plant, NOW)
        self.live(NOW)

    async def invite_and_confirm(self) -> None:
        """The platform invites to 3.5 MW; the operator nominates fourteen members; all of it is confirmed."""
        path = f"/v1/markets/{PRODUCT}/invitations"
        invitation = {
            "invitation_id": "peak-1",
            "revision": 1,
            "start": isoformat(WINDOW.start),
            "end": isoformat(WINDOW.end),
            "wanted_mw": "3.5",
            "price_cap_per_mwh": "3000",
            "reply_by": isoformat(NOW + timedelta(minutes=45)),
            "area": "east",
            "source": "the load-management platform",
        }
        await self._send("POST", path, invitation)
        await self.until(NOW + timedelta(minutes=10))
        reply = {"decision": "nominate", "shares_mw": SHARES_MW, "by": "Li", "reason": "as agreed"}
        told = await self._send("PUT", f"{path}/peak-1/reply", reply)
        bid_set_id = told["nomination"]["bid_set_id"]
        answer = await self.api.get(f"/v1/markets/{PRODUCT}/bids/{bid_set_id}")
        cleared = [
            {"bid_id": bid["bid_id"], "start": bid["start"], "end": bid["end"]}
            | {"quantity_mw": "3.5", "price_per_mwh": "3000"}
            for bid in (await answer.json())["bids"]
        ]
        award = {"award_id": "a", "revision": 1, "final": True, "bid_set_id": bid_set_id}
        await self._send("POST", f"/v1/markets/{PRODUCT}/awards", award | {"cleared": cleared})

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self.api.request(method, path, json=body) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told

    async def get(self, path: str) -> bytes:
        async with self.api.get(path) as answer:
            assert answer.status == 200
            return await answer.read()


@asynccontextmanager
async def afternoon(folder: Path) -> AsyncIterator[Afternoon]:
    """Everything but time: mail server, receiver, page, API, plant."""
    room, hooked = Mailroom(), list[dict[str, Any]]()

    async def hook(request: web.Request) -> web.Response:
        hooked.append(await request.json())
        return web.Response(status=204)

    receiver = web.Application()
    receiver.router.add_post("/hook", hook)
    async with AsyncExitStack() as stack:
        mail_port = await stack.enter_async_context(room.open())
        erp = await stack.enter_async_context(TestServer(receiver, host="127.0.0.1"))
        assert erp.port is not None
        with reserved_port() as page_port:
            file = a_park(folder, mail_port, erp.port, page_port)
        plant = a_plant(file, folder)
        live = file.trading.model_copy(update={"mode": "live"})
        reached = await open_people(_with_trading(file, live), plant.clock, stack)
        plant.people = reached
        (face,) = faces(plant)
        await stack.enter_async_context(serve_face(face, folder=folder))
        api = await stack.enter_async_context(TestClient(TestServer(build_api(plant))))
        browser = await stack.enter_async_context(aiohttp.ClientSession())
        stack.push_async_callback(people.close, plant.people)
        day = Afternoon(plant, api, browser, room, hooked)
        await day.open()
        yield day


def _with_trading(file: ParkFile, trading: Any) -> ParkFile:
    """Channels are opened as for a live park: the people of this test are its own."""
    from dataclasses import replace

    return replace(file, trading=trading)
