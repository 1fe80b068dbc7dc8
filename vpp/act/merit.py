"""Cheapest first, and the order kept: sorting costs more than everything else a share does.

    costs unchanged  ──▶ the order as it was
    a few changed    ──▶ those are taken out, sorted and merged in again
    more, or others  ──▶ sorted anew

Only the marginal cost is looked for in the order. Who is cheaper goes to its bound, who is dearer
stays, and those at that very cost share in proportion to the room they have: equals get the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats

Ints = NDArray[np.int64]

FEW = 0.1
"""Where more than this part of the costs changed, sorting all is no slower than merging."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranked:
    """Costs as they were, and the units from the cheapest to the dearest."""

    cost_per_kwh: Floats
    """By unit, shape (n,)."""

    rank: Ints
    """Units by cost, shape (n,)."""

    sorted_per_kwh: Floats
    """`cost_per_kwh[rank]`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """What merit order keeps between calls, for each way to move. Empty at first."""

    up: Ranked | None = None
    down: Ranked | None = None


def ranked(before: Ranked | None, cost_per_kwh: Floats) -> Ranked:
    """The units by cost, re-sorted only where costs have changed since `before`."""
    if before is None or len(before.rank) != len(cost_per_kwh):
        return _sorted(cost_per_kwh)
    changed = cost_per_kwh != before.cost_per_kwh
    count = int(np.count_nonzero(changed))
    if count == 0:
        return before
    if count > FEW * len(cost_per_kwh):
        return _sorted(cost_per_kwh)
    return _merged(before, cost_per_kwh.copy(), changed)


def fill(side: Ranked, start_kw: Floats, bound_kw: Floats, move_kw: float) -> Floats:
    """Move the cheapest from `start_kw` to `bound_kw` until `move_kw` (a size) is moved.

    All together can move that much. Returns powers in kW, shape (n,).
    """
    way_kw = bound_kw - start_kw
    moved_kw = np.abs(way_kw)[side.rank].cumsum()
    at = min(int(np.searchsorted(moved_kw, move_kw)), len(moved_kw) - 1)
    cost = side.sorted_per_kwh[at]
    first, after = np.searchsorted(side.sorted_per_kwh, (cost, np.nextafter(cost, np.inf)))
    before_kw = float(moved_kw[first - 1]) if first else 0.0
    equals_kw = float(moved_kw[after - 1]) - before_kw
    part = min(max((move_kw - before_kw) / equals_kw, 0.0), 1.0) if equals_kw > 0 else 0.0
    # Times a truth is much faster than a choice by it, where nobody can guess the next one.
    power_kw: Floats = way_kw * (side.cost_per_kwh < cost) + (part * way_kw) * (
        side.cost_per_kwh == cost
    )
    power_kw += start_kw
    np.maximum(power_kw, np.minimum(start_kw, bound_kw), out=power_kw)
    np.minimum(power_kw, np.maximum(start_kw, bound_kw), out=power_kw)
    return power_kw


def _sorted(cost_per_kwh: Floats) -> Ranked:
    rank = np.argsort(cost_per_kwh)
    costs = cost_per_kwh.copy()  # the caller may write into its own next time
    return Ranked(cost_per_kwh=costs, rank=rank, sorted_per_kwh=costs[rank])


def _merged(before: Ranked, costs: Floats, changed: NDArray[np.bool_]) -> Ranked:
    stay = ~changed[before.rank]
    rank, in_order = before.rank[stay], before.sorted_per_kwh[stay]
    movers = np.flatnonzero(changed)
    movers = movers[np.argsort(costs[movers])]
    places = np.searchsorted(in_order, costs[movers], side="right")
    return Ranked(
        cost_per_kwh=costs,
        rank=np.insert(rank, places, movers),
        sorted_per_kwh=np.insert(in_order, places, costs[movers]),
    )
