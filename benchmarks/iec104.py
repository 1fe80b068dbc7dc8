"""A dispatch centre over IEC 60870-5-104: what 5,000 cyclic points cost, and how soon the guard has a set-point.

    1,000 batteries are heard every 4 s ─▶ 5,000 points, all told every 4 s, powers at once as well ─▶ centre
    centre ─▶ set-point ─▶ journal on disk ─▶ activation ─▶ act at once ─▶ guard
              └────────────────── setpoint_to_guard ──────────────────────┘

The centre is a process of its own on the other core. The processor's time is that of the whole process less what
hearing the batteries takes, as a share of one core. Set-points are ordered while all that goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from time import process_time, time
from typing import Any

import msgspec

from adapters.iec104_station import Station
from adapters.sqlite_journal import SqliteJournal
from benchmarks._dispatcher import CALL
from benchmarks._field_act import BEGAN, Scale, Swallowing, _file, _plant
from benchmarks._field_ingest import _cores
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, percentile
from vpp.clock import WallClock
from vpp.model.time import isoformat
from vpp.service import cycle
from vpp.service.iec104 import iec104
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.schema import StationSection
from vpp.service.iec104.wiring import spec_of
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.run import keep_start, take
from vpp.service.steering.pace import acting
from vpp.wire import TelemetryMessage, topic

EACH = (
    "resource_power",
    "resource_soc",
    "resource_available",
    "resource_heard",
    "resource_follows",
)
WHOLE = ("park_power", "up", "down")
WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    devices: int
    cyclic_s: float
    cycles: int
    orders: int
    every_s: float


FULL = Size(devices=1000, cyclic_s=4.0, cycles=8, orders=100, every_s=0.3)
SMALL = Size(devices=10, cyclic_s=0.2, cycles=3, orders=3, every_s=0.05)


@dataclass(slots=True, kw_only=True)
class Ran:
    """What was seen."""

    heard: dict[str, float] = field(default_factory=dict)
    cpu_share: float = 0.0
    sent: dict[int, float] = field(default_factory=dict)
    confirmed: dict[int, float] = field(default_factory=dict)
    guarded: dict[int, float] = field(default_factory=dict)
    """By kW: when the guard was done with it the first time."""


def measure(small: bool) -> Sequence[Figure]:
    """The cost of cyclic points, and the way of a set-point.

    Raises:
        BrokenBenchmarkError: A set-point was refused, or the centre was not served.
    """
    size = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="vpp-104-") as folder:
        file = _file(Scale(devices=size.devices, calls=0, cycles=0), Path(folder))
        ran = asyncio.run(_run(file, size, Path(folder)))
    if ran.heard["negative"]:
        raise BrokenBenchmarkError(f"{ran.heard['negative']} orders were refused")
    guarded = {kw: at for kw, at in ran.guarded.items() if kw in ran.sent}
    to_guard_ms = [1000 * (at - ran.sent[kw]) for kw, at in guarded.items()]
    to_answer_ms = [1000 * (ran.confirmed[kw] - at) for kw, at in ran.sent.items()]
    points = size.devices * len(EACH) + len(WHOLE)
    return [
        Figure(name="points", measured=ran.heard["points"], at_least=points, at_most=points),
        Figure(name="cyclic_core_share", measured=100 * ran.cpu_share, unit="%", at_most=20),
        Figure(name="cyclic_longest_gap_s", measured=ran.heard["longest_gap_s"], unit="s"),
        Figure(name="spontaneous", measured=ran.heard["spontaneous"]),
        Figure(
            name="setpoint_to_guard_p99_ms",
            measured=percentile(to_guard_ms, 0.99),
            unit="ms",
            at_most=100,
        ),
        Figure(name="setpoint_to_guard_p50_ms", measured=percentile(to_guard_ms, 0.5), unit="ms"),
        Figure(name="setpoint_missed", measured=len(ran.sent) - len(guarded), at_most=0),
        Figure(
            name="setpoint_to_confirmed_p99_ms", measured=percentile(to_answer_ms, 0.99), unit="ms"
        ),
    ]


def _section(file: ParkFile, size: Size) -> StationSection:
    points: list[dict[str, Any]] = [
        {"ioa": 1 + 5 * number + place, "what": what, "resource": r.resource_id}
        | {"cyclic_s": size.cyclic_s}
        for number, r in enumerate(file.park.resources)
        for place, what in enumerate(EACH)
    ]
    points += [
        {"ioa": CALL - 10 + place, "what": what, "cyclic_s": size.cyclic_s}
        for place, what in enumerate(WHOLE)
    ]
    call = {
        "ioa": CALL,
        "what": "activation",
        "product": file.packs[0].product_id,
        "most_kw": 100 * size.devices,
        "pace": "direct",
    }
    return StationSection.model_validate(
        {
            "role": "station",
            "id": "dispatch",
            "masters": [{"host": "127.0.0.1", "may_order": True}],
            "points": points,
            "orders": [call],
        }
    )


async def _run(file: ParkFile, size: Size, folder: Path) -> Ran:
    ran, (here, there) = Ran(), _cores()
    clock = WallClock(start=BEGAN + timedelta(minutes=1))
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(SqliteJournal.open(folder / "journal.sqlite"))
        link = Swallowing(clock.now())
        plant = _plant(file, folder, clock, journal, link, link)
        section = _section(file, size)
        station = Station(replace(spec_of(section, file.park.timezone), port=0), now=clock.now)
        plant.stations = (StationDesk(section=section, port=station),)
        hearing = Hearing(plant)
        hearing.hear()
        if here is not None:
            os.sched_setaffinity(0, {here})
        keep_start()
        stop = asyncio.Event()
        loops = {"act": acting(plant, clock), **iec104.loops(plant)}
        running = [asyncio.ensure_future(loop(stop)) for loop in loops.values()]
        running.append(asyncio.ensure_future(hearing.go_on(size.cyclic_s, stop)))
        centre = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks._dispatcher",
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        if there is not None:
            os.sched_setaffinity(centre.pid, {there})
        try:
            with _guarded(plant, ran):
                await _together(centre, station, hearing, size, ran)
        finally:
            stop.set()
            await asyncio.gather(*running)
    return ran


async def _together(
    centre: asyncio.subprocess.Process, station: Station, hearing: Hearing, size: Size, ran: Ran
) -> None:
    """The cyclic points alone for a while, then orders as well."""
    assert centre.stdin is not None
    assert centre.stdout is not None
    while not station.port:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    asked = {
        "port": station.port,
        "orders": [10 + number for number in range(size.orders)],
        "every_s": size.every_s,
    }
    centre.stdin.write(json.dumps(asked).encode() + b"\n")
    async with asyncio.timeout(WAIT_S):
        await centre.stdout.readline()
    await asyncio.sleep(size.cyclic_s)  # the first picture is told whole: not what is asked
    began, cpu, heard = time(), process_time(), hearing.cost_s
    await asyncio.sleep(size.cyclic_s * size.cycles)
    spent_s = process_time() - cpu - (hearing.cost_s - heard)
    ran.cpu_share = spent_s / (time() - began)
    centre.stdin.write(b"order\n")
    async with asyncio.timeout(WAIT_S + size.orders * size.every_s * 2):
        async for line in centre.stdout:
            word, *rest = line.decode().split()
            if word == "ordered":
                break
            where = ran.sent if word == "sent" else ran.confirmed
            where[round(float(rest[0]))] = float(rest[1])
    await asyncio.sleep(0.5)
    centre.stdin.close()
    ran.heard = json.loads(await centre.stdout.readline())
    await centre.wait()


@contextmanager
def _guarded(plant: Plant, ran: Ran) -> Iterator[None]:
    """Note when the guard was done with each call the first time."""
    names = vars(cycle)  # where the act cycle finds it
    guard = names["guard"]

    def noted(*args: Any, **named: Any) -> Any:
        found = guard(*args, **named)
        for call in plant.book.calls.standing():
            ran.guarded.setdefault(round(float(call.quantity_mw) * 1000), time())
        return found

    names["guard"] = noted
    try:
        yield
    finally:
        names["guard"] = guard


class Hearing:
    """The batteries, each with another power each time, and what taking that costs."""

    def __init__(self, plant: Plant) -> None:
        self._plant, self._seq = plant, 0
        self.cost_s = 0.0

    def hear(self) -> None:
        """Every device says something new."""
        began, plant = process_time(), self._plant
        self._seq += 1
        at = isoformat(plant.clock.now())
        meters = {point.meter_id for point in plant.file.park.connection_points}
        for device, (owner, site) in plant.file.park.device_owner.items():
            message = TelemetryMessage(
                ts=at,
                seq=self._seq,
                power_kw=float(self._seq % 7),
                soc=None if device in meters else 0.5,
                available_kw=float(self._seq % 5),
                import_wh=1000 if device in meters else None,
                export_wh=1000 if device in meters else None,
            )
            where = topic(owner, site, device, "telemetry")
            take(plant, where, msgspec.json.encode(message))
        self.cost_s += process_time() - began

    async def go_on(self, every_s: float, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            self.hear()
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({stopped}, timeout=every_s)
            stopped.cancel()


BENCHMARK = Benchmark(
    about="5,000 points over IEC 104 every 4 s, and set-points on their way to the guard",
    measure=measure,
)

if __name__ == "__main__":
    for figure in measure("--small" in sys.argv):
        print(
            f"{figure.name:28} {figure.measured} {figure.unit} {figure.promised} {figure.verdict}"
        )
