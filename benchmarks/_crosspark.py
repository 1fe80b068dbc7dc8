"""A park of three owners for the cross-site benchmark: each has a device behind every door that others can call.

Of each owner there is a secret word (`canary`) in everything that is told to it alone: where it shows in an answer
to somebody else, something has leaked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from adapters.mqtt_life import BrokerAddress
from benchmarks._trading import TRADING
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, PersonId, ResourceId
from vpp.model.instruction import Accepted, Instruction, Reason, Why
from vpp.model.message import Handed, Handover, Letter
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.calls import limits
from vpp.service.forecasting.inline import InlineForecaster
from vpp.service.http import reserved_port
from vpp.service.instructions import instructing
from vpp.service.outerfaces import serve_outside
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.people import people
from vpp.service.people.desk import Address, Channel
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.vtn import vtn
from vpp.service.wiring import open_plant
from vpp.wire import LimitRequest

OWNERS = ("mill", "farm", "yard")
FAR = timedelta(days=1)
LATE = timedelta(minutes=30)
"""So soon the first question to each person is over."""

MEMBER = """\
  - id: {o}
    name: {o}
    connection_points:
      - id: {o}-gate
        import_kw: 2000
        export_kw: 2000
        meter: {o}-meter
        tariff: network
        resources:
          - {{id: {o}-bess, kind: storage, capacity_kwh: 200, max_charge_kw: 100, max_discharge_kw: 100, charge_efficiency: 0.96, min_soc: 0.1}}
          - {{id: {o}-cell, kind: storage, capacity_kwh: 200, max_charge_kw: 100, max_discharge_kw: 100, charge_efficiency: 0.96, min_soc: 0.1}}
          - {{id: {o}-pv, kind: generator, max_feed_kw: 250}}
          - {{id: {o}-cars, kind: ev_fleet, max_draw_kw: 22, charger_kw: 22, unserved_cost_per_kwh: 1.0}}
          - {{id: {o}-press, kind: curtailable_load, max_draw_kw: 500, curtailable_share: 0.75, curtailment_cost_per_kwh: 1.0, longest_call_minutes: 240, max_calls_per_day: 1, notice_minutes: 90}}
"""
PARK = """\
park: crossed
name: Three owners
timezone: Europe/Stockholm
currency: EUR
minor_unit: "0.01"
limits: {{import_kw: 9000, export_kw: 9000}}
carbon: {{grid_kgco2_per_kwh: 0.02, source: a table, valid_from: 2025-01-01}}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands:
      - {{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.02}}
    demand_charge_per_kw_month: 0
enterprises:
{members}bidding_units:
  - id: unit-a
    zone: SE3
    resources: all
    products: [se3-day-ahead, se3-quarter-hour]
    connected_kw: 3000
    declared_kw: 3000
    tested_kw: 3000
    trades_from: "2026-03-01T00:00:00+00:00"
    trading_share: {{mill: 1}}
markets: [{day_ahead}, {quarter_hour}]
trading: {{mode: shadow}}
strategies: strategies.yaml
people:
  page: {{url: "http://127.0.0.1:{people}", listen: {{port: {people}, {rates}}}}}
  mail: {{host: 127.0.0.1, port: 2525, tls: none, from: vpp@park.example}}
  persons:
{persons}
instructions:
  resources:
{reached}
http_devices:
  listen: {{port: {push}, {rates}}}
  gateways:
{gateways}
s2:
  listen: {{port: {s2}, {rates}}}
  devices:
{cells}
ocpp:
  - id: chargers
    listen: {{port: {ocpp}, {rates}}}
    report_s: 3600
    messages_per_s: 10000
    car_parks:
{stations}
openadr_vtn:
  listen: {{port: {vtn}, {rates}}}
  sites:
{sites}
"""
RATES = "requests_per_minute: 1000000, connections: 5000, connections_per_address: 5000"
DOORS = ("people", "push", "s2", "ocpp", "vtn")


def secret_of(owner: str, door: str) -> str:
    """What an owner's device shows at a door."""
    return f"{door}-secret-of-{owner}-0123456789abcdef"


def write_park(folder: Path, ports: Mapping[str, int]) -> ParkFile:
    """The park file and the secrets it names."""
    for owner in OWNERS:
        for door in DOORS:
            (folder / f"{door}.{owner}").write_text(secret_of(owner, door) + "\n")
        (folder / f"client.{owner}").write_text(f"client-{owner}\n")
    markets = {name: shipped(f"markets/se3_{name}.yaml") for name in ("day_ahead", "quarter_hour")}

    def each(line: str) -> str:
        return "\n".join(line.format(o=owner) for owner in OWNERS)

    text = PARK.format(
        members="".join(MEMBER.format(o=owner) for owner in OWNERS),
        rates=RATES,
        persons=each("    - {{id: {o}-person, name: {o}, language: en, mail: {o}@park.example}}"),
        reached=each("    - {{resource: {o}-press, person: {o}-person}}"),
        gateways=each(
            "    - {{id: {o}-gateway, map: push-json, push: {{token: {{file: push.{o}}},"
            " silent_after_s: 86400}}, devices: [{{resource: {o}-bess, names: {{device: {o}-bess}},"
            " read_only: false}}]}}"
        ),
        cells=each(
            "    - {{resource: {o}-cell, token: {{file: s2.{o}}}, control: frbc, read_only: false}}"
        ),
        stations=each(
            "      - {{resource: {o}-cars, kind: ac-22kw, cars: {{wanted_kwh: 20,"
            " stay_minutes: 240}}, stations: [{{id: cp-{o}, password: {{file: ocpp.{o}}}}}]}}"
        ),
        sites=each(
            "    - {{id: {o}-site, client_id: {{file: client.{o}}}, client_secret: {{file: vtn.{o}}},"
            " silent_s: 86400, limits_of: [{o}-gate], devices: [{{resource: {o}-pv}}]}}"
        ),
        **markets,
        **ports,
    )
    (folder / "strategies.yaml").write_text(TRADING)
    (folder / "park.yaml").write_text(text)
    return load_park(folder / "park.yaml")


@dataclass
class LeapingClock:
    """The wall's clock, which is set ahead once."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """The present."""
        return datetime.now(UTC) + self.ahead


@dataclass
class Mailbox:
    """Where the letters to people end up; a person alone reads his."""

    letters: dict[str, Letter] = field(default_factory=dict)

    async def send(self, letter: Letter, *, to: str) -> Handover:
        self.letters[to] = letter
        return Handed(what="kept")

    def token(self, owner: str) -> str:
        """What the newest link of a person ends in."""
        link = self.letters[f"{owner}@park.example"].link
        assert link is not None
        return link.rpartition("/")[2]


@dataclass
class World:
    """The park, as it stands before anybody tries anything."""

    plant: Plant
    urls: dict[str, str]
    mail: Mailbox
    canaries: dict[str, str]
    told: list[str] = field(default_factory=list)
    """Owners of the devices of which something was told inward, since it was looked last."""
    late: dict[str, str] = field(default_factory=dict)
    """One-time links whose question is over, by owner."""
    used: dict[str, str] = field(default_factory=dict)
    """Those that were answered."""
    open: dict[str, str] = field(default_factory=dict)
    """Those that may still be answered."""

    def shelf(self, owner: str) -> Any:
        """What a site sees."""
        assert self.plant.vtn is not None
        return self.plant.vtn.sites[f"{owner}-site"].shelf

    def fingerprint(self, owner: str) -> tuple[object, ...]:
        """Everything of an owner that a request from outside could change."""
        shelf = self.shelf(owner)
        stories = [
            (name, story.state, story.answer)
            for name, story in self.plant.instructions.stories.items()
            if story.instruction.enterprise_id == owner
        ]
        links = [
            (one.name, one.connected, one.fault, one.reconnects)
            for one in self.plant.links()
            if owner in one.name
        ]
        stations = [
            one for desk in self.plant.chargers for one in desk.port.shown() if owner in repr(one)
        ]
        return shelf.events, shelf.reports, shelf.subscriptions, stories, links, repr(stations)


@asynccontextmanager
async def a_world(folder: Path, random: Random) -> AsyncIterator[World]:
    """Open the park, let every owner be told something, and have it listened to."""
    canaries = {owner: f"canary{random.getrandbits(56):014x}" for owner in OWNERS}
    async with AsyncExitStack() as stack:
        held = stack.enter_context(ExitStack())
        ports = {door: held.enter_context(reserved_port()) for door in (*DOORS, "broker")}
        file, clock = write_park(folder, ports), LeapingClock()
        opened = await stack.enter_async_context(
            open_plant(
                file,
                clock=clock,
                seed=1,
                data=folder / "data",
                broker=BrokerAddress(host="127.0.0.1", port=ports["broker"]),
                venue_url=None,
                executor=InlineExecutor(),
                forecaster=InlineForecaster(),
            )
        )
        plant, mail = opened.plant, Mailbox()
        channel = Channel(name="mail", port=mail)
        plant.people = replace(
            plant.people,
            persons={
                name: replace(
                    person,
                    addresses=(Address(channel=channel, to=f"{person.name}@park.example"),),
                )
                for name, person in plant.people.persons.items()
            },
        )
        served = await stack.enter_async_context(serve_outside(plant))
        urls = {name.partition("-")[0]: url for name, url in served.items()}
        world = World(plant, urls, mail, canaries)
        listening = asyncio.create_task(_listen(world))
        stack.push_async_callback(_stopped, listening)
        await _tell(world, clock)
        yield world
        await people.close(plant.people)


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _listen(world: World) -> None:
    async for message in world.plant.source.messages():
        world.told.append(message.topic.split("/")[2])


async def _tell(world: World, clock: LeapingClock) -> None:
    """What each owner alone is to know: limits over OpenADR, commands over HTTP, questions to people."""
    plant, now = world.plant, world.plant.clock.now()
    for owner in OWNERS:
        canary = world.canaries[owner]
        world.late[owner] = await _ask(world, owner, 1, LATE, canary)
        world.used[owner] = await _ask(world, owner, 2, FAR, canary)
        world.open[owner] = await _ask(world, owner, 3, FAR, canary)
        await instructing.answer(
            plant,
            f"{owner}-press-2",
            Accepted(at=now, by=PersonId(f"{owner}-person")),
            now=now,
        )
        request = LimitRequest(
            place=f"{owner}-gate", import_kw=1234.5, start=now, end=now + FAR, source="the grid"
        )
        await limits.put_order(plant, f"order-{canary}", request, now=now)
    assert plant.vtn is not None
    for site in plant.vtn.sites.values():
        vtn.tell_limits(plant, site)
    clock.ahead += LATE


async def _ask(world: World, owner: str, number: int, answer_within: timedelta, canary: str) -> str:
    """A question to an owner's person; the token of its link."""
    now = world.plant.clock.now()
    start = latest_boundary(now + 2 * FAR, QUARTER) + 8 * number * QUARTER
    await instructing.ask(
        world.plant,
        Instruction(
            instruction_id=f"{owner}-press-{number}",
            resource_id=ResourceId(f"{owner}-press"),
            enterprise_id=EnterpriseId(owner),
            person_id=PersonId(f"{owner}-person"),
            amount_kw=120.0,
            course_kw=(200.0,) * 4,
            window=Interval(start, start + 4 * QUARTER),
            answer_by=now + answer_within,
            made_at=now,
            why=Why(reason=Reason.OPERATOR, words=canary),
        ),
        now=now,
    )
    while world.plant.people.sending:
        await asyncio.wait(world.plant.people.sending)
    return world.mail.token(owner)


def a_command(world: World, owner: str) -> Setpoint:
    """What an owner's battery is to do; only its gateway may hear of it."""
    now = world.plant.clock.now()
    return Setpoint(
        command_id=f"command-{world.canaries[owner]}",
        seq=1,
        resource_id=ResourceId(f"{owner}-bess"),
        enterprise_id=EnterpriseId(owner),
        issued_at=now,
        expires_at=now + FAR,
        power_kw=-12.0,
        serves="",
    )
