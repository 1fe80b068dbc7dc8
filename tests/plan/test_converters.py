"""Machines between carriers, each by hand: what they draw, feed, cost, and may not do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.horizon import Profile
from vpp.model.ids import NodeId
from vpp.model.measurement import RunPhase
from vpp.model.resource import OnOffRules, Port
from vpp.plan.view import PlanningView


def planned(lab: Any, view: PlanningView, *terms: Any) -> Any:
    return lab.plan(view, lab.terms(view, *terms))


# ---------------------------------------------------------------- kinds of machines


@pytest.mark.parametrize(
    ("outdoor_degc", "drawn_kw"),
    [
        pytest.param(7, 10, id="at 7 °C a kWh makes 3"),
        pytest.param(-3, 12.5, id="at -3 °C it makes 3 · (1 - 0.2) = 2.4"),
        pytest.param(17, 30 / 3.6, id="at 17 °C it makes 3.6"),
    ],
)
def test_a_heat_pump_makes_more_heat_the_warmer_it_is(
    lab: Any, outdoor_degc: float, drawn_kw: float
) -> None:
    view = lab.view(
        lab.converter(
            "pump",
            [None, Port(node_id=NodeId("warm"), per_degc=0.02, reference_degc=7.0)],
            [-100, 300],
            outdoor_series_id="outdoor",
        ),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("pump")],
        price=[0.1],
        base_kw={"hall": [-30.0]},
        outdoor_degc=outdoor_degc,
        nodes=[lab.node("warm")],
    )

    assert lab.power(planned(lab, view), "pump") == pytest.approx([-drawn_kw], abs=1e-4)


def test_the_weather_of_each_step_counts(lab: Any) -> None:
    view = lab.view(
        lab.converter(
            "pump",
            [None, Port(node_id=NodeId("warm"), per_degc=0.05, reference_degc=0.0)],
            [-100, 200],
            outdoor_series_id="outdoor",
        ),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("pump")],
        price=[0.1, 0.1],
        base_kw={"hall": [-40.0, -40.0]},
        nodes=[lab.node("warm")],
    )
    mild_then_cold = Profile(view.horizon, np.array([0.0, -10.0]))
    view = replace(view, outdoor_degc={"outdoor": mild_then_cold})

    assert lab.power(planned(lab, view), "pump").tolist() == [-20, -40]


@pytest.mark.parametrize(
    ("price", "gas_kw", "electric_kw"),
    [
        pytest.param(0.04, 0, 100, id="electricity at 0.04 beats gas at 0.045 / 0.9"),
        pytest.param(0.06, 100 / 0.9, 0, id="at 0.06 it does not"),
        pytest.param(-0.02, 0, 100, id="below nothing it heats no more than is wanted"),
    ],
)
def test_an_electric_boiler_runs_where_it_is_cheaper_than_gas(
    lab: Any, price: float, gas_kw: float, electric_kw: float
) -> None:
    view = lab.view(
        lab.pv("gas", node_id="gas", weather_driven=False, cost_per_kwh=0.045),
        lab.converter("boiler", ["gas", "warm"], [-200, 180]),
        lab.converter("rods", [None, "warm"], [-150, 150]),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("boiler"), lab.reading("rods")],
        price=[price],
        base_kw={"hall": [-100.0]},
        nodes=[lab.node("gas", "gas"), lab.node("warm")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "gas") == pytest.approx([gas_kw], abs=1e-4)
    assert lab.power(schedule, "rods").tolist() == [-electric_kw]
    assert lab.power(schedule, "boiler").tolist() == [0]
    assert schedule.port_kw["boiler"] == {
        "gas": pytest.approx([-gas_kw], abs=1e-4),
        "warm": pytest.approx([0.9 * gas_kw], abs=1e-4),
    }


CHP = ([-100, 40, 50], [-250, 100, 120], [-250, 70, 160])
"""Gas in, electricity out, heat out: the corners of its region while it is on."""


@pytest.mark.parametrize(
    ("price", "heat_kw", "gas_kw", "power_kw"),
    [
        pytest.param(
            0.30, 140, 250, 85,
            id="dear power: full gas, halfway between the corners, as 140 kW of heat ask",
        ),
        pytest.param(0.30, 120, 250, 100, id="dear power, less heat: the corner of most power"),
        pytest.param(
            0.01, 105, 175, 55, id="cheap power: the least gas that makes 105 kW of heat"
        ),
    ],
)  # fmt: skip
def test_an_engine_runs_inside_its_region_of_power_and_heat(
    lab: Any, price: float, heat_kw: float, gas_kw: float, power_kw: float
) -> None:
    """Gas at 0.06. From (40, 50) to (70, 160) heat rises by 110 while gas rises by 150."""
    view = lab.view(
        lab.pv("gas", node_id="gas", weather_driven=False, cost_per_kwh=0.06),
        lab.converter("chp", ["gas", None, "warm"], *CHP, on_off=OnOffRules()),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("chp")],
        price=[price],
        base_kw={"hall": [-heat_kw]},
        nodes=[lab.node("gas", "gas"), lab.node("warm")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "chp") == pytest.approx([power_kw], abs=1e-4)
    assert schedule.port_kw["chp"]["gas"] == pytest.approx([-gas_kw], abs=1e-4)
    assert schedule.port_kw["chp"]["warm"] == pytest.approx([heat_kw], abs=1e-4)
    assert schedule.on["chp"].tolist() == [True]


@pytest.mark.parametrize(
    ("price", "drawn_kw"),
    [
        pytest.param(0.10, 0, id="cold from waste heat is free"),
        pytest.param(0.10, 10, id="what waste heat is too little for, the compressor makes"),
    ],
)
def test_waste_heat_cools_before_electricity_does(lab: Any, price: float, drawn_kw: float) -> None:
    """100 kW of waste heat make 70 kW of cold; the electric chiller makes 4 kWh from one."""
    view = lab.view(
        lab.pv("waste", node_id="warm"),
        lab.converter("absorber", ["warm", "cold"], [-200, 140]),
        lab.converter("compressor", [None, "cold"], [-50, 200]),
        lab.load("hall", node_id="cold"),
        readings=[lab.reading("absorber"), lab.reading("compressor")],
        price=[price],
        available_kw={"waste": [100.0]},
        base_kw={"hall": [-(70.0 + 4 * drawn_kw)]},
        nodes=[lab.node("warm"), lab.node("cold", "cooling")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "compressor").tolist() == [-drawn_kw]
    assert schedule.port_kw["absorber"]["cold"] == pytest.approx([70], abs=1e-4)


# ---------------------------------------------------------------- hydrogen


def hydrogen(lab: Any, *, price: list[float], offtake_kw: list[float], **said: Any) -> PlanningView:
    """An electrolyser (70 % at 20 kW, 65 % at 100 kW), a tank of 100 kWh, an offtake."""
    usual: dict[str, Any] = {"on_off": OnOffRules(start_cost=1.0), "standby_kw": 2.0}
    reading = {"power_kw": -2.0} | said.pop("reading", {})
    view: PlanningView = lab.view(
        lab.converter("stack", [None, "h2"], [-20, 14], [-100, 65], **(usual | said)),
        lab.battery("tank", node_id="h2"),
        lab.load("truck", node_id="h2"),
        readings=[lab.reading("stack", **reading), lab.reading("tank", soc=0.0)],
        price=price,
        base_kw={"truck": [-kw for kw in offtake_kw]},
        nodes=[lab.node("h2", "hydrogen")],
    )
    return view


def test_an_electrolyser_fills_the_tank_while_power_is_cheap(lab: Any) -> None:
    """30 + 35 kWh at full load in the cheap hour (10.00 and a start); 2 kW ready in the other."""
    view = hydrogen(lab, price=[0.10, 0.50], offtake_kw=[30, 35])
    schedule = planned(lab, view)

    assert lab.power(schedule, "stack").tolist() == [-100, -2]
    assert schedule.stored_kwh["tank"] == pytest.approx([35, 0], abs=1e-6)
    assert schedule.on["stack"].tolist() == [True, False]
    assert schedule.cost_by_cause["starts"] == pytest.approx(1.0)
    assert schedule.cost == pytest.approx(100 * 0.10 + 2 * 0.50 + 1.0)


def test_part_load_is_more_efficient_and_least_load_binds(lab: Any) -> None:
    """14 kWh an hour take 20 kW each (70 %); 7 kWh an hour take the least load in one hour only."""
    small = planned(lab, hydrogen(lab, price=[0.1, 0.1], offtake_kw=[14, 14]))
    tiny = planned(lab, hydrogen(lab, price=[0.1, 0.1], offtake_kw=[7, 7]))

    assert lab.power(small, "stack").tolist() == [-20, -20]
    assert lab.power(tiny, "stack").tolist() == [-20, -2]


def test_a_fuel_cell_feeds_back_when_power_is_dear(lab: Any) -> None:
    """A kWh of hydrogen makes half a kWh of power; the tank has 50."""
    view = lab.view(
        lab.converter("cell", ["h2", None], [-40, 20]),
        lab.battery("tank", node_id="h2"),
        readings=[lab.reading("cell"), lab.reading("tank", soc=0.5)],
        price=[0.1, 0.5, 0.3],
        nodes=[lab.node("h2", "hydrogen")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "cell").tolist() == [0, 20, 5]
    assert schedule.port_kw["cell"]["h2"] == pytest.approx([0, -40, -10], abs=1e-6)


# ---------------------------------------------------------------- on and off


@pytest.mark.parametrize(
    ("running_cost_per_h", "boiler_kw"),
    [
        pytest.param(1.0, 0, id="the pump's hour costs 4: 3 of power and 1 beside"),
        pytest.param(3.0, 100, id="at 3 an hour the boiler's 5 are less"),
    ],
)
def test_an_hour_on_costs_beside_the_energy(
    lab: Any, running_cost_per_h: float, boiler_kw: float
) -> None:
    view = lab.view(
        lab.converter(
            "pump",
            [None, "warm"],
            [-30, 100],
            running_cost_per_h=running_cost_per_h,
            on_off=OnOffRules(),
        ),
        lab.pv("boiler", node_id="warm", weather_driven=False, cost_per_kwh=0.05),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("pump")],
        price=[0.1],
        base_kw={"hall": [-100.0]},
        nodes=[lab.node("warm")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "boiler").tolist() == [boiler_kw]
    expected = 0.0 if boiler_kw else running_cost_per_h
    assert schedule.cost_by_cause["running"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "reading", "on"),
    [
        pytest.param(
            {}, {}, [True, False, True], id="a start costs 1, two hours of least load more"
        ),
        pytest.param(
            {"on_off": OnOffRules(min_up=timedelta(hours=2))},
            {},
            [True, True, True],
            id="once on it stays two hours",
        ),
        pytest.param(
            {"on_off": OnOffRules(start_cost=9.0)},
            {"phase": RunPhase.RUNNING, "power_kw": -20.0},
            [True, True, True],
            id="running already, a dear start is spared by running through",
        ),
    ],
)
def test_a_machine_starts_only_as_its_rules_let_it(
    lab: Any, said: dict[str, Any], reading: dict[str, Any], on: list[bool]
) -> None:
    view = hydrogen(lab, price=[0.1, 0.3, 0.1], offtake_kw=[14, 0, 65], reading=reading, **said)

    assert planned(lab, view).on["stack"].tolist() == on


def test_what_stands_ready_at_another_carrier_draws_there(lab: Any) -> None:
    """A boiler's pilot flame: 3 kW of gas while it is off."""
    view = lab.view(
        lab.pv("gas", node_id="gas", weather_driven=False, cost_per_kwh=0.05),
        lab.converter("boiler", ["gas", "warm"], [-100, 90], standby_kw=3.0, on_off=OnOffRules()),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("boiler")],
        price=[0.1, 0.1],
        base_kw={"hall": [0.0, -90.0]},
        nodes=[lab.node("gas", "gas"), lab.node("warm")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "gas").tolist() == [3, 100]
    assert schedule.port_kw["boiler"]["gas"] == pytest.approx([-3, -100], abs=1e-6)


def test_a_machine_that_is_not_heard_stands_still_ready(lab: Any) -> None:
    known = hydrogen(lab, price=[-0.1], offtake_kw=[0])
    view = lab.view(
        *known.park.resources,
        readings=[lab.reading("tank", soc=0.0)],
        price=[-0.1],
        nodes=known.park.nodes,
    )

    assert lab.power(planned(lab, known), "stack").tolist() == [-100]
    assert lab.power(planned(lab, view), "stack").tolist() == [-2]


def test_rods_that_are_not_heard_heat_nothing(lab: Any) -> None:
    view = lab.view(
        lab.converter("rods", [None, "warm"], [-100, 100]),
        price=[-0.1],
        nodes=[lab.node("warm", spill_cost_per_kwh=0.0)],
    )

    assert lab.power(planned(lab, view), "rods").tolist() == [0]


# ---------------------------------------------------------------- ramps


def boiler(lab: Any, *, heat_kw: list[float], reading_kw: float, **said: Any) -> PlanningView:
    """Rods of 100 kW that change by 2 kW a minute, 30 kW in a quarter; the rest is dear."""
    view: PlanningView = lab.view(
        lab.converter("rods", [None, "warm"], *said.pop("points", ([-100, 100],)),
                      ramp_kw_per_min=2.0, **said),
        lab.pv("oil", node_id="warm", weather_driven=False, cost_per_kwh=1.0),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("rods", power_kw=reading_kw)],
        price=[0.1] * len(heat_kw),
        base_kw={"hall": [-kw for kw in heat_kw]},
        step=timedelta(minutes=15),
        nodes=[lab.node("warm", spill_cost_per_kwh=0.0)],
    )  # fmt: skip
    return view


def test_power_moves_no_faster_than_the_ramp(lab: Any) -> None:
    """From 10 kW: 40, 70, 100 at most; and no lower than 70 after that."""
    view = boiler(lab, heat_kw=[100, 100, 100, 0], reading_kw=-10.0)
    schedule = planned(lab, view)

    assert lab.power(schedule, "rods").tolist() == [-40, -70, -100, -70]
    assert schedule.spilled_kw["warm"][3] == pytest.approx(70)


def test_a_start_is_free_of_the_ramp_and_what_follows_is_not(lab: Any) -> None:
    """It starts at 70, more than is wanted, so that 100 is in reach; stopping is free too."""
    view = boiler(
        lab,
        heat_kw=[60, 100, 0, 0],
        reading_kw=0.0,
        points=([-50, 50], [-100, 100]),
        on_off=OnOffRules(),
    )
    schedule = planned(lab, view)

    assert schedule.on["rods"].tolist() == [True, True, False, False]
    assert lab.power(schedule, "rods").tolist() == [-70, -100, 0, 0]


@pytest.mark.parametrize(
    ("found_kw", "drawn_kw"),
    [
        pytest.param(-5.0, [-50, -80, -100], id="at 5 it is still starting: free, then 30 more"),
        pytest.param(-60.0, [-60, -90, -100], id="at 60 it has started: 30 more at most"),
    ],
)
def test_a_machine_that_has_just_started_reaches_its_least_power(
    lab: Any, found_kw: float, drawn_kw: list[float]
) -> None:
    """It must stay on, so that no ramp may keep it below 50 kW."""
    view = lab.view(
        lab.converter(
            "rods", [None, "warm"], [-50, 50], [-100, 100], ramp_kw_per_min=2.0,
            on_off=OnOffRules(min_up=timedelta(hours=1)),
        ),
        lab.source("oil", node_id="warm", cost_per_kwh=1.0),
        lab.load("hall", node_id="warm"),
        readings=[
            lab.reading(
                "rods",
                power_kw=found_kw,
                phase=RunPhase.RUNNING,
                phase_since=lab.noon - timedelta(minutes=1),
            )
        ],
        price=[0.1] * 3,
        base_kw={"hall": [drawn_kw[0], drawn_kw[1], -100.0]},
        step=timedelta(minutes=15),
        nodes=[lab.node("warm")],
    )  # fmt: skip

    assert lab.power(planned(lab, view), "rods").tolist() == drawn_kw


def test_a_machine_without_electricity_ramps_at_its_first_port(lab: Any) -> None:
    view = lab.view(
        lab.pv("gas", node_id="gas", weather_driven=False),
        lab.converter("boiler", ["gas", "warm"], [-100, 90], ramp_kw_per_min=2.0),
        lab.pv("oil", node_id="warm", weather_driven=False, cost_per_kwh=1.0),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("boiler", power_kw=0.0)],
        price=[0.1] * 3,
        base_kw={"hall": [-90.0] * 3},
        step=timedelta(minutes=15),
        nodes=[lab.node("gas", "gas"), lab.node("warm")],
    )

    assert lab.power(planned(lab, view), "gas").tolist() == [30, 60, 90]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("said", "points", "words"),
    [
        pytest.param(
            {}, ([-50, 20], [-100, 50]), r"\[-50, 20\] is beaten",
            id="half of the large point beats the small one",
        ),
        pytest.param(
            {"on_off": OnOffRules()}, ([-50, 20], [-75, 30], [-100, 50]), r"\[-75, 30\] is beaten",
            id="a dent in the curve",
        ),
        pytest.param(
            {"node_id": NodeId("warm")}, ([-50, 20],), "node_id is warm",
            id="a node of the whole machine",
        ),
    ],
)  # fmt: skip
def test_a_machine_that_the_plan_would_flatter_is_refused(
    lab: Any, said: dict[str, Any], points: tuple[list[float], ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        lab.converter("stack", [None, "h2"], *points, **said)


@pytest.mark.parametrize(
    ("said", "points"),
    [
        pytest.param({}, ([-20, 14], [-100, 65]), id="efficiency that falls with load"),
        pytest.param(
            {"on_off": OnOffRules()}, ([-50, 20], [-100, 50]), id="with on_off a straight line"
        ),
        pytest.param({}, ([-50, 25], [-100, 50]), id="one efficiency at any load"),
    ],
)
def test_honest_points_are_taken(
    lab: Any, said: dict[str, Any], points: tuple[list[float], ...]
) -> None:
    assert lab.converter("stack", [None, "h2"], *points, **said).points_kw[0] == tuple(points[0])
