"""Which of our models are tried on which set, alone and as the automatic choice.

A model alone is judged as it comes, without calibration: what calibration adds is to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from functools import partial
from types import MappingProxyType

from benchmarks._forecast.data import PREFIX, Series
from benchmarks._forecast.persistence import ClearnessOfTheDay
from benchmarks._forecast.rolling import REFIT_DAYS, Candidate
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Model, Past
from vpp.sense.forecast.clearsky import ClearSkyPersistence
from vpp.sense.forecast.naive import NAIVE as NAIVE_MODELS
from vpp.sense.forecast.naive import Naive, Rule
from vpp.sense.forecast.pasts import CutPast
from vpp.sense.forecast.trained import Trained, train
from vpp.service.forecasting.models import model
from vpp.service.forecasting.schema import usual_candidates

AUTO = "auto"
SAME_WEEKDAY_MEAN = Naive(name="same-weekday-mean/1", rule=Rule(days=6, every_days=7))
"""The mean of the last six days with that name: what forecasts of cars are measured by."""

NAIVE = ("yesterday", "same-weekday", "mean-of-last")

TO_THE_END_OF_TOMORROW = timedelta(hours=36)
"""So far ahead of an issue at noon regressors are known that are known ahead at all."""

PRICES_PUBLISHED_AT = time(13)
"""Local time at which the prices of the next day are out; ours are issued an hour before."""

BESIDE: Mapping[str, tuple[Model, ...]] = MappingProxyType(
    {
        "pv": (ClearSkyPersistence(), ClearnessOfTheDay()),
        **dict.fromkeys(("ev_daily", "ev_arrivals"), (SAME_WEEKDAY_MEAN,)),
    }
)
"""What sets of a kind are measured by, beside the naive models."""


def models(kind: str) -> tuple[Model, ...]:
    """What the service chooses from for a kind of series, the simplest first."""
    return tuple(model(name) for name in usual_candidates(PREFIX[kind]))


def marks(kind: str) -> tuple[str, ...]:
    """Names of the models that others are measured by: run on every set of a kind."""
    return (*NAIVE, *(_plain(model) for model in BESIDE.get(kind, ())))


def _plain(model: Model) -> str:
    """The name without its version."""
    return model.name.partition("/")[0]


def candidates(kind: str) -> Mapping[str, Callable[[Series], Candidate]]:
    """By name, without its version; a call makes it for a series."""
    every_days = 1 if kind == "price" else REFIT_DAYS
    alone = {
        _plain(model): model for model in (*NAIVE_MODELS, *BESIDE.get(kind, ()), *models(kind))
    }

    def as_it_is(name: str, series: Series) -> Candidate:
        return Candidate(name=name, fit=alone[name].fit, every_days=every_days)

    return {**{name: partial(as_it_is, name) for name in alone}, AUTO: _automatic}


def _automatic(series: Series) -> Candidate:
    """The choice that the service would make, at each fit."""

    def fit(past: Past) -> Automatic:
        return Automatic(series, train(past, models(series.kind), past_at=_past_at(series, past)))

    return Candidate(name=AUTO, fit=fit)


class Automatic:
    """A choice that sees each new day: calibrated anew, and for prices learnt anew."""

    def __init__(self, series: Series, trained: Trained) -> None:
        self._series = series
        self._trained = trained
        self._by_name = {model.name: model for model in models(series.kind)}

    @property
    def chosen(self) -> str:
        """The model taken."""
        return self._trained.model

    def quantiles(self, past: Past, horizon: Horizon) -> Floats:
        """Calibrated by all that has come until `past.issued_at`; shape (levels, steps)."""
        self._trained = self._trained.updated(past, past_at=_past_at(self._series, past))
        if self._series.kind == "price":
            fitted = self._by_name[self._trained.model].fit(past)
            self._trained = replace(self._trained, fitted=fitted)
        fan = self._trained.issue(past, horizon).quantiles
        assert fan is not None  # what is trained always says its spread
        return fan


def _past_at(series: Series, past: Past) -> CutPast:
    """What was known earlier, by the same rules as what is known now."""
    return CutPast(
        past=past,
        published_at=PRICES_PUBLISHED_AT if series.published_ahead else None,
        regressors_ahead=TO_THE_END_OF_TOMORROW if series.ahead else timedelta(0),
    )
