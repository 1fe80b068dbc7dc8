"""On/off decisions searched by scipy's `milp` (HiGHS): each part alone, or all at once.

`milp` gives no duals: an LP with the decisions fixed comes after it (`search.py`).

The gap that is allowed is shared out between the parts, and so is the time. A straggler is cut off
with what it has; its bound counts all the same, because the bound of a sum is the sum of the bounds.
Only where those do not prove enough, the stragglers are searched again, with the gap and the time
that the others have left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import csr_array, vstack

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.lp import Deadline, LpSolution, padded
from vpp.plan.parts import ALONE, Part, Workers, parts_of
from vpp.plan.programme import Ints, LinearProgramme, Programme

Chosen = dict[int, float]
"""Columns of decisions, and what each is."""

NO_PAIRS = np.zeros((4, 0))
"""Nothing that must not go both ways: see `whole`."""

FOR_THE_PARTS = 0.9
"""Share of the gap that the parts may use; the rest is for the LP with their decisions fixed."""

ROOM = 1e3
"""What a part's cost is brought to, in gaps that are allowed: see `_search`."""

LEAST_GAP = 1e-6
"""In the park's currency; HiGHS stops there by itself."""

DECIDED = 1e-6
"""A decision nearer than this to 0 or 1 is taken."""

FIRST_ROUND = 0.5
"""Share of the time for the first search of all parts; the rest is for stragglers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """A part that has decisions."""

    part: Part
    integral: NDArray[np.bool_]
    """Which of its columns, shape (n,)."""

    undecided: int
    """How many of them the relaxation leaves between 0 and 1."""

    linear: float
    """Its cost in the relaxation: no decisions can cost less."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is known about the decisions of a part, or of anything small."""

    values: Floats | None
    """Of its integral columns; None where nothing was found in time."""

    cost: float
    """With `values`; inf without."""

    bound: float

    x: Floats | None = None
    """All of its columns, where it was searched alone and something was found."""

    @property
    def gap(self) -> float:
        return max(self.cost - self.bound, 0.0)

    def better_of(self, other: Found) -> Found:
        """The cheaper decisions, with the higher bound."""
        one = self if self.cost <= other.cost else other
        return Found(one.values, one.cost, max(self.bound, other.bound), one.x)


def by_parts(
    programme: Programme,
    relaxed: LpSolution,
    rounded: Chosen,
    *,
    tried: LpSolution | None = None,
    gap: float,
    deadline: Deadline,
    workers: Workers = ALONE,
) -> tuple[Chosen, float]:
    """Decisions of each part searched alone at the relaxation's prices, and the bound they prove.

    Rows that join parts (`Programme.coupling`) are priced at their shadow prices. What the relaxation
    decides by itself is best as it is. Where the plan that was `tried`, with the `rounded` decisions,
    is good enough for a part, the part keeps them; so does one that finds nothing in time.
    """
    chosen = dict(rounded)
    parts = list(_open_parts(programme, relaxed))
    found = _searched(
        parts,
        relaxed,
        [_known(one, tried) for one in parts],
        allowed=FOR_THE_PARTS * gap * max(abs(relaxed.cost), 1.0),
        deadline=deadline,
        workers=workers,
    )
    for one, best in zip(parts, found, strict=True):
        if best.values is not None:
            chosen |= _decided(one.part.columns[one.integral], best.values)
    proven = sum(best.bound - one.linear for one, best in zip(parts, found, strict=True))
    return chosen, relaxed.bound + proven


def whole(
    programme: LinearProgramme,
    decisions: Ints,
    undecided: Floats,
    *,
    gap: float,
    deadline: Deadline,
) -> tuple[Chosen, float] | Unsolved:
    """The columns that are 0 or 1 decided in a search over the whole programme, and its bound.

    `undecided` are pairs of columns of which one must be 0, that is decided too: both columns, and the
    most of each, shape (4, n).
    """
    columns, pairs = len(programme.cost), undecided.shape[1]
    into, out = undecided[:2].astype(int)
    integral = np.zeros(columns + pairs, dtype=bool)
    integral[decisions] = True
    integral[columns:] = True
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
    wider = padded(programme.matrix, pairs)
    result = _milp(
        LinearProgramme(
            cost=np.append(programme.cost, np.zeros(pairs)),
            lower=np.append(programme.lower, np.zeros(pairs)),
            upper=np.append(programme.upper, both),
            matrix=csr_array(vstack([wider, ways], format="csr")),
            row_lower=np.append(programme.row_lower, np.full(2 * pairs, -np.inf)),
            row_upper=np.concatenate([programme.row_upper, np.zeros(pairs), undecided[3]]),
        ),
        integral,
        gap=gap,
        time_limit_s=deadline.left_s,
    )
    if result.x is None:
        return Unsolved(reason=f"MILP: {result.message}", infeasible=result.status == 2)
    chosen = _decided(decisions, np.round(result.x[decisions]))
    fills = result.x[columns:] > 0.5
    chosen |= dict.fromkeys(np.where(fills, out, into).tolist(), 0.0)
    return chosen, float(result.mip_dual_bound)


def _open_parts(programme: Programme, relaxed: LpSolution) -> Iterator[_Open]:
    """The parts that have decisions, without the rows that join them."""
    coupling = programme.coupling
    own = np.ones(programme.matrix.shape[0], dtype=bool)
    own[coupling] = False
    alone = LinearProgramme(
        cost=programme.cost - programme.matrix[coupling].T @ relaxed.row_marginals[coupling],
        lower=programme.lower,
        upper=programme.upper,
        matrix=programme.matrix[own],
        row_lower=programme.row_lower[own],
        row_upper=programme.row_upper[own],
    )
    integral = np.zeros(len(programme.cost), dtype=bool)
    integral[programme.integral] = True
    for part in parts_of(alone, least_nonzeros=0):
        mine = integral[part.columns]
        if mine.any():
            x = relaxed.x[part.columns]
            undecided = np.abs(x[mine] - np.round(x[mine])) > DECIDED
            yield _Open(part, mine, int(undecided.sum()), float(part.programme.cost @ x))


def _known(one: _Open, tried: LpSolution | None) -> Found:
    """What a plan says about a part before it is searched."""
    if tried is None:
        return Found(None, np.inf, one.linear)
    x = tried.x[one.part.columns]
    return Found(np.round(x[one.integral]), float(one.part.programme.cost @ x), one.linear)


def _searched(
    parts: list[_Open],
    relaxed: LpSolution,
    found: list[Found],
    *,
    allowed: float,
    deadline: Deadline,
    workers: Workers,
) -> list[Found]:
    """The best of each part, so that their gaps add up to what is allowed where time permits."""
    each = allowed / max(len(parts), 1)
    for i, one in enumerate(parts):
        if not one.undecided and found[i].gap > each:
            values = np.round(relaxed.x[one.part.columns][one.integral])
            found[i] = Found(values, one.linear, one.linear)
    for share in (FIRST_ROUND, 1.0):
        stragglers = [i for i, one in enumerate(found) if one.gap > each]
        if not stragglers or sum(one.gap for one in found) <= allowed:
            break
        stragglers.sort(key=lambda i: -parts[i].undecided)
        spent = sum(one.gap for i, one in enumerate(found) if i not in stragglers)
        each = max(allowed - spent, 0.0) / len(stragglers)
        time_limit_s = share * deadline.left_s / max(len(stragglers) / workers.count, 1.0)
        waiting = {
            i: workers.begin(partial(_search, parts[i], each, time_limit_s, deadline))
            for i in stragglers
        }
        for i, answer in waiting.items():
            found[i] = answer().better_of(found[i])
    return found


def _search(one: _Open, allowed: float, time_limit_s: float, deadline: Deadline) -> Found:
    """Search one part until its gap is `allowed`, or its time is up."""
    return search_alone(
        one.part.programme,
        one.integral,
        about=one.linear,
        allowed=allowed,
        time_limit_s=min(time_limit_s, deadline.left_s),
    )


def search_alone(
    programme: LinearProgramme,
    integral: NDArray[np.bool_],
    *,
    about: float,
    allowed: float,
    time_limit_s: float,
) -> Found:
    """Search a small programme that costs `about`, and never less, until its gap is `allowed`: absolute."""
    # HiGHS knows relative gaps only, and a part may cost next to nothing: a column that stands at 1
    # and costs enough makes an absolute gap of the relative one.
    room = ROOM * max(allowed, LEAST_GAP)
    constant = room - about
    result = _milp(
        LinearProgramme(
            cost=np.append(programme.cost, constant),
            lower=np.append(programme.lower, 1.0),
            upper=np.append(programme.upper, 1.0),
            matrix=padded(programme.matrix, 1),
            row_lower=programme.row_lower,
            row_upper=programme.row_upper,
        ),
        np.append(integral, False),
        gap=allowed / room,
        time_limit_s=time_limit_s,
    )
    bound = about
    if result.mip_dual_bound is not None and np.isfinite(result.mip_dual_bound):
        bound = max(bound, float(result.mip_dual_bound) - constant)
    if result.x is None:
        return Found(None, np.inf, bound)
    x = result.x[:-1]
    return Found(np.round(x[integral]), float(result.fun) - constant, bound, x)


def _milp(
    programme: LinearProgramme, integral: NDArray[np.bool_], *, gap: float, time_limit_s: float
) -> OptimizeResult:
    return milp(
        programme.cost,
        integrality=integral.astype(int),
        bounds=Bounds(programme.lower, programme.upper),
        constraints=LinearConstraint(programme.matrix, programme.row_lower, programme.row_upper),
        options={"time_limit": time_limit_s, "mip_rel_gap": gap},
    )


def _decided(columns: Ints, values: Floats) -> Chosen:
    return dict(zip(columns.tolist(), values.tolist(), strict=True))
