"""`vpp bid` from files: what it shows, what it refuses."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.scenarios.test_command_line import DEMO, vpp
from vpp.errors import ConfigError
from vpp.service.bids.case import bid_case
from vpp.service.bids.plot import draw_bids
from vpp.service.bids.show import show_bids

PRODUCT = """
id: yard-day-ahead
version: 1.0.0
valid_from: 2025-01-01
jurisdiction: DE
kind: energy_da
direction: net
currency: EUR
unverified: []
sources: [{ref: of this test, mark: found, confidence: H, fields: [calendar, offer]}]
calendar: {tz: UTC, delivery_interval: PT1H, settlement_interval: PT1H, gate_open: D-1T08:00, gate_close: D-1T12:00, results_at: D-1T12:45}
eligibility: {unit_scope: zone}
offer:
  form: curve_step
  sense: supply
  segments: {min: 1, max: 10}
  quantity: {unit: MW, min: 0.1, step: 0.1, max: 50}
  price: {unit: EUR/MWh, min: -500, max: 4000, step: 0.01}
  monotonic: true
clearing: {pricing: pay_as_cleared, price_scope: zone}
settlement: {formula: exchange_imbalance, price_refs: {clearing: price.spot}, gap_rules: [{valid_from: 2025-01-01, max_age_minutes: 60}]}
exclusivity_group: yard
"""

PARK = """
park: yard
name: Yard
timezone: UTC
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 5000, export_kw: 5000}
carbon: {grid_kgco2_per_kwh: 0.3, source: a table, valid_from: 2025-01-01}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands: [{name: all, start: "00:00", end: "00:00", price_per_kwh: 0}]
    demand_charge_per_kw_month: 0
enterprises:
  - id: yard-ltd
    name: Yard
    connection_points:
      - id: gate
        import_kw: 5000
        export_kw: 5000
        meter: gate-meter
        tariff: network
        resources:
          - {id: base, kind: fixed_load, max_draw_kw: 3000}
          - {id: battery, kind: storage, capacity_kwh: 2000, max_charge_kw: 1000, max_discharge_kw: 1000,
             charge_efficiency: 1, discharge_efficiency: 1, wear_cost_per_kwh: 0}
bidding_units:
  - {id: yard-unit, zone: X, resources: all, products: [yard-day-ahead], connected_kw: 5000,
     declared_kw: 5000, tested_kw: 5000, trades_from: "2025-01-01T00:00:00Z", trading_share: {yard-ltd: 1}}
markets: [market.yaml]
strategies: strategies.yaml
"""

STRATEGIES = """
strategies:
  - {name: trading, use: price_arbitrage, with: {quarter_hour_spread_per_mwh: 1, imbalance_spread_per_mwh: 200}}
"""

CASE = """
park: park.yaml
series: day.csv
states: {battery: {soc: 0}}
bid:
  price_scenarios: [price.low, price.high]
  paths: 20
  seconds: 60
"""


def written(folder: Path, case: str = CASE) -> Path:
    """2 MW of load and an empty battery; 50 EUR/MWh all day, but from 18:00 to 20:00 either 20 or 260."""
    lines = [
        "interval_start,power.base [kW],price.spot [EUR/MWh],price.low [EUR/MWh],price.high [EUR/MWh]"
    ]
    for hour in range(24):
        low, high = (20, 260) if hour in (18, 19) else (50, 50)
        lines.append(f"2025-12-03T{hour:02}:00:00Z,-2000,50,{low},{high}")
    (folder / "park.yaml").write_text(PARK, encoding="utf-8")
    (folder / "strategies.yaml").write_text(STRATEGIES, encoding="utf-8")
    (folder / "market.yaml").write_text(PRODUCT, encoding="utf-8")
    (folder / "day.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "case.yaml").write_text(case, encoding="utf-8")
    return folder / "case.yaml"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command prints as JSON."""
    case = written(tmp_path_factory.mktemp("bid"))
    done = vpp("bid", str(case), "--product", "yard-day-ahead", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_bid_from_price_scenarios_buys_less_where_the_price_is_dear(
    document: dict[str, Any],
) -> None:
    """The battery is filled at 50 whichever evening follows: at 260 it feeds half the load, at 20 it rests."""
    assert document["product"] == "yard-day-ahead"
    assert document["delivery"] == {"start": "2025-12-03T00:00:00Z", "end": "2025-12-04T00:00:00Z"}
    assert document["reasons"]["mode"] == "expected"
    assert document["reasons"]["curves"]["undelivered_share"] == 0
    bids = {one["start"][11:13]: one for one in document["bids"]}
    assert all(one["side"] == "buy" for one in bids.values())
    for hour in ("18", "19"):
        steps = bids[hour]["offer"]["steps"]
        assert steps[0] == {"quantity_mw": "1.0", "price_per_mwh": "4000.00"}
        assert [Decimal(step["quantity_mw"]) for step in steps[1:]] == [1]
        assert 20 < Decimal(steps[1]["price_per_mwh"]) < 260
    bought = sum(
        Decimal(step["quantity_mw"]) for one in bids.values() for step in one["offer"]["steps"]
    )
    assert bought >= 48, "2 MW for 24 hours"


def test_every_bid_of_a_case_says_why(document: dict[str, Any]) -> None:
    why = {one["bid_id"]: one for one in document["reasons"]["bids"]}
    evening = why["yard-day-ahead/yard-unit/20251203T1800Z/buy"]
    assert evening["expected_price_per_mwh"] == "50.0"
    assert [level["price_per_mwh"] for level in evening["price_levels"]] == [
        "44.0",
        "140.0",
        "236.0",
    ]
    steps = next(one for one in document["bids"] if one["start"][11:13] == "18")["offer"]["steps"]
    assert [step["price_per_mwh"] for step in evening["steps"]] == [
        s["price_per_mwh"] for s in steps
    ]
    assert all(Decimal(step["shadow_price_per_mwh"]) > 0 for step in evening["steps"])
    assert Decimal(evening["headroom_mw"]) <= 4


def test_without_scenarios_the_bid_is_the_plans(tmp_path: Path) -> None:
    case = written(tmp_path, CASE.partition("bid:")[0])

    made = bid_case(case, "yard-day-ahead", Console(stderr=True)).document()

    assert (made.reasons.mode, made.reasons.note) == ("robust", "")
    assert made.reasons.curves is None
    assert made.bids


def test_a_bid_is_shown_as_a_table_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed -> make test installs it")
    picture, shown = tmp_path / "bid.png", StringIO()
    made = bid_case(written(tmp_path), "yard-day-ahead", Console(stderr=True))

    show_bids(made, Console(file=shown, width=110))
    draw_bids(made, picture)

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "24 bids for Wed 2025-12-03" in shown.getvalue()
    assert "2 price scenarios" in shown.getvalue()
    assert "1.0 @ 4000.00" in shown.getvalue()


def test_blocks_are_shown_with_their_parts_and_drawn_where_they_are(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed -> make test installs it")
    case = written(tmp_path, CASE.partition("bid:")[0])
    market = tmp_path / "market.yaml"
    market.write_text(
        PRODUCT.replace("form: curve_step", "form: block")
        .replace("  segments: {min: 1, max: 10}\n", "")
        .replace("  monotonic: true\n", "  block: {allowed: true, linked: true}\n"),
        encoding="utf-8",
    )
    day = tmp_path / "day.csv"
    rows = day.read_text(encoding="utf-8")
    for hour, price in (("03", 10), ("18", 260), ("19", 260)):
        rows = rows.replace(f"T{hour}:00:00Z,-2000,50", f"T{hour}:00:00Z,-2000,{price}")
    day.write_text(rows, encoding="utf-8")
    picture, shown = tmp_path / "bid.png", StringIO()

    made = bid_case(case, "yard-day-ahead", Console(stderr=True))
    show_bids(made, Console(file=shown, width=140))
    draw_bids(made, picture)

    certain, *legs = made.document().bids
    assert certain.offer.form == "block"
    assert len(certain.offer.parts) == 24
    assert [leg.side for leg in legs] == ["buy", "sell"]
    assert "block of 24: 2.0 @ 4000.00" in shown.getvalue()
    assert ", tied" in shown.getvalue()
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("product", "change", "says"),
    [
        pytest.param("moon", ("", ""), "moon: the park does not trade it", id="a stranger"),
        pytest.param(
            "yard-day-ahead",
            ("price.low, ", "price.lower, "),
            "no column 'price.lower' is given",
            id="no such scenario",
        ),
        pytest.param(
            "yard-day-ahead",
            ("[price.low, price.high]", "[price.low]"),
            "bid.price_scenarios",
            id="one scenario",
        ),
        pytest.param(
            "yard-day-ahead",
            ("series: day.csv", "series: day.csv\nuntil: 2025-12-03T12:00:00Z"),
            "its series cover no whole delivery of yard-day-ahead",
            id="half a day",
        ),
    ],
)
def test_what_no_bid_can_be_made_of_is_bad_input(
    tmp_path: Path, product: str, change: tuple[str, str], says: str
) -> None:
    case = written(tmp_path, CASE.replace(*change))

    with pytest.raises(ConfigError) as refused:
        bid_case(case, product, Console(stderr=True))

    assert says in str(refused.value)


def test_a_bid_names_its_product() -> None:
    done = vpp("bid", DEMO)

    assert done.returncode == 2
    assert "product" in done.stderr
