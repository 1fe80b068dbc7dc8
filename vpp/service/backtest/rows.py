"""A row of a back-test: one way through the span, what it cost and by what causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vpp.service.backtest.asked import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way through the span. Costs are positive, in the park's currency."""

    way: Way
    name: str = ""
    """Of the strategies that were followed, where several are compared."""

    cost: float
    causes: Mapping[str, float]
    """What adds up to `cost`; empty for foresight, which is planned and not billed."""

    value_captured: float | None = None
    null_because: str | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    """Share of quarter-hours in which some limit of that kind of place was broken, by the meters."""

    worst_violation_kw: float = 0.0
    imbalance_kwh: float = 0.0
    """Sum of sizes: what was delivered otherwise than traded."""

    imbalance_loss: float = 0.0
    """What that cost beyond the day-ahead price."""

    late_trade_loss: float = 0.0
    """What trades of the quarter-hour auction cost beyond the day-ahead price; below 0: gained."""

    plans: int = 0
    plans_failed: int = 0
    plans_feasible: int = 0
    """Cut off by the solver's time limit: only these can make two runs differ."""

    plans_hedged: int = 0
    """Made for several futures; the others trusted their forecast."""

    fallback_share: float = 0.0
    """Share of control cycles without a fresh plan: held, or released to the devices' defaults."""

    told: Mapping[str, int] = field(default_factory=dict)
    """Warnings and alarms of the span, by kind of event."""

    wall_s: float = 0.0
    """Of the machine: not part of the document."""

    plan_s_mean: float = 0.0

    @property
    def title(self) -> str:
        """How people are told of it."""
        return self.name or self.way.value


def money(cost: float) -> float:
    """To the cent, and nothing is 0.0: neither 0 nor -0.0, which JSON would tell apart."""
    return round(float(cost), 2) + 0.0


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON shows it; nothing of the wall clock."""
    plain: dict[str, Any] = {"way": row.way.value, "cost": money(row.cost)}
    if row.name:
        plain["strategies"] = row.name
    plain["value_captured"] = None if row.value_captured is None else round(row.value_captured, 4)
    if row.null_because is not None:
        plain["value_captured_null_because"] = row.null_because
    if row.way is Way.FORESIGHT:
        return plain
    plain["cost_by_cause"] = {name: money(cost) for name, cost in row.causes.items()}
    plain["limit_violations"] = {name: round(share, 6) for name, share in row.violations.items()}
    plain["worst_violation_kw"] = round(row.worst_violation_kw, 3)
    if row.way is Way.NOTHING:
        return plain
    return plain | {
        "imbalance_kwh": round(row.imbalance_kwh, 3),
        "imbalance_loss": money(row.imbalance_loss),
        "late_trade_loss": money(row.late_trade_loss),
        "plans": row.plans,
        "plans_failed": row.plans_failed,
        "plans_feasible": row.plans_feasible,
        "plans_hedged": row.plans_hedged,
        "fallback_share": round(row.fallback_share, 6),
        "told": dict(sorted(row.told.items())),
    }
