"""Charging stations over OCPP: what 500 of them cost that tell their meters every 10 s, and how soon all have a limit.

    500 stations, half 1.6J and half 2.0.1, a car at each ─▶ meters ─▶ central system ─▶ telemetry
    set-point of each of 5 car parks ─▶ split ─▶ 500 profiles ─▶ confirmed
    └────────────────────────── profile_set ──────────────────────────┘

The central system is a process of its own: listener, link and the record of stays on disk. Its processor time is all that
it spends, as a share of one core: with meters alone, and with a new set-point for every car park each 10 s besides. A car
park's set-point counts as done when the last of its cars has confirmed, so each time is that of the slowest of 100.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from time import time
from typing import Any

import aiohttp

from benchmarks._central import KIND, PASSWORD, station_names
from benchmarks._field_ingest import _cores
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, percentile
from vpp.clock import WallClock
from vpp.simulate.charger import ChargerSpec, Dialect
from vpp.simulate.chargerfleet import ChargerFleet, Traffic
from vpp.simulate.chargerline import LineTiming

WAIT_S = 120.0
ROUNDING_W = 0.05
"""A meter is told in tenths of a watt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    parks: int
    stations: int
    sample_s: int
    samples: int
    """Meters of each station in each of the two spans."""

    every_s: float
    """Between set-points."""


FULL = Size(parks=5, stations=100, sample_s=10, samples=6, every_s=10.0)
SMALL = Size(parks=2, stations=3, sample_s=1, samples=2, every_s=0.5)


@dataclass(slots=True, kw_only=True)
class Ran:
    """What was seen."""

    quiet: float = 0.0
    """Shares of a core."""
    steered: float = 0.0
    heard_per_s: float = 0.0
    acks_ms: list[float] = field(default_factory=list)
    refused: int = 0
    lost: int = 0
    off_w: float = 0.0
    stays: int = 0


def measure(small: bool) -> Sequence[Figure]:
    """The cost of meters, and the way of a limit.

    Raises:
        BrokenBenchmarkError: Stations were not let in, or a set-point was refused.
    """
    size = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="vpp-ocpp-") as folder:
        ran = asyncio.run(_run(size, folder))
    if ran.refused:
        raise BrokenBenchmarkError(f"{ran.refused} set-points were refused")
    count = size.parks * size.stations
    return [
        Figure(name="stations", measured=ran.stays, at_least=count, at_most=count),
        Figure(name="messages_per_s", measured=ran.heard_per_s, unit="messages/s"),
        Figure(name="messages_lost", measured=ran.lost, at_least=0, at_most=0),
        Figure(
            name="sum_off_w", measured=ran.off_w, unit="W", at_most=max(count * ROUNDING_W, 1.0)
        ),
        Figure(name="meters_core_share", measured=100 * ran.quiet, unit="%", at_most=30),
        Figure(name="steered_core_share", measured=100 * ran.steered, unit="%", at_most=30),
        Figure(
            name="profile_set_p99_ms",
            measured=percentile(ran.acks_ms, 0.99),
            unit="ms",
            at_most=1000,
        ),
        Figure(name="profile_set_p50_ms", measured=percentile(ran.acks_ms, 0.5), unit="ms"),
    ]


class Central:
    """The other process, asked line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def asked(self, line: str) -> Any:
        """What it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(WAIT_S):
            answer = await self._process.stdout.readline()
        if not answer:
            raise BrokenBenchmarkError("the central system has ended")
        return json.loads(answer)

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def _run(size: Size, folder: str) -> Ran:
    here, there = _cores()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks._central",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if here is not None and there is not None:
        os.sched_setaffinity(0, {here})
        os.sched_setaffinity(process.pid, {there})
    central, stop = Central(process), asyncio.Event()
    sizes = {"parks": size.parks, "stations": size.stations, "sample_s": size.sample_s}
    url = (await central.asked(json.dumps(sizes | {"folder": folder})))["url"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        fleet = _fleet(size, url, session)
        living = asyncio.create_task(fleet.run(stop))
        try:
            return await _watched(size, central, fleet)
        finally:
            stop.set()
            await living
            await central.end()


def _fleet(size: Size, url: str, session: aiohttp.ClientSession) -> ChargerFleet:
    names = [name for park in station_names(size.parks, size.stations) for name in park]
    dialects = (Dialect.V16, Dialect.V201)
    return ChargerFleet(
        [
            ChargerSpec(
                charger_id=name,
                dialect=dialects[number % 2],
                max_kw=KIND.max_kw,
                sample_s=float(size.sample_s),
            )
            for number, name in enumerate(names)
        ],
        url,
        session,
        WallClock(),
        seed=1,
        passwords=dict.fromkeys(names, PASSWORD),
        # All are taken and nobody leaves: every station has something to tell all the time.
        traffic=Traffic(
            at_the_start=1.0,
            an_hour=0.0,
            stays=(timedelta(hours=8), timedelta(hours=9)),
            wanted_kwh=(400.0, 500.0),
        ),
        timing=LineTiming(first_delay_s=0.1, longest_delay_s=2.0),
    )


async def _watched(size: Size, central: Central, fleet: ChargerFleet) -> Ran:
    """Meters alone for a while, then set-points as well, and in the end what all that came to."""
    ran, points = Ran(), list(fleet.points.values())
    async with asyncio.timeout(WAIT_S):
        while not all(point.standing == "Accepted" for point in points):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for point in points:
            await point.line.settled()
    await asyncio.sleep(size.sample_s)  # what comes after a boot is not what is asked
    dropped, span_s = fleet.counts()["dropped"], size.sample_s * size.samples
    before, answered_before = await central.asked("mark"), fleet.counts()["answered"]
    await asyncio.sleep(span_s)
    between, answered = await central.asked("mark"), fleet.counts()["answered"]
    await _steered(central, span_s, size.every_s, ran)
    after = await central.asked("mark")

    ran.quiet, ran.steered = _share(before, between), _share(between, after)
    ran.heard_per_s = (answered - answered_before) / span_s
    for point in points:
        point.tell()
    draw_kw = sum(point.charger.connectors[1].draw_kw for point in points)
    async with asyncio.timeout(WAIT_S):
        for point in points:
            await point.line.settled()
    summed, counts = await central.asked("sum"), fleet.counts()
    ran.stays, ran.off_w = summed["stays"], abs(1000 * (summed["draw_kw"] - draw_kw))
    ran.lost = after["lost"] + counts["dropped"] - dropped
    ran.lost += sum(counts[how] for how in ("refused", "unanswered", "errors"))
    return ran


async def _steered(central: Central, span_s: float, every_s: float, ran: Ran) -> None:
    """A new set-point for every car park again and again; every car gets a new limit each time."""
    chance, ends_s = Random(1), time() + span_s
    while time() < ends_s:
        due_s = time() + every_s
        found = await central.asked(f"share {chance.uniform(0.3, 0.9):.3f}")
        ran.acks_ms += found["acks_ms"]
        ran.refused += found["refused"]
        await asyncio.sleep(max(due_s - time(), 0.0))


def _share(before: dict[str, float], after: dict[str, float]) -> float:
    return (after["cpu_s"] - before["cpu_s"]) / (after["at_s"] - before["at_s"])


BENCHMARK = Benchmark(
    about="500 charging stations over OCPP: cost, and how soon a limit", measure=measure
)
