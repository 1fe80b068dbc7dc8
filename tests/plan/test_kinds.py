"""What may be moved beside batteries: sun, processes and runs, each by hand (`test_zones.py`, `test_cars.py`)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import timedelta
from math import nan
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.measurement import RunPhase
from vpp.model.resource import OnOffRules, Storage
from vpp.model.time import QUARTER

# ---------------------------------------------------------------- generators


@pytest.mark.parametrize(
    ("price", "network_per_kwh", "export_kw", "feed_kw"),
    [
        pytest.param([0.1], 0.0, 1000.0, 100, id="a good price: all of it"),
        pytest.param([-0.1], 0.0, 1000.0, 0, id="a negative price: none"),
        pytest.param([0.1], 0.0, 60.0, 60, id="no more than may leave"),
        pytest.param([-0.1], 0.05, 1000.0, 0, id="the network's price does not save 0.10"),
    ],
)
def test_sun_is_curtailed_only_where_feeding_costs(
    lab: Any, price: Sequence[float], network_per_kwh: float, export_kw: float, feed_kw: float
) -> None:
    view = lab.view(
        lab.pv(),
        price=price,
        available_kw={"pv": [100.0]},
        network_per_kwh=network_per_kwh,
        point_limits=lab.limits(export_kw=export_kw),
    )

    assert lab.power(lab.plan(view), "pv").tolist() == [feed_kw]


def test_sun_that_replaces_import_is_curtailed_only_beyond_the_network_price(lab: Any) -> None:
    """60 kW of load: its kWh costs -0.1 + 0.15 = 0.05, so sun covers it; none is exported at -0.1."""
    view = lab.view(
        lab.pv(),
        lab.load(),
        price=[-0.1],
        base_kw={"load": [-60.0]},
        available_kw={"pv": [100.0]},
        network_per_kwh=0.15,
    )

    assert lab.power(lab.plan(view), "pv").tolist() == [60]


def test_a_forecast_below_zero_is_no_generation(lab: Any) -> None:
    view = lab.view(lab.pv(), price=[0.1], available_kw={"pv": [-0.5]})

    assert lab.power(lab.plan(view), "pv").tolist() == [0]


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize(
    ("price", "said", "reading", "starts"),
    [
        pytest.param([0.1, 0.6, 0.1], {}, {}, (1,), id="a price above its cost"),
        pytest.param([0.1, 0.4, 0.1], {}, {}, (), id="a price below its cost"),
        pytest.param([0.9, 0.1, 0.1], {}, {}, (), id="12:00 is no hour for calls"),
        pytest.param([0.1, 0.6, 0.8], {}, {}, (2,), id="one call a day: the dearer hour"),
        pytest.param(
            [0.1, 0.6, 0.1, 0.7],
            {"max_calls_per_day": 2},
            {},
            (1, 3),
            id="two calls a day: both dear hours",
        ),
        pytest.param(
            [0.1, 0.6, 0.7, 0.1],
            {"max_calls_per_day": 2},
            {},
            (2,),
            id="two calls do not follow each other without a pause",
        ),
        pytest.param(
            [0.1, 0.6, 0.1, 0.7],
            {"max_calls_per_day": 2},
            {"calls_today": 1},
            (3,),
            id="one of two calls is used",
        ),
        pytest.param([0.1, 0.6, 0.8], {}, {"calls_today": 1}, (), id="no call is left today"),
        pytest.param(
            [0.1, 0.6, 0.8], {"max_calls_per_day": 0}, {}, (), id="a process nobody may call"
        ),
        pytest.param(
            [0.1, 0.9, 0.2],
            {"call_length": timedelta(hours=2)},
            {},
            (1,),
            id="a call of two hours pays on its mean of 0.55",
        ),
        pytest.param(
            [0.1, 0.7, 0.2],
            {"call_length": timedelta(hours=2)},
            {},
            (),
            id="a call of two hours does not pay on a mean of 0.45",
        ),
        pytest.param(
            [0.1, 0.9], {"call_length": timedelta(hours=2)}, {}, (), id="past the horizon"
        ),
        pytest.param([0.1, 0.9], {"operating_days": (0, 1)}, {}, (), id="closed on Wednesdays"),
    ],
)
def test_a_process_is_called_where_the_price_exceeds_its_cost(
    lab: Any,
    price: Sequence[float],
    said: dict[str, Any],
    reading: dict[str, Any],
    starts: tuple[int, ...],
) -> None:
    view = lab.view(lab.process(**said), price=price, readings=[lab.reading("mill", **reading)])

    schedule = lab.plan(view)

    length = said.get("call_length", timedelta(hours=1)) // timedelta(hours=1)
    off = {start + hour for start in starts for hour in range(length)}
    open_today = "operating_days" not in said
    assert schedule.starts.get("mill", ()) == starts
    assert lab.power(schedule, "mill").tolist() == [
        -100 if open_today and step not in off else 0 for step in range(len(price))
    ]
    assert schedule.cost_by_cause["calls"] == pytest.approx(50 * len(off))


@pytest.mark.parametrize(
    ("minutes", "expected_kw"),
    [
        pytest.param(-30, [0, 0, -100, -100], id="half of it is over"),
        pytest.param(-60, [-100] * 4, id="it ends as the plan begins"),
        pytest.param(
            5, [0, 0, 0, 0, 0, -100], id="it began after the step did, and the plan is late"
        ),
    ],
)
def test_a_running_call_goes_on_to_its_end(
    lab: Any, minutes: int, expected_kw: list[float]
) -> None:
    began = lab.noon + timedelta(minutes=minutes)
    reading = lab.reading("mill", calls_today=1, **lab.running(RunPhase.CALLED, began))
    view = lab.view(lab.process(), price=[0.1] * len(expected_kw), readings=[reading], step=QUARTER)

    assert lab.power(lab.plan(view), "mill").tolist() == expected_kw


def test_a_call_that_no_step_begins_with_is_not_made(lab: Any) -> None:
    """Hours from 12:30 on: none of them starts at 13:00, 14:00 or 15:00."""
    start = lab.noon + timedelta(minutes=30)
    view = lab.view(lab.process(), price=[0.9] * 4, start=start, readings=[lab.reading("mill")])

    assert lab.plan(view).starts == {}


def test_calls_of_yesterday_do_not_count_today(lab: Any) -> None:
    yesterday = lab.noon - timedelta(days=1)
    view = lab.view(
        lab.process(),
        price=[0.1, 0.6],
        readings=[lab.reading("mill", calls_today=1, measured_at=yesterday)],
    )

    assert lab.plan(view).starts["mill"] == (1,)


# ---------------------------------------------------------------- runs

QUARTERS = {"step": QUARTER}


@pytest.mark.parametrize(
    ("price", "said", "reading", "power_kw"),
    [
        pytest.param(
            [0.3, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3, 0.3],
            {},
            {},
            [0, 0, 0, -40, -80, 0, 0, 0],
            id="at the cheapest start",
        ),
        pytest.param(
            [0.2, 0.1, 0.25, 0.1, 0.3, 0.3, 0.3, 0.3],
            {},
            {},
            [-40, -80, 0, 0, 0, 0, 0, 0],
            id="the dearer half where it draws less",
        ),
        pytest.param(
            [0.3] * 8 + [0.0, 0.0],
            {"earliest_start": "12:45", "latest_end": "13:15", "default_start": "12:45"},
            {},
            [0, 0, 0, -40, -80, 0, 0, 0, 0, 0],
            id="a window with one start",
        ),
        pytest.param(
            [0.3, 0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.1, 0.0, 0.0],
            {},
            {},
            [0, 0, 0, 0, 0, 0, -40, -80, 0, 0],
            id="never past the end of its window",
        ),
        pytest.param(
            [0.3, 0.3, 0.3, 0.3, 0.1, 0.1],
            {},
            {},
            [0, 0, -40, -80, 0, 0],
            id="a window that the horizon cuts: its default start",
        ),
        pytest.param(
            [0.3, 0.3, 0.1, 0.1] * 2,
            {},
            {"phase": "running", "minutes_ago": 15},
            [-80, 0, 0, 0, 0, 0, 0, 0],
            id="a run that runs goes on",
        ),
        pytest.param(
            [0.3, 0.3, 0.1, 0.1] * 2,
            {},
            {"phase": "done", "minutes_ago": 15},
            [0] * 8,
            id="a run that is done is not repeated",
        ),
        pytest.param(
            [0.3, 0.3, 0.1, 0.1] * 2, {"run_days": (5, 6)}, {}, [0] * 8, id="not on a Wednesday"
        ),
        pytest.param(
            [0.3, 0.3, 0.1, 0.1] * 2,
            {},
            None,
            [0, 0, -40, -80, 0, 0, 0, 0],
            id="unknown: its default",
        ),
    ],
)
def test_a_run_happens_once_at_the_cheapest_start(
    lab: Any,
    price: Sequence[float],
    said: dict[str, Any],
    reading: dict[str, Any] | None,
    power_kw: Sequence[float],
) -> None:
    times = {k: lab.clock(v) if isinstance(v, str) else v for k, v in said.items()}
    known = []
    if reading is not None:
        phase = {}
        if reading:
            since = lab.noon - timedelta(minutes=reading["minutes_ago"])
            phase = lab.running(RunPhase(reading["phase"]), since)
        known = [lab.reading("oven", **phase)]
    view = lab.view(lab.run(**times), price=price, readings=known, **QUARTERS)

    assert lab.power(lab.plan(view), "oven").tolist() == list(power_kw)


def test_a_window_may_end_with_the_day(lab: Any) -> None:
    """23:59 is how 24:00 is written: the last quarter-hour of the day can be used."""
    evening = lab.noon + timedelta(hours=11)  # 23:00 in Stockholm
    run = lab.run(
        earliest_start=lab.clock("23:00"),
        latest_end=lab.clock("23:59"),
        default_start=lab.clock("23:30"),
    )
    view = lab.view(
        run,
        price=[0.4, 0.3, 0.2, 0.1, 0.0, 0.0],
        start=evening,
        readings=[lab.reading("oven", measured_at=evening)],
        **QUARTERS,
    )

    assert lab.power(lab.plan(view), "oven").tolist() == [0, 0, -40, -80, 0, 0]


@pytest.mark.parametrize("phase", [RunPhase.DONE, RunPhase.RUNNING])
def test_what_a_device_said_before_midnight_is_about_yesterday(lab: Any, phase: RunPhase) -> None:
    midnight = lab.noon + timedelta(hours=12)  # in Stockholm
    earlier = midnight - timedelta(minutes=1)
    run = lab.run(
        earliest_start=lab.clock("00:00"),
        latest_end=lab.clock("01:00"),
        default_start=lab.clock("00:00"),
    )
    reading = lab.reading("oven", measured_at=earlier, **lab.running(phase, earlier))
    view = lab.view(run, price=[0.3, 0.3, 0.1, 0.1], start=midnight, readings=[reading], **QUARTERS)

    assert lab.power(lab.plan(view), "oven").tolist() == [0, 0, -40, -80]


def test_a_passed_window_is_over(lab: Any) -> None:
    view = lab.view(
        lab.run(earliest_start=lab.clock("08:00"), latest_end=lab.clock("10:00"),
                default_start=lab.clock("09:00")),
        price=[0.1] * 4,
        readings=[lab.reading("oven")],
        **QUARTERS,
    )  # fmt: skip

    assert lab.power(lab.plan(view), "oven").tolist() == [0] * 4


def test_two_days_have_a_run_each(lab: Any) -> None:
    price = np.full(2 * 96, 0.3)
    price[[2, 3, 98, 99]] = 0.1
    view = lab.view(lab.run(), price=price.tolist(), readings=[lab.reading("oven")], **QUARTERS)

    assert lab.plan(view).starts["oven"] == (2, 98)


@pytest.mark.parametrize(
    ("resource", "reading", "step"),
    [
        pytest.param("run", "oven", timedelta(hours=1), id="a run of quarter-hours in hours"),
        pytest.param(
            "process", "mill", timedelta(minutes=25), id="a call of an hour in 25 minutes"
        ),
    ],
)
def test_steps_that_do_not_fit_are_refused_in_words(
    lab: Any, resource: str, reading: str, step: timedelta
) -> None:
    view = lab.view(
        getattr(lab, resource)(), price=[0.1] * 8, readings=[lab.reading(reading)], step=step
    )

    with pytest.raises(DataError, match=reading):
        lab.outcome(view)


# ---------------------------------------------------------------- all kinds


def test_unknown_cars_and_processes_are_left_alone(lab: Any) -> None:
    view = lab.view(
        lab.cars(),
        lab.process(),
        price=[0.1, 0.9],
        arriving_kw={"cars": [-3.0, -4.0]},
    )

    schedule = lab.plan(view)

    assert lab.power(schedule, "cars").tolist() == [-3, -4]
    assert lab.power(schedule, "mill").tolist() == [-100, -100]


@pytest.mark.parametrize(
    ("kind", "said", "what"),
    [
        pytest.param("process", {"callable_hours": (24,)}, "callable_hours", id="hour of a call"),
        pytest.param(
            "source",
            {"on_off": OnOffRules(), "max_hours_per_day": -1.0},
            "max_hours_per_day",
            id="hours a day",
        ),
        pytest.param(
            "flexible",
            {"unserved_cost_per_unit": -1.0},
            "unserved_cost_per_unit",
            id="price of lack",
        ),
        pytest.param("flexible", {"value_per_unit": nan}, "value_per_unit", id="worth of a unit"),
    ],
)
def test_numbers_that_no_plan_could_use_are_refused_where_they_enter(
    lab: Any, kind: str, said: dict[str, Any], what: str
) -> None:
    with pytest.raises(DataError, match=what):
        getattr(lab, kind)("thing", **said)


def test_a_park_gathers_its_kinds_once_and_takes_none_of_it_along(lab: Any) -> None:
    park = lab.view(lab.battery(), lab.load(), price=[0.0]).park
    plain = pickle.dumps(park)
    stores = park.kindred(Storage)
    assert [unit.resource_id for unit in stores.units] == [
        one.resource_id for one in park.resources if isinstance(one, Storage)
    ]
    assert [park.resources[row] for row in stores.rows] == list(stores.units)
    stores.column("capacity_kwh")
    assert park.kindred(Storage) is stores
    assert pickle.dumps(park) == plain
