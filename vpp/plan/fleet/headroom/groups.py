"""Joint rows in groups, and how each group's rows count the ports of its stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger
from vpp.plan.fleet.headroom.owners import Entries, Owners
from vpp.plan.programme import Ints

MOST_ROWS = 4000
"""Joint rows of a group with those of the top that it meets: they are a dense matrix."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Some stores, their joint rows, and the rows of the top that they or their columns meet."""

    stores: Ints
    rows: Ints
    """Its own, then those of the top."""

    own: int
    """How many are its own."""

    counts: csr_array
    """What each row counts of the ports, step by step; shape (rows, T·P)."""

    at: Ints
    """Where each product of two entries of a column stands in the rows' matrix, flattened."""

    column: Ints
    """Of each product."""

    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """A row counts so much of a port in a group: row, group, step·P + port, value."""

    row: Ints
    group: Ints
    at: Ints
    value: Floats


def groups_of(
    ledger: Ledger,
    entries: Entries,
    owners: Owners,
    moving: Ints,
    matrix: csr_array,
    slack: Ints,
    port: Floats,
) -> tuple[Group, ...] | Ints:
    """The groups of a tree, or rows that count stores of a group in different ways.

    Args:
        ledger: Its programme says which rows join connection points.
        entries: What may move.
        owners: Whose it is.
        moving: The stores that move, rising.
        matrix: Of all columns, slacks among them, and all rows, nobody's among them.
        slack: The slack of each row.
        port: What each own column is of each port, shape (P, k, n, T).
    """
    joins = np.zeros(len(ledger.kind), dtype=bool)
    joins[ledger.programme.coupling] = True
    top = owners.joint & joins[entries.rows]
    inside = owners.joint & ~top
    count, rows = len(entries.columns), len(entries.rows)
    store = np.searchsorted(moving, owners.store)
    mine = owners.store[entries.column] >= 0
    node = rows + np.where(mine, count + store[entries.column], entries.column)
    size, some = rows + count + len(moving), inside[entries.row]
    links = csr_array((np.ones(some.sum()), (entries.row[some], node[some])), shape=(size, size))
    _, hung = connected_components(links, directed=False)
    names = np.unique(np.concatenate([hung[:rows][inside], hung[rows + count :]]))
    number = np.full(int(hung.max(initial=0)) + 1, NOWHERE, dtype=np.int64)
    number[names] = np.arange(len(names))
    row_group = np.where(inside, number[hung[:rows]], NOWHERE)
    store_group = number[hung[rows + count :]]
    seen = owners.joint[entries.row] & mine
    counted = _counted(entries, owners, seen, store, store_group, port)
    if not isinstance(counted, _Counted):
        return counted
    column_group = np.where(owners.store >= 0, -2, number[hung[rows : rows + count]])
    slacks = np.full(matrix.shape[1] - count, -2, dtype=np.int64)
    slacked = np.flatnonzero((slack[:-1] < slack[-1]) & owners.joint)
    slacks[slack[slacked] - count] = row_group[slacked]
    found = _filled(
        matrix.tocsc(),
        np.append(row_group, -2),
        np.append(top, False),
        store_group,
        np.concatenate([column_group, slacks]),
        counted,
        port.shape[0] * port.shape[3],
    )
    large = [one.rows[: one.own] for one in found if len(one.rows) > MOST_ROWS]
    return np.concatenate(large) if large else found


def _counted(
    entries: Entries, owners: Owners, seen: Bools, store: Ints, store_group: Ints, port: Floats
) -> _Counted | Ints:
    ports, _, n, steps = port.shape
    width, groups = steps * ports, max(int(store_group.max(initial=-1)) + 1, 1)
    row, column = entries.row[seen], entries.column[seen]
    worth = entries.value[seen] * owners.sign[column]
    place = owners.step[column] * ports + owners.port[column]
    # How many columns are of each port in each group: a row counts all of them, or none.
    there = np.zeros((groups, width))
    np.add.at(there, store_group, np.abs(port).sum(axis=1).transpose(1, 2, 0).reshape(n, width))
    key = (row * groups + store_group[store[column]]) * width + place
    names, of = np.unique(key, return_inverse=True)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(low, of, worth)
    np.maximum.at(high, of, worth)
    at, group, rows = names % width, names // width % groups, names // width // groups
    bad = (low != high) | (np.bincount(of, minlength=len(names)) != there[group, at])
    return np.unique(rows[bad]) if bad.any() else _Counted(rows, group, at, low)


def _filled(
    matrix: csr_array,
    row_group: Ints,
    top: Bools,
    store_group: Ints,
    column_group: Ints,
    counted: _Counted,
    width: int,
) -> tuple[Group, ...]:
    groups = max(int(row_group.max(initial=-1)), int(store_group.max(initial=-1))) + 1
    rows, stores, columns, counts = (
        _sorted(one, groups) for one in (row_group, store_group, column_group, counted.group)
    )
    found, place = [], np.full(len(row_group), NOWHERE, dtype=np.int64)
    for g in (*range(groups), NOWHERE):
        own = rows[g] if g >= 0 else rows[NOWHERE][:0]
        count = counts[g] if g >= 0 else counts[NOWHERE][:0]
        mine = columns[g]
        part = matrix[:, mine]
        row, column = part.indices, np.repeat(np.arange(len(mine)), np.diff(part.indptr))
        met = np.concatenate([row, counted.row[count]])
        all_rows = np.concatenate([own, np.unique(met[top[met]])])
        place[all_rows] = np.arange(len(all_rows))
        first, second = _pairs(column, len(mine))
        found.append(
            Group(
                stores=stores[g] if g >= 0 else stores[NOWHERE][:0],
                rows=all_rows,
                own=len(own),
                counts=csr_array(
                    (counted.value[count], (place[counted.row[count]], counted.at[count])),
                    shape=(len(all_rows), width),
                ),
                at=place[row[first]] * len(all_rows) + place[row[second]],
                column=mine[column[first]],
                value=part.data[first] * part.data[second],
            )
        )
    return tuple(found)


def _sorted(group: Ints, groups: int) -> dict[int, Ints]:
    """The members of each group, and of `NOWHERE`."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(NOWHERE, groups + 1))
    return {g: order[starts[g + 1] : starts[g + 2]] for g in range(NOWHERE, groups)}


def _pairs(column: Ints, columns: int) -> tuple[Ints, Ints]:
    """Every two entries of one column, each with itself too, of entries sorted by column."""
    many = np.bincount(column, minlength=columns)
    start, repeat = np.cumsum(many) - many, many[column]
    first = np.repeat(np.arange(len(column)), repeat)
    behind = np.arange(len(first)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    return first, start[column[first]] + behind
