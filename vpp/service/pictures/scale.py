"""From values to places on a drawing, with an axis whose numbers are round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

SMALLEST = 1e-6
"""Values that differ by less are drawn as one."""

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` on the way from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value, to a tenth."""
        return round(
            self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1
        )


def ticks(values: Iterable[float], *, about: int = 5) -> list[float]:
    """Round numbers around all finite values, and 0; at least two.

    Steps are 1, 2, 2.5 or 5 times a power of ten:  -3 … 41  ▸  -10, 0, 10, 20, 30, 40, 50
    """
    known = [value for value in values if isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    if high - low < SMALLEST:
        high = low + 1.0
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(one * power for one in ROUND if one * power >= rough * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]
