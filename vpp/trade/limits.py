"""The last look before a bid set is written down and leaves: the one way out to a market.

It trusts nothing that the planner or `offers.py` says, and computes every bound again from the
product's rules and the unit's registration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from vpp.model import offer
from vpp.model.ids import ResourceId
from vpp.model.market import Bid, BidSet, MarketProduct, PriceGrid, Side
from vpp.model.money import exact
from vpp.model.park import BiddingUnit, Park
from vpp.model.time import Interval, isoformat


def most_mw(product: MarketProduct, unit: BiddingUnit) -> Decimal:
    """The most that `unit` may bid per interval and side.

    Energy is bid up to what was declared; every other kind of product asks for a test first, and
    nothing beyond the tested capability is bid into it.
    """
    energy = product.kind.startswith("energy_")
    registered_kw = unit.declared_kw if energy else min(unit.declared_kw, unit.tested_kw)
    registered_mw = exact(registered_kw) / 1000
    most = product.max_quantity_mw
    return registered_mw if most is None else min(most, registered_mw)


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
    intervals = frozenset(product.intervals(bid_set.delivery))
    for bid in bid_set.bids:
        found = _bid_faults(bid, bid_set, product, most, intervals)
        faults += [f"{bid.bid_id}: {fault}" for fault in found]
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


def _bid_faults(
    bid: Bid,
    bid_set: BidSet,
    product: MarketProduct,
    most_mw: Decimal,
    intervals: frozenset[Interval],
) -> list[str]:
    faults: list[str] = []
    span = bid.interval
    bid_id = (
        f"{bid_set.product_id}/{bid_set.unit_id}/{span.start:%Y%m%dT%H%MZ}"
        f"/{bid.side}/{bid_set.revision}"
    )
    if bid.bid_id != bid_id:
        faults.append(f"should be called {bid_id}")
    spans = [span]
    if isinstance(bid.offer, offer.BlockOffer):
        spans = [part.interval for part in bid.offer.parts]
    if not intervals.issuperset(spans):
        faults.append(f"{isoformat(span.start)} … {isoformat(span.end)} is no interval of it")
    if bid.offer.form != product.form:
        faults.append(f"an offer of the form {bid.offer.form}, not {product.form}")
    if product.only_bought and bid.side is Side.SELL:
        faults.append("sells in a market that is bought in alone")
    return [*faults, *_price_faults(bid, product), *_size_faults(bid, product, most_mw)]


def _price_faults(bid: Bid, product: MarketProduct) -> Iterator[str]:
    prices = [price for _, price in bid.offer.priced_mw if price is not None]
    for price in prices:
        if product.price is None:
            yield f"price {price}, and the product has none"
        else:
            yield from _off_grid(price, product.price)
    called = getattr(bid.offer, "price_per_mwh", None)
    if product.energy_price is not None and called is not None:
        yield from _off_grid(called, product.energy_price)
    if [p * bid.side.sign for p in prices] != sorted(p * bid.side.sign for p in prices):
        yield "prices are not in order of merit"


def _off_grid(price: Decimal, grid: PriceGrid) -> Iterator[str]:
    if not grid.least <= price <= grid.most:
        yield f"price {price} is out of bounds"
    if price % grid.tick:
        yield f"price {price} is not on the tick {grid.tick}"


def _size_faults(bid: Bid, product: MarketProduct, most_mw: Decimal) -> Iterator[str]:
    steps = bid.offer.priced_mw
    for quantity, _ in steps:
        if quantity < 0 or quantity % product.lot_mw:
            yield f"quantity {quantity} is not in lots of {product.lot_mw}"
    if product.most_steps is not None and len(steps) > product.most_steps:
        yield f"{len(steps)} steps are more than {product.most_steps}"
    if len(steps) < product.least_steps:
        yield f"{len(steps)} steps are fewer than {product.least_steps}"
    offered = offer.most_mw(bid.offer)
    if offered < product.least_mw:
        yield f"{offered} MW is less than {product.least_mw} MW"
    if offered > most_mw:
        yield f"{offered} MW is more than {most_mw} MW"


def _swing_mw(unit: BiddingUnit, park: Park) -> Decimal:
    """From the unit's deepest draw to its highest feed: no trade can move it farther."""
    members: dict[ResourceId, float] = {
        r.resource_id: r.feed_kw + r.draw_kw
        for r in park.resources
        if r.resource_id in unit.resource_ids
    }
    return exact(sum(members.values())) / 1000
