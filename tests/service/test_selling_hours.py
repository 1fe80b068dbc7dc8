"""Hours of what strategies sell: each interval of a delivery by itself, and what is sold is kept before its hours come."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from tests.service.drpark import planned
from tests.service.regulationpark import (
    ASKED_AT,
    BATTERY,
    DAY,
    HOUR,
    MILEAGE,
    a_park,
    regulating,
)
from tests.service.test_selling import asked, offered, regulation
from vpp.model.schedule import Unsolved
from vpp.plan.solve import solve
from vpp.service.calls import reserves
from vpp.service.tuning.nofollow import offering_of, problem_under
from vpp.service.tuning.planpair import PlanPair, beside, figures

AFTERNOON = ', schedule: {hours: ["17:00-19:00"]}'
"""By the park's clock: 09:00 to 11:00 UTC; the market's day begins at midnight."""


def test_regulation_is_offered_in_the_hours_of_its_strategy_alone(tmp_path: Path) -> None:
    plant = a_park(tmp_path, MILEAGE)
    asyncio.run(planned(plant, ASKED_AT))
    assert len({bid.interval for bid in offered(plant)}) == 24
    asked(plant, regulation(AFTERNOON))
    hours = {HOUR.start, HOUR.start + timedelta(hours=1)}
    assert {bid.interval.start for bid in offered(plant)} == hours


def test_what_is_sold_is_kept_by_plans_that_are_made_before_its_hours(tmp_path: Path) -> None:
    plant = a_park(tmp_path, MILEAGE)
    asyncio.run(regulating(plant))
    asked(plant, regulation(AFTERNOON))
    assert plant.schedule is not None
    kept = [term for term in reserves.terms(plant, plant.schedule.horizon) if term.firm_kw.any()]
    assert kept
    assert all(BATTERY in term.resource_ids for term in kept)
    assert plant.schedule.horizon.start < DAY.start


def test_a_preview_offers_on_the_terms_of_each_version(tmp_path: Path) -> None:
    """24 hours of regulation as it stands; two of them by the new version: 22 bids go."""
    plant = a_park(tmp_path, MILEAGE)
    asyncio.run(planned(plant, ASKED_AT))
    before, basis, live = plant.strategies, plant.tuning.basis, plant.schedule
    assert basis is not None
    assert live is not None
    asked(plant, regulation(AFTERNOON))
    pair = PlanPair(
        old=live,
        old_view=basis.problem.view,
        new=basis.problem,
        offering=offering_of(plant, ASKED_AT),
        old_strategies=before,
        new_strategies=plant.strategies,
    )
    pair = pickle.loads(pickle.dumps(pair))  # as its process is given it
    gone = [bid for bid in beside(pair, live, live).bids if bid.product == MILEAGE]
    assert len(gone) == 22
    assert all(bid.old_mw is not None and bid.new_mw is None for bid in gone)


def test_a_price_that_a_strategy_thinks_of_is_no_cost_of_a_preview(tmp_path: Path) -> None:
    """Carbon at 100 000 a tonne makes a plan dear, and is billed to nobody."""
    plant = a_park(tmp_path, MILEAGE)
    asyncio.run(planned(plant, ASKED_AT))
    live, basis = plant.schedule, plant.tuning.basis
    assert live is not None
    assert basis is not None
    asked(plant, "  - {name: clean, use: carbon_aware, with: {price_per_tco2: 100000}}\n")
    under = problem_under(plant, basis, plant.strategies)
    outcome = solve(under, perf_counter)
    assert not isinstance(outcome, Unsolved)
    dear, excess = outcome.schedule, under.options.limit_excess_price_per_kwh
    told = figures(dear, under.view, excess).cost
    assert dear.cost - float(told) > abs(live.cost)
