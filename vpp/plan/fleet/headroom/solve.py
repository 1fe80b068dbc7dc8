"""Trees whose stores keep reserve, solved and written in the programme's columns and rows.

    owners -> shape -> interior -> tidied -> what the programme says of it (`back.checked`)

The interior point sees the whole programme as it stands, decided ways as fractions included; nothing is
presolved but what cannot move. Where it comes to no end, or the programme does not confirm it, the tree is
left to whoever asked. What is not in this shape is refused in the programme's words:

* rows that see of a store more than its ports: cycles of a day, the failure of the largest keeper
* zones that may be too warm or too cold, and what else has several levels
* what is on or off and not decided
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.back import Back, checked
from vpp.plan.fleet.fitting.chains import chains_of
from vpp.plan.fleet.fitting.ledger import Bools, Ledger
from vpp.plan.fleet.headroom.interior import solve
from vpp.plan.fleet.headroom.shape import Shape, shape_of
from vpp.plan.lp import Deadline
from vpp.plan.parts import Narrow
from vpp.plan.programme import Ints, Programme

METHOD = "structured (numpy, reserve)"

TOLERANCE = 1e-8
"""Of the interior point's gap: what the programme proves is a little more."""

TIDY = 1e-7
"""What a store moves against its way, relative to 1 + the most it can, that is no more than a rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """What was found of the trees in which reserve is kept."""

    columns: Bools
    """Those of trees that were solved, shape (columns,)."""

    rows: Bools
    tree: Narrow
    """Of each row, then of each column."""

    answer: Back | None
    """None where there is no such tree, or no answer."""

    iterations: int = 0
    given_up: int = 0
    """Trees in this shape to which no end was found."""

    strange: Ints
    """Rows of the programme that keep trees from this shape."""


def kept_reserve(
    programme: Programme, lower: Floats, upper: Floats, columns: Bools, deadline: Deadline
) -> Kept:
    """Solve those trees among some columns in which somebody may keep reserve."""
    every = Ledger(programme, lower, upper, columns, one_way=False)
    rows = len(every.kind)
    tree = every.blocks()
    mine = np.zeros(int(tree.max(initial=0)) + 1, dtype=bool)
    for one in programme.fleet.reserve:
        for held in (one.relief, one.extra):
            mine[tree[rows + held[every.free[held]]]] = True
    alone = every.free & ~every.standing()
    undecided = np.setdiff1d(programme.integral, programme.ways[0])
    mine[tree[rows + undecided[every.free[undecided]]]] = False
    strange = [_of_largest(every)]
    mine[tree[strange[0]]] = False
    nothing = Kept(
        columns=np.zeros(len(columns), dtype=bool),
        rows=np.zeros(rows, dtype=bool),
        tree=tree,
        answer=None,
        strange=strange[0],
    )
    chains = chains_of(programme.fleet)
    while mine.any():
        some = alone | (every.free & mine[tree[rows:]])
        ledger = Ledger(programme, lower, upper, some, one_way=False)
        shape = shape_of(ledger, chains)
        if isinstance(shape, Shape):
            return _answered(
                replace(nothing, strange=np.concatenate(strange)), ledger, shape, deadline
            )
        strange.append(shape)
        mine[tree[shape]] = False
    return replace(nothing, strange=np.concatenate(strange))


def _of_largest(ledger: Ledger) -> Ints:
    """Rows of what is owed where the rest must suffice when the largest keeper fails."""
    of = np.zeros(len(ledger.lower), dtype=bool)
    for one in ledger.programme.fleet.reserve:
        of[one.lacking] = one.term.survives_largest
    return np.unique(ledger.entries(np.flatnonzero(ledger.used), of).row)


def _answered(nothing: Kept, ledger: Ledger, shape: Shape, deadline: Deadline) -> Kept:
    used, free = ledger.used, ledger.free
    trees = len(np.unique(nothing.tree[np.concatenate([used, free])]))
    found = solve(shape, tolerance=TOLERANCE, deadline=deadline)
    if found is None:
        return replace(nothing, given_up=trees)
    price = np.zeros(len(ledger.kind))
    # What stands in no row is as cheap as it can be.
    x = np.where(free & (ledger.cost < 0), ledger.upper, np.where(free, ledger.lower, 0.0))
    x[shape.columns] = found.x[: len(shape.columns)]
    np.clip(x, ledger.lower, ledger.upper, out=x, where=free)
    price[shape.rows] = found.y[:-1]
    _tidy(ledger, x)
    return replace(
        nothing,
        columns=free,
        rows=used,
        answer=checked(ledger, nothing.tree, x, _within_sides(ledger, price)),
        iterations=found.iterations,
    )


def _tidy(ledger: Ledger, x: Floats) -> None:
    """Let go of what is left against a store's way, and decide on the way it goes.

    Where it does go both ways, the way stays the fraction that it is, for `search.py` to see.
    """
    programme = ledger.programme
    way, fills, empties = programme.ways
    for pair in programme.fleet.both_ways():
        for less, more, most in (
            (pair.into, pair.out, pair.into_kw),
            (pair.out, pair.into, pair.out_kw),
        ):
            rest = ledger.free[less] & (x[less] < x[more]) & (x[less] <= TIDY * (1.0 + most))
            x[less[rest]] = np.maximum(ledger.lower[less[rest]], 0.0)
    for less, decided in ((empties, 1.0), (fills, 0.0)):
        clear = ledger.free[way] & (x[less] == 0.0)
        x[way[clear]] = decided


def _within_sides(ledger: Ledger, price: Floats) -> Floats:
    """A side that is not there is worth nothing."""
    price = np.where(np.isneginf(ledger.row_lower), np.minimum(price, 0.0), price)
    found: Floats = np.where(np.isposinf(ledger.row_upper), np.maximum(price, 0.0), price)
    return found
