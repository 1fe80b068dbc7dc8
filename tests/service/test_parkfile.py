from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.errors import ConfigError
from vpp.model.gate import RollingGate
from vpp.model.resource import Storage
from vpp.service.config import ConfigErrors, shipped
from vpp.service.parkfile import (
    ParkFile,
    load_park,
    market_schema,
    park_schema,
    shipped_park,
)

PARK = """\
park: small
name: Small park
timezone: Europe/Stockholm
currency: EUR
minor_unit: "0.01"
limits: {import_kw: 1000, export_kw: 500}
carbon: {grid_kgco2_per_kwh: 0.02, source: a table, valid_from: 2025-01-01}
feeders:
  - {id: north, import_kw: 800, export_kw: 500}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands:
      - {name: day, start: 06:00, end: "22:00", price_per_kwh: 0.02}
      - {name: other, start: "00:00", end: "00:00", price_per_kwh: 0.01}
    demand_charge_per_kw_month: 5.0
enterprises:
  - id: mill
    name: Mill
    connection_points:
      - id: mill-gate
        feeder: north
        import_kw: 500
        export_kw: 300
        meter: mill-meter
        tariff: network
        resources:
          - id: battery
            kind: storage
            capacity_kwh: 200
            max_charge_kw: 100
            max_discharge_kw: 100
            charge_efficiency: 0.96
            min_soc: 0.1
          - {id: pv, kind: generator, max_feed_kw: 250}
          - {id: base, kind: fixed_load, max_draw_kw: 300}
          - id: hall
            kind: thermal_zone
            heating: yes
            max_draw_kw: 50
            cop: 3
            resistance_degc_per_kw: 0.1
            capacity_kwh_per_degc: 300
            min_degc: 18
            max_degc: 22
            target_degc: 20
            discomfort_cost_per_degc_h: 5
            outdoor_series_id: weather.outdoor
          - id: saw
            kind: interruptible_load
            rated_draw_kw: 60
            operating_from: 06:00
            operating_to: 18:00
            call_length_minutes: 60
            callable_hours: [8, 17]
            call_cost_per_kwh: 0.1
          - id: kiln
            kind: shiftable_run
            profile_kw: [40, 40]
            earliest_start: 06:00
            latest_end: 12:00
            default_start: 08:00
bidding_units:
  - id: unit-a
    zone: SE3
    resources: [battery, pv]
    products: [quarter]
    connected_kw: 350
    declared_kw: 300
    tested_kw: 200
    trades_from: 2025-12-03T00:00:00+01:00
    trading_share: {mill: 1}
markets:
  - market.yaml
strategies:
  - use: market_trading
    with: {spread: 4.0}
"""

MARKET = """\
id: quarter
version: 1.0.0
valid_from: 2025-10-01
jurisdiction: SE
zone: SE3
kind: energy_id
direction: net
currency: EUR
unverified: [calendar, offer]
sources: [{ref: ours, mark: ours, confidence: L, fields: [calendar, offer]}]
calendar:
  tz: Europe/Stockholm
  delivery_interval: PT15M
  settlement_interval: PT15M
  gate_open: T-60min
  gate_close: T-15min
  results_at: T-14min
offer:
  form: curve_step
  sense: supply
  quantity: {unit: MW, min: 0.1, step: 0.1, max: 2}
  price: {unit: EUR/MWh, min: -500, max: 4000, step: 0.01}
settlement: {formula: exchange_imbalance, price_refs: {clearing: price.quarter}}
exclusivity_group: energy
"""

SIMULATION = """\
simulation:
  first_delivery_day: 2025-12-03
  loads: {file: series.csv, courses: [{resource: base, column: load, times: 2}]}
  generation: {file: series.csv, courses: [{resource: pv, column: sun, times: 100}]}
  outdoor: {file: series.csv, series: [{id: weather.outdoor, column: degc}]}
  day_ahead_per_mwh: {file: series.csv, column: price}
  opening: {soc: {battery: 0.5}}
  market:
    quarter_hour_noise_sd_per_mwh: 5
    quarter_hour_noise_correlation: 0.5
    imbalance_spread_per_mwh: 10
"""

START = datetime(2025, 12, 1, 23, tzinfo=UTC)
ROWS = [
    f"{START + timedelta(minutes=15 * i):%Y-%m-%dT%H:%M:%SZ},100,0.5,-3,{40 + i / 10}"
    for i in range(192)
]
SERIES = "\n".join(["interval_start,load,sun,degc,price", *ROWS]) + "\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ParkFile]:
    def write_and_load(
        park: str = PARK, *, market: str = MARKET, series: str = SERIES, **more: str
    ) -> ParkFile:
        (tmp_path / "market.yaml").write_text(market)
        (tmp_path / "series.csv").write_text(series)
        for name, text in more.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        (tmp_path / "park.yaml").write_text(park)
        return load_park(tmp_path / "park.yaml")

    return write_and_load


def faults_of(load: Callable[..., ParkFile], tmp_path: Path, *args: str, **kw: str) -> list[str]:
    """Each fault as a line, the folder left out."""
    with pytest.raises(ConfigErrors) as caught:
        load(*args, **kw)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.faults)
    return [line.replace(f"{tmp_path}/", "") for line in lines]


def test_a_valid_file_becomes_nouns(load: Callable[..., ParkFile]) -> None:
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
    assert (found.strategies[0].use, found.strategies[0].settings) == (
        "market_trading",
        {"spread": 4.0},
    )
    assert found.planning.hard_s > found.planning.soft_s
    assert found.simulation is not None
    assert set(found.simulation.base_kw["base"].values) == {-200.0}  # type: ignore[index]
    assert found.simulation.visits == {}


def test_a_live_park_needs_no_simulation(load: Callable[..., ParkFile]) -> None:
    assert load(PARK).simulation is None


POINT = "enterprises.0.connection_points.0"
RESOURCES = f"{POINT}.resources"
UNIT = "bidding_units.0"

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
    load: Callable[..., ParkFile], tmp_path: Path, edit: tuple[str, str], lines: list[str]
) -> None:
    assert PARK.count(edit[0]) == 1

    assert faults_of(load, tmp_path, PARK.replace(*edit)) == [f"park.yaml:{line}" for line in lines]


def test_all_mistakes_are_told_at_once(load: Callable[..., ParkFile], tmp_path: Path) -> None:
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


def test_a_resource_in_two_units_of_one_group_is_refused(
    load: Callable[..., ParkFile], tmp_path: Path
) -> None:
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


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(
            ("load,sun", "lead,sun"),
            "park.yaml:81:56: simulation.loads.courses.0.column: the file has no column 'load';"
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
            "park.yaml:81:70: simulation.loads.courses.0.times: the series then reaches 400.0 kW,"
            " and base 300 kW",
            id="a load beyond its rating",
        ),
        pytest.param(
            ("2025-12-01T23:30:00Z,100,0.5", "2025-12-01T23:30:00Z,-100,0.5"),
            "park.yaml:81:56: simulation.loads.courses.0.column: the column goes down to"
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
    load: Callable[..., ParkFile], tmp_path: Path, edit: tuple[str, str], line: str
) -> None:
    assert SERIES.count(edit[0]) == 1

    found = faults_of(load, tmp_path, PARK + SIMULATION, series=SERIES.replace(*edit))

    assert found[0] == line


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        pytest.param(
            ("resource: base", "resource: pv"),
            "81:40: simulation.loads.courses.0.resource: pv is a Generator, which has no such course",
            id="a course of another kind",
        ),
        pytest.param(
            ("{battery: 0.5}", "{battery: 0.05}"),
            "85:19: simulation.opening.soc.battery: 0.05 is below min_soc 0.1",
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
            "80:3: simulation.first_delivery_day: this day or the one before lies outside the"
            " series 2025-12-01 23:00:00+00:00 … 2025-12-03 23:00:00+00:00",
            id="a day without series",
        ),
        pytest.param(
            ("generation: {file: series.csv", "generation: {file: gone.csv"),
            "82:16: simulation.generation.file: gone.csv cannot be read: No such file or directory",
            id="a series file that is not there",
        ),
    ],
)
def test_a_simulation_that_does_not_fit_its_park_is_refused(
    load: Callable[..., ParkFile], tmp_path: Path, edit: tuple[str, str], line: str
) -> None:
    assert SIMULATION.count(edit[0]) == 1

    found = faults_of(load, tmp_path, PARK + SIMULATION.replace(*edit))

    assert f"park.yaml:{line}" in found


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n", "42\n"])
def test_what_is_no_mapping_is_refused(
    load: Callable[..., ParkFile], tmp_path: Path, text: str
) -> None:
    assert faults_of(load, tmp_path, text) == [
        "park.yaml:1:1: is no mapping of keys to values",
    ]


def test_an_unknown_shipped_park_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match="Use one of \\['demo'\\]"):
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
    assert "with" in park_schema()["$defs"]["UseSection"]["properties"]


DEMO_LINES = shipped("parks/demo.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
SCRAPS = st.sampled_from(
    [
        "-1",
        "0",
        "1e9",
        ".nan",
        "on",
        "~",
        "[]",
        "{}",
        "steel",
        '"',
        "&a",
        "*a",
        "24:00",
        "96",
        "'",
        ": ",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(DEMO_LINES) - 1),
    st.integers(0, 80),
    st.integers(0, 12),
    SCRAPS,
    st.sampled_from(["cut", "twice", "scrap", "word"]),
)
def test_a_damaged_file_gives_faults_and_nothing_else(
    line: int, column: int, length: int, scrap: str, how: str
) -> None:
    lines = list(DEMO_LINES)
    old = lines[line]
    column = min(column, len(old) - 1)
    match how:
        case "cut":
            del lines[line]
        case "twice":
            lines.insert(line, old)
        case "scrap":
            lines[line] = old[:column] + scrap + old[column + length :]
        case _:
            key, colon, _ = old.partition(":")
            lines[line] = f"{key}{colon} {scrap}\n"
    with TemporaryDirectory() as folder:
        config = Path(folder)
        # The series are left out: they cost time, and all of their checks stand in tests above.
        (config / "markets").symlink_to(shipped("markets"), target_is_directory=True)
        (config / "parks").mkdir()
        (config / "parks" / "damaged.yaml").write_text("".join(lines), encoding="utf-8")
        try:
            load_park(config / "parks" / "damaged.yaml")
        except ConfigErrors as error:
            told = error.faults
        else:
            told = ()
    assert all(fault.line >= 1 and fault.column >= 1 and fault.what for fault in told)
