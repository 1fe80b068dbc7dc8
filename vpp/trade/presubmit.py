"""Limits on what may leave, by money and by surprise: a bid that keeps every market rule may still be wrong.

    rule           hard: refused and counted                     soft: warned and counted
    price_collar   farther than `collar` from the reference      farther than `collar_warning`; no reference
    volume         more than the unit can move now               more than `soft_share` of it
    interval       worst case of an interval, sold and open      the same, from `soft_share` of it on
    day, day_cost  energy, and worst-case cost, of a local day   the same
    enterprise     the same, of one member's share               the same
    duplicate      a second live bid for one slot                the same content under a new request
    novelty        (a person must approve)                       nothing to compare with

What breaks the market's own rules is `limits.py`'s. Everything here is computed from the bid set, the record
and the meters; nothing the planner says of it is believed. Rate and count of refusals are at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from statistics import median
from typing import TypeAlias

from vpp.model.ids import EnterpriseId
from vpp.model.market import Bid, BidSet, MarketProduct, PriceGrid, Side
from vpp.model.offer import BlockOffer, most_mw
from vpp.model.time import Interval, isoformat

NOTHING = Decimal(0)


class Severity(StrEnum):
    SOFT = "soft"
    PERSON = "person"
    """Leaves only when a person has approved it."""
    HARD = "hard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One limit that a bid set breaks."""

    rule: str
    severity: Severity
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterpriseLimit:
    """What one member can stand of a day, by its share of the trade."""

    day_mwh: Decimal | None
    day_cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BidLimits:
    """The numbers, from `trading.limits` of the park file."""

    soft_share: Decimal
    collar_per_mwh: Decimal
    collar_warning_per_mwh: Decimal
    interval_times: Decimal
    """Of the unit's capability."""
    day_hours: Decimal
    """At the unit's capability."""
    day_cost_per_mw: Decimal
    enterprises: Mapping[EnterpriseId, EnterpriseLimit]
    novelty_share: Decimal
    per_minute: int
    burst: int
    most_refusals: int
    refusals_within: timedelta


Profile: TypeAlias = Mapping[timedelta, tuple[Decimal, Decimal]]
"""What a bid set offers to sell and to buy, in MW, by how long after its delivery's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a bid set is held against."""

    capability_mw: Decimal
    """Declared, or tested where the product asks for a test."""

    available_mw: Decimal
    """From the deepest draw to the highest feed of those members that are heard now."""

    reference_per_mwh: Decimal | None
    """Median of the prices published lately; None where none was."""

    net_mw: Mapping[Interval, tuple[Decimal, Decimal]]
    """The most and the least sold already (bought below 0) at any moment of an interval of the bid set;
    what is not in it is 0."""

    open_mw: Mapping[Interval, tuple[Decimal, Decimal]]
    """Offered to sell and to buy in other bid sets that stand in the market; the same."""

    day_mwh: Decimal
    """Sold and bought and offered on the delivery's local day beside this set, as sizes."""

    day_cost: Decimal
    """What all that may cost at worst."""

    shares: Mapping[EnterpriseId, Decimal]
    """Of the unit's trade, each above 0, 1 in all."""

    yesterday: Profile | None
    trailing: Profile | None
    """Slot by slot the median of what was offered on the days before."""

    approved: Sequence[Profile] = ()
    """What people approved for this delivery."""

    twin: str | None = None
    """A live bid set of the same delivery with the same content."""

    taken: Sequence[str] = ()
    """Slots in which another live bid stands that this set does not replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a bid set offers in all, worked out once for bids that are given out again and again."""

    slots: tuple[tuple[Interval, Side, Decimal], ...]
    """Most MW by interval and side."""

    profile: Profile
    largest_mw: Decimal
    mwh: Decimal
    worst_cost: Decimal
    """Where all of it clears at its own limits."""

    prices: tuple[Decimal, Decimal] | None
    """Least and greatest of those that do not mean *at any price*; None where all do."""


def offered_of(bid_set: BidSet, product: MarketProduct | None) -> Offered:
    """What a bid set offers in all; without its product nothing is known of its prices."""
    grid = None if product is None else product.price
    taker = {} if grid is None else {Side.SELL: grid.least, Side.BUY: grid.most}
    slots = [(interval, bid.side, mw) for bid in bid_set.bids for interval, mw in slots_of(bid)]
    prices = [
        price
        for bid in bid_set.bids
        for _, price in bid.offer.priced_mw
        if price is not None and price != taker.get(bid.side)
    ]
    profile: dict[timedelta, tuple[Decimal, Decimal]] = {}
    for interval, side, mw in slots:
        slot = interval.start - bid_set.delivery.start
        sell, buy = profile.get(slot, (NOTHING, NOTHING))
        profile[slot] = (sell + mw, buy) if side is Side.SELL else (sell, buy + mw)
    return Offered(
        slots=tuple(slots),
        profile=profile,
        largest_mw=max((mw for _, _, mw in slots), default=NOTHING),
        mwh=sum((bid.most_mwh for bid in bid_set.bids), NOTHING),
        worst_cost=sum((_worst_cost(bid, grid) for bid in bid_set.bids), NOTHING),
        prices=(min(prices), max(prices)) if prices and grid is not None else None,
    )


def judge(offered: Offered, limits: BidLimits, facts: Facts) -> tuple[Breach, ...]:
    """Every limit that an offer breaks; it may leave where none of them is hard or needs a person."""
    return (
        *_collar(offered, limits, facts),
        *_graded(
            "volume", offered.largest_mw, facts.available_mw, limits.soft_share, "MW in one bid"
        ),
        *_interval(offered, limits, facts),
        *_day(offered, limits, facts),
        *_duplicate(facts),
        *_novelty(offered, limits, facts),
    )


def slots_of(bid: Bid) -> tuple[tuple[Interval, Decimal], ...]:
    """(interval, most MW) of a bid: several of a block, one of every other."""
    if isinstance(bid.offer, BlockOffer):
        return tuple((part.interval, part.quantity_mw) for part in bid.offer.parts)
    return ((bid.interval, most_mw(bid.offer)),)


def median_of(profiles: Sequence[Profile]) -> Profile | None:
    """Slot by slot the median; None of none."""
    if not profiles:
        return None
    slots = sorted({slot for profile in profiles for slot in profile})
    empty = (NOTHING, NOTHING)
    columns = {slot: [profile.get(slot, empty) for profile in profiles] for slot in slots}
    return {
        slot: (median(sell for sell, _ in column), median(buy for _, buy in column))
        for slot, column in columns.items()
    }


# ---------------------------------------------------------------- the rules


def _worst_cost(bid: Bid, grid: PriceGrid | None) -> Decimal:
    """A buyer's own price, a seller's below 0; where no price is named, the market's worst."""
    taken = most_mw(bid.offer)
    if grid is None or taken == 0:
        return NOTHING
    sign = bid.side.sign
    worst = grid.most if bid.side is Side.BUY else grid.least
    paid = sum(
        (
            max(-(worst if price is None else price) * sign, NOTHING) * mw
            for mw, price in bid.offer.priced_mw
        ),
        NOTHING,
    )
    return bid.most_mwh * paid / taken


def _collar(offered: Offered, limits: BidLimits, facts: Facts) -> Iterator[Breach]:
    """Prices near the reference. One at the market's own bound means *at any price*, and is meant."""
    reference = facts.reference_per_mwh
    if reference is None:
        what = "no price was published lately, so prices are held against nothing"
        yield Breach(rule="price_collar", severity=Severity.SOFT, what=what)
        return
    if offered.prices is None:
        return
    price = max(offered.prices, key=lambda price: abs(price - reference))
    if (far := abs(price - reference)) > limits.collar_warning_per_mwh:
        yield Breach(
            rule="price_collar",
            severity=Severity.SOFT if far <= limits.collar_per_mwh else Severity.HARD,
            what=f"a price of {price} is {far} from the reference {reference}",
        )


def _interval(offered: Offered, limits: BidLimits, facts: Facts) -> Iterator[Breach]:
    """The worst that may come of an interval, in each direction, once this set is cleared too."""
    most = limits.interval_times * facts.capability_mw
    worst, where = NOTHING, ""
    empty = (NOTHING, NOTHING)
    for interval, side, mw in offered.slots:
        most_sold, least_sold = facts.net_mw.get(interval, empty)
        sell, buy = facts.open_mw.get(interval, empty)
        total = mw + (most_sold + sell if side is Side.SELL else buy - least_sold)
        if total > worst:
            worst = total
            where = f" {'sold' if side is Side.SELL else 'bought'} at {isoformat(interval.start)}"
    yield from _graded("interval", worst, most, limits.soft_share, f"MW{where}")


def _day(offered: Offered, limits: BidLimits, facts: Facts) -> Iterator[Breach]:
    mwh = facts.day_mwh + offered.mwh
    cost = facts.day_cost + offered.worst_cost
    soft, capability = limits.soft_share, facts.capability_mw
    yield from _graded("day", mwh, limits.day_hours * capability, soft, "MWh of the day")
    most = limits.day_cost_per_mw * capability
    yield from _graded("day_cost", cost, most, soft, "at worst for the day")
    for name, share in facts.shares.items():
        if (own := limits.enterprises.get(name)) is None:
            continue
        if own.day_mwh is not None:
            told = f"MWh of the day for {name}"
            yield from _graded("enterprise", mwh * share, own.day_mwh, soft, told)
        if own.day_cost is not None:
            told = f"at worst for the day of {name}"
            yield from _graded("enterprise", cost * share, own.day_cost, soft, told)


def _duplicate(facts: Facts) -> Iterator[Breach]:
    for slot in facts.taken:
        what = f"another live bid stands for {slot}"
        yield Breach(rule="duplicate", severity=Severity.HARD, what=what)
    if facts.twin is not None:
        what = f"the same bids as {facts.twin}, for a new request"
        yield Breach(rule="duplicate", severity=Severity.SOFT, what=what)


def _novelty(offered: Offered, limits: BidLimits, facts: Facts) -> Iterator[Breach]:
    known = {"yesterday": facts.yesterday, "the trailing median": facts.trailing}
    if facts.yesterday is None and facts.trailing is None:
        what = "nothing was bid before that it could be held against"
        yield Breach(rule="novelty", severity=Severity.SOFT, what=what)
        return
    ours = offered.profile
    most = limits.novelty_share * facts.capability_mw
    if any(distance_mw(ours, profile) <= most for profile in facts.approved):
        return
    told = [
        f"{distance:.3f} MW from {name}"
        for name, profile in known.items()
        if profile is not None and not (distance := distance_mw(ours, profile)) <= most
    ]
    if told:
        what = f"on average {' and '.join(told)}; {most:.3f} MW are usual"
        yield Breach(rule="novelty", severity=Severity.PERSON, what=what)


def distance_mw(one: Profile, other: Profile) -> Decimal:
    """By how many MW two bid sets differ, on average over their slots and summed over both sides."""
    empty = (NOTHING, NOTHING)
    slots = one.keys() | other.keys()
    total = NOTHING
    for slot in slots:
        (sell, buy), (sold, bought) = one.get(slot, empty), other.get(slot, empty)
        total += abs(sell - sold) + abs(buy - bought)
    return total / max(len(slots), 1)


def _graded(
    rule: str, value: Decimal, most: Decimal, soft_share: Decimal, told: str
) -> Iterator[Breach]:
    """Hard above `most`, soft above its `soft_share`; what is not a number is hard."""
    if value <= most * soft_share:
        return
    severity = Severity.SOFT if value <= most else Severity.HARD
    yield Breach(rule=rule, severity=severity, what=f"{value:.3f} {told}; at most {most:.3f}")


# ---------------------------------------------------------------- how often


@dataclass(slots=True)
class RateMeter:
    """A bucket of `burst` bid sets that fills again at `per_minute`."""

    burst: int
    per_minute: int
    _left: float = field(init=False)
    _at: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._left = float(self.burst)

    def take(self, now: datetime) -> bool:
        """Take one; False where none is left. A clock that falls back fills nothing."""
        if self._at is not None and now > self._at:
            gone = (now - self._at) / timedelta(minutes=1)
            self._left = min(self._left + gone * self.per_minute, float(self.burst))
        self._at = now if self._at is None else max(now, self._at)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """What was taken was no new bid set after all."""
        self._left = min(self._left + 1, float(self.burst))


@dataclass(slots=True)
class RefusalTally:
    """Hard refusals of one market lately."""

    most: int
    within: timedelta
    _at: deque[datetime] = field(default_factory=deque)

    def add(self, now: datetime) -> bool:
        """Count one; True where there are too many now."""
        self._at.append(now)
        while self._at and now - self._at[0] > self.within:
            self._at.popleft()
        return len(self._at) >= self.most
