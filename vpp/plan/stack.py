"""The programmes of several futures side by side as one LP, with some columns in common.

    columns   what is decided now (k)   the rest of each future, one after the other
              cost (S)  dearest (1)  above (S)          only where the dearest futures count
    rows      those of each future
              cost      Σ its cost - cost = 0           above   cost - dearest - above <= 0

    minimise  (1 - λ)·mean of cost + λ·(dearest + Σ above / ((1 - α)·S))

The last bracket is the conditional value at risk, the mean cost of the dearest 1 - α of the futures
(Rockafellar and Uryasev: Optimization of Conditional Value-at-Risk, Journal of Risk 2, 2000). What is
decided now is one column, not S columns tied by rows: smaller, and nothing to be off by a rounding.
Futures of weight 0 cost nothing: what is decided now must only be possible there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from vpp.model.horizon import Floats
from vpp.plan.lp import padded
from vpp.plan.programme import Ints, LinearProgramme, Programme

ROUNDING = 1e-9
"""Bounds of one column in two futures may differ by so much, of their size."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Several programmes as one."""

    programme: LinearProgramme
    places: tuple[Ints, ...]
    """Where the columns of each future stand, shape (its columns,)."""

    rows: tuple[slice, ...]
    """Where its rows stand."""


def stacked(
    parts: Sequence[LinearProgramme],
    common: Sequence[Ints],
    *,
    counted: int,
    cvar_weight: float,
    cvar_level: float,
) -> Stack:
    """Let the columns `common`, shape (k,) in each, be the same in all `parts`.

    The first `counted` parts are equally likely, the others cost nothing.
    """
    places, columns = _places(parts, common)
    lower, upper = np.full(columns, -np.inf), np.full(columns, np.inf)
    for part, place in zip(parts, places, strict=True):
        np.maximum.at(lower, place, part.lower)
        np.minimum.at(upper, place, part.upper)
    shared = slice(0, len(common[0]))
    upper[shared] = np.maximum(upper[shared], lower[shared])
    ends = np.cumsum([0, *(part.matrix.shape[0] for part in parts)]).tolist()
    side_by_side = LinearProgramme(
        cost=np.zeros(columns),
        lower=lower,
        upper=upper,
        matrix=csr_array(
            vstack(
                [
                    _moved(part.matrix, place, columns)
                    for part, place in zip(parts, places, strict=True)
                ],
                format="csr",
            )
        ),
        row_lower=np.concatenate([part.row_lower for part in parts]),
        row_upper=np.concatenate([part.row_upper for part in parts]),
    )
    some, theirs = parts[:counted], places[:counted]
    if cvar_weight:
        priced = _with_risk(side_by_side, some, theirs, cvar_weight, cvar_level)
    else:
        cost = np.zeros(columns)
        for part, place in zip(some, theirs, strict=True):
            cost[place] += part.cost / counted
        priced = replace(side_by_side, cost=cost)
    return Stack(
        programme=priced,
        places=places,
        rows=tuple(slice(*pair) for pair in pairwise(ends)),
    )


def bounds_of(parts: Sequence[LinearProgramme], common: Sequence[Ints]) -> tuple[Floats, Floats]:
    """The bounds that the columns `common` have in all `parts` together, shape (k,) each."""
    least = np.max([part.lower[at] for part, at in zip(parts, common, strict=True)], axis=0)
    most = np.min([part.upper[at] for part, at in zip(parts, common, strict=True)], axis=0)
    return least, most


def clashing(least: Floats, most: Floats) -> NDArray[np.bool_]:
    """Where such bounds leave no value."""
    found: NDArray[np.bool_] = most - least < -ROUNDING * np.maximum(np.abs(least), 1.0)
    return found


def decided(programme: Programme, chosen: Floats) -> LinearProgramme | None:
    """A programme with its on/off decisions as `chosen`; None where it rules them out."""
    lower, upper = programme.lower.copy(), programme.upper.copy()
    at = programme.decisions
    if ((chosen < lower[at]) | (chosen > upper[at])).any():
        return None
    lower[at] = upper[at] = chosen
    return replace(programme.linear(), lower=lower, upper=upper)


def _places(
    parts: Sequence[LinearProgramme], common: Sequence[Ints]
) -> tuple[tuple[Ints, ...], int]:
    count, places = len(common[0]), []
    for part, shared in zip(parts, common, strict=True):
        place = np.full(len(part.cost), -1)
        place[shared] = np.arange(len(shared))
        own = np.flatnonzero(place < 0)
        place[own] = count + np.arange(len(own))
        count += len(own)
        places.append(place)
    return tuple(places), count


def _moved(matrix: csr_array, place: Ints, columns: int) -> csr_array:
    return csr_array(
        (matrix.data, place[matrix.indices], matrix.indptr), shape=(matrix.shape[0], columns)
    )


def _with_risk(
    programme: LinearProgramme,
    parts: Sequence[LinearProgramme],
    places: Sequence[Ints],
    weight: float,
    level: float,
) -> LinearProgramme:
    """Behind the columns: what each future costs, where the dearest begin, and how far it is above."""
    columns, count = len(programme.cost), len(parts)
    wider = columns + 2 * count + 1
    costs, dearest = columns + np.arange(count), columns + count
    above = dearest + 1 + np.arange(count)
    rows = []
    for part, place, cost in zip(parts, places, costs.tolist(), strict=True):
        paid = np.flatnonzero(part.cost)
        at = np.append(place[paid], cost)
        values = np.append(part.cost[paid], -1.0)
        rows.append(csr_array((values, (np.zeros(len(at), dtype=int), at)), shape=(1, wider)))
    which, one = np.arange(count), np.ones(count)
    rows.append(
        csr_array(
            (
                np.concatenate([one, -one, -one]),
                (np.tile(which, 3), np.concatenate([costs, np.full(count, dearest), above])),
            ),
            shape=(count, wider),
        )
    )
    free = np.full(count + 1, np.inf)
    return LinearProgramme(
        cost=np.concatenate(
            [
                np.zeros(columns),
                np.full(count, (1 - weight) / count),
                [weight],
                np.full(count, weight / ((1 - level) * count)),
            ]
        ),
        lower=np.concatenate([programme.lower, -free, np.zeros(count)]),
        upper=np.concatenate([programme.upper, free, np.full(count, np.inf)]),
        matrix=csr_array(vstack([padded(programme.matrix, wider - columns), *rows], format="csr")),
        row_lower=np.concatenate([programme.row_lower, np.zeros(count), np.full(count, -np.inf)]),
        row_upper=np.concatenate([programme.row_upper, np.zeros(2 * count)]),
    )


def cvar(costs: Floats, level: float) -> float:
    """Mean of the dearest 1 - `level` of equally likely costs, shape (S,); the last of them in part."""
    many = (1 - level) * len(costs)
    dearest = np.sort(costs)[::-1]
    whole = min(ceil(many - 1e-9), len(costs))
    share = np.ones(whole)
    share[-1] -= whole - many if whole > many else 0.0
    return float(dearest[:whole] @ share / share.sum())
