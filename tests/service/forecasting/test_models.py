"""Every model that a park file may name exists, under that name."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import get_args

import pytest

from vpp.errors import DataError
from vpp.sense.cleaning import PRICES, CleaningRules
from vpp.service.forecasting.models import model
from vpp.service.forecasting.schema import (
    USUAL,
    CleaningSection,
    ForecastsSection,
    ModelName,
    SeriesForecastSection,
)


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


def test_rules_of_a_series_are_the_usual_ones_of_its_kind_with_what_the_file_says() -> None:
    settings = ForecastsSection(
        series=[
            SeriesForecastSection(
                match="available.*", cleaning=CleaningSection(night_is_zero=True, bridge_minutes=30)
            ),
            SeriesForecastSection(match="price.*", cleaning=CleaningSection(zero_is_missing=True)),
        ]
    )

    assert settings.cleaning_of("available.roof") == CleaningRules(
        night_is_zero=True, bridge=timedelta(minutes=30)
    )
    assert settings.cleaning_of("price.day-ahead.se3") == replace(PRICES, zero_is_missing=True)
    assert settings.cleaning_of("power.press") == CleaningRules()
    assert settings.cleaning_of("outdoor.mill") is None


def test_every_rule_has_its_key_in_the_park_file() -> None:
    rules = {field.name for field in fields(CleaningRules)}

    assert {key.removesuffix("_minutes") for key in CleaningSection.model_fields} == rules
