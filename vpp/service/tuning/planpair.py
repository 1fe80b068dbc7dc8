"""Two plans of one picture of the park, under two versions of the strategies, beside one another.

What differs is told in cost, peak, carbon, cycles, course and bids. It is worked out in a process of its own
(`planchild.py`): plain data in, plain data out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from vpp.errors import VppError
from vpp.model.horizon import Floats
from vpp.model.ids import ProductId
from vpp.model.market import Bid, BidMode, Binding, MarketProduct
from vpp.model.money import exact
from vpp.model.offer import BlockOffer, most_mw, offered_mw
from vpp.model.park import BiddingUnit
from vpp.model.resource import Storage
from vpp.model.schedule import Schedule
from vpp.model.time import Interval
from vpp.plan.part import whole
from vpp.plan.problem import Problem
from vpp.plan.validate.bill import bill_by_cause
from vpp.plan.view import PlanningView
from vpp.service.strategies import selling
from vpp.service.strategies.strategies import Strategies
from vpp.service.strategies.wiring import base_terms
from vpp.trade.calendar import deliveries_from
from vpp.trade.offering import offer_for
from vpp.trade.position import Position
from vpp.wirestrategies import BidChangeView, PreviewFiguresView, PreviewPlanView

MOST_BIDS = 400
"""Bids that differ are listed up to so many; all are counted."""

CENT = Decimal("0.01")
GRAM_KG = 3
KW_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offering:
    """What bids are made of beside a plan."""

    unit: BiddingUnit
    position: Position
    bindings: Mapping[ProductId, Binding]
    products: Mapping[ProductId, MarketProduct]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanPair:
    """What the child is asked: the old plan, or how to make it, and how to make the new one."""

    old: Schedule | Problem
    old_view: PlanningView
    """What the old plan is made of."""
    new: Problem
    offering: Offering
    old_strategies: Strategies
    new_strategies: Strategies
    """What they let be sold."""


def beside(pair: PlanPair, old: Schedule, new: Schedule) -> PreviewPlanView:
    """Both plans, and the bids that would differ."""
    view, excess_per_kwh = pair.new.view, pair.new.options.limit_excess_price_per_kwh
    bids = list(_bids(pair, old, new))
    changed = [bid for bid in bids if bid.old_mw != bid.new_mw]
    return PreviewPlanView(
        start=old.horizon.start,
        end=old.horizon.end,
        step_minutes=old.horizon.step // timedelta(minutes=1),
        old=figures(old, pair.old_view, excess_per_kwh),
        new=figures(new, view, excess_per_kwh),
        old_kw=_listed(old.net_kw),
        new_kw=_listed(new.net_kw),
        bids=changed[:MOST_BIDS],
        bids_changed=len(changed),
        bids_compared=len(bids),
    )


def figures(
    schedule: Schedule, view: PlanningView, limit_excess_price_per_kwh: float
) -> PreviewFiguresView:
    """What a plan comes to, all of its horizon: by the prices that every park pays.

    What a plan says it costs has the prices in it that its own strategies think of, so two of them cannot be
    compared by that.
    """
    bill = bill_by_cause(
        replace(schedule, trade_kw={}),  # all that is not sold yet is settled at the expected price
        view,
        base_terms(view, whole(view)),
        limit_excess_price_per_kwh=limit_excess_price_per_kwh,
    )
    hours = schedule.horizon.step_hours
    drawn_kw = sum(
        (np.maximum(-kw, 0.0) for kw in schedule.connection_point_kw.values()),
        np.zeros(schedule.horizon.steps),
    )
    live, figure = view.grid_kgco2_per_kwh, view.park.grid_kgco2_per_kwh
    factors = np.full(schedule.horizon.steps, figure) if live is None else live.values
    carbon = float((drawn_kw * hours) @ factors)
    return PreviewFiguresView(
        cost=exact(sum(bill.values())).quantize(CENT),
        peak_import_kw=round(max(float((-schedule.net_kw).max()), 0.0), KW_DIGITS),
        carbon_kgco2=round(carbon, GRAM_KG),
        cycles=_cycles(schedule, view),
    )


def _cycles(schedule: Schedule, view: PlanningView) -> float | None:
    """Equivalent full cycles of all storages together; None where there is none."""
    stores = [r for r in view.park.resources if isinstance(r, Storage)]
    capacity_kwh = sum(store.capacity_kwh for store in stores)
    if not capacity_kwh:
        return None
    through_kwh = 0.0
    for store in stores:
        kwh = schedule.stored_kwh.get(store.resource_id)
        if kwh is not None:
            through_kwh += float(np.abs(np.diff(kwh)).sum())
    return round(through_kwh / (2 * capacity_kwh), 4)


def _bids(pair: PlanPair, old: Schedule, new: Schedule) -> Iterator[BidChangeView]:
    """Each bid that can still be made within the horizon, under both; calls are answered as they come."""
    view, offering = pair.new.view, pair.offering
    for name, product in offering.products.items():
        if product.by_invitation or name not in offering.unit.product_ids:
            continue
        for delivery in _open(product, offering, old):
            before = _offered(view, offering, product, delivery, old, pair.old_strategies)
            after = _offered(view, offering, product, delivery, new, pair.new_strategies)
            for interval in sorted(before.keys() | after.keys()):
                yield BidChangeView(
                    product=name,
                    start=interval.start,
                    end=interval.end,
                    old_mw=before.get(interval),
                    new_mw=after.get(interval),
                )


def _open(product: MarketProduct, offering: Offering, plan: Schedule) -> Iterator[Interval]:
    """Deliveries whose gate has not closed and that the plan covers."""
    for delivery in deliveries_from(product, offering.now):
        if delivery.end > plan.horizon.end:
            return
        starts = max(plan.horizon.start, offering.unit.trades_from)
        if product.gate_closes_at(delivery) > offering.now and delivery.start >= starts:
            yield delivery


def _offered(
    view: PlanningView,
    offering: Offering,
    product: MarketProduct,
    delivery: Interval,
    plan: Schedule,
    strategies: Strategies,
) -> dict[Interval, Decimal]:
    """MW that the bids give at the expected price, by interval: selling above 0; nothing where none can be made.

    No price of reserve is expected: it counts at the best one that may be paid. Least prices leave out of it
    only what they let nobody pay.
    """
    binding = offering.bindings.get(product.product_id) or Binding(product_id=product.product_id)
    if binding.mode is BidMode.EXPECTED:  # curves are made for the live plan alone
        binding = Binding(product_id=product.product_id, mode=BidMode.ROBUST)
    try:
        allowed, sellers, seen = selling.allowed(strategies, product, offering.unit, delivery, plan)
        bids = offer_for(
            allowed,
            sellers,
            delivery,
            seen,
            offering.position,
            view.park,
            binding,
            offering.products,
            revision=0,
        )
    except VppError:  # the plan does not fit the product: no bid, under this version
        return {}
    found: dict[Interval, Decimal] = {}
    for bid in bids:
        for interval, mw in _taken(bid, view, product):
            found[interval] = found.get(interval, Decimal(0)) + bid.side.sign * mw
    return found


def _taken(
    bid: Bid, view: PlanningView, product: MarketProduct
) -> Iterator[tuple[Interval, Decimal]]:
    """What is taken of a bid at the expected price; a block counts whole, and so does reserve."""
    if isinstance(bid.offer, BlockOffer):
        for part in bid.offer.parts:
            yield part.interval, part.quantity_mw
        return
    if not product.trades_energy:
        yield bid.interval, most_mw(bid.offer)
        return
    horizon, spot = view.horizon, view.spot_per_kwh.values
    first, last = horizon.index(bid.interval.start), horizon.index(bid.interval.end - horizon.step)
    price = exact(float(spot[first : last + 1].mean()) * 1000)
    yield bid.interval, offered_mw(bid.offer, price, bid.side.sign)


def _listed(kw: Floats) -> list[float]:
    return [round(float(one), KW_DIGITS) for one in kw]
