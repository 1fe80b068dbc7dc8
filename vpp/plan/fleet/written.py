"""A forest with its matrix written out, for HiGHS: the judge of the structured solver, and its fallback.

    columns   into, out, level (n,T)   soft (·,T)   draw (·,T)   lacking, spare (·)   part (·,T)   peak (·)
    rows      bus (B,T)   store (n,T)   budget (·)   peak (·,R)   day limit (·)   taper (·,T)

in this order, each flattened with its last axis fastest. Slacks are no columns here: a peak's row has a
lower side alone, a day limit's and a taper's an upper one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.sparse import coo_array, csr_array

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.forest import ROOT, Duals, Forest, Ints, Point
from vpp.plan.lp import Deadline, solve_lp
from vpp.plan.parts import ALONE, Workers
from vpp.plan.programme import LinearProgramme

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Written:
    """The programme, and what its numbers stand for."""

    programme: LinearProgramme
    column_shapes: tuple[Shape, ...]
    row_shapes: tuple[Shape, ...]

    def point(self, x: Floats) -> Point:
        """What a value for each column, shape (columns,), is in the forest."""
        into, out, level, soft, draw, lacking, spare, part, peak = _cut(x, self.column_shapes)
        return Point(
            into=into,
            out=out,
            level=level,
            soft=soft,
            draw=draw,
            lacking=lacking,
            spare=spare,
            part=part,
            peak=peak,
        )

    def columns(self, point: Point) -> Floats:
        """A point as a value for each column, shape (columns,)."""
        fields = (
            *(point.into, point.out, point.level, point.soft, point.draw),
            *(point.lacking, point.spare, point.part, point.peak),
        )
        return np.concatenate([field.ravel() for field in fields])

    def duals(self, row_marginals: Floats) -> Duals:
        """What a price for each row, shape (rows,), is in the forest."""
        bus, store, budget, peak, day_limit, taper = _cut(row_marginals, self.row_shapes)
        return Duals(
            bus=bus, store=store, budget=budget, peak=peak, day_limit=day_limit, taper=taper
        )


def written(forest: Forest) -> Written:
    """The forest as one sparse linear programme."""
    columns, rows = _column_shapes(forest), _row_shapes(forest)
    lower, upper, cost = _columns(forest)
    row_lower, row_upper = _sides(forest)
    entries = list(_entries(forest, _numbered(columns), _numbered(rows)))
    row, column, value = (np.concatenate([one[i] for one in entries]) for i in range(3))
    matrix = coo_array((value, (row, column)), shape=(len(row_lower), len(cost)))
    matrix.eliminate_zeros()
    return Written(
        programme=LinearProgramme(
            cost=cost,
            lower=lower,
            upper=upper,
            matrix=csr_array(matrix),
            row_lower=row_lower,
            row_upper=row_upper,
        ),
        column_shapes=columns,
        row_shapes=rows,
    )


def by_highs(
    forest: Forest, deadline: Deadline, workers: Workers = ALONE
) -> tuple[Point, Duals] | Unsolved:
    """An optimal vertex and its prices, found by HiGHS."""
    whole = written(forest)
    found = solve_lp(whole.programme, {}, deadline, workers)
    if isinstance(found, Unsolved):
        return found
    return whole.point(found.x), whole.duals(found.row_marginals)


def _column_shapes(forest: Forest) -> tuple[Shape, ...]:
    steps, chain = forest.steps, (len(forest.stores.bus), forest.steps)
    budgets = len(forest.budgets.bus)
    return (
        *(chain, chain, chain),
        (len(forest.soft.store), steps),
        (budgets, steps),
        *((budgets,), (budgets,)),
        (len(forest.parts.bus), steps),
        (len(forest.peaks.bus),),
    )


def _row_shapes(forest: Forest) -> tuple[Shape, ...]:
    steps = forest.steps
    return (
        (len(forest.buses.parent), steps),
        (len(forest.stores.bus), steps),
        (len(forest.budgets.bus),),
        forest.peaks.least.shape,
        (len(forest.day_limits.store),),
        forest.tapers.most.shape,
    )


def _columns(forest: Forest) -> tuple[Floats, Floats, Floats]:
    """Lower and upper bounds, and costs."""
    stores, soft, budgets = forest.stores, forest.soft, forest.budgets
    parts, peaks = forest.parts, forest.peaks
    within = np.where(forest.windows(), budgets.draw_most, 0.0)
    bounds = (
        (np.zeros(1), stores.into_most, stores.into_cost),
        (np.zeros(1), stores.out_most, stores.out_cost),
        (stores.level_least, stores.level_most, stores.level_cost),
        (soft.least, soft.most, soft.cost),
        (np.zeros(1), within, budgets.draw_cost),
        (np.zeros(1), budgets.lacking_most, budgets.lacking_cost),
        (np.zeros(1), budgets.spare_most, np.zeros(1)),
        (parts.least, parts.most, parts.cost),
        (np.zeros(1), peaks.most, peaks.cost),
    )
    shapes = _column_shapes(forest)
    lower, upper, cost = (
        np.concatenate(
            [np.broadcast_to(one[i], s).ravel() for one, s in zip(bounds, shapes, strict=True)]
        )
        for i in range(3)
    )
    return lower, upper, cost


def _sides(forest: Forest) -> tuple[Floats, Floats]:
    """Lower and upper sides of the rows."""
    peaks = forest.peaks.least
    limits = np.concatenate([forest.day_limits.most, forest.tapers.most.ravel()])
    equal = [forest.buses.load_kw, forest.stores.given, forest.budgets.asked]
    shapes = _row_shapes(forest)
    sides = [np.broadcast_to(one, s).ravel() for one, s in zip(equal, shapes, strict=False)]
    return (
        np.concatenate([*sides, peaks.ravel(), np.full(limits.shape, -np.inf)]),
        np.concatenate([*sides, np.full(peaks.size, np.inf), limits]),
    )


def _entries(
    forest: Forest, columns: Sequence[Ints], rows: Sequence[Ints]
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Row, column and value of each coefficient."""
    into, out, level, soft, draw, lacking, spare, part, peak = columns
    bus, store, budget, interval, day_limit, taper = rows
    stores, budgets, parts, limits = forest.stores, forest.budgets, forest.parts, forest.day_limits
    # Buses.
    yield _put(bus[parts.bus], part, parts.here)
    below = np.flatnonzero(forest.buses.parent[parts.bus] != ROOT)
    yield _put(bus[forest.buses.parent[parts.bus[below]]], part[below], parts.up[below])
    yield _put(bus[stores.bus], out, 1.0)
    yield _put(bus[stores.bus], into, -1.0)
    yield _put(bus[budgets.bus], draw, -1.0)
    # Stores.
    keep, loss = stores.keep[:, None], stores.loss[:, None]
    of = forest.soft.store
    yield _put(store, into, -stores.gain)
    yield _put(store, out, loss)
    yield _put(store, level, 1.0)
    yield _put(store[:, 1:], level[:, :-1], -keep)
    yield _put(store[of], soft, 1.0)
    yield _put(store[of, 1:], soft[:, :-1], -keep[of])
    # Budgets, peaks, day limits.
    yield _put(budget[:, None], draw, budgets.weight[:, None])
    yield _put(budget, lacking, 1.0)
    yield _put(budget, spare, -1.0)
    yield _put(interval, peak[:, None], 1.0)
    of_peak, counted = forest.counted()
    at = forest.peaks.interval[of_peak]
    pair, step = np.nonzero(at >= 0)
    share = forest.peaks.share[of_peak[pair], step]
    yield _put(interval[of_peak[pair], at[pair, step]], part[counted[pair], step], -share)
    spans = (limits.first[:, None] <= np.arange(forest.steps)) & (
        np.arange(forest.steps) < limits.end[:, None]
    )
    one, step = np.nonzero(spans)
    yield _put(day_limit[one], out[limits.store[one], step], stores.loss[limits.store[one]])
    tapers = forest.tapers
    of = tapers.store
    moved = np.where(tapers.empties[:, None], out[of], into[of])
    yield _put(taper, moved, tapers.on.astype(np.float64))
    yield _put(taper[:, 1:], level[of, :-1], tapers.steep[:, 1:])
    one, which = np.nonzero(of[:, None] == forest.soft.store)
    yield _put(taper[one, 1:], soft[which, :-1], tapers.steep[one, 1:])


def _put(rows: Ints, columns: Ints, values: float | Floats) -> tuple[Ints, Ints, Floats]:
    row, column, value = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=float))
    return row.ravel(), column.ravel(), value.ravel()


def _numbered(shapes: Sequence[Shape]) -> list[Ints]:
    """The numbers of the members of blocks that stand one after the other."""
    count = sum(prod(shape) for shape in shapes)
    return [one.astype(np.int64) for one in _cut(np.arange(count, dtype=float), shapes)]


def _cut(values: Floats, shapes: Sequence[Shape]) -> list[Floats]:
    ends = np.cumsum([prod(shape) for shape in shapes])
    cut = np.split(values, ends[:-1])
    return [one.reshape(shape) for one, shape in zip(cut, shapes, strict=True)]
