"""What is sold and bought, and what is called: all awards, outside trades and activations, as cycles need it.

A position is a value. The bid book makes a new one when an award comes; nobody changes one.
Quantities are mean MW over their interval, sold above 0 and bought below, so a trade of an hour
holds in each of its quarters.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from vpp.model.activation import Activation
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One quantity that a venue took of one bid."""

    award_id: str
    bid_id: str
    product_id: ProductId
    unit_id: UnitId
    interval: Interval
    side: Side
    quantity_mw: Decimal
    """A size; the side tells the direction."""

    price_per_mwh: Decimal
    quarantined: bool
    """True where the award does not fit our bids: owed all the same until a person has looked."""

    @property
    def sold_mw(self) -> Decimal:
        """Signed: sold above 0, bought below."""
        return self.quantity_mw * self.side.sign


class TradeLine(NamedTuple):
    """One line for settlement: paid as cleared."""

    product_id: ProductId
    sold_mw: Decimal
    """Mean over the interval asked for; sold above 0, bought below."""

    price_per_mwh: Decimal


class Position:
    """Everything that is owed, by product and interval.

    Trades are settled as cleared; what is called is owed beside them, and settled by its product.
    """

    def __init__(self, trades: Iterable[Trade] = (), calls: Iterable[Activation] = ()) -> None:
        self._trades = sorted(trades, key=_order)
        self._calls = sorted((call for call in calls if _counts(call)), key=_began)
        self._longest_call = max((_length(call) for call in self._calls), default=timedelta(0))
        self._starts = [trade.interval.start for trade in self._trades]
        self._longest = max(
            (trade.interval.end - trade.interval.start for trade in self._trades),
            default=timedelta(0),
        )

    def with_more(self, trades: Iterable[Trade]) -> Position:
        """This position and some trades that are not in it; cheap, for one award among thousands."""
        grown = self._copy()
        grown._trades, grown._starts = [*self._trades], [*self._starts]
        for trade in trades:
            at = bisect_right(grown._trades, _order(trade), key=_order)
            grown._trades.insert(at, trade)
            grown._starts.insert(at, trade.interval.start)
            grown._longest = max(grown._longest, trade.interval.end - trade.interval.start)
        return grown

    def with_call(self, call: Activation) -> Position:
        """This position with an activation as it stands now; cheap, for a signal that moves every few seconds."""
        changed = self._copy()
        changed._calls = [one for one in self._calls if one.activation_id != call.activation_id]
        if _counts(call):
            insort(changed._calls, call, key=_began)
            changed._longest_call = max(self._longest_call, _length(call))
        return changed

    def sold_mw(self, product_id: ProductId, interval: Interval) -> Decimal:
        """Mean MW sold (bought below 0) of one product over `interval`."""
        lines = self.trades(interval)
        return sum((line.sold_mw for line in lines if line.product_id == product_id), Decimal(0))

    def committed_kw(
        self, horizon: Horizon, products: Collection[ProductId] | None = None
    ) -> Floats:
        """Mean net injection in kW owed in each step, of these products (None: of all); shape (T,)."""
        owed = np.zeros(horizon.steps)
        for trade in self._overlapping(horizon.span):
            if products is not None and trade.product_id not in products:
                continue
            first = max(horizon.index(trade.interval.start), 0)
            for step in range(first, horizon.steps):
                start = horizon.start + step * horizon.step
                if start >= trade.interval.end:
                    break
                share = _overlap(trade.interval, start, start + horizon.step) / horizon.step
                owed[step] += float(trade.sold_mw) * 1000 * share
        return owed + self.activated_kw(horizon, products)

    def activated_kw(
        self,
        horizon: Horizon,
        products: Collection[ProductId] | None = None,
        *,
        signals: bool = True,
    ) -> Floats:
        """What is called in each step, as net injection in kW, of these products; shape (T,).

        With `signals` False what signals ask for is left out: they are followed second by second.
        """
        called = np.zeros(horizon.steps)
        for call in self._calls_in(horizon.span):
            if products is not None and call.product_id not in products:
                continue
            if call.signal and not signals:
                continue
            if call.signal:
                for step, interval in enumerate(horizon.intervals()):
                    if interval.overlaps(call.interval):
                        mwh = call.asked_mwh(interval)
                        called[step] += float(mwh) * 1000 / interval.hours
                continue
            for step, start in enumerate(horizon.starts()):
                touched = _overlap(call.interval, start, start + horizon.step)
                if touched > timedelta(0):
                    called[step] += float(call.activated_mw) * 1000 * (touched / horizon.step)
        return called

    def activated_mw(self, interval: Interval) -> Decimal:
        """What is called of all products, mean net injection over `interval`, exact."""
        return sum(
            (
                call.activated_mw * share_of(call.interval, interval)
                for call in self._calls_in(interval)
            ),
            Decimal(0),
        )

    def trades(self, interval: Interval) -> tuple[TradeLine, ...]:
        """Every trade that touches `interval`, by product, each with its own cleared price."""
        return tuple(
            TradeLine(
                trade.product_id,
                trade.sold_mw * share_of(trade.interval, interval),
                trade.price_per_mwh,
            )
            for trade in sorted(self._overlapping(interval), key=lambda t: t.product_id)
        )

    def all_trades(self) -> tuple[Trade, ...]:
        """Every trade, by interval."""
        return tuple(self._trades)

    def _copy(self) -> Position:
        """A position that shares this one's lists; who makes it puts in new ones where they change."""
        other = Position()
        other._trades, other._starts, other._longest = self._trades, self._starts, self._longest
        other._calls, other._longest_call = self._calls, self._longest_call
        return other

    def _calls_in(self, span: Interval) -> list[Activation]:
        first = bisect_left(self._calls, span.start - self._longest_call, key=_began)
        last = bisect_left(self._calls, span.end, key=_began)
        return [call for call in self._calls[first:last] if call.interval.end > span.start]

    def _overlapping(self, span: Interval) -> list[Trade]:
        first = bisect_left(self._starts, span.start - self._longest)
        last = bisect_left(self._starts, span.end)
        return [trade for trade in self._trades[first:last] if trade.interval.end > span.start]


def _counts(call: Activation) -> bool:
    """Whether it is owed here; the call of an invitation is owed there."""
    return bool(call.quantity_mw or call.followed) and call.invitation_id is None


def _began(call: Activation) -> datetime:
    return call.interval.start


def _length(call: Activation) -> timedelta:
    return call.interval.end - call.interval.start


def _order(trade: Trade) -> tuple[Interval, str, str, str]:
    return trade.interval, trade.product_id, trade.bid_id, trade.award_id


def _overlap(interval: Interval, start: datetime, end: datetime) -> timedelta:
    return min(interval.end, end) - max(interval.start, start)


def share_of(part: Interval, whole: Interval) -> Decimal:
    """How much of `whole` lies in `part`, which touches it; exactly 1 where it is covered."""
    if part.covers(whole):
        return Decimal(1)
    tick = timedelta(microseconds=1)
    return Decimal(_overlap(part, whole.start, whole.end) // tick) / Decimal(
        (whole.end - whole.start) // tick
    )
