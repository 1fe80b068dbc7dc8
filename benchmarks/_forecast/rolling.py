"""One model on every day of a window: issued the day before, trained on the past only.

    day D-1, 12:00 local      day D
    ──────────────┤ issue     ├──── forecast ────┤
    all that the model sees

It is fitted again every so many days, from what is known then; between that it sees each new day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from time import perf_counter
from typing import Protocol

import numpy as np

from benchmarks._forecast.data import Series
from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Past

REFIT_DAYS = 28
"""How often a model learns anew."""


class Issuer(Protocol):
    """What has learnt a series; `vpp.sense.forecast.base.Fitted` is one."""

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """Nine quantiles for each step, shape (levels, steps)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A way to forecast, and how often it learns anew."""

    name: str
    fit: Callable[[Past], Issuer]
    every_days: int = REFIT_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All forecasts of one model in a window."""

    model: str
    days: Sequence[date]
    quantiles: Sequence[Floats]
    """Of each day, shape (levels, steps)."""

    actual: Sequence[Floats]
    fit_s: Sequence[float] = ()
    issue_s: Sequence[float] = ()
    chosen: Sequence[str] = ()
    """What an automatic choice took at each fit."""

    @property
    def all_quantiles(self) -> Floats:
        """Shape (levels, steps of all days)."""
        return np.concatenate(self.quantiles, axis=1)

    @property
    def all_actual(self) -> Floats:
        return np.concatenate(self.actual)


def rolled(series: Series, days: Sequence[date], candidate: Candidate) -> Run:
    """Forecast each of `days`.

    Raises:
        PlanError: The model had too little to go by.
        ValueError: It gave something else than nine finite quantiles for each step.
    """
    issuer: Issuer | None = None
    fitted_on = days[0]
    quantiles, actual, fit_s, issue_s = [], [], [], []
    chosen: list[str] = []
    for day in days:
        past, horizon = series.past_at(day), series.target(day)
        if issuer is None or (day - fitted_on).days >= candidate.every_days:
            began, fitted_on = perf_counter(), day
            issuer = candidate.fit(past)
            fit_s.append(perf_counter() - began)
            chosen += [name] if (name := getattr(issuer, "chosen", None)) else []
        began = perf_counter()
        given = issuer.quantiles(past, horizon)
        issue_s.append(perf_counter() - began)
        if given.shape != (len(LEVELS), horizon.steps) or not np.isfinite(given).all():
            raise ValueError(f"{candidate.name} on {series.name} {day}: {given.shape}, {given}")
        quantiles.append(given)
        actual.append(series.actual(horizon))
    return Run(
        model=candidate.name,
        days=tuple(days),
        quantiles=quantiles,
        actual=actual,
        fit_s=fit_s,
        issue_s=issue_s,
        chosen=chosen,
    )
