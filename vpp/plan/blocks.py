"""Blocks of numbers as they are given, and the arrays that they become: nothing is written twice.

A block keeps what it was given, before that broadcasts: one efficiency stands for all steps of a battery. Only at
the end, when it is known how long everything is, each array is made, once, and filled block by block. What was
given must not be changed until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpp.model.horizon import Floats

Ints = NDArray[np.int64]
NONE_BELOW: Ints = np.zeros((), dtype=np.int64)
Number = TypeVar("Number", bound=np.generic)


@dataclass(slots=True)
class Sides:
    """Bounds of columns, or sides of rows, as they are added."""

    count: int = 0
    _lower: list[Floats] = field(default_factory=list)
    _upper: list[Floats] = field(default_factory=list)
    _shapes: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, shape: tuple[int, ...], lower: float | Floats, upper: float | Floats) -> Ints:
        """Number a block in `shape`; both sides broadcast to it."""
        index = np.arange(self.count, self.count + int(np.prod(shape))).reshape(shape)
        self.count += index.size
        self._shapes.append(shape)
        for values, store in ((lower, self._lower), (upper, self._upper)):
            store.append(np.asarray(values, dtype=float))
        return index

    def arrays(self) -> tuple[Floats, Floats]:
        """Lower and upper sides of all blocks, shapes (count,)."""
        return (
            filled(self._lower, self._shapes, np.float64),
            filled(self._upper, self._shapes, np.float64),
        )


@dataclass(slots=True)
class Entries:
    """What stands where in a matrix, as it is put; what is put twice in one place adds up."""

    _rows: list[tuple[Ints, Ints]] = field(default_factory=list)
    """First rows, and how many below them."""

    _columns: list[Ints] = field(default_factory=list)
    _values: list[Floats] = field(default_factory=list)
    _shapes: list[tuple[int, ...]] = field(default_factory=list)

    def put(
        self, rows: Ints, columns: Ints, values: float | Floats, *, below: Ints = NONE_BELOW
    ) -> None:
        """Values at (rows + below, columns); all four broadcast together."""
        numbers = np.asarray(values, dtype=float)
        self._shapes.append(np.broadcast(rows, below, columns, numbers).shape)
        self._rows.append((rows, below))
        self._columns.append(columns)
        self._values.append(numbers)

    def __iter__(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Rows, columns and values of each block, shapes (n,)."""
        blocks = zip(self._rows, self._columns, self._values, self._shapes, strict=True)
        for (rows, below), columns, values, shape in blocks:
            yield (
                np.broadcast_to(rows + below, shape).ravel(),
                np.broadcast_to(columns, shape).ravel(),
                np.broadcast_to(values, shape).ravel(),
            )

    def matrix(self, shape: tuple[int, int]) -> csr_array:
        """All of it, each place once."""
        if not self._shapes:
            return csr_array(shape)
        count = sum(int(np.prod(block)) for block in self._shapes)
        # Half the memory of what numpy counts with, wherever that suffices.
        small = max(count, *shape) <= np.iinfo(np.int32).max
        index = np.int32 if small else np.int64
        rows = filled([first for first, _ in self._rows], self._shapes, index)
        at = 0
        for (_, below), block in zip(self._rows, self._shapes, strict=True):
            size = int(np.prod(block))
            if below is not NONE_BELOW:
                some = rows[at : at + size].reshape(block)
                np.add(some, below.astype(index), out=some)
            at += size
        columns = filled(self._columns, self._shapes, index)
        values = filled(self._values, self._shapes, np.float64)
        return csr_array((values, (rows, columns)), shape=shape)


class Flows:
    """A matrix that is hardly ever more than multiplied with, and made only where it is."""

    def __init__(self, entries: Entries, shape: tuple[int, int]) -> None:
        """What has been put into `entries`, and nothing more, in `shape`."""
        self._entries, self.shape = entries, shape

    @cached_property
    def matrix(self) -> csr_array:
        """All of it, each place once."""
        return self._entries.matrix(self.shape)

    def __matmul__(self, x: Floats) -> Floats:
        """The matrix times values of its columns, shape (rows,)."""
        found = np.zeros(self.shape[0])
        for rows, columns, values in self._entries:
            np.add.at(found, rows, values * x[columns])
        return found


@dataclass(slots=True)
class Prices:
    """What columns cost for one cause, block by block; what is priced twice adds up."""

    _columns: list[Ints] = field(default_factory=list)
    _per_unit: list[Floats] = field(default_factory=list)

    def add(self, columns: Ints, per_unit: float | Floats) -> None:
        """Each unit of `columns` costs `per_unit` more; the two broadcast."""
        self._columns.append(columns)
        self._per_unit.append(np.asarray(per_unit, dtype=float))

    def __iter__(self) -> Iterator[tuple[Ints, Floats]]:
        """Columns and what a unit of each costs, of each block, shapes (n,)."""
        for columns, per_unit in zip(self._columns, self._per_unit, strict=True):
            shape = np.broadcast(columns, per_unit).shape
            yield (
                np.broadcast_to(columns, shape).ravel(),
                np.broadcast_to(per_unit, shape).ravel(),
            )

    @property
    def columns(self) -> Ints:
        """Those that cost something for this cause, shape (n,)."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(columns for columns, _ in self)])

    def cost(self, x: Floats) -> float:
        """What values of the columns cost."""
        return float(sum(per_unit @ x[columns] for columns, per_unit in self))


def filled(
    given: Sequence[NDArray[Any]], shapes: Sequence[tuple[int, ...]], dtype: type[Number]
) -> NDArray[Number]:
    """Blocks one after the other, each broadcast to its shape; shape (Σ sizes,)."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    found = np.empty(sum(sizes), dtype=dtype)
    at = 0
    for block, shape, size in zip(given, shapes, sizes, strict=True):
        found[at : at + size].reshape(shape)[...] = block
        at += size
    return found
