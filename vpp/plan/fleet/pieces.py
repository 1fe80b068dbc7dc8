"""A forest taken in pieces: spans of its buses in which whole trees stand, of a size that stays in cache.

What is made on the way to an answer (packed columns, repaired points, what rows are broken by) is several times
as large as the answer. Made of a whole fleet it is memory that the system hands out anew for each array; made
piece by piece it is the same few megabytes again, so that a tree costs what it costs in a small fleet.

A cut before bus k is allowed where no bus stands on one side and its parent on the other:

    crossing[k] = how many b have min(b, parent[b]) < k <= max(b, parent[b])        allowed: crossing[k] = 0

Trees that share columns are one piece.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Ints,
    Parts,
    Peaks,
    SoftLevels,
    Stores,
    Tapers,
)
from vpp.plan.fleet.pick import Picked

COLUMNS = 1_000_000
"""Of a piece, about: arrays of so many numbers are memory that the process keeps and uses again."""


def pieces(forest: Forest, columns: int = COLUMNS) -> list[Picked]:
    """The forest in pieces of about so many columns, in the order of its buses: views of it.

    At least one, also where there is nothing.
    """
    cuts = _allowed(forest)
    before = _columns_before(forest, cuts)
    count = max(round(before[-1] / columns), 1)
    at = np.searchsorted(before, before[-1] * np.arange(1, count) / count)
    inner = np.setdiff1d(cuts[at], (cuts[0], cuts[-1])).tolist()
    ends = (int(cuts[0]), *inner, int(cuts[-1]))
    return [_piece(forest, slice(*pair)) for pair in pairwise(ends)]


def _allowed(forest: Forest) -> Ints:
    """Before which buses a piece may end, rising; the first is 0 and the last the number of buses."""
    parent = forest.buses.parent
    count = len(parent)
    if forest.shared is not None:
        return np.array([0, count])
    below = np.flatnonzero(parent != ROOT)
    lower, upper = np.minimum(below, parent[below]), np.maximum(below, parent[below])
    changes = np.bincount(lower + 1, minlength=count + 2)
    changes -= np.bincount(upper + 1, minlength=count + 2)
    return np.flatnonzero(np.cumsum(changes)[: count + 1] == 0)


def _columns_before(forest: Forest, cuts: Ints) -> Ints:
    """How many columns hang on the buses before each cut, about."""
    kinds = ((3, forest.stores), (1, forest.budgets), (1, forest.parts))
    units = sum(each * np.searchsorted(kind.bus, cuts) for each, kind in kinds)
    return forest.steps * np.asarray(units, dtype=np.int64)


def _piece(forest: Forest, buses: slice) -> Picked:
    stores, budgets, parts, peaks = (
        _hung(getattr(forest, name).bus, buses) for name in ("stores", "budgets", "parts", "peaks")
    )
    soft, day_limits, tapers = (
        _hung(getattr(forest, name).store, stores) for name in ("soft", "day_limits", "tapers")
    )
    parent = forest.buses.parent[buses]
    first, store = buses.start, stores.start
    return Picked(
        forest=Forest(
            steps=forest.steps,
            buses=Buses(
                parent=np.where(parent == ROOT, ROOT, parent - first),
                load_kw=forest.buses.load_kw[buses],
            ),
            stores=_of(forest.stores, stores, bus=forest.stores.bus[stores] - first),
            soft=_of(forest.soft, soft, store=forest.soft.store[soft] - store),
            budgets=_of(forest.budgets, budgets, bus=forest.budgets.bus[budgets] - first),
            parts=_of(forest.parts, parts, bus=forest.parts.bus[parts] - first),
            peaks=_of(
                forest.peaks,
                peaks,
                bus=forest.peaks.bus[peaks] - first,
                counts=forest.peaks.counts[parts],
            ),
            day_limits=_of(
                forest.day_limits, day_limits, store=forest.day_limits.store[day_limits] - store
            ),
            tapers=_of(forest.tapers, tapers, store=forest.tapers.store[tapers] - store),
            shared=forest.shared,
        ),
        buses=_numbers(buses),
        stores=_numbers(stores),
        soft=_numbers(soft),
        budgets=_numbers(budgets),
        parts=_numbers(parts),
        peaks=_numbers(peaks),
        day_limits=_numbers(day_limits),
        tapers=_numbers(tapers),
    )


def _hung(on: Ints, owners: slice) -> slice:
    """What hangs on a span of owners: a span too, for `on` does not fall."""
    first, end = np.searchsorted(on, (owners.start, owners.stop)).tolist()
    return slice(first, end)


def _numbers(span: slice) -> Ints:
    return np.arange(span.start, span.stop)


Kind = TypeVar("Kind", Stores, SoftLevels, Budgets, Parts, Peaks, DayLimits, Tapers)


def _of(kind: Kind, span: slice, **given: NDArray[Any]) -> Kind:
    """A span of one kind; `given` says what is not taken from it."""
    values = {each.name: getattr(kind, each.name) for each in fields(kind)}
    taken = {name: one[span] for name, one in values.items() if name not in given}
    return replace(kind, **taken | given)
