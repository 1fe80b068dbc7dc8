"""Every model that a park file may name exists, under that name."""

from __future__ import annotations

from typing import get_args

import pytest

from vpp.errors import DataError
from vpp.service.forecasting.models import model
from vpp.service.forecastschema import USUAL, ForecastsSection, ModelName, SeriesForecastSection


@pytest.mark.parametrize("name", get_args(ModelName))
def test_a_model_has_the_name_it_is_called_by(name: str) -> None:
    found = model(name).name

    assert found.split("/")[0].replace("-", "") == name.replace("-", "")
    assert int(found.split("/")[1]) >= 1


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DataError, match="there is no model 'oracle'"):
        model("oracle")


def test_the_first_entry_that_fits_counts_and_else_the_usual_candidates() -> None:
    settings = ForecastsSection(
        series=[
            SeriesForecastSection(match="power.office-*", model="ensemble"),
            SeriesForecastSection(match="power.*", candidates=["yesterday", "regression"]),
        ]
    )

    assert settings.candidates_of("power.office-base") == ("ensemble",)
    assert settings.candidates_of("power.steel-furnaces") == ("yesterday", "regression")
    assert settings.candidates_of("price.day-ahead.se3") == USUAL["price."]
    assert settings.candidates_of("heat.hall") == (
        *("yesterday", "same-weekday", "mean-of-last", "seasonal-baseline"),
    )
