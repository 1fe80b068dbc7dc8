"""The service under load: the demo park with a fresh plan, whose solver never rests.

A program for `bids_load.py`, not a benchmark itself. Time stands still at 11:00, an hour before
the day-ahead gate. Prints one JSON line when it can be asked and, when stdin ends, another with
what it saw itself. With the argument `expected` its day-ahead bids come from curves over price scenarios.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.bid_curves import expected
from benchmarks.harness import log_to_stderr, percentile
from vpp.clock import SimulatedClock
from vpp.model.schedule import Unsolved
from vpp.model.time import EPOCH, isoformat
from vpp.plan.problem import Problem, SolveOptions
from vpp.service import cycle
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.demo.demo import DemoOptions, Run, open_demo
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.run import keep_start, listen, probe_lag, until_heard
from vpp.trade.calendar import next_delivery

HEARD_S = 30.0
CURVES_S = 240.0
"""For curves, on a machine that does other things too: what is measured comes after them."""


async def serve() -> None:
    """Serve until stdin ends."""
    with tempfile.TemporaryDirectory(prefix="vpp-bids-") as folder:
        options = DemoOptions(
            length=timedelta(hours=1), speed=None, seed=1, port=0, data=Path(folder)
        )
        file = _trading_park()
        if "expected" in sys.argv[1:]:
            file = expected(file, CurveSettings(paths=20, seconds=CURVES_S))
        async with open_demo(file, options) as (run, clock):
            assert isinstance(clock, SimulatedClock)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(run.plant, stop))
                sequence = await run.world.advance(clock.now(), {})
                await until_heard(run.plant, sequence, timeout_s=HEARD_S)
                await cycle.plan(run.plant, clock.now())
                run.plant.reconciled = True  # nothing was open: the data folder is new
                group.create_task(probe_lag(run.plant, stop))
                solving = group.create_task(_solve(run, stop))
                keep_start()
                _say(_facts(run))
                await asyncio.to_thread(sys.stdin.read)
                stop.set()
                seconds = await solving
            lag = [1000 * s for s in run.plant.lag_s]
            _say(
                {
                    "lag_ms_p99": percentile(lag, 0.99),
                    "lag_ms_max": max(lag),
                    "solves": len(seconds),
                    "solve_s_median": median(seconds) if seconds else None,
                }
            )


def _trading_park() -> ParkFile:
    """The demo park, but its unit trades already: the next quarter-hour has a bid too."""
    file = load_park(shipped_park("demo"))
    units = tuple(replace(u, trades_from=EPOCH) for u in file.park.bidding_units)
    limits = file.trading.limits.model_copy(update={"burst": 100_000})  # time stands still
    trading = file.trading.model_copy(update={"limits": limits})
    return replace(file, park=replace(file.park, bidding_units=units), trading=trading)


async def _solve(run: Run, stop: asyncio.Event) -> list[float]:
    """Solve the standing plan's problem again and again, in the solver's process."""
    plant, planning = run.plant, run.file.planning
    assert plant.view is not None
    problem = Problem(
        view=plant.view,
        terms=plant.terms,
        options=SolveOptions(
            plan_id="load",
            strategy_version=plant.strategy_version,
            gap=planning.gap,
            soft_s=planning.soft_s,
            limit_excess_price_per_kwh=planning.limit_excess_per_kwh,
        ),
        preferred_starts={},
    )
    seconds = []
    while not stop.is_set():
        began = perf_counter()
        outcome = await plant.executor.solve(problem, hard_s=planning.hard_s)
        if isinstance(outcome, Unsolved):
            raise RuntimeError(f"no plan while under load: {outcome.reason}")
        seconds.append(perf_counter() - began)
    return seconds


def _facts(run: Run) -> dict[str, object]:
    plant = run.plant
    if plant.schedule is None:
        raise RuntimeError(f"there is no plan to bid from: {plant.outcome}")
    deliveries = {}
    for product in plant.file.products:
        delivery = next_delivery(product, plant.clock.now())
        deliveries[product.product_id] = {
            "start": isoformat(delivery.start),
            "end": isoformat(delivery.end),
        }
    return {"address": run.address, "deliveries": deliveries}


def _say(facts: dict[str, object]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    log_to_stderr()
    asyncio.run(serve())
