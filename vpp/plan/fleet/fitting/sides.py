"""What the rows of a programme that are neither a balance nor a store's chain are to a forest.

    idle      its sides cannot be reached by what stands in it           nothing
    level     stored + slacks >= …                                       stairs of a store's level
    limit     Σ (export - import) of some points + slacks within …       stairs of a bus
    peak      peak - Σ share·imports of one point >= …                   an interval of a peak
    day       Σ loss·out of one store <= …                               a day limit
    budget    Σ weight·draw, each step once, + lacking within …          a budget
    fold      feed + left = has                                          a price of the column
    room      Σ draw - Σ feed of a car park <= …                         the part that joins its bus

Everything else does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.ledger import Bools, Ledger, Role, RowKind, summed
from vpp.plan.fleet.fitting.stairs import Slacks, slacks_of

ROUNDING = 1e-9
"""Relative to a side: sums of bounds may differ by so much from what they are on paper."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Masks of rows, shape (rows,), and of columns, shape (columns,)."""

    idle: Bools
    level: Bools
    limit: Bools
    peak: Bools
    day: Bools
    budget: Bools
    fold: Bools
    room: Bools
    strange: Bools
    """Rows that do not fit."""

    slack: Bools
    """Columns that are slacks of rows."""

    peaks: Bools
    """Columns that are peaks."""

    slacks: Slacks


def sides_of(ledger: Ledger) -> Sides:
    """Recognise every row that is left."""
    role, column, row = ledger.role, ledger.column, ledger.row
    plain = role[column] == Role.PLAIN
    at_bus = ledger.kind[row] == RowKind.BUS
    aside = (ledger.kind[row] == RowKind.SIDE) | (ledger.kind[row] == RowKind.ROOM)
    imports, exports = role[column] == Role.IMPORT, role[column] == Role.EXPORT
    counted = (ledger.count(imports & aside) > 0) & (ledger.count(exports & aside) == 0)
    counted &= ledger.kind == RowKind.SIDE
    meets_bus = ledger.degree(at_bus) > 0
    peaks = np.zeros(len(role), dtype=bool)
    peaks[column[plain & counted[row]]] = True
    peaks &= ~meets_bus
    alone = ledger.degree(np.ones(len(row), dtype=bool)) == 1
    slack = (role == Role.PLAIN) & alone & ~meets_bus & ~peaks & (ledger.degree(aside) == 1)
    slack &= (ledger.lower == 0) & (ledger.cost >= 0)
    body = aside & ~slack[column] & ~peaks[column]
    side = (ledger.kind == RowKind.SIDE) & ledger.used
    has = {one: ledger.count(body & (role[column] == one)) for one in Role}
    body_count = ledger.count(body)
    slacks = slacks_of(ledger, slack)
    low, high = _reach(ledger, body)
    soft_low = np.isneginf(slacks.low_hard) | (low >= slacks.low_hard - _rounding(slacks.low_hard))
    soft_high = np.isposinf(slacks.high_hard) | (
        high <= slacks.high_hard + _rounding(slacks.high_hard)
    )
    soft = soft_low & soft_high
    within = (low >= ledger.row_lower - _rounding(ledger.row_lower)) & (
        high <= ledger.row_upper + _rounding(ledger.row_upper)
    )
    no_peaks = ledger.count(aside & peaks[column]) == 0
    idle = (side | ((ledger.kind == RowKind.ROOM) & ledger.used)) & within & no_peaks
    left, body = side & ~idle, body & ~idle[row]
    level = left & (has[Role.LEVEL] == 1) & (body_count == 1) & soft & _ones(ledger, body)
    limit = left & (has[Role.EXPORT] >= 1) & (has[Role.EXPORT] == has[Role.IMPORT]) & soft
    limit &= (body_count == 2 * has[Role.EXPORT]) & _nets(ledger, body)
    peak = left & counted & (body_count == has[Role.IMPORT]) & ~no_peaks
    peak &= np.isposinf(ledger.row_upper)
    no_slack = ledger.count(slack[column]) == 0
    day = left & (has[Role.OUT] >= 1) & (body_count == has[Role.OUT]) & no_slack
    day &= np.isneginf(ledger.row_lower)
    only_plain = left & (has[Role.PLAIN] == body_count) & (body_count >= 1)
    fold = (
        only_plain & (body_count == 1) & soft & _below(ledger, slacks, high) & _ones(ledger, body)
    )
    fold &= ledger.count(body & (ledger.degree(body)[column] > 1)) == 0
    budget = only_plain & ~fold & _steps_differ(ledger, body, only_plain)
    room = (ledger.kind == RowKind.ROOM) & ledger.used & ~idle
    known = idle | level | limit | peak | day | fold | budget | room
    return Sides(
        idle=idle,
        level=level,
        limit=limit,
        peak=peak,
        day=day,
        budget=budget,
        fold=fold,
        room=room,
        strange=side & ~known,
        slack=slack,
        peaks=peaks,
        slacks=slacks,
    )


def _rounding(side: Floats) -> Floats:
    return ROUNDING * (1 + np.abs(np.where(np.isfinite(side), side, 0.0)))


def _reach(ledger: Ledger, body: Bools) -> tuple[Floats, Floats]:
    """Least and most of what stands in each row, its slacks left out, shapes (rows,)."""
    row, column, value = ledger.row[body], ledger.column[body], ledger.value[body]
    ends = value * ledger.lower[column], value * ledger.upper[column]
    rows = len(ledger.kind)
    return (
        summed(row, np.minimum(*ends), rows),
        summed(row, np.maximum(*ends), rows),
    )


def _ones(ledger: Ledger, body: Bools) -> Bools:
    """Whether all coefficients of a row are 1."""
    ones: Bools = ledger.count(body & (ledger.value != 1.0)) == 0
    return ones


def _nets(ledger: Ledger, body: Bools) -> Bools:
    """Whether exports stand with 1 and imports with -1 in a row, of one step."""
    role = ledger.role[ledger.column]
    sign = np.where(role == Role.EXPORT, 1.0, -1.0)
    nets: Bools = ledger.count(body & (ledger.value != sign)) == 0
    return nets & _one_step(ledger, body)


def _one_step(ledger: Ledger, body: Bools) -> Bools:
    step = ledger.step[ledger.column[body]]
    first = np.full(len(ledger.kind), -1)
    first[ledger.row[body]] = step
    other = np.bincount(ledger.row[body], step != first[ledger.row[body]], len(ledger.kind))
    same: Bools = other == 0
    return same


def _below(ledger: Ledger, slacks: Slacks, high: Floats) -> NDArray[np.bool_]:
    """Whether what stands in a row never reaches its low side: its slack takes a share of it always."""
    inside = slacks.value > 0
    first = np.bincount(slacks.row[inside & (slacks.before == 0)], minlength=len(ledger.kind))
    many = np.bincount(slacks.row, minlength=len(ledger.kind))
    found: Bools = (first == 1) & (many == 1) & (high <= ledger.row_lower + _rounding(high))
    return found


def _steps_differ(ledger: Ledger, body: Bools, rows: Bools) -> Bools:
    """Whether a row has each step once, of columns that meet one bus once and no other such row.

    All with the same coefficient, above 0.
    """
    count = len(ledger.kind)
    mine = body & rows[ledger.row]
    row, column, value = ledger.row[mine], ledger.column[mine], ledger.value[mine]
    step = ledger.step[column]
    key = row * (int(step.max(initial=0)) + 2) + step
    repeated = np.zeros(len(key), dtype=bool)
    order = np.argsort(key, kind="stable")
    repeated[order[1:]] = key[order[1:]] == key[order[:-1]]
    weight = np.zeros(count)
    weight[row] = value
    wrong = (
        repeated
        | (np.abs(value - weight[row]) > ROUNDING * np.abs(value))
        | (value <= 0)
        | (ledger.degree(body & (ledger.kind[ledger.row] == RowKind.SIDE))[column] > 1)
    )
    found: Bools = rows & (np.bincount(row, wrong, count) == 0)
    return found
