"""A forecast: numbers about the future, how far they may be off, when issued and by which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Probabilities of the quantiles of every forecast: the share of outcomes expected at or below."""

_MASS = np.diff([0.0, *(np.add(LEVELS[1:], LEVELS[:-1]) / 2), 1.0])
"""How much of the probability lies nearest to each level, shape (levels,)."""


def mean_of(quantiles: Floats) -> Floats:
    """Mean at each step of a fan of shape (levels, steps); shape (steps,).

    Each quantile stands for what lies nearest to its level: the tails beyond the outer ones are
    taken to end there, so that a wild guess about them moves no plan.
    """
    mean: Floats = _MASS @ quantiles
    # Where all quantiles are one value the mean is that value, to the last bit.
    return np.where(quantiles[0] == quantiles[-1], quantiles[0], mean)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Expected values of one series and their spread. The unit stands in `unit`, as the series has it."""

    series_id: str
    unit: str
    issued_at: datetime
    model: str
    """Name and version, e.g. `seasonal-naive/1`."""

    expected: Profile
    """What a plan goes by that looks at one line only: the mean. Means add up over many series, medians
    do not: of cars that come seldom the median is none at all, whatever their number."""

    quantiles: Floats | None = None
    """At `LEVELS`, shape (levels, steps), not falling along the levels. None only where a model says
    nothing of its spread."""

    def __post_init__(self) -> None:
        where = f"forecast of {self.series_id}"
        if not self.expected.complete:
            raise DataError(
                "has steps without a value",
                where=where,
                fix="Say which step lacks history, or shorten the horizon",
            )
        if self.quantiles is None:
            return
        if self.quantiles.shape != (len(LEVELS), self.expected.horizon.steps):
            raise DataError(
                f"quantiles have shape {self.quantiles.shape}",
                where=where,
                fix=f"Give {len(LEVELS)} levels for each of {self.expected.horizon.steps} steps",
            )
        if not np.isfinite(self.quantiles).all() or (np.diff(self.quantiles, axis=0) < 0).any():
            raise DataError(
                "quantiles are not finite, or fall along the levels",
                where=where,
                fix="Sort them at each step",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """Equally likely courses of several series together: one row of each is one possible future."""

    issued_at: datetime
    horizon: Horizon
    values: Mapping[str, Floats]
    """By series id, each of shape (scenarios, steps): row s of all of them belongs together."""

    def __post_init__(self) -> None:
        shapes = {values.shape for values in self.values.values()}
        if len(shapes) != 1 or next(iter(shapes))[1:] != (self.horizon.steps,):
            raise DataError(
                f"series have shapes {sorted(shapes)} on {self.horizon.steps} steps",
                where="Scenarios",
                fix="Draw the same number of courses of every series, on one horizon",
            )
        if not all(np.isfinite(values).all() for values in self.values.values()):
            raise DataError("a value is not finite", where="Scenarios", fix="Draw finite values")

    @property
    def count(self) -> int:
        """How many futures."""
        return int(next(iter(self.values.values())).shape[0])
