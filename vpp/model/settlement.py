"""Money and carbon by interval, and the statement an enterprise gets. Credit is positive."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from vpp.model.ids import EnterpriseId
from vpp.model.time import Interval


class LineKind(StrEnum):
    DAY_AHEAD = "day_ahead"
    """The unit's day-ahead position at the day-ahead price."""
    QUARTER_HOUR = "quarter_hour"
    """The unit's trades in the quarter-hour auction."""
    CONTRACT = "contract"
    """Energy of physical contracts at their own prices."""
    CONTRACT_DIFFERENCE = "contract_difference"
    """Financial contracts: their quantity at their price less the reference price."""
    IMBALANCE = "imbalance"
    """Metered less scheduled, at the imbalance price of that direction, or at that of the real time."""
    DEVIATION = "deviation"
    """Gain of a declaration that lay too far from what was metered, taken back by the market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementLine:
    """One amount of the venue for one interval."""

    interval: Interval
    kind: LineKind
    energy_mwh: Decimal
    """Net injection: sold above 0, bought below."""

    price_per_mwh: Decimal
    amount: Decimal
    """Credit to the unit, in whole minor units."""

    provisional: bool
    """True where the price came from the gap rule and waits for the published one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One row of a member's statement."""

    item: str
    """energy_spot, trading_share, network_energy, demand_charge, call_compensation, demand_response,
    demand_response_penalty, reserve."""

    detail: str
    energy_kwh: Decimal
    amount: Decimal
    """Credit to the enterprise, in whole minor units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one enterprise gets and pays for a span."""

    enterprise_id: EnterpriseId
    span: Interval
    currency: str
    lines: tuple[StatementLine, ...]
    import_kwh: Decimal
    export_kwh: Decimal
    baseline_kwh: Decimal
    """Net injection expected without steering (see `account/baseline.py`)."""

    carbon_kgco2: float
    """Of the import."""

    carbon_by_figure_kwh: Decimal
    """Of the import, what the park's one carbon figure speaks for, since no live series does."""

    provisional: bool

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal(0))
