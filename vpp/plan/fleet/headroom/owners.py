"""Whose each column and row of a tree is: one store's own, or a joint one.

own      what fills, empties and keeps reserve in a store, its levels, the decision which way it goes, and
         what stands in one row alone beside those: a wish about a level
chain    the balance of a level from step to step
a step's rows of the store alone: they see its columns in that step, and the level before and after it
joint    every other row. It sees a store by its ports alone: what it feeds less what it draws, and what
         it keeps of each product of reserve
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import Chains
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger
from vpp.plan.programme import Ints

NET = 0
"""The port of what a store feeds less what it draws; product f has the port 1 + f."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries:
    """What may move: columns and rows under numbers of their own, and what stands in them."""

    columns: Ints
    """Of the programme, shape (C,)."""

    rows: Ints
    """Of the programme, shape (R,)."""

    row: Ints
    """Of each entry; so the two that follow."""

    column: Ints
    value: Floats
    to_column: Ints
    """The number of each column of the programme, `NOWHERE` where it does not move."""

    to_row: Ints

    @classmethod
    def of(cls, ledger: Ledger) -> Entries:
        """Those of a ledger; rows without a side say nothing, and columns without a row have nothing to ask."""
        bounded = np.isfinite(ledger.row_lower) | np.isfinite(ledger.row_upper)
        rows = np.flatnonzero(ledger.used & bounded)
        row, column, value = ledger.entries(rows)
        columns = np.flatnonzero(ledger.among(column))
        to_column, to_row = _numbers(columns, len(ledger.free)), _numbers(rows, len(ledger.kind))
        return cls(
            columns=columns,
            rows=rows,
            row=to_row[row],
            column=to_column[column],
            value=value,
            to_column=to_column,
            to_row=to_row,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owners:
    """Who owns what; stores by their numbers among the chains, `NOWHERE` where it is nobody's."""

    store: Ints
    """Of each column, shape (C,); so the four that follow."""

    step: Ints
    level: Bools
    port: Ints
    sign: Floats
    """What a unit of the column is of its port."""

    row_store: Ints
    """Of each row, shape (R,); so the two that follow."""

    row_step: Ints
    chain: Bools
    strange: Ints
    """Rows that are neither."""

    @property
    def own(self) -> Bools:
        """Rows of a step of one store, shape (R,)."""
        found: Bools = (self.row_store >= 0) & ~self.chain
        return found

    @property
    def joint(self) -> Bools:
        """Shape (R,)."""
        return self.row_store < 0


def owners_of(ledger: Ledger, entries: Entries, chains: Chains) -> Owners:
    """Who owns what in a tree."""
    found = _named(ledger, entries, chains)
    _name_chains(found, entries, chains)
    _adopt(found, ledger, entries)
    return Owners(
        store=found.store,
        step=found.step,
        level=found.level,
        port=found.port,
        sign=found.sign,
        row_store=found.row_store,
        row_step=found.row_step,
        chain=found.chain,
        strange=_strange(found, ledger, entries),
    )


@dataclass(slots=True, kw_only=True, eq=False)
class _Found:
    """`Owners` as they are found."""

    store: Ints
    step: Ints
    level: Bools
    port: Ints
    sign: Floats
    row_store: Ints
    row_step: Ints
    chain: Bools

    def name(
        self, entries: Entries, columns: Ints, stores: Ints, *, port: int, sign: float, level: bool
    ) -> None:
        """Columns of shape (n, T), of as many stores."""
        at = np.where(columns >= 0, entries.to_column[columns], NOWHERE)
        shown = at >= 0
        steps = np.arange(columns.shape[1])
        of, step = np.broadcast_arrays(stores[:, None], steps)
        at = at[shown]
        self.store[at], self.step[at] = of[shown], step[shown]
        self.level[at], self.port[at], self.sign[at] = level, port, sign


def _named(ledger: Ledger, entries: Entries, chains: Chains) -> _Found:
    """What the compiled park names: levels, ways in and out, reserve, decided ways."""
    count, rows = len(entries.columns), len(entries.rows)
    found = _Found(
        store=np.full(count, NOWHERE, dtype=np.int64),
        step=np.full(count, NOWHERE, dtype=np.int64),
        level=np.zeros(count, dtype=bool),
        port=np.full(count, NOWHERE, dtype=np.int64),
        sign=np.zeros(count),
        row_store=np.full(rows, NOWHERE, dtype=np.int64),
        row_step=np.full(rows, NOWHERE, dtype=np.int64),
        chain=np.zeros(rows, dtype=bool),
    )
    every = np.arange(len(chains.rows))
    for columns, port, sign, level in (
        (chains.level, NOWHERE, 0.0, True),
        (chains.into, NET, -1.0, False),
        (chains.out, NET, 1.0, False),
    ):
        found.name(entries, columns, every, port=port, sign=sign, level=level)
    # Storages stand first among the chains.
    for product, one in enumerate(ledger.programme.fleet.reserve):
        for columns in (one.relief, one.extra):
            found.name(entries, columns, one.storages, port=1 + product, sign=1.0, level=False)
    way, fills, _ = (entries.to_column[one] for one in ledger.programme.ways)
    both = (way >= 0) & (fills >= 0)
    found.store[way[both]], found.step[way[both]] = (
        found.store[fills[both]],
        found.step[fills[both]],
    )
    return found


def _name_chains(found: _Found, entries: Entries, chains: Chains) -> None:
    rows = entries.to_row[chains.rows]
    shown = rows >= 0
    count, steps = rows.shape
    found.chain[rows[shown]] = True
    found.row_store[rows[shown]] = np.repeat(np.arange(count)[:, None], steps, axis=1)[shown]
    found.row_step[rows[shown]] = np.repeat(np.arange(steps)[None], count, axis=0)[shown]


def _adopt(found: _Found, ledger: Ledger, entries: Entries) -> None:
    """Rows in which all that is somebody's is one store's, and what stands there alone."""
    row, column = entries.row, entries.column
    rows, count = len(entries.rows), len(entries.columns)
    degree = np.bincount(column, minlength=count)
    lonely = (degree[column] == 1) & (found.store[column] == NOWHERE)
    least = np.full(rows, np.iinfo(np.int64).max)
    most = np.full(rows, NOWHERE, dtype=np.int64)
    np.minimum.at(least, row[~lonely], found.store[column[~lonely]])
    np.maximum.at(most, row[~lonely], found.store[column[~lonely]])
    equation = ledger.row_lower[entries.rows] == ledger.row_upper[entries.rows]
    one = (least == most) & (most >= 0) & ~found.chain & ~equation
    step = np.full((2, rows), NOWHERE, dtype=np.int64)
    level = found.level[column]
    decides = ~level & ~lonely
    np.maximum.at(step[0], row[decides], found.step[column[decides]])
    np.maximum.at(step[1], row[level], found.step[column[level]])
    found.row_store[one] = most[one]
    found.row_step[one] = np.where(step[0] >= 0, step[0], step[1])[one]
    adopted = lonely & one[row]
    found.store[column[adopted]] = found.row_store[row[adopted]]
    found.step[column[adopted]] = found.row_step[row[adopted]]


def _strange(found: _Found, ledger: Ledger, entries: Entries) -> Ints:
    """Rows that see of a store what they may not."""
    row, column = entries.row, entries.column
    owner, level = found.store[column], found.level[column]
    behind = found.row_step[row] - found.step[column]
    near = (behind == 0) | (level & (behind == 1))
    mine = found.row_store[row] >= 0
    wrong = mine & ((owner != found.row_store[row]) | ~near)
    wrong |= found.chain[row] & level & (behind == 0) & (entries.value != 1.0)
    wrong |= ~mine & (owner >= 0) & (found.port[column] == NOWHERE)
    equation = ledger.row_lower[entries.rows] == ledger.row_upper[entries.rows]
    wrong |= mine & (found.chain[row] != equation[row])
    return np.unique(row[wrong])


def _numbers(some: Ints, count: int) -> Ints:
    found = np.full(count, NOWHERE, dtype=np.int64)
    found[some] = np.arange(len(some))
    return found
