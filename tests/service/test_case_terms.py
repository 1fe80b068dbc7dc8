"""Each kind of term, as a case writes it and as the planner gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.test_case import CASE, PARK, SERIES
from vpp.plan import terms as plan
from vpp.service.cases.case import run_case
from vpp.service.cases.casefile import Case, read_case
from vpp.service.park.config import ConfigErrors
from vpp.service.solving.inline import InlineExecutor

Made = Callable[[str], Case]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(term: str, *, park: str = PARK, case: str = CASE) -> Case:
        series = SERIES
        if "resource: cars" in term:
            park, case = WITH_CARS, case.replace("  battery: {soc: 0}\n", VAN)
            series = SERIES.replace("\n", ",0\n").replace(",0\n", ",arriving.cars [kW]\n", 1)
        (tmp_path / "park.yaml").write_text(park, encoding="utf-8")
        (tmp_path / "day.csv").write_text(series, encoding="utf-8")
        (tmp_path / "case.yaml").write_text(f"{case}  - {{{term}}}\n", encoding="utf-8")
        return read_case(tmp_path / "case.yaml")

    return make


TERMS: list[tuple[str, str, type[Any], dict[str, Any]]] = [
    (
        "what is sold already",
        "term: commitment, base_kw: -20, short_per_kwh: 0.5, long_per_kwh: price.buy",
        plan.Commitment,
        {"base_kw": [-20, -20], "short_per_kwh": [0.5, 0.5], "long_per_kwh": [0.05, 0.3]},
    ),
    (
        "a product that is open",
        "term: open_trade, product: da, sell_per_kwh: 0.01, buy_per_kwh: price.buy, max_kw: 500",
        plan.OpenTrade,
        {"product_id": "da", "max_kw": [500, 500]},
    ),
    (
        "a cap of the whole park",
        "term: cap, place: yard, import_kw: 90, excess_per_kwh: 2, reason: contract",
        plan.Cap,
        {"place": "yard", "import_kw": [90, 90], "export_kw": None, "reason": "contract"},
    ),
    (
        "a peak of one hour of the day, over two steps",
        (
            "term: peak_charge, at: gate, price_per_kw: 5, free_kw: 80, interval_minutes: 120,"
            ' elapsed_minutes: 60, elapsed_kw: 90, windows: [{start: "02:00", end: "03:00"}]'
        ),
        plan.PeakCharge,
        {
            "first_step": 0,
            "last_step": 2,
            "interval_steps": 2,
            "elapsed_steps": 1,
            "elapsed_kw": 90,
            "free_kw": 80,
            "counts": [False, True],
        },
    ),
    (
        "a target by the end of a step",
        (
            "term: energy_target, resource: battery, by: 2025-12-03T02:00:00+01:00, stored_kwh: 40,"
            " shortfall_per_kwh: 3, reason: outage"
        ),
        plan.EnergyTarget,
        {"resource_id": "battery", "step": 0, "stored_kwh": 40, "reason": "outage"},
    ),
    (
        "a floor that stays in a store",
        "term: stored_floor, least_kwh: {battery: 10}, shortfall_per_kwh_h: 2, reason: outage",
        plan.StoredFloor,
        {"least_kwh": {"battery": [10, 10]}, "shortfall_per_kwh_h": 2, "reason": "outage"},
    ),
    (
        "a car that is ready early",
        (
            "term: car_deadline, resource: cars, session_id: van, charged_kwh: 5, shortfall_per_kwh: 3,"
            " by: 2025-12-03T02:00:00+01:00"
        ),
        plan.CarDeadline,
        {"resource_id": "cars", "session_id": "van", "step": 1, "charged_kwh": 5},
    ),
    (
        "a reserve",
        (
            "term: reserve, product: fcr, up: true, resources: [battery], firm_kw: 10,"
            " shortfall_per_kw_h: 2, activation_minutes: 30, block_minutes: 120, elapsed_minutes: 60"
        ),
        plan.ReserveHeadroom,
        {
            "product_id": "fcr",
            "up": True,
            "resource_ids": frozenset({"battery"}),
            "firm_kw": [10, 10],
            "activation_hours": 0.5,
            "block_steps": 2,
            "elapsed_steps": 1,
        },
    ),
    (
        "a price on carbon, of the park file's grid",
        "term: carbon_price, price_per_kgco2: 0.1",
        plan.CarbonPrice,
        {"price_per_kgco2": 0.1, "grid_kgco2_per_kwh": [0.3, 0.3]},
    ),
    (
        "a share of green energy",
        "term: green_share, share: 0.5, shortfall_per_kwh: 1",
        plan.GreenShare,
        {"share": 0.5, "shortfall_per_kwh": 1},
    ),
    (
        "what was announced",
        "term: change_penalty, announced_kw: {battery: -10}, price_per_kwh: 0.02",
        plan.ChangePenalty,
        {"announced_kw": {"battery": [-10, -10]}, "price_per_kwh": 0.02},
    ),
    (
        "a quota of the park",
        "term: activity_price, activity: import, price_per_unit: 0.01, reason: energy quota",
        plan.ActivityPrice,
        {"activity": plan.Activity.IMPORT, "resource_id": None, "reason": "energy quota"},
    ),
    (
        "a burden that is shared",
        "term: equal_burden, borne_kwh: {base: 5}, price_per_share: 100",
        plan.EqualBurden,
        {"borne_kwh": {"base": 5}, "price_per_share": 100},
    ),
    (
        "what is left",
        "term: stored_energy_value, price_per_kwh: 0.06",
        plan.StoredEnergyValue,
        {"price_per_kwh": 0.06},
    ),
]


WITH_CARS = (
    PARK
    + """\
          - id: cars
            kind: ev_fleet
            charger_kw: 11
            max_draw_kw: 22
            charge_efficiency: 1
            unserved_cost_per_kwh: 1
"""
)
VAN = """\
  battery: {soc: 0}
  cars: {sessions: [{session_id: van, departs_at: 2025-12-03T03:00:00+01:00, wanted_kwh: 8}]}
"""


def plain(value: Any) -> Any:
    """Arrays as lists, so that they can be compared."""
    if isinstance(value, np.ndarray):
        return [round(number, 9) for number in value.tolist()]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


@pytest.mark.parametrize(
    ("term", "kind", "expected"),
    [pytest.param(term, kind, expected, id=name) for name, term, kind, expected in TERMS],
)
def test_a_term_of_a_case_reaches_the_planner(
    made: Made, term: str, kind: type[Any], expected: dict[str, Any]
) -> None:
    case = made(term)

    first, second = case.problem.terms

    assert isinstance(first, plan.EnergyPrice)
    assert type(second) is kind
    assert {name: plain(getattr(second, name)) for name in expected} == expected


def test_every_kind_of_term_can_be_written() -> None:
    assert {kind for _, _, kind, _ in TERMS} | {plan.EnergyPrice} == set(plan.Term.__args__)


@pytest.mark.parametrize(
    "term",
    [
        pytest.param(term, id=name)
        for name, term, kind, _ in TERMS
        if kind not in (plan.OpenTrade, plan.EqualBurden)
    ],
)
def test_a_plan_with_it_passes_its_check(made: Made, term: str) -> None:
    ran = asyncio.run(run_case(made(term), InlineExecutor()))

    assert ran.document().status == "optimal"


def test_a_price_at_all_points_stands_at_each(made: Made) -> None:
    case = made("term: energy_price, at: all, import_per_kwh: 0.1, export_per_kwh: 0.05")

    assert [getattr(term, "connection_point_id", None) for term in case.problem.terms] == [
        "gate", "gate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("term", "what"),
    [
        pytest.param(
            (
                "term: energy_target, resource: base, by: 2025-12-03T01:00:00Z, stored_kwh: 1,"
                " shortfall_per_kwh: 1, reason: r"
            ),
            "base is no storage",
            id="a target for a load",
        ),
        pytest.param(
            (
                "term: energy_target, resource: battery, by: 2025-12-03T00:00:00Z, stored_kwh: 1,"
                " shortfall_per_kwh: 1, reason: r"
            ),
            "nothing can be done before",
            id="a target before the beginning",
        ),
        pytest.param(
            "term: peak_charge, at: gate, price_per_kw: 5, interval_minutes: 90",
            "90 minutes are no whole number of steps of 60",
            id="an interval of one and a half steps",
        ),
        pytest.param(
            "term: cap, place: gate, import_kw: -5, excess_per_kwh: 1, reason: r",
            "-5: a size is never negative",
            id="a cap below 0",
        ),
        pytest.param(
            "term: cap, place: gate, import_kw: power.base, excess_per_kwh: 1, reason: r",
            "-100 kW at 2025-12-03T00:00:00Z: a size is never negative",
            id="a column of sizes below 0",
        ),
        pytest.param(
            "term: peak_charge, at: gate, price_per_kw: 5, elapsed_minutes: 60",
            "1 of 1 steps elapsed",
            id="an interval that is over",
        ),
    ],
)
def test_a_term_that_cannot_be_is_refused(made: Made, term: str, what: str) -> None:
    with pytest.raises(ConfigErrors, match=what):
        made(term)


# ---------------------------------------------------------------- other carriers

HEAT = (
    PARK.replace(
        "enterprises:\n",
        "nodes: [{id: warm, carrier: heat}]\nenterprises:\n",
    )
    + """\
          - {id: hall, kind: fixed_load, node: warm, max_draw_kw: 100}
          - {id: boiler, kind: generator, node: warm, weather_driven: no, max_feed_kw: 200, cost_per_kwh: 0.08}
          - id: pump
            kind: converter
            ports: [{}, {node: warm}]
            points_kw: [[-20, 60]]
"""
)


def test_a_heat_pump_runs_while_power_is_cheap_and_a_boiler_does_the_rest(
    tmp_path: Path,
) -> None:
    (tmp_path / "park.yaml").write_text(HEAT, encoding="utf-8")
    (tmp_path / "day.csv").write_text(SERIES, encoding="utf-8")
    case = CASE.replace("  battery: {soc: 0}\n", "  {}\n") + "constants: {power.hall: -90 kW}\n"
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")

    ran = asyncio.run(run_case(read_case(tmp_path / "case.yaml"), InlineExecutor()))

    # A kWh of the pump's heat costs 0.05 / 3, then 0.30 / 3 = 0.10: the boiler's 0.08 is between.
    schedule = ran.document().schedule
    assert schedule is not None
    by_name = {one.resource_id: one for one in schedule.resources}
    assert by_name["boiler"].power_kw == [30.0, 90.0]
    assert by_name["pump"].power_kw == [-20.0, 0.0]
    assert [(port.node, port.power_kw) for port in by_name["pump"].ports] == [("warm", [60.0, 0.0])]
    (node,) = schedule.nodes
    assert node.value_per_kwh == [0.08, 0.08]
    assert float(schedule.cost) == pytest.approx(120 * 0.05 + 100 * 0.3 + 120 * 0.08)
    why = ran.why("pump", "01:00").sentences
    assert "It feeds 60.0 kW at warm, worth 0.0800 EUR a kWh." in why


def test_cars_say_when_they_come_and_what_they_lend(tmp_path: Path) -> None:
    park = (
        PARK
        + """\
          - {id: cars, kind: ev_fleet, charger_kw: 11, max_draw_kw: 22, unserved_cost_per_kwh: 1}
"""
    )
    (tmp_path / "park.yaml").write_text(park, encoding="utf-8")
    (tmp_path / "day.csv").write_text(SERIES, encoding="utf-8")
    case = CASE.replace(
        "states:\n",
        "constants: {arriving.cars: 0 kW}\nstates:\n  cars: {sessions: [{session_id: a, wanted_kwh:"
        " 8, departs_at: 2025-12-03T03:00:00+01:00, arrives_at: 2025-12-03T01:30:00+01:00,"
        " lends_kwh: 2}]}\n",
    )
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")

    made = read_case(tmp_path / "case.yaml")

    reading = made.view.state.reading(made.view.park.resources[-1].resource_id)
    assert reading is not None
    (car,) = reading.sessions or ()
    assert car.arrives_at == datetime(2025, 12, 3, 0, 30, tzinfo=UTC)
    assert (car.departs_at.hour, car.lends_kwh) == (2, 2)
