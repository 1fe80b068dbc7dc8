"""Trades that no bid of ours led to: contracts with a daily curve, deals of a trader, entries on a portal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from vpp.errors import DataError
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import MarketProduct, Side
from vpp.model.time import Interval

CONTRACTS = ProductId("contracts")
"""Under which energy of contracts stands in a position, beside the products of market files."""


def energy_of(products: Iterable[MarketProduct]) -> frozenset[ProductId]:
    """Those of `products` whose trades are energy to be fed, not a service that may be called; and contracts."""
    return frozenset(p.product_id for p in products if p.trades_energy) | {CONTRACTS}


class Obligation(StrEnum):
    """What a trade outside our bids binds to."""

    PHYSICAL = "physical"
    """Energy is fed or drawn: it counts as sold, in plans, offers, limits and imbalance."""
    FINANCIAL = "financial"
    """A contract for difference: money alone, against a reference price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideTrade:
    """One revision of a trade; a higher one replaces it, one of 0 MW takes it back."""

    trade_id: str
    revision: int
    name: str
    """The product or contract, as the trader knows it."""

    product_id: ProductId
    """Where it counts: a product of the park, else `CONTRACTS`."""

    unit_id: UnitId
    interval: Interval
    side: Side
    quantity_mw: Decimal
    """A size, all through the interval."""

    price_per_mwh: Decimal
    obligation: Obligation
    reference_series_id: str | None
    """Of a financial one: the price that it is settled against."""

    counterparty: str
    reason: str
    by: str
    """The person who entered it."""

    received_at: datetime | None
    """None of a curve: its series says when."""

    def __post_init__(self) -> None:
        where = f"outside trade {self.trade_id}"
        if self.quantity_mw < 0:
            raise DataError(
                f"quantity_mw is {self.quantity_mw}",
                where=where,
                fix="Give a size; the side tells the direction",
            )
        if (self.obligation is Obligation.FINANCIAL) != (self.reference_series_id is not None):
            raise DataError(
                f"{self.obligation} with reference {self.reference_series_id}",
                where=where,
                fix="Name reference_series where money alone is owed, and only there",
            )

    @property
    def sold_mw(self) -> Decimal:
        """Signed: sold above 0, bought below."""
        return self.quantity_mw * self.side.sign
