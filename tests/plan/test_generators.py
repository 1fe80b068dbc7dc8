"""Sources by hand: an engine of 100 kW beside the market, steps of an hour unless said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from vpp.model.measurement import RunPhase
from vpp.model.network import Carrier
from vpp.model.resource import OnOffRules
from vpp.plan.compile import build

HOUR = timedelta(hours=1)


# ---------------------------------------------------------------- what it has, costs, must


@pytest.mark.parametrize(
    ("said", "price", "feed_kw", "cost_by_cause"),
    [
        pytest.param({}, [0.1, -0.1], [100, 0], {}, id="free, it feeds where feeding earns"),
        pytest.param(
            {"cost_per_kwh": 0.2}, [0.1, 0.3], [0, 100], {"fuel": 20}, id="fuel for 0.20 a kWh"
        ),
        pytest.param(
            {"cost_per_kwh": -0.2},
            [-0.1, -0.3],
            [100, 0],
            {"fuel": -20},
            id="paid 0.20 for taking, it feeds for -0.10",
        ),
        pytest.param(
            {"curtailment_cost_per_kwh": 0.2},
            [-0.1, -0.3],
            [100, 0],
            {"curtailment": 20},
            id="a kWh not fed costs 0.20",
        ),
        pytest.param(
            {"must_run_share": 0.4, "cost_per_kwh": 0.2},
            [0.1, 0.3],
            [40, 100],
            {"fuel": 28},
            id="40 of 100 kW run always",
        ),
    ],
)
def test_a_source_feeds_where_that_is_worth_what_it_costs(
    lab: Any,
    said: dict[str, float],
    price: Sequence[float],
    feed_kw: Sequence[float],
    cost_by_cause: dict[str, float],
) -> None:
    view = lab.view(lab.source(**said), price=price)

    schedule = lab.plan(view)

    assert lab.power(schedule, "engine").tolist() == feed_kw
    for cause, cost in cost_by_cause.items():
        assert schedule.cost_by_cause[cause] == pytest.approx(cost)
    earned = sum(kw * p for kw, p in zip(feed_kw, price, strict=True))
    assert schedule.cost == pytest.approx(sum(cost_by_cause.values()) - earned)
    assert schedule.on == {}


def test_what_the_weather_gives_is_shared_between_feeding_and_curtailing(lab: Any) -> None:
    """Of 60 kW sun a quarter must be fed; the rest costs 0.05 a kWh when it is not. Half hours."""
    view = lab.view(
        lab.source("pv", weather_driven=True, must_run_share=0.25, curtailment_cost_per_kwh=0.05),
        price=[-0.1, -0.01],
        available_kw={"pv": [60, 60]},
        step=HOUR / 2,
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "pv").tolist() == [15, 60]
    assert schedule.cost_by_cause["curtailment"] == pytest.approx(45 * 0.05 / 2)


@pytest.mark.parametrize(
    ("name", "carrier", "said", "cost"),
    [
        pytest.param("waste-heat", Carrier.HEAT, {"must_run_share": 0.3}, 0, id="waste heat"),
        pytest.param("well", Carrier.HEAT, {"cost_per_kwh": 0.01}, 0.9, id="geothermal"),
        pytest.param(
            "chips",
            Carrier.HEAT,
            {"cost_per_kwh": 0.03, "on_off": {"min_power_kw": 30.0, "start_cost": 1.0}},
            2.7 + 1,
            id="biomass",
        ),
        pytest.param(
            "collector", Carrier.HEAT, {"weather_driven": True, "green": True}, 0, id="solar heat"
        ),
        pytest.param(
            "reactor",
            Carrier.STEAM,
            {"cost_per_kwh": 0.02, "must_run_share": 0.3},
            1.8,
            id="nuclear heat by contract",
        ),
        pytest.param("grid-gas", Carrier.GAS, {"cost_per_kwh": 0.05}, 4.5, id="gas that is bought"),
    ],
)
def test_sources_of_other_carriers_feed_their_node(
    lab: Any, name: str, carrier: Carrier, said: dict[str, Any], cost: float
) -> None:
    """A demand of 50 and then 40 kW; electricity has no part in it."""
    if "on_off" in said:
        said = said | {"on_off": lab.rules(**said["on_off"])}
    view = lab.view(
        lab.source(name, node_id="n", **said),
        lab.load(node_id="n"),
        price=[0.1, 0.1],
        base_kw={"load": [-50, -40]},
        available_kw={name: [100, 100]},
        nodes=[lab.node("n", carrier)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, name).tolist() == pytest.approx([50, 40])
    assert schedule.net_kw.tolist() == pytest.approx([0, 0])
    assert schedule.cost == pytest.approx(cost)


# ---------------------------------------------------------------- on or off


@pytest.mark.parametrize(
    ("rules", "said", "reading", "price", "feed_kw"),
    [
        pytest.param(
            {"min_power_kw": 60.0},
            {"must_run_share": 0.0},
            {},
            [-0.1, 0.1],
            [0, 100],
            id="off where feeding its least costs",
        ),
        pytest.param(
            {"min_power_kw": 60.0, "min_up": 2 * HOUR},
            {},
            {},
            [0.1, -0.1, -0.1],
            [100, 60, 0],
            id="up two hours at least: 10 earned, 6 lost",
        ),
        pytest.param(
            {"min_power_kw": 60.0, "min_up": 2 * HOUR},
            {},
            {},
            [0.05, -0.1, -0.1],
            [0, 0, 0],
            id="… 5 earned, 6 lost: not started",
        ),
        pytest.param(
            {"min_power_kw": 60.0, "min_up": 3 * HOUR},
            {},
            {"power_kw": 80.0, "phase": RunPhase.RUNNING, "since_h": 1},
            [-0.1, -0.1, -0.1],
            [60, 60, 0],
            id="running since an hour, it must run two more",
        ),
        pytest.param(
            {"min_down": 3 * HOUR},
            {},
            {"phase": RunPhase.DONE, "since_h": 1},
            [0.1, 0.1, 0.1],
            [0, 0, 100],
            id="resting since an hour, it must rest two more",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "min_down": 2 * HOUR},
            {},
            {},
            [0.3, -0.1, 0.1],
            [100, 50, 100],
            id="down two hours at least: it cannot stop for one",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "min_down": 2 * HOUR},
            {},
            {"power_kw": 50.0},
            [-0.15, 0.05, 0.1],
            [0, 0, 100],
            id="it runs now: stopped, it rests two hours",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "start_cost": 8.0},
            {},
            {"power_kw": 50.0},
            [-0.1, 0.1, -0.1, 0.1],
            [50, 100, 50, 100],
            id="running on for 5 is cheaper than a start for 8",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "start_cost": 3.0},
            {},
            {"power_kw": 50.0},
            [-0.1, 0.1, -0.1, 0.1],
            [0, 100, 0, 100],
            id="a start for 3 is cheaper",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "max_starts_per_day": 1},
            {},
            {},
            [0.1, -0.3, 0.2, -0.3],
            [0, 0, 100, 0],
            id="one start a day: the better hour",
        ),
        pytest.param(
            {"min_power_kw": 50.0, "max_starts_per_day": 2},
            {},
            {"calls_today": 1},
            [0.1, -0.3, 0.2, -0.3],
            [0, 0, 100, 0],
            id="one of two is used",
        ),
        pytest.param(
            {},
            {"max_hours_per_day": 2.0},
            {},
            [0.1, 0.3, 0.2, 0.1],
            [0, 100, 100, 0],
            id="two hours a day: the dearest",
        ),
        pytest.param(
            {},
            {"max_hours_per_day": 2.0},
            {"hours_on_today": 1.0},
            [0.1, 0.3, 0.2, 0.1],
            [0, 100, 0, 0],
            id="one of them is used",
        ),
        pytest.param(
            {"min_up": 3 * HOUR},
            {"max_hours_per_day": 2.0},
            {
                "power_kw": 100.0,
                "phase": RunPhase.RUNNING,
                "since_h": 1,
                "hours_on_today": 1.5,
            },
            [0.1, 0.1, 0.3],
            [100, 100, 0],
            id="what it must still run wins over its hours",
        ),
        pytest.param(
            {"min_power_kw": 60.0, "min_down": 3 * HOUR, "max_starts_per_day": 0},
            {"must_run_share": 0.5, "max_hours_per_day": 0.0},
            {"phase": RunPhase.DONE, "since_h": 1},
            [-0.1, 0.1],
            [60, 100],
            id="what must run wins over being off, whatever the rest says",
        ),
    ],
)
def test_a_machine_keeps_its_rules(
    lab: Any,
    rules: dict[str, Any],
    said: dict[str, Any],
    reading: dict[str, Any],
    price: Sequence[float],
    feed_kw: Sequence[float],
) -> None:
    if "since_h" in reading:
        reading = dict(reading)
        reading["phase_since"] = lab.noon - reading.pop("since_h") * HOUR
    view = lab.view(
        lab.source(on_off=lab.rules(**rules), **said),
        price=price,
        readings=[lab.reading("engine", **reading)],
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "engine").tolist() == feed_kw
    assert schedule.on["engine"].tolist() == [kw > 0 for kw in feed_kw]


def test_starts_are_paid_for(lab: Any) -> None:
    view = lab.view(
        lab.source(on_off=lab.rules(min_power_kw=50.0, start_cost=3.0)),
        price=[0.1, -0.1, 0.1],
    )

    schedule = lab.plan(view)

    assert schedule.cost_by_cause["starts"] == pytest.approx(6)
    assert schedule.cost == pytest.approx(6 - 20)


def test_each_local_day_has_its_own_hours(lab: Any) -> None:
    """Steps of six hours from noon: the second day begins with the third."""
    view = lab.view(
        lab.source(on_off=lab.rules(), max_hours_per_day=6.0),
        price=[0.1, 0.2, 0.3, 0.2],
        readings=[lab.reading("engine")],
        step=6 * HOUR,
    )

    assert lab.power(lab.plan(view), "engine").tolist() == [0, 100, 100, 0]


def test_what_must_run_with_less_than_its_least_power_feeds_what_it_has(lab: Any) -> None:
    view = lab.view(
        lab.source(
            "mill", weather_driven=True, must_run_share=0.1, on_off=lab.rules(min_power_kw=20.0)
        ),
        price=[-0.1, -0.1, -0.1],
        available_kw={"mill": [10, 50, 300]},
    )

    assert lab.power(lab.plan(view), "mill").tolist() == [10, 20, 30]


def test_a_weather_source_below_its_least_power_is_off(lab: Any) -> None:
    view = lab.view(
        lab.source("mill", weather_driven=True, on_off=lab.rules(min_power_kw=20.0)),
        price=[0.1, 0.1],
        available_kw={"mill": [19, 20]},
    )

    assert lab.power(lab.plan(view), "mill").tolist() == [0, 20]


@pytest.mark.parametrize(
    ("said", "binaries"),
    [
        pytest.param({}, 0, id="any little may be fed: nothing to decide"),
        pytest.param({"on_off": {}}, 3, id="on or off in each step"),
        pytest.param({"on_off": {}, "must_run_share": 0.1}, 0, id="always on: nothing to decide"),
        pytest.param({"ramp_kw_per_min": 0.1, "cost_per_kwh": -0.1}, 0, id="ramps decide nothing"),
    ],
)
def test_sources_are_decided_on_only_where_they_are_on_or_off(
    lab: Any, said: dict[str, Any], binaries: int
) -> None:
    if "on_off" in said:
        said = said | {"on_off": lab.rules(**said["on_off"])}
    view = lab.view(lab.source(**said), price=[-0.1, 0.1, -0.2])

    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=10.0)

    assert len(programme.integral) == binaries


# ---------------------------------------------------------------- ramps

RAMP = {"ramp_kw_per_min": 0.5}  # 30 kW from hour to hour


@pytest.mark.parametrize(
    ("said", "reading", "price", "feed_kw"),
    [
        pytest.param(
            {}, {"power_kw": 0.0}, [0.1, 0.1, 0.1, 0.1], [30, 60, 90, 100], id="up from rest"
        ),
        pytest.param({}, {"power_kw": 95.0}, [-0.1] * 4, [65, 35, 5, 0], id="and down"),
        pytest.param(
            {}, None, [0.3, -0.2, -0.2], [60, 30, 0], id="not heard: it may begin anywhere"
        ),
        pytest.param(
            {}, {"power_kw": 50.0}, [0.1, -0.3, 0.1], [30, 0, 30], id="ready before a bad hour"
        ),
        pytest.param(
            {"must_run_share": 0.2},
            {"power_kw": 80.0},
            [-0.1, -0.1, -0.1],
            [50, 20, 20],
            id="down to what must run",
        ),
        pytest.param(
            {"must_run_share": 0.5},
            {"power_kw": 0.0},
            [0.1, 0.1],
            [80, 100],
            id="found lower than it can be: as if it had run at its least",
        ),
        pytest.param(
            {"must_run_share": 0.5, "on_off": OnOffRules(), "ramp_kw_per_min": 1 / 6},
            {"power_kw": 20.0},
            [0.1, 0.1],
            [60, 70],
            id="so does a machine that is on or off, but must be on",
        ),
        pytest.param(
            {"must_run_share": 0.1, "on_off": OnOffRules(min_power_kw=40.0)},
            {"power_kw": 45.0},
            [0.1, 0.1],
            [75, 100],
            id="which has a least power",
        ),
        pytest.param(
            {"ramp_kw_per_min": 2.0}, {"power_kw": 0.0}, [0.1], [100], id="quicker than a step"
        ),
    ],
)
def test_a_source_changes_no_faster_than_it_can(
    lab: Any,
    said: dict[str, Any],
    reading: dict[str, float] | None,
    price: Sequence[float],
    feed_kw: Sequence[float],
) -> None:
    readings = [] if reading is None else [lab.reading("engine", **reading)]
    view = lab.view(lab.source(**(RAMP | said)), price=price, readings=readings)

    assert lab.power(lab.plan(view), "engine").tolist() == pytest.approx(feed_kw)


@pytest.mark.parametrize(
    ("power_kw", "price", "feed_kw"),
    [
        pytest.param(0.0, [0.1, 0.1, -0.1], [100, 100, 0], id="a start and a stop are free"),
        pytest.param(50.0, [0.1, 0.1, 0.1], [80, 100, 100], id="while it is on, it ramps"),
        pytest.param(
            100.0,
            [-0.01, 0.1, 0.1],
            [70, 100, 100],
            id="a start costs 20: it ramps down to 70 and up again",
        ),
    ],
)
def test_a_machine_that_starts_or_stops_is_free_of_its_ramp(
    lab: Any, power_kw: float, price: Sequence[float], feed_kw: Sequence[float]
) -> None:
    view = lab.view(
        lab.source(on_off=lab.rules(start_cost=5.0), **RAMP),
        price=price,
        readings=[lab.reading("engine", power_kw=power_kw)],
    )

    assert lab.power(lab.plan(view), "engine").tolist() == pytest.approx(feed_kw)


@pytest.mark.parametrize(
    ("limit", "said", "price", "per_unit"),
    [
        pytest.param("max_feed_kw", {}, [0.1], [-0.1], id="size"),
        pytest.param("must_run_share", {"must_run_share": 0.5}, [-0.1], [-0.1], id="must run"),
        pytest.param("max_feed_kw", {"on_off": {}}, [0.1], [-0.1], id="size of a machine"),
        pytest.param(
            "min_power_kw",
            {"on_off": {"min_power_kw": 20.0}, "must_run_share": 0.1},
            [-0.1],
            [-0.1],
            id="least power",
        ),
        pytest.param("ramp_kw_per_min", RAMP, [0.1, 0.1], [-0.2, -0.1], id="ramp"),
    ],
)
def test_every_limit_of_a_source_is_told_by_its_name_and_price(
    lab: Any, limit: str, said: dict[str, Any], price: Sequence[float], per_unit: Sequence[float]
) -> None:
    if "on_off" in said:
        said = said | {"on_off": lab.rules(**said["on_off"])}
    view = lab.view(lab.source(**said), price=price, readings=[lab.reading("engine")])

    prices = {p.limit: p.per_unit.tolist() for p in lab.plan(view).limit_prices}

    assert prices[f"engine: {limit}"] == pytest.approx(per_unit)


def test_a_shift_that_ends_stops_a_machine_whatever_its_ramp(lab: Any) -> None:
    """2 kW from hour to hour: found at 10 kW it ramps down through its window, and stops with it."""
    view = lab.view(
        lab.flexible("pump", lab.window("12:00", "14:00"), ramp_kw_per_min=2 / 60),
        price=[0.9, 0.9, 0.9, 0.9],
        readings=[lab.reading("pump", power_kw=-10.0)],
    )

    assert lab.power(lab.plan(view), "pump").tolist() == pytest.approx([-8, -6, 0, 0])
