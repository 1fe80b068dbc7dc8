"""Forecasts for one plan: every series gets one, whatever becomes of the models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vpp.model.forecast import LEVELS, Forecast
from vpp.model.horizon import Profile
from vpp.model.time import QUARTER
from vpp.service import inputs
from vpp.service.forecasting.forecaster import Answer
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.jobs import Choice, Ill, Issued, IssueJob, TrainJob
from vpp.service.plant import Plant

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)


@dataclass
class Scripted:
    """A forecaster that answers what it was told to."""

    answer: Issued | Ill | None = None

    async def train(self, job: TrainJob, *, hard_s: float) -> Answer | Ill:
        raise AssertionError("nothing is to be learnt here")

    async def issue(self, job: IssueJob, *, hard_s: float) -> Issued | Ill:
        assert self.answer is not None
        return self.answer

    async def rest(self) -> None: ...


def a_choice(series_id: str) -> Choice:
    return Choice(
        series_id=series_id,
        trained_at=NOW,
        model="clever/1",
        scores={},
        refused={},
        defects=(),
        seconds=0.0,
    )


def forecasts(plant: Plant) -> dict[str, Forecast]:
    horizon = inputs.horizon_of(plant, NOW)
    return asyncio.run(issue(plant, inputs.series_needed(plant), horizon, NOW))


def say(plant: Plant, answer: Issued | Ill) -> None:
    plant.desk.forecaster = Scripted(answer)


def test_every_series_that_a_plan_needs_has_quantiles_about_what_is_expected(fed: Plant) -> None:
    found = forecasts(fed)

    assert list(found) == inputs.series_needed(fed)
    for forecast in found.values():
        assert forecast.quantiles is not None
        assert (forecast.quantiles[0] <= forecast.expected.values).all()
        assert (forecast.expected.values <= forecast.quantiles[-1]).all()


def test_published_prices_have_no_spread_and_those_to_come_have(fed: Plant) -> None:
    price = forecasts(fed)["price.day-ahead.se3"]

    assert price.model == "seasonal-baseline/1+known"
    assert price.quantiles is not None
    width = price.quantiles[-1] - price.quantiles[0]
    published = (datetime(2025, 12, 2, 23, tzinfo=UTC) - NOW) // QUARTER
    assert (width[:published] == 0).all()
    assert (width[published:] > 0).all()


def test_a_learnt_series_is_forecast_by_its_model(fed: Plant) -> None:
    horizon = inputs.horizon_of(fed, NOW)
    flat = Forecast(
        series_id="power.office-base",
        unit="kW",
        issued_at=NOW,
        model="clever/1",
        expected=Profile.constant(horizon, -7.0),
        quantiles=np.full((len(LEVELS), horizon.steps), -7.0),
    )
    fed.desk.choices["power.office-base"] = a_choice("power.office-base")
    say(fed, Issued(forecasts={"power.office-base": flat}, failed={}, scenarios=None, errors={}))

    found = forecasts(fed)

    assert found["power.office-base"] is flat
    assert found["power.metal-machining"].model == "seasonal-baseline/1"
    # Nobody works out what would stand in for a model that forecasts.
    assert "power.office-base" not in fed.desk.spreads
    assert "power.metal-machining" in fed.desk.spreads


def test_an_ill_forecaster_costs_its_models_only_and_says_so_once(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    fed.desk.choices["power.office-base"] = a_choice("power.office-base")
    without = forecasts_without_model(fed)
    say(fed, Ill(reason="killed at the hard limit of 10 s"))

    found = forecasts(fed)
    forecasts(fed)
    say(fed, Issued(forecasts={}, failed={}, scenarios=None, errors={}))
    forecasts(fed)

    assert found["power.office-base"].model == "seasonal-baseline/1+stand-in"
    assert found["power.metal-machining"].model == "seasonal-baseline/1"
    assert (found["power.office-base"].expected.values == without).all()
    assert told(fed, "forecasting") == [
        "no model forecasts, the seasonal baseline stands in: killed at the hard limit of 10 s",
        "forecasts come from their models again",
    ]


def forecasts_without_model(plant: Plant) -> Any:
    choices, plant.desk.choices = plant.desk.choices, {}
    values = forecasts(plant)["power.office-base"].expected.values
    plant.desk.choices = choices
    return values


def test_a_model_that_fails_on_its_series_is_told_once(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    fed.desk.choices["power.office-base"] = a_choice("power.office-base")
    say(
        fed,
        Issued(forecasts={}, failed={"power.office-base": "too thin"}, scenarios=None, errors={}),
    )

    found = forecasts(fed)
    forecasts(fed)

    assert found["power.office-base"].model == "seasonal-baseline/1+stand-in"
    assert told(fed, "forecasting") == [
        "the model of power.office-base fails, the seasonal baseline stands in: too thin"
    ]
