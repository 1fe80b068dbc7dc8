"""One enterprise planned anew in a fleet that was solved, while all others stay as they are.

    python -m benchmarks replan [--small] [--json]

Family A of `_families.py`, each enterprise alone, and AC, where one portfolio ties them. The change is a fifth
more fixed load of one enterprise for a day. Seconds are of this process on its processor, the middle of five.
What the others could do better is not looked for where they are tied: the gap, which is certified, tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time

import numpy as np

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.plan.fleet.forest import Answer, Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.replan import replan_bus
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.lp import Deadline

BATTERIES = {"A": 10_000, "AC": 1000}
SMALL = {"A": 200, "AC": 60}
BUS = 1
MORE = 1.2
ROUNDS = 5
MOST_S = 0.1
PATIENCE_S = 900.0


def measure(small: bool) -> Sequence[Figure]:
    """Both families."""
    sizes = SMALL if small else BATTERIES
    return [figure for family, count in sizes.items() for figure in _measure(family, count, small)]


def _measure(family: str, batteries: int, small: bool) -> list[Figure]:
    before = forest_of(make_case(family, batteries, seed=1))
    load_kw = before.buses.load_kw.copy()
    load_kw[BUS] *= MORE
    forest = replace(before, buses=replace(before.buses, load_kw=load_kw))
    deadline = Deadline(perf_counter, perf_counter() + PATIENCE_S)
    began = process_time()
    first = _solved(solve_forest(before, kernels=NUMPY, deadline=deadline))
    whole_s = process_time() - began
    times = []
    for _ in range(ROUNDS):
        began = process_time()
        answer = replan_bus(before, first, forest, BUS, kernels=NUMPY, deadline=deadline)
        times.append(process_time() - began)
    again = _solved(answer)
    others = before.stores.bus != BUS
    moved = np.abs(again.point.level[others] - first.point.level[others]).max(initial=0.0)
    name = f"{family}, {batteries} batteries: "
    return [
        Figure(name=f"{name}all of it", measured=whole_s, unit="s"),
        Figure(
            name=f"{name}one enterprise",
            measured=median(times),
            unit="s",
            at_most=None if small else MOST_S,
        ),
        Figure(
            name=f"{name}gap that is certified",
            measured=(again.cost - again.bound) / (1 + abs(again.cost)),
            at_least=0.0,
        ),
        Figure(name=f"{name}others moved by", measured=float(moved), unit="kWh", at_most=0.0),
    ]


def _solved(answer: Answer) -> Solved:
    if not isinstance(answer, Solved):
        raise BrokenBenchmarkError(str(answer))
    return answer


BENCHMARK = Benchmark(about="one enterprise of a solved fleet is planned anew", measure=measure)
