"""Market products, bids and awards: `Decimal`, MW and price per MWh.

Buying and selling in one interval are two bids. A bid's id is derived from what it is for, so
sending it twice places it once:

    {product}/{unit}/{start:%Y%m%dT%H%MZ}/{side}/{revision}
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import inf

from vpp.errors import DataError
from vpp.model.gate import ProductCalendar
from vpp.model.ids import ProductId, UnitId
from vpp.model.money import exact
from vpp.model.offer import BlockOffer, Offer, PriceBandsOffer, PriceUnit, most_mw, order_fault
from vpp.model.time import Interval


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """What turns a quantity into net injection: +1 sells, -1 buys."""
        return 1 if self is Side.SELL else -1


class Direction(StrEnum):
    """Which way a product moves net injection."""

    UP = "up"
    DOWN = "down"
    BOTH_SEPARATE = "both_separate"
    SYMMETRIC = "symmetric"
    NET = "net"


class BidMode(StrEnum):
    """How an offer is made from a plan; a park file chooses by product."""

    ROBUST = "robust"
    """Whatever is accepted of it can be delivered within all limits."""
    EXPECTED = "expected"
    """It earns the most over the plan's futures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How a park wants offers of one product to be made."""

    product_id: ProductId
    mode: BidMode = BidMode.ROBUST


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceGrid:
    """The prices that may be offered: what they are paid for, their bounds, their step."""

    unit: PriceUnit = PriceUnit.ENERGY
    least: Decimal
    most: Decimal
    tick: Decimal

    def __post_init__(self) -> None:
        if not (self.least < self.most and self.tick > 0):
            raise DataError(
                f"prices {self.least} … {self.most} in steps of {self.tick}",
                where=self.unit,
                fix="Let the least price be below the greatest, and the step above 0",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How long what is held ready may be called."""

    longest: timedelta | None
    """One call at most; None: as long as the delivery interval."""

    most_hours_per_day: float | None = None
    """All calls of a delivery day together; None: the product does not say."""

    least_share: Decimal = Decimal(0)
    """Least share of it that a call asks for; 1: all or nothing."""

    survives_largest: bool = False
    """It must be held even if the largest resource that holds it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawBack:
    """What a user's market takes back of the gain of a wrong declaration (日前申报偏差收益回收)."""

    band: Decimal
    """Share of what was metered that a declaration may be off by."""
    k: Decimal
    """Times the gain beyond the band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProduct(ProductCalendar):
    """What can be traded and under which rules; data from a dated file in `config/markets`."""

    kind: str
    """Of the field's enumeration: energy_da, energy_id, …"""

    currency: str
    direction: Direction = Direction.NET
    form: str = "curve_step"
    """Of the offer, as `offer.form` says it (`vpp/model/offer.py`)."""

    lot_mw: Decimal
    least_mw: Decimal = Decimal(0)
    """Least that may be offered in an interval and side, if anything is."""

    max_quantity_mw: Decimal | None
    """Most that one unit may bid per interval and side; None: what it is registered for."""

    price: PriceGrid | None
    """What offers are cleared by; None where a rule sets the price."""

    energy_price: PriceGrid | None = None
    """Beside a price for capacity: that of energy when it is called."""

    least_steps: int = 1
    most_steps: int | None = None
    """Most steps of one curve; None: as many as there are."""

    min_share: Decimal = Decimal(0)
    """Least share of an offer that is taken, if any is; 1: all or none."""

    linked_blocks: bool = False
    """A block may hang on another one: it is taken to no greater share."""

    only_bought: bool = False
    """A demand's market: what is drawn is bid for, nothing is sold."""

    prices_per_day: bool = False
    """Prices hold for the whole delivery, MW are per interval."""

    trapezium: bool = False
    """Reserve goes with a trapezium of the unit."""

    call: Call | None = None
    """How what is held ready is called; None where what is cleared is a schedule."""

    by_invitation: bool = False
    """A platform invites to it; a reply (`service/demandresponse.py`) bids for the invited window."""

    settled_by: str = "exchange_imbalance"
    """Name of the settlement formula."""

    price_series_id: str
    real_time_series_id: str | None = None
    """Series of the real-time price, where what is metered otherwise than traded settles at it."""

    claw_back: ClawBack | None = None
    exclusivity_group: str
    unverified: tuple[str, ...]
    """Fields that no official text was seen for: illustrative until a person clears them."""

    pack_digest: str
    """SHA-256 of the rule file these numbers came from."""

    def __post_init__(self) -> None:
        if self.lot_mw <= 0 or (self.max_quantity_mw or 0) < 0 or self.least_mw < 0:
            raise DataError(
                f"lot {self.lot_mw} MW, {self.least_mw} to {self.max_quantity_mw} MW",
                where=f"product {self.product_id}",
                fix="Give a step above 0 and quantities not below 0",
            )

    @property
    def most_kw(self) -> float:
        """The most that it lets one unit bid; inf where it says nothing."""
        return inf if self.max_quantity_mw is None else float(self.max_quantity_mw) * 1000

    @property
    def trades_energy(self) -> bool:
        """Whether what is sold is energy to be fed; else it is called against a schedule or baseline."""
        return self.kind in ("energy_da", "energy_id", "energy_rt") and self.direction in (
            Direction.NET,
            Direction.BOTH_SEPARATE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    bid_id: str
    interval: Interval
    side: Side
    offer: Offer

    def __post_init__(self) -> None:
        if (fault := order_fault(self.offer, self.side.sign)) is not None:
            raise DataError(
                f"{fault} in a {self.side} bid",
                where=self.bid_id,
                fix="A buyer's prices fall from step to step, a seller's rise",
            )
        if isinstance(self.offer, BlockOffer):
            parts = self.offer.parts
            if self.interval != Interval(parts[0].interval.start, parts[-1].interval.end):
                raise DataError(
                    "it is not for the span of its block",
                    where=self.bid_id,
                    fix="Let it begin with the first part and end with the last",
                )

    @property
    def most_mwh(self) -> Decimal:
        """Energy if all of it is taken."""
        if isinstance(self.offer, BlockOffer):
            return sum(
                (p.quantity_mw * exact(p.interval.hours) for p in self.offer.parts), Decimal(0)
            )
        return most_mw(self.offer) * exact(self.interval.hours)


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

    def __post_init__(self) -> None:
        prices: dict[Side, tuple[Decimal, ...]] = {}
        for bid in self.bids:
            if isinstance(bid.offer, PriceBandsOffer):
                own = tuple(band.price for band in bid.offer.bands)
                if prices.setdefault(bid.side, own) != own:
                    raise DataError(
                        "the prices of its bands are not those of the interval before",
                        where=bid.bid_id,
                        fix="Let prices of bands hold for the whole delivery, and only MW differ",
                    )


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
