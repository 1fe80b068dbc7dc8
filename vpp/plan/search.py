"""Find the on/off decisions, with a proven gap, without searching the whole programme at once.

    relax
      ▼
    fix last plan's decisions (the rest rounded), solve ──▶ gap small? ───▶ done
      │ no
      ▼
    relaxation whole already? ────────────────────────────────────────────▶ done
      │ no
      ▼
    price the coupling, search each part alone, fix, solve ──▶ gap small? ▶ done
      │ no
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
relaxation's, and their decisions together are nearly always the best ones.

Why not `milp` at once: it keeps no announced decisions, and does not see that the parts are separate.
On an easy day both are quick (`benchmarks/demo_plan.py`); on a synthetic park of 41 resources whose
runs compete for paid peaks it took 4 to 17 s, this 1 to 5 s afresh and 0.3 s from the last plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import block_array, csr_array, hstack, vstack
from scipy.sparse.csgraph import connected_components

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId
from vpp.model.schedule import Unsolved
from vpp.plan.kinds.start import Start
from vpp.plan.lp import Ahead, Deadline, LpAnswer, LpSolution, in_turn, solve_lp
from vpp.plan.programme import Programme

Chosen = dict[int, float]
NOTHING_KW = 1e-6
"""Less than this is rounding of the solver."""

NO_PAIRS = np.zeros((4, 0))


def search(
    programme: Programme,
    horizon: Horizon,
    preferred: Mapping[ResourceId, tuple[datetime, ...]],
    *,
    gap: float,
    deadline: Deadline,
    ahead: Ahead = in_turn,
) -> tuple[LpSolution, float] | Unsolved:
    """The best plan found, and a cost that none can be below.

    `preferred` are the starts of the last plan: kept where they are still good enough, so that
    what was announced is not moved for nothing. What they alone decide is begun `ahead`, beside the
    relaxation: usually it is just what is fixed next.
    """
    began = deadline.stopwatch()
    guess = near(programme, np.zeros(len(programme.cost)), horizon, preferred)
    guessed = ahead(programme.linear(), guess, deadline) if preferred else None
    relaxed = solve_lp(programme, {}, deadline)
    if isinstance(relaxed, Unsolved):
        return relaxed
    # A search that took all the time would leave none for the LP that makes a plan of its answer.
    spare_s = 2 * (deadline.stopwatch() - began)
    search_until = Deadline(deadline.stopwatch, deadline.moment - spare_s)
    bound = relaxed.cost
    whole_already = relaxed.chosen(programme)
    best: LpSolution | Unsolved = Unsolved(reason="no plan tried")
    rounded = near(programme, relaxed.x, horizon, preferred)
    if preferred and rounded != whole_already:
        if guessed is not None and rounded == guess:
            best = _repaired(programme, guessed(), deadline)
        else:
            best = _fixed(programme, rounded, deadline)
        if _close(best, bound, gap):
            return _found(best, bound)
    if whole_already is not None:
        best = _better(best, _one_way(programme, relaxed, deadline))
    else:
        chosen, bound = by_parts(programme, relaxed, rounded, gap=gap, deadline=search_until)
        best = _better(best, _fixed(programme, chosen, deadline))
    if _close(best, bound, gap):
        return _found(best, bound)
    undecided = NO_PAIRS if whole_already is None else _burning(programme, relaxed.x)
    while True:
        whole = _whole(programme, undecided, gap=gap, deadline=search_until)
        if isinstance(whole, Unsolved):
            return _found(whole if isinstance(best, Unsolved) else best, bound)
        bound = max(bound, whole[1])
        solution = solve_lp(programme, whole[0], deadline)
        best = _better(best, _repaired(programme, solution, deadline))
        more = NO_PAIRS if isinstance(solution, Unsolved) else _burning(programme, solution.x)
        if _close(best, bound, gap) or not more.size or search_until.passed:
            return _found(best, bound)
        undecided = np.hstack([undecided, more])


def _fixed(programme: Programme, chosen: Chosen, deadline: Deadline) -> LpSolution | Unsolved:
    """The best plan with these decisions."""
    return _repaired(programme, solve_lp(programme, chosen, deadline), deadline)


def _repaired(
    programme: Programme, solution: LpAnswer, deadline: Deadline
) -> LpSolution | Unsolved:
    if isinstance(solution, Unsolved):
        return solution
    return _one_way(programme, solution, deadline)


def _one_way(
    programme: Programme, solution: LpSolution, deadline: Deadline
) -> LpSolution | Unsolved:
    """The plan, with nothing that fills and empties a store at once."""
    while True:
        forbidden: Chosen = {}
        for pair in programme.fleet.both_ways():
            x = solution.x
            both = np.minimum(x[pair.into], x[pair.out]) > NOTHING_KW
            smaller = np.where(pair.fills(x), pair.out, pair.into)[both]
            forbidden |= dict.fromkeys(smaller.tolist(), 0.0)
        if not forbidden:
            return solution
        again = solve_lp(programme, solution.fixed | forbidden, deadline)
        if isinstance(again, Unsolved):
            return again
        solution = again


def _close(solution: LpSolution | Unsolved, bound: float, gap: float) -> bool:
    return isinstance(solution, LpSolution) and relative_gap(solution.cost, bound) <= gap


def relative_gap(cost: float, bound: float) -> float:
    """How far `cost` can be from the best, relative to its size."""
    return max(cost - bound, 0.0) / max(abs(cost), 1.0)


def _better(a: LpSolution | Unsolved, b: LpSolution | Unsolved) -> LpSolution | Unsolved:
    if isinstance(a, Unsolved):
        return b
    return b if isinstance(b, LpSolution) and b.cost < a.cost else a


def _found(best: LpSolution | Unsolved, bound: float) -> tuple[LpSolution, float] | Unsolved:
    return best if isinstance(best, Unsolved) else (best, bound)


def near(
    programme: Programme,
    x: Floats,
    horizon: Horizon,
    preferred: Mapping[ResourceId, tuple[datetime, ...]],
) -> Chosen:
    """Last plan's starts where they are still possible, elsewhere the relaxation's, rounded."""
    announced = {name: {horizon.index(m) for m in moments} for name, moments in preferred.items()}
    chosen = {int(column): float(round(x[column])) for column in programme.integral}
    filling = programme.fleet.filling
    fills = (x[filling.into] >= x[filling.out]).astype(float)  # whatever fraction the power is
    chosen |= dict(zip(filling.decisions.tolist(), fills.tolist(), strict=True))
    groups: dict[int, list[tuple[Start, int]]] = {}
    starts = programme.fleet.starts
    for start, column in zip(starts.possible, starts.chosen.tolist(), strict=True):
        groups.setdefault(start.group, []).append((start, column))
    for group in groups.values():
        first, _ = group[0]
        kept = [c for start, c in group if start.step in announced.get(start.resource_id, ())]
        if not kept and first.must:
            kept = [max((column for _, column in group), key=lambda column: x[column])]
        if kept:
            chosen |= {column: float(column in kept[: first.most]) for _, column in group}
    return chosen


def by_parts(
    programme: Programme, relaxed: LpSolution, rounded: Chosen, *, gap: float, deadline: Deadline
) -> tuple[Chosen, float]:
    """Decisions of each part searched alone at the relaxation's prices, and the bound they prove.

    A part that finds none in time keeps its `rounded` ones, which are always possible.
    """
    coupling = programme.coupling
    prices = relaxed.row_marginals[coupling]
    cost = programme.cost - programme.matrix[coupling].T @ prices
    own = np.ones(programme.matrix.shape[0], dtype=bool)
    own[coupling] = False
    matrix, lower, upper = (
        programme.matrix[own],
        programme.row_lower[own],
        programme.row_upper[own],
    )
    rows = matrix.shape[0]
    graph = block_array([[None, matrix], [matrix.T, None]]).tocsr()
    labels = connected_components(graph, directed=False)[1]
    row_part, column_part = labels[:rows], labels[rows:]
    parts = np.unique(column_part[programme.integral])
    # Nine tenths of what the gap allows, shared out; the rest is for the fixed LP.
    allowed = 0.9 * gap * max(abs(relaxed.cost), 1.0) / len(parts)
    chosen = dict(rounded)
    bound = relaxed.cost
    for part in parts:
        columns = np.flatnonzero(column_part == part)
        part_rows = np.flatnonzero(row_part == part)
        integral = np.isin(columns, programme.integral)
        linear = float(cost[columns] @ relaxed.x[columns])
        result: OptimizeResult = milp(
            cost[columns],
            integrality=integral.astype(int),
            bounds=Bounds(programme.lower[columns], programme.upper[columns]),
            constraints=LinearConstraint(
                matrix[part_rows][:, columns], lower[part_rows], upper[part_rows]
            ),
            options={
                "mip_rel_gap": allowed / max(abs(linear), 1e-9),
                "time_limit": deadline.left_s,
            },
        )
        if result.x is not None:
            decided = np.round(result.x[integral]).tolist()
            chosen |= dict(zip(columns[integral].tolist(), decided, strict=True))
        if result.mip_dual_bound is not None:
            bound += max(float(result.mip_dual_bound) - linear, 0.0)
    return chosen, bound


def _burning(programme: Programme, x: Floats) -> Floats:
    """Both columns, and the most of each, of every store that somewhere goes both ways; shape (4, n)."""
    found = [NO_PAIRS]
    for pair in programme.fleet.both_ways():
        at = (np.minimum(x[pair.into], x[pair.out]) > NOTHING_KW).any(axis=1)
        sides = (pair.into[at], pair.out[at], pair.into_kw[at], pair.out_kw[at])
        found.append(np.array([side.ravel() for side in sides], dtype=float))
    return np.hstack(found)


def _whole(
    programme: Programme, undecided: Floats, *, gap: float, deadline: Deadline
) -> tuple[Chosen, float] | Unsolved:
    """Decisions of a search over the whole programme, and its bound.

    `undecided` are pairs of columns (see `_burning`) of which one must be 0: that is decided too.
    """
    columns, pairs = len(programme.cost), undecided.shape[1]
    into, out = undecided[:2].astype(int)
    integrality = np.zeros(columns + pairs)
    integrality[programme.integral] = 1
    integrality[columns:] = 1
    row, both = np.arange(pairs), np.ones(pairs)
    # into <= most·way        out <= most·(1 - way)
    ways = csr_array(
        (
            np.concatenate([both, -undecided[2], both, undecided[3]]),
            (
                np.concatenate([row, row, pairs + row, pairs + row]),
                np.concatenate([into, columns + row, out, columns + row]),
            ),
        ),
        shape=(2 * pairs, columns + pairs),
    )
    wider = csr_array((programme.matrix.shape[0], pairs))
    matrix = vstack([hstack([programme.matrix, wider]), ways], format="csr")
    result: OptimizeResult = milp(
        np.concatenate([programme.cost, np.zeros(pairs)]),
        integrality=integrality,
        bounds=Bounds(
            np.concatenate([programme.lower, np.zeros(pairs)]),
            np.concatenate([programme.upper, both]),
        ),
        constraints=LinearConstraint(
            matrix,
            np.concatenate([programme.row_lower, np.full(2 * pairs, -np.inf)]),
            np.concatenate([programme.row_upper, np.zeros(pairs), undecided[3]]),
        ),
        options={"time_limit": deadline.left_s, "mip_rel_gap": gap},
    )
    if result.x is None:
        return Unsolved(reason=f"MILP: {result.message}", infeasible=result.status == 2)
    values = np.round(result.x[programme.integral]).tolist()
    chosen = dict(zip(programme.integral.tolist(), values, strict=True))
    fills = result.x[columns:] > 0.5
    chosen |= dict.fromkeys(np.where(fills, out, into).tolist(), 0.0)
    return chosen, float(result.mip_dual_bound)
