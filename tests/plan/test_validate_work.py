"""Each rule of the validator on its own: work in windows, machines, networks, cars.

A plan made for a freer park is refused by a stricter one (`stricter.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.plan.stricter import kept_apart, refused, stricter, told
from vpp.model.ids import NodeId
from vpp.model.resource import Port

HOUR = timedelta(hours=1)


# ---------------------------------------------------------------- flexible loads


def test_flexible_loads_that_could_not_follow_are_refused(lab: Any) -> None:
    """10 kWh at noon and 5 at 13:00, of a window until 14:00."""
    usual = lab.window("12:00", "14:00", 15)
    view, schedule = kept_apart(lab, lab.flexible("pump", usual), [0.1, 0.2, 0.3], {})
    key = "pump/2025-12-03T11:00:00Z"
    for change, word in (
        ({"windows": (lab.window("12:00", "13:00", 10),)}, "pump: draw in its windows: 5.0"),
        ({"windows": (lab.window("12:00", "14:00", 16),)}, f"{key}: least_units: does 15.0"),
        (
            {"windows": (lab.window("12:00", "14:00", most_units=14.0),)},
            f"{key}: most_units: does 15.0",
        ),
        ({"max_draw_kw": 9.0}, "pump: draw in its windows: 10.0"),
        ({"bands_kw": (10.0,)}, "pump: bands_kw: draws 5.0"),
        ({"ramp_kw_per_min": 4.0 / 60}, "pump: ramp_kw_per_min: -10.0"),
    ):
        refused(lab, schedule, stricter(view, "pump", change), word)
    refused(lab, schedule, told(view, "pump", None), "pump: default_draw_kw, not heard: 10")


def test_of_many_loads_that_are_looked_at_together_each_is_held_to_its_own_windows(
    lab: Any,
) -> None:
    """Five pumps of other windows and units; of one of them at a time the window wants one unit more."""
    pumps = [
        lab.flexible(f"pump-{n}", lab.window("12:00", f"{13 + n}:00", 2.0 + n), kwh_per_unit=1 + n)
        for n in range(5)
    ]
    readings = [lab.reading(pump.resource_id) for pump in pumps]
    view = lab.view(*pumps, price=[0.3, 0.2, 0.1, 0.2, 0.4], readings=readings)
    schedule = lab.plan(view)
    for n, pump in enumerate(pumps):
        more = lab.window("12:00", f"{13 + n}:00", 3.0 + n)
        word = f"{pump.resource_id}/2025-12-03T11:00:00Z: least_units: does {2 + n}.0"
        refused(lab, schedule, stricter(view, pump.resource_id, {"windows": (more,)}), word)


@pytest.mark.parametrize("lacks", [-1.0, float("nan")])
def test_less_than_nothing_cannot_lack(lab: Any, lacks: float) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "14:00", 15), unserved_cost_per_unit=0.0)
    view, schedule = kept_apart(lab, pump, [0.1, 0.2], {})
    key = "pump/2025-12-03T11:00:00Z"

    found = lab.violations(replace(schedule, undone_units={key: lacks}), view, lab.terms(view))

    assert found[0].startswith(f"{key}: "), found


def test_a_machine_that_is_on_outside_its_windows_is_refused(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "13:00", 5), on_off=lab.rules())
    view, schedule = kept_apart(lab, pump, [0.1, 0.2], {})

    on = replace(schedule, on={"pump": schedule.on[view.park.resources[0].resource_id] | True})

    refused(lab, on, view, "pump: is on in step 1, where it cannot be")


def test_a_window_that_the_load_does_not_have_is_refused(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "14:00", 15))
    view, schedule = kept_apart(lab, pump, [0.1, 0.2], {})

    refused(lab, replace(schedule, undone_units={"pump/noon": 0.0}), view, "pump: has no windows")


def test_work_done_before_the_plan_counts_once(lab: Any) -> None:
    view, schedule = kept_apart(
        lab,
        lab.flexible("pump", lab.window("11:00", "14:00", 15)),
        [0.1, 0.2],
        {"done_kwh": 10.0},
    )
    assert lab.power(schedule, "pump").tolist() == [-5, 0]

    refused(
        lab,
        schedule,
        told(view, "pump", {"done_kwh": 9.0}),
        "pump/2025-12-03T10:00:00Z: least_units: does 5.000000 kWh and lacks 0.000000, must do 6.0",
    )


def test_what_a_window_must_not_lack_costs_like_a_limit_that_is_broken(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "13:00", 15), unserved_cost_per_unit=0.0)
    view, schedule = kept_apart(lab, pump, [0.1], {})

    hard = stricter(view, "pump", {"unserved_cost_per_unit": None})

    refused(lab, schedule, hard, "limit excess: the bill is 150.000000")


def test_a_flexible_machine_below_its_least_power_is_refused(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "14:00", 15), on_off=lab.rules())
    view, schedule = kept_apart(lab, pump, [0.1, 0.2], {})

    change = {"on_off": lab.rules(min_power_kw=6.0)}

    refused(lab, schedule, stricter(view, "pump", change), "pump: draw in its windows: 5.0")


# ---------------------------------------------------------------- converters, nodes, pipes, groups


def heated(lab: Any, **more: Any) -> Any:
    """A heat pump (COP 3) at one end of a pipe, a hall's demand of 30 kW at the other."""
    view = lab.view(
        lab.converter("hp", [None, "source"], [-20, 60]),
        lab.load("hall", node_id="hall"),
        readings=[lab.reading("hp")],
        price=[0.1, 0.1],
        base_kw={"hall": [-30.0, -30.0]},
        nodes=[lab.node("source"), lab.node("hall")],
        pipes=[lab.pipe("main", "source", "hall")],
        **more,
    )
    return view, lab.plan(view)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"points_kw": ((-10.0, 30.0),)}, None, id="as large as it must be"),
        pytest.param({"points_kw": ((-20.0, 50.0),)}, "hp: points_kw: [-10.  30.] kW", id="worse"),
        pytest.param({"points_kw": ((-5.0, 15.0),)}, "hp: points_kw: [-10.  30.] kW", id="smaller"),
        pytest.param(
            {"ramp_kw_per_min": 5.0 / 60}, "hp: ramp_kw_per_min: -10.0", id="starts too quickly"
        ),
    ],
)
def test_flows_that_no_mixture_of_points_gives_are_refused(
    lab: Any, change: dict[str, Any], word: str | None
) -> None:
    """10 kW drawn, 30 kW fed: half of its point."""
    view, schedule = heated(lab)
    other = stricter(view, "hp", change)

    if word is None:
        assert lab.violations(schedule, other, lab.terms(view)) == ()
    else:
        refused(lab, schedule, other, word)


def test_a_machine_that_is_off_draws_what_standing_ready_takes(lab: Any) -> None:
    boiler = lab.converter("boiler", [None, "heat"], [-30, 30], on_off=lab.rules(), standby_kw=2.0)
    view = lab.view(
        boiler,
        lab.load("hall", node_id="heat"),
        readings=[lab.reading("boiler")],
        price=[0.1, 0.1],
        base_kw={"hall": [-30.0, 0.0]},
        nodes=[lab.node("heat")],
    )
    schedule = lab.plan(view)

    refused(lab, schedule, stricter(view, "boiler", {"standby_kw": 3.0}), "boiler: points_kw: [-2.")


def test_a_machine_that_follows_the_weather_is_held_to_it(lab: Any) -> None:
    """2 % less a degree below 7 °C: at -3 °C 60 kW are 48."""
    source = Port(node_id=NodeId("source"), per_degc=0.02)
    view = lab.view(
        lab.converter("hp", [None, source], [-20, 60], outdoor_series_id="outdoor"),
        lab.load("hall", node_id="source"),
        readings=[lab.reading("hp")],
        price=[0.1],
        base_kw={"hall": [-48.0]},
        nodes=[lab.node("source")],
        outdoor_degc=-3.0,
    )
    schedule = lab.plan(view)
    assert lab.power(schedule, "hp").tolist() == [-20]

    milder = {
        name: replace(profile, values=profile.values + 5.0)
        for name, profile in view.outdoor_degc.items()
    }

    refused(lab, schedule, replace(view, outdoor_degc=milder), "hp: points_kw: [-20.  48.]")


def test_a_machine_that_is_not_heard_stands_still(lab: Any) -> None:
    view, schedule = heated(lab)

    found = lab.violations(schedule, told(view, "hp", None), lab.terms(view))

    assert [text.split(":")[1] for text in found] == [
        " not heard, at the grid",
        " not heard, at source",
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"max_kw": 29.0}, "pipe main: max_kw: 30.0", id="too narrow"),
        pytest.param({"loss_share": 0.1}, "node hall: balance: -3.0", id="loses"),
        pytest.param({"delay": HOUR}, "node hall: balance: -30.0", id="arrives later"),
    ],
)
def test_a_pipe_that_cannot_carry_so_much_is_refused(
    lab: Any, change: dict[str, Any], word: str
) -> None:
    view, schedule = heated(lab)
    pipe = replace(view.park.pipes[0], **change)

    refused(lab, schedule, replace(view, park=replace(view.park, pipes=(pipe,))), word)


def test_heat_thrown_away_where_nothing_can_be_costs_like_a_limit_that_is_broken(lab: Any) -> None:
    """Waste heat that must run, and nobody who wants it."""
    node = lab.node("heat", spill_cost_per_kwh=0.0)
    view = lab.view(
        lab.source("waste", node_id="heat", must_run_share=1.0), price=[0.1], nodes=[node]
    )
    schedule = lab.plan(view)
    tight = replace(view.park, nodes=(replace(node, spill_cost_per_kwh=None),))

    refused(lab, schedule, replace(view, park=tight), "limit excess: the bill is 1000.0")


@pytest.mark.parametrize(
    ("flows", "word"),
    [
        pytest.param("spilled_kw", "node heat: balance: -1.0", id="spilled"),
        pytest.param("lacking_kw", "node heat: balance: 1.0", id="lacking"),
    ],
)
def test_a_node_that_is_not_balanced_is_refused(lab: Any, flows: str, word: str) -> None:
    node = lab.node("heat", spill_cost_per_kwh=0.0)
    view = lab.view(
        lab.source("well", node_id="heat"),
        lab.load("hall", node_id="heat"),
        price=[0.1],
        base_kw={"hall": [-30.0]},
        nodes=[node],
    )
    schedule = lab.plan(view)
    profiles = getattr(schedule, flows)
    other = replace(schedule, **{flows: {"heat": profiles["heat"] + 1.0}})

    found = lab.violations(other, view, lab.terms(view))

    assert any(text.startswith(word) for text in found), found


# ---------------------------------------------------------------- cars


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"charger_kw": 9.0}, "cars/a: charger_kw, max_car_feed_kw: -10", id="charger"),
        pytest.param(
            {"max_car_feed_kw": 9.0}, "cars/a: charger_kw, max_car_feed_kw: 10", id="feed"
        ),
        pytest.param({"max_draw_kw": 9.0}, "cars: max_draw_kw: 10", id="the whole car park"),
        pytest.param({"discharge_efficiency": 0.5}, "cars/a: ", id="loses on the way out"),
        pytest.param(
            {"charge_efficiency": 0.5}, "cars/a: is served -5.0", id="loses on the way in"
        ),
        pytest.param({"wear_cost_per_kwh": 0.1}, "wear: the bill is 1.0", id="wears"),
    ],
)
def test_cars_that_could_not_follow_are_refused(
    lab: Any, change: dict[str, Any], word: str
) -> None:
    """A car feeds 10 kWh in the dear hour, and has them back in the cheap one."""
    view, schedule = kept_apart(
        lab,
        lab.cars(max_car_feed_kw=10.0),
        [0.9, 0.1],
        {"sessions": (replace(lab.session("a", wanted_kwh=0, stays_h=2), lends_kwh=10.0),)},
    )
    assert lab.power(schedule, "cars").tolist() == [10, -10]

    refused(lab, schedule, stricter(view, "cars", change), word)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"lends_kwh": 9.0}, "cars/a: level: -10.0", id="lends less"),
        pytest.param({"wanted_kwh": 1.0}, "cars/a: is served 0.0", id="wants more"),
    ],
)
def test_a_car_that_was_promised_more_is_not_lent_out(
    lab: Any, change: dict[str, Any], word: str
) -> None:
    session = replace(lab.session("a", wanted_kwh=0, stays_h=2), lends_kwh=10.0)
    view, schedule = kept_apart(
        lab, lab.cars(max_car_feed_kw=10.0), [0.9, 0.1], {"sessions": (session,)}
    )

    other = told(view, "cars", {"sessions": (replace(session, **change),)})

    refused(lab, schedule, other, word)


def test_a_guaranteed_departure_that_fails_costs_like_a_broken_limit(lab: Any) -> None:
    """15 kWh wanted, 10 possible."""
    session = lab.session("a", wanted_kwh=15, stays_h=1)
    view, schedule = kept_apart(lab, lab.cars(), [0.1], {"sessions": (session,)})

    firm = stricter(view, "cars", {"guaranteed": True})

    refused(lab, schedule, firm, "unserved: the bill is 50.000000, the solver says 25.0")
