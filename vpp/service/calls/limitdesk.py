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
    orderly_use: bool = False
    """Ordered by the authority (有序用电): it outranks what is sold, and its days are no days like others."""

    withdrawn: bool = False

    def taken_back(self) -> HeldOrder:
        """The same, withdrawn."""
        return replace(self, withdrawn=True)
