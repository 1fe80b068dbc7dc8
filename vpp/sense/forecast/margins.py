"""Room to keep below a limit so that it holds with a chosen probability, from measured errors.

    error[o, l] = measured - forecast, l steps after it was issued, of all together that nobody moves

    room for drawing   the quantile of -error at each lead      what comes draws more than expected
    room for feeding   the quantile of +error at each lead      what comes feeds more

The quantile is the conformal one, the ceil((n + 1)·p)-th smallest of n errors: it covers the next
error with probability p whatever its distribution, as long as errors keep theirs (Vovk, Gammerman,
Shafer: Algorithmic Learning in a Random World, 2005). Errors grow with the lead; what falls is
chance, and is evened out by isotonic regression (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats

FEWEST = 5
"""Errors at a lead; a lead with fewer has the room of the lead before it."""


def added_up(errors_kw: Sequence[Floats]) -> Floats:
    """Errors of all that stands below one place, from those of each series; shapes (origins, leads).

    All are of the same origins: that errors happen together, or cancel, is kept that way. NaN where
    one is not known.
    """
    total: Floats = np.sum(np.asarray(errors_kw, dtype=float), axis=0)
    return total


def rooms_kw(
    errors_kw: Floats, probability: float, steps: int, *, known: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """Room to keep free for drawing and for feeding in each step of a plan, shapes (steps,); sizes.

    `errors_kw` is net injection, measured less forecast, shape (origins, leads), NaN where not known;
    step k of the plan is lead k, steps beyond the last lead have its room. In steps that are `known`,
    shape (steps,), nothing need be kept.

    Raises:
        DataError: The probability is not between 0.5 and 1, or no lead has enough errors.
    """
    if not 0.5 < probability < 1:
        raise DataError(
            f"probability is {probability}", where="margins", fix="Give one above 0.5 and below 1"
        )
    at = np.minimum(np.arange(steps), errors_kw.shape[1] - 1)
    need = np.ones(steps) if known is None else np.where(known, 0.0, 1.0)
    drawing = _risen(-errors_kw, probability)[at] * need
    feeding = _risen(errors_kw, probability)[at] * need
    return drawing, feeding


def _risen(errors: Floats, probability: float) -> Floats:
    """The quantile of each lead, never falling with it, not below 0; shape (leads,)."""
    counts = np.sum(~np.isnan(errors), axis=0)
    if not (counts >= FEWEST).any():
        raise DataError(
            f"at most {int(counts.max(initial=0))} errors at each lead",
            where="margins",
            fix=f"Forecast at least {FEWEST} times before margins are asked for",
        )
    ordered = np.sort(errors, axis=0)  # NaN last
    ranks = np.array([min(ceil((n + 1) * probability), n) - 1 for n in counts.tolist()])
    quantile = ordered[np.maximum(ranks, 0), np.arange(errors.shape[1])]
    enough = np.flatnonzero(counts >= FEWEST)
    rising = _isotonic(np.maximum(quantile[enough], 0.0), counts[enough].astype(float))
    nearest = np.searchsorted(enough, np.arange(errors.shape[1]), side="right") - 1
    return rising[np.maximum(nearest, 0)]


def _isotonic(values: Floats, weights: Floats) -> Floats:
    """The nearest course that never falls, in weighted squares: pool adjacent violators; (n,)."""
    pools: list[list[float]] = []  # mean, weight, how many
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append([value, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, heavy, many = pools.pop()
            total = pools[-1][1] + heavy
            pools[-1][0] += (mean - pools[-1][0]) * heavy / total
            pools[-1][1] = total
            pools[-1][2] += many
    return np.repeat([mean for mean, _, _ in pools], [int(many) for _, _, many in pools])
