"""The delta curve: what is to be traded again after a plan has changed, interval by interval.

    planned − owed ── within the dead band ──▶ 0: not worth a trade
                  └─ beyond it ─────────────▶ all of it: sold above 0, bought below,
                                              at what the plan makes of a kWh there

The price is the plan's own marginal of net injection: it would rather sell above it, or buy below it, than feed
otherwise. Where imbalance costs more than that, trading at it is better than bearing imbalance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from vpp.model.market import Side
from vpp.model.time import Interval

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaPoint:
    """One interval as two plans and the position see it, mean MW of net injection."""

    interval: Interval
    before_mw: Decimal | None
    """What the older plan meant to feed; None where it did not reach so far."""
    planned_mw: Decimal
    owed_mw: Decimal
    value_per_mwh: Decimal | None
    """What a MWh is worth to the newer plan; None where it has no marginals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaLine:
    """What is to be traded in one interval."""

    point: DeltaPoint
    delta_mw: Decimal
    """To be sold above 0, to be bought below; 0 within the dead band."""
    price_per_mwh: Decimal | None
    """Sell no cheaper, buy no dearer; None where nothing is to be traded or nothing is known."""

    @property
    def moved_mw(self) -> Decimal | None:
        """By how much the newer plan feeds more than the older one."""
        point = self.point
        return None if point.before_mw is None else point.planned_mw - point.before_mw

    @property
    def side(self) -> Side | None:
        """None where nothing is to be traded."""
        if not self.delta_mw:
            return None
        return Side.SELL if self.delta_mw > 0 else Side.BUY


def delta_curve(points: Sequence[DeltaPoint], dead_band_mw: Decimal) -> tuple[DeltaLine, ...]:
    """One line for each point, in their order; `dead_band_mw` is a size."""
    return tuple(_line(point, dead_band_mw) for point in points)


def _line(point: DeltaPoint, dead_band_mw: Decimal) -> DeltaLine:
    open_mw = point.planned_mw - point.owed_mw
    trades = abs(open_mw) > dead_band_mw
    return DeltaLine(
        point=point,
        delta_mw=open_mw if trades else NOTHING,
        price_per_mwh=point.value_per_mwh if trades else None,
    )
