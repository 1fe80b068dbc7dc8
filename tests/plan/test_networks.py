"""Heat that cascades, pipes that lose and delay, nodes that spill and lack: each sum by hand.

boiler ──▶ steam 180 °C ──pipe, loses 10 %──▶ warm 70 °C ──▶ hall
waste ───▶     │                                 ▲
               ▼                             heat pump, COP 3
              mill
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from vpp.plan.view import PlanningView


def cascade(lab: Any, *, price: float, mill_kw: float, hall_kw: float, **node: Any) -> PlanningView:
    """50 kW of waste heat for nothing, 200 kW of a boiler at 0.05 a kWh, electricity at `price`."""
    view: PlanningView = lab.view(
        lab.pv("waste", node_id="steam"),
        lab.pv(
            "boiler", node_id="steam", weather_driven=False, max_feed_kw=200.0, cost_per_kwh=0.05
        ),
        lab.load("mill", node_id="steam"),
        lab.converter("pump", [None, "warm"], [-30, 90]),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("pump")],
        price=[price],
        available_kw={"waste": [50.0]},
        base_kw={"mill": [-mill_kw], "hall": [-hall_kw]},
        nodes=[lab.node("steam", "steam", supply_degc=180.0, **node), lab.node("warm")],
        pipes=[lab.pipe("letdown", "steam", "warm", max_kw=100.0, loss_share=0.1)],
    )
    return view


def planned(lab: Any, view: PlanningView) -> Any:
    return lab.plan(view)


@pytest.mark.parametrize(
    ("price", "mill_kw", "hall_kw", "boiler_kw", "enters_kw", "pump_kw", "warm_per_kwh"),
    [
        pytest.param(
            0.12, 80, 60, 30, 0, 20, 0.04,
            id="the pump makes heat at 0.12 / 3, the pipe brings it at 0.05 / 0.9",
        ),
        pytest.param(
            0.18, 80, 60, 30 + 60 / 0.9, 60 / 0.9, 0, 0.05 / 0.9,
            id="at 0.18 the boiler's heat is cheaper, in spite of the pipe",
        ),
        pytest.param(
            0.12, 20, 60, 0, 30, 11, 0.04,
            id="waste heat of no other use arrives first: 27 of 30 kW",
        ),
        pytest.param(
            0.18, 80, 120, 30 + 100, 100, 10, 0.06,
            id="the pipe is full at 100 kW, the pump makes the rest",
        ),
    ],
)  # fmt: skip
def test_heat_cascades_by_what_it_costs_where_it_arrives(
    lab: Any,
    price: float,
    mill_kw: float,
    hall_kw: float,
    boiler_kw: float,
    enters_kw: float,
    pump_kw: float,
    warm_per_kwh: float,
) -> None:
    schedule = planned(lab, cascade(lab, price=price, mill_kw=mill_kw, hall_kw=hall_kw))

    assert lab.power(schedule, "boiler") == pytest.approx([boiler_kw], abs=1e-4)
    assert schedule.pipe_kw["letdown"] == pytest.approx([enters_kw], abs=1e-4)
    assert lab.power(schedule, "pump") == pytest.approx([-pump_kw], abs=1e-4)
    assert schedule.port_kw["pump"]["warm"] == pytest.approx([3 * pump_kw], abs=1e-4)
    assert schedule.node_value_per_kwh["warm"] == pytest.approx([warm_per_kwh], abs=1e-6)
    assert schedule.cost == pytest.approx(0.05 * boiler_kw + price * pump_kw)


def test_a_full_pipe_says_what_more_of_it_would_save(lab: Any) -> None:
    """A kW more lets 0.9 kW from the boiler (0.05) replace the pump's (0.06 a kWh of heat)."""
    schedule = planned(lab, cascade(lab, price=0.18, mill_kw=80, hall_kw=120))

    (full,) = [p for p in schedule.limit_prices if p.limit == "pipe letdown: max_kw"]
    assert full.per_unit == pytest.approx([0.05 - 0.9 * 0.06])


# ---------------------------------------------------------------- pipes


def test_what_enters_a_pipe_arrives_later_and_less(lab: Any) -> None:
    """Two hours of delay: 90 kW at 14:00 enter as 100 at noon; before that nothing can arrive."""
    view = lab.view(
        lab.pv("well", node_id="far"),
        lab.load("hall", node_id="near"),
        price=[0.1] * 4,
        available_kw={"well": [1000.0] * 4},
        base_kw={"hall": [0.0, 0.0, -90.0, -45.0]},
        nodes=[lab.node("far"), lab.node("near")],
        pipes=[
            lab.pipe(
                "main", "far", "near",
                loss_share=0.1, delay=timedelta(hours=2), cost_per_kwh=0.02,
            )
        ],
    )  # fmt: skip
    schedule = planned(lab, view)

    assert schedule.pipe_kw["main"] == pytest.approx([100, 50, 0, 0], abs=1e-6)
    assert lab.power(schedule, "well").tolist() == [100, 50, 0, 0]
    assert schedule.cost_by_cause["pumping"] == pytest.approx(3.0)


def test_heat_that_cannot_arrive_in_time_lacks_where_it_is_wanted(lab: Any) -> None:
    view = lab.view(
        lab.pv("well", node_id="far"),
        lab.load("hall", node_id="near"),
        price=[0.1] * 2,
        available_kw={"well": [1000.0] * 2},
        base_kw={"hall": [-10.0, -10.0]},
        nodes=[lab.node("far"), lab.node("near")],
        pipes=[lab.pipe("main", "far", "near", delay=timedelta(hours=1))],
    )
    schedule = planned(lab, view)

    assert schedule.lacking_kw["near"] == pytest.approx([10, 0], abs=1e-6)
    assert schedule.lacking_kw["far"] == pytest.approx([0, 0], abs=1e-6)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(10 * lab.excess_per_kwh)


def test_a_pipe_longer_than_the_horizon_brings_nothing(lab: Any) -> None:
    view = lab.view(
        lab.pv("well", node_id="far"),
        lab.load("hall", node_id="near"),
        price=[0.1],
        available_kw={"well": [1000.0]},
        base_kw={"hall": [-10.0]},
        nodes=[lab.node("far"), lab.node("near")],
        pipes=[lab.pipe("main", "far", "near", delay=timedelta(hours=9))],
    )

    assert planned(lab, view).lacking_kw["near"] == pytest.approx([10], abs=1e-6)


# ---------------------------------------------------------------- nodes


def test_heat_that_must_come_is_thrown_away_where_that_may_be_at_its_cost(lab: Any) -> None:
    view = lab.view(
        lab.pv("engine", node_id="warm", must_run_share=1.0),
        lab.load("hall", node_id="warm"),
        price=[0.1],
        available_kw={"engine": [50.0]},
        base_kw={"hall": [-20.0]},
        nodes=[lab.node("warm", spill_cost_per_kwh=0.01)],
    )
    schedule = planned(lab, view)

    assert schedule.spilled_kw["warm"] == pytest.approx([30])
    assert schedule.cost_by_cause["spill"] == pytest.approx(0.3)
    assert schedule.node_value_per_kwh["warm"] == pytest.approx([-0.01])


def test_where_nothing_may_be_thrown_away_the_source_feeds_less(lab: Any) -> None:
    schedule = planned(lab, cascade(lab, price=0.1, mill_kw=30, hall_kw=0))

    assert max(row.max() for row in schedule.spilled_kw.values()) == pytest.approx(0)
    assert lab.power(schedule, "waste").tolist() == [30]


def test_what_must_be_fed_and_nobody_takes_is_told_like_a_limit_that_is_broken(lab: Any) -> None:
    view = lab.view(
        lab.pv("engine", node_id="warm", must_run_share=1.0),
        lab.load("hall", node_id="warm"),
        price=[0.1],
        available_kw={"engine": [50.0]},
        base_kw={"hall": [-20.0]},
        nodes=[lab.node("warm")],
    )
    schedule = planned(lab, view)

    (broken,) = schedule.broken
    assert broken.limit == "node warm: what is fed"
    assert broken.most == pytest.approx(30)
    assert schedule.spilled_kw["warm"] == pytest.approx([30])
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(30 * lab.excess_per_kwh)


def test_an_hour_counts_by_its_length(lab: Any) -> None:
    """Quarters: 10 kW lacking for a quarter of an hour are 2.5 kWh."""
    view = lab.view(
        lab.load("hall", node_id="warm"),
        price=[0.1],
        step=timedelta(minutes=15),
        base_kw={"hall": [-10.0]},
        nodes=[lab.node("warm")],
    )

    schedule = planned(lab, view)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(2.5 * lab.excess_per_kwh)
    assert schedule.node_value_per_kwh["warm"] == pytest.approx([lab.excess_per_kwh])


def test_a_tank_bridges_the_hours_in_which_heat_is_dear(lab: Any) -> None:
    """20 kWh an hour; the pump (COP 4) makes 80 in the first hour, at 0.02 against 0.4."""
    view = lab.view(
        lab.converter("pump", [None, "warm"], [-20, 80]),
        lab.battery("tank", node_id="warm"),
        lab.load("hall", node_id="warm"),
        readings=[lab.reading("pump"), lab.reading("tank", soc=0.0)],
        price=[0.02, 0.4, 0.4, 0.4],
        base_kw={"hall": [-20.0] * 4},
        nodes=[lab.node("warm")],
    )
    schedule = planned(lab, view)

    assert lab.power(schedule, "pump").tolist() == [-20, 0, 0, 0]
    assert lab.power(schedule, "tank").tolist() == [-60, 20, 20, 20]
    assert schedule.cost == pytest.approx(0.4)
