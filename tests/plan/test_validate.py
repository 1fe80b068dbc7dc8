"""The validator's teeth: a good plan, broken in each way a plan can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vpp.model.horizon import Floats
from vpp.model.measurement import RunPhase
from vpp.model.schedule import LimitPrice, Schedule
from vpp.model.time import QUARTER

NAMES = ["load", "bat", "dead", "pv", "mill", "oven", "hall", "cold", "cars"]


@pytest.fixture
def good(lab: Any) -> Any:
    """View, terms and plan of a park that has one of each kind, two hours from noon."""
    steps = 12
    sessions = (
        lab.session("a", wanted_kwh=4, stays_h=1),
        lab.session("b", wanted_kwh=6, stays_h=2),
    )
    view = lab.view(
        lab.load("load"),
        lab.battery("bat", charge_efficiency=0.9, wear_cost_per_kwh=0.001),
        lab.battery("dead"),
        lab.pv("pv", point="cp-b"),
        lab.process("mill", point="cp-b"),
        lab.run("oven", point="cp-b"),
        lab.zone("hall", point="cp-b"),
        lab.zone("cold", point="cp-b"),
        lab.cars("cars", point="cp-b"),
        points=("cp-a", "cp-b"),
        price=[0.1, 0.2, 0.1, 0.3, 0.9, 0.9, 0.9, 0.9, 0.2, 0.1, 0.3, 0.1],
        base_kw={"load": [-50.0] * steps},
        available_kw={"pv": [30.0] * steps},
        arriving_kw={"cars": [-2.0] * steps},
        outdoor_degc=10.0,
        network_per_kwh=0.02,
        max_trade_kw=500.0,
        step=QUARTER,
        readings=[
            lab.reading("bat", soc=0.5),
            lab.reading("mill"),
            lab.reading("oven"),
            lab.reading("hall", temperature_degc=20.0),
            lab.reading("cars", sessions=sessions),
        ],
    )
    terms = lab.terms(view)
    schedule = lab.plan(view, terms)
    assert schedule.starts["mill"] == (4,)
    return view, terms, schedule


def row(schedule: Schedule, name: str) -> int:
    return list(schedule.resource_ids).index(name)  # type: ignore[arg-type]


def moved(schedule: Schedule, name: str, change: Callable[[Floats], None]) -> Schedule:
    """The plan with one resource's power changed, and every sum above it made to fit."""
    power = schedule.power_kw.copy()
    change(power[row(schedule, name)])
    delta = (power - schedule.power_kw).sum(axis=0)
    point = "cp-a" if name in ("load", "bat", "dead") else "cp-b"
    points = dict(schedule.connection_point_kw)
    points[point] = points[point] + delta  # type: ignore[index]
    return replace(
        schedule, power_kw=power, connection_point_kw=points, net_kw=schedule.net_kw + delta
    )


def put(step: int | slice, kw: float) -> Callable[[Floats], None]:
    def change(power: Floats) -> None:
        power[step] = kw

    return change


def add(step: int | slice, kw: float) -> Callable[[Floats], None]:
    def change(power: Floats) -> None:
        power[step] += kw

    return change


def swap(a: int, b: int) -> Callable[[Floats], None]:
    def change(power: Floats) -> None:
        power[[a, b]] = power[[b, a]]

    return change


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        pytest.param("load", add(3, 1.0), "load: base: -49", id="a fixed load is moved"),
        pytest.param(
            "bat",
            put(0, 101.0),
            "bat: max_charge_kw, max_discharge_kw: 101",
            id="a battery above its discharging power",
        ),
        pytest.param(
            "bat",
            put(0, -101.0),
            "bat: max_charge_kw, max_discharge_kw: -101",
            id="a battery above its charging power",
        ),
        pytest.param(
            "bat", add(0, 5.0), "bat: step 0 stores", id="power and stored energy disagree"
        ),
        pytest.param(
            "dead",
            put(2, 1.0),
            "dead: idle, nobody knows how full it is: 1.0",
            id="a battery nobody knows is moved",
        ),
        pytest.param("pv", put(1, 31.0), "pv: power: 31", id="more sun than there is"),
        pytest.param("pv", put(1, -1.0), "pv: power: -1", id="a generator that draws"),
        pytest.param(
            "mill", put(8, -101.0), "mill: draw: -101", id="a process above its rated draw"
        ),
        pytest.param("mill", put(9, 0.0), "mill: draw: 0.0", id="a process off without a call"),
        pytest.param("mill", put(5, -100.0), "mill: draw: -100", id="a call that does not last"),
        pytest.param("oven", put(slice(0, 12), 0.0), "oven: ", id="a run that never draws"),
        pytest.param("oven", add(11, -1.0), "oven: draw: -1", id="a run that draws on"),
        pytest.param(
            "hall", put(0, -101.0), "hall: max_draw_kw: -101", id="a machine above its power"
        ),
        pytest.param("hall", put(0, 1.0), "hall: max_draw_kw: 1.0", id="a machine that feeds"),
        pytest.param("hall", add(0, -1.0), "hall: step 0 ends", id="temperature disagrees"),
        pytest.param(
            "cold", add(0, -1.0), "cold: holds target_degc: -6", id="an unknown zone is moved"
        ),
        pytest.param(
            "cars", add(0, 1.0), "cars: its cars and those to come", id="more than cars and guests"
        ),
    ],
)
def test_a_power_that_no_device_could_run_is_refused(
    lab: Any, good: Any, name: str, change: Callable[[Floats], None], word: str
) -> None:
    view, terms, schedule = good

    found = lab.violations(moved(schedule, name, change), view, terms)

    assert any(text.startswith(word) for text in found), found


def driven(schedule: Schedule, car: str, change: Callable[[Floats], None]) -> Schedule:
    """The plan with one car's power changed, and every sum above it made to fit."""
    power = schedule.cars_kw[f"cars/{car}"].copy()
    change(power)
    delta = power - schedule.cars_kw[f"cars/{car}"]

    def shift(fleet: Floats) -> None:
        fleet += delta

    return replace(
        moved(schedule, "cars", shift), cars_kw=dict(schedule.cars_kw) | {f"cars/{car}": power}
    )


@pytest.mark.parametrize(
    ("car", "change", "word"),
    [
        pytest.param(
            "a", put(0, -11.0), "cars/a: charger_kw, max_car_feed_kw: -11", id="above its charger"
        ),
        pytest.param(
            "a", put(5, -1.0), "cars/a: charger_kw, max_car_feed_kw: -1", id="after it left"
        ),
        pytest.param(
            "a",
            put(2, 1.0),
            "cars/a: charger_kw, max_car_feed_kw: 1",
            id="feeds, and lends nothing",
        ),
        pytest.param("b", put(7, -10.0), "cars/b: level", id="more than it wants"),
        pytest.param("b", put(slice(0, 12), 0.0), "cars/b: is served 0", id="nothing, unsaid"),
    ],
)
def test_a_car_that_could_not_be_charged_so_is_refused(
    lab: Any, good: Any, car: str, change: Callable[[Floats], None], word: str
) -> None:
    """`a` stays an hour and wants 4 kWh, `b` two and 6 kWh."""
    view, terms, schedule = good

    found = lab.violations(driven(schedule, car, change), view, terms)

    assert any(text.startswith(word) for text in found), found


@pytest.mark.parametrize(
    ("name", "starts", "word"),
    [
        pytest.param("oven", (0, 4), "oven: 2 chosen starts", id="a run drawn twice"),
        pytest.param("oven", (), "oven: 0 chosen starts", id="a run left out"),
        pytest.param("oven", (7,), "oven: starts at", id="a run past its window"),
        pytest.param("oven", (-1,), "oven: cannot start", id="a run before the horizon"),
        pytest.param("mill", (6,), "mill: a call starts at", id="a call off the hour"),
        pytest.param("mill", (0,), "mill: a call starts at", id="a call at an hour not named"),
        pytest.param("mill", (4, 8), "mill: 2 calls on", id="one call too many"),
        pytest.param("pv", (1,), "pv: cannot start", id="the sun is started"),
    ],
)
def test_starts_that_nobody_promised_are_refused(
    lab: Any, good: Any, name: str, starts: tuple[int, ...], word: str
) -> None:
    view, terms, schedule = good

    found = lab.violations(
        replace(schedule, starts=dict(schedule.starts) | {name: starts}, start_lengths={}),
        view,
        terms,
    )

    assert any(text.startswith(word) for text in found), found


def test_two_calls_without_a_pause_are_refused(lab: Any) -> None:
    view = lab.view(
        lab.process(max_calls_per_day=2), price=[0.1] * 4, readings=[lab.reading("mill")]
    )
    schedule = lab.plan(view)
    power = np.array([[-100.0, 0.0, 0.0, -100.0]])
    points = {"cp-a": power[0]}
    broken = replace(
        schedule,
        power_kw=power,
        connection_point_kw=points,
        net_kw=power[0],
        starts={"mill": (1, 2)},
    )

    found = lab.violations(broken, view, lab.terms(view))

    assert any("without a pause" in text for text in found), found


def test_calls_outside_operating_hours_and_of_unknown_processes_are_refused(lab: Any) -> None:
    view = lab.view(
        lab.process("shut", operating_days=(5, 6)),
        lab.process("mute"),
        price=[0.1] * 4,
        readings=[lab.reading("shut")],
    )
    schedule = lab.plan(view)

    found = lab.violations(
        replace(schedule, starts={"shut": (1,), "mute": (1,)}), view, lab.terms(view)
    )

    assert any(text.startswith("shut: the call at") for text in found), found
    assert any(text.startswith("mute: is called") for text in found), found


def nan(values: Floats) -> Floats:
    broken = values.copy()
    broken[-1] = np.nan
    return broken


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        pytest.param(
            lambda s: replace(s, power_kw=np.full_like(s.power_kw, np.nan)),
            "power_kw",
            id="NaN power",
        ),
        pytest.param(
            lambda s: replace(s, power_kw=np.full_like(s.power_kw, np.inf)),
            "power_kw",
            id="inf power",
        ),
        pytest.param(lambda s: replace(s, net_kw=nan(s.net_kw)), "net_kw", id="NaN net"),
        pytest.param(
            lambda s: replace(s, stored_kwh={"bat": nan(s.stored_kwh["bat"])}),
            "stored_kwh of bat",
            id="NaN stored",
        ),
        pytest.param(
            lambda s: replace(s, stored_value_per_kwh={"bat": nan(s.net_kw)}),
            "stored_value_per_kwh of bat",
            id="NaN shadow price of a store",
        ),
        pytest.param(
            lambda s: replace(s, net_value_per_kwh=nan(s.net_kw)),
            "net_value_per_kwh",
            id="NaN shadow price of the net",
        ),
        pytest.param(
            lambda s: replace(s, cost_by_cause=dict(s.cost_by_cause) | {"market": np.nan}),
            "a cost or the gap",
            id="NaN cost",
        ),
        pytest.param(lambda s: replace(s, gap=np.nan), "a cost or the gap", id="NaN gap"),
        pytest.param(
            lambda s: replace(s, stored_kwh={"bat": s.stored_kwh["bat"] + 1.0}),
            "bat: step 0 stores",
            id="stored energy that does not follow from the power",
        ),
        pytest.param(lambda s: replace(s, stored_kwh={}), "stored_kwh speaks of", id="no store"),
        pytest.param(
            lambda s: replace(s, temperature_degc={"hall": s.temperature_degc["hall"] + 1}),
            "hall: step 0 ends at",
            id="a temperature that does not follow from the power",
        ),
        pytest.param(
            lambda s: replace(s, connection_point_kw={"cp-a": s.net_kw}),
            "connection_point_kw speaks of",
            id="a connection point is missing",
        ),
        pytest.param(
            lambda s: replace(
                s, connection_point_kw=dict(s.connection_point_kw) | {"cp-b": s.net_kw}
            ),
            "cp-b: its resources do not add up",
            id="a connection point that is not the sum of its resources",
        ),
        pytest.param(
            lambda s: replace(s, net_kw=s.net_kw + 1.0),
            "the park's connection points do not add up",
            id="a net that is not the sum of its points",
        ),
        pytest.param(
            lambda s: replace(s, trade_kw={"spot": s.net_kw + 9e3}),
            "spot: ",
            id="a trade beyond its room",
        ),
        pytest.param(lambda s: replace(s, trade_kw={}), "trade_kw speaks of", id="no trade"),
        pytest.param(
            lambda s: replace(s, committed_kw=s.committed_kw + 5.0),
            "committed_kw: 5",
            id="a position that nobody sold",
        ),
        pytest.param(
            lambda s: replace(s, cost_by_cause=dict(s.cost_by_cause) | {"market": 0.0}),
            "market: the bill is",
            id="a bill that leaves the market out",
        ),
        pytest.param(
            lambda s: replace(s, cost_by_cause=dict(s.cost_by_cause) | {"gift": -5.0}),
            "gift: the bill is 0.000000, the solver says -5",
            id="a bill with a cause nobody knows",
        ),
        pytest.param(
            lambda s: replace(s, cost_by_cause={k: 1.001 * v for k, v in s.cost_by_cause.items()}),
            "market: the bill is",
            id="an objective a thousandth too high",
        ),
        pytest.param(
            lambda s: replace(s, unserved_kwh={"cars/a": -1.0, "cars/b": 1.0}),
            "cars/a: leaves with -1",
            id="a car that leaves with less than nothing missing",
        ),
        pytest.param(
            lambda s: replace(s, unserved_kwh={"cars/a": 1.0, "cars/b": 0.0}),
            "cars/a: is served",
            id="charged and missing do not add up to wanted",
        ),
        pytest.param(
            lambda s: replace(s, undone_units={"bat/noon": 1.0}),
            "undone_units speaks of",
            id="work of a battery",
        ),
        pytest.param(
            lambda s: replace(s, point_value_per_kwh={"cp-a": nan(s.net_kw)}),
            "point_value_per_kwh of cp-a",
            id="NaN shadow price of a connection point",
        ),
        pytest.param(
            lambda s: replace(s, node_value_per_kwh={"heat": s.net_kw}),
            "node_value_per_kwh speaks of",
            id="a node nobody knows",
        ),
        pytest.param(
            lambda s: replace(
                s, limit_prices=(LimitPrice(limit="bat: soc", per_unit=nan(s.net_kw)),)
            ),
            "price of bat: soc",
            id="NaN price of a limit",
        ),
        pytest.param(
            lambda s: replace(s, cars_kw={}), "cars_kw speaks of", id="no word of each car"
        ),
        pytest.param(
            lambda s: replace(s, on={"pv": s.net_kw > 0}), "on speaks of", id="the sun is switched"
        ),
        pytest.param(
            lambda s: replace(s, curtailed_kw={"load": s.net_kw}),
            "curtailed_kw speaks of",
            id="a fixed load is turned down",
        ),
        pytest.param(
            lambda s: replace(s, pipe_kw={"main": s.net_kw}), "pipe_kw speaks of", id="a pipe"
        ),
        pytest.param(
            lambda s: replace(s, port_kw={"bat": {}}), "port_kw speaks of", id="a battery's port"
        ),
        pytest.param(
            lambda s: replace(s, start_lengths={"oven": (3,)}),
            "oven: runs for (3,) steps",
            id="a run of another length",
        ),
        pytest.param(
            lambda s: replace(s, start_lengths={"mill": (4, 4)}),
            "mill: starts in steps (4,), for (4, 4) steps",
            id="more lengths than starts",
        ),
        pytest.param(
            lambda s: replace(s, start_lengths={"hall": (4,)}),
            "start_lengths speaks of",
            id="lengths of what starts nowhere",
        ),
        pytest.param(lambda s: replace(s, gap=-0.1), "the gap is -0.1", id="better than the best"),
        pytest.param(
            lambda s: replace(s, unserved_kwh={}),
            "unserved_kwh speaks of",
            id="no word of the cars",
        ),
        pytest.param(
            lambda s: replace(s, resource_ids=s.resource_ids[::-1]),
            "its resources are not the park's",
            id="other resources",
        ),
        pytest.param(
            lambda s: replace(s, horizon=replace(s.horizon, start=s.horizon.start + QUARTER)),
            "it stands on",
            id="another horizon",
        ),
        pytest.param(
            lambda s: replace(s, net_kw=s.net_kw[:-1]), "net_kw is no array", id="another shape"
        ),
        pytest.param(
            lambda s: replace(s, net_kw=[0.0] * 12), "net_kw is no array", id="no array at all"
        ),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(
    lab: Any, good: Any, broken: Callable[[Schedule], Schedule], word: str
) -> None:
    view, terms, schedule = good

    found = lab.violations(broken(schedule), view, terms)

    assert any(text.startswith(word) for text in found), found


def test_charging_and_discharging_at_once_is_refused(lab: Any) -> None:
    """The net of 100 in and 81 out leaves a full store full; 19 kW of net charge would not."""
    view = lab.view(
        lab.battery(charge_efficiency=0.9, discharge_efficiency=0.9),
        price=[-0.1],
        readings=[lab.reading("bat", soc=1.0)],
    )
    schedule = lab.plan(view)
    power = np.array([[-19.0]])
    burning = replace(
        schedule,
        power_kw=power,
        connection_point_kw={"cp-a": power[0]},
        net_kw=power[0],
        trade_kw={lab.spot: power[0]},
        cost_by_cause={"market": -1.9},
    )

    found = lab.violations(burning, view, lab.terms(view))

    assert found == ("bat: step 0 stores 117.100000 kWh, the plan says 100.000000",)


def test_a_store_beyond_its_bounds_is_refused_though_the_sums_fit(lab: Any) -> None:
    view = lab.view(lab.battery(min_soc=0.3), price=[0.1], readings=[lab.reading("bat", soc=0.5)])
    schedule = lab.plan(view)
    power = np.array([[30.0]])
    deeper = replace(
        schedule,
        power_kw=power,
        connection_point_kw={"cp-a": power[0]},
        net_kw=power[0],
        trade_kw={lab.spot: power[0]},
        stored_kwh={"bat": np.array([20.0])},
        cost_by_cause={"market": -3.0},
    )

    found = lab.violations(deeper, view, lab.terms(view))

    assert found == ("bat: step 0 ends at 20.000000 kWh, allowed 30.000000 … 100.000000",)


def test_a_done_run_that_draws_again_is_refused(lab: Any) -> None:
    done = lab.reading("oven", **lab.running(RunPhase.DONE, lab.noon - QUARTER))
    view = lab.view(lab.run(), price=[0.1] * 8, readings=[done], step=QUARTER)
    schedule = lab.plan(view)

    found = lab.violations(replace(schedule, starts={"oven": (1,)}), view, lab.terms(view))

    assert any(text.startswith("oven: 1 chosen starts") for text in found), found


@pytest.mark.parametrize("seed", range(20))
def test_a_random_change_of_a_random_plan_is_refused(lab: Any, seed: int) -> None:
    """One power moved by 1 kW, all sums made to fit: device, sums or bill must show it."""
    view, terms = lab.random(seed)
    schedule = lab.plan(view, terms, gap=1e-4)
    rng = np.random.default_rng(seed)
    power = schedule.power_kw.copy()
    power[rng.integers(power.shape[0]), rng.integers(power.shape[1])] += 1.0
    points = {
        p.connection_point_id: power[
            [
                i
                for i, r in enumerate(view.park.resources)
                if r.connection_point_id == p.connection_point_id
            ]
        ].sum(axis=0)
        for p in view.park.connection_points
    }
    net = np.sum(list(points.values()), axis=0)

    found = lab.violations(
        replace(schedule, power_kw=power, connection_point_kw=points, net_kw=net), view, terms
    )

    assert found
