"""The one level at which many bounded straight lines add up to a total; water finds it so.

    unit i gives   clip(offset_i + slope_i * level, low_i, high_i)

Three sharing rules are this with other lines. The sum grows with the level and is straight between
the levels at which a unit meets a bound; so a guess is stepped on by Newton's rule, and whoever the
bracket has decided (at a bound, or straight all through it) is summed up once and looked at no more.
A step that decides less than half of them is followed by one to the median bound, which does: the
work is a few passes over all units, however they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """What each of n units gives as the level rises; everything finite, shape (n,)."""

    offset_kw: Floats
    slope: Floats
    """kW for each unit of the level, not below 0; 0: it does not move."""

    low_kw: Floats
    high_kw: Floats

    def at(self, level: float) -> Floats:
        """What everybody gives at `level`, in kW, shape (n,)."""
        power_kw = self.slope * level
        power_kw += self.offset_kw
        np.maximum(power_kw, self.low_kw, out=power_kw)
        np.minimum(power_kw, self.high_kw, out=power_kw)
        return power_kw

    def only(self, some: NDArray[np.bool_]) -> Lines:
        return Lines(
            offset_kw=self.offset_kw[some],
            slope=self.slope[some],
            low_kw=self.low_kw[some],
            high_kw=self.high_kw[some],
        )


def powers_at_level(lines: Lines, total_kw: float) -> Floats:
    """The powers at the level where they add up to `total_kw`, in kW, shape (n,).

    A total beyond what the bounds allow ends with everybody at a bound.
    """
    moves = (lines.slope > 0) & (lines.low_kw < lines.high_kw)
    if moves.all():
        return lines.at(_level(lines, total_kw))
    still_kw = float(lines.at(0.0).sum(where=~moves))
    return lines.at(_level(lines.only(moves), total_kw - still_kw))


def _level(lines: Lines, total_kw: float) -> float:
    """Every line here can move."""
    if not len(lines.slope):
        return 0.0
    enters = (lines.low_kw - lines.offset_kw) / lines.slope
    leaves = (lines.high_kw - lines.offset_kw) / lines.slope
    below, above = float(enters.min()), float(leaves.max())  # everybody low, everybody high
    straight_kw = rise = 0.0  # offsets and slopes of those that are straight all through
    level = (total_kw - float(lines.offset_kw.sum())) / float(lines.slope.sum())
    halved = True
    while (size := len(enters)) and below < above:
        if not (halved and below < level < above):
            level = _median_bound(enters, leaves, below, above)
        gap_kw = total_kw - straight_kw - rise * level - float(lines.at(level).sum())
        if gap_kw > 0:
            below = level
        else:
            above = level
        low, high = enters >= above, leaves <= below
        through = (enters <= below) & (leaves >= above)
        total_kw -= float(lines.low_kw.sum(where=low)) + float(lines.high_kw.sum(where=high))
        straight_kw += float(lines.offset_kw.sum(where=through))
        rise += float(lines.slope.sum(where=through))
        is_open = ~(low | high | through)
        lines, enters, leaves = lines.only(is_open), enters[is_open], leaves[is_open]
        halved = 2 * len(enters) <= size
        now = (enters <= level) & (level <= leaves)
        here = rise + float(lines.slope.sum(where=now))
        level = level + gap_kw / here if here > 0 else below
    if rise == 0:
        return below
    return min(max((total_kw - straight_kw) / rise, below), above)


def _median_bound(enters: Floats, leaves: Floats, below: float, above: float) -> float:
    """The middle one of the levels between `below` and `above` at which a unit meets a bound."""
    bounds = np.concatenate((enters, leaves))
    bounds = bounds[(bounds > below) & (bounds < above)]
    middle = len(bounds) // 2
    return float(np.partition(bounds, middle)[middle])
