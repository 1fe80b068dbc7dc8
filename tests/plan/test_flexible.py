"""Flexible loads: work in windows of local time, at the cheapest steps, with and without choice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import numpy as np
import pytest

from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.measurement import RunPhase
from vpp.model.resource import WORKDAYS, OnOffRules
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER
from vpp.plan.compile import build
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.view import PaidPeak

HOUR = timedelta(hours=1)
NOON = datetime(2025, 12, 3, 11, tzinfo=UTC)  # 12:00 in Stockholm
PEAK = PaidPeak(
    connection_point_id=ConnectionPointId("cp-a"),
    first_step=0,
    last_step=3,
    price_per_kw=1.0,
    paid_kw=0.0,
)
NOON_KEY = "pump/2025-12-03T11:00:00Z"


def planned(
    lab: Any, *loads: Any, price: list[float], said: dict[str, Any] | None = None, **more: Any
) -> Schedule:
    """A plan from noon on; each load has a reading, with what is `said`."""
    readings = [lab.reading(load.resource_id, **(said or {})) for load in loads]
    schedule: Schedule = lab.plan(lab.view(*loads, price=price, readings=readings, **more))
    return schedule


def test_work_is_done_in_the_cheapest_hours_of_its_window(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "15:00", 15))

    schedule = planned(lab, pump, price=[0.3, 0.1, 0.2, 0.0])

    assert lab.power(schedule, "pump").tolist() == [0, -10, -5, 0]
    assert schedule.undone_units == {NOON_KEY: pytest.approx(0)}
    assert schedule.cost == pytest.approx(10 * 0.1 + 5 * 0.2)


def test_each_window_of_a_shift_calendar_gets_its_own_work(lab: Any) -> None:
    early = lab.window("12:00", "14:00", 10, days=WORKDAYS)
    late = lab.window("14:00", "16:00", 10, days=WORKDAYS)
    sunday = lab.window("12:00", "16:00", 40, days=(6,))

    schedule = planned(lab, lab.flexible("pump", early, late, sunday), price=[0.4, 0.3, 0.2, 0.1])

    assert lab.power(schedule, "pump").tolist() == [0, -10, 0, -10]
    assert list(schedule.undone_units) == [NOON_KEY, "pump/2025-12-03T13:00:00Z"]


@pytest.mark.parametrize(
    ("said", "price", "draws", "causes", "undone"),
    [
        pytest.param(
            {"unserved_cost_per_unit": 100.0},
            [0.1, 0.1],
            [-10, -10],
            {"unserved": 1000.0},
            10.0,
            id="what a window cannot hold is lacking",
        ),
        pytest.param(
            {"unserved_cost_per_unit": 0.2},
            [0.1, 0.3],
            [-10, 0],
            {"unserved": 4.0},
            20.0,
            id="what is dearer than its worth is left undone",
        ),
        pytest.param(
            {"value_per_unit": 0.2, "unserved_cost_per_unit": 0.0},
            [0.1, 0.3],
            [-10, 0],
            {"product value": -2.0},
            20.0,
            id="a product is made while it earns more than its energy costs",
        ),
    ],
)
def test_work_that_may_lack_has_a_price(
    lab: Any,
    said: dict[str, Any],
    price: list[float],
    draws: list[float],
    causes: dict[str, float],
    undone: float,
) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "14:00", 30), **said)

    schedule = planned(lab, pump, price=price)

    assert lab.power(schedule, "pump").tolist() == draws
    assert schedule.undone_units[NOON_KEY] == pytest.approx(undone)
    for cause, cost in causes.items():
        assert schedule.cost_by_cause[cause] == pytest.approx(cost)


def test_work_is_counted_in_units_of_the_product(lab: Any) -> None:
    crusher = lab.flexible(
        "crusher",
        lab.window("12:00", "14:00", 2, most_units=3),
        unit="t",
        kwh_per_unit=50.0,
        max_draw_kw=100.0,
        value_per_unit=10.0,
    )

    schedule = planned(lab, crusher, price=[0.1, 0.15])

    # 3 t are 150 kWh, each worth 0.20; the window has room for 200 kWh.
    assert lab.power(schedule, "crusher").tolist() == [-100, -50]
    assert schedule.cost_by_cause["product value"] == pytest.approx(-30)


def test_a_window_that_must_get_its_least_and_cannot_gets_all_there_is_and_says_so(
    lab: Any,
) -> None:
    """A plan for the whole park is not lost because one machine is late."""
    pump = lab.flexible("pump", lab.window("12:00", "14:00", 30), unserved_cost_per_unit=None)

    schedule = planned(lab, pump, price=[0.1, 9.0])

    assert lab.power(schedule, "pump").tolist() == [-10, -10]
    (broken,) = schedule.broken
    assert broken.limit == "pump: least_units"
    assert broken.most == pytest.approx(10)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(10 * lab.excess_per_kwh)


def test_a_load_that_is_not_heard_draws_its_default_in_its_windows(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("13:00", "15:00", 20), default_draw_kw=4.0)

    schedule = lab.plan(lab.view(pump, price=[0.1] * 4))

    assert lab.power(schedule, "pump").tolist() == [0, -4, -4, 0]
    assert schedule.undone_units == {}


@pytest.mark.parametrize(
    ("done_kwh", "draws"),
    [
        pytest.param(None, [-10, -10], id="nothing is said: nothing is done"),
        pytest.param(8.0, [-2, -10], id="8 of 20 are done"),
        pytest.param(25.0, [0, 0], id="more than all is done"),
    ],
)
def test_what_is_done_in_the_open_window_counts(
    lab: Any, done_kwh: float | None, draws: list[float]
) -> None:
    pump = lab.flexible("pump", lab.window("10:00", "14:00", 20))

    schedule = planned(lab, pump, price=[0.2, 0.1], said={"done_kwh": done_kwh})

    assert lab.power(schedule, "pump").tolist() == draws


def test_what_is_done_counts_in_a_window_that_opened_since_the_last_step_began(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("11:30", "14:00", 20))

    schedule = planned(lab, pump, price=[0.2, 0.1], said={"done_kwh": 4.0})

    assert lab.power(schedule, "pump").tolist() == [-6, -10]


@pytest.mark.parametrize(
    ("said", "machine"),
    [
        pytest.param({"power_kw": -10.0}, {"ramp_kw_per_min": 1 / 60}, id="a slow one"),
        pytest.param(
            {"power_kw": -10.0, "phase": RunPhase.RUNNING, "phase_since": NOON},
            {"on_off": OnOffRules(min_power_kw=5.0, min_up=timedelta(hours=2))},
            id="one that should go on",
        ),
    ],
)
def test_a_load_that_has_done_the_most_of_its_window_stops(
    lab: Any, said: dict[str, Any], machine: dict[str, Any]
) -> None:
    pump = lab.flexible("pump", lab.window("10:00", "14:00", 20, most_units=20.0), **machine)

    schedule = planned(lab, pump, price=[0.2, 0.1], said=said | {"done_kwh": 20.0})

    assert lab.power(schedule, "pump").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("kw_per_min", "draws"),
    [
        pytest.param(1 / 60, [0, -8], id="slower: it jumps from band to band"),
        pytest.param(4 / 60, [-4, -4], id="just as fast: from one to the next"),
    ],
)
def test_a_ramp_holds_between_bands_only_where_it_gets_from_one_to_the_next(
    lab: Any, kw_per_min: float, draws: list[float]
) -> None:
    pump = lab.flexible(
        "pump", lab.window("12:00", "14:00", 8), bands_kw=(4.0, 8.0), ramp_kw_per_min=kw_per_min
    )

    schedule = planned(lab, pump, price=[0.2, 0.1], said={"power_kw": 0.0})

    assert lab.power(schedule, "pump").tolist() == draws


def test_a_load_found_between_two_bands_takes_one_of_them(lab: Any) -> None:
    pump = lab.flexible(
        "pump", lab.window("12:00", "14:00", 4), bands_kw=(4.0, 8.0), ramp_kw_per_min=1 / 60
    )

    schedule = planned(lab, pump, price=[0.2, 0.1], said={"power_kw": -6.0})

    assert lab.power(schedule, "pump").tolist() == [0, -4]


def test_what_was_done_in_a_window_that_has_closed_does_not_count(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("10:00", "12:00", 20), lab.window("12:00", "14:00", 10))

    said = {"done_kwh": 20.0, "measured_at": lab.noon - timedelta(minutes=1)}
    schedule = planned(lab, pump, price=[0.2, 0.1], said=said)

    assert lab.power(schedule, "pump").tolist() == [0, -10]


@pytest.mark.parametrize(
    ("opens", "done_kwh", "kwh"),
    [
        pytest.param("12:00", None, 20, id="two of four hours are seen"),
        pytest.param("10:00", 10.0, 15, id="two of the four hours that are left, 30 of 40 to do"),
    ],
)
def test_a_window_that_the_horizon_cuts_asks_for_its_share(
    lab: Any, opens: str, done_kwh: float | None, kwh: float
) -> None:
    pump = lab.flexible("pump", lab.window(opens, "16:00", 40))

    schedule = planned(lab, pump, price=[0.2, 0.1], said={"done_kwh": done_kwh})

    assert -lab.power(schedule, "pump").sum() == pytest.approx(kwh)


def test_a_night_shift_goes_on_after_midnight(lab: Any) -> None:
    night = lab.window(
        "22:00", "02:00", 20, days=(1,)
    )  # Tuesday's night, planned on Wednesday at 0
    pump = lab.flexible("pump", night)
    midnight = datetime(2025, 12, 2, 23, tzinfo=UTC)

    schedule = planned(
        lab,
        pump,
        price=[0.2, 0.1, 0.0, 0.0],
        start=midnight,
        said={"done_kwh": 5.0, "measured_at": midnight, "received_at": midnight},
    )

    assert lab.power(schedule, "pump").tolist() == [-5, -10, 0, 0]
    assert list(schedule.undone_units) == ["pump/2025-12-02T21:00:00Z"]


@pytest.mark.parametrize(
    ("day", "window", "hours"),
    [
        pytest.param(datetime(2025, 3, 29, 23, tzinfo=UTC), ("01:00", "04:00"), [1, 2], id="23 h"),
        pytest.param(
            datetime(2025, 10, 25, 22, tzinfo=UTC), ("01:00", "04:00"), [1, 2, 3, 4], id="25 h"
        ),
        pytest.param(
            datetime(2025, 3, 29, 23, tzinfo=UTC),
            ("22:00", "23:59"),
            [21, 22],
            id="23:59 means the end of the day",
        ),
        pytest.param(
            datetime(2025, 3, 29, 23, tzinfo=UTC), ("02:00", "03:00"), [], id="the hour is skipped"
        ),
    ],
)
def test_a_window_follows_the_clock_on_the_wall(
    lab: Any, day: datetime, window: tuple[str, str], hours: list[int]
) -> None:
    pump = lab.flexible("pump", lab.window(*window), value_per_unit=9.0)

    schedule = planned(lab, pump, price=[0.1] * 24, start=day)

    assert np.flatnonzero(lab.power(schedule, "pump")).tolist() == hours


def test_only_the_bands_of_a_load_are_drawn(lab: Any) -> None:
    mill = lab.flexible("pump", lab.window("12:00", "15:00", 10), bands_kw=(4.0, 6.0, 9.0))

    schedule = planned(lab, mill, price=[0.9, 0.1, 0.2], paid_peaks=(PEAK,))

    # A peak of 5 kW would do if any draw would; 6 and 4 are the cheapest of the bands.
    assert lab.power(schedule, "pump").tolist() == [0, -6, -4]


def test_a_machine_runs_at_its_least_power_or_not_at_all(lab: Any) -> None:
    rules = OnOffRules(min_power_kw=6.0, start_cost=0.5)
    pump = lab.flexible("pump", lab.window("12:00", "16:00", 12), on_off=rules)

    schedule = planned(lab, pump, price=[0.1, 0.15, 0.1, 0.4])

    # One start: 10 at 0.10 and then no less than 6 at 0.15; two starts would cost 0.5 more.
    assert lab.power(schedule, "pump").tolist() == [-6, -6, 0, 0]
    assert schedule.on[ResourceId("pump")].tolist() == [True, True, False, False]
    assert schedule.cost_by_cause["starts"] == pytest.approx(0.5)


def test_a_relaxation_knows_what_one_start_costs(lab: Any) -> None:
    rules = OnOffRules(min_power_kw=6.0, start_cost=0.5)
    pump = lab.flexible("pump", lab.window("12:00", "16:00", 12), on_off=rules)
    view = lab.view(pump, price=[0.1] * 4, readings=[lab.reading("pump")])
    programme = build(view, lab.terms(view), limit_excess_price_per_kwh=lab.excess_per_kwh)

    relaxed = solve_lp(programme, {}, Deadline(lambda: 0.0, 1e6))

    assert isinstance(relaxed, LpSolution)
    assert relaxed.cost == pytest.approx(12 * 0.1 + 0.5)


@pytest.mark.parametrize(
    ("hours", "said", "more", "starts", "draws"),
    [
        pytest.param(
            [("12:00", "14:00"), ("14:00", "16:00")], {}, {}, 1, [0, -10, -10, 0],
            id="one that works on into its next window",
        ),
        pytest.param(
            [("12:00", "16:00")], {"phase": RunPhase.RUNNING}, {}, 0, [-10, 0, 0, 0],
            id="one that runs already",
        ),
        pytest.param(
            [("12:00", "16:00")], {}, {"unserved_cost_per_unit": 0.2}, 0, [0, 0, 0, 0],
            id="one whose work is worth no start",
        ),
    ],
)  # fmt: skip
def test_no_start_is_paid_that_is_none(
    lab: Any,
    hours: list[tuple[str, str]],
    said: dict[str, Any],
    more: dict[str, Any],
    starts: int,
    draws: list[float],
) -> None:
    windows = [lab.window(first, end, 10) for first, end in hours]
    pump = lab.flexible(
        "pump", *windows, on_off=OnOffRules(min_power_kw=10.0, start_cost=3.0), **more
    )

    schedule = planned(lab, pump, price=[0.4, 0.1, 0.1, 0.4], said=said)

    assert lab.power(schedule, "pump").tolist() == draws
    assert schedule.cost_by_cause.get("starts", 0.0) == pytest.approx(3.0 * starts)


@pytest.mark.parametrize(
    ("rules", "said", "draws"),
    [
        pytest.param({"min_up": 2 * HOUR}, {}, [-10, -10, 0, -10], id="it stays on"),
        pytest.param(
            {"min_down": 2 * HOUR},
            {"phase": RunPhase.WAITING, "phase_since": None},
            [-10, 0, 0, -10],
            id="it stays off",
        ),
        pytest.param(
            {"max_starts_per_day": 2},
            {"calls_today": 1},
            [-10, 0, 0, 0],
            id="one start is left today",
        ),
        pytest.param(
            {"min_up": 3 * HOUR},
            {"phase": RunPhase.RUNNING, "phase_since": datetime(2025, 12, 3, 10, tzinfo=UTC)},
            [-10, -10, 0, -10],
            id="it runs since an hour and goes on for two",
        ),
    ],
)
def test_a_machine_keeps_the_rules_of_its_running(
    lab: Any, rules: dict[str, Any], said: dict[str, Any], draws: list[float]
) -> None:
    pump = lab.flexible(
        "pump",
        lab.window("12:00", "16:00"),
        value_per_unit=0.2,
        on_off=OnOffRules(min_power_kw=10.0, **rules),
    )

    schedule = planned(lab, pump, price=[0.0, 0.3, 0.39, 0.1], said=said)

    assert lab.power(schedule, "pump").tolist() == draws


def test_a_load_changes_its_draw_no_faster_than_it_can(lab: Any) -> None:
    window = lab.window("12:00", "16:00", 20)
    pump = lab.flexible("pump", window, ramp_kw_per_min=2 / 60)

    schedule = planned(lab, pump, price=[0.3, 0.2, 0.1, 0.0], said={"power_kw": -4.0})

    # From 4 kW by no more than 2 kW each hour: a later start would leave work undone.
    assert lab.power(schedule, "pump").tolist() == [-2, -4, -6, -8]


def test_windows_that_overlap_are_refused(lab: Any) -> None:
    with pytest.raises(DataError, match="two of its windows overlap"):
        lab.flexible("pump", lab.window("22:00", "06:00"), lab.window("05:00", "10:00"))
    lab.flexible("pump", lab.window("22:00", "06:00"), lab.window("06:00", "22:00"))


def test_many_loads_are_compiled_in_whole_blocks(lab: Any) -> None:
    loads = [
        lab.flexible(
            f"pump-{i}",
            lab.window(f"{6 + i % 8:02}:{i % 60:02}", "14:30", 20, days=(0, 1, 2, 3, 4)),
            lab.window("14:30", "22:00", 20),
        )
        for i in range(500)
    ]
    view = lab.view(
        *loads,
        price=[0.1] * 96,
        step=QUARTER,
        readings=[lab.reading(load.resource_id) for load in loads],
    )
    terms = lab.terms(view)
    spent = []
    for _ in range(3):
        began_s = process_time()
        programme = build(view, terms, limit_excess_price_per_kwh=10.0)
        spent.append(process_time() - began_s)

    assert len(programme.fleet.flexibles.units) == 500
    assert min(spent) < 0.5  # seconds; measured 0.015
