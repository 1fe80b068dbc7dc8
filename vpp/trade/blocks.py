"""Block offers: what is traded for certain as one profile, and energy that is bought and sold again in two tied blocks.

    MW ▲     sell, linked to the buy:     ┌──────┐
       ├──────────────────────────────────┴──────┴──▶ time
       │  └──────────┘  buy: fills the store

The first leg of a cycle changes the store for good, so it takes of its room (or of what is in it) as any
robust piece does. The second undoes at most what the first did, later, and is taken to no greater share:
whatever is taken of the two, the store ends between its rest and the first leg. Where a market links no
blocks only first legs are offered.

A leg's limit is the price from which on the plan would do it in each of its intervals, losses and wear
included. So neither leg alone is done at a loss by what the plan thinks energy in the store is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ProductId, ResourceId
from vpp.model.market import Bid, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.offer import BlockOffer, BlockPart
from vpp.model.park import BiddingUnit, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.limits import most_mw
from vpp.trade.mover import NOTHING_KW, Mover
from vpp.trade.planned import NOISE_DIGITS, limit_of
from vpp.trade.position import Position
from vpp.trade.rest import Rest, rest_of

MOST_CYCLES = 2
"""Of one store and delivery: filled more often in a day it runs on prices that nobody knows the day before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What a store does in one block, if all of it is taken."""

    resource_id: ResourceId
    up: bool
    """More feed: it is sold; else it is bought."""
    kw: Mapping[int, float]
    """By interval, sizes, whole lots."""
    limit_per_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """What may be taken of a unit in blocks."""

    intervals: tuple[Interval, ...]
    rest_kw: Mapping[ResourceId, tuple[Floats, ...]]
    """Power at rest of those who may move, by interval and its steps."""
    firm_lots: tuple[int, ...]
    """Traded whatever the price; sold above 0."""
    cycles: tuple[tuple[Leg, ...], ...]
    """One or two legs each; the second is taken to no greater share than the first."""


def blocks_of(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    products: Mapping[ProductId, MarketProduct],
) -> Blocks:
    """What a product of the form `block` is offered.

    Raises:
        TradeRefusal: As `offer_for`.
    """
    rest = rest_of(product, unit, delivery, schedule, position, park, products)
    room = _Room(product, unit, rest)
    firm = room.firm()
    return Blocks(
        intervals=rest.intervals,
        rest_kw={
            mover.resource.resource_id: tuple(mover.rest_kw[steps].copy() for steps in rest.spans)
            for mover in rest.movers
        },
        firm_lots=firm,
        cycles=tuple(_cycles(room)),
    )


def block_bids(
    product: MarketProduct, unit: BiddingUnit, blocks: Blocks, *, revision: int
) -> tuple[Bid, ...]:
    """The bids of one delivery: at most one for what is certain on each side, and one for each leg.

    Intervals that start before the unit trades get no part.
    """
    bids: list[Bid] = []

    def add(
        up: bool, lots: Mapping[int, int], limit: float | None, linked: str | None
    ) -> str | None:
        bid = _bid(product, unit, blocks, up, lots, limit, linked, revision)
        if bid is not None:
            bids.append(bid)
        return None if bid is None else bid.bid_id

    for up in (False, True):
        sign = 1 if up else -1
        certain = {at: sign * lots for at, lots in enumerate(blocks.firm_lots) if sign * lots > 0}
        add(up, certain, None, None)
    lot_kw = float(product.lot_mw) * 1000
    for cycle in blocks.cycles:
        linked: str | None = None
        for leg in cycle:
            lots = {at: _lots(kw, lot_kw) for at, kw in leg.kw.items()}
            linked = add(leg.up, lots, leg.limit_per_kwh, linked)
            if linked is None:
                break
    return tuple(sorted(bids, key=lambda bid: (bid.interval.start, bid.side)))


def _bid(
    product: MarketProduct,
    unit: BiddingUnit,
    blocks: Blocks,
    up: bool,
    lots: Mapping[int, int],
    limit_per_kwh: float | None,
    linked: str | None,
    revision: int,
) -> Bid | None:
    side = Side.SELL if up else Side.BUY
    parts = tuple(
        BlockPart(
            interval=blocks.intervals[at],
            quantity_mw=(lots[at] * product.lot_mw).quantize(product.lot_mw),
        )
        for at in sorted(lots)
        if blocks.intervals[at].start >= unit.trades_from
    )
    limit = limit_of(product, limit_per_kwh, side)
    if not parts or limit is None:
        return None
    start = parts[0].interval.start
    return Bid(
        bid_id=f"{product.product_id}/{unit.unit_id}/{start:%Y%m%dT%H%MZ}/{side}/{revision}",
        interval=Interval(start, parts[-1].interval.end),
        side=side,
        offer=BlockOffer(
            parts=parts, price_per_mwh=limit, min_share=product.min_share, linked_to=linked
        ),
    )


def _lots(kw: float, lot_kw: float) -> int:
    """Whole lots towards 0; a solver's rounding takes none."""
    return int(exact(round(kw, NOISE_DIGITS)) / exact(lot_kw))


# ---------------------------------------------------------------- cycles


class _Room:
    """What of the unit's freedom is left while blocks are made."""

    def __init__(self, product: MarketProduct, unit: BiddingUnit, rest: Rest) -> None:
        self.product, self.rest = product, rest
        self.lot_kw = float(product.lot_mw) * 1000
        self.least_lots = -int(-product.least_mw // product.lot_mw)
        self.trades_from = unit.trades_from
        self._most = int(most_mw(product, unit) / product.lot_mw)
        self.left = {True: [self._most] * len(rest.spans), False: [self._most] * len(rest.spans)}
        """Lots that may still be sold (True) and bought, by interval."""
        self.begun: set[tuple[int, bool]] = set()
        """Where blocks begin: there is one bid for each interval and side."""
        self.hours = [interval.hours for interval in rest.intervals]

    def firm(self) -> tuple[int, ...]:
        """What is certain, in lots, as far as the product takes it; it is counted."""
        found = []
        for at, kw in enumerate(self.rest.firm_kw.tolist()):
            up = kw > 0
            lots = min(_lots(abs(kw), self.lot_kw), self._most)
            if lots < self.least_lots or (up and self.product.only_bought):
                lots = 0
            self.left[up][at] -= lots
            found.append(lots if up else -lots)
        for up in (True, False):
            first = next((at for at, lots in enumerate(found) if lots and (lots > 0) is up), None)
            if first is not None:
                self.begun.add((first, up))
        return tuple(found)

    def gain_per_kwh(self, mover: Mover, at: int, *, up: bool) -> float:
        """What a kWh in an interval is worth more than its limit, by the plan."""
        sign = 1.0 if up else -1.0
        return sign * (float(self.rest.worth[at]) - self.limit_per_kwh(mover, at, up=up))

    def limit_per_kwh(self, mover: Mover, at: int, *, up: bool) -> float:
        """The price from which on the store would do it."""
        steps = self.rest.spans[at]
        return float(mover.up_price[steps].max() if up else mover.down_price[steps].min())


def _cycles(room: _Room) -> Iterator[tuple[Leg, ...]]:
    """Of each store, the largest first: the best pair of legs, then the best of the intervals that are left."""
    if room.product.only_bought:
        return
    stores = [m for m in room.rest.movers if isinstance(m.resource, Storage)]
    for mover in sorted(stores, key=lambda m: -float((m.most_kw - m.least_kw).max())):
        yield from _cycles_of(room, mover)


def _cycles_of(room: _Room, mover: Mover) -> Iterator[tuple[Leg, ...]]:
    free = [at for at, one in enumerate(room.rest.intervals) if one.start >= room.trades_from]
    for _ in range(MOST_CYCLES):
        first, second, up = _best(room, mover, free)
        leg = _first_leg(room, mover, first, up=up)
        if leg is None:
            return
        legs = [leg]
        if room.product.linked_blocks:
            other = _second_leg(room, mover, leg, second)
            if other is None:
                return
            legs.append(other)
        yield tuple(legs)
        used = {at for one in legs for at in one.kw}
        free = [at for at in free if at not in used]


def _best(room: _Room, mover: Mover, free: Sequence[int]) -> tuple[list[int], list[int], bool]:
    """Intervals of the first and of the second leg, best first, and whether the first one sells.

    By the plan's worth of energy, as if every interval had the same room: how much there really is, the legs find.
    """
    gains = {
        up: {at: gain for at in free if (gain := room.gain_per_kwh(mover, at, up=up)) > 0}
        for up in (True, False)
    }
    best: tuple[float, list[int], list[int], bool] = (0.0, [], [], False)
    for split in free[1:]:
        for up in (True, False):
            first = _ranked(gains[up], [at for at in free if at < split])
            second = _ranked(gains[not up], [at for at in free if at >= split])
            pairs = min(len(first), len(second)) if room.product.linked_blocks else len(first)
            gain = sum(gains[up][at] for at in first[:pairs])
            if room.product.linked_blocks:
                gain += sum(gains[not up][at] for at in second[:pairs])
            if gain > best[0]:
                best = gain, first, second, up
    return best[1:]


def _ranked(gains: Mapping[int, float], among: Sequence[int]) -> list[int]:
    return sorted((at for at in among if at in gains), key=lambda at: (-gains[at], at))


def _first_leg(room: _Room, mover: Mover, ranked: Sequence[int], *, up: bool) -> Leg | None:
    """What the store has room for (or holds), the best intervals first."""
    found: dict[int, float] = {}
    for at in _where_none_begins(room, ranked, up=up):
        most_kw = room.left[up][at] * room.lot_kw
        kw = room.rest.take(mover, at, most_kw, up=up, hours=room.hours[at], called=False)
        _keep_whole(room, found, at, kw)
    return _leg(room, mover, found, up=up)


def _second_leg(room: _Room, mover: Mover, first: Leg, ranked: Sequence[int]) -> Leg | None:
    """Undo what the first leg did, in the best of the later intervals."""
    rest, up, found = room.rest, not first.up, dict[int, float]()
    after = _where_none_begins(room, [at for at in ranked if at > max(first.kw)], up=up)
    if not after:
        return None
    left_kwh = _undoable_kwh(room, mover, first, after)
    for at in after:
        per_kw = _kwh_per_kw(mover, rest, at, up=up, most=True) * room.hours[at]
        kw = min(rest.power(mover, at, up=up), left_kwh / per_kw)
        _keep_whole(room, found, at, min(kw, room.left[up][at] * room.lot_kw))
        done, steps = found.get(at, 0.0), rest.spans[at]
        left_kwh -= done * per_kw
        rest.nodes.take(mover.resource.resource_id, steps, done, up=up)
        reached = mover.high_kw if up else mover.low_kw
        reached[steps] += done if up else -done
    return _leg(room, mover, found, up=up)


def _where_none_begins(room: _Room, ranked: Sequence[int], *, up: bool) -> list[int]:
    """The intervals but for the first ones in which another block begins, in the order that they came."""
    later = sorted(ranked)
    while later and (later[0], up) in room.begun:
        later.pop(0)
    return [at for at in ranked if at in later]


def _keep_whole(room: _Room, found: dict[int, float], at: int, kw: float) -> None:
    lots = _lots(kw, room.lot_kw)
    if lots >= max(room.least_lots, 1):
        found[at] = lots * room.lot_kw


def _leg(room: _Room, mover: Mover, found: Mapping[int, float], *, up: bool) -> Leg | None:
    """What was found as a block that begins where no other one does; None where nothing is left of it."""
    kept = dict(found)
    while kept and (min(kept), up) in room.begun:
        del kept[min(kept)]
    if not kept:
        return None
    room.begun.add((min(kept), up))
    for at, kw in kept.items():
        room.left[up][at] -= _lots(kw, room.lot_kw)
    limits = [room.limit_per_kwh(mover, at, up=up) for at in kept]
    return Leg(
        resource_id=mover.resource.resource_id,
        up=up,
        kw=kept,
        limit_per_kwh=max(limits) if up else min(limits),
    )


def _undoable_kwh(room: _Room, mover: Mover, first: Leg, after: Sequence[int]) -> float:
    """What the first leg surely put into the store (or made room for) by the time that the second one is over.

    What stands in the store decays, so does the lack of it. Where the store at rest is itself beyond what it
    can run at in full, that is lacking first.
    """
    rest, of = room.rest, mover.resource
    assert isinstance(of, Storage)  # asked for stores alone
    done_kwh = sum(
        kw * _kwh_per_kw(mover, rest, at, up=first.up, most=False) * room.hours[at]
        for at, kw in first.kw.items()
    )
    span = rest.intervals[max(after)].end - rest.intervals[min(first.kw)].start
    bounds = mover.room_kwh if first.up else mover.left_kwh
    lacking = min(float(bounds[rest.spans[min(after)].start :].min()), 0.0)
    return max(done_kwh * of.kept(span.total_seconds() / 3600) + lacking, 0.0)


def _kwh_per_kw(mover: Mover, rest: Rest, at: int, *, up: bool, most: bool) -> float:
    """KWh of the store that an hour of one kW more (or less) takes: at the most, or at the least.

    From rest at 0 the two are one; a store that runs at rest loses less where it merely does less.
    """
    still = bool((np.abs(mover.rest_kw[rest.spans[at]]) <= NOTHING_KW).all())
    then = mover.energy_kwh(0.0, 1.0, up=up)
    other = mover.energy_kwh(-2.0 if up else 2.0, 1.0, up=up)
    if still:
        return then
    return max(then, other) if most else min(then, other)
