"""Series that a gate needs and that are not there: told before the gate, and again when they came.

Told once, and while it stays missing once a local day for each product: gates of every quarter-hour say
nothing new. That one came is told by a look before a gate, never because a gate has passed.

A need stands with a feed of the park file (`needed`), or follows from what is traded: a product that is
bid on the day-ahead price needs it once it should be published, and the day-ahead product itself needs
prices that are not too old to forecast from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from vpp.model.horizon import Horizon
from vpp.model.ids import ProductId
from vpp.model.market import MarketProduct
from vpp.model.time import QUARTER, Interval, isoformat, local_date
from vpp.service.events import Severity
from vpp.service.inputs import reference_product, trading_unit
from vpp.service.plant import Plant
from vpp.trade.calendar import next_delivery

USUAL_NOTICE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    series_id: str
    product: MarketProduct
    before_gate: timedelta
    max_age: timedelta | None = None


def tell_late(plant: Plant, now: datetime) -> None:
    """Say which series are missing before a gate that is near."""
    today = local_date(now, plant.file.park.timezone)
    lacking: set[tuple[str, str]] = set()
    there: set[tuple[str, str]] = set()
    for need in _needs(plant):
        delivery = next_delivery(need.product, now)
        gate = need.product.gate_closes_at(delivery)
        if delivery.start < trading_unit(plant).trades_from:
            continue
        if gate - need.before_gate >= now + QUARTER:  # else the next look would be too late
            continue
        why = _lacks(plant, need, delivery, now)
        key = need.series_id, need.product.product_id
        if why is None:
            there.add(key)
            continue
        lacking.add(key)
        if plant.late_told_on.get(key) != today:
            plant.late_told_on[key] = today
            plant.events.emit(
                "feed_late",
                f"{need.series_id} {why}; the gate of {need.product.product_id} closes at"
                f" {isoformat(gate)}",
                at=now,
                severity=Severity.WARNING,
                series_id=need.series_id,
                product=need.product.product_id,
                gate_closes_at=isoformat(gate),
            )
    for series_id, product_id in sorted((there - lacking) & plant.late_told_on.keys()):
        del plant.late_told_on[series_id, product_id]
        text = f"{series_id} is no longer missing for {product_id}"
        plant.events.emit("feed_late", text, at=now, series_id=series_id, product=product_id)


def price_id(plant: Plant) -> str:
    """The series of the price that bids are built on: the day-ahead one."""
    return reference_product(plant).price_series_id


def prices_missing(plant: Plant, now: datetime) -> str | None:
    """Why no forecast of the day-ahead price may be bid on; None where one may."""
    name = price_id(plant)
    last = plant.series.last_known(name, now) if plant.series.has(name) else None
    if last is None:
        return "no price is known"
    if now - last > timedelta(hours=plant.file.planning.max_price_age_hours):
        return f"the newest price known ends at {isoformat(last)}"
    return None


def unpublished(plant: Plant, delivery: Interval, now: datetime) -> datetime | None:
    """The first quarter-hour of a delivery whose day-ahead price is not published; None if all are."""
    name = price_id(plant)
    return _first_unknown(plant, name, delivery, now) if plant.series.has(name) else delivery.start


def _first_unknown(
    plant: Plant, series_id: str, delivery: Interval, now: datetime
) -> datetime | None:
    step = min(plant.series.resolution(series_id), QUARTER)
    horizon = Horizon.over(delivery, step)
    unknown = np.flatnonzero(np.isnan(plant.series.known(series_id, horizon, now).values))
    return horizon.starts()[int(unknown[0])] if unknown.size else None


def _needs(plant: Plant) -> Iterator[_Need]:
    for feed in plant.file.feeds:
        age = None if feed.max_age_hours is None else timedelta(hours=feed.max_age_hours)
        for need in feed.needed:
            for series in feed.series:
                yield _Need(
                    series_id=series.id,
                    product=plant.products[ProductId(need.product)],
                    before_gate=timedelta(minutes=need.minutes_before_gate),
                    max_age=age,
                )
    for product in plant.file.products:
        yield _Need(series_id=price_id(plant), product=product, before_gate=USUAL_NOTICE)


def _lacks(plant: Plant, need: _Need, delivery: Interval, now: datetime) -> str | None:
    """What is wrong with the series; None where nothing is."""
    reference = reference_product(plant)
    if need.series_id == price_id(plant):
        if need.product is reference:
            return prices_missing(plant, now)
        auction = reference.delivery_at(delivery.start)
        if now < reference.gate_closes_at(auction) + reference.gate.results_after:
            return None
    if not plant.series.has(need.series_id):
        return "never came"
    unknown = _first_unknown(plant, need.series_id, delivery, now)
    if unknown is not None:
        return f"has no value for {isoformat(unknown)}"
    issued = [i for f in plant.feeds if (i := f.issued_at.get(need.series_id)) is not None]
    if need.max_age is not None and (not issued or now - max(issued) > need.max_age):
        told = f"was issued at {isoformat(max(issued))}" if issued else "was not heard of lately"
        return f"{told}, too long ago"
    return None
