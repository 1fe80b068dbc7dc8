"""Blocks of numbers as they are given, and the arrays that they become: nothing is written twice.

A block keeps what it was given, before that broadcasts: one efficiency stands for all steps of a battery. Only at
the end, when it is known how long everything is, each array is made, once, and filled block by block. What was
given must not be changed until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from vpp.model.horizon import Floats

Ints = NDArray[np.int64]
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

    _rows: list[Ints] = field(default_factory=list)
    _columns: list[Ints] = field(default_factory=list)
    _values: list[Floats] = field(default_factory=list)
    _shapes: list[tuple[int, ...]] = field(default_factory=list)

    def put(self, rows: Ints, columns: Ints, values: float | Floats) -> None:
        """Values at (rows, columns); all three broadcast together."""
        numbers = np.asarray(values, dtype=float)
        self._shapes.append(np.broadcast(rows, columns, numbers).shape)
        self._rows.append(rows)
        self._columns.append(columns)
        self._values.append(numbers)

    def __iter__(self) -> Iterator[tuple[Ints, Ints, Floats]]:
        """Rows, columns and values of each block, shapes (n,)."""
        blocks = zip(self._rows, self._columns, self._values, self._shapes, strict=True)
        for rows, columns, values, shape in blocks:
            yield (
                np.broadcast_to(rows, shape).ravel(),
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
        rows = filled(self._rows, self._shapes, index)
        columns = filled(self._columns, self._shapes, index)
        values = filled(self._values, self._shapes, np.float64)
        return csr_array((values, (rows, columns)), shape=shape)


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
