"""What becomes of the bid sets of one delivery: the style of its product, interval by interval.

    bid sets ─▶ style of the product ─▶ award each ─▶ trades (energy), capacities (services), prices
                 │
                 ├─ AtPrice       at the recorded price or a set one: everyone at it, or each at his own
                 ├─ Among         among strangers: an exchange, or a region dispatched by bands
                 └─ Regulation    capacity at a set price; a signal follows (`regulation.py`)

Invitations with reply and call are a programme's, not a market's; they are cleared elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_never

from vpp.simulate import strangers
from vpp.simulate.auction import Auction, iso, utc
from vpp.simulate.clearing import Bid, Step, Taken, auction, pay_as_bid, pay_as_cleared, read_bid
from vpp.simulate.clearingrules import Among, AtPrice, Clearing, Regulation
from vpp.simulate.ledger import Ledger, Slot, Trade
from vpp.simulate.prices import CENT, Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A bid set on its way to the auction."""

    unit: str
    award_id: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Won:
    """One line of a bid in its interval."""

    slot: Slot
    sells: bool
    line: Taken


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of one bid set."""

    unit: str
    award: Mapping[str, Any]
    trades: Sequence[Trade]
    """Empty for a service."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a delivery."""

    cleared: list[Cleared]
    """As the bid sets came."""
    prices: dict[datetime, Decimal | None]
    """By start of interval; None where there is none."""
    unread: list[tuple[str, str]]
    """Bids that the contract does not know, and why."""


class Clearinghouse:
    """Clears deliveries by the rule of their product; without one, all at the recorded price."""

    def __init__(self, prices: Prices, rules: Mapping[str, Clearing], seed: int) -> None:
        self._prices = prices
        self._rules = rules
        self._seed = seed

    @property
    def ruled(self) -> Collection[str]:
        """Products with a rule of their own."""
        return self._rules.keys()

    def rule(self, product: str) -> Clearing:
        """How a product is cleared."""
        return self._rules.get(product, AtPrice())

    def clear(self, of: Auction, delivery: Slot, received: Sequence[Received]) -> Result:
        """Clear a delivery; a service whose rule sets no price is not cleared."""
        slots = of.slots(delivery)
        unread: list[tuple[str, str]] = []
        asked = _by_slot(received, set(slots), unread)
        taken: defaultdict[str, list[_Won]] = defaultdict(list)
        prices: dict[datetime, Decimal | None] = {}
        for slot in slots:
            price, won = self._meet(of, slot, asked[slot])
            prices[slot[0]] = price
            sells = {bid.name: bid.sells for bid in asked[slot]}
            for line in won:
                taken[line.name].append(_Won(slot, sells[line.name], line))
        cleared = [_cleared(of, one, taken, index) for index, one in enumerate(received)]
        return Result(cleared, prices, unread)

    def price(self, of: Auction, start: datetime) -> Decimal | None:
        """What an interval clears at, or about; None for a service whose rule sets none."""
        own = self.rule(of.product).price
        if own is not None or not of.energy:
            return own
        return (self._prices.day_ahead if of.daily else self._prices.quarter_hour)(start)

    def _meet(
        self, of: Auction, slot: Slot, bids: Sequence[Bid]
    ) -> tuple[Decimal | None, list[Taken]]:
        price, rule = self.price(of, slot[0]), self.rule(of.product)
        if price is None:
            return None, []
        match rule:
            case AtPrice(pays="bid"):
                return price, _each(bids, price, pay_as_bid)
            case AtPrice() | Regulation():
                return price, _each(bids, price, pay_as_cleared)
            case Among():
                found, won = auction(
                    bids,
                    *self._strangers(of, slot, price, rule),
                    tick=CENT,
                    at_kink="next" if rule.kind == "region" else "middle",
                )
                if found is not None and of.priced:
                    self._prices.found(slot[0], found, day_ahead=of.daily)
                return found, won
            case _:
                assert_never(rule)

    def _strangers(
        self, of: Auction, slot: Slot, around: Decimal, rule: Among
    ) -> tuple[list[Step], list[Step]]:
        dice = strangers.dice_of(self._seed, of.product, slot[0])
        if rule.kind == "region":
            return strangers.region(dice, around, rule.depth_mw, rule.spread, CENT, rule.cap)
        return strangers.exchange(dice, around, rule.depth_mw, rule.spread, CENT)


def book(ledger: Ledger, of: Auction, cleared: Cleared, **fields: Any) -> None:
    """Put an award into the books: what is owed, and what a service earns by being held.

    What is paid by calls or mileage earns nothing yet. `fields` stand beside it in its entry.
    """
    award = cleared.award
    ledger.cleared(
        award["bid_set_id"], award["award_id"], cleared.trades, award["revision"], **fields
    )
    if of.energy or of.price_unit not in ("capacity_price_per_mw_h", "capacity_price_per_mw"):
        return
    for line in award["cleared"]:
        slot = (utc(line["start"]), utc(line["end"]))
        mw, price = Decimal(line["quantity_mw"]), Decimal(line["price_per_mwh"])
        hours = Decimal((slot[1] - slot[0]) // timedelta(seconds=1)) / 3600
        paid_for = hours if of.price_unit == "capacity_price_per_mw_h" else Decimal(1)
        key = f"{award['award_id']}/{line['bid_id']}/{price}"
        ledger.earned(key, "capacity", cleared.unit, slot, mw, mw * paid_for * price)


def note(ledger: Ledger, of: Auction, result: Result) -> None:
    """Put into the books what could not be read, and for which service there was no price."""
    for bid, reason in result.unread:
        ledger.write("bad_bid", bid=bid, reason=reason)
    if not of.energy and None in result.prices.values():
        ledger.write("no_price", product=of.product, start=min(result.prices))


def _each(
    bids: Sequence[Bid], price: Decimal, style: Callable[[Bid, Decimal], list[Taken]]
) -> list[Taken]:
    return [line for bid in bids for line in style(bid, price)]


def _by_slot(
    received: Sequence[Received], slots: set[Slot], unread: list[tuple[str, str]]
) -> defaultdict[Slot, list[Bid]]:
    """Bids by interval; those for other intervals, and a second one of an id, are left out."""
    asked: defaultdict[Slot, list[Bid]] = defaultdict(list)
    names: set[str] = set()
    for index, one in enumerate(received):
        for plain in one.content.get("bids", ()):
            try:
                slot, name = (utc(plain["start"]), utc(plain["end"])), _name(index, plain["bid_id"])
                if slot not in slots or name in names:
                    continue
                asked[slot].append(read_bid(plain, name))
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                unread.append((str(plain)[:200], repr(error)))
                continue
            names.add(name)
    return asked


def _name(index: int, bid_id: object) -> str:
    """A bid as the auction knows it: two sets may be copies of each other."""
    return f"{index}:{bid_id}"


def _cleared(
    of: Auction, one: Received, taken: Mapping[str, Sequence[_Won]], index: int
) -> Cleared:
    """The award of a bid set in the order of its bids, and what it makes."""
    lines: list[dict[str, str]] = []
    rejected: list[str] = []
    trades: list[Trade] = []
    kind = "day_ahead" if of.daily else "quarter_hour"
    for bid_id in dict.fromkeys(str(bid.get("bid_id", "")) for bid in one.content.get("bids", ())):
        mine = taken.get(_name(index, bid_id), ())
        if not mine:
            rejected.append(bid_id)
        for won in mine:
            mw, price = won.line.quantity_mw, won.line.price
            start, end = iso(won.slot[0]), iso(won.slot[1])
            said = {"quantity_mw": str(mw), "price_per_mwh": str(price)}
            lines.append({"bid_id": bid_id, "start": start, "end": end} | said)
            if of.energy:
                net_mw = mw if won.sells else -mw
                trades.append(Trade(kind, one.unit, won.slot, net_mw, price))
    award: dict[str, Any] = {
        "award_id": one.award_id,
        "revision": 1,
        "final": True,
        "bid_set_id": one.content["bid_set_id"],
        "cleared": lines,
        "rejected": rejected,
    }
    return Cleared(one.unit, award, trades)
