"""The fleet's solver on forests that solvers stumble over, with HiGHS on the matrix written out as the judge.

    harsh    one enterprise with dead, huge and tiny units, at prices below nothing, about a tenth impossible
    tied     three of them behind one portfolio
    kinds    trees of one to three storeys with everything a forest may hold

An answer is *wrong* where its cost is not the judge's, and *unnoticed* where it is wrong, breaks a row, goes both
ways at once, or claims a bound that the judge is below, and does not say so. Where a store would burn energy an
answer says: this costs so much, and nothing costs less than that. The judge decides on every store and step. What
it proves for itself may not be above our cost, nor what it found below our bound; and where what it proves is as
high as our bound, or as what it found, both are judged. Else it searches again, longer. Where that comes to
nothing the answer is *not judged*, which is not right. What is impossible has to be named: where, and by how much.
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
from vpp.plan.fleet.written import Written, by_highs, written
from vpp.plan.lp import Deadline, solve_lp

EACH_S = 6.0
"""Of a processor's time, for one forest; the judge first searches half of it for what burns."""

JUDGE_S = 60.0
"""For the judge's programmes, and for its second search."""

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
    """Of the right and the unjudged ones: burning had to be decided against."""

    unjudged: int = 0
    """Nothing is wrong that was seen, but the judge came to no decision about what burns in its time."""

    named: int = 0
    """Impossible, and said so."""

    wrong: list[str] = field(default_factory=list)
    trees: int = 0
    fallbacks: int = 0
    iterations: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """Told, relative to 1 + the cost, where nothing burned."""

    burning_gaps: list[float] = field(default_factory=list)

    def add(
        self, name: str, forest: Forest, answer: Answer, search: Deadline | None = None
    ) -> None:
        """Judge an answer; `search` as `judged` takes it."""
        verdict = judged(forest, answer, search)
        if verdict.faults:
            self.wrong += [f"{name}: {fault}" for fault in verdict.faults]
        elif isinstance(answer, Solved):
            self.right += verdict.in_time
            self.unjudged += not verdict.in_time
            self.burned += bool(answer.decided)
            gap = (answer.cost - answer.bound) / (1.0 + abs(answer.cost))
            (self.burning_gaps if answer.decided else self.gaps).append(gap)
            self.trees += len(forest.trees().roots)
            self.fallbacks += len(answer.fallbacks)
            self.iterations.append(answer.iterations)
        else:
            self.named += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with an answer."""

    faults: tuple[str, ...] = ()

    in_time: bool = True
    """False where the judge's own decisions about what burns are not proven in its time."""


def judged(forest: Forest, answer: Answer, search: Deadline | None = None) -> Verdict:
    """What is wrong with an answer, by HiGHS on the matrix written out.

    `search` is how long the judge may decide about what burns; left out, half of `EACH_S`, then `JUDGE_S`.
    """
    judge = by_highs(forest, Deadline(process_time, process_time() + JUDGE_S))
    if isinstance(judge, Unsolved):
        return Verdict(faults=tuple(_judged_impossible(judge, answer)))
    if not isinstance(answer, Solved):
        return Verdict(faults=(f"possible, and said to be {answer}",))
    whole_one = written(forest)
    cost = float(whole_one.programme.cost @ whole_one.columns(judge[0]))
    near = TOLERANCE * (1.0 + abs(cost))
    faults = tuple(_judged_point(whole_one, answer, near))
    if answer.decided:
        for each_s in (EACH_S / 2, JUDGE_S):
            until = search or Deadline(process_time, process_time() + each_s)
            one_way = _judged_one_way(forest, answer, near, until)
            if one_way.in_time or one_way.faults or search:
                break
        return Verdict(faults=faults + one_way.faults, in_time=one_way.in_time)
    if not (abs(answer.cost - cost) <= near and answer.bound <= cost + near):
        faults += (f"costs {answer.cost}, at least {answer.bound}; the judge: {cost}",)
    return Verdict(faults=faults)


def _judged_impossible(judge: Unsolved, answer: Answer) -> Iterator[str]:
    if not judge.infeasible:
        yield f"the judge has no answer: {judge.reason}"
    elif not isinstance(answer, Infeasible):
        yield "impossible, and not noticed"
    elif not answer.clashes or not all(abs(one.by) > 0.0 for one in answer.clashes):
        yield "impossible, and not named"


def _judged_point(whole_one: Written, answer: Solved, near: float) -> Iterator[str]:
    """Whether it keeps rows and bounds, and costs what is told; what is no number does not."""
    programme, x = whole_one.programme, whole_one.columns(answer.point)
    rows, size = programme.matrix @ x, 1.0 + abs(programme.matrix) @ np.abs(x)
    over = np.maximum(programme.row_lower - rows, rows - programme.row_upper) / size
    beyond = np.maximum(programme.lower - x, x - programme.upper) / (1.0 + np.abs(x))
    if not (over.max() <= 10 * FEASIBLE and beyond.max() <= 10 * FEASIBLE):
        yield f"a row is broken by {over.max():.1e}, a bound by {beyond.max():.1e}"
    if both_ways(answer.point).any():
        yield "a store goes both ways at once"
    if not abs(answer.cost - float(programme.cost @ x)) <= near:
        yield f"{answer.cost} is told, {programme.cost @ x} it costs"


def _judged_one_way(forest: Forest, answer: Solved, near: float, search: Deadline) -> Verdict:
    """By a search that decides on every store and step, and what its decisions cost."""
    faults: tuple[str, ...] = ()
    if not answer.bound <= answer.cost + near:
        faults = (f"costs {answer.cost}, and at least {answer.bound} is told",)
    stores, programme = forest.stores, written(forest).programme
    store, step = np.nonzero((stores.into_most > 0) & (stores.out_most > 0))
    into = store * forest.steps + step
    mosts = (stores.into_most[store, step], stores.out_most[store, step])
    found = whole(
        programme,
        np.zeros(0, dtype=np.int64),
        np.array([into, into + stores.given.size, *mosts], dtype=float),
        gap=TOLERANCE,
        deadline=search,
    )
    if isinstance(found, Unsolved):
        return Verdict(faults=faults, in_time=False)
    chosen, bound = found
    best = solve_lp(programme, chosen, Deadline(process_time, process_time() + JUDGE_S))
    least = np.inf if isinstance(best, Unsolved) else best.cost
    if not answer.cost >= bound - near:
        faults += (f"costs {answer.cost} one way, and nothing is below {bound}",)
    if not answer.bound <= least + near:
        faults += (f"at least {answer.bound} one way is told, and {least} is enough",)
    proven = least - bound <= near + TOLERANCE * abs(least)
    return Verdict(faults=faults, in_time=proven or bound >= answer.bound - near)


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
            Figure(name=f"{name}: not judged in time", measured=tally.unjudged),
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
