"""Many units that are to move at one moment move one after the other, in an order drawn by lot.

    without   ____┌────────      all at once: a step of the grid's frequency, a fuse
    with      ____╱‾‾‾‾‾‾‾‾      the sum ramps from `early` before the moment to as much after it
                  ┊ due

Each gets a place in a queue by lot and starts when the power of those before it has started: the sum
never runs ahead of a straight ramp by more than one unit. The window lies evenly around the moment
that is due, so that what is done too early and too late add up to nothing; where nobody can start
before it is due, what is missing is told, to be made up by others.

Lots are drawn from a generator that is passed in: the same seed gives the same queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats


class Lots(Protocol):
    """Where chance comes from: a `numpy.random.Generator`."""

    def permutation(self, x: NDArray[np.intp], /) -> NDArray[np.intp]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """When each of n units starts."""

    start_s: Floats
    """Seconds from the moment that is due, below 0 before it; 0 where it does not move. Shape (n,)."""

    window_s: float
    """From the first start to the end of the ramp."""

    late_kwh: float
    """Net injection that is missing for ever because the ramp is later than the moment; below 0:
    too much. 0 where the window lies evenly around it."""


def spread(
    move_kw: Floats,
    lots: Lots,
    *,
    most_kw_per_s: float,
    longest_s: float,
    earliest_s: float = 0.0,
) -> Spread:
    """Spread starts so that the sum of sizes moves no faster than `most_kw_per_s`, where it can.

    Args:
        move_kw: What each moves by at once, net injection, 0 where it does not; shape (n,).
        lots: Where lots are drawn from.
        most_kw_per_s: How fast the sum of |move_kw| may move.
        longest_s: The window is no longer, whatever the ramp then is.
        earliest_s: How long before the moment a start is possible: 0 where it is now.

    Raises:
        DataError: A number is not finite, a length is negative, or the ramp is not above 0.
    """
    if not np.isfinite(move_kw).all():
        raise DataError(
            f"unit {int(np.flatnonzero(~np.isfinite(move_kw))[0])} moves by no finite number",
            where="spread: move_kw",
            fix="Leave out who is not known",
        )
    if not (0 < most_kw_per_s < np.inf and 0 <= longest_s < np.inf and 0 <= earliest_s < np.inf):
        raise DataError(
            f"{most_kw_per_s} kW/s within {longest_s} s, from {earliest_s} s before",
            where="spread",
            fix="Give a finite ramp above 0 and finite lengths not below 0",
        )
    size_kw = np.abs(move_kw)
    total_kw = float(size_kw.sum())
    start_s = np.zeros(len(move_kw))
    if total_kw == 0:
        return Spread(start_s=start_s, window_s=0.0, late_kwh=0.0)
    window_s = min(total_kw / most_kw_per_s, longest_s)
    early_s = min(earliest_s, window_s / 2)
    queue = lots.permutation(np.flatnonzero(size_kw))
    ends_kw = np.cumsum(size_kw[queue])
    # The middle of its own stretch of the ramp: the sum is on the line there, and the power-weighted
    # mean of all starts is the middle of the window exactly.
    start_s[queue] = window_s * (ends_kw - size_kw[queue] / 2) / total_kw - early_s
    return Spread(start_s=start_s, window_s=window_s, late_kwh=float(move_kw @ start_s) / 3600)


def moved_kw(before_kw: Floats, after_kw: Floats, starts: Spread, *, since_s: float) -> Floats:
    """What each is to do `since_s` after the moment (below 0: before it), in kW, shape (n,)."""
    return np.where(starts.start_s <= since_s, after_kw, before_kw)
