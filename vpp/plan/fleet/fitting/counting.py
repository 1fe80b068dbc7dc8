"""What counts over several steps: windows of loads, charges of cars, paid peaks, cycles of a day, tapers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import SAME, Chains, ChainValues
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, Role, SomeInts
from vpp.plan.fleet.fitting.sides import Sides
from vpp.plan.programme import Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Budgets, shapes (n,), (n, T)."""

    row: Ints
    bus: Ints
    columns: Ints
    """-1 outside."""

    weight: Floats
    asked: Floats
    lacking_most: Floats
    lacking_cost: Floats
    spare_most: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaidPeaks:
    """Peaks, shapes (n,), (n, T), (n, R)."""

    bus: Ints
    cost: Floats
    interval: Ints
    share: Floats
    least: Floats
    rows: Ints
    """-1 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Days:
    """Day limits, shape (n,)."""

    row: Ints
    store: Ints
    """By its place among the chains."""

    first: Ints
    end: Ints
    most: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tapering:
    """Tapers, shapes (n,), (n, T)."""

    rows: Ints
    """-1 where there is none."""

    store: Ints
    """By its place among the chains."""

    empties: Bools
    steep: Floats
    most: Floats


def windows_of(
    ledger: Ledger, sides: Sides, bus_of: SomeInts, feeds: SomeInts, steps: int
) -> Windows | Ints:
    """The budgets, or rows that are none.

    `bus_of` and `feeds` say where each column feeds, and which way, shape (columns,) (`hanging.Meets`).
    """
    rows = np.flatnonzero(sides.budget)
    number = np.full(len(sides.budget), NOWHERE, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    aside = ledger.aside
    row, column, value = aside.only(sides.budget[aside.row] & ~sides.slack[aside.column])
    mine = number[row]
    columns = np.full((len(rows), steps), NOWHERE, dtype=np.int64)
    columns[mine, ledger.step[column]] = column
    weight, bus = np.zeros(len(rows)), np.full(len(rows), NOWHERE, dtype=np.int64)
    weight[mine], bus[mine] = value, bus_of[column]
    wrong = (bus_of[column] != bus[mine]) | (feeds[column] != -1)
    wrong |= (bus_of[column] == NOWHERE) | (ledger.lower[column] != 0)
    slacks = sides.slacks
    of = number[slacks.row]
    held = of >= 0
    wrong_slack = np.bincount(
        of[held], (slacks.value[held] < 0) | (slacks.before[held] > 0), len(rows)
    )
    bad = (np.bincount(mine, wrong, len(rows)) > 0) | (wrong_slack > 0)
    low, high = ledger.row_lower[rows], ledger.row_upper[rows]
    lacks = np.zeros(len(rows), dtype=bool)
    lacks[of[held]] = True
    open_below = np.isneginf(low)
    bad |= open_below & (lacks | np.isinf(high))
    if bad.any():
        strange: Ints = rows[bad]
        return strange
    upper = np.where(columns >= 0, ledger.upper[columns], 0.0)
    most = weight * upper.sum(axis=1)
    lacking_most, lacking_cost = (
        np.where(open_below, np.maximum(high, 0.0), 0.0),
        np.zeros(len(rows)),
    )
    some = of[held]
    holds = np.abs(slacks.value[held]) * ledger.upper[slacks.column[held]]
    lacking_most[some] = np.minimum(holds, np.maximum(low[some], 0.0))
    lacking_cost[some] = slacks.price[held]
    asked = np.where(open_below, high, low)
    spare = np.where(open_below, 0.0, np.maximum(np.minimum(high, most) - low, 0.0))
    return Windows(
        row=rows,
        bus=bus,
        columns=columns,
        weight=weight,
        asked=asked,
        lacking_most=lacking_most,
        lacking_cost=lacking_cost,
        spare_most=spare,
    )


def peaks_of(ledger: Ledger, sides: Sides, steps: int) -> PaidPeaks | Ints:
    """The paid peaks, or rows that are none.

    A margin below a peak has rows of its own, in which a column says how far it is used, at a share s of
    the price p: peak and used are worth what two peaks are, one of every mean at (1 - s)·p, and one of
    every mean and its margin at s·p.
    """
    rows = np.flatnonzero(sides.peak)
    number = np.full(len(sides.peak), NOWHERE, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    aside = ledger.aside.only(sides.peak[ledger.aside.row])
    counted = aside.only(ledger.role[aside.column] == Role.IMPORT)
    above = aside.only(sides.peaks[aside.column])
    row, column = number[above.row], above.column
    many = np.bincount(row, minlength=len(rows))
    alone = np.zeros(len(sides.peaks), dtype=bool)
    alone[column[many[row] == 1]] = True
    main = np.full(len(rows), NOWHERE, dtype=np.int64)
    used = np.full(len(rows), NOWHERE, dtype=np.int64)
    main[row[alone[column]]] = column[alone[column]]
    used[row[~alone[column]]] = column[~alone[column]]
    bad = (many > 2) | (main < 0) | ((many == 2) & (used < 0))
    bad |= np.bincount(row, above.value != 1.0, len(rows)) > 0
    if bad.any():
        strange: Ints = rows[bad]
        return strange
    keys, of = np.unique(main * 2 + (many == 2), return_inverse=True)
    cost = ledger.cost[keys // 2].copy()
    margin_cost = np.zeros(len(ledger.cost))
    margin_cost[main[used >= 0]] = ledger.cost[used[used >= 0]]
    has_margin = np.zeros(len(ledger.cost), dtype=bool)
    has_margin[main[used >= 0]] = True
    share = np.where(has_margin[keys // 2], margin_cost[keys // 2], 0.0)
    cost = np.where(keys % 2 == 1, share, cost - share)
    order = np.argsort(of, kind="stable")
    first = np.flatnonzero(np.diff(of[order], prepend=-1))
    rank = np.empty(len(rows), dtype=np.int64)
    lengths = np.diff(np.append(first, len(rows)))
    rank[order] = np.arange(len(rows)) - np.repeat(first, lengths)
    most = int(rank.max(initial=-1)) + 1
    least = np.full((len(keys), most), -np.inf)
    table = np.full((len(keys), most), NOWHERE, dtype=np.int64)
    least[of, rank], table[of, rank] = ledger.row_lower[rows], rows
    interval = np.full((len(keys), steps), -1, dtype=np.int64)
    shares = np.zeros((len(keys), steps))
    mine, imported = number[counted.row], counted.column
    step, point = ledger.step[imported], ledger.place[imported]
    bus = np.full(len(keys), NOWHERE, dtype=np.int64)
    bus[of[mine]] = point
    twice = interval.copy()
    interval[of[mine], step], shares[of[mine], step] = rank[mine], -counted.value
    np.add.at(twice, (of[mine], step), 1)
    wrong = (bus[of[mine]] != point) | (twice[of[mine], step] > 0) | (counted.value >= 0)
    bad = (np.bincount(mine, wrong, len(rows)) > 0) | (cost[of] < 0)
    strange = rows[bad]
    if len(strange):
        return strange
    return PaidPeaks(bus=bus, cost=cost, interval=interval, share=shares, least=least, rows=table)


def days_of(ledger: Ledger, sides: Sides, chains: Chains, values: ChainValues) -> Days | Ints:
    """The day limits, or rows that are none."""
    rows = np.flatnonzero(sides.day)
    count = len(rows)
    number = np.full(len(sides.day), NOWHERE, dtype=np.int64)
    number[rows] = np.arange(count)
    row, column, value = ledger.aside.only(sides.day[ledger.aside.row])
    mine = number[row]
    store = np.zeros(count, dtype=np.int64)
    store[mine] = ledger.place[column]
    first, end = np.full(count, np.iinfo(np.int64).max), np.zeros(count, dtype=np.int64)
    np.minimum.at(first, mine, ledger.step[column])
    np.maximum.at(end, mine, ledger.step[column] + 1)
    wrong = ledger.place[column] != store[mine]
    wrong |= np.abs(value - values.loss[store[mine]]) > SAME * np.abs(value)
    out, steps = chains.out[store], np.arange(chains.out.shape[1])
    free = (out >= 0) & ledger.free[out]
    inside = (free & (steps >= first[:, None]) & (steps < end[:, None])).sum(axis=1)
    bad = (np.bincount(mine, wrong, count) > 0) | (inside != np.bincount(mine, minlength=count))
    order = np.lexsort((first, store))
    over = (store[order[1:]] == store[order[:-1]]) & (first[order[1:]] < end[order[:-1]])
    bad[order[1:][over]] = True
    if bad.any():
        strange: Ints = rows[bad]
        return strange
    return Days(
        row=rows[order],
        store=store[order],
        first=first[order],
        end=end[order],
        most=ledger.row_upper[rows[order]],
    )


def tapers_of(ledger: Ledger, sides: Sides, chains: Chains, values: ChainValues) -> Tapering | Ints:
    """The tapers, or rows that are none."""
    rows = np.flatnonzero(sides.taper)
    count, steps = len(rows), chains.rows.shape[1]
    number = np.full(len(sides.taper), NOWHERE, dtype=np.int64)
    number[rows] = np.arange(count)
    row, column, value = ledger.aside.only(sides.taper[ledger.aside.row])
    mine = number[row]
    on_level = ledger.role[column] == Role.LEVEL
    power, steep = np.zeros((2, count), dtype=np.int64), np.zeros(count)
    power[0, mine[~on_level]], steep[mine[on_level]] = column[~on_level], value[on_level]
    power[1, mine[on_level]] = column[on_level]
    moved, before = power
    factor = np.zeros(count)
    factor[mine[~on_level]] = value[~on_level]
    store, step = ledger.place[moved].astype(np.int64), ledger.step[moved]
    empties = ledger.role[moved] == Role.OUT
    most = ledger.row_upper[rows]
    ends = steep * np.where(steep > 0, ledger.upper[before], ledger.lower[before])
    bad = (ledger.place[before] != store) | (ledger.step[before] != step - 1) | (factor != 1.0)
    bad |= (chains.level[store, np.maximum(step - 1, 0)] != before) | (values.sign[store] < 0)
    bad |= ends > most + SAME * (1.0 + np.abs(most))
    if bad.any():
        strange: Ints = rows[bad]
        return strange
    keys, of = np.unique(store * 2 + empties, return_inverse=True)
    table = np.full((len(keys), steps), NOWHERE, dtype=np.int64)
    table[of, step] = rows
    slopes, mosts = np.zeros((2, *table.shape))
    slopes[of, step], mosts[of, step] = steep, most
    if count != int((table != NOWHERE).sum()):
        return rows  # two of one power in one step
    return Tapering(rows=table, store=keys // 2, empties=keys % 2 == 1, steep=slopes, most=mosts)
