"""Why no plan exists: which limits cannot all hold, and the smallest relaxation that helps.

Named limits (`Builder.name`) may give way, everything else is physics and may not:

    minimise    Σ slack / size of its limit         the smallest relaxation, in relative terms
    subject to  the programme, each named side and bound loosened by a slack of its own

Where the continuous programme is infeasible, the limits that have a price at this optimum cannot hold
together (Farkas). A deletion filter makes the conflict minimal: a limit without which the others still
clash is left out. Where only the on/off decisions clash, the filter starts from all limits of the
resources that had to give way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import block_array, csr_array

from vpp.model.horizon import Floats, Horizon
from vpp.model.schedule import Conflict, ConflictingLimit, Relaxation, Unsolved
from vpp.model.time import Interval
from vpp.plan.lp import Deadline, solve_lp
from vpp.plan.programme import Ints, LinearProgramme, Programme, Side

NOTHING = 1e-6
"""Less than this, relative to a limit's size, is rounding of the solver."""

MOST_FILTERED = 80
"""A conflict of more limits is told as it was found: each that is tried costs a solve."""


@dataclass(frozen=True, slots=True, eq=False)
class _Limit:
    """One named limit: rows or columns of the programme that speak with one voice, shape (n,)."""

    words: str
    side: Side
    index: Ints
    steps: Ints
    """-1 where it speaks of the whole horizon."""

    sizes: Floats
    """What slack is measured by: the limit itself, at least 1."""


def find_conflict(programme: Programme, horizon: Horizon, deadline: Deadline) -> Conflict | None:
    """The limits that cannot all hold; None where nothing clashes, or not in time."""
    limits = tuple(_limits(programme))
    loose = _loosened(programme, limits)
    found = solve_lp(loose, {}, deadline)
    if isinstance(found, Unsolved):
        return None
    columns, ends = len(programme.cost), np.cumsum([len(limit.index) for limit in limits])[:-1]
    slack = np.split(found.x[columns:], ends)
    # A slack that is used costs its price; one whose price its limit approaches is pressed too.
    pressed = [
        np.abs(part) < 1 / limit.sizes - NOTHING
        for part, limit in zip(
            np.split(found.column_marginals[columns:], ends), limits, strict=True
        )
    ]
    integral = np.zeros(0, dtype=np.int64)
    if sum(part.sum() for part in slack) <= NOTHING:
        integral = programme.integral
        whole = _solve(loose, integral, deadline)
        if whole is None:
            return None
        slack = np.split(whole[columns:], ends)
        if sum(part.sum() for part in slack) <= NOTHING:
            return None
        owners = {
            limit.words.split(":")[0]
            for limit, part in zip(limits, slack, strict=True)
            if (part > NOTHING * limit.sizes).any()
        }
        pressed = [
            np.full(len(limit.index), limit.words.split(":")[0] in owners) for limit in limits
        ]
    suspects = [i for i, some in enumerate(pressed) if some.any()]
    clashing = _filtered(programme, limits, suspects, integral, deadline)
    return Conflict(
        limits=tuple(
            ConflictingLimit(limit=limits[i].words, span=_span(limits[i], pressed[i], horizon))
            for i in clashing
        ),
        relaxations=tuple(_relaxations(limits, slack, horizon)),
    )


def _limits(programme: Programme) -> Iterator[_Limit]:
    """Every named limit that limits anything."""
    sides = {
        Side.ROW_LOWER: programme.row_lower,
        Side.ROW_UPPER: programme.row_upper,
        Side.LOWER: programme.lower,
        Side.UPPER: programme.upper,
    }
    for named in programme.named:
        if named.side is Side.BROKEN:
            continue
        for words, index, steps in zip(named.words, named.index, named.steps, strict=True):
            values = sides[named.side][index]
            real = np.isfinite(values)
            if real.any():
                sizes = np.maximum(np.abs(values[real]), 1.0)
                yield _Limit(words, named.side, index[real], steps[real], sizes)


def _loosened(programme: Programme, limits: Sequence[_Limit]) -> LinearProgramme:
    """The programme with a slack for each named side, behind the columns; only slack costs."""
    bounds = [limit for limit in limits if limit.side in (Side.LOWER, Side.UPPER)]
    count = sum(len(limit.index) for limit in limits)
    rows, columns = programme.matrix.shape
    bound_count = sum(len(limit.index) for limit in bounds)
    lower, upper = programme.lower.copy(), programme.upper.copy()
    slack_rows, slack_signs = np.zeros(count, dtype=np.int64), np.zeros(count)
    bound_columns: list[Ints] = []
    low, high = np.full(bound_count, -np.inf), np.full(bound_count, np.inf)
    at, row = 0, 0
    for limit in limits:
        n = len(limit.index)
        here = slice(at, at + n)
        slack_signs[here] = 1.0 if limit.side in (Side.ROW_LOWER, Side.LOWER) else -1.0
        match limit.side:
            case Side.ROW_LOWER | Side.ROW_UPPER:
                slack_rows[here] = limit.index
            case Side.LOWER | Side.UPPER:
                slack_rows[here] = rows + row + np.arange(n)
                bound_columns.append(limit.index)
                bound, kept = (lower, low) if limit.side is Side.LOWER else (upper, high)
                kept[row : row + n] = bound[limit.index]
                bound[limit.index] = -np.inf if limit.side is Side.LOWER else np.inf
                row += n
        at += n
    picked = np.concatenate([np.zeros(0, dtype=np.int64), *bound_columns])
    ones = csr_array(
        (np.ones(bound_count), (np.arange(bound_count), picked)), shape=(bound_count, columns)
    )
    slacks = csr_array(
        (slack_signs, (slack_rows, np.arange(count))), shape=(rows + bound_count, count)
    )
    matrix = csr_array(
        block_array([[programme.matrix, slacks[:rows]], [ones, slacks[rows:]]], format="csr")
    )
    sizes = [limit.sizes for limit in limits]
    return LinearProgramme(
        cost=np.concatenate([np.zeros(columns), *(1 / size for size in sizes)]),
        lower=np.concatenate([lower, np.zeros(count)]),
        upper=np.concatenate([upper, np.full(count, np.inf)]),
        matrix=matrix,
        row_lower=np.concatenate([programme.row_lower, low]),
        row_upper=np.concatenate([programme.row_upper, high]),
    )


def _filtered(
    programme: Programme,
    limits: Sequence[_Limit],
    suspects: list[int],
    integral: Ints,
    deadline: Deadline,
) -> list[int]:
    """The suspects, less those without which the others still clash."""
    if len(suspects) > MOST_FILTERED or not _clash(
        programme, limits, set(suspects), integral, deadline
    ):
        return suspects
    kept = list(suspects)
    for one in suspects:
        rest = set(kept) - {one}
        if _clash(programme, limits, rest, integral, deadline):
            kept.remove(one)
    return kept


def _clash(
    programme: Programme,
    limits: Sequence[_Limit],
    held: set[int],
    integral: Ints,
    deadline: Deadline,
) -> bool:
    """Whether the programme is infeasible with only the `held` ones of its named limits."""
    sides = {
        Side.ROW_LOWER: programme.row_lower.copy(),
        Side.ROW_UPPER: programme.row_upper.copy(),
        Side.LOWER: programme.lower.copy(),
        Side.UPPER: programme.upper.copy(),
    }
    for i, limit in enumerate(limits):
        if i not in held:
            open_end = -np.inf if limit.side in (Side.ROW_LOWER, Side.LOWER) else np.inf
            sides[limit.side][limit.index] = open_end
    free = replace(
        programme.linear(),
        cost=np.zeros(len(programme.cost)),
        row_lower=sides[Side.ROW_LOWER],
        row_upper=sides[Side.ROW_UPPER],
        lower=sides[Side.LOWER],
        upper=sides[Side.UPPER],
    )
    return _solve(free, integral, deadline) is None


def _solve(programme: LinearProgramme, integral: Ints, deadline: Deadline) -> Floats | None:
    """An optimum, or a point where the deadline cut the search; None where there is none."""
    integrality = np.zeros(len(programme.cost))
    integrality[integral] = 1
    result: OptimizeResult = milp(
        programme.cost,
        integrality=integrality,
        bounds=Bounds(programme.lower, programme.upper),
        constraints=LinearConstraint(programme.matrix, programme.row_lower, programme.row_upper),
        options={"time_limit": deadline.left_s},
    )
    return None if result.x is None else np.asarray(result.x)


def _relaxations(
    limits: Sequence[_Limit], slack: Sequence[Floats], horizon: Horizon
) -> Iterator[Relaxation]:
    for limit, part in zip(limits, slack, strict=True):
        used = part > NOTHING * limit.sizes
        if used.any():
            yield Relaxation(
                limit=limit.words, most=float(part.max()), span=_span(limit, used, horizon)
            )


def _span(limit: _Limit, some: NDArray[np.bool_], horizon: Horizon) -> Interval:
    """From the first to the last step of those marked."""
    steps = limit.steps[some]
    if (steps < 0).any() or not len(steps):
        return horizon.span
    start = horizon.start + int(steps.min()) * horizon.step
    return Interval(start, horizon.start + (int(steps.max()) + 1) * horizon.step)
