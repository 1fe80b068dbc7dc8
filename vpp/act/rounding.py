"""Each of many takes one of two powers so that the sum comes out: rounding that adds up.

Who is nearest to its upper power takes it first, until the sum is that of the wishes as nearly as it
can be. One that stands at the upper power already, or would have to leave the lower one, counts
`SWITCH` of the step more, or less: two units do not swap places for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats

Ints = NDArray[np.int64]

SWITCH = 0.25
"""What a switch counts, as a part of the step: the wishes must differ by half a step for a swap."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Units of which each must take one of two powers, or go on from there; both may be the same."""

    rows: Ints
    lower_kw: Floats
    upper_kw: Floats
    down_kw: Floats
    """How far below the lower one it may go; 0 at least where both are the same."""

    up_kw: Floats
    """How far above the upper one."""


def choose(choice: Choice, wish_kw: Floats, at_kw: Floats, low: Floats, high: Floats) -> None:
    """Narrow `low` and `high` of each to its lower or its upper power.

    So many take the upper one that the sum of all is near that of the wishes, as near as it can be
    where the others, and whoever may go on, can make up for the rest.
    """
    rows, below, above = choice.rows, choice.lower_kw, choice.upper_kw
    wish, at, gap = wish_kw[rows], at_kw[rows], above - below
    part = np.divide(wish - below, gap, out=np.ones(len(rows)), where=gap > 0)
    part += SWITCH * ((at >= above) * 1.0 - (at <= below))
    queue = _largest_first(part)
    rest_kw = float((wish - below).sum()) - _running(gap[queue])
    up_kw = float((high - wish_kw).sum() - (high[rows] - wish).sum())
    down_kw = float((wish_kw - low).sum() - (wish - low[rows]).sum() + choice.down_kw.sum())
    beyond_kw = np.maximum(rest_kw - up_kw - _running(choice.up_kw[queue]), 0.0)
    beyond_kw += np.maximum(_running(choice.down_kw[queue]) - rest_kw - down_kw, 0.0)
    fits = beyond_kw <= beyond_kw.min() + 1e-9
    count = int(np.argmin(np.where(fits, np.abs(rest_kw), np.inf)))
    ups = queue[:count]
    low_kw, high_kw = below - choice.down_kw, below.copy()
    low_kw[ups], high_kw[ups] = above[ups], above[ups] + choice.up_kw[ups]
    low[rows], high[rows] = low_kw, high_kw


def _running(values: Floats) -> Floats:
    """Sums of the first 0, 1, 2 … values."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums


def _largest_first(values: Floats) -> Ints:
    """Places by value, the largest first, equal ones in order; `values` within -2 … 2.

    Value and place in one integer: sorting those is much faster than an indirect, stable sort.
    """
    size = max(len(values), 1)
    packed = np.floor((2.0 - values) * 2**30).astype(np.int64) * size + np.arange(len(values))
    packed.sort()
    return packed % size
