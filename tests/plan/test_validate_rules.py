"""Each rule of the validator on its own: stores, sources, loads that are called, runs.

A plan made for a freer park is refused by a stricter one (`stricter.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.plan.stricter import kept_apart, refused, stricter, told
from vpp.model.measurement import RunPhase
from vpp.model.resource import Rebound
from vpp.model.time import QUARTER

HOUR = timedelta(hours=1)


# ---------------------------------------------------------------- stores


@pytest.mark.parametrize(
    ("soc", "change", "word"),
    [
        pytest.param(
            0.8, {"charge_taper_soc": 0.5}, "bat: charge_taper_soc: 80.0", id="fills a full one"
        ),
        pytest.param(
            0.8, {"max_charge_kw": 79.0}, "bat: max_charge_kw, max_discharge_kw: -80", id="charges"
        ),
        pytest.param(
            0.8,
            {"max_discharge_kw": 99.0},
            "bat: max_charge_kw, max_discharge_kw: 100",
            id="discharges",
        ),
        pytest.param(0.8, {"capacity_kwh": 90.0}, "bat: step 0", id="a smaller one"),
        pytest.param(0.8, {"min_soc": 0.6}, "bat: step 2 ends at 50", id="below its least"),
        pytest.param(
            0.8, {"standing_loss_per_h": 0.1}, "bat: step 0 stores 97", id="loses by standing"
        ),
        pytest.param(0.8, {"charge_efficiency": 0.9}, "bat: step 0 stores 98", id="loses going in"),
        pytest.param(
            0.8, {"discharge_efficiency": 0.9}, "bat: step 1 stores 72", id="loses going out"
        ),
        pytest.param(
            0.8,
            {"max_cycles_per_day": 0.4},
            "bat: max_cycles_per_day: 100.000000 kWh on 2025-12-03, allowed 40",
            id="cycles",
        ),
        pytest.param(
            0.2, {"discharge_taper_soc": 1.0}, "bat: discharge_taper_soc: 100.0", id="nearly empty"
        ),
    ],
)
def test_a_store_that_could_not_follow_is_refused(
    lab: Any, soc: float, change: dict[str, Any], word: str
) -> None:
    """It takes 20 kWh (or 25) in a cheap quarter and gives 25 in each dear one."""
    view, schedule = kept_apart(
        lab, lab.battery(), [0.1, 0.6, 0.5, 0.4, 0.3], {"soc": soc}, step=QUARTER
    )

    refused(lab, schedule, stricter(view, "bat", change), word)


def test_what_was_discharged_today_counts_for_the_cycles_of_today(lab: Any) -> None:
    view, schedule = kept_apart(lab, lab.battery(max_cycles_per_day=0.5), [0.5], {"soc": 1.0})
    assert lab.power(schedule, "bat").tolist() == [50]

    later = told(view, "bat", {"discharged_today_kwh": 20.0})

    refused(
        lab, schedule, later, "bat: max_cycles_per_day: 50.000000 kWh on 2025-12-03, allowed 30"
    )


def test_a_share_of_power_that_is_not_there_is_refused(lab: Any) -> None:
    view, schedule = kept_apart(
        lab,
        lab.battery(power_series_id="cold"),
        [0.5],
        {"soc": 1.0},
        power_share={"cold": [1.0]},
    )
    colder = replace(view.power_share["cold"], values=view.power_share["cold"].values * 0.5)

    refused(
        lab,
        schedule,
        replace(view, power_share={"cold": colder}),
        "bat: max_charge_kw, max_discharge_kw: 100.000000 kW in step 0, allowed -50",
    )


# ---------------------------------------------------------------- generators


@pytest.mark.parametrize(
    ("price", "rules", "change", "word"),
    [
        pytest.param([0.4], None, {"max_feed_kw": 50.0}, "engine: power: 100.0", id="too large"),
        pytest.param([0.1], None, {"must_run_share": 0.5}, "engine: power: 0.0", id="must run"),
        pytest.param(
            [0.1, 0.4], None, {"ramp_kw_per_min": 0.5}, "engine: ramp_kw_per_min: 100.0", id="ramp"
        ),
        pytest.param(
            [0.1, 0.4, 0.1],
            {},
            {"min_up": 2 * HOUR},
            "engine: min_up: starts in step 1",
            id="stops too soon",
        ),
        pytest.param(
            [0.4, 0.1, 0.4],
            {},
            {"min_down": 2 * HOUR},
            "engine: min_down: stops in step 1",
            id="starts again too soon",
        ),
        pytest.param(
            [0.4, 0.1, 0.4],
            {},
            {"max_starts_per_day": 1},
            "engine: max_starts_per_day: 2 starts on 2025-12-03, allowed 1",
            id="too many starts",
        ),
        pytest.param(
            [0.4, 0.1, 0.4],
            {},
            {"max_hours_per_day": 1.0},
            "engine: max_hours_per_day: 2.000000 h on 2025-12-03, allowed 1.0",
            id="too many hours",
        ),
    ],
)
def test_an_engine_that_could_not_follow_is_refused(
    lab: Any, price: list[float], rules: Any, change: dict[str, Any], word: str
) -> None:
    """Its fuel is 0.2 a kWh: it runs where the price is 0.4."""
    on_off = None if rules is None else lab.rules(min_power_kw=10.0)
    engine = lab.source(cost_per_kwh=0.2, on_off=on_off)
    view, schedule = kept_apart(lab, engine, price, {"phase": RunPhase.WAITING})
    of_rules = {
        k: v for k, v in change.items() if k in ("min_up", "min_down", "max_starts_per_day")
    }
    if of_rules:
        change = {"on_off": lab.rules(min_power_kw=10.0, **of_rules)}

    refused(lab, schedule, stricter(view, "engine", change), word)


def test_an_engine_below_its_least_power_is_refused(lab: Any) -> None:
    """No more than 30 kW may leave the site."""
    engine = lab.source(cost_per_kwh=0.2, on_off=lab.rules())
    view, schedule = kept_apart(lab, engine, [0.4], {}, point_limits=lab.limits(export_kw=30))
    assert lab.power(schedule, "engine").tolist() == [30]

    change = {"on_off": lab.rules(min_power_kw=40.0)}

    refused(lab, schedule, stricter(view, "engine", change), "engine: power: 30.0")


@pytest.mark.parametrize(
    ("phase", "price", "word"),
    [
        pytest.param(RunPhase.RUNNING, 0.1, "engine: min_up: is off in step 0", id="runs"),
        pytest.param(RunPhase.WAITING, 0.4, "engine: min_down: is on in step 0", id="rests"),
    ],
)
def test_what_began_before_the_plan_must_last(
    lab: Any, phase: RunPhase, price: float, word: str
) -> None:
    engine = lab.source(cost_per_kwh=0.2, on_off=lab.rules(min_up=HOUR, min_down=HOUR))
    view, schedule = kept_apart(
        lab, engine, [price, price], lab.running(phase, lab.noon - 4 * HOUR)
    )

    later = told(view, "engine", lab.running(phase, lab.noon - QUARTER))

    refused(lab, schedule, later, word)


def test_an_engine_off_that_feeds_is_refused(lab: Any) -> None:
    engine = lab.source(cost_per_kwh=0.2, on_off=lab.rules())
    view, schedule = kept_apart(lab, engine, [0.4], {})

    lie = replace(schedule, on={"engine": ~schedule.on[view.park.resources[0].resource_id]})

    refused(lab, lie, view, "engine: power: 100.000000 kW in step 0, allowed 0.0")


# ---------------------------------------------------------------- loads that come by themselves


@pytest.mark.parametrize(
    ("price", "longest", "change", "word"),
    [
        pytest.param(
            [0.9], None, {"curtailable_share": 0.4}, "shop: curtailable_share: 50.0", id="too far"
        ),
        pytest.param(
            [0.9, 0.1, 0.9],
            HOUR,
            {"max_calls_per_day": 1},
            "shop: max_calls_per_day: 2 calls on 2025-12-03, allowed 1",
            id="too often",
        ),
        pytest.param(
            [0.9, 0.1, 0.9],
            HOUR,
            {"rest": 2 * HOUR},
            "shop: rest: called in step 2",
            id="too soon after another",
        ),
        pytest.param(
            [0.1, 0.9, 0.9],
            None,
            {"longest_call": HOUR},
            "shop: longest_call: 2 steps from step 1",
            id="too long",
        ),
        pytest.param(
            [0.1, 0.9],
            None,
            {"notice": 2 * HOUR},
            "shop: notice: called in step 1",
            id="too suddenly",
        ),
    ],
)
def test_a_load_that_is_turned_down_as_nobody_promised_is_refused(
    lab: Any, price: list[float], longest: Any, change: dict[str, Any], word: str
) -> None:
    """Half of 100 kW may be turned down at 0.2 a kWh."""
    view, schedule = kept_apart(
        lab,
        lab.curtailable(max_calls_per_day=9, longest_call=longest),
        price,
        {},
        base_kw={"shop": [-100.0] * len(price)},
    )

    refused(lab, schedule, stricter(view, "shop", change), word)


def test_a_load_that_is_turned_down_already_may_not_be_for_longer_than_it_was_promised(
    lab: Any,
) -> None:
    """Since 11:00, and for two hours more: three hours, where two were promised."""
    view, schedule = kept_apart(
        lab,
        lab.curtailable(max_calls_per_day=1),
        [0.9, 0.9, 0.1],
        {"calls_today": 1, **lab.running(RunPhase.CALLED, lab.noon - HOUR)},
        base_kw={"shop": [-100.0] * 3},
    )
    assert lab.power(schedule, "shop").tolist() == [-50, -50, -100]

    shorter = stricter(view, "shop", {"longest_call": 2 * HOUR})

    refused(lab, schedule, shorter, "shop: longest_call: goes on for 2 steps after 1:00:00")


def test_calls_of_today_count_and_silence_is_no_promise(lab: Any) -> None:
    view, schedule = kept_apart(
        lab, lab.curtailable(max_calls_per_day=1), [0.9], {}, base_kw={"shop": [-100.0]}
    )

    again = told(view, "shop", {"calls_today": 1})
    silent = told(view, "shop", None)
    unsaid = replace(schedule, starts={}, start_lengths={})

    refused(lab, schedule, again, "shop: max_calls_per_day: 1 calls on 2025-12-03, allowed 0")
    refused(lab, schedule, silent, "shop: not turned down, not heard: 50")
    refused(lab, unsaid, view, "shop: 50.000000 kW turned down in step 0, outside its calls")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"max_calls_per_day": 1}, "mill: 2 calls on", id="too often"),
        pytest.param({"rest": 2 * HOUR}, "mill: rest: the call at 2025-12-03 15:00", id="no rest"),
        pytest.param({"callable_hours": (13,)}, "mill: a call starts at 2025-12-03 15", id="hours"),
        pytest.param({"notice": 3 * HOUR}, "mill: notice: the call at 2025-12-03 13", id="sudden"),
        pytest.param(
            {"call_length": 2 * HOUR, "longest_call": 2 * HOUR},
            "mill: call_length: the call at",
            id="short",
        ),
        pytest.param({"rated_draw_kw": 90.0}, "mill: draw: -100", id="draws more than it can"),
        pytest.param(
            {"rebound": Rebound(share=0.5, delay=timedelta(0), length=HOUR)},
            "mill: draw: -100.000000 kW in step 2, allowed -150",
            id="catches up unsaid",
        ),
    ],
)
def test_a_process_that_is_called_as_nobody_promised_is_refused(
    lab: Any, change: dict[str, Any], word: str
) -> None:
    """Called at 13:00 and 15:00 for an hour each."""
    process = lab.process(max_calls_per_day=2, call_cost_per_kwh=0.0)
    view, schedule = kept_apart(lab, process, [0.1, 0.9, 0.1, 0.9, 0.1], {})
    assert schedule.starts["mill"] == (1, 3)
    if "longest_call" in change:  # both must be said, or the plan is read as one of other calls
        schedule = replace(schedule, start_lengths={"mill": (1, 1)})

    refused(lab, schedule, stricter(view, "mill", change), word)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        pytest.param("mill", "mill: rest: the call at 2025-12-03 13:00 comes 1:15:00", id="called"),
        pytest.param("shop", "shop: rest: called in step 1", id="turned down"),
    ],
)
def test_a_load_rests_from_the_call_before_the_plan_too(lab: Any, kind: str, word: str) -> None:
    """Its last call ended a quarter before the plan begins, the next one is an hour into it."""
    made = lab.process() if kind == "mill" else lab.curtailable(rest=QUARTER)
    view, schedule = kept_apart(lab, made, [0.1, 0.9, 0.1], {}, base_kw={"shop": [-100.0] * 3})
    assert schedule.starts[made.resource_id] == (1,)
    earlier = told(view, kind, lab.running(RunPhase.WAITING, lab.noon - QUARTER))

    assert lab.violations(schedule, stricter(earlier, kind, {"rest": HOUR}), lab.terms(view)) == ()
    refused(lab, schedule, stricter(earlier, kind, {"rest": 2 * HOUR}), word)


def test_a_call_under_way_that_lasts_too_long_is_refused(lab: Any) -> None:
    """Since 11:00, at least an hour, at most three: the plan lets it last until 13:00."""
    view, schedule = kept_apart(
        lab,
        lab.process(call_length=HOUR, longest_call=3 * HOUR),
        [0.9, 0.1],
        lab.running(RunPhase.CALLED, lab.noon - HOUR),
    )
    assert schedule.longer_until == {"mill": 1}

    shorter = stricter(view, "mill", {"longest_call": HOUR})
    waiting = told(view, "mill", {"phase": RunPhase.WAITING})

    refused(lab, schedule, shorter, "mill: longest_call: the call under way would last 2:00:00")
    refused(lab, schedule, waiting, "mill: has no call under way that could last until step 1")
    lie = replace(schedule, longer_until={"mill": 99})
    refused(lab, lie, view, "mill: has no call under way that could last until step 99")


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize(
    ("starts", "word"),
    [
        pytest.param((0, 1), "oven: starts at 2025-12-03 11:15:00+00:00, while its", id="at once"),
        pytest.param((0,), "oven: 1 chosen starts on 2025-12-03, not 2", id="once too little"),
        pytest.param((0, 7), "oven: starts at 2025-12-03 12:45:00+00:00, its window", id="late"),
    ],
)
def test_runs_that_get_in_each_others_way_are_refused(
    lab: Any, starts: tuple[int, ...], word: str
) -> None:
    """Twice two quarters between 12:00 and 14:00."""
    view, schedule = kept_apart(
        lab, lab.run(runs_per_day=2), [0.1, 0.1, *[0.9] * 4, 0.1, 0.1], {}, step=QUARTER
    )
    assert schedule.starts["oven"] == (0, 6)

    found = lab.violations(
        replace(schedule, starts={"oven": starts}, start_lengths={}), view, lab.terms(view)
    )

    assert found[0].startswith(word), found


def test_a_run_before_the_one_it_waits_for_is_refused(lab: Any) -> None:
    """The oven costs least at 12:00, the mixer at 13:30."""
    view = lab.view(
        lab.run("mixer"),
        lab.run("oven", latest_end=lab.clock("13:00"), default_start=lab.clock("12:00")),
        price=[0.1, 0.4, 0.4, 0.4, 0.4, 0.4, 0.05, 0.05],
        step=QUARTER,
        readings=[lab.reading("mixer"), lab.reading("oven")],
    )
    schedule = lab.plan(view)
    assert (schedule.starts["mixer"], schedule.starts["oven"]) == ((6,), (0,))

    waiting = stricter(view, "mixer", {"after": "oven"})
    later = stricter(view, "oven", {"after": "mixer"})

    assert lab.violations(schedule, waiting, lab.terms(view)) == ()
    refused(lab, schedule, later, "oven: after: starts at")
