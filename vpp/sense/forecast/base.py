"""What a forecasting model is given, and what it must give back.

A `Past` holds all that anybody could know of one series when a forecast is issued: a model that is
handed nothing else cannot peek. `fit` may take long and runs in a process of its own; what it
returns can be pickled. `quantiles` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from vpp.errors import DataError
from vpp.model.calendar import Calendar
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.resource import Panels
from vpp.model.time import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a series is measured, for what the sun does there."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0
    panels: Panels | None = None
    """How the panels there stand; None: found from what was measured."""

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude_deg <= 90 and -180 <= self.longitude_deg <= 180):
            raise DataError(
                f"latitude {self.latitude_deg}, longitude {self.longitude_deg}",
                where="Site",
                fix="Give degrees, north and east positive",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """All that may be looked at when one series is forecast."""

    series_id: str
    unit: str
    issued_at: datetime
    values: Profile
    """As known at `issued_at`, NaN where not known; it ends at `issued_at` or later (prices are
    published ahead). Its step is that of the forecasts asked for."""

    calendar: Calendar
    regressors: Mapping[str, Profile] = field(default_factory=dict)
    """Other series known at `issued_at`, by series id: from the first step of `values` to the end of
    whatever is forecast (weather and load forecasts of others), NaN where not known."""

    site: Site | None = None

    def __post_init__(self) -> None:
        require_utc(self.issued_at, where=f"past of {self.series_id}")
        for name, profile in self.regressors.items():
            if (profile.horizon.start, profile.horizon.step) != (
                self.values.horizon.start,
                self.values.horizon.step,
            ):
                raise DataError(
                    f"regressor {name} stands on {profile.horizon}",
                    where=f"past of {self.series_id}",
                    fix="Let it begin with the series, on the same step",
                )

    def lately(self, reach: timedelta, horizon: Horizon) -> Horizon:
        """The axis of what a forecast of `horizon` looks at: from `reach` before the end of the values to its end."""
        values = self.values.horizon
        steps = min(reach // values.step, values.steps)
        start = min(values.end - steps * values.step, horizon.start)
        return Horizon(start, values.step, (max(horizon.end, values.end) - start) // values.step)


def side_of(values: Floats) -> tuple[float, float]:
    """The bounds of what never was on one side of zero, as loads and feeds are: zero there, else infinite.

    NaN is passed over; of nothing known nothing follows.
    """
    low = 0.0 if np.fmin.reduce(values, axis=None) >= 0 else -np.inf
    return low, 0.0 if np.fmax.reduce(values, axis=None) <= 0 else np.inf


class Fitted(Protocol):
    """A model that has learnt one series. Frozen; can be pickled."""

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """The quantiles at `vpp.model.forecast.LEVELS`, as seen from `past.issued_at`.

        `horizon` has the step of `past.values` and starts at any step, up to `past.issued_at` plus the
        days a planner looks ahead. Shape (levels, steps), not falling along the levels, finite.

        Raises:
            PlanError: There is nothing to go by for some step; names series and step.
        """
        ...


class Model(Protocol):
    """One way to forecast. Stateless: what it learns is in what `fit` returns."""

    @property
    def name(self) -> str:
        """Name and version, e.g. `boosting/1`: stands in every forecast it makes."""
        ...

    def fit(self, past: Past) -> Fitted:
        """Learn from what was known at `past.issued_at`.

        Raises:
            PlanError: The past is too short or too thin for this model; says what it needs.
        """
        ...
