"""Random parks of all kinds, planned twice: by the planner, and by a model that shares no code with it.

The other model (`independent/`) is written in cvxpy from what the nouns and the terms say of themselves,
with a binary for each on/off decision of every step, solved by one MILP to the last digit.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_args

import numpy as np
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
TERMS = get_args(Term)
NOT_PLANNED = {
    *("max_age_s", "response_delay_s", "unit"),
    *("panels", "forecast_as"),  # for forecasts: how they stand, and with whom
    "cop_outdoor_degc",  # only shifts another number
    *("run_days", "operating_days"),  # local days are `test_clock_changes`
}
"""What the planner does not look at, or what is tested elsewhere."""


def _never_used(things: list[Any]) -> set[str]:
    """Fields that have their usual value in all of them."""
    usual = {f.name: f.default for f in fields(things[0]) if f.default is not MISSING}
    return {
        name for name, value in usual.items() if all(_is(getattr(t, name), value) for t in things)
    }


def _is(one: Any, other: Any) -> bool:
    return one is other or (not isinstance(one, np.ndarray) and bool(one == other))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_the_parks_use_every_field_of_every_kind(kind: Any) -> None:
    found = [r for view, _ in _parks() for r in view.park.resources if isinstance(r, kind)]

    allowed = set(NOT_PLANNED)
    if kind not in (Generator, FlexibleLoad, Converter):
        allowed.add("ramp_kw_per_min")
    if kind not in (Storage, Generator):
        allowed.add("node_id")
    assert _never_used(found) <= allowed


@pytest.mark.parametrize("kind", sorted(TERMS, key=str), ids=lambda kind: str(kind.__name__))
def test_the_parks_use_every_field_of_every_term(kind: Any) -> None:
    asked = [t for _, terms in _parks() for t in terms if isinstance(t, kind)]
    assert _never_used(asked) <= {"due"}, "which counts for several futures: `test_hedge`"


def test_the_parks_use_every_term() -> None:
    asked = [term for _, terms in _parks() for term in terms]
    assert {type(term) for term in asked} == set(TERMS)
    counted = {term.activity for term in asked if isinstance(term, ActivityPrice)}
    assert counted == set(Activity)


def test_the_parks_have_networks_groups_and_orders() -> None:
    parks = [view.park for view, _ in _parks()]
    groups: list[PowerGroup] = [group for park in parks for group in park.groups]

    assert sum(bool(park.nodes) for park in parks) >= 30
    assert _never_used([pipe for park in parks for pipe in park.pipes]) == set()
    assert _never_used([node for park in parks for node in park.nodes]) <= {"supply_degc"}
    assert any(group.max_running is not None for group in groups)
    assert any(group.max_running is None for group in groups)
    assert sum(bool(view.limit_orders) for view, _ in _parks()) >= 30
    assert all(1 <= len(park.resources) <= 10 for park in parks)
