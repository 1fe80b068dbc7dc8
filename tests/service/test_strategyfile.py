"""The strategy file: what it means for its park, and every fault where it stands."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.service.smallpark import PARK, SIMULATION, Load, loading_in
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.strategies.jsonschema import strategies_schema
from vpp.service.strategies.reading import parse_strategies

TRADING = "  - {name: trading, use: price_arbitrage, with: {quarter_hour_spread_per_mwh: 4, imbalance_spread_per_mwh: 40}}\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ParkFile:
    load: Load = loading_in(tmp_path_factory.mktemp("small"))
    return load(PARK + SIMULATION)


def faults(small: ParkFile, text: str) -> list[str]:
    """What is told of a text."""
    with pytest.raises(ConfigErrors) as caught:
        parse_strategies(text.encode(), small.strategies.ground, name="s.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_every_fault_of_a_file_is_told_at_once_with_line_and_column(small: ParkFile) -> None:
    text = (
        "strategies:\n"
        "  - name: trading\n"
        "    use: price_arbitrage\n"
        "    priority: 500\n"
        "    with: {quarter_hour_spread_per_mwh: -1, spread: 3}\n"
        "  - {name: tariff, use: two_part_tariff}\n"
        "  - {name: gone, use: nowhere}\n"
        "  - {name: hours, use: price_arbitrage, schedule: {hours: ['7-8'], day: [mon]}, with: {}}\n"
    )
    told = faults(small, text)
    assert [one.split(": ")[0] for one in told] == [
        "s.yaml:4:5", "s.yaml:5:5", "s.yaml:5:12", "s.yaml:5:45", "s.yaml:6:20", "s.yaml:7:18",
        "s.yaml:8:60", "s.yaml:8:68", "s.yaml:8:81", "s.yaml:8:81",
    ]  # fmt: skip
    assert "two_part_tariff is in force in every park: leave it out" in told[4]
    assert "there is no strategy 'nowhere'; known: " in told[5]


def test_a_park_file_with_strategies_of_its_own_says_where_they_go(tmp_path: Path) -> None:
    text = PARK.partition("strategies:")[0] + "strategies:\n  - use: market_trading\n"
    with pytest.raises(ConfigErrors, match="a file of their own") as caught:
        loading_in(tmp_path)(text)
    (fault,) = caught.value.faults
    assert (fault.path, fault.column) == ("strategies", 1)


def test_a_text_or_another_file_may_stand_in_for_the_one_that_is_named(tmp_path: Path) -> None:
    demo = shipped_park("demo")
    other = tmp_path / "other.yaml"
    other.write_text("strategies: []\n")
    assert load_park(demo, strategies=b"strategies: []").strategies.entries == ()
    assert load_park(demo, strategies=other).strategies.path == other
    assert load_park(demo).strategies.path == (demo.parent / "../strategies/demo.yaml")


@pytest.mark.parametrize("name", ["demo", "demo_cn"])
def test_the_schema_for_editors_accepts_what_is_shipped(name: str) -> None:
    text = shipped(f"strategies/{name}.yaml").read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), strategies_schema())


def test_the_schema_for_editors_refuses_a_setting_out_of_its_range() -> None:
    spoilt = yaml.safe_load("strategies:\n" + TRADING.replace("40", "-40"))
    with pytest.raises(jsonschema.ValidationError, match="less than the minimum"):
        jsonschema.validate(spoilt, strategies_schema())
