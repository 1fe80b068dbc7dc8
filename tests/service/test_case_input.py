"""Bad input of a case: a clear error with file, column and time, and nothing filled silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.test_case import CASE, PARK, SERIES
from vpp.service.cases.casefile import read_case
from vpp.service.park.config import ConfigErrors

HEADER = "interval_start,power.base [kW],price.buy [EUR/MWh]"


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., list[str]]:
    def read(case: str = CASE, *, series: str = SERIES) -> list[str]:
        (tmp_path / "park.yaml").write_text(PARK, encoding="utf-8")
        (tmp_path / "day.csv").write_text(series, encoding="utf-8")
        (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
        with pytest.raises(ConfigErrors) as caught:
            read_case(tmp_path / "case.yaml")
        return [str(fault).replace(f"{tmp_path}/", "") for fault in caught.value.faults]

    return read


def rows(*more: str) -> str:
    return "\n".join([HEADER, *more]) + "\n"


SERIES_FAULTS = [
    (
        "too short to have a step",
        rows("2025-12-03T00:00:00Z,-100,50"),
        [
            (
                "day.csv:2:1: interval_start: one row; a plan needs at least two rows, 5, 10, 15, 20,"
                " 30, 60 minutes apart"
            )
        ],
    ),
    (
        "backwards",
        rows("2025-12-03T01:00:00Z,-100,50", "2025-12-03T00:00:00Z,-100,50"),
        [
            (
                "day.csv:3:1: interval_start: the rows do not go forward in time; a plan needs at"
                " least two rows, 5, 10, 15, 20, 30, 60 minutes apart"
            )
        ],
    ),
    (
        "one early row out of step, not every row after it",
        rows(
            *("2025-12-03T00:00:00Z,-100,50", "2025-12-03T00:20:00Z,-100,50"),
            *("2025-12-03T00:30:00Z,-100,50", "2025-12-03T00:45:00Z,-100,50"),
            "2025-12-03T01:00:00Z,-100,50",
        ),
        [
            (
                "day.csv:3:1: interval_start: 2025-12-03T00:20:00Z does not follow after a"
                " quarter-hour; 2025-12-03T00:15Z is due"
            ),
            (
                "day.csv:4:1: interval_start: 2025-12-03T00:30:00Z does not follow after a"
                " quarter-hour; 2025-12-03T00:35Z is due"
            ),
        ],
    ),
    (
        "semicolons",
        "interval_start;power.base [kW]\n2025-12-03T00:00:00Z;-100\n",
        [
            (
                "day.csv:1:1: the header is not interval_start and further names, each once: put"
                " commas between them"
            )
        ],
    ),
    (
        "a load with the sign of a source",
        rows("2025-12-03T00:00:00Z,-100,50", "2025-12-03T01:00:00Z,100,50"),
        [
            (
                "day.csv:3:16: power.base: 100 kW at 2025-12-03T01:00:00Z: a load draws, so this is"
                " never above 0"
            )
        ],
    ),
    (
        "no rows at all",
        HEADER + "\n",
        ["case.yaml:2:1: series: day.csv has no rows"],
    ),
    (
        "a hole, told once",
        rows(
            *("2025-12-03T00:00:00Z,-100,50", "2025-12-03T00:15:00Z,-100,50"),
            *("2025-12-03T01:00:00Z,-100,50", "2025-12-03T01:15:00Z,-100,50"),
        ),
        [
            (
                "day.csv:4:1: interval_start: 2025-12-03T01:00:00Z does not follow after a"
                " quarter-hour; 2025-12-03T00:30Z is due"
            )
        ],
    ),
    (
        "an empty cell",
        rows("2025-12-03T00:00:00Z,-100,50", "2025-12-03T01:00:00Z,,300"),
        ["day.csv:3:22: power.base: '' at 2025-12-03T01:00:00Z is no finite number"],
    ),
    (
        "not a number",
        rows("2025-12-03T00:00:00Z,-100,50", "2025-12-03T01:00:00Z,-100,NaN"),
        ["day.csv:3:27: price.buy: 'NaN' at 2025-12-03T01:00:00Z is no finite number"],
    ),
    (
        "a series that ends before the others",
        rows("2025-12-03T00:00:00Z,-100,50", "2025-12-03T01:00:00Z,-100"),
        ["day.csv:3:1: interval_start: 2 cells under a header of 3"],
    ),
    (
        "a step that nobody plans in",
        rows("2025-12-03T00:00:00Z,-100,50", "2025-12-03T00:07:00Z,-100,50"),
        [
            (
                "day.csv:3:1: interval_start: steps of 7 minutes; a plan needs at least two rows, 5,"
                " 10, 15, 20, 30, 60 minutes apart"
            )
        ],
    ),
    (
        "off the grid",
        rows("2025-12-03T00:05:00Z,-100,50", "2025-12-03T00:20:00Z,-100,50"),
        [
            (
                "day.csv:2:1: interval_start: 2025-12-03T00:05:00Z does not lie on a multiple of 15"
                " minutes"
            )
        ],
    ),
    (
        "a wall clock that the spring change skips, at the beginning",
        rows("2026-03-29T01:00:00+01:00,-100,50", "2026-03-29T02:00:00,-100,50"),
        [
            (
                "day.csv:3:1: interval_start: '2026-03-29T02:00:00' has no time zone, and on the clock"
                " of Europe/Berlin it happens never: add Z, or its offset from UTC"
            )
        ],
    ),
    (
        "a wall clock that the spring change skips, in a longer series",
        rows(
            *("2026-03-29T00:00:00+01:00,-100,50", "2026-03-29T01:00:00+01:00,-100,50"),
            "2026-03-29T02:00:00,-100,50",
        ),
        [
            (
                "day.csv:4:1: interval_start: '2026-03-29T02:00:00' has no time zone, and on the clock"
                " of Europe/Berlin it happens never: add Z, or its offset from UTC"
            )
        ],
    ),
    (
        "a wall clock that the autumn change repeats",
        rows(
            *("2025-10-26T00:00:00+02:00,-100,50", "2025-10-26T01:00:00+02:00,-100,50"),
            "2025-10-26T02:00:00,-100,50",
        ),
        [
            (
                "day.csv:4:1: interval_start: '2025-10-26T02:00:00' has no time zone, and on the clock"
                " of Europe/Berlin it happens twice: add Z, or its offset from UTC"
            )
        ],
    ),
    (
        "a wall clock on any other day",
        rows(
            *("2025-12-03T00:00:00Z,-100,50", "2025-12-03T01:00:00Z,-100,50"),
            "2025-12-03T02:00:00,-100,50",
        ),
        [
            (
                "day.csv:4:1: interval_start: '2025-12-03T02:00:00' has no time zone: add Z, or its"
                " offset from UTC"
            )
        ],
    ),
    (
        "hours counted over a clock change",
        rows(
            *("2026-03-29T00:00:00+01:00,-100,50", "2026-03-29T01:00:00+01:00,-100,50"),
            *("2026-03-29T02:00:00+02:00,-100,50", "2026-03-29T03:00:00+02:00,-100,50"),
        ),
        [
            (
                "day.csv:4:1: interval_start: 2026-03-29T02:00:00+02:00 does not follow after 60"
                " minutes; 2026-03-29T01:00Z is due (the clock of Europe/Berlin changes here: write"
                " UTC, or the offset that holds)"
            )
        ],
    ),
    (
        "a column without a unit",
        SERIES.replace("power.base [kW]", "power.base"),
        [
            (
                "day.csv:1:16: power.base: it has no unit: write power.base [kW] or another unit of W,"
                " kW, MW, degC, 1, %, kgCO2/kWh, gCO2/kWh, or EUR/MWh, EUR/kWh, EUR/kW/h, EUR/MW/h of"
                " any currency"
            )
        ],
    ),
    (
        "a unit of something else",
        SERIES.replace("[EUR/MWh]", "[kW]"),
        ["day.csv:1:32: price.buy: it is in kW, and a price such as EUR/MWh is needed"],
    ),
    (
        "another currency than the park's",
        SERIES.replace("[EUR/MWh]", "[SEK/MWh]"),
        ["day.csv:1:32: price.buy: it is in SEK, and the park reckons in EUR"],
    ),
    (
        "a column twice, in two units",
        SERIES.replace("price.buy [EUR/MWh]", "power.base [MW]"),
        [
            "day.csv:1:32: power.base: the column stands twice",
        ],
    ),
    (
        "a series that is missing",
        SERIES.replace("power.base", "power.bass"),
        ["case.yaml:2:1: series: no column 'power.base' is given"],
    ),
]


@pytest.mark.parametrize(
    ("series", "lines"),
    [pytest.param(series, lines, id=name) for name, series, lines in SERIES_FAULTS],
)
def test_a_faulty_series_is_refused_with_file_column_and_time(
    faults: Callable[..., list[str]], series: str, lines: list[str]
) -> None:
    assert faults(series=series) == lines


def test_a_good_day_over_a_clock_change_is_read(tmp_path: Path) -> None:
    hours = [
        *("2026-03-29T00:00:00+01:00", "2026-03-29T01:00:00+01:00"),
        *("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"),
    ]
    (tmp_path / "park.yaml").write_text(PARK)
    (tmp_path / "day.csv").write_text(rows(*(f"{hour},-100,50" for hour in hours)))
    (tmp_path / "case.yaml").write_text(CASE)

    assert read_case(tmp_path / "case.yaml").view.horizon.steps == 4


CASE_FAULTS = [
    (
        "series shorter than what is asked for",
        CASE + "until: 2025-12-03T03:00:00Z\n",
        [
            (
                "case.yaml:8:1: until: the series end at 2025-12-03T02:00:00Z, before"
                " 2025-12-03T03:00:00Z: they are too short"
            )
        ],
    ),
    (
        "a term that names nothing",
        CASE.replace("at: gate", "at: door"),
        ["case.yaml:7:26: terms.0.at: unknown connection point 'door'; known: all, gate"],
    ),
    (
        "an unknown term",
        CASE.replace("energy_price", "energy_tax"),
        [
            (
                "case.yaml:7:6: terms.0.term: 'energy_tax' is none of 'energy_price', 'commitment',"
                " 'open_trade', 'cap', 'peak_charge', 'energy_target', 'stored_floor', 'car_deadline',"
                " 'reserve', 'carbon_price', 'green_share', 'change_penalty', 'activity_price', 'equal_burden',"
                " 'stored_energy_value'"
            )
        ],
    ),
    (
        "a column that a term names and nobody gives",
        CASE.replace("price.buy", "price.by"),
        ["case.yaml:7:36: terms.0.import_per_kwh: no column 'price.by' is given"],
    ),
    (
        "an export that earns more than an import costs",
        CASE.replace("price.buy}", "0.1, export_per_kwh: 0.2}"),
        [
            (
                "case.yaml:7:5: terms.0: exporting earns more than importing costs in some step: Put"
                " the market's price into OpenTrade, where both directions meet"
            )
        ],
    ),
    (
        "a state of a stranger, and one that cannot be",
        CASE.replace("battery: {soc: 0}", "battery: {soc: 50}\n  batery: {soc: 0.5}"),
        [
            (
                "case.yaml:5:13: states.battery.soc: 50 is above 1: give a fraction such as 0.96, not"
                " a percentage"
            )
        ],
    ),
    (
        "a stranger",
        CASE.replace("battery: {soc: 0}", "batery: {soc: 0}"),
        ["case.yaml:5:3: states.batery: the park has no resource 'batery'"],
    ),
    (
        "nothing that says what anything costs",
        CASE[: CASE.index("terms:")],
        ["case.yaml:1:1: terms: neither a strategy nor a term says what anything costs"],
    ),
    (
        "an order for a place that is not there",
        CASE + "limit_orders: [{id: o, place: moon, start: 2025-12-03T00:00:00Z,"
        " end: 2025-12-03T01:00:00Z, source: s}]\n",
        ["case.yaml:8:24: limit_orders.0.place: unknown place 'moon'; known: gate, yard, yard-ltd"],
    ),
    (
        "an order that ends before it begins",
        CASE + "limit_orders: [{id: o, place: gate, start: 2025-12-03T01:00:00Z,"
        " end: 2025-12-03T00:00:00Z, source: s}]\n",
        [
            (
                "case.yaml:8:66: limit_orders.0.end: end 2025-12-03 00:00:00+00:00 is not after start"
                " 2025-12-03 01:00:00+00:00: Swap them, or drop the empty interval"
            )
        ],
    ),
    (
        "a constant without a unit",
        CASE + "constants: {carbon.grid: 0.3}\n",
        [("case.yaml:8:13: constants.carbon.grid: input should be a valid string, not 0.3")],
    ),
    (
        "a constant in a unit that nobody knows",
        CASE + "constants: {carbon.grid: 0.3 stone}\n",
        [
            (
                "case.yaml:8:13: constants.carbon.grid: the unit 'stone' is not known; use W, kW, MW,"
                " degC, 1, %, kgCO2/kWh, gCO2/kWh, or EUR/MWh, EUR/kWh, EUR/kW/h, EUR/MW/h of any"
                " currency"
            )
        ],
    ),
    (
        "strategies that need a price and get none",
        CASE.replace("strategies: none\n", "").replace("terms:", "spot: price.spot\nterms:"),
        ["case.yaml:5:1: spot: no column 'price.spot' is given"],
    ),
    (
        "a peak that ends between steps",
        CASE + "  - {term: peak_charge, at: gate, price_per_kw: 5, end: 2025-12-03T01:30:00Z}\n",
        [
            (
                "case.yaml:8:52: terms.1.end: 2025-12-03T01:30:00Z is no boundary of the horizon's"
                " steps, which go from 2025-12-03T00:00:00Z to 2025-12-03T02:00:00Z by 60 minutes"
            )
        ],
    ),
    (
        "an unknown park",
        CASE.replace("park.yaml", "nowhere"),
        [
            (
                "case.yaml:1:1: park: no park 'nowhere' is shipped: Use one of ['demo', 'demo_cn'], or a path"
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("case", "lines"), [pytest.param(case, lines, id=name) for name, case, lines in CASE_FAULTS]
)
def test_a_faulty_case_is_refused_where_it_is_faulty(
    faults: Callable[..., list[str]], case: str, lines: list[str]
) -> None:
    assert faults(case) == lines


@pytest.mark.parametrize("state", ["{}", "{temperature_degc: 5}"])
def test_a_state_without_what_its_kind_needs_is_refused(
    faults: Callable[..., list[str]], state: str
) -> None:
    """Left in, it would stand still and nobody would be told."""
    assert faults(CASE.replace("battery: {soc: 0}", f"battery: {state}")) == [
        "case.yaml:5:3: states.battery: no soc is given, and without it nothing can be planned for it"
    ]


def test_steps_that_do_not_fill_the_intervals_of_a_demand_charge_are_refused(
    faults: Callable[..., list[str]],
) -> None:
    ten_minutes = rows(*(f"2025-12-03T00:{k}0:00Z,-100,50" for k in range(3)))

    (told,) = faults(CASE.replace("strategies: none\n", "spot: price.buy\n"), series=ten_minutes)

    assert told.startswith("case.yaml:2:1: series: demand charge of gate: steps of 0:10:00")


INLINE = [
    (
        "a column that ends before the others",
        "{'power.base [kW]': [-100, -100], 'price.buy [EUR/MWh]': [50]}",
        [
            (
                "case.yaml:2:100: series.columns.price.buy [EUR/MWh]: 1 values, another column has 2:"
                " none from 2025-12-03T01:00:00Z on"
            )
        ],
    ),
    (
        "a value that is missing",
        "{'power.base [kW]': [-100, null], 'price.buy [EUR/MWh]': [50, 300]}",
        [
            (
                "case.yaml:2:93: series.columns.power.base [kW].1: input should be a valid number, not"
                " null"
            )
        ],
    ),
    (
        "the same series twice",
        "{'power.base [kW]': [-100, -100], 'power.base [MW]': [-1, -1], 'price.buy [EUR/MWh]': [5, 3]}",
        ["case.yaml:2:100: series.columns.power.base [MW]: power.base stands twice"],
    ),
    (
        "a single step",
        "{'power.base [kW]': [-100], 'price.buy [EUR/MWh]': [50]}",
        ["case.yaml:2:57: series.columns: 1 steps; a plan needs at least two"],
    ),
]


@pytest.mark.parametrize(
    ("columns", "lines"), [pytest.param(columns, lines, id=name) for name, columns, lines in INLINE]
)
def test_faulty_series_inside_a_case_are_refused(
    faults: Callable[..., list[str]], columns: str, lines: list[str]
) -> None:
    inline = f"series: {{start: 2025-12-03T00:00:00Z, step_minutes: 60, columns: {columns}}}"

    assert faults(CASE.replace("series: day.csv", inline)) == lines


def test_faults_of_series_terms_and_states_are_told_at_once(
    faults: Callable[..., list[str]],
) -> None:
    case = CASE.replace("at: gate", "at: door").replace("  battery:", "  batery:")

    told = faults(case, series=SERIES.replace("[EUR/MWh]", "[SEK/MWh]"))

    assert [line.split(":")[0] for line in told] == ["case.yaml", "case.yaml"]
    assert "SEK" not in told[0]


@pytest.mark.parametrize("text", ["", "- a\n", "words\n"])
def test_what_is_no_case_is_refused(faults: Callable[..., list[str]], text: str) -> None:
    assert faults(text) == ["case.yaml:1:1: is no mapping of keys to values"]
