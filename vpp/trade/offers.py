"""The one door between the planner's floats and the market's decimals.

For each delivery interval the plan is read as a supply curve: the net injection that the unit would
choose at each price. Everything but storage is inelastic. A store holds energy worth v a kWh (the
plan's shadow price), so at price p it

    charges below v·η_c - wear,   discharges above v/η_d + wear,   rests between

    net
     ▲            ┌──────── all stores discharge
     │       ┌────┘
     │   ┌───┘              steps: (price, how much more)
     ├───┘ all stores charge
     └──────────────────▶ price

Less what is sold already, the part above 0 is a sell bid and the part below 0 a buy bid.

* A day ahead the whole day clears at once, and energy sold twice cannot be delivered twice: only
  *planned* charging and discharging is offered, at a limit that the plan's own expected price meets.
  Whatever is accepted or not is then deliverable, by simply not doing the rest.
* An hour ahead one interval clears by itself: stores offer all that they physically can in it.

Where the plan was made for several futures, what is offered whatever the price is not what is expected
but the quantity chosen for all of them (`Uncertainty.bid_kw`); stores leave it at the price that a kWh
is worth on the mean of the futures.

It rounds against us: fewer lots, a limit no worse. Every limit of the tree holds at every price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TypeAlias

import numpy as np

from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import ResourceId, UnitId
from vpp.model.market import Bid, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.offer import CurveStep, StepCurveOffer
from vpp.model.park import BiddingUnit, Park
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import Interval, isoformat
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.limits import most_mw
from vpp.trade.position import Position
from vpp.trade.tree import Room

NOISE_DIGITS = 6
"""A solver's 499.9999999 kW are 500: below a milliwatt (and 1e-6 a MWh) nothing is counted, or
floor and ceiling would take a whole lot or tick for it."""

SupplyStep: TypeAlias = tuple[float, float]
"""(price per kWh, how many kW more from that price on)."""


@dataclass(frozen=True, slots=True)
class SupplyCurve:
    """Net injection of one interval as the price rises."""

    net_kw: float
    """At the lowest price."""

    steps: Sequence[SupplyStep]
    """By rising price; all increments above 0."""

    def at(self, price_per_kwh: float) -> float:
        """Net injection in kW at a price, steps at that very price included."""
        return self.net_kw + sum(kw for price, kw in self.steps if price <= price_per_kwh)


def build_bids(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
    *,
    revision: int,
) -> tuple[Bid, ...]:
    """The bids of `unit` for `delivery`: at most one buy and one sell in each interval.

    `position` is the unit's own; what it holds already is not offered again. Intervals that start
    before the unit trades, or where less than one lot is left, get no bid.

    Raises:
        TradeRefusal: `plan_too_short` where the schedule does not cover the delivery, `no_plan` where
            it holds numbers that are not finite, `off_grid` where its steps do not fit the product's.
    """
    curves = _curves(product, unit, delivery, schedule, position, park)
    return bids_of(product, unit, curves, revision=revision)


def bids_of(
    product: MarketProduct,
    unit: BiddingUnit,
    curves: Iterable[tuple[Interval, SupplyCurve, float]],
    *,
    revision: int,
) -> tuple[Bid, ...]:
    """Both sides of curves as bids; of each the interval, and how much of it is sold already in kW."""
    most = most_mw(product, unit)
    return tuple(
        bid
        for interval, curve, committed_kw in curves
        if interval.start >= unit.trades_from
        for side in Side
        if (bid := _bid(product, unit.unit_id, interval, curve, committed_kw, side, most, revision))
    )


def supply_curves(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    park: Park,
) -> tuple[SupplyCurve, ...]:
    """What the unit would do at each price, for each interval of `delivery`: the model behind bids.

    Raises:
        TradeRefusal: As `build_bids`.
    """
    curves = _curves(product, unit, delivery, schedule, Position(), park)
    return tuple(curve for _, curve, _ in curves)


# ---------------------------------------------------------------- from plan to curve


def _curves(
    product: MarketProduct,
    unit: BiddingUnit,
    delivery: Interval,
    schedule: Schedule,
    position: Position,
    park: Park,
) -> Iterator[tuple[Interval, SupplyCurve, float]]:
    horizon = Horizon.over(delivery, product.delivery_interval)
    first, width = _steps_of(product, delivery, schedule)
    steps = slice(first, first + width * horizon.steps)

    def mean(values: Floats) -> list[float]:
        return [float(x) for x in values[steps].reshape(-1, width).mean(axis=1)]

    rows = {name: row for row, name in enumerate(schedule.resource_ids)}
    stores = [  # one that was not heard is not in the plan either: nothing is offered of it
        r
        for r in park.resources
        if isinstance(r, Storage)
        and r.node_id is None
        and r.resource_id in unit.resource_ids
        and r.resource_id in schedule.stored_value_per_kwh
    ]
    members = [rows[r.resource_id] for r in park.electric if r.resource_id in unit.resource_ids]
    hedged_kw, worth, stored_worth = _hedged(product, schedule)
    net_kw = mean(schedule.power_kw[members].sum(axis=0) + hedged_kw)
    planned_kw = {s.resource_id: mean(schedule.power_kw[rows[s.resource_id]]) for s in stores}
    value = {s.resource_id: mean(stored_worth[s.resource_id]) for s in stores}
    price = mean(worth)
    _require_finite(schedule, steps)
    committed_kw = position.committed_kw(horizon)
    room = Room(park, schedule, steps, width)
    for i, interval in enumerate(horizon.intervals()):
        moves: list[_Move] = []
        for store in stores:
            name = store.resource_id
            planned = planned_kw[name][i]
            thresholds = _thresholds(store, value[name][i])
            if product.kind == "energy_da":
                moves += _planned_moves(store, planned, thresholds, price[i])
            else:
                begins = first + i * width
                stored = float(schedule.stored_kwh[name][begins - 1]) if begins else None
                moves += _physical_moves(store, planned, thresholds, stored, interval.hours)
        yield interval, _curve(net_kw[i], moves, room, i), float(committed_kw[i])


def _hedged(
    product: MarketProduct, schedule: Schedule
) -> tuple[Floats, Floats, Mapping[ResourceId, Floats]]:
    """By how much what is to be sold differs from what is expected to be fed, and what a kWh is worth.

    In the grid and in each storage, where what is sold is no choice any more in the schedule itself:
    on the mean of the futures. Shapes (T,); 0 and the plan's own shadow prices in steps that were not
    planned for several futures.
    """
    told, worth, stored = (
        schedule.uncertainty,
        schedule.net_value_per_kwh,
        schedule.stored_value_per_kwh,
    )
    if told is None or product.product_id not in told.bid_kw:
        return np.zeros(len(worth)), worth, stored
    bid_kw = told.bid_kw[product.product_id]
    chosen = np.isfinite(bid_kw)
    differs = np.where(chosen, schedule.committed_kw + bid_kw - schedule.net_kw, 0.0)
    stored = {
        name: np.where(chosen, told.stored_value_per_kwh.get(name, own), own)
        for name, own in stored.items()
    }
    return differs, np.where(chosen, told.net_value_per_kwh, worth), stored


@dataclass(frozen=True, slots=True)
class _Move:
    """How far a store may leave its planned power: up above 0, down below; and from which price on."""

    store: Storage
    kw: float
    price_per_kwh: float


def _thresholds(store: Storage, value: float) -> tuple[float, float]:
    """Prices per kWh below which `store` charges and above which it discharges."""
    charge = value * store.charge_efficiency - store.wear_cost_per_kwh
    discharge = value / store.discharge_efficiency + store.wear_cost_per_kwh
    if charge > discharge:  # energy worth less than nothing: no gap in which to rest
        charge = discharge = (charge + discharge) / 2
    return charge, discharge


def _planned_moves(
    store: Storage, planned_kw: float, thresholds: tuple[float, float], price: float
) -> list[_Move]:
    """Not to charge, or not to discharge, what the plan does at its expected `price`."""
    charge, discharge = thresholds
    if planned_kw < 0:
        return [_Move(store, -planned_kw, max(charge, price))]
    if planned_kw > 0:
        return [_Move(store, -planned_kw, min(discharge, price))]
    return []


def _physical_moves(
    store: Storage,
    planned_kw: float,
    thresholds: tuple[float, float],
    stored_kwh: float | None,
    hours: float,
) -> list[_Move]:
    """From the plan to standstill and on to what the store can do in one interval, both ways.

    `stored_kwh` is the energy at the start of the interval, None where the plan does not know it:
    then only what is planned can be left undone.
    """
    charge, discharge = thresholds
    lowest, highest = min(planned_kw, 0.0), max(planned_kw, 0.0)
    if stored_kwh is not None:
        above = stored_kwh - store.min_soc * store.capacity_kwh
        room = store.capacity_kwh - stored_kwh
        highest = max(
            highest, min(store.max_discharge_kw, above * store.discharge_efficiency / hours)
        )
        lowest = min(lowest, -min(store.max_charge_kw, room / store.charge_efficiency / hours))
    standing = [  # (power where the move begins, where it ends, threshold)
        (planned_kw, 0.0, charge if planned_kw < 0 else discharge),
        (max(planned_kw, 0.0), highest, discharge),
        (min(planned_kw, 0.0), lowest, charge),
    ]
    return [_Move(store, end - begin, at) for begin, end, at in standing if end != begin]


def _curve(net_kw: float, moves: Sequence[_Move], room: Room, i: int) -> SupplyCurve:
    """Moves cut to the tree's limits, best first: upward the cheapest, downward the dearest."""
    steps: list[SupplyStep] = []
    lowest = net_kw
    for move in sorted((m for m in moves if m.kw > 0), key=lambda m: m.price_per_kwh):
        kw = room.take_up(i, move.store.resource_id, move.kw)
        steps.append((move.price_per_kwh, kw))
    for move in sorted((m for m in moves if m.kw < 0), key=lambda m: -m.price_per_kwh):
        kw = room.take_down(i, move.store.resource_id, -move.kw)
        lowest -= kw
        steps.append((move.price_per_kwh, kw))
    return SupplyCurve(lowest, sorted(step for step in steps if step[1] > 0))


# ---------------------------------------------------------------- from curve to bid


def _bid(
    product: MarketProduct,
    unit_id: UnitId,
    interval: Interval,
    curve: SupplyCurve,
    committed_kw: float,
    side: Side,
    most: Decimal,
    revision: int,
) -> Bid | None:
    """One side of what is left to trade, in lots and ticks; None below one lot."""
    lot_kw = product.lot_mw * 1000
    most_lots, offered = int(most / product.lot_mw), 0
    lots_at: dict[Decimal, int] = {}  # more lots from each limit on, best price first
    for price_per_kwh, kw in _side_of(curve, committed_kw, side):
        if kw <= 0:
            continue
        total = min(int(exact(round(kw, NOISE_DIGITS)) / lot_kw), most_lots)
        if total > offered and (price := _limit(product, price_per_kwh, side)) is not None:
            lots_at[price] = lots_at.get(price, 0) + total - offered
            offered = total
    steps = tuple(
        CurveStep(quantity_mw=(lots * product.lot_mw).quantize(product.lot_mw), price_per_mwh=price)
        for price, lots in lots_at.items()
    )
    if not steps:
        return None
    # The curve may have so many steps alone: what is left out is offered the least, and not offered now.
    steps = steps[: product.most_steps]
    return Bid(
        bid_id=f"{product.product_id}/{unit_id}/{interval.start:%Y%m%dT%H%MZ}/{side}/{revision}",
        interval=interval,
        side=side,
        offer=StepCurveOffer(steps=steps),
    )


def _side_of(
    curve: SupplyCurve, committed_kw: float, side: Side
) -> Iterator[tuple[float | None, float]]:
    """(limit, kW in total up to it), best price first; None is whatever the price."""
    trade_kw = curve.net_kw - committed_kw
    if side is Side.SELL:
        yield None, trade_kw
        for price, kw in curve.steps:
            trade_kw += kw
            yield price, trade_kw
    else:
        trade_kw += sum(kw for _, kw in curve.steps)
        yield None, -trade_kw
        for price, kw in reversed(curve.steps):
            trade_kw -= kw
            yield price, -trade_kw


def _limit(product: MarketProduct, price_per_kwh: float | None, side: Side) -> Decimal | None:
    """The limit on the product's ticks and inside its bounds; None where it can never be met."""
    if (grid := product.price) is None:
        return None
    low, high, tick = grid.least, grid.most, grid.tick
    selling = side is Side.SELL
    if price_per_kwh is None:
        price = low if selling else high
    else:
        price = exact(round(price_per_kwh * 1000, NOISE_DIGITS))
    if (price > high and selling) or (price < low and not selling):
        return None
    ticks = min(max(price, low), high) / tick
    whole = ticks.to_integral_value(ROUND_CEILING if selling else ROUND_FLOOR)
    return (whole * tick).quantize(tick)  # with the tick's own digits: 1.00, never 1E+0


def _steps_of(product: MarketProduct, delivery: Interval, schedule: Schedule) -> tuple[int, int]:
    """The schedule's first step of `delivery`, and how many make one delivery interval."""
    horizon = schedule.horizon
    where = f"plan {schedule.plan_id}"
    if not horizon.span.covers(delivery):
        raise TradeRefusal(
            f"it runs from {isoformat(horizon.start)} to {isoformat(horizon.end)}",
            code=Refusal.PLAN_TOO_SHORT,
            where=where,
            fix="Ask again after the next plan",
        )
    width, rest = divmod(product.delivery_interval, horizon.step)
    if rest or width < 1 or (delivery.start - horizon.start) % horizon.step:
        raise TradeRefusal(
            f"its steps of {horizon.step} do not fit {product.delivery_interval}",
            code=Refusal.OFF_GRID,
            where=where,
            fix="Plan in steps that divide the product's delivery interval",
        )
    return horizon.index(delivery.start), width


def _require_finite(schedule: Schedule, steps: slice) -> None:
    """`min` and `max` let a NaN pass or not by the order of their arguments: stop it here."""
    series = [
        *schedule.power_kw,
        schedule.net_kw,
        schedule.net_value_per_kwh,
        *schedule.connection_point_kw.values(),
        *schedule.stored_kwh.values(),
        *schedule.stored_value_per_kwh.values(),
    ]
    if not np.isfinite(np.array(series)[:, steps]).all():
        raise TradeRefusal(
            "it holds numbers that are not finite",
            code=Refusal.NO_PLAN,
            where=f"plan {schedule.plan_id}",
            fix="Ask again after the next plan",
        )
