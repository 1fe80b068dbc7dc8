"""Offers of which anything may be taken: every combination can be delivered within all limits.

    plan ──▶ rest ──▶ pieces, the most useful first ──▶ steps in lots and ticks ──▶ the product's form

How much of a store is free from an interval on is a budget: a piece takes of it what it would need at the
worst, and no piece ever puts anything back. Energy that would be bought and sold again needs a form that
ties the two together (`blocks.py`). Intervals in which a kWh is worth most get theirs first.

A piece's price is that from which on the plan would rather do it: the shadow price of stored energy with
losses and wear, what a load's owner asks, what fuel costs. What hangs on weather or people is taken as it
comes: offered at the best price there is, whatever the price will be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ProductId, ResourceId
from vpp.model.market import Direction, MarketProduct
from vpp.model.park import BiddingUnit, Park
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.trade.forms import Ladder
from vpp.trade.mover import NOTHING_KW, Mover
from vpp.trade.position import Position
from vpp.trade.rest import Rest, rest_of


@dataclass(frozen=True, slots=True)
class Piece:
    """What one resource may be asked for."""

    resource_id: ResourceId
    price_per_kwh: float
    kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Freedom:
    """What may be taken of the unit in one interval, beside what is taken whatever the price."""

    interval: Interval
    firm_kw: float
    """What is left to trade of energy with everyone at rest; sold above 0."""
    rest_kw: Mapping[ResourceId, Floats]
    """Power at rest of those who may move, by step of the plan or of the product, whichever is shorter."""
    worth_per_kwh: float
    """Of net injection, by the plan."""
    reach_kw: tuple[float, float]
    """Net injection of those who may move if all did, downwards and upwards."""
    up: tuple[Piece, ...]
    """More feed, the cheapest first."""
    down: tuple[Piece, ...]
    """Less feed, the dearest first."""


def robust_ladders(product: MarketProduct, found: Sequence[Freedom]) -> tuple[Ladder, ...]:
    """Freedoms as the forms take them."""
    return tuple(
        Ladder(
            interval=one.interval,
            firm_kw=one.firm_kw if product.trades_energy else 0.0,
            up=tuple((piece.price_per_kwh, piece.kw) for piece in one.up),
            down=tuple((piece.price_per_kwh, piece.kw) for piece in one.down),
            worth_per_kwh=one.worth_per_kwh,
            reach_kw=one.reach_kw,
        )
        for one in found
    )


def freedoms(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    products: Mapping[ProductId, MarketProduct],
) -> tuple[Freedom, ...]:
    """What may be taken of the unit in each interval of `delivery`, all of it at once.

    Raises:
        TradeRefusal: As `offer_for`.
    """
    rest = rest_of(product, unit, delivery, schedule, position, park, products)
    ups, downs = _ways(product)
    planned = _planned(product, schedule, delivery)
    up = _hand_out(rest, product, planned.get(True), up=True) if ups else {}
    down = _hand_out(rest, product, planned.get(False), up=False) if downs else {}
    found = tuple(
        Freedom(
            interval=interval,
            firm_kw=float(rest.firm_kw[at]),
            rest_kw={m.resource.resource_id: m.rest_kw[rest.spans[at]].copy() for m in rest.movers},
            worth_per_kwh=float(rest.worth[at]),
            reach_kw=_reach(rest, at),
            up=tuple(sorted(up.get(at, ()), key=lambda piece: piece.price_per_kwh)),
            down=tuple(sorted(down.get(at, ()), key=lambda piece: -piece.price_per_kwh)),
        )
        for at, interval in enumerate(rest.intervals)
    )
    if product.call is not None and product.call.survives_largest:
        found = tuple(_without_largest(one) for one in found)
    if product.direction is Direction.SYMMETRIC:
        found = tuple(_symmetric(one) for one in found)
    return found


def _reach(rest: Rest, at: int) -> tuple[float, float]:
    steps = rest.spans[at]
    return (
        sum(float(mover.least_kw[steps].max()) for mover in rest.movers),
        sum(float(mover.most_kw[steps].min()) for mover in rest.movers),
    )


def _ways(product: MarketProduct) -> tuple[bool, bool]:
    """Whether it moves net injection up, and whether down."""
    one_way = {Direction.UP: (True, False), Direction.DOWN: (False, True)}
    return one_way.get(product.direction, (True, True))


def _planned(
    product: MarketProduct, schedule: Schedule, delivery: Interval
) -> dict[bool, Mapping[ResourceId, Floats]]:
    """Who keeps the product by the plan and how much, by direction, where the plan speaks of it."""
    first, step = schedule.horizon.index(delivery.start), schedule.horizon.step
    parts = max(step // product.delivery_interval, 1)
    return {
        up: {name: np.repeat(kw[first:], parts) for name, kw in reserve.kept_kw.items()}
        for up, way in ((True, "up"), (False, "down"))
        if (reserve := schedule.reserve.get(f"{product.product_id} {way}")) is not None
    }


def _hand_out(
    rest: Rest, product: MarketProduct, planned: Mapping[ResourceId, Floats] | None, *, up: bool
) -> dict[int, list[Piece]]:
    """Pieces by interval, most worth first: `planned` is all that may be had of each, where it is given."""
    sign = 1.0 if up else -1.0
    wishes: list[tuple[float, int, int]] = []
    for number, mover in enumerate(rest.movers):
        prices = mover.up_price if up else mover.down_price
        for at, steps in enumerate(rest.spans):
            gain = sign * (float(rest.worth[at]) - float(prices[steps].mean()))
            wishes.append((-gain, at, number))
    found: dict[int, list[Piece]] = {}
    for _, at, number in sorted(wishes):
        mover, steps = rest.movers[number], rest.spans[at]
        most = float("inf")
        if planned is not None:
            kept = planned.get(mover.resource.resource_id)
            most = 0.0 if kept is None else float(kept[steps].min())
        from_kw = float(mover.high_kw[steps].max() if up else mover.low_kw[steps].min())
        kw = take(rest, product, mover, at, most, up=up)
        found.setdefault(at, []).extend(_priced(mover, steps, from_kw, kw, up=up))
    return found


def take(
    rest: Rest, product: MarketProduct, mover: Mover, at: int, kw: float, *, up: bool
) -> float:
    """Hand out up to `kw` more (or less) feed of one in interval `at`, as the product calls it; what there was."""
    hours, call = rest.intervals[at].hours, product.call
    if call is None:
        return rest.take(mover, at, kw, up=up, hours=hours, called=not product.trades_energy)
    if call.longest is not None:
        hours = min(hours, call.longest.total_seconds() / 3600)
    day_h = call.most_hours_per_day
    if day_h is None or sum(i.hours for i in rest.intervals) <= day_h:
        return rest.take(mover, at, kw, up=up, hours=hours, called=True)
    # So many hours in all, of whichever intervals: each may have what lasts as long as that.
    free = (mover.left_kwh if up else mover.room_kwh)[rest.spans[0].start :]
    kwh = max(float(free.min()), 0.0)
    lasting = mover.power_kw(rest.from_kw(mover, at, up=up), kwh / day_h, up=up)
    kw = min(kw, lasting, rest.power(mover, at, up=up))
    rest.nodes.take(mover.resource.resource_id, rest.spans[at], kw, up=up)
    return kw


def _priced(mover: Mover, steps: slice, from_kw: float, kw: float, *, up: bool) -> Iterator[Piece]:
    """What stops being drawn (or fed) has the price at which it was wished, the rest its own."""
    name = mover.resource.resource_id
    own, other = (mover.up_price, mover.down_price) if up else (mover.down_price, mover.up_price)
    relief = min(max(-from_kw if up else from_kw, 0.0), kw)
    for prices, part in ((other, relief), (own, kw - relief)):
        if part > NOTHING_KW:
            worst = prices[steps].max() if up else prices[steps].min()
            yield Piece(name, float(worst), part)


def _without_largest(one: Freedom) -> Freedom:
    """What is left to sell if whoever gives the most fails."""

    def less(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        given: dict[ResourceId, float] = {}
        for piece in pieces:
            given[piece.resource_id] = given.get(piece.resource_id, 0.0) + piece.kw
        return _cut(pieces, sum(given.values()) - max(given.values(), default=0.0))

    return replace(one, up=less(one.up), down=less(one.down))


def _symmetric(one: Freedom) -> Freedom:
    """As much up as down."""
    most = min(sum(piece.kw for piece in one.up), sum(piece.kw for piece in one.down))
    return replace(one, up=_cut(one.up, most), down=_cut(one.down, most))


def _cut(pieces: tuple[Piece, ...], most_kw: float) -> tuple[Piece, ...]:
    """The same pieces in order, up to so much in all."""
    kept = []
    for piece in pieces:
        kw = min(piece.kw, most_kw)
        most_kw -= kw
        if kw > NOTHING_KW:
            kept.append(replace(piece, kw=kw))
    return tuple(kept)
