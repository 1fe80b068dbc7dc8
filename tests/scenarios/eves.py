"""Hours of the eve of a simulated day, in lockstep and in one process: for tests that compare whole records."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from vpp.clock import SimulatedClock
from vpp.model.time import QUARTER, Interval, local_day, local_moment
from vpp.ports import JournalEntry
from vpp.service.backtest.replay import open_direct, scenario_of
from vpp.service.demo.simulation import OPENING, Simulation, World, lockstep
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.window.wiring import open_window
from vpp.simulate.market import VenueTimes


async def nothing(plant: Plant) -> None:
    """Look on."""


def untouched(plant: Plant, world: World) -> World:
    return world


def quietly(plant: Plant) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Eve:
    """What befalls a plant in the hours from 11:00 local time on."""

    hours: timedelta = timedelta(hours=4)
    changed: Callable[[Plant, World], World] = untouched
    """Puts something between plant and world before time begins; the world to live with."""

    told: Callable[[Plant], None] = quietly
    """Called each period when every device was heard."""

    middle: Callable[[Plant], Awaitable[None]] = nothing
    """Called when half of the hours are over; time stands meanwhile."""

    end: Callable[[Plant], Awaitable[None]] = nothing


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What is left of an eve."""

    plant: Plant
    record: list[JournalEntry] = field(default_factory=list)


def opening(file: ParkFile) -> datetime:
    eve = scenario_of(file).first_delivery_day - timedelta(days=1)
    return local_moment(eve, OPENING, file.park.timezone)


async def live(file: ParkFile, folder: Path, eve: Eve) -> Lived:
    """Let the hours pass; `folder` is for the kill switch."""
    scenario, executor, start = scenario_of(file), InlineExecutor(), opening(file)
    day = local_day(scenario.first_delivery_day, file.park.timezone)
    clock, record = SimulatedClock(start), list[JournalEntry]()
    async with AsyncExitStack() as stack:
        plant, direct = await open_direct(
            file,
            clock,
            folder,
            executor,
            seed=1,
            device_step=timedelta(seconds=file.control.period_s),
            times=VenueTimes(),
            written=record.append,
        )
        plant.window = await open_window(file, stack)
        run = Simulation(
            file=file,
            scenario=scenario,
            span=Interval(day.start, day.start + QUARTER),
            seed=1,
            plant=plant,
            executor=executor,
            world=eve.changed(plant, direct),
            began=perf_counter(),
        )
        stop, seat = asyncio.Event(), clock.seat("watcher")

        async def watch() -> None:
            await seat.wait_until(start + eve.hours / 2, stop)
            await eve.middle(plant)
            await seat.wait_until(start + eve.hours, stop)
            await eve.end(plant)
            stop.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            group.create_task(lockstep(run, clock, stop, eve.told))
    return Lived(plant=plant, record=record)
