"""Arrays that know which intervals they are about.

A planner's array without its time axis is a bug that waits: two of them pair by position and
nobody notices the hour that is missing. A `Horizon` is the axis, a `Profile` an array on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.time import Interval, require_utc

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Horizon:
    """`steps` consecutive intervals of length `step`, the first one starting at `start`."""

    start: datetime
    step: timedelta
    steps: int

    def __post_init__(self) -> None:
        require_utc(self.start, where="Horizon.start")
        if self.steps < 1 or self.step <= timedelta(0):
            raise DataError(
                f"{self.steps} steps of {self.step}",
                where="Horizon",
                fix="Give at least one step of positive length",
            )

    @classmethod
    def over(cls, span: Interval, step: timedelta) -> Horizon:
        """The horizon that fills `span` exactly.

        Raises:
            DataError: `span` is no whole number of steps.
        """
        steps, rest = divmod(span.end - span.start, step)
        if rest:
            raise DataError(
                f"{span.start} … {span.end} is no whole number of {step}",
                where="Horizon.over",
                fix="Round the span to the step first",
            )
        return cls(span.start, step, steps)

    @property
    def end(self) -> datetime:
        return self.start + self.steps * self.step

    @property
    def span(self) -> Interval:
        return Interval(self.start, self.end)

    @property
    def step_hours(self) -> float:
        """Length of one step in hours: what turns kW into kWh."""
        return self.step / timedelta(hours=1)

    def starts(self) -> tuple[datetime, ...]:
        """The start of each step, in order."""
        return tuple(self.start + i * self.step for i in range(self.steps))

    def intervals(self) -> Iterator[Interval]:
        """Each step as an interval, in order."""
        return self.span.split(self.step)

    def index(self, moment: datetime) -> int:
        """Which step `moment` falls into; below 0 or from `steps` on where it lies outside."""
        return (moment - self.start) // self.step

    def next_index(self, moment: datetime) -> int:
        """The first step that starts at `moment` or later; it may lie outside."""
        return -((self.start - moment) // self.step)

    def slice(self, span: Interval) -> slice:
        """The steps that start inside `span`, clipped to the horizon (may be empty)."""
        first, last = self.next_index(span.start), self.next_index(span.end)
        return slice(min(max(first, 0), self.steps), min(max(last, 0), self.steps))


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One number for each step of a horizon; NaN says "not known", never zero.

    What the number is (kW, EUR/kWh, °C) is said by the name of the field that holds the profile.
    """

    horizon: Horizon
    values: Floats
    """Shape (steps,)."""

    def __post_init__(self) -> None:
        if self.values.shape != (self.horizon.steps,):
            raise DataError(
                f"shape {self.values.shape} on {self.horizon.steps} steps",
                where="Profile.values",
                fix="Give one value for each step",
            )

    def __reduce__(self) -> tuple[type[Profile], tuple[Horizon, Floats]]:
        """As quickly as can be: a plan of a large park is sent with thousands."""
        return Profile, (self.horizon, self.values)

    @classmethod
    def constant(cls, horizon: Horizon, value: float) -> Profile:
        return cls(horizon, np.full(horizon.steps, float(value)))

    def times(self, factor: float) -> Profile:
        """Each value so many times as high; itself where that is once."""
        return self if factor == 1.0 else Profile(self.horizon, self.values * factor)

    def at(self, moment: datetime) -> float:
        """The value of the step that `moment` falls into.

        Raises:
            DataError: `moment` lies outside the horizon.
        """
        index = self.horizon.index(moment)
        if not 0 <= index < self.horizon.steps:
            raise DataError(
                f"{moment} is outside {self.horizon.start} … {self.horizon.end}",
                where="Profile.at",
                fix="Ask inside the horizon",
            )
        return float(self.values[index])

    def on(self, horizon: Horizon) -> Floats:
        """The values on a horizon of the same step and grid, NaN beyond the profile's ends; shape (steps,)."""
        values = np.full(horizon.steps, np.nan)
        first = self.horizon.index(horizon.start)
        low, high = max(first, 0), min(first + horizon.steps, self.horizon.steps)
        if low < high:
            values[low - first : high - first] = self.values[low:high]
        return values

    @property
    def complete(self) -> bool:
        """Whether every value is known and finite."""
        return bool(np.isfinite(self.values).all())
