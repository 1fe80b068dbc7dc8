"""The whole pipeline at fleet size, step by step: all that a plan and an act cost beside the solve.

    python benchmarks/fleet_cycle.py --resources 1000,10000 [--json]

A park of family A's mix from a fleet file (`_fleetpark.py`), each size in a process of its own. The plan that is
handed back is made by hand (batteries rest, the sun is fed in, loads draw evenly in their windows): all that
happens with a plan is done, but for finding it. Seconds are of the processor, for all processes on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.fleet_cycle`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from adapters.sqlite_journal import SqliteJournal
from benchmarks._fleetpark import write_fleet
from benchmarks._park import NoLink
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, log_to_stderr
from vpp.model.command import Setpoint
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.resource.series import needed_series
from vpp.model.schedule import Optimal, Outcome
from vpp.model.time import QUARTER, isoformat
from vpp.plan.compile import build
from vpp.plan.lp import LpSolution
from vpp.plan.problem import Problem
from vpp.plan.programme import Programme
from vpp.plan.reading import schedule_of
from vpp.ports import Unsent
from vpp.service import cycle, inputs
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import keep_start, take
from vpp.service.solving.executor import Executor
from vpp.service.solving.handover import Parks, dumped, loaded, sheet
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
"""A midnight: no window has begun."""
PAST_DAYS = 21
SIZES = (1_000, 10_000)
MOST_CYCLE_S = 10.0


@dataclass(slots=True)
class Spent:
    """Seconds of the processor by step."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """Count what happens inside as `step`."""
        began = process_time()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + process_time() - began


@dataclass(slots=True)
class Hand:
    """A clock that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class Swallowing(NoLink):
    """A link that takes every command."""

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        return ()


class ByHand:
    """An executor that does all that the child does, but for searching."""

    pid: int | None = None

    def __init__(self, spent: Spent, sheets: tuple[int, int]) -> None:
        self.spent, self._sheets, self._parks = spent, sheets, Parks()
        self.in_solver_s = 0.0

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        gc.disable()  # as the child does while it has a problem
        try:
            return self._solve(problem)
        finally:
            gc.enable()

    def _solve(self, problem: Problem) -> Outcome:
        spent, began, (asked, answered) = self.spent, process_time(), self._sheets
        with spent.on("hand over"):
            heard = loaded(self._parks.dumped(problem, asked), asked)
        with spent.on("compile"):
            programme = build(
                heard.view,
                heard.terms,
                limit_excess_price_per_kwh=heard.options.limit_excess_price_per_kwh,
            )
        x = _by_hand(programme)
        solution = LpSolution(
            x=x, cost=(cost := float(programme.cost @ x)), bound=cost, row_marginals=np.zeros(len(programme.row_lower)),
            column_marginals=np.zeros(len(x)), fixed={},
        )  # fmt: skip
        with spent.on("read the plan"):
            schedule = schedule_of(heard, programme, solution, gap=0.0, build_s=0.0, solve_s=0.0)
        with spent.on("hand back"):
            answer = loaded(dumped(Optimal(schedule=schedule), answered), answered)
        self.in_solver_s += process_time() - began
        assert isinstance(answer, Optimal)
        return answer


def _by_hand(programme: Programme) -> Floats:
    """A plan that keeps every rule: nobody would call it good."""
    fleet, x = programme.fleet, np.zeros(len(programme.cost))
    x[fleet.storages.stored] = fleet.storages.stored_kwh[:, None]
    x[fleet.generators.feed] = fleet.generators.available_kw
    windows, flexibles = fleet.flexibles.windows, fleet.flexibles
    window, step = windows.members()
    length = np.bincount(window, minlength=len(windows.load)) * flexibles.step_hours
    x[flexibles.draw[windows.load[window], step]] = (windows.least_kwh / length)[window]
    points = programme.balance[: len(fleet.points.imports)]
    net_kw = programme.row_lower[points] - (programme.matrix @ x)[points]
    x[fleet.points.exports], x[fleet.points.imports] = np.maximum(net_kw, 0), np.maximum(-net_kw, 0)
    net = net_kw.sum(axis=0)
    x[fleet.market.sell[0]], x[fleet.market.buy[0]] = np.maximum(net, 0), np.maximum(-net, 0)
    peaks, _ = programme.causes["peak"]
    lacking = programme.row_lower - programme.matrix @ x
    column = programme.matrix.tocsc()
    for peak in peaks:
        rows = column.indices[column.indptr[peak] : column.indptr[peak + 1]]
        x[peak] = max(0.0, lacking[rows].max())
    return x


def plant_of(
    file: ParkFile, folder: Path, clock: Hand, journal: SqliteJournal, executor: Executor
) -> Plant:
    """A plant of a park whose devices take every command, and are heard by hand."""
    link = Swallowing(clock.now())
    plant = build_plant(
        file, clock=clock, data=folder, journal=journal, source=link, sink=link, venue=None,
        executor=executor, record=lambda measurement: True,
    )  # fmt: skip
    plant.reconciled = True
    plant.events.hush()
    return plant


def give_past(plant: Plant) -> None:
    """Three weeks of each series that a plan needs, and prices until tomorrow."""
    rng = np.random.default_rng(2)
    steps = PAST_DAYS * 96
    horizon = Horizon(BEGAN - PAST_DAYS * timedelta(days=1), QUARTER, steps)
    hour = np.arange(steps) % 96 / 4
    shape = {
        "available": np.clip(np.sin(np.pi * (hour - 6) / 12), 0, None),
        "power": -(0.4 + 0.5 * np.exp(-(((hour - 10) / 3) ** 2))),
    }
    size_kw: dict[str, float] = {}
    for one in plant.file.park.resources:
        for name in needed_series(one):
            size_kw[name] = size_kw.get(name, 0.0) + max(one.draw_kw, one.feed_kw)
    for name, kw in size_kw.items():
        values = 0.7 * kw * shape[name.partition(".")[0]] * rng.uniform(0.9, 1.0, steps)
        plant.series.put_profile(
            name, unit="kW", profile=Profile(horizon, values), known_at="interval_end", source="past"
        )  # fmt: skip
    price = Horizon(horizon.start, QUARTER, steps + 2 * 96)
    plant.series.put_profile(
        inputs.reference_product(plant).price_series_id, unit="EUR/MWh",
        profile=Profile(price, 80 + 30 * np.sin(np.arange(price.steps) / 96 * 2 * np.pi)),
        known_at=horizon.start, source="past",
    )  # fmt: skip


def hear(plant: Plant, seq: int) -> None:
    """Everybody does what he was told."""
    now, told_kw = isoformat(plant.clock.now()), plant.units.by_name(plant.lives.told_kw)
    meters = {p.meter_id for p in plant.file.park.connection_points}
    for name, (owner, site) in plant.file.park.device_owner.items():
        sent, metered = plant.setpoints.get(name), name in meters
        said = TelemetryMessage(
            ts=now,
            seq=seq,
            power_kw=told_kw.get(name, 0.0),
            soc=None if metered else 0.5,
            setpoint_seq=None if sent is None else sent.seq,
            import_wh=1000 * seq if metered else None,
            export_wh=0 if metered else None,
        )
        take(plant, topic(owner, site, name, "telemetry"), msgspec.json.encode(said))


async def _days(file: ParkFile, folder: Path, spent: Spent) -> int:
    """A plan and the acts after it, three times; the last is counted. Gives how many set-points were sent."""
    clock = Hand(BEGAN)
    with sheet() as asked, sheet() as answered:
        executor = ByHand(spent, (asked, answered))
        async with SqliteJournal.open(folder / "journal.sqlite") as journal:
            with spent.on("begin"):
                plant = plant_of(file, folder, clock, journal, executor)
            keep_start()
            await _quarters(plant, clock, executor, spent)
    return plant.setpoints_sent


async def _quarters(plant: Plant, clock: Hand, executor: ByHand, spent: Spent) -> None:
    give_past(plant)
    seq = 0
    for quarter in range(3):
        warm = quarter == 2
        now = clock.at = BEGAN + quarter * QUARTER
        counted = spent if warm else Spent()
        seq += 1
        with counted.on("hear"):
            hear(plant, seq)
        executor.spent, executor.in_solver_s = counted, 0.0
        with counted.on("plan cycle"):
            await cycle.plan(plant, now)
        counted.seconds["plan cycle"] -= executor.in_solver_s
        counted.seconds["of it validate"] = plant.validate_s or 0.0
        if plant.schedule is None or plant.schedule.issued_at != now:
            raise BrokenBenchmarkError(f"no plan: {plant.outcome}")
        clock.at += timedelta(minutes=1)
        with counted.on("act, all move"):
            await cycle.act(plant, clock.at)
        seq += 1
        hear(plant, seq)
        clock.at += timedelta(minutes=1)
        with counted.on("act, steady"):
            await cycle.act(plant, clock.at)
        with counted.on("account"):
            await cycle.account(plant, clock.at)


def measure_one(resources: int) -> dict[str, float]:
    """Seconds by step, and peak memory, in this process."""
    spent = Spent()
    with tempfile.TemporaryDirectory(prefix="vpp-fleet-") as name:
        folder = Path(name)
        path = write_fleet(resources, folder)
        with spent.on("load"):
            file = load_park(path)
        sent = asyncio.run(_days(file, folder, spent))
    cycle_s = sum(
        s for step, s in spent.seconds.items() if step not in ("load", "begin", "of it validate")
    )
    return {
        "resources": float(len(file.park.resources)),
        **{f"{step} s": seconds for step, seconds in spent.seconds.items()},
        "whole cycle s": cycle_s,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "set-points": float(sent),
    }


def _apart(resources: int) -> dict[str, float]:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fleet_cycle", "--one", str(resources)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BrokenBenchmarkError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(small: bool) -> list[Figure]:
    """Each step at each size; the largest beside what was promised."""
    sizes = (100,) if small else SIZES
    figures = []
    for size in sizes:
        for name, value in _apart(size).items():
            step, _, unit = name.rpartition(" ")
            most = MOST_CYCLE_S if name == "whole cycle s" else None
            figures.append(
                Figure(name=f"{size}: {step or name}", measured=value, unit=unit if step else "", at_most=most)
            )  # fmt: skip
    return figures


BENCHMARK = Benchmark(about="the whole pipeline of a fleet beside the solve", measure=measure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/fleet_cycle.py", description=__doc__)
    parser.add_argument("--resources", default="1000,10000", help="sizes, with commas between")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    log_to_stderr()
    if asked.one is not None:
        print(json.dumps(measure_one(asked.one)))
        return
    found = {int(size): _apart(int(size)) for size in asked.resources.split(",")}
    if asked.json:
        print(json.dumps(found))
        return
    for name in next(iter(found.values())):
        print(f"{name:22}", *(f"{one.get(name, float('nan')):12.3f}" for one in found.values()))


if __name__ == "__main__":
    main()
