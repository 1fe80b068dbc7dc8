"""Problems that are planned and never followed: the picture of the newest plan under other strategies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from vpp.plan.problem import Future, Problem
from vpp.plan.terms import Term
from vpp.service.inputs import reference_product, trading_unit
from vpp.service.planning.futures import futures
from vpp.service.plant import Plant
from vpp.service.strategies import members
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning.planpair import Offering


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """What the plan that stands was made from."""

    problem: Problem
    asked: tuple[Term, ...]
    """Terms that no strategy makes: quotas, calls, what is sold already."""


def problem_under(plant: Plant, basis: Basis, strategies: Strategies) -> Problem:
    """The problem of a plan as these strategies would have put it; bid curves are left out.

    Raises:
        VppError: The strategies have no terms for this picture.
    """
    before = basis.problem
    view = members.counted(strategies, replace(before.view, left_alone={}))
    hedged: tuple[Future, ...] = ()
    drawn = plant.desk.scenarios
    if before.futures and drawn is not None:
        spot_id = reference_product(plant).price_series_id
        hedged = futures(view, drawn, strategies.terms, spot_series_id=spot_id, budgets=basis.asked)
    return replace(
        before,
        view=view,
        terms=(*strategies.terms(view), *basis.asked),
        options=replace(before.options, strategy_version=strategies.version),
        futures=hedged,
        curves=(),
    )


def offering_of(plant: Plant, now: datetime) -> Offering:
    """What bids are made of at `now`, beside a plan."""
    unit = trading_unit(plant)
    return Offering(
        unit=unit,
        position=plant.book.position(unit.unit_id),
        bindings=dict(plant.file.bindings),
        products=dict(plant.products),
        now=now,
    )
