"""Which curves a plan is asked for: deliveries whose gate is open, over the forecaster's price scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.plan.conftest import Lab
from tests.service.conftest import NOW
from tests.service.test_bid_reasons import PRODUCT, in_mode_expected
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.model.bidcurve import BidCurves, CurveCheck
from vpp.model.forecast import Scenarios
from vpp.model.horizon import Horizon
from vpp.model.schedule import Schedule
from vpp.model.time import QUARTER
from vpp.plan.terms import Commitment
from vpp.plan.view import PlanningView
from vpp.service.bids.curves import asks_of, scenarios_drawn, tell
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.safestate import rung
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import plant_in_memory

STEPS = 4 * 37
"""From 11:00 in Stockholm to the end of the next day."""

SERIES = "price.day-ahead.se3"


@pytest.fixture
def plant(park_file: ParkFile, tmp_path: Path, a_link: Callable[[], Any]) -> Plant:
    link = a_link()
    return plant_in_memory(
        in_mode_expected(park_file),
        clock=SimulatedClock(NOW),
        data=tmp_path,
        source=link,
        sink=link,
        executor=InlineExecutor(),
    )


def view(steps: int = STEPS, start: datetime = NOW) -> PlanningView:
    lab = Lab()
    found: PlanningView = lab.view(lab.battery(), price=[0.05] * steps, step=QUARTER, start=start)
    return found


def draw(plant: Plant, count: int = 4, steps: int = STEPS) -> None:
    """Scenarios of 10, 20 … EUR/MWh all the time."""
    values = np.arange(10.0, 10.0 * (count + 1), 10.0)[:, None] * np.ones(steps)
    plant.desk.scenarios = Scenarios(
        issued_at=NOW, horizon=Horizon(NOW, QUARTER, steps), values={SERIES: values}
    )


def test_a_plan_before_the_gate_is_asked_for_the_curves_of_tomorrow(plant: Plant) -> None:
    draw(plant)

    (ask,), lacking = asks_of(plant, view(), ())

    assert lacking == ""
    assert (ask.product_id, ask.first_step, ask.width, ask.intervals) == (PRODUCT, 4 * 13, 1, 96)
    assert ask.tick_per_kwh == pytest.approx(0.00001)
    assert ask.mixtures.shape == (200, 4)
    prices = [future.view.spot_per_kwh.values[0] for future in ask.futures]
    assert prices == pytest.approx([0.01, 0.02, 0.03, 0.04])
    (position,) = [t for t in ask.futures[1].terms if isinstance(t, Commitment)]
    assert position.short_per_kwh == pytest.approx(
        np.full(STEPS, 0.02)
    )  # strategies see its prices


def test_the_same_seed_tries_the_same_paths(plant: Plant) -> None:
    draw(plant)

    (first,), _ = asks_of(plant, view(), ())
    (again,), _ = asks_of(plant, view(), ())

    assert (first.mixtures == again.mixtures).all()


def test_of_many_futures_ten_make_the_curves(plant: Plant) -> None:
    draw(plant, count=20)

    (ask,), _ = asks_of(plant, view(), ())

    # Opposites stand behind the first half: five pairs of them, so that their mean is that of all.
    prices = [round(1000 * future.view.spot_per_kwh.values[0]) for future in ask.futures]
    assert prices == [10, 20, 30, 40, 50, 110, 120, 130, 140, 150]


@pytest.mark.parametrize(
    ("form", "most", "steps"),
    [("curve_step", 6, 6), ("curve_linear", 6, 3), ("curve_linear", 7, 3), ("curve_step", None, 4)],
)
def test_a_line_has_two_points_for_each_step(
    plant: Plant, form: str, most: int | None, steps: int
) -> None:
    draw(plant, count=4)
    plant.file = replace(
        plant.file,
        products=tuple(replace(p, form=form, most_steps=most) for p in plant.file.products),
    )

    (ask,), _ = asks_of(plant, view(), ())

    assert ask.most_steps == steps


def test_a_plan_with_curves_is_waited_for_as_long_as_both_may_take(plant: Plant) -> None:
    assert plant.file.most_plan_s == plant.file.planning.hard_s + CurveSettings().seconds
    plant.reconciled = True
    schedule = plant.schedule = Lab().plan(view())
    late = schedule.issued_at + plant.file.planning.every

    assert (
        rung(plant, late + timedelta(seconds=plant.file.most_plan_s - 1)).state is SafeState.NORMAL
    )
    assert rung(plant, late + timedelta(seconds=plant.file.most_plan_s)).state is SafeState.HOLD


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        pytest.param(4 * 24, NOW, id="the plan does not reach its end"),
        pytest.param(STEPS, NOW + timedelta(hours=1), id="the gate has closed"),
    ],
)
def test_a_delivery_that_cannot_be_bid_is_not_asked_for(
    plant: Plant, steps: int, start: datetime
) -> None:
    draw(plant, steps=steps)

    assert asks_of(plant, view(steps, start), ()) == ((), "")
    assert scenarios_drawn(plant, Horizon(start, QUARTER, steps), start) == 0


def test_scenarios_are_drawn_where_curves_need_them_or_plans_do(plant: Plant) -> None:
    horizon = Horizon(NOW, QUARTER, STEPS)
    planning = plant.file.planning
    plant.file = replace(plant.file, curves={PRODUCT: CurveSettings(scenarios=7)})
    curves_only = scenarios_drawn(plant, horizon, NOW)
    plant.file = replace(plant.file, planning=planning.model_copy(update={"scenarios": 5}))

    assert curves_only == 7
    assert scenarios_drawn(plant, horizon, NOW) == 5


def test_a_plan_without_scenarios_is_asked_for_no_curves_and_that_is_told_once(
    plant: Plant,
) -> None:
    asks, lacking = asks_of(plant, view(), ())
    schedule = Lab().plan(view(4))

    for _ in range(2):
        tell(plant, schedule, lacking, NOW)

    assert asks == ()
    assert lacking == f"{PRODUCT}: no scenarios of {SERIES}"
    assert told(plant) == [lacking]

    tell(plant, with_curves(schedule), "", NOW)
    assert told(plant)[-1] == "bids are curves over price scenarios again"


def test_curves_that_were_cut_are_told(plant: Plant) -> None:
    tell(plant, with_curves(Lab().plan(view(4)), kept=0.25, before=0.08), "", NOW)

    (text,) = (event.text for event in plant.events.recent() if event.kind == "curves_cut")
    assert text == (
        f"8.0% of what the curves of {PRODUCT} trade on 200 price paths could not be delivered:"
        " 25% of their way from the plan is offered"
    )


def test_curves_that_could_not_be_made_are_told(plant: Plant) -> None:
    schedule = Lab().plan(view(4))
    failed = BidCurves(
        product_id=PRODUCT, horizon=schedule.horizon, status="point plan: scenarios: LP: no time"
    )

    tell(plant, replace(schedule, bid_curves=(failed,)), "", NOW)

    assert told(plant) == [f"{PRODUCT}: point plan: scenarios: LP: no time"]


def told(plant: Plant) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == "uncurved"]


def with_curves(schedule: Schedule, *, kept: float = 1.0, before: float = 0.0) -> Schedule:
    curves = BidCurves(
        product_id=PRODUCT,
        horizon=schedule.horizon,
        status="expected",
        check=CurveCheck(
            paths=200,
            asked=200,
            undelivered_share=kept * before,
            share_before_cut=before,
            kept=kept,
            paths_short=0,
            mean_cost=0.0,
            worst_cost=0.0,
        ),
    )
    return replace(schedule, bid_curves=(curves,))
