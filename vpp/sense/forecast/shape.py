"""From three quantiles to nine: low, median and high are learnt, the others follow the errors' shape.

    past errors below the median in units of (median - low), above it in units of (high - median)
    quantile at a level = median -/+ factor of that level x the width on its side

The factors of the outer two are learnt as well: measured on rows that a model has not learnt from,
they mend a spread that is too narrow, which is what learnt quantiles tend to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats

ANCHORS = (0.1, 0.5, 0.9)
ANCHOR_ROWS = [LEVELS.index(level) for level in ANCHORS]
"""Where the three stand among all levels."""

_LEVELS = np.array(LEVELS)
_BELOW = ANCHORS[1] > _LEVELS
_ABOVE = ANCHORS[1] < _LEVELS


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How wide each level lies, in units of the outer ones."""

    factors: Floats
    """Shape (levels,), falling to 0 at the median and rising behind it."""

    @classmethod
    def of(cls, anchors: Floats, values: Floats) -> Shape:
        """Measure it: `anchors` of shape (3, rows) were forecast, `values` of shape (rows,) came."""
        low, median, high = anchors
        below = _in_units(median - values, median - low)
        above = _in_units(values - median, high - median)
        factors = np.zeros(len(LEVELS))
        factors[_BELOW] = np.quantile(below, 1 - _LEVELS[_BELOW])
        factors[_ABOVE] = np.quantile(above, _LEVELS[_ABOVE])
        return cls(np.maximum(factors, 0.0))

    def quantiles(self, anchors: Floats) -> Floats:
        """All levels, shape (levels, rows), not falling along them; `anchors` has shape (3, rows)."""
        low, median, high = anchors
        width = np.where(_BELOW[:, None], np.minimum(low - median, 0), np.maximum(high - median, 0))
        return np.sort(median + self.factors[:, None] * width, axis=0)


def _in_units(distance: Floats, width: Floats) -> Floats:
    """Distances over widths; 0 where there is no width to measure by."""
    ratio: Floats = np.divide(distance, width, out=np.zeros(width.size), where=width > 0)
    return ratio
