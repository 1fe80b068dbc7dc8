"""Day-ahead curves of the demo park an hour before the gate: how long they take beside the plan.

44 resources, 96 intervals, 10 price scenarios, up to 10 steps a curve, 200 price paths; solved as the
solver's process does, with a thread for each core. CPU time is told too: on a busy machine it says more.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import time
from pathlib import Path
from time import perf_counter, process_time

from benchmarks._park import a_park, its_problem
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.model.market import BidMode, Binding
from vpp.model.schedule import Unsolved
from vpp.plan.solve import solve
from vpp.service.bids.curves import asks_of
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.park.parkfile import ParkFile
from vpp.service.solving.child import Threads

BEFORE_THE_GATE = time(11)
ENOUGH_S = 600.0


def measure(small: bool) -> Sequence[Figure]:
    """One plan with its curves; small: 2 scenarios and 20 paths.

    Raises:
        BrokenBenchmarkError: There is no plan, or there are no curves.
    """
    settings = CurveSettings(seconds=ENOUGH_S)
    if small:
        settings = CurveSettings(scenarios=2, paths=20, seconds=ENOUGH_S)
    with tempfile.TemporaryDirectory(prefix="vpp-curves-") as folder:
        plant = a_park(BEFORE_THE_GATE, Path(folder)).plant
        plant.file = expected(plant.file, settings)
        problem = its_problem(plant)
        asks, lacking = asks_of(plant, problem.view, ())
    if lacking or len(asks) != 1:
        raise BrokenBenchmarkError(f"{len(asks)} curves are asked for: {lacking}")
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        began, busy = perf_counter(), process_time()
        outcome = solve(replace(problem, curves=asks), perf_counter, Threads(pool, cores))
        whole_s, cpu_s = perf_counter() - began, process_time() - busy
    if isinstance(outcome, Unsolved):
        raise BrokenBenchmarkError(outcome.reason)
    (curves,) = outcome.schedule.bid_curves
    if curves.check is None:
        raise BrokenBenchmarkError(curves.status)
    return [
        Figure(name="curves", measured=round(curves.solve_s, 2), unit="s", at_most=20),
        Figure(name="plan and curves", measured=round(whole_s, 2), unit="s"),
        Figure(name="CPU time of both", measured=round(cpu_s, 2), unit="s"),
        Figure(name="intervals", measured=curves.horizon.steps),
        Figure(name="scenarios", measured=len(curves.scenario_per_kwh)),
        Figure(name="most steps of a curve", measured=max(map(len, curves.rises)) + 1),
        Figure(name="paths", measured=curves.check.paths),
        Figure(name="undelivered share", measured=round(curves.check.undelivered_share, 5)),
        Figure(name="kept after the cut", measured=round(curves.check.kept, 4)),
    ]


def expected(file: ParkFile, settings: CurveSettings) -> ParkFile:
    """A park whose day-ahead bids are of the mode `expected`."""
    product = next(one.product_id for one in file.products if one.kind == "energy_da")
    binding = Binding(product_id=product, mode=BidMode.EXPECTED)
    return replace(
        file,
        bindings={**file.bindings, product: binding},
        curves={**file.curves, product: settings},
    )


BENCHMARK = Benchmark(about="day-ahead curves of 44 resources over 10 scenarios", measure=measure)
