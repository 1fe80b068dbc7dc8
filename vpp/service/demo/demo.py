"""The whole park with nothing else installed: broker, devices, market, service, in one command.

    vpp demo ─┬─ this process    the service: loops, HTTP, solver's parent
              ├─ solver          child process
              ├─ broker          child process, loopback
              └─ simulated world child process: devices over MQTT, market over HTTP

On the simulated clock all go in lockstep (`simulation.py`). On the wall clock (`--speed 60`) each
side keeps its own time and nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

from vpp.clock import Clock, SimulatedClock, WallClock
from vpp.errors import ConfigError
from vpp.model.time import QUARTER, Interval, local_day, local_moment
from vpp.service.demo.history import give_history, give_meters
from vpp.service.demo.simulation import GRACE, OPENING, Simulation, ending, lockstep, series_ids
from vpp.service.http import reserved_port, serve
from vpp.service.loops import loops_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.run import run
from vpp.service.tuning.file import with_own_copy
from vpp.service.wiring import JOURNAL_FILE, BrokerDoor, Opened, open_broker, open_plant
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.market import VenueTimes
from vpp.simulate.process import RemoteWorld
from vpp.simulate.spec import Scenario
from vpp.simulate.world import WorldSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command was asked for."""

    length: timedelta
    speed: float | None
    """Times as fast as the wall; None as fast as it goes, in lockstep."""

    seed: int
    port: int
    data: Path | None
    """Where the record is kept; None in a folder that is removed at the end."""

    faults: FaultPlan = NO_FAULTS
    """What goes wrong with devices."""

    times: VenueTimes = field(default_factory=VenueTimes)
    """When the simulated market asks, clears, publishes and settles."""


@dataclass(kw_only=True)
class Run(Simulation):
    """A demo under way."""

    options: DemoOptions
    world: RemoteWorld
    opened: Opened
    broker: BrokerDoor
    address: str


def scored_span(scenario: Scenario, zone: ZoneInfo, length: timedelta) -> Interval:
    """From local midnight of the scenario's first delivery day on.

    Raises:
        ConfigError: The length is no whole number of quarter-hours, or the series end before.
    """
    start = local_day(scenario.first_delivery_day, zone).start
    if length <= timedelta(0) or length % QUARTER:
        below = length // QUARTER * QUARTER
        near = [one // timedelta(minutes=1) for one in (below, below + QUARTER) if one]
        raise ConfigError(
            f"{length / timedelta(minutes=1):g} minutes are no whole quarter-hours, by which markets and bills count",
            where="--for",
            fix=f"Say {' or '.join(f'{minutes}m' for minutes in near)}; 24h shows a whole day",
        )
    last = scenario.day_ahead_per_mwh.horizon.end - timedelta(days=2)
    if start + length > last:
        raise ConfigError(
            f"the park's series end at {last:%Y-%m-%d}", where="--for", fix="Ask for less"
        )
    return Interval(start, start + length)


@asynccontextmanager
async def open_demo(
    file: ParkFile, options: DemoOptions
) -> AsyncIterator[tuple[Run, SimulatedClock | WallClock]]:
    """Start everything but time.

    Raises:
        ConfigError: The park cannot be simulated, or a port or folder cannot be used.
        UnavailableError: A child process does not come up.
    """
    began = perf_counter()
    if file.simulation is None:
        raise ConfigError(
            "has no simulation section", where="park file", fix="Use `vpp run` for a live park"
        )
    scenario, park = file.simulation, file.park
    span = scored_span(scenario, park.timezone, options.length)
    eve = scenario.first_delivery_day - timedelta(days=1)
    start = local_moment(eve, OPENING, park.timezone)
    async with AsyncExitStack() as stack:
        data = options.data
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vpp-demo-")))
        elif (data / JOURNAL_FILE).exists():
            raise ConfigError(
                "holds the record of another run", where="--data", fix="Give an empty folder"
            )
        file = with_own_copy(file, data)
        clock: SimulatedClock | WallClock = (
            SimulatedClock(start)
            if options.speed is None
            else WallClock(start=start, speed=options.speed)
        )
        broker = await stack.enter_async_context(open_broker(None, park, embedded=True))
        venue_port = stack.enter_context(reserved_port())
        opened = await stack.enter_async_context(
            open_plant(
                file.in_simulation(),
                clock=clock,
                seed=options.seed,
                data=data,
                broker=broker.access.address(),
                venue_url=f"http://127.0.0.1:{venue_port}",
            )
        )
        plant = opened.plant
        give_history(plant, scenario, start)
        address = await stack.enter_async_context(serve(plant, host="127.0.0.1", port=options.port))
        world = RemoteWorld(
            WorldSpec(
                park=park,
                scenario=scenario,
                brokers={
                    e.enterprise_id: broker.gateway(e.enterprise_id) for e in park.enterprises
                },
                service_url=address,
                seed=options.seed,
                opened_at=start - timedelta(seconds=file.control.period_s),
                times=options.times,
                series=series_ids(plant),
                venue_port=venue_port,
                faults=options.faults,
            )
        )
        await world.start()
        stack.push_async_callback(world.stop)
        if (before := await world.past()) is not None:
            give_meters(plant, before)
        run_ = Run(
            options=options,
            file=file,
            scenario=scenario,
            span=span,
            seed=options.seed,
            plant=plant,
            executor=opened.executor,
            opened=opened,
            world=world,
            broker=broker,
            address=address,
            began=began,
        )
        yield run_, clock


# ---------------------------------------------------------------- time


async def live(
    run_: Run, clock: SimulatedClock | WallClock, progress: Callable[[Plant], None]
) -> None:
    """Let time pass until the last interval of the span is settled.

    Raises:
        PlanError: In lockstep a solve ran into the wall clock: the run would not repeat.
    """
    stop = asyncio.Event()
    if isinstance(clock, SimulatedClock):
        await lockstep(run_, clock, stop, progress)
    else:
        await _side_by_side(run_, clock, stop, progress)


async def _side_by_side(
    run_: Run, clock: Clock, stop: asyncio.Event, progress: Callable[[Plant], None]
) -> None:
    plant, world = run_.plant, run_.world

    async def watching(stop: asyncio.Event) -> None:
        due = clock.now()
        while await clock.wait_until(due, stop):
            run_.note(due)
            progress(plant)
            due += timedelta(seconds=run_.file.control.period_s)

    loops = loops_of(plant, lambda _: clock)
    loops["world"] = lambda stop: world.run(clock, stop, run_.file.control.period_s)
    loops["watch"] = watching
    loops["end"] = ending(run_, clock)
    await run(loops, stop, grace=GRACE)
