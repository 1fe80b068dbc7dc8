"""`vpp device test` on simulated devices: its steps in lockstep, its channels over MQTT and Modbus. A battery of 500 kW."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_journal import SqliteJournal
from tests.patience import PATIENCE_S
from vpp.account.qualification import Direction, TestedPower
from vpp.clock import SimulatedClock, WallClock
from vpp.errors import ConfigError, UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.park import Limits
from vpp.ports import Message, Unsent
from vpp.service.demo.simulatedevices import modbus_faces
from vpp.service.devicetest.command import DeviceReport, run_device_test, step_while_heard
from vpp.service.devicetest.devicetest import Trial
from vpp.service.devicetest.reading import DeviceTestOptions
from vpp.service.devicetest.record import as_tested, on_record
from vpp.service.devicetest.wiring import under_test
from vpp.service.kill import KillSwitch
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import until_heard
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import JOURNAL_FILE, BrokerDoor, build_plant, open_broker
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
from vpp.wire import command_of, topic

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


@dataclass(kw_only=True)
class Bench:
    """Simulated devices in lockstep with a trial, and everything that a trial is told."""

    file: ParkFile
    data: Path
    clock: SimulatedClock
    fleet: Fleet
    plant: Plant
    trial: Trial
    testing: asyncio.Task[None] | None = None

    async def test(self) -> Trial:
        """Step the battery as `vpp device test --write` does once a person has agreed."""
        self.testing = asyncio.create_task(step_while_heard(self.trial))
        await self.testing
        return self.trial

    def power_kw(self) -> float:
        power: float = self.fleet.snapshot().devices[BATTERY]["_power_kw"]
        return power


class Line:
    """Messages and commands at once, in order, without a broker."""

    connected = True
    since = NIGHT

    def __init__(self, file: ParkFile, fleet: Fleet) -> None:
        self._file, self._fleet = file, fleet
        self.arrived: asyncio.Queue[Message] = asyncio.Queue()

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self.arrived.get()

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        for setpoint in setpoints:
            name = setpoint.resource_id
            answer = self._fleet.receive(name, command_of(setpoint), self._fleet.now)
            if answer is not None:
                where = topic(*self._file.park.device_owner[name], name, "ack")
                body = msgspec.json.encode(answer)
                self.arrived.put_nowait(Message(topic=where, payload=body))
        return ()


Play = Callable[[Bench], Awaitable[None]]
OnTheBench = Callable[..., None]
Meddle = Callable[[Bench], None]
"""Looks on after each second, and may do something."""


@pytest.fixture
def on_the_bench(small_park: MakePark, tmp_path: Path) -> OnTheBench:
    def run(
        play: Play,
        *whats: What,
        begins_after: timedelta = timedelta(0),
        change: Callable[[ParkFile], ParkFile] = lambda file: file,
        options: DeviceTestOptions = OPTIONS,
        meddle: Meddle = lambda bench: None,
    ) -> None:
        async def opened() -> None:
            file = change(with_control(small_park(), options))
            assert file.simulation is not None
            clock, stop = SimulatedClock(NIGHT), asyncio.Event()
            faults = tuple(
                Fault(whats=(what,), devices=frozenset({BATTERY}), begins_after=begins_after)
                for what in whats
            )
            plan = FaultPlan(faults=faults, seed=1)
            fleet = Fleet(file.park, file.simulation, opened_at=NIGHT, step=SECOND, faults=plan)
            line, devices, seat = Line(file, fleet), clock.seat("devices"), clock.seat("trial")
            resource = file.park.resource_by_id[BATTERY]
            trial = Trial(resource=resource, clock=seat, options=options, say=lambda said: None)
            plant = trial.plant = build_plant(
                file,
                clock=clock,
                data=tmp_path,
                journal=MemoryJournal(),
                source=line,
                sink=line,
                venue=None,
                executor=InlineExecutor(),
                record=trial.take,
            )
            bench = Bench(
                file=file, data=tmp_path, clock=clock, fleet=fleet, plant=plant, trial=trial
            )

            async def living() -> None:
                due = NIGHT + SECOND
                while await devices.wait_until(due, stop):
                    fleet.step(due)
                    messages = fleet.messages()
                    for message in messages:
                        line.arrived.put_nowait(
                            Message(topic=message.topic, payload=message.payload)
                        )
                    await until_heard(
                        plant, {m.device_id: m.seq for m in messages if m.sound}, timeout_s=10
                    )
                    meddle(bench)
                    due += SECOND

            async def played() -> None:
                try:
                    await play(bench)
                finally:
                    stop.set()

            async with asyncio.TaskGroup() as group:
                group.create_task(living())
                group.create_task(clock.run(stop))
                group.create_task(played())

        asyncio.run(asyncio.wait_for(opened(), PATIENCE_S))

    return run


def with_control(file: ParkFile, options: DeviceTestOptions) -> ParkFile:
    return under_test(file, period=options.period, ttl=options.ttl)


def battery_silent_after(seconds: float) -> Callable[[ParkFile], ParkFile]:
    def changed(file: ParkFile) -> ParkFile:
        resources = tuple(
            replace(r, max_age_s=seconds) if r.resource_id == BATTERY else r
            for r in file.park.resources
        )
        return replace(file, park=replace(file.park, resources=resources))

    return changed


def test_a_sound_battery_is_stepped_both_ways_certified_and_let_go(
    on_the_bench: OnTheBench,
) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert trial.stopped is None
        stages = [stage.value for stage, _ in trial.stages]
        assert stages == [
            *("connected", "read"),
            *(("baseline_fixed", "stepped", "sustained", "released") * 4),
        ]
        for response in trial.responses:
            assert (response.response_s, response.full_s, response.accuracy) == (1, 1, 1)
            assert response.sustained_s == 5
        assert trial.tested is not None
        assert (trial.tested.up_kw, trial.tested.down_kw, trial.tested.runs) == (500, 500, 2)
        assert bench.power_kw() == 0  # the last command has run out
        # Twice a command, and its renewals at half of its life: each on record before it left.
        assert len([*bench.plant.journal.entries("setpoints")]) >= 4

    on_the_bench(play, options=replace(OPTIONS, repeat=2))


def test_a_device_that_lies_proves_nothing(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert [response.response_s for response in trial.responses] == [None, None]
        assert trial.tested is not None
        assert trial.tested.tested_kw == 0

    on_the_bench(play, Lie())


def test_half_of_a_step_is_not_a_tested_half(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert [(r.response_s, r.full_s) for r in trial.responses] == [(1, None), (1, None)]
        assert trial.tested is not None
        assert trial.tested.tested_kw == 0

    on_the_bench(play, Partial(share=0.5))


def test_a_ramp_and_noise_are_measured_from_a_baseline_that_stands(
    on_the_bench: OnTheBench,
) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        up, down = trial.responses
        # It takes 8 s from 200 kW to 0, and its last command lives for 3 s.
        assert [up.step.base_kw, down.step.base_kw] == pytest.approx([0, 0], abs=10)
        for response in (up, down):
            assert response.ramp_kw_per_min == pytest.approx(1500, rel=0.1)
            assert response.full_s == pytest.approx(8, abs=1)
            assert response.accuracy == pytest.approx(0.98, abs=0.01)  # sd 5 of 200 kW
            assert response.tested_kw == pytest.approx(200, abs=4)

    options = replace(OPTIONS, hold=20 * SECOND, patience=30 * SECOND, step_kw=200)
    on_the_bench(play, SlowRamp(share_per_min=3.0), Noise(sd_share=0.01), options=options)


def test_who_refuses_is_let_go(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert trial.stopped == "it refuses its command"
        assert trial.tested is None

    on_the_bench(play, Refuse())


def test_who_goes_silent_is_let_go_and_nothing_is_certified(on_the_bench: OnTheBench) -> None:
    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert trial.stopped == "it is unknown: reading is 7 s old, at most 6 s"
        assert trial.stages[-1][0].value == "released"
        assert trial.tested is None
        assert bench.power_kw() == 0

    options = replace(OPTIONS, hold=40 * SECOND)
    change = battery_silent_after(6)
    on_the_bench(play, Silence(), begins_after=14 * SECOND, change=change, options=options)


@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_a_stop_and_a_closed_terminal_leave_the_device_at_its_default(
    on_the_bench: OnTheBench, how: signal.Signals | None
) -> None:
    def stop(bench: Bench) -> None:
        if bench.power_kw() == 500 and bench.testing is not None and not bench.testing.cancelling():
            if how is None:
                bench.testing.cancel()
            else:
                signal.raise_signal(how)

    async def play(bench: Bench) -> None:
        with pytest.raises(asyncio.CancelledError):
            await bench.test()
        assert bench.trial.stopped == "somebody stopped it"
        assert bench.trial.stages[-1][0].value == "released"
        assert bench.power_kw() == 0

    on_the_bench(play, options=replace(OPTIONS, hold=300 * SECOND), meddle=stop)


def test_the_kill_switch_ends_a_step(on_the_bench: OnTheBench) -> None:
    def smoke(bench: Bench) -> None:
        if bench.power_kw() == 500:
            KillSwitch(bench.data).kill("smoke")

    async def play(bench: Bench) -> None:
        trial = await bench.test()
        assert trial.stopped == "killed: smoke"
        assert bench.power_kw() == 0

    on_the_bench(play, options=replace(OPTIONS, hold=300 * SECOND), meddle=smoke)


def test_the_connection_limits_the_step(on_the_bench: OnTheBench) -> None:
    def narrow(file: ParkFile) -> ParkFile:
        points = tuple(
            replace(p, limits=Limits(import_kw=800, export_kw=1000))
            for p in file.park.connection_points
        )
        return replace(file, park=replace(file.park, connection_points=points))

    async def play(bench: Bench) -> None:
        trial = await bench.test()
        up, down = (response.step.target_kw for response in trial.responses)
        assert [up, down] == pytest.approx([500, -300])  # the load draws 500 of 800 kW

    on_the_bench(play, change=narrow)


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


def url_of(door: BrokerDoor) -> str:
    address = door.access.address()
    return f"mqtt://{address.username}:{address.password}@{address.host}:{address.port}"


Asked = Callable[..., Awaitable[DeviceReport]]


@pytest.fixture
def over_mqtt(small_park: MakePark, tmp_path: Path) -> Callable[..., None]:
    """Plays on simulated devices behind a real broker, five times as fast as the wall."""

    def run(play: Callable[[Asked, Fleet], Awaitable[None]], *whats: What) -> None:
        async def opened() -> None:
            file, clock, stop = small_park(), WallClock(start=NIGHT, speed=5), asyncio.Event()
            assert file.simulation is not None
            faults = tuple(Fault(whats=(what,), devices=frozenset({BATTERY})) for what in whats)
            plan = FaultPlan(faults=faults, seed=1)
            fleet = Fleet(file.park, file.simulation, opened_at=NIGHT, step=SECOND, faults=plan)
            async with open_broker(None, file.park, embedded=False) as door:
                access = {
                    e.enterprise_id: door.gateway(e.enterprise_id) for e in file.park.enterprises
                }
                links = DeviceLinks(file.park, fleet, access, seed=1, now=clock.now)
                await links.start()
                living = asyncio.create_task(links.run(clock, stop, SECOND))

                async def asked(name: ResourceId = BATTERY, *, write: bool = False) -> DeviceReport:
                    return await run_device_test(
                        file,
                        name,
                        replace(OPTIONS, only=Direction.UP, patience=20 * SECOND, ttl=5 * SECOND),
                        clock=clock,
                        data=tmp_path,
                        broker_url=url_of(door),
                        say=lambda line: None,
                        agree=(lambda report: True) if write else None,
                    )

                try:
                    await play(asked, fleet)
                finally:
                    stop.set()
                    await living
                    await links.stop()

        asyncio.run(asyncio.wait_for(opened(), PATIENCE_S))

    return run


def test_reading_over_mqtt_writes_nothing_and_stepping_ends_on_record(
    over_mqtt: Callable[..., None], tmp_path: Path
) -> None:
    async def play(asked: Asked, fleet: Fleet) -> None:
        for name in (BATTERY, METER):
            report = await asked(name)
            assert report.failed is None
            assert report.read.messages >= OPTIONS.least_messages
            assert report.document()["values"]["power_kw"] is not None
            assert report.proof.startswith("a second client at the broker saw 0 commands")
        assert not (tmp_path / JOURNAL_FILE).exists()
        assert fleet.received_seq(BATTERY) == 0

        with pytest.raises(ConfigError, match="takes no set-points"):
            await asked(LOAD, write=True)
        with pytest.raises(ConfigError, match="has no device ghost"):
            await asked(ResourceId("ghost"))

        report = await asked(write=True)
        assert report.failed is None
        assert report.tested is not None
        assert report.tested.up_kw == pytest.approx(500, abs=25)
        assert fleet.snapshot().devices[BATTERY]["_power_kw"] == 0
        async with SqliteJournal.open(tmp_path / JOURNAL_FILE) as journal:
            assert on_record(journal) == {BATTERY: report.tested}
            first = next(journal.entries("setpoints")).number
            assert first < next(journal.entries("device_test")).number
            with pytest.raises((ConfigError, UnavailableError), match="in use"):
                await asked(write=True)  # a service runs the park

    over_mqtt(play)


def test_a_unit_that_was_mistaken_is_named_and_the_device_is_not_driven(
    over_mqtt: Callable[..., None],
) -> None:
    async def play(asked: Asked, fleet: Fleet) -> None:
        report = await asked(write=True)
        assert report.trial is None
        assert report.read.refused == {"wrong_unit": report.read.messages}
        assert report.failed is not None
        assert "Send kW, not W" in report.failed
        assert fleet.received_seq(BATTERY) == 0

    # It charges by itself, so that its unit can be seen.
    over_mqtt(play, Panel(share=-0.1), Scale(factor=1000.0))


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
        agreed: list[str] = []

        def read_only_so_far(report: DeviceReport) -> bool:
            assert "lets no writing function code" in report.proof
            assert set(face.asked) <= {3, 4}
            agreed.append(report.channel)
            return True

        try:
            report = await run_device_test(
                file,
                BATTERY,
                options,
                clock=clock,
                data=tmp_path / "data",
                broker_url=None,
                say=lambda line: None,
                agree=read_only_so_far,
            )
            assert agreed == ["yard"]
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

    asyncio.run(asyncio.wait_for(played(), PATIENCE_S))


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
