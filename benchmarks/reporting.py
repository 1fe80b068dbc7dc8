"""A day of reports at 1, 4 and 60 s: how many are on time, whether sums are sums, whether an old value says so.

    10 batteries speak every 4 s, each silent for an hour of the day ─▶ report cycle ─▶ journal on disk ─▶ HTTP ─▶ centre

Lockstep on a simulated clock: a second ends when all that was owed in it has been taken. So every point of the day is
made, and one is on time where the way from its tick to the centre's answer took no longer on the wall than its period:
a clock that runs as the wall does would have had the next one due. The centre is a process of its own; it adds up the
members of each point, and looks for values that are too old without saying so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import msgspec

from adapters.report_http import HttpPlatform, PlatformAccess
from adapters.sqlite_journal import SqliteJournal
from benchmarks._field_act import BEGAN, Swallowing, _plant
from benchmarks._field_ingest import _cores
from benchmarks._fieldpark import field_park
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, percentile
from vpp.act.ladder import SafeState
from vpp.clock import Clock, SimulatedClock
from vpp.model.ids import ResourceId
from vpp.model.reporting import ReportAnswer, ReportHead, ReportKind, Taken
from vpp.model.time import QUARTER, isoformat
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.reports import reporting
from vpp.service.reports import sending as reportsending
from vpp.service.reports.desk import PlatformDesk
from vpp.service.reports.schema import PlatformSection
from vpp.service.run import every, take
from vpp.wire import TelemetryMessage, topic

BATTERIES = 10
STEPS_S = (1, 4, 60)
SPEAK = timedelta(seconds=4)
SILENT = timedelta(hours=1)

OWED = """
reporting:
  telemetry_s: {step_s}
  members_s: {step_s}
  holds: [PT15M, PT1H]
"""
MORE_OWED = """\
  forecast: {step: PT15M, horizon: PT4H}
  schedule_points: 96
"""
UNIT = """\
bidding_units:
  - id: field
    zone: SE3
    resources: all
    products: [{products}]
    connected_kw: {kw}
    declared_kw: {kw}
    tested_kw: {kw}
    trades_from: "2026-03-01T00:00:00+00:00"
    trading_share: {{works-0: 1}}
markets: [{markets}]
"""


@dataclass(slots=True, kw_only=True)
class Ran:
    """What was seen on our side."""

    began: dict[datetime, float] = field(default_factory=dict)
    """By moment: when its tick came, on the wall."""

    took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By product: from the tick to the answer."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    missed: int = 0
    journal_mb: float = 0.0
    centre: dict[str, Any] = field(default_factory=dict)


def measure(small: bool) -> Sequence[Figure]:
    """A day, or the first minutes of one.

    Raises:
        BrokenBenchmarkError: The centre did not take what was sent.
    """
    span = timedelta(minutes=4) if small else timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="vpp-reports-") as folder:
        ran = asyncio.run(_run(_file(Path(folder)), Path(folder), span))
    figures = []
    for step_s in STEPS_S:
        due = span // timedelta(seconds=step_s)
        took_s = ran.took_s[_name(step_s)]
        on_time = sum(seconds <= step_s for seconds in took_s)
        figures += [
            Figure(name=f"points_{step_s}s", measured=ran.centre["points"].get(_name(step_s), 0), at_least=due, at_most=due),
            Figure(name=f"on_time_{step_s}s", measured=100 * on_time / due, unit="%", at_least=99.9),
            Figure(name=f"to_answer_{step_s}s_p99_ms", measured=1000 * percentile(took_s, 0.99), unit="ms"),
            Figure(name=f"to_answer_{step_s}s_max_ms", measured=1000 * max(took_s), unit="ms"),
        ]  # fmt: skip
    return [
        *figures,
        Figure(name="sum_error_w", measured=ran.centre["worst_w"], unit="W", at_most=1),
        Figure(name="old_values_told", measured=ran.centre["stale"]),
        Figure(name="old_values_frozen", measured=ran.centre["frozen"], at_most=0),
        Figure(name="reports_twice", measured=ran.centre["again"], at_most=0),
        Figure(name="reports_missed", measured=ran.missed, at_most=0),
        Figure(name="forecasts", measured=ran.centre["others"].get("forecast", 0)),
        Figure(name="journal_mb", measured=ran.journal_mb, unit="MB"),
        Figure(
            name="ms_a_point",
            measured=1000 * ran.wall_s / sum(map(len, ran.took_s.values())),
            unit="ms",
        ),
    ]


def _name(step_s: int) -> str:
    return f"each-{step_s}s"


def _file(folder: Path) -> ParkFile:
    field_park(BATTERIES, folder)
    rules = shipped("markets/se3_day_ahead.yaml").read_text(encoding="utf-8")
    for step_s in STEPS_S:
        text = rules.replace("id: se3-day-ahead", f"id: {_name(step_s)}")
        text += OWED.format(step_s=step_s) + (MORE_OWED if step_s == STEPS_S[-1] else "")
        (folder / f"{_name(step_s)}.yaml").write_text(text, encoding="utf-8")
    path, names = folder / "park.yaml", [_name(step_s) for step_s in STEPS_S]
    unit = UNIT.format(
        kw=100 * BATTERIES,
        products=", ".join(names),
        markets=", ".join(f"{name}.yaml" for name in names),
    )
    text = path.read_text(encoding="utf-8").replace("bidding_units: []\nmarkets: []\n", unit)
    path.write_text(text, encoding="utf-8")
    return load_park(path)


class Timed:
    """The platform, and when it answered."""

    def __init__(self, port: HttpPlatform, ran: Ran) -> None:
        self._port, self._ran = port, ran
        self.answered = 0
        self.news = asyncio.Event()

    async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
        answer = await self._port.send(head, body)
        if not isinstance(answer, Taken):
            raise BrokenBenchmarkError(f"{head.report_id}: {answer}")
        if head.kind is ReportKind.POINT:
            self._ran.took_s[head.product_id].append(perf_counter() - self._ran.began[head.due_at])
        self.answered += 1
        self.news.set()
        return answer


async def _run(file: ParkFile, folder: Path, span: timedelta) -> Ran:
    ran, (here, there) = Ran(), _cores()
    clock = SimulatedClock(BEGAN)
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(SqliteJournal.open(folder / "journal.sqlite"))
        centre, port = await stack.enter_async_context(_centre(there))
        link = Swallowing(BEGAN)
        plant = _plant(file, folder, clock, journal, link, link)
        plant.safe_state = SafeState.NORMAL
        http = HttpPlatform(PlatformAccess(url=f"http://127.0.0.1:{port}"), now=clock.now)
        timed = Timed(await stack.enter_async_context(http), ran)
        section = PlatformSection(id="centre", url="https://centre.example")
        plant.reports.platforms = (PlatformDesk(section=section, port=timed),)
        if here is not None:
            os.sched_setaffinity(0, {here})
        await _live(plant, clock, timed, ran, BEGAN + span)
        ran.missed = sum(stream.missed for stream in plant.reports.streams.values())
        assert centre.stdin is not None
        assert centre.stdout is not None
        centre.stdin.close()
        ran.centre = json.loads(await centre.stdout.readline())
        await centre.wait()
    ran.journal_mb = (folder / "journal.sqlite").stat().st_size / 1e6
    return ran


@asynccontextmanager
async def _centre(there: int | None) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    centre = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks._reportcentre",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    try:
        if there is not None:
            os.sched_setaffinity(centre.pid, {there})
        assert centre.stdout is not None
        word, port = (await centre.stdout.readline()).split()
        if word != b"port":
            raise BrokenBenchmarkError("the centre does not listen")
        yield centre, int(port)
    finally:
        if centre.returncode is None:
            centre.kill()
            await centre.wait()


async def _live(plant: Plant, clock: SimulatedClock, timed: Timed, ran: Ran, end: datetime) -> None:
    """Devices, then reports, then nothing until all of them are taken; second by second."""
    stop = asyncio.Event()
    step = reporting.tick(plant)
    assert step is not None
    desk = plant.reports.platforms[0]

    async def report(plant: Plant, now: datetime) -> None:
        ran.began[now] = perf_counter()
        ran.began.pop(now - timedelta(minutes=2), None)
        await reporting.report(plant, now)

    seats: tuple[Clock, ...] = tuple(
        map(clock.seat, ("devices", "report", "report_planned", "taken"))
    )
    began = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_speak(plant, seats[0], stop))
        tasks.create_task(every(step, report, plant, clock=seats[1], stop=stop))
        tasks.create_task(
            every(QUARTER, reporting.report_planned, plant, clock=seats[2], stop=stop)
        )
        tasks.create_task(_taken(plant, timed, seats[3], step, stop, end))
        tasks.create_task(reportsending.serve(plant, desk, stop))
        tasks.create_task(clock.run(stop))
    ran.wall_s = perf_counter() - began


async def _taken(
    plant: Plant, timed: Timed, seat: Clock, step: timedelta, stop: asyncio.Event, end: datetime
) -> None:
    """Hold the clock until the centre has all that was made."""
    due = seat.now()
    while await seat.wait_until(due, stop):
        while timed.answered < sum(stream.made for stream in plant.reports.streams.values()):
            timed.news.clear()
            await timed.news.wait()
        due += step
        if due >= end:
            stop.set()


async def _speak(plant: Plant, seat: Clock, stop: asyncio.Event) -> None:
    """Every device each four seconds, but for the hour in which it is silent."""
    rng, seq, due = Random(1), 0, seat.now()
    owners = plant.file.park.device_owner
    silent_from = {name: BEGAN + timedelta(hours=rng.uniform(0.5, 22)) for name in owners}
    silent_from[plant.file.park.resources[0].resource_id] = BEGAN  # so that minutes show it too
    meters = {point.meter_id for point in plant.file.park.connection_points}
    while await seat.wait_until(due, stop):
        seq += 1
        for name in owners:
            if not silent_from[name] < due < silent_from[name] + SILENT:
                _say(plant, name, due, seq, rng, is_meter=name in meters)
        due += SPEAK


def _say(
    plant: Plant, name: ResourceId, at: datetime, seq: int, rng: Random, *, is_meter: bool
) -> None:
    owner, site = plant.file.park.device_owner[name]
    message = TelemetryMessage(
        ts=isoformat(at),
        seq=seq,
        power_kw=rng.uniform(-90, 90),
        soc=None if is_meter else 0.5,
        import_wh=0 if is_meter else None,
        export_wh=0 if is_meter else None,
    )
    take(plant, topic(owner, site, name, "telemetry"), msgspec.json.encode(message))


BENCHMARK = Benchmark(
    about="a day of reports at 1, 4 and 60 s: on time, sums to the watt, no old value that looks new",
    measure=measure,
)

if __name__ == "__main__":
    for figure in measure("--small" in sys.argv):
        print(
            f"{figure.name:24} {figure.measured} {figure.unit} {figure.promised} {figure.verdict}"
        )
