"""The same hours with a Redis window, without one, and with one that is killed in the middle: one record.

Rows F9 and F10: nothing is recorded in the window alone, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from tests.contracts.redisserver import RedisServer
from vpp.clock import SimulatedClock
from vpp.model.time import QUARTER, Interval, local_day, local_moment
from vpp.ports import JournalEntry
from vpp.service.inline import InlineExecutor
from vpp.service.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.redisschema import RedisSection
from vpp.service.replay import open_direct, scenario_of
from vpp.service.setpoints import SETPOINTS
from vpp.service.simulation import OPENING, Simulation, lockstep
from vpp.service.windowwiring import open_window
from vpp.simulate.market import VenueTimes

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

WALL_S = 30.0
HOURS = timedelta(hours=4)
Watcher = Callable[[Plant], Awaitable[None]]


async def live(
    file: ParkFile, folder: Path, middle: Watcher, end: Watcher
) -> tuple[JournalEntry, ...]:
    """Four hours of the eve in lockstep; all that was recorded. Time stands while somebody watches."""
    record: list[JournalEntry] = []
    scenario, zone, executor = scenario_of(file), file.park.timezone, InlineExecutor()
    day = local_day(scenario.first_delivery_day, zone)
    clock = SimulatedClock(
        local_moment(scenario.first_delivery_day - timedelta(days=1), OPENING, zone)
    )
    start = clock.now()
    async with AsyncExitStack() as stack:
        plant, world = await open_direct(
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
            world=world,
            began=perf_counter(),
        )
        stop, seat = asyncio.Event(), clock.seat("watcher")

        async def watch() -> None:
            await seat.wait_until(start + HOURS / 2, stop)
            await middle(plant)
            await seat.wait_until(start + HOURS, stop)
            await end(plant)
            stop.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            group.create_task(lockstep(run, clock, stop, lambda plant: None))
    return tuple(record)


async def nothing(plant: Plant) -> None:
    """Look on."""


async def up(plant: Plant) -> None:
    """Wait until the window shows what is."""
    window = plant.window
    assert window is not None
    window.changed.set()
    async with asyncio.timeout(WALL_S):
        while window.changed.is_set() or not window.up:  # noqa: ASYNC110  nothing tells of a picture
            await asyncio.sleep(0.001)


def test_the_record_is_the_same_with_a_window_without_and_with_one_that_dies(
    small_park: MakePark, redis_server: Path, tmp_path: Path
) -> None:
    plain = small_park(trades_from="2025-12-02T12:00:00+01:00")

    for name in ("without", "with", "dies"):
        (tmp_path / name).mkdir()

    async def without() -> tuple[JournalEntry, ...]:
        return await live(plain, tmp_path / "without", nothing, nothing)

    async def with_one() -> tuple[JournalEntry, ...]:
        async def sees(plant: Plant) -> None:
            await up(plant)
            assert plant.schedule is not None
            with server.client() as client:
                assert client.hget("vpp:v1:small:plan", "plan_id") == plant.schedule.plan_id

        async with RedisServer(redis_server, tmp_path) as server:
            return await live(shown(plain, server), tmp_path / "with", nothing, sees)

    async def with_one_that_dies() -> tuple[JournalEntry, ...]:
        async def kills(plant: Plant) -> None:
            await up(plant)
            server.kill()

        async def misses(plant: Plant) -> None:
            assert plant.window is not None
            assert not plant.window.up

        async with RedisServer(redis_server, tmp_path) as server:
            return await live(shown(plain, server), tmp_path / "dies", kills, misses)

    record = asyncio.run(without())

    assert {"plan", SETPOINTS} <= {entry.kind for entry in record}
    assert len(record) > 100
    assert asyncio.run(with_one()) == record
    assert asyncio.run(with_one_that_dies()) == record


def shown(file: ParkFile, server: RedisServer) -> ParkFile:
    section = RedisSection(url=server.url, timeout_s=0.2, longest_retry_s=0.1)
    return replace(file, redis=section)
