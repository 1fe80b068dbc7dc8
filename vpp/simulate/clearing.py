"""How a venue clears: pure functions over bids as they came and exact decimals, one for each style.

    pay_as_cleared   the steps that a given price takes, all paid at that price
    pay_as_bid       the same steps, each paid its own price
    meet             ours among those of strangers: supply meets demand, shares at the margin

    price ▲  demand ╲   ┌── supply
          │          ╲┌─┘
          ┤───────────X        an exchange: the middle of what both sides would still accept
          │        ┌──┘ ╲      a dispatch: what the next MW costs
          └─────────────────▶ MW

It reads every form of an offer but `block` from the JSON of the contract and shares no code with the service. A
sloped line counts from point to point: what lies between two of them is taken once a price reaches the farther one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

ZERO = Decimal(0)
LOT_MW = Decimal("0.001")
"""What a share at the margin is rounded down to; the rest goes to strangers."""

_SINGLE_PRICES = (
    "capacity_price_per_mw_h",
    "capacity_price_per_mw",
    "mileage_price_per_mw",
    "call_price_per_mw",
    "price_per_mwh",
)
"""By which of its prices a single quantity is cleared: the first that it has."""


@dataclass(frozen=True, slots=True)
class Step:
    """This much more at this price or better; None takes any price."""

    owner: str
    quantity_mw: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Taken:
    """So much of a bid at one price."""

    name: str
    quantity_mw: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Bid:
    """One bid as the venue reads it: its steps, best price first."""

    name: str
    sells: bool
    steps: tuple[Step, ...]
    least_mw: Decimal
    """If less of it could be taken, none is."""

    @property
    def most_mw(self) -> Decimal:
        return sum((step.quantity_mw for step in self.steps), ZERO)


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where supply and demand met."""

    price: Decimal | None
    """None where nobody traded."""
    volume_mw: Decimal
    taken_mw: Mapping[str, Decimal]
    """By owner, exact; who got nothing is not there."""


def read_bid(bid: Mapping[str, Any], name: str) -> Bid:
    """Read one bid of a bid set, to be known by `name` while it is cleared.

    Raises:
        LookupError, TypeError, ValueError, ArithmeticError: It is not what the contract says, or a block.
    """
    side, offer = bid["side"], bid["offer"]
    if side not in ("buy", "sell"):
        raise ValueError(f"a {side!r} bid is not traded here")
    steps = tuple(Step(name, mw, price) for mw, price in _priced(offer) if mw)
    for step in steps:
        finite = step.price is None or step.price.is_finite()
        if not (finite and step.quantity_mw.is_finite() and step.quantity_mw > 0):
            raise ValueError(f"{step.quantity_mw} MW at {step.price} is no quantity at a price")
    least_share = Decimal(offer.get("min_share", 0))
    most = sum((step.quantity_mw for step in steps), ZERO)
    return Bid(name, side == "sell", steps, least_share * most)


def pay_as_cleared(bid: Bid, price: Decimal) -> list[Taken]:
    """A buyer's step is taken where it offers the price or more, a seller's where it asks for it or less."""
    taken = sum((step.quantity_mw for step in bid.steps if _takes(bid, step, price)), ZERO)
    return [Taken(bid.name, taken, price)] if taken else []


def pay_as_bid(bid: Bid, price: Decimal) -> list[Taken]:
    """What `price` takes, each step at its own price; one without a price gets the given one."""
    by_price: dict[Decimal, Decimal] = {}
    for step in bid.steps:
        if _takes(bid, step, price):
            own = price if step.price is None else step.price
            by_price[own] = by_price.get(own, ZERO) + step.quantity_mw
    return [Taken(bid.name, taken, own) for own, taken in by_price.items()]


def auction(
    bids: Sequence[Bid],
    supply: Sequence[Step],
    demand: Sequence[Step],
    *,
    tick: Decimal,
    at_kink: Literal["middle", "next"] = "middle",
) -> tuple[Decimal | None, list[Taken]]:
    """One price for all: ours among strangers' `supply` and `demand`, and what is taken of ours.

    A bid of which less than its least share would be taken is left out, the one farthest from it first, and
    the others meet again. `at_kink`, where both sides end at the same MW: an exchange takes the middle, a
    dispatch what the next MW costs.
    """
    inside = list(bids)
    while True:
        met = meet(
            [*supply, *(step for bid in inside if bid.sells for step in bid.steps)],
            [*demand, *(step for bid in inside if not bid.sells for step in bid.steps)],
            tick=tick,
            at_kink=at_kink,
        )
        ours = [(bid, _got(bid, met)) for bid in inside]
        short = [(taken / bid.least_mw, bid) for bid, taken in ours if taken < bid.least_mw]
        if not short:
            break
        inside.remove(min(short, key=lambda pair: (pair[0], pair[1].name))[1])
    if met.price is None:
        return None, []
    return met.price, [Taken(bid.name, taken, met.price) for bid, taken in ours if taken]


def meet(
    supply: Sequence[Step],
    demand: Sequence[Step],
    *,
    tick: Decimal,
    at_kink: Literal["middle", "next"] = "middle",
) -> Meeting:
    """Where supply meets demand. At the margin all steps of one price get the same share of themselves."""
    sellers = sorted(supply, key=lambda step: (step.price is not None, step.price or ZERO))
    buyers = sorted(demand, key=lambda step: (step.price is not None, -(step.price or ZERO)))
    volume = _volume(sellers, buyers)
    if not volume:
        return Meeting(None, ZERO, {})
    taken_mw = _shared(sellers, volume)
    for owner, mw in _shared(buyers, volume).items():
        taken_mw[owner] = taken_mw.get(owner, ZERO) + mw
    last_seller, next_seller = _at(sellers, volume)
    last_buyer, next_buyer = _at(buyers, volume)
    low = max((p for p in (last_seller, next_buyer) if p is not None), default=None)
    high = min((p for p in (last_buyer, next_seller) if p is not None), default=None)
    price = _between(low, high, tick, at_kink)
    return Meeting(price, volume, taken_mw)


def _volume(sellers: Sequence[Step], buyers: Sequence[Step]) -> Decimal:
    """The most that can be traded: both sides in order of merit, as long as they agree."""
    volume = sold = bought = ZERO
    at_seller = at_buyer = 0
    while at_seller < len(sellers) and at_buyer < len(buyers):
        asked, offered = sellers[at_seller], buyers[at_buyer]
        if asked.price is not None and offered.price is not None and asked.price > offered.price:
            break
        volume = min(sold + asked.quantity_mw, bought + offered.quantity_mw)
        if volume == sold + asked.quantity_mw:
            sold += asked.quantity_mw
            at_seller += 1
        if volume == bought + offered.quantity_mw:
            bought += offered.quantity_mw
            at_buyer += 1
    return volume


def _shared(side: Sequence[Step], volume: Decimal) -> dict[str, Decimal]:
    """Who gets how much of `volume`, in order of merit; steps of the marginal price alike."""
    taken: dict[str, Decimal] = {}
    left = volume
    for price in dict.fromkeys(step.price for step in side):
        alike = [step for step in side if step.price == price]
        total = sum((step.quantity_mw for step in alike), ZERO)
        part = min(left, total)
        for step in alike if part else ():
            taken[step.owner] = taken.get(step.owner, ZERO) + step.quantity_mw * part / total
        left -= part
    return taken


def _at(side: Sequence[Step], volume: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """The prices of the last MW within `volume` and of the first beyond it; None: any, or there is none."""
    before = ZERO
    last: Decimal | None = None
    for step in side:
        if before < volume:
            last = step.price
        before += step.quantity_mw
        if before > volume:
            return last, step.price
    return last, None


def _between(
    low: Decimal | None, high: Decimal | None, tick: Decimal, at_kink: Literal["middle", "next"]
) -> Decimal | None:
    if low is None or high is None:
        only = high if low is None else low
        return None if only is None else only.quantize(tick)
    exact = high if at_kink == "next" else (low + high) / 2
    return ((exact / tick).to_integral_value(ROUND_HALF_EVEN) * tick).quantize(tick)


def _takes(bid: Bid, step: Step, price: Decimal) -> bool:
    if step.price is None:
        return True
    return step.price <= price if bid.sells else step.price >= price


def _got(bid: Bid, met: Meeting) -> Decimal:
    """All of it as it is; a part rounded down to whole lots, and to nearest in the last digits of a division."""
    exact = met.taken_mw.get(bid.name, ZERO)
    if exact == bid.most_mw:
        return exact
    lots = (exact / LOT_MW).quantize(Decimal("1e-9"), ROUND_HALF_EVEN)
    return (lots.to_integral_value(ROUND_DOWN) * LOT_MW).quantize(LOT_MW)


def _priced(offer: Mapping[str, Any]) -> list[tuple[Decimal, Decimal | None]]:
    """(MW more, price) of every form but `block`, best price first."""
    match offer["form"]:
        case "curve_step":
            return [(_mw(s), Decimal(s["price_per_mwh"])) for s in offer["steps"]]
        case "curve_linear":
            before, found = ZERO, []
            for point in offer["points"]:
                found.append((_mw(point) - before, Decimal(point["price_per_mwh"])))
                before = _mw(point)
            return list(found)
        case "segments":
            return _segments(offer["segments"])
        case "envelope":
            return [(Decimal(offer["lower_mw"]), None), *_segments(offer["segments"])]
        case "price_bands":
            return [(_mw(band), _price(band)) for band in offer["bands"]]
        case "bid_offer_pairs":
            return [(_mw(pair), Decimal(pair["price_per_mwh"])) for pair in offer["pairs"]]
        case "single":
            return [(_mw(offer), _price(offer))]
        case "self_schedule" | "quantity_only":
            return [(_mw(offer), None)]
        case form:
            raise ValueError(f"offer {form!r} is not traded here")


def _segments(segments: Sequence[Mapping[str, Any]]) -> list[tuple[Decimal, Decimal | None]]:
    return [
        (Decimal(s["to_mw"]) - Decimal(s["from_mw"]), Decimal(s["price_per_mwh"])) for s in segments
    ]


def _mw(part: Mapping[str, Any]) -> Decimal:
    return Decimal(part["quantity_mw"])


def _price(part: Mapping[str, Any]) -> Decimal:
    """The one price that it is cleared by. `LookupError` where it has none."""
    for name in _SINGLE_PRICES:
        if part.get(name) is not None:
            return Decimal(part[name])
    raise LookupError(f"{part} has no price")
