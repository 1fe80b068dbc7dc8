"""Room is kept below limits for what the forecast does not know; using it breaks no limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.plan.independent.parks import random_park
from vpp.errors import DataError
from vpp.model.ids import ConnectionPointId
from vpp.model.park import Place
from vpp.model.schedule import Optimal, Unsolved
from vpp.plan.view import Margin, PlanningView

POINT = ConnectionPointId("cp-a")
SAME = 1e-6


def margin(
    steps: int,
    *,
    place: Place = POINT,
    import_kw: float = 0.0,
    export_kw: float = 0.0,
    price: float = 5.0,
) -> Margin:
    """The same room in each step."""
    return Margin(
        place=place,
        import_kw=np.full(steps, import_kw),
        export_kw=np.full(steps, export_kw),
        price_per_kwh=price,
    )


def loaded(
    lab: Any, load_kw: Sequence[float], *others: Any, spare_kw: float = 30.0, **more: Any
) -> PlanningView:
    """A load behind a point that may draw 100 kW, with room below that."""
    steps = len(load_kw)
    view: PlanningView = lab.view(
        lab.load(),
        *others,
        price=[0.1] * steps,
        base_kw={"load": [-kw for kw in load_kw]},
        point_limits=lab.limits(import_kw=100.0, export_kw=100.0),
        **more,
    )
    return replace(view, margins=(margin(steps, import_kw=spare_kw),))


def test_a_store_keeps_the_margin_free(lab: Any) -> None:
    battery = lab.battery(wear_cost_per_kwh=0.01)
    view = loaded(lab, [80, 50], battery, readings=[lab.reading("bat", soc=0.1)])

    schedule = lab.plan(view)

    assert lab.power(schedule, "bat")[0] == 10, "80 kW are 10 more than 100 less 30"
    assert schedule.cost_by_cause["margin"] == pytest.approx(0)


def test_what_is_worth_more_than_a_margin_uses_it(lab: Any) -> None:
    """A car that leaves hungry costs 5 a kWh: at 4 the margin is used, at 6 it is not."""
    cars = lab.cars()
    session = lab.session("car", wanted_kwh=10, stays_h=1)
    view = loaded(lab, [80], cars, readings=[lab.reading("cars", sessions=(session,))])

    used = lab.plan(replace(view, margins=(margin(1, import_kw=30, price=4.0),)))
    kept = lab.plan(replace(view, margins=(margin(1, import_kw=30, price=6.0),)))

    assert lab.power(used, "cars") == -10
    assert used.cost_by_cause["margin"] == pytest.approx(4.0 * 20)
    assert lab.power(kept, "cars") == 0
    assert kept.cost_by_cause["margin"] == pytest.approx(6.0 * 10)


def test_a_margin_that_cannot_be_kept_is_no_broken_limit(lab: Any) -> None:
    schedule = lab.plan(loaded(lab, [95, 60]))

    assert schedule.broken == ()
    assert schedule.cost_by_cause["margin"] == pytest.approx(25 * 5.0)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(0)


def test_beyond_the_limit_the_margin_is_used_up_and_the_limit_broken(lab: Any) -> None:
    schedule = lab.plan(loaded(lab, [120]))

    assert [(one.limit, one.most) for one in schedule.broken] == [
        ("connection point cp-a: import_kw", pytest.approx(20))
    ]
    assert schedule.cost_by_cause["margin"] == pytest.approx(30 * 5.0)
    assert schedule.cost_by_cause["limit excess"] == pytest.approx(20 * lab.excess_per_kwh)


def test_a_margin_that_binds_is_named_as_such(lab: Any) -> None:
    """Energy fetched at 0.10 instead of the next hour's 0.30 would save 0.20 a kWh."""
    battery = lab.battery()
    view = loaded(lab, [50, 90], battery, readings=[lab.reading("bat", soc=0.0)])
    dear = lab.terms(lab.view(lab.load(), battery, price=[0.1, 0.3], base_kw={"load": [-50, -90]}))

    schedule = lab.plan(view, dear)

    bound = {price.limit: price.per_unit for price in schedule.limit_prices}
    assert bound["connection point cp-a: margin below import_kw"] == pytest.approx([-0.2, 0])
    assert "connection point cp-a: import_kw" not in bound


def test_steps_without_room_speak_of_the_limit_itself(lab: Any) -> None:
    view = loaded(lab, [120, 80])
    known = replace(view.margins[0], import_kw=np.array([0.0, 30.0]))

    schedule = lab.plan(replace(view, margins=(known,)))

    assert {price.limit for price in schedule.limit_prices} == {
        "connection point cp-a: import_kw",
        "connection point cp-a: margin below import_kw",
    }


def test_feeding_has_a_margin_of_its_own(lab: Any) -> None:
    view = lab.view(
        lab.pv(), price=[0.1], available_kw={"pv": [100]},
        point_limits=lab.limits(import_kw=100.0, export_kw=90.0),
    )  # fmt: skip

    schedule = lab.plan(replace(view, margins=(margin(1, export_kw=20.0),)))

    assert lab.power(schedule, "pv") == 70


@pytest.mark.parametrize("place", ["a", "f", "test"])
def test_every_place_of_the_tree_may_have_one(lab: Any, place: Any) -> None:
    view = lab.view(
        lab.pv(), price=[0.1], available_kw={"pv": [100]},
        feeder=lab.limits(export_kw=90.0), limits=lab.limits(export_kw=90.0),
    )  # fmt: skip
    enterprise = replace(view.park.enterprises[0], limits=lab.limits(export_kw=90.0))
    view = replace(view, park=replace(view.park, enterprises=(enterprise,)))

    schedule = lab.plan(replace(view, margins=(margin(1, place=place, export_kw=20.0),)))

    assert lab.power(schedule, "pv") == 70


# ---------------------------------------------------------------- checked


def test_a_bill_that_leaves_the_margin_out_is_refused(lab: Any) -> None:
    view = loaded(lab, [95])
    schedule = lab.plan(view)
    cheaper = {**schedule.cost_by_cause, "margin": 0.0}

    found = lab.violations(replace(schedule, cost_by_cause=cheaper), view, lab.terms(view))

    assert found == ("margin: the bill is 125.000000, the solver says 0.000000",)


@pytest.mark.parametrize("seed", range(24))
def test_random_parks_with_margins_cost_what_the_independent_model_says(
    lab: Any, seed: int
) -> None:
    view, terms = random_park(seed)
    rng = np.random.default_rng([seed, 9])
    places: list[Place] = [
        *(p.connection_point_id for p in view.park.connection_points),
        *(e.enterprise_id for e in view.park.enterprises),
        *(f.feeder_id for f in view.park.feeders),
        view.park.park_id,
    ]
    margins = tuple(
        Margin(
            place=place,
            import_kw=rng.uniform(0, 60, view.horizon.steps) * (rng.random() < 0.8),
            export_kw=rng.uniform(0, 40, view.horizon.steps) * (rng.random() < 0.8),
            price_per_kwh=float(rng.choice([0.05, 0.5, 5.0])),
        )
        for place in places
        if rng.random() < 0.7
    )
    view = replace(view, margins=margins)
    truth = lab.true_cost(view, terms)

    outcome = lab.outcome(view, terms, gap=SAME / 10)

    if truth is None:
        assert isinstance(outcome, Unsolved)
        return
    assert isinstance(outcome, Optimal), outcome
    assert outcome.schedule.cost == pytest.approx(truth, rel=SAME, abs=SAME)


# ---------------------------------------------------------------- refused


def test_a_margin_no_cheaper_than_a_broken_limit_is_refused(lab: Any) -> None:
    view = loaded(lab, [50])
    with pytest.raises(DataError, match=r"margin at cp-a: .*breaking the limit 10"):
        lab.plan(replace(view, margins=(margin(1, price=10.0),)))


def test_a_margin_at_no_place_is_refused(lab: Any) -> None:
    view = loaded(lab, [50])
    with pytest.raises(DataError, match="nowhere"):
        lab.plan(replace(view, margins=(margin(1, place=ConnectionPointId("nowhere")),)))


def test_two_margins_at_one_place_are_refused(lab: Any) -> None:
    view = loaded(lab, [50])
    with pytest.raises(DataError, match="do not fit"):
        replace(view, margins=(margin(1), margin(1)))


def test_a_margin_of_another_length_is_refused(lab: Any) -> None:
    view = loaded(lab, [50])
    with pytest.raises(DataError, match="one value for each of 1 steps"):
        replace(view, margins=(margin(2),))


def test_a_margin_below_0_is_refused() -> None:
    with pytest.raises(DataError, match="below 0"):
        margin(1, import_kw=-1.0)
