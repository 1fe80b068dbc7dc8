"""The one level at which many bounded straight lines add up to a total; water finds it so.

    unit i gives   clip(offset_i + slope_i * level, low_i, high_i)

Three sharing rules are this with other lines. The sum grows with the level and is straight between
the levels at which a unit meets a bound. So a guess, made from a few of the units, is stepped on by
Newton's rule over all of them; two or three steps are the common case. Where they do not settle it,
the bounds themselves are halved: each round looks at the median bound and then no more at whoever
that decides, so that the work is a few passes over all units, however they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats

STEPS = 8
"""Newton's steps before the bounds are halved instead."""

SAMPLE = 500
"""Units that the first guess is made from."""

PIECE = 16_384
"""Units that are looked at in one go."""

EXACT = 1e-13
"""Of the span of all bounds: a sum this near is the sum."""


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
        return np.minimum(power_kw, self.high_kw, out=power_kw)

    def only(self, some: NDArray[np.bool_] | slice) -> Lines:
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
    size = len(lines.slope)
    level = 0.0
    if size > 4 * SAMPLE:
        some = lines.only(slice(None, None, size // SAMPLE))
        level = _halved(some, total_kw * len(some.slope) / size)
    exact_kw = EXACT * float(lines.high_kw.sum() - lines.low_kw.sum())
    for _ in range(STEPS if size > 4 * SAMPLE else 0):
        sum_kw, rise = _sum_and_rise(lines, level)
        if abs(total_kw - sum_kw) <= exact_kw:
            return lines.at(level)
        if rise == 0:
            break
        level += (total_kw - sum_kw) / rise
    return lines.at(_halved(lines, total_kw))


def _sum_and_rise(lines: Lines, level: float) -> tuple[float, float]:
    """The sum of all powers at `level`, and how much it grows with it.

    In pieces that a processor's cache holds: ten times the units take ten times the time, no more.
    """
    sum_kw = rise = 0.0
    for start in range(0, len(lines.slope), PIECE):
        piece = lines.only(slice(start, start + PIECE))
        power_kw = piece.at(level)
        sum_kw += float(power_kw.sum())
        rise += float(piece.slope.dot((power_kw > piece.low_kw) & (power_kw < piece.high_kw)))
    return sum_kw, rise


def _halved(lines: Lines, total_kw: float) -> float:
    """The level, by halving the bounds that may lie beside it."""
    moves = (lines.slope > 0) & (lines.low_kw < lines.high_kw)
    total_kw -= float(lines.at(0.0).sum(where=~moves))
    lines = lines.only(moves)
    enters = (lines.low_kw - lines.offset_kw) / lines.slope
    leaves = (lines.high_kw - lines.offset_kw) / lines.slope
    below = float(enters.min(initial=0.0))  # everybody is low there, and high at `above`
    above = float(leaves.max(initial=0.0))
    straight_kw = rise = 0.0  # offsets and slopes of those that meet no bound between them
    while len(enters) and below < above:
        level = _median_bound(enters, leaves, below, above)
        if straight_kw + rise * level + float(lines.at(level).sum()) < total_kw:
            below = level
        else:
            above = level
        low, high = enters >= above, leaves <= below
        through = (enters <= below) & (leaves >= above)
        total_kw -= float(lines.low_kw[low].sum()) + float(lines.high_kw[high].sum())
        straight_kw += float(lines.offset_kw[through].sum())
        rise += float(lines.slope[through].sum())
        is_open = ~(low | high | through)
        lines, enters, leaves = lines.only(is_open), enters[is_open], leaves[is_open]
    if rise == 0:
        return below
    return min(max((total_kw - straight_kw) / rise, below), above)


def _median_bound(enters: Floats, leaves: Floats, below: float, above: float) -> float:
    """The middle one of the levels between `below` and `above` at which a unit meets a bound."""
    bounds = np.concatenate((enters, leaves))
    inside = bounds[(bounds > below) & (bounds < above)]
    if not len(inside):  # only the first time: nobody's bound lies inside
        return below + (above - below) / 2
    middle = len(inside) // 2
    return float(np.partition(inside, middle)[middle])
