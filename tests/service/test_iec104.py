"""A dispatch centre's point table in the park file: what it shows of the plant, and what its orders become."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.iec104_asdu import Element, Type
from adapters.iec104_station import Station
from tests.adapters.dispatcher import Dispatcher
from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, Serving
from tests.service.smallpark import MARKET, PARK
from vpp.act.ladder import SafeState
from vpp.clock import WallClock
from vpp.errors import UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.telecontrol import DispatchOrder, Flaw, Shown
from vpp.model.time import QUARTER, isoformat
from vpp.service.calls import limits
from vpp.service.iec104 import iec104
from vpp.service.iec104 import orders as iec104orders
from vpp.service.iec104 import points as iec104points
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.schema import StationSection
from vpp.service.iec104.wiring import spec_of, stations_of
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import run as run_loops
from vpp.service.steering import setpoints
from vpp.service.steering.pace import acting
from vpp.wire import TelemetryMessage, topic

LIMIT, SWITCH, CALL, NET = 25089, 25090, 25091, 25092
ORDERS: list[dict[str, Any]] = [
    {"ioa": LIMIT, "what": "limit", "place": "demo", "side": "import", "scale": 1000, "pace": "direct"},
    {"ioa": SWITCH, "what": "limit", "place": "steel", "side": "export", "switch_kw": 5},
    {"ioa": CALL, "what": "activation", "product": "se3-day-ahead", "scale": 1000, "most_kw": 2000,
     "hold_minutes": 30, "pace": "either"},
    {"ioa": NET, "what": "activation", "product": "se3-day-ahead", "meaning": "net",
     "counts": "draw", "most_kw": 5000},
]  # fmt: skip
POINTS: list[dict[str, Any]] = [
    {"ioa": 1, "what": "park_power", "scale": 1000, "counts": "draw"},
    {"ioa": 2, "what": "up"},
    {"ioa": 3, "what": "resource_power", "resource": "steel-battery"},
    {"ioa": 4, "what": "resource_soc", "resource": "steel-battery", "scale": 0.01},
    {"ioa": 5, "what": "planned"},
    {"ioa": 6, "what": "order", "order": LIMIT},
    {"ioa": 10, "what": "all_well"},
    {"ioa": 11, "what": "resource_heard", "resource": "steel-battery"},
]


def section(**changes: Any) -> StationSection:
    return StationSection.model_validate(
        {
            "role": "station",
            "id": "dispatch",
            "masters": [{"host": "127.0.0.1", "may_order": True}],
            "points": POINTS,
            "orders": ORDERS,
        }
        | changes
    )


def desk_of(plant: Plant, **changes: Any) -> StationDesk:
    one = section(**changes)
    spec = replace(spec_of(one, plant.file.park.timezone), port=0)
    desk = StationDesk(section=one, port=Station(spec, now=plant.clock.now))
    plant.stations = (desk,)
    return desk


def order(
    plant: Plant, desk: StationDesk, address: int, value: float, now: datetime = NOW
) -> str | None:
    given = DispatchOrder(
        station="dispatch", master="10.1.0.5", address=address, value=value, received_at=now
    )
    return asyncio.run(iec104orders.take(plant, desk, given))


def called_mw(plant: Plant) -> list[tuple[str, float]]:
    """What stands of calls, by the beginning of its quarter-hour; up is positive."""
    return [
        (isoformat(call.interval.start)[11:16], float(call.activated_mw))
        for call in plant.book.calls.standing()
    ]


# ---------------------------------------------------------------- what is shown


def battery(plant: Plant) -> ResourceId:
    (found,) = [
        r.resource_id for r in plant.file.park.resources if r.resource_id == "steel-battery"
    ]
    return found


def test_points_are_told_in_the_unit_and_with_the_sign_of_the_table(plant: Plant) -> None:
    desk = desk_of(plant)
    shown = iec104points.picture(plant, desk, NOW)
    meters = len(plant.file.park.connection_points)  # 100 kW are drawn at each

    assert shown[1].value == pytest.approx(meters * 0.1)
    assert shown[1].flaw is Flaw.NONE
    assert shown[1].at == NOW - timedelta(seconds=30)  # when it was measured
    assert (shown[4].value, shown[4].flaw) == (50.0, Flaw.NONE)
    assert shown[2].value > 0
    assert plant.schedule is not None
    assert shown[5].value == plant.schedule.net_kw[0]
    assert shown[6].flaw is Flaw.INVALID  # nothing was ordered yet
    assert (shown[10].value, shown[11].value) == (1, 1)


def test_what_is_stale_is_not_topical_and_what_was_never_heard_is_invalid(
    plant: Plant, empty_plant: Plant
) -> None:
    desk = desk_of(plant)
    later = iec104points.picture(plant, desk, NOW + timedelta(minutes=20))
    for address in (1, 3, 4):
        assert later[address].flaw is Flaw.NOT_TOPICAL
        assert later[address].at == NOW - timedelta(seconds=30)
    assert later[2].flaw is Flaw.NOT_TOPICAL
    assert later[11].value == 0

    plant.intake.newest.clear()
    plant.intake.newest_meter.clear()
    never = iec104points.picture(plant, desk, NOW)
    assert [never[a].flaw for a in (1, 3, 4)] == [Flaw.INVALID] * 3


def test_what_a_device_calls_bad_is_invalid(plant: Plant) -> None:
    desk, name = desk_of(plant), battery(plant)
    owner, site = plant.file.park.device_owner[name]
    bad = TelemetryMessage(ts=isoformat(NOW), seq=2, power_kw=7.0, soc=0.5, quality="bad")
    plant.intake.accept(topic(owner, site, name, "telemetry"), msgspec.json.encode(bad), NOW)

    shown = iec104points.picture(plant, desk, NOW)
    assert (shown[3].flaw, shown[11].value) == (Flaw.INVALID, 0)


def test_nobody_is_told_of_room_that_nobody_may_use(plant: Plant) -> None:
    desk = desk_of(plant)
    plant.safe_state = SafeState.KILLED
    shown = iec104points.picture(plant, desk, NOW)
    assert (shown[2].value, shown[10].value) == (0.0, 0)


# ---------------------------------------------------------------- what is ordered


def test_a_setpoint_becomes_a_limit_order_that_ends_by_itself(plant: Plant) -> None:
    desk = desk_of(plant)
    assert order(plant, desk, LIMIT, 2.5) is None

    assert limits.park_at(plant, NOW).limits.import_kw == 2500
    assert limits.park_at(plant, NOW + QUARTER) is plant.file.park
    assert plant.replan is not None
    shown = iec104points.picture(plant, desk, NOW)[6]
    assert (shown.value, shown.flaw) == (2.5, Flaw.NONE)
    assert iec104points.picture(plant, desk, NOW + QUARTER)[6].flaw is Flaw.NOT_TOPICAL


def test_what_stands_is_read_from_the_books_also_after_a_restart(plant: Plant) -> None:
    points = [
        {"ioa": n, "what": "order", "order": at} for n, at in enumerate((SWITCH, CALL, NET), 1)
    ]
    desk = desk_of(plant, points=points)
    assert [iec104points.picture(plant, desk, NOW)[n].flaw for n in (1, 2, 3)] == [Flaw.INVALID] * 3
    for address, value in ((SWITCH, 1), (CALL, -0.5), (NET, 1000.0)):
        assert order(plant, desk, address, value) is None
    again = desk_of(plant, points=points)  # knows nothing but what the plant does
    shown = iec104points.picture(plant, again, NOW)
    assert [shown[n].value for n in (1, 2, 3)] == [1, -0.5, pytest.approx(1000.0)]

    order(plant, desk, SWITCH, 0)
    assert iec104points.picture(plant, desk, NOW)[1] == Shown(0.0, Flaw.NONE, NOW)


def test_a_call_is_refused_while_the_kill_switch_stops_the_plant_and_a_limit_is_not(
    plant: Plant,
) -> None:
    desk = desk_of(plant)
    plant.kill.kill("a test")
    assert order(plant, desk, CALL, 0.8) == "the kill switch stops this plant"
    assert called_mw(plant) == []
    assert order(plant, desk, LIMIT, 2.5) is None


def test_a_master_that_keeps_doing_wrong_does_not_fill_the_log(plant: Plant) -> None:
    desk = desk_of(plant)
    left_out = [desk.worth_telling("10.1.0.5", NOW) for _ in range(25)]
    assert left_out == [0] * 20 + [None] * 5
    assert desk.worth_telling("10.1.0.6", NOW) == 0
    assert desk.worth_telling("10.1.0.5", NOW + timedelta(minutes=1)) == 5


def test_the_same_limit_again_is_renewed_only_when_half_of_its_time_is_over(plant: Plant) -> None:
    desk = desk_of(plant)
    for minutes in (0, 5, 8):
        order(plant, desk, LIMIT, 2.5, NOW + timedelta(minutes=minutes))

    held = plant.limits["dispatch-25089"]
    assert held.revision == 2
    assert held.order.span.end == NOW + timedelta(minutes=23)
    assert len(list(plant.journal.entries(iec104orders.ORDER))) == 3


def test_a_switch_limits_and_withdraws(plant: Plant) -> None:
    desk = desk_of(plant)
    assert order(plant, desk, SWITCH, 1) is None
    assert not plant.limits["dispatch-25090"].withdrawn
    assert order(plant, desk, SWITCH, 0) is None
    assert plant.limits["dispatch-25090"].withdrawn
    assert order(plant, desk, SWITCH, 1) is None
    assert not plant.limits["dispatch-25090"].withdrawn


def test_a_call_holds_for_quarter_hours_and_the_next_one_replaces_what_is_left_of_it(
    plant: Plant,
) -> None:
    desk = desk_of(plant)
    assert order(plant, desk, CALL, 0.8, NOW + timedelta(minutes=5)) is None
    assert called_mw(plant) == [("10:00", 0.8), ("10:15", 0.8)]

    assert order(plant, desk, CALL, -0.5, NOW + timedelta(minutes=16)) is None
    assert called_mw(plant) == [("10:00", 0.8), ("10:15", -0.5), ("10:30", -0.5)]

    assert order(plant, desk, CALL, 0.0, NOW + timedelta(minutes=17)) is None
    assert called_mw(plant) == [("10:00", 0.8), ("10:15", 0.0), ("10:30", 0.0)]


def test_a_net_setpoint_asks_for_the_difference_to_the_plan(plant: Plant) -> None:
    desk = desk_of(plant)
    assert plant.schedule is not None
    planned_kw = float(plant.schedule.net_kw[0])
    assert order(plant, desk, NET, 1000.0) is None  # 1000 kW drawn
    assert called_mw(plant) == [("10:00", (-1000 - planned_kw) / 1000)]

    assert order(plant, desk, NET, -planned_kw) is None
    assert called_mw(plant) == [("10:00", 0.0)]


def test_a_net_setpoint_that_no_plan_reaches_is_refused(plant: Plant) -> None:
    desk = desk_of(plant)
    plant.schedule = None
    assert order(plant, desk, NET, 1000.0) == "no plan reaches it"


def test_what_is_ordered_is_on_record_and_without_a_journal_refused(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_of(plant)
    order(plant, desk, LIMIT, 2.5)
    (entry,) = plant.journal.entries(iec104orders.ORDER)
    assert entry.key == "000000000001/dispatch"
    said = json.loads(entry.body)
    assert (said["master"], said["ioa"], said["value"], said["becomes"]) == (
        "10.1.0.5", LIMIT, 2.5, "limit",
    )  # fmt: skip

    async def full(entries: object, *, now: datetime) -> None:
        raise UnavailableError("the disk is full", where="journal", fix="Make room")

    monkeypatch.setattr(plant.journal, "append_all", full)
    assert order(plant, desk, SWITCH, 1) == "the disk is full"
    assert "dispatch-25090" not in plant.limits


def test_a_limit_that_reached_the_disk_though_it_said_no_does_not_stop_those_after_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, append_all = desk_of(plant), plant.journal.append_all

    async def lies(entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        await append_all(entries, now=now)
        if entries[0][0] == limits.ORDER:
            raise UnavailableError("no answer", where="journal", fix="Look at the disk")

    monkeypatch.setattr(plant.journal, "append_all", lies)
    assert order(plant, desk, LIMIT, 2.5) == "no answer"
    assert "dispatch-25089" not in plant.limits
    monkeypatch.setattr(plant.journal, "append_all", append_all)

    assert order(plant, desk, LIMIT, 1.5) is None
    held = plant.limits["dispatch-25089"]
    assert (held.revision, held.order.limits.import_kw) == (2, 1500)


def test_a_setpoint_is_confirmed_after_the_record_and_in_the_guard_within_100_ms(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real connection, with the real act cycle, whose own turn would come in a minute."""
    guarded: list[float] = []
    send = setpoints.send

    async def noted(plant: Plant, *rest: Any) -> Any:
        if plant.limits:
            guarded.append(asyncio.get_running_loop().time())
        return await send(plant, *rest)

    monkeypatch.setattr(setpoints, "send", noted)
    clock = WallClock(start=NOW)
    plant.clock = clock
    desk = desk_of(plant)
    assert isinstance(desk.port, Station)

    async def play() -> float:
        stop, centre = asyncio.Event(), Dispatcher()
        loops = {"act": acting(plant, clock), **iec104.loops(plant)}
        running = asyncio.create_task(run_loops(loops, stop, grace=timedelta(seconds=5)))
        while not desk.port.port:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0)
        await centre.connect(desk.port.port)  # type: ignore[attr-defined]
        await centre.started()
        began = asyncio.get_running_loop().time()
        answer = await centre.asks(Type.C_SE_NC_1, Element(LIMIT, 2.5))
        assert not answer.negative
        assert len(list(plant.journal.entries(iec104orders.ORDER, limits.ORDER))) == 2
        while not guarded:  # noqa: ASYNC110
            await asyncio.sleep(0)
        centre.close()
        stop.set()
        await running
        return guarded[0] - began

    took_s = asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    assert took_s < 30, "its own turn was not waited for; the figure itself is benchmarks/iec104.py"


def test_a_port_that_is_taken_is_told_once_and_the_park_goes_on(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iec104, "RETRY_S", 0.01)

    async def play() -> None:
        taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        one = section(port=port)
        spec = spec_of(one, plant.file.park.timezone)
        desk = StationDesk(section=one, port=Station(spec, now=plant.clock.now))
        stop = asyncio.Event()
        serving = asyncio.create_task(iec104.serve(plant, desk, stop))
        while desk.fault is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        stop.set()
        await serving
        taken.close()

    asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    told = [event for event in plant.events.recent() if event.kind == "dispatch"]
    assert len(told) == 1
    assert "cannot listen" in told[0].text


# ---------------------------------------------------------------- the park file

STATION = """\
iec104:
  - role: station
    id: dispatch
    masters: [{host: 10.1.0.5, may_order: true}]
    timezone: Asia/Shanghai
    points:
      - {ioa: 1, what: park_power, scale: 1000, dead_band: 0.05, cyclic_s: 4}
      - {ioa: 2, what: resource_power, resource: battery}
      - {ioa: 3, what: order, order: 100}
    orders:
      - {ioa: 100, what: limit, place: north, side: import, scale: 1000}
      - {ioa: 101, what: activation, product: quarter, most_kw: 300}
  - role: client
    id: substation
    host: 10.1.0.9
    devices:
      - resource: pv
        points: {power_kw: {ioa: 1001, scale: 1000}}
        setpoint: {ioa: 6001, released: 250}
"""


def loaded(folder: Path, text: str) -> ParkFile:
    (folder / "park.yaml").write_text(PARK + text, encoding="utf-8")
    (folder / "market.yaml").write_text(MARKET, encoding="utf-8")
    return load_park(folder / "park.yaml")


def test_a_point_table_becomes_a_station(tmp_path: Path) -> None:
    file = loaded(tmp_path, STATION)
    (desk,) = stations_of(file, WallClock())
    assert isinstance(desk.port, Station)
    spec = desk.port.spec

    assert str(spec.zone) == "Asia/Shanghai"
    first = spec.points[0]
    assert (first.address, first.dead_band, first.cyclic_s) == (1, 0.05, 4)
    assert [(o.address, o.low, o.high) for o in spec.orders] == [
        (100, 0, 1e6),
        (101, -300, 300),
    ]
    assert stations_of(file.in_simulation(), WallClock()) == (), "nothing real beside a simulation"


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (("ioa: 2,", "ioa: 1,"), "iec104.0.points.1.ioa: 1 is given twice"),
        (("ioa: 101,", "ioa: 3,"), "iec104.0.orders.1.ioa: 3 is given twice"),
        (("resource: battery", "resource: nobody"), "iec104.0.points.1.resource: unknown resource"),
        (("order: 100", "order: 99"), "iec104.0.points.2.order: nothing is written at 99"),
        (("place: north", "place: south"), "iec104.0.orders.0.place: unknown place 'south'"),
        (("product: quarter", "product: hour"), "iec104.0.orders.1.product: unknown product"),
        (("may_order: true", "may_order: false"), "iec104.0.masters: orders are taken, and no"),
        (("resource: pv", "resource: mill-meter"), "setpoint: a main meter takes no set-points"),
        (("host: 10.1.0.5", "host: dispatch.example"), "does not appear to be an IPv4"),
        (("released: 250", "tolerance: 1"), "nothing lets the device go"),
        (("cyclic_s: 4", "cyclic_s: 0"), "iec104.0.points.0.cyclic_s"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    spoilt: tuple[str, str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, STATION.replace(*spoilt))
    assert any(told in f"{f.path}: {f.what}" for f in raised.value.faults), raised.value.faults


@pytest.mark.parametrize("name", ["dispatch-centre", "remote-unit"])
def test_the_templates_fit_a_park(name: str, tmp_path: Path) -> None:
    template = shipped(f"devices/iec104/{name}.yaml").read_text(encoding="utf-8")
    (one,) = loaded(tmp_path, template).iec104
    assert one.id in {"dispatch", "substation"}


def test_the_example_of_the_page_fits_a_park(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "iec104.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(iec104:.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert loaded(tmp_path, example).iec104


def test_masters_are_shown_over_http_and_in_the_metrics(plant: Plant, serving: Serving) -> None:
    desk = desk_of(plant)
    assert isinstance(desk.port, Station)

    async def play() -> tuple[Any, str, Any]:
        stop, centre = asyncio.Event(), Dispatcher()
        running = asyncio.create_task(
            run_loops(iec104.loops(plant), stop, grace=timedelta(seconds=5))
        )
        while not desk.port.listens:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await centre.connect(desk.port.port)  # type: ignore[attr-defined]
        await centre.started()
        assert not (await centre.asks(Type.C_SE_NC_1, Element(LIMIT, 2.5))).negative
        async with serving(plant) as client:
            here = await (await client.get("/v1/stations")).json()
            metrics = await (await client.get("/metrics")).text()
            centre.close()
            stop.set()
            await running
            closed = await (await client.get("/v1/stations")).json()
        return here["stations"][0], metrics, closed["stations"][0]

    here, metrics, closed = asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    (master,) = here["masters"]
    assert (here["station"], here["fault"], here["points"]) == ("dispatch", None, len(POINTS))
    assert (master["host"], master["gets_data"], master["orders"]) == ("127.0.0.1", True, 1)
    of_it = '{master="127.0.0.1",station="dispatch"}'
    assert f"vpp_dispatch_master_connected{of_it} 1.0" in metrics
    assert f"vpp_dispatch_orders{of_it} 1.0" in metrics
    assert 'vpp_dispatch_listens{station="dispatch"} 1.0' in metrics
    assert not closed["masters"][0]["gets_data"]
