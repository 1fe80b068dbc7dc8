"""Strategies changed a hundred times while the park runs, half of them broken: no cycle may be lost.

The demo on the wall clock, 60 times as fast as it, where a plan is due every 15 s and devices are steered every
second. In turn a broken file is saved by hand and waited for until it is told, and a good one is put over HTTP's
own function. Then one preview as an operator asks for it: two days played again hourly under old and new, and the
plan under both; the park goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from benchmarks._batteries import write_ten_batteries
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.clock import WallClock
from vpp.service.demo.demo import DemoOptions, Run, live, open_demo
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.tuning import changing, previewing
from vpp.service.tuning.reading import read_aside

SPEED = 60.0
RELOADS, RELOADS_SMALL = 100, 2
FIRST_PLAN_S, TOLD_S, TAKEN_S, PREVIEW_S = 60.0, 30.0, 60.0, 600.0
CYCLES = ("plan", "trade", "act", "account")
SPREAD = "imbalance_spread_per_mwh:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of all of it."""

    reloads: int
    broken: int
    taken: int
    lost: int
    failed: int
    cycles: int
    preview_s: float | None


def measure(small: bool) -> Sequence[Figure]:
    """100 reloads and a preview on the demo; small: 2 reloads of a park of ten batteries.

    Raises:
        BrokenBenchmarkError: The park did not come up, or a preview failed.
    """
    with tempfile.TemporaryDirectory(prefix="vpp-reload-") as folder:
        if small:
            write_ten_batteries(Path(folder), days=1)
            file = load_park(Path(folder) / "ten.yaml")
        else:
            file = load_park(shipped_park("demo"))
        seen = asyncio.run(_reloaded(file, Path(folder) / "data", small=small))
    return (
        Figure(name="reloads", measured=seen.reloads),
        Figure(name="broken ones, told", measured=seen.broken),
        Figure(name="versions taken at a plan", measured=seen.taken, at_least=1),
        Figure(name="cycles meanwhile", measured=seen.cycles),
        Figure(name="cycles lost", measured=seen.lost, at_least=0, at_most=0),
        Figure(name="plans failed", measured=seen.failed, at_least=0, at_most=0),
        Figure(name="preview", measured=seen.preview_s, unit="s", at_most=30),
    )


async def _reloaded(file: ParkFile, data: Path, *, small: bool) -> Seen:
    options = DemoOptions(length=timedelta(days=1), speed=SPEED, seed=1, port=0, data=data)
    async with open_demo(file, options) as (run, clock):
        assert isinstance(clock, WallClock)
        living = asyncio.create_task(live(run, clock, lambda plant: None))
        try:
            return await _changed(run, small=small)
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living


async def _changed(run: Run, *, small: bool) -> Seen:
    plant = run.plant
    await _until(plant, lambda: plant.tuning.basis is not None, FIRST_PLAN_S, "the first plan")
    began, skipped, plans = _cycles(plant), _skipped(plant), len(plant.plan_log)
    broken, reloads = 0, RELOADS_SMALL if small else RELOADS
    for number in range(reloads // 2):
        await _break(plant, number)
        broken += bool(plant.tuning.seen.faults)
        await _put(plant, 40.0 + number)
    last = plant.tuning.waiting_number or plant.tuning.live_number
    await _until(plant, lambda: plant.tuning.live_number >= last, TAKEN_S, "the last version")
    preview_s = await _previewed(plant, days=0 if small else 2)
    records = list(plant.plan_log)[plans:]
    taken = [one for one in plant.tuning.versions.values() if one.live_from is not None]
    return Seen(
        reloads=reloads,
        broken=broken,
        taken=len(taken) - 1,
        lost=_skipped(plant) - skipped,
        failed=sum(record.status == "unsolved" for record in records),
        cycles=_cycles(plant) - began,
        preview_s=preview_s,
    )


async def _break(plant: Plant, number: int) -> None:
    """Save a broken file, and wait until that is told."""
    desk = plant.tuning
    assert desk.path is not None
    desk.path.write_text(f"strategies:\n  - nom: {number}\n    use: [", encoding="utf-8")
    await _until(plant, lambda: bool(desk.seen.faults), TOLD_S, "a broken file")


async def _put(plant: Plant, spread_per_mwh: float) -> None:
    """Put a good file over the broken one."""
    head, _, tail = plant.strategies.text.partition(SPREAD)
    text = f"{head}{SPREAD} {spread_per_mwh}{tail.lstrip(' 0123456789.')}"
    await changing.put(
        plant,
        text,
        by="benchmark",
        reason="one more",
        based_on=plant.tuning.seen.version,
        now=plant.clock.now(),
    )


async def _previewed(plant: Plant, *, days: int) -> float | None:
    head, _, tail = plant.strategies.text.partition(SPREAD)
    text = f"{head}{SPREAD} 95.0{tail.lstrip(' 0123456789.')}"
    began = perf_counter()
    read = await read_aside(plant, text)
    preview = previewing.start(plant, read, days, plant.clock.now())
    try:
        await _until(plant, lambda: preview.state != "running", PREVIEW_S, "a preview")
    except BrokenBenchmarkError:
        await previewing.cancel(plant, preview)
        return None  # a figure that is missed; the others stand
    if preview.plan is None or (days and preview.backtest is None):
        raise BrokenBenchmarkError(f"{preview.state}: {preview.no_plan or preview.no_backtest}")
    return perf_counter() - began


async def _until(plant: Plant, holds: Callable[[], bool], limit_s: float, what: str) -> None:
    began = perf_counter()
    while not holds():
        if perf_counter() - began > limit_s:
            raise BrokenBenchmarkError(f"{what} did not come within {limit_s:g} s")
        await asyncio.sleep(0.05)


def _skipped(plant: Plant) -> int:
    """Cycles of planning, trading, steering and accounting that were missed so far."""
    return int(sum(_sample(plant, "vpp_cycle_skipped_total", cycle) for cycle in CYCLES))


def _cycles(plant: Plant) -> int:
    """How many of them there were."""
    return int(sum(_sample(plant, "vpp_cycle_seconds_count", cycle) for cycle in CYCLES))


def _sample(plant: Plant, name: str, cycle: str) -> float:
    """A count of the plant's own metrics; 0 before the first."""
    return plant.metrics.registry.get_sample_value(name, {"cycle": cycle}) or 0.0


BENCHMARK = Benchmark(about="100 reloads of strategies, 50 of them broken", measure=measure)
