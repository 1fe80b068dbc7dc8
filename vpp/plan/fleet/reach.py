"""How far the rows of a forest can reach, from the bounds of their columns alone.

bus     low <= Σ … <= high, each column at the bound that helps
level   from the last step's reach:   keep·low + given - loss·out_most  to  keep·high + given + gain·into_most,
        then no further than its own bounds; where a power tapers, with what it may be at the best of
        low, high, and the level at which it begins to. Reaches are intervals, so a chain of levels that fits its bounds
        in this way is possible as it stands
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import ROOT, Forest, Ints
from vpp.plan.fleet.sums import summed


def bus_reach(forest: Forest) -> tuple[Floats, Floats]:
    """The lowest and the highest left side of each bus's row, shapes (B, T)."""
    parts, stores, budgets = forest.parts, forest.stores, forest.budgets
    buses = len(forest.buses.parent)
    parent = forest.buses.parent[parts.bus]
    below = np.flatnonzero(parent != ROOT)
    most = np.where(forest.windows(), budgets.draw_most, 0.0)
    low = -summed(stores.into_most, stores.bus, buses) - summed(most, budgets.bus, buses)
    high = summed(stores.out_most, stores.bus, buses)
    for sense, each in ((np.minimum, low), (np.maximum, high)):
        each += summed(sense(parts.here * parts.least, parts.here * parts.most), parts.bus, buses)
        up, least, most = parts.up[below], parts.least[below], parts.most[below]
        each += summed(sense(up * least, up * most), parent[below], buses)
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """What stores can hold with their soft levels, shapes (n, T)."""

    low: Floats
    """By what fills and empties, and what is given, from levels that were possible before."""

    high: Floats
    least: Floats
    """By the bounds of the levels."""

    most: Floats

    @property
    def lacks(self) -> Floats:
        """How much the bounds are out of reach, at the first step in which they are; shape (n, T)."""
        out = np.maximum(self.least - self.high, self.low - self.most)
        return np.maximum(np.maximum(out, self.least - self.most), 0.0)


def whole_bounds(forest: Forest, which: Ints) -> tuple[Floats, Floats]:
    """The least and the most that some stores may hold, soft levels and all; shapes (n, T)."""
    stores, soft = forest.stores, forest.soft
    own, of = np.unique(which, return_inverse=True)
    mine = np.isin(soft.store, own)
    place = np.searchsorted(own, soft.store[mine])
    least = stores.level_least[own] + summed(soft.least[mine], place, len(own))
    most = stores.level_most[own] + summed(soft.most[mine], place, len(own))
    return least[of], most[of]


def level_reach(forest: Forest) -> Levels:
    """Where bounds are out of reach the chain goes on from the nearest level there is."""
    stores, soft = forest.stores, forest.soft
    count = len(stores.bus)
    least, most = stores.level_least, stores.level_most
    if len(soft.store):
        least = least + summed(soft.least, soft.store, count)
        most = most + summed(soft.most, soft.store, count)
    low, high = np.empty(stores.given.shape), np.empty(stores.given.shape)
    lowest, highest = np.zeros(count), np.zeros(count)
    for step in range(forest.steps):
        given = stores.given[:, step]
        low[:, step] = stores.keep * lowest + given - stores.loss * stores.out_most[:, step]
        high[:, step] = (
            stores.keep * highest + given + stores.gain[:, step] * stores.into_most[:, step]
        )
        if step and len(forest.tapers.store):
            _taper(forest, step, (lowest, highest), low[:, step], high[:, step])
        lowest = np.minimum(np.maximum(low[:, step], least[:, step]), high[:, step])
        highest = np.maximum(np.minimum(high[:, step], most[:, step]), low[:, step])
    return Levels(low=low, high=high, least=least, most=most)


def _taper(
    forest: Forest, step: int, before: tuple[Floats, Floats], low: Floats, high: Floats
) -> None:
    """Reach no further than tapers let the powers of a step, with levels `before` within these."""
    tapers, stores = forest.tapers, forest.stores
    on = tapers.on[:, step]
    for empties in (False, True):
        at = np.flatnonzero(on & (tapers.empties == empties))
        of, steep, most = tapers.store[at], tapers.steep[at, step], tapers.most[at, step]
        size = (stores.out_most if empties else stores.into_most)[of, step]
        lowest, highest = before[0][of], before[1][of]
        begins = np.divide(most - size, steep, out=lowest.copy(), where=steep != 0)
        levels = np.stack([lowest, highest, np.clip(begins, lowest, highest)])
        power = np.clip(most - steep * levels, 0.0, size)
        held = stores.keep[of] * levels + stores.given[of, step]
        if empties:
            low[of] = (held - stores.loss[of] * power).min(axis=0)
        else:
            high[of] = (held + stores.gain[of, step] * power).max(axis=0)
