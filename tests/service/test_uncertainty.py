"""Scenarios become futures, and measured errors margins, each where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plan.conftest import NOON, SPOT, Lab
from vpp.clock import SimulatedClock
from vpp.errors import DataError
from vpp.model.forecast import Scenarios
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.time import QUARTER
from vpp.plan.solve import solve
from vpp.plan.terms import Commitment, OpenTrade, Term
from vpp.plan.view import Margin, PaidPeak, PlanningView
from vpp.service.forecasting.jobs import Errors
from vpp.service.inputs import reference_product
from vpp.service.park.parkfile import ParkFile
from vpp.service.planning import uncertainty
from vpp.service.planning.futures import futures
from vpp.service.planning.margins import margins
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import plant_in_memory

SPOT_ID = "price.day-ahead"


@pytest.fixture
def lab() -> Lab:
    return Lab()


def a_view(lab: Lab) -> PlanningView:
    """Two hours of a load, some sun and a car park, energy at 0.10."""
    view: PlanningView = lab.view(
        lab.load(),
        lab.pv(),
        lab.cars(),
        lab.zone(),
        price=[0.1, 0.1],
        base_kw={"load": [-50, -50]},
        available_kw={"pv": [20, 20]},
        arriving_kw={"cars": [-8, -8]},
        points=("cp-a",),
        point_limits=lab.limits(import_kw=100.0),
    )
    return replace(
        view,
        open_products=(replace(view.open_products[0], due=np.array([False, False])),),
        margins=(
            Margin(
                place=view.park.park_id,
                import_kw=np.ones(2),
                export_kw=np.ones(2),
                price_per_kwh=1.0,
            ),
        ),
    )


def drawn(view: PlanningView, **values: list[list[float]]) -> Scenarios:
    return Scenarios(
        issued_at=NOON,
        horizon=view.horizon,
        values={name.replace("_", "."): np.array(rows, float) for name, rows in values.items()},
    )


def market(view: PlanningView) -> tuple[Term, ...]:
    return tuple(Lab().terms(view))


def test_each_scenario_becomes_a_view_and_the_terms_that_strategies_make_of_it(lab: Lab) -> None:
    view = a_view(lab)
    scenarios = Scenarios(
        issued_at=NOON,
        horizon=view.horizon,
        values={
            "power.load": np.array([[-40.0, -45.0], [-60.0, 5.0]]),
            "available.pv": np.array([[10.0, -1.0], [30.0, 30.0]]),
            "outdoor": np.array([[-3.0, -4.0], [5.0, 6.0]]),
            SPOT_ID: np.array([[100.0, 120.0], [100.0, 60.0]]),
        },
    )

    first, second = futures(view, scenarios, market, spot_series_id=SPOT_ID)

    assert first.view.base_kw[ResourceId("load")].values.tolist() == [-40, -45]
    assert second.view.base_kw[ResourceId("load")].values.tolist() == [-60, 0], "loads never feed"
    assert first.view.available_kw[ResourceId("pv")].values.tolist() == [10, 0]
    assert second.view.outdoor_degc["outdoor"].values.tolist() == [5, 6]
    assert first.view.spot_per_kwh.values == pytest.approx([0.1, 0.12])
    assert second.view.open_products[0].price_per_kwh.values == pytest.approx([0.1, 0.06])
    trade = next(term for term in second.terms if isinstance(term, OpenTrade))
    position = next(term for term in first.terms if isinstance(term, Commitment))
    assert trade.product_id == SPOT
    assert trade.buy_per_kwh == pytest.approx([0.1, 0.06])
    assert position.short_per_kwh == pytest.approx([1.1, 1.12])


def test_the_price_of_what_is_bid_now_is_the_expected_one_in_all_futures(lab: Lab) -> None:
    """A bid is a curve: what it does at another price it says itself."""
    view = a_view(lab)
    bid_now = replace(view.open_products[0], due=np.array([False, True]))
    scenarios = Scenarios(
        issued_at=NOON, horizon=view.horizon, values={SPOT_ID: np.array([[50.0, 500.0]])}
    )

    (only,) = futures(
        replace(view, open_products=(bid_now,)), scenarios, market, spot_series_id=SPOT_ID
    )

    assert only.view.spot_per_kwh.values == pytest.approx([0.05, 0.1])
    assert only.view.open_products[0].price_per_kwh.values == pytest.approx([0.05, 0.1])


def test_what_no_scenario_speaks_of_stays_as_it_is_expected(lab: Lab) -> None:
    view = a_view(lab)

    (only,) = futures(view, drawn(view, power_load=[[-40, -40]]), market, spot_series_id=SPOT_ID)

    assert only.view.available_kw == view.available_kw
    assert only.view.arriving_kw == view.arriving_kw
    assert only.view.spot_per_kwh.values.tolist() == view.spot_per_kwh.values.tolist()


def test_of_cars_that_come_those_here_already_are_no_part(lab: Lab) -> None:
    """In the first hour of two a quarter are new ones, in the second three; the car park has 30 kW."""
    view = a_view(lab)

    (only,) = futures(view, drawn(view, arriving_cars=[[-8, -60]]), market, spot_series_id=SPOT_ID)

    assert only.view.arriving_kw[ResourceId("cars")].values.tolist() == [-2, -30]


def test_a_future_has_no_margins(lab: Lab) -> None:
    view = a_view(lab)

    (only,) = futures(view, drawn(view, power_load=[[-1, -1]]), market, spot_series_id=SPOT_ID)

    assert view.margins
    assert only.view.margins == ()


def test_scenarios_of_another_horizon_are_refused(lab: Lab) -> None:
    view = a_view(lab)
    late = Horizon(NOON + QUARTER, timedelta(hours=1), 2)
    scenarios = replace(drawn(view, power_load=[[-1, -1]]), horizon=late)

    with pytest.raises(DataError, match="plan's horizon"):
        futures(view, scenarios, market, spot_series_id=SPOT_ID)


# ---------------------------------------------------------------- margins


def off(kw: float) -> Floats:
    """Nine errors up to `kw` at one lead, measured less forecast."""
    return np.linspace(kw / 9, kw, 9)[:, None]


def test_each_limited_place_has_the_errors_of_what_stands_behind_it(lab: Lab) -> None:
    park = lab.park(
        lab.load("a"), lab.load("b", point="cp-b"), lab.pv("sun", point="free-c"),
        points=("cp-a", "cp-b", "free-c"),
        point_limits={"cp-a": lab.limits(import_kw=100.0), "free-c": lab.limits(export_kw=50.0)},
        feeder=lab.limits(import_kw=150.0),
    )  # fmt: skip

    found = margins(
        park,
        {"power.a": off(-10), "power.b": off(-20), "available.sun": off(5)},
        3,
        probability=0.8,
        price_per_kwh=5.0,
    )

    rooms = {margin.place: (margin.import_kw[0], margin.export_kw[0]) for margin in found}
    # The 8th of 9 errors: nine tenths of the largest but one, 8/9.
    assert rooms == {
        "cp-a": (pytest.approx(80 / 9), 0),
        "free-c": (0, pytest.approx(40 / 9)),
        "f": (pytest.approx(240 / 9), 0),
    }
    assert all(margin.import_kw.shape == (3,) for margin in found)


def test_a_place_without_uncertain_series_behind_it_has_no_margin(lab: Lab) -> None:
    park = lab.park(lab.load("a"), point_limits=lab.limits(import_kw=100.0))

    assert margins(park, {}, 2, probability=0.8, price_per_kwh=5.0) == ()


# ---------------------------------------------------------------- what a plan is told


@pytest.fixture
def plant(park_file: ParkFile, tmp_path: Path, a_link: Callable[[], Any]) -> Plant:
    asked = {"scenarios": 4, "margin_probability": 0.8}
    planning = park_file.planning.model_copy(update=asked)
    link = a_link()
    return plant_in_memory(
        replace(park_file, planning=planning),
        clock=SimulatedClock(NOON),
        data=tmp_path,
        source=link,
        sink=link,
        executor=InlineExecutor(),
    )


def test_a_plan_that_was_given_no_futures_says_so_once(lab: Lab, plant: Plant) -> None:
    view = a_view(lab)
    made, why = uncertainty.futures_of(plant, view, ())
    problem = replace(lab.problem(view), futures=made, no_futures=why)

    for _ in range(2):
        schedule = lab.schedule_of(solve(problem, lambda: 0.0))
        uncertainty.tell(plant, schedule, NOON)

    assert schedule.uncertainty is not None
    assert schedule.uncertainty.status == "point plan: no scenarios were drawn"
    told = [event.text for event in plant.events.recent() if event.kind == "unhedged"]
    assert told == ["point plan: no scenarios were drawn"]

    uncertainty.tell(plant, lab.plan(view), NOON)
    told = [event.text for event in plant.events.recent() if event.kind == "unhedged"]
    assert told[-1] == "plans are made for several futures again"


def errors(first_origin: int, *by_lead: float) -> Errors:
    """Nine forecasts, an hour apart, whose errors rise from a ninth of these to all of them."""
    return Errors(
        origins=tuple(NOON + (first_origin + i) * timedelta(hours=1) for i in range(9)),
        above=np.linspace(1 / 9, 1.0, 9)[:, None] * np.array(by_lead),
    )


def told_of_margins(plant: Plant) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == "margins"]


def test_margins_come_from_the_errors_of_all_series_behind_a_place(lab: Lab, plant: Plant) -> None:
    """The 8th of nine: 16 kW of load, half of it balanced by sun; of cars a quarter are new at first."""
    plant.desk.errors = {
        "power.load": errors(0, -18.0, -36.0),
        "available.pv": errors(0, 9.0, 9.0),
        "arriving.cars": errors(0, -36.0, -36.0),
    }

    (margin,) = uncertainty.with_margins(plant, a_view(lab)).margins

    assert margin.place == "cp-a"
    assert margin.import_kw == pytest.approx(
        [(18 - 9 + 36 * 0.25) * 8 / 9, (36 - 9 + 36 * 0.75) * 8 / 9]
    )
    assert margin.price_per_kwh == plant.file.planning.margin_price_per_kwh
    assert told_of_margins(plant) == []


def a_peak(point: str) -> PaidPeak:
    return PaidPeak(
        connection_point_id=ConnectionPointId(point),
        first_step=0,
        last_step=2,
        price_per_kw=5.0,
        paid_kw=80.0,
    )


def test_a_paid_peak_has_the_margin_of_its_connection_point(lab: Lab, plant: Plant) -> None:
    """As above: with 0.8 it costs 0.75 - 0.4 of the charge. Nobody knows the errors behind cp-b: it has none."""
    plant.desk.errors = {
        "power.load": errors(0, -18.0, -36.0),
        "available.pv": errors(0, 9.0, 9.0),
        "arriving.cars": errors(0, -36.0, -36.0),
    }
    view = replace(a_view(lab), paid_peaks=(a_peak("cp-a"), a_peak("cp-b")))

    found = uncertainty.with_margins(plant, view)

    here, there = found.paid_peaks
    assert here.margin is not None
    assert here.margin.import_kw == pytest.approx(found.margins[0].import_kw)
    assert here.margin.share == pytest.approx(0.35)
    assert there.margin is None
    (seen,) = futures(found, drawn(found, power_load=[[-50, -50]]), market, spot_series_id=SPOT_ID)
    assert [peak.margin for peak in seen.view.paid_peaks] == [None, None]


def test_errors_of_the_same_moments_are_added_up(lab: Lab, plant: Plant) -> None:
    """The sun was forecast two hours later: seven origins are common, the larger ones of the load."""
    plant.desk.errors = {
        "power.load": errors(0, -9.0),
        "available.pv": errors(2, 0.0),
        "arriving.cars": errors(0, 0.0),
    }

    (margin,) = uncertainty.with_margins(plant, a_view(lab)).margins

    assert margin.import_kw == pytest.approx([9, 9]), "the 7th of seven is the last of nine"


def test_series_nobody_measured_yet_are_named_once(lab: Lab, plant: Plant) -> None:
    plant.desk.errors = {"power.load": errors(0, -9.0)}

    for _ in range(2):
        view = uncertainty.with_margins(plant, a_view(lab))

    assert len(view.margins) == 1
    assert told_of_margins(plant) == ["margins without the errors of arriving.cars, available.pv"]


def test_without_enough_errors_there_are_no_margins_and_it_is_told(lab: Lab, plant: Plant) -> None:
    few = errors(0, -9.0)
    plant.desk.errors = {
        name: Errors(origins=few.origins[:3], above=few.above[:3])
        for name in ("power.load", "available.pv", "arriving.cars")
    }

    view = uncertainty.with_margins(plant, replace(a_view(lab), margins=()))

    assert view.margins == ()
    (told,) = told_of_margins(plant)
    assert told.startswith("margins none: ")
    assert "at most 3 errors" in told


@pytest.mark.parametrize(
    ("which", "due", "planned_for"),
    [
        ("every_plan", False, 2),
        ("every_plan", True, 2),
        ("day_ahead_bids", False, 0),
        ("day_ahead_bids", True, 2),
    ],
)
def test_futures_may_be_kept_for_plans_that_day_ahead_bids_are_made_from(
    lab: Lab, plant: Plant, which: str, due: bool, planned_for: int
) -> None:
    view = a_view(lab)
    day_ahead = replace(
        view.open_products[0],
        product_id=reference_product(plant).product_id,
        due=np.array([False, due]),
    )
    view = replace(view, open_products=(day_ahead,))
    plant.file = replace(
        plant.file, planning=plant.file.planning.model_copy(update={"scenarios_for": which})
    )
    plant.desk.scenarios = drawn(view, power_load=[[-1, -1], [-2, -2]])

    made, why = uncertainty.futures_of(plant, view, ())

    assert (len(made), why) == (planned_for, "")
