"""How the simulated market clears a product, in a park file: `simulation.market.clearing`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Money, Section
from vpp.simulate.clearingrules import Among, AtPrice, Clearing, Regulation

Above = Annotated[Decimal, Field(gt=0, max_digits=18)]


class _Cleared(Section):
    product: ProductName
    price: Money | None = None
    """In the product's own unit; left out: the recorded price of the interval. A service has none."""


class PayAsClearedSection(_Cleared):
    """Against a price that our bids do not move; everyone gets it."""

    style: Literal["pay_as_cleared"]

    def rule(self) -> Clearing:
        return AtPrice(price=self.price)


class PayAsBidSection(_Cleared):
    """Against a price that our bids do not move; each gets his own."""

    style: Literal["pay_as_bid"]

    def rule(self) -> Clearing:
        return AtPrice(pays="bid", price=self.price)


class _Among(_Cleared):
    depth_mw: Above = Decimal(50)
    """What all the others sell (and on an exchange buy), about."""
    spread: Above = Decimal(30)
    """How far the prices of the others stray from `price`."""


class UniformPriceSection(_Among):
    """An exchange: supply meets demand, among curves of others that are drawn by seed."""

    style: Literal["uniform_price"]

    def rule(self) -> Clearing:
        return Among(price=self.price, depth_mw=self.depth_mw, spread=self.spread)


class BandDispatchSection(_Among):
    """A region: generators of ten bands are dispatched against a demand that pays the cap."""

    style: Literal["band_dispatch"]
    cap: Money = Decimal(20_300)
    """What the demand pays at most."""

    def rule(self) -> Clearing:
        return Among(
            kind="region",
            price=self.price,
            depth_mw=self.depth_mw,
            spread=self.spread,
            cap=self.cap,
        )


class AgcSection(Section):
    """Regulation: capacity at `price`, and while it is held a signal every few seconds."""

    style: Literal["agc"]
    product: ProductName
    price: Money
    """In the product's own unit."""
    signal_period_s: Annotated[int, Field(ge=1, le=900)] = 4

    def rule(self) -> Clearing:
        return Regulation(price=self.price, signal_period_s=self.signal_period_s)


ClearingSection: TypeAlias = Annotated[
    PayAsClearedSection | PayAsBidSection | UniformPriceSection | BandDispatchSection | AgcSection,
    Field(discriminator="style"),
]
