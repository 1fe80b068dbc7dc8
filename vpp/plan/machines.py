"""Decisions of each machine alone, at the relaxation's prices and near to what the relaxation does.

What decides meets the rest of a plan in the balances of nodes, and in rows that join connection points. With
those priced at their shadow prices y (Lagrange), a machine with its starts, its energy and its minimum times
is a programme of its own, of a few hundred columns, and there are only as many such as there are machines:

    minimise    (cost - A'y)·x + near·Σ |B x - there|         subject to the machine's own rows
    there       B x̂ + Σ (B x̂ - B x) of the machines of its node that have decided before it

B x is what it injects in each step, x̂ the relaxation. At good prices a machine is all but indifferent
between hours, and machines that are alike would choose the same ones. So each stays near what the relaxation
does, and makes up for what those before it did otherwise: their sum is what the prices belong to.
Nearness is worth a twentieth of the usual price: where hours do differ, price decides.

Nothing is proven here. The plan with these decisions is an LP, and the relaxation's own cost is a bound that is
near enough where kinds describe their machines tightly (`kinds/flexible.py`): most plans are done with that,
and the search for the rest (`decide.py`) knows a good plan to begin with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.plan.decide import DECIDED, Chosen, search_alone
from vpp.plan.lp import Deadline, LpSolution
from vpp.plan.parts import Workers, parts_of
from vpp.plan.programme import Ints, LinearProgramme, Programme

NEAR = 0.05
"""Price of being elsewhere than the relaxation, in usual prices of what is injected."""


@dataclass(frozen=True, slots=True, eq=False)
class _Machine:
    """One programme that is left where balances are priced."""

    columns: Ints
    """Its decisions, in the whole programme, shape (k,)."""

    alone: LinearProgramme
    """Its n columns and own rows, at prices."""

    decides: NDArray[np.bool_]
    """Which of its columns, shape (n,)."""

    balances: Ints
    """Where it injects: numbers of the balances' rows, one after the other; shape (r,)."""

    moves: csr_array
    """What it injects there, shape (r, n)."""

    relaxed: Floats
    """What the relaxation does, shape (n,)."""


def at_prices(
    programme: Programme,
    relaxed: LpSolution,
    rounded: Chosen,
    *,
    gap: float,
    deadline: Deadline,
    workers: Workers,
) -> Chosen:
    """Every decision as its machine takes it at the prices of `relaxed`.

    What the relaxation decides by itself stays so; what finds nothing in time is as `rounded`. `gap`
    is relative to the cost of the plan; machines share it, and the time until the `deadline`: what those
    before did not need is there for the others.
    """
    near = NEAR * _usual(relaxed.row_marginals[programme.balance])
    nodes: dict[int, list[_Machine]] = {}
    for machine in _undecided(programme, relaxed):
        node = int(machine.balances.min(initial=0)) // programme.balance.shape[1]
        nodes.setdefault(node, []).append(machine)
    left = sum(len(machines) for machines in nodes.values())
    allowed = gap * max(abs(relaxed.cost), 1.0) / max(2 * left, 1)
    waiting = []
    for machines in nodes.values():
        hands = workers.count / left
        task = partial(
            _decided, machines, near=near, allowed=allowed, deadline=deadline, hands=hands
        )
        waiting.append((machines, workers.begin(task)))
        left -= len(machines)
    chosen = dict(rounded)
    for machines, answer in waiting:
        for machine, values in zip(machines, answer(), strict=True):
            if values is not None:
                chosen |= dict(zip(machine.columns.tolist(), values.tolist(), strict=True))
    return chosen


def _usual(prices: Floats) -> float:
    some = np.abs(prices[prices != 0])
    return float(np.median(some)) if len(some) else 0.0


def _undecided(programme: Programme, relaxed: LpSolution) -> Iterator[_Machine]:
    """The machines that the relaxation leaves between on and off."""
    balance = programme.balance.ravel()
    own = np.ones(programme.matrix.shape[0], dtype=bool)
    own[balance] = own[programme.coupling] = False
    mine = _reached(programme, programme.matrix[own])
    rows = programme.matrix[own][:, mine]
    some = np.diff(rows.indptr) > 0
    reduced = programme.cost - programme.matrix[~own].T @ relaxed.row_marginals[~own]
    alone = LinearProgramme(
        cost=reduced[mine],
        lower=programme.lower[mine],
        upper=programme.upper[mine],
        matrix=rows[some],
        row_lower=programme.row_lower[own][some],
        row_upper=programme.row_upper[own][some],
    )
    injected = programme.matrix[balance][:, mine]
    integral = np.zeros(len(programme.cost), dtype=bool)
    integral[programme.integral] = True
    for part in parts_of(alone, least_nonzeros=0):
        columns = mine[part.columns]
        x, decides = relaxed.x[columns], integral[columns]
        if (np.abs(x - np.round(x))[decides] > DECIDED).any():
            moves = injected[:, part.columns]
            balances = np.flatnonzero(np.diff(moves.indptr))
            yield _Machine(columns[decides], part.programme, decides, balances, moves[balances], x)


def _reached(programme: Programme, own: csr_array) -> Ints:
    """The columns that own rows lead to from decisions, rising."""
    reached = np.zeros(len(programme.cost), dtype=bool)
    reached[programme.integral] = True
    pattern = csr_array((np.ones(own.nnz), own.indices, own.indptr), shape=own.shape)
    count = 0
    while count < (count := int(reached.sum())):
        reached |= pattern.T @ (pattern @ reached) > 0
    return np.flatnonzero(reached)


def _decided(
    machines: Sequence[_Machine], *, near: float, allowed: float, deadline: Deadline, hands: float
) -> list[Floats | None]:
    """The decisions of each machine of a node in turn, None where it found none in time.

    `hands` are the workers for each machine that waits, these and those behind them.
    """
    missed: dict[int, float] = {}
    found: list[Floats | None] = []
    for one in machines:
        there = one.moves @ one.relaxed
        owed = np.array([missed.get(row, 0.0) for row in one.balances.tolist()])
        programme, decides = _nearby(one, there + owed, near)
        best = search_alone(
            programme,
            decides,
            about=float(one.alone.cost @ one.relaxed),
            allowed=allowed,
            time_limit_s=min(hands, 1.0) * deadline.left_s,
        )
        found.append(best.values)
        if best.x is not None:
            owed += there - one.moves @ best.x[: len(one.relaxed)]
            missed |= dict(zip(one.balances.tolist(), owed.tolist(), strict=True))
    return found


def _nearby(one: _Machine, there: Floats, near: float) -> tuple[LinearProgramme, NDArray[np.bool_]]:
    """With columns for more and for less than what is injected `there`, at a price; what decides."""
    alone, steps = one.alone, len(there)
    programme = LinearProgramme(
        cost=np.append(alone.cost, np.full(2 * steps, near)),
        lower=np.append(alone.lower, np.zeros(2 * steps)),
        upper=np.append(alone.upper, np.full(2 * steps, np.inf)),
        matrix=_stacked(alone.matrix, one.moves),
        row_lower=np.append(alone.row_lower, there),
        row_upper=np.append(alone.row_upper, there),
    )
    return programme, np.append(one.decides, np.zeros(2 * steps, dtype=bool))


def _stacked(own: csr_array, moves: csr_array) -> csr_array:
    """`own` rows with columns of nothing behind, then `moves` with -1 and 1 behind: [own 0 0; moves -I I].

    By hand, because there are hundreds of them: scipy's stacking took a quarter of all the time.
    """
    rows, columns = moves.shape
    row = np.arange(rows)
    behind = np.column_stack([columns + row, columns + rows + row]).ravel()
    ends = np.repeat(moves.indptr[1:], 2)
    return csr_array(
        (
            np.append(own.data, np.insert(moves.data, ends, np.tile([-1.0, 1.0], rows))),
            np.append(own.indices, np.insert(moves.indices, ends, behind)),
            np.append(own.indptr, own.nnz + (moves.indptr + 2 * np.arange(rows + 1))[1:]),
        ),
        shape=(own.shape[0] + rows, columns + 2 * rows),
    )
