"""A limit order as the plant holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from vpp.model.park import LimitOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOrder:
    """An order, and what became of it."""

    order: LimitOrder
    revision: int
    received_at: datetime
    withdrawn: bool = False

    def taken_back(self) -> HeldOrder:
        """The same, withdrawn."""
        return replace(self, withdrawn=True)
