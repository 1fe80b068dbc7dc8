"""How the simulated market clears a product: a closed list of rules, which a park file chooses from."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPrice:
    """Against a price that our bids do not move."""

    pays: Literal["cleared", "bid"] = "cleared"
    """Everyone the price, or each his own."""

    price: Decimal | None = None
    """In the product's own unit; None: the recorded price of the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Among the curves of strangers, which are drawn by seed about `price`."""

    kind: Literal["exchange", "region"] = "exchange"
    price: Decimal | None = None
    """As of `AtPrice`."""
    depth_mw: Decimal = Decimal(50)
    """All of one side of the strangers."""
    spread: Decimal = Decimal(30)
    """How far their prices stray from `price`."""
    cap: Decimal = Decimal(20_300)
    """What the demand of a region pays at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulation:
    """Capacity, all at `price`, and a signal every few seconds while it is held."""

    price: Decimal
    signal_period_s: int = 4


Clearing: TypeAlias = AtPrice | Among | Regulation
