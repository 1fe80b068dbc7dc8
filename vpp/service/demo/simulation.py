"""A plant beside a simulated world, in lockstep on a simulated clock: what demo and back-test share.

world lives a period and tells ▸ every message is here ▸ market ▸ trade ▸ plan ▸ act ▸ account
▸ every set-point is there ▸ next period
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from time import perf_counter
from typing import Any, Protocol

from vpp.clock import Clock, SimulatedClock
from vpp.errors import PlanError
from vpp.model.ids import ConnectionPointId
from vpp.model.measurement import ParkState
from vpp.model.time import QUARTER, Interval
from vpp.sense.state import freeze
from vpp.service.accounting import imbalance_series, note_peaks
from vpp.service.inputs import reference_product
from vpp.service.loops import loops_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.run import Loop, run, until_heard
from vpp.service.solving.executor import Executor
from vpp.simulate.market import SeriesIds
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory

OPENING = time(11)
"""A simulation begins at this local time on the day before the scored span."""

CLOSING = QUARTER + timedelta(minutes=3)
"""After the span: its last interval is metered, priced and settled."""

LOCKSTEP_WALL_S = 30.0
"""In lockstep: wall time for messages in flight, and limit of a solve. Reached, the run fails."""

GRACE = timedelta(seconds=45)


class World(Protocol):
    """The other side of the wire, or of the function call."""

    async def advance(self, now: datetime, expected_commands: Mapping[str, int]) -> dict[str, int]:
        """Live until `now`, once the commands named have arrived; tell; each device's `seq`."""
        ...

    async def trade(self, now: datetime) -> None:
        """Let the market do what is due until `now`."""
        ...

    def next_trade(self) -> datetime:
        """When the market is due next."""
        ...

    async def trajectory(self, span: Interval) -> Trajectory:
        """What the park did over `span`."""
        ...

    async def rollout(self, span: Interval) -> Trajectory:
        """What it would have done over `span` without any command."""
        ...

    async def report(self) -> dict[str, Any]:
        """Counters, the venue's books and the true prices, as plain data."""
        ...


@dataclass(kw_only=True)
class Simulation:
    """A simulated span under way, and what the score needs of its opening."""

    file: ParkFile
    scenario: Scenario
    span: Interval
    """What is scored."""

    seed: int
    plant: Plant
    executor: Executor
    world: World
    began: float
    """`perf_counter` at the start."""

    opening: ParkState | None = None
    """The park when the span begins."""

    opening_peaks_kw: dict[ConnectionPointId, float] = field(default_factory=dict)
    first_plan_s: float | None = None

    def note(self, now: datetime) -> None:
        """Remember when the first plan stood, and the park as it is when the scored span begins."""
        plant = self.plant
        if self.first_plan_s is None and plant.schedule is not None:
            self.first_plan_s = perf_counter() - self.began
        if self.opening is None and now >= self.span.start:
            # The plan cycle of this moment has not noted the interval that has just ended.
            note_peaks(plant, Interval(self.span.start - QUARTER, self.span.start))
            self.opening = freeze(self.file.park, plant.intake.newest, now)
            self.opening_peaks_kw = {
                p.connection_point_id: plant.peaks.peak_kw(p.connection_point_id, now)
                for p in self.file.park.connection_points
            }


def series_ids(plant: Plant) -> SeriesIds:
    """Under which names the park expects the prices of its market."""
    prices = {product.kind: product.price_series_id for product in plant.file.products}
    short, long = imbalance_series(plant)
    return SeriesIds(
        unit=f"{plant.file.park.currency}/MWh",
        day_ahead=reference_product(plant).price_series_id,
        quarter_hour=prices.get("energy_id"),
        short=short,
        long=long,
    )


async def lockstep(
    simulation: Simulation,
    clock: SimulatedClock,
    stop: asyncio.Event,
    progress: Callable[[Plant], None],
    *,
    plan_limit_s: float = LOCKSTEP_WALL_S,
) -> None:
    """Let time pass until the last interval of the span is settled; no plan may take `plan_limit_s`.

    Raises:
        PlanError: A solve ran into the wall clock: the run would not repeat.
    """
    plant = simulation.plant

    def told(now: datetime) -> None:
        simulation.note(now)
        progress(plant)

    loops = loops_with_world(plant, simulation.world, clock, told)
    loops["end"] = ending(simulation, clock.seat("end"))
    async with asyncio.TaskGroup() as group:
        group.create_task(run(loops, stop, grace=GRACE), name="loops")
        group.create_task(clock.run(stop), name="clock")
    slowest = max((record.total_s for record in plant.plan_log), default=0.0)
    if slowest >= plan_limit_s:
        raise PlanError(
            f"a plan took {slowest:.1f} s of wall time",
            where="lockstep",
            fix="Give the machine more rest; the result would depend on its speed",
        )


def loops_with_world(
    plant: Plant, world: World, clock: SimulatedClock, told: Callable[[datetime], None]
) -> dict[str, Loop]:
    """Every loop of a plant and its world, in step; `told` is called when all devices were heard."""
    period = timedelta(seconds=plant.file.control.period_s)
    devices, market = clock.seat("devices"), clock.seat("market")

    async def living(stop: asyncio.Event) -> None:
        due = clock.now()
        while await devices.wait_until(due, stop):
            sent: dict[str, int] = {name: s.seq for name, s in plant.setpoints.items()}
            sequence = await world.advance(due, sent)
            await until_heard(plant, sequence, timeout_s=LOCKSTEP_WALL_S)
            told(due)
            due += period

    async def marketing(stop: asyncio.Event) -> None:
        while await market.wait_until(world.next_trade(), stop):
            await world.trade(clock.now())

    loops: dict[str, Loop] = {"devices": living, "market": marketing}
    return loops | loops_of(plant, clock.seat)


def ending(simulation: Simulation, clock: Clock) -> Loop:
    """Set `stop` when the last interval of the span has been settled."""

    async def end_it(stop: asyncio.Event) -> None:
        await clock.wait_until(simulation.span.end + CLOSING, stop)
        stop.set()

    return end_it
