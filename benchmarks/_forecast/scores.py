"""How good the forecasts of a window were. Written apart from what is measured: no code of ours judges itself.

CRPS is twice the pinball loss over all probabilities; each of the nine levels stands for the
probabilities that are nearer to it than to another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats

_EDGES = np.concatenate(([0.0], (np.array(LEVELS[1:]) + np.array(LEVELS[:-1])) / 2, [1.0]))
WEIGHTS: Floats = np.diff(_EDGES)
"""What each level stands for; they add up to 1."""

MEDIAN, LOW, HIGH = LEVELS.index(0.5), LEVELS.index(0.1), LEVELS.index(0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over all steps of a window that were measured."""

    mae: float
    """Of the median, in the unit of the series."""

    nrmse: float
    """Root of the mean squared error of the median, over the mean size of what was measured; NaN where
    that is 0 throughout."""

    crps: float
    """In the unit of the series."""

    coverage80: float
    """Share of steps within the quantiles 0.1 and 0.9."""

    scored: int
    """Steps."""


def score(quantiles: Floats, actual: Floats) -> Score:
    """Judge quantiles of shape (levels, steps) by what was measured, NaN where nothing was."""
    known = np.isfinite(actual)
    q, y = quantiles[:, known], actual[known]
    error = q[MEDIAN] - y
    return Score(
        mae=float(np.abs(error).mean()),
        nrmse=float(np.sqrt((error**2).mean()) / size) if (size := np.abs(y).mean()) else np.nan,
        crps=float(2 * (WEIGHTS @ pinball(q, y)).mean()),
        coverage80=float(((q[LOW] <= y) & (y <= q[HIGH])).mean()),
        scored=int(known.sum()),
    )


def pinball(quantiles: Floats, actual: Floats) -> Floats:
    """The loss of each level at each step, shape (levels, steps)."""
    above = actual - quantiles
    levels = np.array(LEVELS)[:, None]
    return np.maximum(levels * above, (levels - 1) * above)


def reliability(quantiles: Floats, actual: Floats) -> Floats:
    """Share of what was measured that lies at or below each level, shape (levels,)."""
    known = np.isfinite(actual)
    shares: Floats = (actual[known] <= quantiles[:, known]).mean(axis=1)
    return shares
