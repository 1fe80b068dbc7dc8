"""What a bid set is held against before it leaves: record, meters and published prices, nothing of the plan."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.market import BidSet, MarketProduct, Side
from vpp.model.money import exact
from vpp.model.park import BiddingUnit
from vpp.model.resource import Storage
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary, local_date, local_moment
from vpp.service.bids.biddable import biddable
from vpp.service.plant import MadeOffer, Plant
from vpp.service.trading import hands
from vpp.trade.presubmit import (
    NOTHING,
    Facts,
    Offered,
    median_of,
    offered_of,
)

DAY = timedelta(days=1)


def facts_of(
    plant: Plant,
    bid_set: BidSet,
    product: MarketProduct,
    unit: BiddingUnit,
    made: MadeOffer,
    now: datetime,
) -> Facts:
    """All that `vpp/trade/presubmit.py` judges a bid set by."""
    offered = offered_once(bid_set, product, made)
    others = [
        one
        for one in plant.book.live_sets()
        if one.unit_id == unit.unit_id and not _replaced(one, bid_set)
    ]
    day = _day_of(product, bid_set)
    day_mwh, day_cost = _traded(plant, unit, day)
    for one in others:
        if one.delivery.start < day.end and day.start < one.delivery.end:
            day_mwh += offered_by(plant, one).mwh
            day_cost += offered_by(plant, one).worst_cost
    before = [(back, offered_by(plant, one)) for back, one in _days_before(plant, bid_set, product)]
    total = sum((share for _, share in unit.trading_share), NOTHING)
    hand = hands.standing(plant, bid_set.product_id, bid_set.delivery)
    # Who wrote bids has looked at them: they surprise nobody, and every hard limit holds for them too.
    written = [] if hand is None else [hands.offered_by(hand, plant).profile]
    return Facts(
        # The unit's, not what one product takes of it: exposure is counted over all its products.
        capability_mw=exact(unit.declared_kw) / 1000,
        available_mw=_available_mw(plant, unit, now),
        reference_per_mwh=_reference(plant, product, now),
        net_mw=_net_mw(plant, bid_set, unit, offered),
        open_mw=_open_mw(plant, bid_set, offered, others),
        day_mwh=day_mwh,
        day_cost=day_cost,
        shares={name: share / total for name, share in unit.trading_share if share > 0},
        yesterday=next((one.profile for back, one in before if back == 1), None),
        trailing=median_of([one.profile for _, one in before]),
        approved=written
        + [
            held.profile
            for held in plant.trade.held.values()
            if held.approved_by is not None
            and (held.product_id, held.unit_id, held.delivery)
            == (bid_set.product_id, bid_set.unit_id, bid_set.delivery)
        ],
        twin=_twin(plant, bid_set, made),
        taken=[*_taken(plant, bid_set, offered, others)],
    )


def content_of(bid_set: BidSet) -> str:
    """SHA-256 of what a bid set offers, whatever its ids are."""
    offered = [(isoformat(bid.interval.start), bid.side.value, bid.offer) for bid in bid_set.bids]
    return hashlib.sha256(repr(offered).encode()).hexdigest()


def content_digest(plant: Plant, bid_set: BidSet, made: MadeOffer) -> str:
    """`content_of`, made once for an offer that is given out again and again."""
    if made.content is None:
        made.content = content_of(bid_set)
    plant.trade.contents[bid_set.bid_set_id] = made.content
    return made.content


def _replaced(one: BidSet, by: BidSet) -> bool:
    """Whether the newer set takes the place of `one`."""
    key = by.product_id, by.unit_id, by.delivery
    return (one.product_id, one.unit_id, one.delivery) == key


def _day_of(product: MarketProduct, bid_set: BidSet) -> Interval:
    """The local day on which a delivery begins."""
    day = local_date(bid_set.delivery.start, product.timezone)
    return Interval(
        local_moment(day, time(), product.timezone),
        local_moment(day + DAY, time(), product.timezone),
    )


def _traded(plant: Plant, unit: BiddingUnit, day: Interval) -> tuple[Decimal, Decimal]:
    """Energy bought and sold on a day, as sizes, and what it cost where it cost something."""
    mwh = cost = NOTHING
    hours = exact(day.hours)
    for line in plant.book.position(unit.unit_id).trades(day):
        mwh += abs(line.sold_mw) * hours
        cost += max(-line.sold_mw * hours * line.price_per_mwh, NOTHING)
    return mwh, cost


def _available_mw(plant: Plant, unit: BiddingUnit, now: datetime) -> Decimal:
    """From deepest draw to highest feed; a store that is not heard can do nothing for us."""
    state = biddable(plant, now)
    return (
        exact(
            sum(
                resource.feed_kw + resource.draw_kw
                for resource in plant.file.park.resources
                if resource.resource_id in unit.resource_ids
                and not (
                    isinstance(resource, Storage) and state.reading(resource.resource_id) is None
                )
            )
        )
        / 1000
    )


def _reference(plant: Plant, product: MarketProduct, now: datetime) -> Decimal | None:
    """Median of the prices published in the last days, looked up once a quarter-hour."""
    series_id, quarter = product.price_series_id, latest_boundary(now, QUARTER)
    known = plant.trade.references.get(series_id)
    if known is not None and known[0] == quarter and known[1] is not None:
        return known[1]
    found: Decimal | None = None
    if plant.series.has(series_id):
        days = plant.file.trading.limits.reference_days
        horizon = Horizon(quarter - days * DAY, QUARTER, days * 96)
        values = plant.series.known(series_id, horizon, now).values
        if np.isfinite(values).any():
            found = round(exact(float(np.nanmedian(values))), 2)
    plant.trade.references[series_id] = quarter, found
    return found


def _net_mw(
    plant: Plant, bid_set: BidSet, unit: BiddingUnit, offered: Offered
) -> dict[Interval, tuple[Decimal, Decimal]]:
    """The most and the least that is sold already in each interval of the set, of its quarter-hours."""
    horizon = Horizon.over(bid_set.delivery, QUARTER)
    owed_kw = plant.book.position(unit.unit_id).committed_kw(horizon)
    if not owed_kw.any():
        return {}
    found = {}
    for interval in {interval for interval, _, _ in offered.slots}:
        first = horizon.index(interval.start)
        last = first + (interval.end - interval.start) // QUARTER
        owed = owed_kw[first:last]
        most, least = round(float(owed.max()), 6), round(float(owed.min()), 6)
        found[interval] = exact(most) / 1000, exact(least) / 1000
    return found


def _open_mw(
    plant: Plant, bid_set: BidSet, offered: Offered, others: list[BidSet]
) -> dict[Interval, tuple[Decimal, Decimal]]:
    """What other live sets offer in each interval of the set: the most that may come at one moment."""
    found: dict[Interval, tuple[Decimal, Decimal]] = {}
    near = [one for one in others if _touch(one.delivery, bid_set.delivery)]
    if not near:
        return found
    open_: dict[Interval, list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING])
    for one in near:
        for interval, side, mw in offered_by(plant, one).slots:
            open_[interval][0 if side is Side.SELL else 1] += mw
    for interval in {interval for interval, _, _ in offered.slots}:
        touching = [sides for other, sides in open_.items() if _touch(other, interval)]
        if touching:
            found[interval] = (
                sum((sell for sell, _ in touching), NOTHING),
                sum((buy for _, buy in touching), NOTHING),
            )
    return found


def _touch(one: Interval, other: Interval) -> bool:
    return one.start < other.end and other.start < one.end


def _days_before(
    plant: Plant, bid_set: BidSet, product: MarketProduct
) -> Iterator[tuple[int, BidSet]]:
    """(days back, newest bid set) of the same delivery on earlier days, by the clock on the wall."""
    zone, start = product.timezone, bid_set.delivery.start
    day, clock = local_date(start, zone), start.astimezone(zone).time()
    for back in range(1, plant.file.trading.limits.novelty_days + 1):
        moment = local_moment(day - back * DAY, clock, zone)
        delivery = product.delivery_at(moment)
        one = plant.book.newest_of(bid_set.product_id, bid_set.unit_id, delivery)
        if one is not None:
            yield back, one


def offered_once(bid_set: BidSet, product: MarketProduct, made: MadeOffer) -> Offered:
    """What a bid set offers in all, worked out once for an offer."""
    if made.offered is None:
        made.offered = offered_of(bid_set, product)
    return made.offered


def offered_by(plant: Plant, bid_set: BidSet) -> Offered:
    """What a set of the record offers in all, worked out once."""
    known = plant.trade.offered.get(bid_set.bid_set_id)
    if known is None:
        product = plant.products.get(bid_set.product_id)
        known = plant.trade.offered[bid_set.bid_set_id] = offered_of(bid_set, product)
    return known


def _twin(plant: Plant, bid_set: BidSet, made: MadeOffer) -> str | None:
    """The live set that this one would replace with the very same bids."""
    content = content_digest(plant, bid_set, made)
    older = plant.book.newest_of(bid_set.product_id, bid_set.unit_id, bid_set.delivery)
    if older is None or older.valid_until <= bid_set.issued_at:
        return None
    if older.bid_set_id not in plant.trade.contents:
        plant.trade.contents[older.bid_set_id] = content_of(older)
    same = plant.trade.contents[older.bid_set_id] == content
    return older.bid_set_id if same else None


def _taken(plant: Plant, bid_set: BidSet, offered: Offered, others: list[BidSet]) -> Iterator[str]:
    """Slots of the set in which a live bid of the same product stands that it does not replace."""
    own = {(interval, side) for interval, side, _ in offered.slots}
    for one in others:
        if one.product_id == bid_set.product_id and _touch(one.delivery, bid_set.delivery):
            for interval, side, _ in offered_by(plant, one).slots:
                if (interval, side) in own:
                    yield f"{isoformat(interval.start)}/{side}"
