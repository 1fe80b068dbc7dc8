"""What the rows of a programme that are neither a balance nor a store's chain are to a forest.

    idle      its sides cannot be reached by what stands in it           nothing
    level     stored + slacks >= …                                       stairs of a store's level
    limit     Σ (export - import) of some points + slacks within …       stairs of a bus
    peak      peak - Σ share·imports of one point >= …                   an interval of a peak
    cap       into or out of one store in one step <= …                  a bound of the column
    taper     into or out, and the level before it <= …                  a taper
    day       Σ loss·out of one store <= …                               a day limit
    budget    Σ weight·draw, each step once, + lacking within …          a budget
    fold      feed + left = has                                          a price of the column
    room      Σ draw - Σ feed of a car park <= …                         the part that joins its bus

Everything else does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import (
    NOWHERE,
    Bools,
    Entries,
    Ledger,
    Role,
    RowKind,
    summed,
)
from vpp.plan.fleet.fitting.stairs import Slacks, slacks_of
from vpp.plan.programme import Ints

ROUNDING = 1e-9
"""Relative to a side: sums of bounds may differ by so much from what they are on paper."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Masks of rows, shape (rows,), and of columns, shape (columns,)."""

    idle: Bools
    level: Bools
    limit: Bools
    peak: Bools
    cap: Bools
    taper: Bools
    day: Bools
    budget: Bools
    fold: Bools
    room: Bools
    strange: Bools
    """Rows that do not fit; but for budgets that would, were it not for others of these on their columns."""

    slack: Bools
    """Columns that are slacks of rows."""

    peaks: Bools
    """Columns that are peaks."""

    slacks: Slacks


def sides_of(ledger: Ledger, guests: Bools) -> Sides:
    """Recognise every row that is left; `guests` are columns that stand in chains (`ChainValues`)."""
    role = ledger.role
    at = _Aside.of(ledger)
    column = at.entries.column
    of_role = role[column]
    side = (ledger.kind[at.rows] == RowKind.SIDE) & ledger.used[at.rows]
    room = (ledger.kind[at.rows] == RowKind.ROOM) & ledger.used[at.rows]
    plain = of_role == Role.PLAIN
    counted = (at.count(of_role == Role.IMPORT) > 0) & (at.count(of_role == Role.EXPORT) == 0)
    counted &= ledger.kind[at.rows] == RowKind.SIDE
    peaks = ledger.among(column[plain & counted[at.row]]) & ~ledger.meets_bus
    slack = ledger.among(column[plain]) & ~ledger.repeated(column) & ~ledger.meets_bus & ~peaks
    slack &= ~guests & (ledger.lower == 0) & (ledger.cost >= 0)
    slacks = slacks_of(ledger, slack)
    body = ~slack[column] & ~peaks[column]
    has = {one: at.count(body & (of_role == one)) for one in Role}
    body_count = at.count(body)
    low, high = _reach(ledger, at, body)
    row_lower, row_upper = ledger.row_lower[at.rows], ledger.row_upper[at.rows]
    low_hard, high_hard = _hard(at, slacks, ledger)
    soft = np.isneginf(low_hard) | (low >= low_hard - _rounding(low_hard))
    soft &= np.isposinf(high_hard) | (high <= high_hard + _rounding(high_hard))
    within = (low >= row_lower - _rounding(row_lower)) & (high <= row_upper + _rounding(row_upper))
    no_peaks = at.count(peaks[column]) == 0
    idle = (side | room) & within & no_peaks
    left, body = side & ~idle, body & ~idle[at.row]
    level = left & (has[Role.LEVEL] == 1) & (body_count == 1) & soft & _ones(at, body)
    limit = left & (has[Role.EXPORT] >= 1) & (has[Role.EXPORT] == has[Role.IMPORT]) & soft
    limit &= (body_count == 2 * has[Role.EXPORT]) & _nets(ledger, at, body)
    peak = left & counted & (body_count == has[Role.IMPORT]) & ~no_peaks & np.isposinf(row_upper)
    no_slack = at.count(slack[column]) == 0
    above = left & no_slack & np.isneginf(row_lower) & (has[Role.INTO] + has[Role.OUT] == 1)
    cap = above & (body_count == 1) & _ones(at, body)
    taper = above & (has[Role.LEVEL] == 1) & (body_count == 2)
    day = left & ~cap & (has[Role.OUT] >= 1) & (body_count == has[Role.OUT]) & no_slack
    day &= np.isneginf(row_lower)
    only_plain = left & (has[Role.PLAIN] == body_count) & (body_count >= 1)
    fold = only_plain & (body_count == 1) & soft & _ones(at, body)
    fold &= _below(at, slacks, high, row_lower)
    fold &= at.count(body & ledger.repeated(column[body])[column]) == 0
    differ, apart = _steps_differ(ledger, at, body, only_plain)
    budget = only_plain & ~fold & differ & apart
    room &= ~idle
    known = idle | level | limit | peak | cap | taper | day | fold | budget | room
    return Sides(
        idle=at.mask(idle),
        level=at.mask(level),
        limit=at.mask(limit),
        peak=at.mask(peak),
        cap=at.mask(cap),
        taper=at.mask(taper),
        day=at.mask(day),
        budget=at.mask(budget),
        fold=at.mask(fold),
        room=at.mask(room),
        strange=at.mask(_culprits(at, side & ~known, only_plain & ~fold & differ)),
        slack=slack,
        peaks=peaks,
        slacks=slacks,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Aside:
    """Rows that are neither a balance nor a chain, under numbers of their own: most rows are chains."""

    rows: Ints
    """Of the programme, shape (A,)."""

    number: Ints
    """Of each row of the programme, `NOWHERE` where it is none of them; shape (rows,)."""

    entries: Entries
    row: Ints
    """The number of each entry's row."""

    @classmethod
    def of(cls, ledger: Ledger) -> _Aside:
        rows = ledger.of_kind(RowKind.SIDE, RowKind.ROOM)
        number = np.full(len(ledger.kind), NOWHERE, dtype=np.int64)
        number[rows] = np.arange(len(rows))
        entries = ledger.aside
        return cls(rows=rows, number=number, entries=entries, row=number[entries.row])

    def count(self, entries: Bools) -> Ints:
        """How many of some entries stand in each row."""
        return np.bincount(self.row[entries], minlength=len(self.rows))

    def mask(self, some: Bools) -> Bools:
        """The same rows among all of the programme, shape (rows,)."""
        found = np.zeros(len(self.number), dtype=bool)
        found[self.rows[some]] = True
        return found


def _rounding(side: Floats) -> Floats:
    return ROUNDING * (1 + np.abs(np.where(np.isfinite(side), side, 0.0)))


def _reach(ledger: Ledger, at: _Aside, body: Bools) -> tuple[Floats, Floats]:
    """Least and most of what stands in each row, its slacks left out, shapes (A,)."""
    row, column, value = at.row[body], at.entries.column[body], at.entries.value[body]
    ends = value * ledger.lower[column], value * ledger.upper[column]
    return (
        summed(row, np.minimum(*ends), len(at.rows)),
        summed(row, np.maximum(*ends), len(at.rows)),
    )


def _hard(at: _Aside, slacks: Slacks, ledger: Ledger) -> tuple[Floats, Floats]:
    """Where no slack helps any more below and above, shapes (A,); endless where one always does."""
    low, high = ledger.row_lower[at.rows], ledger.row_upper[at.rows]
    row, holds = at.number[slacks.row], np.abs(slacks.value) * ledger.upper[slacks.column]
    np.subtract.at(low, row[slacks.value > 0], holds[slacks.value > 0])
    np.add.at(high, row[slacks.value < 0], holds[slacks.value < 0])
    return low, high


def _ones(at: _Aside, body: Bools) -> Bools:
    """Whether all coefficients of a row are 1."""
    ones: Bools = at.count(body & (at.entries.value != 1.0)) == 0
    return ones


def _nets(ledger: Ledger, at: _Aside, body: Bools) -> Bools:
    """Whether exports stand with 1 and imports with -1 in a row, of one step."""
    sign = np.where(ledger.role[at.entries.column] == Role.EXPORT, 1.0, -1.0)
    nets: Bools = at.count(body & (at.entries.value != sign)) == 0
    return nets & _one_step(ledger, at, body)


def _one_step(ledger: Ledger, at: _Aside, body: Bools) -> Bools:
    row, step = at.row[body], ledger.step[at.entries.column[body]]
    first = np.full(len(at.rows), -1)
    first[row] = step
    same: Bools = np.bincount(row, step != first[row], len(at.rows)) == 0
    return same


def _below(at: _Aside, slacks: Slacks, high: Floats, row_lower: Floats) -> Bools:
    """Whether what stands in a row never reaches its low side: its slack takes a share of it always."""
    inside, row = slacks.value > 0, at.number[slacks.row]
    first = np.bincount(row[inside & (slacks.before == 0)], minlength=len(at.rows))
    many = np.bincount(row, minlength=len(at.rows))
    found: Bools = (first == 1) & (many == 1) & (high <= row_lower + _rounding(high))
    return found


def _culprits(at: _Aside, strange: Bools, budgets: Bools) -> Bools:
    """Strange rows, but for budgets that only share their columns with strange rows that are none."""
    by_itself = strange & ~budgets
    column = at.entries.column
    theirs = np.zeros(int(column.max(initial=-1)) + 1, dtype=bool)
    theirs[column[by_itself[at.row]]] = True
    return strange & ~(budgets & (at.count(theirs[column]) > 0))


def _steps_differ(ledger: Ledger, at: _Aside, body: Bools, rows: Bools) -> tuple[Bools, Bools]:
    """Whether a row has each step once, all with the same coefficient, above 0; and none of its columns in another."""
    of_side = body & (ledger.kind[at.entries.row] == RowKind.SIDE)
    several = ledger.repeated(at.entries.column[of_side])
    mine = body & rows[at.row]
    row, column, value = at.row[mine], at.entries.column[mine], at.entries.value[mine]
    step = ledger.step[column]
    key = row * (int(step.max(initial=0)) + 2) + step
    repeated = np.zeros(len(key), dtype=bool)
    order = np.argsort(key, kind="stable")
    repeated[order[1:]] = key[order[1:]] == key[order[:-1]]
    weight = np.zeros(len(at.rows))
    weight[row] = value
    wrong = repeated | (np.abs(value - weight[row]) > ROUNDING * np.abs(value)) | (value <= 0)
    differ: Bools = rows & (np.bincount(row, wrong, len(at.rows)) == 0)
    apart: Bools = np.bincount(row, several[column], len(at.rows)) == 0
    return differ, apart
