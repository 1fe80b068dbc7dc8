"""Our OpenADR server in the park file: what is refused, what a park's links become, and the limits that sites are told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.brokers import EmbeddedBroker
from adapters.http_token import TokenSource
from adapters.memory_journal import MemoryJournal
from adapters.openadr3 import OpenAdr3, Vtn
from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, Serving
from tests.service.smallpark import MARKET, PARK
from vpp.clock import WallClock
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.model.programme import (
    EventList,
    Payload,
    PayloadUnits,
    ProgrammeEvent,
    ProgrammeReport,
    ReportInterval,
)
from vpp.model.site import SiteHealth
from vpp.sense.decode import plausible_kw
from vpp.sense.intake import Intake
from vpp.service.calls import limits
from vpp.service.http import reserved_port
from vpp.service.links.wiring import open_links
from vpp.service.listeners import serve_face
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.vtn import vtn
from vpp.service.vtn.desk import SiteDesk, VtnDesk
from vpp.service.vtn.schema import SiteSection
from vpp.service.vtn.wiring import vtn_of
from vpp.wire import LimitRequest

SECRET = "hall-secret-0123456789"
TEMPLATE = shipped("devices/openadr/site.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALL_ID", "hall")
    monkeypatch.setenv("HALL_SECRET", SECRET)


def loaded(folder: Path, text: str, *, park: str = PARK) -> ParkFile:
    (folder / "park.yaml").write_text(park + text, encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    return load_park(folder / "park.yaml")


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


# ---------------------------------------------------------------- the park file


def test_the_template_and_the_example_of_the_page_fit_a_park(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "openadr-vtn.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(openadr_vtn:.*?)```", page, re.DOTALL)
    assert len(examples) == 1
    for text in (TEMPLATE, *examples):
        section = loaded(tmp_path, text).openadr_vtn
        assert section is not None
        assert section.sites[0].known_as == "hall-controller"


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (("resource: hall,", "resource: nobody,"), "devices.0.resource: unknown resource"),
        (("resource: battery,", "resource: hall,"), "is behind 'hall-controller' already"),
        (("resource: battery,", "resource: mill-meter,"), "devices.1.resource: unknown resource"),
        (("[mill-gate]", "[north]"), "limits_of.0: unknown place 'north'"),
        (("env: HALL_SECRET", "env: NO_SECRET"), "NO_SECRET: there is no value"),
        (("env: HALL_SECRET", "env: HALL_ID"), "client_secret: has fewer than 16 characters"),
        (
            ("id: hall-controller", "id: mqtt"),
            "sites.0.id: 'mqtt' is the name of the link to our own broker",
        ),
        (("callbacks: []", 'callbacks: ["http://hall.example"]'), "give https"),
        (("callbacks: []", 'callbacks: ["https://hall.example/x"]'), "not of the form"),
        (("callbacks: []", 'callbacks: ["https://a@hall.example"]'), "not of the form"),
        (("host: 127.0.0.1", "host: 192.0.2.1"), "beyond loopback"),
        (("sends: IMPORT_CAPACITY_LIMIT", "sends: PRICE"), "devices.0.sends"),
        (("  token_s: 900\n", "  tokens: 900\n"), "openadr_vtn.tokens"),
        (("  token_s: 900\n", "  public_url: http://vtn.example\n"), "openadr_vtn.public_url"),
        (("  token_s: 900\n", "  public_url: https://vtn.example/x\n"), "openadr_vtn.public_url"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    spoilt: tuple[str, str], told: str, tmp_path: Path
) -> None:
    assert spoilt[0] in TEMPLATE
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, TEMPLATE.replace(*spoilt))
    assert any(told in f"{f.path}: {f.what}" for f in raised.value.faults), raised.value.faults
    assert SECRET not in str(raised.value)


NEIGHBOUR = """\
  - id: bakery
    name: Bakery
    connection_points:
      - {id: bakery-gate, feeder: north, import_kw: 100, export_kw: 0, meter: bakery-meter, tariff: network, resources: []}
"""


@pytest.mark.parametrize("place", ["bakery", "bakery-gate"])
def test_a_site_is_told_nothing_of_another_enterprise(place: str, tmp_path: Path) -> None:
    park = PARK.replace("bidding_units:", f"{NEIGHBOUR}bidding_units:")
    text = TEMPLATE.replace("[mill-gate]", f"[{place}]")
    with pytest.raises(
        ConfigErrors, match=f"'{place}' belongs to 'bakery', and this site to 'mill'"
    ):
        loaded(tmp_path, text, park=park)


def test_two_clients_need_two_names(tmp_path: Path) -> None:
    second = """
    - id: other
      client_id: {env: HALL_ID}
      client_secret: {env: HALL_SECRET}
      devices: [{resource: pv}]
"""
    with pytest.raises(ConfigErrors, match="is that of 'hall-controller' too"):
        loaded(tmp_path, TEMPLATE + second)


def test_behind_a_proxy_that_ends_tls_the_token_is_to_be_had_at_the_public_address(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        public = "  public_url: https://vtn.example:8447\n"
        file = loaded(tmp_path, TEMPLATE.replace("  token_s: 900\n", public))
        assert file.openadr_vtn is not None
        with reserved_port() as port:
            listen = file.openadr_vtn.listen.model_copy(update={"port": port})
            section = file.openadr_vtn.model_copy(update={"listen": listen})
            face = vtn_of(section, file, WallClock()).face
            async with (
                serve_face(face, folder=tmp_path) as url,
                aiohttp.ClientSession() as http,
                http.get(f"{url}/openadr3/3.1.0/auth/server", headers={"Host": "inside"}) as answer,
            ):
                told = await answer.json()
        assert told == {"tokenURL": "https://vtn.example:8447/openadr3/3.1.0/auth/token"}

    run(check())


# ---------------------------------------------------------------- as a link of the park


def asked(url: str) -> Vtn:
    root = f"{url}/openadr3/3.1.0"
    token = TokenSource(
        url=f"{root}/auth/token", client_id=lambda: "hall", client_secret=lambda: SECRET
    )
    return Vtn(url=root, version="3.1", ven_name="hall-controller", token=token)


def by_device(listed: EventList, kind: str) -> dict[str, Any]:
    """What the site is asked for, by the name of the device."""
    return {
        event.targets[0]: event.intervals[0].payloads[0].values[0]
        for event in listed.events
        if event.intervals[0].payloads and event.intervals[0].payloads[0].payload_type == kind
    }


def report_on(event: ProgrammeEvent, kw: float, at: datetime) -> ProgrammeReport:
    minute = timedelta(minutes=1)
    reading = Payload(payload_type="READING", values=(kw,))
    return ProgrammeReport(
        report_name="r-1",
        program_id=event.program_id,
        event_id=event.event_id,
        units=(PayloadUnits(payload_type="READING", units="KW"),),
        intervals=(
            ReportInterval(interval_id=0, start=at - minute, duration=minute, payloads=(reading,)),
        ),
    )


def test_a_site_is_a_link_like_all_others_and_our_own_client_can_be_one(tmp_path: Path) -> None:
    async def check() -> None:
        clock = WallClock()
        with reserved_port() as port:
            text = TEMPLATE.replace("port: 8447", f"port: {port}")
            alone = "        - {resource: hall, sends: IMPORT_CAPACITY_LIMIT, report_s: 60}\n"
            file = loaded(tmp_path, text.replace(alone, ""))
            async with (
                EmbeddedBroker([EnterpriseId("mill")]) as access,
                AsyncExitStack() as stack,
            ):
                linked = await open_links(
                    file,
                    clock=clock,
                    seed=1,
                    broker=access.address(),
                    stack=stack,
                    journal=MemoryJournal(),
                )
                (face,) = linked.faces
                url = await stack.enter_async_context(serve_face(face, folder=file.folder))
                client = await stack.enter_async_context(OpenAdr3(asked(url), now=clock.now))
                await client.register()
                (asks,) = (await client.events(["hall-controller"])).events
                now = clock.now()
                setpoint = Setpoint(
                    command_id="battery-1",
                    seq=1,
                    resource_id=ResourceId("battery"),
                    enterprise_id=EnterpriseId("mill"),
                    issued_at=now,
                    expires_at=now + timedelta(minutes=5),
                    power_kw=50.0,
                    serves="plan-1",
                )
                assert await linked.channels.send([setpoint]) == ()
                listed = await client.events(["hall-controller"])
                assert by_device(listed, "DISPATCH_SETPOINT") == {"battery": -50.0}
                await client.send_report(report_on(asks, -49.0, now))
                assert await client.has_report(report_on(asks, -49.0, now))
                await client.send_report(report_on(asks, -49.0, now))
                intake = Intake(file.park.device_owner, plausible_kw(file.park), frozenset())
                async for message in linked.channels.messages():
                    if message.topic.endswith("telemetry"):
                        break
                taken = intake.accept(message.topic, message.payload, clock.now())
                assert isinstance(taken, Reading)
                assert (taken.resource_id, taken.power_kw) == ("battery", 49.0)
                health = {one.name: one for one in linked.channels.health()}
                assert (health["hall-controller"].connected, health["hall-controller"].devices) == (
                    True,
                    1,
                )
                assert linked.vtn is not None
                (site,) = linked.vtn.health()
                assert (site.connected, site.heard_from, site.tokens) == (True, "127.0.0.1", 1)
                assert (site.reports, site.subscriptions, site.notified) == (1, 0, 0)

    run(check())


def test_no_site_is_served_where_the_market_is_simulated_with_the_park(tmp_path: Path) -> None:
    async def check() -> None:
        file = loaded(tmp_path, TEMPLATE).in_simulation()
        async with EmbeddedBroker([EnterpriseId("mill")]) as access, AsyncExitStack() as stack:
            linked = await open_links(
                file,
                clock=WallClock(),
                seed=1,
                broker=access.address(),
                stack=stack,
                journal=MemoryJournal(),
            )
            assert (linked.faces, linked.vtn) == ((), None)

    run(check())


# ---------------------------------------------------------------- limits


class Kept:
    """A shelf of events, and nothing else."""

    def __init__(self) -> None:
        self.kept: dict[str, ProgrammeEvent] = {}
        self.versions = 0

    @property
    def events(self) -> tuple[ProgrammeEvent, ...]:
        return tuple(self.kept.values())

    def put_event(self, event: ProgrammeEvent) -> ProgrammeEvent:
        self.versions += 1
        put = replace(event, event_id=event.event_id or f"e-{self.versions}")
        self.kept[put.event_id] = put
        return put

    def drop_event(self, event_id: str) -> None:
        del self.kept[event_id]


def a_site(*places: str) -> tuple[SiteDesk, Kept]:
    shelf = Kept()
    section = SiteSection.model_validate(
        {
            "id": "hall",
            "client_id": {"env": "HALL_ID"},
            "client_secret": {"env": "HALL_SECRET"},
            "limits_of": list(places),
            "devices": [{"resource": "hall"}],
        }
    )
    return SiteDesk(section=section, shelf=shelf), shelf


def put(plant: Plant, order_id: str, place: str, *, revision: int = 1, import_kw: float) -> None:
    request = limit(place, revision=revision, import_kw=import_kw)
    asyncio.run(limits.put_order(plant, order_id, request, now=NOW))


def limit(place: str, *, revision: int = 1, import_kw: float) -> LimitRequest:
    return LimitRequest.model_validate(
        {
            "place": place,
            "start": "2025-12-02T10:00:00Z",
            "end": "2025-12-02T12:00:00Z",
            "import_kw": import_kw,
            "source": "grid operator",
            "revision": revision,
        }
    )


def told_kw(shelf: Kept) -> list[tuple[str, Any]]:
    return [(e.event_id, e.intervals[0].payloads[0].values[0]) for e in shelf.events]


def test_a_limit_order_of_its_place_is_told_to_the_site_and_changes_and_goes_with_it(
    plant: Plant,
) -> None:
    site, shelf = a_site("steel")
    put(plant, "o-1", "steel", import_kw=800)
    put(plant, "o-2", "feeder-north", import_kw=900)  # of another place

    vtn.tell_limits(plant, site)
    vtn.tell_limits(plant, site)
    assert told_kw(shelf) == [("e-1", 800)]
    (event,) = shelf.events
    assert event.intervals[0].payloads[0].payload_type == "IMPORT_CAPACITY_LIMIT"
    assert event.period is not None
    assert event.period.start == datetime(2025, 12, 2, 10, tzinfo=UTC)
    assert event.period.duration == timedelta(hours=2)

    put(plant, "o-1", "steel", revision=2, import_kw=700)
    vtn.tell_limits(plant, site)
    assert told_kw(shelf) == [("e-1", 700)]
    asyncio.run(limits.withdraw(plant, "o-1", by="Li", reason="it is over", now=NOW))
    vtn.tell_limits(plant, site)
    assert told_kw(shelf) == []
    assert shelf.versions == 2


# ---------------------------------------------------------------- what the operator sees


def test_the_operator_sees_who_was_heard_and_what_each_site_is_asked_for(
    plant: Plant, serving: Serving
) -> None:
    async def check() -> None:
        async with serving(plant) as client:
            assert (await (await client.get("/v1/sites")).json())["sites"] == []
            site, _ = a_site("steel")
            await limits.put_order(plant, "o-1", limit("steel", import_kw=800), now=NOW)
            vtn.tell_limits(plant, site)
            health = SiteHealth(
                name="hall", ven_name="hall", connected=True, since=NOW, heard_from="192.0.2.7",
                tokens=1, reports=2, subscriptions=1, notified=3, not_notified=4,
            )  # fmt: skip
            plant.vtn = VtnDesk(sites={"hall": site}, health=lambda: (health,))
            (seen,) = (await (await client.get("/v1/sites")).json())["sites"]
            assert (seen["site"], seen["connected"], seen["heard_from"]) == (
                "hall",
                True,
                "192.0.2.7",
            )
            (event,) = seen["events"]
            assert event["signals"] == [{"payload": "IMPORT_CAPACITY_LIMIT", "kw": 800.0}]
            assert (event["start"], event["until"]) == (
                "2025-12-02T10:00:00Z",
                "2025-12-02T12:00:00Z",
            )
            text = await (await client.get("/metrics")).text()
            assert 'vpp_openadr_site_events{link="hall"} 1.0' in text
            assert 'vpp_openadr_site_not_notified{link="hall"} 4.0' in text

    run(check())
