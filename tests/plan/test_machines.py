"""Machines that decide alone, at prices: a good plan before anything is searched together."""

from __future__ import annotations

from typing import Any

import pytest

from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.resource import OnOffRules
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.machines import at_prices
from vpp.plan.parts import ALONE
from vpp.plan.programme import Programme
from vpp.plan.search import near, relative_gap
from vpp.plan.view import PaidPeak

NEVER = Deadline(lambda: 0.0, 1e6)
PEAK = PaidPeak(
    connection_point_id=ConnectionPointId("cp-a"),
    first_step=0,
    last_step=4,
    price_per_kw=0.2,
    paid_kw=0.0,
)


def relaxed_of(lab: Any, view: Any, terms: Any = None) -> tuple[Programme, LpSolution]:
    programme = build(
        view,
        lab.terms(view) if terms is None else terms,
        limit_excess_price_per_kwh=lab.excess_per_kwh,
    )
    relaxed = solve_lp(programme, {}, NEVER)
    assert isinstance(relaxed, LpSolution)
    return programme, relaxed


def decided(view: Any, programme: Programme, relaxed: LpSolution) -> dict[int, float]:
    rounded = near(programme, relaxed.x, view.horizon, Announced())
    return at_prices(programme, relaxed, rounded, gap=1e-4, deadline=NEVER, workers=ALONE)


def hours_on(programme: Programme, chosen: dict[int, float], name: str) -> list[int]:
    (machines,) = (m for m in programme.fleet.machines if ResourceId(name) in m.names)
    on = machines.on[machines.names.index(ResourceId(name))]
    return [step for step, column in enumerate(on.tolist()) if chosen.get(column, 0.0) == 1.0]


@pytest.mark.parametrize("count", [2, 4])
def test_machines_that_are_alike_share_out_the_hours(lab: Any, count: int) -> None:
    """All hours cost the same, and so would all machines in the same hour, but for the peak they make."""
    rules = OnOffRules(min_power_kw=10.0)
    names = [f"pump-{number}" for number in range(count)]
    view = lab.view(
        *(lab.flexible(name, lab.window("12:00", "16:00", 10), on_off=rules) for name in names),
        price=[0.1] * 4,
        readings=[lab.reading(name) for name in names],
        paid_peaks=(PEAK,),
    )
    programme, relaxed = relaxed_of(lab, view)

    chosen = decided(view, programme, relaxed)

    hours = [hours_on(programme, chosen, name) for name in names]
    assert [len(each) for each in hours] == [1] * count
    assert len({hour for (hour,) in hours}) == count


def test_what_the_relaxation_decides_by_itself_is_nobody_elses_business(lab: Any) -> None:
    pump = lab.flexible("pump", lab.window("12:00", "16:00", 20), on_off=OnOffRules())
    view = lab.view(pump, price=[0.3, 0.1, 0.1, 0.3], readings=[lab.reading("pump")])
    programme, relaxed = relaxed_of(lab, view)
    stays = dict.fromkeys(programme.integral.tolist(), 7.0)

    assert relaxed.chosen(programme) is not None
    found = at_prices(programme, relaxed, stays, gap=1e-4, deadline=NEVER, workers=ALONE)
    assert found == stays


def test_every_decision_of_a_random_park_is_taken_and_keeps_its_machines_own_rows(lab: Any) -> None:
    """And a plan with these decisions is on the whole much nearer to the relaxation than one rounded."""
    dearer, dearer_rounded = 0.0, 0.0
    for seed in range(60):
        view, terms = lab.random(seed, runs=3, processes=3)
        programme, relaxed = relaxed_of(lab, view, terms)
        rounded = near(programme, relaxed.x, view.horizon, Announced())

        chosen = decided(view, programme, relaxed)

        assert set(chosen) == set(programme.integral.tolist())
        assert set(chosen.values()) <= {0.0, 1.0}
        at, by_rounding = (solve_lp(programme, one, NEVER) for one in (chosen, rounded))
        assert isinstance(at, LpSolution), seed
        assert isinstance(by_rounding, LpSolution), seed
        dearer += relative_gap(at.cost, relaxed.cost)
        dearer_rounded += relative_gap(by_rounding.cost, relaxed.cost)
    assert dearer < 0.5 * dearer_rounded
