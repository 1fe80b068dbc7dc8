"""What of a compiled programme may still move: the entries that have to find a place in a forest.

A column whose bounds meet is left out, and what it holds is taken to the sides of its rows. Columns have
roles, rows have kinds; what the compiled park does not name is recognised by what stands in its rows:

    slack    a priced column of one row alone      its row is a limit that may be broken, or a wish
    plain    any other column                      it feeds a balance, and may stand in one more row

Entries stay where they are, in the programme's matrix. Who wants some of them asks for those of some rows, or
gets them a million at a time (`chunks`): a hundred thousand resources have forty million.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.parts import Narrow, blocks, spans_of
from vpp.plan.programme import Ints, Programme

Bools: TypeAlias = NDArray[np.bool_]
SomeInts: TypeAlias = NDArray[np.signedinteger[Any]]
"""Of any width: what is as long as the programme has no more than it needs."""

NOWHERE = -1


def summed(at: SomeInts, values: NDArray[Any], count: int) -> Floats:
    """The sum of the values at each number below `count`, shape (count,)."""
    total: Floats = np.bincount(at, values, count).astype(np.float64)
    return total


class Role(IntEnum):
    """What a column is to the forest."""

    PLAIN = 0
    IMPORT = 1
    EXPORT = 2
    LEVEL = 3
    INTO = 4
    OUT = 5


class RowKind(IntEnum):
    """What a row is to the forest."""

    SIDE = 0
    """To be recognised."""

    BUS = 1
    CHAIN = 2
    """The balance of a store."""

    ROOM = 3
    """What a car park may draw in a step."""


class Entries(NamedTuple):
    """What stands where, in order of rows, then of columns; shape (n,)."""

    row: Ints
    column: Ints
    value: Floats

    def only(self, mask: Bools) -> Entries:
        """Some of them, shape (n,)."""
        return Entries(self.row[mask], self.column[mask], self.value[mask])


class Ledger:
    """Entries of the columns that may move, in order of rows; roles and kinds as they are found."""

    def __init__(
        self,
        programme: Programme,
        lower: Floats,
        upper: Floats,
        columns: Bools,
        *,
        one_way: bool = True,
    ) -> None:
        """`columns` are those that are looked at; `lower` and `upper` may be tighter than the programme's.

        `one_way`: which way stores go is left to whoever solves the forest, and stands in no row; where it
        is held, the other way is.
        """
        self.programme = programme
        self.lower, self.cost = lower, programme.cost
        self._given_upper, self._bounded = upper, (_NONE, np.zeros(0))
        matrix = programme.matrix
        matrix.sort_indices()
        moves = lower < upper
        held = matrix @ np.where(moves, 0.0, lower)
        some = bool(held.any())
        self.row_lower = programme.row_lower - held if some else programme.row_lower
        self.row_upper = programme.row_upper - held if some else programme.row_upper
        self.free = moves & columns
        rows = matrix.shape[0]
        dropped = np.zeros(rows, dtype=bool)
        if one_way and programme.ways.size:
            dropped = self._hold_ways()
        self.role = np.zeros(len(lower), dtype=np.int8)
        self.place = np.full(len(lower), NOWHERE, dtype=np.int32)
        """Point, or store."""

        self.step = np.full(len(lower), NOWHERE, dtype=np.int32)
        self.kind = np.zeros(rows, dtype=np.int8)
        self.bus = np.full(rows, NOWHERE, dtype=np.int32)
        self.row_step = np.full(rows, NOWHERE, dtype=np.int32)
        self.used: Bools = ~dropped
        """Rows in which something may move."""
        for first, last in spans_of(matrix.indptr):
            self.used[first:last] &= self._moving(first, last)

    def _kept(self, first: int, last: int) -> Bools:
        """Which entries from one place of the matrix to another may move."""
        matrix = self.programme.matrix
        kept: Bools = self.free[matrix.indices[first:last]]
        kept &= matrix.data[first:last] != 0
        return kept

    def _moving(self, first: int, last: int) -> Bools:
        """In which rows from one to another something may move."""
        starts = self.programme.matrix.indptr[first : last + 1]
        upto = np.zeros(starts[-1] - starts[0] + 1, dtype=np.int32)
        np.cumsum(self._kept(starts[0], starts[-1]), out=upto[1:])
        found: Bools = np.diff(upto[starts - starts[0]]) > 0
        return found

    def _hold_ways(self) -> Bools:
        """Take the decisions on ways out; which rows stood for them."""
        way, into, out = self.programme.ways
        matrix = self.programme.matrix
        decides = np.zeros(len(self.lower), dtype=bool)
        decides[way] = True
        at = np.flatnonzero(decides[matrix.indices])
        rows = np.searchsorted(matrix.indptr, at, side="right") - 1
        found = np.zeros(matrix.shape[0], dtype=bool)
        found[rows] = True
        # Of the two rows of a way the first bounds what fills, the second what empties.
        first = np.full(len(self.lower), matrix.shape[0], dtype=np.int64)
        second = np.zeros(len(self.lower), dtype=np.int64)
        np.minimum.at(first, matrix.indices[at], rows)
        np.maximum.at(second, matrix.indices[at], rows)
        taken = ~(self.lower[way] < self.upper[way])
        for column, row in ((into, first[way]), (out, second[way])):
            bounded = np.minimum(self.upper[column[taken]], self.row_upper[row[taken]])
            self.upper[column[taken]] = np.maximum(bounded, self.lower[column[taken]])
        self.free &= (self.lower < self.upper) & ~decides
        return found

    def name(self, columns: Ints, role: Role) -> None:
        """Give columns of shape (k, T) a role; the row of each in that shape is its place."""
        shown = columns >= 0
        if not shown.any():
            return
        every = bool(shown.all())
        for found, said in (
            (self.role, np.int8(role)),
            (self.place, np.arange(columns.shape[0], dtype=np.int32)[:, None]),
            (self.step, np.arange(columns.shape[1], dtype=np.int32)),
        ):
            if every:
                found[columns] = said
            else:
                found[columns[shown]] = np.broadcast_to(said, columns.shape)[shown]

    # ------------------------------------------------------------ entries

    def inside(self, rows: Ints) -> tuple[Entries, Ints]:
        """What may move in some rows, row by row, and which of them each entry stands in; shape (n,)."""
        rows = rows.ravel()
        matrix = self.programme.matrix
        starts = matrix.indptr[rows]
        lengths = np.where(self.used[rows], matrix.indptr[rows + 1] - starts, 0)
        ends = np.cumsum(lengths)
        at = np.repeat(np.arange(len(rows)), lengths)
        place = np.arange(len(at)) + (starts - ends + lengths)[at]
        column, value = matrix.indices[place], matrix.data[place]
        kept = self.free[column] & (value != 0)
        if not kept.all():
            at, column, value = at[kept], column[kept], value[kept]
        return Entries(rows[at], column.astype(np.int64), value), at

    def chunks(self, rows: Ints) -> Iterator[Entries]:
        """What may move in some rows, rising, row by row: each row's in one piece."""
        indptr = self.programme.matrix.indptr
        ends = np.cumsum(indptr[rows + 1] - indptr[rows])
        for first, last in spans_of(np.append(0, ends)):
            yield self.inside(rows[first:last])[0]

    def entries(self, rows: Ints, columns: Bools | None = None) -> Entries:
        """What may move in some rows, rising, of `columns`, shape (columns,), or of all."""
        found = self.chunks(rows)
        if columns is not None:
            found = (some.only(columns[some.column]) for some in found)
        nothing = Entries(_NONE, _NONE, np.zeros(0))
        return Entries(*(np.concatenate(each) for each in zip(nothing, *found, strict=True)))

    @cached_property
    def plain(self) -> Entries:
        """What stands in balances and has no other role. Asked once roles and kinds are known."""
        return self.entries(self.of_kind(RowKind.BUS), self.role == Role.PLAIN)

    @cached_property
    def aside(self) -> Entries:
        """What stands neither in a balance nor in a store's chain. Asked once kinds are known."""
        return self.entries(self.of_kind(RowKind.SIDE, RowKind.ROOM))

    @cached_property
    def meets_bus(self) -> Bools:
        """Plain columns that stand in a balance, shape (columns,). Asked once roles and kinds are known."""
        return self.among(self.plain.column)

    def standing(self) -> Bools:
        """Columns that stand in some row, shape (columns,)."""
        found = np.zeros(len(self.free), dtype=bool)
        for some in self.chunks(np.flatnonzero(self.used)):
            found[some.column] = True
        return found

    def among(self, columns: Ints) -> Bools:
        """Which columns are among some, shape (columns,)."""
        found = np.zeros(len(self.free), dtype=bool)
        found[columns] = True
        return found

    def repeated(self, columns: Ints) -> Bools:
        """Which columns are more than once among some, shape (columns,)."""
        number = np.arange(len(columns))
        last = np.empty(
            len(self.free), dtype=np.int64
        )  # read where it was written, and nowhere else
        last[columns] = number
        return self.among(columns[last[columns] != number])

    @cached_property
    def upper(self) -> Floats:
        """Upper bounds of the columns, with those that the fit gives to what has none; shape (columns,)."""
        found = self._given_upper.copy()
        columns, most = self._bounded
        found[columns] = most
        return found

    def forget(self) -> None:
        """Let go of what is as long as the programme and nobody asks while the forest is solved."""
        columns = np.flatnonzero(self.upper != self._given_upper)
        self._bounded = columns, self.upper[columns]
        del self.upper
        del self.plain, self.meets_bus, self.place, self.step, self.row_step

    def of_kind(self, *kinds: RowKind) -> Ints:
        """The rows of some kinds, rising."""
        return np.flatnonzero(np.isin(self.kind, kinds))

    def blocks(self) -> Narrow:
        """The tree of each row, then of each column, by what may move (`parts.blocks`)."""
        return blocks(self.programme.matrix, kept=self._kept)

    # ------------------------------------------------------------ sums

    def of_rows(self, x: Floats) -> Floats:
        """What stands in each row where columns that may move have some values; shape (rows,)."""
        found: Floats = self.programme.matrix @ np.where(self.free, x, 0.0)
        found[~self.used] = 0.0
        return found

    def sizes(self, x: Floats) -> Floats:
        """The sum of the sizes of what stands in each row; shape (rows,)."""
        matrix, size = self.programme.matrix, np.abs(np.where(self.free, x, 0.0))
        found = np.zeros(len(self.used))
        for first, last in spans_of(matrix.indptr):
            inside = slice(matrix.indptr[first], matrix.indptr[last])
            held = np.abs(matrix.data[inside])
            held *= size[matrix.indices[inside]]
            upto = matrix.indptr[first:last] - inside.start
            some = np.flatnonzero(np.diff(matrix.indptr[first : last + 1]))
            found[first + some] = np.add.reduceat(held, upto[some]) if len(some) else 0.0
        found[~self.used] = 0.0
        return found

    def left(self, price: Floats) -> Floats:
        """The cost of each column less what its rows are worth, shape (columns,); `price` is shape (rows,).

        Means nothing where a column may not move.
        """
        found: Floats = self.cost - self.programme.matrix.T @ np.where(self.used, price, 0.0)
        return found


_NONE = np.zeros(0, dtype=np.int64)
