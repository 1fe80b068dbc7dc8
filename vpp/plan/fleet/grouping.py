"""Which buses share a layout: enough of them to be worked on together, without much room for nobody.

Counts are rounded up (`roomy`), so that big fleets have few different ones. Where still only a few buses
are alike, they join others as long as a group's places are at most `PADDED` times what its buses need: what
a step costs beside the arithmetic is paid once a group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.fleet.forest import Ints

ENOUGH = 24
"""Buses that nobody need join."""

PADDED = 1.25


def roomy(counts: Ints) -> Ints:
    """The next of 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, … at or above each."""
    above = np.maximum(counts, 1)
    grain = 2 ** np.maximum(np.ceil(np.log2(above)).astype(np.int64) - 3, 0)
    found: Ints = -(-counts // grain) * grain
    return found


@dataclass(slots=True)
class _Group:
    widest: Ints
    """The most of each kind of thing that a bus of it has."""

    buses: int
    needed: float
    """What its buses need, in columns a step."""


def grouped(sizes: Ints, columns: Ints) -> tuple[Ints, Ints]:
    """Sort buses into groups.

    Args:
        sizes: How many of each kind hang on each bus, shape (B, kinds).
        columns: Columns a step of each kind, shape (kinds,).

    Returns:
        What the buses of each group have room for, shape (groups, kinds), and the group of each bus.
    """
    alike, which, count = np.unique(roomy(sizes), axis=0, return_inverse=True, return_counts=True)
    groups: list[_Group] = []
    group_of = np.zeros(len(alike), dtype=np.int64)
    open_ones: list[int] = []
    for kind in np.argsort(-(alike @ columns), kind="stable"):
        size, number = alike[kind], int(count[kind])
        needed = float(size @ columns) * number
        joined = _joins(groups, open_ones, size, number, needed, columns)
        if joined is None:
            joined = len(groups)
            groups.append(_Group(size, 0, 0.0))
            open_ones.append(joined)
        group = groups[joined]
        group.widest = np.maximum(group.widest, size)
        group.buses += number
        group.needed += needed
        group_of[kind] = joined
        if group.buses >= ENOUGH:
            open_ones.remove(joined)
    room = np.array([group.widest for group in groups], dtype=np.int64)
    return room.reshape(-1, sizes.shape[1]), group_of[which.ravel()]


def _joins(
    groups: list[_Group],
    open_ones: list[int],
    size: Ints,
    number: int,
    needed: float,
    columns: Ints,
) -> int | None:
    """The group that takes these buses with the least padding, if any may."""
    if number >= ENOUGH or not open_ones:
        return None
    some = [groups[at] for at in open_ones]
    widest = np.maximum(np.stack([group.widest for group in some]), size)
    buses = np.array([group.buses for group in some]) + number
    wanted = np.array([group.needed for group in some]) + needed
    padded = (widest @ columns) * buses / np.maximum(wanted, 1.0)
    best = int(np.argmin(padded))
    return open_ones[best] if padded[best] <= PADDED else None
