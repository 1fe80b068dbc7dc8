"""A call that counts now, on its way to a thousand devices; how punctual the act cycle is, and what it costs.

    activation ─▶ journal on disk ─▶ act at once: share, guard ─▶ journal ─▶ Mosquitto ─▶ device
    └──────────────────────── award_to_device ────────────────────────────────────────────────┘

A cycle a second over a real Mosquitto (on the other core, with the simulated batteries), the journal on disk.
An award of the interval that runs goes the same way from where it is booked. Jitter is how late cycles begin
after their tick; the cycles that calls ask for have none. The processor's time a cycle is taken without a link:
where nothing changes, and where every device gets another set-point.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import process_time, time

import numpy as np
from prometheus_client import CollectorRegistry

from adapters.memory_journal import MemoryJournal
from adapters.mqtt_link import MqttLink
from adapters.sqlite_journal import SqliteJournal
from benchmarks._field_ingest import _cores, _mosquitto
from benchmarks._fieldpark import field_park
from benchmarks._park import NoLink
from benchmarks.harness import ROOT, BrokenBenchmarkError, Figure, percentile
from vpp.clock import WallClock, Watch
from vpp.model.command import Setpoint
from vpp.model.horizon import Horizon
from vpp.model.schedule import Optimal, Schedule, Size
from vpp.model.time import QUARTER, isoformat
from vpp.ports import Journal, MessageSource, SetpointSink, Unsent
from vpp.service import cycle
from vpp.service.calls import activations
from vpp.service.links.wiring import homes_of
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.run import keep_start, listen, take
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering.metrics import ControlMetrics
from vpp.service.steering.pace import acting
from vpp.service.wiring import build_plant
from vpp.wire import ActivationRequest, topic

BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A quarter-hour; the service's clock begins a minute later, so that one interval holds the whole run."""

UNIT = """\
bidding_units:
  - id: field
    zone: SE3
    resources: all
    products: [se3-day-ahead, se3-quarter-hour]
    connected_kw: {kw}
    declared_kw: {kw}
    tested_kw: {kw}
    trades_from: "2026-03-01T00:00:00+00:00"
    trading_share: {{works-0: 1}}
markets: [{day_ahead}, {quarter_hour}]
control: {{period_s: 1, setpoint_ttl_s: 60, sharing: {{rule: proportional}}}}
"""
WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured."""

    devices: int
    calls: int
    cycles: int


FULL, SMALL = Scale(devices=1000, calls=30, cycles=50), Scale(devices=10, calls=2, cycles=3)


class Noted(ControlMetrics):
    """Keeps how late each cycle began."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())
        self.late_s: list[float] = []

    def late(self, seconds: float) -> None:
        self.late_s.append(seconds)


def figures(*, small: bool) -> Sequence[Figure]:
    """The way of a call, the punctuality of cycles, and their cost.

    Raises:
        BrokenBenchmarkError: There is no Mosquitto, or devices were not told.
    """
    size = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="vpp-act-") as folder:
        file = _file(size, Path(folder))
        steady_ms, moving_ms = asyncio.run(_cost(file, size, Path(folder)))
        run = asyncio.run(_way(file, size, Path(folder)))
    delays_ms = [1000 * seconds for seconds in run.delays_s]
    late_ms = [1000 * seconds for seconds in run.late_s]
    return [
        Figure(name="act_devices", measured=size.devices),
        Figure(name="award_to_device_p99_ms", measured=percentile(delays_ms, 0.99), unit="ms", at_most=2000),
        Figure(name="award_to_device_p50_ms", measured=percentile(delays_ms, 0.5), unit="ms"),
        Figure(name="award_to_device_missed", measured=run.missed, at_least=0, at_most=0),
        Figure(name="act_jitter_p99_ms", measured=percentile(late_ms, 0.99), unit="ms", at_most=200),
        Figure(name="act_jitter_p50_ms", measured=percentile(late_ms, 0.5), unit="ms"),
        Figure(name="act_cycles", measured=len(late_ms)),
        Figure(name="act_cpu_ms", measured=steady_ms, unit="ms"),
        Figure(name="act_cpu_all_move_ms", measured=moving_ms, unit="ms"),
        Figure(name="act_journal_rows_per_cycle", measured=run.rows_a_cycle),
    ]  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Run:
    """What the devices saw."""

    delays_s: list[float] = field(default_factory=list)
    missed: int = 0
    late_s: list[float] = field(default_factory=list)
    rows_a_cycle: float = 0.0


@dataclass(slots=True, kw_only=True)
class Came:
    """When each device had its first command since a call."""

    began: float = 0.0
    first: dict[str, float] = field(default_factory=dict)

    def begin(self) -> float:
        """A call is made now; what was on its way before does not count."""
        self.first, self.began = {}, time()
        return self.began

    def note(self, device: str, at: float) -> None:
        if at >= self.began:
            self.first.setdefault(device, at)


def _file(size: Scale, folder: Path) -> ParkFile:
    field_park(size.devices, folder)
    path = folder / "park.yaml"
    unit = UNIT.format(
        kw=100 * size.devices,
        day_ahead=shipped("markets/se3_day_ahead.yaml"),
        quarter_hour=shipped("markets/se3_quarter_hour.yaml"),
    )
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("bidding_units: []\nmarkets: []\n", unit), encoding="utf-8")
    return load_park(path)


def _plant(
    file: ParkFile,
    folder: Path,
    clock: Watch,
    journal: Journal,
    source: MessageSource,
    sink: SetpointSink,
) -> Plant:
    plant = build_plant(
        file, clock=clock, data=folder, journal=journal, source=source, sink=sink, venue=None,
        executor=InlineExecutor(), record=lambda measurement: True,
    )  # fmt: skip
    plant.schedule = _resting(file)
    plant.outcome = Optimal(schedule=plant.schedule)
    plant.reconciled = True
    return plant


def _resting(file: ParkFile) -> Schedule:
    """A day in which every battery rests."""
    park, horizon = file.park, Horizon(BEGAN, QUARTER, 96)
    still = np.zeros(horizon.steps)
    return Schedule(
        plan_id="plan-1", issued_at=BEGAN, horizon=horizon,
        resource_ids=tuple(r.resource_id for r in park.resources),
        power_kw=np.zeros((len(park.resources), horizon.steps)),
        stored_kwh={}, temperature_degc={},
        connection_point_kw={p.connection_point_id: still for p in park.connection_points},
        net_kw=still, committed_kw=still, trade_kw={}, stored_value_per_kwh={},
        net_value_per_kwh=still, starts={}, unserved_kwh={}, cost_by_cause={}, gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0), build_s=0.0, solve_s=0.0,
        strategy_version="none", input_digest="none",
    )  # fmt: skip


def _call(file: ParkFile, revision: int, quantity_mw: float) -> ActivationRequest:
    return ActivationRequest.model_validate(
        {
            "activation_id": "call",
            "revision": revision,
            "start": isoformat(BEGAN),
            "end": isoformat(BEGAN + QUARTER),
            "direction": "up",
            "quantity_mw": f"{quantity_mw:.3f}",
            "source": "a benchmark",
        }
    )


def _quantity_mw(size: Scale, revision: int) -> float:
    """So that every device gets another set-point: a fortieth of what all can do, or a tenth."""
    return size.devices * 0.1 * (0.1 if revision % 2 else 0.025)


# ---------------------------------------------------------------- over a broker


async def _way(file: ParkFile, size: Scale, folder: Path) -> Run:
    run, chance = Run(), Random(1)
    here, there = _cores()
    began_at = BEGAN + timedelta(minutes=1)
    clock = WallClock(start=began_at)
    ahead_s = (began_at - datetime.now(UTC)).total_seconds()
    async with AsyncExitStack() as stack:
        access = await stack.enter_async_context(_mosquitto(file, there))
        if here is not None:
            os.sched_setaffinity(0, {here})
        address = access.address()
        link = MqttLink(
            address, homes_of(file.park), client_id="benchmark-act", now=clock.now, jitter=Random(1)
        )
        await stack.enter_async_context(link)
        await link.wait_until(connected=True)
        journal = await stack.enter_async_context(SqliteJournal.open(folder / "journal.sqlite"))
        plant = _plant(file, folder, clock, journal, link, link)
        noted = plant.metrics.control = Noted()
        stop = asyncio.Event()
        listening = asyncio.create_task(listen(plant, stop))
        owner = file.park.device_owner
        meters = [point.meter_id for point in file.park.connection_points]
        orders = {
            "port": address.port,
            "user": address.username,
            "password": address.password,
            "devices": [(*owner[r.resource_id], r.resource_id) for r in file.park.resources],
            "meters": [(*owner[meter], meter) for meter in meters],
            "ahead_s": ahead_s,
            "core": there,
        }
        devices = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks._fieldreceiver", json.dumps(orders),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        came = Came()
        ready = asyncio.Event()
        hearing = asyncio.create_task(_hear(devices, came, ready))
        try:
            async with asyncio.timeout(WAIT_S):
                await ready.wait()
                while len(plant.intake.newest) < size.devices:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            keep_start()
            steering = asyncio.ensure_future(acting(plant, clock)(stop))
            await asyncio.sleep(2.0)
            rows = sum(1 for _ in journal.entries("setpoints"))
            for revision in range(1, size.calls + 1):
                await _one_call(plant, file, size, revision, came, run)
                await asyncio.sleep(chance.uniform(0.1, 1.1))
            run.rows_a_cycle = (sum(1 for _ in journal.entries("setpoints")) - rows) / max(
                len(noted.late_s) + size.calls, 1
            )
            run.late_s = noted.late_s
            stop.set()
            await steering
        finally:
            stop.set()
            assert devices.stdin is not None
            devices.stdin.close()
            await devices.wait()
            listening.cancel()
            hearing.cancel()
            await asyncio.gather(listening, hearing, return_exceptions=True)
    return run


async def _one_call(
    plant: Plant, file: ParkFile, size: Scale, revision: int, came: Came, run: Run
) -> None:
    """A call, and when each device had the first command after it; at most three seconds are waited for."""
    began = came.begin()
    request = _call(file, revision, _quantity_mw(size, revision))
    product = plant.file.packs[0].product_id
    await activations.take(plant, product, request, now=plant.clock.now())
    while len(came.first) < size.devices and time() < began + 3.0:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    run.missed += size.devices - len(came.first)
    run.delays_s += [at - began for at in came.first.values()]


async def _hear(devices: asyncio.subprocess.Process, came: Came, ready: asyncio.Event) -> None:
    """The lines that the devices print."""
    assert devices.stdout is not None
    async for line in devices.stdout:
        if line == b"ready\n":
            ready.set()
        else:
            at, _, device = line.decode().strip().partition(" ")
            came.note(device, float(at))


# ---------------------------------------------------------------- the processor's time


class Swallowing(NoLink):
    """A link that takes every command."""

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        return ()


@dataclass(slots=True)
class Hand:
    """A clock that is set by hand."""

    at: datetime

    def now(self) -> datetime:
        return self.at


async def _cost(file: ParkFile, size: Scale, folder: Path) -> tuple[float, float]:
    """Milliseconds of the processor for a cycle in which nothing changes, and in which everything does."""
    clock = Hand(BEGAN + timedelta(minutes=1))
    link = Swallowing(clock.now())
    plant = _plant(file, folder, clock, MemoryJournal(), link, link)
    plant.events.hush()
    spent: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * size.cycles):
        moving = number >= size.cycles
        if moving or not number:
            request = _call(file, number + 1, _quantity_mw(size, number))
            await activations.take(plant, file.packs[0].product_id, request, now=clock.now())
        _tell(plant, number + 1, clock.now())
        began = process_time()
        await cycle.act(plant, clock.now())
        if number:
            spent[moving].append(process_time() - began)
        clock.at += timedelta(seconds=1)
    if plant.setpoints_sent < size.devices * size.cycles:
        raise BrokenBenchmarkError(f"{plant.setpoints_sent} set-points: not everybody moved")
    steady, moved = (1000 * float(np.median(spent[moving])) for moving in (False, True))
    return steady, moved


def _tell(plant: Plant, seq: int, now: datetime) -> None:
    """Everybody does what he was told."""
    owner, told_kw = plant.file.park.device_owner, plant.units.by_name(plant.lives.told_kw)
    for resource in plant.file.park.resources:
        name = resource.resource_id
        sent = plant.setpoints.get(name)
        body = {
            "ts": isoformat(now),
            "seq": seq,
            "power_kw": told_kw.get(name, 0.0),
            "soc": 0.5,
            "setpoint_seq": 0 if sent is None else sent.seq,
        }
        take(plant, topic(*owner[name], name, "telemetry"), json.dumps(body).encode())
