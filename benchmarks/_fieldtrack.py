"""One span of a park in process while devices fail at random: what was owed, what came, and what room was left.

For each quarter-hour:

    owed        what the market holds the park to: sold, and called
    delivered   what the simulated main meters counted
    room        what storages that worked all the quarter-hour could have done more, in the direction of the miss:
                by their power, their energy when it ended, and what their connection point may draw or feed
    ceiling     the same where no connection point draws above the peak that its month has paid for: the service
                makes no new peak to mend a quarter-hour

A quarter-hour that was missed counts as missed where the room under the ceiling would have covered what lacked, and
is left out where not; one that was met counts as met. How many are left out, and why, is told.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from time import perf_counter

from vpp.clock import SimulatedClock
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.park import Park
from vpp.model.resource import Storage
from vpp.model.time import QUARTER, Interval, latest_boundary, local_date, local_day, local_moment
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked
from vpp.service.backtest.replay import open_direct, scenario_of
from vpp.service.demo.simulation import OPENING, Simulation, lockstep
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering import ceilings, owing
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.direct import DirectWorld
from vpp.simulate.market import VenueTimes
from vpp.simulate.trajectory import Trajectory

TOLERANCE = 0.02
"""Of what is owed: what a quarter-hour may miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarter:
    """One quarter-hour as it went."""

    interval: Interval
    owed_kwh: float
    delivered_kwh: float
    room_kwh: float
    """In the direction of the miss; a size."""
    under_ceiling_kwh: float
    """Of it, without a new peak."""
    failing: frozenset[ResourceId]
    """At some time of it."""

    @property
    def error_kwh(self) -> float:
        return self.delivered_kwh - self.owed_kwh

    @property
    def met(self) -> bool:
        return abs(self.error_kwh) <= TOLERANCE * abs(self.owed_kwh)

    @property
    def had_room(self) -> bool:
        """Whether it was met, or working storages could have met it: what is judged."""
        return self.met or self.under_ceiling_kwh >= self._lacks_kwh

    @property
    def held_by_ceiling(self) -> bool:
        """Whether only the ceiling of a peak stood in the way."""
        return not self.had_room and self.room_kwh >= self._lacks_kwh

    @property
    def _lacks_kwh(self) -> float:
        return abs(self.error_kwh) - TOLERANCE * abs(self.owed_kwh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One control cycle."""

    at: datetime
    park_kw: float | None
    planned_kw: float | None
    owed_kw: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A span that is over."""

    quarters: tuple[Quarter, ...]
    ticks: tuple[Tick, ...]
    failures: dict[ResourceId, list[Interval]] = field(default_factory=dict)
    """When each device failed."""
    stores_kw: dict[ResourceId, list[float]] = field(default_factory=dict)
    """Mean net injection of each storage by quarter-hour."""
    wall_s: float = 0.0

    @property
    def judged(self) -> list[Quarter]:
        return [quarter for quarter in self.quarters if quarter.had_room]

    @property
    def met_share(self) -> float:
        """Of the quarter-hours with room for what was owed."""
        return sum(quarter.met for quarter in self.judged) / max(len(self.judged), 1)


def track(
    *,
    length: timedelta,
    failing_share: float,
    seed: int,
    period: timedelta = timedelta(seconds=60),
    plans_every: timedelta = QUARTER,
    learn: bool = True,
    faults: FaultPlan | None = None,
    lead: timedelta | None = None,
) -> Tracked:
    """Live the beginning of the demo park's first day; `learn` False takes what needs no fit for forecasts.

    It opens as the demo does, in time for the day-ahead market, or `lead` before the day begins.
    """
    began = perf_counter()
    shipped = load_park(shipped_park("demo"))
    assert shipped.simulation is not None
    start = local_day(shipped.simulation.first_delivery_day, shipped.park.timezone).start
    span = Interval(start, start + length)
    asked = BacktestOptions(span=span, every=plans_every, period=period)
    file = as_asked(shipped, asked, Way.POINT)
    if not learn:
        plain = {
            "series": [
                {"match": "power.*", "candidates": ["mean-of-last", "seasonal-baseline"]},
                {"match": "*", "candidates": ["yesterday"]},
            ]
        }
        file = replace(file, forecasts=ForecastsSection.model_validate(plain))
    if faults is None:
        faults = FaultPlan.at_random(failing_share, seed=seed) if failing_share else NO_FAULTS
    eve = local_date(span.start, file.park.timezone) - timedelta(days=1)
    opening = local_moment(eve, OPENING, file.park.timezone)
    opening = opening if lead is None else span.start - lead
    return asyncio.run(_live(file, span, faults, seed, period, began, opening))


async def _live(
    file: ParkFile,
    span: Interval,
    faults: FaultPlan,
    seed: int,
    period: timedelta,
    began: float,
    opening: datetime,
) -> Tracked:
    clock = SimulatedClock(opening)
    opened_at = clock.now() - timedelta(seconds=file.control.period_s)
    executor = InlineExecutor()
    with tempfile.TemporaryDirectory(prefix="vpp-track-") as folder:
        plant, world = await open_direct(
            file, clock, Path(folder), executor, seed=seed, device_step=period,
            times=VenueTimes(), faults=faults,
        )  # fmt: skip
        run = Simulation(
            file=file, scenario=scenario_of(file), span=span, seed=seed, plant=plant,
            executor=executor, world=world, began=began,
        )  # fmt: skip
        ceilings_kw: dict[datetime, Mapping[ConnectionPointId, float]] = {}

        def note(plant: Plant) -> None:
            """Keep what each quarter-hour began with."""
            now = plant.clock.now()
            if now in span and latest_boundary(now, QUARTER) == now:
                ceilings_kw[now] = ceilings.ceilings_kw(plant, now, period)

        await lockstep(run, clock, asyncio.Event(), note, plan_limit_s=600.0)
        return await _seen(plant, world, span, faults, opened_at, period, began, ceilings_kw)


async def _seen(
    plant: Plant,
    world: DirectWorld,
    span: Interval,
    faults: FaultPlan,
    opened_at: datetime,
    period: timedelta,
    began: float,
    ceilings_kw: Mapping[datetime, Mapping[ConnectionPointId, float]],
) -> Tracked:
    lived = await world.trajectory(span)
    failures = _failures(plant.file.park, span, faults, opened_at, period)
    quarters = []
    for step, interval in enumerate(span.split(QUARTER)):
        mean_kw = owing.mean_owed_kw(plant, interval)
        assert mean_kw is not None, "the park trades all of the span"
        failing = frozenset(
            name for name, spans in failures.items() if any(s.overlaps(interval) for s in spans)
        )
        net_wh = sum(
            int(lived.export_wh[p][step] - lived.import_wh[p][step]) for p in lived.import_wh
        )
        owed_kwh, delivered_kwh = mean_kw * interval.hours, net_wh / 1000
        side = 1 if delivered_kwh < owed_kwh else -1
        quarters.append(
            Quarter(
                interval=interval,
                owed_kwh=owed_kwh,
                delivered_kwh=delivered_kwh,
                room_kwh=_room_kwh(plant.file.park, lived, step, side, failing, {}),
                under_ceiling_kwh=_room_kwh(
                    plant.file.park, lived, step, side, failing, ceilings_kw[interval.start]
                ),
                failing=failing,
            )
        )
    ticks = [
        Tick(at=p.at, park_kw=p.park_kw, planned_kw=p.planned_kw, owed_kw=p.owed_kw)
        for p in plant.trace
        if p.at in span
    ]
    return Tracked(
        quarters=tuple(quarters),
        ticks=tuple(ticks),
        failures=failures,
        stores_kw={
            name: lived.power_kw[row].tolist()
            for row, name in enumerate(lived.resource_ids)
            if name in lived.stored_kwh
        },
        wall_s=perf_counter() - began,
    )


def _failures(
    park: Park, span: Interval, faults: FaultPlan, opened_at: datetime, period: timedelta
) -> dict[ResourceId, list[Interval]]:
    """When each device failed, by the plan of faults; neighbours are one."""
    found: dict[ResourceId, list[Interval]] = {}
    for resource in park.resources:
        name, spans = resource.resource_id, list[Interval]()
        for step in span.split(period):
            if not faults.active(name, step.start, opened_at):
                continue
            if spans and spans[-1].end == step.start:
                spans[-1] = Interval(spans[-1].start, step.end)
            else:
                spans.append(step)
        if spans:
            found[name] = spans
    return found


def _room_kwh(
    park: Park,
    lived: Trajectory,
    step: int,
    side: int,
    failing: frozenset[ResourceId],
    ceilings_kw: Mapping[ConnectionPointId, float],
) -> float:
    """What working storages could still have done that way, a size."""
    hours = QUARTER / timedelta(hours=1)
    power = dict(zip(lived.resource_ids, lived.power_kw[:, step], strict=True))
    behind_kwh: dict[ConnectionPointId, float] = {}
    for store in park.electric:
        if not isinstance(store, Storage) or store.resource_id in failing:
            continue
        stored, kw = lived.stored_kwh[store.resource_id][step], power[store.resource_id]
        soc = stored / store.capacity_kwh
        if side > 0:
            by_power = store.most_discharge_kw(soc) - kw
            above_kwh = stored - store.min_soc * store.capacity_kwh
            by_energy = above_kwh * store.discharge_efficiency
        else:
            by_power = kw + store.most_charge_kw(soc)
            by_energy = (store.capacity_kwh - stored) / store.charge_efficiency
        point = store.connection_point_id
        room = max(min(by_power * hours, by_energy), 0.0)
        behind_kwh[point] = behind_kwh.get(point, 0.0) + room
    total_kwh = 0.0
    for name, room in behind_kwh.items():
        limits = park.point_by_id[name].limits
        net_kwh = float(lived.export_wh[name][step] - lived.import_wh[name][step]) / 1000
        import_kw = min(limits.import_kw, ceilings_kw.get(name, inf))
        left = limits.export_kw * hours - net_kwh if side > 0 else import_kw * hours + net_kwh
        total_kwh += min(room, max(left, 0.0))
    return total_kwh
