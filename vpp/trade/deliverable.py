"""Whether a set of bids that nobody made from the plan can be delivered, whatever is accepted of it.

    offered ──less what comes whatever the price──▶ wanted of the unit ──handed out of its freedom──▶ lacking

The same freedom that offers are made of (`rest.py`) is handed out to what is asked: if all of it is found,
every part that a market may take of the bids can be delivered within all limits, and out of every store.
A set that asks of no interval for more than the plan's own offer is no worse than that, and passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from vpp.model.ids import ProductId
from vpp.model.market import Bid, Direction, MarketProduct, Side
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, isoformat
from vpp.trade.mover import Mover
from vpp.trade.position import Position
from vpp.trade.presubmit import slots_of
from vpp.trade.rest import Rest, rest_of
from vpp.trade.robust import take


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """An interval and side of which more is offered than can be delivered."""

    interval: Interval
    side: Side
    asked_kw: float
    possible_kw: float

    def __str__(self) -> str:
        verb = "sold" if self.side is Side.SELL else "bought"
        return (
            f"{isoformat(self.interval.start)}: {self.asked_kw / 1000:.3f} MW {verb},"
            f" {self.possible_kw / 1000:.3f} MW can be delivered"
        )


def lacking(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    bids: Sequence[Bid],
    own: Sequence[Bid],
    schedule: Schedule,
    position: Position,
    park: Park,
    products: Mapping[ProductId, MarketProduct],
) -> tuple[Lack, ...]:
    """Where `bids` ask for more than the unit can do beside its `position`; empty where all can be delivered.

    `own` is what the plan itself would offer for the delivery. What lies within one lot is rounding.

    Raises:
        TradeRefusal: `plan_too_short`, `no_plan` or `off_grid`, as `offer_for`.
    """
    asked, known = _by_slot(bids), _by_slot(own)
    if all(mw <= known.get(slot, Decimal(0)) for slot, mw in asked.items()):
        return ()
    rest = rest_of(product, unit, delivery, schedule, position, park, products)
    lot_kw = float(product.lot_mw) * 1000
    found = []
    for at, interval in enumerate(rest.intervals):
        for side in Side:
            asked_kw = float(asked.get((interval, side), 0)) * 1000
            if asked_kw == 0:
                continue
            possible_kw = _possible_kw(rest, product, at, side, asked_kw)
            if asked_kw > possible_kw + lot_kw:
                found.append(
                    Lack(interval=interval, side=side, asked_kw=asked_kw, possible_kw=possible_kw)
                )
    return tuple(found)


def _by_slot(bids: Iterable[Bid]) -> dict[tuple[Interval, Side], Decimal]:
    """Most MW by interval and side."""
    found: dict[tuple[Interval, Side], Decimal] = defaultdict(Decimal)
    for bid in bids:
        for interval, mw in slots_of(bid):
            found[interval, bid.side] += mw
    return dict(found)


def _possible_kw(rest: Rest, product: MarketProduct, at: int, side: Side, asked_kw: float) -> float:
    """What can be delivered of `asked_kw`; all that is used for it is used up."""
    if not product.trades_energy and product.kind != "energy_bm":
        ways = {Direction.UP: (True,), Direction.DOWN: (False,)}
        both = ways.get(product.direction, (True, False))
        return min(_handed_kw(rest, product, at, asked_kw, up=up) for up in both)
    firm_kw = side.sign * float(rest.firm_kw[at]) if product.trades_energy else 0.0
    wanted_kw = max(asked_kw - firm_kw, 0.0)
    handed_kw = _handed_kw(rest, product, at, wanted_kw, up=side is Side.SELL)
    return max(firm_kw + handed_kw, 0.0)


def _handed_kw(rest: Rest, product: MarketProduct, at: int, wanted_kw: float, *, up: bool) -> float:
    """Of those who never run out first, then of stores."""
    left_kw = wanted_kw
    for mover in sorted(rest.movers, key=lambda mover: _runs_out(mover, up=up)):
        if left_kw <= 0:
            break
        left_kw -= take(rest, product, mover, at, left_kw, up=up)
    return wanted_kw - left_kw


def _runs_out(mover: Mover, *, up: bool) -> bool:
    return bool((mover.left_kwh if up else mover.room_kwh).min() < float("inf"))
