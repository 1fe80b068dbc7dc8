"""Series of a simulated park: each mistake in them, or in how they are named, is told where it stands."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.service.smallpark import PARK, RESOURCES, SERIES, SIMULATION, Load, faults_of, loading_in
from vpp.simulate.clearingrules import Among


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loading_in(tmp_path)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(
            ("load,sun", "lead,sun"),
            "park.yaml:79:56: simulation.loads.courses.0.column: the file has no column 'load';"
            " it has ['degc', 'lead', 'price', 'sun']",
            id="a column that is not there",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5,-3,40.2\n", "2025-12-01T23:30:00Z,100,,-3,40.2\n"),
            "series.csv:4:1: sun is '', no finite number",
            id="a missing value",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5,-3,40.2\n", ""),
            "series.csv:4:1: 2025-12-01T23:45:00Z does not follow after a quarter-hour;"
            " 2025-12-01T23:30Z is due",
            id="a hole in the grid",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5", "2025-12-01T23:30:00Z,200,0.5"),
            "park.yaml:79:70: simulation.loads.courses.0.times: the series then reaches 400.0 kW,"
            " and base 300 kW",
            id="a load beyond its rating",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5", "2025-12-01T23:30:00Z,-100,0.5"),
            "park.yaml:79:56: simulation.loads.courses.0.column: the column goes down to"
            " -200.000 kW; a size is never negative",
            id="a load that feeds",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5", "2025-12-01T23:30:00,100,0.5"),
            "series.csv:4:1: '2025-12-01T23:30:00' is no time such as 2025-12-03T00:00:00Z",
            id="a naive time",
        ),
    ],
)
def test_a_faulty_series_is_refused(
    load: Load, tmp_path: Path, edit: tuple[str, str], line: str
) -> None:
    assert SERIES.count(edit[0]) == 1

    found = faults_of(load, tmp_path, PARK + SIMULATION, series=SERIES.replace(*edit))

    assert found[0] == line


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(
            ("resource: base", "resource: pv"),
            "79:40: simulation.loads.courses.0.resource: pv is a Generator, which has no such course",
            id="a course of another kind",
        ),
        pytest.param(
            ("{battery: 0.5}", "{battery: 0.05}"),
            "83:19: simulation.opening.soc.battery: 0.05 is below min_soc 0.1",
            id="an opening below the least",
        ),
        pytest.param(
            ("id: weather.outdoor,", "id: weather.indoor,"),
            f"49:13: {RESOURCES}.3.outdoor_series_id: unknown outdoor series 'weather.outdoor';"
            " known: weather.indoor",
            id="a weather that is not there",
        ),
        pytest.param(
            ("day: 2025-12-03", "day: 2025-12-04"),
            "78:3: simulation.first_delivery_day: this day or the one before lies outside the"
            " series 2025-12-01 23:00:00+00:00 … 2025-12-03 23:00:00+00:00",
            id="a day without series",
        ),
        pytest.param(
            ("generation: {file: series.csv", "generation: {file: gone.csv"),
            "80:16: simulation.generation.file: gone.csv cannot be read: No such file or directory",
            id="a series file that is not there",
        ),
    ],
)
def test_a_simulation_that_does_not_fit_its_park_is_refused(
    load: Load, tmp_path: Path, edit: tuple[str, str], line: str
) -> None:
    assert SIMULATION.count(edit[0]) == 1

    found = faults_of(load, tmp_path, PARK + SIMULATION.replace(*edit))

    assert f"park.yaml:{line}" in found


def cleared_by(*rules: str) -> str:
    lines = "".join(f"      - {rule}\n" for rule in rules)
    return f"{PARK}{SIMULATION.rstrip()}\n    clearing:\n{lines}"


def test_a_park_file_says_how_the_simulated_market_clears_a_product(load: Load) -> None:
    rule = "{product: quarter, style: uniform_price, depth_mw: 12.5, spread: 8}"
    simulation = load(cleared_by(rule)).simulation
    assert simulation is not None
    assert simulation.market.clearing == {
        "quarter": Among(depth_mw=Decimal("12.5"), spread=Decimal(8))
    }


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        pytest.param(
            ["{product: quarters, style: pay_as_bid}"],
            "89:10: simulation.market.clearing.0.product: unknown product 'quarters'; known: quarter",
            id="a product that is not there",
        ),
        pytest.param(
            ["{product: quarter, style: pay_as_bid}", "{product: quarter, style: pay_as_cleared}"],
            "90:10: simulation.market.clearing.1.product: quarter is cleared by a rule already",
            id="two rules",
        ),
        pytest.param(
            ["{product: quarter, style: agc, price: 5}"],
            "89:28: simulation.market.clearing.0.style: quarter follows no signal: see"
            " its activation.trigger",
            id="a signal for energy",
        ),
        pytest.param(
            ["{product: quarter, style: best_price}"],
            "89:28: simulation.market.clearing.0.style: 'best_price' is none of 'pay_as_cleared',"
            " 'pay_as_bid', 'uniform_price', 'band_dispatch', 'agc'",
            id="a style that nobody knows",
        ),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(
    load: Load, tmp_path: Path, rules: list[str], line: str
) -> None:
    assert f"park.yaml:{line}" in faults_of(load, tmp_path, cleared_by(*rules))
