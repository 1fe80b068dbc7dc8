"""What positions remember beside the bid book."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from vpp.model.horizon import Floats, Horizon

PLANS_KEPT = 200
"""Two days of plans, a plan each quarter-hour: what a delta curve may be held against."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanCourse:
    """What is kept of a plan when the next one takes its place."""

    plan_id: str
    issued_at: datetime
    horizon: Horizon
    net_kw: Floats
    """Net injection, shape (T,)."""
    value_per_kwh: Floats
    """What a kWh of net injection is worth to it, shape (T,)."""


@dataclass(slots=True, kw_only=True)
class PositionDesk:
    """One a plant."""

    contracts_told: dict[str, str] = field(default_factory=dict)
    """By contract: what was said of its curve last."""

    plans: deque[PlanCourse] = field(default_factory=lambda: deque(maxlen=PLANS_KEPT))
    """Oldest first."""

    planned_kw: dict[datetime, float] = field(default_factory=dict)
    """By quarter-hour, as the newest plan that reached it had it."""
