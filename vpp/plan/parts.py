"""A programme in parts: columns and rows that meet nowhere are solved apart.

Nothing joins enterprises that only share a market price they cannot move: their rows and columns
form blocks. A solver does not see that by itself, and the time of a simplex grows faster than the
programme: fifty blocks of twenty batteries each take less than half the time of the whole, and may
be solved beside one another (`Workers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from vpp.plan.programme import Ints, LinearProgramme

LEAST_NONZEROS = 3000
"""Smaller blocks are bunched: each call of the solver costs about a millisecond by itself."""

AT_ONCE = 2**17
"""Entries of a matrix that are looked at together: their arrays stay in the cache."""

Kept: TypeAlias = Callable[[int, int], NDArray[np.bool_]]
Narrow: TypeAlias = NDArray[np.int32]
"""Of what is as long as a programme."""

Answer = TypeVar("Answer")


class Workers(Protocol):
    """Who solves: begins tasks, perhaps beside one another. A task begins no other."""

    @property
    def count(self) -> int:
        """How many tasks run at once."""
        ...

    def begin(self, task: Callable[[], Answer]) -> Callable[[], Answer]:
        """Begin a task; what comes back waits for its answer, and raises what it raised."""
        ...


@dataclass(frozen=True, slots=True)
class Alone:
    """One pair of hands: a task is done when its answer is asked for."""

    count: int = 1

    def begin(self, task: Callable[[], Answer]) -> Callable[[], Answer]:
        return task


ALONE = Alone()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some columns, and the rows in which they alone stand, both rising."""

    columns: Ints
    rows: Ints
    programme: LinearProgramme
    """The same, by themselves."""


def parts_of(programme: LinearProgramme, *, least_nonzeros: int = LEAST_NONZEROS) -> list[Part]:
    """The programme's blocks, in the order of their first rows.

    Blocks follow each other into one part until it holds `least_nonzeros`; 0 keeps all apart. Rows
    without any column, and columns without any row, are part of some part.
    """
    matrix = programme.matrix
    rows, columns = matrix.shape
    label = _bunched(blocks(matrix), matrix, least_nonzeros)
    count = int(label.max(initial=-1)) + 1
    row_order, row_ends = _grouped(label[:rows], count)
    column_order, column_ends = _grouped(label[rows:], count)
    place = np.empty(columns, dtype=matrix.indices.dtype)
    first = np.repeat(column_ends[:-1], np.diff(column_ends))
    place[column_order] = np.arange(columns) - first
    ordered = matrix[row_order]
    indices, starts = place[ordered.indices], ordered.indptr
    found = []
    for i in range(count):
        mine = row_order[row_ends[i] : row_ends[i + 1]]
        theirs = column_order[column_ends[i] : column_ends[i + 1]]
        indptr = starts[row_ends[i] : row_ends[i + 1] + 1]
        inside = slice(indptr[0], indptr[-1])
        found.append(
            Part(
                columns=theirs,
                rows=mine,
                programme=LinearProgramme(
                    cost=programme.cost[theirs],
                    lower=programme.lower[theirs],
                    upper=programme.upper[theirs],
                    matrix=csr_array(
                        (ordered.data[inside], indices[inside], indptr - indptr[0]),
                        shape=(len(mine), len(theirs)),
                    ),
                    row_lower=programme.row_lower[mine],
                    row_upper=programme.row_upper[mine],
                ),
            )
        )
    return found


def largest_first(parts: Sequence[Part]) -> list[int]:
    """The order in which to begin: so that nobody waits long for the last one."""
    return sorted(range(len(parts)), key=lambda i: -parts[i].programme.matrix.nnz)


def blocks(matrix: csr_array, *, kept: Kept | None = None) -> Narrow:
    """The block of each row, then of each column, numbered by their first rows.

    `kept` says which entries count, from one place of the matrix to another; left out: all.

    Rows that have a column in common hang together. Those of a store stand one below the other, each with a
    column of the one before: they are one run before anything is searched, which leaves little to search.
    """
    rows, columns = matrix.shape
    first = np.full(columns, rows, dtype=np.int32)
    """The first row of each column."""
    spans = list(spans_of(matrix.indptr))
    for span in reversed(spans):
        row, column = _placed(matrix, kept, *span)
        first[column[::-1]] = row[::-1]
    below = np.zeros(rows, dtype=bool)
    pairs = [np.zeros((2, 0), dtype=np.int32)]
    for span in spans:
        row, column = _placed(matrix, kept, *span)
        above = first[column]
        below[row[above == row - 1]] = True
        far = above < row - 1
        pairs.append(_unlike(row[far], above[far]))
    run = np.cumsum(~below, dtype=np.int32) - np.int32(1)
    one, other = run[np.hstack(pairs)]
    runs = int(run[-1]) + 1 if rows else 0
    graph = csr_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(runs, runs))
    label = connected_components(graph, directed=False)[1][run] if runs else run
    return _numbered(label, first)


def spans_of(starts: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Rows after each other with about `AT_ONCE` entries; `starts` says where each begins, shape (n + 1,)."""
    first, count = 0, len(starts) - 1
    while first < count:
        after = int(np.searchsorted(starts, starts[first] + AT_ONCE))
        last = min(max(after, first + 1), count)
        yield first, last
        first = last


def _placed(matrix: csr_array, kept: Kept | None, first: int, last: int) -> tuple[Narrow, Narrow]:
    """Row and column of the entries of some rows."""
    starts = matrix.indptr[first : last + 1]
    row = np.repeat(np.arange(first, last, dtype=np.int32), np.diff(starts))
    column = matrix.indices[starts[0] : starts[-1]]
    if kept is None:
        return row, column
    mask = kept(int(starts[0]), int(starts[-1]))
    return row[mask], column[mask]


def _unlike(one: Narrow, other: Narrow) -> Narrow:
    """Pairs, shape (2, n), without those that are like the one before."""
    new = np.ones(len(one), dtype=bool)
    new[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return np.array([one[new], other[new]], dtype=np.int32)


def _numbered(label: Narrow, first: Narrow) -> Narrow:
    """Labels of rows, then of columns by the first row of each, in the order in which they come."""
    rows, columns = len(label), len(first)
    count = int(label.max(initial=-1)) + 1
    begins = np.empty(count, dtype=np.int64)
    begins[label[::-1]] = np.arange(rows)[::-1]
    number = np.empty(count, dtype=np.int32)
    number[np.argsort(begins)] = np.arange(count)
    found = np.empty(rows + columns, dtype=np.int32)
    found[:rows] = number[label]
    alone = first == rows
    some = np.flatnonzero(~alone)
    found[rows + some] = found[first[some]]
    found[rows:][alone] = count + np.arange(len(first) - len(some))
    return found


def _bunched(label: Narrow, matrix: csr_array, least_nonzeros: int) -> Ints | Narrow:
    """Blocks that follow each other under one number, until it holds enough."""
    if not least_nonzeros:
        return label
    sizes = np.bincount(label[: matrix.shape[0]], np.diff(matrix.indptr), label.max(initial=-1) + 1)
    bunch = np.zeros(len(sizes), dtype=np.int64)
    number, held = 0, 0.0
    for block, size in enumerate(sizes.tolist()):
        if held >= least_nonzeros and size:
            number, held = number + 1, 0.0
        bunch[block] = number
        held += size
    return bunch[label]


def _grouped(label: Ints | Narrow, count: int) -> tuple[Ints, Ints]:
    """Members by label, rising, and where each label's begin; shapes (n,), (count + 1,)."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=count))])
    return np.argsort(label, kind="stable"), ends
