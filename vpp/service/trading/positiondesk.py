"""What positions remember beside the bid book."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from vpp.model.horizon import Floats, Horizon
from vpp.model.nomination import Nomination
from vpp.model.time import Interval
from vpp.ports import NominationBox
from vpp.trade.nomination import Difference

PLANS_KEPT = 200
"""Two days of plans, a plan each quarter-hour: what a delta curve may be held against."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanCourse:
    """What is kept of a plan when the next one takes its place."""

    plan_id: str
    issued_at: datetime
    horizon: Horizon
    net_kw: Floats
    """Net injection of the bidding unit, shape (T,)."""
    value_per_kwh: Floats
    """What a kWh of net injection is worth to it, shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNomination:
    """A nomination, and what became of it."""

    nomination: Nomination
    digest: str
    """SHA-256 of its file."""
    made_at: datetime
    confirm_by: datetime
    status: Literal["awaited", "matched", "differs", "missing"] = "awaited"
    confirmed_mw: Mapping[Interval, Decimal] | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True, kw_only=True)
class PositionDesk:
    """One a plant."""

    boxes: Mapping[str, NominationBox] = field(default_factory=dict)
    """By unit: where nominations go."""

    nominations: dict[tuple[str, int], HeldNomination] = field(default_factory=dict)
    """By id and version."""

    put_out: set[str] = field(default_factory=set)
    """Versions that this process has written, or found written."""

    nominations_told: dict[str, str] = field(default_factory=dict)
    """By unit: what was said last of what could not be done."""

    contracts_told: dict[str, str] = field(default_factory=dict)
    """By contract: what was said of its curve last."""

    contracts_said: dict[str, str] = field(default_factory=dict)
    """By contract: the digest of the series that its curve was made of."""

    plans: deque[PlanCourse] = field(default_factory=lambda: deque(maxlen=PLANS_KEPT))
    """Oldest first."""

    planned_kw: dict[datetime, float] = field(default_factory=dict)
    """Of the park by quarter-hour, as the newest plan that reached it had it."""

    unit_planned_kw: dict[datetime, float] = field(default_factory=dict)
    """The same of the bidding unit."""
