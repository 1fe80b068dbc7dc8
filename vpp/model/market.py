"""Market products, offers, bids and awards: `Decimal`, MW and price per MWh.

Buying and selling in one interval are two bids. A bid's id is derived from what it is for, so
sending it twice places it once:

    {product}/{unit}/{start:%Y%m%dT%H%MZ}/{side}/{revision}
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

from vpp.errors import DataError
from vpp.model.gate import ProductCalendar
from vpp.model.ids import ProductId, UnitId
from vpp.model.time import Interval


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """What turns a quantity into net injection: +1 sells, -1 buys."""
        return 1 if self is Side.SELL else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProduct(ProductCalendar):
    """What can be traded and under which rules; data from a dated file in `config/markets`."""

    kind: str
    """Of the field's enumeration: energy_da, energy_id, …"""

    currency: str
    lot_mw: Decimal
    tick_per_mwh: Decimal
    min_price_per_mwh: Decimal
    max_price_per_mwh: Decimal
    max_quantity_mw: Decimal
    """Most that one unit may bid per interval and side."""

    most_steps: int | None = None
    """Most steps of one curve; None: as many as there are."""

    price_series_id: str
    exclusivity_group: str
    unverified: tuple[str, ...]
    """Fields that no official text was seen for: illustrative until a person clears them."""

    pack_digest: str
    """SHA-256 of the rule file these numbers came from."""

    def __post_init__(self) -> None:
        if self.lot_mw <= 0 or self.tick_per_mwh <= 0 or self.max_quantity_mw < 0:
            raise DataError(
                f"lot {self.lot_mw} MW, tick {self.tick_per_mwh}, at most {self.max_quantity_mw} MW",
                where=f"product {self.product_id}",
                fix="Give positive steps and a quantity not below 0",
            )
        if self.min_price_per_mwh >= self.max_price_per_mwh:
            raise DataError(
                f"prices {self.min_price_per_mwh} … {self.max_price_per_mwh}",
                where=f"product {self.product_id}",
                fix="Let the least price be below the greatest",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveStep:
    """One step of a curve: this much more, at this price or better."""

    quantity_mw: Decimal
    price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCurveOffer:
    """`curve_step`: increments, best price first (a buyer's prices fall, a seller's rise)."""

    steps: tuple[CurveStep, ...]

    def __post_init__(self) -> None:
        if not self.steps or any(step.quantity_mw <= 0 for step in self.steps):
            raise DataError(
                f"steps {self.steps}", where="offer", fix="Give at least one step above 0 MW"
            )

    @property
    def quantity_mw(self) -> Decimal:
        return sum((step.quantity_mw for step in self.steps), Decimal(0))


Offer: TypeAlias = StepCurveOffer
"""The union of offer forms, told apart by `form` on the wire; wider forms join it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    bid_id: str
    interval: Interval
    side: Side
    offer: Offer

    def __post_init__(self) -> None:
        buying = self.side is Side.BUY
        prices = [step.price_per_mwh for step in self.offer.steps]
        if any((a < b) if buying else (a > b) for a, b in pairwise(prices)):
            raise DataError(
                f"prices {[str(s.price_per_mwh) for s in self.offer.steps]} of a {self.side} bid",
                where=self.bid_id,
                fix="A buyer's prices fall from step to step, a seller's rise",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BidSet:
    """All bids of one unit for one delivery of one product, given in answer to one request."""

    bid_set_id: str
    request_id: str
    product_id: ProductId
    unit_id: UnitId
    delivery: Interval
    revision: int
    issued_at: datetime
    valid_until: datetime
    """The gate: after it the bids can no longer be changed or withdrawn."""

    plan_id: str
    strategy_version: str
    pack_digest: str
    bids: tuple[Bid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What a venue took of one bid."""

    bid_id: str
    interval: Interval
    quantity_mw: Decimal
    """A size; the side is the bid's."""

    price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """A venue's answer to one bid set. A higher revision replaces a lower one."""

    award_id: str
    revision: int
    final: bool
    product_id: ProductId
    bid_set_id: str
    cleared: tuple[Cleared, ...]
    rejected: tuple[str, ...]
    received_at: datetime
