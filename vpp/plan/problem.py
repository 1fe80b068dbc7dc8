"""What a solver is asked: plain data, so that who asks need not load a solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveOptions:
    """Limits of one solve and what it is called."""

    plan_id: str
    strategy_version: str
    gap: float
    """Relative gap that counts as optimal, e.g. 1e-3."""

    soft_s: float
    """The search stops here with the best plan it has."""

    limit_excess_price_per_kwh: float
    """Price of planning beyond a limit of the tree; far above any market price."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """All that a solver process needs."""

    view: PlanningView
    terms: tuple[Term, ...]
    options: SolveOptions
    preferred_starts: Mapping[ResourceId, tuple[datetime, ...]]
    """Starts that the last plan announced, kept where they are still good enough."""

    preferred_lengths: Mapping[ResourceId, tuple[timedelta, ...]] = field(default_factory=dict)
    """How long each of these lasts, where that is known; in the same order."""

    announced_kw: Mapping[ResourceId, Floats] = field(default_factory=dict)
    """Net injection that the last plan announced, shape (T,) each, NaN where it said nothing: of plans
    that cost the same the nearest is taken."""
