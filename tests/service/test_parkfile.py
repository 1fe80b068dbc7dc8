"""A park file: what it becomes, and each mistake told where it stands, all of them at once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.service.smallpark import (
    MARKET,
    PARK,
    POINT,
    RESOURCES,
    SIMULATION,
    UNIT,
    Load,
    faults_of,
    loading_in,
)
from vpp.errors import ConfigError
from vpp.model.gate import RollingGate
from vpp.model.resource import Storage
from vpp.service.park.parkfile import load_park, market_schema, park_schema, shipped_park


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loading_in(tmp_path)


def test_a_valid_file_becomes_nouns(load: Load) -> None:
    found = load(PARK + SIMULATION)

    battery = found.park.resources[0]
    assert isinstance(battery, Storage)
    assert (battery.enterprise_id, battery.connection_point_id) == ("mill", "mill-gate")
    assert [r.resource_id for r in found.park.resources] == [
        "battery", "pv", "base", "hall", "saw", "kiln",
    ]  # fmt: skip
    assert found.park.bidding_units[0].trades_from == datetime(2025, 12, 2, 23, tzinfo=UTC)
    assert found.park.tariffs[0].bands[0].price_per_kwh == Decimal("0.02")
    (product,) = found.products
    assert isinstance(product.gate, RollingGate)
    assert product.lot_mw == Decimal("0.1")
    assert len(product.pack_digest) == len(found.digest) == 64
    assert [(one.name, one.use) for one in found.strategies.entries] == [
        ("trading", "price_arbitrage")
    ]
    assert found.planning.hard_s > found.planning.soft_s
    assert found.simulation is not None
    assert set(found.simulation.base_kw["base"].values) == {-200.0}  # type: ignore[index]
    assert found.simulation.visits == {}


def test_a_live_park_needs_no_simulation(load: Load) -> None:
    assert load(PARK).simulation is None


FAULTS = [
    (
        "an unknown key, and the one that is missing for it",
        ("capacity_kwh: 200", "capacity_kw: 200"),
        [
            f"29:13: {RESOURCES}.0.capacity_kwh: missing",
            f"31:13: {RESOURCES}.0.capacity_kw: unknown key",
        ],
    ),
    (
        "text for a number",
        ("_kwh: 200", "_kwh: lots"),
        [f'31:13: {RESOURCES}.0.capacity_kwh: input should be a valid number, not "lots"'],
    ),
    (
        "a truth value for a number",
        ("_kwh: 200", "_kwh: on"),
        [f"31:13: {RESOURCES}.0.capacity_kwh: input should be a valid number, not true"],
    ),
    (
        "a number for a truth value",
        ("heating: yes", "heating: 1"),
        [f"40:13: {RESOURCES}.3.heating: input should be a valid boolean, not 1"],
    ),
    (
        "a negative size",
        ("max_charge_kw: 100", "max_charge_kw: -100"),
        [f"32:13: {RESOURCES}.0.max_charge_kw: input should be greater than 0, not -100"],
    ),
    (
        "an efficiency in per cent",
        ("charge_efficiency: 0.96", "charge_efficiency: 96"),
        [
            (
                f"34:13: {RESOURCES}.0.charge_efficiency: 96 is above 1: give a fraction such as 0.96,"
                " not a percentage"
            )
        ],
    ),
    (
        "a noun refuses one field",
        ("min_soc: 0.1", "min_soc: 1"),
        [f"35:13: {RESOURCES}.0.min_soc: min_soc is 1.0: Give a share below 1, such as 0.1"],
    ),
    (
        "a number that is not finite",
        ("min_soc: 0.1", "min_soc: .nan"),
        [f"35:13: {RESOURCES}.0.min_soc: .nan is not a finite number"],
    ),
    (
        "a key twice",
        ("min_soc: 0.1", "min_soc: 0.1\n            min_soc: 0.2"),
        [
            f"36:13: {RESOURCES}.0.min_soc: the key stands here a second time, first in line 35",
        ],
    ),
    (
        "an id twice, and so a resource that is gone",
        ("id: pv,", "id: battery,"),
        [
            f"36:14: {RESOURCES}.1.id: device id 'battery' stands in line 29 too",
            f"67:26: {UNIT}.resources.1: unknown resource 'pv'; known: base, battery, hall, kiln, saw",
        ],
    ),
    (
        "a meter named like a resource",
        ("meter: mill-meter", "meter: saw"),
        [f"50:13: {RESOURCES}.4.id: device id 'saw' stands in line 26 too"],
    ),
    (
        "an unknown kind",
        ("kind: generator", "kind: windmill"),
        [
            (
                f"36:22: {RESOURCES}.1.kind: 'windmill' is none of 'fixed_load', 'storage', 'generator',"
                " 'curtailable_load', 'interruptible_load', 'shiftable_run', 'flexible_load',"
                " 'thermal_zone', 'ev_fleet', 'converter'"
            )
        ],
    ),
    (
        "no kind",
        ("kind: generator, ", ""),
        [f"36:13: {RESOURCES}.1.kind: missing"],
    ),
    (
        "a generator larger than its connection point",
        ("max_feed_kw: 250", "max_feed_kw: 301"),
        [f"36:13: {RESOURCES}.1: pv feeds up to 301 kW behind a limit of 300 kW"],
    ),
    (
        "a load larger than its connection point",
        ("max_draw_kw: 300", "max_draw_kw: 501"),
        [f"37:13: {RESOURCES}.2: base draws up to 501 kW behind a limit of 500 kW"],
    ),
    (
        "a band upside down",
        ("min_degc: 18", "min_degc: 23"),
        [
            (
                f"38:13: {RESOURCES}.3: target 20.0 outside 23.0 … 22.0: Put target_degc inside the"
                " comfort band"
            )
        ],
    ),
    (
        "a call after hours",
        ("operating_to: 18:00", "operating_to: 17:30"),
        [
            (
                f"56:33: {RESOURCES}.4.callable_hours.1: a call at 17:00 does not lie within the"
                " operating hours 06:00 to 17:30"
            )
        ],
    ),
    (
        "hours that end before they begin",
        ("operating_to: 18:00", "operating_to: 05:00"),
        [
            (
                f"50:13: {RESOURCES}.4: operating hours 06:00:00 … 05:00:00: Let them end after they"
                " begin, within one day"
            )
        ],
    ),
    (
        "a local time with a zone",
        ("operating_to: 18:00", "operating_to: 18:00Z"),
        [f"54:13: {RESOURCES}.4.operating_to: 18:00:00+00:00 is no local time of the form 06:00"],
    ),
    (
        "a run longer than its window",
        ("latest_end: 12:00", "latest_end: 08:15"),
        [
            (
                f"58:13: {RESOURCES}.5: a run of 2 quarter-hours started at 08:00:00 does not lie"
                " between 06:00:00 and 08:15:00: Widen the window or move default_start"
            )
        ],
    ),
    (
        "an unknown feeder",
        ("feeder: north", "feeder: south"),
        [f"23:9: {POINT}.feeder: unknown feeder 'south'; known: north"],
    ),
    (
        "an unknown tariff",
        ("tariff: network", "tariff: water"),
        [f"27:9: {POINT}.tariff: unknown tariff 'water'; known: network"],
    ),
    (
        "an unknown enterprise",
        ("{mill: 1}", "{mall: 1}"),
        [f"73:21: {UNIT}.trading_share.mall: unknown enterprise 'mall'; known: mill"],
    ),
    (
        "a share of nothing",
        ("{mill: 1}", "{mill: 0}"),
        [f"73:5: {UNIT}.trading_share: no weight is above 0: nobody would be paid"],
    ),
    (
        "a meter for a resource",
        ("[battery, pv]", "[battery, mill-meter]"),
        [
            (
                f"67:26: {UNIT}.resources.1: unknown resource 'mill-meter';"
                " known: base, battery, hall, kiln, pv, saw"
            )
        ],
    ),
    (
        "an unknown product",
        ("[quarter]", "[week]"),
        [f"68:16: {UNIT}.products.0: unknown product 'week'; known: quarter"],
    ),
    (
        "more declared than connected",
        ("declared_kw: 300", "declared_kw: 400"),
        [
            (
                f"65:5: {UNIT}: connected 350 kW, declared 400 kW, tested 200 kW: each must not be"
                " above the one before"
            )
        ],
    ),
    (
        "a naive time",
        ("T00:00:00+01:00", "T00:00:00"),
        [
            (
                f'72:5: {UNIT}.trades_from: "2025-12-03T00:00:00" has no time zone: add Z or an offset'
                " such as +01:00"
            )
        ],
    ),
    (
        "rules that do not hold yet",
        ("2025-12-03T", "2025-09-03T"),
        [f"68:16: {UNIT}.products.0: its rules hold from 2025-10-01, not on 2025-09-03"],
    ),
    (
        "an unknown time zone",
        ("timezone: Europe/Stockholm", "timezone: Mars/Dust"),
        ["3:1: timezone: 'Mars/Dust' is no IANA time zone such as Europe/Stockholm"],
    ),
    (
        "a market in another currency",
        ("currency: EUR", "currency: SEK"),
        ["75:5: markets.0: settles in EUR, the park in SEK"],
    ),
    (
        "an hour without a price",
        ('start: "00:00", end: "00:00"', 'start: "00:00", end: "05:00"'),
        [
            (
                "14:5: tariffs.0.bands: no band holds on weekday 0 at 05:00: Add a last band from 00:00"
                " to 00:00 for every day"
            )
        ],
    ),
    (
        "curves over price scenarios of a market that takes one quarter-hour",
        ("strategies:", "bids:\n  - {product: quarter, mode: expected}\nstrategies:"),
        [
            (
                "77:24: bids.0.mode: quarter is of kind energy_id, form curve_step: expected needs"
                " energy_da, curve_step or curve_linear or segments_mw_price"
            )
        ],
    ),
    (
        "a market file that is not there",
        ("  - market.yaml", "  - market.yaml\n  - gone.yaml"),
        ["76:5: markets.1: 'gone.yaml' cannot be read: No such file or directory"],
    ),
    (
        "a billed peak above the limit",
        ("meter: mill-meter", "meter: mill-meter\n        period_to_date_peak_kw: 501"),
        [f"27:9: {POINT}.period_to_date_peak_kw: 501 kW above import_kw 500"],
    ),
    (
        "a negative limit",
        ("{import_kw: 1000,", "{import_kw: -1,"),
        ["6:10: limits.import_kw: input should be greater than or equal to 0, not -1"],
    ),
]


@pytest.mark.parametrize(
    ("edit", "lines"), [pytest.param(edit, lines, id=name) for name, edit, lines in FAULTS]
)
def test_each_mistake_is_shown_where_it_stands(
    load: Load, tmp_path: Path, edit: tuple[str, str], lines: list[str]
) -> None:
    assert PARK.count(edit[0]) == 1

    assert faults_of(load, tmp_path, PARK.replace(*edit)) == [f"park.yaml:{line}" for line in lines]


def test_all_mistakes_are_told_at_once(load: Load, tmp_path: Path) -> None:
    text = (
        PARK.replace("capacity_kwh: 200", "capacity_kw: 200")
        .replace("feeder: north", "feeder: south")
        .replace("min_degc: 18", "min_degc: 23")
        .replace("max_feed_kw: 250", "max_feed_kw: .inf")
        .replace("{mill: 1}", "{mall: 1}")
    )
    market = MARKET.replace("step: 0.1, max: 2", "step: 0, max: 2")

    assert faults_of(load, tmp_path, text, market=market) == [
        f"park.yaml:23:9: {POINT}.feeder: unknown feeder 'south'; known: north",
        f"park.yaml:29:13: {RESOURCES}.0.capacity_kwh: missing",
        f"park.yaml:31:13: {RESOURCES}.0.capacity_kw: unknown key",
        f"park.yaml:36:39: {RESOURCES}.1.max_feed_kw: .inf is not a finite number",
        (
            f"park.yaml:38:13: {RESOURCES}.3: target 20.0 outside 23.0 … 22.0: Put target_degc inside"
            " the comfort band"
        ),
        f"park.yaml:68:16: {UNIT}.products.0: unknown product 'quarter'; known: none",
        f"park.yaml:73:21: {UNIT}.trading_share.mall: unknown enterprise 'mall'; known: mill",
        "market.yaml:21:34: offer.quantity.step: input should be greater than 0, not 0 [schema]",
    ]


SECOND_UNIT = """\
  - id: unit-b
    zone: SE3
    resources: [pv]
    products: [other]
    connected_kw: 250
    declared_kw: 250
    tested_kw: 250
    trades_from: 2025-12-03T00:00:00Z
    trading_share: {mill: 1}
markets:
  - other.yaml
"""


def test_a_resource_in_two_units_of_one_group_is_refused(load: Load, tmp_path: Path) -> None:
    text = PARK.replace("markets:\n", SECOND_UNIT)
    other = MARKET.replace("id: quarter", "id: other")

    assert faults_of(load, tmp_path, text, other=other) == [
        (
            "park.yaml:76:17: bidding_units.1.resources.0: pv is in unit unit-a of exclusivity group"
            " energy too"
        )
    ]
    apart = other.replace("exclusivity_group: energy", "exclusivity_group: reserve")
    assert len(load(text, other=apart).products) == 2


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n", "42\n"])
def test_what_is_no_mapping_is_refused(load: Load, tmp_path: Path, text: str) -> None:
    assert faults_of(load, tmp_path, text) == [
        "park.yaml:1:1: is no mapping of keys to values",
    ]


def test_an_unknown_shipped_park_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match="Use one of \\['demo', 'demo_cn'\\]"):
        shipped_park("dome")


def test_the_shipped_park_has_no_fault() -> None:
    assert load_park(shipped_park("demo")).park.park_id == "demo"


def test_schemas_say_what_a_key_means_and_refuse_others() -> None:
    for schema in (park_schema(), market_schema()):
        assert schema["additionalProperties"] is False
        assert schema["description"]
        parts = [part for part in schema["$defs"].values() if part["type"] == "object"]
        assert all(part["additionalProperties"] is False for part in parts)
    storage = park_schema()["$defs"]["Storage"]["properties"]
    assert storage["charge_efficiency"]["description"] == "kWh stored per kWh drawn."


DAY_AHEAD = (
    MARKET.replace("kind: energy_id", "kind: energy_da")
    .replace("gate_open: T-60min", "gate_open: D-1T08:00")
    .replace("gate_close: T-15min", "gate_close: D-1T12:00")
    .replace("results_at: T-14min", "results_at: D-1T12:45")
    .replace(
        "price_refs: {", "gap_rules: [{valid_from: 2025-10-01, max_age_minutes: 60}], price_refs: {"
    )
)
EXPECTED = PARK.replace("strategies:", "bids:\n  - {product: quarter, mode: expected}\nstrategies:")


def test_curves_need_a_market_whose_prices_are_given_for_each_interval(
    load: Load, tmp_path: Path
) -> None:
    assert load(EXPECTED, market=DAY_AHEAD).curves.keys() == {"quarter"}
    whole_day = DAY_AHEAD.replace("sense: supply", "sense: supply\n  per_interval: false")
    assert faults_of(load, tmp_path, EXPECTED, market=whole_day) == [
        (
            "park.yaml:77:24: bids.0.mode: prices of quarter hold for a whole day: expected needs a curve for each"
            " interval"
        )
    ]


def test_a_park_says_what_a_broken_limit_and_an_undelivered_kwh_cost(tmp_path: Path) -> None:
    load = loading_in(tmp_path)
    text = PARK + "planning: {limit_excess_per_kwh: 150}\n"

    assert load(text).planning.limit_excess_per_kwh == 150
    assert load().planning.limit_excess_per_kwh == 20
