"""Stores of a compiled park as chains of a forest: storages, cars that are followed, thermal zones.

The level of a zone is what lies within its comfort, and what is too hot less what is too cold; where it
cools, its level is its temperature's negative, so that what it draws fills it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.compiled import Fleet
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Entries, Ledger, Role, RowKind
from vpp.plan.fleet.sums import slices
from vpp.plan.programme import Ints

Array = NDArray[Any]

SAME = 1e-12
"""Coefficients that differ by less, relative, are the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """All stores, whether or not they move; shapes (n,), (n, T). Columns are -1 where there is none."""

    rows: Ints
    into: Ints
    out: Ints
    level: Ints
    hot: Ints
    cold: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainValues:
    """What the rows of the chains say, shapes (n,), (n, T)."""

    sign: Floats
    """-1 where the level is the negative of what the programme counts."""

    keep: Floats
    gain: Floats
    """Shape (n, T): what a zone's heat pump gives per kW changes with the weather."""

    loss: Floats
    given: Floats
    strange: Bools
    """Which fit no chain."""

    guests: Bools
    """Columns that are no store's and stand in a chain, shape (columns,)."""


def chains_of(fleet: Fleet) -> Chains:
    """The columns and rows of every store."""
    stores, cars, zones = fleet.storages, fleet.cars, fleet.zones
    count = [len(stores.units), len(cars.followed), len(zones.units)]
    steps = fleet.points.imports.shape[1]

    def nothing(which: int) -> Ints:
        return np.broadcast_to(np.int64(NOWHERE), (count[which], steps))

    return Chains(
        rows=_below(stores.rows, cars.rows, zones.rows),
        into=_below(stores.charge, cars.both_ways.into, zones.heat),
        out=_below(stores.discharge, cars.both_ways.out, nothing(2)),
        level=_below(stores.stored, cars.level, zones.comfort),
        hot=_below(nothing(0), nothing(1), zones.hot),
        cold=_below(nothing(0), nothing(1), zones.cold),
    )


def _below(*blocks: Ints) -> Ints:
    """Blocks below each other; the only one that has any rows as it is, not copied."""
    some = [one for one in blocks if len(one)]
    return some[0] if len(some) == 1 else np.vstack(blocks)


def name_chains(ledger: Ledger, chains: Chains) -> None:
    """Give the columns and rows of stores their roles."""
    for columns, role in (
        (chains.into, Role.INTO),
        (chains.out, Role.OUT),
        (chains.level, Role.LEVEL),
        (chains.hot, Role.LEVEL),
        (chains.cold, Role.LEVEL),
    ):
        ledger.name(columns, role)
    count, steps = chains.rows.shape
    ledger.kind[chains.rows] = RowKind.CHAIN
    ledger.bus[chains.rows] = np.arange(count)[:, None]
    ledger.row_step[chains.rows] = np.arange(steps)


def values_of(ledger: Ledger, chains: Chains) -> ChainValues:
    """Read the chains, and say which are none."""
    guests = np.zeros(len(ledger.free), dtype=bool)
    found = [
        _read(ledger, chains, some, guests) for some in [slice(0, 0), *slices(*chains.rows.shape)]
    ]
    return ChainValues(
        **{
            name: np.concatenate([getattr(one, name) for one in found])
            for name in ("sign", "keep", "loss", "given", "strange")
        },
        gain=stacked([one.gain for one in found]),
        guests=guests,
    )


def _read(ledger: Ledger, chains: Chains, some: slice, guests: Bools) -> ChainValues:
    """Read a slice of the chains, and mark their guests."""
    rows = chains.rows[some]
    entries, at = ledger.inside(rows)
    level_column = chains.level[some]
    into, out, level, before = (
        _standing(entries, at, columns)
        for columns in (chains.into[some], chains.out[some], level_column, _earlier(level_column))
    )
    sign = np.where((into > 0).any(axis=1), -1.0, 1.0)
    gain = -sign[:, None] * into
    loss, loss_varies = _one(out)
    keep, keep_varies = _one(-before)
    low, high = ledger.row_lower[rows], ledger.row_upper[rows]
    strange = loss_varies | keep_varies | (gain < 0).any(axis=1) | (loss < 0) | (keep > 1)
    strange |= ((level != 1) & ledger.free[level_column]).any(axis=1) | (low != high).any(axis=1)
    strange |= _foreign(ledger, entries, at, some, rows.shape)
    guests[entries.column[ledger.role[entries.column] == Role.PLAIN]] = True
    return ChainValues(
        sign=sign,
        keep=np.where(keep > 0, keep, 1.0),
        gain=_in_each_step(gain),
        loss=np.where(loss > 0, loss, 1.0),
        given=sign[:, None] * np.where(ledger.used[rows], low, 0.0),
        strange=strange,
        guests=guests,
    )


def _earlier(columns: Ints) -> Ints:
    """The columns of the step before, shape (n, T)."""
    found = np.full_like(columns, NOWHERE)
    found[:, 1:] = columns[:, :-1]
    return found


def _standing(entries: Entries, at: Ints, columns: Ints) -> Floats:
    """What stands at each of some columns, one in each row, shape (n, T); 0 where nothing moves."""
    found = np.zeros(columns.size)
    mine = entries.column == columns.ravel()[at]
    found[at[mine]] = entries.value[mine]
    return found.reshape(columns.shape)


def _one(values: Floats) -> tuple[Floats, Bools]:
    """The value of each row but where it is 0, shape (n,), and whether there are several."""
    some = values != 0
    least = np.min(values, axis=1, where=some, initial=np.inf)
    most = np.max(values, axis=1, where=some, initial=-np.inf)
    none = ~some.any(axis=1)
    return np.where(none, 0.0, most), ~none & (most - least > SAME * np.abs(most))


def _in_each_step(values: Floats) -> Floats:
    """The values, shape (n, T), with 1 in place of what is not above 0; a view of one column where all are alike."""
    usual, varies = _one(np.maximum(values, 0.0))
    alike = np.broadcast_to(np.where(usual > 0, usual, 1.0)[:, None], values.shape)
    return np.where(values > 0, values, 1.0) if varies.any() else alike


def in_one(values: Floats) -> Floats:
    """The same values, shape (n, T): a view of one column where all steps of each are alike."""
    first = values[:, :1]
    return np.broadcast_to(first.copy(), values.shape) if (values == first).all() else values


def stacked(found: Sequence[Array]) -> Array:
    """Blocks below each other; views of one column (`in_one`) as one of them, where all are."""
    if found[0].ndim == 1 or any(one.strides[1] for one in found if len(one)):
        return np.concatenate(found)
    first = np.concatenate([one[:, :1] for one in found])
    return np.broadcast_to(first, (len(first), found[0].shape[1]))


def _foreign(
    ledger: Ledger, entries: Entries, at: Ints, some: slice, shape: tuple[int, ...]
) -> Bools:
    """Which of a slice of chains have something in their rows that is not theirs, shape (n,)."""
    count, steps = shape
    column, chain = entries.column, at // steps
    behind = at % steps - ledger.step[column]
    role = ledger.role[column]
    level = role == Role.LEVEL
    moves = (role == Role.INTO) | (role == Role.OUT)
    fits = (level & ((behind == 0) | (behind == 1))) | (moves & (behind == 0))
    fits &= ledger.place[column] == chain + some.start
    foreign: Bools = np.bincount(chain[~fits], minlength=count) > 0
    return foreign
