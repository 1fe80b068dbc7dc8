"""Random parks of all kinds, planned twice: by the planner, and by a model that shares no code with it.

The other model (`independent/`) is written in cvxpy from what the nouns and the terms say of themselves,
with a binary for each on/off decision of every step, solved by one MILP to the last digit.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

import pytest

from tests.plan.independent.parks import random_park
from vpp.model.park import PowerGroup
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.schedule import Optimal, Unsolved
from vpp.plan import terms as all_terms
from vpp.plan.terms import Activity, ActivityPrice, Term
from vpp.plan.view import PlanningView

SEEDS = range(200)
SAME = 1e-6
"""Of the cost, or of one currency unit where it is less."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_park_costs_what_the_independent_model_says(lab: Any, seed: int) -> None:
    view, terms = random_park(seed)
    truth = lab.true_cost(view, terms)

    outcome = lab.outcome(view, terms, gap=SAME / 10)

    if truth is None:
        assert isinstance(outcome, Unsolved)
        assert outcome.infeasible
        return
    assert isinstance(outcome, Optimal), outcome
    assert outcome.schedule.cost == pytest.approx(truth, rel=SAME, abs=SAME)
    assert lab.violations(outcome.schedule, view, terms) == ()


# ---------------------------------------------------------------- what the parks hold


@cache
def _parks() -> tuple[tuple[PlanningView, tuple[Term, ...]], ...]:
    return tuple(random_park(seed) for seed in SEEDS)


KINDS = (
    *(Storage, Generator, CurtailableLoad, InterruptibleLoad, ShiftableRun, FlexibleLoad),
    *(ThermalZone, EvFleet, Converter),
)
NOT_PLANNED = {"max_age_s", "response_delay_s", "unit", "days", "cop_outdoor_degc"}
"""What the planner does not look at, or what only shifts other numbers."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_the_parks_use_every_field_of_every_kind(kind: Any) -> None:
    found = [r for view, _ in _parks() for r in view.park.resources if isinstance(r, kind)]

    usual = {
        f.name: f.default
        for f in fields(kind)
        if f.default is not MISSING and f.name not in NOT_PLANNED
    }
    never = {name for name, value in usual.items() if all(getattr(r, name) == value for r in found)}
    ramps = isinstance(found[0], Generator | FlexibleLoad | Converter)
    nodes = isinstance(found[0], Storage | Generator)
    allowed = set() if ramps else {"ramp_kw_per_min"}
    allowed |= set() if nodes else {"node_id"}
    allowed |= {"run_days", "operating_days"}  # local days are `test_clock_changes`
    assert never <= allowed
    assert len({r.resource_id for r in found}) > 1


def test_the_parks_use_every_term() -> None:
    asked = [term for _, terms in _parks() for term in terms]
    kinds = {
        thing
        for thing in vars(all_terms).values()
        if is_dataclass(thing) and thing in getattr(Term, "__args__", ())
    }
    assert {type(term) for term in asked} == kinds
    counted = {term.activity for term in asked if isinstance(term, ActivityPrice)}
    assert counted == set(Activity)


def test_the_parks_have_networks_groups_and_orders() -> None:
    parks = [view.park for view, _ in _parks()]
    groups: list[PowerGroup] = [group for park in parks for group in park.groups]

    assert sum(bool(park.nodes) for park in parks) >= 30
    assert sum(bool(park.pipes) for park in parks) >= 8
    assert any(group.max_running is not None for group in groups)
    assert any(group.max_running is None for group in groups)
    assert sum(bool(view.limit_orders) for view, _ in _parks()) >= 30
    assert all(1 <= len(park.resources) <= 10 for park in parks)
