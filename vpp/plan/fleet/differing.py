"""Where two forests differ, bus by bus, and what was found for the one carried over to the other.

What hangs on a bus is compared in its order, number by number: nothing is hashed. A bus on which more or fewer
hang than before differs; the others are the same to the last bit, so that what was found for them holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.pick import Mask
from vpp.plan.fleet.sums import slices

Array = NDArray[Any]

KINDS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("stores", ("into", "out", "level"), ("store",)),
    ("soft", ("soft",), ()),
    ("budgets", ("draw", "lacking", "spare"), ("budget",)),
    ("parts", ("part",), ()),
    ("peaks", ("peak",), ("peak",)),
    ("day_limits", (), ("day_limit",)),
    ("tapers", (), ("taper",)),
)
"""What hangs on buses, and its values in `Point` and prices in `Duals`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Differing:
    """How a forest differs from one before it."""

    buses: Mask
    """Those on which not everything is as it was, shape (B,)."""

    pairs: dict[str, tuple[Ints, Ints]]
    """Of each of `KINDS` who was whom: numbers in the forest before, and now; as far as a bus has as many."""


def differing(before: Forest, forest: Forest) -> Differing | None:
    """How two forests differ; None where their buses do not stand above each other alike."""
    if before.steps != forest.steps or not np.array_equal(before.buses.parent, forest.buses.parent):
        return None
    changed = _rows_differ(before.buses.load_kw, forest.buses.load_kw)
    pairs = dict[str, tuple[Ints, Ints]]()
    for kind, _, _ in KINDS:
        was, now = _bus_of(before, kind), _bus_of(forest, kind)
        count = len(changed)
        alike = np.bincount(was, minlength=count) == np.bincount(now, minlength=count)
        changed |= ~alike
        theirs, mine = np.flatnonzero(alike[was]), np.flatnonzero(alike[now])
        pairs[kind] = theirs, mine
        for old, new in _fields(before, forest, kind):
            changed[now[mine[_pairs_differ(old, new, theirs, mine)]]] = True
    return Differing(buses=changed, pairs=pairs)


def carried(
    before: Forest, point: Point, duals: Duals, forest: Forest, found: Differing
) -> tuple[Point, Duals]:
    """Copies of what was found for the forest before, in the other's places; zeros for who is new."""
    to_point, to_duals = blank(forest)
    to_duals.bus[:] = duals.bus
    for kind, values, prices in KINDS:
        theirs, mine = found.pairs[kind]
        for source, target, names in ((point, to_point, values), (duals, to_duals, prices)):
            for name in names:
                was, now = getattr(source, name), getattr(target, name)
                if len(theirs) == len(was) and was.shape == now.shape:
                    now[...] = was
                elif was.shape[1:] == now.shape[1:]:  # peaks may have another number of intervals
                    now[mine] = was[theirs]
    return to_point, to_duals


def _bus_of(forest: Forest, kind: str) -> Ints:
    """The bus on which each of a kind hangs, rising or equal."""
    if kind == "soft":
        return forest.stores.bus[forest.soft.store]
    if kind in ("day_limits", "tapers"):
        store: Ints = getattr(forest, kind).store
        return forest.stores.bus[store]
    bus: Ints = getattr(forest, kind).bus
    return bus


def _fields(before: Forest, forest: Forest, kind: str) -> Iterator[tuple[Array, Array]]:
    """Arrays of one kind, as they were and as they are; what is numbered, by its place on its bus."""
    was, now = getattr(before, kind), getattr(forest, kind)
    for each in fields(now):
        if each.name in ("bus", "counts"):
            continue
        if each.name == "store":
            yield (
                was.store - _first_store(before, was.store),
                now.store - _first_store(forest, now.store),
            )
        else:
            yield getattr(was, each.name), getattr(now, each.name)
    if kind == "parts":
        yield before.peaks.counts, forest.peaks.counts


def _first_store(forest: Forest, store: Ints) -> Ints:
    """The number of the first store on the bus of each."""
    return np.searchsorted(forest.stores.bus, forest.stores.bus[store])


def _pairs_differ(old: Array, new: Array, theirs: Ints, mine: Ints) -> Mask:
    if old.ndim == 2:
        if old.shape[1] != new.shape[1]:
            return np.ones(len(mine), dtype=bool)
        if old.shape[1] and old.strides[1] == new.strides[1] == 0:
            old, new = old[:, :1], new[:, :1]
    if len(theirs) == len(old) and len(mine) == len(new):
        return _rows_differ(old, new)
    found = np.zeros(len(mine), dtype=bool)
    for some in slices(len(mine), old.shape[1] if old.ndim == 2 else 1):
        found[some] = _rows_differ(old[theirs[some]], new[mine[some]])
    return found


def _rows_differ(old: Array, new: Array) -> Mask:
    found: Mask
    if old.ndim == 1:
        found = old != new
        return found
    found = np.zeros(len(new), dtype=bool)
    for some in slices(len(new), new.shape[1]):
        found[some] = (old[some] != new[some]).any(axis=1)
    return found
