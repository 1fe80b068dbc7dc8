"""The demo park in this process, without broker, HTTP or files: heard once, with its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

from adapters.memory_journal import MemoryJournal
from benchmarks.harness import BrokenBenchmarkError
from vpp.clock import SimulatedClock
from vpp.model.command import Setpoint
from vpp.model.time import local_moment
from vpp.plan.problem import Problem, SolveOptions
from vpp.ports import Message, Unsent
from vpp.service import inputs
from vpp.service.demo.history import give_history
from vpp.service.forecasting.issuing import issue
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.run import take
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant
from vpp.simulate.fleet import Fleet

WARM_UP = timedelta(minutes=1)


class NoLink:
    """A broker link over which nothing goes."""

    connected = True

    def __init__(self, since: datetime) -> None:
        self.since = since

    async def messages(self) -> AsyncIterator[Message]:
        nothing: tuple[Message, ...] = ()
        for message in nothing:
            yield message

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        raise BrokenBenchmarkError(f"{len(setpoints)} set-points over no link")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPark:
    """A plant and the devices it hears."""

    plant: Plant
    fleet: Fleet

    def messages(self) -> list[tuple[str, bytes]]:
        """What all devices say now, as topic and payload."""
        return [(m.topic, m.payload) for m in self.fleet.messages()]


def a_park(at: time, data: Path) -> SmallPark:
    """The demo park on the eve of its first delivery day at local time `at`."""
    file = load_park(shipped_park("demo"))
    if file.simulation is None:
        raise BrokenBenchmarkError("the demo park has no simulation")
    eve = file.simulation.first_delivery_day - timedelta(days=1)
    now = local_moment(eve, at, file.park.timezone)
    link = NoLink(now)
    plant = build_plant(
        file,
        clock=SimulatedClock(now),
        data=data,
        journal=MemoryJournal(),
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )
    give_history(plant, file.simulation, now)
    fleet = Fleet(file.park, file.simulation, opened_at=now - WARM_UP)
    fleet.step(now)
    park = SmallPark(plant=plant, fleet=fleet)
    for where, payload in park.messages():
        take(plant, where, payload)
    return park


def its_problem(plant: Plant) -> Problem:
    """What the planning cycle would solve now, with no plan before."""
    now = plant.clock.now()
    horizon = inputs.horizon_of(plant, now)
    forecasts = asyncio.run(issue(plant, inputs.series_needed(plant), horizon, now))
    view = inputs.build_view(plant, now, horizon, forecasts)
    return Problem(
        view=view,
        terms=plant.strategies.terms(view),
        options=SolveOptions(
            plan_id="benchmark",
            strategy_version=plant.strategy_version,
            gap=plant.file.planning.gap,
            soft_s=plant.file.planning.soft_s,
            limit_excess_price_per_kwh=plant.file.planning.limit_excess_per_kwh,
        ),
        preferred_starts={},
    )
