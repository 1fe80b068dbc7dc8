"""Stores of a compiled park as chains of a forest: storages, cars that may feed back, thermal zones.

The level of a zone is what lies within its comfort, and what is too hot less what is too cold; where it
cools, its level is its temperature's negative, so that what it draws fills it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.compiled import Fleet
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, Role, RowKind
from vpp.plan.programme import Ints

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


def chains_of(fleet: Fleet) -> Chains:
    """The columns and rows of every store."""
    stores, cars, zones = fleet.storages, fleet.cars, fleet.zones
    count = [len(stores.units), len(cars.may_feed), len(zones.units)]
    steps = fleet.points.imports.shape[1]

    def nothing(which: int) -> Ints:
        return np.full((count[which], steps), NOWHERE, dtype=np.int64)

    return Chains(
        rows=np.vstack([stores.rows, cars.rows, zones.rows]),
        into=np.vstack([stores.charge, cars.both_ways.into, zones.heat]),
        out=np.vstack([stores.discharge, cars.both_ways.out, nothing(2)]),
        level=np.vstack([stores.stored, cars.level, zones.comfort]),
        hot=np.vstack([nothing(0), nothing(1), zones.hot]),
        cold=np.vstack([nothing(0), nothing(1), zones.cold]),
    )


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
    rows = chains.rows
    into, out = ledger.of(rows, chains.into), ledger.of(rows, chains.out)
    level = ledger.of(rows, chains.level)
    before = ledger.of(rows[:, 1:], chains.level[:, :-1])
    sign = np.where((into > 0).any(axis=1), -1.0, 1.0)
    gain = -sign[:, None] * into
    loss, loss_varies = _one(out)
    keep, keep_varies = _one(-before)
    low, high = ledger.row_lower[rows], ledger.row_upper[rows]
    strange = loss_varies | keep_varies | (gain < 0).any(axis=1) | (loss < 0) | (keep > 1)
    strange |= ((level != 1) & ledger.free[chains.level]).any(axis=1) | (low != high).any(axis=1)
    strange |= _foreign(ledger, len(rows))
    return ChainValues(
        sign=sign,
        keep=np.where(keep > 0, keep, 1.0),
        gain=_in_each_step(gain),
        loss=np.where(loss > 0, loss, 1.0),
        given=sign[:, None] * np.where(ledger.used[rows], low, 0.0),
        strange=strange,
    )


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


def _foreign(ledger: Ledger, count: int) -> Bools:
    """Which chains have something in their rows that is not theirs."""
    at = ledger.kind[ledger.row] == RowKind.CHAIN
    row, column = ledger.row[at], ledger.column[at]
    behind = ledger.row_step[row] - ledger.step[column]
    level = ledger.role[column] == Role.LEVEL
    moves = (ledger.role[column] == Role.INTO) | (ledger.role[column] == Role.OUT)
    fits = (level & ((behind == 0) | (behind == 1))) | (moves & (behind == 0))
    fits &= ledger.place[column] == ledger.bus[row]
    foreign: Bools = np.bincount(ledger.bus[row], ~fits, count) > 0
    return foreign
