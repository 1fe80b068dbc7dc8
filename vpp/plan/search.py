"""Find the on/off decisions, with a proven gap, without searching the whole programme at once.

    relax
      ▼
    fix last plan's decisions (the rest rounded), solve, or
    where nothing is announced what each machine does at
    the relaxation's prices (`machines.py`) ──▶ gap small? ───────────────▶ done
      │ no
      ▼
    relaxation whole already? ────────────────────────────────────────────▶ done
      │ no
      ▼
    price the coupling, search each part alone, fix, solve ──▶ gap small,
      │ no                                              or nothing joined? ▶ done
      ▼
    full search ──▶ fix, solve ──▶ gap small? ────────────────────────────▶ done
      ▲                               │ no
      └── decide on the ways of what still goes both at once

Each time what was found is *made one-way*: where a storage or a car charges and discharges at once
(burning energy happens to cost nothing, or relieves a limit), the smaller of the two is forbidden and
the LP solved again. What that costs shows in the gap; where it is too much, the full search decides
on the ways of each such store, in every step. Few ever need it, so none has decisions beforehand.

*Relax*: decisions may be fractions; no plan can cost less, so this is a first bound.

*Parts*: connection points meet only in the market, in feeders and in the park's limit. With those
rows priced at their shadow prices (Lagrange), the programme falls into one small part for each
connection point. The sum of the parts' own bounds is a bound of the whole, never worse than the
relaxation's, and their decisions together are nearly always the best ones. Where nothing joins the
parts they are all there is, and a search of the whole could prove no more. Half of the time is kept
for it elsewhere.

Why not `milp` at once: it keeps no announced decisions, and does not see that the parts are separate.
On an easy day both are quick (`benchmarks/demo_plan.py`); on a synthetic park of 41 resources whose
runs compete for paid peaks it took 4 to 17 s, this 1 to 5 s afresh and 0.3 s from the last plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.schedule import Unsolved
from vpp.plan.announced import Announced
from vpp.plan.decide import NO_PAIRS, Chosen, by_parts, whole
from vpp.plan.kinds.oneway import BothWays
from vpp.plan.kinds.start import Start
from vpp.plan.lp import Deadline, Highs, LpAnswer, LpSolution, LpSolver
from vpp.plan.machines import at_prices
from vpp.plan.parts import ALONE, Workers
from vpp.plan.programme import Ints, Programme

NOTHING_KW = 1e-6
"""Less than this is rounding of the solver."""


def search(
    programme: Programme,
    horizon: Horizon,
    announced: Announced,
    *,
    gap: float,
    deadline: Deadline,
    workers: Workers = ALONE,
    solver: LpSolver | None = None,
) -> tuple[LpSolution, float] | Unsolved:
    """The best plan found, and a cost that none can be below.

    `solver` solves the programme with decisions relaxed or held; left out, HiGHS does.

    What the last plan `announced` is kept where it is still good enough, so that it is not moved for
    nothing. What it alone decides is begun beside the relaxation, where `workers` have a hand free:
    usually it is just what is fixed next.
    """
    began = deadline.stopwatch()
    solver = Highs(programme) if solver is None else solver
    relaxing = solver.begin({}, deadline, workers)
    guess = near(programme, np.zeros(len(programme.cost)), horizon, announced)
    spare = bool(announced.spans) and relaxing.parts < workers.count
    guessed = solver.begin(guess, deadline, workers) if spare else None
    relaxed = relaxing.answer()
    if isinstance(relaxed, Unsolved):
        return relaxed
    # A search that took all the time would leave none for the LP that makes a plan of its answer.
    spare_s = 2 * (deadline.stopwatch() - began)
    search_until = Deadline(deadline.stopwatch, deadline.moment - spare_s)
    bound = relaxed.bound
    whole_already = relaxed.chosen(programme)
    rounded = near(programme, relaxed.x, horizon, announced)
    best: LpAnswer = Unsolved(reason="no plan tried")
    if announced.spans and rounded != whole_already:
        if guessed is not None and rounded == guess:
            best = _repaired(programme, solver, guessed.answer(), deadline, workers)
        else:
            best = _fixed(programme, solver, rounded, deadline, workers)
    elif whole_already is None:
        rounded = at_prices(
            programme, relaxed, rounded, gap=gap, deadline=search_until.halfway, workers=workers
        )
        best = _fixed(programme, solver, rounded, deadline, workers)
    if _close(best, bound, gap):
        return _found(best, bound)
    joined = len(programme.coupling) > 0
    # Where nothing joins the parts, each that was announced well keeps what was announced.
    solution: LpAnswer = relaxed
    if whole_already is None or not (joined or isinstance(best, Unsolved)):
        chosen, bound = by_parts(
            programme,
            relaxed,
            rounded,
            tried=None if isinstance(best, Unsolved) else best,
            gap=gap,
            deadline=search_until.halfway if joined else search_until,
            workers=workers,
        )
        if chosen != whole_already:
            solution = solver.begin(chosen, deadline, workers).answer()
    best = _better(best, _repaired(programme, solver, solution, deadline, workers))
    if whole_already is not None and solution is not relaxed and not _close(best, bound, gap):
        best = _better(best, _repaired(programme, solver, relaxed, deadline, workers))
    if _close(best, bound, gap):
        return _found(best, bound)
    proven = whole_already is not None or not joined
    undecided = burning(programme, solution) if proven else NO_PAIRS
    if proven and not undecided.size and not isinstance(best, Unsolved):
        return _found(best, bound)
    return _searched_whole(
        programme,
        solver,
        undecided,
        best,
        bound,
        gap=gap,
        deadline=deadline,
        search_until=search_until,
        workers=workers,
    )


def _searched_whole(
    programme: Programme,
    solver: LpSolver,
    undecided: Floats,
    best: LpAnswer,
    bound: float,
    *,
    gap: float,
    deadline: Deadline,
    search_until: Deadline,
    workers: Workers,
) -> tuple[LpSolution, float] | Unsolved:
    """The full search, again with the ways of what goes both at once, until the gap is small."""
    while True:
        found = whole(programme, programme.integral, undecided, gap=gap, deadline=search_until)
        if isinstance(found, Unsolved):
            return _found(found if isinstance(best, Unsolved) else best, bound)
        bound = max(bound, found[1])
        solution = solver.begin(found[0], deadline, workers).answer()
        best = _better(best, _repaired(programme, solver, solution, deadline, workers))
        more = burning(programme, solution)
        if _close(best, bound, gap) or not more.size or search_until.passed:
            return _found(best, bound)
        undecided = np.hstack([undecided, more])


def _fixed(
    programme: Programme,
    solver: LpSolver,
    chosen: Chosen,
    deadline: Deadline,
    workers: Workers,
) -> LpAnswer:
    """The best plan with these decisions."""
    answer = solver.begin(chosen, deadline, workers).answer()
    return _repaired(programme, solver, answer, deadline, workers)


def _repaired(
    programme: Programme,
    solver: LpSolver,
    solution: LpAnswer,
    deadline: Deadline,
    workers: Workers,
) -> LpAnswer:
    if isinstance(solution, Unsolved):
        return solution
    return one_way(programme, solution, deadline, workers, solver)


def one_way(
    programme: Programme,
    solution: LpSolution,
    deadline: Deadline,
    workers: Workers,
    solver: LpSolver | None = None,
) -> LpAnswer:
    """The plan, with nothing that fills and empties a store at once; HiGHS where no `solver` is given."""
    solver = Highs(programme) if solver is None else solver
    while True:
        forbidden: Chosen = {}
        for pair in programme.fleet.both_ways():
            both = np.minimum(solution.x[pair.into], solution.x[pair.out]) > NOTHING_KW
            forbidden |= dict.fromkeys(_smaller(pair, solution.x)[both].tolist(), 0.0)
        if not forbidden:
            return solution
        again = solver.begin(solution.fixed | forbidden, deadline, workers).answer()
        if isinstance(again, Unsolved):
            return again
        solution = again


def ways_kept(programme: Programme, solution: LpSolution) -> Chosen:
    """Every store's way as its net is in each step, decided at once; empty where none goes both ways.

    One more LP and nothing can burn, where `one_way` may take twenty: it forbids no more than it must.
    """
    forbidden: Chosen = {}
    if burning(programme, solution).size:
        for pair in programme.fleet.both_ways():
            forbidden |= dict.fromkeys(_smaller(pair, solution.x).ravel().tolist(), 0.0)
    return forbidden


def _smaller(pair: BothWays, x: Floats) -> Ints:
    """The column that carries less in each step, counted in the store, shape (k, T)."""
    return np.where(pair.fills(x), pair.out, pair.into)


def _close(solution: LpAnswer, bound: float, gap: float) -> bool:
    return isinstance(solution, LpSolution) and relative_gap(solution.cost, bound) <= gap


def relative_gap(cost: float, bound: float) -> float:
    """How far `cost` can be from the best, relative to its size."""
    return max(cost - bound, 0.0) / max(abs(cost), 1.0)


def _better(a: LpAnswer, b: LpAnswer) -> LpAnswer:
    if isinstance(a, Unsolved):
        return b
    return b if isinstance(b, LpSolution) and b.cost < a.cost else a


def _found(best: LpAnswer, bound: float) -> tuple[LpSolution, float] | Unsolved:
    return best if isinstance(best, Unsolved) else (best, bound)


def near(
    programme: Programme,
    x: Floats,
    horizon: Horizon,
    announced: Announced,
) -> Chosen:
    """Last plan's starts where they are still possible, elsewhere the relaxation's, rounded.

    A start whose length is not announced has the one that the relaxation likes best.
    """
    chosen = {int(column): float(round(x[column])) for column in programme.integral}
    groups: dict[int, list[tuple[Start, int]]] = {}
    starts = programme.fleet.starts
    for start, column in zip(starts.possible, starts.chosen.tolist(), strict=True):
        groups.setdefault(start.group, []).append((start, column))
    taken: dict[ResourceId, list[Start]] = {}
    for group in groups.values():
        first, _ = group[0]
        busy = taken.setdefault(first.resource_id, [])
        likely = sorted(group, key=lambda pair: -x[pair[1]])
        fit = {column: announced.fit(start, horizon) for start, column in likely}
        told = sorted(likely, key=lambda pair: -fit[pair[1]])
        kept = _fitting([], [pair for pair in told if fit[pair[1]]], first.most, busy)
        if len(kept) < first.least:
            kept = _fitting(kept, likely, first.least, busy)
        if len(kept) < first.least:  # what is likely leaves no room: one after the other
            kept = _fitting([], sorted(group, key=lambda pair: pair[0].step), first.least, busy)
        if kept:
            busy += [start for start, _ in kept]
            columns = {column for _, column in kept}
            chosen |= {column: float(column in columns) for _, column in group}
    return chosen


def _fitting(
    kept: Sequence[tuple[Start, int]],
    pool: Sequence[tuple[Start, int]],
    count: int,
    busy: Sequence[Start],
) -> list[tuple[Start, int]]:
    """`kept`, and more of a pool in its order, up to `count` that do not touch each other."""
    found = list(kept)
    for start, column in pool:
        others = [*busy, *(other for other, _ in found)]
        if len(found) < count and not any(start.touches(other) for other in others):
            found.append((start, column))
    return found


def burning(programme: Programme, solution: LpAnswer) -> Floats:
    """Both columns, and the most of each, of every store that somewhere goes both ways; shape (4, n)."""
    found = [NO_PAIRS]
    if isinstance(solution, Unsolved):
        return NO_PAIRS
    x = solution.x
    for pair in programme.fleet.both_ways():
        at = (np.minimum(x[pair.into], x[pair.out]) > NOTHING_KW).any(axis=1)
        sides = (pair.into[at], pair.out[at], pair.into_kw[at], pair.out_kw[at])
        found.append(np.array([side.ravel() for side in sides], dtype=float))
    return np.hstack(found)
