"""What a bid offers, form by form: MW and prices as `Decimal`, each price naming its unit.

    curve_step        this much more at this price or better, and this much more at that …
    curve_linear      points of a line: between two of them a price takes its share
    segments          MW from … to … at a price, without a gap
    envelope          segments that begin at MW taken whatever the price (a demand's lower limit)
    price_bands       MW in bands whose prices hold for the whole day; for reserve with a trapezium
    single            one quantity at one price: energy, capacity, mileage, a call
    bid_offer_pairs   steps away from a notified schedule, each with the price of undoing it
    block             a profile over several intervals, taken by one share in all of them or not at all
    self_schedule     a quantity taken as it is told
    quantity_only     a quantity whose price is regulated

An offer is valid once it exists. Its best price stands first; which way prices run from there is the
side's: a buyer's fall, a seller's rise (`Bid` asks `order_fault`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, TypeAlias

from vpp.errors import DataError
from vpp.model.time import Interval

ZERO, ONE = Decimal(0), Decimal(1)


class PriceUnit(StrEnum):
    """What a price is paid for, as its field is called."""

    ENERGY = "price_per_mwh"
    CAPACITY_HOUR = "capacity_price_per_mw_h"
    CAPACITY = "capacity_price_per_mw"
    """For all of a delivery interval, however long."""
    MILEAGE = "mileage_price_per_mw"
    """For each MW that an instruction moves the set-point."""
    CALL = "call_price_per_mw"
    """For each call that is answered."""


PricedMw: TypeAlias = tuple[Decimal, Decimal | None]
"""(MW more, price; None where there is none), best price first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveStep:
    """One step of a curve: this much more, at this price or better."""

    quantity_mw: Decimal
    price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCurveOffer:
    """`curve_step`: increments, best price first."""

    form: ClassVar[str] = "curve_step"
    steps: tuple[CurveStep, ...]

    def __post_init__(self) -> None:
        _require(
            bool(self.steps) and all(_above_zero(step.quantity_mw) for step in self.steps),
            f"steps {self.steps}",
            "Give at least one step above 0 MW",
        )

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return tuple((step.quantity_mw, step.price_per_mwh) for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """At this price this much in all is taken."""

    price_per_mwh: Decimal
    quantity_mw: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearCurveOffer:
    """`curve_linear`: from point to point along a straight line; beyond the last one no more.

    A price that is worse than the first point's takes nothing, one between two points its share.
    """

    form: ClassVar[str] = "curve_linear"
    points: tuple[CurvePoint, ...]

    def __post_init__(self) -> None:
        taken = [point.quantity_mw for point in self.points]
        _require(
            len(taken) >= 2 and taken[0].is_finite() and taken[0] >= 0 and _above_zero(taken[-1]),
            f"points {self.points}",
            "Give at least two points, the first at 0 MW or more, the last above 0 MW",
        )
        _require(
            all(a <= b for a, b in pairwise(taken)),
            f"quantities {[str(mw) for mw in taken]}",
            "Let the quantity not fall from point to point",
        )

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        before = ZERO
        found: list[PricedMw] = []
        for point in self.points:
            found.append((point.quantity_mw - before, point.price_per_mwh))
            before = point.quantity_mw
        return tuple(found)

    def taken_mw(self, price: Decimal, sign: int) -> Decimal:
        """MW that a clearing price takes of a seller's (sign 1) or a buyer's (-1) line.

        Between two points rounded up to the digits that the points have: a venue's last digit is not ours.
        """
        taken = ZERO
        for a, b in pairwise(self.points):
            if price * sign >= b.price_per_mwh * sign:
                taken = b.quantity_mw
            elif price * sign >= a.price_per_mwh * sign:
                share = (price - a.price_per_mwh) / (b.price_per_mwh - a.price_per_mwh)
                taken = a.quantity_mw + share * (b.quantity_mw - a.quantity_mw)
                digits = min(_exponent(a.quantity_mw), _exponent(b.quantity_mw))
                return taken.quantize(Decimal(1).scaleb(digits), ROUND_CEILING)
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The MW between two levels, at one price."""

    from_mw: Decimal
    to_mw: Decimal
    price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsOffer:
    """`segments`: one on the other from 0 MW on."""

    form: ClassVar[str] = "segments"
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _require(bool(self.segments), "no segments", "Give at least one")
        _stacked(self.segments, ZERO)

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return tuple((s.to_mw - s.from_mw, s.price_per_mwh) for s in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeOffer:
    """`envelope`: `lower_mw` whatever the price, and by segments on to `upper_mw`."""

    form: ClassVar[str] = "envelope"
    lower_mw: Decimal
    upper_mw: Decimal
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _require(
            self.lower_mw.is_finite() and self.lower_mw >= 0 and _above_zero(self.upper_mw),
            f"{self.lower_mw} to {self.upper_mw} MW",
            "Give a lower limit of 0 MW or more and an upper one above 0",
        )
        _stacked(self.segments, self.lower_mw)
        top = self.segments[-1].to_mw if self.segments else self.lower_mw
        _require(
            top == self.upper_mw,
            f"segments up to {top} MW of {self.upper_mw} MW",
            "Let the last segment end at the upper limit",
        )

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        firm: tuple[PricedMw, ...] = ((self.lower_mw, None),) if self.lower_mw else ()
        return firm + tuple((s.to_mw - s.from_mw, s.price_per_mwh) for s in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBand:
    """MW of one band; its price holds for the day. Reserve is priced by the MW and hour."""

    quantity_mw: Decimal
    price_per_mwh: Decimal | None = None
    capacity_price_per_mw_h: Decimal | None = None

    def __post_init__(self) -> None:
        _require(
            self.quantity_mw.is_finite() and self.quantity_mw >= 0,
            f"{self.quantity_mw} MW",
            "Give a band of 0 MW or more",
        )
        _require(
            (self.price_per_mwh is None) != (self.capacity_price_per_mw_h is None),
            "a band with two prices or none",
            "Give price_per_mwh or capacity_price_per_mw_h",
        )

    @property
    def price(self) -> Decimal:
        """The one price it has."""
        one = self.price_per_mwh
        return self.capacity_price_per_mw_h or ZERO if one is None else one


@dataclass(frozen=True, slots=True, kw_only=True)
class Trapezium:
    """How much reserve goes with which dispatch of energy (net injection, MW).

    MW of reserve
      ▲      ┌──────────┐ max_available
      │     ╱            ╲
      └────┴──────────────┴───▶ energy
       min  low        high  max      (enablement, breakpoints)
    """

    enablement_min_mw: Decimal
    low_breakpoint_mw: Decimal
    high_breakpoint_mw: Decimal
    enablement_max_mw: Decimal
    max_available_mw: Decimal

    def __post_init__(self) -> None:
        corners = (
            self.enablement_min_mw,
            self.low_breakpoint_mw,
            self.high_breakpoint_mw,
            self.enablement_max_mw,
        )
        _require(
            all(c.is_finite() for c in corners)
            and all(a <= b for a, b in pairwise(corners))
            and self.max_available_mw.is_finite()
            and self.max_available_mw >= 0,
            f"corners {[str(c) for c in corners]}, at most {self.max_available_mw} MW",
            "Let the corners not fall, and give 0 MW or more",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBandsOffer:
    """`price_bands`: bands by rising price for a seller, falling for a buyer; some may be empty."""

    form: ClassVar[str] = "price_bands"
    bands: tuple[PriceBand, ...]
    trapezium: Trapezium | None = None

    def __post_init__(self) -> None:
        units = {band.price_per_mwh is None for band in self.bands}
        _require(
            any(band.quantity_mw for band in self.bands) and len(units) == 1,
            f"bands {self.bands}",
            "Let one band be above 0 MW, and give all the same kind of price",
        )

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return tuple((band.quantity_mw, band.price) for band in self.bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleOffer:
    """`single`: one quantity. `min_share` of it is the least that may be taken; 1: all or none.

    With a capacity price, `price_per_mwh` is what energy costs when it is called.
    """

    form: ClassVar[str] = "single"
    quantity_mw: Decimal
    min_share: Decimal = ZERO
    price_per_mwh: Decimal | None = None
    capacity_price_per_mw_h: Decimal | None = None
    capacity_price_per_mw: Decimal | None = None
    mileage_price_per_mw: Decimal | None = None
    call_price_per_mw: Decimal | None = None

    def __post_init__(self) -> None:
        _require(_above_zero(self.quantity_mw), f"{self.quantity_mw} MW", "Offer more than 0 MW")
        _require_share(self.min_share)
        called = ZERO if self.price_per_mwh is None else self.price_per_mwh
        _require(called.is_finite(), f"price_per_mwh {called}", "Give a finite price")
        first = [self.capacity_price_per_mw_h, self.capacity_price_per_mw]
        first += [self.mileage_price_per_mw, self.call_price_per_mw]
        given = sum(price is not None for price in first)
        _require(
            given == 1 or (given == 0 and self.price_per_mwh is not None),
            f"{given} prices beside that of energy",
            "Give the one price it is cleared by, and with capacity that of its energy if there is one",
        )

    @property
    def price(self) -> Decimal:
        """What it is cleared by."""
        for price in (
            self.capacity_price_per_mw_h,
            self.capacity_price_per_mw,
            self.mileage_price_per_mw,
            self.call_price_per_mw,
        ):
            if price is not None:
                return price
        return ZERO if self.price_per_mwh is None else self.price_per_mwh

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return ((self.quantity_mw, self.price),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePair:
    """One step away from the schedule, and what taking it back costs."""

    number: int
    """1, 2 … upwards (sold), -1, -2 … downwards (bought)."""
    quantity_mw: Decimal
    price_per_mwh: Decimal
    undo_price_per_mwh: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BidOfferPairsOffer:
    """`bid_offer_pairs`: what is undone is never dearer to buy back than it was to sell."""

    form: ClassVar[str] = "bid_offer_pairs"
    pairs: tuple[PricePair, ...]

    def __post_init__(self) -> None:
        sign = 1 if self.pairs and self.pairs[0].number > 0 else -1
        numbers = [pair.number for pair in self.pairs]
        _require(
            bool(numbers) and numbers == [sign * n for n in range(1, len(numbers) + 1)],
            f"pairs numbered {numbers}",
            "Number them 1, 2 … upwards or -1, -2 … downwards",
        )
        for pair in self.pairs:
            _require(
                _above_zero(pair.quantity_mw)
                and pair.price_per_mwh.is_finite()
                and pair.undo_price_per_mwh.is_finite()
                and pair.undo_price_per_mwh * sign <= pair.price_per_mwh * sign,
                f"pair {pair.number}: {pair.quantity_mw} MW at {pair.price_per_mwh},"
                f" undone at {pair.undo_price_per_mwh}",
                "Offer more than 0 MW, and let no one earn by taking a step and undoing it",
            )

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return tuple((pair.quantity_mw, pair.price_per_mwh) for pair in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPart:
    """A block's quantity in one interval."""

    interval: Interval
    quantity_mw: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOffer:
    """`block`: the same share of every part is taken, at least `min_share`, or nothing.

    Of an exclusive group one block at most is taken (the shares of those taken add up to 1 at most);
    a block that is linked is taken at most to the share of the one it is linked to.
    """

    form: ClassVar[str] = "block"
    parts: tuple[BlockPart, ...]
    price_per_mwh: Decimal
    min_share: Decimal = ONE
    exclusive_group: str | None = None
    linked_to: str | None = None
    """The `bid_id` of another block of the set."""

    def __post_init__(self) -> None:
        _require(
            bool(self.parts) and all(_above_zero(part.quantity_mw) for part in self.parts),
            f"{len(self.parts)} parts",
            "Give at least one interval, each with more than 0 MW",
        )
        _require(
            all(a.interval.end <= b.interval.start for a, b in pairwise(self.parts)),
            "its parts overlap or are out of order",
            "Give intervals one after the other",
        )
        _require_share(self.min_share)

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        """Of its largest part."""
        return ((max(part.quantity_mw for part in self.parts), self.price_per_mwh),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfScheduleOffer:
    """`self_schedule`: taken as it is told, at whatever price comes."""

    form: ClassVar[str] = "self_schedule"
    quantity_mw: Decimal

    def __post_init__(self) -> None:
        _require(_above_zero(self.quantity_mw), f"{self.quantity_mw} MW", "Offer more than 0 MW")

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return ((self.quantity_mw, None),)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityOnlyOffer:
    """`quantity_only`: up to so much, at a price that a rule sets."""

    form: ClassVar[str] = "quantity_only"
    quantity_mw: Decimal

    def __post_init__(self) -> None:
        _require(_above_zero(self.quantity_mw), f"{self.quantity_mw} MW", "Offer more than 0 MW")

    @property
    def priced_mw(self) -> tuple[PricedMw, ...]:
        return ((self.quantity_mw, None),)


Offer: TypeAlias = (
    StepCurveOffer
    | LinearCurveOffer
    | SegmentsOffer
    | EnvelopeOffer
    | PriceBandsOffer
    | SingleOffer
    | BidOfferPairsOffer
    | BlockOffer
    | SelfScheduleOffer
    | QuantityOnlyOffer
)
"""Told apart by `form` on the wire."""


def most_mw(offer: Offer) -> Decimal:
    """The most that can be taken of it in one interval."""
    return sum((mw for mw, _ in offer.priced_mw), ZERO)


def offered_mw(offer: Offer, price: Decimal, sign: int) -> Decimal:
    """What a seller (sign 1) or a buyer (-1) gives at a price or a better one."""
    if isinstance(offer, LinearCurveOffer):
        return offer.taken_mw(price, sign)
    return sum(
        (mw for mw, limit in offer.priced_mw if limit is None or limit * sign <= price * sign), ZERO
    )


def order_fault(offer: Offer, sign: int) -> str | None:
    """What is wrong with the order of its prices for a seller (sign 1) or a buyer (-1); None if nothing."""
    prices = [price for _, price in offer.priced_mw if price is not None]
    if any(not price.is_finite() for price in prices):
        return f"prices {[str(price) for price in prices]} are not all finite"
    if any(a * sign > b * sign for a, b in pairwise(prices)):
        return f"prices {[str(price) for price in prices]} are not in order of merit"
    if isinstance(offer, BidOfferPairsOffer) and offer.pairs[0].number * sign < 0:
        return f"pairs numbered from {offer.pairs[0].number} are of the other side"
    return None


def _stacked(segments: tuple[Segment, ...], base_mw: Decimal) -> None:
    """Each segment begins where the one before ends, the first at `base_mw`."""
    ends = [base_mw, *(segment.to_mw for segment in segments)]
    _require(
        all(s.from_mw == end < s.to_mw for s, end in zip(segments, ends, strict=False)),
        f"segments {[(str(s.from_mw), str(s.to_mw)) for s in segments]} from {base_mw} MW on",
        "Let each begin where the one before ends, and be above 0 MW",
    )


def _above_zero(mw: Decimal) -> bool:
    return mw.is_finite() and mw > 0


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _require_share(share: Decimal) -> None:
    _require(
        share.is_finite() and ZERO <= share <= ONE, f"min_share {share}", "Give a share of 0 to 1"
    )


def _require(holds: bool, what: str, fix: str) -> None:
    if not holds:
        raise DataError(what, where="offer", fix=fix)
