"""Rules that a market file must keep: each one is broken once, and told with its place and its name."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from vpp.account.settlement import gap_rule_on
from vpp.model.market import ClawBack
from vpp.service.markets.pack import Pack, read_pack
from vpp.service.markets.rules import RULES
from vpp.service.park.config import ConfigErrors, shipped

MARKET = """\
id: xx.test.dr
version: "1"
valid_from: 2026-01-01
jurisdiction: XX
currency: CNY
kind: dr_event
direction: up
unverified: [offer.price.max]
sources:
  - ref: a text
    mark: found
    confidence: H
    fields: [calendar, eligibility, offer.quantity, offer.price.min, offer.price.step, activation, baseline, performance, settlement]
  - {ref: from memory, mark: recalled, confidence: M, fields: [offer.price.max]}
calendar:
  tz: Asia/Shanghai
  delivery_interval: PT15M
  settlement_interval: PT15M
  gate_open: D-1T08:00
  gate_close: D-1T12:00
  results_at: D-1T17:00
eligibility: {min_mw: 1, max_mw: 5}
offer:
  form: single
  sense: supply
  quantity: {unit: MW, min: 1, step: 0.5}
  price: {unit: CNY/MWh, min: 0, max: 4000, step: 10}
activation: {trigger: invitation, min_hold_s: 60, max_hold_s: 120}
baseline: {method: cn_5day, n_days: 5}
performance:
  index: tolerance_band
  tolerance: {pct: 0.1}
  bands:
    - {from: 0.0, to: 0.5, factor: 0.0}
    - {from: 0.5, factor: 1.0}
settlement:
  formula: baseline_energy
  penalties:
    - {rule: shortfall, ratio: 0.5, multiplier: 0.5}
exclusivity_group: xx
"""


def read(tmp_path: Path, text: str) -> Pack:
    path = tmp_path / "market.yaml"
    path.write_text(text)
    return read_pack(path)


def faults_of(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as refused:
        read(tmp_path, text)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in refused.value.faults]


def test_the_market_that_is_broken_below_is_in_order(tmp_path: Path) -> None:
    pack = read(tmp_path, MARKET)
    assert [field.path for field in pack.open_fields] == ["offer.price.max"]


BROKEN = [
    (
        "validity_is_a_span",
        "4:1",
        "valid_from: 2026-01-01",
        "valid_from: 2026-01-01\nvalid_to: 2026-01-01",
    ),
    ("unit_names_the_currency", "27:11", "CNY/MWh", "EUR/MWh"),
    ("intervals_divide_the_day", "17:3", "delivery_interval: PT15M", "delivery_interval: PT7M"),
    ("gate_forms_match", "21:3", "results_at: D-1T17:00", "results_at: T-5min"),
    ("gates_in_order", "19:3", "gate_open: D-1T08:00", "gate_open: D-1T12:00"),
    ("gates_in_order", "20:3", "gate_close: D-1T12:00", "gate_close: D-0T12:00"),
    ("gates_in_order", "21:3", "results_at: D-1T17:00", "results_at: D-1T11:00"),
    ("day_types_hold_a_weekday", "22:3", "D-1T17:00\n", "D-1T17:00\n  day_types: [holiday]\n"),
    ("offer_form_has_its_fields", "23:1", "form: single", "form: curve_linear"),
    ("offer_form_has_its_fields", "27:3", "form: single", "form: quantity_only"),
    (
        "segments_in_order",
        "25:14",
        "form: single",
        "form: segments_mw_price\n  segments: {min: 4, max: 3}",
    ),
    ("prices_on_their_grid", "27:34", "max: 4000", "max: 4001"),
    ("prices_on_their_grid", "27:26", "min: 0, max: 4000", "min: 4000, max: 4000"),
    ("quantities_on_their_grid", "26:24", "min: 1, step: 0.5", "min: 1.2, step: 0.5"),
    ("sense_fits_the_direction", "25:3", "sense: supply", "sense: demand"),
    ("eligibility_in_order", "22:26", "max_mw: 5", "max_mw: 0.5"),
    ("holds_in_order", "28:51", "max_hold_s: 120", "max_hold_s: 30"),
    ("formula_resolves", "37:3", "formula: baseline_energy", "formula: by_gut_feeling"),
    ("formula_resolves", "36:1", "formula: baseline_energy", "formula: mileage_k"),
    ("index_resolves", "31:3", "index: tolerance_band", "index: secret"),
    ("index_resolves", "30:1", "  tolerance: {pct: 0.1}\n", ""),
    ("method_resolves", "29:12", "method: cn_5day", "method: control_group"),
    ("method_resolves", "29:1", "method: cn_5day, n_days: 5", "method: none"),
    ("method_resolves", "29:1", "method: cn_5day, n_days: 5", "method: cn_5day"),
    ("penalty_resolves", "39:8", "rule: shortfall", "rule: fine"),
    ("penalty_resolves", "39:7", ", multiplier: 0.5", ""),
    (
        "deviation_resolves",
        "38:15",
        "  penalties:",
        "  deviation: {family: wobble, k: 1}\n  penalties:",
    ),
    ("bands_are_contiguous", "35:8", "from: 0.5, factor", "from: 0.6, factor"),
    ("bands_are_contiguous", "35:19", "from: 0.5, factor", "from: 0.5, to: 2, factor"),
    *(
        ("reports_on_their_grid", place, "kind: dr_event", f"kind: dr_event\nreporting: {{{said}}}")
        for place, said in (
            ("7:13", "telemetry_s: 7"),
            ("7:30", "telemetry_s: 60, members_s: 90"),
            ("7:13", "holds: [PT1H, PT15M]"),
            ("7:24", "forecast: {step: PT10M, horizon: PT4H}"),
            ("7:37", "forecast: {step: PT15M, horizon: PT50M}"),
            ("7:13", "schedule_points: 95"),
            ("7:13", "schedule_at: T-25min"),
        )
    ),
    (
        "unverified_names_a_field",
        "8:14",
        "unverified: [offer.price.max]",
        "unverified: [offer.cost, offer.price.max]",
    ),
    ("source_names_a_field", "13:14", "fields: [calendar,", "fields: [kalendar, calendar,"),
    ("number_has_a_source", "29:29", ", baseline, performance", ", performance"),
    ("recalled_stands_in_unverified", "27:34", "unverified: [offer.price.max]", "unverified: []"),
    (
        "cleared_was_unverified",
        "9:12",
        "sources:",
        "cleared: [{field: offer.quantity, document: a, date: 2026-01-01, by: b}]\nsources:",
    ),
    (
        "cleared_names_a_field",
        "9:12",
        "sources:",
        "cleared: [{field: nothing, document: a, date: 2026-01-01, by: b}]\nsources:",
    ),
    ("schema", "5:1", "currency: CNY", "currency: yuan"),
    ("schema", "1:1", "kind: dr_event\n", ""),
    ("schema", "20:3", "D-1T12:00", "noon"),
    ("schema", "27:11", "price: {unit", "price: {expression: 3*da, unit"),
]


@pytest.mark.parametrize(("rule", "place", "old", "new"), BROKEN)
def test_a_broken_rule_is_told_with_its_place_and_its_name(
    tmp_path: Path, rule: str, place: str, old: str, new: str
) -> None:
    assert old in MARKET
    faults = faults_of(tmp_path, MARKET.replace(old, new, 1))
    assert any(
        f.endswith(f"[{rule}]") and f.startswith(f"market.yaml:{place}: ") for f in faults
    ), faults


def test_each_rule_is_broken_once() -> None:
    elsewhere = {"gaps_are_ruled", "real_time_is_named"}
    assert elsewhere | {rule for rule, *_ in BROKEN} >= RULES.keys()


def test_a_day_ahead_market_that_is_traded_says_what_a_missing_imbalance_price_settles_at(
    tmp_path: Path,
) -> None:
    path = shipped("markets/se3_day_ahead.yaml")
    rules = [rule.noun() for rule in read_pack(path).section.settlement.gap_rules]
    assert gap_rule_on(rules, date(2025, 12, 3)).max_age == timedelta(hours=1)

    text = path.read_text()
    without = text[: text.index("  gap_rules:")] + text[text.index("exclusivity_group:") :]
    (fault,) = faults_of(tmp_path, without)
    assert fault.endswith("a day-ahead market that is traded needs at least one [gaps_are_ruled]")


def test_a_traded_market_of_two_settlements_names_the_series_of_its_real_time(
    tmp_path: Path,
) -> None:
    path = shipped("markets/cn_sd_spot_da_load_vpp.yaml")
    product = read_pack(path).product()
    assert product is not None
    assert product.real_time_series_id == "price.real-time.sd"
    assert product.claw_back == ClawBack(band=Decimal("0.2"), k=Decimal(1))

    (fault,) = faults_of(tmp_path, path.read_text().replace(", rt: price.real-time.sd", ""))
    assert fault.endswith(
        "two_settlement: give both clearing and rt, or neither [real_time_is_named]"
    )


@pytest.mark.parametrize(
    ("unverified", "cleared", "left"),
    [
        pytest.param("offer.price.max", "offer.price.max", [], id="the field itself"),
        pytest.param("offer.price.max", "offer", [], id="all around it"),
        pytest.param(
            "offer.price",
            "offer.price.max",
            ["offer.price.unit", "offer.price.min", "offer.price.step"],
            id="a part of it: the rest stays open",
        ),
        pytest.param(
            "offer.price.max, offer.quantity", "offer.price", ["offer.quantity"], id="another"
        ),
    ],
)
def test_a_person_clears_a_field_with_document_and_date(
    tmp_path: Path, unverified: str, cleared: str, left: list[str]
) -> None:
    text = MARKET.replace("unverified: [offer.price.max]", f"unverified: [{unverified}]").replace(
        "sources:",
        f"cleared:\n  - {{field: {cleared}, document: Gazette 7, date: 2026-02-01, by: Wang}}\nsources:",
    )
    assert [field.path for field in read(tmp_path, text).open_fields] == left
