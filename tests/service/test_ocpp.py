"""The section `ocpp` of a park file: what it takes, refuses, and where; and what becomes of a station that connects."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.brokers import EmbeddedBroker
from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, Serving
from tests.service.smallpark import MARKET, PARK
from vpp.clock import SimulatedClock, WallClock
from vpp.errors import ConfigError
from vpp.model.charging import Notice, PointShown, StationShown, StayBegun
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.sense.decode import plausible_kw
from vpp.sense.intake import Intake
from vpp.service.devicetest import wiring as devicetestwiring
from vpp.service.http import reserved_port
from vpp.service.links.wiring import open_links
from vpp.service.listeners import serve_face
from vpp.service.ocpp import ocpp
from vpp.service.ocpp.desk import ChargerDesk
from vpp.service.ocpp.kinds import load_kind, shipped_kinds
from vpp.service.ocpp.ledger import JournalLedger
from vpp.service.ocpp.schema import OcppSection
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.simulate.charger import Car, ChargerSpec, Dialect
from vpp.simulate.chargerpoint import ChargePoint

CARS = ResourceId("cars")
FLEET = """\
          - {id: cars, kind: ev_fleet, charger_kw: 60, max_draw_kw: 200, unserved_cost_per_kwh: 1}
"""
OCPP = """\
ocpp:
  - id: chargers
    listen: {port: 8887}
    report_s: 0.05
    car_parks:
      - resource: cars
        kind: ac-22kw
        cars: {wanted_kwh: 20, stay_minutes: 240}
        drivers:
          - {card: 04A1B2C3, wanted_kwh: 35, leaves: "17:30"}
        read_only: false
        stations:
          - {id: CP-001, password: {file: cp-001}}
          - {id: CP-002, kind: dc-60kw}
"""


def loaded(folder: Path, section: str = OCPP, *, fleet: str = FLEET) -> ParkFile:
    text = PARK.replace("bidding_units:", fleet + "bidding_units:", 1)
    (folder / "park.yaml").write_text(text + section, encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    (folder / "cp-001").write_text("secret\n", encoding="utf-8")
    return load_park(folder / "park.yaml")


def test_a_car_park_is_an_ev_fleet_with_the_stations_of_its_kind(tmp_path: Path) -> None:
    file = loaded(tmp_path)
    [central] = file.ocpp
    assert [station.id for station in central.car_parks[0].stations] == ["CP-001", "CP-002"]
    assert file.station_kinds["ac-22kw"].max_kw == 22.08
    assert file.station_kinds["dc-60kw"].points == 2


@pytest.mark.parametrize("name", shipped_kinds())
def test_every_shipped_kind_of_station_says_where_its_numbers_are_from(name: str) -> None:
    kind = load_kind(name, Path())
    assert kind.min_kw <= kind.max_kw
    assert kind.kw(kind.counts(kind.max_kw), kind.unit) == pytest.approx(kind.max_kw)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("resource: cars", "resource: lorries", "unknown resource 'lorries'"),
        ("resource: cars", "resource: battery", "is no ev_fleet: charging stations are one"),
        ("kind: ac-22kw", "kind: nine", "unknown kind of station 'nine'"),
        ("id: CP-002", "id: CP-001", "station 'CP-001' stands here a second time"),
        ("{file: cp-001}", "{file: nowhere}", "cannot be read"),
        ("{port: 8887}", "{port: 8887, host: 192.0.2.1, without_tls: true}", "has no password"),
        ("stay_minutes: 240", "stay_minutes: 240, leaves: '17:00'", "give either stay_minutes"),
        ("id: chargers", "id: mqtt", "is the name of the link to our own broker"),
        ("read_only: false", "read_only: maybe", "valid boolean"),
    ],
    ids=["nobody", "no fleet", "no kind", "twice", "no secret", "open", "two ends", "mqtt", "word"],
)
def test_each_mistake_is_told_where_it_stands(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, OCPP.replace(old, new, 1))
    assert any(fault in one.what for one in raised.value.faults), raised.value.faults
    assert all(one.path.startswith("ocpp.0.") for one in raised.value.faults)


def test_a_station_larger_than_its_fleet_allows_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="gives 60 kW, and the fleet's charger_kw is 22"):
        loaded(tmp_path, fleet=FLEET.replace("60", "22", 1))


def test_more_points_than_one_message_can_hold_are_a_mistake(tmp_path: Path) -> None:
    many = "".join(f"          - {{id: X-{n}, kind: dc-60kw}}\n" for n in range(50))
    with pytest.raises(ConfigErrors, match="103 points are more than 90"):
        loaded(tmp_path, OCPP + many)


# ---------------------------------------------------------------- from a station to the planner and back


def test_a_car_at_a_station_is_a_session_of_the_fleet_and_draws_what_the_fleet_may(
    tmp_path: Path,
) -> None:
    async def check(file: ParkFile, port: int) -> None:
        clock, stop = WallClock(), asyncio.Event()
        intake = Intake(file.park.device_owner, plausible_kw(file.park), frozenset())
        async with EmbeddedBroker([EnterpriseId("mill")]) as access, AsyncExitStack() as stack:
            linked = await open_links(
                file,
                clock=clock,
                seed=1,
                broker=access.address(),
                stack=stack,
                journal=MemoryJournal(),
            )
            for face in linked.faces:
                await stack.enter_async_context(serve_face(face, folder=tmp_path))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            point = ChargePoint(
                ChargerSpec(charger_id="CP-001", dialect=Dialect.V201),
                f"http://127.0.0.1:{port}/ocpp",
                session,
                now=clock.now,
                chance=Random(1),
                password="secret",
            )
            running = asyncio.create_task(point.run(stop))
            await point.line.connected.wait()
            point.plug_in(1, Car(token="04A1B2C3", most_kw=22.0))
            ticking = asyncio.create_task(ticks(point, clock, stop))
            reading = None
            asked = False
            async for message in linked.channels.messages():
                taken = intake.accept(message.topic, message.payload, clock.now())
                reading = taken if isinstance(taken, Reading) else reading
                if reading is not None and reading.sessions and not asked:
                    asked = True
                    assert await linked.channels.send([a_setpoint(clock.now())]) == ()
                if reading is not None and reading.setpoint_seq == 7 and reading.power_kw < -8:
                    break
            stop.set()
            await running
            ticking.cancel()  # it may wait for an answer over a line that has ended
            await asyncio.gather(ticking, return_exceptions=True)
        assert reading is not None
        assert reading.sessions is not None
        [car] = reading.sessions
        assert car.wanted_kwh == pytest.approx(35.0, abs=1.0)
        local = car.departs_at.astimezone(file.park.timezone)
        assert (local.hour, local.minute) == (17, 30)
        assert -10.0 <= reading.power_kw <= -9.0  # whole halves of an ampere

    async def bounded(file: ParkFile, port: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await check(file, port)

    with reserved_port() as port:
        section = OCPP.replace("8887", str(port)).replace(
            "          - {id: CP-002, kind: dc-60kw}\n", ""
        )
        asyncio.run(bounded(loaded(tmp_path, section), port))


async def ticks(point: ChargePoint, clock: WallClock, stop: asyncio.Event) -> None:
    """The station lives on its own clock, ten times as busy as a real one."""
    while not stop.is_set():
        point.charger.live(clock.now())
        point.tell()
        await point.line.settled()
        await asyncio.wait({asyncio.create_task(stop.wait())}, timeout=0.05)


def a_setpoint(now: datetime) -> Setpoint:
    return Setpoint(
        command_id="c-7",
        seq=7,
        resource_id=CARS,
        enterprise_id=EnterpriseId("mill"),
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        power_kw=-10.0,
        serves="plan-1",
    )


# ---------------------------------------------------------------- the record


def a_stay(transaction: str = "1", *, at: datetime = NOW) -> StayBegun:
    return StayBegun(
        station_id="CP-001", point=1, transaction=transaction, tag="A", at=at, energy_wh=100.0
    )


def test_a_start_that_is_told_again_keeps_its_first_number_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        clock = SimulatedClock(NOW)
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            first = JournalLedger(journal, clock)
            assert await first.began(a_stay("1")) == a_stay("1")
            assert await first.began(a_stay("2")) == a_stay("1")
        async with SqliteJournal.open(tmp_path / "journal.sqlite") as journal:
            again = JournalLedger(journal, clock)
            assert list(again.going_on()) == [a_stay("1")]
            assert await again.began(a_stay("3")) == a_stay("1")
            await again.ended("CP-001", "1", NOW, 900.0)
            await again.ended("CP-001", "1", NOW, 901.0)
            assert list(again.going_on()) == []
            assert again.ended_at("CP-001", "1") == NOW
            assert again.ended_at("CP-001", "2") is None
            went_on = a_stay("1", at=NOW + timedelta(minutes=5))
            await again.began(went_on)
            assert list(again.going_on()) == [went_on]
            await again.ended("CP-001", "1", NOW + timedelta(minutes=9), 950.0)
            assert list(again.going_on()) == []

    asyncio.run(check())


@pytest.mark.parametrize("other", [{"tag": "B"}, {"energy_wh": 160.0}])
def test_two_starts_at_one_point_in_one_second_are_two_stays(other: dict[str, Any]) -> None:
    async def check() -> None:
        ledger = JournalLedger(MemoryJournal(), SimulatedClock(NOW))
        assert await ledger.began(a_stay("1")) == a_stay("1")
        second = replace(a_stay("2"), **other)
        assert await ledger.began(second) == second
        assert await ledger.began(replace(second, transaction="3")) == second  # told again
        assert await ledger.began(a_stay("4")) == a_stay("1")
        assert list(ledger.going_on()) == [a_stay("1"), second]

    asyncio.run(check())


# ---------------------------------------------------------------- what people see


@dataclass
class Door:
    """Stations that were noticed, without a wire."""

    notices: list[Notice] = field(default_factory=list)
    released: bool = False

    def news(self) -> list[Notice]:
        told, self.notices = self.notices, []
        return told

    def shown(self) -> tuple[StationShown, ...]:
        point = PointShown(
            number=1,
            plug="charging",
            power_kw=11.0,
            limit_kw=12.0,
            session="7",
            wanted_kwh=9.5,
            departs_at=NOW,
            fault="",
        )
        return (
            StationShown(
                station_id="CP-001",
                resource_id=CARS,
                connected=True,
                since=NOW,
                protocol="ocpp1.6",
                made_by="Ma X 1",
                connections=1,
                refused=0,
                fault="",
                points=(point,),
            ),
        )

    async def connect(self, request: web.Request) -> web.StreamResponse:
        raise AssertionError("nobody connects here")

    async def let_go(self) -> None:
        self.released = True


def desk_with(door: Door) -> ChargerDesk:
    section = OcppSection.model_validate(
        {
            "id": "chargers",
            "listen": {"port": 8887},
            "car_parks": [
                {
                    "resource": "cars",
                    "kind": "ac-22kw",
                    "cars": {"wanted_kwh": 20.0, "stay_minutes": 60},
                    "stations": [{"id": "CP-001"}],
                }
            ],
        }
    )
    return ChargerDesk(section=section, port=door)


def test_what_happens_at_stations_is_told_as_events_and_not_too_often(plant: Plant) -> None:
    door = Door([Notice("charger_fault", "CP-001", f"F{n}") for n in range(30)])
    desk = desk_with(door)
    ocpp.tell(plant, desk)
    told = [event.text for event in plant.events.recent() if event.kind == "charger_fault"]
    assert len(told) == 10
    assert told[0] == "chargers: CP-001 F0"


def test_a_stranger_with_another_name_each_time_is_no_flood_of_events(plant: Plant) -> None:
    desk = desk_with(Door([Notice("charger_unknown", f"X-{n}", "connects") for n in range(30)]))
    ocpp.tell(plant, desk)
    assert sum(event.kind == "charger_unknown" for event in plant.events.recent()) == 10


def test_at_the_end_every_limit_is_taken_back(plant: Plant) -> None:
    async def check() -> None:
        stop = asyncio.Event()
        stop.set()
        await ocpp.watch(plant, desk, stop)

    door = Door()
    desk = desk_with(door)
    asyncio.run(check())
    assert door.released


def test_stations_are_shown_with_who_charges(plant: Plant, serving: Serving) -> None:
    async def check() -> None:
        plant.chargers = (desk_with(Door()),)
        async with serving(plant) as client:
            found = await (await client.get("/v1/chargers")).json()
            metrics = await (await client.get("/metrics")).text()
        [charger] = found["chargers"]
        assert charger["station"] == "CP-001"
        assert charger["points"][0]["limit_kw"] == 12.0
        assert 'vpp_charger_sessions{link="chargers",resource="cars"} 1.0' in metrics

    asyncio.run(check())


def test_a_device_test_finds_the_link_and_drives_no_car_park_that_is_read_only(
    tmp_path: Path,
) -> None:
    file = loaded(tmp_path)
    assert devicetestwiring.channel_of(file, CARS) == "chargers"
    devicetestwiring.require_writable(file, CARS)
    with pytest.raises(ConfigError, match="is read-only"):
        devicetestwiring.require_writable(
            loaded(tmp_path, OCPP.replace("read_only: false", "read_only: true")), CARS
        )
