"""Which of our models are tried on which set, alone and as the automatic choice.

A model alone is judged as it comes, without calibration: what calibration adds is to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from functools import partial
from types import MappingProxyType

from benchmarks._forecast.data import Series
from benchmarks._forecast.persistence import ClearnessOfTheDay
from benchmarks._forecast.rolling import REFIT_DAYS, Candidate
from vpp.model.horizon import Floats, Horizon
from vpp.sense.forecast.base import Model, Past
from vpp.sense.forecast.boosting import BOOSTING
from vpp.sense.forecast.clearsky import ClearSky, ClearSkyPersistence
from vpp.sense.forecast.climatology import Climatology
from vpp.sense.forecast.ensemble import ENSEMBLE
from vpp.sense.forecast.lear import Lear
from vpp.sense.forecast.naive import NAIVE as NAIVE_MODELS
from vpp.sense.forecast.naive import Naive, Rule
from vpp.sense.forecast.pasts import CutPast
from vpp.sense.forecast.regression import REGRESSION
from vpp.sense.forecast.sessions import Sessions
from vpp.sense.forecast.trained import Trained, train

AUTO = "auto"
SAME_WEEKDAY_MEAN = Naive(name="same-weekday-mean/1", rule=Rule(days=6, every_days=7))
"""The mean of the last six days with that name: what forecasts of cars are measured by."""

NAIVE = tuple(model.name.partition("/")[0] for model in NAIVE_MODELS)

PRICES_PUBLISHED_AT = time(13)
"""Local time at which the prices of the next day are out; ours are issued an hour before."""

BY_KIND: Mapping[str, tuple[Model, ...]] = MappingProxyType(
    {
        "load": (REGRESSION, BOOSTING, ENSEMBLE),
        "price": (Lear(),),
        "pv": (ClearSkyPersistence(), ClearSky()),
        **dict.fromkeys(("temperature", "carbon", "wind"), (Climatology(),)),
        **dict.fromkeys(("ev_daily", "ev_arrivals"), (Sessions(),)),
    }
)
"""Models for what they are made for, beside the naive ones."""

BESIDE: Mapping[str, tuple[Model, ...]] = MappingProxyType(
    {
        "pv": (ClearnessOfTheDay(),),
        **dict.fromkeys(("ev_daily", "ev_arrivals"), (SAME_WEEKDAY_MEAN,)),
    }
)
"""What others are measured by, and `auto` does not choose from."""


def models(kind: str) -> tuple[Model, ...]:
    """What `auto` chooses from for a kind of series, the simplest first."""
    return (*NAIVE_MODELS, *BY_KIND.get(kind, ()))


def marks(kind: str) -> tuple[str, ...]:
    """Names of the models that others are measured by: run on every set of a kind."""
    persistence = (ClearSkyPersistence(),) if kind == "pv" else ()
    beside = (*persistence, *BESIDE.get(kind, ()))
    return (*NAIVE, *(model.name.partition("/")[0] for model in beside))


def candidates(kind: str) -> Mapping[str, Callable[[Series], Candidate]]:
    """By name, without its version; a call makes it for a series."""
    every_days = 1 if kind == "price" else REFIT_DAYS
    alone = {
        model.name.partition("/")[0]: model for model in (*models(kind), *BESIDE.get(kind, ()))
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
        regressors_ahead=timedelta(days=3) if series.ahead else timedelta(0),
    )
