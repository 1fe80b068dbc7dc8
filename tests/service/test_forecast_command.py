"""`vpp forecast SERIES.csv`: figures, faults by their place, tables and pictures."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from vpp.cli import app
from vpp.errors import ConfigError, PlanError
from vpp.model.resource import Panels
from vpp.service.forecasting.command import (
    ForecastOptions,
    cleaning_rules,
    clock_time,
    forecast_file,
    kind_of,
    place,
)
from vpp.service.forecasting.plot import draw_forecast
from vpp.service.forecasting.show import show_forecast
from vpp.service.park.config import ConfigErrors

START = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 24 * 28
WINDOW = timedelta(days=14)
needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="matplotlib is an extra and not installed here"
)


def write(folder: Path, **columns: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Path:
    """A CSV of hourly columns, each named `name__unit`."""
    headers = [name.replace("__", " [") + "]" for name in columns]
    rows = [f"interval_start,{','.join(headers)}".replace("_per_", "/")]
    for i, values in enumerate(zip(*columns.values(), strict=True)):
        start = START + i * timedelta(hours=1)
        rows.append(f"{start:%Y-%m-%dT%H:%M:%SZ}," + ",".join(f"{value:.3f}" for value in values))
    file = folder / "series.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def a_load() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """100 kW from 6 to 22 on workdays, 20 kW else, with noise of 2 kW: yesterday errs on Saturdays."""
    hour = np.arange(HOURS)
    working = (hour // 24 % 7 < 5) & (hour % 24 >= 6) & (hour % 24 < 22)
    noise = 2 * np.random.default_rng(1).standard_normal(HOURS)
    return np.where(working, 100.0, 20.0) + noise


def options(file: Path, model: str = "same-weekday") -> ForecastOptions:
    return ForecastOptions(file=file, model=model, window=WINDOW, horizon=timedelta(hours=24))


def test_a_forecast_follows_the_end_of_the_series_with_its_spread(tmp_path: Path) -> None:
    result = forecast_file(options(write(tmp_path, load__kW=a_load())))

    forecast = result.forecast
    assert forecast.model == "same-weekday/1"
    assert forecast.expected.horizon.start == START + HOURS * timedelta(hours=1)
    noon = forecast.expected.values[12]
    assert noon == pytest.approx(100, abs=10)  # a Monday
    assert forecast.quantiles is not None
    assert forecast.quantiles[-1, 12] - forecast.quantiles[0, 12] == pytest.approx(9.3, rel=0.6)


def test_scores_stand_by_lead_beside_all_naive_models(tmp_path: Path) -> None:
    document = forecast_file(options(write(tmp_path, load__kW=a_load()))).document(scored=True)

    assert set(document["scores"]) == {"yesterday/1", "same-weekday/1", "mean-of-last/1"}
    assert document["best_naive"] in {"same-weekday/1", "mean-of-last/1"}
    asked = document["scores"]["same-weekday/1"]
    assert set(asked["by_lead"]) == {"0-1 h", "1-6 h", "6-24 h"}
    assert set(asked["overall"]) == {
        *("cases", "mae", "nrmse", "pinball", "crps", "coverage80", "coverage90"),
    }
    assert asked["overall"]["mae"] < document["scores"]["yesterday/1"]["overall"]["mae"]
    assert document["unit"] == "kW"
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_document_that_was_not_to_be_scored_has_no_scores(tmp_path: Path) -> None:
    document = forecast_file(options(write(tmp_path, load__kW=a_load()))).document(scored=False)

    assert "scores" not in document
    assert len(document["quantiles"]) == len(document["levels"]) == 9


def test_auto_takes_the_model_that_was_best_on_the_series(tmp_path: Path) -> None:
    result = forecast_file(options(write(tmp_path, share__1=a_load()), "auto"))

    scores = result.chosen.choice.scores
    assert result.chosen.model.name == min(scores, key=lambda name: scores[name].overall.crps)


def test_the_table_shows_every_lead_and_marks_the_best_naive(tmp_path: Path) -> None:
    result = forecast_file(options(write(tmp_path, load__kW=a_load())))
    console = Console(record=True, width=110)

    show_forecast(result, console, scored=True)

    text = console.export_text()
    for part in ("all leads", "0-1 h", "1-6 h", "6-24 h", "same-weekday", "yesterday"):
        assert part in text
    assert f"{(result.best_naive or '').partition('/')[0]} *" in text


def test_without_scores_the_table_shows_the_next_hours(tmp_path: Path) -> None:
    result = forecast_file(options(write(tmp_path, load__kW=a_load())))
    console = Console(record=True, width=110)

    show_forecast(result, console, scored=False)

    text = console.export_text()
    assert "Mon 02 Feb 00:00" in text
    assert "Mon 02 Feb 23:00" in text


@needs_matplotlib
def test_fan_and_coverage_are_drawn_into_a_png(tmp_path: Path) -> None:
    result = forecast_file(options(write(tmp_path, load__kW=a_load())))

    draw_forecast(result, tmp_path / "fan.png")

    head = (tmp_path / "fan.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert min(struct.unpack(">II", head[16:24])) > 900
    with pytest.raises(ConfigError, match="cannot be written"):
        draw_forecast(result, tmp_path / "gone" / "fan.png")


def test_another_column_and_a_regressor_are_taken_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, other__kW=a_load() * 0 + 7, load__kW=a_load(), outdoor__degC=a_load())

    result = forecast_file(replace(options(file), series="load", regressors=("outdoor",)))

    assert result.past.series_id == "power.load"
    assert result.past.regressors["outdoor"].values == pytest.approx(a_load(), abs=0.001)


def test_published_prices_are_not_scored_as_if_they_had_been_forecast(tmp_path: Path) -> None:
    file = write(tmp_path, price__EUR_per_MWh=a_load())
    plain, published = (
        forecast_file(replace(options(file), published_at=at)).chosen.choice.scores
        for at in (None, clock_time("12:45"))
    )

    assert published["yesterday/1"].overall.cases < plain["yesterday/1"].overall.cases


def test_empty_cells_are_steps_that_were_not_measured(tmp_path: Path) -> None:
    file = write(tmp_path, load__kW=a_load())
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[101] = lines[101].partition(",")[0] + ","
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    result = forecast_file(options(file))

    assert np.flatnonzero(np.isnan(result.past.values.values)).tolist() == [100]
    assert any("1 steps" in finding for finding in result.findings)


def test_zeros_are_taken_out_where_the_caller_says_that_they_are_missing(tmp_path: Path) -> None:
    load = a_load()
    load[[100, 101, 300]] = 0.0
    file = write(tmp_path, load__kW=load)

    kept = forecast_file(options(file)).past.values.values
    taken = forecast_file(
        replace(options(file), cleaning=cleaning_rules(["zero_is_missing=yes"]))
    ).past.values.values

    assert not np.isnan(kept).any()
    assert np.flatnonzero(np.isnan(taken)).tolist() == [100, 101, 300]


def test_rules_make_a_series_be_cleaned_that_no_meter_makes(tmp_path: Path) -> None:
    price = a_load()
    price[100] = np.nan
    file = write(tmp_path, price__EUR_per_MWh=price)
    file.write_text(file.read_text(encoding="utf-8").replace(",nan", ","), encoding="utf-8")

    asked = replace(options(file), cleaning=cleaning_rules(["bridge_minutes=60"]))

    assert np.isnan(forecast_file(options(file)).past.values.values[100])
    filled = forecast_file(asked).past.values.values
    assert filled[100] == pytest.approx((price[99] + price[101]) / 2, abs=0.001)


@pytest.mark.parametrize(
    "given", ["tidy=yes", "night_is_zero", "spike_ratio=0", "keep_stuck=maybe"]
)
def test_a_rule_that_nobody_knows_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="--clean"):
        cleaning_rules([given])


def test_a_regressor_of_untrusted_stamps_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, pv__kW=a_load(), outdoor__degC=a_load())

    with pytest.raises(ConfigError, match="--stamps"):
        forecast_file(replace(options(file), stamps="sun", regressors=("outdoor",)))


def test_a_stuck_meter_is_taken_out_and_told(tmp_path: Path) -> None:
    load = a_load()
    load[200:260] = 55.0

    result = forecast_file(options(write(tmp_path, load__kW=load)))

    assert np.isnan(result.past.values.values[200:260]).all()
    assert any("stuck" in finding or "repeat" in finding for finding in result.findings)


def test_holidays_of_the_country_are_rest_days(tmp_path: Path) -> None:
    file = write(tmp_path, load__kW=a_load())

    past = forecast_file(replace(options(file), zone="Europe/Berlin", country="DE")).past

    assert datetime(2026, 12, 25, tzinfo=UTC).date() in past.calendar.rest_days


@pytest.mark.parametrize(
    ("name", "unit", "kind"),
    [
        pytest.param("power.press", "kW", "power.", id="by its name"),
        pytest.param("anything", "MW", "power.", id="by a power's unit"),
        pytest.param("anything", "EUR/MWh", "price.", id="by a price's unit"),
        pytest.param("available.pv", "kW", "available.", id="the name before the unit"),
    ],
)
def test_a_series_is_of_the_kind_that_its_name_or_unit_says(
    name: str, unit: str, kind: str
) -> None:
    assert kind_of(name, unit) == kind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("interval_start,load\n2026-01-05T00:00:00Z,1\n", ":1:", id="no unit"),
        pytest.param(
            "interval_start,load [kW]\n2026-01-05T00:00:00Z,1\n2026-01-05T01:00:00Z,oops\n",
            ":3:22: load: 'oops'",
            id="no number",
        ),
        pytest.param("interval_start,load [kW]\n", "has no rows", id="no rows"),
    ],
)
def test_a_fault_of_the_file_is_told_by_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "series.csv"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigErrors) as caught:
        forecast_file(options(file))

    assert str(file) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"series": "gone"}, "--series", id="a column that is not there"),
        pytest.param({"regressors": ("gone",)}, "--regressor", id="a regressor that is not there"),
        pytest.param({"model": "oracle"}, "--model", id="a model that nobody knows"),
        pytest.param({"zone": "Atlantis"}, "--zone", id="a zone that nobody knows"),
        pytest.param({"country": "germany"}, "--country", id="a country that is no code"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    tmp_path: Path, change: dict[str, str], where: str
) -> None:
    file = write(tmp_path, load__kW=a_load())

    with pytest.raises(ConfigError, match=where):
        forecast_file(replace(options(file), **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["noon", "25:00"])
def test_a_time_of_day_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--published"):
        clock_time(text)


@pytest.mark.parametrize("text", ["48.1", "48.1,east", "148,11"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--site"):
        place(text)


def test_panels_stand_at_the_place() -> None:
    assert place("48.1,11.6", "30,180").panels == Panels(tilt_deg=30, azimuth_deg=180)


@pytest.mark.parametrize("text", ["30", "30,south", "100,180", "30,360"])
def test_panels_that_cannot_stand_so_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--panels"):
        place("48.1,11.6", text)


def test_a_model_asked_for_that_cannot_learn_the_series_says_why(tmp_path: Path) -> None:
    file = write(tmp_path, load__kW=a_load()[:5])

    with pytest.raises(PlanError, match="load"):
        forecast_file(options(file))


def test_the_command_prints_one_json_document(tmp_path: Path) -> None:
    file = write(tmp_path, load__kW=a_load())

    done = CliRunner().invoke(
        app,
        ["forecast", str(file), "--model", "yesterday", "--score", "--json", "--window", "14d"],
    )

    assert done.exit_code == 0
    assert json.loads(done.stdout)["scores"]["yesterday/1"]["overall"]["cases"] > 100
