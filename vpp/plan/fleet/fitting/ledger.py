"""What of a compiled programme may still move: the entries that have to find a place in a forest.

A column whose bounds meet is left out, and what it holds is taken to the sides of its rows. Columns have
roles, rows have kinds; what the compiled park does not name is recognised by what stands in its rows:

    slack    a priced column of one row alone      its row is a limit that may be broken, or a wish
    plain    any other column                      it feeds a balance, and may stand in one more row
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.plan.programme import Ints, Programme

Bools: TypeAlias = NDArray[np.bool_]

NOWHERE = -1


def summed(at: Ints, values: NDArray[Any], count: int) -> Floats:
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
        self.lower, self.upper, self.cost = lower, upper.copy(), programme.cost
        matrix = programme.matrix
        matrix.sort_indices()
        held = matrix @ np.where(lower < upper, 0.0, lower)
        self.row_lower = programme.row_lower - held
        self.row_upper = programme.row_upper - held
        self.free = (lower < upper) & columns
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        kept = self.free[matrix.indices] & (matrix.data != 0)
        if one_way and programme.ways.size:
            kept &= ~self._hold_ways(rows)[rows]
            kept &= self.free[matrix.indices]
        self.row: Ints = rows[kept]
        self.column: Ints = matrix.indices[kept].astype(np.int64)
        self.value: Floats = matrix.data[kept]
        self._key = self.row * len(lower) + self.column
        self.role = np.zeros(len(lower), dtype=np.int8)
        self.place = np.full(len(lower), NOWHERE, dtype=np.int64)
        """Point, or store."""

        self.step = np.full(len(lower), NOWHERE, dtype=np.int64)
        self.kind = np.zeros(matrix.shape[0], dtype=np.int8)
        self.bus = np.full(matrix.shape[0], NOWHERE, dtype=np.int64)
        self.row_step = np.full(matrix.shape[0], NOWHERE, dtype=np.int64)
        self.used = np.bincount(self.row, minlength=matrix.shape[0]) > 0
        """Rows in which something may move."""

    def _hold_ways(self, rows: Ints) -> Bools:
        """Take the decisions on ways out; which rows stood for them."""
        way, into, out = self.programme.ways
        matrix = self.programme.matrix
        decides = np.zeros(len(self.lower), dtype=bool)
        decides[way] = True
        at = np.flatnonzero(decides[matrix.indices])
        found = np.zeros(matrix.shape[0], dtype=bool)
        found[rows[at]] = True
        # Of the two rows of a way the first bounds what fills, the second what empties.
        first = np.full(len(self.lower), matrix.shape[0], dtype=np.int64)
        second = np.zeros(len(self.lower), dtype=np.int64)
        np.minimum.at(first, matrix.indices[at], rows[at])
        np.maximum.at(second, matrix.indices[at], rows[at])
        taken = ~(self.lower[way] < self.upper[way])
        for column, row in ((into, first[way]), (out, second[way])):
            bounded = np.minimum(self.upper[column[taken]], self.row_upper[row[taken]])
            self.upper[column[taken]] = np.maximum(bounded, self.lower[column[taken]])
        self.free &= (self.lower < self.upper) & ~decides
        return found

    def of(self, rows: Ints, columns: Ints) -> Floats:
        """Coefficients at (rows, columns), which broadcast; 0 where nothing moves."""
        rows, columns = np.broadcast_arrays(rows, columns)
        wanted = rows * len(self.lower) + columns
        at = np.minimum(np.searchsorted(self._key, wanted), max(len(self._key) - 1, 0))
        if not len(self._key):
            return np.zeros(rows.shape)
        found: Floats = np.where((self._key[at] == wanted) & (columns >= 0), self.value[at], 0.0)
        return found

    def name(self, columns: Ints, role: Role) -> None:
        """Give columns of shape (k, T) a role; the row of each in that shape is its place."""
        shown = columns >= 0
        place, step = np.broadcast_arrays(
            np.arange(columns.shape[0])[:, None], np.arange(columns.shape[1])
        )
        self.role[columns[shown]] = role
        self.place[columns[shown]] = place[shown]
        self.step[columns[shown]] = step[shown]

    def matrix(self) -> csr_array:
        """The entries as a matrix in the programme's shape."""
        shape = self.programme.matrix.shape
        return csr_array((self.value, (self.row, self.column)), shape=shape)

    def count(self, entries: Bools) -> Ints:
        """How many of some entries stand in each row."""
        return np.bincount(self.row[entries], minlength=len(self.kind))

    def degree(self, entries: Bools) -> Ints:
        """How many of some entries stand in each column."""
        return np.bincount(self.column[entries], minlength=len(self.role))
