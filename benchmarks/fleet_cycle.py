"""The whole pipeline at fleet size, step by step: all that a plan and an act cost beside the solve.

    python benchmarks/fleet_cycle.py --resources 1000,10000 [--json]

A park of family A's mix from a fleet file (`_fleetpark.py`), each size in a process of its own. The plan comes from
a solver process that makes it by hand (`_fleetchild.py`): all that happens with a plan is done, but for finding it.
Last, the real one is asked the same, for the memory that it takes there.
Seconds are of the processor, of the service and of the solver's process. A pause is the longest stretch that the
thread of the service's event loop worked without looking up: on a machine with other work it lasts longer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time, thread_time

import msgspec
import numpy as np

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.fleet_cycle`
    sys.path.insert(0, str(Path(__file__).parents[1]))

from adapters.sqlite_journal import SqliteJournal
from benchmarks._fleetpark import write_fleet
from benchmarks._park import NoLink
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, log_to_stderr
from vpp.model.command import Setpoint
from vpp.model.horizon import Horizon, Profile
from vpp.model.resource.series import needed_series
from vpp.model.schedule import Outcome, Unsolved
from vpp.model.time import QUARTER, isoformat
from vpp.plan.problem import Problem
from vpp.plan.validate import violations
from vpp.ports import Unsent
from vpp.service import cycle, inputs
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import keep_start, take
from vpp.service.solving.executor import Executor, ProcessExecutor
from vpp.service.wiring import build_plant
from vpp.wire import TelemetryMessage, topic

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
"""A midnight: no window has begun."""
PAST_DAYS = 21
SIZES = (1_000, 10_000)
MOST_CYCLE_S = 10.0
MOST_PAUSE_S = 1.0
PROBE_S = 0.01
MOST_SOLVE_S = 900.0


class Probe:
    """How long the thread of the event loop works between two looks of a task that only sleeps."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            began = thread_time()
            await asyncio.sleep(PROBE_S)
            self.longest_s = max(self.longest_s, thread_time() - began)


@dataclass(slots=True)
class Spent:
    """Seconds of the processor by step, and how long the event loop stood still at most in some."""

    seconds: dict[str, float] = field(default_factory=dict)
    pauses: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def on(self, step: str) -> Iterator[None]:
        """Count what happens inside as `step`."""
        began = process_time()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + process_time() - began

    @asynccontextmanager
    async def watched(self, step: str, probe: Probe) -> AsyncIterator[None]:
        """The same of what happens on the event loop, with its longest pause."""
        await asyncio.sleep(2 * PROBE_S)  # what was before is seen, and is no part of it
        probe.longest_s = 0.0
        with self.on(step):
            yield
        await asyncio.sleep(2 * PROBE_S)
        self.pauses[step] = probe.longest_s


class TimedExecutor(ProcessExecutor):
    """Solves in a process that does it by hand, and counts what the service itself spends on that."""

    def __init__(self, told: Path) -> None:
        """The process says in file `told` what each of its questions took."""
        super().__init__((sys.executable, "-m", "benchmarks._fleetchild", f"--told={told}"))
        self._told = told
        self.here_s = 0.0
        self.there_s: dict[str, float] = {}

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """As it does; what it took stands in `here_s` and `there_s` afterwards."""
        began = process_time()
        outcome = await super().solve(problem, hard_s=hard_s)
        self.here_s = process_time() - began
        self.there_s = json.loads(self._told.read_text().splitlines()[-1])
        return outcome


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


def messages(plant: Plant, seq: int) -> list[tuple[str, bytes]]:
    """What all devices say, topic and payload: everybody does what he was told."""
    now, told_kw = isoformat(plant.clock.now()), plant.units.by_name(plant.lives.told_kw)
    meters = {p.meter_id for p in plant.file.park.connection_points}
    said = []
    for name, (owner, site) in plant.file.park.device_owner.items():
        sent, metered = plant.setpoints.get(name), name in meters
        message = TelemetryMessage(
            ts=now,
            seq=seq,
            power_kw=told_kw.get(name, 0.0),
            soc=None if metered else 0.5,
            setpoint_seq=None if sent is None else sent.seq,
            import_wh=1000 * seq if metered else None,
            export_wh=0 if metered else None,
        )
        said.append((topic(owner, site, name, "telemetry"), msgspec.json.encode(message)))
    return said


def hear(plant: Plant, seq: int) -> None:
    """Take what all devices say."""
    for name, payload in messages(plant, seq):
        take(plant, name, payload)


async def _days(file: ParkFile, folder: Path, spent: Spent) -> tuple[int, Problem]:
    """A plan and the acts after it, three times; the last is counted.

    Gives how many set-points were sent, and what the solver was asked last.
    """
    clock, probe = Hand(BEGAN), Probe()
    async with (
        TimedExecutor(folder / "told.jsonl") as executor,
        SqliteJournal.open(folder / "journal.sqlite") as journal,
        asyncio.TaskGroup() as group,
    ):
        with spent.on("begin"):
            plant = plant_of(file, folder, clock, journal, executor)
        keep_start()
        give_past(plant)
        watching = group.create_task(probe.watch())
        for quarter in range(3):
            counted = spent if quarter == 2 else Spent()
            await _quarter(plant, clock, executor, probe, counted, quarter)
        watching.cancel()
    if plant.tuning.basis is None:
        raise BrokenBenchmarkError("no plan stands")
    return plant.setpoints_sent, plant.tuning.basis.problem


async def _real_solver_mib(problem: Problem) -> float:
    """The most memory that a real solver process of its own holds until it has solved a problem."""
    async with ProcessExecutor() as child:
        outcome = await child.solve(problem, hard_s=MOST_SOLVE_S)
        if isinstance(outcome, Unsolved):
            raise BrokenBenchmarkError(f"the solver finds no plan: {outcome.reason}")
        return _most_mib(child.pid)


def _most_mib(pid: int | None) -> float:
    """The most memory that a process has held, as Linux tells."""
    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


async def _quarter(
    plant: Plant, clock: Hand, executor: TimedExecutor, probe: Probe, spent: Spent, number: int
) -> None:
    now = clock.at = BEGAN + number * QUARTER
    said = messages(plant, 2 * number + 1)
    with spent.on("hear"):
        for name, payload in said:
            take(plant, name, payload)
    async with spent.watched("plan cycle", probe):
        await cycle.plan(plant, now)
    if plant.schedule is None or plant.schedule.issued_at != now:
        raise BrokenBenchmarkError(f"no plan: {plant.outcome}")
    spent.seconds["plan cycle"] -= executor.here_s
    _validate(plant, spent)
    spent.seconds["hand over and back"] = executor.here_s
    spent.seconds.update((f"solver: {step}", s) for step, s in executor.there_s.items())
    clock.at += timedelta(minutes=1)
    async with spent.watched("act, all move", probe):
        await cycle.act(plant, clock.at)
    hear(plant, 2 * number + 2)
    clock.at += timedelta(minutes=1)
    async with spent.watched("act, steady", probe):
        await cycle.act(plant, clock.at)
    async with spent.watched("account", probe):
        await cycle.account(plant, clock.at)


def _validate(plant: Plant, spent: Spent) -> None:
    """The part of the plan cycle that is checking the plan, once more by itself."""
    basis, excess_per_kwh = plant.tuning.basis, plant.file.planning.limit_excess_per_kwh
    if basis is None or plant.schedule is None:
        raise BrokenBenchmarkError("no plan stands")
    view, terms = basis.problem.view, basis.problem.terms
    with spent.on("of it validate"):
        wrong = violations(plant.schedule, view, terms, limit_excess_price_per_kwh=excess_per_kwh)
    if wrong:
        raise BrokenBenchmarkError(f"the plan is wrong: {wrong[:3]}")


def measure_one(resources: int) -> dict[str, float]:
    """Seconds by step, and peak memory, in this process and in those that solve."""
    spent = Spent()
    with tempfile.TemporaryDirectory(prefix="vpp-fleet-") as name:
        folder = Path(name)
        path = write_fleet(resources, folder)
        with spent.on("load"):
            file = load_park(path)
        sent, problem = asyncio.run(_days(file, folder, spent))
    by_hand_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cycle_s = sum(
        s for step, s in spent.seconds.items() if step not in ("load", "begin", "of it validate")
    )
    return {
        "resources": float(len(file.park.resources)),
        **{f"{step} s": seconds for step, seconds in spent.seconds.items()},
        "whole cycle s": cycle_s,
        **{f"{step}: longest pause s": seconds for step, seconds in spent.pauses.items()},
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "solver: peak MiB": by_hand_mib,
        "child peak MiB": asyncio.run(_real_solver_mib(problem)),
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
            most = MOST_PAUSE_S if name.endswith("longest pause s") else most
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
