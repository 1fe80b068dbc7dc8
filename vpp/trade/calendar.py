"""When what can be traded: deliveries, their gates, and how far a plan must look.

    opens ──────────────── closes ┄┄┄┄┄┄┄┄┄ [ delivery )
      [ bids are taken, changed, withdrawn )  ▲ too late, to the instant

A delivery is what one auction is about: a whole local day for a day-ahead product (92 to 100
quarter-hours, the calendar says how many), one interval for a rolling one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from vpp.errors import DataError
from vpp.model.gate import ProductCalendar
from vpp.model.horizon import Horizon
from vpp.model.time import Interval, isoformat, latest_boundary


class Refusal(StrEnum):
    """Why a bid is refused; these words are part of the HTTP contract and never change."""

    OFF_GRID = "off_grid"
    GATE_CLOSED = "gate_closed"
    GATE_NOT_OPEN = "gate_not_open"
    UNKNOWN_PRODUCT = "unknown_product"
    NOT_BIDDABLE = "not_biddable"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_BID_SET = "unknown_bid_set"
    NO_PLAN = "no_plan"
    PLAN_STALE = "plan_stale"
    PLAN_TOO_SHORT = "plan_too_short"
    PRICES_MISSING = "prices_missing"
    LIMITS_BREACHED = "limits_breached"
    NO_NEW_BIDS = "no_new_bids"
    KILLED = "killed"
    SHADOW = "shadow"
    NEEDS_APPROVAL = "needs_approval"
    RATE_EXCEEDED = "rate_exceeded"
    WRONG_LENGTH = "wrong_length"
    LOCKED = "locked"
    OVER = "over"
    UNKNOWN_INVITATION = "unknown_invitation"


class TradeRefusal(DataError):  # noqa: N818  (a refusal is an answer, not a fault)
    """A request to trade that cannot be served, with a stable code for machines."""

    def __init__(self, what: str, *, code: Refusal, where: str, fix: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.code: str = code.value


def next_delivery(product: ProductCalendar, now: datetime) -> Interval:
    """The first delivery whose gate has not closed at `now`."""
    return next(_deliveries_not_closed(product, now))


def deliveries_from(product: ProductCalendar, moment: datetime) -> Iterator[Interval]:
    """Without end: the delivery that `moment` lies in and those after it, on days that have one."""
    delivery = product.delivery_at(moment)
    while True:
        if product.delivers(delivery):
            yield delivery
        delivery = product.delivery_at(delivery.end)


def require_open(product: ProductCalendar, delivery: Interval, now: datetime) -> None:
    """Refuse a delivery that the product does not have, or whose gate is not open at `now`.

    Raises:
        TradeRefusal: `off_grid`, `gate_closed` or `gate_not_open`.
    """
    where = f"product {product.product_id}"
    exact = product.delivery_at(delivery.start)
    if exact != delivery or not product.delivers(delivery):
        exact = next(deliveries_from(product, delivery.start))
        raise TradeRefusal(
            f"{_span(delivery)} is no delivery of it",
            code=Refusal.OFF_GRID,
            where=where,
            fix=f"Ask for {_span(exact)}",
        )
    if now >= (closes := product.gate_closes_at(delivery)):
        raise TradeRefusal(
            f"the gate of {_span(delivery)} closed at {isoformat(closes)}",
            code=Refusal.GATE_CLOSED,
            where=where,
            fix=f"Ask for {_span(next_delivery(product, now))}",
        )
    if now < (opens := product.gate_opens_at(delivery)):
        raise TradeRefusal(
            f"the gate of {_span(delivery)} is not open yet",
            code=Refusal.GATE_NOT_OPEN,
            where=where,
            fix=f"Ask again at {isoformat(opens)}",
        )


def planning_horizon(
    products: Iterable[ProductCalendar],
    now: datetime,
    *,
    step: timedelta,
    every: timedelta,
    at_least: timedelta,
    lookahead: timedelta,
) -> Horizon:
    """How far a plan made at `now` must look to answer the bids that are asked of it.

    It reaches the end of the farthest delivery whose gate closes in [now, now + lookahead] and
    opens by the next plan (`every` on, at most), and at least `at_least`; whole steps, rounded up.

    Raises:
        DataError: `now` is no boundary of `step`.
    """
    if latest_boundary(now, step) != now:
        raise DataError(
            f"{isoformat(now)} is no multiple of {step}",
            where="planning_horizon",
            fix="Plan from a step boundary on",
        )
    end = now + at_least
    for product in products:
        for delivery in _opened_before(product, now, opened_by=now + every):
            if product.gate_closes_at(delivery) > now + lookahead:
                break
            end = max(end, delivery.end)
    return Horizon(now, step, -((now - end) // step))


def _opened_before(
    product: ProductCalendar, now: datetime, *, opened_by: datetime
) -> Iterator[Interval]:
    for delivery in _deliveries_not_closed(product, now):
        if product.gate_opens_at(delivery) > opened_by:
            return
        yield delivery


def _deliveries_not_closed(product: ProductCalendar, now: datetime) -> Iterator[Interval]:
    """Without end: gates close in the order of their deliveries."""
    return (d for d in deliveries_from(product, now) if product.gate_closes_at(d) > now)


def _span(span: Interval) -> str:
    return f"{isoformat(span.start)}/{isoformat(span.end)}"
