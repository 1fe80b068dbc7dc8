"""`vpp device test` on simulated devices over MQTT, 20 times as fast as the wall: a battery of 500 kW at idle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.sqlite_journal import SqliteJournal
from vpp.account.qualification import Direction, TestedPower
from vpp.clock import WallClock
from vpp.errors import ConfigError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.park import Limits
from vpp.service.deviceread import DeviceTestOptions
from vpp.service.devicetestcommand import DeviceReport, run_device_test
from vpp.service.devicetestrecord import as_tested, on_record
from vpp.service.kill import KillSwitch
from vpp.service.parkfile import ParkFile, load_park
from vpp.service.simulatedevices import modbus_faces
from vpp.service.wiring import JOURNAL_FILE, BrokerDoor, open_broker
from vpp.simulate.devicefaults import (
    Fault,
    FaultPlan,
    Lie,
    Noise,
    Panel,
    Partial,
    Refuse,
    Scale,
    Silence,
    SlowRamp,
    What,
)
from vpp.simulate.devicelinks import DeviceLinks
from vpp.simulate.fleet import Fleet

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

BATTERY, LOAD, METER = (
    ResourceId("works-battery"),
    ResourceId("works-load"),
    ResourceId("works-meter"),
)
NIGHT = datetime(2025, 12, 3, tzinfo=UTC)
"""The works draw 500 kW and nothing else runs."""
SECOND = timedelta(seconds=1)
OPTIONS = DeviceTestOptions(
    read_for=3 * SECOND,
    most_wait=20 * SECOND,
    baseline=2 * SECOND,
    patience=4 * SECOND,
    hold=4 * SECOND,
    ttl=3 * SECOND,
)
UP = replace(OPTIONS, only=Direction.UP)


@dataclass(kw_only=True)
class Bench:
    """Simulated devices on a broker, and everything that `vpp device test` is told."""

    file: ParkFile
    data: Path
    clock: WallClock
    fleet: Fleet
    url: str

    async def test(
        self,
        name: ResourceId = BATTERY,
        options: DeviceTestOptions = OPTIONS,
        *,
        write: bool = True,
    ) -> DeviceReport:
        return await run_device_test(
            self.file,
            name,
            options,
            clock=self.clock,
            data=self.data,
            broker_url=self.url,
            say=lambda line: None,
            agree=(lambda report: True) if write else None,
        )

    def power_kw(self, name: ResourceId = BATTERY) -> float:
        power: float = self.fleet.snapshot().devices[name]["_power_kw"]
        return power


Play = Callable[[Bench], Awaitable[None]]
OnTheBench = Callable[..., None]


@pytest.fixture
def on_the_bench(small_park: MakePark, tmp_path: Path) -> OnTheBench:
    def run(
        play: Play,
        *whats: What,
        begins_after: timedelta = timedelta(0),
        change: Callable[[ParkFile], ParkFile] = lambda file: file,
    ) -> None:
        async def opened() -> None:
            file = change(small_park())
            assert file.simulation is not None
            clock = WallClock(start=NIGHT, speed=20)
            faults = tuple(
                Fault(whats=(what,), devices=frozenset({BATTERY}), begins_after=begins_after)
                for what in whats
            )
            fleet = Fleet(
                file.park,
                file.simulation,
                opened_at=NIGHT,
                step=SECOND,
                faults=FaultPlan(faults=faults, seed=1),
            )
            async with open_broker(None, file.park, embedded=False) as door:
                access = {
                    e.enterprise_id: door.gateway(e.enterprise_id) for e in file.park.enterprises
                }
                links = DeviceLinks(file.park, fleet, access, seed=1, now=clock.now)
                await links.start()
                stop = asyncio.Event()
                living = asyncio.create_task(links.run(clock, stop, SECOND))
                try:
                    bench = Bench(
                        file=file, data=tmp_path, clock=clock, fleet=fleet, url=url_of(door)
                    )
                    await play(bench)
                finally:
                    stop.set()
                    await living
                    await links.stop()

        asyncio.run(asyncio.wait_for(opened(), 60))

    return run


def url_of(door: BrokerDoor) -> str:
    address = door.access.address()
    return f"mqtt://{address.username}:{address.password}@{address.host}:{address.port}"


def battery_silent_after(seconds: float) -> Callable[[ParkFile], ParkFile]:
    def changed(file: ParkFile) -> ParkFile:
        resources = tuple(
            replace(r, max_age_s=seconds) if r.resource_id == BATTERY else r
            for r in file.park.resources
        )
        return replace(file, park=replace(file.park, resources=resources))

    return changed


def test_a_sound_battery_is_read_stepped_both_ways_certified_and_let_go(
    on_the_bench: OnTheBench,
) -> None:
    async def play(bench: Bench) -> None:
        report = await bench.test(options=replace(OPTIONS, repeat=2))
        assert report.failed is None
        assert report.read.cadence_s == pytest.approx(1, abs=1)
        assert report.proof.startswith("a second client at the broker saw 0 commands")
        assert report.trial is not None
        stages = [stage.value for stage, _ in report.trial.stages]
        assert stages == [
            *("connected", "read"),
            *(("baseline_fixed", "stepped", "sustained", "released") * 4),
        ]
        for response in report.trial.responses:
            assert response.full_s is not None
            assert response.full_s <= 6
            assert response.accuracy == pytest.approx(1, abs=0.01)
        tested = report.tested
        assert tested is not None
        # The first message after the step is a mean that holds a part of the way.
        assert [tested.up_kw, tested.down_kw] == pytest.approx([500, 500], abs=10)
        assert tested.runs == 2
        assert bench.power_kw() == 0  # the last command has run out
        async with SqliteJournal.open(bench.data / JOURNAL_FILE) as journal:
            assert on_record(journal) == {BATTERY: tested}
            assert (
                next(journal.entries("setpoints")).number
                < next(journal.entries("device_test")).number
            )

    on_the_bench(play)


def test_reading_alone_writes_nothing_and_needs_no_record(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        for name in (BATTERY, LOAD, METER):
            report = await bench.test(name, write=False)
            assert report.failed is None
            assert report.read.messages >= OPTIONS.least_messages
            assert report.document()["values"]["power_kw"] is not None
        assert not (bench.data / JOURNAL_FILE).exists()
        assert bench.fleet.received_seq(BATTERY) == 0

    on_the_bench(play)


def test_a_device_that_lies_proves_nothing(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        report = await bench.test(options=UP)
        assert report.trial is not None
        assert [r.response_s for r in report.trial.responses] == [None]
        assert report.tested is not None
        assert report.tested.tested_kw == 0

    on_the_bench(play, Lie())


def test_half_of_a_step_is_not_a_tested_half(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        report = await bench.test(options=UP)
        assert report.trial is not None
        assert all(r.response_s is not None and r.full_s is None for r in report.trial.responses)
        assert report.tested is not None
        assert report.tested.tested_kw == 0

    on_the_bench(play, Partial(share=0.5))


def test_a_ramp_and_noise_are_measured(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        report = await bench.test(
            options=replace(OPTIONS, hold=20 * SECOND, patience=30 * SECOND, step_kw=200)
        )
        assert report.trial is not None
        up = report.trial.responses[0]
        assert up.ramp_kw_per_min == pytest.approx(1500, rel=0.25)
        assert up.full_s == pytest.approx(8, abs=3)
        assert up.accuracy == pytest.approx(0.98, abs=0.015)  # sd 5 of 200 kW
        assert up.tested_kw == pytest.approx(200, abs=4)

    on_the_bench(play, SlowRamp(share_per_min=3.0), Noise(sd_share=0.01))


def test_a_unit_that_was_mistaken_is_named_and_the_device_is_not_driven(
    on_the_bench: OnTheBench,
) -> None:
    async def play(bench: Bench) -> None:
        report = await bench.test()
        assert report.trial is None
        assert report.read.refused == {"wrong_unit": report.read.messages}
        assert report.failed is not None
        assert "Send kW, not W" in report.failed

    # It charges by itself, so that its unit can be seen.
    on_the_bench(play, Panel(share=-0.1), Scale(factor=1000.0))


def test_who_refuses_or_goes_silent_is_let_go_and_nothing_is_certified(
    on_the_bench: OnTheBench,
) -> None:
    async def refused(bench: Bench) -> None:
        report = await bench.test()
        assert report.trial is not None
        assert report.failed == "it refuses its command"

    async def silent(bench: Bench) -> None:
        report = await bench.test(options=replace(OPTIONS, hold=40 * SECOND))
        assert report.trial is not None
        assert report.failed is not None
        assert "it is unknown: reading is" in report.failed
        assert report.trial.stages[-1][0].value == "released"
        assert report.tested is None
        assert bench.power_kw() == 0

    on_the_bench(refused, Refuse())
    on_the_bench(silent, Silence(), begins_after=14 * SECOND, change=battery_silent_after(6))


def test_ctrl_c_in_the_middle_leaves_the_device_at_its_default(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        testing = asyncio.create_task(bench.test(options=replace(OPTIONS, hold=300 * SECOND)))
        while bench.power_kw() < 499:
            await bench.clock.wait_until(bench.clock.now() + SECOND, asyncio.Event())
        testing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await testing
        assert bench.power_kw() == 0

    on_the_bench(play)


def test_the_kill_switch_ends_a_step(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        testing = asyncio.create_task(bench.test(options=replace(OPTIONS, hold=300 * SECOND)))
        while bench.power_kw() < 499:
            await bench.clock.wait_until(bench.clock.now() + SECOND, asyncio.Event())
        KillSwitch(bench.data).kill("smoke")
        report = await testing
        assert report.failed == "killed: smoke"
        assert bench.power_kw() == 0

    on_the_bench(play)


def test_the_connection_limits_the_step(on_the_bench: OnTheBench) -> None:
    def narrow(file: ParkFile) -> ParkFile:
        points = tuple(
            replace(p, limits=Limits(import_kw=800, export_kw=1000))
            for p in file.park.connection_points
        )
        return replace(file, park=replace(file.park, connection_points=points))

    async def play(bench: Bench) -> None:
        report = await bench.test()
        assert report.trial is not None
        up, down = (response.step.target_kw for response in report.trial.responses)
        assert [up, down] == pytest.approx([500, -300])  # the load draws 500 of 800 kW

    on_the_bench(play, change=narrow)


def test_what_takes_no_set_points_is_not_driven_and_nobody_may_drive_beside_a_service(
    on_the_bench: OnTheBench,
) -> None:
    async def play(bench: Bench) -> None:
        with pytest.raises(ConfigError, match="takes no set-points"):
            await bench.test(LOAD)
        with pytest.raises(ConfigError, match="has no device ghost"):
            await bench.test(ResourceId("ghost"), write=False)
        bench.data.mkdir(exist_ok=True)
        async with SqliteJournal.open(bench.data / JOURNAL_FILE):
            with pytest.raises((ConfigError, UnavailableError), match="in use"):
                await bench.test()
        assert bench.fleet.received_seq(BATTERY) == 0

    on_the_bench(play)


def test_a_unit_is_tested_at_no_more_than_its_members(small_park: MakePark) -> None:
    file = small_park()
    (unit,) = file.park.bidding_units
    sizes_kw = {r.resource_id: max(r.feed_kw, r.draw_kw) for r in file.park.resources}
    assert (unit.tested_kw, sum(sizes_kw.values())) == (1000, 2394)

    def at(up_kw: float | None, down_kw: float | None) -> float:
        tested = {
            name: TestedPower(up_kw=0, down_kw=0, at=NIGHT, runs=1)
            for name in sizes_kw
            if name != BATTERY
        }
        tested[BATTERY] = TestedPower(up_kw=up_kw, down_kw=down_kw, at=NIGHT, runs=1)
        return as_tested(file, tested).park.bidding_units[0].tested_kw

    assert at(480, 450) == 450  # the least of the directions
    assert at(None, 450) == 450
    assert at(900, 900) == 500  # never beyond its size
    one = {LOAD: TestedPower(up_kw=0, down_kw=0, at=NIGHT, runs=1)}
    assert as_tested(file, one).park.bidding_units[0].tested_kw == 1000  # the others add up to more
    assert as_tested(file, {}) is file


def test_over_modbus_no_writing_function_leaves_before_a_person_agrees(
    small_park: MakePark, tmp_path: Path
) -> None:
    """At the pace of the wall: the client renews a device's own timer by the wall."""
    folder = Path(small_park().folder)
    text = (folder / "park.yaml").read_text(encoding="utf-8")
    (folder / "yard.yaml").write_text(text + MODBUS, encoding="utf-8")
    options = replace(
        OPTIONS,
        only=Direction.UP,
        read_for=SECOND,
        least_messages=3,
        baseline=SECOND,
        hold=SECOND,
        ttl=timedelta(seconds=2.5),
    )

    async def play(stack: AsyncExitStack) -> None:
        file = load_park(folder / "yard.yaml")
        assert file.simulation is not None
        clock = WallClock(start=NIGHT)
        fleet = Fleet(file.park, file.simulation, opened_at=NIGHT, step=timedelta(milliseconds=200))
        (face,) = modbus_faces(file, fleet, clock.now, 0)
        await face.start()
        (section,) = file.modbus
        file = replace(file, modbus=(section.model_copy(update={"port": face.port}),))
        door = await stack.enter_async_context(open_broker(None, file.park, embedded=False))
        access = {e.enterprise_id: door.gateway(e.enterprise_id) for e in file.park.enterprises}
        links = DeviceLinks(file.park, fleet, access, seed=1, now=clock.now, faces=[face])
        await links.start()
        stop = asyncio.Event()
        living = asyncio.create_task(links.run(clock, stop, timedelta(milliseconds=200)))
        data, say = tmp_path / "data", list[str]()

        async def test(agree: Callable[[DeviceReport], bool] | None) -> DeviceReport:
            return await run_device_test(
                file,
                BATTERY,
                options,
                clock=clock,
                data=data,
                broker_url=None,
                say=say.append,
                agree=agree,
            )

        try:
            report = await test(None)
            assert report.failed is None
            assert report.channel == "yard"
            assert "lets no writing function code" in report.proof
            assert set(face.asked) <= {3, 4}

            report = await test(lambda report: True)
            assert report.failed is None
            assert report.tested is not None
            assert report.tested.up_kw == pytest.approx(500, abs=10)
            assert report.trial is not None
            assert report.tested.down_kw is None
            assert face.asked[16] > 0
            assert fleet.snapshot().devices[BATTERY]["_power_kw"] == 0
        finally:
            stop.set()
            await living
            await links.stop()
            await face.stop()

    async def played() -> None:
        async with AsyncExitStack() as stack:
            await play(stack)

    asyncio.run(asyncio.wait_for(played(), 60))


MODBUS = """
trading: {mode: shadow}
modbus:
  - id: yard
    host: 127.0.0.1
    timeout_s: 0.5
    devices:
      - {resource: works-battery, unit: 1, map: battery-inverter, read_only: false, poll_s: 0.5, write_s: 0.1}
      - {resource: works-meter, unit: 2, map: generic-meter, poll_s: 0.5}
"""
