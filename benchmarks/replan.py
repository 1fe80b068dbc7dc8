"""One enterprise planned anew in a fleet that was solved, while all others stay as they are.

    python -m benchmarks replan [--small] [--json]

Family A of `_families.py`, each enterprise alone, and AC, where one portfolio ties them.

    the solver    the change is a fifth more fixed load of one enterprise for a day; seconds are of this process
                  on its processor, the middle of five
    the planner   the child process is asked for a plan, and then for one in which a battery of one enterprise
                  holds half as much: all of what it does, compiling and handing over included. Seconds are of
                  its processor, all cores together, and the wait of whoever asks beside them; the middle of three

What the others could do better is not looked for where they are tied: the gap, which is certified, tells it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from benchmarks._families import Case, make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._ours import problem_of
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.model.measurement import Reading
from vpp.model.park import Limits
from vpp.model.schedule import Feasible, Optimal, Schedule
from vpp.plan.fleet.forest import Answer, Forest, Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.replan import replan
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.lp import Deadline
from vpp.plan.problem import Method, Problem
from vpp.plan.terms import Commitment
from vpp.service.solving.executor import ProcessExecutor

BATTERIES = {"A": 10_000, "AC": 10_000}
SMALL = {"A": 160, "AC": 160}
BUS = 1
MORE = 1.2
LESS = 0.5
ROUNDS = 5
CHILD_ROUNDS = 3
MOST_S = 0.1
PATIENCE_S = 900.0
GAP = 1e-3
"""Of a plan."""
ANY_GAP = 1.0
"""The solver is asked what it can prove; a planner that is proven less than half of `GAP` plans all."""


def measure(small: bool) -> Sequence[Figure]:
    """Both families."""
    sizes = SMALL if small else BATTERIES
    figures: list[Figure] = []
    for family, count in sizes.items():
        case, name = make_case(family, count, seed=1), f"{family}, {count} batteries: "
        figures += _solver(case, name, small)
        figures += asyncio.run(_planner(case, name, small))
    return figures


# ---------------------------------------------------------------- the solver


def _solver(case: Case, name: str, small: bool) -> list[Figure]:
    before = forest_of(case)
    load_kw = before.buses.load_kw.copy()
    load_kw[BUS] *= MORE
    forest = replace(before, buses=replace(before.buses, load_kw=load_kw))
    deadline = Deadline(perf_counter, perf_counter() + PATIENCE_S)

    def solve(one: Forest) -> Answer:
        return solve_forest(one, kernels=NUMPY, deadline=deadline)

    began = process_time()
    first = _solved(solve(before))
    whole_s = process_time() - began
    times, again = list[float](), None
    for _ in range(ROUNDS):
        began = process_time()
        again = replan(before, first, forest, solve=solve, most_gap=ANY_GAP)
        times.append(process_time() - began)
    again = _solved(again)
    others = before.stores.bus != BUS
    moved = np.abs(again.point.level[others] - first.point.level[others]).max(initial=0.0)
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


def _solved(answer: Answer | None) -> Solved:
    if not isinstance(answer, Solved):
        raise BrokenBenchmarkError(str(answer))
    return answer


# ---------------------------------------------------------------- the planner


async def _planner(case: Case, name: str, small: bool) -> list[Figure]:
    problem = _tied(case, problem_of(case, gap=GAP, soft_s=PATIENCE_S))
    problem = replace(problem, options=replace(problem.options, method=Method.STRUCTURED))
    mine = np.flatnonzero(case.batteries.of == BUS)[:CHILD_ROUNDS]
    warm = problem_of(make_case("A", SMALL["A"], seed=2), gap=GAP, soft_s=PATIENCE_S)
    async with ProcessExecutor() as executor:
        await _planned(executor, warm)  # it has begun, and loaded its solvers
        first = await _planned(executor, problem)
        found = [await _planned(executor, _emptier(problem, f"bess-{at}")) for at in mine]
    last = found[-1][0]
    others = [at for at, one in enumerate(last.resource_ids) if one not in _owned(problem, BUS)]
    moved = np.abs(last.power_kw[others] - first[0].power_kw[others]).max(initial=0.0)
    return [
        Figure(name=f"{name}a plan of all", measured=first[1], unit="s"),
        Figure(name=f"{name}a plan of all, waited", measured=first[2], unit="s"),
        Figure(name=f"{name}a plan after", measured=median(s for _, s, _ in found), unit="s"),
        Figure(
            name=f"{name}a plan after, waited", measured=median(s for _, _, s in found), unit="s"
        ),
        Figure(name=f"{name}gap of a plan after", measured=last.gap, at_least=0.0, at_most=GAP),
        Figure(
            name=f"{name}others planned by",
            measured=float(moved),
            unit="kW",
            at_most=None if small else 0.0,
        ),
    ]


def _tied(case: Case, problem: Problem) -> Problem:
    """With what the portfolio has promised, and the most that it imports, where there is one."""
    tied, view = case.portfolio, problem.view
    for cap_kw, committed_kw, penalty in zip(
        tied.import_cap_kw, tied.committed_kw, tied.penalty_per_kwh, strict=True
    ):
        park = replace(view.park, limits=Limits(import_kw=float(cap_kw)))
        promised = Commitment(
            base_kw=-committed_kw,
            short_per_kwh=np.full(len(committed_kw), penalty),
            long_per_kwh=np.full(len(committed_kw), -penalty),
        )
        terms = (*problem.terms, promised)
        problem = replace(problem, view=replace(view, park=park), terms=terms)
    return problem


async def _planned(executor: ProcessExecutor, problem: Problem) -> tuple[Schedule, float, float]:
    """A plan, the seconds of the child's processor, and those that were waited."""
    began, used_s = perf_counter(), _used_s(executor.pid)
    outcome = await executor.solve(problem, hard_s=PATIENCE_S)
    if not isinstance(outcome, Optimal | Feasible):
        raise BrokenBenchmarkError(outcome.reason)
    return outcome.schedule, _used_s(executor.pid) - used_s, perf_counter() - began


def _used_s(pid: int | None) -> float:
    """Seconds that a process has had of the processor; 0 before there is one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _emptier(problem: Problem, name: str) -> Problem:
    """The same, where one battery holds less."""
    state = problem.view.state
    readings = tuple(
        replace(one, soc=LESS * one.soc)
        if one.resource_id == name and isinstance(one, Reading) and one.soc is not None
        else one
        for one in state.resources
    )
    if readings == state.resources:
        raise BrokenBenchmarkError(f"no battery {name}")
    view = replace(problem.view, state=replace(state, resources=readings))
    return replace(problem, view=view)


def _owned(problem: Problem, enterprise: int) -> set[str]:
    park = problem.view.park
    owner = park.enterprises[enterprise].enterprise_id
    return {one.resource_id for one in park.resources if one.enterprise_id == owner}


BENCHMARK = Benchmark(about="one enterprise of a solved fleet is planned anew", measure=measure)
