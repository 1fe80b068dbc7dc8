"""PJM's performance score of a signal and the response to it: accuracy, delay and precision, a third each.

    signal    ──▟▀▙──        at each 10 s: the next 5 minutes of the signal against the response 0 to 5 minutes later
    response  ───▟▀▙─        accuracy   their correlation   ┐ at the one delay at which both together are best
                             delay      1 − delay / 5 min   ┘
                             precision  1 − mean |response − signal| over the mean |signal| of the hour

Source: PJM Manual 12, "Balancing Operations", section 4.5.6 (scores on a grid of 10 s, at most 5 minutes of delay,
10 s allowed for the way of the signal), as recalled and as an open co-simulation testbed of the University of
Michigan computes it from the manual's text; the manual itself was not at hand. Where a window of the signal is
flat no correlation exists: the manual compares slopes then, and so does this, in parts of the mean signal a step.
Precision is that of the better one of "at once" and "10 s later": who is faster than allowed loses nothing by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vpp.model.horizon import Floats

GRID_S = 10
WINDOW = 30
"""Steps of a window, and the most of delay: five minutes."""
ALLOWED = 1
"""Steps that the signal itself takes to arrive."""
STILL = 1e-6
"""A window that strays by less, in parts of the mean signal, is flat."""


class PjmScore(NamedTuple):
    """Means over the span, each from 0 to 1."""

    accuracy: float
    delay: float
    precision: float

    @property
    def score(self) -> float:
        return (self.accuracy + self.delay + self.precision) / 3


def pjm_score_of(
    signal_mw: Sequence[float] | Floats, response_mw: Sequence[float] | Floats
) -> PjmScore | None:
    """The score over a span on the grid of 10 s; the two are as long as each other.

    None where there is less than a window of each at every delay (ten minutes and a step), or no signal at all.
    """
    signal, response = np.asarray(signal_mw, float), np.asarray(response_mw, float)
    mean = float(np.abs(signal).mean()) if signal.size else 0.0
    begins = signal.size - 2 * WINDOW
    if begins < 1 or mean == 0:
        return None
    asked = sliding_window_view(signal, WINDOW + 1)[:begins]
    given = sliding_window_view(response, WINDOW + 1)
    alike = np.stack([_alike(asked, given[k : k + begins], mean) for k in range(WINDOW)])
    late = np.maximum(np.arange(WINDOW) - ALLOWED, 0) / WINDOW
    delay = np.broadcast_to((1 - late)[:, None], alike.shape)
    best = (alike + delay).argmax(axis=0)
    each = np.arange(begins)
    errors = [np.abs(response[k:] - signal[: signal.size - k]) / mean for k in range(ALLOWED + 1)]
    return PjmScore(
        accuracy=float(np.clip(alike[best, each], 0, 1).mean()),
        delay=float(delay[best, each].mean()),
        precision=max(float(np.clip(1 - error, 0, 1).mean()) for error in errors),
    )


def _alike(asked: Floats, given: Floats, mean: float) -> Floats:
    """Correlation of each pair of windows, 0 where nothing answers; where nothing is asked, by slopes."""
    left = asked - asked.mean(axis=1, keepdims=True)
    right = given - given.mean(axis=1, keepdims=True)
    moved, answered = np.sqrt((left**2).sum(axis=1)), np.sqrt((right**2).sum(axis=1))
    still = moved <= STILL * mean
    spread = moved * answered
    together = (left * right).sum(axis=1) / np.where(spread > 0, spread, 1.0)
    steps = np.arange(asked.shape[1]) - (asked.shape[1] - 1) / 2
    slopes = (left - right) @ steps / (steps @ steps) / mean
    alike: Floats = np.where(still, 1 - np.abs(slopes), together)
    return alike
