"""A tree in the shape that the normal equations want: stores of equal width, groups of joint rows, the top.

    group    joint rows that hang together once the rows that join connection points are left out
    top      the rows that do join them: market, what is owed of reserve, limits of several points

Every row that is no equation has a slack of its own, at -1, with the row's sides as bounds. Behind the columns
stand the slacks, then nobody's column; behind the rows nobody's row. Stores have as many columns and rows in
each step as the one with most of them: nobody's fill the places that are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import Chains
from vpp.plan.fleet.fitting.ledger import NOWHERE, Ledger
from vpp.plan.fleet.headroom.groups import Group, groups_of
from vpp.plan.fleet.headroom.owners import Entries, Owners, owners_of
from vpp.plan.programme import Ints

MOST_PLACES = 20_000_000
"""Coefficients of all stores' own rows. A thousand stores of 70 in each quarter of a day took 1.8 GB, all told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stores:
    """Own columns and rows of n stores in T steps, k columns and m rows each, P ports."""

    level: Ints
    """Column, shape (n, T)."""

    own: Ints
    """Columns, shape (k, n, T)."""

    chain: Ints
    """Row, shape (n, T)."""

    rows: Ints
    """Shape (m, n, T)."""

    slack: Ints
    """Column of each of them, shape (m, n, T)."""

    keep: Floats
    """What is left of the level before, shape (n, T)."""

    a: Floats
    """What a unit of each column adds to the level, shape (k, n, T)."""

    g: Floats
    """Coefficients of the rows, shape (m, k, n, T)."""

    after: Floats
    """Those of the level after the step, shape (m, n, T)."""

    before: Floats
    port: Floats
    """What a unit of each column is of each port, shape (P, k, n, T)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """minimise cost·x, lower <= x <= upper, matrix x = right."""

    columns: Ints
    """Of the programme, those before the slacks."""

    rows: Ints
    """Of the programme, all but the last."""

    cost: Floats
    lower: Floats
    upper: Floats
    matrix: csr_array
    right: Floats
    stores: Stores
    joint: Ints
    """Rows of groups and of the top."""

    groups: tuple[Group, ...]
    """The last one is that of the columns that stand in the top alone."""

    top: Ints
    """Rows."""


def shape_of(ledger: Ledger, chains: Chains) -> Shape | Ints:
    """The tree in this shape, or rows of the programme that keep it from being."""
    entries = Entries.of(ledger)
    owners = owners_of(ledger, entries, chains)
    if len(owners.strange) or not (owners.store >= 0).any():
        return entries.rows[owners.strange]
    low, high = ledger.row_lower[entries.rows], ledger.row_upper[entries.rows]
    slacked = np.flatnonzero(low < high)
    count, rows = len(entries.columns), len(entries.rows)
    slack = np.full(rows + 1, count + len(slacked), dtype=np.int64)
    slack[slacked] = count + np.arange(len(slacked))
    matrix = _matrix(entries, slacked, slack)
    moving = np.unique(owners.store[owners.store >= 0])
    ports = 1 + len(ledger.programme.fleet.reserve)
    places = _places(owners, moving, chains.rows.shape[1])
    if places.k * places.m * places.n * chains.rows.shape[1] > MOST_PLACES:
        return entries.rows[places.rows]
    stores = _stores(entries, owners, places, chains.rows[moving], slack, ports)
    groups = groups_of(ledger, entries, owners, moving, matrix, slack, stores.port)
    if not isinstance(groups, tuple):
        return entries.rows[groups]
    joins = np.zeros(len(ledger.kind), dtype=bool)
    joins[ledger.programme.coupling] = True
    nothing = np.zeros(1)
    return Shape(
        columns=entries.columns,
        rows=entries.rows,
        cost=np.concatenate([ledger.cost[entries.columns], np.zeros(len(slacked)), nothing]),
        lower=np.concatenate([ledger.lower[entries.columns], low[slacked], nothing]),
        upper=np.concatenate([ledger.upper[entries.columns], high[slacked], nothing]),
        matrix=matrix,
        right=np.append(np.where(low < high, 0.0, low), 0.0),
        stores=stores,
        joint=np.flatnonzero(owners.joint),
        groups=groups,
        top=np.flatnonzero(owners.joint & joins[entries.rows]),
    )


def _matrix(entries: Entries, slacked: Ints, slack: Ints) -> csr_array:
    value = np.concatenate([entries.value, np.full(len(slacked), -1.0)])
    row = np.concatenate([entries.row, slacked])
    column = np.concatenate([entries.column, slack[slacked]])
    return csr_array((value, (row, column)), shape=(len(slack), int(slack[-1]) + 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Places:
    """Where own columns and rows stand in their stores' tables."""

    n: int
    k: int
    m: int
    store: Ints
    """Of each column, among those that move; so it is of each row."""

    row_store: Ints
    decided: Ints
    """Own columns that are no levels, and the place of each in its step; so the rows."""

    place: Ints
    rows: Ints
    row_place: Ints


def _places(owners: Owners, moving: Ints, steps: int) -> _Places:
    store = np.searchsorted(moving, owners.store)
    row_store = np.searchsorted(moving, owners.row_store)
    decided = np.flatnonzero((owners.store >= 0) & ~owners.level)
    rows = np.flatnonzero(owners.own)
    place, k = _ranks(store[decided] * steps + owners.step[decided])
    row_place, m = _ranks(row_store[rows] * steps + owners.row_step[rows])
    return _Places(
        n=len(moving),
        k=k,
        m=m,
        store=store,
        row_store=row_store,
        decided=decided,
        place=place,
        rows=rows,
        row_place=row_place,
    )


def _stores(
    entries: Entries, owners: Owners, places: _Places, chains: Ints, slack: Ints, ports: int
) -> Stores:
    """The tables of the stores that move; `chains` has the numbers of their rows in the programme."""
    n, k, m, steps = places.n, places.k, places.m, chains.shape[1]
    store, row_store = places.store, places.row_store
    decided, place, of_row, row_place = places.decided, places.place, places.rows, places.row_place
    of_store = store[decided]
    rank = np.full(len(entries.columns), NOWHERE, dtype=np.int64)
    row_rank = np.full(len(entries.rows), NOWHERE, dtype=np.int64)
    rank[decided], row_rank[of_row] = place, row_place
    nobody, nobodys_row = int(slack[-1]), len(entries.rows)
    own = np.full((k, n, steps), nobody, dtype=np.int64)
    own[place, of_store, owners.step[decided]] = decided
    rows = np.full((m, n, steps), nobodys_row, dtype=np.int64)
    rows[row_place, row_store[of_row], owners.row_step[of_row]] = of_row
    level = np.full((n, steps), nobody, dtype=np.int64)
    held = np.flatnonzero(owners.level)
    level[store[held], owners.step[held]] = held
    port = np.zeros((ports, k, n, steps))
    some = decided[owners.port[decided] >= 0]
    port[owners.port[some], rank[some], store[some], owners.step[some]] = owners.sign[some]
    keep, a = np.zeros((n, steps)), np.zeros((k, n, steps))
    g = np.zeros((m, k, n, steps))
    after, before = np.zeros((2, m, n, steps))
    row, column, value = entries.row, entries.column, entries.value
    of, at = row_store[row], owners.row_step[row]
    on_level = owners.level[column]
    earlier = on_level & (at == owners.step[column] + 1)
    chain, mine = owners.chain[row], owners.own[row]
    e = chain & earlier
    keep[of[e], at[e]] = -value[e]
    e = chain & ~on_level
    a[rank[column[e]], of[e], at[e]] = -value[e]
    e = mine & ~on_level
    g[row_rank[row[e]], rank[column[e]], of[e], at[e]] = value[e]
    for table, e in ((before, mine & earlier), (after, mine & on_level & ~earlier)):
        table[row_rank[row[e]], of[e], at[e]] = value[e]
    chain_rows = entries.to_row[chains]
    return Stores(
        level=level,
        own=own,
        chain=np.where(chain_rows >= 0, chain_rows, nobodys_row),
        rows=rows,
        slack=slack[rows],
        keep=keep,
        a=a,
        g=g,
        after=after,
        before=before,
        port=port,
    )


def _ranks(key: Ints) -> tuple[Ints, int]:
    """The place of each among those of the same key, and how many there are at most, 1 at least."""
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    lengths = np.diff(np.append(first, len(key)))
    rank = np.empty(len(key), dtype=np.int64)
    rank[order] = np.arange(len(key)) - np.repeat(first, lengths)
    return rank, int(lengths.max(initial=1))
