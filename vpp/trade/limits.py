"""The last look before a bid set is written down and leaves: the one way out to a market.

It trusts nothing that the planner or `offers.py` says, and computes every bound again from the
product's rules and the unit's registration.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from vpp.model import offer
from vpp.model.ids import ResourceId
from vpp.model.market import Bid, BidSet, MarketProduct
from vpp.model.money import exact
from vpp.model.park import BiddingUnit, Park
from vpp.model.time import isoformat


def most_mw(product: MarketProduct, unit: BiddingUnit) -> Decimal:
    """The most that `unit` may bid per interval and side.

    Energy is bid up to what was declared; every other kind of product asks for a test first, and
    nothing beyond the tested capability is bid into it.
    """
    energy = product.kind.startswith("energy_")
    registered_kw = unit.declared_kw if energy else min(unit.declared_kw, unit.tested_kw)
    return min(product.max_quantity_mw, exact(registered_kw) / 1000)


def check_bid_set(
    bid_set: BidSet, product: MarketProduct, unit: BiddingUnit, park: Park
) -> tuple[str, ...]:
    """Every rule that `bid_set` breaks, in words; empty where it may go out."""
    faults = [*_set_faults(bid_set, product, unit, park)]
    ids = Counter(bid.bid_id for bid in bid_set.bids)
    slots = Counter((bid.interval, bid.side) for bid in bid_set.bids)
    faults += [f"{name}: used {count} times" for name, count in ids.items() if count > 1]
    faults += [
        f"{isoformat(interval.start)}: {count} {side} bids in one interval"
        for (interval, side), count in slots.items()
        if count > 1
    ]
    most = min(most_mw(product, unit), _swing_mw(unit, park))
    for bid in bid_set.bids:
        faults += [f"{bid.bid_id}: {fault}" for fault in _bid_faults(bid, bid_set, product, most)]
    return tuple(faults)


def _set_faults(
    bid_set: BidSet, product: MarketProduct, unit: BiddingUnit, park: Park
) -> list[str]:
    faults: list[str] = []
    if bid_set.product_id != product.product_id or bid_set.unit_id != unit.unit_id:
        faults.append(f"is for {bid_set.product_id} of {bid_set.unit_id}")
    if product.product_id not in unit.product_ids:
        faults.append(f"{unit.unit_id} is not registered for {product.product_id}")
    if unit not in park.bidding_units:
        faults.append(f"{unit.unit_id} is no unit of {park.park_id}")
    if product.delivery_at(bid_set.delivery.start) != bid_set.delivery:
        faults.append(f"{isoformat(bid_set.delivery.start)} starts no delivery of the product")
    elif bid_set.valid_until != product.gate_closes_at(bid_set.delivery):
        faults.append(f"valid until {isoformat(bid_set.valid_until)}, which is not the gate")
    if bid_set.issued_at >= bid_set.valid_until:
        faults.append("issued after the gate")
    return faults


def _bid_faults(bid: Bid, bid_set: BidSet, product: MarketProduct, most_mw: Decimal) -> list[str]:
    faults: list[str] = []
    span, delivery = bid.interval, bid_set.delivery
    bid_id = (
        f"{bid_set.product_id}/{bid_set.unit_id}/{span.start:%Y%m%dT%H%MZ}"
        f"/{bid.side}/{bid_set.revision}"
    )
    if bid.bid_id != bid_id:
        faults.append(f"should be called {bid_id}")
    aligned = (span.start - delivery.start) % product.delivery_interval
    if not delivery.covers(span) or span.end - span.start != product.delivery_interval or aligned:
        faults.append(f"{isoformat(span.start)} … {isoformat(span.end)} is no interval of it")
    priced_mw = bid.offer.priced_mw
    prices = [price for _, price in priced_mw if price is not None]
    quantities = [quantity for quantity, _ in priced_mw]
    for price in prices:
        if (grid := product.price) is None:
            faults.append(f"price {price}, and the product has none")
        elif not grid.least <= price <= grid.most:
            faults.append(f"price {price} is out of bounds")
        elif price % grid.tick:
            faults.append(f"price {price} is not on the tick {grid.tick}")
    faults += [
        f"quantity {quantity} is not in lots of {product.lot_mw}"
        for quantity in quantities
        if quantity < 0 or quantity % product.lot_mw
    ]
    if [p * bid.side.sign for p in prices] != sorted(p * bid.side.sign for p in prices):
        faults.append("prices are not in order of merit")
    if bid.offer.form != product.form:
        faults.append(f"an offer of the form {bid.offer.form}, not {product.form}")
    if product.most_steps is not None and len(prices) > product.most_steps:
        faults.append(f"{len(prices)} steps are more than {product.most_steps}")
    if (offered := offer.most_mw(bid.offer)) > most_mw:
        faults.append(f"{offered} MW is more than {most_mw} MW")
    return faults


def _swing_mw(unit: BiddingUnit, park: Park) -> Decimal:
    """From the unit's deepest draw to its highest feed: no trade can move it farther."""
    members: dict[ResourceId, float] = {
        r.resource_id: r.feed_kw + r.draw_kw
        for r in park.resources
        if r.resource_id in unit.resource_ids
    }
    return exact(sum(members.values())) / 1000
