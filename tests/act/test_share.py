from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.act.planned import least_draw_kw
from vpp.act.rules import Rule
from vpp.act.share import Bounds, Manner
from vpp.act.units import Kind
from vpp.model.measurement import EvSession, Reading, RunPhase
from vpp.model.park import Limits
from vpp.model.time import QUARTER

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)  # 13:00 in Stockholm
MINUTE = timedelta(minutes=1)
Builder = Callable[..., Any]


@pytest.fixture(scope="session")
def shared(
    a_park: Builder, a_state: Builder, a_schedule: Builder, share_of: Builder
) -> Callable[..., Any]:
    """Share a park of (resource, planned kW, reading or None); what is wanted of whom."""

    def run(
        members: list[tuple[Any, float, Reading | None]],
        *,
        owed_kw: float | None = None,
        metered_kwh: float = 0.0,
        now: datetime = NOON,
        plan: dict[str, Any] | None = None,
        manner: Manner | None = None,
        **limits: Any,
    ) -> dict[str, float]:
        park = a_park(*(r for r, _, _ in members), **limits)
        state = a_state(park, *(reading for _, _, reading in members if reading is not None))
        planned = {r.resource_id: kw for r, kw, _ in members}
        found: dict[str, float] = share_of(
            park,
            state,
            a_schedule(park, planned, **(plan or {})),
            now=now,
            owed_kw=owed_kw,
            metered_kwh=metered_kwh,
            manner=manner,
        )
        return found

    return run


# ---------------------------------------------------------------- what the plan asks of each kind


def test_without_a_plan_for_now_nobody_is_commanded(
    a_resource: Builder,
    a_reading: Builder,
    a_park: Builder,
    a_state: Builder,
    shared: Builder,
    share_of: Builder,
) -> None:
    bess = a_resource("bess")
    park = a_park(bess)
    assert share_of(park, a_state(park, a_reading(bess)), None, owed_kw=500.0) == {}
    assert shared([(bess, 100, a_reading(bess))], plan={"begins": NOON - QUARTER, "steps": 1}) == {}


def test_a_store_runs_as_planned_even_at_zero_and_the_unknown_are_released(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    one, two, base = a_resource("bess", "one"), a_resource("bess", "two"), a_resource("base")
    members = [(one, 0, a_reading(one)), (two, 300, None), (base, -50, a_reading(base, -60))]
    assert shared(members) == {"one": 0}


def test_a_store_is_not_asked_for_more_than_lasts_to_the_end_of_the_interval(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    bess = a_resource("bess")
    assert shared([(bess, 900, a_reading(bess, soc=0.1))]) == {"bess": pytest.approx(400)}
    assert shared([(bess, -900, a_reading(bess, soc=0.9))]) == {"bess": pytest.approx(-400)}


@pytest.mark.parametrize(
    ("point_value", "wanted"),
    [
        pytest.param(0.0, {"pv": 600}, id="exporting is priced as high as it earns: as planned"),
        pytest.param(-0.02, {"pv": 600}, id="it costs here, though not in the market"),
        pytest.param(0.01, {}, id="a low forecast is no reason to curtail"),
    ],
)
def test_the_sun_is_curtailed_where_more_of_it_is_worth_nothing_at_its_connection_point(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    point_value: float,
    wanted: dict[str, float],
) -> None:
    pv = a_resource("pv")
    result = shared(
        [(pv, 600, a_reading(pv, 800, available_kw=800.0))], plan={"point_value": point_value}
    )
    assert result == wanted


@pytest.mark.parametrize(
    ("planned", "net_value", "limit_kw", "wanted"),
    [
        pytest.param(600, 0.05, 1e9, {}, id="a low forecast is no reason to curtail"),
        pytest.param(600, -0.01, 1e9, {"pv": 600}, id="feeding costs: as planned"),
        pytest.param(600, 0.05, 600, {"pv": 600}, id="the connection is full: as planned"),
        pytest.param(900, -0.01, 1e9, {}, id="the plan takes all there is"),
    ],
)
def test_the_sun_is_curtailed_only_where_the_plan_means_it(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    planned: float,
    net_value: float,
    limit_kw: float,
    wanted: dict[str, float],
) -> None:
    pv = a_resource("pv")
    result = shared(
        [(pv, planned, a_reading(pv, 800, available_kw=800.0))],
        plan={"net_value": net_value},
        points={"cp": Limits(export_kw=limit_kw)},
    )
    assert result == wanted


@pytest.mark.parametrize(
    ("phase", "starts", "at", "wanted"),
    [
        pytest.param("waiting", (4,), "12:00", {"oven": 0}, id="held past its default start"),
        pytest.param("waiting", (4,), "11:58", {"oven": 0}, id="held in time"),
        pytest.param("waiting", (4,), "11:57", {}, id="not yet to be held"),
        pytest.param("waiting", (0,), "12:05", {"oven": -100}, id="starts in this step"),
        pytest.param("waiting", (0,), "12:20", {"oven": -100}, id="should have started: late"),
        pytest.param("waiting", (), "12:00", {}, id="no start planned: its own default"),
        pytest.param("waiting", (80,), "12:00", {}, id="planned tomorrow only"),
        pytest.param("running", (0,), "12:05", {}, id="running is never commanded"),
        pytest.param("done", (4,), "12:00", {}, id="done"),
    ],
)
def test_a_run_is_held_until_the_plan_starts_it(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    phase: str,
    starts: tuple[int, ...],
    at: str,
    wanted: dict[str, float],
) -> None:
    oven = a_resource("oven")  # default start 13:00 local, 12:00 UTC
    now = datetime.fromisoformat(f"2025-12-03T{at}").replace(tzinfo=UTC)
    begins = NOON if now >= NOON else NOON - QUARTER
    result = shared(
        [(oven, 0, a_reading(oven, phase=RunPhase(phase)))],
        now=now,
        plan={"starts": {"oven": starts}, "begins": begins},
    )
    assert result == wanted


@pytest.mark.parametrize(
    ("phase", "starts", "wanted"),
    [
        pytest.param("running", (0,), {"saw": 0}, id="called in this step"),
        pytest.param("running", (4,), {}, id="called later"),
        pytest.param("called", (), {"saw": 0}, id="a call goes on"),
        pytest.param("waiting", (0,), {}, id="not operating"),
        pytest.param("done", (0,), {}, id="called enough today"),
    ],
)
def test_an_interruptible_load_is_off_during_a_call_and_else_its_own(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    phase: str,
    starts: tuple[int, ...],
    wanted: dict[str, float],
) -> None:
    saw = a_resource("saw")
    reading = a_reading(saw, -100, phase=RunPhase(phase))
    assert shared([(saw, 0, reading)], plan={"starts": {"saw": starts}}) == wanted


@pytest.mark.parametrize(
    ("lasted_min", "plan", "asked_kw"),
    [
        pytest.param(45, {}, 0, id="no call is cut short"),
        pytest.param(60, {}, -100, id="its hour is over"),
        pytest.param(75, {"longer_until": {"saw": 1}}, 0, id="the plan lets it last"),
        pytest.param(90, {"longer_until": {"saw": 0}}, -100, id="the plan let it last till now"),
        pytest.param(
            60, {"starts": {"saw": (0,)}, "lengths": {"saw": (2,)}}, 0, id="an older plan's long call"
        ),
        pytest.param(
            60, {"starts": {"saw": (1,)}, "lengths": {"saw": (2,)}}, -100, id="the next is another"
        ),
    ],
)  # fmt: skip
def test_a_call_lasts_as_long_as_the_plan_says_and_no_shorter_than_it_may(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    lasted_min: int,
    plan: dict[str, Any],
    asked_kw: float,
) -> None:
    saw = a_resource("saw", longest_call=timedelta(hours=2))
    since = NOON - lasted_min * MINUTE
    reading = a_reading(saw, phase=RunPhase.CALLED, phase_since=since)

    assert shared([(saw, 0, reading)], plan=plan) == {"saw": asked_kw}


CALLS = np.array([0.0, 30.0, *[0.0] * 94])
"""Turned down by 30 kW in the second step only."""


@pytest.mark.parametrize(
    ("phase", "plan", "wanted"),
    [
        pytest.param("running", {}, {}, id="not called yet"),
        pytest.param("running", {"starts": {"shop": (0,)}, "lengths": {"shop": (2,)}},
                     {"shop": -80}, id="a call may begin with nothing"),
        pytest.param("called", {}, {"shop": -80}, id="a call may pause"),
        pytest.param("called", {"starts": {"shop": (1,)}, "lengths": {"shop": (1,)}},
                     {"shop": -100}, id="the next is another: this one ends"),
        pytest.param("called", {"curtailed_kw": {"shop": 0.0}}, {"shop": -100}, id="it is over"),
    ],
)  # fmt: skip
def test_a_limited_call_of_a_load_is_one_span_and_ends_when_it_is_over(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    phase: str,
    plan: dict[str, Any],
    wanted: dict[str, float],
) -> None:
    shop = a_resource("shop", max_calls_per_day=2)
    reading = a_reading(shop, -80, phase=RunPhase(phase))

    found = shared([(shop, -80, reading)], plan={"curtailed_kw": {"shop": CALLS}} | plan)

    assert found == wanted


def test_a_second_run_is_not_started_by_the_first_one_of_a_plan_that_is_held(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    """45 minutes each, planned for 11:00 and 12:30; at noon the first has been done."""
    oven = a_resource("oven", runs_per_day=2)
    reading = a_reading(oven, phase=RunPhase.WAITING, calls_today=1)
    plan = {"starts": {"oven": (0, 6)}, "begins": NOON - timedelta(hours=1)}

    assert shared([(oven, 0, reading)], plan=plan) == {"oven": 0}


@pytest.mark.parametrize(
    ("soc", "owed_kw", "asked_kw"),
    [
        pytest.param(0.5, -900, -900, id="half full"),
        pytest.param(0.9, -900, -250, id="charging falls above 60 %, to nothing when full"),
        pytest.param(0.5, 900, 900, id="half full, the other way"),
        pytest.param(0.1, 900, 200, id="discharging falls below 50 %, to nothing when empty"),
    ],
)
def test_a_residual_asks_no_more_of_a_store_than_its_taper_allows(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    soc: float,
    owed_kw: float,
    asked_kw: float,
) -> None:
    """1000 kW; a quarter of an hour moves 250 kWh of 1000."""
    bess = a_resource("bess", charge_taper_soc=0.6, discharge_taper_soc=0.5)

    found = shared([(bess, 0, a_reading(bess, soc=soc))], owed_kw=owed_kw)

    assert found == {"bess": pytest.approx(asked_kw)}


def a_car(name: str, hours: float, kwh: float) -> EvSession:
    return EvSession(session_id=name, departs_at=NOON + timedelta(hours=hours), wanted_kwh=kwh)


@pytest.mark.parametrize(
    ("cars", "least_kw"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([a_car("a", 2, 10)], 0, id="an hour of slack"),
        pytest.param([a_car("a", 1, 10)], 10, id="no slack: full power"),
        pytest.param([a_car("a", 0.5, 10)], 10, id="too late for all of it"),
        pytest.param([a_car("a", 1, 9.5)], 5, id="half of the next six minutes can wait"),
        pytest.param([a_car(str(i), 1, 10) for i in range(4)], 25, id="the car park's own limit"),
        pytest.param([a_car(str(i), 2, 10) for i in range(5)], 25, id="together without slack"),
        pytest.param([a_car("gone", -1, 5)], 10, id="overdue"),
    ],
)
def test_least_draw_of_a_car_park(
    a_resource: Builder, cars: list[EvSession], least_kw: float
) -> None:
    fleet = a_resource("cars", max_draw_kw=25.0)  # 10 kW a charger
    draw = least_draw_kw(fleet, tuple(cars), NOON, timedelta(minutes=6))
    assert draw == pytest.approx(least_kw)


def test_a_fleet_draws_as_planned_but_never_leaves_a_car_short(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    fleet = a_resource("cars")
    patient = a_reading(fleet, sessions=(a_car("a", 5, 10), a_car("b", 5, 10)))
    urgent = a_reading(fleet, sessions=(a_car("a", 5, 10), a_car("b", 1, 10)))
    assert shared([(fleet, -5, patient)]) == {"cars": -5}
    assert shared([(fleet, -5, urgent)]) == {"cars": pytest.approx(-10)}
    assert shared([(fleet, -80, patient)]) == {"cars": -20}
    assert shared([(fleet, -5, a_reading(fleet, sessions=()))]) == {}


# ---------------------------------------------------------------- the residual


@pytest.mark.parametrize(
    ("minute", "metered_kwh", "bess_kw"),
    [
        pytest.param(0, 0.0, 300, id="the load is 100 higher than planned: 100 more"),
        pytest.param(5, -25.0, 300, id="on course: no change"),
        pytest.param(5, -35.0, 360, id="10 kWh behind: caught up in the 10 minutes left"),
        pytest.param(10, -45.0, 240, id="5 kWh ahead: given back in 5 minutes"),
    ],
)
def test_storage_makes_up_for_the_forecast(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    minute: int,
    metered_kwh: float,
    bess_kw: float,
) -> None:
    bess, base = a_resource("bess"), a_resource("base")
    result = shared(
        [(bess, 200, a_reading(bess)), (base, -500, a_reading(base, -600))],
        owed_kw=-300,
        metered_kwh=metered_kwh,
        now=NOON + minute * MINUTE,
    )
    assert result == {"bess": pytest.approx(bess_kw)}


def test_least_wear_first_and_equals_in_proportion_to_their_room(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    members = [
        (r, 0, a_reading(r))
        for r in (
            a_resource("bess", "worn", wear_cost_per_kwh=0.02),
            a_resource("bess", "big", max_discharge_kw=600.0),
            a_resource("bess", "small", max_discharge_kw=200.0),
        )
    ]
    assert shared(members, owed_kw=400) == {
        "worn": 0,
        "big": pytest.approx(300),
        "small": pytest.approx(100),
    }
    assert shared(members, owed_kw=1000) == {
        "worn": pytest.approx(200),
        "big": pytest.approx(600),
        "small": pytest.approx(200),
    }


def test_what_a_full_connection_cannot_take_another_storage_takes(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    near, far = a_resource("bess", "near", "cp1"), a_resource("bess", "far", "cp2")
    result = shared(
        [(near, 0, a_reading(near)), (far, 0, a_reading(far))],
        owed_kw=1050,
        points={"cp1": Limits(export_kw=100)},
    )
    assert result == {"near": pytest.approx(100), "far": pytest.approx(950)}
    result = shared(
        [(near, 500, a_reading(near)), (far, 0, a_reading(far))],
        owed_kw=1200,
        points={"cp1": Limits(export_kw=100)},
    )
    # What the plan drives over a limit comes back, and others do that too as far as they can.
    assert result == {"near": pytest.approx(100), "far": pytest.approx(1000)}


def test_what_nobody_can_do_stays_undone(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    bess = a_resource("bess")
    assert shared([(bess, 0, a_reading(bess))], owed_kw=5000) == {"bess": pytest.approx(1000)}


@given(
    owed_kw=st.floats(-3000, 3000),
    planned=st.lists(st.floats(-1000, 1000), min_size=3, max_size=3),
    soc=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    load_kw=st.floats(-2000, 0),
    minute=st.integers(0, 14),
)
def test_storage_stays_within_power_energy_and_limits_and_meets_what_is_owed_if_it_can(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    owed_kw: float,
    planned: list[float],
    soc: list[float],
    load_kw: float,
    minute: int,
) -> None:
    stores = [a_resource("bess", f"s{i}", f"cp{i % 2}", min_soc=0.1) for i in range(3)]
    base = a_resource("base")
    members = [(s, planned[i], a_reading(s, soc=soc[i])) for i, s in enumerate(stores)]
    members.append((base, load_kw, a_reading(base, load_kw)))
    now, hours = NOON + minute * MINUTE, (15 - minute) / 60
    metered = owed_kw / 4 - owed_kw * hours  # on course so far
    result = shared(members, owed_kw=owed_kw, metered_kwh=metered, now=now)
    most = least = 0.0
    for i, store in enumerate(stores):
        low = -min(1000, (1 - soc[i]) * 1000 / hours)
        high = min(1000, max(soc[i] - 0.1, 0) * 1000 / hours)
        assert low - 1e-6 <= result[store.resource_id] <= high + 1e-6
        least, most = least + low, most + high
    reachable = min(max(owed_kw - load_kw, least), most)
    assert sum(result.values()) == pytest.approx(reachable, abs=0.01)


def test_what_is_shared_passes_the_guard(
    a_resource: Builder,
    a_reading: Builder,
    a_park: Builder,
    a_state: Builder,
    guard_of: Builder,
    shared: Builder,
) -> None:
    bess, base = a_resource("bess"), a_resource("base")
    members = [(bess, 200, a_reading(bess)), (base, -500, a_reading(base, -600))]
    limits = {"park_limits": Limits(export_kw=100)}
    wanted = shared(members, owed_kw=300, **limits)
    park = a_park(bess, base, **limits)
    assert wanted == {"bess": pytest.approx(700)}
    assert guard_of(park, a_state(park, members[0][2], members[1][2]), wanted).clipped == ()


# ---------------------------------------------------------------- by which rule, over whom, within what


ALL_KINDS = frozenset({Kind.STORAGE, Kind.EV_FLEET, Kind.GENERATOR, Kind.FLEXIBLE_LOAD})


@pytest.mark.parametrize(
    ("kind", "planned_kw", "fields", "residual_kw", "moved_kw"),
    [
        pytest.param("engine", 300, {}, 200, 500, id="an engine feeds more"),
        pytest.param("engine", 300, {}, -500, 0, id="and no less than nothing"),
        pytest.param("pv", 800, {"power_kw": 800, "available_kw": 800.0}, -300, 500, id="capped"),
        pytest.param("mixer", -60, {}, 40, -20, id="work that waits"),
        pytest.param("mixer", -60, {}, -90, -100, id="work that is done now"),
    ],
)
def test_whoever_the_park_file_names_makes_up_for_what_is_owed_and_nobody_else(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    kind: str,
    planned_kw: float,
    fields: dict[str, Any],
    residual_kw: float,
    moved_kw: float,
) -> None:
    one = a_resource(kind)
    members = [(one, planned_kw, a_reading(one, **fields))]
    owed_kw = planned_kw + residual_kw

    moved = shared(members, owed_kw=owed_kw, manner=Manner(kinds=ALL_KINDS))
    still = shared(members, owed_kw=owed_kw, manner=Manner())

    assert moved == {kind: pytest.approx(moved_kw)}
    assert still == ({} if kind == "pv" else {kind: planned_kw})


def test_a_fleet_waits_only_as_far_as_every_car_leaves_with_what_it_wants(
    a_resource: Builder, a_reading: Builder, shared: Builder
) -> None:
    """Two cars at 10 kW each, one of which must charge now."""
    fleet = a_resource("cars")
    cars = (a_car("a", 5, 10), a_car("b", 1, 10))
    members = [(fleet, -20, a_reading(fleet, sessions=cars))]

    assert shared(members, owed_kw=0, manner=Manner(kinds=ALL_KINDS)) == {
        "cars": pytest.approx(-10)
    }


def test_the_cheapest_by_the_plans_shadow_prices_moves_first(
    a_resource: Builder, a_reading: Builder, a_park: Builder, a_state: Builder,
    a_schedule: Builder, share_of: Builder,
) -> None:  # fmt: skip
    """What is in one store is worth 0.10 a kWh, in the other 0.20: the first feeds; the other draws."""
    cheap, dear = a_resource("bess", "cheap"), a_resource("bess", "dear")
    park = a_park(cheap, dear)
    state = a_state(park, a_reading(cheap), a_reading(dear))
    values = {"cheap": np.full(96, 0.10), "dear": np.full(96, 0.20)}
    plan = replace(a_schedule(park, {}), stored_value_per_kwh=values)

    assert share_of(park, state, plan, owed_kw=500.0) == {"cheap": pytest.approx(500), "dear": 0}
    assert share_of(park, state, plan, owed_kw=-500.0) == {"cheap": 0, "dear": pytest.approx(-500)}


@pytest.mark.parametrize(
    ("rule", "soc", "moved_kw"),
    [
        (Rule.PROPORTIONAL, (0.5, 0.5), (300, 100)),
        (Rule.EQUAL_LEVEL, (0.5, 0.5), (200, 200)),
        (Rule.EQUAL_SOC, (0.6, 0.2), (400, 0)),
        (Rule.LEAST_CORRECTION, (0.5, 0.5), (200, 200)),
    ],
)
def test_each_rule_shares_the_residual_in_its_own_way(
    a_resource: Builder,
    a_reading: Builder,
    shared: Builder,
    rule: Rule,
    soc: tuple[float, float],
    moved_kw: tuple[float, float],
) -> None:
    """Up to 600 and 200 kW."""
    big = a_resource("bess", "big", max_discharge_kw=600.0)
    small = a_resource("bess", "small", max_discharge_kw=200.0)
    members = [(r, 0, a_reading(r, soc=s)) for r, s in zip((big, small), soc, strict=True)]

    found = shared(members, owed_kw=400, manner=Manner(rule=rule))

    assert (found["big"], found["small"]) == pytest.approx(moved_kw, abs=0.01)


@pytest.mark.parametrize("rule", list(Rule))
def test_a_store_that_holds_nothing_or_does_not_say_what_stops_no_share(
    a_resource: Builder, a_reading: Builder, shared: Builder, rule: Rule
) -> None:
    empty = a_resource("bess", "none", capacity_kwh=0.0)
    mute, bess = a_resource("bess", "mute"), a_resource("bess")
    members = [(empty, 0, a_reading(empty)), (mute, 0, a_reading(mute, soc=None))]
    members.append((bess, 0, a_reading(bess)))

    found = shared(members, owed_kw=300, manner=Manner(rule=rule))

    assert found == {"none": 0, "bess": pytest.approx(300)}


def test_the_share_of_one_that_is_left_out_or_held_goes_to_the_others(
    a_resource: Builder, a_reading: Builder, a_park: Builder, a_state: Builder,
    a_schedule: Builder, share_of: Builder,
) -> None:  # fmt: skip
    one, two = a_resource("bess", "one"), a_resource("bess", "two")
    park = a_park(one, two)
    state = a_state(park, a_reading(one), a_reading(two))
    plan = a_schedule(park, {"one": 200.0, "two": 200.0})
    nan, wide = np.full(2, np.nan), np.full(2, np.inf)

    out = share_of(park, state, plan, owed_kw=400.0, usable=np.array([False, True]))
    held = Bounds(low_kw=-wide, high_kw=wide, held_kw=np.array([-50.0, np.nan]))
    in_hand = share_of(park, state, plan, owed_kw=400.0, bounds=held)
    narrow = Bounds(low_kw=-wide, high_kw=np.array([100.0, np.inf]), held_kw=nan)
    bound = share_of(park, state, plan, owed_kw=400.0, bounds=narrow)

    assert out == {"two": pytest.approx(400)}
    assert in_hand == {"one": -50, "two": pytest.approx(450)}
    assert bound == {"one": 100, "two": pytest.approx(300)}


def test_stores_hold_each_gate_at_its_ceiling_and_then_all_together_what_is_above(
    a_resource: Builder,
    a_reading: Builder,
    a_park: Builder,
    a_state: Builder,
    a_schedule: Builder,
    share_of: Builder,
) -> None:
    """300 kW drawn at each of three gates, two above their ceilings; then 750 kW where the mill may draw 700."""
    gates = ("cp1", "cp2", "cp3")
    stores = [a_resource("bess", f"bess-{gate}", point=gate) for gate in gates]
    loads = [a_resource("base", f"base-{gate}", point=gate) for gate in gates]
    park = a_park(*stores, *loads, enterprise=Limits(import_kw=700))
    state = a_state(
        park,
        *(a_reading(store, soc=0.5) for store in stores),
        *(a_reading(load, -300.0) for load in loads),
    )
    plan = a_schedule(park, {load.resource_id: -300.0 for load in loads})
    ceilings = {"cp1": 200.0, "cp2": 250.0, "cp3": 400.0}

    wanted = share_of(park, state, plan, import_ceiling_kw=ceilings)

    alone = {"cp1": 100.0, "cp2": 50.0, "cp3": 0.0}
    together = {
        gate: 50 * (1000 - alone[gate]) / 2850 for gate in gates
    }  # by the room each has left
    assert wanted == {f"bess-{gate}": pytest.approx(alone[gate] + together[gate]) for gate in gates}
