"""Demand response: an invitation, what we nominate for it and for whom, what came of it.

    Invitation ──▶ Nomination (shares of members) ──▶ Confirmation ──▶ Evaluation

Quantities are MW of response, never below 0, in the invitation's direction: `SELL` draws less or feeds more
(peak cut, 削峰), `BUY` draws more (valley fill, 填谷). All of it is against the baseline of the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import Interval, isoformat


class Stage(StrEnum):
    """Where an invitation stands; what may follow what is in `vpp/trade/drlifecycle.py`."""

    INVITED = "invited"
    DECLINED = "declined"
    NOMINATED = "nominated"
    NOT_CHOSEN = "not_chosen"
    CONFIRMED = "confirmed"
    REMINDED = "reminded"
    UNDER_WAY = "under_way"
    EVALUATED = "evaluated"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One revision of an invitation (邀约); a higher one replaces it, one of 0 MW takes it back."""

    invitation_id: str
    revision: int
    product_id: ProductId
    unit_id: UnitId
    side: Side
    window: Interval
    """On whole quarter-hours."""
    wanted_mw: Decimal
    price_cap_per_mwh: Decimal | None
    """The most that is paid; None where the price is fixed."""
    fixed_price_per_mwh: Decimal | None
    reply_by: datetime
    area: str
    source: str
    received_at: datetime

    def __post_init__(self) -> None:
        where = f"invitation {self.invitation_id}"
        if not (self.wanted_mw.is_finite() and self.wanted_mw >= 0):
            raise DataError(f"wanted_mw {self.wanted_mw}", where=where, fix="Give 0 MW or more")
        if (self.price_cap_per_mwh is None) == (self.fixed_price_per_mwh is None):
            raise DataError(
                "a cap and a fixed price, or neither", where=where, fix="Give one of the two"
            )
        if self.reply_by >= self.window.start:
            raise DataError(
                f"reply_by {isoformat(self.reply_by)} is not before the window",
                where=where,
                fix="Let the reply end before the window begins",
            )

    @property
    def price_per_mwh(self) -> Decimal:
        """The fixed price, or the most that may be asked."""
        fixed, cap = self.fixed_price_per_mwh, self.price_cap_per_mwh
        return fixed if fixed is not None else cap if cap is not None else Decimal(0)

    def same_order(self, other: Invitation) -> bool:
        """Whether the other one asks for the very same, whenever it came."""
        return self._asked() == other._asked()

    def _asked(self) -> tuple[object, ...]:
        return (
            *(self.product_id, self.unit_id, self.side, self.window, self.wanted_mw),
            *(self.price_cap_per_mwh, self.fixed_price_per_mwh),
            *(self.reply_by, self.area, self.source),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomination:
    """What we say we can do, and who does which part of it."""

    bid_set_id: str
    quantity_mw: Decimal
    price_per_mwh: Decimal
    shares_mw: Mapping[EnterpriseId, Decimal]
    """Of members that take part; they add up to `quantity_mw`."""
    made_at: datetime
    by: str
    """`auto`, or the person who sent it."""

    @property
    def members(self) -> tuple[EnterpriseId, ...]:
        """Whose meters count: those that take part."""
        return tuple(self.shares_mw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the platform chose of it: the quantity and its price as cleared."""

    quantity_mw: Decimal
    price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberResult:
    """What one member did, and what it gets; energies in MWh of response, money credit positive."""

    baseline_mwh: Decimal
    """Draw above 0."""
    actual_mwh: Decimal
    response_mwh: Decimal
    """Below 0 where it went the other way."""
    amount: Decimal
    penalty: Decimal
    """A size, owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a call was answered, by the product's own rules."""

    at: datetime
    cleared_mwh: Decimal
    response_mwh: Decimal
    completion: Decimal
    """Response over what was cleared; 0 where the response is not valid."""
    invalid: str
    """Which rule of validity it breaks; empty where none."""
    amount: Decimal
    """In whole minor units."""
    penalty: Decimal
    """A size, in whole minor units."""
    provisional: bool
    """A meter was interpolated."""
    members: Mapping[EnterpriseId, MemberResult]

    @property
    def net(self) -> Decimal:
        return self.amount - self.penalty
