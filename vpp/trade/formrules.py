"""Whether an offer keeps the rules of its product: each broken rule by its name, whatever the form.

A second look that knows nothing of how the offer was made. It sees MW and prices by interval; what a
form adds (blocks, undo prices, a trapezium) its own builder checks. `limits.py` is the way out for what
we bid today; this is for every product that a market file can describe.

    segments_in_bounds · quantity_on_the_grid · price_on_the_grid · price_in_bounds · monotone
    within_capability · intervals_of_the_delivery · gate_open · exclusivity_budget
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Literal, TypeAlias

from vpp.model.gate import ProductCalendar
from vpp.model.ids import ProductId
from vpp.model.time import Interval, isoformat

Segment: TypeAlias = tuple[Decimal, Decimal | None]
"""(MW more, price; None where the product has none), in the order of the offer."""

Direction: TypeAlias = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRules:
    """The bounds of an offer, from the market file."""

    sense: Literal["supply", "demand"]
    least_segments: int
    most_segments: int
    least_mw: Decimal
    step_mw: Decimal
    min_price: Decimal | None
    """None, as max and tick, where the product has no price."""
    max_price: Decimal | None
    tick: Decimal | None


def offer_faults(
    rules: FormRules,
    calendar: ProductCalendar,
    delivery: Interval,
    offered: Mapping[Interval, Sequence[Segment]],
    *,
    certified_mw: Decimal,
    now: datetime,
) -> tuple[str, ...]:
    """Every rule that is broken, as `name: what`; empty where the offer may go.

    An offer is for a whole delivery: each of its intervals has a curve, none is left out or added.
    """
    faults = [*_calendar_faults(calendar, delivery, offered, now)]
    for interval, segments in offered.items():
        at = isoformat(interval.start)
        faults += [f"{fault} ({at})" for fault in _curve_faults(rules, segments, certified_mw)]
    return tuple(faults)


def _calendar_faults(
    calendar: ProductCalendar,
    delivery: Interval,
    offered: Mapping[Interval, Sequence[Segment]],
    now: datetime,
) -> Iterator[str]:
    intervals = calendar.intervals(delivery)
    if calendar.delivery_at(delivery.start) != delivery or not calendar.delivers(delivery):
        yield f"intervals_of_the_delivery: {isoformat(delivery.start)} starts no delivery"
    elif tuple(sorted(offered)) != intervals:
        yield f"intervals_of_the_delivery: {len(offered)} curves for {len(intervals)} intervals"
    if not calendar.gate_opens_at(delivery) <= now < calendar.gate_closes_at(delivery):
        yield f"gate_open: it is open until {isoformat(calendar.gate_closes_at(delivery))}"


def _curve_faults(
    rules: FormRules, segments: Sequence[Segment], certified_mw: Decimal
) -> Iterator[str]:
    if not rules.least_segments <= len(segments) <= rules.most_segments:
        yield (
            f"segments_in_bounds: {len(segments)},"
            f" not {rules.least_segments} to {rules.most_segments}"
        )
    for quantity, price in segments:
        if not quantity.is_finite() or quantity < 0 or quantity % rules.step_mw:
            yield f"quantity_on_the_grid: {quantity} MW in steps of {rules.step_mw}"
        if (price is None) != (rules.tick is None):
            yield f"price_in_bounds: {price} where the product {'has none' if price else 'has one'}"
        elif price is not None:
            yield from _price_faults(rules, price)
    finite = [quantity for quantity, _ in segments if quantity.is_finite()]
    total = sum(finite, Decimal(0))
    if 0 < total < rules.least_mw:
        yield f"quantity_on_the_grid: {total} MW is below the least, {rules.least_mw}"
    if total > certified_mw:
        yield f"within_capability: {total} MW of {certified_mw} MW"
    prices = [price for _, price in segments if price is not None and price.is_finite()]
    falls = any(a > b for a, b in pairwise(prices))
    rises = any(a < b for a, b in pairwise(prices))
    if falls if rules.sense == "supply" else rises:
        yield f"monotone: prices {'fall' if falls else 'rise'} in a {rules.sense} curve"


def _price_faults(rules: FormRules, price: Decimal) -> Iterator[str]:
    low, high, tick = rules.min_price, rules.max_price, rules.tick
    if not price.is_finite() or low is None or high is None or not low <= price <= high:
        yield f"price_in_bounds: {price} is not within {low} to {high}"
    elif tick is not None and price % tick:
        yield f"price_on_the_grid: {price} is no multiple of {tick}"


def budget_faults(
    sold: Mapping[tuple[ProductId, Direction], Mapping[Interval, Decimal]],
    group_of: Mapping[ProductId, str],
    tested_mw: Mapping[Direction, Decimal],
) -> tuple[str, ...]:
    """Where the products of one exclusivity group hold more together than was tested: a MW is sold once.

    Intervals of different length are compared over every span in which the same ones hold.
    """
    groups: dict[tuple[str, Direction], list[tuple[Interval, Decimal]]] = {}
    for (product_id, direction), by_interval in sold.items():
        groups.setdefault((group_of[product_id], direction), []).extend(by_interval.items())
    faults = []
    for (group, direction), held in groups.items():
        for start in sorted({interval.start for interval, _ in held}):
            total = sum((mw for interval, mw in held if start in interval), Decimal(0))
            if total > tested_mw[direction]:
                faults.append(
                    f"exclusivity_budget: {group} holds {total} MW {direction} of"
                    f" {tested_mw[direction]} MW from {isoformat(start)}"
                )
    return tuple(faults)
