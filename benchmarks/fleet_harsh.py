"""The fleet's solver on forests that solvers stumble over, with HiGHS on the matrix written out as the judge.

    harsh    one enterprise with dead, huge and tiny units, at prices below nothing, about a tenth impossible
    tied     three of them behind one portfolio
    kinds    trees of one to three storeys with everything a forest may hold

An answer is *wrong* where its cost is not the judge's, and *unnoticed* where it is wrong, breaks a row, goes both
ways at once, or claims a bound that the judge is below, and does not say so. Where a store would burn energy the
judge decides on every store and step, as far as its time goes: our cost may not be below its bound, and our gap is
told. What is impossible has to be named: where, and by how much.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import process_time

import numpy as np

from benchmarks._forests import harsh_forest, random_forest
from benchmarks.harness import Benchmark, Figure
from vpp.model.schedule import Unsolved
from vpp.plan.decide import whole
from vpp.plan.fleet.certify import FEASIBLE
from vpp.plan.fleet.forest import Answer, Forest, Infeasible, Solved
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.oneway import both_ways
from vpp.plan.fleet.solve import TOLERANCE, Kernels, solve_forest
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

EACH_S = 6.0
"""Of a processor's time, for one forest; what burns is searched for half of it."""

JUDGE_S = 60.0

SETS: tuple[tuple[str, int, Callable[[int], Forest]], ...] = (
    ("harsh", 1000, lambda seed: harsh_forest(seed)),
    ("tied", 200, lambda seed: harsh_forest(seed, enterprises=3, tied=True)),
    ("kinds", 500, lambda seed: random_forest(seed, levels=1 + seed % 3)),
)


@dataclass(slots=True)
class Tally:
    """What became of a set of forests."""

    right: int = 0
    burned: int = 0
    """Of the right ones: burning had to be decided against."""

    named: int = 0
    """Impossible, and said so."""

    wrong: list[str] = field(default_factory=list)
    trees: int = 0
    fallbacks: int = 0
    iterations: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """Told, relative to 1 + the cost, where nothing burned."""

    burning_gaps: list[float] = field(default_factory=list)

    def add(self, name: str, forest: Forest, answer: Answer) -> None:
        """Judge an answer."""
        if faults := list(judged(forest, answer)):
            self.wrong += [f"{name}: {fault}" for fault in faults]
        elif isinstance(answer, Solved):
            self.right += 1
            self.burned += bool(answer.decided)
            gap = (answer.cost - answer.bound) / (1.0 + abs(answer.cost))
            (self.burning_gaps if answer.decided else self.gaps).append(gap)
            self.trees += len(forest.trees().roots)
            self.fallbacks += len(answer.fallbacks)
            self.iterations.append(answer.iterations)
        else:
            self.named += 1


def judged(forest: Forest, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer, by HiGHS on the matrix written out."""
    judge = by_highs(forest, Deadline(process_time, process_time() + JUDGE_S))
    if isinstance(judge, Unsolved):
        if not judge.infeasible:
            yield f"the judge has no answer: {judge.reason}"
        elif not isinstance(answer, Infeasible):
            yield "impossible, and not noticed"
        elif not answer.clashes or not all(one.by for one in answer.clashes):
            yield "impossible, and not named"
        return
    if not isinstance(answer, Solved):
        yield f"possible, and said to be {answer}"
        return
    whole_one = written(forest)
    programme, x = whole_one.programme, whole_one.columns(answer.point)
    rows, size = programme.matrix @ x, 1.0 + abs(programme.matrix) @ np.abs(x)
    over = np.maximum(programme.row_lower - rows, rows - programme.row_upper) / size
    beyond = np.maximum(programme.lower - x, x - programme.upper) / (1.0 + np.abs(x))
    if max(over.max(), beyond.max()) > 10 * FEASIBLE:
        yield f"a row is broken by {over.max():.1e}, a bound by {beyond.max():.1e}"
    if both_ways(answer.point).any():
        yield "a store goes both ways at once"
    cost = float(programme.cost @ whole_one.columns(judge[0]))
    near = TOLERANCE * (1.0 + abs(cost))
    if abs(answer.cost - float(programme.cost @ x)) > near:
        yield f"{answer.cost} is told, {programme.cost @ x} it costs"
    if answer.decided:
        yield from _judged_one_way(forest, answer, near)
    elif abs(answer.cost - cost) > near or answer.bound > cost + near:
        yield f"costs {answer.cost}, at least {answer.bound}; the judge: {cost}"


def _judged_one_way(forest: Forest, answer: Solved, near: float) -> Iterator[str]:
    """By a search that decides on every store and step."""
    stores = forest.stores
    store, step = np.nonzero((stores.into_most > 0) & (stores.out_most > 0))
    into = store * forest.steps + step
    mosts = (stores.into_most[store, step], stores.out_most[store, step])
    found = whole(
        written(forest).programme,
        np.zeros(0, dtype=np.int64),
        np.array([into, into + stores.given.size, *mosts], dtype=float),
        gap=TOLERANCE,
        deadline=Deadline(process_time, process_time() + EACH_S / 2),
    )
    if isinstance(found, Unsolved):
        return  # no decision in time says nothing
    _, bound = found
    if answer.cost < bound - near:
        yield f"costs {answer.cost} one way, and nothing is below {bound}"


def tried(name: str, count: int, make: Callable[[int], Forest], kernels: Kernels = NUMPY) -> Tally:
    """Solve and judge the first `count` forests of a set."""
    tally = Tally()
    for seed in range(count):
        forest = make(seed)
        deadline = Deadline(process_time, process_time() + EACH_S)
        tally.add(
            f"{name} {seed}", forest, solve_forest(forest, kernels=kernels, deadline=deadline)
        )
    return tally


def measure(small: bool) -> Sequence[Figure]:
    """All sets; small: a hundredth of them."""
    figures: list[Figure] = []
    for name, count, make in SETS:
        tally = tried(name, count // 100 if small else count, make)
        for fault in tally.wrong:
            print(fault, file=sys.stderr, flush=True)
        figures += [
            Figure(name=f"{name}: right", measured=tally.right),
            Figure(name=f"{name}: impossible and named", measured=tally.named),
            Figure(name=f"{name}: wrong or unnoticed", measured=len(tally.wrong), at_most=0),
            Figure(name=f"{name}: trees that fell back", measured=tally.fallbacks),
            Figure(name=f"{name}: trees", measured=tally.trees),
            Figure(name=f"{name}: most iterations", measured=max(tally.iterations, default=0)),
            Figure(
                name=f"{name}: largest gap", measured=max(tally.gaps, default=0.0), at_most=1e-6
            ),
            Figure(name=f"{name}: burning decided against", measured=tally.burned),
            Figure(
                name=f"{name}: largest gap of those", measured=max(tally.burning_gaps, default=0.0)
            ),
        ]
    return figures


BENCHMARK = Benchmark(
    about="1,700 harsh forests against HiGHS: wrong, unnoticed, named", measure=measure
)
