"""A programme in parts: columns and rows that meet nowhere are solved apart.

Nothing joins enterprises that only share a market price they cannot move: their rows and columns
form blocks. A solver does not see that by itself, and the time of a simplex grows faster than the
programme: fifty blocks of twenty batteries each take less than half the time of the whole, and may
be solved beside one another (`Workers`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from vpp.plan.programme import Ints, LinearProgramme

LEAST_NONZEROS = 3000
"""Smaller blocks are bunched: each call of the solver costs about a millisecond by itself."""

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


def blocks(matrix: csr_array) -> Ints:
    """The block of each row, then of each column, numbered by their first rows."""
    rows, columns = matrix.shape
    indptr = np.concatenate([matrix.indptr, np.full(columns, matrix.indptr[-1])])
    graph = csr_array(
        (np.ones(matrix.nnz, dtype=np.int8), matrix.indices + rows, indptr),
        shape=(rows + columns, rows + columns),
    )
    found: Ints = connected_components(graph, directed=True, connection="weak")[1]
    _, first = np.unique(found, return_index=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[found]


def _bunched(label: Ints, matrix: csr_array, least_nonzeros: int) -> Ints:
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


def _grouped(label: Ints, count: int) -> tuple[Ints, Ints]:
    """Members by label, rising, and where each label's begin; shapes (n,), (count + 1,)."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=count))])
    return np.argsort(label, kind="stable"), ends
