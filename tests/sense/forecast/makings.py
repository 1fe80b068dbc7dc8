"""Round-numbered pasts and small models for the tests of what stands around the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from vpp.errors import PlanError
from vpp.model.calendar import Calendar
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.sense.forecast.base import Fitted, Past

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""

LONDON = Calendar(zone=ZoneInfo("Europe/London"))


def a_past(
    values: Floats | list[float],
    *,
    series_id: str = "power.press",
    step: timedelta = HOUR,
    start: datetime = START,
    calendar: Calendar = LONDON,
) -> Past:
    """A past issued at the end of its values."""
    horizon = Horizon(start, step, len(values))
    return Past(
        series_id=series_id,
        unit="kW",
        issued_at=horizon.end,
        values=Profile(horizon, np.array(values, dtype=float)),
        calendar=calendar,
    )


@dataclass(frozen=True)
class LastValue:
    """Says the newest known value, with a fan of `spread_kw` a level around it."""

    name: str = "last/1"
    spread_kw: float = 0.0
    least_history: int = 1

    def fit(self, past: Past) -> Fitted:
        if past.values.horizon.steps < self.least_history:
            raise PlanError(
                f"needs {self.least_history} steps", where=past.series_id, fix="Wait for them"
            )
        return self

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        known = past.values.values[~np.isnan(past.values.values)]
        steps = self.spread_kw * (np.arange(len(LEVELS)) - len(LEVELS) // 2)
        return np.tile((known[-1] + steps)[:, None], (1, horizon.steps))


@dataclass(frozen=True)
class Yesterday:
    """The same hour of the newest known day, with a normal fan of width `sigma_kw`."""

    sigma_kw: float
    name: str = "yesterday/1"

    def fit(self, past: Past) -> Fitted:
        return self

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        from scipy.special import ndtri

        values, day = past.values.values, timedelta(days=1) // horizon.step
        at = past.values.horizon.index(horizon.start) + np.arange(horizon.steps)
        at = at - day * (1 + (at - values.size) // day)
        if at.min() < 0 or np.isnan(values[at]).any():
            raise PlanError("no yesterday", where=past.series_id, fix="Give a day of history")
        fan: Floats = values[at] + self.sigma_kw * ndtri(np.array(LEVELS))[:, None]
        return fan


def hourly(value: Callable[[int], float], hours: int) -> Floats:
    """Values of hours counted from `START`."""
    return np.array([value(hour) for hour in range(hours)], dtype=float)
